-- So many blocks and unblocks in one backend, of contacts spread over the
-- table: what they leave of dead rows and bloat, and the backend's memory.
-- Variables: contacts, many.
CREATE FUNCTION bench.memory() RETURNS int8[] LANGUAGE sql
    RETURN ARRAY[(SELECT sum(used_bytes) FROM pg_backend_memory_contexts),
                 substring(pg_read_file('/proc/self/status') FROM 'RssAnon:\s+(\d+)')::int8 * 1024];

CREATE PROCEDURE bench.many(contacts int, many int, INOUT early int8[], INOUT late int8[]) LANGUAGE plpgsql AS $$
DECLARE
    blocks int := 0;
    calls int := 0;
    pass int;
    contact text;
    document jsonb;
BEGIN
    WHILE blocks < many LOOP
        -- a short first pass: both verbs have run when the memory is measured
        pass := least(CASE blocks WHEN 0 THEN 250 ELSE contacts END, many - blocks);
        FOR verb IN 1 .. 2 LOOP
            FOR n IN 1 .. pass LOOP
                -- a prime for a stride visits every contact once
                contact := 'CON-' || 10000000 + (blocks + n) * 7919::int8 % contacts;
                IF verb = 1 THEN
                    document := ours.contact_block(contact);
                ELSE
                    document := ours.contact_unblock(contact);
                END IF;
                calls := calls + 1;
                IF calls % 100 = 0 THEN
                    COMMIT;
                END IF;
                -- at 500 only so that the measurement itself is in use before it counts
                IF calls IN (500, 1000) THEN
                    early := bench.memory();
                ELSIF calls = 2 * many THEN
                    late := bench.memory();
                END IF;
            END LOOP;
        END LOOP;
        blocks := blocks + pass;
    END LOOP;
END $$;

VACUUM ours.contacts;
\o /dev/null
SELECT pg_stat_force_next_flush();
SELECT pg_stat_reset_single_table_counters('ours.contacts'::regclass);
\o
SELECT pg_indexes_size('ours.contacts') AS index_size, pg_relation_size('ours.contacts') AS table_size \gset
CALL bench.many(:contacts, :many, NULL, NULL) \gset
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT 'many', 'updates', '', n_tup_upd FROM pg_stat_user_tables WHERE relid = 'ours.contacts'::regclass
UNION ALL
SELECT 'many', 'HOT updates', '', n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'ours.contacts'::regclass
UNION ALL
SELECT 'many', 'dead tuples', '', n_dead_tup FROM pg_stat_user_tables WHERE relid = 'ours.contacts'::regclass
UNION ALL
VALUES ('many', 'index size before', '', :index_size),
       ('many', 'index size after', '', pg_indexes_size('ours.contacts')),
       ('many', 'table size before', '', :table_size),
       ('many', 'table size after', '', pg_relation_size('ours.contacts')),
       ('many', 'used early', '', (:'early'::int8[])[1]),
       ('many', 'used late', '', (:'late'::int8[])[1]),
       ('many', 'RssAnon early', '', (:'early'::int8[])[2]),
       ('many', 'RssAnon late', '', (:'late'::int8[])[2]);
