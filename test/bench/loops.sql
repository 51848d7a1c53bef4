-- What is measured server side: loops over distinct contacts, a COMMIT every
-- 100 calls.  CALL bench.NAME(ids, NULL) returns the microseconds per turn.
CREATE SCHEMA bench;

CREATE FUNCTION bench.pick(contacts int, calls int, seed float8) RETURNS text[] LANGUAGE sql
BEGIN ATOMIC
    SELECT setseed(seed);
    SELECT array_agg(id) FROM (
        SELECT 'CON-' || 10000000 + n AS id
        FROM (SELECT DISTINCT floor(random() * contacts)::int AS n
              FROM generate_series(1, calls + calls / 2)) AS numbers
        ORDER BY random() LIMIT calls) AS picked;
END;

DO $do$
DECLARE
    what record;
BEGIN
    FOR what IN
        SELECT 'empty' AS name, 'NULL' AS body
        UNION ALL
        SELECT 'floor_' || verb,
               format('UPDATE ours.contacts SET status = %L WHERE id = this', status)
        FROM (VALUES ('block', 'Blocked'), ('unblock', 'Active')) AS v (verb, status)
        UNION ALL
        SELECT side || '_' || verb, format('document := %I.%I(this)', side, 'contact_' || verb)
        FROM unnest('{ours,rival}'::text[]) AS side, unnest('{block,unblock,document}'::text[]) AS verb
    LOOP
        EXECUTE format('CREATE PROCEDURE bench.%I(ids text[], INOUT microseconds float8) LANGUAGE plpgsql AS $p$
            DECLARE
                this text;
                document jsonb;
                calls int := 0;
                started timestamptz := clock_timestamp();
            BEGIN
                FOREACH this IN ARRAY ids LOOP
                    %s;
                    calls := calls + 1;
                    IF calls %% 100 = 0 THEN
                        COMMIT;
                    END IF;
                END LOOP;
                microseconds := extract(epoch FROM clock_timestamp() - started) * 1e6 / calls;
            END $p$', what.name, what.body);
    END LOOP;
END $do$;
