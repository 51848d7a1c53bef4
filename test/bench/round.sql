-- One round for one contestant: the loops, in one session.
-- Variables: contestant, contacts, calls, seed.
\set table :contestant
SELECT side || '.contacts' AS table, 'bench.' || side || '_document' AS read_all,
       :'contestant' <> 'floor' AS with_document
FROM (SELECT CASE :'contestant' WHEN 'floor' THEN 'ours' ELSE :'contestant' END AS side) AS s \gset
\set block bench. :contestant '_block'
\set unblock bench. :contestant '_unblock'
\set document bench. :contestant '_document'
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
