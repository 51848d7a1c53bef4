-- setup.sql - contacts on the shards of a Citus cluster
--
-- Run it once on the coordinator, as the owner of the tables, a superuser, while
-- nobody writes, with
--   psql -v ON_ERROR_STOP=1 -d app -f setup.sql
-- Before it: every node has the library of contact_block and is known to the
-- coordinator (citus_set_coordinator_host, citus_add_node), and on the coordinator
--   CREATE SCHEMA notifications;
--   CREATE EXTENSION contact_block SCHEMA notifications;
-- If the extension is in another schema, put its name in place of notifications.
--
-- It is one transaction: it does everything or nothing.

BEGIN;

-- Citus puts no trigger on shards unless it is told that this is meant.
SET LOCAL citus.enable_unsafe_triggers = on;
-- References are made after the tables that they lead to, on the same connections.
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- Makes what is missing. Relations that are there stay as they are.
SELECT notifications.contact_block_setup();

-- Distributing a table copies its rows, and the triggers would take every copy for
-- a new contact: new stamps for all, and a second event of creation.
DROP TRIGGER zzz_contact_audit ON notifications.contacts;
DROP TRIGGER IF EXISTS zzz_contact_record ON notifications.contacts;

-- A table that is not distributed cannot refer to one that is.
ALTER TABLE notifications.contact_opt_outs DROP CONSTRAINT contact_opt_outs_contact_id_fkey;

-- On every node, whole
SELECT create_reference_table('notifications.accounts');
SELECT create_reference_table('notifications.users');
SELECT create_reference_table('notifications.account_users');
SELECT create_reference_table('notifications.categories');

-- By the contact's id: a contact and its opt-outs are on one node.
SELECT create_distributed_table('notifications.contacts', 'id', colocate_with => 'none');
SELECT create_distributed_table('notifications.contact_opt_outs', 'contact_id', colocate_with => 'notifications.contacts');
ALTER TABLE notifications.contact_opt_outs ADD FOREIGN KEY (contact_id) REFERENCES notifications.contacts;

-- The copies that stay behind on the coordinator. A shard of contacts is known by
-- the empty table beside it, so this is no matter of space alone.
SELECT truncate_local_data_after_distributing_table('notifications.contact_opt_outs');
SELECT truncate_local_data_after_distributing_table('notifications.contacts');
SELECT truncate_local_data_after_distributing_table('notifications.account_users');
SELECT truncate_local_data_after_distributing_table('notifications.users');
SELECT truncate_local_data_after_distributing_table('notifications.accounts');
SELECT truncate_local_data_after_distributing_table('notifications.categories');

-- The trigger again, now on every shard
SELECT notifications.contact_block_setup();

COMMIT;
