-- Nobody but the trigger writes history, and only of contacts: a role that may
-- write contacts, has EXECUTE on every function of the extension, may create
-- in its schema, and owns tables, tries everything.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_forge_owner, regress_forge;
CREATE ROLE regress_forge_owner;
CREATE ROLE regress_forge;
CREATE SCHEMA regress_forge AUTHORIZATION regress_forge_owner;
CREATE SCHEMA regress_forge_own AUTHORIZATION regress_forge;
SET search_path = regress_forge;
DO $$BEGIN
	EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO regress_forge', current_database());
END$$;
CREATE EXTENSION contact_block;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_forge TO regress_forge_owner, regress_forge;
GRANT USAGE, CREATE ON SCHEMA regress_forge TO regress_forge;

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

SET ROLE regress_forge_owner;
SELECT contact_block_setup();
SELECT contact_history_setup();
INSERT INTO contacts (id, email) SELECT i, 'x' FROM generate_series(1, 3) AS i;
GRANT SELECT, INSERT, UPDATE (status, blocked_reason) ON contacts TO regress_forge;
RESET ROLE;
-- what is there, and nothing else may be there in the end but what forge has done to contacts
CREATE VIEW history AS SELECT seq, contact_id, by, old_status, status, reason FROM contact_events;
SELECT * FROM history ORDER BY seq;

-- The table itself.
SET ROLE regress_forge;
SELECT command, try(command) FROM unnest(ARRAY[
	'SELECT FROM contact_events',
	'INSERT INTO contact_events (txid, contact_id, at, by, status) VALUES (''1'', ''1'', now(), ''x'', ''Blocked'')',
	'UPDATE contact_events SET by = ''x''',
	'DELETE FROM contact_events',
	'TRUNCATE contact_events',
	'LOCK contact_events',
	'ALTER TABLE contact_events DISABLE TRIGGER ALL',
	'ALTER TABLE contact_events OWNER TO regress_forge',
	'CREATE TRIGGER x BEFORE INSERT ON contact_events FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
	'CREATE RULE x AS ON INSERT TO contact_events DO INSTEAD NOTHING',
	'CREATE POLICY x ON contact_events USING (true)',
	'CREATE UNIQUE INDEX ON contact_events (contact_id)',
	'CREATE TABLE heir () INHERITS (contact_events)',
	'SELECT nextval(''contact_events_seq_seq'')',
	'SELECT setval(''contact_events_seq_seq'', 1)',
	'DROP TABLE contact_events']) WITH ORDINALITY AS c(command, n) ORDER BY n;

-- The triggers on contacts, and who one is.
SET SESSION AUTHORIZATION regress_forge;
SELECT command, try(command) FROM unnest(ARRAY[
	'ALTER TABLE contacts DISABLE TRIGGER zzz_contact_record',
	'ALTER TABLE contacts DISABLE TRIGGER ALL',
	'DROP TRIGGER zzz_contact_audit ON contacts',
	'CREATE TRIGGER x AFTER INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION contact_record()',
	'CREATE CONSTRAINT TRIGGER x AFTER UPDATE ON contacts DEFERRABLE FOR EACH ROW EXECUTE FUNCTION contact_record()',
	'CREATE TABLE heir () INHERITS (contacts)',
	'ALTER FUNCTION contact_record() SECURITY DEFINER',
	'ALTER FUNCTION contact_record() SET search_path = regress_forge_own',
	'CREATE OR REPLACE FUNCTION contact_record() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NULL; END''',
	'CREATE FUNCTION regress_forge_own.contact_record() RETURNS trigger LANGUAGE c AS ''contact_block'', ''contact_record''',
	'CREATE FUNCTION regress_forge_own.contact_record() RETURNS trigger LANGUAGE internal AS ''contact_record''',
	'CREATE EVENT TRIGGER x ON ddl_command_end EXECUTE FUNCTION contact_record()',
	'SELECT contact_record()',
	'SELECT contact_history_setup()',
	'SET session_replication_role = replica',
	'SET ROLE regress_forge_owner',
	'UPDATE contacts SET updated_by = ''x''']) WITH ORDINALITY AS c(command, n) ORDER BY n;
RESET SESSION AUTHORIZATION;
-- whose stamps these are
SET ROLE regress_forge;
INSERT INTO contacts (id, email, created_by, created_at, activated_by, updated_by)
	VALUES ('4', 'x', 'forged', '2001-01-01', 'forged', 'forged');
RESET ROLE;
SELECT *, (SELECT at > '2020-01-01' FROM contact_events AS e WHERE e.seq = h.seq) AS now FROM history AS h WHERE seq > 3;

-- Tables of its own.
SET ROLE regress_forge;
CREATE FUNCTION regress_forge_own.arm(relation regclass) RETURNS text LANGUAGE plpgsql SET search_path = regress_forge AS $$
BEGIN
	EXECUTE format('CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION contact_audit()', relation);
	EXECUTE format('CREATE TRIGGER zzz_contact_record AFTER INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION contact_record()', relation);
	RETURN try(format('INSERT INTO %s (id, email, status) VALUES (''1'', ''forged'', ''Blocked'')', relation));
END $$;
CREATE TABLE regress_forge_own.contacts (LIKE contacts);
SELECT regress_forge_own.arm('regress_forge_own.contacts');
CREATE TEMP TABLE contacts (LIKE contacts);
SELECT regexp_replace(regress_forge_own.arm('pg_temp.contacts'), 'pg_temp_\d+', 'pg_temp') AS arm;
-- a name as that of a shard or partition
CREATE TABLE contacts_1 (LIKE regress_forge.contacts INCLUDING ALL);
SELECT regress_forge_own.arm('contacts_1');
SELECT try('ALTER TABLE regress_forge.contacts ATTACH PARTITION contacts_1 DEFAULT');
SELECT try('ALTER TABLE contacts_1 INHERIT regress_forge.contacts');
CREATE TABLE contacts_2 (LIKE regress_forge.contacts) PARTITION BY LIST (id);
CREATE TABLE contacts_3 PARTITION OF contacts_2 DEFAULT;
SELECT regress_forge_own.arm('contacts_2');
SELECT try('INSERT INTO contacts_3 (id, email, status) VALUES (''1'', ''forged'', ''Blocked'')');
RESET ROLE;
-- (what DETACH PARTITION ... CONCURRENTLY leaves behind when it is cancelled)
UPDATE pg_inherits SET inhdetachpending = true WHERE inhrelid = 'contacts_3'::regclass;
SET ROLE regress_forge;
SELECT try('INSERT INTO contacts_3 (id, email, status) VALUES (''1'', ''forged'', ''Blocked'')');
SELECT try('INSERT INTO contacts_1 (id, email, status) VALUES (''1'', ''forged'', ''Blocked'') ON CONFLICT (id) DO UPDATE SET status = ''Deleted''');
DROP TABLE contacts_1, contacts_2, contacts_3;
DISCARD TEMP;

-- Views, rules and functions of its own do what it may itself.
CREATE VIEW regress_forge_own.people AS SELECT * FROM regress_forge.contacts;
CREATE TRIGGER x INSTEAD OF UPDATE ON regress_forge_own.people FOR EACH ROW EXECUTE FUNCTION contact_record();
SELECT try('UPDATE regress_forge_own.people SET status = ''Blocked''');
DROP TRIGGER x ON regress_forge_own.people;
CREATE RULE x AS ON UPDATE TO regress_forge_own.people DO ALSO
	INSERT INTO regress_forge.contact_events (txid, contact_id, at, by, status) VALUES ('1', NEW.id, now(), 'forged', 'Deleted');
SELECT try('UPDATE regress_forge_own.people SET status = ''Blocked''');
DROP RULE x ON regress_forge_own.people;
CREATE FUNCTION regress_forge_own.forge() RETURNS void LANGUAGE sql SECURITY DEFINER AS
	$$INSERT INTO regress_forge.contact_events (txid, contact_id, at, by, status) VALUES ('1', '1', now(), 'forged', 'Deleted')$$;
SELECT try('SELECT regress_forge_own.forge()');
-- a view over its own table in the place of contacts cannot be put there
SELECT try('CREATE OR REPLACE VIEW regress_forge.contacts AS SELECT * FROM regress_forge_own.contacts');
SELECT try('ALTER TABLE regress_forge.contacts RENAME TO gone');

-- What it plants where names are looked up is not run, and does not take the rows.
SET search_path = pg_catalog;
CREATE FUNCTION regress_forge_own.spy(what pg_catalog.text) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	RAISE WARNING '% was run as %', what, current_user;
	RETURN true;
END $$;
CREATE FUNCTION regress_forge_own.pg_current_xact_id() RETURNS xid8 LANGUAGE sql AS
	$$SELECT regress_forge_own.spy('function'); SELECT '1'::xid8$$;
CREATE FUNCTION regress_forge_own.nextval(regclass) RETURNS bigint LANGUAGE sql AS
	$$SELECT regress_forge_own.spy('function'); SELECT 1::bigint$$;
CREATE FUNCTION regress_forge_own.same(text, text) RETURNS boolean LANGUAGE sql AS $$SELECT regress_forge_own.spy('operator')$$;
CREATE OPERATOR regress_forge_own.= (LEFTARG = text, RIGHTARG = text, FUNCTION = regress_forge_own.same);
CREATE TYPE regress_forge_own.thing AS (word text);
CREATE FUNCTION regress_forge_own.thing(text) RETURNS regress_forge_own.thing LANGUAGE plpgsql AS
	$$BEGIN PERFORM regress_forge_own.spy('cast'); RETURN NULL; END$$;
CREATE CAST (text AS regress_forge_own.thing) WITH FUNCTION regress_forge_own.thing(text) AS IMPLICIT;
CREATE DOMAIN regress_forge_own.xid8 AS pg_catalog.xid8 CHECK (regress_forge_own.spy('type'));
CREATE DOMAIN regress_forge_own.text AS pg_catalog.text CHECK (regress_forge_own.spy('type'));
CREATE TABLE regress_forge_own.contact_events (txid pg_catalog.xid8, seq bigserial, contact_id pg_catalog.text, at timestamptz,
	by pg_catalog.text, old_status pg_catalog.text, status pg_catalog.text, reason pg_catalog.text);
CREATE TEMP TABLE contact_events (LIKE regress_forge_own.contact_events INCLUDING ALL);
CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (regress_forge_own.spy('type'));
GRANT ALL ON ALL TABLES IN SCHEMA regress_forge_own TO PUBLIC;
GRANT USAGE ON SCHEMA regress_forge_own TO PUBLIC;
SET search_path = regress_forge_own, pg_temp, pg_catalog, regress_forge;
SELECT try('SELECT pg_current_xact_id()');
SELECT regress_forge.contact_block('1', 'spam') OPERATOR(pg_catalog.->>) 'status' AS status;
UPDATE regress_forge.contacts SET status = 'Blocked' WHERE id OPERATOR(pg_catalog.=) '2';
SELECT code, changed FROM regress_forge.contacts_block('{2,3}', 'many');
SELECT regress_forge.contact_unblock('3') OPERATOR(pg_catalog.->>) 'status' AS status;
SELECT (SELECT count(*) FROM regress_forge_own.contact_events) AS here, (SELECT count(*) FROM pg_temp.contact_events) AS there;
DISCARD TEMP;
SET search_path = regress_forge;
RESET ROLE;
SELECT * FROM history WHERE seq > 4 ORDER BY seq;
SELECT count(*) FROM contact_events WHERE txid::text::bigint < 3;

-- Rights.  Nobody needs one to contact_events but its owner, and what that may no
-- longer do is said with its name.
SET ROLE regress_forge_owner;
REVOKE INSERT ON contact_events FROM regress_forge_owner;
SET ROLE regress_forge;
SELECT try('SELECT contact_unblock(''1'')');
SELECT try('UPDATE contacts SET status = ''Deleted''');
SET ROLE regress_forge_owner;
SELECT try('SELECT contact_history_setup()');
GRANT INSERT ON contact_events TO regress_forge_owner;
RESET ROLE;
ALTER SCHEMA regress_forge OWNER TO CURRENT_USER;
REVOKE ALL ON SCHEMA regress_forge FROM regress_forge_owner;
SET ROLE regress_forge;
SELECT try('SELECT contact_unblock(''1'')');
RESET ROLE;
ALTER SCHEMA regress_forge OWNER TO regress_forge_owner;
GRANT USAGE ON SCHEMA regress_forge TO regress_forge;
-- what others may do to it is the owner's GRANT
GRANT SELECT ON contact_events TO regress_forge;
SET ROLE regress_forge;
SELECT try('SELECT FROM contact_events');
SELECT try('UPDATE contact_events SET by = ''x''');
RESET ROLE;

-- Row security does not keep the writer out, unless it is FORCEd.
SET ROLE regress_forge_owner;
ALTER TABLE contact_events ENABLE ROW LEVEL SECURITY;
SET ROLE regress_forge;
SELECT contact_unblock('1') ->> 'status' AS status;
SELECT count(*) AS visible FROM contact_events;
SET row_security = off;
SELECT contact_block('1') ->> 'status' AS status;
RESET row_security;
SET ROLE regress_forge_owner;
ALTER TABLE contact_events FORCE ROW LEVEL SECURITY;
SET ROLE regress_forge;
SELECT try('SELECT contact_unblock(''1'')');
SET row_security = off;
SELECT try('SELECT contact_unblock(''1'')');
RESET row_security;
SELECT status FROM contacts WHERE id = '1';
SET ROLE regress_forge_owner;
CREATE POLICY blocks ON contact_events FOR INSERT WITH CHECK (status = 'Active');
SET ROLE regress_forge;
SELECT contact_unblock('1') ->> 'status' AS status;
SELECT try('SELECT contact_block(''1'')');
SET ROLE regress_forge_owner;
DROP POLICY blocks ON contact_events;
ALTER TABLE contact_events NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;

-- What the owner has put on contact_events runs as the owner, under the search_path
-- of whoever changes the contact: here a function that names another one
-- carelessly.  It is the owner's to set its search_path.
CREATE FUNCTION note() RETURNS text LANGUAGE sql AS $$SELECT 'of the owner'::text$$;
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE WARNING 'note %, as %', note(), current_user;
	RETURN NULL;
END $$;
CREATE TRIGGER noted AFTER INSERT ON contact_events FOR EACH ROW EXECUTE FUNCTION noted();
SET ROLE regress_forge;
CREATE FUNCTION regress_forge_own.note() RETURNS text LANGUAGE sql AS $$SELECT 'of somebody else'::text$$;
SELECT contact_block('1') ->> 'status' AS status;
SET search_path = regress_forge_own;
SELECT regress_forge.contact_unblock('1') OPERATOR(pg_catalog.->>) 'status' AS status;
RESET ROLE;
ALTER FUNCTION regress_forge.noted() SET search_path = regress_forge, pg_temp;
SET ROLE regress_forge;
SET search_path = regress_forge_own;
SELECT regress_forge.contact_block('1') OPERATOR(pg_catalog.->>) 'status' AS status;
-- it cannot become somebody else there
RESET ROLE;
SET search_path = regress_forge;
CREATE OR REPLACE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('role', 'none', true);
	RETURN NULL;
END $$;
SET ROLE regress_forge;
SELECT try('SELECT contact_unblock(''1'')');
-- and an error leaves the caller who it was
SELECT current_user;
RESET ROLE;
DROP TRIGGER noted ON contact_events;

SELECT count(*) AS events, count(*) FILTER (WHERE by IN ('regress_forge', 'regress_forge_owner')) AS by_these FROM history;
SET client_min_messages = error;
DROP SCHEMA regress_forge, regress_forge_own CASCADE;
DO $$BEGIN
	EXECUTE format('REVOKE ALL ON DATABASE %I FROM regress_forge', current_database());
END$$;
DROP ROLE regress_forge_owner, regress_forge;
