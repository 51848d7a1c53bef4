-- router.sql - the functions of contact_block, for contacts on several shards
--
-- Run it once in the router's database, as a superuser, with where the shards
-- are and the password of contact_router there:
--   psql -v ON_ERROR_STOP=1 -v shard0='host=10.0.0.10 dbname=crm' \
--       -v shard1='host=10.0.0.11 dbname=crm' -v password=secret -f router.sql
-- Other variables:
--   schema        the schema of the functions (crm); for PostgREST, one that it
--                 exposes: nothing else is in it
--   trust_actor   off: who acts is the login of the session, whatever else is
--                 said; where people type SQL themselves (on)
-- Who may see the list of processes sees the password there; without it, set it
-- afterwards:
--   ALTER USER MAPPING FOR contact_proxy SERVER contacts OPTIONS (ADD password 'secret');
--
-- The extension is not needed on the router, PL/Proxy is (Debian:
-- postgresql-NN-plproxy).  It is one transaction: it does everything or nothing.

\if :{?schema}
\else
\set schema crm
\endif
\if :{?trust_actor}
\else
\set trust_actor on
\endif

BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;

-- In another encoding the same letters are in another bucket; and md5 has to work.
DO $$
BEGIN
    IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
        RAISE feature_not_supported USING
            MESSAGE = 'the database is not in UTF8',
            HINT = 'Router and shards find a contact by the bytes of its id, so all of them have to be in UTF8.';
    END IF;
    PERFORM pg_catalog.md5('');
END
$$;

-- Who calls the shards.  It owns the functions below, which run as it; nobody
-- logs in as it, and nobody else may use the connections to the shards.
SELECT 'CREATE ROLE contact_proxy NOLOGIN NOINHERIT'
WHERE to_regrole('contact_proxy') IS NULL \gexec

CREATE SCHEMA contact_proxy;
COMMENT ON SCHEMA contact_proxy IS 'How contacts are found on their shards';
CREATE EXTENSION IF NOT EXISTS plproxy SCHEMA contact_proxy;

-- Where the shards are: p0, p1 and so on, with a line for each.  The user
-- mapping adds login and password.
CREATE SERVER contacts FOREIGN DATA WRAPPER plproxy OPTIONS (
    modular_mapping '1',        -- any number of shards
    connection_lifetime '1800',
    p0 :'shard0',
    p1 :'shard1'
);
GRANT USAGE ON FOREIGN SERVER contacts TO contact_proxy;
\if :{?password}
CREATE USER MAPPING FOR contact_proxy SERVER contacts OPTIONS (user 'contact_router', password :'password');
\else
CREATE USER MAPPING FOR contact_proxy SERVER contacts OPTIONS (user 'contact_router');
\endif

-- Which shard has which buckets.  Every bucket, 0 to 255, has to be in one row.
CREATE TABLE contact_proxy.shards (
    first_bucket integer PRIMARY KEY CHECK (first_bucket BETWEEN 0 AND 255),
    last_bucket integer NOT NULL CHECK (last_bucket BETWEEN first_bucket AND 255),
    shard integer NOT NULL CHECK (shard >= 0),
    EXCLUDE USING gist (int4range(first_bucket, last_bucket, '[]') WITH &&)
);
COMMENT ON TABLE contact_proxy.shards IS 'Which shard, a number of the server "contacts", has which buckets';
INSERT INTO contact_proxy.shards (first_bucket, last_bucket, shard) VALUES
    (0, 127, 0),
    (128, 255, 1);

CREATE FUNCTION contact_proxy.bucket(id text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
    RETURN coalesce(get_byte(decode(md5(id), 'hex'), 0), 0);
COMMENT ON FUNCTION contact_proxy.bucket(text) IS
'Tell the bucket of a contact

Takes the contact''s id and returns the first byte of its MD5 sum, 0 for null.';

-- What one machine finds in its own session, and a shard has to be told.  The
-- role is that of SET ROLE, else the login: a caller cannot claim another one,
-- and the owner of a SECURITY DEFINER function around the call does not count.
CREATE FUNCTION contact_proxy.caller(OUT actor text, OUT claims text, OUT role text) RETURNS record
    LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
\if :trust_actor
    RETURN (coalesce(current_setting('contact_block.actor', true), ''),
\else
    RETURN (session_user::text,
\endif
            coalesce(current_setting('request.jwt.claims', true), ''),
            CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role') END);
COMMENT ON FUNCTION contact_proxy.caller() IS
'Tell who calls

Takes nothing and returns the actor, the claims and the role of the session; an empty text is none.';

-- The calls themselves.  PL/Proxy sends each as a statement that commits by
-- itself, those of a SPLIT at the same time.
CREATE FUNCTION contact_proxy.send(shard integer, id text, verb text, reason text, actor text, claims text, role text,
                                   OUT document jsonb, OUT error jsonb) RETURNS record
    LANGUAGE plproxy VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY INVOKER
AS $$
    CLUSTER 'contacts';
    RUN ON shard;
    SELECT r.* FROM contact_shard.call(id, verb, reason, actor, claims, role) AS r;
$$;
COMMENT ON FUNCTION contact_proxy.send(integer, text, text, text, text, text, text) IS
'Call a shard for a contact

Takes the number of the shard and the arguments of contact_shard.call(), and returns what that returns.
Raises XX000 (no connection).';

CREATE FUNCTION contact_proxy.send_many(shards integer[], places integer[], ids text[], verb text, reason text,
                                        actor text, claims text, role text)
    RETURNS TABLE (place integer, id text, code text, status text, changed boolean, error jsonb)
    LANGUAGE plproxy VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY INVOKER
AS $$
    CLUSTER 'contacts';
    SPLIT shards, places, ids;
    RUN ON shards;
    SELECT r.* FROM contact_shard.call_many(places, ids, verb, reason, actor, claims, role) AS r;
$$;
COMMENT ON FUNCTION contact_proxy.send_many(integer[], integer[], text[], text, text, text, text, text) IS
'Call shards for many contacts

Takes the number of each contact''s shard and the arguments of contact_shard.call_many(), and returns the rows of all shards, in no order.
Raises XX000 (no connection); other shards may have done their part then.';

CREATE FUNCTION contact_proxy.ping(shards integer[]) RETURNS SETOF boolean
    LANGUAGE plproxy VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY INVOKER
AS $$
    CLUSTER 'contacts';
    SPLIT shards;
    RUN ON shards;
    SELECT contact_shard.ping();
$$;
COMMENT ON FUNCTION contact_proxy.ping(integer[]) IS
'See whether shards can be reached

Takes their numbers and returns a row for each.
Raises XX000 (one of them cannot).';

-- What one machine would refuse by itself, and what only a router has to.
CREATE FUNCTION contact_proxy.check_change() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('transaction_read_only')::boolean THEN
        RAISE read_only_sql_transaction USING MESSAGE = 'cannot execute UPDATE in a read-only transaction';
    END IF;
    IF pg_current_xact_id_if_assigned() IS NOT NULL THEN
        RAISE active_sql_transaction USING
            MESSAGE = 'contacts cannot be changed in a transaction that has written to this database',
            DETAIL = 'The change commits on the contact''s shard at once; a ROLLBACK here would not undo it.',
            HINT = 'Make the call in a transaction of its own.';
    END IF;
END
$$;
COMMENT ON FUNCTION contact_proxy.check_change() IS
'See whether contacts may be changed in this transaction

Takes and returns nothing.
Raises 25006 (it is read-only) and 25001 (it has written to the router''s database).';

-- Raise what a shard has returned as an error.  RAISE cannot say "no detail",
-- hence four of them.
CREATE FUNCTION contact_proxy.raise(error jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    code text := error ->> 'code';
    message text := error ->> 'message';
    detail text := error ->> 'detail';
    hint text := error ->> 'hint';
BEGIN
    IF detail = '' AND hint = '' THEN
        RAISE USING ERRCODE = code, MESSAGE = message;
    ELSIF hint = '' THEN
        RAISE USING ERRCODE = code, MESSAGE = message, DETAIL = detail;
    ELSIF detail = '' THEN
        RAISE USING ERRCODE = code, MESSAGE = message, HINT = hint;
    ELSE
        RAISE USING ERRCODE = code, MESSAGE = message, DETAIL = detail, HINT = hint;
    END IF;
END
$$;
COMMENT ON FUNCTION contact_proxy.raise(jsonb) IS
'Raise an error

Takes its code, message, detail and hint, where an empty text is none, and raises it.';

-- What PL/Proxy raises is about a connection, or the functions of shard.sql could
-- not even begin.  Of the former its own words name hosts and logins, so they go
-- to the server's log and the caller is told in constant ones; the latter are
-- the shard's, with some of PL/Proxy's before them.
CREATE FUNCTION contact_proxy.translate(shard text, code text, message text, detail text, hint text) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- no backslashes: what they are is a setting of the caller's (before 19)
    connection constant text := '^PL/Proxy function contact_proxy[.][^:]*: [[].*?[]] ';
    remote constant text := '^contact_proxy[.][^:]*: [[].*?[]] REMOTE ';
BEGIN
    IF message ~ (connection || 'PQconnect') THEN
        RAISE LOG 'shard %: %', shard, message;
        code := '08001';
        message := 'could not connect to the contact''s shard';
        detail := format('It is shard %s.', shard);
        hint := 'The call was not carried out.';
    ELSIF message ~ connection OR message ~ (remote || '[(]null[)]')
        OR message ~ remote AND (code LIKE '08%' OR code LIKE '57P%') THEN
        RAISE LOG 'shard %: %', shard, message;
        code := '08006';
        message := 'the connection to the contact''s shard was lost';
        detail := format('It is shard %s.', shard);
        hint := 'Whether the call was carried out is not known. It may be repeated.';
    ELSIF message ~ remote THEN
        message := regexp_replace(message, remote || '[^:]*: ', '');
        detail := regexp_replace(detail, '^Remote detail: ', '');
        hint := regexp_replace(hint, '^Remote hint: ', '');
    END IF;
    RETURN jsonb_build_object('code', code, 'message', message, 'detail', detail, 'hint', hint);
END
$$;
COMMENT ON FUNCTION contact_proxy.translate(text, text, text, text, text) IS
'Put an error of PL/Proxy into words for callers

Takes the shard, and SQLSTATE, message, detail and hint as PL/Proxy gave them, and returns the error to raise: 08001 (no connection to the shard), 08006 (the connection was lost), or what the shard said.';

-- One contact.  The statement that reads the table of shards locks it until the
-- transaction ends, so cut_over.sql waits for calls under way, and calls wait for it.
CREATE FUNCTION contact_proxy.call(id text, verb text, reason text) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    caller record;
    document jsonb;
    error jsonb;
    its_shard integer;
    code text;
    message text;
    detail text;
    hint text;
BEGIN
    IF id IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'the contact''s id must not be null';
    END IF;
    IF verb <> 'read' THEN
        PERFORM contact_proxy.check_change();
    END IF;
    SELECT s.shard INTO its_shard FROM contact_proxy.shards AS s
    WHERE contact_proxy.bucket(id) BETWEEN s.first_bucket AND s.last_bucket;
    IF NOT FOUND THEN
        PERFORM contact_proxy.no_shard(id);
    END IF;
    SELECT * INTO caller FROM contact_proxy.caller();
    BEGIN
        SELECT * INTO document, error
        FROM contact_proxy.send(its_shard, id, verb, coalesce(reason, ''), caller.actor, caller.claims, caller.role);
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
            detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        error := contact_proxy.translate(its_shard::text, code, message, detail, hint);
    END;
    PERFORM contact_proxy.raise(error);
    RETURN document;
END
$$;
COMMENT ON FUNCTION contact_proxy.call(text, text, text) IS
'Change or read a contact on its shard

Takes the contact''s id, what to do (see contact_shard.call) and a reason or null, and returns the contact''s document.
Raises what one machine raises, 08001 and 08006 (the shard cannot be reached), 25001 (the transaction has written here) and 55000 (the shards are not set up).';

CREATE FUNCTION contact_proxy.no_shard(id text) RETURNS void
    LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE object_not_in_prerequisite_state USING
        MESSAGE = 'no shard has the contact',
        DETAIL = format('Contact "%s" is in bucket %s.', id, contact_proxy.bucket(id)),
        HINT = 'Every bucket from 0 to 255 has to be in contact_proxy.shards.';
END
$$;
COMMENT ON FUNCTION contact_proxy.no_shard(text) IS
'Refuse a contact that is on no shard

Takes the contact''s id and raises 55000.';

-- Which of these shards cannot be reached: mostly none, which all of them say at
-- the same time.
CREATE FUNCTION contact_proxy.unreachable(shards integer[]) RETURNS integer[]
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    lost integer[] := '{}';
    one integer;
    code text;
    message text;
    detail text;
    hint text;
    error jsonb;
BEGIN
    BEGIN
        PERFORM contact_proxy.ping(shards);
        RETURN lost;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;
    FOREACH one IN ARRAY shards LOOP
        BEGIN
            PERFORM contact_proxy.ping(ARRAY[one]);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
                detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            error := contact_proxy.translate(one::text, code, message, detail, hint);
            -- one that can be reached, but is not set up, is an error of the whole call
            IF error ->> 'code' NOT LIKE '08%' THEN
                PERFORM contact_proxy.raise(error);
            END IF;
            lost := lost || one;
        END;
    END LOOP;
    RETURN lost;
END
$$;
COMMENT ON FUNCTION contact_proxy.unreachable(integer[]) IS
'Tell which shards cannot be reached

Takes their numbers and returns those that do not answer; why is in the server''s log.
Raises what one that can be reached says instead.';

-- Many contacts.  Those of a shard that cannot be reached get the code that a
-- call for one would have ended with, and keep no other from its change.
CREATE FUNCTION contact_proxy.call_many(ids text[], verb text, reason text)
    RETURNS TABLE (id text, code text, status text, changed boolean)
    LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    caller record;
    all_ids text[];         -- in one dimension
    all_shards integer[];   -- of each of them
    shards integer[];
    lost integer[];
    stray text;
    error jsonb;
    state text;
    message text;
    detail text;
    hint text;
BEGIN
    IF ids IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'the array of the contacts'' ids must not be null';
    END IF;
    PERFORM contact_proxy.check_change();
    SELECT array_agg(e.id ORDER BY e.place), array_agg(s.shard ORDER BY e.place), array_agg(DISTINCT s.shard),
        min(e.id) FILTER (WHERE s.shard IS NULL)
    INTO all_ids, all_shards, shards, stray
    FROM unnest(ids) WITH ORDINALITY AS e (id, place)
    LEFT JOIN contact_proxy.shards AS s ON contact_proxy.bucket(e.id) BETWEEN s.first_bucket AND s.last_bucket;
    IF array_position(shards, NULL) IS NOT NULL THEN
        PERFORM contact_proxy.no_shard(stray);
    END IF;
    lost := contact_proxy.unreachable(shards);
    SELECT * INTO caller FROM contact_proxy.caller();
    BEGIN
        FOR id, code, status, changed, error IN
            WITH wanted AS (
                SELECT e.place::integer, e.id, e.shard
                FROM unnest(all_ids, all_shards) WITH ORDINALITY AS e (id, shard, place)
            ), sent AS MATERIALIZED (
                SELECT r.* FROM (
                    SELECT array_agg(w.shard ORDER BY w.place) AS shards, array_agg(w.place ORDER BY w.place) AS places,
                        array_agg(w.id ORDER BY w.place) AS ids
                    FROM wanted AS w WHERE w.shard <> ALL (lost)) AS w,
                contact_proxy.send_many(w.shards, w.places, w.ids, verb, coalesce(reason, ''),
                                        caller.actor, caller.claims, caller.role) AS r
            )
            SELECT w.id, coalesce(r.code, '08001'), r.status, coalesce(r.changed, false), r.error
            FROM wanted AS w FULL JOIN sent AS r USING (place)
            ORDER BY r.error IS NULL, place
        LOOP
            EXIT WHEN error IS NOT NULL;
            RETURN NEXT;
        END LOOP;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
            detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        error := contact_proxy.translate(array_to_string(shards, ' or '), state, message, detail, hint);
    END;
    PERFORM contact_proxy.raise(error);
END
$$;
COMMENT ON FUNCTION contact_proxy.call_many(text[], text, text) IS
'Change many contacts, each on its shard

Takes an array of ids, what to do (see contact_shard.call_many) and a reason or null, and returns a row for each element, in the array''s order.
Raises what one machine raises, 08006 (a connection was lost), 25001 (the transaction has written here) and 55000 (the shards are not set up); other shards may have done their part then.';

-- What applications see: names, arguments, results and errors of contact_block.
-- They run as contact_proxy, so that whoever may call them needs no other right
-- here; on the shard the caller's own rights count.  Their bodies are bound to
-- what they call now, and no setting changes that.
CREATE SCHEMA IF NOT EXISTS :"schema";

CREATE FUNCTION :"schema".contact_block(id text) RETURNS jsonb
    LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER
    RETURN contact_proxy.call(id, 'block', NULL);
COMMENT ON FUNCTION :"schema".contact_block(text) IS
'Block a contact

Takes the contact''s id, turns an Active contact Blocked and returns its document after the change.
A contact that is Blocked already stays exactly as it is: repeating the call is free.
Raises 22004 (id null), 22023 (id empty, or claims not a JSON object), PT404 (no such contact), PT409 (New or Deleted), 42501 (not permitted), 08001 and 08006 (the shard cannot be reached), 25001 (the transaction has written here) and 55000 (not set up).';

CREATE FUNCTION :"schema".contact_block(id text, reason text) RETURNS jsonb
    LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER
    RETURN contact_proxy.call(id, 'block and say why', reason);
COMMENT ON FUNCTION :"schema".contact_block(text, text) IS
'Block a contact and say why

Takes the contact''s id and a reason, turns an Active contact Blocked, sets its blockedReason and returns its document after the change.
Of a contact that is Blocked already another reason is replaced; a null or empty one never erases it.
Raises 22004 (id null), 22023 (id empty, or claims not a JSON object), PT404 (no such contact), PT409 (New or Deleted), 42501 (not permitted), 08001 and 08006 (the shard cannot be reached), 25001 (the transaction has written here) and 55000 (not set up).';

CREATE FUNCTION :"schema".contact_unblock(id text) RETURNS jsonb
    LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER
    RETURN contact_proxy.call(id, 'unblock', NULL);
COMMENT ON FUNCTION :"schema".contact_unblock(text) IS
'Unblock a contact

Takes the contact''s id, turns a Blocked contact Active, removes its blockedReason and returns its document after the change.
A contact that is Active already stays exactly as it is.
Raises 22004 (id null), 22023 (id empty, or claims not a JSON object), PT404 (no such contact), PT409 (New or Deleted), 42501 (not permitted), 08001 and 08006 (the shard cannot be reached), 25001 (the transaction has written here) and 55000 (not set up).';

CREATE FUNCTION :"schema".contact_delete(id text) RETURNS jsonb
    LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER
    RETURN contact_proxy.call(id, 'delete', NULL);
COMMENT ON FUNCTION :"schema".contact_delete(text) IS
'Delete a contact

Takes the contact''s id, turns an Active or Blocked contact Deleted, which is final, and returns its document after the change. The row stays.
A contact that is Deleted already stays exactly as it is.
Raises 22004 (id null), 22023 (id empty, or claims not a JSON object), PT404 (no such contact), PT409 (New), 0A000 (the status cannot be Deleted), 42501 (not permitted), 08001 and 08006 (the shard cannot be reached), 25001 (the transaction has written here) and 55000 (not set up).';

CREATE FUNCTION :"schema".contact_document(id text) RETURNS jsonb
    LANGUAGE sql STABLE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER
    RETURN contact_proxy.call(id, 'read', NULL);
COMMENT ON FUNCTION :"schema".contact_document(text) IS
'Get a contact

Takes the contact''s id and returns its document, whatever its status, as its shard has it now.
Raises 22004 (id null), 22023 (id empty), PT404 (no such contact), 42501 (not permitted), 08001 and 08006 (the shard cannot be reached) and 55000 (not set up).';

CREATE FUNCTION :"schema".contacts_block(ids text[], reason text DEFAULT NULL)
    RETURNS TABLE (id text, code text, status text, changed boolean)
    LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER
    BEGIN ATOMIC
        SELECT r.id, r.code, r.status, r.changed FROM contact_proxy.call_many(ids, 'block', reason) AS r;
    END;
COMMENT ON FUNCTION :"schema".contacts_block(text[], text) IS
'Block many contacts

Takes an array of ids and a reason for all of them, or null, and turns the Active ones among these contacts Blocked.
Returns a row for each element, in the array''s order: the id, the SQLSTATE that contact_block would have ended with (00000: none), the status now, and whether this call has changed it. 55P03: somebody held the contact, call again. 08001: its shard cannot be reached.
Raises 22004 (no array), 22023 (claims not a JSON object), 42501 (not permitted), 08006 (a connection was lost), 25001 (the transaction has written here) and 55000 (not set up); what other shards have done stays then.';

CREATE FUNCTION :"schema".contacts_unblock(ids text[])
    RETURNS TABLE (id text, code text, status text, changed boolean)
    LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER
    BEGIN ATOMIC
        SELECT r.id, r.code, r.status, r.changed FROM contact_proxy.call_many(ids, 'unblock', NULL) AS r;
    END;
COMMENT ON FUNCTION :"schema".contacts_unblock(text[]) IS
'Unblock many contacts

Takes an array of ids, turns the Blocked ones among these contacts Active and removes their blockedReason.
Returns a row for each element, in the array''s order: the id, the SQLSTATE that contact_unblock would have ended with (00000: none), the status now, and whether this call has changed it. 55P03: somebody held the contact, call again. 08001: its shard cannot be reached.
Raises 22004 (no array), 22023 (claims not a JSON object), 42501 (not permitted), 08006 (a connection was lost), 25001 (the transaction has written here) and 55000 (not set up); what other shards have done stays then.';

CREATE FUNCTION :"schema".contacts_delete(ids text[])
    RETURNS TABLE (id text, code text, status text, changed boolean)
    LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER
    BEGIN ATOMIC
        SELECT r.id, r.code, r.status, r.changed FROM contact_proxy.call_many(ids, 'delete', NULL) AS r;
    END;
COMMENT ON FUNCTION :"schema".contacts_delete(text[]) IS
'Delete many contacts

Takes an array of ids and turns the Active and Blocked ones among these contacts Deleted, which is final. The rows stay.
Returns a row for each element, in the array''s order: the id, the SQLSTATE that contact_delete would have ended with (00000: none), the status now, and whether this call has changed it. 55P03: somebody held the contact, call again. 08001: its shard cannot be reached.
Raises 22004 (no array), 22023 (claims not a JSON object), 42501 (not permitted), 0A000 (the status cannot be Deleted), 08006 (a connection was lost), 25001 (the transaction has written here) and 55000 (not set up); what other shards have done stays then.';

-- contact_proxy runs them and may call what they need; nobody else may.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA contact_proxy FROM PUBLIC;
GRANT USAGE ON SCHEMA contact_proxy TO contact_proxy;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA contact_proxy TO contact_proxy;
GRANT SELECT ON contact_proxy.shards TO contact_proxy;
SELECT format('ALTER FUNCTION %1$I.%2$s OWNER TO contact_proxy; REVOKE ALL ON FUNCTION %1$I.%2$s FROM PUBLIC', :'schema', signature)
FROM unnest(ARRAY['contact_block(text)', 'contact_block(text, text)', 'contact_unblock(text)', 'contact_delete(text)',
                  'contact_document(text)', 'contacts_block(text[], text)', 'contacts_unblock(text[])', 'contacts_delete(text[])'])
    AS signature \gexec

-- Your application's roles, here one that blocks and unblocks.  Each has to be on
-- every shard too, where its rights are.
SELECT 'CREATE ROLE contact_operator NOLOGIN'
WHERE to_regrole('contact_operator') IS NULL \gexec
GRANT USAGE ON SCHEMA :"schema" TO contact_operator;
GRANT EXECUTE ON FUNCTION :"schema".contact_block(text), :"schema".contact_block(text, text),
    :"schema".contact_unblock(text), :"schema".contact_document(text),
    :"schema".contacts_block(text[], text), :"schema".contacts_unblock(text[]) TO contact_operator;

COMMIT;
