-- A UUIDv7 as text: milliseconds since 1970 in the first 48 bits, then the version, then the fraction of the
-- millisecond in 12 bits (RFC 9562, 6.2 method 3), then 62 random bits and the variant. Locks: none.
-- Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._new_id() RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
    micros constant bigint := (date_part('epoch', clock_timestamp()) * 1000000)::bigint;
    stamp constant bigint := ((micros / 1000) << 16) | 28672 | ((micros % 1000) * 4096 / 1000);
BEGIN
    RETURN encode(overlay(uuid_send(gen_random_uuid()) PLACING int8send(stamp) FROM 1 FOR 8), 'hex')::uuid::text;
END $$;
