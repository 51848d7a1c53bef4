-- Errors: the SQLSTATE and texts of each; messages are constant, an id is only
-- in the detail; and nothing is changed by any of it.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_errors_role;
CREATE SCHEMA regress_errors;
SET search_path = regress_errors;
CREATE EXTENSION contact_block;

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
CREATE TABLE calls AS SELECT * FROM unnest(ARRAY['contact_block(%s)', 'contact_block(%s, ''why'')',
	'contact_unblock(%s)', 'contact_delete(%s)', 'contact_document(%s)']) WITH ORDINALITY AS calls (call, number);
CREATE FUNCTION try_all(id text) RETURNS TABLE (call text, result text) LANGUAGE sql AS $$
	SELECT call, try('SELECT ' || format(call, quote_nullable(id))) FROM calls ORDER BY number
$$;

-- before set-up
SELECT * FROM try_all('a');
SELECT contact_block_setup();
SET contact_block.actor = 'tester';

INSERT INTO contacts (id, email, status) VALUES
	('n', 'n@example.org', 'New'), ('a', 'a@example.org', 'Active'),
	('b', 'b@example.org', 'Blocked'), ('d', 'd@example.org', 'Deleted');
CREATE TABLE before AS SELECT ctid AS at, contacts AS contact FROM contacts;
CREATE VIEW changed AS
	SELECT (contact).id FROM (SELECT ctid, contacts AS contact FROM contacts EXCEPT SELECT * FROM before) AS new;

-- the id is null or empty
SELECT * FROM try_all(NULL);
SELECT * FROM try_all('');
SELECT try('SELECT contact_block(NULL, NULL)');
-- not there
SELECT * FROM try_all('nobody');
-- not in this status
SELECT id, try_all.* FROM contacts, try_all(id) WHERE id IN ('n', 'd') ORDER BY id, call COLLATE "C";
SELECT try('UPDATE contacts SET status = ''Active'' WHERE id = ''d''');

-- ids of every kind are unknown ids: the message stays the same, and the id
-- is in the detail as it is
CREATE FUNCTION try_id(id text, OUT message text, OUT detail_has_id boolean, OUT hint text) LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	PERFORM contact_block(id);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	message := SQLSTATE || ' ' || SQLERRM;
	detail_has_id := detail = format('There is no contact "%s".', id);
END $$;
SELECT kind, octet_length(id), result.* FROM (VALUES
	('quotes', 'a'' OR ''a'' = ''a'), ('double quotes', '"a"'), ('backslash', 'a\'), ('escape', '\x61'),
	('newline', E'a\r\nSet-Cookie: a=b\r\n'), ('tab', E'\t'), ('space', ' '), ('around it', ' a '),
	('percent', '%s%n%d %1$s %m'), ('per cent encoded', '%61'), ('SQL', 'a''; DROP TABLE contacts; --'),
	('dollar', '$1'), ('emoji', '☎😀'), ('case', 'A'), ('parent', '../a'), ('json', '{"id": "a"}'), ('null', 'null'),
	('long', repeat('x', 1024 * 1024)), ('long, of a known start', rpad('a', 1024 * 1024))
) AS ids (kind, id), try_id(id) AS result;
-- an id that is there is found by exactly its bytes, and goes into the detail only
INSERT INTO contacts (id, email, status) VALUES (E'%s ''"\\\r\n😀', 'odd@example.org', 'New');
SELECT contact_document(E'%s ''"\\\r\n😀') ->> 'id' = E'%s ''"\\\r\n😀' AS found;
\set VERBOSITY terse
SELECT contact_block(E'%s ''"\\\r\n😀');
\set VERBOSITY default
DELETE FROM contacts WHERE email = 'odd@example.org';

-- other types than text have no function
SELECT command, left(try(command), 5) AS sqlstate FROM unnest(ARRAY[
	'SELECT contact_block()',
	'SELECT contact_block(1)',
	'SELECT contact_block(''{}''::jsonb)',
	'SELECT contact_block(''a''::bytea)',
	'SELECT contact_block(''a'', 1)',
	'SELECT contact_block(''a'', ''why'', ''else'')',
	'SELECT contact_block(contact_id => ''a'')'
]) AS command;
-- gateways call by name
SELECT contact_block(reason => '', id => 'b') ->> 'status' AS status;

-- no privilege: PostgreSQL's own errors
GRANT USAGE ON SCHEMA regress_errors TO regress_errors_role;
GRANT SELECT ON calls TO regress_errors_role;
SET ROLE regress_errors_role;
SELECT * FROM try_all('a');
RESET ROLE;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_errors TO regress_errors_role;
SET ROLE regress_errors_role;
SELECT * FROM try_all('a');
RESET ROLE;
-- in sight, but not to be changed
GRANT SELECT, UPDATE ON contacts TO regress_errors_role;
GRANT SELECT ON ALL TABLES IN SCHEMA regress_errors TO regress_errors_role;
ALTER TABLE contacts ENABLE ROW LEVEL SECURITY;
CREATE POLICY see ON contacts FOR SELECT USING (id <> 'd');
SET ROLE regress_errors_role;
SELECT * FROM try_all('a');
-- but what has nothing to change has nothing to forbid
SELECT * FROM try_all('b');
-- and what is out of sight is not there
SELECT * FROM try_all('d');
RESET ROLE;
ALTER TABLE contacts DISABLE ROW LEVEL SECURITY;

-- claims that are no object, when there is something to stamp
SELECT set_config('contact_block.actor', '', false), set_config('request.jwt.claims', '["a"]', false);
SELECT * FROM try_all('a');
RESET request.jwt.claims;
SET contact_block.actor = 'tester';

-- without the trigger nothing would be stamped: no change, and each cause is named
ALTER TABLE contacts DISABLE TRIGGER USER;
SELECT * FROM try_all('a');
ALTER TABLE contacts ENABLE TRIGGER USER;
SELECT tgname AS trigger FROM pg_trigger WHERE tgrelid = 'contacts'::regclass AND NOT tgisinternal \gset
DROP TRIGGER :trigger ON contacts;
SELECT * FROM try_all('a');
SELECT contact_block_setup();

-- a relation is missing
DROP TABLE contact_opt_outs;
SELECT * FROM try_all('a');
SELECT contact_block_setup();

-- nothing has changed all the time, and the contact can still be blocked
SELECT * FROM changed;
SELECT contact_block('a') ->> 'status' AS status;
SELECT * FROM changed;

DROP SCHEMA regress_errors CASCADE;
DROP ROLE regress_errors_role;
