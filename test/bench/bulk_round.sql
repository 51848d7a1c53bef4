-- One round of calls for so many contacts, for one contestant.
-- Variables: contestant, size, contacts, seed.
SELECT 'bench.bulk_' || CASE WHEN :'contestant' LIKE 'rival%' THEN 'rival' ELSE :'contestant' END AS block,
       CASE WHEN :'contestant' LIKE 'rival%' THEN 'rival' ELSE 'ours' END || '.contacts' AS table,
       bench.pick(:contacts, 200, :seed / 2) AS warm_up,
       bench.pick(:contacts, greatest(:size, least(5000, 1000 * :size)), :seed) AS ids \gset
SELECT set_config('enable_seqscan', 'off', false), set_config('enable_bitmapscan', 'off', false)
WHERE :'contestant' = 'rival_by_index' \g /dev/null
VACUUM :table;
CALL :block(:'warm_up', 20, NULL, NULL) \g /dev/null
CALL :block(:'warm_up', 20, NULL, NULL) \g /dev/null
UPDATE :table SET status = 'Active' WHERE id = ANY (:'warm_up') AND status = 'Blocked';
-- maps all pages that will be touched, as those of a pooled backend are
SELECT count(*) FROM :table WHERE id = ANY (:'ids') AND email <> '' \g /dev/null
SELECT :'contestant' = 'loop' AS with_documents \gset
\if :with_documents
CALL bench.ours_document(:'ids', NULL) \g /dev/null
\endif

CALL :block(:'ids', :size, NULL, NULL) \gset
SELECT 'bulk first', :size, :'contestant', :microseconds;
SELECT 'bulk first WAL', :size, :'contestant', :wal;
-- the first pass over what was blocked may tidy up the pages
CALL :block(:'ids', :size, NULL, NULL) \g /dev/null
CALL :block(:'ids', :size, NULL, NULL) \gset
SELECT 'bulk retried', :size, :'contestant', :microseconds;
SELECT 'bulk retried WAL', :size, :'contestant', :wal;
UPDATE :table SET status = 'Active' WHERE id = ANY (:'ids') AND status = 'Blocked';
