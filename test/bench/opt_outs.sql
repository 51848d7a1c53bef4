-- One round of block and unblock of contacts with so many opt-outs.
-- Variables: contestant, opt_outs.
\set block bench. :contestant '_block'
\set unblock bench. :contestant '_unblock'
SELECT array_agg(id ORDER BY md5(id)) AS ids, (array_agg(id))[1:10] AS warm_up
FROM ours.contacts WHERE id LIKE 'OPT-' || :opt_outs || '-%' \gset
CALL :block(:'warm_up', NULL) \g /dev/null
CALL :unblock(:'warm_up', NULL) \g /dev/null
CALL :block(:'ids', NULL) \gset
SELECT 'opt-outs', :opt_outs, :'contestant', :microseconds;
CALL :unblock(:'ids', NULL) \g /dev/null
