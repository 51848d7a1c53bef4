-- check_move.sql - is this the shard that gives away these buckets, and no others?
--
-- cut_over.sql runs it in the old shard, with the variables
--   schema                      the extension's schema
--   first_bucket, last_bucket   the buckets that go
-- It prints t when the new shard gets exactly these contacts, with all that
-- belongs to them: what it did not get, clean_up.sql would delete.

SET search_path = pg_catalog, pg_temp;

-- What a row filter lets through is found out with ids of every bucket.
SELECT format('SELECT bool_and(%s) FROM (SELECT id, id AS contact_id, get_byte(decode(md5(id), ''hex''), 0) AS bucket'
              ' FROM (SELECT i::text AS id FROM generate_series(1, 5000) AS i) AS i) AS ids',
              string_agg(format('(%s) = (bucket BETWEEN %s AND %s)', coalesce(rowfilter, 'true'), :first_bucket, :last_bucket), ' AND '))
FROM pg_publication_tables
WHERE pubname IN ('contact_move', 'contact_move_events') AND schemaname = :'schema'
HAVING array_agg(tablename::text ORDER BY tablename) = array_remove(ARRAY['contact_events', 'contact_opt_outs', 'contacts'],
           CASE WHEN to_regclass(format('%I.contact_events', :'schema')) IS NULL THEN 'contact_events' END)
    AND EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'contact_move' AND database = current_database()) \gexec
