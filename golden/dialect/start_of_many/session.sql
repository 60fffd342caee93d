SELECT label, df.await_instance(id), df.result(id) FROM df.instances WHERE label LIKE 'many %' ORDER BY label;
