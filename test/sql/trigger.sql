-- The audit trigger: every way in is stamped, nothing can be forged, and the
-- wrong events are refused.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_trigger;
SET search_path = regress_trigger;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
-- plain_unblock.sql is about the others
SET contact_block.plain_unblock = allow;

-- run a command: "ok", or the SQLSTATE and the texts of its error
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE command;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, nullif(detail, ''), nullif(hint, ''));
END $$;

-- who did what; the numbers tell the order of the times in this row
CREATE VIEW stamps AS SELECT id, status, blocked_reason, (
	SELECT string_agg(concat_ws(' ', number, event, who), ', ' ORDER BY number, position)
	FROM (SELECT *, dense_rank() OVER (ORDER BY at) AS number
		  FROM (VALUES (1, 'created', created_at, created_by),
					   (2, 'updated', updated_at, updated_by),
					   (3, 'activated', activated_at, activated_by),
					   (4, 'blocked', blocked_at, blocked_by),
					   (5, 'deleted', deleted_at, deleted_by))
			   AS event (position, event, at, who)
		  WHERE at IS NOT NULL OR who IS NOT NULL) AS stamp) AS stamps
	FROM contacts;

-- INSERT in each status, and with the default one
SET contact_block.actor = 'ann';
INSERT INTO contacts (id, email, status, blocked_reason) VALUES
	('n', 'n@example.org', 'New', NULL),
	('a', 'a@example.org', 'Active', NULL),
	('b', 'b@example.org', 'Blocked', 'spam'),
	('d', 'd@example.org', 'Deleted', NULL);
INSERT INTO contacts (id, email) VALUES ('default', 'x@example.org');
SELECT id, status, blocked_reason, stamps FROM stamps ORDER BY id;
SELECT split_part(try($$INSERT INTO contacts (id, email, status) VALUES ('x', 'x', 'Paused')$$), E'\n', 1);
SELECT split_part(try($$INSERT INTO contacts (id, email, status) VALUES ('x', 'x', NULL)$$), E'\n', 1);

-- the time is the clock's, not the transaction's
BEGIN;
SELECT now() AS began, pg_sleep(0.002) \gset
INSERT INTO contacts (id, email) VALUES ('clock', 'clock@example.org');
SELECT created_at > date_trunc('milliseconds', :'began'::timestamptz) AND created_at <= clock_timestamp() AS created
	FROM contacts WHERE id = 'clock';
UPDATE contacts SET status = 'Blocked' WHERE id = 'clock';
SELECT updated_at > created_at AND updated_at <= clock_timestamp() + interval '1 ms' AS updated
	FROM contacts WHERE id = 'clock';
ROLLBACK;

-- forged values stay outside
SET contact_block.actor = 'bob';
INSERT INTO contacts VALUES
	('forged', 'forged@example.org', NULL, 'New', NULL, NULL, '1999-01-01', 'x', '1999-01-02', 'x',
	 '1999-01-03', 'x', '1999-01-04', 'x', NULL, 'x'),
	('forged too', 'forged@example.org', NULL, 'Deleted', NULL, NULL, '1999-01-01', 'x', '1999-01-02', 'x',
	 '1999-01-03', 'x', '1999-01-04', 'x', '1999-01-05', 'x');
SELECT stamps, least(created_at, deleted_at) > '2020-01-01' AS now
	FROM contacts JOIN stamps USING (id, status) WHERE id LIKE 'forged%' ORDER BY id;
DELETE FROM contacts WHERE id = 'forged too';
UPDATE contacts SET status = 'Active', created_at = '1999-01-01', created_by = 'x',
	updated_at = '1999-01-01', updated_by = 'x', activated_at = '1999-01-01', activated_by = 'x',
	blocked_at = '1999-01-01', blocked_by = 'x', deleted_at = '1999-01-01', deleted_by = 'x'
	WHERE id = 'forged';
SELECT stamps, created_at > '2020-01-01' AS now FROM contacts JOIN stamps USING (id, status) WHERE id = 'forged';

-- an UPDATE of nothing else than audit columns, or of nothing, stamps nothing
SET contact_block.actor = 'cid';
SELECT c::text AS before FROM contacts c WHERE id = 'b' \gset
UPDATE contacts SET created_at = NULL, created_by = NULL, updated_at = now(), updated_by = 'x',
	blocked_at = NULL, blocked_by = NULL, deleted_by = 'x' WHERE id = 'b';
UPDATE contacts SET status = status, email = email, name = NULL, blocked_reason = 'spam' WHERE id = 'b';
SELECT c::text = :'before' AS same FROM contacts c WHERE id = 'b';

-- many rows at once, each with its own transition
UPDATE contacts SET status = CASE status WHEN 'Active' THEN 'Blocked' ELSE 'Active' END, name = 'Many'
	WHERE status <> 'Deleted';
SELECT id, status, blocked_reason, stamps FROM stamps ORDER BY id;

-- one wrong transition among many rows changes none
SELECT try($$UPDATE contacts SET status = 'Blocked', name = 'None' WHERE id IN ('b', 'd')$$);
SELECT count(*) FROM contacts WHERE name = 'None';

-- becoming Active clears the reason, whatever the statement says about it
UPDATE contacts SET status = 'Blocked', blocked_reason = 'spam' WHERE id = 'b';
UPDATE contacts SET status = 'Active', blocked_reason = 'ham' WHERE id = 'b';
SELECT status, blocked_reason FROM contacts WHERE id = 'b';

-- COPY
SET contact_block.actor = 'dot';
COPY contacts (id, email, status, created_by, blocked_at) FROM stdin;
copy1	copy1@example.org	Blocked	x	1999-01-01
copy2	copy2@example.org	New	x	\N
\.
SELECT id, status, stamps, created_at > '2020-01-01' AS now FROM contacts JOIN stamps USING (id, status) WHERE id LIKE 'copy%' ORDER BY id;

-- MERGE
SET contact_block.actor = 'eve';
MERGE INTO contacts c
	USING (VALUES ('copy2', 'Active'), ('merge', 'Blocked')) AS s (id, status) ON c.id = s.id
	WHEN MATCHED THEN UPDATE SET status = s.status, created_by = 'x'
	WHEN NOT MATCHED THEN INSERT (id, email, status, created_by) VALUES (s.id, s.id, s.status, 'x');
SELECT id, status, stamps FROM stamps WHERE id IN ('copy2', 'merge') ORDER BY id;
SELECT try($$MERGE INTO contacts c USING (VALUES ('d')) AS s (id) ON c.id = s.id
	WHEN MATCHED THEN UPDATE SET status = 'Active'$$);

-- INSERT ... ON CONFLICT
SET contact_block.actor = 'fay';
INSERT INTO contacts (id, email, status, created_by)
	VALUES ('merge', 'merge@example.org', 'Active', 'x'), ('upsert', 'upsert@example.org', 'Active', 'x')
	ON CONFLICT (id) DO UPDATE SET status = excluded.status, created_by = excluded.created_by,
		created_at = excluded.created_at, activated_by = 'x', updated_by = 'x';
INSERT INTO contacts (id, email, status) VALUES ('upsert', 'no', 'Deleted') ON CONFLICT DO NOTHING;
SELECT id, status, stamps FROM stamps WHERE id IN ('merge', 'upsert') ORDER BY id;
SELECT try($$INSERT INTO contacts (id, email) VALUES ('d', 'd')
	ON CONFLICT (id) DO UPDATE SET status = excluded.status$$);

-- columns added and dropped, a generated one, before and after
ALTER TABLE contacts ADD COLUMN first_extra int DEFAULT 1, ADD COLUMN second_extra text,
	ADD COLUMN lower_email text GENERATED ALWAYS AS (lower(email)) STORED;
ALTER TABLE contacts DROP COLUMN name, DROP COLUMN first_extra;
ALTER TABLE contacts ADD COLUMN name text, ADD COLUMN third_extra int;
SET contact_block.actor = 'gil';
SELECT stamps FROM stamps WHERE id = 'upsert';
UPDATE contacts SET email = email WHERE id = 'upsert';
SELECT stamps FROM stamps WHERE id = 'upsert';
UPDATE contacts SET third_extra = 3 WHERE id = 'upsert';
SELECT third_extra, stamps FROM contacts JOIN stamps USING (id, status) WHERE id = 'upsert';
UPDATE contacts SET email = 'Upsert@example.org', status = 'Blocked' WHERE id = 'upsert';
SELECT email, lower_email, stamps FROM contacts JOIN stamps USING (id, status) WHERE id = 'upsert';

-- a value in the TOAST table: the same, the same in another form, another
ALTER TABLE contacts ALTER COLUMN name SET STORAGE EXTERNAL;
SET contact_block.actor = 'hal';
INSERT INTO contacts (id, email, name) VALUES ('toast', 'toast', repeat('x', 10000));
SELECT pg_relation_size(reltoastrelid) > 0 AS toasted FROM pg_class WHERE oid = 'contacts'::regclass;
UPDATE contacts SET name = name, email = email WHERE id = 'toast';
UPDATE contacts SET name = repeat('x', 10000) WHERE id = 'toast';
SELECT stamps FROM stamps WHERE id = 'toast';
UPDATE contacts SET email = 'bread' WHERE id = 'toast';
SELECT stamps, length(name) FROM contacts JOIN stamps USING (id, status) WHERE id = 'toast';
SET contact_block.actor = 'ida';
UPDATE contacts SET name = repeat('x', 9999) || 'y' WHERE id = 'toast';
SELECT stamps, right(name, 2) FROM contacts JOIN stamps USING (id, status) WHERE id = 'toast';
UPDATE contacts SET name = NULL WHERE id = 'toast';
SELECT stamps, name FROM contacts JOIN stamps USING (id, status) WHERE id = 'toast';

-- another BEFORE trigger that changes the row is seen: it fires first
CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.third_extra = 0 THEN
		RETURN NULL;
	END IF;
	IF NEW.third_extra = 7 THEN
		NEW.status := 'Blocked';
	END IF;
	NEW.created_by := 'x';
	RETURN NEW;
END $$;
CREATE TRIGGER yyy_other BEFORE INSERT OR UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION other();
SET contact_block.actor = 'jon';
INSERT INTO contacts (id, email, third_extra) VALUES ('other1', 'other1', 7), ('other2', 'other2', 1);
UPDATE contacts SET third_extra = 7 WHERE id = 'other2';
SELECT id, status, stamps FROM stamps WHERE id LIKE 'other%' ORDER BY id;
SELECT try($$UPDATE contacts SET third_extra = 7 WHERE id = 'd'$$);
-- and it makes the generated column null, which is no change
SELECT stamps FROM stamps WHERE id = 'upsert';
UPDATE contacts SET email = email WHERE id = 'upsert';
SELECT stamps FROM stamps WHERE id = 'upsert';
-- one that keeps the row as it is keeps contact_block from changing it
ALTER TABLE contacts DISABLE TRIGGER USER;
INSERT INTO contacts (id, email, third_extra, created_at) VALUES ('other3', 'other3', 0, '2001-01-01');
ALTER TABLE contacts ENABLE TRIGGER USER;
SELECT try($$SELECT contact_block('other3')$$);
SELECT status, stamps FROM stamps WHERE id = 'other3';
DROP TRIGGER yyy_other ON contacts;

-- history is loaded on purpose with the triggers off
SET session_replication_role = replica;
INSERT INTO contacts (id, email, status, created_at, created_by, blocked_at, blocked_by)
	VALUES ('history', 'h', 'Blocked', '2001-01-01 UTC', 'old', '2002-02-02 UTC', 'older');
RESET session_replication_role;
SELECT stamps, created_at = '2001-01-01 UTC' AND blocked_at = '2002-02-02 UTC' AS kept
	FROM contacts JOIN stamps USING (id, status) WHERE id = 'history';

-- used in a wrong way
SELECT try('SELECT contact_audit()');
CREATE TABLE wrong (id text, status text);
CREATE TRIGGER wrong AFTER INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION contact_audit();
SELECT try('INSERT INTO wrong VALUES (1)');
DROP TRIGGER wrong ON wrong;
CREATE TRIGGER wrong BEFORE INSERT OR UPDATE ON wrong FOR EACH STATEMENT EXECUTE FUNCTION contact_audit();
SELECT try('INSERT INTO wrong VALUES (1)');
DROP TRIGGER wrong ON wrong;
INSERT INTO wrong VALUES (1);
CREATE TRIGGER wrong BEFORE DELETE ON wrong FOR EACH ROW EXECUTE FUNCTION contact_audit();
SELECT try('DELETE FROM wrong');
DROP TRIGGER wrong ON wrong;
CREATE TRIGGER wrong BEFORE TRUNCATE ON wrong FOR EACH STATEMENT EXECUTE FUNCTION contact_audit();
SELECT try('TRUNCATE wrong');
DROP TRIGGER wrong ON wrong;
CREATE VIEW wrong_view AS SELECT * FROM wrong;
CREATE TRIGGER wrong INSTEAD OF UPDATE ON wrong_view FOR EACH ROW EXECUTE FUNCTION contact_audit();
SELECT try('UPDATE wrong_view SET id = 2');
-- on a table that lacks its columns
CREATE TRIGGER wrong BEFORE INSERT OR UPDATE ON wrong FOR EACH ROW EXECUTE FUNCTION contact_audit();
SELECT try('UPDATE wrong SET id = 2');
SELECT * FROM wrong;

DROP SCHEMA regress_trigger CASCADE;
