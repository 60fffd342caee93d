-- Runs a step's query and returns its rows: SELECT ... FROM df._rows(query, params...) AS r(<its columns>).
--
-- RETURN QUERY EXECUTE lets PostgreSQL run the query in parallel; a loop over EXECUTE never does. Parameters
-- come as text and are cast in the query's own text ($1::integer). Columns that differ from the list that the
-- caller describes are an error of PostgreSQL's (42804). Of more than 100 parameters the query gets the array:
-- $1[101]::integer.
-- Locks: those of the query. SECURITY INVOKER: it is the step itself.
CREATE OR REPLACE FUNCTION df._rows(q text, VARIADIC params text[] DEFAULT '{}') RETURNS SETOF record
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF pg_catalog.cardinality(params) = 0 THEN
        RETURN QUERY EXECUTE q;
    ELSIF pg_catalog.cardinality(params) <= 10 THEN
        RETURN QUERY EXECUTE q USING
            params[1], params[2], params[3], params[4], params[5], params[6], params[7], params[8], params[9], params[10];
    ELSIF pg_catalog.cardinality(params) <= 100 THEN
        RETURN QUERY EXECUTE q USING
            params[1], params[2], params[3], params[4], params[5], params[6], params[7], params[8], params[9], params[10],
            params[11], params[12], params[13], params[14], params[15], params[16], params[17], params[18], params[19], params[20],
            params[21], params[22], params[23], params[24], params[25], params[26], params[27], params[28], params[29], params[30],
            params[31], params[32], params[33], params[34], params[35], params[36], params[37], params[38], params[39], params[40],
            params[41], params[42], params[43], params[44], params[45], params[46], params[47], params[48], params[49], params[50],
            params[51], params[52], params[53], params[54], params[55], params[56], params[57], params[58], params[59], params[60],
            params[61], params[62], params[63], params[64], params[65], params[66], params[67], params[68], params[69], params[70],
            params[71], params[72], params[73], params[74], params[75], params[76], params[77], params[78], params[79], params[80],
            params[81], params[82], params[83], params[84], params[85], params[86], params[87], params[88], params[89], params[90],
            params[91], params[92], params[93], params[94], params[95], params[96], params[97], params[98], params[99], params[100];
    ELSE
        RETURN QUERY EXECUTE q USING params;
    END IF;
END $$;
