-- The results, as medians, in Markdown; and the data of the plot.
-- Variables: many, growth (the sizes), plot (the folder to write to).
-- what a trigger costs over none
CREATE FUNCTION bench.over_none(contestant text) RETURNS numeric LANGUAGE sql
    RETURN bench.m('trigger', 'row', contestant) - bench.m('trigger', 'row', 'none');
SELECT min(size) AS smallest, max(size) AS largest
FROM unnest(string_to_array(:'growth', ' ')::int8[]) AS size \gset

SELECT bench.head('goal (medians)', 'measured', 'goal');
SELECT bench.row(figure, measured, goal) FROM (VALUES
    ('ours : best PL/pgSQL, per block with document',
     '1 : ' || round(bench.m('server', 'block', 'rival') / bench.m('server', 'block', 'ours'), 2), 'at least 1 : 4'),
    ('ours : floor',
     round(bench.m('server', 'block', 'ours') / bench.m('server', 'block', 'floor'), 2)::text, 'at most 4.5'),
    ('trigger per row over no trigger', round(bench.over_none('ours'), 2) || ' µs', 'at most 0.6 µs'),
    ('the same in PL/pgSQL : ours',
     round(bench.over_none('rival') / bench.over_none('ours'), 1)::text, 'at least 4'),
    ('retry of a blocked contact : first block',
     round(bench.m('server', 'retry', 'ours') / bench.m('server', 'block', 'ours'), 2)::text, 'at most 0.7'),
    ('WAL of all retries of a round',
     bench.m('retry WAL', 'bytes', 'ours') || ' bytes', '0 bytes'),
    (format('growth %s → %s contacts, per block', :'smallest', :'largest'),
     round(bench.m('growth', :'largest', 'ours') / bench.m('growth', :'smallest', 'ours'), 2)::text, 'at most 1.3'),
    (format('HOT share of %s blocks and as many unblocks', :'many'),
     round(100 * bench.m('many', 'HOT updates', '') / bench.m('many', 'updates', ''), 3) || ' %', '100 %'),
    (format('memory after %s calls, over that after 1000', 2 * :many),
     format('%s bytes used, %s bytes resident',
            bench.m('many', 'used late', '') - bench.m('many', 'used early', ''),
            bench.m('many', 'RssAnon late', '') - bench.m('many', 'RssAnon early', '')), '0'))
    AS goals (figure, measured, goal);

SELECT bench.head('server side, µs per call', 'floor', 'ours', 'PL/pgSQL', 'PL/pgSQL : ours');
SELECT bench.row(item, coalesce(round(floor, 1)::text, '–'), round(ours, 1)::text, round(rival, 1)::text,
                 round(rival / ours, 2)::text)
FROM (SELECT item, array_position('{block,unblock,retry,document}', item) AS place,
             (max(value) FILTER (WHERE contestant = 'floor'))::numeric AS floor,
             (max(value) FILTER (WHERE contestant = 'ours'))::numeric AS ours,
             (max(value) FILTER (WHERE contestant = 'rival'))::numeric AS rival
      FROM bench.median WHERE section = 'server' GROUP BY item) AS m
ORDER BY place;

SELECT bench.head('over the wire: clients, synchronous_commit', 'floor', 'ours', 'PL/pgSQL', 'ORM', 'ORM : ours');
SELECT bench.row(format('%s, %s: %s', split_part(item, ' ', 1), split_part(item, ' ', 2),
                        CASE section WHEN 'latency' THEN 'µs per call' ELSE 'calls per second' END),
                 round(bench.m(section, item, 'floor'))::text, round(bench.m(section, item, 'ours'))::text,
                 round(bench.m(section, item, 'rival'))::text, round(bench.m(section, item, 'orm'))::text,
                 round(bench.m(section, item, 'orm') / bench.m(section, item, 'ours'), 2)::text)
FROM (SELECT DISTINCT section, item FROM bench.median WHERE section IN ('latency', 'calls')) AS wire
ORDER BY section DESC, split_part(item, ' ', 2), item;

SELECT bench.head('UPDATE of all rows, µs per row', 'no trigger', 'empty trigger', 'ours', 'PL/pgSQL',
                  'moddatetime + insert_username');
SELECT bench.row('in all', round(bench.m('trigger', 'row', 'none'), 2)::text,
                 round(bench.m('trigger', 'row', 'empty'), 2)::text, round(bench.m('trigger', 'row', 'ours'), 2)::text,
                 round(bench.m('trigger', 'row', 'rival'), 2)::text, round(bench.m('trigger', 'row', 'contrib'), 2)::text);
SELECT bench.row('over no trigger', '–', round(bench.over_none('empty'), 2)::text, round(bench.over_none('ours'), 2)::text,
                 round(bench.over_none('rival'), 2)::text, round(bench.over_none('contrib'), 2)::text);

SELECT bench.head('opt-outs of the contact, µs per block', 'ours', 'PL/pgSQL', 'PL/pgSQL : ours');
SELECT bench.row(k, round(bench.m('opt-outs', k, 'ours'), 1)::text, round(bench.m('opt-outs', k, 'rival'), 1)::text,
                 round(bench.m('opt-outs', k, 'rival') / bench.m('opt-outs', k, 'ours'), 2)::text)
FROM unnest('{0,10,100,1000}'::text[]) AS k;

SELECT bench.head('contacts', 'µs per block');
SELECT bench.row(size, round(bench.m('growth', size, 'ours'), 1)::text)
FROM unnest(string_to_array(:'growth', ' ')) AS size;

SELECT bench.head(format('after %s blocks and as many unblocks, no vacuum', :many), 'before', 'after');
SELECT bench.row('dead tuples', '0', bench.m('many', 'dead tuples', '')::text);
SELECT bench.row(what || ', MB', round(bench.m('many', what || ' before', '') / 1e6, 1)::text,
                 round(bench.m('many', what || ' after', '') / 1e6, 1)::text)
FROM unnest('{index size,table size}'::text[]) AS what;

\t on
\set cost :plot '/cost.dat'
\o :cost
SELECT format('"%s" %s %s', name, bench.m('server', 'block', contestant), bench.m('server', 'unblock', contestant))
FROM (VALUES ('floor', 'floor'), ('ours', 'ours'), ('PL/pgSQL', 'rival')) AS c (name, contestant);
\set growth_data :plot '/growth.dat'
\o :growth_data
SELECT format('%s %s', size, bench.m('growth', size, 'ours'))
FROM unnest(string_to_array(:'growth', ' ')) AS size;
\o
