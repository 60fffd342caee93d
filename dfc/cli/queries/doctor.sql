-- What the server says of this session and database. Locks: none.
SELECT "check", status, detail, hint FROM df.doctor()
