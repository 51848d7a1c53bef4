-- Do ours and the rival answer the same for many contacts?  Raises an error when
-- they do not.  Among them are contacts that are New, Blocked and Deleted, ids
-- that are unknown, empty or null, and some that come again.
-- Variables: contacts, calls.
BEGIN;
SET LOCAL session_replication_role = replica;
CREATE TEMP TABLE compared ON COMMIT DROP AS
    SELECT id, CASE n % 10 WHEN 0 THEN 'New' WHEN 1 THEN 'Blocked' WHEN 2 THEN 'Deleted' ELSE 'Active' END AS status, n
    FROM unnest(bench.pick(:contacts, :calls, 0.4)) WITH ORDINALITY AS p (id, n);
UPDATE ours.contacts AS c SET status = p.status, updated_by = NULL, blocked_by = NULL FROM compared AS p WHERE p.id = c.id;
UPDATE rival.contacts AS c SET status = p.status, updated_by = NULL, blocked_by = NULL FROM compared AS p WHERE p.id = c.id;
SET LOCAL session_replication_role = origin;

CREATE FUNCTION pg_temp.compare(what text, ids text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    different record;
BEGIN
    SELECT o AS ours, r AS rival INTO different
    FROM ours.contacts_block(ids) WITH ORDINALITY AS o (id, code, status, changed, n)
        FULL JOIN rival.contacts_block(ids) WITH ORDINALITY AS r (id, code, status, changed, n) USING (n)
    WHERE o IS DISTINCT FROM r LIMIT 1;
    IF FOUND THEN
        RAISE 'answers differ: %', what USING DETAIL = format('%s, %s', different.ours, different.rival);
    END IF;
    PERFORM FROM ours.contacts AS o JOIN rival.contacts AS r USING (id)
    WHERE id = ANY (ids) AND (o.status, o.blocked_reason, o.updated_by, o.blocked_by)
                             IS DISTINCT FROM (r.status, r.blocked_reason, r.updated_by, r.blocked_by);
    IF FOUND THEN
        RAISE 'contacts differ: %', what;
    END IF;
END $$;
\o /dev/null
SELECT pg_temp.compare('all can be', array_agg(id ORDER BY n)) FROM compared WHERE n < 50 AND status = 'Active';
SELECT pg_temp.compare('all again', array_agg(id ORDER BY n)) FROM compared WHERE n < 50 AND status = 'Active';
SELECT pg_temp.compare('all kinds', array_agg(id ORDER BY n) || array['', NULL, 'nobody'] || (array_agg(id ORDER BY n))[90:110])
FROM compared;
SELECT pg_temp.compare('all kinds again', array_agg(id ORDER BY n) || array['', NULL, 'nobody'] || (array_agg(id ORDER BY n))[90:110])
FROM compared;
SELECT pg_temp.compare('none', '{}');
\o
SELECT count(*) || ' contacts: ours and PL/pgSQL give the same answers' FROM compared;
ROLLBACK;
VACUUM ours.contacts;
VACUUM rival.contacts;
