-- The results as medians: a file NAME.md for each table of doc/benchmark.md, in Markdown,
-- and NAME.dat for each picture.  A part that was not measured has no file.
-- Variables: results (the file to read), out (the folder to write to).
SET search_path = public;
CREATE TABLE results (part text, section text, item text, contestant text, value text);
\set copy '\\copy results FROM ' :results
:copy
CREATE VIEW median AS
    SELECT section, item, contestant, percentile_cont(0.5) WITHIN GROUP (ORDER BY value::float8)::numeric AS value
    FROM results WHERE section <> 'about' GROUP BY section, item, contestant;
-- A median; NULL, which tables show as –, where it was not measured.
CREATE FUNCTION m(section text, item text, contestant text) RETURNS numeric LANGUAGE sql
    RETURN (SELECT value FROM median AS r WHERE (r.section, r.item, r.contestant) = ($1, $2, $3));
CREATE FUNCTION line(VARIADIC cells text[]) RETURNS text LANGUAGE sql
    RETURN '| ' || array_to_string(cells, ' | ', '–') || ' |';
CREATE FUNCTION head(VARIADIC cells text[]) RETURNS text LANGUAGE sql
    RETURN line(VARIADIC cells) || E'\n|---' || repeat('|---:', cardinality(cells) - 1) || '|';
-- the sizes in a section, from the smallest
CREATE FUNCTION sizes(section text) RETURNS SETOF text LANGUAGE sql
    BEGIN ATOMIC
        SELECT item FROM (SELECT DISTINCT item FROM results AS r WHERE r.section = $1) AS i ORDER BY item::int8;
    END;
CREATE FUNCTION ratio(a numeric, b numeric, digits int = 2) RETURNS text LANGUAGE sql
    RETURN round(a / nullif(b, 0), digits)::text;

-- the best PL/pgSQL: with the planner's plans or with indexes alone
CREATE FUNCTION best(section text, item text) RETURNS numeric LANGUAGE sql
    RETURN least(m(section, item, 'rival'), m(section, item, 'rival_by_index'));
-- what a picture shows of a contestant
CREATE FUNCTION shown(section text, item text, contestant text) RETURNS numeric LANGUAGE sql
    RETURN CASE contestant WHEN 'rival' THEN best(section, item) ELSE m(section, item, contestant) END;
-- where its line ends
CREATE FUNCTION last_point(section text, contestant text) RETURNS TABLE (size int8, value numeric) LANGUAGE sql
    BEGIN ATOMIC
        SELECT item::int8, shown(section, item, contestant) FROM median AS r
        WHERE (r.section, r.contestant) = ($1, $2) ORDER BY item::int8 DESC LIMIT 1;
    END;
-- what a trigger costs over none
CREATE FUNCTION over_none(contestant text) RETURNS numeric LANGUAGE sql
    RETURN m('trigger', 'row', contestant) - m('trigger', 'row', 'none');
-- what the history adds to a row
CREATE FUNCTION added(item text) RETURNS numeric LANGUAGE sql
    RETURN m('history', item, 'with') - m('history', item, 'without');
-- growth from a size to the largest one
CREATE FUNCTION grown(size text, contestant text) RETURNS numeric LANGUAGE sql
    RETURN (SELECT m('growth', max(s::int8)::text, contestant) FROM sizes('growth') AS s) / m('growth', size, contestant);
-- the greatest of a ratio over the sizes of a call from 1,000 on
CREATE FUNCTION worst(section text, contestant text, over text) RETURNS numeric LANGUAGE sql
    RETURN (SELECT max(m(section, size, contestant) / CASE over WHEN '' THEN 1 ELSE m(section, size, over) END)
            FROM sizes(section) AS size WHERE size::int >= 1000);
CREATE FUNCTION best_bulk(section text) RETURNS numeric LANGUAGE sql
    RETURN (SELECT max(m(section, size, 'ours') / best(section, size)) FROM sizes(section) AS size WHERE size::int >= 1000);

SELECT count(*) FILTER (WHERE part = 'single') > 0 AS single, count(*) FILTER (WHERE part = 'wire') > 0 AS wire,
       count(*) FILTER (WHERE part = 'bulk') > 0 AS bulk, count(*) FILTER (WHERE part = 'history') > 0 AS history,
       count(*) FILTER (WHERE part = 'page') > 0 AS page, count(*) FILTER (WHERE part = 'shards') > 0 AS shards,
       count(*) FILTER (WHERE part = 'growth') > 0 AS growth, count(*) FILTER (WHERE part = 'counts') > 0 AS counts,
       count(*) FILTER (WHERE part = 'gateway') > 0 AS gateway
FROM results \gset

\set o :out '/about.md'
\o :o
SELECT head('', 'all parts');
SELECT line(item, string_agg(DISTINCT value, '; '))
FROM results WHERE section = 'about' AND item IN ('machine', 'PostgreSQL', 'settings') GROUP BY item ORDER BY item;
SELECT E'\n' || head('part', 'date', 'source', 'seconds', 'load average at its end', 'command');
SELECT line(part, max(value) FILTER (WHERE item = 'date'), max(value) FILTER (WHERE item = 'source'),
            max(value) FILTER (WHERE item = 'seconds'), max(value) FILTER (WHERE item = 'load'),
            '`' || max(value) FILTER (WHERE item = 'command') || '`')
FROM results WHERE section = 'about' GROUP BY part
ORDER BY array_position('{single,wire,bulk,history,shards,gateway,growth,counts,page}', part);

\set o :out '/goals.md'
\o :o
SELECT head('what, of medians', 'limit', 'goal', 'measured');
SELECT line(VARIADIC goal) FROM (VALUES
    (ARRAY['best PL/pgSQL : ours, a block with its document', '2.3 to 2.5, by lookups past the executor', 'at least 2.3',
           ratio(best('server', 'block'), m('server', 'block', 'ours'))]),
    (ARRAY['the same with 10,000 contacts', NULL, 'at least 3', ratio(best('growth', '10000'), m('growth', '10000', 'ours'))]),
    (ARRAY['ours : bare UPDATE', ratio(m('server', 'document', 'ours'), m('server', 'block', 'floor')) || ', the document alone',
           'at most 4.6', ratio(m('server', 'block', 'ours'), m('server', 'block', 'floor'))]),
    (ARRAY['ORM''s statements : ours, over the wire, one client',
           ratio(m('latency', '1 off', 'orm'), m('latency', '1 off', 'floor')) || ', a bare UPDATE', 'at least 4',
           ratio(m('latency', '1 off', 'orm'), m('latency', '1 off', 'ours'))]),
    (ARRAY['retry : block', ratio(m('server', 'document', 'ours'), m('server', 'block', 'ours')) || ', the document alone', 'at most 0.7',
           ratio(m('server', 'retry', 'ours'), m('server', 'block', 'ours'))]),
    (ARRAY['WAL of all retries', '0 bytes', '0 bytes', m('retry WAL', 'bytes', 'ours') || ' bytes']),
    (ARRAY['trigger, a row', round(over_none('empty'), 2) || ' µs, one that does nothing', 'at most 0.6 µs', round(over_none('ours'), 2) || ' µs']),
    (ARRAY['trigger in PL/pgSQL : ours', ratio(over_none('rival'), over_none('empty')) || ', one that does nothing', 'at least 4',
           ratio(over_none('rival'), over_none('ours'))]),
    (ARRAY['growth from 10,000 contacts to the most', round(grown('10000', 'floor'), 2) || ', the bare UPDATE', 'at most 1.3', round(grown('10000', 'ours'), 2)::text]),
    (ARRAY['growth from 100,000 contacts to the most', round(grown('100000', 'floor'), 2) || ', the bare UPDATE', 'at most 1.3', round(grown('100000', 'ours'), 2)::text]),
    (ARRAY['HOT updates, of ' || coalesce(m('many', 'updates', '')::text, '–') || ' blocks and unblocks', '100 %', '100 %',
           round(100 * m('many', 'HOT updates', '') / m('many', 'updates', ''), 3) || ' %']),
    (ARRAY['memory more after these than after 1,000', '0', '0',
           (m('many', 'used late', '') - m('many', 'used early', '')) || ' bytes used, ' ||
           (m('many', 'RssAnon late', '') - m('many', 'RssAnon early', '')) || ' resident']),
    (ARRAY['a contact of many, first', round(worst('bulk first', 'update', ''), 1) || ' µs, UPDATE … = ANY', 'at most 8 µs',
           round(worst('bulk first', 'ours', ''), 1) || ' µs']),
    (ARRAY['a contact of many, retried', NULL, 'at most 6 µs', round(worst('bulk retried', 'ours', ''), 1) || ' µs']),
    (ARRAY['WAL of a retry of many', '0 bytes', '0 bytes', round(worst('bulk retried WAL', 'ours', '')) || ' bytes']),
    (ARRAY['loop of contact_block : ours, a contact of many', NULL, 'at least 6', ratio(1, worst('bulk first', 'ours', 'loop'), 1)]),
    (ARRAY['ours : best PL/pgSQL set, first', NULL, 'at most 1', round(best_bulk('bulk first'), 2)::text]),
    (ARRAY['ours : best PL/pgSQL set, retried', NULL, 'at most 1', round(best_bulk('bulk retried'), 2)::text]),
    (ARRAY['deadlocks of 8 clients with contacts_block and contacts_unblock', '0', '0', m('together', 'deadlocks', 'ours')::text]),
    (ARRAY['history, more a block', round(m('history', 'events', 'insert'), 1) || ' µs, the event alone, of many', 'at most 6 µs',
           round(added('block'), 1) || ' µs']),
    (ARRAY['history, more a row in bulk than INSERT … SELECT', '0 µs', 'at most 2 µs',
           round(added('bulk') - m('history', 'events', 'insert'), 1) || ' µs']))
    AS goals (goal);

\if :single
\set o :out '/single.md'
\o :o
SELECT head('µs a call', 'bare UPDATE', 'ours', 'PL/pgSQL', 'PL/pgSQL by index', 'best PL/pgSQL : ours');
SELECT line(item, round(m('server', item, 'floor'), 1)::text, round(m('server', item, 'ours'), 1)::text,
            round(m('server', item, 'rival'), 1)::text, round(m('server', item, 'rival_by_index'), 1)::text,
            ratio(best('server', item), m('server', item, 'ours')))
FROM unnest('{block,unblock,retry,document}'::text[]) AS item;
\set o :out '/trigger.md'
\o :o
SELECT head('UPDATE of all rows, µs a row', 'no trigger', 'empty trigger', 'ours', 'PL/pgSQL', 'moddatetime + insert_username');
SELECT line(VARIADIC 'in all'::text || array(SELECT round(m('trigger', 'row', c), 2)::text
    FROM unnest('{none,empty,ours,rival,contrib}'::text[]) WITH ORDINALITY AS o (c, n) ORDER BY n));
SELECT line(VARIADIC 'over no trigger'::text || array(SELECT round(over_none(c), 2)::text
    FROM unnest('{none,empty,ours,rival,contrib}'::text[]) WITH ORDINALITY AS o (c, n) ORDER BY n));
\set o :out '/opt_outs.md'
\o :o
SELECT head('opt-outs of the contact, µs a block', 'ours', 'PL/pgSQL', 'PL/pgSQL : ours');
SELECT line(k, round(m('opt-outs', k, 'ours'), 1)::text, round(m('opt-outs', k, 'rival'), 1)::text,
            ratio(m('opt-outs', k, 'rival'), m('opt-outs', k, 'ours')))
FROM sizes('opt-outs') AS k;
\set o :out '/many.md'
\o :o
SELECT head(format('%s blocks and as many unblocks in one session, no vacuum', m('many', 'blocks', '')), 'before', 'after');
SELECT line('dead tuples', '0', m('many', 'dead tuples', '')::text);
SELECT line(what || ', MB', round(m('many', what || ' before', '') / 1e6, 1)::text, round(m('many', what || ' after', '') / 1e6, 1)::text)
FROM unnest('{index size,table size}'::text[]) AS what;
\endif

\if :wire
\set o :out '/wire.md'
\o :o
SELECT E'![What a block costs, by way of doing it](benchmark.svg)\n';
SELECT head(format('clients, synchronous_commit; %s contacts', m('wire size', 'contacts', '')), 'bare UPDATE', 'ours', 'PL/pgSQL', 'PL/pgSQL by index', 'ORM', 'best PL/pgSQL : ours', 'ORM : ours');
SELECT line(VARIADIC replace(item, ' ', ', ') || CASE section WHEN 'latency' THEN ': µs a call' ELSE ': calls a second' END
    || array(SELECT round(m(section, item, c))::text
             FROM unnest('{floor,ours,rival,rival_by_index,orm}'::text[]) WITH ORDINALITY AS o (c, n) ORDER BY n)
    || CASE section WHEN 'latency' THEN ARRAY[ratio(best(section, item), m(section, item, 'ours')),
                                              ratio(m(section, item, 'orm'), m(section, item, 'ours'))] ELSE '{NULL,NULL}' END)
FROM (SELECT DISTINCT section, item FROM median WHERE section IN ('latency', 'calls')) AS wire
ORDER BY section DESC, split_part(item, ' ', 2), item;
\set o :out '/cost.dat'
\o :o
SELECT format('"%s" %s', name, shown('latency', '1 off', contestant))
FROM (VALUES (1, 'bare UPDATE, no document', 'floor'), (2, 'contact_block', 'ours'),
             (3, 'a function in PL/pgSQL', 'rival'), (4, 'the statements of an ORM', 'orm')) AS c (n, name, contestant)
ORDER BY n;
\endif

\if :bulk
\set o :out '/bulk.md'
\o :o
SELECT E'![What a contact costs, by the size of the call](benchmark-bulk.svg)\n';
SELECT head('ids in a call, µs a contact: first / retried', 'UPDATE … = ANY', 'ours', 'PL/pgSQL set', 'PL/pgSQL set by index',
            'loop of contact_block', 'best PL/pgSQL set : ours');
SELECT line(VARIADIC size || array(
        SELECT coalesce(round(m('bulk first', size, c), 1) || ' / ' || round(m('bulk retried', size, c), 1), '–')
        FROM unnest('{update,ours,rival,rival_by_index,loop}'::text[]) WITH ORDINALITY AS o (c, n) ORDER BY n)
    || (ratio(best('bulk first', size), m('bulk first', size, 'ours')) || ' / ' ||
        ratio(best('bulk retried', size), m('bulk retried', size, 'ours'))))
FROM sizes('bulk first') AS size;
\set o :out '/bulk_wal.md'
\o :o
SELECT head('ids in a call, bytes of WAL a contact: first / retried', 'UPDATE … = ANY', 'ours', 'PL/pgSQL set', 'loop of contact_block');
SELECT line(VARIADIC size || array(
        SELECT coalesce(round(m('bulk first WAL', size, c)) || ' / ' || round(m('bulk retried WAL', size, c)), '–')
        FROM unnest('{update,ours,rival,loop}'::text[]) WITH ORDINALITY AS o (c, n) ORDER BY n))
FROM sizes('bulk first') AS size;
\set o :out '/together.md'
\o :o
SELECT head('8 clients, 100 of the same 1,000 contacts a call', 'UPDATE … = ANY', 'UPDATE … FROM unnest', 'ours', 'PL/pgSQL set');
SELECT line(VARIADIC what || array(SELECT round(m('together', item, c))::text
    FROM unnest('{update,join,ours,rival}'::text[]) WITH ORDINALITY AS o (c, n) ORDER BY n))
FROM (VALUES ('deadlocks', 'deadlocks'), ('blocks and unblocks that went through, pairs', 'calls')) AS i (what, item);
\set o :out '/bulk.dat'
\o :o
SELECT array_to_string(ARRAY[size::numeric, m('bulk first', size, 'update'), m('bulk first', size, 'ours'), best('bulk first', size),
                             m('bulk first', size, 'loop'), m('bulk retried', size, 'ours')], ' ', 'NaN')
FROM sizes('bulk first') AS size;
-- the name of a line stands at its last point, and above the name of one that is too near
\set o :out '/bulk_labels.dat'
\o :o
SELECT format('%s %s "%s" %s', size, power(1.45, place) * max(value / power(1.45, place)) OVER below, name, color)
FROM (SELECT *, row_number() OVER (PARTITION BY size ORDER BY value) AS place
      FROM (VALUES ('bulk first', 'update', 'UPDATE … = ANY', 7829367), ('bulk first', 'rival', 'PL/pgSQL, a set', 12603392),
                   ('bulk first', 'loop', 'contact_block, one by one', 10125240), ('bulk first', 'ours', 'contacts_block', 2051740),
                   ('bulk retried', 'ours', 'contacts_block, retried', 2051740)) AS c (section, contestant, name, color),
          LATERAL last_point(section, contestant) AS last) AS l
WINDOW below AS (PARTITION BY size ORDER BY place);
\endif

\if :history
\set o :out '/history.md'
\o :o
SELECT head('the history, µs a contact', 'without', 'with', 'more', 'more : INSERT … SELECT');
SELECT line(what, round(m('history', item, 'without'), 1)::text, round(m('history', item, 'with'), 1)::text,
            round(added(item), 1)::text, ratio(added(item), m('history', 'events', 'insert')))
FROM (VALUES (1, 'block', 'contact_block'), (2, 'bulk', format('contacts_block of %s', m('history size', 'rows', ''))),
             (3, 'update', format('UPDATE … = ANY of %s', m('history size', 'rows', '')))) AS i (n, item, what) ORDER BY n;
SELECT line(format('INSERT … SELECT of %s events', m('history size', 'rows', '')), NULL, NULL,
            round(m('history', 'events', 'insert'), 1)::text, '1.00');
\endif

\if :page
\set o :out '/page.md'
\o :o
SELECT head(VARIADIC 'HOT updates in %, by fillfactor'::text || array(SELECT contestant::text FROM (SELECT DISTINCT contestant::int FROM results WHERE section = 'HOT') AS f ORDER BY f.contestant));
SELECT line(VARIADIC item || array_agg(trunc(value)::text ORDER BY contestant::int))
FROM median WHERE section = 'HOT' GROUP BY item
ORDER BY split_part(item, ':', 1) DESC, item LIKE '%long%', item NOT LIKE '%no reason', length(item);
\set o :out '/page_bytes.md'
\o :o
SELECT head(VARIADIC 'bytes of the table a contact, by fillfactor'::text || array(SELECT contestant::text FROM (SELECT DISTINCT contestant::int FROM results WHERE section = 'page bytes') AS f ORDER BY f.contestant));
SELECT line(VARIADIC item || array_agg(trunc(value)::text ORDER BY contestant::int))
FROM median WHERE section = 'page bytes' GROUP BY item ORDER BY split_part(item, ', ', 2) DESC, item DESC;
\endif

\if :shards
\set o :out '/shards.md'
\o :o
SELECT head('clients', 'direct', 'PL/Proxy, 1 shard', '2 shards', '1 shard : direct', '2 shards : direct');
SELECT line(format('%s: %s', item, what), round(m(section, item, 'direct'))::text, round(m(section, item, 'router1'))::text,
            round(m(section, item, 'router2'))::text, ratio(m(section, item, 'router1'), m(section, item, 'direct')),
            ratio(m(section, item, 'router2'), m(section, item, 'direct')))
FROM sizes('shards calls') AS item,
    (VALUES (1, 'shards latency', 'µs a call'), (2, 'shards calls', 'calls a second'),
            (3, 'shards CPU', 'µs of CPU a call')) AS s (place, section, what)
ORDER BY item, place;
\endif

\set o :out '/gateway.md'
\o :o
\if :gateway
SELECT head('8 clients, blocks and unblocks', 'nginx + PostgREST', 'PostgREST', 'SQL', 'nginx + PostgREST : SQL', 'PostgREST : SQL');
SELECT line('requests a second', round(m('gateway', 'requests', 'nginx'))::text, round(m('gateway', 'requests', 'postgrest'))::text,
            round(m('gateway', 'requests', 'sql'))::text, ratio(m('gateway', 'requests', 'nginx'), m('gateway', 'requests', 'sql')),
            ratio(m('gateway', 'requests', 'postgrest'), m('gateway', 'requests', 'sql')));
\else
SELECT 'Not measured: PostgREST was not there.';
\endif

\if :growth
\set o :out '/growth.md'
\o :o
SELECT E'![What a block costs, by the number of contacts](benchmark-growth.svg)\n';
SELECT head('contacts', 'MB with indexes', 'bare UPDATE, µs', 'ours, µs a block', 'PL/pgSQL', 'PL/pgSQL by index', 'best PL/pgSQL : ours', 'ours : bare UPDATE');
SELECT line(size, round(m('growth MB', size, ''))::text, round(m('growth', size, 'floor'), 1)::text, round(m('growth', size, 'ours'), 1)::text,
            round(m('growth', size, 'rival'), 1)::text, round(m('growth', size, 'rival_by_index'), 1)::text,
            ratio(best('growth', size), m('growth', size, 'ours')), ratio(m('growth', size, 'ours'), m('growth', size, 'floor')))
FROM sizes('growth') AS size;
\set o :out '/growth.dat'
\o :o
SELECT array_to_string(ARRAY[size::numeric, m('growth', size, 'floor'), m('growth', size, 'ours'), best('growth', size)], ' ', 'NaN')
FROM sizes('growth') AS size;
\set o :out '/growth_labels.dat'
\o :o
SELECT format('%s %s "%s" %s', size, place * apart + max(value - place * apart) OVER below, name, color)
FROM (SELECT *, row_number() OVER (PARTITION BY size ORDER BY value) AS place, max(value) OVER () * 0.07 AS apart
      FROM (VALUES ('floor', 'bare UPDATE, no document', 7829367), ('rival', 'best PL/pgSQL', 12603392),
                   ('ours', 'contact_block', 2051740)) AS c (contestant, name, color),
          LATERAL last_point('growth', contestant) AS last) AS l
WINDOW below AS (PARTITION BY size ORDER BY place);
\endif

\if :counts
\set o :out '/counts.md'
\o :o
SELECT head('contacts, a block', 'pages of tables', 'pages of indexes', 'instructions, thousands', 'misses of a cache of 8 MB',
            'bare UPDATE: pages of tables', 'of indexes', 'instructions, thousands', 'misses');
SELECT line(VARIADIC size || array(
    SELECT CASE section WHEN 'instructions' THEN round(m(section, size, c) / 1000)::text
                        WHEN 'cache misses' THEN round(m(section, size, c))::text ELSE round(m(section, size, c), 1)::text END
    FROM unnest('{ours,floor}'::text[]) WITH ORDINALITY AS o (c, n),
         unnest('{pages of tables,pages of indexes,instructions,cache misses}'::text[]) WITH ORDINALITY AS s (section, k)
    ORDER BY n, k))
FROM sizes('instructions') AS size;
\endif
\o
