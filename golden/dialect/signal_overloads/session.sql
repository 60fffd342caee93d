SELECT df.signal(:'id', 'a', '{"n": 1}'::json);
SELECT df.signal(:'id', 'b', jsonb_build_array(2));
SELECT df.signal(:'id', 'c', 'null'::text);
