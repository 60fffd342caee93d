--
-- PostgreSQL database dump
--

\restrict 9zQk3XbqVYyT0m3mH6cP1qvO7oM2sT4zD6fJ8lK0nR2pW5yB1dG3hL7vX9cE

-- Dumped from database version 17.6 (Debian 17.6-1.pgdg120+1)
-- Dumped by pg_dump version 18.0

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: postgis; Type: EXTENSION; Schema: -; Owner: -
--

CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;


--
-- Name: EXTENSION postgis; Type: COMMENT; Schema: -; Owner: 
--

COMMENT ON EXTENSION postgis IS 'PostGIS geometry and geography spatial types and functions';

CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS ltree WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS timescaledb WITH SCHEMA public;

CREATE SCHEMA partman;
ALTER SCHEMA partman OWNER TO rds_superuser;
CREATE EXTENSION IF NOT EXISTS pg_partman WITH SCHEMA partman;

SET default_tablespace = fast_ssd;

SET default_table_access_method = heap;

--
-- Name: plan; Type: TYPE; Schema: public; Owner: app
--

CREATE TYPE public.plan AS ENUM (
    'free',
    'pro',
    'enterprise; "big"'
);


ALTER TYPE public.plan OWNER TO app;

CREATE DOMAIN public.slug AS public.citext
	CONSTRAINT slug_check CHECK ((VALUE OPERATOR(public.~) '^[a-z0-9-]+$'::public.citext));

--
-- Name: set_updated_at(); Type: FUNCTION; Schema: public; Owner: app
--

CREATE FUNCTION public.set_updated_at() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  NEW.updated_at = now();
  RETURN NEW;
END;
$$;

ALTER FUNCTION public.set_updated_at() OWNER TO app;

CREATE FUNCTION public.plv8_sum(a integer, b integer) RETURNS integer
    LANGUAGE plv8 IMMUTABLE
    AS $$ return a + b; $$;

CREATE FUNCTION public.tenant_id() RETURNS uuid
    LANGUAGE sql STABLE
    RETURN (current_setting('app.tenant'::text, true))::uuid;

CREATE PROCEDURE public.archive(IN before date)
    LANGUAGE sql
    BEGIN ATOMIC
 DELETE FROM public.visits
   WHERE (visits.at < archive.before);
END;

CREATE TABLE public.accounts (
    id uuid DEFAULT public.uuid_generate_v4() NOT NULL,
    slug public.slug NOT NULL,
    email public.citext,
    plan public.plan DEFAULT 'free'::public.plan NOT NULL,
    settings public.hstore DEFAULT ''::public.hstore,
    path public.ltree,
    "createdAt" timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp with time zone DEFAULT now(),
    region character varying(16) COLLATE pg_catalog."C",
    password bytea
)
PARTITION BY LIST (region);

ALTER TABLE public.accounts OWNER TO app;

SET default_table_access_method = columnar;

CREATE TABLE public.accounts_eu (
    id uuid DEFAULT public.uuid_generate_v4() CONSTRAINT accounts_id_not_null NOT NULL,
    slug public.slug CONSTRAINT accounts_slug_not_null NOT NULL,
    email public.citext,
    plan public.plan DEFAULT 'free'::public.plan CONSTRAINT accounts_plan_not_null NOT NULL,
    settings public.hstore DEFAULT ''::public.hstore,
    path public.ltree,
    "createdAt" timestamp(3) without time zone DEFAULT CURRENT_TIMESTAMP CONSTRAINT "accounts_createdAt_not_null" NOT NULL,
    updated_at timestamp with time zone DEFAULT now(),
    region character varying(16) COLLATE pg_catalog."C",
    password bytea
);

CREATE TABLE public.visits (
    id bigint NOT NULL,
    account_id uuid,
    at date DEFAULT now() NOT NULL,
    place public.geometry(Point,4326),
    track public.geography,
    during tstzrange,
    tags public.citext[],
    amount numeric(10,2)
);

CREATE SEQUENCE public.visits_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.visits_id_seq OWNED BY public.visits.id;

CREATE TABLE public."Order" (
    "orderId" integer NOT NULL,
    "user" text,
    total numeric GENERATED ALWAYS AS (((1)::numeric * (2)::numeric)) STORED,
    doc xml
);

ALTER TABLE public."Order" ALTER COLUMN "orderId" ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public."Order_orderId_seq"
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW public.active_accounts WITH (security_invoker='true') AS
 SELECT id,
    slug,
    (email)::text AS email,
    public.similarity((slug)::text, 'x'::text) AS sim,
    (settings OPERATOR(public.->) 'theme'::text) AS theme
   FROM public.accounts
  WHERE (plan <> 'free'::public.plan);

CREATE MATERIALIZED VIEW public.near AS
 SELECT v.id,
    public.st_distance((v.place)::public.geography, v.track) AS d,
    public.st_asgeojson(v.place) AS geojson
   FROM public.visits v
  WITH NO DATA;

CREATE FOREIGN DATA WRAPPER mysql HANDLER public.mysql_fdw_handler VALIDATOR public.mysql_fdw_validator;
CREATE SERVER legacy FOREIGN DATA WRAPPER mysql OPTIONS (
    host 'db.internal',
    port '3306'
);
CREATE FOREIGN TABLE public.legacy_users (
    id bigint OPTIONS (
    key 'true'
    ) NOT NULL,
    name text
)
SERVER legacy
OPTIONS (
    dbname 'x',
    table_name 'users'
);

ALTER TABLE ONLY public.accounts ATTACH PARTITION public.accounts_eu FOR VALUES IN ('eu', 'uk');
ALTER TABLE ONLY public.visits ALTER COLUMN id SET DEFAULT nextval('public.visits_id_seq'::regclass);

--
-- Data for Name: visits; Type: TABLE DATA; Schema: public; Owner: app
--

COPY public.visits (id, account_id, at, place, track, during, tags, amount) FROM stdin;
1	\N	2026-01-01	\N	\N	["2026-01-01 00:00:00+00",)	{a,"b;c"}	1.50
2	\N	2026-01-02	\N	\N	\N	$$x$$	'; DROP TABLE visits; --
\.


COPY public."Order" ("orderId", "user", doc) FROM stdin;
\.

SELECT pg_catalog.setval('public.visits_id_seq', 2, true);
SELECT pg_catalog.lo_create('16400');
ALTER LARGE OBJECT 16400 OWNER TO app;

ALTER TABLE ONLY public.visits
    ADD CONSTRAINT visits_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.visits
    ADD CONSTRAINT visits_excl EXCLUDE USING gist (account_id WITH =, during WITH &&);
CREATE INDEX accounts_slug_trgm ON ONLY public.accounts USING gin (slug public.gin_trgm_ops);
CREATE INDEX visits_place ON public.visits USING gist (place);
ALTER INDEX public.accounts_slug_trgm ATTACH PARTITION public.accounts_eu_slug_idx;
CREATE TRIGGER touch BEFORE UPDATE ON public.accounts FOR EACH ROW EXECUTE FUNCTION public.set_updated_at();
ALTER TABLE public.accounts DISABLE TRIGGER touch;
CREATE EVENT TRIGGER pgaudit_ddl ON ddl_command_end
   EXECUTE FUNCTION public.pgaudit_ddl_command_end();
CREATE POLICY tenant ON public.visits TO app USING ((account_id = public.tenant_id()));
ALTER TABLE public.visits ENABLE ROW LEVEL SECURITY;
CREATE PUBLICATION cdc FOR ALL TABLES WITH (publish = 'insert, update, delete, truncate');
ALTER PUBLICATION cdc OWNER TO app;
CREATE SUBSCRIPTION sub CONNECTION 'host=x' PUBLICATION p WITH (connect = false, slot_name = 'sub');

--
-- Name: SCHEMA public; Type: ACL; Schema: -; Owner: app
--

REVOKE USAGE ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO app;
SET SESSION AUTHORIZATION app;
GRANT SELECT ON TABLE public.visits TO readonly WITH GRANT OPTION;
RESET SESSION AUTHORIZATION;
GRANT SELECT(id),UPDATE(at) ON TABLE public.visits TO reporting;
ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA public GRANT SELECT ON TABLES TO readonly;
ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT MAINTAIN ON TABLES TO ops;
SECURITY LABEL FOR anon ON COLUMN public.accounts.email IS 'MASKED WITH FUNCTION anon.fake_email()';
ALTER DATABASE saas SET "app.tenant" TO '';

--
-- PostgreSQL database dump complete
--

\unrestrict 9zQk3XbqVYyT0m3mH6cP1qvO7oM2sT4zD6fJ8lK0nR2pW5yB1dG3hL7vX9cE
