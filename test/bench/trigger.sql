-- One round of the trigger alone, for one contestant.
\set table bench.trigger_ :contestant
VACUUM :table;
SELECT 'trigger', 'row', :'contestant', bench.update_all(:'contestant', 'Blocked');
VACUUM :table;
SELECT 'trigger', 'row', :'contestant', bench.update_all(:'contestant', 'Active');
