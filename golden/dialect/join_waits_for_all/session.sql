SELECT df.await_instance(:'id');
SELECT array_agg(n ORDER BY n) AS inserted FROM joined;
SELECT df.status(:'id'), df.result(:'id');
