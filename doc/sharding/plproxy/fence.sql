-- fence.sql - narrow a shard to the buckets that it keeps, and wait until the
-- others have arrived
--
-- cut_over.sql runs it in the old shard, with the variables of range.sql, and
-- seconds.  It prints t, or f when they have not arrived after so long.

\if :{?schema}
\else
\set schema crm
\endif

-- From here on no statement changes a contact that goes: what was under way has
-- ended, since ALTER TABLE has waited for it, and what comes is 23514.
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL lock_timeout = '3s';
-- With this COMMIT all that was committed before is written out, and the fence
-- is behind it, also where the database does not wait for that (off).
SET LOCAL synchronous_commit = local;
\ir range.sql
COMMIT;

SELECT pg_catalog.pg_current_wal_lsn() AS fence \gset
SELECT pg_catalog.set_config('contact_move.fence', :'fence', false),
    pg_catalog.set_config('contact_move.seconds', :'seconds', false) \g /dev/null
DO $$
BEGIN
    FOR i IN 1 .. 50 * pg_catalog.current_setting('contact_move.seconds')::integer LOOP
        EXIT WHEN (SELECT confirmed_flush_lsn >= pg_catalog.current_setting('contact_move.fence')::pg_catalog.pg_lsn
                   FROM pg_catalog.pg_replication_slots WHERE slot_name = 'contact_move');
        PERFORM pg_catalog.pg_sleep(0.02);
    END LOOP;
END
$$;
SELECT coalesce((SELECT confirmed_flush_lsn >= :'fence'::pg_catalog.pg_lsn
                 FROM pg_catalog.pg_replication_slots WHERE slot_name = 'contact_move'), false);
