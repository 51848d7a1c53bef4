-- contacts_block, contacts_unblock and contacts_delete: an answer for each
-- element of the array, one UPDATE for all, and nothing where an error is one
-- of all.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_bulk_clerk;
CREATE ROLE regress_bulk_clerk;
CREATE SCHEMA regress_bulk;
SET search_path = regress_bulk;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
-- which run queries of their own
ALTER TABLE contacts DROP CONSTRAINT contacts_user_id_fkey;
SET contact_block.actor = 'zero';

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

-- contacts of every status
CREATE PROCEDURE fill() LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM contacts;
	INSERT INTO contacts (id, email, status) VALUES
		('a1', 'x@example.org', 'Active'), ('a2', 'x@example.org', 'Active'), ('a3', 'x@example.org', 'Active'),
		('b1', 'x@example.org', 'Blocked'), ('b2', 'x@example.org', 'Blocked'),
		('n', 'x@example.org', 'New'), ('d', 'x@example.org', 'Deleted');
	UPDATE contacts SET blocked_reason = 'spam' WHERE id = 'b2';
END $$;
CREATE VIEW stamps AS SELECT id, status, blocked_reason, updated_by, activated_by, blocked_by, deleted_by,
	updated_at IS NOT DISTINCT FROM CASE status WHEN 'Active' THEN activated_at WHEN 'Blocked' THEN blocked_at
		WHEN 'Deleted' THEN deleted_at END AS changed_then
	FROM contacts ORDER BY id COLLATE "C";

-- a row for each element, in their order
CALL fill();
SET contact_block.actor = 'one';
SELECT * FROM contacts_block(ARRAY['d', 'b2', 'a2', 'nobody', 'a3', NULL, '', 'n', 'a2', 'b1', 'A1', NULL, 'a2']);
SELECT * FROM stamps;
SET contact_block.actor = 'two';
SELECT * FROM contacts_unblock('{n,a1,b2,a2,d,b2,nobody,NULL,""}');
SELECT * FROM stamps;
SET contact_block.actor = 'three';
SELECT * FROM contacts_delete('{"",n,d,a1,b1,b1,NULL,nobody,a1}');
SELECT * FROM stamps;

-- one reason for all: who has it already, another, or none
CALL fill();
SET contact_block.actor = 'one';
SELECT * FROM contacts_block('{b2,b1,a1,n,a1,d}', 'spam');
SELECT * FROM stamps;
SET contact_block.actor = 'two';
SELECT * FROM contacts_block('{a2,b2,a1}', 'ham');
-- an empty one, null and none never erase it
SELECT * FROM contacts_block('{a3,b2,a1}', '');
SELECT * FROM contacts_block('{a3,b2,a1}', NULL);
SELECT * FROM contacts_block('{a3,b2,a1}');
SELECT * FROM contacts_block(reason => 'by name', ids => '{b1}');
SELECT * FROM stamps;

-- nothing stands for all
SELECT try('SELECT contacts_block(NULL)'), try($$SELECT contacts_block(NULL, 'spam')$$),
	try('SELECT contacts_unblock(NULL)'), try('SELECT contacts_delete(NULL)');
SELECT * FROM contacts_block('{}');
SELECT * FROM contacts_unblock('{}'), contacts_delete(ARRAY[]::text[]);
SELECT * FROM contacts_delete('{NULL,"",NULL}');

-- dimensions and bounds do not matter
CALL fill();
SELECT * FROM contacts_block('{{a2,b1},{NULL,a1},{a2,n}}');
SELECT * FROM contacts_unblock('[-3:-1]={a2,b1,a1}');
SELECT * FROM contacts_delete('[0:0][7:8][1:1]={{{a3},{""}}}');
SELECT * FROM contacts_block('{n}');

-- in a select list, as any other function that returns a set, and for each row
SELECT contacts_unblock('{b2,n}');
CALL fill();
SELECT ids, answers.* FROM (VALUES (1, '{a1,a2}'::text[]), (2, '{}'), (3, '{a2,b1}'), (4, '{a1}')) AS lists (number, ids),
	contacts_block(ids, number::text) AS answers;
SELECT id, code FROM contacts_unblock((SELECT array_agg(id ORDER BY id DESC) FROM contacts));

-- a retry writes nothing
CALL fill();
SELECT count(*) FROM contacts_block('{a1,a2,a3,b1,b2}', 'spam');
CREATE FUNCTION written() RETURNS bigint LANGUAGE sql AS $$
	SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables WHERE relid = 'contacts'::regclass
$$;
BEGIN;
CREATE TEMP TABLE before ON COMMIT DROP AS SELECT id, ctid AS place, xmin AS version, c::text AS all FROM contacts AS c;
SELECT written() AS before \gset
SELECT id, code, changed FROM contacts_block('{a3,a1,b2,nobody,n}');
SELECT id, code, changed FROM contacts_block('{a3,a1,b2,nobody,n}', 'spam');
SELECT id, code, changed FROM contacts_unblock('{nobody,n,d}');
SELECT id, code, changed FROM contacts_delete('{d,nobody,n}');
SELECT written() - :before AS written;
SELECT count(*) FROM contacts AS c JOIN before AS b ON c.ctid = place AND c.xmin = version AND c::text = b.all;
-- one UPDATE of one row
SELECT id, code, changed FROM contacts_block('{a3,a1,b2,b1}', 'ham') WHERE id = 'a1';
SELECT written() - :before AS written;
ROLLBACK;

-- by index, and by one statement, also where the table is small; so is every
-- look at what was not changed
CREATE FUNCTION scans(OUT whole bigint, OUT by_index bigint) LANGUAGE sql AS $$
	SELECT sum(seq_scan), sum(idx_scan) FROM pg_stat_xact_user_tables WHERE schemaname = 'regress_bulk' AND relname ~ '^contacts'
$$;
CREATE FUNCTION scans_of_calls() RETURNS TABLE (read_whole bigint, by_index boolean, answers text) LANGUAGE plpgsql AS $$
DECLARE
	before record;
	after record;
	calls text;
BEGIN
	FOREACH calls IN ARRAY ARRAY['contacts_block($1)', 'contacts_block($1)', $a$contacts_block($1, 'spam')$a$,
			'contacts_unblock($1)', 'contacts_delete($1)'] LOOP
		before := scans();
		EXECUTE format('SELECT string_agg(code, $q$ $q$) FROM %s', calls) INTO answers USING '{n,a1,b1,nobody}'::text[];
		after := scans();
		read_whole := after.whole - before.whole;
		by_index := after.by_index > before.by_index;
		RETURN NEXT;
	END LOOP;
END $$;
CALL fill();
ANALYZE contacts;
SET enable_seqscan = on;
SET enable_bitmapscan = on;
SELECT * FROM scans_of_calls();
-- the trigger that wants to see each UPDATE sees one
CREATE FUNCTION count_updates() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN RAISE NOTICE 'updated %', (SELECT count(*) FROM changed); RETURN NULL; END$$;
CREATE TRIGGER count_updates AFTER UPDATE ON contacts REFERENCING NEW TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION count_updates();
CALL fill();
SET client_min_messages = notice;
SELECT id, code FROM contacts_block('{a3,nobody,b2,n,a1}', 'ham');
SELECT id, code FROM contacts_block('{a3,nobody,b2,n,a1}', 'ham');
SET client_min_messages = warning;
DROP TRIGGER count_updates ON contacts;

-- Errors of all undo all.

CREATE FUNCTION after(command text, OUT result text, OUT unchanged boolean) LANGUAGE plpgsql AS $$
DECLARE
	before text := (SELECT string_agg(c.ctid::text || c::text, ';' ORDER BY id) FROM contacts AS c);
BEGIN
	result := try(command);
	unchanged := before = (SELECT string_agg(c.ctid::text || c::text, ';' ORDER BY id) FROM contacts AS c);
END $$;
CALL fill();
ALTER TABLE contacts DISABLE TRIGGER zzz_contact_audit;
SELECT * FROM after($$SELECT contacts_block('{a1,a2}')$$);
-- as of one, nobody notices where nothing was to be changed
SELECT * FROM contacts_block('{b1,n,nobody}');
ALTER TABLE contacts ENABLE TRIGGER zzz_contact_audit;
SET session_replication_role = replica;
SELECT * FROM after($$SELECT contacts_block('{a1,a2}')$$);
RESET session_replication_role;
SET request.jwt.claims = '["x"]';
RESET contact_block.actor;
SELECT * FROM after($$SELECT contacts_block('{a1,a2}')$$);
RESET request.jwt.claims;
SET contact_block.actor = 'one';

-- a user's trigger that keeps a row as it is: what one call says, this one does for the id
CREATE FUNCTION keep_row() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN CASE WHEN NEW.id <> 'a2' THEN NEW END; END$$;
CREATE TRIGGER own BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION keep_row();
SELECT try($$SELECT contact_block('a2')$$);
SELECT * FROM contacts_block('{a3,a2,a1,a2}');
SELECT * FROM stamps WHERE id LIKE 'a%';
DROP TRIGGER own ON contacts;

-- one that keeps a status, or makes another
CREATE FUNCTION other_status() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN IF NEW.id = 'a2' THEN NEW.status := CASE TG_ARGV[0] WHEN '' THEN OLD.status ELSE TG_ARGV[0] END; END IF; RETURN NEW; END$$;
CALL fill();
CREATE TRIGGER own BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION other_status('');
SELECT try($$SELECT contact_block('a2')$$);
SELECT * FROM after($$SELECT contacts_block('{a3,a2,a1}')$$);
DROP TRIGGER own ON contacts;
CREATE TRIGGER own BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION other_status('Deleted');
SELECT try($$SELECT contact_block('a2')$$);
SELECT * FROM after($$SELECT contacts_block('{a3,a2,a1}')$$);
DROP TRIGGER own ON contacts;

-- one that deletes a row, changes it again, or has an error of its own
CREATE FUNCTION and_then() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id = 'a2' AND pg_trigger_depth() = 1 THEN
		EXECUTE TG_ARGV[0];
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER own AFTER UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION and_then('DELETE FROM contacts WHERE id = ''a2''');
SELECT try($$SELECT contact_block('a2')$$);
SELECT * FROM after($$SELECT contacts_block('{a3,a2,a1}')$$);
DROP TRIGGER own ON contacts;
CREATE TRIGGER own AFTER UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION and_then('SELECT 1 / 0');
SELECT * FROM after($$SELECT contacts_block('{a3,a2,a1}')$$);
DROP TRIGGER own ON contacts;
CREATE TRIGGER own AFTER UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION and_then('SELECT contacts_delete(''{a1,a2}'')');
SELECT * FROM contacts_block('{a3,a2,a1,n}');
SELECT id, status FROM contacts ORDER BY id COLLATE "C";
DROP TRIGGER own ON contacts;
-- after errors amid a call the guard is as strict as before
CALL fill();
SELECT try($$UPDATE contacts SET status = 'Active' WHERE id = 'b1'$$);

-- An error while a contact is locked, after one that was held: the block that
-- catches it undoes what it began, and no less.
CREATE FUNCTION third_time() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF nextval('looked') = 3 THEN
		RAISE 'third time';
	END IF;
	RETURN false;
END $$;
CREATE SEQUENCE looked;
GRANT USAGE ON SCHEMA regress_bulk TO regress_bulk_clerk;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_bulk TO regress_bulk_clerk;
GRANT ALL ON ALL TABLES IN SCHEMA regress_bulk TO regress_bulk_clerk;
GRANT ALL ON SEQUENCE looked TO regress_bulk_clerk;
ALTER TABLE contacts ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON contacts FOR SELECT USING (true);
CREATE POLICY changed ON contacts FOR UPDATE USING (id <> 'a1' OR third_time());
CREATE TABLE kept (what text);
GRANT ALL ON kept TO regress_bulk_clerk;
SET ROLE regress_bulk_clerk;
-- in the UPDATE, in the lock of what is free, and in that of what is not
DO $$
BEGIN
	INSERT INTO kept VALUES ('before');
	BEGIN
		INSERT INTO kept VALUES ('within');
		PERFORM contacts_block('{a1,a2}');
	EXCEPTION WHEN raise_exception THEN
		INSERT INTO kept VALUES (SQLERRM);
	END;
	INSERT INTO kept VALUES ('after');
END $$;
SELECT * FROM kept;
SELECT * FROM contacts_block('{a1,a2}');
RESET ROLE;

-- WITH CHECK is an error of all
DROP POLICY changed ON contacts;
CREATE POLICY changed ON contacts FOR UPDATE USING (id <> 'a1') WITH CHECK (id <> 'a3' OR status <> 'Blocked');
SET ROLE regress_bulk_clerk;
SELECT * FROM contacts_unblock('{a2,a1,b1}');
SELECT * FROM after($$SELECT contacts_block('{a2,a3,b1}')$$);
SELECT * FROM contacts_block('{a2,a1,b1}');
RESET ROLE;
ALTER TABLE contacts DISABLE ROW LEVEL SECURITY;

-- Tables of one's own.
CREATE TABLE model (LIKE contacts INCLUDING ALL);
CREATE FUNCTION audit(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION contact_audit()', relation);
END $$;
CREATE FUNCTION make(type text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DROP TABLE contacts CASCADE;
	CREATE TABLE contacts (LIKE model INCLUDING ALL);
	EXECUTE format('ALTER TABLE contacts ALTER id TYPE %s USING NULL', type);
	PERFORM audit('contacts');
END $$;

-- ids of every type; the rows show them as they were given
CREATE DOMAIN number AS integer CHECK (VALUE > 0);
CREATE FUNCTION answers(type text, ids text[], given text[]) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
	PERFORM make(type);
	EXECUTE format('INSERT INTO contacts (id, email) SELECT id::%s, ''x'' FROM unnest($1) AS id', type) USING ids;
	RETURN QUERY SELECT type, a.* FROM contacts_block(given || ids, 'spam') AS a;
	IF (SELECT count(*) FROM contacts WHERE status = 'Blocked') <> cardinality(ids) THEN
		RAISE 'not all are Blocked';
	END IF;
	IF EXISTS (SELECT FROM contacts_block(given || ids, 'spam') WHERE changed) THEN
		RAISE 'changed again';
	END IF;
END $$;
SELECT a.* FROM (VALUES
	('text', '{b,a}'::text[], '{a,"a ",A}'::text[]),
	('varchar(3)', '{b,a}', '{abcd,a}'),
	('uuid', '{0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a02,0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a01}',
		'{0B0C2A60-6B1C-4A54-8D1C-9F3E2D7C1A01,not-a-uuid,0b0c2a606b1c4a548d1c9f3e2d7c1a01,0b0c2a60-6b1c-4a54-8d1c-9f3e2d7c1a09}'),
	('smallint', '{10,9,-5}', '{010,32768,9}'),
	('integer', '{10,9}', '{" 9",+9,2147483648}'),
	('bigint', '{12345678901,9}', '{9,012345678901,99999999999999999999,1e3}'),
	('number', '{10,9}', '{0,-1,9}'))
	AS types (type, ids, given), answers(type, ids, given) AS a (type text, id text, code text, status text, changed boolean);
-- nothing that could be an id
SELECT * FROM contacts_block('{x,"",NULL,y}');

-- an id that is there twice
DROP TABLE contacts CASCADE;
CREATE TABLE contacts (LIKE model);
SELECT audit('contacts');
INSERT INTO contacts (id, email, status) VALUES ('a1', 'x', 'Active'), ('a2', 'x', 'Active'), ('a2', 'x', 'Active'),
	('b1', 'x', 'Blocked'), ('b1', 'x', 'Blocked');
SELECT try($$SELECT contacts_block('{a1,a2}')$$), try($$SELECT contacts_block('{a1,b1}')$$);
SELECT count(*) FROM contacts WHERE updated_at IS NOT NULL;
SELECT * FROM contacts_block('{a1,nobody}');

-- a status that is none of the four, and none at all
DROP TABLE contacts CASCADE;
CREATE TABLE contacts (LIKE model);
ALTER TABLE contacts ALTER status DROP NOT NULL, ADD PRIMARY KEY (id);
INSERT INTO contacts (id, email, status, created_at) VALUES ('a', 'x', 'Active', now()), ('odd', 'x', 'odd', now()), ('null', 'x', NULL, now());
SELECT audit('contacts');
SELECT * FROM contacts_block(ARRAY['odd', 'a', 'null']);
SELECT try($$SELECT contact_block('odd')$$), try($$SELECT contact_block('null')$$);

-- partitions whose columns are at other places
DROP TABLE contacts CASCADE;
CREATE TABLE contacts (LIKE model INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (id)) PARTITION BY HASH (id);
CREATE TABLE contacts_0 PARTITION OF contacts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE contacts_1 (
	dropped int, deleted_by text COLLATE "C", deleted_at timestamptz, blocked_by text COLLATE "C", blocked_at timestamptz,
	activated_by text COLLATE "C", activated_at timestamptz, updated_by text COLLATE "C", updated_at timestamptz,
	created_by text COLLATE "C", created_at timestamptz NOT NULL, user_id text COLLATE "C", blocked_reason text,
	status text NOT NULL DEFAULT 'Active', name text, email text NOT NULL, id text COLLATE "C" NOT NULL,
	CONSTRAINT contacts_status_check CHECK (status = ANY ('{New,Active,Blocked,Deleted}'))
);
ALTER TABLE contacts_1 DROP COLUMN dropped;
ALTER TABLE contacts ATTACH PARTITION contacts_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT audit('contacts');
CREATE VIEW stamps AS SELECT id, status, blocked_reason, updated_by, blocked_by FROM contacts ORDER BY id COLLATE "C";
CALL fill();
ANALYZE contacts;
SELECT count(DISTINCT tableoid) FROM contacts;
SELECT * FROM contacts_block('{a3,a1,nobody,a2,b2,n,a3}', 'ham');
SELECT * FROM stamps;
CALL fill();
SELECT * FROM scans_of_calls();

-- contacts as a view, with labels of one's own that do without Deleted and New
DROP TABLE contacts CASCADE;
CREATE TYPE state AS ENUM ('paused', 'active', 'suspended');
CREATE TABLE people (
	made_at timestamptz NOT NULL, made_by text, changed_at timestamptz, changed_by text, live_at timestamptz, live_by text,
	suspended_at timestamptz, suspended_by text, gone_at timestamptz, gone_by text,
	why text, state state NOT NULL, owner text, full_name text, mail text, person_id bigint PRIMARY KEY
);
CREATE VIEW contacts AS
	SELECT person_id AS id, mail AS email, full_name AS name, state AS status, why AS blocked_reason, owner AS user_id,
		made_at AS created_at, made_by AS created_by, changed_at AS updated_at, changed_by AS updated_by,
		live_at AS activated_at, live_by AS activated_by, suspended_at AS blocked_at, suspended_by AS blocked_by,
		gone_at AS deleted_at, gone_by AS deleted_by
	FROM people;
CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON people FOR EACH ROW
	EXECUTE FUNCTION contact_audit('id=person_id', 'status=state', 'blocked_reason=why', 'created_at=made_at', 'created_by=made_by',
		'updated_at=changed_at', 'updated_by=changed_by', 'activated_at=live_at', 'activated_by=live_by',
		'blocked_at=suspended_at', 'blocked_by=suspended_by', 'deleted_at=gone_at', 'deleted_by=gone_by',
		'Active=active', 'Blocked=suspended');
INSERT INTO people (person_id, state) VALUES (1, 'active'), (2, 'active'), (10, 'suspended');
INSERT INTO people (person_id, state, made_at) VALUES (7, 'active', now());
SELECT * FROM contacts_block('{10,2,1,01,3}', 'spam');
SELECT * FROM contacts_unblock('{2,10,7,2}');
SELECT person_id, state, why, changed_by, suspended_by, live_by FROM people ORDER BY person_id;
SELECT try($$SELECT contacts_delete('{1,2}')$$), try($$SELECT contact_delete('1')$$);
SELECT try($$SELECT contacts_delete('{}')$$);

DROP SCHEMA regress_bulk CASCADE;
DROP ROLE regress_bulk_clerk;
