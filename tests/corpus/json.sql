SELECT '[{"a":"foo"},{"b":"bar"}]'::json -> 1, '{"a": {"b": 1}}'::json -> 'a', '[1,2,3]'::json ->> 2, '{"a":1}'::json ->> 'a', '{"a": {"b": [1]}}'::json #> '{a,b}', '{"a": [1,2]}'::json #>> '{a,1}'

SELECT '{"a":1, "b":2}'::jsonb @> '{"b":2}', '{"b":2}'::jsonb <@ '{"a":1, "b":2}', '{"a":1}'::jsonb ? 'a', '{"a":1}'::jsonb ?| ARRAY['b', 'c'], '["a", "b"]'::jsonb ?& ARRAY['a', 'b']

SELECT '["a"]'::jsonb || '["b"]', '{"a": "b"}'::jsonb - 'a', '["a", "b"]'::jsonb - 1, '{"a": 1}'::jsonb - '{a}'::text[], '["a", {"b":1}]'::jsonb #- '{1,b}'

SELECT '{"a":[1,2,3]}'::jsonb @? '$.a[*] ? (@ > 2)', '{"a":[1,2,3]}'::jsonb @@ '$.a[*] > 2', jsonb_path_query('{"a":[1,2,3]}', '$.a[*] ? (@ >= $min && @ <= $max)', '{"min":2, "max":4}'), jsonb_path_exists('{"a":1}', '$.a')

SELECT details -> 'to' ->> 'city', details #>> '{to,city}', details['to']['city'], (details ->> 'gift')::boolean FROM orders WHERE details ? 'gift' AND details @> '{"gift": true}'

SELECT o.order_id FROM orders o WHERE o.details?'gift' AND o.details ?& '{gift,to}'

SELECT to_json('x'::text), to_jsonb(row(1, 'foo')), array_to_json('{{1,5},{99,100}}'::int[]), row_to_json(p), jsonb_build_object('a', 1, 'b', NULL), json_build_array(1, 2), json_object('{a, 1, b, "def"}'), jsonb_object('{a,b}', '{1,2}') FROM pairs() p

SELECT json_array_elements('[1,true]'), jsonb_array_elements_text('["x"]'), jsonb_each('{"a":"foo"}'), jsonb_object_keys('{"a":1}'), jsonb_array_length('[1]'), jsonb_typeof('1'), jsonb_pretty('{}'), jsonb_strip_nulls('{"a":null}'), jsonb_set('{"a":1}', '{a}', '2'), jsonb_insert('{"a":[0]}', '{a,1}', '1'), jsonb_extract_path_text('{"a":1}', 'a')

SELECT * FROM jsonb_to_recordset('[{"a":1,"b":"foo"}, {"a":"2","c":"bar"}]') AS x(a int, b text)

SELECT * FROM json_populate_record(NULL::employees, '{"id": 1, "name": "x"}'), jsonb_to_record('{"x": [1,2]}') AS y(x int[])

SELECT key, value FROM orders, jsonb_each(details)

SELECT JSON_OBJECT('code': 'P123', 'title' VALUE 'Jaws'), JSON_OBJECT('a': NULL ABSENT ON NULL), JSON_OBJECT('a': 1 WITH UNIQUE KEYS RETURNING jsonb), JSON_OBJECT()

SELECT JSON_ARRAY(1, true, JSON('{"a":null}')), JSON_ARRAY(1, NULL NULL ON NULL), JSON_ARRAY(SELECT * FROM (VALUES (1), (2)) t), JSON_ARRAY(RETURNING jsonb), JSON_ARRAY('1' FORMAT JSON)

SELECT JSON_OBJECTAGG(title: did), JSON_OBJECTAGG(title VALUE did NULL ON NULL WITHOUT UNIQUE KEYS), JSON_ARRAYAGG(title ORDER BY title ABSENT ON NULL RETURNING jsonb) FROM films

SELECT JSON_SCALAR(123.45), JSON_SERIALIZE('{ "a" : 1 }' RETURNING bytea), JSON('{"a":1}' WITH UNIQUE KEYS), JSON('1')

SELECT '1' IS JSON, '[]' IS JSON ARRAY, '{}' IS JSON OBJECT WITH UNIQUE KEYS, '1' IS NOT JSON SCALAR, 'x' IS JSON VALUE WITHOUT UNIQUE

SELECT JSON_EXISTS(jsonb '{"key1": [1,2,3]}', 'strict $.key1[*] ? (@ > $x)' PASSING 2 AS x), JSON_EXISTS(jsonb '{"a": [1]}', 'lax $.a[5]' ERROR ON ERROR)

SELECT JSON_VALUE(jsonb '"123.45"', '$' RETURNING float), JSON_VALUE(jsonb '[1,2]', 'strict $[$off]' PASSING 1 AS off DEFAULT 9 ON EMPTY ERROR ON ERROR), JSON_VALUE(jsonb '[1,2]', '$[*]' NULL ON ERROR)

SELECT JSON_QUERY(jsonb '[1,[2,3],null]', 'lax $[*][$off]' PASSING 1 AS off WITH CONDITIONAL WRAPPER), JSON_QUERY(jsonb '{"a": "[1, 2]"}', 'lax $.a' OMIT QUOTES), JSON_QUERY(jsonb '{"a": "x"}', '$.a' KEEP QUOTES EMPTY OBJECT ON ERROR), JSON_QUERY(jsonb '[1]', '$' RETURNING text WITHOUT ARRAY WRAPPER)

SELECT jt.* FROM orders, JSON_TABLE(details, '$' COLUMNS (id FOR ORDINALITY, gift boolean PATH '$.gift' DEFAULT false ON EMPTY, city text EXISTS PATH '$.to.city', NESTED PATH '$.items[*]' COLUMNS (item int PATH '$'))) AS jt

SELECT * FROM JSON_TABLE('[{"a": [1,2]}]'::jsonb, '$[*]' AS p PASSING 1 AS f COLUMNS (a jsonb FORMAT JSON PATH '$.a' WITH WRAPPER KEEP QUOTES NULL ON EMPTY ERROR ON ERROR, NESTED '$.a[*]' AS n COLUMNS (x int PATH '$')) ERROR ON ERROR) jt

SELECT jsonb_path_query_array('[1, "x"]', '$[*] ? (@.type() == "number")'), jsonb_path_query_first('{"a": "abc"}', '$.a ? (@ like_regex "^a.*c$" flag "i")'), '$.a[last]'::jsonpath, 'strict $.**{2 to 5}.x'::jsonpath, jsonb_path_query_tz('"2015-08-02"', '$.datetime("YYYY-MM-DD")'), '$."$varname"'::jsonpath

SELECT '{"$ref": "$name", "price": "$5.00"}'::jsonb, '{"x": "{y}"}'::jsonb, '{a,b}'::text[], '{{a},{b}}'::text[]
