-- contact_block_setup: what it makes, what it leaves alone, what it refuses.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_setup;
SET search_path = regress_setup;
CREATE EXTENSION contact_block;
DROP ROLE IF EXISTS regress_setup_owner, regress_setup_other;
CREATE ROLE regress_setup_owner;
CREATE ROLE regress_setup_other;
GRANT CREATE, USAGE ON SCHEMA regress_setup TO regress_setup_owner, regress_setup_other;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_setup TO regress_setup_owner, regress_setup_other;

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

-- every object in the schema, and whether anything touched it since
CREATE VIEW objects AS
	SELECT oid, xmin::text, relname::text AS name FROM pg_class
		WHERE relnamespace = 'regress_setup'::regnamespace
	UNION ALL SELECT oid, xmin::text, tgname FROM pg_trigger
		WHERE tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'regress_setup'::regnamespace)
	UNION ALL SELECT attrelid, string_agg(xmin::text, ',' ORDER BY attnum), 'columns' FROM pg_attribute
		WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'regress_setup'::regnamespace)
		GROUP BY attrelid
	UNION ALL SELECT oid, xmin::text, conname FROM pg_constraint
		WHERE connamespace = 'regress_setup'::regnamespace;
CREATE FUNCTION fingerprint() RETURNS text LANGUAGE sql AS
	$$SELECT md5(string_agg(o::text, ',' ORDER BY o::text COLLATE "C")) FROM objects o$$;

-- CREATE EXTENSION alone makes code only, and its schema stays what it is
SELECT classid::regclass AS class, count(*) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
	WHERE refclassid = 'pg_extension'::regclass AND extname = 'contact_block' AND deptype = 'e' GROUP BY 1;
SELECT try('ALTER EXTENSION contact_block SET SCHEMA public');

-- an empty schema, in any search_path; what is made belongs to the caller
SET ROLE regress_setup_owner;
SET search_path = '';
SELECT regress_setup.contact_block_setup();
SET search_path = regress_setup;
RESET ROLE;
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type,
	CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END AS collation,
	CASE WHEN a.attnotnull THEN 'not null' END AS "null", pg_get_expr(d.adbin, d.adrelid) AS "default"
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
	JOIN pg_type t ON t.oid = a.atttypid
	LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
	WHERE c.relnamespace = 'regress_setup'::regnamespace AND c.relkind = 'r'
	ORDER BY c.relname COLLATE "C", a.attnum;
SELECT conrelid::regclass AS relation, contype, pg_get_constraintdef(oid) FROM pg_constraint
	WHERE connamespace = 'regress_setup'::regnamespace AND contype <> 'n'
	ORDER BY conrelid::regclass::text COLLATE "C", contype, conname COLLATE "C";
SELECT pg_get_indexdef(indexrelid) FROM pg_index
	WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'regress_setup'::regnamespace)
	ORDER BY pg_get_indexdef(indexrelid) COLLATE "C";
SELECT relname, reloptions FROM pg_class
	WHERE relnamespace = 'regress_setup'::regnamespace AND reloptions IS NOT NULL;
SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger
	WHERE tgfoid = 'contact_audit'::regproc;
SELECT relowner::regrole AS owner, count(*) FROM pg_class
	WHERE relnamespace = 'regress_setup'::regnamespace AND relkind = 'r' GROUP BY 1;

-- the CHECKs take what they should and nothing else
SELECT try(format('INSERT INTO contacts (id, email, status) VALUES (%L, 1, %1$L)', status)) AS contacts, status
	FROM unnest('{New,Active,Blocked,Deleted}'::text[]) AS status;
SELECT left(try(format('INSERT INTO contacts (id, email, status) VALUES (%L, 1, %1$L)', status)), 5) AS contacts, status
	FROM unnest('{active,Invited,""}'::text[]) AS status;
SELECT try(format('INSERT INTO accounts VALUES (%L, %L, %L, 1)', type || status, type, status)) AS accounts, type, status
	FROM unnest('{Client,Vendor,Operations}'::text[], '{Enabled,Active,Disabled}'::text[]) AS a (type, status);
SELECT left(try(format('INSERT INTO accounts VALUES (%L, %L, %L, 1)', type || status, type, status)), 5) AS accounts, type, status
	FROM unnest('{Customer,Vendor}'::text[], '{Enabled,Blocked}'::text[]) AS a (type, status);
SELECT try(format('INSERT INTO users VALUES (%L, 1, %1$L, 1, 1, 1)', status)) AS users, status
	FROM unnest('{New,Invited,InvitationExpired,Active,Blocked,Disabled,Deleted}'::text[]) AS status;
SELECT left(try(format('INSERT INTO users VALUES (%L, 1, %1$L, 1, 1, 1)', status)), 5) AS users, status
	FROM unnest('{Expired}'::text[]) AS status;

-- twice: nothing is touched
SELECT fingerprint() AS before \gset
SET ROLE regress_setup_owner;
SELECT contact_block_setup();
RESET ROLE;
SELECT fingerprint() = :'before' AS untouched;

-- the trigger renamed is left alone, disabled it is told of
ALTER TRIGGER zzz_contact_audit ON contacts RENAME TO mine;
SELECT fingerprint() AS before \gset
SELECT contact_block_setup();
SELECT fingerprint() = :'before' AS untouched;
ALTER TABLE contacts DISABLE TRIGGER mine;
SELECT fingerprint() AS before \gset
SELECT contact_block_setup();
\echo :LAST_ERROR_SQLSTATE
SELECT fingerprint() = :'before' AS untouched;
ALTER TABLE contacts ENABLE ALWAYS TRIGGER mine;
SELECT contact_block_setup();
SELECT tgname, tgenabled FROM pg_trigger WHERE tgfoid = 'contact_audit'::regproc;
DROP TRIGGER mine ON contacts;
SELECT contact_block_setup();
SELECT tgname, tgenabled FROM pg_trigger WHERE tgfoid = 'contact_audit'::regproc;

-- somebody who does not own the relations changes nothing
SELECT fingerprint() AS before \gset
SET ROLE regress_setup_other;
SELECT try('SELECT contact_block_setup()');
RESET ROLE;
SELECT fingerprint() = :'before' AS untouched;
-- nor when it is one of them, beside missing ones and missing columns
DROP TABLE contact_opt_outs, contacts;
ALTER TABLE account_users OWNER TO regress_setup_other;
ALTER TABLE categories DROP COLUMN icon;
SELECT fingerprint() AS before \gset
SET ROLE regress_setup_owner;
SELECT try('SELECT contact_block_setup()');
RESET ROLE;
SELECT fingerprint() = :'before' AS untouched;
-- but with the owner's role it works
GRANT regress_setup_other TO regress_setup_owner;
ALTER TABLE categories ADD COLUMN icon text;
SET ROLE regress_setup_owner;
SELECT contact_block_setup();
RESET ROLE;
SELECT relname, relowner::regrole AS owner FROM pg_class
	WHERE relnamespace = 'regress_setup'::regnamespace AND relkind = 'r' ORDER BY relname COLLATE "C";
-- nor does somebody who may not create anything here
DROP TABLE contact_opt_outs;
REVOKE CREATE ON SCHEMA regress_setup FROM regress_setup_owner, regress_setup_other;
SET ROLE regress_setup_owner;
SELECT try('SELECT contact_block_setup()');
RESET ROLE;
DROP TABLE account_users, users, accounts, categories, contacts;

-- own tables with more columns, rows and no keys are used as they are, if an id is unique
CREATE TABLE accounts (icon text, name text, status text, type text, id text, mine int);
CREATE TABLE contacts (mine serial, id text, email text, name text, status text, blocked_reason text,
	user_id text, created_at timestamptz, created_by text, updated_at timestamptz, updated_by text,
	activated_at timestamptz, activated_by text, blocked_at timestamptz, blocked_by text,
	deleted_at timestamptz, deleted_by text);
INSERT INTO contacts (id, email, status) VALUES ('1', '1@example.org', 'Active');
SELECT fingerprint() AS before \gset
SELECT contact_block_setup();
SELECT fingerprint() = :'before' AS untouched;
CREATE UNIQUE INDEX ON accounts (id);
CREATE UNIQUE INDEX ON contacts (id);
SELECT contact_block_setup();
SELECT relname, (SELECT count(*) FROM pg_constraint WHERE conrelid = c.oid AND contype <> 'n') AS constraints,
	(SELECT count(*) FROM pg_index WHERE indrelid = c.oid) AS indexes, reloptions
	FROM pg_class c WHERE relnamespace = 'regress_setup'::regnamespace AND relkind = 'r' ORDER BY relname COLLATE "C";
SELECT conrelid::regclass AS relation, pg_get_constraintdef(oid) FROM pg_constraint
	WHERE connamespace = 'regress_setup'::regnamespace AND contype = 'f'
	ORDER BY conrelid::regclass::text COLLATE "C", conname COLLATE "C";
SELECT contact_block('1') ->> 'status' AS status;

-- missing columns: one error that lists them all, and nothing changed
ALTER TABLE contacts DROP COLUMN status, DROP COLUMN created_at, DROP COLUMN deleted_by;
ALTER TABLE users DROP COLUMN name, DROP COLUMN current_account_id CASCADE;
ALTER TABLE accounts DROP COLUMN id CASCADE, DROP COLUMN type;
DROP TABLE contact_opt_outs, categories;
CREATE VIEW categories AS SELECT 'c1'::text AS id, NULL::text AS icon;
DROP TRIGGER zzz_contact_audit ON contacts;
SELECT fingerprint() AS before \gset
SELECT contact_block_setup();
\echo :LAST_ERROR_SQLSTATE
SELECT fingerprint() = :'before' AS untouched;
-- the hint's ALTER TABLEs are to be run as they are, also where there are rows
CREATE OR REPLACE VIEW categories AS SELECT 'c1'::text AS id, NULL::text AS icon, 'C1'::text AS name,
	'C'::text AS short_description;
DO $$
DECLARE
	hint text;
BEGIN
	PERFORM contact_block_setup();
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	EXECUTE hint;
END $$;
SELECT contact_block_setup();
SELECT id, status, created_at FROM contacts;
SELECT contact_block('1') ->> 'status' AS status;
SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attcollation::regcollation AS collation,
	pg_get_expr(d.adbin, d.adrelid) AS "default"
	FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = attnum
	WHERE attrelid = 'accounts'::regclass AND attname IN ('id', 'type')
		OR attrelid = 'contacts'::regclass AND attname IN ('status', 'created_at', 'deleted_by')
	ORDER BY attname COLLATE "C";
DROP VIEW categories;
DROP TABLE contact_opt_outs, contacts, account_users, users, accounts;

-- an id that no foreign key may refer to: one of another type, of an unlogged
-- table, of a materialized view
CREATE TABLE accounts (id varchar(9) PRIMARY KEY, type text, status text, name text, icon text);
CREATE UNLOGGED TABLE users (id text PRIMARY KEY, email text, status text, name text, first_name text, last_name text,
	icon text, phone_prefix text, phone_number text, culture_code text, language_code text, last_login_at timestamptz,
	current_account_id text, created_at timestamptz, created_by text, updated_at timestamptz, updated_by text,
	invitation_accepted_at timestamptz);
CREATE MATERIALIZED VIEW categories AS SELECT 'c1' AS id, 'C1' AS name, 'C' AS short_description, NULL AS icon;
CREATE UNIQUE INDEX ON categories (id);
SELECT contact_block_setup();
SELECT conrelid::regclass AS relation, pg_get_constraintdef(oid) FROM pg_constraint
	WHERE connamespace = 'regress_setup'::regnamespace AND contype = 'f'
	ORDER BY conrelid::regclass::text COLLATE "C", conname COLLATE "C";
DROP MATERIALIZED VIEW categories;
DROP TABLE contact_opt_outs, contacts, account_users, users, accounts;

-- views over differently named tables, for all but contacts
CREATE TABLE companies (code text PRIMARY KEY, kind text, title text);
CREATE TABLE people (id int PRIMARY KEY, mail text, full_name text, company text);
CREATE TABLE topics (topic text PRIMARY KEY, label text);
CREATE TABLE refusals (contact text, topic text, PRIMARY KEY (contact, topic));
CREATE VIEW accounts AS SELECT code AS id, kind AS type, 'Active' AS status, title AS name, NULL AS icon FROM companies;
CREATE VIEW users AS SELECT id::text, mail AS email, 'Active' AS status, full_name AS name,
	split_part(full_name, ' ', 1) AS first_name, split_part(full_name, ' ', 2) AS last_name,
	NULL AS icon, NULL AS phone_prefix, NULL AS phone_number, NULL AS culture_code, 'en' AS language_code,
	NULL::timestamptz AS last_login_at, company AS current_account_id, NULL::timestamptz AS created_at,
	NULL AS created_by, NULL::timestamptz AS updated_at, NULL AS updated_by,
	NULL::timestamptz AS invitation_accepted_at FROM people;
CREATE VIEW account_users AS SELECT id::text AS user_id, company AS account_id FROM people;
CREATE VIEW categories AS SELECT topic AS id, label AS name, label AS short_description, NULL AS icon FROM topics;
CREATE VIEW contact_opt_outs AS SELECT contact AS contact_id, topic AS category_id,
	NULL::timestamptz AS last_used FROM refusals;
SELECT contact_block_setup();
SELECT relname, relkind FROM pg_class WHERE relnamespace = 'regress_setup'::regnamespace
	AND relkind IN ('r', 'v') ORDER BY relname COLLATE "C";
SELECT count(*) AS foreign_keys FROM pg_constraint WHERE connamespace = 'regress_setup'::regnamespace AND contype = 'f';
INSERT INTO companies VALUES ('acme', 'Vendor', 'Acme');
INSERT INTO people VALUES (1, 'ann@example.org', 'Ann Lee', 'acme');
INSERT INTO topics VALUES ('t2', 'Two'), ('t1', 'One');
INSERT INTO refusals VALUES ('1', 't2'), ('1', 't1');
INSERT INTO contacts (id, email, user_id) VALUES ('1', '1@example.org', '1');
SET contact_block.actor = '1';
SELECT jsonb_pretty(contact_block('1') #- '{audit,updated}' #- '{audit,activated}' #- '{audit,created}' #- '{audit,blocked,at}');
RESET contact_block.actor;
DROP TABLE contacts;

-- contacts as anything else than a table
CREATE TABLE real_contacts (id text);
CREATE VIEW contacts AS SELECT * FROM real_contacts;
SELECT fingerprint() AS before \gset
SELECT try('SELECT contact_block_setup()');
SELECT fingerprint() = :'before' AS untouched;
DROP VIEW contacts;
CREATE MATERIALIZED VIEW contacts AS SELECT * FROM real_contacts;
SELECT try('SELECT contact_block_setup()');
DROP MATERIALIZED VIEW contacts;

-- DROP EXTENSION is refused while the trigger is there, and CASCADE leaves the rows
SELECT contact_block_setup();
INSERT INTO contacts (id, email, status) VALUES ('1', '1@example.org', 'Blocked');
SELECT split_part(try('DROP EXTENSION contact_block'), E'\n', 1);
DROP EXTENSION contact_block CASCADE;
SELECT id, status, blocked_at IS NOT NULL AS stamped FROM contacts;
DROP SCHEMA regress_setup CASCADE;

-- a schema whose name needs quoting, and one whose quotes do too
CREATE SCHEMA "Regress {contacts} Set-Up;";
CREATE EXTENSION contact_block SCHEMA "Regress {contacts} Set-Up;";
SET search_path = "Regress {contacts} Set-Up;";
SELECT contact_document('1');
\echo :LAST_ERROR_SQLSTATE
SELECT contact_block_setup();
INSERT INTO contacts (id, email) VALUES ('1', '1@example.org');
SET search_path = '';
SELECT "Regress {contacts} Set-Up;".contact_block('1', 'spam') ->> 'blockedReason' AS reason;
ALTER SCHEMA "Regress {contacts} Set-Up;" RENAME TO "Regress ""{users.*}"" 'x' \";
SELECT "Regress ""{users.*}"" 'x' \".contact_unblock('1') ->> 'status' AS status;
ALTER TABLE "Regress ""{users.*}"" 'x' \".contacts DROP COLUMN name;
DROP TABLE "Regress ""{users.*}"" 'x' \".contact_opt_outs;
SELECT "Regress ""{users.*}"" 'x' \".contact_document('1');
SELECT "Regress ""{users.*}"" 'x' \".contact_block_setup();
ALTER TABLE "Regress ""{users.*}"" 'x' \".contacts ADD COLUMN name text;
SELECT "Regress ""{users.*}"" 'x' \".contact_block_setup();
SELECT "Regress ""{users.*}"" 'x' \".contact_document('1') ->> 'status' AS status;
DROP SCHEMA "Regress ""{users.*}"" 'x' \" CASCADE;

DROP ROLE regress_setup_owner, regress_setup_other;
