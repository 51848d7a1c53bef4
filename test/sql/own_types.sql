-- contacts with the user's own types: an enum status, domains, varchar(n) and
-- timestamps without time zone or, at the end, with fewer digits.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_own_types;
SET search_path = regress_own_types;
CREATE EXTENSION contact_block;
CREATE TYPE contact_status AS ENUM ('New', 'Active', 'Blocked', 'Deleted');
CREATE DOMAIN reason AS varchar(20) CHECK (VALUE <> 'because');
CREATE DOMAIN actor AS text CHECK (VALUE <> 'nobody');
CREATE DOMAIN required AS text NOT NULL;
CREATE TABLE contacts (
	id varchar(20) COLLATE "C" PRIMARY KEY,
	email required,
	name varchar(10),
	status contact_status NOT NULL DEFAULT 'Active',
	blocked_reason reason,
	user_id varchar(20),
	created_at timestamp NOT NULL, created_by actor,
	updated_at timestamp, updated_by varchar(8),
	activated_at timestamptz, activated_by varchar,
	blocked_at timestamp, blocked_by actor,
	deleted_at timestamp, deleted_by name
);
CREATE TYPE account_type AS ENUM ('Client', 'Vendor', 'Operations');
CREATE TABLE accounts (
	id text COLLATE "C" PRIMARY KEY, type account_type, status char(8), name name, icon json
);
CREATE TABLE categories (id varchar(9) PRIMARY KEY, name int, short_description varchar, icon jsonb);
SELECT contact_block_setup();
-- foreign keys only where they are possible
SELECT conrelid::regclass AS relation, pg_get_constraintdef(oid) FROM pg_constraint
	WHERE connamespace = 'regress_own_types'::regnamespace AND contype = 'f'
	ORDER BY conrelid::regclass::text COLLATE "C", conname COLLATE "C";

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

-- who did what; the numbers tell the order of the times in this row (without
-- time zone they are in UTC, whatever the session's is)
CREATE VIEW stamps AS SELECT id, status, blocked_reason, (
	SELECT string_agg(concat_ws(' ', number, event, who), ', ' ORDER BY number, position)
	FROM (SELECT *, dense_rank() OVER (ORDER BY at) AS number
		  FROM (VALUES (1, 'created', created_at AT TIME ZONE 'UTC', created_by),
					   (2, 'updated', updated_at AT TIME ZONE 'UTC', updated_by),
					   (3, 'activated', activated_at, activated_by),
					   (4, 'blocked', blocked_at AT TIME ZONE 'UTC', blocked_by),
					   (5, 'deleted', deleted_at, deleted_by))
			   AS event (position, event, at, who)
		  WHERE at IS NOT NULL OR who IS NOT NULL) AS stamp) AS stamps
	FROM contacts;

INSERT INTO accounts VALUES ('a1', 'Client', 'Enabled', 'Acme', '[1]');
INSERT INTO users (id, email, status, name, first_name, last_name, current_account_id)
	VALUES ('u1', 'u1@example.org', 'Active', 'Ann', 'A', 'Nn', 'a1');
INSERT INTO account_users VALUES ('u1', 'a1');
INSERT INTO categories VALUES ('c1', 7, 'Seven', '{"a": 1}');

SET contact_block.actor = 'ann';
INSERT INTO contacts (id, email, user_id) VALUES ('1', '1@example.org', 'u1'), ('2', '2@example.org', NULL);
INSERT INTO contact_opt_outs VALUES ('1', 'c1', '2025-06-21 17:13:52.888 UTC');
SELECT id, stamps FROM stamps ORDER BY id;

-- the whole way round, each step with its stamps
SELECT contact_block('1', 'spam') - 'user' - 'audit' AS document;
SELECT jsonb_pretty((contact_document('1') -> 'user') - 'audit');
SELECT status, blocked_reason, created_by, updated_by, blocked_by FROM contacts WHERE id = '1';
SELECT ctid AS before FROM contacts WHERE id = '1' \gset
SELECT contact_block('1', 'spam') ->> 'blockedReason' AS reason;
SELECT contact_block('1') ->> 'blockedReason' AS reason;
SELECT ctid = :'before' AS untouched FROM contacts WHERE id = '1';
SELECT contact_block('1', 'more spam') ->> 'blockedReason' AS reason;
SELECT contact_unblock('1') ->> 'status' AS status;
SELECT status, blocked_reason, activated_by FROM contacts WHERE id = '1';
SELECT contact_delete('1') ->> 'status' AS status;
SELECT status, deleted_by FROM contacts WHERE id = '1';
SELECT try($$SELECT contact_block('1')$$);
SELECT try($$UPDATE contacts SET status = 'Active' WHERE id = '1'$$);

-- the time that comes in is the time that comes out, whatever it is written as
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'German';
BEGIN;
UPDATE contacts SET status = 'Blocked' WHERE id = '2';
SELECT blocked_at AT TIME ZONE 'UTC' BETWEEN date_trunc('milliseconds', now()) AND clock_timestamp() AS stored,
	(contact_document('2') #>> '{audit,blocked,at}')::timestamptz >= date_trunc('milliseconds', now())
	AND (contact_document('2') #>> '{audit,blocked,at}')::timestamptz <= clock_timestamp() AS shown,
	updated_at = date_trunc('second', blocked_at)
	OR updated_at = date_trunc('second', blocked_at) + interval '1 second' AS updated_is_rounded
	FROM contacts WHERE id = '2';
ROLLBACK;
RESET TimeZone;
RESET DateStyle;

-- a value that does not fit is the type's own error and changes nothing
SELECT try($$SELECT contact_block('2', repeat('x', 21))$$);
SELECT try($$SELECT contact_block('2', 'because')$$);
SET contact_block.actor = 'nobody';
SELECT try($$SELECT contact_block('2')$$);
SET contact_block.actor = 'nine chars';
SELECT try($$SELECT contact_block('2')$$);
SET contact_block.actor = 'ann';
SELECT try($$UPDATE contacts SET status = 'Paused' WHERE id = '2'$$);
SELECT status, stamps FROM stamps WHERE id = '2';

-- another value of its own type counts as a change, the same does not
UPDATE contacts SET user_id = NULL, name = NULL WHERE id = '2';
SELECT stamps FROM stamps WHERE id = '2';
UPDATE contacts SET name = 'Two' WHERE id = '2';
SELECT updated_by, updated_at IS NOT NULL AS updated FROM contacts c WHERE id = '2';

-- the status as a domain
DROP VIEW stamps;
CREATE DOMAIN status AS text CHECK (VALUE IN ('New', 'Active', 'Blocked', 'Deleted'));
ALTER TABLE contacts ALTER COLUMN status DROP DEFAULT,
	ALTER COLUMN status TYPE status, ALTER COLUMN status SET DEFAULT 'Active';
SELECT contact_block('2') ->> 'status' AS status;
SELECT contact_block('2', 'spam') ->> 'blockedReason' AS reason;
SELECT contact_unblock('2') ->> 'status' AS status;
SELECT try($$UPDATE contacts SET status = 'New' WHERE id = '2'$$);

-- fewer digits: the stamps have no more, whatever DateStyle prints them like
ALTER TABLE contacts ALTER created_at TYPE timestamptz(0), ALTER activated_at TYPE timestamp(0);
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'Postgres, DMY';
INSERT INTO contacts (id, email) VALUES ('digits', 'digits@example.org');
SELECT created_at = date_trunc('second', created_at) AS created, activated_at = date_trunc('second', activated_at) AS activated,
	abs(extract(epoch FROM clock_timestamp() - created_at)) < 60 AS is_now
	FROM contacts WHERE id = 'digits';
RESET TimeZone;
RESET DateStyle;

DROP SCHEMA regress_own_types CASCADE;
