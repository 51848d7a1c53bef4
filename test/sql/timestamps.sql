-- Times in the document: UTC, three millisecond digits, cut off and not
-- rounded, null when infinite or outside the years 0001 to 9999.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_timestamps;
SET search_path = regress_timestamps;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
SET contact_block.actor = 'tester';
SET TimeZone = 'Asia/Kathmandu';

INSERT INTO users (id, email, status, name, first_name, last_name)
	VALUES ('u', 'u@example.org', 'Active', 'U', 'U', 'U');
INSERT INTO contacts (id, email, user_id) VALUES ('c', 'c@example.org', 'u');

-- one opt-out for each time, in the order of the document
CREATE TABLE times AS SELECT * FROM unnest(ARRAY[
	'2025-06-21 17:13:52.888+00',
	'2025-06-21 17:13:52.888999+00',
	'2025-06-21 17:13:52.999999+00',
	'2025-06-21 17:13:52.000999+00',
	'2025-06-21 17:13:52.01+00',
	'2025-06-22 01:13:52.888+05:45',
	'2024-02-29 23:59:59.999999+00',
	'2000-01-01 00:00+00',
	'1999-12-31 23:59:59.999999+00',
	'1999-12-31 23:59:59.0009+00',
	'1970-01-01 00:00+00',
	'1969-12-31 23:59:59.999999+00',
	'1900-03-01 00:00+00',
	'1582-10-10 12:00:00.5555+00',
	'0999-12-31 23:59:59+00',
	'0001-01-01 00:00:00+00',
	'0001-01-01 00:00:00.000999+00',
	'0001-12-31 23:59:59.999999+00 BC',
	'0001-01-01 00:00:00+01',
	'0044-03-15 12:00+00 BC',
	'4713-01-01 00:00+00 BC',
	'-infinity',
	'9999-12-31 23:59:59.999999+00',
	'10000-01-01 00:00+00',
	'9999-12-31 23:59:59.999-01',
	'294276-12-31 23:59:59.999999+00',
	'infinity'
]) WITH ORDINALITY AS times (value, number);
INSERT INTO categories (id, short_description) SELECT to_char(number, 'FM000'), value FROM times;
INSERT INTO contact_opt_outs SELECT 'c', to_char(number, 'FM000'), value::timestamptz FROM times;
SELECT opt_out -> 'shortDescription' AS value, opt_out -> 'lastUsed' AS shown
	FROM contact_document('c') AS doc, jsonb_array_elements(doc -> 'optOuts') WITH ORDINALITY AS opt_outs (opt_out, number)
	ORDER BY number;

-- Put a time everywhere else and return what the document says.
CREATE FUNCTION shown(value timestamptz) RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
DECLARE
	doc jsonb;
BEGIN
	UPDATE users SET last_login_at = value, created_at = value, updated_at = value,
		invitation_accepted_at = value;
	UPDATE contacts SET created_at = value, updated_at = value, activated_at = value,
		blocked_at = value, deleted_at = value;
	doc := contact_document('c');
	RETURN QUERY SELECT doc #> path FROM (VALUES
		('{audit,created,at}'::text[]), ('{audit,updated,at}'), ('{audit,activated,at}'),
		('{audit,blocked,at}'), ('{audit,deleted,at}'),
		('{user,lastLoginAt}'), ('{user,audit,created,at}'), ('{user,audit,updated,at}'),
		('{user,audit,invitationAcceptedAt}')) AS paths (path);
END $$;
-- without the trigger, which would not let the times in
ALTER TABLE contacts DISABLE TRIGGER USER;
SELECT value, shown, count(*)
	FROM unnest('{1969-12-31 23:59:59.999999+00,infinity}'::text[]) AS value, shown(value::timestamptz)
	GROUP BY value, shown ORDER BY value COLLATE "C";

-- no time at all: an event is left out, the others are null
UPDATE users SET last_login_at = NULL, created_at = NULL, updated_at = NULL, invitation_accepted_at = NULL;
UPDATE contact_opt_outs SET last_used = NULL WHERE category_id = '001';
UPDATE contacts SET updated_at = NULL, activated_at = NULL, blocked_at = NULL, deleted_at = NULL,
	created_at = '2025-01-01 00:00+00', created_by = NULL;
SELECT doc -> 'audit' AS audit, doc -> 'optOuts' -> 0 -> 'lastUsed' AS last_used,
		doc -> 'user' -> 'audit' AS user_audit, doc -> 'user' -> 'lastLoginAt' AS last_login
	FROM contact_document('c') AS doc;
ALTER TABLE contacts ENABLE TRIGGER USER;

-- what the trigger stamps is shown the same way, down to the millisecond
INSERT INTO contacts (id, email) SELECT 's' || n, 's@example.org' FROM generate_series(1, 5) AS n;
SELECT count(contact_block(id)) FROM contacts WHERE id LIKE 's%';
SELECT count(*), bool_and(at ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$') AS shape,
		bool_and(at = to_char(stamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AS value
	FROM contacts, contact_document(id) AS doc, LATERAL (VALUES
		(doc #>> '{audit,created,at}', created_at), (doc #>> '{audit,updated,at}', updated_at),
		(doc #>> '{audit,activated,at}', activated_at), (doc #>> '{audit,blocked,at}', blocked_at)
	) AS events (at, stamp) WHERE id LIKE 's%';

DROP SCHEMA regress_timestamps CASCADE;
