-- publisher.sql - where users, accounts, account_users and categories are written
--
-- Run it once in the database that has them, as a superuser, with the number of
-- each shard that will have a copy:
--   psql -v ON_ERROR_STOP=1 -v shards=0,1 -f publisher.sql
-- If the tables are in another schema than crm: add -v schema=thatschema.
-- Then give the login its password: \password contact_replica
-- The server needs wal_level = logical.  For a shard that comes later:
--   SELECT pg_create_logical_replication_slot('contact_reference_2', 'pgoutput');

\if :{?schema}
\else
\set schema crm
\endif

BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;

-- Not TRUNCATE: on a shard contacts refer to these tables, and it would fail
-- there and hold up all that follows.
CREATE PUBLICATION contact_reference
    FOR TABLE :"schema".accounts, :"schema".users, :"schema".account_users, :"schema".categories
    WITH (publish = 'insert, update, delete');

-- The login that copies; it can only read.
SELECT 'CREATE ROLE contact_replica LOGIN REPLICATION'
WHERE to_regrole('contact_replica') IS NULL \gexec
GRANT USAGE ON SCHEMA :"schema" TO contact_replica;
GRANT SELECT ON :"schema".accounts, :"schema".users, :"schema".account_users, :"schema".categories TO contact_replica;

COMMIT;

-- What a shard has not fetched yet is kept here, for as long as it takes: watch
-- pg_replication_slots.
SELECT slot.slot_name
FROM pg_catalog.unnest(pg_catalog.string_to_array(:'shards', ',')) AS shard,
    pg_catalog.pg_create_logical_replication_slot('contact_reference_' || shard, 'pgoutput') AS slot;
