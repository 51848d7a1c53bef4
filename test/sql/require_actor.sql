-- contact_block.require_actor: who writes has to say who acts, by the setting or
-- the claims; the role and the login do not count.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_require_actor_login;
CREATE ROLE regress_require_actor_role;
GRANT regress_require_actor_role TO regress_require_actor_login;
CREATE SCHEMA regress_require_actor;
SET search_path = regress_require_actor;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
GRANT USAGE ON SCHEMA regress_require_actor TO PUBLIC;
GRANT INSERT, SELECT, UPDATE ON contacts TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_require_actor TO PUBLIC;

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
-- who made a contact just now, with these claims
CREATE FUNCTION actor(claims text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	actor text;
BEGIN
	PERFORM set_config('request.jwt.claims', claims, true);
	INSERT INTO contacts (id, email) VALUES (gen_random_uuid(), 'x') RETURNING created_by INTO actor;
	RETURN actor;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- off by default: the login is recorded
SHOW contact_block.require_actor;
SELECT actor() = session_user AS login;
INSERT INTO contacts (id, email, status) VALUES ('a', 'a@example.org', 'Active'), ('b', 'b@example.org', 'Blocked');

SET contact_block.require_actor = on;
SET SESSION AUTHORIZATION regress_require_actor_login;
SELECT actor();
SELECT actor('{}'), actor('{"sub": null}'), actor('{"sub": ""}'), actor('{"sub": "by claim"}');
SELECT actor('[]');
SET ROLE regress_require_actor_role;
SELECT actor();
RESET ROLE;
SET contact_block.actor = '';
SELECT actor();
SET contact_block.actor = 'by setting';
SELECT actor(), actor('[]');
RESET contact_block.actor;

-- whatever writes: the functions, plain SQL, an upsert, COPY; and it leaves
-- everything as it was
CREATE TEMPORARY TABLE before AS SELECT * FROM contacts;
SELECT command, try(command) FROM unnest(ARRAY[
	'SELECT contact_block(''a'', ''why'')',
	'SELECT contact_block(''b'', ''why'')',
	'SELECT contact_unblock(''b'')',
	'SELECT contact_delete(''a'')',
	'UPDATE contacts SET name = ''other''',
	'INSERT INTO contacts (id, email) VALUES (''a'', ''x'') ON CONFLICT (id) DO UPDATE SET name = ''other'''
]) AS command;
COPY contacts (id, email) FROM stdin;
c	c@example.org
\.
SELECT count(*) FROM (TABLE contacts EXCEPT TABLE before) AS changed;
-- reading does not need one, nor what changes nothing and stamps nobody
SELECT command, try(command) FROM unnest(ARRAY[
	'SELECT contact_document(''a'')',
	'SELECT contact_unblock(''a'')',
	'SELECT contact_block(''b'')',
	'UPDATE contacts SET name = name'
]) AS command;
-- an unknown contact is still unknown
SELECT try('SELECT contact_block(''c'')');

-- the hint names the claim
RESET SESSION AUTHORIZATION;
SET contact_block.actor_claim = 'email';
SELECT try('SELECT contact_block(''a'')');
RESET contact_block.actor_claim;

-- where the setting and the claims are not believed, the login is meant
SET contact_block.trust_actor = off;
SET SESSION AUTHORIZATION regress_require_actor_login;
SELECT actor(), actor('{"sub": "by claim"}');
RESET SESSION AUTHORIZATION;
RESET contact_block.trust_actor;

-- an ordinary role can neither switch it off nor on
SET SESSION AUTHORIZATION regress_require_actor_login;
SELECT command, try(command) FROM unnest(ARRAY[
	'SET contact_block.require_actor = off',
	'SET LOCAL contact_block.require_actor = off',
	'RESET contact_block.require_actor',
	'SELECT set_config(''contact_block.require_actor'', ''off'', true)',
	'ALTER ROLE regress_require_actor_login SET contact_block.require_actor = off'
]) AS command;
SELECT actor();
RESET SESSION AUTHORIZATION;
RESET contact_block.require_actor;
SET SESSION AUTHORIZATION regress_require_actor_login;
SELECT try('SET contact_block.require_actor = on');
SELECT actor();
RESET SESSION AUTHORIZATION;

-- nor before the library is loaded
\c -
\set SHOW_CONTEXT never
SET search_path = regress_require_actor;
SET SESSION AUTHORIZATION regress_require_actor_login;
SET contact_block.require_actor = on;
SELECT actor();
RESET SESSION AUTHORIZATION;
-- as a superuser can
\c -
\set SHOW_CONTEXT never
SET search_path = regress_require_actor;
SET contact_block.require_actor = on;
SELECT actor();

SET client_min_messages = warning;
DROP SCHEMA regress_require_actor CASCADE;
DROP ROLE regress_require_actor_login;
DROP ROLE regress_require_actor_role;
