-- What belongs to a status: a reason to a block, deleted_at to a deletion; rows
-- from before the trigger, whose status and reason are none of ours; and
-- updated_at and updated_by that may not be null.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_reasons;
SET search_path = regress_reasons;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
SET contact_block.actor = 'ann';

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
CREATE VIEW stamps AS SELECT id, status, blocked_reason AS reason, (
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
CREATE TABLE statuses AS SELECT * FROM unnest('{New,Active,Blocked,Deleted}'::text[])
	WITH ORDINALITY AS statuses (status, number);

-- a row from before the trigger
CREATE FUNCTION load(id text, status text, reason text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL session_replication_role = replica;
	DELETE FROM contacts WHERE contacts.id = load.id;
	INSERT INTO contacts (id, email, status, blocked_reason, created_at) VALUES (id, id, status, reason, '2001-01-01 UTC');
	SET LOCAL session_replication_role = origin;
END $$;
-- what a command makes of the reason of a contact 'c' that is there, and whether it is stamped
CREATE FUNCTION run(command text, OUT outcome text, OUT status text, OUT reason text, OUT updated boolean) LANGUAGE plpgsql AS $$
DECLARE
	before timestamptz := updated_at FROM contacts WHERE id = 'c';
BEGIN
	outcome := split_part(try(command), E'\n', 1);
	SELECT contacts.status, quote_literal(blocked_reason), updated_at IS DISTINCT FROM before
		INTO status, reason, updated FROM contacts WHERE id = 'c';
END $$;
CREATE FUNCTION run_on(status text, reason text, command text, OUT outcome text, OUT after text, OUT reason_after text, OUT updated boolean)
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM load('c', status, reason);
	SELECT * INTO outcome, after, reason_after, updated FROM run(command);
END $$;

-- Reasons. INSERT: only a block or a deletion has one, and an empty one is none.
INSERT INTO contacts (id, email, status, blocked_reason)
	SELECT status || coalesce(reason, ' null'), 'x', status, reason FROM statuses, unnest('{NULL,"","why"," "}'::text[]) AS reason;
SELECT id, status, quote_nullable(blocked_reason) FROM contacts ORDER BY id COLLATE "C";
DELETE FROM contacts;

-- UPDATE of the reason alone
SELECT status AS before, command, result.*
	FROM statuses, unnest(ARRAY['NULL', '''''', '''why''']) WITH ORDINALITY AS reasons (reason, reason_number),
		format('UPDATE contacts SET blocked_reason = %s', reason) AS command,
		run_on(status, CASE WHEN status IN ('Blocked', 'Deleted') THEN 'old' END, command) AS result
	ORDER BY number, reason_number;

-- With a change of status, and with a reason that was there before the trigger:
-- none of an Active contact is the next blocker's.
SELECT status AS before, reason, command, result.* FROM (VALUES
		('Active', NULL, $$UPDATE contacts SET status = 'Blocked'$$),
		('Active', NULL, $$UPDATE contacts SET status = 'Blocked', blocked_reason = 'why'$$),
		('Active', NULL, $$UPDATE contacts SET status = 'Blocked', blocked_reason = ''$$),
		('Active', NULL, $$UPDATE contacts SET status = 'Deleted', blocked_reason = 'why'$$),
		('Active', 'old', $$UPDATE contacts SET status = 'Blocked'$$),
		('Active', 'old', $$UPDATE contacts SET status = 'Blocked', blocked_reason = 'why'$$),
		('Active', 'old', $$UPDATE contacts SET status = 'Deleted'$$),
		('Active', 'old', $$SELECT contact_block('c')$$),
		('Active', 'old', $$SELECT contact_block('c', '')$$),
		('Active', 'old', $$SELECT contact_block('c', 'why')$$),
		('Active', 'old', $$SELECT contact_block('c', 'old')$$),
		('Active', 'old', $$SELECT contact_delete('c')$$),
		('Active', 'old', $$SELECT contact_unblock('c')$$),
		('Active', 'old', $$UPDATE contacts SET name = NULL$$),
		('New', 'old', $$UPDATE contacts SET status = 'Active'$$),
		('Blocked', '', $$UPDATE contacts SET name = NULL$$),
		('Blocked', '', $$SELECT contact_block('c')$$),
		('Blocked', '', $$SELECT contact_block('c', 'why')$$),
		('Blocked', 'old', $$UPDATE contacts SET status = 'Deleted'$$),
		('Blocked', 'old', $$SELECT contact_delete('c')$$),
		('Blocked', 'old', $$SELECT contact_unblock('c')$$))
	AS cases (status, reason, command), run_on(status, reason, command) AS result;
-- a long one, which is stored elsewhere
ALTER TABLE contacts ALTER blocked_reason SET STORAGE EXTERNAL;
SELECT status AS before, command, outcome, after, length(reason_after) AS length FROM (VALUES
		('Active', $$SELECT contact_block('c')$$),
		('Active', $$UPDATE contacts SET status = 'Blocked'$$),
		('Blocked', $$UPDATE contacts SET name = 'C'$$))
	AS cases (status, command), run_on(status, repeat('x', 10000), command) AS result;

-- of other types
CREATE DOMAIN short_reason AS varchar(10) CHECK (VALUE <> 'because');
DROP VIEW stamps;
ALTER TABLE contacts ALTER blocked_reason TYPE short_reason USING NULL;
SELECT status AS before, reason, command, result.* FROM (VALUES
		('Active', 'old', $$SELECT contact_block('c')$$),
		('Active', 'old', $$SELECT contact_block('c', 'old')$$),
		('Active', NULL, $$UPDATE contacts SET status = 'Blocked', blocked_reason = ''$$),
		('Blocked', 'old', $$UPDATE contacts SET blocked_reason = ''$$),
		('Blocked', 'old', $$SELECT contact_block('c', '')$$),
		('Active', NULL, $$SELECT contact_block('c', 'because')$$))
	AS cases (status, reason, command), run_on(status, reason, command) AS result;
ALTER TABLE contacts ALTER blocked_reason TYPE text;

-- Statuses that are none: an old one may become any, and stay.
DELETE FROM contacts;
ALTER TABLE contacts DROP CONSTRAINT contacts_status_check, ALTER status DROP NOT NULL;
SELECT old AS before, command, result.* FROM statuses,
		unnest('{Paused,active,NULL}'::text[]) WITH ORDINALITY AS old (old, old_number),
		format('UPDATE contacts SET status = %L', status) AS command,
		run_on(old, 'old', command) AS result
	ORDER BY old_number, number;
SELECT old AS before, command, result.* FROM unnest('{Paused,NULL}'::text[]) WITH ORDINALITY AS old (old, old_number),
		unnest(ARRAY[$$UPDATE contacts SET name = 'C'$$, $$UPDATE contacts SET name = NULL$$, $$UPDATE contacts SET status = 'Stopped'$$,
			$$UPDATE contacts SET status = NULL$$, $$SELECT contact_block('c')$$, $$SELECT contact_delete('c')$$,
			$$SELECT contact_document('c')$$]) WITH ORDINALITY AS commands (command, number),
		run_on(old, NULL, command) AS result
	ORDER BY old_number, number;
SET contact_block.plain_unblock = keep;
SELECT * FROM run_on('Paused', NULL, $$UPDATE contacts SET status = 'Active'$$);
RESET contact_block.plain_unblock;
-- a new one is refused, whatever the path; so is null, where it could be
SELECT try($$INSERT INTO contacts (id, email, status) VALUES ('x', 'x', 'Paused')$$);
SELECT try($$INSERT INTO contacts (id, email, status) VALUES ('x', 'x', NULL)$$);
SELECT try($$MERGE INTO contacts USING (VALUES (1)) AS v ON false WHEN NOT MATCHED THEN INSERT (id, email, status) VALUES ('x', 'x', 'active')$$);
COPY contacts (id, email, status) FROM stdin;
x	x	Blocked 
\.
SELECT id FROM contacts WHERE id = 'x';

-- Soft delete and restore, that say nothing of the status, would be lost.
DELETE FROM contacts;
INSERT INTO contacts (id, email, status) VALUES ('a', 'a', 'Active'), ('b', 'b', 'Blocked'), ('d', 'd', 'Deleted');
SELECT try($$UPDATE contacts SET deleted_at = now() WHERE id = 'a'$$);
SELECT command, left(try(command), 5) AS sqlstate FROM unnest(ARRAY[
	$$UPDATE contacts SET deleted_at = now(), deleted_by = 'x', name = 'Gone' WHERE id = 'b'$$,
	$$UPDATE contacts SET deleted_at = NULL WHERE id = 'd'$$,
	$$UPDATE contacts SET deleted_at = NULL, deleted_by = NULL, name = 'Back' WHERE id = 'd'$$,
	$$INSERT INTO contacts (id, email, deleted_at) VALUES ('x', 'x', now())$$,
	$$INSERT INTO contacts (id, email, status, deleted_at) VALUES ('x', 'x', 'New', now())$$,
	$$INSERT INTO contacts (id, email, deleted_at) VALUES ('a', 'a', now()) ON CONFLICT (id) DO UPDATE SET deleted_at = excluded.deleted_at$$,
	$$INSERT INTO contacts (id, email) VALUES ('d', 'd') ON CONFLICT (id) DO UPDATE SET deleted_at = excluded.deleted_at$$,
	$$INSERT INTO contacts (id, email) VALUES ('a', 'a') ON CONFLICT (id) DO UPDATE SET deleted_at = now()$$,
	$$MERGE INTO contacts AS c USING (VALUES ('a')) AS v (id) ON c.id = v.id WHEN MATCHED THEN UPDATE SET deleted_at = now()$$]) AS command;
-- with the status they are what the status is, and the time is the trigger's
SELECT command, split_part(try(command), E'\n', 1) AS outcome, split_part(try(command), E'\n', 2) AS again FROM unnest(ARRAY[
	$$UPDATE contacts SET status = 'Deleted', deleted_at = '2001-01-01' WHERE id = 'a'$$,
	$$INSERT INTO contacts (id, email, status, deleted_at) VALUES ('x', 'x', 'Deleted', '2001-01-01') ON CONFLICT DO NOTHING$$,
	$$UPDATE contacts SET status = 'Active', deleted_at = NULL WHERE id = 'd'$$,
	-- a stale save of one that is deleted by now, and one that is up to date
	$$UPDATE contacts SET status = 'Active', name = 'Stale', deleted_at = NULL, deleted_by = NULL WHERE id = 'd'$$,
	$$UPDATE contacts SET status = 'Deleted', name = 'Fresh', deleted_at = '2001-01-01' WHERE id = 'd'$$,
	$$UPDATE contacts SET deleted_at = '2001-01-01' WHERE id = 'd'$$,
	$$UPDATE contacts SET deleted_by = NULL WHERE id = 'd'$$]) AS command;
SELECT id, status, name, deleted_at > '2020-01-01' AS now, deleted_by FROM contacts ORDER BY id;

-- updated_at and updated_by NOT NULL, as ORMs make them: stamped when the row comes.
DELETE FROM contacts;
ALTER TABLE contacts ALTER updated_at SET NOT NULL, ALTER updated_by SET NOT NULL;
INSERT INTO contacts (id, email) VALUES ('insert', 'x');
INSERT INTO contacts (id, email, updated_at, updated_by) VALUES ('forged', 'x', '2001-01-01', 'x');
COPY contacts (id, email, status) FROM stdin;
copy	x	Blocked
\.
MERGE INTO contacts AS c USING (VALUES ('merge')) AS v (id) ON c.id = v.id
	WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT (id, email) VALUES (v.id, 'x');
SET contact_block.actor = 'bob';
INSERT INTO contacts (id, email) VALUES ('upsert', 'x'), ('insert', 'y') ON CONFLICT (id) DO UPDATE
	SET email = excluded.email, updated_at = excluded.updated_at;
SELECT id, created_by, updated_by, updated_at = created_at AS at_once, created_at > '2020-01-01' AS now FROM contacts ORDER BY id;
SELECT contact_document('merge') -> 'audit' ? 'updated' AS updated;
-- one of the two is enough
ALTER TABLE contacts ALTER updated_at DROP NOT NULL;
INSERT INTO contacts (id, email) VALUES ('one', 'x');
ALTER TABLE contacts ALTER updated_at SET NOT NULL, ALTER updated_by DROP NOT NULL;
INSERT INTO contacts (id, email) VALUES ('other', 'x');
ALTER TABLE contacts ALTER updated_at DROP NOT NULL;
INSERT INTO contacts (id, email) VALUES ('none', 'x');
SELECT id, updated_at = created_at AS at_once, updated_by FROM contacts WHERE id IN ('one', 'other', 'none') ORDER BY id;

DROP SCHEMA regress_reasons CASCADE;
