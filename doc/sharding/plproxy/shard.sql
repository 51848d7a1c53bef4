-- shard.sql - what a shard needs to be called by a router
--
-- Run it once in each shard's database, as a superuser, after
--   CREATE SCHEMA crm;
--   CREATE EXTENSION contact_block SCHEMA crm;
--   SELECT crm.contact_block_setup();
-- with the range of buckets that this shard has, here the first of two:
--   psql -v ON_ERROR_STOP=1 -v first_bucket=0 -v last_bucket=127 -f shard.sql
-- If the extension is in another schema: add -v schema=thatschema.
-- Then give the login its password: \password contact_router
--
-- It is one transaction: it does everything or nothing.  Ids have to be text:
-- two spellings of a uuid would be in two buckets.

\if :{?schema}
\else
\set schema crm
\endif

BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL client_min_messages = warning;

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

-- The router's login.  By itself it may do nothing but call the functions
-- below.  It may become those roles that are granted to it: these GRANTs say who
-- the router's callers can be on this shard.  Never grant it a superuser, or a
-- role that owns anything.
SELECT 'CREATE ROLE contact_router LOGIN NOINHERIT'
WHERE to_regrole('contact_router') IS NULL \gexec

-- A change that does not say who acts is refused: it is never recorded as the
-- router's.
ALTER ROLE contact_router SET contact_block.require_actor = on;
-- Also where the database does not trust its own sessions: else all that came
-- by the router would be the router's.
ALTER ROLE contact_router SET contact_block.trust_actor = on;
ALTER ROLE contact_router SET search_path = pg_catalog, pg_temp;
-- Calls that wait for one contact hold connections that others need.  The same
-- limits as for PostgREST in doc/gateway/roles.sql.
ALTER ROLE contact_router SET statement_timeout = '8s';
ALTER ROLE contact_router SET lock_timeout = '1s';

CREATE SCHEMA contact_shard;
COMMENT ON SCHEMA contact_shard IS 'What the router of the contacts calls';

\ir range.sql
ALTER TABLE :"schema".contacts VALIDATE CONSTRAINT contacts_of_this_shard;
ALTER TABLE :"schema".contact_opt_outs VALIDATE CONSTRAINT contacts_of_this_shard;
COMMENT ON FUNCTION contact_shard.is_stranger(text) IS
'Tell whether a contact belongs to another shard

Takes the contact''s id and returns true when its bucket is not in the range of this shard.';

CREATE FUNCTION contact_shard.refuse_stranger(id text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE object_not_in_prerequisite_state USING
        MESSAGE = 'the contact belongs to another shard',
        DETAIL = format('Contact "%s" is in bucket %s.', id, get_byte(decode(md5(id), 'hex'), 0)),
        HINT = 'Compare contact_proxy.shards and the server "contacts" on the router with contact_shard.is_stranger() on each shard.';
END
$$;
COMMENT ON FUNCTION contact_shard.refuse_stranger(text) IS
'Refuse a contact of another shard

Takes the contact''s id and raises 55000.';

-- What it sets lasts until the function that calls it puts it back.
CREATE FUNCTION contact_shard.become(actor text, claims text, role text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT coalesce(pg_has_role(session_user, to_regrole(quote_ident(role)), 'MEMBER'), false) THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'permission denied to act as the caller''s role',
            DETAIL = format('On this shard %I may not become %I.', session_user, role),
            HINT = 'Create that role on every shard, and grant it to the router''s login.';
    END IF;
    PERFORM set_config('contact_block.actor', actor, true), set_config('request.jwt.claims', claims, true),
        set_config('role', role, true);
END
$$;
COMMENT ON FUNCTION contact_shard.become(text, text, text) IS
'Become the caller of the router

Takes the actor, the claims and the role of who called the router, and sets them.
Raises 42501 (the session''s login may not become this role).';

-- The function for one contact.  Nothing of the session on the router arrives
-- here by itself, so all that counts is an argument.  The SET clauses put it
-- back when the function returns: no connection, pooled or not, keeps any of it.
-- STRICT: what lost an argument does nothing.  The router sends '' for none.
-- An error undoes what the call did, and is returned: PL/Proxy would change its
-- texts, and make a new connection after each.
SELECT format($body$
DECLARE
    code text;
    message text;
    detail text;
    hint text;
BEGIN
    IF contact_shard.is_stranger(id) THEN
        PERFORM contact_shard.refuse_stranger(id);
    END IF;
    PERFORM contact_shard.become(actor, claims, role);
    -- from here on with the caller's rights
    CASE verb
        WHEN 'block' THEN document := %1$I.contact_block(id);
        WHEN 'block and say why' THEN document := %1$I.contact_block(id, reason);
        WHEN 'unblock' THEN document := %1$I.contact_unblock(id);
        WHEN 'delete' THEN document := %1$I.contact_delete(id);
        WHEN 'read' THEN document := %1$I.contact_document(id);
    END CASE;
    -- what would fail at COMMIT, where nothing could be returned any more
    SET CONSTRAINTS ALL IMMEDIATE;
EXCEPTION WHEN OTHERS OR query_canceled THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    error := jsonb_build_object('code', code, 'message', message, 'detail', detail, 'hint', hint);
END
$body$, :'schema') AS body \gset
CREATE FUNCTION contact_shard.call(id text, verb text, reason text, actor text, claims text, role text,
                                   OUT document jsonb, OUT error jsonb) RETURNS record
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
    SET role = none
    SET contact_block.actor = ''
    SET request.jwt.claims = ''
    AS :'body';
COMMENT ON FUNCTION contact_shard.call(text, text, text, text, text, text) IS
'Change or read a contact for a caller of the router

Takes the contact''s id, what to do, a reason or an empty text, and the actor, the claims and the role of the caller. Returns the document that the function of contact_block returns to that caller, or the code, message, detail and hint of its error.
Returns also 55000 (the contact belongs to another shard) and 42501 (the router may not act as this role).';

-- The function for many.  A row says by its place which element it belongs to;
-- an error is the only row.
SELECT format($body$
DECLARE
    stranger text;
    state text;
    message text;
    detail text;
    hint text;
BEGIN
    SELECT e.id INTO stranger FROM unnest(ids) AS e (id) WHERE contact_shard.is_stranger(e.id) LIMIT 1;
    IF FOUND THEN
        PERFORM contact_shard.refuse_stranger(stranger);
    END IF;
    PERFORM contact_shard.become(actor, claims, role);
    CASE verb
        WHEN 'block' THEN
            RETURN QUERY SELECT *, NULL::jsonb FROM ROWS FROM (unnest(places), %1$I.contacts_block(ids, reason));
        WHEN 'unblock' THEN
            RETURN QUERY SELECT *, NULL::jsonb FROM ROWS FROM (unnest(places), %1$I.contacts_unblock(ids));
        WHEN 'delete' THEN
            RETURN QUERY SELECT *, NULL::jsonb FROM ROWS FROM (unnest(places), %1$I.contacts_delete(ids));
    END CASE;
    SET CONSTRAINTS ALL IMMEDIATE;
EXCEPTION WHEN OTHERS OR query_canceled THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    error := jsonb_build_object('code', state, 'message', message, 'detail', detail, 'hint', hint);
    RETURN NEXT;
END
$body$, :'schema') AS body \gset
CREATE FUNCTION contact_shard.call_many(places integer[], ids text[], verb text, reason text,
                                        actor text, claims text, role text)
    RETURNS TABLE (place integer, id text, code text, status text, changed boolean, error jsonb)
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY INVOKER
    SET search_path = pg_catalog, pg_temp
    SET role = none
    SET contact_block.actor = ''
    SET request.jwt.claims = ''
    AS :'body';
COMMENT ON FUNCTION contact_shard.call_many(integer[], text[], text, text, text, text, text) IS
'Change many contacts for a caller of the router

Takes the contacts'' ids and their places in the caller''s array, what to do, a reason or an empty text, and the actor, the claims and the role of the caller. Returns the rows that the function of contact_block returns to that caller, each with its place, or a row with the code, message, detail and hint of its error.
Returns also 55000 (a contact belongs to another shard) and 42501 (the router may not act as this role).';

CREATE FUNCTION contact_shard.ping() RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
    RETURN true;
COMMENT ON FUNCTION contact_shard.ping() IS
'Tell that the shard can be reached

Takes nothing and returns true.';

-- All of these are the router's alone.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA contact_shard FROM PUBLIC;
GRANT USAGE ON SCHEMA contact_shard TO contact_router;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA contact_shard TO contact_router;

-- Your application's roles, here one that blocks and unblocks: the same names as
-- on the router, with the rights that they would have on one machine (README,
-- "Roles and grants"), and granted to the router's login.
SELECT 'CREATE ROLE contact_operator NOLOGIN'
WHERE to_regrole('contact_operator') IS NULL \gexec
GRANT USAGE ON SCHEMA :"schema" TO contact_operator;
GRANT EXECUTE ON FUNCTION :"schema".contact_block(text), :"schema".contact_block(text, text),
    :"schema".contact_unblock(text), :"schema".contact_document(text),
    :"schema".contacts_block(text[], text), :"schema".contacts_unblock(text[]) TO contact_operator;
GRANT SELECT ON :"schema".contacts, :"schema".contact_opt_outs, :"schema".categories,
    :"schema".users, :"schema".accounts, :"schema".account_users TO contact_operator;
GRANT UPDATE (status, blocked_reason) ON :"schema".contacts TO contact_operator;
GRANT contact_operator TO contact_router;

COMMIT;
