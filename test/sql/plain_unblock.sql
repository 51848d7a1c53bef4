-- contact_block.plain_unblock: a block is not lifted by accident, on any path,
-- while contact_unblock always lifts it; and what it does is known by the row.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_plain_unblock;
CREATE ROLE regress_plain_unblock;
CREATE SCHEMA regress_plain_unblock;
SET search_path = regress_plain_unblock;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();

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
CREATE VIEW stamps AS SELECT id, name, status, blocked_reason AS reason, (
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

SET contact_block.actor = 'ann';
CREATE PROCEDURE start() LANGUAGE sql AS $$
	DELETE FROM contacts;
	INSERT INTO contacts (id, email, status, blocked_reason) VALUES ('a', 'a', 'Active', NULL), ('b', 'b', 'Blocked', 'spam'),
		('d', 'd', 'Deleted', 'ham'), ('n', 'n', 'New', NULL);
$$;
CREATE TABLE imported (id text, email text, name text, status text);
COPY imported FROM stdin;
a	a@example.org	A	Active
b	b@example.org	B	Active
c	c@example.org	C	Blocked
d	d@example.org	D	Active
n	n@example.org	N	Active
\.

-- error, which is the default: on every path, and nothing is changed
SHOW contact_block.plain_unblock;
CALL start();
SELECT try(command) FROM unnest(ARRAY[
	$$UPDATE contacts SET status = 'Active' WHERE id = 'b'$$,
	$$UPDATE contacts SET status = 'New', name = 'B' WHERE id = 'b'$$,
	$$UPDATE contacts SET status = 'Active', blocked_reason = NULL, blocked_at = NULL, blocked_by = NULL$$,
	$$INSERT INTO contacts (id, email) VALUES ('b', 'b') ON CONFLICT (id) DO UPDATE SET status = excluded.status$$,
	$$MERGE INTO contacts USING imported AS i ON contacts.id = i.id WHEN MATCHED THEN UPDATE SET status = i.status$$,
	$$WITH updated AS (UPDATE contacts SET status = 'Active' WHERE id = 'b' RETURNING id) SELECT FROM updated$$]) AS command;
SELECT * FROM stamps ORDER BY id;
-- all else goes through
UPDATE contacts SET status = 'Blocked', name = 'B' WHERE id = 'b';
UPDATE contacts SET status = 'Active' WHERE id IN ('a', 'n');
SELECT contact_unblock('b') ->> 'status' AS status;
SELECT * FROM stamps ORDER BY id;

-- keep: the rest of the statement counts, and is stamped if it is a change
CALL start();
SELECT id, ctid AS at FROM contacts WHERE id = 'b' \gset b_
SET contact_block.actor = 'bob';
SET contact_block.plain_unblock = keep;
UPDATE contacts SET status = 'Active' WHERE id IN ('b', 'd') RETURNING id, status;
SELECT ctid = :'b_at' AS same_version FROM contacts WHERE id = 'b';
SELECT * FROM stamps ORDER BY id;
UPDATE contacts SET status = 'New', blocked_reason = NULL, blocked_by = NULL, deleted_at = NULL WHERE id IN ('b', 'd');
SELECT * FROM stamps WHERE id IN ('b', 'd') ORDER BY id;
UPDATE contacts SET status = 'Active', blocked_reason = 'other', name = 'B' WHERE id IN ('b', 'd');
SELECT * FROM stamps WHERE id IN ('b', 'd') ORDER BY id;
-- what lifts nothing is as ever
SELECT try(command) FROM unnest(ARRAY[
	$$UPDATE contacts SET status = 'Blocked' WHERE id = 'd'$$,
	$$UPDATE contacts SET status = 'New' WHERE id = 'a'$$,
	$$UPDATE contacts SET status = 'Paused' WHERE id = 'b'$$,
	$$UPDATE contacts SET deleted_at = NULL WHERE id = 'd'$$]) AS command;
UPDATE contacts SET blocked_reason = 'other', status = 'Blocked' WHERE id = 'b';
UPDATE contacts SET status = 'Active' WHERE id = 'n';
SELECT * FROM stamps WHERE id IN ('b', 'n') ORDER BY id;
UPDATE contacts SET status = 'Deleted' WHERE id = 'b';
SELECT contact_unblock('a') ->> 'status' AS a, try($$SELECT contact_unblock('d')$$) AS d;
SELECT * FROM stamps WHERE id = 'b';
-- an import, by upsert and by MERGE
CALL start();
SET contact_block.actor = 'importer';
INSERT INTO contacts (id, email, name, status) SELECT * FROM imported
	ON CONFLICT (id) DO UPDATE SET email = excluded.email, name = excluded.name, status = excluded.status;
SELECT * FROM stamps ORDER BY id;
CALL start();
MERGE INTO contacts USING imported AS i ON contacts.id = i.id
	WHEN MATCHED THEN UPDATE SET name = i.name, status = i.status
	WHEN NOT MATCHED THEN INSERT (id, email, status) VALUES (i.id, i.email, i.status);
SELECT * FROM stamps ORDER BY id;
-- COPY makes rows, and lifts nothing
COPY contacts (id, email, status, blocked_reason) FROM stdin;
e	e	Blocked	spam
f	f	Active	spam
\.
SELECT * FROM stamps WHERE id IN ('e', 'f') ORDER BY id;
-- a thousand with ten blocked ones among them
INSERT INTO contacts (id, email, status)
	SELECT 'bulk' || n, n, CASE WHEN n % 100 = 0 THEN 'Blocked' ELSE 'Active' END FROM generate_series(1, 1000) AS n;
SET contact_block.plain_unblock = error;
SELECT split_part(try($$INSERT INTO contacts (id, email, name) SELECT 'bulk' || n, n, 'Imported' FROM generate_series(1, 1000) AS n
	ON CONFLICT (id) DO UPDATE SET name = excluded.name, status = excluded.status$$), E'\n', 2);
SET contact_block.plain_unblock = keep;
INSERT INTO contacts (id, email, name) SELECT 'bulk' || n, n, 'Imported' FROM generate_series(1, 1000) AS n
	ON CONFLICT (id) DO UPDATE SET name = excluded.name, status = excluded.status;
SELECT status, name, count(*) FROM contacts WHERE id LIKE 'bulk%' GROUP BY status, name ORDER BY status COLLATE "C";

-- allow: what the diagram has
CALL start();
SET contact_block.actor = 'cid';
SET contact_block.plain_unblock = allow;
UPDATE contacts SET status = 'Active', blocked_reason = 'other' WHERE id = 'b';
SELECT * FROM stamps WHERE id = 'b';
CALL start();
INSERT INTO contacts (id, email) VALUES ('b', 'b') ON CONFLICT (id) DO UPDATE SET status = excluded.status;
SELECT * FROM stamps WHERE id = 'b';
SELECT try(command) FROM unnest(ARRAY[
	$$UPDATE contacts SET status = 'Active' WHERE id = 'd'$$,
	$$UPDATE contacts SET status = 'New' WHERE id = 'b'$$]) AS command;

-- contact_unblock does it whatever the setting is
CREATE FUNCTION with_setting(setting text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('contact_block.plain_unblock', setting, true), contact_block('a', 'spam');
	RETURN contact_unblock('a') ->> 'status';
END $$;
SELECT setting, with_setting(setting) FROM unnest('{error,keep,allow}'::text[]) AS setting;

-- For a transaction, a function, a role; everybody may. (ALTER ROLE counts in
-- the role's next session.)
RESET contact_block.plain_unblock;
CALL start();
BEGIN;
SET LOCAL contact_block.plain_unblock = allow;
UPDATE contacts SET status = 'Active' WHERE id = 'b';
COMMIT;
SHOW contact_block.plain_unblock;
CREATE FUNCTION import() RETURNS void LANGUAGE sql SET contact_block.plain_unblock = keep AS
	$$ UPDATE contacts SET status = 'Active', name = 'Imported' $$;
CALL start();
SELECT import();
SELECT id, name, status, blocked_reason FROM contacts ORDER BY id;
SHOW contact_block.plain_unblock;
SELECT try('SET contact_block.plain_unblock = perhaps');
GRANT USAGE ON SCHEMA regress_plain_unblock TO regress_plain_unblock;
GRANT SELECT, UPDATE ON contacts TO regress_plain_unblock;
GRANT EXECUTE ON FUNCTION contact_unblock(text) TO regress_plain_unblock;
SET ROLE regress_plain_unblock;
SELECT try($$UPDATE contacts SET status = 'Active' WHERE id = 'b'$$);
SET contact_block.plain_unblock = keep;
UPDATE contacts SET status = 'Active' WHERE id = 'b' RETURNING status;
SELECT contact_unblock('b') ->> 'status' AS status;
ALTER ROLE regress_plain_unblock SET contact_block.plain_unblock = keep;
RESET contact_block.plain_unblock;
RESET ROLE;
SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'regress_plain_unblock'::regrole;
\c -
SET search_path = regress_plain_unblock;
SET client_min_messages = warning;
SET contact_block.actor = 'dot';
-- before the library is loaded, too
SET contact_block.plain_unblock = keep;
CALL start();
UPDATE contacts SET status = 'Active' WHERE id = 'b' RETURNING status;
RESET contact_block.plain_unblock;

-- What triggers of the user's own do while contact_unblock, or another function,
-- is at it is plain SQL: with another contact, and with the same one.
CREATE TABLE log (id text, status text);
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	command text := current_setting('regress.command', true);
BEGIN
	-- once
	IF command <> '' AND pg_trigger_depth() = 1 THEN
		EXECUTE command;
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER a_before BEFORE UPDATE ON contacts FOR EACH ROW WHEN (current_setting('regress.moment', true) = 'before') EXECUTE FUNCTION meddle();
CREATE TRIGGER a_after AFTER UPDATE ON contacts FOR EACH ROW WHEN (current_setting('regress.moment', true) = 'after') EXECUTE FUNCTION meddle();
CREATE TRIGGER a_statement AFTER UPDATE ON contacts EXECUTE FUNCTION meddle();
CREATE FUNCTION during(call text, moment text, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	CALL start();
	INSERT INTO contacts (id, email, status) VALUES ('b2', 'b', 'Blocked'), ('b3', 'b', 'Blocked');
	PERFORM set_config('regress.moment', moment, true), set_config('regress.command', command, true);
	result := try('SELECT ' || call);
	PERFORM set_config('regress.moment', '', true), set_config('regress.command', '', true);
	RETURN concat_ws(' ', split_part(result, E'\n', 1), split_part(result, E'\n', 2),
		(SELECT string_agg(id || ' ' || status, ', ' ORDER BY id) FROM contacts WHERE id IN ('a', 'b', 'b2')));
END $$;
SELECT call, moment, command, during(call, moment, command)
	FROM unnest(ARRAY['contact_unblock(''b'')', 'contact_block(''b'', ''more'')', 'contact_block(''a'')'])
			WITH ORDINALITY AS calls (call, call_number),
		unnest('{before,after,statement}'::text[]) WITH ORDINALITY AS moments (moment, moment_number),
		unnest(ARRAY[$$UPDATE contacts SET status = 'Active' WHERE id = 'b2'$$, $$SELECT contact_unblock('b2')$$])
			WITH ORDINALITY AS commands (command, command_number)
	ORDER BY call_number, moment_number, command_number;
SELECT call, during(call, 'after', $$UPDATE contacts SET status = 'Active' WHERE id = 'a' OR id = 'b'$$)
	FROM unnest(ARRAY['contact_block(''a'')', 'contact_block(''b'', ''more'')', 'contact_delete(''b'')']) AS call;
-- a call within a call of the same contact, and after one that failed
SELECT during('contact_unblock(''b'')', 'after', $$SELECT contact_block('b'), contact_unblock('b')$$);
SELECT during('contact_unblock(''b'')', 'after',
	$$DO 'BEGIN PERFORM contact_unblock(''n''); EXCEPTION WHEN OTHERS THEN UPDATE contacts SET status = ''Active'' WHERE id = ''b2''; END'$$);
SELECT during('contact_unblock(''d'')', '', NULL) AS failed, try($$UPDATE contacts SET status = 'Active' WHERE id = 'b2'$$) AS after;
-- in one statement with a plain one
CALL start();
SELECT try($$UPDATE contacts SET status = 'Active' WHERE id = 'b' AND contact_block('a') IS NOT NULL$$);
SELECT try($$WITH other AS (UPDATE contacts SET status = 'Active' WHERE id = 'b' RETURNING id) SELECT contact_unblock(id) FROM other$$);
-- a trigger of another table calls it
CREATE FUNCTION appeal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.status := contact_unblock(NEW.id) ->> 'status';
	RETURN NEW;
END $$;
CREATE TRIGGER appeal BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION appeal();
INSERT INTO log VALUES ('b', NULL) RETURNING *;
-- a trigger of contacts that sets the status itself
CREATE FUNCTION reactivate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.status := 'Active';
	RETURN NEW;
END $$;
CALL start();
CREATE TRIGGER reactivate BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION reactivate();
SELECT try($$UPDATE contacts SET name = 'B' WHERE id = 'b'$$);
SELECT try($$SELECT contact_block('b', 'more')$$);
SELECT contact_unblock('b') ->> 'status' AS status;

DROP SCHEMA regress_plain_unblock CASCADE;
DROP ROLE regress_plain_unblock;
