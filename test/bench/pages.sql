-- Pages that a block reads, of tables and of indexes.
-- Variables: contestant, contacts, calls.
\set block bench. :contestant '_block'
\set unblock bench. :contestant '_unblock'
SELECT bench.pick(:contacts, 100, 0.7) AS warm_up, bench.pick(:contacts, :calls, 0.6) AS ids \gset
\set pages 'SELECT sum(heap_blks_read + heap_blks_hit) AS tables, sum(coalesce(idx_blks_read + idx_blks_hit, 0)) AS indexes FROM pg_statio_user_tables WHERE schemaname = ''ours'''
VACUUM ours.contacts;
CALL :block(:'warm_up', NULL) \g /dev/null
CALL :unblock(:'warm_up', NULL) \g /dev/null
SELECT pg_stat_force_next_flush() \g /dev/null
:pages \gset before_
CALL :block(:'ids', NULL) \g /dev/null
SELECT pg_stat_force_next_flush() \g /dev/null
:pages \gset
SELECT 'pages of tables', :contacts, :'contestant', (:tables - :before_tables) / :calls.0
UNION ALL
SELECT 'pages of indexes', :contacts, :'contestant', (:indexes - :before_indexes) / :calls.0;
CALL :unblock(:'ids', NULL) \g /dev/null
