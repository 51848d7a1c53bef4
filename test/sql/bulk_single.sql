-- For each element of the array exactly what the call for this contact alone
-- would have said, in the order of the array: every status, reason, verb and
-- right, row security, and a user's trigger that keeps a row.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_bulk_single;
SET search_path = regress_bulk_single;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
SET contact_block.actor = 'zero';
CREATE FUNCTION make_role(name text, rights text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('DROP ROLE IF EXISTS %I', name);
	EXECUTE format('CREATE ROLE %I', name);
	EXECUTE format('GRANT USAGE ON SCHEMA regress_bulk_single TO %I', name);
	EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_bulk_single TO %I', name);
	EXECUTE format('GRANT %s ON contacts TO %I', rights, name);
END $$;

-- what a contact is like is in its id: how row security and the trigger take
-- it, its status, and the reason
INSERT INTO contacts (id, email, status, name, blocked_reason)
	SELECT concat_ws(' ', name, status, reason), 'x@example.org', status, name, reason
	FROM unnest('{seen,hidden,fixed,kept,checked}'::text[]) AS name,
		(VALUES ('New', NULL), ('Active', NULL), ('Blocked', NULL), ('Blocked', 'spam'), ('Blocked', 'ham'), ('Blocked', 'eggs'),
			('Deleted', NULL), ('Deleted', 'spam')) AS s (status, reason);
CREATE POLICY seen ON contacts FOR SELECT USING (name <> 'hidden');
CREATE POLICY changed ON contacts FOR UPDATE USING (name <> 'fixed') WITH CHECK (name <> 'checked');
CREATE FUNCTION keep_row() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN CASE WHEN NEW.name <> 'kept' THEN NEW END; END$$;
CREATE TRIGGER own BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION keep_row();
-- some of them come again, in any order
CREATE FUNCTION array_of(with_checked boolean, like_ text) RETURNS text[] LANGUAGE sql SECURITY DEFINER AS $$
	SELECT array_agg(id ORDER BY md5(id || number) COLLATE "C", number)
	FROM (SELECT id, 0 FROM contacts UNION ALL SELECT id, 1 FROM contacts WHERE id LIKE '%Active' OR id LIKE '%spam'
		UNION ALL SELECT * FROM unnest('{nobody,NULL,"",SEEN Active,nobody,NULL}'::text[]) WITH ORDINALITY) AS given (id, number)
	WHERE (with_checked OR id NOT LIKE 'checked%' OR id IS NULL) AND (id LIKE like_ OR like_ IS NULL)
$$;

CREATE TYPE answer AS (id text, code text, status text, changed boolean);
CREATE FUNCTION place_of(contact text) RETURNS tid LANGUAGE sql SECURITY DEFINER AS
	'SELECT ctid FROM regress_bulk_single.contacts WHERE id = contact';
CREATE FUNCTION call(what text, id text, reason text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT CASE what WHEN 'block' THEN contact_block(id) WHEN 'block for' THEN contact_block(id, reason)
		WHEN 'unblock' THEN contact_unblock(id) ELSE contact_delete(id) END
$$;

-- the answers of one call after the other, and nothing is changed afterwards
CREATE FUNCTION one_by_one(what text, ids text[], reason text) RETURNS SETOF answer LANGUAGE plpgsql AS $$
DECLARE
	answers answer[];
	answer answer;
	seen text[] := '{}';
	contact text;
	before tid;
BEGIN
	FOREACH contact IN ARRAY ids LOOP
		answer := (contact, '00000', NULL, false);
		before := place_of(contact);
		BEGIN
			answer.status := call(what, contact, reason) ->> 'status';
		EXCEPTION WHEN OTHERS THEN
			answer.code := SQLSTATE;
			BEGIN
				answer.status := contact_document(contact) ->> 'status';
			EXCEPTION WHEN OTHERS THEN
			END;
		END;
		-- who may not read the reason writes it each time; at once that is once
		answer.changed := before IS DISTINCT FROM place_of(contact) AND (contact = ANY (seen)) IS NOT TRUE;
		seen := seen || contact;
		answers := answers || answer;
	END LOOP;
	RAISE SQLSTATE 'UNDO0';
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
	RETURN QUERY SELECT * FROM unnest(answers);
END $$;

-- those of one call for all; an error is one answer without an id
CREATE FUNCTION at_once(what text, ids text[], reason text) RETURNS SETOF answer LANGUAGE plpgsql AS $$
DECLARE
	answers answer[];
BEGIN
	EXECUTE format('SELECT array_agg(a::regress_bulk_single.answer ORDER BY ordinality)
		FROM %s WITH ORDINALITY AS r (id, code, status, changed, ordinality), LATERAL (SELECT r.id, r.code, r.status, r.changed) AS a',
		CASE what WHEN 'block' THEN 'contacts_block($1)' WHEN 'block for' THEN 'contacts_block($1, $2)'
			WHEN 'unblock' THEN 'contacts_unblock($1)' ELSE 'contacts_delete($1)' END) INTO answers USING ids, reason;
	RAISE SQLSTATE 'UNDO0';
EXCEPTION
	WHEN SQLSTATE 'UNDO0' THEN
		RETURN QUERY SELECT * FROM unnest(answers);
	WHEN OTHERS THEN
		RETURN NEXT (NULL, SQLSTATE, SQLERRM, NULL)::answer;
END $$;

-- What both say: how often, and where it is not the same.  What is an error of
-- all is one of those that each contact has that the change would be for.
CREATE FUNCTION compare(role name, what text, reason text, with_checked boolean, like_ text DEFAULT NULL,
	OUT answers text, OUT differences text) LANGUAGE plpgsql AS $$
DECLARE
	ids text[] := array_of(with_checked, like_);
	one answer[];
	all_ answer[];
BEGIN
	PERFORM set_config('role', role, true);
	one := ARRAY(SELECT a FROM one_by_one(what, ids, reason) AS a);
	all_ := ARRAY(SELECT a FROM at_once(what, ids, reason) AS a);
	PERFORM set_config('role', 'none', true);
	IF cardinality(all_) = 1 THEN
		answers := 'all: ' || all_[1].code || ' ' || all_[1].status;
		differences := (SELECT string_agg(DISTINCT code, ' ') FROM unnest(one) WHERE code NOT IN ('22004', '22023', 'PT404', 'PT409', '00000'));
		differences := nullif(differences, all_[1].code);
		RETURN;
	END IF;
	SELECT string_agg(format('%s x %s', n, a), ', ' ORDER BY a COLLATE "C") INTO answers
		FROM (SELECT concat_ws(' ', code, CASE WHEN changed THEN 'changed' END), count(*) FROM unnest(all_) GROUP BY 1) AS counts (a, n);
	SELECT string_agg(format('%s, not %s', y, x), '; ') INTO differences
		FROM unnest(one) WITH ORDINALITY AS x FULL JOIN unnest(all_) WITH ORDINALITY AS y USING (ordinality)
		WHERE (x.id, x.code, x.status, x.changed) IS DISTINCT FROM (y.id, y.code, y.status, y.changed);
END $$;
SELECT make_role('regress_bulk_' || name, rights)
	FROM (VALUES ('all', 'ALL'), ('clerk', 'SELECT (id, status, blocked_reason), UPDATE (status, blocked_reason)'),
		('blind', 'SELECT (id, status), UPDATE (status, blocked_reason)'), ('half', 'SELECT, UPDATE (status)'), ('reader', 'SELECT'),
		('writer', 'UPDATE'), ('stranger', 'SELECT (id)')) AS roles (name, rights);
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_bulk_single FROM regress_bulk_stranger;
GRANT EXECUTE ON FUNCTION one_by_one, at_once, place_of TO regress_bulk_stranger;
CREATE VIEW calls AS SELECT role, what, reason, 10 * m + n AS number
	FROM unnest('{all,clerk,blind,half,reader,writer,stranger}'::text[]) WITH ORDINALITY AS roles (role, m),
		(VALUES (1, 'block', NULL), (2, 'block for', NULL), (3, 'block for', ''), (4, 'block for', 'spam'), (5, 'block for', 'eggs'),
			(6, 'unblock', NULL), (7, 'delete', NULL)) AS whats (n, what, reason);

-- as their owner, and without row security
\pset format unaligned
SELECT what, reason, c.* FROM calls, compare(current_user, what, reason, true) AS c WHERE role = 'all' ORDER BY number;
SELECT role, what, reason, c.* FROM calls, compare('regress_bulk_' || role, what, reason, true) AS c ORDER BY number;
-- what is mostly a retry of many, and has nothing to change
SELECT role, what, c.* FROM calls, compare('regress_bulk_' || role, what, reason, true, '% Blocked%') AS c
	WHERE what = 'block' ORDER BY number;
-- with it
ALTER TABLE contacts ENABLE ROW LEVEL SECURITY;
SELECT role, what, reason, c.* FROM calls, compare('regress_bulk_' || role, what, reason, false) AS c
	WHERE role NOT IN ('writer', 'stranger') ORDER BY number;
-- with contacts that WITH CHECK does not let pass
SELECT role, what, reason, c.* FROM calls, compare('regress_bulk_' || role, what, reason, true) AS c
	WHERE role IN ('all', 'clerk') ORDER BY number;
-- in sight only, and out of sight altogether
DROP POLICY changed ON contacts;
SELECT role, what, reason, c.* FROM calls, compare('regress_bulk_' || role, what, reason, true) AS c WHERE role = 'clerk' ORDER BY number;
DROP POLICY seen ON contacts;
SELECT role, what, reason, c.* FROM calls, compare('regress_bulk_' || role, what, reason, true) AS c WHERE role = 'clerk' ORDER BY number;
\pset format aligned
-- all was undone
SELECT count(*), count(updated_at) FROM contacts;

DROP SCHEMA regress_bulk_single CASCADE;
DROP ROLE regress_bulk_all, regress_bulk_clerk, regress_bulk_blind, regress_bulk_half, regress_bulk_reader, regress_bulk_writer,
	regress_bulk_stranger;
