-- move_source.sql - a shard that gives some of its buckets to a new one
--
-- First step of growing, see doc/sharding.md.  Run it in the old shard's
-- database, as a superuser, with the buckets that will go:
--   psql -v ON_ERROR_STOP=1 -v first_bucket=64 -v last_bucket=127 -f move_source.sql
-- Then give the login its password: \password contact_replica
-- The server needs wal_level = logical.

\if :{?schema}
\else
\set schema crm
\endif

BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;

SELECT 'CREATE ROLE contact_replica LOGIN REPLICATION'
WHERE to_regrole('contact_replica') IS NULL \gexec
GRANT USAGE ON SCHEMA :"schema" TO contact_replica;
GRANT SELECT ON :"schema".contacts, :"schema".contact_opt_outs TO contact_replica;

-- A row filter may have nothing but built-in immutable functions.  Changes by
-- UPDATE and DELETE are filtered by the key, which the bucket comes from.
CREATE PUBLICATION contact_move
    FOR TABLE :"schema".contacts WHERE (get_byte(decode(md5(id), 'hex'), 0) BETWEEN :first_bucket AND :last_bucket),
        :"schema".contact_opt_outs WHERE (get_byte(decode(md5(contact_id), 'hex'), 0) BETWEEN :first_bucket AND :last_bucket)
    WITH (publish = 'insert, update, delete');

-- The history, where there is one.  Its key does not tell the contact, but its
-- rows are never changed.  Without one the publication is empty: the new shard
-- asks for it in any case, so that it cannot forget a history.
CREATE PUBLICATION contact_move_events WITH (publish = 'insert');
SELECT to_regclass(format('%I.contact_events', :'schema')) IS NOT NULL AS has_history \gset
\if :has_history
ALTER PUBLICATION contact_move_events
    ADD TABLE :"schema".contact_events WHERE (get_byte(decode(md5(contact_id), 'hex'), 0) BETWEEN :first_bucket AND :last_bucket);
GRANT SELECT ON :"schema".contact_events TO contact_replica;
\endif

COMMIT;

SELECT pg_catalog.pg_create_logical_replication_slot('contact_move', 'pgoutput') AS slot;
