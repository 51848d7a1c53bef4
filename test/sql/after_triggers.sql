-- The document that comes back is what the user's triggers have left of the
-- contact when the call is over.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_after;
SET search_path = regress_after;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
-- which would run queries of its own
ALTER TABLE contact_opt_outs DROP CONSTRAINT contact_opt_outs_contact_id_fkey;

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

-- what the triggers do, once; for a row %L is its id
CREATE TABLE log (entry text);
CREATE FUNCTION react() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_trigger_depth() = 1 THEN
		EXECUTE format(TG_ARGV[0], CASE TG_LEVEL WHEN 'ROW' THEN NEW.id ELSE 'c' END);
	END IF;
	RETURN CASE WHEN TG_WHEN = 'BEFORE' AND TG_LEVEL = 'ROW' THEN NEW END;
END $$;

SET contact_block.actor = 'ann';
INSERT INTO contacts (id, email, status, blocked_reason) VALUES
	('c', 'c@example.org', 'Blocked', 'spam'), ('d', 'd@example.org', 'Blocked', 'ham');
CREATE VIEW contact AS SELECT id, status, blocked_reason, name, updated_at IS NOT NULL AS changed FROM contacts;

-- one that deletes the contact: there is none to return, and nothing is done
CREATE TRIGGER after AFTER UPDATE ON contacts FOR EACH ROW
	EXECUTE FUNCTION react('DELETE FROM contacts WHERE id = %L');
SELECT try($$SELECT contact_unblock('c')$$);
SELECT try($$SELECT contact_block('c', 'eggs')$$);
SELECT try($$SELECT contact_delete('c')$$);
-- the same where a BEFORE trigger writes, too
CREATE TRIGGER before BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION react('INSERT INTO log VALUES (%L)');
SELECT try($$SELECT contact_unblock('c')$$);
SELECT try($$SELECT contact_delete('c')$$);
DROP TRIGGER after ON contacts;
-- and where it is one of the statement
CREATE TRIGGER after AFTER UPDATE ON contacts FOR EACH STATEMENT EXECUTE FUNCTION react('DELETE FROM contacts WHERE id = %L');
SELECT try($$SELECT contact_unblock('c')$$);
DROP TRIGGER before ON contacts;
SELECT try($$SELECT contact_unblock('c')$$);
DROP TRIGGER after ON contacts;
SELECT * FROM contact ORDER BY id;
SELECT count(*) AS logged FROM log;

-- one that changes it once more, of the row and of the statement, with and
-- without another that writes before
CREATE FUNCTION shown(document jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', document ->> 'status', document ->> 'name', document ->> 'blockedReason',
		'updated by', document #>> '{audit,updated,by,id}') $$;
CREATE TRIGGER after AFTER UPDATE ON contacts FOR EACH ROW
	EXECUTE FUNCTION react('UPDATE contacts SET name = concat(name, ''r'') WHERE id = %L');
SELECT shown(contact_unblock('c'));
CREATE TRIGGER before BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION react('INSERT INTO log VALUES (%L)');
SELECT shown(contact_block('c'));
DROP TRIGGER after ON contacts;
CREATE TRIGGER after AFTER UPDATE ON contacts FOR EACH STATEMENT
	EXECUTE FUNCTION react('UPDATE contacts SET name = concat(name, ''s'') WHERE id = %L');
SELECT shown(contact_unblock('c'));
DROP TRIGGER before ON contacts;
CREATE TRIGGER before BEFORE UPDATE ON contacts FOR EACH STATEMENT EXECUTE FUNCTION react('INSERT INTO log VALUES (%L)');
SELECT shown(contact_block('c'));
DROP TRIGGER before ON contacts;
DROP TRIGGER after ON contacts;
SELECT * FROM contact ORDER BY id;

-- calls within the call: of another contact, before and after
CREATE TRIGGER before BEFORE UPDATE ON contacts FOR EACH ROW WHEN (OLD.id = 'c')
	EXECUTE FUNCTION react('SELECT contact_unblock(''d'')');
SELECT shown(contact_unblock('c')), shown(contact_document('d'));
DROP TRIGGER before ON contacts;
CREATE TRIGGER after AFTER UPDATE ON contacts FOR EACH ROW WHEN (OLD.id = 'c')
	EXECUTE FUNCTION react('SELECT contact_block(''d'', ''nested'')');
SELECT shown(contact_block('c'));
SELECT * FROM contact ORDER BY id;
-- of the same one, which the document tells
DROP TRIGGER after ON contacts;
CREATE TRIGGER after AFTER UPDATE ON contacts FOR EACH ROW WHEN (NEW.status = 'Active')
	EXECUTE FUNCTION react('SELECT contact_block(%L, ''again'')');
SELECT shown(contact_unblock('c'));
DROP TRIGGER after ON contacts;
-- which PostgreSQL refuses before
CREATE TRIGGER before BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION react('SELECT contact_block(%L, ''nested'')');
SELECT left(try($$SELECT contact_unblock('c')$$), 5) AS unblock;
DROP TRIGGER before ON contacts;
-- one that fails and is caught leaves the outer one what it is
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_trigger_depth() > 1 THEN
		RAISE 'nested' USING ERRCODE = 'XX111';
	END IF;
	INSERT INTO log SELECT try($q$SELECT contact_unblock('d')$q$);
	RETURN NEW;
END $$;
CREATE TRIGGER before BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION fail();
TRUNCATE log;
SELECT shown(contact_unblock('c'));
SELECT left(entry, 5) AS logged FROM log;
SELECT * FROM contact ORDER BY id;

DROP SCHEMA regress_after CASCADE;
