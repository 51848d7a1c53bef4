-- Tenants behind one role, told apart by their claims: policies with subqueries
-- on every relation, on tables and under views, bound owners, and callers who
-- bring code of their own.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_tenants_app, regress_tenants_owner, regress_tenants_bypass;
CREATE ROLE regress_tenants_app;
CREATE ROLE regress_tenants_owner;
CREATE ROLE regress_tenants_bypass BYPASSRLS;
CREATE SCHEMA regress_tenants;
SET search_path = regress_tenants;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
ALTER TABLE categories ADD account_id text REFERENCES accounts;
GRANT ALL ON SCHEMA regress_tenants TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA regress_tenants TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_tenants TO PUBLIC;

-- ann is of acme, zoe of zeta, bob of both and at acme at the moment
INSERT INTO accounts VALUES ('acme', 'Client', 'Active', 'Acme', NULL), ('zeta', 'Client', 'Active', 'Zeta', NULL);
INSERT INTO users (id, email, status, name, first_name, last_name, current_account_id) VALUES
	('ann', 'ann@example.org', 'Active', 'Ann A', 'Ann', 'A', 'acme'), ('bob', 'bob@example.org', 'Active', 'Bob B', 'Bob', 'B', 'acme'),
	('zoe', 'zoe@example.org', 'Active', 'Zoe Z', 'Zoe', 'Z', 'zeta');
INSERT INTO account_users VALUES ('ann', 'acme'), ('bob', 'acme'), ('bob', 'zeta'), ('zoe', 'zeta');
INSERT INTO categories VALUES ('all', NULL, 'For all', NULL, NULL), ('acme', NULL, 'Of Acme', NULL, 'acme'),
	('zeta', NULL, 'Of Zeta', NULL, 'zeta');
SET contact_block.actor = 'zoe';
INSERT INTO contacts (id, email, user_id) VALUES ('of ann', 'x@example.org', 'ann'), ('of bob', 'x@example.org', 'bob'),
	('of zoe', 'x@example.org', 'zoe'), ('of nobody', 'x@example.org', NULL);
INSERT INTO contact_opt_outs SELECT contacts.id, categories.id FROM contacts, categories;
RESET contact_block.actor;

-- everybody sees their own accounts, who is in these, and their contacts; to
-- change a contact its user has to be there at the moment
CREATE FUNCTION me() RETURNS text STABLE LANGUAGE sql AS $$
	SELECT nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub' $$;
CREATE FUNCTION my_accounts() RETURNS SETOF text STABLE LANGUAGE sql SECURITY DEFINER
	SET search_path = regress_tenants, pg_temp
	AS 'SELECT account_id FROM account_users WHERE user_id = me()';
CREATE POLICY see ON accounts FOR SELECT USING (id IN (SELECT my_accounts()));
CREATE POLICY see ON account_users FOR SELECT USING (account_id IN (SELECT my_accounts()));
CREATE POLICY see ON users FOR SELECT USING (EXISTS (SELECT FROM account_users WHERE user_id = users.id));
CREATE POLICY see ON categories FOR SELECT USING (account_id IS NULL OR account_id IN (SELECT id FROM accounts));
CREATE POLICY see ON contacts FOR SELECT USING (EXISTS (SELECT FROM users WHERE users.id = user_id));
CREATE POLICY change ON contacts FOR UPDATE USING (EXISTS (
	SELECT FROM users JOIN accounts ON accounts.id = current_account_id WHERE users.id = user_id));
CREATE POLICY see ON contact_opt_outs FOR SELECT USING (EXISTS (SELECT FROM contacts WHERE contacts.id = contact_id));
SELECT format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', relname) FROM pg_class
	WHERE relnamespace = 'regress_tenants'::regnamespace AND relkind = 'r' ORDER BY oid
\gexec

-- what a call comes to, and the document; afterwards everything is as before
CREATE FUNCTION outcome(role text, subject text, call text, OUT code text, OUT document jsonb) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('request.jwt.claims', CASE WHEN subject <> '' THEN json_build_object('sub', subject)::text END, true);
	PERFORM set_config('role', role, true);
	EXECUTE 'SELECT ' || call INTO document;
	RAISE 'ok';
EXCEPTION WHEN OTHERS THEN
	code := CASE SQLERRM WHEN 'ok' THEN 'ok' ELSE SQLSTATE END;
END $$;
CREATE FUNCTION outcomes(role text, subjects text[], calls text[]) RETURNS TABLE (subject text, call text, contact text, code text, document jsonb)
	LANGUAGE sql AS $$
	SELECT subject, call, contact, code, document
	FROM unnest(subjects) WITH ORDINALITY AS s (subject, n),
		unnest(calls) WITH ORDINALITY AS c (call, m),
		unnest('{of ann,of bob,of zoe,of nobody,of none}'::text[]) WITH ORDINALITY AS i (contact, l),
		outcome(role, subject, format(call, contact))
	ORDER BY n, m, l $$;
CREATE TABLE results AS SELECT *, row_number() OVER () AS number FROM outcomes('regress_tenants_app', '{ann,zoe}',
	'{contact_document(%L),contact_block(%L),"contact_block(%L, ''spam'')",contact_unblock(%L),contact_delete(%L)}');
INSERT INTO results SELECT *, 100 + row_number() OVER () FROM outcomes('regress_tenants_app', '{bob,stranger,""}', '{contact_document(%L)}');
SELECT subject, call, string_agg(code, ' ' ORDER BY number) AS "of ann, bob, zoe, nobody, none" FROM results
	GROUP BY subject, call ORDER BY min(number);
-- a document tells of its reader's tenants alone; of the others an actor's id
SELECT subject, contact, document::text ~* 'acme' AS acme, document::text ~* 'zeta' AS zeta, document #> '{audit,created,by}' AS by,
	jsonb_path_query_array(document, '$.optOuts.id') AS "optOuts", jsonb_path_query_array(document, '$.user.accounts.id') AS accounts,
	document #>> '{user,currentAccount,id}' AS current, document #> '{$meta,omitted}' AS omitted
	FROM results WHERE call ~ 'document' AND code = 'ok' ORDER BY number;
-- the verbs tell the same, and it was the caller
SELECT count(*) AS documents, count(*) FILTER (WHERE told IS DISTINCT FROM (SELECT d.document - '{audit,status,blockedReason}'::text[]
			FROM results d WHERE d.call ~ 'document' AND d.subject = r.subject AND d.contact = r.contact)) AS different,
		count(*) FILTER (WHERE document #>> '{audit,updated,by,id}' <> subject) AS by_another
	FROM results r, LATERAL (SELECT document - '{audit,status,blockedReason}'::text[]) AS t (told) WHERE code = 'ok';
-- and leave what they may not change as it is
SELECT id, status, updated_at IS NULL AS untouched FROM contacts ORDER BY id;
-- nor does an error of the trigger tell what they may not see
CREATE POLICY blind ON contacts FOR UPDATE USING (true);
SET ROLE regress_tenants_app;
UPDATE contacts SET status = 'New';
RESET ROLE;
DROP POLICY blind ON contacts;

-- for an owner the policies do not count, unless they are forced; for BYPASSRLS never
CREATE FUNCTION compare(role text, OUT calls bigint, OUT different bigint) LANGUAGE sql AS $$
	SELECT count(*), count(*) FILTER (WHERE (o.code, o.document - 'audit') IS DISTINCT FROM (r.code, r.document - 'audit'))
	FROM outcomes(role, '{zoe}', '{contact_document(%L),contact_block(%L)}') o LEFT JOIN results r USING (subject, call, contact) $$;
SELECT format('ALTER TABLE %I OWNER TO regress_tenants_owner', relname) FROM pg_class
	WHERE relnamespace = 'regress_tenants'::regnamespace AND relkind = 'r' AND relrowsecurity ORDER BY oid
\gexec
SELECT code, count(*) FROM outcomes('regress_tenants_owner', '{zoe}', '{contact_block(%L)}') GROUP BY 1 ORDER BY count(*);
SELECT format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relname) FROM pg_class
	WHERE relnamespace = 'regress_tenants'::regnamespace AND relkind = 'r' AND relrowsecurity ORDER BY oid
\gexec
SELECT * FROM compare('regress_tenants_owner');
SELECT code, count(*) FROM outcomes('regress_tenants_bypass', '{zoe}', '{contact_block(%L)}') GROUP BY 1 ORDER BY count(*);

-- callers with code of their own: a function that notes what it is given and
-- claims to cost nothing, operators, functions and tables that have the names
-- of ours, first in the search_path
CREATE SCHEMA regress_tenants_spy AUTHORIZATION regress_tenants_app;
SET SESSION AUTHORIZATION regress_tenants_app;
SET request.jwt.claims = '{"sub": "ann"}';
SET search_path = regress_tenants_spy;
SET spy.seen = '';
CREATE FUNCTION spy(text) RETURNS text IMMUTABLE COST 0.000001 LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('spy.seen', concat_ws(',', nullif(current_setting('spy.seen'), ''), $1), false);
	RETURN $1;
END $$;
CREATE FUNCTION spy(text, text) RETURNS boolean IMMUTABLE COST 0.000001 LANGUAGE sql AS
	'SELECT regress_tenants_spy.spy($1) IS NOT NULL AND regress_tenants_spy.spy($2) IS NOT NULL';
CREATE OPERATOR = (FUNCTION = spy, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR <> (FUNCTION = spy, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION text(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT regress_tenants_spy.spy($1)';
CREATE TEMPORARY TABLE contacts (LIKE regress_tenants.contacts);
CREATE TEMPORARY TABLE users (LIKE regress_tenants.users);
INSERT INTO contacts SELECT * FROM regress_tenants.contacts;
SET search_path = regress_tenants_spy, pg_temp, regress_tenants, pg_catalog;
SELECT regress_tenants.contact_block('of bob', 'spam') ->> 'blockedReason' AS reason,
	regress_tenants.contact_block('of bob', 'more spam') ->> 'blockedReason' AS other_reason,
	regress_tenants.contact_unblock('of bob') ->> 'status' AS status, current_setting('spy.seen') AS seen;
SELECT regress_tenants.contact_block('of zoe', 'spam');
RESET search_path;
-- it is shown what is in sight anyway, wherever it is put around a call
SELECT count(regress_tenants.contact_document(id)) FROM regress_tenants.contacts WHERE regress_tenants_spy.spy(id) <> '';
SELECT count(*) FROM regress_tenants.contacts, regress_tenants.contact_document(regress_tenants_spy.spy(id)) AS document
	WHERE regress_tenants_spy.spy(document ->> 'id') <> '';
SELECT array_agg(DISTINCT seen COLLATE "C" ORDER BY seen COLLATE "C") AS seen FROM string_to_table(current_setting('spy.seen'), ',') AS seen;
DROP TABLE pg_temp.contacts, pg_temp.users;
-- a type of theirs, with a cast that notes, in a column that is compared
SET search_path = regress_tenants_spy;
CREATE TYPE reason AS ENUM ('spam', 'secret');
CREATE FUNCTION spy(reason) RETURNS text IMMUTABLE COST 0.000001 LANGUAGE sql AS
	'SELECT regress_tenants_spy.spy(textin(enum_out($1)))';
CREATE FUNCTION to_reason(text) RETURNS reason IMMUTABLE LANGUAGE sql
	RETURN CASE $1 WHEN 'spam' THEN 'spam'::reason ELSE 'secret'::reason END;
CREATE CAST (reason AS text) WITH FUNCTION spy(reason) AS IMPLICIT;
CREATE CAST (text AS reason) WITH FUNCTION to_reason(text) AS ASSIGNMENT;
RESET SESSION AUTHORIZATION;
SET search_path = regress_tenants;
UPDATE contacts SET status = 'Blocked', blocked_reason = CASE id WHEN 'of zoe' THEN 'secret' ELSE 'spam' END;
ALTER TABLE contacts ALTER blocked_reason TYPE regress_tenants_spy.reason USING blocked_reason::text::regress_tenants_spy.reason;
SET SESSION AUTHORIZATION regress_tenants_app;
SET spy.seen = '';
SELECT contact_block('of zoe', 'spam');
SELECT contact_document('of zoe');
SELECT current_setting('spy.seen') AS seen;
SELECT contact_block('of bob', 'spam') ->> 'blockedReason' AS reason, current_setting('spy.seen') <> '' AS seen;
RESET SESSION AUTHORIZATION;
RESET request.jwt.claims;
ALTER TABLE contacts ALTER blocked_reason TYPE text;
DROP SCHEMA regress_tenants_spy CASCADE;
ALTER TABLE contacts DISABLE TRIGGER zzz_contact_audit;
UPDATE contacts SET status = 'Active', blocked_reason = NULL, updated_at = NULL, updated_by = NULL;
ALTER TABLE contacts ENABLE TRIGGER zzz_contact_audit;

-- the same under views that ask as their caller, and not under others
SELECT format('ALTER TABLE %1$I RENAME TO my_%1$s; CREATE VIEW %1$I WITH (security_invoker) AS SELECT * FROM my_%1$s; GRANT SELECT ON %1$I TO PUBLIC',
			  relname)
	FROM pg_class WHERE relnamespace = 'regress_tenants'::regnamespace AND relkind = 'r' AND relrowsecurity AND relname <> 'contacts'
	ORDER BY oid
\gexec
SELECT * FROM compare('regress_tenants_app');
ALTER VIEW accounts RESET (security_invoker);
SELECT * FROM compare('regress_tenants_app');

DROP SCHEMA regress_tenants CASCADE;
DROP ROLE regress_tenants_app, regress_tenants_owner, regress_tenants_bypass;
