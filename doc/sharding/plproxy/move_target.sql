-- move_target.sql - a new shard that gets the contacts of some buckets
--
-- Second step of growing.  Run it in the new shard's database, as a superuser,
-- after shard.sql with these buckets, subscriber.sql, and in the old shard
-- move_source.sql:
--   psql -v ON_ERROR_STOP=1 \
--       -v source='host=10.0.0.10 dbname=crm user=contact_replica password=secret' -v shard=2 -f move_target.sql
-- shard is the number of the new one.  Where the old one has a history,
-- contact_history_setup() has to be run here first; else "contact_events" does not exist.

\if :{?schema}
\else
\set schema crm
\endif

SELECT pg_catalog.to_regclass(pg_catalog.format('%I.contact_events', :'schema')) IS NOT NULL AS has_history \gset
\if :has_history
-- Events keep the numbers that they had, so those of this shard begin elsewhere.
SELECT pg_catalog.format('ALTER TABLE %I.contact_events ALTER COLUMN seq RESTART WITH %s000000000000001',
                         :'schema', :'shard') \gexec
\endif
SELECT pg_catalog.format('CREATE SUBSCRIPTION contact_move CONNECTION %L PUBLICATION contact_move, contact_move_events
                              WITH (slot_name = contact_move, create_slot = false)',
                         :'source') \gexec
