-- Calls go by key, also where the tables are small: no relation that has an
-- index for it is read whole, whatever the session does between and meanwhile.
-- And whatever is planned, the user's settings stay what they are.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_plans_one, regress_plans_two;
CREATE ROLE regress_plans_one;
CREATE ROLE regress_plans_two;
CREATE SCHEMA regress_plans;
CREATE SCHEMA regress_plans_helper;
SET search_path = regress_plans, regress_plans_helper;
CREATE EXTENSION contact_block SCHEMA regress_plans;
SELECT contact_block_setup();
-- which run queries of their own
ALTER TABLE contacts DROP CONSTRAINT contacts_user_id_fkey;
SET contact_block.actor = 'u2';
INSERT INTO accounts SELECT 'a' || i, 'Client', 'Active', 'Account', NULL FROM generate_series(1, 9) AS i;
INSERT INTO users (id, email, status, name, first_name, last_name, current_account_id)
	SELECT 'u' || i, 'u@example.org', 'Active', 'User', 'User', 'User', 'a1' FROM generate_series(1, 9) AS i;
INSERT INTO account_users SELECT 'u' || i, 'a' || i FROM generate_series(1, 9) AS i;
INSERT INTO categories SELECT 'n' || i, 'News', 'What is new', NULL FROM generate_series(1, 9) AS i;
INSERT INTO contacts (id, email, user_id) SELECT 'c' || i, 'c@example.org', 'u' || i FROM generate_series(1, 9) AS i;
INSERT INTO contact_opt_outs SELECT 'c' || i, 'n' || i, NULL FROM generate_series(1, 9) AS i;
ANALYZE;

-- how often calls of every kind read a relation whole
CREATE FUNCTION regress_plans_helper.read_whole() RETURNS bigint LANGUAGE sql
	AS $$SELECT coalesce(sum(seq_scan), 0)::bigint FROM pg_stat_xact_user_tables WHERE schemaname = 'regress_plans'$$;
CREATE FUNCTION regress_plans_helper.calls() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	before bigint := regress_plans_helper.read_whole();
BEGIN
	PERFORM regress_plans.contact_block('c1', 'spam');
	PERFORM regress_plans.contact_block('c1', 'ham');
	PERFORM regress_plans.contact_document('c1');
	PERFORM regress_plans.contact_unblock('c1');
	RETURN regress_plans_helper.read_whole() - before;
END $$;
CREATE FUNCTION regress_plans_helper.settings() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(setting, ' ' ORDER BY name) FROM pg_settings
	WHERE name IN ('enable_seqscan', 'enable_bitmapscan', 'jit') $$;
GRANT USAGE ON SCHEMA regress_plans, regress_plans_helper TO regress_plans_one, regress_plans_two;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_plans TO regress_plans_one, regress_plans_two;
GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA regress_plans TO regress_plans_one, regress_plans_two;

SET enable_seqscan = on;
SET enable_bitmapscan = on;
SET jit = on;
SELECT calls() AS first, calls() AS second;
-- after an ANALYZE, of which other sessions hear too, and a change of a table
ANALYZE contacts, users;
SELECT calls();
ALTER TABLE users ADD COLUMN extra int;
SELECT calls();
-- with another search_path, and another, and back
SET search_path = regress_plans_helper;
SELECT calls();
SET search_path = regress_plans, regress_plans_helper, pg_temp;
SELECT calls();
SET search_path = regress_plans, regress_plans_helper;
SELECT calls();
-- by other roles, with and without row security
SET ROLE regress_plans_one;
SELECT calls();
RESET ROLE;
ALTER TABLE contacts ENABLE ROW LEVEL SECURITY;
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON contacts USING (current_user <> email);
CREATE POLICY seen ON users USING (current_user <> email);
SET ROLE regress_plans_one;
SELECT calls();
SET ROLE regress_plans_two;
SELECT calls();
SET ROLE regress_plans_one;
SELECT calls();
RESET ROLE;
SELECT calls();
-- in the call after one in the middle of which the plans became invalid
CREATE FUNCTION regress_plans_helper.spoil() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN ANALYZE regress_plans.contacts, regress_plans.users; RETURN NEW; END';
CREATE TRIGGER spoil BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION spoil();
SELECT contact_block('c1') ->> 'status' AS status;
ALTER TABLE contacts DISABLE TRIGGER spoil;
SELECT contact_unblock('c1') ->> 'status' AS status;
SELECT calls();
-- (a change by hand does read it whole)
BEGIN;
SELECT read_whole() AS before \gset
UPDATE contacts SET name = name WHERE id = 'c1';
SELECT read_whole() - :before AS read_whole;
COMMIT;

-- settings of the session and the transaction are left as they are, by calls
SELECT settings();
BEGIN;
SET LOCAL enable_seqscan = off;
SET LOCAL jit = off;
ANALYZE contacts;
SELECT calls();
SELECT settings();
COMMIT;
SELECT settings();
-- and by errors in planning: a view of users that cannot be planned
ALTER TABLE users RENAME TO people;
CREATE VIEW users AS SELECT id, email, status, name, first_name, last_name, (1 / 0)::text AS icon, phone_prefix, phone_number,
	culture_code, language_code, last_login_at, current_account_id, created_at, created_by, updated_at, updated_by,
	invitation_accepted_at FROM people;
SELECT contact_document('c1');
SELECT settings();
BEGIN;
SET LOCAL enable_bitmapscan = off;
SAVEPOINT before;
SELECT contact_block('c1');
ROLLBACK TO before;
SELECT settings();
DO $$
BEGIN
	PERFORM contact_block('c1');
EXCEPTION WHEN division_by_zero THEN
	RAISE WARNING 'caught';
END $$;
SELECT settings();
COMMIT;
SELECT settings();
-- one that can be, and has no index to go by, is read whole all the same
DROP VIEW users;
CREATE VIEW users AS SELECT substr(id, 1) AS id, email, status, name, first_name, last_name, icon, phone_prefix, phone_number,
	culture_code, language_code, last_login_at, current_account_id, created_at, created_by, updated_at, updated_by,
	invitation_accepted_at FROM people;
SELECT d ->> 'status' AS status, d #>> '{user,name}' AS name, d #>> '{audit,blocked,by,name}' AS by
	FROM contact_block('c1') AS d;
SELECT contact_unblock('c1') ->> 'status' AS status;
SELECT calls() > 0 AS read_whole;
SELECT settings();

-- a view that asks for documents itself while it is planned, and stops when
-- that gets too deep
CREATE FUNCTION regress_plans_helper.depth(depth int) RETURNS void LANGUAGE sql
	AS $$SELECT set_config('regress_plans.depth', depth::text, true)$$;
CREATE FUNCTION regress_plans_helper.ask() RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
	depth int := coalesce(nullif(current_setting('regress_plans.depth', true), '')::int, 0);
BEGIN
	IF depth < 5 THEN
		PERFORM regress_plans_helper.depth(depth + 1);
		PERFORM regress_plans.contact_document('c2');
		PERFORM regress_plans_helper.depth(depth);
	END IF;
	RETURN '';
END $$;
CREATE OR REPLACE VIEW users AS SELECT id, email, status, name, first_name, last_name, icon, phone_prefix, phone_number,
	culture_code, language_code, last_login_at, current_account_id, created_at, created_by, updated_at, updated_by,
	invitation_accepted_at FROM people WHERE email > ask();
SELECT contact_document('c1') #>> '{user,name}' AS name;
SELECT contact_block('c1') #>> '{audit,blocked,by,name}' AS by;
SELECT contact_unblock('c1') ->> 'status' AS status;
SELECT settings();
DROP VIEW users;
ALTER TABLE people RENAME TO users;

-- a plan that is being run stays, however many others are made meanwhile
CREATE FUNCTION regress_plans_helper.many() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_trigger_depth() = 1 THEN
		FOR i IN 1 .. 40 LOOP
			EXECUTE 'ALTER TABLE regress_plans.users ALTER COLUMN icon TYPE ' || CASE i % 2 WHEN 0 THEN 'text' ELSE 'varchar' END;
			PERFORM regress_plans.contact_block('c2', i::text), regress_plans.contact_document('c3'), regress_plans.contact_unblock('c2');
		END LOOP;
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER many BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION many();
SELECT d ->> 'status' AS status, d ->> 'blockedReason' AS reason, d #>> '{user,name}' AS name FROM contact_block('c1', 'spam') AS d;
DROP TRIGGER many ON contacts;
CREATE TRIGGER many AFTER UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION many();
SELECT d ->> 'status' AS status, d ->> 'blockedReason' AS reason, d #>> '{user,name}' AS name FROM contact_unblock('c1') AS d;
DROP TRIGGER many ON contacts;
SELECT calls();

SET client_min_messages = error;
DROP SCHEMA regress_plans, regress_plans_helper CASCADE;
DROP ROLE regress_plans_one, regress_plans_two;
