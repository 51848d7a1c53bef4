-- functions.sql - the calls, wherever the contact is
--
-- Run it once on the coordinator after setup.sql, as the same role, with
--   psql -v ON_ERROR_STOP=1 -d app -f functions.sql
--
-- Who calls api.contact_block() needs to know nothing of shards:
--   api.contact_block()               has the contract's name and arguments
--   notifications.contact_call()      takes along who acts, and asks the right node
--   notifications.contact_on_shard()  runs there, next to the contact
-- All run with the caller's rights, which the caller's role has on every node.

BEGIN;

-- The one function that Citus runs on another node: it goes where its first
-- argument is. It is STRICT, and has to be: a null there ends the coordinator's
-- server process. Nothing travels by itself, so actor and claims are arguments; the
-- SET clauses put back what was before when the call is over. An empty text is none.
CREATE FUNCTION notifications.contact_on_shard(id text, call text, reason text, actor text, claims text)
    RETURNS jsonb LANGUAGE plpgsql VOLATILE STRICT SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
    SET contact_block.actor = ''
    SET request.jwt.claims = ''
AS $$
DECLARE
    answer jsonb;
BEGIN
    PERFORM set_config('contact_block.actor', actor, true), set_config('request.jwt.claims', claims, true);
    CASE call
        WHEN 'contact_block' THEN
            answer := notifications.contact_block(id, reason);
        WHEN 'contact_unblock' THEN
            answer := notifications.contact_unblock(id);
        WHEN 'contact_delete' THEN
            answer := notifications.contact_delete(id);
        WHEN 'contact_document' THEN
            answer := notifications.contact_document(id);
        WHEN 'contacts_block' THEN
            SELECT to_jsonb(one) INTO answer FROM notifications.contacts_block(ARRAY[id], reason) AS one;
        WHEN 'contacts_unblock' THEN
            SELECT to_jsonb(one) INTO answer FROM notifications.contacts_unblock(ARRAY[id]) AS one;
        WHEN 'contacts_delete' THEN
            SELECT to_jsonb(one) INTO answer FROM notifications.contacts_delete(ARRAY[id]) AS one;
    END CASE;
    RETURN answer;
END $$;

SELECT create_distributed_function('notifications.contact_on_shard(text, text, text, text, text)', 'id',
                                   colocate_with => 'notifications.contacts', force_delegation => true);

-- One contact. The statement has the form that Citus sends on: the call alone, behind
-- FROM, planned for its values, and no function among these, which would run over there.
CREATE FUNCTION notifications.contact_call(id text, call text, reason text)
    RETURNS jsonb LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    actor text := coalesce(current_setting('contact_block.actor', true), '');
    claims text := coalesce(current_setting('request.jwt.claims', true), '');
    answer jsonb;
BEGIN
    reason := coalesce(reason, '');
    -- what is no id is nowhere: the error is the same here
    IF coalesce(id, '') = '' THEN
        RETURN notifications.contact_document(id);
    END IF;
    -- Citus takes BEGIN READ ONLY along, but no other way to say so
    IF call <> 'contact_document' AND current_setting('transaction_read_only') = 'on' THEN
        RAISE read_only_sql_transaction USING MESSAGE = 'cannot execute UPDATE in a read-only transaction';
    END IF;
    SELECT one INTO answer FROM notifications.contact_on_shard(id, call, reason, actor, claims) AS one;
    RETURN answer;
END $$;

-- Many, one after the other in the order of their ids, so that two calls never wait
-- for each other; in one transaction, whatever the nodes.
CREATE FUNCTION notifications.contacts_call(ids text[], call text, reason text)
    RETURNS TABLE (id text, code text, status text, changed boolean)
    LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    one text;
    answers jsonb[];
BEGIN
    -- no array is the same error here
    IF ids IS NULL THEN
        PERFORM notifications.contacts_unblock(ids);
    END IF;
    FOR one IN SELECT DISTINCT i COLLATE "C" FROM unnest(ids) AS i WHERE i <> '' ORDER BY 1 LOOP
        answers := array_append(answers, notifications.contact_call(one, call, reason));
    END LOOP;
    RETURN QUERY
        SELECT i, coalesce(a ->> 'code', CASE WHEN i IS NULL THEN '22004' ELSE '22023' END), a ->> 'status',
            -- an id that comes again meets what it has become
            coalesce((a ->> 'changed')::boolean, false) AND row_number() OVER (PARTITION BY i ORDER BY n) = 1
        FROM unnest(ids) WITH ORDINALITY AS element (i, n)
            LEFT JOIN unnest(answers) AS a ON a ->> 'id' = i COLLATE "C"
        ORDER BY n;
END $$;

CREATE SCHEMA IF NOT EXISTS api;

CREATE FUNCTION api.contact_block(id text, reason text DEFAULT NULL) RETURNS jsonb
    LANGUAGE sql VOLATILE SECURITY INVOKER
    RETURN notifications.contact_call(id, 'contact_block', reason);

CREATE FUNCTION api.contact_unblock(id text) RETURNS jsonb
    LANGUAGE sql VOLATILE SECURITY INVOKER
    RETURN notifications.contact_call(id, 'contact_unblock', NULL);

CREATE FUNCTION api.contact_delete(id text) RETURNS jsonb
    LANGUAGE sql VOLATILE SECURITY INVOKER
    RETURN notifications.contact_call(id, 'contact_delete', NULL);

CREATE FUNCTION api.contact_document(id text) RETURNS jsonb
    LANGUAGE sql STABLE SECURITY INVOKER
    RETURN notifications.contact_call(id, 'contact_document', NULL);

CREATE FUNCTION api.contacts_block(ids text[], reason text DEFAULT NULL)
    RETURNS TABLE (id text, code text, status text, changed boolean)
    LANGUAGE sql VOLATILE SECURITY INVOKER
    BEGIN ATOMIC
        SELECT one.id, one.code, one.status, one.changed
        FROM notifications.contacts_call(ids, 'contacts_block', reason) AS one;
    END;

CREATE FUNCTION api.contacts_unblock(ids text[])
    RETURNS TABLE (id text, code text, status text, changed boolean)
    LANGUAGE sql VOLATILE SECURITY INVOKER
    BEGIN ATOMIC
        SELECT one.id, one.code, one.status, one.changed
        FROM notifications.contacts_call(ids, 'contacts_unblock', NULL) AS one;
    END;

CREATE FUNCTION api.contacts_delete(ids text[])
    RETURNS TABLE (id text, code text, status text, changed boolean)
    LANGUAGE sql VOLATILE SECURITY INVOKER
    BEGIN ATOMIC
        SELECT one.id, one.code, one.status, one.changed
        FROM notifications.contacts_call(ids, 'contacts_delete', NULL) AS one;
    END;

-- Functions are everybody's when they are made; these are not (see grants.sql).
REVOKE ALL ON FUNCTION
    notifications.contact_on_shard(text, text, text, text, text),
    notifications.contact_call(text, text, text),
    notifications.contacts_call(text[], text, text),
    api.contact_block(text, text),
    api.contact_unblock(text),
    api.contact_delete(text),
    api.contact_document(text),
    api.contacts_block(text[], text),
    api.contacts_unblock(text[]),
    api.contacts_delete(text[])
    FROM PUBLIC;

COMMIT;
