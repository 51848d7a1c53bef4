-- The rival's block of many: an UPDATE of the set, and a look at the rest for
-- an answer to each id.  As fast as we could make it: the rest is only read
-- where there is one, and two cases have shorter statements, that all were
-- changed and that none was.  Without its locks in the order of ids, without
-- another try for rows that come back meanwhile, without reasons.
CREATE FUNCTION rival.contacts_block(ids text[])
RETURNS TABLE (id text, code text, status text, changed boolean) LANGUAGE plpgsql
-- the planner knows neither array's length; a nested loop over one is quadratic
SET enable_nestloop = off AS $$
#variable_conflict use_column
DECLARE
    n_ids int := cardinality(ids);
    blocked text[];
    rest text[];
BEGIN
    IF ids IS NULL THEN
        RAISE 'the array of the contacts'' ids must not be null' USING ERRCODE = '22004';
    END IF;
    WITH u AS (UPDATE rival.contacts AS c SET status = 'Blocked'
               WHERE c.id = ANY (ids) AND c.status = 'Active' RETURNING c.id)
        SELECT array_agg(u.id) INTO blocked FROM u;
    IF cardinality(blocked) = n_ids THEN
        RETURN QUERY SELECT e.id, '00000', 'Blocked', true FROM unnest(ids) AS e (id);
        RETURN;
    END IF;
    IF blocked IS NULL THEN
        RETURN QUERY
            SELECT e.id, CASE WHEN c.status = 'Blocked' THEN '00000' WHEN c.status IS NOT NULL THEN 'PT409'
                              WHEN e.id IS NULL THEN '22004' WHEN e.id = '' THEN '22023' ELSE 'PT404' END, c.status, false
            FROM unnest(ids) WITH ORDINALITY AS e (id, n)
                LEFT JOIN (SELECT c.id, c.status FROM rival.contacts AS c WHERE c.id = ANY (ids)) AS c ON c.id = e.id
            ORDER BY e.n;
        RETURN;
    END IF;
    rest := ARRAY (SELECT unnest(ids) EXCEPT SELECT unnest(blocked));
    RETURN QUERY
        SELECT e.id, CASE WHEN b.id IS NOT NULL OR c.status = 'Blocked' THEN '00000' WHEN c.status IS NOT NULL THEN 'PT409'
                          WHEN e.id IS NULL THEN '22004' WHEN e.id = '' THEN '22023' ELSE 'PT404' END,
               CASE WHEN b.id IS NOT NULL THEN 'Blocked' ELSE c.status END,
               b.id IS NOT NULL AND e.n = min(e.n) OVER (PARTITION BY e.id)
        FROM unnest(ids) WITH ORDINALITY AS e (id, n)
            LEFT JOIN unnest(blocked) AS b (id) ON b.id = e.id
            LEFT JOIN (SELECT c.id, c.status FROM rival.contacts AS c WHERE c.id = ANY (rest)) AS c ON c.id = e.id
        ORDER BY e.n;
END $$;
