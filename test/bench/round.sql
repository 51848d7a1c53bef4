-- One round for one contestant: the loops, in one session.  rival_by_index is the
-- rival without the planner's scans of whole tables and bitmaps.
-- Variables: contestant, contacts, calls, seed.
SELECT side || '.contacts' AS table, 'bench.' || side || '_document' AS read_all,
       'bench.' || CASE :'contestant' WHEN 'floor' THEN 'floor' ELSE side END AS loops,
       :'contestant' <> 'floor' AS with_document
FROM (SELECT CASE WHEN :'contestant' LIKE 'rival%' THEN 'rival' ELSE 'ours' END AS side) AS s \gset
\set block :loops '_block'
\set unblock :loops '_unblock'
\set document :loops '_document'
SELECT set_config('enable_seqscan', 'off', false), set_config('enable_bitmapscan', 'off', false)
WHERE :'contestant' = 'rival_by_index' \g /dev/null
VACUUM :table;

SELECT bench.pick(:contacts, 100, :seed / 2) AS warm_up,
       bench.pick(:contacts, :calls, :seed) AS ids \gset
CALL :block(:'warm_up', NULL) \g /dev/null
CALL :unblock(:'warm_up', NULL) \g /dev/null
-- maps all pages that will be touched, as those of a pooled backend are
CALL :read_all(:'ids', NULL) \g /dev/null

CALL bench.empty(:'ids', NULL) \gset
\set empty :microseconds
CALL :block(:'ids', NULL) \gset
SELECT 'server', 'block', :'contestant', :microseconds - :empty;
\if :with_document
-- the first pass over what was blocked may tidy up the pages
CALL :block(:'ids', NULL) \g /dev/null
SELECT pg_current_wal_insert_lsn() AS before \gset
CALL :block(:'ids', NULL) \gset
SELECT 'retry WAL', 'bytes', :'contestant', pg_current_wal_insert_lsn() - :'before';
SELECT 'server', 'retry', :'contestant', :microseconds - :empty;
CALL :document(:'ids', NULL) \gset
SELECT 'server', 'document', :'contestant', :microseconds - :empty;
\endif
CALL :unblock(:'ids', NULL) \gset
SELECT 'server', 'unblock', :'contestant', :microseconds - :empty;
