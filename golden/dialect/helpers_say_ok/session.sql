SELECT df.setvar('helpers_say_ok', 'x'), df.getvar('helpers_say_ok'), df.getvar('helpers never');
SELECT df.unsetvar('helpers_say_ok'), df.unsetvar('helpers_say_ok');
SELECT df.getvar('helpers_say_ok');
SELECT df.sql('SELECT 1') = df.sql('SELECT 1') AS same, df.as('SELECT 1', 'not a name');
SELECT df.as('SELECT 1', 'a_name') = ('SELECT 1' |=> 'a_name') AS same, df.seq('SELECT 1', 'SELECT 2') = ('SELECT 1' ~> 'SELECT 2') AS seq, df.join('SELECT 1', 'SELECT 2') = ('SELECT 1' & 'SELECT 2') AS joined, df.race('SELECT 1', 'SELECT 2') = ('SELECT 1' | 'SELECT 2') AS raced, df.loop('SELECT 1') = (@> 'SELECT 1') AS looped, df.if('SELECT 1', 'SELECT 2', 'SELECT 3') = ('SELECT 1' ?> 'SELECT 2' !> 'SELECT 3') AS ifs;
SELECT df.loop_prefix_op('SELECT 1') = (@> 'SELECT 1') AS looped, df.if_else_op(df.if_then_op('SELECT 1', 'SELECT 2'), 'SELECT 3') = df.if('SELECT 1', 'SELECT 2', 'SELECT 3') AS ifs, df.as_op('SELECT 1', 'n') = df.as('SELECT 1', 'n') AS named;
