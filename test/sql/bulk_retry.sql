-- A call for many contacts that looks like a retry: the first of them is done.
-- Then what became of all is read first, and only what is left is changed.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_bulk_retry;
SET search_path = regress_bulk_retry;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
SET contact_block.actor = 'ann';
INSERT INTO contacts (id, email, status)
	SELECT 'c' || n, '', CASE WHEN n = 50 THEN 'New' WHEN n = 60 THEN 'Deleted' ELSE 'Active' END
	FROM generate_series(10, 60) AS n;

-- how many rows of each kind the answer has, which ids where they are few
CREATE FUNCTION answer(ids text[], why text DEFAULT NULL)
RETURNS TABLE (code text, status text, changed boolean, count bigint, ids text) LANGUAGE sql
BEGIN ATOMIC
	SELECT code, status, changed, count(*), CASE WHEN count(*) < 5 THEN string_agg(id, ' ' ORDER BY place) END
	FROM contacts_block(ids, why) WITH ORDINALITY AS c (id, code, status, changed, place)
	GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
END;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE WARNING 'an UPDATE';
	RETURN NULL;
END $$;
CREATE TRIGGER tell BEFORE UPDATE ON contacts FOR EACH STATEMENT EXECUTE FUNCTION tell();

SELECT array_agg('c' || n) AS all FROM generate_series(5, 60) AS n \gset
SELECT array_agg('c' || n) AS some FROM generate_series(10, 40) AS n \gset
SELECT * FROM answer(:'some');
-- the same again: an UPDATE of none, for whoever may not change contacts to hear so
SELECT * FROM answer(:'some');
SELECT * FROM answer(:'some', '');
-- more than before, and what cannot be
SELECT * FROM answer(array_cat(:'all', ARRAY['c10', 'c41', NULL, '']));
SELECT * FROM answer(:'all');
-- the last one came back
SELECT contact_unblock('c59') ->> 'status' AS status;
SELECT * FROM answer(:'all');
-- another reason for those that have none
SELECT contact_block('c10', 'spam') ->> 'blockedReason' AS reason;
SELECT * FROM answer(:'some', 'spam');
SELECT * FROM answer(:'some', 'spam');
SELECT DISTINCT blocked_reason FROM contacts WHERE id = ANY (:'some');
-- a trigger of the user's keeps one as it is
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RETURN NULL;
END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON contacts FOR EACH ROW WHEN (OLD.id = 'c59') EXECUTE FUNCTION refuse();
SET contact_block.plain_unblock = allow;
DROP TRIGGER tell ON contacts;
ALTER TABLE contacts DISABLE TRIGGER refuse;
UPDATE contacts SET status = 'Active' WHERE id IN ('c58', 'c59');
ALTER TABLE contacts ENABLE TRIGGER refuse;
SELECT * FROM answer(:'all');
SELECT id, status FROM contacts WHERE id IN ('c58', 'c59') ORDER BY id;

SET client_min_messages = warning;
DROP SCHEMA regress_bulk_retry CASCADE;
