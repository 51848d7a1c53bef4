-- So many blocks and unblocks in one backend, of contacts spread over the
-- table: what they leave of dead rows and bloat, and the backend's memory.
-- Variables: contacts, many.
CREATE FUNCTION bench.memory() RETURNS int8[] LANGUAGE sql
    RETURN ARRAY[(SELECT sum(used_bytes) FROM pg_backend_memory_contexts),
                 substring(pg_read_file('/proc/self/status') FROM 'RssAnon:\s+(\d+)')::int8 * 1024];

CREATE PROCEDURE bench.many(verb text, contacts int, first int, calls int) LANGUAGE plpgsql AS $$
DECLARE
    contact text;
    document jsonb;
BEGIN
    FOR n IN first .. first + calls - 1 LOOP
        -- a prime for a stride visits every contact once
        contact := 'CON-' || 10000000 + n * 7919::int8 % contacts;
        IF verb = 'block' THEN
            document := ours.contact_block(contact);
        ELSE
            document := ours.contact_unblock(contact);
        END IF;
        IF n % 100 = 0 THEN
            COMMIT;
        END IF;
    END LOOP;
END $$;

VACUUM ours.contacts;
\o /dev/null
SELECT pg_stat_force_next_flush();
SELECT pg_stat_reset_single_table_counters('ours.contacts'::regclass);
\o
SELECT pg_indexes_size('ours.contacts') AS index_size, pg_relation_size('ours.contacts') AS table_size \gset
-- The memory is measured at top level, after the same statements, run before.
SELECT format('CALL bench.many(%L, %s, %s, %s)', verb, :contacts, first, least(:contacts, 500 - first + 1))
FROM generate_series(1, 500, :contacts) AS first, unnest('{block,unblock}'::text[]) AS verb
ORDER BY first, verb \gexec
SELECT bench.memory() AS early \gset
SELECT bench.memory() AS early \gset
SELECT format('CALL bench.many(%L, %s, %s, %s)', verb, :contacts, first, least(:contacts, :many - first + 1))
FROM generate_series(501, :many, :contacts) AS first, unnest('{block,unblock}'::text[]) AS verb
ORDER BY first, verb \gexec
SELECT bench.memory() AS late \gset
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT 'many', 'updates', '', n_tup_upd FROM pg_stat_user_tables WHERE relid = 'ours.contacts'::regclass
UNION ALL
SELECT 'many', 'HOT updates', '', n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'ours.contacts'::regclass
UNION ALL
SELECT 'many', 'dead tuples', '', n_dead_tup FROM pg_stat_user_tables WHERE relid = 'ours.contacts'::regclass
UNION ALL
VALUES ('many', 'blocks', '', :many),
       ('many', 'index size before', '', :index_size),
       ('many', 'index size after', '', pg_indexes_size('ours.contacts')),
       ('many', 'table size before', '', :table_size),
       ('many', 'table size after', '', pg_relation_size('ours.contacts')),
       ('many', 'used early', '', (:'early'::int8[])[1]),
       ('many', 'used late', '', (:'late'::int8[])[1]),
       ('many', 'RssAnon early', '', (:'early'::int8[])[2]),
       ('many', 'RssAnon late', '', (:'late'::int8[])[2]);
