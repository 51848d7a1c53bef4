-- Row security applies to every relation as the caller: out of sight is not
-- found, in sight but not updatable is forbidden.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_rls_acme, regress_rls_zeta, regress_rls_reader, regress_rls_owner;
CREATE ROLE regress_rls_acme;
CREATE ROLE regress_rls_zeta;
CREATE ROLE regress_rls_reader;
CREATE ROLE regress_rls_owner;
CREATE SCHEMA regress_row_security;
SET search_path = regress_row_security;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
GRANT ALL ON SCHEMA regress_row_security TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA regress_row_security TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_row_security TO PUBLIC;

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

-- run a command as a role
CREATE FUNCTION try_as(role name, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM set_config('role', role, true);
	result := try(command);
	PERFORM set_config('role', 'none', true);
	RETURN result;
END $$;

-- two tenants; each sees its own contacts and those of nobody, which it may
-- read and not change; the reader sees everything and changes nothing
SET contact_block.actor = 'ann';
INSERT INTO accounts VALUES ('acme', 'Client', 'Active', 'Acme', NULL), ('zeta', 'Client', 'Active', 'Zeta', NULL);
INSERT INTO users (id, email, status, name, first_name, last_name, current_account_id) VALUES
	('ann', 'ann@example.org', 'Active', 'Ann', 'Ann', 'A', 'acme'), ('zoe', 'zoe@example.org', 'Active', 'Zoe', 'Zoe', 'Z', 'zeta');
INSERT INTO account_users VALUES ('ann', 'acme'), ('ann', 'zeta'), ('zoe', 'zeta');
INSERT INTO categories VALUES ('acme1', NULL, 'One', NULL), ('zeta1', NULL, 'Two', NULL);
INSERT INTO contacts (id, email, status, user_id, name) VALUES
	('acme', 'x@example.org', 'Active', 'ann', 'acme'), ('zeta', 'x@example.org', 'Active', 'zoe', 'zeta'),
	('active', 'x@example.org', 'Active', 'zoe', 'nobody'), ('blocked', 'x@example.org', 'Blocked', NULL, 'nobody');
INSERT INTO contact_opt_outs SELECT contacts.id, categories.id FROM contacts, categories WHERE contacts.id = 'acme';

CREATE FUNCTION tenant() RETURNS text STABLE LANGUAGE sql AS $$SELECT replace(current_user, 'regress_rls_', '')$$;
ALTER TABLE contacts ENABLE ROW LEVEL SECURITY;
CREATE POLICY see ON contacts FOR SELECT TO regress_rls_acme, regress_rls_zeta USING (name IN (tenant(), 'nobody'));
CREATE POLICY change ON contacts FOR UPDATE TO regress_rls_acme, regress_rls_zeta USING (name = tenant());
CREATE POLICY reader ON contacts FOR SELECT TO regress_rls_reader USING (true);

SELECT call AS function, id, role, try_as('regress_rls_' || role, format('SELECT %s(%L)', call, id)) AS result
	FROM unnest('{contact_document,contact_block}'::text[]) WITH ORDINALITY AS c (call, n),
		unnest('{acme,zeta,reader}'::text[]) WITH ORDINALITY AS r (role, m),
		unnest('{acme,zeta,active,blocked}'::text[]) WITH ORDINALITY AS i (id, l)
	ORDER BY n, m, l;
SELECT try_as('regress_rls_zeta', $$SELECT contact_unblock('zeta')$$) AS own,
	try_as('regress_rls_zeta', $$SELECT contact_unblock('acme')$$) AS "another's";
SELECT try_as('regress_rls_acme', $$SELECT contact_unblock('blocked')$$) AS contact_unblock,
	try_as('regress_rls_acme', $$SELECT contact_delete('blocked')$$) AS contact_delete;
SELECT try_as('regress_rls_acme', $$SELECT contact_block('blocked', 'spam')$$) AS with_reason;
-- so the tenants' own were changed, and the others are as they were
SELECT id, status, blocked_reason, updated_at IS NOT NULL AS changed FROM contacts ORDER BY id;

-- a policy's WITH CHECK: to delete is not for tenants
CREATE POLICY no_delete ON contacts AS RESTRICTIVE FOR UPDATE USING (true) WITH CHECK (status <> 'Deleted');
SELECT try_as('regress_rls_acme', $$SELECT contact_delete('acme')$$);
SELECT try_as('regress_rls_acme', $$SELECT contact_unblock('acme')$$);
SELECT try_as('regress_rls_acme', $$SELECT contact_block('acme')$$);
SELECT status, deleted_at FROM contacts WHERE id = 'acme';

-- what belongs to a contact: out of sight is left out, and is not "omitted"
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE categories ENABLE ROW LEVEL SECURITY;
CREATE POLICY see ON users FOR SELECT USING (current_account_id = tenant() OR tenant() = 'reader' AND id = 'ann');
CREATE POLICY see ON accounts FOR SELECT USING (id = tenant());
CREATE POLICY see ON categories FOR SELECT USING (starts_with(id, tenant()));
SET ROLE regress_rls_acme;
SELECT jsonb_pretty(contact_document('acme') #- '{audit,created,at}' #- '{audit,updated}' #- '{audit,activated}' #- '{audit,blocked,at}');
SELECT contact_document('active') - 'audit' AS document;
-- the same session as another role, both ways
SET ROLE regress_rls_reader;
SELECT contact_document('acme') - 'audit' AS document;
SET ROLE regress_rls_zeta;
SELECT contact_document('zeta') #- '{audit,created,at}' #- '{audit,updated}' #- '{audit,blocked}' #- '{audit,activated}' AS document;
SELECT try($$SELECT contact_document('acme')$$);
SET ROLE regress_rls_acme;
SELECT contact_document('acme') -> 'user' ->> 'name' AS name;
SELECT try($$SELECT contact_document('zeta')$$);
RESET ROLE;

-- the link tables
ALTER TABLE account_users ENABLE ROW LEVEL SECURITY;
ALTER TABLE contact_opt_outs ENABLE ROW LEVEL SECURITY;
SET ROLE regress_rls_acme;
SELECT contact_document('acme') -> 'optOuts' AS "optOuts", contact_document('acme') #> '{user,accounts}' AS accounts,
	contact_document('acme') #>> '{user,currentAccount,id}' AS "currentAccount";
RESET ROLE;

-- policies come and go in a warm session
DROP POLICY see ON contacts;
SELECT try_as('regress_rls_acme', $$SELECT contact_document('acme')$$);
CREATE POLICY see ON contacts FOR SELECT USING (true);
SELECT try_as('regress_rls_acme', $$SELECT contact_document('zeta')$$);
SELECT try_as('regress_rls_acme', $$SELECT contact_block('zeta')$$);
ALTER TABLE contacts DISABLE ROW LEVEL SECURITY;
SELECT try_as('regress_rls_acme', $$SELECT contact_block('zeta')$$);
SELECT status, blocked_by FROM contacts WHERE id = 'zeta';

-- the owner is not bound, unless it is forced
ALTER TABLE contacts OWNER TO regress_rls_owner;
ALTER TABLE contacts ENABLE ROW LEVEL SECURITY;
DROP POLICY see ON contacts;
SELECT try_as('regress_rls_owner', $$SELECT contact_unblock('zeta')$$);
ALTER TABLE contacts FORCE ROW LEVEL SECURITY;
SELECT try_as('regress_rls_owner', $$SELECT contact_unblock('zeta')$$);
-- with row_security off PostgreSQL refuses to filter
SET row_security = off;
SELECT try_as('regress_rls_acme', $$SELECT contact_document('acme')$$);
RESET row_security;

-- behind a view the policies of its owner apply, or those of the caller
ALTER TABLE users RENAME TO people;
CREATE VIEW users AS SELECT * FROM people;
GRANT SELECT ON users TO PUBLIC;
CREATE POLICY see ON contacts FOR SELECT USING (true);
SET ROLE regress_rls_acme;
SELECT contact_document('zeta') #> '{user,name}' AS name;
RESET ROLE;
ALTER VIEW users SET (security_invoker = on);
SET ROLE regress_rls_acme;
SELECT contact_document('zeta') #> '{user,name}' AS name;
SELECT contact_document('acme') #> '{user,name}' AS name;
RESET ROLE;

DROP SCHEMA regress_row_security CASCADE;
DROP ROLE regress_rls_acme, regress_rls_zeta, regress_rls_reader, regress_rls_owner;
