-- contacts as a view over a table of other names, in another schema: set-up
-- writes the trigger, everything works as with a table, and what is wrong with
-- the view or the table under it is found.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_adopt_view_owner, regress_adopt_view_other, regress_adopt_view_clerk;
CREATE ROLE regress_adopt_view_owner;
CREATE ROLE regress_adopt_view_other;
CREATE ROLE regress_adopt_view_clerk;
CREATE SCHEMA regress_adopt_view;
CREATE SCHEMA "Regress App's";
SET search_path = regress_adopt_view;
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
	END LOOP;
	RAISE INFO '%', coalesce(nullif(found, 'ok'), calls(id));
END $$;

-- a table with gaps between its columns, in an order of its own
CREATE TYPE "Regress App's"."State" AS ENUM ('active', 'blocked', 'deleted');
CREATE DOMAIN "Regress App's".number AS bigint;
CREATE SEQUENCE numbers;
CREATE TABLE "Regress App's"."Per""sons" (gone int, mail varchar(99) NOT NULL, "a=b" timestamptz, gone2 text,
	"State" "Regress App's"."State" NOT NULL DEFAULT 'active', "Why?" varchar(9),
	"Person's Id" "Regress App's".number DEFAULT nextval('numbers') PRIMARY KEY,
	updated_at timestamp NOT NULL DEFAULT now(), created timestamptz NOT NULL DEFAULT now(), created_by int,
	changed_by text, activated timestamptz(3), activated_by text, blocked_by text, deleted_by text, deleted timestamptz)
	WITH (fillfactor = 40);
ALTER TABLE "Regress App's"."Per""sons" DROP COLUMN gone, DROP COLUMN gone2;
INSERT INTO "Regress App's"."Per""sons" (mail, updated_at, created) VALUES ('1@example.org', '2020-02-02', '2020-02-02');
CREATE VIEW contacts AS SELECT "Why?" AS blocked_reason, deleted AS deleted_at, deleted_by, created AS created_at, blocked_by,
	"a=b" AS blocked_at, "Person's Id" AS id, mail AS email, 'nobody' AS user_id, upper(mail) AS name, "State" AS status,
	updated_at, changed_by AS updated_by, activated AS activated_at, activated_by, created_by, 7 AS mine
	FROM "Regress App's"."Per""sons";
SET contact_block.actor = '7';
CALL adopt('1');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgfoid = 'contact_audit'::regproc;
SELECT pg_get_constraintdef(oid) FROM pg_constraint
	WHERE connamespace = 'regress_adopt_view'::regnamespace AND contype = 'f' AND confrelid = '"Regress App''s"."Per""sons"'::regclass;
-- through the view, and through the table
INSERT INTO contacts (email) VALUES ('2@example.org');
INSERT INTO "Regress App's"."Per""sons" (mail) VALUES ('3@example.org');
UPDATE contacts SET status = 'blocked', blocked_reason = 'view' WHERE id = 2;
UPDATE "Regress App's"."Per""sons" SET "State" = 'blocked', "Why?" = 'table' WHERE "Person's Id" = 3;
SELECT id, status, blocked_reason, created_by, updated_at BETWEEN timezone('UTC', now()) - interval '1 hour' AND timezone('UTC', now()) + interval '1 hour' AS updated,
	blocked_at IS NOT NULL AS blocked FROM contacts ORDER BY id;
SELECT try('UPDATE contacts SET status = ''active'' WHERE id = 2');
SELECT id, calls(id::text) FROM (SELECT contact_unblock(id::text) ->> 'id' AS id FROM contacts WHERE id > 1) AS unblocked ORDER BY id;
SELECT contact_document('1') #- '{audit}';
SELECT contact_document('01');
-- again: nothing is touched
SELECT string_agg(xmin::text, ',' ORDER BY oid) AS before FROM pg_trigger \gset
SELECT contact_block_setup();
SELECT string_agg(xmin::text, ',' ORDER BY oid) = :'before' AS untouched FROM pg_trigger;

-- a change is heap-only
INSERT INTO contacts (email) SELECT n || '@example.org' FROM generate_series(4, 100) AS n;
DO $$ BEGIN PERFORM contact_block(id::text) FROM contacts WHERE status = 'active'; END $$;
BEGIN;
SELECT pg_stat_get_xact_tuples_updated('"Regress App''s"."Per""sons"'::regclass) AS updated,
	pg_stat_get_xact_tuples_hot_updated('"Regress App''s"."Per""sons"'::regclass) AS hot \gset
SELECT contact_unblock('50') ->> 'status' AS status;
SELECT pg_stat_get_xact_tuples_updated('"Regress App''s"."Per""sons"'::regclass) - :updated AS updated,
	pg_stat_get_xact_tuples_hot_updated('"Regress App''s"."Per""sons"'::regclass) - :hot AS hot;
COMMIT;

-- rights are those to the view, if it is not security_invoker
GRANT USAGE ON SCHEMA regress_adopt_view, "Regress App's" TO regress_adopt_view_clerk;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_adopt_view TO regress_adopt_view_clerk;
GRANT SELECT (id, status, email), UPDATE (status, blocked_reason) ON contacts TO regress_adopt_view_clerk;
GRANT SELECT ON contact_opt_outs, categories TO regress_adopt_view_clerk;
SET ROLE regress_adopt_view_clerk;
SELECT contact_block('50', 'why');
RESET ROLE;
-- with it they are to both
ALTER VIEW contacts SET (security_invoker);
SELECT contact_block_setup();
SET ROLE regress_adopt_view_clerk;
SELECT try('SELECT contact_unblock(''50'')');
RESET ROLE;
GRANT SELECT, UPDATE ("State", "Why?") ON "Regress App's"."Per""sons" TO regress_adopt_view_clerk;
SET ROLE regress_adopt_view_clerk;
SELECT contact_unblock('50');
RESET ROLE;
-- and so is row security
ALTER TABLE "Regress App's"."Per""sons" ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON "Regress App's"."Per""sons" USING ("Person's Id" < 60);
SET ROLE regress_adopt_view_clerk;
SELECT contact_block('50') ->> 'status' AS status;
SELECT contact_block('70') ->> 'status' AS status;
RESET ROLE;
ALTER VIEW contacts RESET (security_invoker);
CALL adopt('70');
ALTER TABLE "Regress App's"."Per""sons" DISABLE ROW LEVEL SECURITY;

-- a column of the table has another name now: which argument that is about, when
-- something is written, and at set-up, which knows what to run
ALTER TABLE "Regress App's"."Per""sons" RENAME COLUMN "State" TO state;
SELECT try('SELECT contact_unblock(''71'')');
SELECT contact_document('71') ->> 'status' AS status;
UPDATE contacts SET status = 'blocked' WHERE false;
CALL adopt('71');
UPDATE "Regress App's"."Per""sons" SET mail = 'new' WHERE "Person's Id" = 71;
-- the same of the view's
ALTER VIEW contacts RENAME COLUMN blocked_reason TO why;
SELECT try('SELECT contact_unblock(''72'')');
SELECT try('SELECT contact_block_setup()');
ALTER VIEW contacts RENAME COLUMN why TO blocked_reason;
SELECT contact_unblock('72') ->> 'status' AS status;
CALL adopt('72');
DROP VIEW contacts;
DROP TABLE contact_opt_outs, "Regress App's"."Per""sons";

-- over partitions in several schemas, each with its columns in another order
SET contact_block.actor = 'tester';
CREATE TABLE people (id uuid PRIMARY KEY, email text NOT NULL, name text, state text NOT NULL DEFAULT 'Active', blocked_reason text, user_id int,
	created_at timestamptz NOT NULL, created_by text, updated_at timestamptz, updated_by text, activated_at timestamptz, activated_by text,
	blocked_at timestamptz, blocked_by text, deleted_at timestamptz, deleted_by text) PARTITION BY HASH (id);
CREATE TABLE "Regress App's".people1 PARTITION OF people FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE "Regress App's".people2 (deleted_by text, gone int, deleted_at timestamptz, blocked_at timestamptz, blocked_by text,
	id uuid NOT NULL, email text NOT NULL, name text, state text NOT NULL DEFAULT 'Active', blocked_reason text, user_id int,
	created_at timestamptz NOT NULL, created_by text, updated_at timestamptz, updated_by text, activated_at timestamptz, activated_by text);
ALTER TABLE "Regress App's".people2 DROP COLUMN gone;
ALTER TABLE people ATTACH PARTITION "Regress App's".people2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE VIEW contacts AS SELECT id, email, name, state AS status, blocked_reason, user_id, created_at, created_by, updated_at, updated_by,
	activated_at, activated_by, blocked_at, blocked_by, deleted_at, deleted_by FROM people;
SELECT contact_block_setup();
INSERT INTO contacts (id, email, status) SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, n, 'Active' FROM generate_series(1, 8) AS n;
SELECT count(DISTINCT tableoid) AS partitions FROM people;
SELECT id, calls(upper(id::text)) FROM contacts ORDER BY id;
SELECT count(*) FROM people WHERE state = 'Deleted' AND deleted_by = 'tester' AND blocked_by = 'tester' AND created_by = 'tester';
DROP VIEW contacts;
DROP TABLE contact_opt_outs, people;

-- what is wrong with a view of contacts
CREATE TABLE people (id text PRIMARY KEY, email text, name text, status text, blocked_reason text, user_id text,
	created_at timestamptz, created_by text, updated_at timestamptz, updated_by text, activated_at timestamptz, activated_by text,
	blocked_at timestamptz, blocked_by text, deleted_at timestamptz, deleted_by text) WITH (fillfactor = 40);
INSERT INTO people (id, email, status) VALUES ('1', '1@example.org', 'Active');
CREATE FUNCTION try_view(definition text, options text = '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('CREATE VIEW contacts %s AS %s', options, definition);
	result := try('SELECT contact_block_setup()');
	DROP VIEW contacts;
	RETURN result;
END $$;
SELECT try_view('SELECT * FROM people WHERE status <> ''Deleted''');
SELECT try_view('SELECT * FROM people', 'WITH (check_option = local)');
CREATE VIEW others AS SELECT * FROM people;
SELECT try_view('SELECT * FROM others');
SELECT try_view('SELECT people.* FROM people JOIN users ON true');
SELECT try_view('SELECT DISTINCT * FROM people');
SELECT try_view('SELECT * FROM people LIMIT 7');
SELECT try_view('SELECT * FROM people UNION ALL SELECT * FROM people');
SELECT try_view('TABLE users');
SELECT try_view('SELECT 1 AS id');
SELECT try_view('SELECT * FROM (VALUES (1)) AS v (id)');
SELECT try_view('SELECT 1 AS id FROM generate_series(1, 2)');
-- expressions, casts too, and the same column twice
SELECT try_view('SELECT id, email, name, status::varchar, blocked_reason, user_id, created_at, created_by, updated_at, updated_by,
	activated_at, activated_by, blocked_at, blocked_by, deleted_at, deleted_by FROM people');
SELECT try_view('SELECT md5(id) AS id, email, name, CASE WHEN deleted_at IS NULL THEN status ELSE ''Deleted'' END AS status, blocked_reason,
	user_id, created_at, created_by, updated_at, NULL AS updated_by, activated_at, activated_by, updated_at AS blocked_at, blocked_by,
	deleted_at, deleted_by FROM people');
-- missing columns, and a table without a key
CREATE TABLE keyless AS SELECT * FROM people;
SELECT try_view('SELECT id, email, status, created_at FROM keyless');
-- types, whose change takes the view away
CREATE TABLE typed AS SELECT id::char(9), email, name, 1.5 AS status, blocked_reason, user_id, created_at, created_by, updated_at, updated_by,
	activated_at, activated_by, blocked_at, blocked_by, deleted_at, deleted_by FROM people;
SELECT try_view('SELECT * FROM typed');
-- rows and words, as with a table
UPDATE people SET status = 'active', deleted_at = '2021-01-01';
ALTER TABLE people RENAME status TO state;
SELECT try_view('SELECT id, email, name, state AS status, blocked_reason, user_id, created_at, created_by, updated_at, updated_by,
	activated_at, activated_by, blocked_at, blocked_by, deleted_at, deleted_by FROM people');
UPDATE people SET state = 'Active', deleted_at = NULL;
-- with an INSTEAD OF trigger, or a rule
CREATE VIEW contacts AS SELECT id, email, name, state AS status, blocked_reason, user_id, created_at, created_by, updated_at, updated_by,
	activated_at, activated_by, blocked_at, blocked_by, deleted_at, deleted_by FROM people ORDER BY email;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER instead INSTEAD OF UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION instead();
SELECT try('SELECT contact_block_setup()');
DROP TRIGGER instead ON contacts;
CREATE RULE instead AS ON UPDATE TO contacts DO INSTEAD NOTHING;
SELECT try('SELECT contact_block_setup()');
DROP RULE instead ON contacts;
CALL adopt('1');
-- a view that has become one of these
CREATE OR REPLACE VIEW contacts AS SELECT id, email, name, state AS status, blocked_reason, user_id, created_at, created_by, updated_at, updated_by,
	activated_at, activated_by, blocked_at, blocked_by, deleted_at, deleted_by FROM people WHERE state IN ('Active', 'Blocked');
INSERT INTO people (id, email, state) VALUES ('3', '3@example.org', 'Active');
SELECT contact_document('3') ->> 'status' AS status;
SELECT try('SELECT contact_block(''3'')');
SELECT try('SELECT contact_block_setup()');
CREATE OR REPLACE VIEW contacts AS SELECT id, email, name, state AS status, blocked_reason, user_id, created_at, created_by, updated_at, updated_by,
	activated_at, activated_by, blocked_at, blocked_by, deleted_at, deleted_by FROM people;
CALL adopt('3');
DROP TABLE contact_opt_outs;

-- the table is somebody else's, or the view is
GRANT ALL ON SCHEMA regress_adopt_view TO regress_adopt_view_owner;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_adopt_view TO regress_adopt_view_owner;
DROP TABLE account_users, users, categories, accounts;
ALTER TABLE people OWNER TO regress_adopt_view_other;
GRANT ALL ON people TO regress_adopt_view_owner;
ALTER VIEW contacts OWNER TO regress_adopt_view_owner;
SET ROLE regress_adopt_view_owner;
SELECT try('SELECT contact_block_setup()');
RESET ROLE;
ALTER TABLE people OWNER TO regress_adopt_view_owner;
ALTER VIEW contacts OWNER TO regress_adopt_view_other;
SET ROLE regress_adopt_view_owner;
SELECT try('SELECT contact_block_setup()');
RESET ROLE;
ALTER VIEW contacts OWNER TO regress_adopt_view_owner;
SET ROLE regress_adopt_view_owner;
SELECT try('SELECT contact_block_setup()');
RESET ROLE;

-- all the others as views: set-up does not mind what they are over
DROP TABLE contact_opt_outs, account_users, users, categories, accounts;
CREATE VIEW accounts AS SELECT '1'::text AS id, NULL AS type, NULL AS status, NULL AS name, NULL AS icon;
CREATE VIEW users AS SELECT 1 AS id, NULL AS email, NULL AS status, NULL AS name, NULL AS first_name, NULL AS last_name, NULL AS icon,
	NULL AS phone_prefix, NULL AS phone_number, NULL AS culture_code, NULL AS language_code, NULL::timestamptz AS last_login_at,
	'1'::text AS current_account_id, NULL::timestamptz AS created_at, NULL AS created_by, NULL::timestamptz AS updated_at, NULL AS updated_by,
	NULL::timestamptz AS invitation_accepted_at UNION SELECT 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
	NULL, NULL, NULL;
CREATE VIEW categories AS SELECT 'c'::varchar AS id, NULL AS name, NULL AS short_description, NULL AS icon;
CREATE VIEW contact_opt_outs AS SELECT id AS contact_id, 'c'::text AS category_id, NULL::timestamptz AS last_used FROM people;
INSERT INTO people (id, email, state, user_id) VALUES ('2', '2@example.org', 'Active', '2');
CALL adopt('2');
SELECT jsonb_path_query_array(contact_document('2'), '$.optOuts[*].id') AS categories, contact_document('2') #> '{user,accounts}' AS accounts;

DROP SCHEMA regress_adopt_view, "Regress App's" CASCADE;
DROP ROLE regress_adopt_view_owner, regress_adopt_view_other, regress_adopt_view_clerk;
