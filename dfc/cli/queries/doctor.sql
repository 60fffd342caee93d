-- What the server says of this session and database.
SELECT "check", status, detail, hint FROM df.doctor()
