-- contact_block_setup on tables of one's own: everything that it finds, the SQL
-- in its HINT, which is run to the letter, and all functions afterwards.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_adopt;
SET search_path = regress_adopt;
CREATE EXTENSION contact_block;
SET contact_block.actor = 'tester';

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

-- all functions, one after the other, on a contact that is Active
CREATE FUNCTION calls(id text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN concat_ws(', ', contact_document(id) ->> 'status', contact_block(id, 'why') ->> 'blockedReason',
		contact_block(id) ->> 'status', contact_unblock(id) ->> 'status',
		split_part(try(format('SELECT contact_delete(%L)', id)), E'\n', 1), contact_document(id) ->> 'status');
END $$;

-- set-up; as long as it finds something what its HINT says, to the letter; then all functions
CREATE PROCEDURE adopt(id text) LANGUAGE plpgsql AS $$
DECLARE
	found text;
	hint text;
BEGIN
	FOR run IN 1 .. 3 LOOP
		found := try('SELECT contact_block_setup()');
		EXIT WHEN found = 'ok';
		RAISE INFO '%', found;
		BEGIN
			PERFORM contact_block_setup();
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
			EXECUTE hint;
		END;
		-- a new value of an enum is there for the next transaction only
		COMMIT;
	END LOOP;
	RAISE INFO '%', coalesce(nullif(found, 'ok'), calls(id));
END $$;

-- contacts as set-up makes them are what all here start from
SELECT contact_block_setup();
CREATE TABLE model (LIKE contacts INCLUDING DEFAULTS);
CREATE PROCEDURE begin_anew() LANGUAGE plpgsql AS $$
BEGIN
	DROP TABLE IF EXISTS contact_opt_outs, contacts CASCADE;
	CREATE TABLE contacts (LIKE model INCLUDING DEFAULTS, PRIMARY KEY (id)) WITH (fillfactor = 40);
	INSERT INTO contacts (id, email, created_at) VALUES ('1', '1@example.org', '2020-02-02');
END $$;

-- missing columns
CALL begin_anew();
ALTER TABLE contacts DROP COLUMN blocked_at, DROP COLUMN deleted_by, DROP COLUMN user_id;
CALL adopt('1');

-- types that do not fit: of an id, of statuses, times, reasons, and of who acted
CALL begin_anew();
ALTER TABLE contacts ALTER id TYPE numeric USING id::numeric;
CALL adopt('1');
CALL begin_anew();
ALTER TABLE contacts DROP CONSTRAINT contacts_pkey, ALTER id TYPE json USING id::json;
CALL adopt('1');
CALL begin_anew();
ALTER TABLE contacts ALTER status DROP DEFAULT, ALTER status TYPE uuid USING NULL, ALTER status DROP NOT NULL;
SELECT try('SELECT contact_block_setup()');
CALL begin_anew();
ALTER TABLE contacts ALTER id TYPE char(1), ALTER status TYPE char(10), ALTER blocked_at TYPE date,
	ALTER deleted_at TYPE timestamp(0), ALTER blocked_reason TYPE int USING 0, ALTER blocked_by TYPE date USING '2020-02-02';
CALL adopt('1');
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
	WHERE attrelid = 'contacts'::regclass AND attname IN ('id', 'status', 'blocked_at', 'deleted_at', 'blocked_reason', 'blocked_by')
	ORDER BY attname COLLATE "C";
-- in the other relations it is their keys and times
CREATE TABLE other_categories (id char(3), name int, short_description varchar(9), icon xml);
ALTER TABLE contact_opt_outs RENAME TO other_opt_outs;
ALTER TABLE categories RENAME TO used_categories;
ALTER TABLE other_categories RENAME TO categories;
CALL begin_anew();
CALL adopt('1');
DROP TABLE other_opt_outs, contact_opt_outs, categories;
ALTER TABLE used_categories RENAME TO categories;

-- a collation by which different ids are equal (without ICU there is none)
CALL begin_anew();
DO $$
BEGIN
	CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
	ALTER TABLE contacts ALTER id TYPE varchar(9) COLLATE blind;
EXCEPTION WHEN feature_not_supported THEN
	CREATE DOMAIN blind AS text;
END $$;
SELECT replace(try('SELECT contact_block_setup()'), 'ok', '55000 existing relations cannot be used by contact_block
regress_adopt.contacts.id is of type character varying(9) with a nondeterministic collation.
ALTER TABLE regress_adopt.contacts ALTER COLUMN id TYPE character varying COLLATE "C" USING id::character varying COLLATE "C";');
ALTER TABLE regress_adopt.contacts ALTER COLUMN id TYPE character varying COLLATE "C" USING id::character varying COLLATE "C";
CALL adopt('1');

-- citext (where that is not installed a type of the same name)
CALL begin_anew();
DO $$
BEGIN
	CREATE EXTENSION citext;
	ALTER TABLE contacts ALTER id TYPE citext, ALTER status TYPE citext;
EXCEPTION WHEN OTHERS THEN
	CREATE TYPE citext AS (word text);
	ALTER TABLE contacts ALTER status DROP DEFAULT, ALTER id TYPE citext USING ROW(id)::citext, ALTER status TYPE citext USING ROW(status)::citext;
END $$;
SELECT try('SELECT contact_block_setup()');
ALTER TABLE regress_adopt.contacts ALTER COLUMN id TYPE text COLLATE "C" USING id::text COLLATE "C";
ALTER TABLE regress_adopt.contacts ALTER COLUMN status TYPE text USING status::text;
UPDATE contacts SET id = '1', status = 'Active';
CALL adopt('1');
DROP EXTENSION IF EXISTS citext;
DROP TYPE IF EXISTS citext;

-- no unique index on the id: one of more columns, of some rows, one that is deferred, or not valid
CALL begin_anew();
ALTER TABLE contacts DROP CONSTRAINT contacts_pkey, ADD PRIMARY KEY (id, email), ADD UNIQUE (id) DEFERRABLE;
CREATE UNIQUE INDEX ON contacts (id) WHERE status <> 'Deleted';
CREATE INDEX ON contacts (id);
CALL adopt('1');

-- generated columns; an id that is one will do
CALL begin_anew();
ALTER TABLE contacts DROP COLUMN status, DROP COLUMN updated_at, DROP COLUMN id, ADD number int NOT NULL DEFAULT 7,
	ADD status text GENERATED ALWAYS AS (CASE number WHEN 7 THEN 'Active' ELSE 'Blocked' END) STORED,
	ADD updated_at timestamptz GENERATED ALWAYS AS (created_at) STORED,
	ADD id text GENERATED ALWAYS AS (CASE number WHEN 7 THEN 'seven' ELSE 'other' END) STORED UNIQUE;
CALL adopt('seven');
CALL begin_anew();
ALTER TABLE contacts ALTER id TYPE int USING id::int, ALTER id ADD GENERATED ALWAYS AS IDENTITY;
CALL adopt('1');

-- columns that cannot be null, also by their domain, but have to be; of updated that is no matter
CALL begin_anew();
CREATE DOMAIN always_at AS timestamptz NOT NULL;
CREATE DOMAIN at AS always_at CHECK (value > '2000-01-01');
ALTER TABLE contacts ALTER blocked_reason SET DEFAULT '';
UPDATE contacts SET blocked_reason = '', blocked_by = '', updated_at = '2020-02-02', updated_by = '', activated_at = '2020-02-02',
	deleted_at = '2020-02-02', status = 'Deleted';
ALTER TABLE contacts ALTER blocked_reason SET NOT NULL, ALTER blocked_by SET NOT NULL, ALTER updated_at SET NOT NULL,
	ALTER updated_by SET NOT NULL, ALTER activated_at TYPE at, ALTER created_by TYPE text;
ALTER TABLE contacts ALTER created_by SET DEFAULT '';
UPDATE contacts SET deleted_at = NULL, status = 'Active';
CALL adopt('1');
INSERT INTO contacts (id, email) VALUES ('2', '2@example.org');
SELECT calls('2');

-- a status that cannot hold Active and Blocked: an enum without them; the words in another case are known
CREATE TYPE open_closed AS ENUM ('open', 'closed');
CALL begin_anew();
ALTER TABLE contacts ALTER status DROP DEFAULT, ALTER status TYPE open_closed USING 'open';
CALL adopt('1');
CREATE TYPE active_off AS ENUM ('active', 'off', 'deleted');
CALL begin_anew();
ALTER TABLE contacts ALTER status DROP DEFAULT, ALTER status TYPE active_off USING 'active';
CALL adopt('1');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgfoid = 'contact_audit'::regproc;
CREATE TYPE upper_case AS ENUM ('NEW', 'ACTIVE', 'BLOCKED');
CREATE DOMAIN upper_cases AS upper_case;
CALL begin_anew();
ALTER TABLE contacts ALTER status DROP DEFAULT, ALTER status TYPE upper_cases USING 'ACTIVE';
CALL adopt('1');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgfoid = 'contact_audit'::regproc;
-- an integer
CALL begin_anew();
ALTER TABLE contacts ALTER status DROP DEFAULT, ALTER status TYPE smallint USING 1;
CALL adopt('1');
-- a CHECK, of the table or a domain, that takes other words
CALL begin_anew();
UPDATE contacts SET status = 'active';
ALTER TABLE contacts ADD CHECK (status IN ('active', 'blocked')), ADD CHECK (status <> email);
CALL adopt('1');
CALL begin_anew();
CREATE DOMAIN shout AS varchar(9) CHECK (value = upper(value)) CHECK (value IN ('ACTIVE', 'BLOCKED', 'DELETED'));
CREATE DOMAIN shouts AS shout;
ALTER TABLE contacts ALTER status DROP DEFAULT, ALTER status TYPE shouts USING 'ACTIVE';
CALL adopt('1');
-- words that set-up does not know, or too short a type for those that it does
CALL begin_anew();
ALTER TABLE contacts ALTER status TYPE text USING 'on';
ALTER TABLE contacts ADD CHECK (status IN ('on', 'off'));
SELECT try('SELECT contact_block_setup()');
CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON contacts FOR EACH ROW
	EXECUTE FUNCTION contact_audit('Active=on', 'Blocked=out');
SELECT try('SELECT contact_block_setup()');
DROP TRIGGER zzz_contact_audit ON contacts;
CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON contacts FOR EACH ROW
	EXECUTE FUNCTION contact_audit('Active=on', 'Blocked=off');
CALL adopt('1');
CALL begin_anew();
ALTER TABLE contacts ALTER status TYPE varchar(6);
SELECT try('SELECT contact_block_setup()');
-- of the trigger's words some that there are not, with others that there are
CALL begin_anew();
CREATE TYPE lower_case AS ENUM ('new', 'active', 'blocked');
ALTER TABLE contacts ALTER status DROP DEFAULT, ALTER status TYPE lower_case USING 'active';
CREATE TRIGGER own BEFORE INSERT OR UPDATE ON contacts FOR EACH ROW
	EXECUTE FUNCTION contact_audit('Active=active', 'Blocked=suspended', 'ignore=email', 'ignore=name');
CALL adopt('1');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgfoid = 'contact_audit'::regproc;

-- rows in lower case: the words are up to the user
CALL begin_anew();
UPDATE contacts SET status = 'active';
CALL adopt('1');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgfoid = 'contact_audit'::regproc;
-- of unknown status, or none; what is blocked in another case stays blocked
CALL begin_anew();
ALTER TABLE contacts ALTER status DROP NOT NULL;
INSERT INTO contacts (id, email, created_at, status) SELECT n, n, timestamptz '2020-02-02', status
	FROM unnest('{BLOCKED,blocked,Blocked,Deleted,on,off,1,2,3,4,NULL,"",O''Neil,\\}'::text[]) WITH ORDINALITY AS s (status, n) WHERE n > 1
	UNION ALL SELECT 100 + n, n, timestamptz '2020-02-02', 'Active' FROM generate_series(1, 5) AS n;
CALL adopt('1');
SELECT id, status FROM contacts WHERE id::int < 100 AND id <> '1' ORDER BY id::int;
-- mostly in lower case, with others between
CALL begin_anew();
UPDATE contacts SET status = 'active';
INSERT INTO contacts (id, email, created_at, status) SELECT n, n, timestamptz '2020-02-02', status
	FROM unnest('{Active,active,Blocked,blocked,BLOCKED,deleted,none}'::text[]) WITH ORDINALITY AS s (status, n) WHERE n > 1;
CALL adopt('1');
SELECT id, status FROM contacts ORDER BY id;
-- the same under a trigger that takes them as they are not
CALL begin_anew();
UPDATE contacts SET status = 'active';
INSERT INTO contacts (id, email, created_at, status) VALUES ('2', '2', '2020-02-02', 'blocked'), ('3', '3', '2020-02-02', 'Blocked');
CREATE TRIGGER own BEFORE INSERT OR UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION contact_audit('ignore=email');
CALL adopt('1');
SELECT id, status, updated_at IS NULL AS untouched FROM contacts ORDER BY id;
-- deleted by their time only
CALL begin_anew();
INSERT INTO contacts (id, email, created_at, status, deleted_at) VALUES ('2', '2', '2020-02-02', 'active', '2021-01-01'),
	('3', '3', '2020-02-02', 'Active', '2021-01-01'), ('4', '4', '2020-02-02', 'Deleted', '2021-01-01'), ('5', '5', '2020-02-02', 'Deleted', NULL);
CALL adopt('1');
SELECT id, status, deleted_at = '2021-01-01' AS kept FROM contacts WHERE id <> '1' ORDER BY id;
-- and under the trigger, which would say now
CALL begin_anew();
INSERT INTO contacts (id, email, created_at, status, deleted_at) VALUES ('3', '3', '2020-02-02', 'Active', '2021-01-01');
CREATE TRIGGER own BEFORE INSERT OR UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION contact_audit();
CALL adopt('1');
SELECT id, status, deleted_at = '2021-01-01' AS kept FROM contacts WHERE id <> '1' ORDER BY id;
-- where nothing can be Deleted
CALL begin_anew();
ALTER TABLE contacts ALTER status DROP DEFAULT, ALTER status TYPE lower_case USING 'active';
UPDATE contacts SET deleted_at = '2021-01-01';
CALL adopt('1');

-- partitions by another key than the id have to be made anew
CALL begin_anew();
DROP TABLE contacts;
CREATE TABLE contacts (LIKE model, UNIQUE (id, email)) PARTITION BY LIST (email);
SELECT try('SELECT contact_block_setup()');
DROP TABLE contacts;

-- what inherits from contacts, here and in another schema
CALL begin_anew();
CREATE SCHEMA regress_adopt_app;
CREATE TABLE child () INHERITS (contacts);
CREATE TABLE regress_adopt_app.child () INHERITS (contacts);
CREATE TABLE grandchild () INHERITS (child);
INSERT INTO grandchild (id, email, created_at) VALUES ('2', '2@example.org', '2020-02-02'), ('3', '3@example.org', '2020-02-02'), ('4', '4@example.org', '2020-02-02');
CALL adopt('1');
SELECT calls('2');
ALTER TABLE grandchild DISABLE TRIGGER USER;
CALL adopt('3');
DROP TRIGGER zzz_contact_audit ON grandchild;
SELECT try('SELECT contact_block(''4'')');
DROP TABLE child CASCADE;
DROP SCHEMA regress_adopt_app CASCADE;

-- everything in one error, with nothing changed
CALL begin_anew();
DROP TABLE account_users, users;
ALTER TABLE contacts DROP CONSTRAINT contacts_pkey, ALTER id TYPE numeric USING id::numeric, DROP COLUMN user_id,
	DROP COLUMN blocked_by, ALTER blocked_reason TYPE int USING 0, ALTER deleted_by SET DEFAULT '';
UPDATE contacts SET status = 'active', deleted_at = '2021-01-01', deleted_by = '', updated_at = '2021-01-01';
ALTER TABLE contacts ALTER deleted_by SET NOT NULL;
CREATE MATERIALIZED VIEW account_users AS SELECT 1 AS user_id;
CREATE VIEW users AS SELECT 1.5 AS id, current_timestamp(0)::text AS last_login_at;
SELECT xmin AS before FROM pg_class WHERE oid = 'contacts'::regclass \gset
SELECT contact_block_setup();
\echo :LAST_ERROR_SQLSTATE
SELECT xmin = :'before'::xid AS untouched FROM pg_class WHERE oid = 'contacts'::regclass;
DROP VIEW users;
DROP MATERIALIZED VIEW account_users;
INSERT INTO contacts (id, email, status, created_at) VALUES (2, '2@example.org', 'active', '2020-02-02');
CALL adopt('2');

-- what is no relation of rows at all
DROP TABLE contact_opt_outs, contacts;
CREATE SEQUENCE contacts;
SELECT try('SELECT contact_block_setup()');
DROP SEQUENCE contacts;
CREATE TYPE contacts AS (id text);
SELECT try('SELECT contact_block_setup()');
DROP TYPE contacts;
CREATE INDEX contacts ON model (id);
SELECT try('SELECT contact_block_setup()');
DROP INDEX contacts;
CREATE FOREIGN DATA WRAPPER regress_adopt_wrapper;
CREATE SERVER regress_adopt_server FOREIGN DATA WRAPPER regress_adopt_wrapper;
CREATE FOREIGN TABLE contacts (id text) SERVER regress_adopt_server;
SELECT try('SELECT contact_block_setup()');
DROP FOREIGN TABLE contacts;
DROP FOREIGN DATA WRAPPER regress_adopt_wrapper CASCADE;

-- somebody else's relation
CALL begin_anew();
CREATE ROLE regress_adopt_owner;
CREATE ROLE regress_adopt_other;
GRANT ALL ON SCHEMA regress_adopt TO regress_adopt_owner;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_adopt TO regress_adopt_owner;
DROP TABLE account_users, users, categories, accounts;
ALTER TABLE contacts OWNER TO regress_adopt_other;
SET ROLE regress_adopt_owner;
SELECT try('SELECT contact_block_setup()');
RESET ROLE;
GRANT regress_adopt_other TO regress_adopt_owner;
SET ROLE regress_adopt_owner;
SELECT try('SELECT contact_block_setup()');
RESET ROLE;
SELECT calls('1');

-- rows that row security hides from their owner are not looked at, which is told
CALL begin_anew();
UPDATE contacts SET status = 'active';
ALTER TABLE contacts OWNER TO regress_adopt_owner;
ALTER TABLE contacts ENABLE ROW LEVEL SECURITY;
ALTER TABLE contacts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON contacts USING (id = current_setting('regress_adopt.tenant', true));
SET client_min_messages = notice;
SET ROLE regress_adopt_owner;
SELECT contact_block_setup();
RESET ROLE;
SELECT try('SELECT contact_block_setup()');

-- worth knowing: foreign keys that could not be made; indexes that a block writes to;
-- pages without room; triggers behind ours
SET client_min_messages = warning;
CALL begin_anew();
DROP TABLE contacts, account_users, users, accounts, categories;
CREATE TABLE contacts (LIKE model INCLUDING DEFAULTS, PRIMARY KEY (id));
ALTER TABLE contacts ALTER id TYPE varchar(9);
CREATE INDEX by_status ON contacts (email, status);
CREATE INDEX active_only ON contacts (email) WHERE status = 'Active';
CREATE INDEX by_day ON contacts ((blocked_at > '2020-02-02'));
CREATE INDEX whole_row ON contacts (email) WHERE contacts IS NOT NULL;
CREATE INDEX brin ON contacts USING brin (blocked_at);
CREATE INDEX covering ON contacts (email) INCLUDE (blocked_by);
CREATE INDEX of_no_matter ON contacts (email, name);
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER zzzz BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER zzzz_after AFTER UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER zzzz_delete BEFORE DELETE ON contacts FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER a BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE UNLOGGED TABLE accounts (id text PRIMARY KEY, type text, status text, name text, icon text);
SET client_min_messages = notice;
SELECT contact_block_setup();
SELECT conrelid::regclass AS relation, pg_get_constraintdef(oid) FROM pg_constraint
	WHERE connamespace = 'regress_adopt'::regnamespace AND contype = 'f'
	ORDER BY conrelid::regclass::text COLLATE "C", conname COLLATE "C";
-- what the HINT about pages says
ALTER TABLE regress_adopt.contacts SET (fillfactor = 40); VACUUM FULL regress_adopt.contacts;
DROP INDEX by_status, active_only, by_day, whole_row, covering;
ALTER TRIGGER zzzz ON contacts RENAME TO z;
SELECT contact_block_setup();

SET client_min_messages = warning;
DROP SCHEMA regress_adopt CASCADE;
DROP ROLE regress_adopt_owner, regress_adopt_other;
