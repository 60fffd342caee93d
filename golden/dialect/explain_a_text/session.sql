SELECT df.explain($$'SELECT id FROM users WHERE active LIMIT 1' |=> 'uid' ~> ('SELECT $uid > 0' ?> 'SELECT ''yes''' !> 'SELECT ''no''') ~> df.join3('SELECT 1', df.sleep(5), df.wait_for_signal('go', 60) |=> 's') ~> df.loop(df.wait_for_schedule('*/5 * * * *') ~> 'SELECT 2', 'SELECT false')$$);
SELECT df.explain('SELECT 1' ~> 'SELECT 2');
SELECT df.explain('SELECT count(*) FROM users');
SELECT df.explain(df.race(df.http('https://example.com/a/very/long/path/that/is/cut/somewhere', 'GET'), @> df.break('a value that is longer than twenty')));
SELECT df.explain('what is this');
