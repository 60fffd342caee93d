CREATE TABLE n1 (id serial PRIMARY KEY, a int NOT NULL, b text DEFAULT 'x', c timestamp with time zone DEFAULT current_timestamp)

CREATE TABLE IF NOT EXISTS app.n1 (a bigserial, b smallserial UNIQUE NULLS NOT DISTINCT, c text COLLATE "C", d text STORAGE external COMPRESSION pglz)

CREATE TABLE n1 (a int CONSTRAINT positive CHECK (a > 0) NO INHERIT, b int REFERENCES products ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED, c int NULL)

CREATE TABLE n1 (a int, b int, c int, PRIMARY KEY (a, b), UNIQUE (c) INCLUDE (a), CHECK (a < b), CONSTRAINT fk FOREIGN KEY (c) REFERENCES products (product_no) MATCH FULL ON DELETE SET DEFAULT (c) NOT VALID)

CREATE TABLE n1 (a int, CHECK (a > 0) NOT ENFORCED, NOT NULL a, CONSTRAINT nn NOT NULL a)

CREATE TABLE n1 (id int, valid_at tsrange, EXCLUDE USING gist (valid_at WITH &&) WHERE (id > 0))

CREATE TABLE n1 (id bigint GENERATED ALWAYS AS IDENTITY (START WITH 10 INCREMENT BY 5), w numeric, h numeric GENERATED ALWAYS AS (w / 2.54) STORED, v numeric GENERATED ALWAYS AS (w * 2) VIRTUAL)

CREATE TABLE n1 (LIKE films INCLUDING ALL EXCLUDING INDEXES, extra int)

CREATE TABLE n1 (pop int) INHERITS (cities)

CREATE TABLE n1 OF complex (r WITH OPTIONS DEFAULT 1, PRIMARY KEY (i))

CREATE TABLE n1 ()

CREATE TEMPORARY TABLE n1 (a int) ON COMMIT DELETE ROWS

CREATE TEMP TABLE n1 (a int) ON COMMIT DROP

CREATE LOCAL TEMP TABLE n1 (a int) ON COMMIT PRESERVE ROWS

CREATE UNLOGGED TABLE n1 (a int) WITH (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = off)

CREATE TABLE n1 (a int) USING heap TABLESPACE pg_default

CREATE TABLE n1 (a text, b int) PARTITION BY RANGE (lower(a), b)

CREATE TABLE n1 PARTITION OF measurement FOR VALUES FROM ('2027-01-01') TO ('2028-01-01') PARTITION BY LIST (city_id)

CREATE TABLE n1 PARTITION OF by_list (b DEFAULT 1) FOR VALUES IN ('a', 'b', NULL)

CREATE TABLE n1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 4, REMAINDER 0)

CREATE TABLE n1 PARTITION OF measurement FOR VALUES FROM (MINVALUE) TO ('2024-01-01')

CREATE TABLE n1 AS SELECT * FROM films WHERE date_prod >= '2002-01-01'

CREATE TABLE IF NOT EXISTS n1 (a, b) WITH (fillfactor = 50) AS VALUES (1, 2) WITH NO DATA

CREATE UNLOGGED TABLE n1 AS TABLE films

CREATE TEMP TABLE n1 ON COMMIT DROP AS SELECT 1 AS x WITH DATA

SELECT * INTO films_recent FROM films WHERE date_prod >= '2002-01-01'

SELECT code, title INTO TEMP films_recent FROM films

SELECT DISTINCT kind INTO UNLOGGED TABLE app.kinds FROM films GROUP BY kind HAVING count(*) > 0

ALTER TABLE distributors ADD COLUMN address varchar(30)

ALTER TABLE measurement ADD COLUMN mtime timestamptz DEFAULT now(), ADD IF NOT EXISTS x int

ALTER TABLE distributors DROP COLUMN dname RESTRICT, DROP IF EXISTS nothing CASCADE

ALTER TABLE IF EXISTS distributors ALTER COLUMN did TYPE bigint, ALTER COLUMN dname TYPE varchar(100) COLLATE "C"

ALTER TABLE weather ALTER COLUMN date SET DATA TYPE timestamp with time zone USING timestamp with time zone 'epoch' + temp_lo * interval '1 second'

ALTER TABLE films ALTER COLUMN kind DROP DEFAULT, ALTER COLUMN kind SET DEFAULT 'Comedy', ALTER title DROP NOT NULL, ALTER kind SET NOT NULL

ALTER TABLE distributors RENAME COLUMN dname TO city

ALTER TABLE distributors RENAME TO suppliers

ALTER TABLE films RENAME CONSTRAINT firstkey TO first_key

ALTER TABLE distributors ADD CONSTRAINT zipchk CHECK (char_length(dname) = 5) NO INHERIT NOT VALID

ALTER TABLE distributors ADD CONSTRAINT dist_fk FOREIGN KEY (did) REFERENCES products (product_no) NOT VALID

ALTER TABLE orders ADD UNIQUE (product_no, quantity), ADD CHECK (quantity > 0)

ALTER TABLE products VALIDATE CONSTRAINT products_price_check

ALTER TABLE orders ALTER CONSTRAINT orders_product_no_fkey DEFERRABLE INITIALLY DEFERRED

ALTER TABLE ONLY cities DROP CONSTRAINT IF EXISTS zipchk CASCADE

ALTER TABLE films SET SCHEMA app

ALTER TABLE films SET TABLESPACE pg_default, SET (fillfactor = 80), RESET (fillfactor)

ALTER TABLE distributors SET UNLOGGED

ALTER TABLE films CLUSTER ON films_kind, SET WITHOUT CLUSTER

ALTER TABLE accounts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY

ALTER TABLE films DISABLE TRIGGER stamped, ENABLE ALWAYS TRIGGER stamped, DISABLE TRIGGER USER

ALTER TABLE films OWNER TO miriam

ALTER TABLE films REPLICA IDENTITY FULL

ALTER TABLE films ALTER COLUMN kind SET STATISTICS 200, ALTER title SET STORAGE MAIN, ALTER COLUMN title SET COMPRESSION pglz, ALTER did SET (n_distinct = 5)

ALTER TABLE orders ALTER order_id SET GENERATED ALWAYS SET INCREMENT BY 2 RESTART WITH 500, ALTER quantity DROP IDENTITY IF EXISTS

ALTER TABLE distributors ALTER did ADD GENERATED ALWAYS AS IDENTITY

ALTER TABLE capitals NO INHERIT cities

--! 42804
ALTER TABLE actors OF complex

ALTER TABLE measurement ATTACH PARTITION measurement_new FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')

ALTER TABLE measurement DETACH PARTITION measurement_y2025

--! 25001
ALTER TABLE measurement DETACH PARTITION measurement_y2025 CONCURRENTLY

ALTER TABLE by_list ADD PRIMARY KEY (b, kind)

--! 42704
ALTER TABLE distributors ADD CONSTRAINT distributors_key2 UNIQUE USING INDEX nothing

DROP TABLE films, distributors CASCADE

DROP TABLE IF EXISTS nothing, app.nothing RESTRICT

CREATE INDEX ON films (title)

CREATE UNIQUE INDEX title_idx ON films (title) INCLUDE (kind, did)

CREATE INDEX n1 ON films ((lower(title)))

CREATE INDEX IF NOT EXISTS n1 ON films USING btree (title COLLATE "C" varchar_pattern_ops DESC NULLS LAST) WITH (fillfactor = 70, deduplicate_items = off) TABLESPACE pg_default WHERE kind IS NOT NULL

CREATE INDEX n1 ON orders USING gin (details jsonb_path_ops)

CREATE INDEX n1 ON vectors USING gist (area, range)

CREATE INDEX n1 ON orders USING brin (placed_at) WITH (pages_per_range = 4)

CREATE INDEX n1 ON pgweb USING gin (to_tsvector('english', body))

CREATE INDEX n1 ON products USING hash (name)

CREATE UNIQUE INDEX n1 ON products (name, price) NULLS NOT DISTINCT

CREATE INDEX n1 ON ONLY measurement (logdate)

--! 25001
CREATE INDEX CONCURRENTLY sales_quantity_index ON orders (quantity)

ALTER INDEX films_kind RENAME TO suppliers

ALTER INDEX films_kind SET (fillfactor = 75)

ALTER INDEX IF EXISTS films_kind SET TABLESPACE pg_default

DROP INDEX films_kind

--! 25001
DROP INDEX CONCURRENTLY IF EXISTS films_kind
