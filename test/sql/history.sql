-- The history of contacts: contact_history_setup, what it makes and what it
-- takes, and that every path leaves exactly one row for each event.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_history_owner, regress_history_other;
CREATE ROLE regress_history_owner;
CREATE ROLE regress_history_other;
CREATE SCHEMA regress_history AUTHORIZATION regress_history_owner;
SET search_path = regress_history;
CREATE EXTENSION contact_block;
GRANT USAGE, CREATE ON SCHEMA regress_history TO regress_history_other;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_history TO regress_history_owner, regress_history_other;

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

-- Set-up: after that of contacts, by their owner.
SET ROLE regress_history_owner;
SELECT try('SELECT contact_history_setup()');
SELECT contact_block_setup();
SET ROLE regress_history_other;
SELECT try('SELECT contact_history_setup()');
RESET ROLE;
SELECT to_regclass('contact_events') AS nothing_made;
BEGIN;
DROP TRIGGER zzz_contact_audit ON contacts;
SELECT try('SELECT contact_history_setup()');
ROLLBACK;
INSERT INTO contacts (id, email) VALUES ('before', 'b@example.org');
-- (what a superuser makes is the owner's)
SELECT contact_history_setup();
SET ROLE regress_history_owner;
SELECT contact_history_setup();
SELECT attname AS column, format_type(atttypid, atttypmod) AS type, attnotnull AS not_null, attidentity AS identity, collname AS collation
	FROM pg_attribute LEFT JOIN pg_collation AS c ON c.oid = attcollation AND attcollation <> 100
	WHERE attrelid = 'contact_events'::regclass AND attnum > 0 ORDER BY attnum;
SELECT pg_get_indexdef(indexrelid) AS index FROM pg_index WHERE indrelid = 'contact_events'::regclass ORDER BY 1;
SELECT relname, relowner::regrole AS owner, relacl FROM pg_class
	WHERE relname LIKE 'contact_events%' AND relkind IN ('r', 'S') AND relnamespace = 'regress_history'::regnamespace ORDER BY 1;
SELECT tgname, pg_get_triggerdef(oid) AS definition FROM pg_trigger WHERE tgfoid = 'contact_record()'::regprocedure;
SELECT count(*) AS of_what_was_there FROM contact_events;

-- the trigger is there, but does not fire
SELECT try('ALTER TABLE contacts DISABLE TRIGGER zzz_contact_record; SELECT contact_history_setup()');
SELECT try('ALTER TABLE contacts ENABLE REPLICA TRIGGER zzz_contact_record; SELECT contact_history_setup()');
SELECT try('DROP TRIGGER zzz_contact_record ON contacts;
	CREATE TRIGGER mine AFTER INSERT OR UPDATE OF status ON contacts FOR EACH ROW EXECUTE FUNCTION contact_record();
	SELECT contact_history_setup()');
RESET ROLE;

-- The events since the last look.  "?" where the last one of a contact has not
-- the stamp of its row.
CREATE TABLE seen (seq bigint);
INSERT INTO seen SELECT 0;
CREATE FUNCTION news() RETURNS TABLE (contact text, was text, is_now text, by text, why text, stamp text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY SELECT e.contact_id::text, e.old_status, e.status, e.by, e.reason,
			CASE WHEN e.at = CASE WHEN e.old_status IS NULL THEN c.created_at ELSE c.updated_at END
					AND e.by = CASE WHEN e.old_status IS NULL THEN c.created_by ELSE c.updated_by END THEN 'same'
				WHEN e.seq < max(e.seq) OVER (PARTITION BY e.contact_id) THEN 'later'
				ELSE '?' END
		FROM contact_events AS e LEFT JOIN contacts AS c ON c.id::text = e.contact_id::text
		WHERE e.seq > (SELECT seq FROM seen) ORDER BY e.seq;
	UPDATE seen SET seq = (SELECT coalesce(max(seq), 0) FROM contact_events);
END $$;

-- Every path.
SET contact_block.actor = 'ann';
INSERT INTO contacts (id, email, status, blocked_reason)
	SELECT lower(status), 'x', status, 'why' FROM unnest('{New,Active,Blocked,Deleted}'::text[]) AS status;
SELECT * FROM news();
COPY contacts (id, email, status, blocked_reason) FROM stdin;
1	1@example.org	Active	\N
2	2@example.org	Blocked	copied
3	3@example.org	New	\N
\.
SELECT * FROM news();
SET contact_block.actor = 'bob';
SELECT contact_block('1') ->> 'status' AS status;
SELECT contact_block('1', 'spam') ->> 'status' AS status;
SELECT contact_block('1', 'bounce') ->> 'status' AS status;
SELECT contact_unblock('1') ->> 'status' AS status;
SELECT contact_delete('1') ->> 'status' AS status;
SELECT * FROM news();
UPDATE contacts SET status = 'Active' WHERE id = '3';
UPDATE contacts SET status = 'Blocked', blocked_reason = 'plain', blocked_at = '2001-01-01', updated_by = 'forged' WHERE id = '3';
UPDATE contacts SET blocked_reason = 'other' WHERE id = '3';
UPDATE contacts SET blocked_reason = NULL WHERE id = '3';
UPDATE contacts SET blocked_reason = 'again', name = 'Three' WHERE id = '3';
SELECT * FROM news();
INSERT INTO contacts (id, email, status) VALUES ('3', 'x', 'Blocked'), ('4', 'x', 'Active'), ('2', 'x', 'Deleted')
	ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status;
SELECT * FROM news();
INSERT INTO contacts (id, email) VALUES ('4', 'x') ON CONFLICT DO NOTHING;
MERGE INTO contacts AS c USING (VALUES ('4', 'Blocked'), ('5', 'New'), ('3', 'Deleted')) AS v (id, status) ON c.id = v.id
	WHEN MATCHED THEN UPDATE SET status = v.status, blocked_reason = 'merged'
	WHEN NOT MATCHED THEN INSERT (id, email, status) VALUES (v.id, 'x', v.status);
-- (MERGE takes the rows in no order)
SELECT * FROM news() ORDER BY 1;
INSERT INTO contacts (id, email) SELECT 'm' || i, 'x' FROM generate_series(1, 3) AS i;
SELECT * FROM contacts_block('{m1,m2,none,new,m1,m3}', 'many') ORDER BY 1, 4;
SELECT * FROM contacts_block('{m2,m3}', 'other');
SELECT * FROM contacts_unblock('{m3,m1}');
SELECT * FROM contacts_delete('{m3,m2}');
SELECT * FROM news();
BEGIN;
SELECT contact_block('m1') ->> 'status' AS status;
SELECT contact_unblock('m1') ->> 'status' AS status;
SELECT contact_block('m1', 'twice') ->> 'status' AS status;
COMMIT;
SELECT * FROM news();
INSERT INTO contacts (id, email) VALUES ('w', 'x');
UPDATE contacts SET status = 'Active' WHERE id = 'new';
WITH b AS (UPDATE contacts SET status = 'Blocked' WHERE id IN ('new', 'active') RETURNING id)
	SELECT count(*) FROM b;
SELECT * FROM news() ORDER BY 1, 2;

-- No event: what is so already, what is nothing of status and reason, what is
-- undone, and rows that go.
SELECT contact_block('m1') ->> 'status' AS status;
SELECT contact_block('m1', 'twice') ->> 'status' AS status;
SELECT contact_block('m1', '') ->> 'status' AS status;
SELECT contact_delete('1') ->> 'status' AS status;
SELECT * FROM contacts_block('{m1,new}');
UPDATE contacts SET status = status, blocked_reason = blocked_reason;
UPDATE contacts SET name = 'Somebody', email = 'y' WHERE status <> 'Deleted';
UPDATE contacts SET blocked_reason = 'no block' WHERE id = 'w';
UPDATE contacts SET blocked_reason = '' WHERE id = 'new';
SET contact_block.plain_unblock = keep;
UPDATE contacts SET status = 'Active', blocked_reason = NULL, name = 'kept' WHERE status = 'Blocked';
INSERT INTO contacts (id, email) VALUES ('m1', 'x') ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status;
RESET contact_block.plain_unblock;
SELECT try('SELECT contact_unblock(''none'')');
SELECT try('UPDATE contacts SET status = ''Active'' WHERE id = ''m1''');
BEGIN;
SELECT contact_unblock('m1') ->> 'status' AS status;
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT contact_unblock('m1') ->> 'status' AS status;
SELECT contact_delete('m1') ->> 'status' AS status;
ROLLBACK TO s;
SELECT contact_block('w', 'after the savepoint') ->> 'status' AS status;
COMMIT;
SELECT * FROM news();
DELETE FROM contacts WHERE id = 'w';
SELECT * FROM news();
SET contact_block.plain_unblock = allow;
UPDATE contacts SET status = 'Active' WHERE id = 'm1';
RESET contact_block.plain_unblock;
SELECT * FROM news();

-- whoever changes a contact is told of nothing and needs no right
SET ROLE regress_history_owner;
GRANT SELECT, UPDATE (status, blocked_reason) ON contacts TO regress_history_other;
SET ROLE regress_history_other;
SELECT try('SELECT FROM contact_events');
SELECT contact_block('m1') ->> 'status' AS status;
RESET ROLE;
SELECT * FROM news();

-- one transaction's events have its number, in their order
BEGIN;
SELECT contact_unblock('m1') ->> 'status' AS status;
SAVEPOINT s;
SELECT contact_block('m1') ->> 'status' AS status;
SELECT count(*) AS events, bool_and(txid = pg_current_xact_id()) AS of_this FROM contact_events
	WHERE seq > (SELECT seq FROM seen);
COMMIT;
SELECT count(*) AS events, count(*) FILTER (WHERE at <= before) AS not_after FROM (
	SELECT at, lag(at) OVER (PARTITION BY contact_id ORDER BY seq) AS before FROM contact_events) AS e;

-- A user's AFTER trigger that blocks at once has written its event when that of
-- the creation comes; the times tell.
CREATE FUNCTION at_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE contacts SET status = 'Blocked', blocked_reason = 'at once' WHERE id = NEW.id;
	RETURN NULL;
END $$;
CREATE TRIGGER at_once AFTER INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION at_once();
INSERT INTO contacts (id, email) VALUES ('t', 'x');
DROP TRIGGER at_once ON contacts;
SELECT old_status, status, reason FROM contact_events WHERE contact_id = 't' ORDER BY at;

-- What contact_events may be: run DDL, then set-up and a block as the owner,
-- and undo it.
CREATE FUNCTION fits(ddl text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	SET LOCAL ROLE regress_history_owner;
	EXECUTE 'DROP TABLE contact_events';
	EXECUTE 'DROP TRIGGER zzz_contact_record ON contacts';
	RESET ROLE;
	EXECUTE ddl;
	SET LOCAL ROLE regress_history_owner;
	PERFORM contact_history_setup();
	RESET ROLE;
	result := try('SELECT contact_unblock(''m1'')');
	IF result = 'ok' THEN
		EXECUTE 'SELECT to_jsonb(e) - ''{txid,seq,at}''::text[] FROM contact_events AS e' INTO STRICT result;
	END IF;
	RAISE SQLSTATE 'UNDO0';
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
	RETURN result;
WHEN OTHERS THEN
	DECLARE
		detail text;
		hint text;
	BEGIN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
		RETURN concat_ws(E'\n', 'set-up: ' || SQLSTATE || ' ' || SQLERRM, nullif(detail, ''), nullif(hint, ''));
	END;
END $$;
CREATE FUNCTION fits(columns text, how text, which text = 'TABLE') RETURNS text LANGUAGE sql AS $$
	SELECT fits(format('SET LOCAL ROLE regress_history_owner; CREATE %s contact_events (%s) %s', which, columns, how));
$$;
\set columns 'txid xid8 NOT NULL, seq bigint GENERATED ALWAYS AS IDENTITY, contact_id text NOT NULL, at timestamptz NOT NULL, by text NOT NULL, old_status text, status text NOT NULL, reason text'
SELECT fits(:'columns', '');
-- other columns besides, other types of text, other order
SELECT fits(:'columns' || ', noted_at timestamptz NOT NULL DEFAULT ''2001-01-01 UTC'', note text, len int GENERATED ALWAYS AS (length(status)) STORED', '');
SELECT fits('reason varchar(40), status varchar(10), old_status varchar, by varchar, at timestamptz, contact_id varchar(40), seq bigserial, txid xid8, PRIMARY KEY (txid, seq)', '');
-- partitioned by time
\set partitioned 'txid xid8 NOT NULL, seq bigint NOT NULL DEFAULT nextval(''numbers''), contact_id text NOT NULL, at timestamptz NOT NULL, by text NOT NULL, old_status text, status text NOT NULL, reason text, PRIMARY KEY (txid, seq, at)'
SET ROLE regress_history_owner;
CREATE SEQUENCE numbers;
RESET ROLE;
SELECT fits(:'partitioned', 'PARTITION BY RANGE (at); CREATE TABLE contact_events_now PARTITION OF contact_events FOR VALUES FROM (''2020-01-01'') TO (''2999-01-01'')');
SELECT regexp_replace(fits(:'partitioned', 'PARTITION BY RANGE (at)'), '\(at\) = \(.*\)', '(at) = (now)');
SELECT regexp_replace(fits(:'partitioned', 'PARTITION BY RANGE (at); CREATE TABLE contact_events_past PARTITION OF contact_events FOR VALUES FROM (''2020-01-01'') TO (''2021-01-01'')'), '\(at\) = \(.*\)', '(at) = (now)');
-- its own constraints are its own
SELECT regexp_replace(fits(:'columns' || ', CONSTRAINT mine CHECK (reason <> old_status OR status = ''Blocked'')', ''), '\(\d.*\)', '(...)');
SELECT fits('SET LOCAL ROLE regress_history_owner; CREATE TABLE contact_events (' || :'partitioned' || ') PARTITION BY RANGE (at);
	CREATE TABLE contact_events_now PARTITION OF contact_events DEFAULT;
	ALTER TABLE contact_events_now ADD CONSTRAINT mine CHECK (status <> ''Active'') NOT VALID')
	LIKE '23514 new row for relation "contact_events_now" violates check constraint "mine"%' AS own_check;
-- what cannot be
SELECT fits('txid xid8, seq bigserial, contact_id text, at timestamptz, status text', '');
SELECT fits('txid bigint, seq integer NOT NULL, contact_id uuid, at timestamp, by text, old_status text NOT NULL, status integer, reason text', '');
SELECT fits(replace(:'columns', 'status text NOT NULL', 'status text GENERATED ALWAYS AS (''x'') STORED') || ', tenant text NOT NULL', '');
SELECT fits(replace(:'columns', 'GENERATED ALWAYS AS IDENTITY', ''), '');
SELECT fits(:'columns', '', 'UNLOGGED TABLE');
SELECT fits('CREATE VIEW contact_events AS SELECT 1 AS txid; ALTER VIEW contact_events OWNER TO regress_history_owner');
SELECT fits('CREATE MATERIALIZED VIEW contact_events AS SELECT 1 AS txid; ALTER MATERIALIZED VIEW contact_events OWNER TO regress_history_owner');
CREATE FOREIGN DATA WRAPPER regress_history;
CREATE SERVER regress_history FOREIGN DATA WRAPPER regress_history;
SELECT fits('CREATE FOREIGN TABLE contact_events (' || replace(replace(:'columns', 'GENERATED ALWAYS AS IDENTITY', 'DEFAULT 1'), ':', '') || ') SERVER regress_history;
	ALTER FOREIGN TABLE contact_events OWNER TO regress_history_owner');
DROP FOREIGN DATA WRAPPER regress_history CASCADE;
SELECT fits('CREATE SEQUENCE contact_events; ALTER SEQUENCE contact_events OWNER TO regress_history_owner');
SELECT fits('SET LOCAL ROLE regress_history_other; CREATE TABLE contact_events (' || :'columns' || ')');
SELECT fits('CREATE TABLE contact_events (' || :'columns' || ')');

-- What happens to it later: no contact is changed without its event.
CREATE FUNCTION later(ddl text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE ddl;
	result := concat_ws(E'\n', try('SELECT contact_unblock(''m1'')'), (SELECT status FROM contacts WHERE id = 'm1'));
	RAISE SQLSTATE 'UNDO0';
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
	RETURN result;
END $$;
SELECT later('DROP TABLE contact_events');
SELECT later('ALTER TABLE contact_events RENAME TO old_events');
SELECT later('ALTER TABLE contact_events OWNER TO regress_history_other');
SELECT later('ALTER TABLE contacts OWNER TO regress_history_other');
SELECT later('ALTER TABLE contact_events DROP COLUMN reason');
SELECT later('ALTER TABLE contact_events RENAME by TO actor');
SELECT later('ALTER TABLE contact_events ADD tenant text NOT NULL DEFAULT ''x''; ALTER TABLE contact_events ALTER tenant DROP DEFAULT') LIKE '23502%Blocked' AS refused;
SELECT later('ALTER TABLE contact_events ALTER old_status TYPE integer USING 1') LIKE '42804%Blocked' AS refused;
SELECT later('ALTER TABLE contact_events ALTER reason TYPE varchar(1000), ALTER status TYPE varchar(7), ADD note text');
SELECT later('DROP TRIGGER zzz_contact_audit ON contacts');
SELECT later('ALTER SCHEMA regress_history RENAME TO "Regress History"; SET LOCAL search_path = "Regress History"');
-- the same again, and no warm session minds
SELECT later('SELECT');

-- a table that inherits from contacts has a trigger of its own
CREATE TABLE heirs () INHERITS (contacts);
CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON heirs FOR EACH ROW EXECUTE FUNCTION contact_audit();
ALTER TABLE heirs OWNER TO regress_history_owner;
SELECT contact_history_setup();
INSERT INTO heirs (id, email) VALUES ('heir', 'x');
UPDATE contacts SET status = 'Blocked' WHERE id = 'heir';
SELECT * FROM news();
DROP TABLE heirs;

-- Without history nothing has to be there.
DROP TRIGGER zzz_contact_record ON contacts;
DROP TABLE contact_events, seen;
SELECT contact_unblock('m1') ->> 'status' AS status;
SELECT * FROM contacts_block('{m1}');
SELECT try('SELECT contact_record()');
CREATE TRIGGER wrong BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION contact_record();
SELECT try('INSERT INTO contacts (id, email) VALUES (''wrong'', ''x'')');
DROP TRIGGER wrong ON contacts;
CREATE TRIGGER wrong AFTER INSERT ON contacts EXECUTE FUNCTION contact_record();
SELECT try('INSERT INTO contacts (id, email) VALUES (''wrong'', ''x'')');
DROP TRIGGER wrong ON contacts;
CREATE TRIGGER wrong AFTER DELETE ON contacts FOR EACH ROW EXECUTE FUNCTION contact_record();
SELECT try('DELETE FROM contacts WHERE id = ''m1''');
DROP TRIGGER wrong ON contacts;
DROP TABLE contact_opt_outs, contacts;

-- Partitions, whose columns are at other places; ids are uuids.
CREATE TABLE contacts (
	id uuid PRIMARY KEY, email text, name text, status text NOT NULL DEFAULT 'Active', blocked_reason text, user_id text COLLATE "C",
	created_at timestamptz NOT NULL, created_by text, updated_at timestamptz, updated_by text,
	activated_at timestamptz, activated_by text, blocked_at timestamptz, blocked_by text, deleted_at timestamptz, deleted_by text
) PARTITION BY HASH (id);
CREATE TABLE contacts_0 PARTITION OF contacts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE other (
	dropped int, deleted_by text, deleted_at timestamptz, blocked_by text, blocked_at timestamptz, activated_by text,
	activated_at timestamptz, updated_by text, updated_at timestamptz, created_by text, created_at timestamptz NOT NULL,
	user_id text COLLATE "C", blocked_reason text, status text NOT NULL DEFAULT 'Active', name text, email text, id uuid PRIMARY KEY);
ALTER TABLE other DROP dropped;
SELECT contact_block_setup();
SELECT contact_history_setup();
ALTER TABLE contacts ATTACH PARTITION other FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT format_type(atttypid, atttypmod) AS id_type FROM pg_attribute WHERE attrelid = 'contact_events'::regclass AND attname = 'contact_id';
SELECT tgrelid::regclass AS relation, tgname FROM pg_trigger WHERE tgfoid = 'contact_record'::regproc ORDER BY 1::text COLLATE "C";
CREATE TABLE seen AS SELECT 0::bigint AS seq;
INSERT INTO contacts (id, email)
	SELECT ('00000000-0000-0000-0000-00000000000' || i)::uuid, 'x' FROM generate_series(1, 6) AS i;
SELECT count(DISTINCT tableoid) AS partitions FROM contacts;
SELECT code, status, changed FROM contacts_block((SELECT array_agg(id::text ORDER BY id) FROM contacts), 'many');
SELECT contact_unblock('00000000-0000-0000-0000-000000000001') ->> 'status' AS status;
UPDATE contacts SET status = 'Deleted' WHERE id = '00000000-0000-0000-0000-000000000002';
SELECT * FROM news() ORDER BY 1, 2 NULLS FIRST;
-- written to directly; and one that is no partition any more
UPDATE contacts_0 SET blocked_reason = 'direct' WHERE status = 'Blocked';
UPDATE other SET blocked_reason = 'direct' WHERE status = 'Blocked';
SELECT count(*), count(*) FILTER (WHERE stamp = 'same') AS same FROM news();
ALTER TABLE contacts DETACH PARTITION other;
UPDATE other SET blocked_reason = 'gone';
SELECT * FROM news();
-- a partition of another role could write what it likes: it is not taken
ALTER TABLE contacts OWNER TO regress_history_owner;
ALTER TABLE contact_events OWNER TO regress_history_owner;
ALTER TABLE contacts_0 OWNER TO regress_history_other;
SELECT try('SELECT contact_history_setup()');
SELECT try('UPDATE contacts SET status = ''Deleted''');
DROP TABLE contact_opt_outs, contacts, other, contact_events, seen;

-- Names and words of one's own, under a view of contacts; ids are bigints.
CREATE TYPE state AS ENUM ('paused', 'active', 'suspended', 'gone');
CREATE TABLE people (
	login_count integer, person_id bigint PRIMARY KEY, mail text, full_name text, state state NOT NULL DEFAULT 'active', why varchar(40),
	owner text COLLATE "C", made_at timestamptz NOT NULL, made_by text, changed_at timestamp NOT NULL, changed_by text NOT NULL,
	live_at timestamptz, live_by text, suspended_at timestamptz, suspended_by text, gone_at timestamptz, gone_by text);
CREATE VIEW contacts AS
	SELECT person_id AS id, mail AS email, full_name AS name, state AS status, why AS blocked_reason, owner AS user_id,
		made_at AS created_at, made_by AS created_by, changed_at AS updated_at, changed_by AS updated_by,
		live_at AS activated_at, live_by AS activated_by, suspended_at AS blocked_at, suspended_by AS blocked_by,
		gone_at AS deleted_at, gone_by AS deleted_by
	FROM people;
CREATE TABLE contact_opt_outs (contact_id bigint, category_id text COLLATE "C", last_used timestamptz, PRIMARY KEY (contact_id, category_id));
CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON people FOR EACH ROW
	EXECUTE FUNCTION contact_audit('id=person_id', 'status=state', 'blocked_reason=why', 'created_at=made_at', 'created_by=made_by',
		'updated_at=changed_at', 'updated_by=changed_by', 'activated_at=live_at', 'activated_by=live_by',
		'blocked_at=suspended_at', 'blocked_by=suspended_by', 'deleted_at=gone_at', 'deleted_by=gone_by',
		'New=paused', 'Active=active', 'Blocked=suspended', 'Deleted=gone', 'ignore=login_count');
SELECT contact_history_setup();
SELECT format_type(atttypid, atttypmod) AS id_type FROM pg_attribute WHERE attrelid = 'contact_events'::regclass AND attname = 'contact_id';
CREATE TABLE seen AS SELECT 0::bigint AS seq;
INSERT INTO contacts (id, email, status) SELECT i, 'x', 'paused' FROM generate_series(1, 3) AS i;
SELECT * FROM news();
SET TimeZone = 'Asia/Tokyo';
UPDATE people SET state = 'active';
SELECT contact_block('1', 'spam') ->> 'status' AS status;
SELECT * FROM contacts_block('{1,2}', 'many');
UPDATE people SET login_count = 7, full_name = 'x';
SELECT contact_delete('3') ->> 'status' AS status;
-- (changed_at is a timestamp, in UTC)
SELECT contact, was, is_now, by, why FROM news()
	ORDER BY contact COLLATE "C", was COLLATE "C" NULLS FIRST, is_now COLLATE "C";
SELECT count(*) FROM contact_events AS e JOIN people ON person_id = contact_id
	WHERE e.status <> 'Blocked' AND old_status = 'Active' AND changed_at AT TIME ZONE 'UTC' = at;
RESET TimeZone;

DROP SCHEMA regress_history CASCADE;
DROP ROLE regress_history_owner, regress_history_other;
