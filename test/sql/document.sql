-- The document: every property, those that may be missing, the order of
-- arrays and of keys.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_document;
SET search_path = regress_document;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
SET contact_block.actor = 'tester';

INSERT INTO accounts VALUES
	('a2', 'Vendor', 'Enabled', 'Second', 'second.png'),
	('a10', 'Operations', 'Disabled', 'Tenth', NULL),
	('B', 'Client', 'Active', 'Big B', 'b.png');
INSERT INTO users VALUES
	('u-full', 'full@example.org', 'Active', 'Ann Full', 'Ann', 'Full', 'ann.png',
	 '+41', '791234567', 'de-CH', 'de', '2025-06-21 17:13:52.888+00', 'a2',
	 '2024-01-01 00:00+00', 'u-full', '2024-01-02 00:00+00', 'import', '2024-01-03 00:00+00');
INSERT INTO users (id, email, status, name, first_name, last_name) VALUES
	('u-bare', 'bare@example.org', 'Invited', 'Bob Bare', 'Bob', 'Bare');
INSERT INTO users (id, email, status, name, first_name, last_name,
		phone_prefix, phone_number, culture_code, language_code) VALUES
	('u-prefix', 'p@example.org', 'New', 'P', 'P', 'P', '+1', NULL, 'fr-FR', NULL),
	('u-number', 'n@example.org', 'New', 'N', 'N', 'N', NULL, '555', NULL, 'fr'),
	('u-empty', 'e@example.org', 'New', 'E', 'E', 'E', '', NULL, '', NULL);
INSERT INTO account_users VALUES
	('u-full', 'a2'), ('u-full', 'B'), ('u-full', 'a10'), ('u-prefix', 'a10');
INSERT INTO categories VALUES
	('k2', NULL, 'Second category', NULL),
	('k10', 'Ten', 'Tenth category', 'ten.png'),
	('K', 'Kay', 'Category K', NULL);

-- a history with times that can be printed
ALTER TABLE contacts DISABLE TRIGGER USER;
INSERT INTO contacts VALUES
	('full', 'full@example.org', 'Ann "F" \ Full', 'Deleted', E'asked\nus ☎', 'u-full',
	 '2025-01-01 00:00:00.001+00', 'u-full',
	 '2025-01-05 00:00:00.005+00', 'a token',
	 '2025-01-02 00:00:00.002+00', 'u-bare',
	 '2025-01-04 00:00:00.004+00', NULL,
	 '2025-01-05 00:00:00.005+00', 'u-full');
INSERT INTO contacts (id, email, status, created_at) VALUES
	('bare', 'bare@example.org', 'New', '2025-01-01 00:00+00');
INSERT INTO contacts (id, email, status, user_id, created_at)
	SELECT 'of ' || id, email, 'Active', id, '2025-01-01 00:00+00' FROM users;
-- an actor without a time is not an event
UPDATE contacts SET blocked_by = 'nobody' WHERE id = 'bare';
ALTER TABLE contacts ENABLE TRIGGER USER;
INSERT INTO contact_opt_outs VALUES
	('full', 'k2', NULL), ('full', 'K', '2025-02-01 12:00+00'), ('full', 'k10', '2025-02-02 12:00+00'),
	('of u-full', 'k2', NULL);

\pset format unaligned
\pset tuples_only on
-- everything that there can be
SELECT jsonb_pretty(contact_document('full'));
-- as little as possible
SELECT jsonb_pretty(contact_document('bare'));
-- a user who has nothing that can be missing
SELECT jsonb_pretty(contact_document('of u-bare'));
\pset tuples_only off
\pset format aligned

CREATE TABLE docs AS SELECT id, contact_document(id) AS doc FROM contacts;

-- phone and settings are there when one of the two values is
SELECT id, doc -> 'user' -> 'phone' AS phone, doc -> 'user' -> 'settings' AS settings
	FROM docs WHERE doc ? 'user' ORDER BY id COLLATE "C";

-- which keys each object has
SELECT id, (SELECT string_agg(key, ' ' ORDER BY key COLLATE "C") FROM jsonb_object_keys(doc) AS key) AS contact,
		(SELECT string_agg(key, ' ' ORDER BY key COLLATE "C") FROM jsonb_object_keys(doc -> 'audit') AS key) AS audit
	FROM docs ORDER BY id COLLATE "C";
SELECT id, (SELECT string_agg(key, ' ' ORDER BY key COLLATE "C") FROM jsonb_object_keys(doc -> 'user') AS key) AS "user"
	FROM docs WHERE doc ? 'user' ORDER BY id COLLATE "C";

-- the current account need not be one of the user's accounts
UPDATE users SET current_account_id = 'a2' WHERE id = 'u-prefix';
SELECT doc -> 'user' -> 'currentAccount' -> 'id' AS current,
		jsonb_path_query_array(doc, '$.user.accounts[*].id') AS accounts
	FROM contact_document('of u-prefix') AS doc;

-- a user who is not there is left out, the id stays
ALTER TABLE contacts DROP CONSTRAINT contacts_user_id_fkey;
UPDATE contacts SET user_id = 'gone' WHERE id = 'bare';
SELECT doc -> 'userId' AS "userId", doc ? 'user' AS "user"
	FROM contact_document('bare') AS doc;

-- the keys are stored in jsonb's own order: what is read back from the
-- document's text is the same, and every key can be looked up
SELECT id, doc = doc::text::jsonb AS same, doc::text = doc::text::jsonb::text AS same_text
	FROM docs ORDER BY id COLLATE "C";
WITH RECURSIVE part (id, doc, path, value) AS (
	SELECT id, doc, '{}'::text[], doc FROM docs
	UNION ALL
	SELECT id, doc, path || key, member FROM part, LATERAL (
		SELECT * FROM jsonb_each(CASE jsonb_typeof(value) WHEN 'object' THEN value ELSE '{}' END)
		UNION ALL
		SELECT (number - 1)::text, element
		FROM jsonb_array_elements(CASE jsonb_typeof(value) WHEN 'array' THEN value ELSE '[]' END)
			WITH ORDINALITY AS elements (element, number)
	) AS members (key, member))
SELECT id, count(*) AS parts, count(*) FILTER (WHERE doc #> path = value) AS found
	FROM part GROUP BY id ORDER BY id COLLATE "C";

-- a change returns this document, as it is afterwards
SELECT contact_block('of u-full', 'why') AS blocked \gset
SELECT contact_document('of u-full') = :'blocked' AS same, :'blocked'::jsonb ->> 'status' AS status,
	:'blocked'::jsonb ->> 'blockedReason' AS reason;

DROP SCHEMA regress_document CASCADE;
