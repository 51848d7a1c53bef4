-- The events of many contacts in one call are written by one INSERT, at the end
-- of the UPDATE; where somebody looks for them before, one by one.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_history_bulk;
SET search_path = regress_history_bulk;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
SELECT contact_history_setup();
SET contact_block.actor = 'ann';
INSERT INTO contacts (id, email, status)
	SELECT 'c' || n, '', CASE WHEN n = 3 THEN 'New' ELSE 'Active' END FROM generate_series(1, 9) AS n;

-- how many INSERTs there are, and of how many rows
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE WARNING 'an INSERT, of % rows', (SELECT count(*) FROM rows);
	RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON contact_events REFERENCING NEW TABLE AS rows
	FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE VIEW events AS
	SELECT row_number() OVER (ORDER BY e.seq) AS n, e.contact_id, e.by, e.old_status, e.status, e.reason,
		e.txid = pg_current_xact_id_if_assigned() AS mine, e.at = c.updated_at AS is_last
	FROM contact_events AS e JOIN contacts AS c ON c.id = e.contact_id WHERE e.old_status IS NOT NULL;

BEGIN;
SELECT * FROM contacts_block('{c5,c1,c3,c9,nobody,c1}', 'spam');
SELECT * FROM events;
-- a retry leaves none
SELECT * FROM contacts_block('{c5,c1}', 'spam');
-- another reason; the one that is New stays
SELECT * FROM contacts_block('{c5,c3}', 'fraud');
SELECT * FROM contacts_unblock('{c5,c9}');
SELECT * FROM contacts_delete('{c9,c1}');
SELECT * FROM events WHERE n > 3;
SAVEPOINT s;
SELECT * FROM contacts_block('{c6,c7}');
ROLLBACK TO s;
SELECT count(*) FROM events;
-- a single one, and none at all
SELECT * FROM contacts_block('{c6}');
SELECT * FROM contacts_block('{}');
COMMIT;
TRUNCATE contact_events;

-- a trigger on contact_events that blocks another contact, which is no part of
-- the call, by a plain statement
CREATE FUNCTION block_c8() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE contacts SET status = 'Blocked', blocked_reason = NEW.contact_id WHERE id = 'c8' AND status = 'Active';
	RETURN NULL;
END $$;
CREATE TRIGGER block_c8 AFTER INSERT ON contact_events FOR EACH ROW EXECUTE FUNCTION block_c8();
SELECT * FROM contacts_block('{c2,c4}');
SELECT contact_id, old_status, status, reason FROM contact_events ORDER BY seq;
-- one of the call itself: its answer is what it has become
CREATE OR REPLACE FUNCTION block_c8() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE contacts SET status = 'Deleted' WHERE id = 'c8' AND status <> 'Deleted';
	RETURN NULL;
END $$;
SELECT * FROM contacts_unblock('{c2,c8}');
SELECT contact_id, old_status, status, reason FROM contact_events ORDER BY seq;
DROP TRIGGER block_c8 ON contact_events;

-- a trigger on contacts that looks for the events of the rows before
TRUNCATE contact_events;
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE WARNING '%: % events', NEW.id, (SELECT count(*) FROM contact_events);
	RETURN NULL;
END $$;
CREATE TRIGGER zzzz_look AFTER UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION look();
SELECT * FROM contacts_block('{c2,c6,c7}');
DROP TRIGGER zzzz_look ON contacts;

-- its owner's rights, and what it cannot hold
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
ALTER TABLE contact_events ADD CHECK (contact_id <> 'c7') NOT VALID;
SELECT split_part(try($$SELECT * FROM contacts_unblock('{c2,c6,c7}')$$), E'\n', 1) AS error;
SELECT string_agg(id, ' ' ORDER BY id) AS blocked FROM contacts WHERE status = 'Blocked';
DROP TABLE contact_events CASCADE;
CREATE TABLE contact_events (txid xid8 NOT NULL, seq bigserial, contact_id text NOT NULL, at timestamptz NOT NULL,
	by text NOT NULL, old_status text, status text NOT NULL, reason text, PRIMARY KEY (txid, seq, at)) PARTITION BY RANGE (at);
SELECT contact_history_setup();
SELECT regexp_replace(try($$SELECT * FROM contacts_unblock('{c2,c6,c7}')$$), '= \(.*\)', '= (now)');
CREATE TABLE all_events PARTITION OF contact_events DEFAULT;
SELECT * FROM contacts_unblock('{c2,c6,c7}');
SELECT contact_id, old_status, status, reason FROM contact_events ORDER BY seq;

-- other types
DROP TABLE contacts, contact_events CASCADE;
CREATE TABLE contacts (id int PRIMARY KEY, email text, name text, status varchar(10), blocked_reason text, user_id text,
	created_at timestamp(3), created_by text, updated_at timestamp(3), updated_by varchar, activated_at timestamp(3),
	activated_by text, blocked_at timestamp(3), blocked_by text, deleted_at timestamp(3), deleted_by text);
SELECT contact_block_setup();
SELECT contact_history_setup();
INSERT INTO contacts (id, email, status) SELECT n, '', 'Active' FROM generate_series(1, 12) AS n;
SELECT * FROM contacts_block('{10,9,x,2}', 'spam');
SELECT e.contact_id, e.at = c.updated_at AT TIME ZONE 'UTC' AS is_last, e.by, e.old_status, e.status, e.reason
FROM contact_events AS e JOIN contacts AS c ON c.id = e.contact_id WHERE old_status IS NOT NULL ORDER BY seq;

SET client_min_messages = warning;
DROP SCHEMA regress_history_bulk CASCADE;
