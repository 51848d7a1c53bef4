-- The history, and the events that are to be inserted.  Raises an error when
-- they do not agree with the contacts.
-- Variables: contacts, history_rows.
SELECT ours.contact_history_setup() \g /dev/null
SELECT bench.pick(:contacts, :history_rows, 0.3) AS ids \gset
SELECT count(*) FROM ours.contacts_block(:'ids') \g /dev/null
CREATE TABLE bench.events AS SELECT * FROM ours.contact_events;
DO $$
BEGIN
    PERFORM FROM bench.events AS e FULL JOIN (SELECT * FROM ours.contacts WHERE status = 'Blocked') AS c ON e.contact_id = c.id
    WHERE (e.at, e.by, e.old_status, e.status) IS DISTINCT FROM (c.updated_at, c.updated_by, 'Active', c.status);
    IF FOUND THEN
        RAISE 'events and contacts differ';
    END IF;
END $$;
SELECT count(*) || ' events agree with their contacts' FROM bench.events;
UPDATE ours.contacts SET status = 'Active' WHERE status = 'Blocked';
