SELECT 2 + 3, 2 - 3, 2 * 3, 5.0 / 2, 5 / 2, 5 % 4, 2 ^ 3, |/ 25.0, ||/ 64.0, @ -5.0, 91 & 15, 32 | 3, 17 # 5, ~1, 1 << 4, 8 >> 2

SELECT 1 < 2, 1 > 2, 1 <= 2, 1 >= 2, 1 = 2, 1 <> 2, 1 != 2

SELECT 2 BETWEEN 1 AND 3, 2 NOT BETWEEN 1 AND 3, 2 BETWEEN SYMMETRIC 3 AND 1, 2 NOT BETWEEN SYMMETRIC 1 AND 3

SELECT 1 IS DISTINCT FROM NULL, 1 IS NOT DISTINCT FROM NULL

SELECT NULL IS NULL, 1 IS NOT NULL, NULL ISNULL, 1 NOTNULL

SELECT true IS TRUE, true IS NOT TRUE, false IS FALSE, NULL::boolean IS UNKNOWN, true IS NOT UNKNOWN

SELECT NOT true AND false OR true

SELECT 'abc' LIKE 'a%', 'abc' NOT LIKE '_b_', 'ABC' ILIKE 'abc', 'abc' NOT ILIKE 'x', 'a%c' LIKE 'a!%c' ESCAPE '!'

SELECT 'abc' ~~ 'a%', 'abc' ~~* 'A%', 'abc' !~~ 'a%', 'abc' !~~* 'A%', 'abc' ^@ 'a'

SELECT 'abc' SIMILAR TO '%(b|d)%', 'abc' NOT SIMILAR TO '(b|c)%' ESCAPE '\'

SELECT 'thomas' ~ 't.*ma', 'thomas' ~* 'T.*ma', 'thomas' !~ 't.*max', 'thomas' !~* 'T.*ma'

SELECT 'abcd' ~ 'a.c$', 'x$y' LIKE '%$%', regexp_replace('foobarbaz', 'b(..)', 'X\1Y', 'g')

SELECT (SELECT 1) + (SELECT 2), ARRAY(SELECT generate_series(1, 3)), EXISTS (SELECT 1)

SELECT CASE WHEN 1 = 1 THEN 'one' WHEN 2 = 2 THEN 'two' ELSE 'other' END

SELECT CASE temp_lo WHEN 1 THEN 'one' ELSE 'other' END FROM weather

SELECT CASE WHEN true THEN 1 END + CASE 1 WHEN 1 THEN 2 END

SELECT coalesce(NULL, 1), nullif(1, 2), greatest(1, 2, 3), least(1, 2)

SELECT CAST('1' AS integer), '1'::int::text, int4 '1', CAST(ARRAY['1'] AS int[]), float8('1')

SELECT date '2001-10-05', time '04:05:06', timestamp '2004-10-19 10:23:54', timestamptz '2004-10-19 10:23:54+02', interval '1 day'

SELECT TIMESTAMP WITH TIME ZONE '2004-10-19 10:23:54+02', TIME (3) WITHOUT TIME ZONE '04:05:06.789', TIMESTAMP(0) '2004-10-19 10:23:54'

SELECT INTERVAL '1-2', INTERVAL '3 4:05:06', INTERVAL '1 year' YEAR, INTERVAL '1:30' HOUR TO MINUTE, INTERVAL(2) '1.234 seconds', INTERVAL '5' DAY, INTERVAL 'P1Y2M3DT4H5M6S', interval '1.5' second(1)

SELECT date '2001-09-28' + 7, date '2001-09-28' + interval '1 hour', date '2001-09-28' + time '03:00', date '2001-10-01' - date '2001-09-28', -interval '23 hours', 900 * interval '1 second', interval '1 hour' / 1.5

SELECT (DATE '2001-02-16', DATE '2001-12-21') OVERLAPS (DATE '2001-10-30', INTERVAL '1 day')

SELECT TIMESTAMP '2001-02-16 20:38:40' AT TIME ZONE 'America/Denver', now() AT TIME ZONE INTERVAL '-08:00', now() AT LOCAL

SELECT extract(epoch FROM interval '5 days 3 hours'), extract(dow FROM now()), extract('year' FROM now()), EXTRACT(TIMEZONE_HOUR FROM now()), date_part('hour', timestamp '2001-02-16 20:38:40')

SELECT date_trunc('hour', now()), date_trunc('day', now(), 'Australia/Sydney'), date_bin('15 minutes', now(), timestamptz '2001-01-01'), age(timestamp '2001-04-10', timestamp '1957-06-13'), make_date(2013, 7, 15), make_interval(days => 10), make_timestamptz(2013, 7, 15, 8, 15, 23.5, 'Europe/Paris'), to_timestamp(1284352323)

SELECT to_char(now(), 'HH12:MI:SS Day, DD  "of" Month'), to_char(125.8, '999D9'), to_date('05 Dec 2000', 'DD Mon YYYY'), to_number('12,454.8-', '99G999D9S')

SELECT overlay('Txxxxas' PLACING 'hom' FROM 2 FOR 4), position('om' IN 'Thomas'), substring('Thomas' FROM 2 FOR 3), substring('Thomas' FOR 2), substring('Thomas' FROM '...$'), substring('Thomas' SIMILAR '%#"o_a#"_' ESCAPE '#'), substring('abc', 1, 2)

SELECT trim(both 'xyz' FROM 'yxTomxx'), trim(leading FROM ' x'), trim(trailing 'x' FROM 'x'), trim('  x '), trim(both FROM '  x'), trim('x', 'y'), trim(FROM ' y')

SELECT normalize('a', NFC), normalize('a'), 'a' IS NFC NORMALIZED, 'a' IS NOT NORMALIZED, U&'\0061\0308bc' IS NFD NORMALIZED

SELECT char_length('jose'), octet_length('x'), bit_length('x'), character_length('x'), lower('X'), upper('x'), initcap('hi')

SELECT format('Hello %s, %1$s and %I', 'World', 'x'), concat_ws(',', 'a', NULL, 2), string_to_array('a,b', ','), split_part('a~@~b', '~@~', 1), repeat('x', 3), quote_literal(E'O\'Reilly'), quote_ident('Foo bar'), quote_nullable(NULL), translate('12345', '143', 'ax'), chr(65), ascii('x'), md5('x'), reverse('x'), lpad('hi', 5, 'xy'), left('x', -1)

SELECT 'foo'
    'bar'

SELECT 'Dianne''s horse', E'a\tb\n\\ \x41 \101 \u0041 \U00000041 \'', U&'d\0061t\+000061', U&'d!0061ta' UESCAPE '!', $$Dianne's horse$$, $SomeTag$Dianne's $$ horse$SomeTag$, N'national'

SELECT B'1001', X'1FF', b'0', x'a', B'10' || B'01', B'101' & B'001', ~B'1', 44::bit(10), '1110'::bit(4)::integer

SELECT 42, 3.5, 4., .001, 5e2, 1.925e-3, 0x42f, 0o273, 0b100101, 1_500_000_000, 0x_ff, 1_2.3_4e5, 'Infinity'::float8, '-Infinity'::numeric, 'NaN'::numeric

SELECT -1, - 1, +1, - -1, -(-1), 1 - -1, 2 ^ -1, -1::int8, (-1)::text

SELECT 1 OPERATOR(pg_catalog.+) 2, - OPERATOR(pg_catalog.-) 3, 1 === 1, 1 OPERATOR(public.===) 1

SELECT a.b[1], (a.c).r FROM (SELECT ARRAY[1] AS b, ROW(1, 2)::complex AS c) a

SELECT (ROW(1, 2)::complex).i, (c).*, (c + c).r FROM (SELECT '(1,2)'::complex AS c) x

SELECT ROW(), ROW(1), (1, 2), ROW(1, NULL) IS NULL, ROW(1, 2) < ROW(1, 3), ROW(1, 2)::complex *= ROW(1, 2)::complex

SELECT 'a' < 'b' COLLATE "C", ('a' COLLATE pg_catalog."default") || 'b', upper('x' COLLATE "C")

SELECT * FROM films ORDER BY title COLLATE "C" DESC

SELECT ARRAY[1, 2, 3 + 4], ARRAY[[1, 2], [3, 4]], ARRAY[]::integer[], '{1,2,3}'::int[], '{{1,2},{3,4}}'::int[][], ARRAY[1, 2]::text[], '[1:1][-2:-1]={{{1}}}'::text

SELECT (ARRAY[1, 2, 3])[2], (ARRAY[1, 2, 3])[1:2], (ARRAY[1, 2, 3])[:2], (ARRAY[1, 2, 3])[2:], (ARRAY[1, 2, 3])[:], (string_to_array('a b', ' '))[1]

SELECT schedule[1:2][1:1], pay_by_quarter[3], array_dims(schedule), schedule[:2][2:] FROM sal_emp WHERE 10000 = ANY (pay_by_quarter)

SELECT ARRAY[1, 2] || 3, 3 || ARRAY[4], ARRAY[1, 2] @> ARRAY[1], ARRAY[1] <@ ARRAY[1, 2], ARRAY[1, 4] && ARRAY[4], array_append(ARRAY[1], 2), array_position(ARRAY['x'], 'x'), cardinality(ARRAY[1]), array_agg(i ORDER BY i DESC) FROM generate_series(1, 3) i

SELECT 1 = ANY (ARRAY[[1, 2]]) OR true WHERE false

SELECT 1 = ANY ('{1,2}'), 1 <> ALL (ARRAY[2, 3]), 'x' LIKE ANY (ARRAY['x', 'y']), 'x' NOT LIKE ALL ('{a,b}'), 1 = ANY (VALUES (1), (2))

SELECT inet '192.168.1.5' << inet '192.168.1/24', inet '192.168.1/24' >>= inet '192.168.1/24', inet '10.1.2.3' && inet '10/8', ~ inet '192.168.1.6', inet '192.168.1.6' + 25, host(inet '192.168.1.5/24'), macaddr '08:00:2b:01:02:03', macaddr8 '08:00:2b:01:02:03:04:05', cidr '10.0.0.0/8'

SELECT point '(1,2)' + point '(3,4)', box '((0,0),(1,1))' && box '((0,0),(2,2))', circle '<(0,0),1>' @> point '(0.5,0.5)', lseg '((0,0),(1,1))' ?# lseg '((0,1),(1,0))', path '[(0,0),(1,1)]'

SELECT point '(1,0)' ?- point '(0,0)', point '(0,1)' ?| point '(0,0)', lseg '((0,0),(0,1))' ?-| lseg '((0,0),(1,0))', lseg '((-1,0),(1,0))' ?|| lseg '((-1,2),(1,2))', ?- lseg '((-1,0),(1,0))', ?| lseg '((-1,0),(1,0))'

SELECT point '(1,2)' <-> point '(3,4)', @@ circle '<(0,0),1>', # path '((1,0),(0,1))', @-@ path '[(0,0),(1,0)]', box '(1,1,2,2)' <<| box '(2,2,3,3)', box '(1,1,2,2)' |>> box '(0,0,1,1)', box '(1,1,2,2)' |&> box '(0,0,1,1)', polygon '((0,0),(1,1))' ~= polygon '((0,0),(1,1))', box '(1,1,2,2)' >^ box '(0,0,1,1)', point(1, 2) ## lseg '((0,0),(1,1))'

SELECT int4range(10, 20) @> 3, numrange(11.1, 22.2) && numrange(20.0, 30.0), upper(int8range(15, 25)), int4range(1, 5) * int4range(3, 9), isempty(numrange(1, 5)), '[3,7)'::int4range -|- int4range(7, 9), int4range(1, 3) << int4range(5, 6), int4range(1, 3) &< int4range(2, 9), '(,)'::tsrange, '[1.234, 5.678]'::floatrange, floatrange(1.0, 2.0, '[]')

SELECT '{[3,7), [8,9)}'::int4multirange @> 5, int4multirange(int4range(1, 3), int4range(5, 7)) + '{[9,10)}', range_agg(r), range_intersect_agg(r), unnest('{[1,2),[3,4)}'::int4multirange) FROM (VALUES (int4range(1, 4))) v(r) GROUP BY r

SELECT '12:34'::time, '2001-01-01 BC'::date, 'today'::date, 'infinity'::timestamp, 'epoch'::timestamptz, 'allballs'::time

SELECT '$12.34'::money, 12.34::float8::numeric::money, '{"a": 1}'::json, '<a/>'::text, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, gen_random_uuid(), uuidv7(), uuidv4(), '\xDEADBEEF'::bytea, E'\\xDEADBEEF'::bytea, '0/16B3748'::pg_lsn

SELECT 'abc'::char(5), 'abc'::varchar, 'abc'::character varying(2), 'a'::"char", 'x'::bpchar, 1::numeric(10, 2), 1::decimal, 1.5::real, 1::double precision, 1::float(24), 1::smallint, 1::int8, true::bool, 'x'::name, '1'::dec(3), 'x'::national character(3), '1'::bit varying(5), 1::oid

SELECT 'employees'::regclass, 'int4'::regtype, 'now'::regproc, 'add_em(int,int)'::regprocedure, '+(int,int)'::regoperator, 'postgres'::regrole, 'app'::regnamespace, 'english'::regconfig, '"C"'::regcollation

SELECT 'happy'::mood > 'sad', enum_range(NULL::mood), enum_first(NULL::mood), 'ok'::mood::text, '12345'::postal_code

SELECT pg_typeof(1), pg_typeof(ARRAY[1]), 1::int4, '{1}'::_int4, '1'::pg_catalog.int4

SELECT add_em(1, 2), add_em(y => 2, x => 1), add_em(x := 1, y := 2), add_em(1, y => 2), concat_lower_or_upper('Hello', 'World', uppercase => true)

SELECT mleast(10, -1, 5, 4.4), mleast(VARIADIC ARRAY[10, -1]), mleast(VARIADIC arr => ARRAY[1, 2]), mleast(VARIADIC '{1,2}')

SELECT count(*), count(DISTINCT city), sum(temp_lo), avg(temp_hi), string_agg(city, ',' ORDER BY city DESC), array_agg(DISTINCT city ORDER BY city), bool_and(temp_lo > 1), every(true), json_agg(city), jsonb_object_agg(city, temp_lo), xmlagg(NULL), my_sum(temp_lo), any_value(city) FROM weather

SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY temp_lo), percentile_disc(ARRAY[0.25, 0.5]) WITHIN GROUP (ORDER BY temp_lo), mode() WITHIN GROUP (ORDER BY city), rank(5) WITHIN GROUP (ORDER BY temp_lo), count(*) FILTER (WHERE temp_lo > 40) FROM weather

SELECT corr(temp_lo, temp_hi), regr_slope(temp_lo, temp_hi), stddev(temp_lo), variance(temp_hi), covar_pop(temp_lo, temp_hi), bit_xor(temp_lo) FROM weather

SELECT depname, id, salary, avg(salary) OVER (PARTITION BY depname) FROM employees

SELECT depname, rank() OVER (PARTITION BY depname ORDER BY salary DESC), row_number() OVER (), dense_rank() OVER w, percent_rank() OVER w, cume_dist() OVER w, ntile(4) OVER w, lag(salary, 1, 0) OVER w, lead(salary) OVER w, first_value(salary) OVER w, last_value(salary) OVER w, nth_value(salary, 2) OVER w FROM employees WINDOW w AS (ORDER BY salary)

SELECT sum(salary) OVER (ORDER BY salary ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW), sum(salary) OVER (ORDER BY salary RANGE BETWEEN 100 PRECEDING AND 50 FOLLOWING EXCLUDE TIES), sum(salary) OVER (ORDER BY id GROUPS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW), sum(salary) OVER (ROWS 2 PRECEDING EXCLUDE NO OTHERS), sum(id) OVER (ORDER BY enroll_date RANGE '1 day' PRECEDING EXCLUDE GROUP) FROM employees

SELECT sum(salary) OVER w, avg(salary) FILTER (WHERE id > 1) OVER (w ROWS UNBOUNDED PRECEDING) FROM employees WINDOW w AS (PARTITION BY depname ORDER BY salary DESC)

SELECT to_tsvector('english', 'a fat cat') @@ to_tsquery('english', 'cat & rat'), 'fat & cat'::tsquery && 'rat'::tsquery, 'fat'::tsquery || 'rat'::tsquery, !! 'cat'::tsquery, 'fat'::tsquery <-> 'rat'::tsquery, 'cat'::tsquery @> 'cat & rat'::tsquery, phraseto_tsquery('the cat'), websearch_to_tsquery('"sad cat" or "fat rat" -x'), plainto_tsquery('x'), 'super:*'::tsquery, 'a:1A b:2'::tsvector

SELECT title, ts_rank_cd(tsv, query) AS rank, ts_headline('english', body, query, 'StartSel=<b>, StopSel=</b>'), setweight(tsv, 'A') FROM pgweb, to_tsquery('neutrino|(dark & matter)') query WHERE query @@ tsv ORDER BY rank DESC LIMIT 10

SELECT nextval('serial'), currval('serial'), setval('serial', 200, false), nextval('serial'::regclass)

SELECT set_config('work_mem', '8MB', true), current_setting('work_mem'), current_setting('my.unknown', true)

SELECT pg_advisory_xact_lock(1), pg_try_advisory_xact_lock(1, 2), txid_current(), pg_current_xact_id(), pg_sleep(0), pg_notify('c', 'x'), pg_backend_pid(), pg_size_pretty(pg_total_relation_size('films'))

SELECT has_table_privilege('films', 'select'), obj_description('films'::regclass), col_description('films'::regclass, 1), pg_get_viewdef('comedies'), format_type(23, NULL), to_regclass('nothing'), pg_get_expr(NULL, 0)

SELECT encode('\x123456', 'base64'), decode('EjRW', 'base64'), sha256('x'), get_byte('\x12', 0), '\x12'::bytea || '\x34'::bytea, convert_to('x', 'UTF8'), crc32('x'::bytea)

SELECT width_bucket(5.35, 0.024, 10.06, 5), round(42.4382, 2), trunc(1.5), ceil(1.2), floor(1.2), power(2, 3), sqrt(2), mod(5, 2), random(), random(1, 10), setseed(0.5), pi(), sign(-1), gcd(8, 12), log(2, 64), div(9, 4), factorial(5), scale(1.20)

SELECT regexp_matches('foobarbequebaz', '(bar)(beque)'), regexp_split_to_table('a b', '\s+'), regexp_count('a', 'b'), regexp_instr('a', 'b'), regexp_like('A', 'a', 'i'), regexp_substr('abc', 'b'), regexp_split_to_array('a b', E'\\s+')

SELECT generate_subscripts(ARRAY[1, 2], 1), unnest(ARRAY[1, 2]), array_to_string(ARRAY[1, NULL], ',', '*'), array_remove(ARRAY[1], 1), array_fill(7, ARRAY[3]), array_sort(ARRAY[2, 1]), trim_array(ARRAY[1, 2], 1), array_sample(ARRAY[1, 2], 1)

SELECT treat_as.x FROM (SELECT 1 AS x) treat_as

SELECT EXISTS (SELECT FROM films) AND NOT EXISTS (TABLE actors), (SELECT title FROM films LIMIT 1)

SELECT (1), ((1)), (((SELECT ((1)))))

SELECT count(*) AS "count", sum (1), max ( 2 )

--! 0A000
SELECT XMLPARSE (CONTENT 'abc'), xmlconcat('<a/>', '<b/>')

--! 0A000
SELECT xmlelement(name foo, xmlattributes('xyz' AS bar), 'content'), xmlforest(city, temp_lo AS "t"), xmlpi(name php, 'x'), xmlroot(XMLPARSE (DOCUMENT '<a/>'), version '1.0', standalone yes), XMLSERIALIZE (CONTENT '<a/>'::xml AS text NO INDENT), xmlexists('//a' PASSING BY VALUE '<a/>') FROM weather

--! 0A000
SELECT x.* FROM (SELECT '<r><a>1</a></r>'::xml AS data) d, XMLTABLE(XMLNAMESPACES('http://x' AS x), '/r' PASSING data COLUMNS id FOR ORDINALITY, a int PATH 'a' DEFAULT 0 NOT NULL) AS x

SELECT f.*, (SELECT count(*) FROM films WHERE did = f.did) FROM films AS f WHERE f.len > interval '60' minute AND (kind, did) IN (('Comedy', 105), ('Drama', 1))
