-- What a caller may read decides what is shown, and what a caller needs.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_privileges_least, regress_privileges_member, regress_privileges_member2,
	regress_privileges_noinherit, regress_privileges_reader;
CREATE ROLE regress_privileges_least;
CREATE ROLE regress_privileges_reader;
CREATE ROLE regress_privileges_member IN ROLE regress_privileges_reader;
CREATE ROLE regress_privileges_member2 IN ROLE regress_privileges_member;
CREATE ROLE regress_privileges_noinherit NOINHERIT IN ROLE regress_privileges_reader;
CREATE SCHEMA regress_privileges;
SET search_path = regress_privileges;
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

-- the functions
SELECT proname, pg_get_function_identity_arguments(p.oid) AS arguments, proisstrict, provolatile, proparallel
	FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
	JOIN pg_extension e ON e.oid = d.refobjid
	WHERE extname = 'contact_block' ORDER BY proname COLLATE "C", 2;

-- a contact with everything, and another to be blocked
SET contact_block.actor = 'u1';
INSERT INTO accounts VALUES ('a1', 'Client', 'Active', 'Acme', 'acme.svg'), ('a2', 'Vendor', 'Enabled', 'Zeta', NULL);
INSERT INTO users VALUES ('u1', 'u1@example.org', 'Active', 'Ann Lee', 'Ann', 'Lee', 'ann.png', '+1', '555', 'en-US', 'en',
	'2025-06-21 17:13:52.888Z', 'a1', '2025-01-01Z', 'u1', '2025-02-02Z', 'bob', '2025-03-03Z');
INSERT INTO account_users VALUES ('u1', 'a1'), ('u1', 'a2');
INSERT INTO categories VALUES ('c1', 'One', 'First', 'c1.svg'), ('c2', NULL, 'Second', NULL);
INSERT INTO contacts (id, email, name, status, blocked_reason, user_id) VALUES
	('a', 'a@example.org', 'A', 'Blocked', 'spam', 'u1'), ('b', 'b@example.org', 'B', 'Active', NULL, 'u1');
INSERT INTO contact_opt_outs VALUES ('a', 'c1', '2025-06-21Z'), ('a', 'c2', NULL);
CREATE TABLE whole AS SELECT contact_document('a') AS document;
SELECT document #> '{$meta,omitted}' AS contact, document #> '{user,$meta,omitted}' AS "user" FROM whole;

-- the least rights, step by step
GRANT USAGE ON SCHEMA regress_privileges TO regress_privileges_least;
SET ROLE regress_privileges_least;
SELECT try($$SELECT contact_block('b')$$);
SELECT try($$SELECT contact_document('b')$$);
SELECT try($$SELECT contact_block_setup()$$);
RESET ROLE;
GRANT EXECUTE ON FUNCTION contact_block(text), contact_block(text, text), contact_unblock(text),
	contact_delete(text), contact_document(text) TO regress_privileges_least, regress_privileges_reader;
SET ROLE regress_privileges_least;
SELECT try($$SELECT contact_block('b')$$);
SELECT try($$SELECT contact_document('b')$$);
RESET ROLE;
GRANT SELECT (id) ON contacts TO regress_privileges_least;
SET ROLE regress_privileges_least;
SELECT try($$SELECT contact_document('b')$$);
RESET ROLE;
GRANT SELECT (status) ON contacts TO regress_privileges_least;
SET ROLE regress_privileges_least;
SELECT contact_document('b');
SELECT try($$SELECT contact_block('b')$$);
RESET ROLE;
GRANT UPDATE (status) ON contacts TO regress_privileges_least;
SET ROLE regress_privileges_least;
SELECT try($$SELECT contact_block('b', 'spam')$$);
RESET ROLE;
SELECT status, updated_at IS NULL AS untouched FROM contacts WHERE id = 'b';
GRANT UPDATE (blocked_reason) ON contacts TO regress_privileges_least;
-- that is all: nothing of the audit, and yet it is stamped
SET contact_block.actor = 'least';
SET ROLE regress_privileges_least;
SELECT contact_block('b', 'spam');
SELECT contact_unblock('b');
SELECT contact_block('b');
SELECT contact_block('b', 'more spam');
SELECT contact_delete('b');
SELECT try($$SELECT contact_block('b')$$);
SELECT try($$SELECT contact_block('nobody')$$);
SELECT try($$UPDATE contacts SET blocked_by = 'me'$$);
RESET ROLE;
SELECT status, blocked_reason, created_by, updated_by, activated_by, blocked_by, deleted_by FROM contacts WHERE id = 'b';
-- a reason that may not be read may be the same: it is set, and shown to nobody
SET ROLE regress_privileges_least;
SELECT contact_block('a', 'ham');
RESET ROLE;
SELECT blocked_reason, updated_by, blocked_by FROM contacts WHERE id = 'a';
UPDATE whole SET document = contact_document('a');
INSERT INTO contacts (id, email, user_id) VALUES ('c', 'c@example.org', 'u1');

-- each column in turn is taken from somebody who has all of them, by column
-- and in one session, through an inherited role: what is gone is named, and
-- nothing else is gone, what was gone before is back; block still works
GRANT USAGE ON SCHEMA regress_privileges TO regress_privileges_reader;
GRANT UPDATE (status, blocked_reason) ON contacts TO regress_privileges_reader;
CREATE TABLE columns AS SELECT attrelid::regclass::text AS relation, attrelid::int AS position, attnum, attname FROM pg_attribute
	WHERE attnum > 0 AND attrelid = ANY
		('{accounts,users,account_users,categories,contacts,contact_opt_outs}'::regclass[]);
SELECT format('GRANT SELECT (%s) ON %I TO regress_privileges_reader',
			  string_agg(quote_ident(attname), ', ' ORDER BY attnum), relation)
	FROM columns GROUP BY relation, position ORDER BY position
\gexec
CREATE FUNCTION walk(skip text) RETURNS TABLE (relation text, "position" int, attnum smallint, attname name, document jsonb, block text)
	LANGUAGE plpgsql AS $$
BEGIN
	FOR relation, "position", attnum, attname IN SELECT c.* FROM columns c WHERE c.relation <> skip ORDER BY c.position, c.attnum
	LOOP
		EXECUTE format('REVOKE SELECT (%I) ON %I FROM regress_privileges_reader', attname, relation);
		SET LOCAL ROLE regress_privileges_member;
		BEGIN
			document := contact_document('a');
			block := contact_block('c', relation || '.' || attname) ->> 'status';
		EXCEPTION WHEN OTHERS THEN
			document := NULL;
			block := SQLSTATE;
		END;
		RESET ROLE;
		EXECUTE format('GRANT SELECT (%I) ON %I TO regress_privileges_reader', attname, relation);
		RETURN NEXT;
	END LOOP;
END $$;
CREATE TABLE results AS SELECT * FROM walk('');
-- what differs from the whole document: -gone, +new, ~another value
SET jit = off;
WITH RECURSIVE nodes AS (
	SELECT relation, attnum, '{}'::text[] AS path, document AS value FROM results
	UNION ALL SELECT NULL, NULL, '{}', document FROM whole
	UNION ALL SELECT relation, attnum, path || key, e.value FROM nodes,
		jsonb_each(CASE jsonb_typeof(nodes.value) WHEN 'object' THEN nodes.value END) AS e WHERE key <> '$meta'
), differences AS MATERIALIZED (
	SELECT r.relation, r.attnum, path, CASE WHEN r.document #> path IS NULL THEN '-' ELSE '~' END AS kind
		FROM results r, nodes n WHERE n.relation IS NULL AND r.document #> path[:cardinality(path) - 1] IS NOT NULL
			AND (r.document #> path IS NULL OR r.document #> path <> value AND jsonb_typeof(value) <> 'object')
	UNION ALL SELECT relation, attnum, path, '+' FROM nodes, whole WHERE relation IS NOT NULL AND document #> path IS NULL
)
SELECT relation, attname,
	(SELECT string_agg(x, ' ') FROM jsonb_array_elements_text(document #> '{$meta,omitted}') AS x) AS contact,
	(SELECT string_agg(x, ' ') FROM jsonb_array_elements_text(document #> '{user,$meta,omitted}') AS x) AS "user",
	(SELECT string_agg(kind || array_to_string(path, '.'), ' ' ORDER BY path COLLATE "C", kind) FROM differences d
		WHERE d.relation = r.relation AND d.attnum = r.attnum) AS differences
	FROM results r ORDER BY position, attnum;
SELECT block, count(*) FROM results GROUP BY 1 ORDER BY 1;
SELECT blocked_reason FROM contacts WHERE id = 'c';
-- the two without which nothing works are missed by every function
SELECT c::text AS before FROM contacts c WHERE id = 'c' \gset
REVOKE SELECT (id) ON contacts FROM regress_privileges_reader;
SET ROLE regress_privileges_member;
SELECT call, try(format('SELECT %s', call)) FROM unnest(ARRAY['contact_document($$c$$)', 'contact_block($$c$$)',
	'contact_block($$c$$, $$spam$$)', 'contact_unblock($$c$$)', 'contact_delete($$c$$)']) AS call;
RESET ROLE;
GRANT SELECT (id) ON contacts TO regress_privileges_reader;
REVOKE SELECT (status) ON contacts FROM regress_privileges_reader;
SET ROLE regress_privileges_member;
SELECT call, try(format('SELECT %s', call)) FROM unnest(ARRAY['contact_document($$c$$)', 'contact_block($$c$$)',
	'contact_block($$c$$, $$spam$$)', 'contact_unblock($$c$$)', 'contact_delete($$c$$)']) AS call;
RESET ROLE;
GRANT SELECT (status) ON contacts TO regress_privileges_reader;
SELECT c::text = :'before' AS untouched FROM contacts c WHERE id = 'c';

-- a right comes through memberships, as far as each of them inherits; or from
-- a role that was set, and goes with it
GRANT SELECT ON whole TO PUBLIC;
GRANT EXECUTE ON FUNCTION contact_document(text) TO regress_privileges_noinherit, regress_privileges_member2;
GRANT USAGE ON SCHEMA regress_privileges TO regress_privileges_noinherit, regress_privileges_member2;
SET SESSION AUTHORIZATION regress_privileges_member2;
SELECT contact_document('a') = document AS same FROM whole;
SET SESSION AUTHORIZATION regress_privileges_noinherit;
SELECT try($$SELECT contact_document('a')$$);
RESET SESSION AUTHORIZATION;
GRANT SELECT (id, status, email) ON contacts TO regress_privileges_noinherit;
SET SESSION AUTHORIZATION regress_privileges_noinherit;
SELECT contact_document('a');
SET ROLE regress_privileges_reader;
SELECT contact_document('a') = document AS same FROM whole;
SELECT contact_block('c', 'set role') ->> 'blockedReason' AS reason;
RESET ROLE;
SELECT contact_document('a') = document AS same FROM whole;
RESET SESSION AUTHORIZATION;
-- a membership comes and goes
REVOKE regress_privileges_reader FROM regress_privileges_member;
SET SESSION AUTHORIZATION regress_privileges_member2;
SELECT try($$SELECT contact_document('a')$$);
RESET SESSION AUTHORIZATION;
GRANT regress_privileges_reader TO regress_privileges_member;
GRANT pg_read_all_data TO regress_privileges_least;
SET SESSION AUTHORIZATION regress_privileges_member2;
SELECT contact_document('a') = document AS same FROM whole;
-- the right to everything, and one that everybody has
SET SESSION AUTHORIZATION regress_privileges_least;
SELECT contact_document('a') = document AS same FROM whole;
RESET SESSION AUTHORIZATION;
REVOKE pg_read_all_data FROM regress_privileges_least;
GRANT SELECT (email), UPDATE (email) ON contacts TO PUBLIC;
SET SESSION AUTHORIZATION regress_privileges_least;
SELECT contact_document('a');
RESET SESSION AUTHORIZATION;
REVOKE SELECT (email), UPDATE (email) ON contacts FROM PUBLIC;
-- the owner is asked like everybody else
ALTER TABLE contacts OWNER TO regress_privileges_least;
REVOKE SELECT ON contacts FROM regress_privileges_least;
GRANT SELECT (id, status, name) ON contacts TO regress_privileges_least;
SET SESSION AUTHORIZATION regress_privileges_least;
SELECT contact_document('a');
RESET SESSION AUTHORIZATION;
ALTER TABLE contacts OWNER TO CURRENT_USER;
-- inside a SECURITY DEFINER function the rights are those of its owner, and
-- the actor is not
CREATE FUNCTION definer(id text, reason text) RETURNS jsonb LANGUAGE sql SECURITY DEFINER
	SET search_path = regress_privileges, pg_temp AS 'SELECT contact_block(id, reason)';
ALTER FUNCTION definer OWNER TO regress_privileges_reader;
GRANT EXECUTE ON FUNCTION definer TO PUBLIC;
RESET contact_block.actor;
SET SESSION AUTHORIZATION regress_privileges_noinherit;
SELECT definer('c', 'definer') #> '{$meta,omitted}' AS omitted, contact_document('c') #> '{$meta,omitted}' AS outside;
RESET SESSION AUTHORIZATION;
SELECT blocked_reason, updated_by FROM contacts WHERE id = 'c';
SET contact_block.actor = 'u1';

-- who may change a status and not read it is not told it by the error
GRANT UPDATE (status) ON contacts TO regress_privileges_noinherit;
SET SESSION AUTHORIZATION regress_privileges_noinherit;
SELECT try($$UPDATE contacts SET status = 'New'$$);
RESET SESSION AUTHORIZATION;
REVOKE SELECT (status) ON contacts FROM regress_privileges_noinherit;
SET SESSION AUTHORIZATION regress_privileges_noinherit;
SELECT try($$UPDATE contacts SET status = 'New'$$);
RESET SESSION AUTHORIZATION;
REVOKE UPDATE (status) ON contacts FROM regress_privileges_noinherit;

-- many at once, sorted
REVOKE SELECT (user_id, name, blocked_by, email, blocked_reason) ON contacts FROM regress_privileges_reader;
REVOKE SELECT (id, name) ON categories FROM regress_privileges_reader;
SET ROLE regress_privileges_member;
SELECT contact_document('a');
RESET ROLE;
GRANT SELECT (user_id, name, blocked_by, email, blocked_reason) ON contacts TO regress_privileges_reader;
GRANT SELECT (id, name) ON categories TO regress_privileges_reader;
REVOKE SELECT (email, status, phone_number, language_code, last_name, last_login_at, first_name, icon) ON users
	FROM regress_privileges_reader;
REVOKE SELECT (user_id) ON account_users FROM regress_privileges_reader;
SET ROLE regress_privileges_member;
SELECT jsonb_pretty(contact_document('a') -> 'user');
RESET ROLE;

-- without any right to users an actor is an id
REVOKE SELECT (id, email, status, name, first_name, last_name, icon, phone_prefix, phone_number, culture_code, language_code,
	last_login_at, current_account_id, created_at, created_by, updated_at, updated_by, invitation_accepted_at)
	ON users FROM regress_privileges_reader;
SET ROLE regress_privileges_member;
SELECT contact_document('a') #> '{audit,created,by}' AS by, contact_document('a') ? 'user' AS "user",
	contact_document('a') ->> 'userId' AS "userId";
RESET ROLE;

-- a right to the whole table is one to its columns
GRANT SELECT ON users, account_users, whole TO regress_privileges_reader;
SET ROLE regress_privileges_member;
SELECT contact_document('a') = document AS same FROM whole;
RESET ROLE;

-- and one to a view in a table's place is as good as one to the table: the
-- same walk once more
SELECT format('ALTER TABLE %1$I RENAME TO my_%1$s; CREATE VIEW %1$I AS SELECT * FROM my_%1$s', relation)
	FROM columns WHERE relation <> 'contacts' GROUP BY relation, position ORDER BY position
\gexec
SET ROLE regress_privileges_member;
SELECT contact_document('a') ? 'user' AS "user", contact_document('a') #> '{$meta,omitted}' AS omitted;
RESET ROLE;
GRANT SELECT ON users, accounts, account_users, categories, contact_opt_outs TO regress_privileges_reader;
SET ROLE regress_privileges_member;
SELECT contact_document('a') = document AS same FROM whole;
RESET ROLE;
REVOKE SELECT ON users, accounts, account_users, categories, contact_opt_outs FROM regress_privileges_reader;
SELECT format('GRANT SELECT (%s) ON %I TO regress_privileges_reader',
			  string_agg(quote_ident(attname), ', ' ORDER BY attnum), relation)
	FROM columns WHERE relation <> 'contacts' GROUP BY relation, position ORDER BY position
\gexec
SELECT count(*) AS columns, count(*) FILTER (WHERE (w.document, w.block) IS DISTINCT FROM (r.document, r.block)) AS different
	FROM walk('contacts') w LEFT JOIN results r USING (relation, attnum);
-- behind a view are its owner's rights, or the caller's: without them it is an
-- error, for what the view is made of is nobody's property
REVOKE ALL ON my_users FROM regress_privileges_reader;
SET ROLE regress_privileges_member;
SELECT contact_document('a') = document AS same FROM whole;
RESET ROLE;
SELECT c::text AS before FROM contacts c WHERE id = 'c' \gset
ALTER VIEW users SET (security_invoker = on);
SET ROLE regress_privileges_member;
SELECT try($$SELECT contact_document('a')$$);
SELECT try($$SELECT contact_block('c', 'invoker')$$);
RESET ROLE;
ALTER VIEW users RESET (security_invoker);
ALTER VIEW users OWNER TO regress_privileges_least;
SELECT try($$SELECT contact_block('c', 'owner')$$);
SELECT c::text = :'before' AS untouched FROM contacts c WHERE id = 'c';

DROP SCHEMA regress_privileges CASCADE;
DROP ROLE regress_privileges_least, regress_privileges_reader, regress_privileges_member, regress_privileges_member2,
	regress_privileges_noinherit;
