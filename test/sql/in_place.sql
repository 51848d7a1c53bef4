-- A block is done in place: a heap-only (HOT) update, one by one and all in
-- one statement.  A retry writes no row version and no WAL, and locks no row.
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

-- 2,000 contacts as they are in life; fewer where the caches are discarded all
-- the time, which makes a call take a thousand times as long
SELECT CASE current_setting('debug_discard_caches') WHEN '0' THEN 1000 ELSE 5 END AS number \gset
CREATE FUNCTION fake_id(text) RETURNS text LANGUAGE sql AS $$ SELECT md5($1)::uuid::text $$;
SELECT set_config('contact_block.actor', fake_id('importer'), false) IS NOT NULL AS actor_set;
INSERT INTO users (id, email, status, name, first_name, last_name)
	SELECT fake_id('user ' || n), 'user' || n || '@example.org', 'Active', 'User ' || n, 'User', n
	FROM generate_series(0, 9) AS n;
INSERT INTO contacts (id, email, name, user_id)
	SELECT fake_id('contact ' || n), 'first.last' || n || '@mail.example.org', 'First Last' || n,
		fake_id('user ' || n % 10)
	FROM generate_series(1, 2 * :number) AS n;

CREATE VIEW updates AS
	SELECT n_tup_upd AS updates, n_tup_hot_upd AS in_place
	FROM pg_stat_user_tables WHERE relid = 'contacts'::regclass;

-- 1,000 one by one
SELECT set_config('contact_block.actor', fake_id('user 1'), false) IS NOT NULL AS actor_set;
CREATE PROCEDURE block_contacts(number integer) LANGUAGE plpgsql AS $$
BEGIN
	FOR n IN 1 .. number LOOP
		PERFORM contact_block(fake_id('contact ' || n), 'asked us by phone');
	END LOOP;
END $$;
CALL block_contacts(:number);
SELECT pg_stat_force_next_flush();
SELECT updates = :number AS updates, in_place = :number AS in_place FROM updates;

-- 1,000 in one statement
SELECT count(contact_block(fake_id('contact ' || n), 'asked us by phone')) = :number AS blocked
	FROM generate_series(:number + 1, 2 * :number) AS n;
SELECT pg_stat_force_next_flush();
SELECT updates = 2 * :number AS updates, in_place = 2 * :number AS in_place FROM updates;

-- a retry: 1,000 times nothing
CALL block_contacts(:number);
SELECT pg_stat_force_next_flush();
SELECT updates = 2 * :number AS updates, in_place = 2 * :number AS in_place FROM updates;

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
