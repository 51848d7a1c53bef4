-- One round for one contestant: contacts with the history or without, or insert,
-- the events alone.
-- Variables: contestant, contacts, calls, history_rows, seed.
SELECT :'contestant' = 'insert' AS insert, CASE :'contestant' WHEN 'with' THEN 'ENABLE' ELSE 'DISABLE' END AS able \gset
TRUNCATE ours.contact_events;
\if :insert
INSERT INTO ours.contact_events (txid, contact_id, at, by, old_status, status, reason)
    SELECT txid, contact_id, at, by, old_status, status, reason FROM bench.events LIMIT 100;
TRUNCATE ours.contact_events;
SELECT clock_timestamp() AS started \gset
INSERT INTO ours.contact_events (txid, contact_id, at, by, old_status, status, reason)
    SELECT pg_current_xact_id(), contact_id, at, by, old_status, status, reason FROM bench.events;
SELECT 'history', 'events', 'insert', extract(epoch FROM clock_timestamp() - :'started') * 1e6 / count(*) FROM bench.events;
\q
\endif

ALTER TABLE ours.contacts :able TRIGGER zzz_contact_record;
SELECT bench.pick(:contacts, 200, :seed / 2) AS warm_up, bench.pick(:contacts, :calls / 2, :seed) AS ids,
       bench.pick(:contacts, :history_rows, :seed) AS many \gset
VACUUM ours.contacts;
CALL bench.ours_block(:'warm_up', NULL) \g /dev/null
CALL bench.ours_unblock(:'warm_up', NULL) \g /dev/null
CALL bench.bulk_ours(:'warm_up', 20, NULL, NULL) \g /dev/null
CALL bench.ours_unblock(:'warm_up', NULL) \g /dev/null
CALL bench.bulk_update(:'warm_up', 20, NULL, NULL) \g /dev/null
CALL bench.ours_unblock(:'warm_up', NULL) \g /dev/null
CALL bench.ours_document(:'ids', NULL) \g /dev/null
CALL bench.ours_document(:'many', NULL) \g /dev/null

CALL bench.empty(:'ids', NULL) \gset
\set empty :microseconds
TRUNCATE ours.contact_events;
CALL bench.ours_block(:'ids', NULL) \gset
SELECT 'history', 'block', :'contestant', :microseconds - :empty;
CALL bench.ours_unblock(:'ids', NULL) \g /dev/null

TRUNCATE ours.contact_events;
VACUUM ours.contacts;
CALL bench.bulk_ours(:'many', :history_rows, NULL, NULL) \gset
SELECT 'history', 'bulk', :'contestant', :microseconds;
CALL bench.ours_unblock(:'many', NULL) \g /dev/null

TRUNCATE ours.contact_events;
VACUUM ours.contacts;
CALL bench.bulk_update(:'many', :history_rows, NULL, NULL) \gset
SELECT 'history', 'update', :'contestant', :microseconds;
CALL bench.ours_unblock(:'many', NULL) \g /dev/null
TRUNCATE ours.contact_events;
