-- roles.sql - the roles and the schema that PostgREST works with
--
-- Run it once in a database, as a superuser, after
--   CREATE SCHEMA notifications;
--   CREATE EXTENSION contact_block SCHEMA notifications;
--   SELECT notifications.contact_block_setup();
-- with
--   psql -v ON_ERROR_STOP=1 -d app -f roles.sql
-- If the extension is in another schema: add -v schema=thatschema.
--
-- It is one transaction: it does everything or nothing.

\if :{?schema}
\else
\set schema notifications
\endif

BEGIN;

-- Roles belong to the whole cluster, so they may be there from another
-- database.
--   authenticator     PostgREST's login. It has no right but to become one of
--                     the others. Give it a password: \password authenticator
--   web_anon          a caller without a token, or whose token has no role:
--                     may do nothing
--   contact_operator  a caller whose token has "role": "contact_operator"
SELECT 'CREATE ROLE authenticator LOGIN NOINHERIT'
WHERE to_regrole('authenticator') IS NULL \gexec
SELECT 'CREATE ROLE web_anon NOLOGIN'
WHERE to_regrole('web_anon') IS NULL \gexec
SELECT 'CREATE ROLE contact_operator NOLOGIN'
WHERE to_regrole('contact_operator') IS NULL \gexec
GRANT web_anon TO authenticator;
GRANT contact_operator TO authenticator;

-- A call that takes longer gets an error, before nginx gives up (10 s).
ALTER ROLE authenticator SET statement_timeout = '8s';
-- Calls that wait for one contact hold connections that others need: PostgREST
-- has 10, and lets a call wait for one for 5 s (db-pool in postgrest.conf). With
-- 1 s, 20 calls for a contact that is locked are done with in 2 s, 40 in 4.
ALTER ROLE authenticator SET lock_timeout = '1s';

-- A change by a token that does not say who acts is refused: else the role
-- would be recorded in a person's place.
ALTER ROLE authenticator SET contact_block.require_actor = on;

-- What PostgREST exposes: the verbs, not the tables and not the set-up. The
-- functions run as their caller, so the caller's rights and name apply. Their
-- arguments have the names that clients use. There is one function a verb,
-- since not every gateway can tell overloads apart.
CREATE SCHEMA api;

-- Title and description of PostgREST's OpenAPI
COMMENT ON SCHEMA api IS 'Contacts

Block, unblock, delete and read the contacts of a notifications platform. Each call is one transaction and may be repeated.';

CREATE FUNCTION api.contact_block(id text, reason text DEFAULT NULL) RETURNS jsonb
    LANGUAGE sql VOLATILE SECURITY INVOKER
    RETURN :"schema".contact_block(id, reason);

CREATE FUNCTION api.contact_unblock(id text) RETURNS jsonb
    LANGUAGE sql VOLATILE SECURITY INVOKER
    RETURN :"schema".contact_unblock(id);

CREATE FUNCTION api.contact_delete(id text) RETURNS jsonb
    LANGUAGE sql VOLATILE SECURITY INVOKER
    RETURN :"schema".contact_delete(id);

-- Many at once: a row for each id
CREATE FUNCTION api.contacts_block(ids text[], reason text DEFAULT NULL)
    RETURNS TABLE (id text, code text, status text, changed boolean)
    LANGUAGE sql VOLATILE SECURITY INVOKER
    BEGIN ATOMIC
        SELECT one.id, one.code, one.status, one.changed
        FROM :"schema".contacts_block(ids, reason) AS one;
    END;

CREATE FUNCTION api.contacts_unblock(ids text[])
    RETURNS TABLE (id text, code text, status text, changed boolean)
    LANGUAGE sql VOLATILE SECURITY INVOKER
    BEGIN ATOMIC
        SELECT one.id, one.code, one.status, one.changed
        FROM :"schema".contacts_unblock(ids) AS one;
    END;

-- STABLE: PostgREST calls it in a read-only transaction.
CREATE FUNCTION api.contact_document(id text) RETURNS jsonb
    LANGUAGE sql STABLE SECURITY INVOKER
    RETURN :"schema".contact_document(id);

-- Their comments are the extension's: the first line is the summary of the
-- operation in OpenAPI, the rest its description.
SELECT format('COMMENT ON FUNCTION api.%I(%s) IS %L', p.proname,
              pg_get_function_identity_arguments(p.oid),
              obj_description(e.oid, 'pg_proc'))
FROM pg_proc p JOIN pg_proc e USING (proname, proargtypes)
WHERE p.pronamespace = 'api'::regnamespace
  AND e.pronamespace = quote_ident(:'schema')::regnamespace
ORDER BY p.oid \gexec

-- Functions are everybody's when they are made; these are not.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA api FROM PUBLIC;

-- The operator may call the functions, here and in the extension's schema ...
GRANT USAGE ON SCHEMA api TO contact_operator;
GRANT USAGE ON SCHEMA :"schema" TO contact_operator;
GRANT EXECUTE ON FUNCTION api.contact_block(text, text) TO contact_operator;
GRANT EXECUTE ON FUNCTION api.contact_unblock(text) TO contact_operator;
GRANT EXECUTE ON FUNCTION api.contact_delete(text) TO contact_operator;
GRANT EXECUTE ON FUNCTION api.contact_document(text) TO contact_operator;
GRANT EXECUTE ON FUNCTION api.contacts_block(text[], text) TO contact_operator;
GRANT EXECUTE ON FUNCTION api.contacts_unblock(text[]) TO contact_operator;
GRANT EXECUTE ON FUNCTION :"schema".contact_block(text, text) TO contact_operator;
GRANT EXECUTE ON FUNCTION :"schema".contact_unblock(text) TO contact_operator;
GRANT EXECUTE ON FUNCTION :"schema".contact_delete(text) TO contact_operator;
GRANT EXECUTE ON FUNCTION :"schema".contact_document(text) TO contact_operator;
GRANT EXECUTE ON FUNCTION :"schema".contacts_block(text[], text) TO contact_operator;
GRANT EXECUTE ON FUNCTION :"schema".contacts_unblock(text[]) TO contact_operator;

-- ... change two columns; who and when is written by the trigger alone ...
GRANT UPDATE (status, blocked_reason) ON :"schema".contacts TO contact_operator;

-- ... and read what is in the document. Leave a column out, or REVOKE it, and
-- its property is left out of the document and named in $meta.omitted.
GRANT SELECT (id, email, name, status, blocked_reason, user_id,
              created_at, created_by, updated_at, updated_by,
              activated_at, activated_by, blocked_at, blocked_by,
              deleted_at, deleted_by)
    ON :"schema".contacts TO contact_operator;
GRANT SELECT (contact_id, category_id, last_used)
    ON :"schema".contact_opt_outs TO contact_operator;
GRANT SELECT (id, name, short_description, icon)
    ON :"schema".categories TO contact_operator;
GRANT SELECT (id, email, status, name, first_name, last_name, icon,
              phone_prefix, phone_number, culture_code, language_code,
              last_login_at, current_account_id, created_at, created_by,
              updated_at, updated_by, invitation_accepted_at)
    ON :"schema".users TO contact_operator;
GRANT SELECT (user_id, account_id)
    ON :"schema".account_users TO contact_operator;
GRANT SELECT (id, type, status, name, icon)
    ON :"schema".accounts TO contact_operator;

COMMIT;

-- A running PostgREST sees the new functions after this.
NOTIFY pgrst, 'reload schema';
