-- Objects that somebody else has planted, in the schema of the extension, in one
-- that comes first in the search_path, and in pg_temp: nothing of theirs is
-- run, used or touched.  The extension belongs to a role that is no superuser.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_hostile, regress_hostile_owner, regress_hostile_clerk;
CREATE ROLE regress_hostile;
CREATE ROLE regress_hostile_owner;
CREATE ROLE regress_hostile_clerk;
CREATE SCHEMA regress_hostile_crm AUTHORIZATION regress_hostile_owner;
CREATE SCHEMA regress_hostile_first AUTHORIZATION regress_hostile;
GRANT ALL ON SCHEMA regress_hostile_crm, regress_hostile_first TO PUBLIC;
DO $$BEGIN
	EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO regress_hostile, regress_hostile_owner', current_database());
END$$;

-- whatever of this is run tells as whom
SET ROLE regress_hostile;
CREATE FUNCTION regress_hostile_first.spy(what text) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	RAISE WARNING 'hostile % was run as %', what, current_user;
	RETURN true;
END $$;
CREATE FUNCTION regress_hostile_first.spy() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	RAISE WARNING 'hostile trigger was run as %', current_user;
	RETURN NEW;
END $$;
-- names that the extension uses
DO $$
DECLARE
	s text;
BEGIN
	FOREACH s IN ARRAY '{regress_hostile_first,regress_hostile_crm}'::text[] LOOP
		PERFORM set_config('search_path', 'pg_catalog, ' || s, true);
		EXECUTE format($f$CREATE DOMAIN %I.text AS pg_catalog.text CHECK (regress_hostile_first.spy('type'))$f$, s);
		EXECUTE format($f$CREATE DOMAIN %I.timestamptz AS pg_catalog.timestamptz CHECK (regress_hostile_first.spy('type'))$f$, s);
		EXECUTE format('CREATE TYPE %I.jsonb AS (id pg_catalog.text)', s);
		EXECUTE format('CREATE COLLATION %I."C" FROM pg_catalog."POSIX"', s);
		EXECUTE format($f$CREATE FUNCTION %I.compare(pg_catalog.text, pg_catalog.text) RETURNS boolean LANGUAGE sql
			RETURN regress_hostile_first.spy('operator')$f$, s);
		EXECUTE format('CREATE OPERATOR %I.= (LEFTARG = pg_catalog.text, RIGHTARG = pg_catalog.text, FUNCTION = %1$I.compare)', s);
		EXECUTE format('CREATE OPERATOR %I.<> (LEFTARG = pg_catalog.text, RIGHTARG = pg_catalog.text, FUNCTION = %1$I.compare)', s);
		-- what a call could be taken for
		EXECUTE format($f$CREATE FUNCTION %I.contact_block(id pg_catalog.varchar) RETURNS boolean LANGUAGE sql
			RETURN regress_hostile_first.spy('overload')$f$, s);
		EXECUTE format($f$CREATE FUNCTION %I.contact_block(id pg_catalog.text, VARIADIC reasons pg_catalog.text[]) RETURNS boolean
			LANGUAGE sql RETURN regress_hostile_first.spy('overload')$f$, s);
		EXECUTE format($f$CREATE FUNCTION %I.contact_document(VARIADIC ids pg_catalog.text[]) RETURNS boolean
			LANGUAGE sql RETURN regress_hostile_first.spy('overload')$f$, s);
		EXECUTE format($f$CREATE FUNCTION %I.contact_audit(VARIADIC whys pg_catalog.text[]) RETURNS boolean
			LANGUAGE sql RETURN regress_hostile_first.spy('overload')$f$, s);
	END LOOP;
END $$;
CREATE FUNCTION regress_hostile_first.contact_audit() RETURNS trigger LANGUAGE plpgsql
	AS $$BEGIN PERFORM regress_hostile_first.spy('contact_audit'); RETURN NEW; END$$;
CREATE TYPE regress_hostile_first.thing AS (id pg_catalog.text);
CREATE FUNCTION regress_hostile_first.thing(pg_catalog.text) RETURNS regress_hostile_first.thing LANGUAGE plpgsql
	AS $$BEGIN PERFORM regress_hostile_first.spy('cast'); RETURN NULL; END$$;
CREATE CAST (pg_catalog.text AS regress_hostile_first.thing) WITH FUNCTION regress_hostile_first.thing(pg_catalog.text) AS IMPLICIT;
-- relations with the right columns, which invite everybody
CREATE TABLE regress_hostile_first.contacts (id text PRIMARY KEY, email text, name text, status text DEFAULT 'Active',
	blocked_reason text, user_id text, created_at timestamptz, created_by text, updated_at timestamptz, updated_by text,
	activated_at timestamptz, activated_by text, blocked_at timestamptz, blocked_by text, deleted_at timestamptz,
	deleted_by text, spied boolean DEFAULT regress_hostile_first.spy('default'));
CREATE TABLE regress_hostile_first.accounts (id text PRIMARY KEY, type text, status text, name text, icon text);
CREATE TABLE regress_hostile_first.users (id text PRIMARY KEY, email text, status text, name text, first_name text,
	last_name text, icon text, phone_prefix text, phone_number text, culture_code text, language_code text,
	last_login_at timestamptz, current_account_id text, created_at timestamptz, created_by text,
	updated_at timestamptz, updated_by text, invitation_accepted_at timestamptz);
CREATE TABLE regress_hostile_first.account_users (user_id text, account_id text);
CREATE TABLE regress_hostile_first.categories (id text PRIMARY KEY, name text, short_description text, icon text);
CREATE TABLE regress_hostile_first.contact_opt_outs (contact_id text, category_id text, last_used timestamptz);
CREATE TRIGGER spy BEFORE INSERT OR UPDATE ON regress_hostile_first.contacts
	FOR EACH ROW EXECUTE FUNCTION regress_hostile_first.spy();
CREATE RULE spy AS ON UPDATE TO regress_hostile_first.contacts DO ALSO SELECT regress_hostile_first.spy('rule');
ALTER TABLE regress_hostile_first.contacts ENABLE ROW LEVEL SECURITY;
CREATE POLICY spy ON regress_hostile_first.contacts USING (regress_hostile_first.spy('policy'));
INSERT INTO regress_hostile_first.contacts (id) VALUES ('1');
INSERT INTO regress_hostile_first.users (id, name) VALUES ('ann', 'Mallory');
GRANT ALL ON ALL TABLES IN SCHEMA regress_hostile_first TO PUBLIC;
-- left behind in a session that is used again
CREATE TEMP TABLE contacts (LIKE regress_hostile_first.contacts INCLUDING ALL);
CREATE TEMP TABLE accounts (LIKE regress_hostile_first.accounts INCLUDING ALL);
CREATE TEMP VIEW users AS SELECT * FROM regress_hostile_first.users WHERE regress_hostile_first.spy('view');
CREATE TEMP TABLE categories (LIKE regress_hostile_first.categories INCLUDING ALL);
GRANT ALL ON contacts, accounts, users, categories TO PUBLIC;
CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (regress_hostile_first.spy('type'));
CREATE DOMAIN pg_temp.timestamptz AS pg_catalog.timestamptz CHECK (regress_hostile_first.spy('type'));
CREATE TYPE pg_temp.jsonb AS (id pg_catalog.text);
-- this much is for superusers
CREATE EVENT TRIGGER spy ON ddl_command_start EXECUTE FUNCTION regress_hostile_first.spy();

-- it works on those who name things carelessly
RESET ROLE;
SET SESSION AUTHORIZATION regress_hostile_owner;
SET search_path = regress_hostile_first, regress_hostile_crm, pg_catalog;
SELECT 'a'::text = 'b' AS equal;
SELECT count(*) FROM users;
UPDATE regress_hostile_first.contacts SET id = '2';
CREATE TABLE regress_hostile_crm.careless (name pg_catalog.text COLLATE "C" CHECK (name IN ('a', 'b')));

-- but not on those who use the extension
CREATE EXTENSION contact_block SCHEMA regress_hostile_crm;
SELECT regress_hostile_crm.contact_block_setup();
SELECT regress_hostile_crm.contact_block_setup();
INSERT INTO regress_hostile_crm.accounts VALUES ('a1', 'Client', 'Active', 'Acme');
INSERT INTO regress_hostile_crm.users (id, email, status, name, first_name, last_name, current_account_id)
	VALUES ('ann', 'ann@example.org', 'Active', 'Ann', 'A', 'Nn', 'a1');
INSERT INTO regress_hostile_crm.account_users VALUES ('ann', 'a1');
INSERT INTO regress_hostile_crm.categories VALUES ('c1', 'One', 'First');
SET contact_block.actor = 'ann';
INSERT INTO regress_hostile_crm.contacts (id, email, user_id) VALUES ('1', '1@example.org', 'ann');
INSERT INTO regress_hostile_crm.contact_opt_outs VALUES ('1', 'c1');
GRANT SELECT ON ALL TABLES IN SCHEMA regress_hostile_crm TO regress_hostile_clerk;
GRANT UPDATE (status, blocked_reason) ON regress_hostile_crm.contacts TO regress_hostile_clerk;
GRANT EXECUTE ON FUNCTION regress_hostile_crm.contact_block(pg_catalog.text),
	regress_hostile_crm.contact_block(pg_catalog.text, pg_catalog.text), regress_hostile_crm.contact_unblock,
	regress_hostile_crm.contact_delete, regress_hostile_crm.contact_document(pg_catalog.text) TO regress_hostile_clerk;
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_hostile_clerk;
SET search_path = regress_hostile_first, regress_hostile_crm, pg_catalog;
SELECT pg_catalog.jsonb_pretty(regress_hostile_crm.contact_document('1') OPERATOR(pg_catalog.-) 'audit');
SELECT regress_hostile_crm.contact_document(id => '1') OPERATOR(pg_catalog.#>>) '{audit,created,by,name}' AS by;
SELECT regress_hostile_crm.contact_block('1') OPERATOR(pg_catalog.->>) 'status' AS status;
SELECT regress_hostile_crm.contact_block('1', 'spam') OPERATOR(pg_catalog.->>) 'blockedReason' AS reason;
SELECT regress_hostile_crm.contact_unblock('1') OPERATOR(pg_catalog.->>) 'status' AS status;
SELECT regress_hostile_crm.contact_block(id => '1', reason => 'spam') OPERATOR(pg_catalog.->>) 'status' AS status;
SELECT regress_hostile_crm.contact_delete('1') OPERATOR(pg_catalog.->>) 'status' AS status;
RESET SESSION AUTHORIZATION;
DISCARD TEMP;

-- what was made refers to nothing of theirs, but for what was made carelessly
SET search_path = '';
SELECT oid::regprocedure AS function, prorettype::regtype AS returns, proowner::regrole AS owner FROM pg_proc
	WHERE pronamespace = 'regress_hostile_crm'::regnamespace AND proowner <> 'regress_hostile'::regrole
	ORDER BY oid::regprocedure::text COLLATE "C";
WITH theirs AS (
	SELECT classid, objid FROM pg_shdepend WHERE deptype = 'o' AND refobjid = 'regress_hostile'::regrole
		AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
), relations AS (
	SELECT oid FROM pg_class WHERE relowner = 'regress_hostile_owner'::regrole
), ours AS (
	SELECT 'pg_class'::regclass AS classid, oid FROM relations
	UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE conrelid IN (SELECT oid FROM relations)
	UNION ALL SELECT 'pg_trigger'::regclass, oid FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM relations)
	UNION ALL SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid IN (SELECT oid FROM relations)
	UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE proowner = 'regress_hostile_owner'::regrole
	UNION ALL SELECT 'pg_extension'::regclass, oid FROM pg_extension WHERE extname = 'contact_block'
)
SELECT pg_describe_object(d.classid, d.objid, objsubid) AS ours, pg_describe_object(refclassid, refobjid, refobjsubid) AS theirs
	FROM pg_depend d JOIN ours ON d.classid = ours.classid AND d.objid = ours.oid
	JOIN theirs ON refclassid = theirs.classid AND refobjid = theirs.objid ORDER BY 1, 2;
SELECT c.oid::regclass AS relation, string_agg(tgname, ', ') AS triggers
	FROM pg_class c JOIN pg_trigger ON tgrelid = c.oid
	WHERE relowner = 'regress_hostile'::regrole GROUP BY 1 ORDER BY 1;

-- and they can do nothing to it
CREATE FUNCTION regress_hostile_first.try(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SET ROLE regress_hostile;
SELECT regress_hostile_first.try(command) FROM (VALUES
	('SELECT regress_hostile_crm.contact_block(''1''::pg_catalog.text)'),
	('SELECT regress_hostile_crm.contact_block_setup()'),
	('CREATE TRIGGER audit BEFORE INSERT ON regress_hostile_first.users FOR EACH ROW EXECUTE FUNCTION regress_hostile_crm.contact_audit()'),
	('CREATE OR REPLACE FUNCTION regress_hostile_crm.contact_audit() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NEW; END'''),
	('ALTER FUNCTION regress_hostile_crm.contact_block(pg_catalog.text) SECURITY DEFINER'),
	('CREATE TRIGGER spy BEFORE INSERT ON regress_hostile_crm.contacts FOR EACH ROW EXECUTE FUNCTION regress_hostile_first.spy()'),
	('ALTER EXTENSION contact_block ADD FUNCTION regress_hostile_first.contact_audit()'),
	('ALTER EXTENSION contact_block UPDATE'),
	('DROP EXTENSION contact_block CASCADE')) AS t(command);
RESET ROLE;

-- Relations under the names that set-up wants, with the right columns, which
-- everybody may use: it refuses, and touches neither them nor anything else.
DROP EXTENSION contact_block CASCADE;
DROP TABLE regress_hostile_crm.accounts, regress_hostile_crm.users, regress_hostile_crm.account_users,
	regress_hostile_crm.categories, regress_hostile_crm.contacts, regress_hostile_crm.contact_opt_outs, regress_hostile_crm.careless;
SET ROLE regress_hostile_owner;
CREATE EXTENSION contact_block SCHEMA regress_hostile_crm;
CREATE FUNCTION regress_hostile_crm.set_up() RETURNS text LANGUAGE plpgsql
	SET search_path = regress_hostile_first, regress_hostile_crm, pg_catalog AS $$
BEGIN
	PERFORM regress_hostile_crm.contact_block_setup();
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
RESET ROLE;
CREATE TABLE regress_hostile_first.results (planted pg_catalog.text, name name, result pg_catalog.text);
SET search_path = pg_catalog;
DO $$
DECLARE
	k record;
	name text;
	result text;
BEGIN
	FOR k IN SELECT * FROM (VALUES
		('table', 'CREATE TABLE %s (LIKE regress_hostile_first.%I INCLUDING ALL); GRANT ALL ON %1$s TO PUBLIC'),
		('view', 'CREATE VIEW %s AS SELECT * FROM regress_hostile_first.%I WHERE regress_hostile_first.spy(''view'');'
		 'GRANT ALL ON %1$s TO PUBLIC'),
		('materialized view', 'CREATE MATERIALIZED VIEW %s AS SELECT * FROM regress_hostile_first.%I WITH NO DATA;'
		 'GRANT ALL ON %1$s TO PUBLIC'),
		('sequence', 'CREATE SEQUENCE %s; GRANT ALL ON %1$s TO PUBLIC'),
		('composite type', 'CREATE TYPE %s AS (id text)'),
		('enum', 'CREATE TYPE %s AS ENUM ()')) AS k(kind, command)
	LOOP
		FOREACH name IN ARRAY '{accounts,users,account_users,categories,contacts,contact_opt_outs}'::text[] LOOP
			BEGIN
				SET LOCAL ROLE regress_hostile;
				EXECUTE format(k.command, 'regress_hostile_crm.' || name, name);
				SET LOCAL ROLE regress_hostile_owner;
				result := regress_hostile_crm.set_up();
				RAISE SQLSTATE 'UNDO0';
			EXCEPTION WHEN SQLSTATE 'UNDO0' THEN NULL;
			END;
			INSERT INTO regress_hostile_first.results VALUES (k.kind, name, result);
		END LOOP;
	END LOOP;
END $$;
SELECT planted, result, string_agg(name, ' ' ORDER BY name) AS names FROM regress_hostile_first.results GROUP BY 1, 2 ORDER BY 1, 2;

-- A routine that is there already: CREATE EXTENSION refuses.
DROP EXTENSION contact_block;
TRUNCATE regress_hostile_first.results;
DO $$
DECLARE
	planted text;
	result text;
BEGIN
	FOREACH planted IN ARRAY ARRAY[
		'FUNCTION regress_hostile_crm.contact_block(id text) RETURNS jsonb LANGUAGE sql RETURN NULL::jsonb',
		'FUNCTION regress_hostile_crm.contact_block(id text, reason text) RETURNS jsonb LANGUAGE sql RETURN NULL::jsonb',
		'FUNCTION regress_hostile_crm.contact_unblock(text) RETURNS int LANGUAGE sql RETURN 1',
		'AGGREGATE regress_hostile_crm.contact_delete(text) (SFUNC = textcat, STYPE = text)',
		'PROCEDURE regress_hostile_crm.contact_document(text) LANGUAGE sql BEGIN ATOMIC END',
		'FUNCTION regress_hostile_crm.contact_audit() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NEW; END''',
		'FUNCTION regress_hostile_crm.contact_block_setup() RETURNS void LANGUAGE sql BEGIN ATOMIC END'] LOOP
		BEGIN
			SET LOCAL ROLE regress_hostile;
			EXECUTE 'CREATE ' || planted;
			SET LOCAL ROLE regress_hostile_owner;
			result := regress_hostile_first.try('CREATE EXTENSION contact_block SCHEMA regress_hostile_crm');
			RAISE SQLSTATE 'UNDO0';
		EXCEPTION WHEN SQLSTATE 'UNDO0' THEN NULL;
		END;
		INSERT INTO regress_hostile_first.results VALUES (planted, NULL, result);
	END LOOP;
END $$;
SELECT substring(planted, '\w+') AS planted, result FROM regress_hostile_first.results;

DROP SCHEMA regress_hostile_crm, regress_hostile_first CASCADE;
DROP OWNED BY regress_hostile, regress_hostile_owner, regress_hostile_clerk;
DROP ROLE regress_hostile, regress_hostile_owner, regress_hostile_clerk;
