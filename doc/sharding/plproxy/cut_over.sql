-- cut_over.sql - let a new shard answer for the buckets that it has got
--
-- Third step of growing.  Run it in the router's database, as a superuser, in the
-- folder of this file, when the subscription contact_move on the new shard has
-- copied everything (srsubstate is r in pg_subscription_rel) and the server
-- "contacts" has the new shard:
--   psql -v ON_ERROR_STOP=1 -v old='host=10.0.0.10 dbname=crm' -v old_shard=0 -v new_shard=2 \
--       -v first_bucket=0 -v middle_bucket=64 -v last_bucket=127 -f cut_over.sql
-- old is the old shard, for a superuser who is not asked for a password; it keeps
-- first_bucket up to before middle_bucket, and the new one gets the rest.  Another
-- variable: seconds, how long to wait for what has not arrived yet (10).
--
-- Calls wait for about a second meanwhile; none fails.  When anything goes wrong
-- everything is as it was, or the error says what is not.  With more than one
-- router: run it on one, with the others' contact_proxy.shards locked in sessions
-- of your own, and repeat its UPDATE and INSERT there before you let go of them.

\set ON_ERROR_STOP on
\if :{?schema}
\else
\set schema crm
\endif
\if :{?seconds}
\else
\set seconds 10
\endif
SELECT :middle_bucket - 1 AS kept_bucket \gset

-- All that can be wrong is found before anything is changed or waits: the
-- variables,
\set given `psql -X -w -q -At -v ON_ERROR_STOP=1 -v schema=:'schema' -v first_bucket=:'middle_bucket' -v last_bucket=:'last_bucket' -d :'old' -f check_move.sql`
SELECT :'given' = 't' AND :middle_bucket > :first_bucket AND EXISTS (
    SELECT FROM contact_proxy.shards
    WHERE (first_bucket, last_bucket, shard) = (:first_bucket, :last_bucket, :old_shard)) AS is_right \gset
\if :is_right
\else
DO $$
BEGIN
    RAISE EXCEPTION USING
        MESSAGE = 'these buckets do not move from this shard',
        HINT = 'Compare the variables with contact_proxy.shards, and with what move_source.sql was given on the old shard.';
END
$$;
\endif
-- and the new shard: it is called for an id in each bucket, as calls will be, and
-- has to take those that move and no others.
SET ROLE contact_proxy;
SELECT bool_and((r.error ->> 'code' IS NOT DISTINCT FROM '55000') = (bucket < :middle_bucket)) AS is_right
FROM (SELECT contact_proxy.bucket(i::text), min(i::text) FROM generate_series(1, 5000) AS i GROUP BY 1) AS ids (bucket, id),
    contact_proxy.send(:new_shard, id, 'read', '', '', '', 'contact_router') AS r
WHERE bucket BETWEEN :first_bucket AND :last_bucket \gset
RESET ROLE;
\if :is_right
\else
DO $$
BEGIN
    RAISE EXCEPTION USING
        MESSAGE = 'the new shard does not take these buckets',
        HINT = 'See which database it is in the server "contacts", and what shard.sql was given there.';
END
$$;
\endif

BEGIN;
-- Every call reads this table, so this waits for those under way and keeps the
-- next ones waiting.  Who is in a transaction with a call holds it up: then it
-- gives up.
SET LOCAL lock_timeout = '3s';
LOCK TABLE contact_proxy.shards IN ACCESS EXCLUSIVE MODE;
UPDATE contact_proxy.shards SET last_bucket = :kept_bucket
WHERE (first_bucket, last_bucket, shard) = (:first_bucket, :last_bucket, :old_shard);
INSERT INTO contact_proxy.shards (first_bucket, last_bucket, shard) VALUES (:middle_bucket, :last_bucket, :new_shard);

\set arrived `psql -X -w -q -At -v ON_ERROR_STOP=1 -v schema=:'schema' -v first_bucket=:'first_bucket' -v last_bucket=:'kept_bucket' -v seconds=:'seconds' -d :'old' -f fence.sql`
SELECT :'arrived' = 't' AS arrived \gset
\if :arrived
COMMIT;
\else
-- Calls are still waiting.
\setenv PGOPTIONS '-c client_min_messages=warning'
\set restored `psql -X -w -q -At -1 -v ON_ERROR_STOP=1 -v schema=:'schema' -v first_bucket=:'first_bucket' -v last_bucket=:'last_bucket' -d :'old' -f range.sql -c "SELECT 't'"`
SELECT :'restored' = 't' AS restored \gset
\if :restored
DO $$
BEGIN
    RAISE EXCEPTION USING
        MESSAGE = 'the buckets have not arrived on the new shard',
        HINT = 'See whether its subscription works, and try again.';
END
$$;
\else
DO $$
BEGIN
    RAISE EXCEPTION USING
        MESSAGE = 'the old shard cannot be reached',
        HINT = 'See whether it still takes all of its buckets; if not, run range.sql there, with psql -1. Do not run clean_up.sql.';
END
$$;
\endif
\endif
