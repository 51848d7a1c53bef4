-- Set-up takes contacts that are partitioned by the id and no others: a row
-- that an UPDATE moves is deleted and inserted, and stamped as if it were new.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_key;
CREATE SCHEMA "Regress Key";
SET search_path = regress_key;
CREATE EXTENSION contact_block;

-- run a command: "ok", or the SQLSTATE and the texts of its error
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE command;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, nullif(detail, ''), nullif(hint, ''));
END $$;

CREATE TABLE model (id text COLLATE "C", email text, name text, status text, blocked_reason text,
	user_id text, created_at timestamptz, created_by text, updated_at timestamptz, updated_by text,
	activated_at timestamptz, activated_by text, blocked_at timestamptz, blocked_by text,
	deleted_at timestamptz, deleted_by text);
-- what set-up says of contacts with this key, and whether it made anything
CREATE FUNCTION set_up(key text, partitions text = '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE 'CREATE TABLE contacts (LIKE model) PARTITION BY ' || key || '; ' || partitions;
	-- where the key lets it
	PERFORM try('CREATE UNIQUE INDEX ON contacts (id)');
	result := try('SELECT contact_block_setup()');
	result := concat(result, E'\n', (SELECT count(*) FROM pg_trigger WHERE tgfoid = 'contact_audit'::regproc AND tgparentid = 0),
		' triggers, ', (SELECT count(*) FROM pg_class WHERE relnamespace = 'regress_key'::regnamespace AND relname = 'users'), ' users');
	RAISE SQLSTATE 'XX999' USING MESSAGE = result;
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	RETURN SQLERRM;
END $$;

SELECT set_up('LIST (status)');
SELECT set_up('RANGE (created_at)');
SELECT set_up('HASH (id, email)');
SELECT set_up('RANGE (email, id)');
SELECT set_up('LIST (lower(id))');
SELECT set_up('HASH (id)');
SELECT set_up('RANGE (id)');
SELECT set_up('LIST (id)', 'CREATE TABLE rest PARTITION OF contacts DEFAULT');
-- and so for each of the partitions that have partitions themselves
SELECT set_up('HASH (id)', $$
	CREATE TABLE half0 PARTITION OF contacts FOR VALUES WITH (MODULUS 2, REMAINDER 0) PARTITION BY HASH (id);
	CREATE TABLE half1 PARTITION OF contacts FOR VALUES WITH (MODULUS 2, REMAINDER 1) PARTITION BY LIST (id);
	CREATE TABLE half1a PARTITION OF half1 FOR VALUES IN ('a')$$);
SELECT set_up('HASH (id)', $$
	CREATE TABLE half0 PARTITION OF contacts FOR VALUES WITH (MODULUS 2, REMAINDER 0) PARTITION BY HASH (id);
	CREATE TABLE "Regress Key"."Half" PARTITION OF contacts FOR VALUES WITH (MODULUS 2, REMAINDER 1) PARTITION BY LIST (id);
	CREATE TABLE a PARTITION OF "Regress Key"."Half" FOR VALUES IN ('a') PARTITION BY LIST (status)$$);
SELECT set_up('HASH (id)', $$
	CREATE TABLE "Regress Key"."Half" PARTITION OF contacts FOR VALUES WITH (MODULUS 2, REMAINDER 1) PARTITION BY LIST (status)$$);
-- together with all else
SELECT set_up('LIST (status)', 'ALTER TABLE contacts DROP COLUMN id, DROP COLUMN name');
SELECT set_up('LIST (lower(email))', 'ALTER TABLE contacts DROP COLUMN id');
-- the id may be any column, and be called so later
SELECT set_up('HASH (email)', 'ALTER TABLE contacts RENAME id TO number; ALTER TABLE contacts RENAME email TO id;
	ALTER TABLE contacts RENAME number TO email');
-- another relation
CREATE TABLE categories (id text PRIMARY KEY, name text, short_description text, icon text) PARTITION BY LIST (id);
SELECT set_up('HASH (id)');

DROP SCHEMA regress_key, "Regress Key" CASCADE;
