-- Ids of the user's own types, another one in each relation: every function
-- finds them by their index, the document shows them, and a text that is no
-- value of the type is an unknown id.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_own_ids;
CREATE ROLE regress_own_ids;
CREATE SCHEMA regress_own_ids;
SET search_path = regress_own_ids;
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

-- no two columns that refer to each other are of one type
CREATE DOMAIN account_id AS integer CHECK (VALUE > 0);
CREATE DOMAIN user_ref AS varchar(40);
CREATE TABLE accounts (id account_id PRIMARY KEY, type text, status text, name text, icon text);
CREATE TABLE users (
	id bigint PRIMARY KEY, email text, status text, name text, first_name text, last_name text, icon text,
	phone_prefix text, phone_number text, culture_code text, language_code text,
	last_login_at timestamptz, current_account_id smallint,
	created_at timestamptz, created_by integer, updated_at timestamptz, updated_by text, invitation_accepted_at timestamptz
);
CREATE TABLE account_users (user_id varchar, account_id bigint, PRIMARY KEY (user_id, account_id));
CREATE TABLE categories (id smallint PRIMARY KEY, name text, short_description text, icon text);
CREATE TABLE contacts (
	id uuid PRIMARY KEY, email text NOT NULL, name text, status text NOT NULL DEFAULT 'Active', blocked_reason text,
	user_id user_ref,
	created_at timestamptz NOT NULL, created_by text, updated_at timestamptz, updated_by text,
	activated_at timestamptz, activated_by text, blocked_at timestamptz, blocked_by text,
	deleted_at timestamptz, deleted_by text
);
CREATE TABLE contact_opt_outs (contact_id text COLLATE "C", category_id integer, last_used timestamptz,
	PRIMARY KEY (contact_id, category_id));
CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION contact_audit();

INSERT INTO accounts VALUES (3, 'Client', 'Active', 'Acme', NULL), (20, 'Vendor', 'Enabled', 'Zeta', 'z');
INSERT INTO users (id, email, status, name, first_name, last_name, current_account_id, created_at, created_by, updated_at, updated_by)
	VALUES (7, 'ann@example.org', 'Active', 'Ann', 'A', 'Nn', 3, '2025-01-01 UTC', 8, '2025-01-02 UTC', '7'),
	(8, 'bob@example.org', 'Active', 'Bob', 'B', 'Ob', NULL, NULL, NULL, NULL, NULL);
INSERT INTO account_users VALUES ('7', 3), ('7', 20), ('8', 3);
INSERT INTO categories VALUES (2, 'Two', 'Second', NULL), (10, 'Ten', 'Tenth', 't');
SET contact_block.actor = '7';
INSERT INTO contacts (id, email, user_id) VALUES ('0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01', '1@example.org', '7');
INSERT INTO contact_opt_outs VALUES
	('0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01', 2, NULL), ('0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01', 10, '2025-06-21 17:13:52.888 UTC'),
	('0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01', 11, NULL);

-- ids are texts, in the order of texts; who acted is found
SELECT jsonb_pretty(document #- '{audit,created,at}' #- '{audit,activated,at}' #- '{audit,blocked,at}' #- '{audit,updated,at}') AS document
	FROM contact_block('0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01', 'spam') AS document;

-- a uuid in upper case is the same contact
SELECT ctid AS before FROM contacts \gset
SELECT document ->> 'id' AS id, document ->> 'status' AS status
	FROM contact_block('0B0C2A60-6B1C-4A54-8D1C-9F3E2D7C1A01') AS document;
SELECT ctid = :'before' AS untouched FROM contacts;
SELECT contact_document('0B0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01') = contact_document('0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01') AS same;
SELECT document ->> 'id' AS id, document ->> 'status' AS status, jsonb_array_length(document -> 'optOuts') AS opt_outs
	FROM contact_unblock('0B0C2A60-6B1C-4A54-8D1C-9F3E2D7C1A01') AS document;
SELECT contact_delete('0B0C2A60-6B1C-4A54-8D1C-9F3E2D7C1A01') ->> 'status' AS status;
SELECT try($$SELECT contact_block('0B0C2A60-6B1C-4A54-8D1C-9F3E2D7C1A01')$$);
SELECT try('SELECT contact_block(NULL)');
SELECT try($$SELECT contact_block('')$$);

-- nor does it matter how a reference is written
ALTER TABLE users ALTER id TYPE uuid USING lpad(id::text, 32, '0')::uuid;
ALTER TABLE categories ALTER id TYPE uuid USING lpad(id::text, 32, 'b')::uuid;
DELETE FROM contact_opt_outs WHERE category_id = 11;
ALTER TABLE contact_opt_outs ALTER category_id TYPE text USING CASE category_id
	WHEN 2 THEN upper(lpad('2', 32, 'b')::uuid::text) ELSE lpad('10', 32, 'b')::uuid::text END;
SET contact_block.actor = '00000000-0000-0000-0000-000000000007';
INSERT INTO contacts (id, email, user_id) VALUES
	('0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a02', '2@example.org', '00000000-0000-0000-0000-000000000008'),
	('0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a03', '3@example.org', '{00000000-0000-0000-0000-000000000008}');
UPDATE contacts SET user_id = upper('00000000-0000-0000-0000-00000000000a') WHERE email LIKE '2%';
UPDATE users SET id = '00000000-0000-0000-0000-00000000000a' WHERE name = 'Bob';
UPDATE account_users SET user_id = '00000000-0000-0000-0000-00000000000a' WHERE user_id = '8';
INSERT INTO contact_opt_outs SELECT '0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a02', category_id FROM contact_opt_outs;
SET contact_block.actor = '00000000-0000-0000-0000-00000000000A';
SELECT document ->> 'userId' AS "userId", document #>> '{user,id}' AS "user", document #> '{user,accounts}' AS accounts,
	document #> '{audit,created,by}' AS created_by, document #> '{audit,blocked,by}' AS blocked_by
	FROM contact_block('0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a02') AS document;
SELECT jsonb_path_query_array(contact_document('0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a02'), '$.optOuts[*].id') AS opt_outs;
SELECT document ->> 'userId' AS "userId", document ? 'user' AS known
	FROM contact_document('0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a03') AS document;
DROP TABLE accounts, users, account_users, categories, contacts, contact_opt_outs;

-- All columns with an id of one type: a life by all functions, each of which
-- finds every row by its index.
CREATE FUNCTION make(type text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format($tables$
		CREATE TABLE accounts (id %1$s PRIMARY KEY, type text, status text, name text, icon text);
		CREATE TABLE users (
			id %1$s PRIMARY KEY, email text, status text, name text, first_name text, last_name text, icon text,
			phone_prefix text, phone_number text, culture_code text, language_code text,
			last_login_at timestamptz, current_account_id %1$s,
			created_at timestamptz, created_by %1$s, updated_at timestamptz, updated_by %1$s, invitation_accepted_at timestamptz);
		CREATE TABLE account_users (user_id %1$s, account_id %1$s, PRIMARY KEY (user_id, account_id));
		CREATE TABLE categories (id %1$s PRIMARY KEY, name text, short_description text, icon text);
		CREATE TABLE contacts (
			id %1$s PRIMARY KEY, email text, name text, status text DEFAULT 'Active', blocked_reason text, user_id %1$s,
			created_at timestamptz, created_by %1$s, updated_at timestamptz, updated_by %1$s,
			activated_at timestamptz, activated_by %1$s, blocked_at timestamptz, blocked_by %1$s,
			deleted_at timestamptz, deleted_by %1$s);
		CREATE TABLE contact_opt_outs (contact_id %1$s, category_id %1$s, last_used timestamptz,
			PRIMARY KEY (contact_id, category_id))$tables$, type);
	CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION contact_audit();
END $$;
CREATE FUNCTION scans(OUT by_index bigint, OUT "all" bigint) LANGUAGE sql AS $$
	SELECT count(*) FILTER (WHERE idx_scan > 0), sum(seq_scan) FROM pg_stat_xact_user_tables
		WHERE schemaname = 'regress_own_ids' AND relname ~ '^(acc|use|cat|con)'
$$;
CREATE FUNCTION live(type text, id text, OUT life text, OUT known text, OUT relations_by_index bigint, OUT whole_scans bigint)
LANGUAGE plpgsql AS $$
DECLARE
	document jsonb;
	before record;
	after record;
BEGIN
	PERFORM make(type), set_config('contact_block.actor', id, true);
	EXECUTE format($rows$
		INSERT INTO accounts VALUES (%1$L, 'Client', 'Active', 'Acme', NULL);
		INSERT INTO users (id, email, status, name, first_name, last_name, current_account_id, created_at, created_by)
			VALUES (%1$L, 'ann@example.org', 'Active', 'Ann', 'A', 'Nn', %1$L, now(), %1$L);
		INSERT INTO account_users VALUES (%1$L, %1$L);
		INSERT INTO categories VALUES (%1$L, 'News', 'News', NULL);
		INSERT INTO contacts (id, email, user_id) VALUES (%1$L, 'c@example.org', %1$L);
		INSERT INTO contact_opt_outs VALUES (%1$L, %1$L, NULL)$rows$, id);
	before := scans();
	life := concat_ws(' ', contact_block(id) ->> 'status', contact_block(id, 'spam') ->> 'blockedReason',
		contact_unblock(id) ->> 'status', contact_unblock(id) ->> 'status', contact_delete(id) ->> 'status');
	document := contact_document(id);
	after := scans();
	known := concat_ws(' ', document -> 'id' = to_jsonb(id), document #>> '{user,name}', document #>> '{user,accounts,0,name}',
		document #>> '{user,currentAccount,name}', document #>> '{user,audit,created,by,name}',
		document #>> '{optOuts,0,name}', document #>> '{audit,deleted,by,name}');
	relations_by_index := after.by_index;
	whole_scans := after."all" - before."all";
	DROP TABLE accounts, users, account_users, categories, contacts, contact_opt_outs;
END $$;
CREATE DOMAIN text_id AS text COLLATE "C" CHECK (VALUE <> 'x');
CREATE DOMAIN uuid_id AS uuid CHECK (VALUE <> '00000000-0000-0000-0000-000000000000');
CREATE DOMAIN smallint_id AS smallint CHECK (VALUE > 0);
CREATE DOMAIN integer_id AS account_id;
CREATE DOMAIN bigint_id AS bigint;
SELECT type, live.* FROM (VALUES ('text', 'a'), ('text COLLATE "C"', 'a'), ('varchar', 'a'), ('varchar(9) COLLATE "C"', 'a'),
		('uuid', '0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01'), ('smallint', '-5'), ('integer', '12'), ('bigint', '12345678901'),
		('text_id', 'a'), ('uuid_id', '0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01'), ('smallint_id', '5'), ('integer_id', '12'),
		('bigint_id', '0'))
	AS types (type, id), live(type, id);

-- What is a value of a type, and what is an unknown id; to all functions.
CREATE FUNCTION probe(word text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	codes text[];
	code text;
BEGIN
	FOREACH code IN ARRAY '{contact_document,contact_block,contact_unblock,contact_delete}'::text[] LOOP
		BEGIN
			EXECUTE format('SELECT %I($1)', code) USING word;
			code := 'found';
		EXCEPTION WHEN OTHERS THEN
			code := SQLSTATE;
		END;
		codes := codes || code;
	END LOOP;
	RETURN (SELECT string_agg(DISTINCT c, ' ' ORDER BY c) FROM unnest(codes) AS c);
END $$;
CREATE FUNCTION probe(type text, ids text[], words text[]) RETURNS TABLE (answer text, words_so_answered text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM make(type), set_config('contact_block.actor', ids[1], true);
	EXECUTE format('INSERT INTO contacts (id) SELECT id::%s FROM unnest($1) AS id', type) USING ids;
	RETURN QUERY SELECT probe(word), string_agg(CASE WHEN length(word) < 50 THEN quote_literal(word) ELSE 'long' END, ' ' ORDER BY number)
		FROM unnest(ids || words) WITH ORDINALITY AS words (word, number) GROUP BY 1 ORDER BY min(number);
	DROP TABLE accounts, users, account_users, categories, contacts, contact_opt_outs;
END $$;
\pset format unaligned
SELECT type, probe.* FROM (VALUES
	('uuid', '{0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01}'::text[], ARRAY[
		'0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a02', 'not-a-uuid', '0b0c2a606b1c4a548d1c9f3e2d7c1a01', '{0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01}',
		'{}', ' 0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01', '0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01 ', '0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a0',
		'0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a0g', '0b0c-2a60-6b1c-4a54-8d1c-9f3e2d7c-1a0', '0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a0-', repeat('0', 100000)]),
	('smallint', '{1,0,-32768,32767}', '{2,01,+1," 1","1 ",1e3,-0,--1,-,1.0,0x1,1_0,00,1a,NaN,32768,-32769,99999999999999999999}'),
	('integer', '{1,0,-2147483648,2147483647}', '{2,01,+1," 1",1e3,-0,-01,- 1,2147483648,-2147483649,4294967297}'),
	('bigint', '{1,0,-9223372036854775808,9223372036854775807}', ARRAY['2', '01', '+1', ' 1', '1e3', '-0', '9223372036854775808',
		'-9223372036854775809', '18446744073709551617', repeat('9', 100000)]),
	('integer_id', '{1,2147483647}', '{0,-1,01,2147483648,one}'),
	('uuid_id', '{0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01}', '{not-a-uuid}'),
	('varchar(3)', '{1,abc," 1"}', ARRAY['01', 'abcd', 'ABC', 'abc ', '1 ', repeat('x', 100000)]),
	('text_id', '{1,01}', '{x,001}'))
	AS types (type, ids, words), probe(type, ids, words);
\pset format aligned

-- Who acts has to fit into a column for it that is no text.
SELECT make('uuid');
ALTER TABLE contacts ALTER created_by TYPE uuid, ALTER updated_by TYPE smallint USING NULL, ALTER activated_by TYPE text USING NULL,
	ALTER blocked_by TYPE smallint_id USING NULL, ALTER deleted_by TYPE varchar(3) USING NULL;
SET contact_block.actor = 'ann';
SELECT try($$INSERT INTO contacts (id) VALUES ('0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01')$$);
SET contact_block.actor = '0B0C2A60-6B1C-4A54-8D1C-9F3E2D7C1A01';
INSERT INTO contacts (id) VALUES ('0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01');
SELECT created_by, activated_by FROM contacts;
SELECT try($$UPDATE contacts SET name = 'One'$$);
SELECT try($$SELECT contact_block('0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01')$$);
SET contact_block.actor = '99999';
SELECT try($$UPDATE contacts SET name = 'One'$$);
-- the domain's own check
SET contact_block.actor = '-1';
SELECT try($$SELECT contact_block('0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01')$$);
UPDATE contacts SET name = 'One';
SET contact_block.actor = '9999';
SELECT try($$SELECT contact_delete('0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01')$$);
-- from the claims, which may be a number, and from the role
RESET contact_block.actor;
SELECT set_config('request.jwt.claims', '{"sub": 12}', false);
SELECT contact_block('0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01') #> '{audit,blocked,by}' AS by;
SELECT updated_by, blocked_by FROM contacts;
SELECT set_config('request.jwt.claims', '{"sub": 1.5}', false);
SELECT try($$UPDATE contacts SET name = 'Two'$$);
SELECT set_config('request.jwt.claims', '', false);
GRANT USAGE ON SCHEMA regress_own_ids TO regress_own_ids;
GRANT ALL ON contacts TO regress_own_ids;
SET ROLE regress_own_ids;
SELECT try($$UPDATE contacts SET name = 'Two'$$);
RESET ROLE;
SELECT name, status, updated_by FROM contacts;

DROP SCHEMA regress_own_ids CASCADE;
DROP ROLE regress_own_ids;
