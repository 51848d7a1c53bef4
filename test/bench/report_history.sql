-- The history, as medians, in Markdown.
-- Variable: history_rows.
-- what the history adds to a row
CREATE FUNCTION bench.added(item text) RETURNS numeric LANGUAGE sql
    RETURN bench.m('history', item, 'with') - bench.m('history', item, 'without');
SELECT bench.head('goal of the history (medians)', 'measured', 'goal');
SELECT bench.row(figure, measured, goal) FROM (VALUES
    ('more a block', round(bench.added('block'), 1) || ' µs', 'at most 6 µs'),
    ('more a row in bulk than INSERT … SELECT',
     round(bench.added('bulk') - bench.m('history', 'events', 'insert'), 1) || ' µs', 'at most 2 µs'))
    AS goals (figure, measured, goal);

SELECT bench.head('the history, µs a contact', 'without', 'with', 'more', 'more : INSERT … SELECT');
SELECT bench.row(what, round(bench.m('history', item, 'without'), 1)::text, round(bench.m('history', item, 'with'), 1)::text,
                 round(bench.added(item), 1)::text, round(bench.added(item) / bench.m('history', 'events', 'insert'), 2)::text)
FROM (VALUES ('block', 'contact_block'), ('bulk', format('contacts_block of %s', :history_rows)),
             ('update', format('UPDATE … = ANY of %s', :history_rows))) AS i (item, what);
SELECT bench.row(format('INSERT … SELECT of %s events', :history_rows), '–', '–',
                 round(bench.m('history', 'events', 'insert'), 1)::text, '1.00');
