-- subscriber.sql - a shard's copy of users, accounts, account_users and categories
--
-- Run it once in a shard's database, as a superuser, after publisher.sql, with
-- the number of the shard and where the publisher is:
--   psql -v ON_ERROR_STOP=1 -v shard=0 \
--       -v publisher='host=10.0.0.2 dbname=crm user=contact_replica password=secret' -f subscriber.sql
-- The four tables have to be empty, and nobody but this may write to them.

SELECT pg_catalog.format('CREATE SUBSCRIPTION contact_reference CONNECTION %L PUBLICATION contact_reference
                              WITH (slot_name = %L, create_slot = false)',
                         :'publisher', 'contact_reference_' || :'shard') \gexec
