-- Triggers, rules, views and columns of the user's own that do odd things:
-- an error or the truth, never a crash or somebody else's code.
\set SHOW_CONTEXT never
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE SCHEMA regress_strange;
CREATE SCHEMA regress_strange_hostile;
SET search_path = regress_strange;
CREATE EXTENSION contact_block SCHEMA regress_strange;
SELECT contact_block_setup();
SET contact_block.actor = 'ann';
INSERT INTO categories (id, short_description) VALUES ('1', 'one');
INSERT INTO contacts (id, email) VALUES ('1', '1@example.org'), ('2', '2@example.org');

-- an AFTER trigger that changes the contact once more: the document tells
CREATE FUNCTION after() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE contacts SET name = 'afterwards' WHERE id = NEW.id AND name IS NULL;
	INSERT INTO contact_opt_outs VALUES (NEW.id, '1') ON CONFLICT DO NOTHING;
	RETURN NULL;
END $$;
CREATE TRIGGER after AFTER UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION after();
SELECT d ->> 'name' AS name, d #>> '{optOuts,0,id}' AS opt_out
	FROM contact_block('1') AS d;
DROP TRIGGER after ON contacts;

-- a BEFORE trigger that keeps the status: refused, as when it keeps the row
CREATE FUNCTION before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.status := OLD.status;
	RETURN NEW;
END $$;
CREATE TRIGGER before BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION before();
SELECT contact_block('2');
CREATE OR REPLACE FUNCTION before() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
SELECT contact_block('2');
SELECT status, updated_at FROM contacts WHERE id = '2';
DROP TRIGGER before ON contacts;

-- a rule that returns a row without an id
CREATE TABLE other (LIKE contacts);
CREATE TRIGGER audit BEFORE UPDATE ON other FOR EACH ROW EXECUTE FUNCTION contact_audit();
INSERT INTO other SELECT * FROM contacts;
CREATE RULE elsewhere AS ON UPDATE TO contacts DO INSTEAD
	UPDATE other SET status = NEW.status WHERE id = OLD.id
	RETURNING NULL::text, email, name, status, blocked_reason, user_id, created_at, created_by, updated_at, updated_by,
		activated_at, activated_by, blocked_at, blocked_by, deleted_at, deleted_by;
SELECT contact_block('2');
DROP RULE elsewhere ON contacts;

-- a view of users whose id is there when it is looked for and gone when it is read
CREATE FUNCTION fickle() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	RETURN CASE nextval('turn') % 2 WHEN 1 THEN 'u' END;
END $$;
CREATE SEQUENCE turn;
ALTER FUNCTION fickle() STABLE;
ALTER TABLE contacts DROP CONSTRAINT contacts_user_id_fkey;
ALTER TABLE users RENAME TO old_users;
CREATE VIEW users AS SELECT fickle() AS id, '' AS email, '' AS status, '' AS name, '' AS first_name, '' AS last_name, icon,
	phone_prefix, phone_number, culture_code, language_code, last_login_at, current_account_id, created_at, created_by,
	updated_at, updated_by, invitation_accepted_at FROM old_users;
INSERT INTO old_users (id, email, status, name, first_name, last_name) VALUES ('u', '', 'Active', '', '', '');
UPDATE contacts SET user_id = 'u' WHERE id = '2';
SELECT contact_document('2');
UPDATE contacts SET user_id = NULL WHERE id = '2';

-- a missing column is an error, not a function of that name in the search_path
CREATE FUNCTION regress_strange_hostile.name(contacts) RETURNS text LANGUAGE sql AS $$SELECT 'forged'$$;
CREATE FUNCTION regress_strange_hostile.short_description(categories) RETURNS text LANGUAGE sql AS $$SELECT 'forged'$$;
SET search_path = regress_strange_hostile, regress_strange;
BEGIN;
ALTER TABLE contacts DROP COLUMN name;
SAVEPOINT s;
SELECT contact_document('1');
ROLLBACK TO s;
SELECT contact_unblock('1');
ROLLBACK;
BEGIN;
ALTER TABLE categories DROP COLUMN short_description;
SELECT contact_document('1');
ROLLBACK;

-- nor is it a column of that name of the relation that is joined
BEGIN;
INSERT INTO accounts (id, type, status, name) VALUES ('a', 'Client', 'Active', 'not theirs');
INSERT INTO old_users (id, email, status, name, first_name, last_name) VALUES ('v', '', 'Active', '', '', '');
DROP VIEW users;
ALTER TABLE old_users RENAME TO users;
INSERT INTO account_users VALUES ('v', 'a');
UPDATE contacts SET user_id = 'u' WHERE id = '1';
ALTER TABLE account_users DROP COLUMN user_id;
ALTER TABLE accounts ADD COLUMN user_id text DEFAULT 'u';
SELECT contact_document('1') #> '{user,accounts}';
ROLLBACK;

-- an id that is there twice
ALTER TABLE contact_opt_outs DROP CONSTRAINT contact_opt_outs_contact_id_fkey;
ALTER TABLE contacts DROP CONSTRAINT contacts_pkey;
INSERT INTO contacts (id, email) VALUES ('2', 'again@example.org');
SELECT contact_block('2');
SELECT contact_document('2');
SELECT DISTINCT status FROM contacts WHERE id = '2';

SET search_path = pg_catalog;
DROP SCHEMA regress_strange, regress_strange_hostile CASCADE;
