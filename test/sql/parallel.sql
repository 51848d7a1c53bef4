-- Parallel queries: the same documents, made by the leader; changes only without
-- workers; and settings that hold on both sides, whenever the library is loaded.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_parallel_clerk;
CREATE ROLE regress_parallel_clerk;
CREATE SCHEMA regress_parallel;
SET search_path = regress_parallel;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
INSERT INTO users (id, email, status, name, first_name, last_name)
	SELECT 'u' || i, 'u@example.org', 'Active', 'U ' || i, 'U', i FROM generate_series(1, 4) AS i;
INSERT INTO categories VALUES ('c1', 'One', 'First', NULL), ('c2', 'Two', 'Second', NULL);
INSERT INTO contacts (id, email, user_id) SELECT i, i || '@example.org', 'u' || i FROM generate_series(1, 4) AS i;
INSERT INTO contact_opt_outs SELECT contacts.id, categories.id FROM contacts, categories;
GRANT USAGE ON SCHEMA regress_parallel TO regress_parallel_clerk;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA regress_parallel TO regress_parallel_clerk;
GRANT EXECUTE ON FUNCTION contact_document(text) TO regress_parallel_clerk;

-- what the settings are, and whether this is a worker
CREATE FUNCTION settings(leader int) RETURNS text LANGUAGE plpgsql PARALLEL SAFE AS $$
BEGIN
	RETURN concat_ws(' ', CASE WHEN pg_backend_pid() <> leader THEN 'worker:' END, current_setting('contact_block.actor'),
		current_setting('contact_block.actor_claim'), current_setting('contact_block.trust_actor'));
END $$;
-- a function of the user's that is, rightly, marked like the one that it calls
CREATE FUNCTION wrapper(id text) RETURNS jsonb LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS
	'BEGIN RETURN contact_document(id); END';
CREATE TABLE serial AS SELECT id, contact_document(id) AS document FROM contacts;
GRANT SELECT ON serial TO regress_parallel_clerk;
ALTER TABLE contacts SET (parallel_workers = 2);
ANALYZE contacts, serial;

ALTER DATABASE :DBNAME SET search_path = regress_parallel;
ALTER DATABASE :DBNAME SET parallel_setup_cost = 0;
ALTER DATABASE :DBNAME SET parallel_tuple_cost = 0;
ALTER DATABASE :DBNAME SET min_parallel_table_scan_size = 0;
ALTER DATABASE :DBNAME SET max_parallel_workers_per_gather = 2;
ALTER DATABASE :DBNAME SET parallel_leader_participation = off;

-- a cold session, whose first call is in a parallel query
\c -
SELECT pg_backend_pid() AS pid \gset
SET contact_block.actor = 'ann';
SET contact_block.actor_claim = 'email';
EXPLAIN (VERBOSE, COSTS OFF) SELECT contact_document(id) FROM contacts;
SELECT count(*), count(*) FILTER (WHERE contact_document(id) = document) AS same FROM contacts JOIN serial USING (id);
SELECT DISTINCT settings(:pid) FROM contacts;
SELECT settings(:pid);
-- changes go without workers
EXPLAIN (VERBOSE, COSTS OFF) SELECT contact_block(id), contact_unblock(id), contact_delete(id) FROM contacts;
EXPLAIN (VERBOSE, COSTS OFF) SELECT contact_block(id, 'spam') FROM contacts;
-- the whole query in a worker, where that is possible
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT settings(:pid);
SELECT contact_document('1') = document AS same FROM serial WHERE id = '1';
INSERT INTO contacts (id, email) VALUES ('forced', 'forced@example.org') RETURNING created_by;
SELECT contact_block('forced') #>> '{audit,blocked,by,id}' AS by;

-- what a transaction and a superuser said, and what an ordinary role did not get
\c -
SELECT pg_backend_pid() AS pid \gset
BEGIN;
SET LOCAL contact_block.actor = 'ann';
SET LOCAL contact_block.trust_actor = off;
SAVEPOINT s;
SET LOCAL ROLE regress_parallel_clerk;
SET LOCAL contact_block.actor = 'bob';
SELECT count(*), count(*) FILTER (WHERE contact_document(id) = document) AS same FROM contacts JOIN serial USING (id);
SELECT DISTINCT settings(:pid) FROM contacts;
ROLLBACK TO s;
SELECT DISTINCT settings(:pid) FROM contacts;
COMMIT;
-- it ends with the transaction, though the library was loaded in it
SELECT DISTINCT settings(:pid) FROM contacts;
\c -
SELECT pg_backend_pid() AS pid \gset
SET SESSION AUTHORIZATION regress_parallel_clerk;
SET contact_block.trust_actor = off;
SET contact_block.actor_claim = 'email';
SELECT count(*), count(*) FILTER (WHERE contact_document(id) = document) AS same FROM contacts JOIN serial USING (id);
SELECT DISTINCT settings(:pid) FROM contacts;

-- the library is loaded in the middle of a parallel query: nothing that was set before is lost
\c -
SELECT pg_backend_pid() AS pid \gset
SET contact_block.actor = 'ann';
SET contact_block.actor_claim = 'email';
SET contact_block.trust_actor = on;
EXPLAIN (VERBOSE, COSTS OFF) SELECT wrapper(id) FROM contacts;
SELECT count(*), count(*) FILTER (WHERE wrapper(id) = document) AS same FROM contacts JOIN serial USING (id);
SELECT settings(:pid);
INSERT INTO contacts (id, email) VALUES ('late', 'late@example.org') RETURNING created_by;

ALTER DATABASE :DBNAME RESET search_path;
ALTER DATABASE :DBNAME RESET parallel_setup_cost;
ALTER DATABASE :DBNAME RESET parallel_tuple_cost;
ALTER DATABASE :DBNAME RESET min_parallel_table_scan_size;
ALTER DATABASE :DBNAME RESET max_parallel_workers_per_gather;
ALTER DATABASE :DBNAME RESET parallel_leader_participation;
SET client_min_messages = warning;
DROP SCHEMA regress_parallel CASCADE;
DROP ROLE regress_parallel_clerk;
