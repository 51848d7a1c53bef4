-- range.sql - which contacts a shard has: those of a range of buckets
--
-- shard.sql and fence.sql include it, each in a transaction, with the variables
--   schema                      the extension's schema
--   first_bucket, last_bucket   the range, within 0 to 255

SET LOCAL search_path = pg_catalog, pg_temp;

-- The bucket of an id is the first byte of its MD5 sum, which SQL, the row
-- filter of a publication and a proxy compute alike.  Constraints have it
-- written out: a dump restores them by themselves.  NOT VALID: rows that are
-- here already are looked at later, by VALIDATE.
ALTER TABLE :"schema".contacts
    DROP CONSTRAINT IF EXISTS contacts_of_this_shard,
    ADD CONSTRAINT contacts_of_this_shard
        CHECK (get_byte(decode(md5(id), 'hex'), 0) BETWEEN :first_bucket AND :last_bucket) NOT VALID;
ALTER TABLE :"schema".contact_opt_outs
    DROP CONSTRAINT IF EXISTS contacts_of_this_shard,
    ADD CONSTRAINT contacts_of_this_shard
        CHECK (get_byte(decode(md5(contact_id), 'hex'), 0) BETWEEN :first_bucket AND :last_bucket) NOT VALID;

-- The same for calls: a router whose table of shards is old must not hear that
-- the contact does not exist.  A null id is at home everywhere.
CREATE OR REPLACE FUNCTION contact_shard.is_stranger(id text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
    RETURN coalesce(get_byte(decode(md5(id), 'hex'), 0) NOT BETWEEN :first_bucket AND :last_bucket, false);
