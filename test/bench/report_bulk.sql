-- Many contacts in one call, as medians, in Markdown.
-- Variable: sizes (of the calls).
-- the greatest of a ratio over the sizes from 1,000 on; NULL where there are none
CREATE FUNCTION bench.worst(section text, contestant text, over text) RETURNS numeric LANGUAGE sql
    RETURN (SELECT max(c.value / coalesce(o.value, 1))
            FROM bench.median AS c LEFT JOIN bench.median AS o ON (o.section, o.item, o.contestant) = (c.section, c.item, $3)
            WHERE (c.section, c.contestant) = ($1, $2) AND c.item::int >= 1000 AND (o.value IS NOT NULL OR $3 = ''));
SELECT bench.head('goal of many in one call, from 1000 on (medians, the worst size)', 'measured', 'goal');
SELECT bench.row(figure, measured, goal) FROM (VALUES
    ('a contact, first', round(bench.worst('bulk first', 'ours', ''), 1) || ' µs', 'at most 8 µs'),
    ('a contact, retried', round(bench.worst('bulk retried', 'ours', ''), 1) || ' µs', 'at most 6 µs'),
    ('WAL of retries', bench.worst('bulk retried WAL', 'ours', '') || ' bytes', '0 bytes'),
    ('loop of contact_block : ours',
     round(1 / bench.worst('bulk first', 'ours', 'loop'), 1)::text, 'at least 6'),
    ('ours : PL/pgSQL set, first', round(bench.worst('bulk first', 'ours', 'rival'), 2)::text, 'at most 1'),
    ('ours : PL/pgSQL set, retried', round(bench.worst('bulk retried', 'ours', 'rival'), 2)::text, 'at most 1'))
    AS goals (figure, measured, goal);

CREATE FUNCTION bench.cell(section text, item text, contestant text, digits int) RETURNS text LANGUAGE sql
    RETURN coalesce((SELECT round(value::numeric, $4)::text FROM bench.median AS r
                     WHERE (r.section, r.item, r.contestant) = ($1, $2, $3)), '–');
SELECT bench.head('ids in a call, µs a contact: first / retried', 'UPDATE … = ANY', 'ours', 'PL/pgSQL set',
                  'loop of contact_block', 'PL/pgSQL set : ours');
SELECT bench.row(size, bench.cell('bulk first', size, 'update', 1) || ' / ' || bench.cell('bulk retried', size, 'update', 1),
                 bench.cell('bulk first', size, 'ours', 1) || ' / ' || bench.cell('bulk retried', size, 'ours', 1),
                 bench.cell('bulk first', size, 'rival', 1) || ' / ' || bench.cell('bulk retried', size, 'rival', 1),
                 bench.cell('bulk first', size, 'loop', 1) || ' / ' || bench.cell('bulk retried', size, 'loop', 1),
                 round(bench.m('bulk first', size, 'rival') / bench.m('bulk first', size, 'ours'), 2) || ' / ' ||
                 round(bench.m('bulk retried', size, 'rival') / bench.m('bulk retried', size, 'ours'), 2))
FROM unnest(string_to_array(:'sizes', ' ')) AS size;

SELECT bench.head('ids in a call, bytes of WAL a contact: first / retried', 'UPDATE … = ANY', 'ours', 'PL/pgSQL set',
                  'loop of contact_block');
SELECT bench.row(VARIADIC size || array(
    SELECT bench.cell('bulk first WAL', size, contestant, 0) || ' / ' || bench.cell('bulk retried WAL', size, contestant, 0)
    FROM unnest('{update,ours,rival,loop}'::text[]) WITH ORDINALITY AS c (contestant, n) ORDER BY n))
FROM unnest(string_to_array(:'sizes', ' ')) AS size;
