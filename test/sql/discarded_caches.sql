-- Every function and trigger once while whatever is cached is thrown away
-- whenever it may be.  Only a server with assertions can do that; elsewhere the
-- setting has no other value than 0, and this is a test like others.
SET client_min_messages = warning;
CREATE SCHEMA regress_discarded;
SET search_path = regress_discarded;
CREATE EXTENSION contact_block;
CREATE TYPE state AS ENUM ('active', 'blocked', 'deleted');
CREATE TABLE people (person integer PRIMARY KEY, email text NOT NULL, state state NOT NULL DEFAULT 'active', why text,
	created_at timestamptz, created_by text, updated_at timestamptz, updated_by text, activated_at timestamptz, activated_by text,
	blocked_at timestamptz, blocked_by text, deleted_at timestamptz, deleted_by text, seen integer);

-- once with the tables that set-up makes, once with a view over such a table
CREATE PROCEDURE set_up() LANGUAGE plpgsql AS $$
BEGIN
	PERFORM contact_block_setup();
	PERFORM contact_block_setup();
	PERFORM contact_history_setup();
	PERFORM contact_history_setup();
END $$;
CREATE PROCEDURE use_it(INOUT said text[] = '{}') LANGUAGE plpgsql AS $$
DECLARE
	call text;
	answer text;
BEGIN
	FOREACH call IN ARRAY ARRAY[
		$c$contact_block('1') ->> 'status'$c$, $c$contact_block('1', 'why') ->> 'blockedReason'$c$,
		$c$contact_unblock('1') ->> 'status'$c$, $c$contact_document('2') ->> 'status'$c$, $c$contact_block('9') ->> 'status'$c$,
		$c$(SELECT string_agg(code, ' ' ORDER BY n) FROM contacts_block('{2,1,9,2}') WITH ORDINALITY AS a (id, code, status, changed, n))$c$,
		$c$(SELECT string_agg(code, ' ' ORDER BY n) FROM contacts_unblock('{1}') WITH ORDINALITY AS a (id, code, status, changed, n))$c$,
		$c$contact_delete('1') ->> 'status'$c$,
		$c$(SELECT string_agg(code, ' ' ORDER BY n) FROM contacts_delete('{1,2}') WITH ORDINALITY AS a (id, code, status, changed, n))$c$]
	LOOP
		BEGIN
			EXECUTE 'SELECT ' || call INTO answer;
			said := said || answer;
		EXCEPTION WHEN OTHERS THEN
			said := said || SQLSTATE::text;
		END;
	END LOOP;
END $$;

SELECT set_config('debug_discard_caches', least(max_val::integer, 1)::text, false) IN ('0', '1') AS discarded
	FROM pg_settings WHERE name = 'debug_discard_caches';
CALL set_up();
INSERT INTO contacts (id, email) VALUES ('1', 'a@example.org'), ('2', 'b@example.org');
CALL use_it();
UPDATE contacts SET name = 'Ada' WHERE id = '2' RETURNING name, updated_at > blocked_at AS stamped;
SELECT count(*) FROM contact_events;

RESET debug_discard_caches;
DROP TABLE contact_events, contact_opt_outs, contacts, users, accounts, account_users, categories CASCADE;
CREATE VIEW contacts AS SELECT person AS id, email, NULL AS name, state AS status, why AS blocked_reason, NULL AS user_id,
	created_at, created_by, updated_at, updated_by, activated_at, activated_by, blocked_at, blocked_by, deleted_at, deleted_by FROM people;
SELECT set_config('debug_discard_caches', least(max_val::integer, 1)::text, false) IN ('0', '1') AS discarded
	FROM pg_settings WHERE name = 'debug_discard_caches';
CALL set_up();
INSERT INTO contacts (id, email) VALUES (1, 'a@example.org'), (2, 'b@example.org');
CALL use_it();
UPDATE people SET seen = 1 WHERE person = 2 RETURNING state, seen, updated_at > blocked_at AS stamped;
SELECT count(*) FROM contact_events;

RESET debug_discard_caches;
DROP SCHEMA regress_discarded CASCADE;
