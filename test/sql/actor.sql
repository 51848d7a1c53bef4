-- Who acts: the setting, the claim, the role, the login, in this order; and
-- what of it is believed.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_actor_login;
CREATE ROLE regress_actor_role;
GRANT regress_actor_role TO regress_actor_login;
CREATE SCHEMA regress_actor;
SET search_path = regress_actor;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
GRANT USAGE ON SCHEMA regress_actor TO PUBLIC;
GRANT INSERT, SELECT ON contacts TO PUBLIC;

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

-- who made a contact just now
CREATE FUNCTION actor() RETURNS text LANGUAGE sql AS $$
	INSERT INTO contacts (id, email) VALUES (gen_random_uuid(), 'x') RETURNING created_by
$$;
-- the same, or the error, with these claims
CREATE FUNCTION actor(claims text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('request.jwt.claims', claims, true);
	RETURN actor();
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- everything there, then one after the other taken away; a setting that is
-- empty counts as none
SET SESSION AUTHORIZATION regress_actor_login;
SET ROLE regress_actor_role;
SET request.jwt.claims = '{"sub": "by claim"}';
SET contact_block.actor = 'by setting';
SELECT actor();
SET contact_block.actor = '';
SELECT actor();
SET request.jwt.claims = '';
SELECT actor();
RESET ROLE;
SELECT actor();
-- the same after RESET, which is not the same as empty
RESET contact_block.actor;
RESET request.jwt.claims;
SELECT actor();
-- the name is kept as it is
SET contact_block.actor = ' Ann "☎" ';
SELECT actor() = current_setting('contact_block.actor') AS same;
RESET contact_block.actor;
RESET SESSION AUTHORIZATION;
SELECT actor() = session_user AS login;

-- a transaction's setting, and a savepoint's
SET SESSION AUTHORIZATION regress_actor_login;
BEGIN;
SET LOCAL contact_block.actor = 'transaction';
SAVEPOINT s;
SET LOCAL contact_block.actor = 'savepoint';
SELECT actor();
ROLLBACK TO s;
SELECT actor();
SAVEPOINT s;
SET LOCAL ROLE regress_actor_role;
SET LOCAL contact_block.actor = '';
SELECT actor();
ROLLBACK TO s;
SELECT actor();
SET LOCAL request.jwt.claims = '{"sub": "claim of a transaction"}';
SET LOCAL contact_block.actor = '';
SELECT actor();
COMMIT;
-- PostgreSQL has left an empty one behind
SELECT current_setting('request.jwt.claims') = '' AS empty, actor();

-- claims of every kind, as the login: those that name somebody or nobody
INSERT INTO contacts (id, email)
	SELECT 'claims ' || number, set_config('request.jwt.claims', claims, true) FROM unnest(ARRAY[
		'{"sub": "ann"}',
		' {"role": "r", "sub" : "ann", "exp": 1} ',
		'{"sub": "\u0061nn \"\\ "}',
		-- as in jsonb the last one counts
		'{"sub": "first", "sub": "last"}',
		'{"sub": {"a": 1}, "sub": "last"}',
		'{"sub": "first", "sub": null}',
		'{"sub": 42}',
		'{"sub": 12345678901234567890.0}',
		-- no such claim, or nothing in it
		'{}',
		'{"sub": null}',
		'{"sub": ""}',
		'{"Sub": "ann"}',
		'{"nested": {"sub": "ann"}, "list": ["sub", {"sub": "ann"}]}'
	]) WITH ORDINALITY AS claims (claims, number)
	RETURNING email AS claims, created_by AS actor;
-- and those that are an error: a claim that is no name, and no object at all
SELECT claims, actor(claims) FROM unnest(ARRAY[
	'{"sub": true}',
	'{"sub": ["ann"]}',
	'{"sub": {"sub": "ann"}}',
	'{"sub": "ann\u0000"}',
	'[{"sub": "ann"}]',
	'"ann"',
	'42',
	'null',
	'ann',
	'{"sub": "ann"',
	'{"sub": "ann"} {}',
	' '
]) AS claims;
-- an error leaves the contact as it was
SELECT count(*) AS contacts FROM contacts \gset
SELECT actor('[]');
SELECT count(*) = :contacts AS same FROM contacts;
-- claims that do not matter are not looked at
BEGIN;
SET LOCAL request.jwt.claims = '[]';
SET LOCAL contact_block.actor = 'by setting';
SELECT actor();
COMMIT;

-- another claim
RESET SESSION AUTHORIZATION;
SET contact_block.actor_claim = 'email';
SELECT actor('{"sub": "ann", "email": "ann@example.org"}');
SELECT actor('{"email": []}');
-- the detail says which
SET request.jwt.claims = '{"email": []}';
SELECT try('SELECT actor()');
RESET request.jwt.claims;
RESET contact_block.actor_claim;

-- not trusted: the login is recorded, whatever is claimed
SET contact_block.trust_actor = off;
SET SESSION AUTHORIZATION regress_actor_login;
SET contact_block.actor = 'by setting';
SELECT actor();
SELECT actor('{"sub": "by claim"}');
SELECT actor('no claims at all');
SET ROLE regress_actor_role;
SELECT actor();
RESET ROLE;
RESET contact_block.actor;
RESET SESSION AUTHORIZATION;
RESET contact_block.trust_actor;

-- an ordinary role cannot change what is trusted
SET SESSION AUTHORIZATION regress_actor_login;
SELECT command, try(command) FROM unnest(ARRAY[
	'SET contact_block.trust_actor = on',
	'SET LOCAL contact_block.trust_actor = off',
	'SELECT set_config(''contact_block.trust_actor'', ''off'', false)',
	'SELECT set_config(''contact_block.actor_claim'', ''email'', true)',
	'ALTER ROLE regress_actor_login SET contact_block.trust_actor = off',
	'ALTER ROLE regress_actor_login SET contact_block.actor_claim = ''email''',
	'CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET contact_block.trust_actor = off AS ''SELECT actor()''',
	'SET contact_block.no_such_setting = 1'
]) AS command;
RESET SESSION AUTHORIZATION;

-- inside a SECURITY DEFINER function the actor is the one who called it
CREATE FUNCTION definer_actor() RETURNS text LANGUAGE sql SECURITY DEFINER
	SET search_path = regress_actor, pg_temp AS $$ SELECT actor() $$;
SET SESSION AUTHORIZATION regress_actor_login;
SELECT definer_actor();
SET ROLE regress_actor_role;
SELECT definer_actor();
SET request.jwt.claims = '{"sub": "by claim"}';
SELECT definer_actor();
SET contact_block.actor = 'by setting';
SELECT definer_actor();
RESET SESSION AUTHORIZATION;
SET contact_block.trust_actor = off;
SET SESSION AUTHORIZATION regress_actor_login;
SET ROLE regress_actor_role;
SELECT definer_actor();
RESET SESSION AUTHORIZATION;
RESET contact_block.trust_actor;
-- what a function sets for itself counts in it, and ends with it
ALTER FUNCTION definer_actor() SET contact_block.actor = 'by function';
SET SESSION AUTHORIZATION regress_actor_login;
SELECT definer_actor(), actor();
RESET contact_block.actor;
RESET request.jwt.claims;
SELECT definer_actor(), actor();
RESET SESSION AUTHORIZATION;

-- a setting of before the library was loaded is not believed from a role that
-- could not have set it afterwards
\c -
\set SHOW_CONTEXT never
SET search_path = regress_actor;
SET SESSION AUTHORIZATION regress_actor_login;
SET contact_block.trust_actor = off;
SET contact_block.actor_claim = 'email';
SET contact_block.actor = 'by setting';
SELECT actor();
RESET contact_block.actor;
SELECT actor('{"sub": "ann", "email": "ann@example.org"}');
RESET SESSION AUTHORIZATION;

SET client_min_messages = warning;
DROP SCHEMA regress_actor CASCADE;
DROP ROLE regress_actor_login;
DROP ROLE regress_actor_role;
