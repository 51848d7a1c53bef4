-- One session, warm all the time: whatever is done to the relations, the
-- extension or the session under it, the next call is right or a clean error.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_warm_one, regress_warm_two;
CREATE ROLE regress_warm_one;
CREATE ROLE regress_warm_two;
CREATE SCHEMA regress_warm_helper;
CREATE SCHEMA regress_warm;
SET search_path = regress_warm, regress_warm_helper;
CREATE EXTENSION contact_block SCHEMA regress_warm;
SELECT contact_block_setup();

-- run a command: "ok", or the SQLSTATE and the texts of its error
CREATE FUNCTION regress_warm_helper.try(command text) RETURNS text LANGUAGE plpgsql AS $$
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

-- block and unblock contact 1; true if its document is then what it was when
-- the session was cold
CREATE TABLE regress_warm_helper.cold (document jsonb);
CREATE FUNCTION regress_warm_helper.round() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	blocked jsonb := contact_block('1', 'spam');
BEGIN
	RETURN concat_ws(' ', blocked ->> 'status', blocked ->> 'blockedReason', blocked #>> '{audit,blocked,by,id}',
		contact_unblock('1') - 'audit' = document) FROM cold;
END $$;

SET contact_block.actor = '1';
INSERT INTO accounts VALUES ('1', 'Client', 'Active', 'Acme', '11'), ('2', 'Vendor', 'Enabled', 'Zeta', NULL);
INSERT INTO users VALUES ('1', '1@example.org', 'Active', 'Ann', 'Ann', 'Lee', '12', '1', '555', 'en-US', 'en',
	'2025-06-21 17:13:52Z', '1', '2025-01-01 01:00:00Z', '1', '2025-02-02 01:00:00Z', '2', '2025-03-03 01:00:00Z');
INSERT INTO account_users VALUES ('1', '1'), ('1', '2');
INSERT INTO categories VALUES ('1', '21', '31', '41'), ('2', NULL, '32', NULL);
INSERT INTO contacts (id, email, name, user_id) VALUES ('1', '1@example.org', '51', '1'), ('2', '2@example.org', NULL, NULL);
INSERT INTO contact_opt_outs VALUES ('1', '1', '2025-06-21 01:00:00Z'), ('1', '2', NULL);
INSERT INTO cold SELECT contact_document('1') - 'audit';
SELECT round();

-- ALTER TABLE ADD and DROP COLUMN, on each relation
CREATE TABLE regress_warm_helper.relations AS
	SELECT unnest('{accounts,users,account_users,categories,contacts,contact_opt_outs}'::name[]) AS relation;
SELECT format('ALTER TABLE %I ADD COLUMN first_extra int DEFAULT 1, ADD COLUMN last_extra text', relation) FROM relations
\gexec
SELECT round();
SELECT format('ALTER TABLE %I DROP COLUMN first_extra', relation) FROM relations
\gexec
SELECT round();

-- a column that is needed goes: an error; comes back: fine
ALTER TABLE contacts DROP COLUMN name;
SELECT left(try('SELECT contact_document($$1$$)'), 5) AS document, left(try('SELECT contact_block($$1$$)'), 5) AS block;
ALTER TABLE contacts ADD COLUMN name text DEFAULT '51';
ALTER TABLE contacts ALTER COLUMN name DROP DEFAULT;
SELECT round();
ALTER TABLE contacts DROP COLUMN activated_by;
SELECT left(try('SELECT contact_document($$1$$)'), 5) AS document, left(try('SELECT contact_block($$1$$)'), 5) AS block;
ALTER TABLE contacts ADD COLUMN activated_by text;
SELECT round();

-- ALTER COLUMN TYPE of each column, one at a time and rolled back afterwards:
-- the document is the same, or there is an error
SET client_min_messages = error;
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
	WHERE connamespace = 'regress_warm'::regnamespace AND contype IN ('f', 'c')
	ORDER BY conrelid::regclass::text COLLATE "C", conname COLLATE "C"
\gexec
SET client_min_messages = warning;
ALTER TABLE contacts ALTER COLUMN status DROP DEFAULT;
CREATE FUNCTION regress_warm_helper.try_with(alterations text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE alterations;
	BEGIN
		IF alterations LIKE 'ALTER TABLE contacts %' THEN
			PERFORM contact_block('1', 'spam'), contact_unblock('1');
		END IF;
		SELECT CASE WHEN contact_document('1') - 'audit' = document THEN 'same' ELSE 'another' END INTO result FROM cold;
	EXCEPTION WHEN OTHERS THEN
		result := SQLSTATE;
	END;
	RAISE 'done';
EXCEPTION WHEN raise_exception THEN
	RETURN result;
END $$;
CREATE TABLE regress_warm_helper.columns AS
	SELECT relname, attnum, attname, atttypid = 'text'::regtype AS is_text,
		attname LIKE '%id' OR relname = 'contacts' AND attname IN ('status', 'blocked_reason') AS is_key
	FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
	WHERE relnamespace = 'regress_warm'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
		AND attname <> 'last_extra';
-- those of a relation at once, as they may well be
SELECT relname, try_with(format('ALTER TABLE %I ', relname)
		|| string_agg(format('ALTER COLUMN %I TYPE varchar(40)', attname), ', ')) AS varchar
	FROM columns WHERE is_text GROUP BY relname ORDER BY relname COLLATE "C";
SELECT relname, try_with(format('ALTER TABLE %I ', relname)
		|| string_agg(format('ALTER COLUMN %1$I TYPE timestamp USING %1$I AT TIME ZONE ''UTC''', attname), ', ')) AS timestamp
	FROM columns WHERE NOT is_text GROUP BY relname ORDER BY relname COLLATE "C";
-- and as they should not be: those that are only shown
SELECT relname, try_with(format('ALTER TABLE %I ', relname) || string_agg(format('ALTER COLUMN %1$I TYPE int USING '
		|| $$CASE WHEN %1$I ~ '^\d+$' THEN %1$I::int WHEN %1$I IS NOT NULL THEN 0 END$$, attname), ', ')) AS int
	FROM columns WHERE is_text AND NOT is_key GROUP BY relname ORDER BY relname COLLATE "C";
SELECT relname, try_with(format('ALTER TABLE %I ', relname) || string_agg(
		format('ALTER COLUMN %1$I TYPE int USING extract(epoch FROM %1$I)', attname), ', ')) AS int
	FROM columns WHERE NOT is_text GROUP BY relname ORDER BY relname COLLATE "C";
-- and those that are compared, each alone
SELECT relname, attname, try_with(format('ALTER TABLE %I ALTER COLUMN %2$I TYPE int USING '
		|| $$CASE WHEN %2$I ~ '^\d+$' THEN %2$I::int WHEN %2$I IS NOT NULL THEN 0 END$$, relname, attname)) AS int,
	try_with(format('ALTER TABLE %I ALTER COLUMN %2$I TYPE uuid USING md5(%2$I)::uuid', relname, attname)) AS uuid
	FROM columns WHERE is_key ORDER BY relname COLLATE "C", attnum;
-- and once for good
ALTER TABLE contacts ALTER COLUMN id TYPE int USING id::int;
SELECT round();
ALTER TABLE contacts ALTER COLUMN id TYPE varchar(9);
SELECT round();
ALTER TABLE contacts ALTER COLUMN id TYPE text COLLATE "C";
SELECT round();

-- a table in another place, a view or a table of the same name in its place
SELECT format('ALTER TABLE %I RENAME TO %I', relation, 'my_' || relation),
	format('CREATE VIEW %I AS SELECT * FROM %I', relation, 'my_' || relation), 'SELECT round()',
	format('DROP VIEW %I', relation), 'SELECT try($$SELECT contact_block($_$1$_$)$$)',
	format('ALTER TABLE %I RENAME TO %I', 'my_' || relation, relation)
	FROM relations
\gexec
SELECT round();
CREATE TEMPORARY TABLE contacts (id text);
CREATE TEMPORARY TABLE users (id int);
SELECT round();
DROP TABLE pg_temp.contacts, pg_temp.users;

-- the schema gets another name, and another one its name
ALTER SCHEMA regress_warm RENAME TO regress_warm_renamed;
SET search_path = regress_warm_renamed, regress_warm_helper;
SELECT round();
CREATE SCHEMA regress_warm;
CREATE TABLE regress_warm.contacts AS SELECT * FROM contacts;
SELECT round();
SELECT c.updated_at < d.updated_at AS untouched FROM regress_warm.contacts c, contacts d WHERE c.id = '1' AND d.id = '1';
DROP SCHEMA regress_warm CASCADE;
BEGIN;
ALTER SCHEMA regress_warm_renamed RENAME TO regress_warm;
SET LOCAL search_path = regress_warm, regress_warm_helper;
SELECT round();
ROLLBACK;
SELECT round();
ALTER SCHEMA regress_warm_renamed RENAME TO regress_warm;
SET search_path = regress_warm, regress_warm_helper;
SELECT round();

-- the extension goes and comes back: in this schema
DROP EXTENSION contact_block CASCADE;
CREATE EXTENSION contact_block SCHEMA regress_warm;
SELECT try('SELECT contact_block($$1$$)');
SELECT status FROM contacts WHERE id = '1';
SELECT contact_document('1') - 'audit' = document AS same FROM cold;
SELECT contact_block_setup();
SELECT round();
-- in another one
CREATE SCHEMA regress_warm_other;
DROP EXTENSION contact_block CASCADE;
CREATE EXTENSION contact_block SCHEMA regress_warm_other;
SELECT try('SELECT regress_warm_other.contact_block($$1$$)');
SELECT regress_warm_other.contact_block_setup();
SELECT try('SELECT regress_warm_other.contact_block($$1$$)');
INSERT INTO regress_warm_other.contacts (id, email) VALUES ('1', 'other@example.org');
SELECT regress_warm_other.contact_block('1') ->> 'email' AS email;
SELECT status FROM contacts WHERE id = '1';
-- and back
DROP EXTENSION contact_block CASCADE;
CREATE EXTENSION contact_block SCHEMA regress_warm;
SELECT contact_block_setup();
SELECT round();
DROP SCHEMA regress_warm_other CASCADE;

-- a relation goes and comes back empty
DROP TABLE contact_opt_outs;
SELECT try('SELECT contact_block($$1$$)');
SELECT contact_block_setup();
SELECT contact_document('1') -> 'optOuts' AS "optOuts";
INSERT INTO contact_opt_outs VALUES ('1', '1', '2025-06-21 01:00:00Z'), ('1', '2', NULL);
SELECT round();
BEGIN;
DROP TABLE contacts CASCADE;
SELECT contact_block_setup();
SELECT try('SELECT contact_block($$1$$)');
ROLLBACK;
SELECT round();

-- the session is reset
DISCARD PLANS;
SELECT round();
DISCARD ALL;
SET search_path = regress_warm, regress_warm_helper;
SET client_min_messages = warning;
SELECT contact_block('1') #>> '{audit,blocked,by,id}' = session_user AS "right", contact_unblock('1') ->> 'status' AS status;
SET contact_block.actor = '1';
SELECT round();
RESET contact_block.actor;

-- one role after another, each with its rights and its name
GRANT USAGE ON SCHEMA regress_warm, regress_warm_helper TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_warm TO regress_warm_one, regress_warm_two;
GRANT SELECT ON ALL TABLES IN SCHEMA regress_warm TO regress_warm_one;
GRANT SELECT (id, status, blocked_reason) ON contacts TO regress_warm_two;
GRANT UPDATE (status, blocked_reason) ON contacts TO regress_warm_one, regress_warm_two;
SET ROLE regress_warm_one;
SELECT contact_block('2') #> '{audit,blocked,by}' AS by, contact_document('2') #> '{$meta,omitted}' AS omitted;
SET ROLE regress_warm_two;
SELECT contact_unblock('2') AS two;
SET ROLE regress_warm_one;
SELECT contact_document('2') #> '{audit,activated,by}' AS by, contact_document('2') #> '{$meta,omitted}' AS omitted;
SET ROLE regress_warm_two;
BEGIN;
SET LOCAL contact_block.actor = 'me';
SELECT contact_block('2') ->> 'status' AS status;
COMMIT;
SELECT contact_unblock('2') ->> 'status' AS status;
RESET ROLE;
SELECT blocked_by, activated_by FROM contacts WHERE id = '2';
REVOKE EXECUTE ON FUNCTION contact_block(text) FROM regress_warm_one;
SET ROLE regress_warm_one;
SELECT try('SELECT contact_block($$2$$)');
RESET ROLE;
SET contact_block.actor = '1';

-- stopped or failed in the middle: before the row is stamped, after it, and
-- while the document is made
CREATE FUNCTION regress_warm_helper.trouble() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	CASE current_setting('regress.trouble', true) || ' ' || TG_WHEN
		WHEN 'sleep BEFORE', 'late sleep AFTER' THEN PERFORM pg_sleep(600);
		WHEN 'error BEFORE', 'late error AFTER' THEN RAISE 'trouble';
		ELSE
	END CASE;
	RETURN NEW;
END $$;
CREATE TRIGGER before BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION trouble();
CREATE TRIGGER after AFTER UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION trouble();
SELECT round();
SELECT c::text AS before FROM contacts c WHERE id = '1' \gset
SET regress.trouble = 'sleep';
SET statement_timeout = '300ms';
SELECT contact_block('1');
RESET statement_timeout;
SET regress.trouble = 'late sleep';
SET statement_timeout = '300ms';
SELECT contact_block('1');
RESET statement_timeout;
SET regress.trouble = 'error';
SELECT contact_block('1', 'spam');
SET regress.trouble = 'late error';
SELECT contact_block('1', 'spam');
SELECT c::text = :'before' AS untouched FROM contacts c WHERE id = '1';
SET regress.trouble = '';
SELECT round();
ALTER TABLE categories RENAME TO my_categories;
CREATE VIEW categories AS SELECT id, name, (1 / (id::int - 2))::text AS short_description, icon FROM my_categories;
SELECT c::text AS before FROM contacts c WHERE id = '1' \gset
SELECT try('SELECT contact_block($$1$$)');
SELECT c::text = :'before' AS untouched FROM contacts c WHERE id = '1';
DROP VIEW categories;
ALTER TABLE my_categories RENAME TO categories;
SELECT round();

-- a savepoint rolled back, with a setting and a change of a column in it
BEGIN;
SELECT contact_block('1', 'spam') ->> 'status' AS status;
SAVEPOINT s;
SET LOCAL contact_block.actor = '2';
ALTER TABLE contacts ALTER COLUMN name TYPE int USING name::int;
SELECT contact_unblock('1') #>> '{audit,activated,by,id}' AS by;
ROLLBACK TO s;
SELECT contact_document('1') ->> 'status' AS status;
SAVEPOINT s2;
SET LOCAL regress.trouble = 'error';
SELECT contact_unblock('1');
ROLLBACK TO s2;
SELECT contact_unblock('1') #>> '{audit,activated,by,id}' AS by;
COMMIT;
SELECT round();

DROP SCHEMA regress_warm, regress_warm_helper CASCADE;
DROP ROLE regress_warm_one, regress_warm_two;
