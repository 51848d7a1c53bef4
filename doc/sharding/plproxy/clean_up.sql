-- clean_up.sql - remove from the old shard what the new one has now
--
-- Last step of growing.  Run it in the old shard's database, as a superuser, when
-- the subscription is gone on the new one (DROP SUBSCRIPTION contact_move):
--   psql -v ON_ERROR_STOP=1 -f clean_up.sql
-- It needs no times without calls.

\if :{?schema}
\else
\set schema crm
\endif

BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;

-- With the subscription still there the new shard would delete them as well.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = 'contact_move') THEN
        RAISE object_in_use USING
            MESSAGE = 'the subscription contact_move is still there',
            HINT = 'First run DROP SUBSCRIPTION contact_move on the new shard.';
    END IF;
END
$$;

DELETE FROM :"schema".contact_opt_outs WHERE contact_shard.is_stranger(contact_id);
SELECT to_regclass(format('%I.contact_events', :'schema')) IS NOT NULL AS has_history \gset
\if :has_history
DELETE FROM :"schema".contact_events WHERE contact_shard.is_stranger(contact_id);
\endif
DELETE FROM :"schema".contacts WHERE contact_shard.is_stranger(id);
DROP PUBLICATION contact_move, contact_move_events;
COMMIT;

ALTER TABLE :"schema".contacts VALIDATE CONSTRAINT contacts_of_this_shard;
ALTER TABLE :"schema".contact_opt_outs VALIDATE CONSTRAINT contacts_of_this_shard;
