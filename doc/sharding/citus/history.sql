-- history.sql - the history of contacts, beside them on the shards
--
-- For those who want one (or had one): run it after setup.sql, likewise.

BEGIN;

SET LOCAL citus.enable_unsafe_triggers = on;
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

SELECT notifications.contact_history_setup();

-- A key has to contain what the shards go by.
ALTER TABLE notifications.contact_events DROP CONSTRAINT contact_events_pkey,
    ADD PRIMARY KEY (txid, seq, contact_id);
SELECT create_distributed_table('notifications.contact_events', 'contact_id', colocate_with => 'notifications.contacts');
SELECT truncate_local_data_after_distributing_table('notifications.contact_events');

COMMIT;
