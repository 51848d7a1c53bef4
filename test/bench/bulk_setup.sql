-- What the measurements of many contacts in one call need beside the loops:
-- CALL bench.bulk_CONTESTANT(ids, size, NULL, NULL) blocks these contacts, so
-- many a call and transaction, and returns microseconds and bytes of WAL a contact.
DO $do$
DECLARE
    what record;
BEGIN
    FOR what IN
        SELECT * FROM (VALUES
            ('ours', 'PERFORM count(*) FROM ours.contacts_block(these)'),
            ('rival', 'PERFORM count(*) FROM rival.contacts_block(these)'),
            ('update', 'UPDATE ours.contacts SET status = ''Blocked'' WHERE id = ANY (these)'),
            ('loop', 'FOREACH this IN ARRAY these LOOP document := ours.contact_block(this); END LOOP'))
            AS v (name, body)
    LOOP
        EXECUTE format('CREATE PROCEDURE bench.bulk_%s(ids text[], size int, INOUT microseconds float8, INOUT wal float8)
            LANGUAGE plpgsql AS $p$
            DECLARE
                these text[];
                this text;
                document jsonb;
                started timestamptz;
                wal_started pg_lsn := pg_current_wal_insert_lsn();
            BEGIN
                microseconds := 0;
                FOR n IN 1 .. cardinality(ids) BY size LOOP
                    these := ids[n : n + size - 1];
                    started := clock_timestamp();
                    %s;
                    COMMIT;
                    microseconds := microseconds + extract(epoch FROM clock_timestamp() - started) * 1e6;
                END LOOP;
                microseconds := microseconds / cardinality(ids);
                wal := (pg_current_wal_insert_lsn() - wal_started) / cardinality(ids);
            END $p$', what.name, what.body);
    END LOOP;
END $do$;

-- For calls at the same time: 100 of 1,000 contacts, in any order.
CREATE FUNCTION bench.some() RETURNS text[] LANGUAGE sql
    RETURN ARRAY (SELECT 'CON-' || 10000000 + n FROM generate_series(0, 999) AS n ORDER BY random() LIMIT 100);
