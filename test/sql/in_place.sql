-- A block is done in place: a heap-only (HOT) update, one by one and all in
-- one statement, of the smallest contacts and of large ones.  A retry writes no
-- row version and no WAL, and locks no row.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_in_place;
SET search_path = regress_in_place;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();

-- no index has anything that a change changes
SELECT indexrelid::regclass AS index, pg_get_indexdef(indexrelid) AS definition
	FROM pg_index WHERE indrelid = 'contacts'::regclass ORDER BY indexrelid::regclass::text COLLATE "C";
SELECT count(*) FROM pg_index
	WHERE indrelid = 'contacts'::regclass AND pg_get_indexdef(indexrelid) ~ 'status|blocked_|_at|_by';

-- Contacts of two kinds: the smallest, with ids of 5 bytes and nothing but an
-- email, and those with ids of 36 bytes, a name and a user.  Little of all this is
-- done where the caches are discarded all the time, which makes a call take a
-- thousand times as long.
SELECT current_setting('debug_discard_caches') <> '0' AS slow,
	CASE current_setting('debug_discard_caches') WHEN '0' THEN 500 ELSE 1 END AS number \gset
CREATE FUNCTION test_id(kind text, n integer) RETURNS text LANGUAGE sql AS
	$$ SELECT CASE kind WHEN 'short' THEN lpad(n::text, 5, '0') ELSE md5(n::text)::uuid::text END $$;
CREATE PROCEDURE load(kind text, number integer) LANGUAGE plpgsql AS $$
BEGIN
	TRUNCATE contacts, users CASCADE;
	PERFORM pg_stat_reset_single_table_counters('contacts'::regclass);
	PERFORM set_config('contact_block.actor', test_id(kind, 1), false);
	IF kind = 'short' THEN
		INSERT INTO contacts (id, email)
			SELECT test_id(kind, n), n || '@example.org' FROM generate_series(1, number) AS n;
	ELSE
		INSERT INTO users (id, email, status, name, first_name, last_name)
			SELECT test_id(kind, n), 'user' || n || '@example.org', 'Active', 'User ' || n, 'User', n
			FROM generate_series(0, 9) AS n;
		INSERT INTO contacts (id, email, name, user_id)
			SELECT test_id(kind, n), 'first.last' || n || '@mail.example.org', 'First Last' || n, test_id(kind, n % 10)
			FROM generate_series(1, number) AS n;
	END IF;
END $$;

-- one by one: blocked, unblocked and blocked again, a transaction each
CREATE PROCEDURE one_by_one(reason text) LANGUAGE plpgsql AS $$
DECLARE
	ids text[] := (SELECT array_agg(id ORDER BY md5(id)) FROM contacts);
	id text;
BEGIN
	COMMIT;
	FOR round IN 1 .. 3 LOOP
		FOREACH id IN ARRAY ids LOOP
			IF round = 2 THEN
				PERFORM contact_unblock(id);
			ELSE
				PERFORM contact_block(id, reason);
			END IF;
			COMMIT;
		END LOOP;
	END LOOP;
END $$;
-- all in one statement
CREATE PROCEDURE at_once(reason text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM contact_block(id, reason) FROM contacts;
END $$;


-- what doc/reference.md promises: the share that is in place, by the bytes of the reason
CREATE TABLE promised (number serial, way text, kind text, reason integer, share numeric, updates bigint, in_place bigint);
INSERT INTO promised (way, kind, reason, share) VALUES
	('one_by_one', 'short', 0, 1), ('one_by_one', 'short', 20, 1), ('one_by_one', 'short', 120, 0.98),
	('one_by_one', 'long', 0, 1), ('one_by_one', 'long', 20, 1), ('one_by_one', 'long', 120, 1),
	('at_once', 'short', 0, 1), ('at_once', 'short', 20, 0.95), ('at_once', 'short', 120, 0.55),
	('at_once', 'long', 0, 1), ('at_once', 'long', 20, 1), ('at_once', 'long', 120, 0.8);
CREATE VIEW counted AS
	SELECT n_tup_upd AS updates, n_tup_hot_upd AS in_place
	FROM pg_stat_user_tables WHERE relid = 'contacts'::regclass;
CREATE PROCEDURE flush() LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_stat_force_next_flush();
END $$;
ALTER TABLE contacts SET (autovacuum_enabled = off);
-- a row is a measurement, its columns are run one after the other; up to three
-- times, since old versions stay while any snapshot in the database is older,
-- like that of an ANALYZE of autovacuum's
\set ECHO none
SELECT format('CALL load(%L, %s)', kind, :number),
	format('CALL %s(%L)', way, repeat('r', reason)),
	'CALL flush()',
	format('UPDATE promised SET (updates, in_place) = (SELECT updates, in_place FROM counted) WHERE number = %s', number)
FROM promised WHERE (NOT :'slow' OR number IN (1, 12)) AND (in_place >= share * updates) IS NOT TRUE ORDER BY number \gexec
\gexec
\gexec
\set ECHO all
SELECT way, kind, reason, share,
	coalesce(updates = CASE way WHEN 'at_once' THEN 1 ELSE 3 END * :number AND in_place >= share * updates, :'slow') AS as_promised
	FROM promised ORDER BY number;

-- a retry: as many times nothing
CALL load('long', :number);
CALL at_once(repeat('r', 120));
CALL flush();
SELECT updates FROM counted \gset
CALL at_once(repeat('r', 120));
CALL flush();
SELECT :updates = :number AS changed, updates - :updates AS by_the_retry FROM counted;

-- every kind of it: what the command finds done already stays as it is, with
-- its place (ctid), its writer (xmin) and its locker (xmax); and as a row lock
-- would need a transaction id, none is assigned
INSERT INTO contacts (id, email, status) VALUES
	('a', 'a@example.org', 'Active'), ('b', 'b@example.org', 'Blocked'), ('d', 'd@example.org', 'Deleted');
UPDATE contacts SET blocked_reason = 'why' WHERE id = 'b';
CREATE TABLE before AS
	SELECT id, ctid AS at, xmin AS writer, xmax AS locker, contacts AS contact FROM contacts WHERE id IN ('a', 'b', 'd');
BEGIN;
SELECT contact_unblock('a') ->> 'status' AS unblock, contact_block('b') ->> 'status' AS block,
	contact_block('b', 'why') ->> 'status' AS same_reason, contact_block('b', NULL) ->> 'status' AS no_reason,
	contact_block('b', '') ->> 'status' AS empty_reason, contact_delete('d') ->> 'status' AS delete;
SELECT pg_current_xact_id_if_assigned() IS NULL AS no_transaction_id;
COMMIT;
SELECT count(*) FROM contacts AS c JOIN before AS b
	ON c.id = b.id AND c.ctid = b.at AND c.xmin = b.writer AND c.xmax = b.locker AND c = b.contact;
-- (a change does need one)
BEGIN;
SELECT contact_block('a') ->> 'status' AS block;
SELECT pg_current_xact_id_if_assigned() IS NULL AS no_transaction_id;
ROLLBACK;

-- the WAL records of a command, by the server's own count; the least of
-- several runs, as a run may clean up a page that it reads
CREATE FUNCTION wal_records(command text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan json;
	records bigint;
	least_records bigint;
BEGIN
	FOR n IN 1 .. 3 LOOP
		EXECUTE 'EXPLAIN (ANALYZE, WAL, TIMING OFF, FORMAT json) SELECT ' || command INTO plan;
		records := plan #>> '{0,Plan,WAL Records}';
		least_records := least(least_records, records);
	END LOOP;
	RETURN least_records;
END $$;
SELECT command, wal_records(command) AS wal_records FROM unnest(ARRAY[
	'contact_unblock(''a'')', 'contact_block(''b'')', 'contact_block(''b'', ''why'')',
	'contact_delete(''d'')', 'contact_document(''b'')']) AS command;
-- (a change does write some)
SELECT wal_records('contact_block(''b'', md5(clock_timestamp()::text))') > 0 AS change_writes;

DROP SCHEMA regress_in_place CASCADE;
