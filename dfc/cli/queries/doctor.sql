-- What the server says of this session and database.
SELECT "check", ok, found, advice FROM df.doctor()
