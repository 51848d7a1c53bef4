-- grants.sql - a role that may call, on every node
--
-- Run it on the coordinator after functions.sql, as superuser, and again after every
-- citus_add_node(), with
--   psql -v ON_ERROR_STOP=1 -d app -f grants.sql

BEGIN;

-- As in setup.sql: references lead from one of these tables to another.
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- A node logs in at another one as the role that calls: it has to be one that may.
-- It needs no password if pg_hba.conf lets the nodes in otherwise (cert), else
-- citus.node_conninfo or a .pgpass has to know one.
SELECT 'CREATE ROLE contact_operator LOGIN'
WHERE to_regrole('contact_operator') IS NULL \gexec

-- Who acts is told by the calls. A write that came without, as plain SQL on the
-- coordinator does, is refused: else the connection's role would be recorded.
SELECT format('ALTER DATABASE %I SET contact_block.require_actor = on', current_database()) \gexec

-- Citus takes these to all nodes, if the tables are named one by one: not with
-- ON ALL TABLES IN SCHEMA. A column that is left out is named in $meta.omitted.
GRANT USAGE ON SCHEMA api, notifications TO contact_operator;
GRANT UPDATE (status, blocked_reason) ON notifications.contacts TO contact_operator;
GRANT SELECT (id, email, name, status, blocked_reason, user_id,
              created_at, created_by, updated_at, updated_by,
              activated_at, activated_by, blocked_at, blocked_by,
              deleted_at, deleted_by)
    ON notifications.contacts TO contact_operator;
GRANT SELECT (contact_id, category_id, last_used)
    ON notifications.contact_opt_outs TO contact_operator;
GRANT SELECT (id, name, short_description, icon)
    ON notifications.categories TO contact_operator;
GRANT SELECT (id, email, status, name, first_name, last_name, icon,
              phone_prefix, phone_number, culture_code, language_code,
              last_login_at, current_account_id, created_at, created_by,
              updated_at, updated_by, invitation_accepted_at)
    ON notifications.users TO contact_operator;
GRANT SELECT (user_id, account_id)
    ON notifications.account_users TO contact_operator;
GRANT SELECT (id, type, status, name, icon)
    ON notifications.accounts TO contact_operator;
GRANT EXECUTE ON FUNCTION
    api.contact_block(text, text),
    api.contact_unblock(text),
    api.contact_delete(text),
    api.contact_document(text),
    api.contacts_block(text[], text),
    api.contacts_unblock(text[]),
    api.contacts_delete(text[]),
    notifications.contact_call(text, text, text),
    notifications.contacts_call(text[], text, text),
    notifications.contact_on_shard(text, text, text, text, text)
    TO contact_operator;

COMMIT;

-- The extension's own functions are not Citus's to look after.
DO $$
DECLARE
    failed text;
BEGIN
    SELECT string_agg(format('node %s: %s', nodeid, result), E'\n') INTO failed
    FROM run_command_on_all_nodes('GRANT EXECUTE ON FUNCTION
        notifications.contact_block(text, text),
        notifications.contact_unblock(text),
        notifications.contact_delete(text),
        notifications.contact_document(text),
        notifications.contacts_block(text[], text),
        notifications.contacts_unblock(text[]),
        notifications.contacts_delete(text[])
        TO contact_operator')
    WHERE NOT success;
    IF failed IS NOT NULL THEN
        RAISE 'the functions could not be granted on every node' USING DETAIL = failed;
    END IF;
END $$;
