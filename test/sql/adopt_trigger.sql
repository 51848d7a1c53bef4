-- The audit trigger that does not fire: which cause a call and set-up name, and
-- that what they say is to be run, which is run here to the letter, helps.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_adopt_trigger;
CREATE SCHEMA "Regress Parts";
SET search_path = regress_adopt_trigger;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
SET contact_block.actor = 'tester';

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

-- run a command and, when it fails, what its HINT says
CREATE FUNCTION mend(command text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE command;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	EXECUTE hint;
END $$;
-- a state of the trigger: what a command says of it, and what all say when the HINT has been run
CREATE FUNCTION try_state(state text, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	told text;
BEGIN
	EXECUTE state;
	told := try(command);
	IF told LIKE '55000 %' AND told NOT LIKE '%An argument is a name%' THEN
		PERFORM mend(command);
		told := told || E'\nthen: ' || try('SELECT contact_block_setup()');
		told := told || ', ' || try('SELECT contact_block(''1'')');
		told := told || ', ' || (SELECT string_agg(format('%s ON %s', tgname, tgrelid::regclass), ', ' ORDER BY tgname) FROM pg_trigger
			WHERE tgfoid = 'contact_audit'::regproc AND tgparentid = 0);
	END IF;
	-- everything is as it was
	RAISE SQLSTATE 'XX999' USING MESSAGE = told;
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	RETURN SQLERRM;
END $$;
-- set-up and the functions, each from this state; what differs from the first is shown for itself
CREATE FUNCTION try_all(state text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	first text := try_state(state, 'SELECT contact_block(''1'')');
	command text;
BEGIN
	RETURN NEXT 'set-up: ' || try_state(state, 'SELECT contact_block_setup()');
	RETURN NEXT 'contact_block: ' || first;
	FOREACH command IN ARRAY ARRAY['contact_block(''1'', ''why'')', 'contact_unblock(''2'')', 'contact_delete(''2'')'] LOOP
		IF try_state(state, 'SELECT ' || command) <> first THEN
			RETURN NEXT command || ': ' || split_part(try_state(state, 'SELECT ' || command), E'\n', 1);
		END IF;
	END LOOP;
END $$;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';

INSERT INTO contacts (id, email) VALUES ('1', '1@example.org'), ('2', '2@example.org');
SELECT contact_block('2') ->> 'status' AS status;
\pset format unaligned
\pset tuples_only

\echo missing
SELECT try_all('DROP TRIGGER zzz_contact_audit ON contacts');
\echo disabled
SELECT try_all('ALTER TABLE contacts DISABLE TRIGGER zzz_contact_audit');
\echo for replicas only
SELECT try_all('ALTER TABLE contacts ENABLE REPLICA TRIGGER zzz_contact_audit');
\echo always
SELECT try_all('ALTER TABLE contacts ENABLE ALWAYS TRIGGER zzz_contact_audit');
\echo in a session as a replica
SELECT try_all('SET LOCAL session_replication_role = replica');
SELECT try_all('SET LOCAL session_replication_role = replica; ALTER TABLE contacts DISABLE TRIGGER zzz_contact_audit');
SELECT try_all('SET LOCAL session_replication_role = replica; ALTER TABLE contacts ENABLE ALWAYS TRIGGER zzz_contact_audit');
SELECT try_all('SET LOCAL session_replication_role = replica; ALTER TABLE contacts ENABLE REPLICA TRIGGER zzz_contact_audit');
\echo of another shape
CREATE FUNCTION shaped(shape text, suffix text = '', arguments text = '') RETURNS text LANGUAGE sql AS $$
	SELECT format('DROP TRIGGER zzz_contact_audit ON contacts; CREATE TRIGGER zzz_contact_audit %s ON contacts %s EXECUTE FUNCTION contact_audit(%s)',
		shape, suffix, arguments) $$;
SELECT try_all(shaped('BEFORE INSERT', 'FOR EACH ROW'));
SELECT try_all(shaped('BEFORE UPDATE', 'FOR EACH ROW WHEN (old.status <> new.status)', '''ignore=email'', ''ignore=name'''));
SELECT try_all(shaped('BEFORE INSERT OR UPDATE', 'FOR EACH ROW WHEN (new.status <> ''Blocked'')'));
SELECT try_all(shaped('BEFORE INSERT OR UPDATE OF name, email', 'FOR EACH ROW'));
SELECT try_all(shaped('BEFORE INSERT OR DELETE', 'FOR EACH ROW'));
\echo AFTER, and for each statement, raise errors of their own
SELECT try_all(shaped('AFTER INSERT OR UPDATE', 'FOR EACH ROW'));
SELECT try_all(shaped('BEFORE INSERT OR UPDATE', 'FOR EACH STATEMENT'));
\echo of another name, and two of them, of which one is in order
SELECT try_all('ALTER TRIGGER zzz_contact_audit ON contacts RENAME TO "my ""own"""; ALTER TABLE contacts DISABLE TRIGGER USER');
SELECT try_all('CREATE TRIGGER a BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION contact_audit()');
SELECT try_all('CREATE TRIGGER a BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION contact_audit(); ALTER TABLE contacts DISABLE TRIGGER zzz_contact_audit');
\echo another function under our name
SELECT try_all('DROP TRIGGER zzz_contact_audit ON contacts; CREATE TRIGGER zzz_contact_audit BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION nothing()');
\echo arguments that make no sense
SELECT try_all(shaped('BEFORE INSERT OR UPDATE', 'FOR EACH ROW', '''state'''));
SELECT try_all(shaped('BEFORE INSERT OR UPDATE', 'FOR EACH ROW', '''colour=red'''));
SELECT try_all(shaped('BEFORE INSERT OR UPDATE', 'FOR EACH ROW', '''status=name'', ''ignore=email'''));
SELECT try_all(shaped('BEFORE INSERT OR UPDATE', 'FOR EACH ROW', '''ignore=gone'', ''ignore=email'''));
\echo several at once: all are told
SELECT try_all(shaped('BEFORE INSERT', 'FOR EACH ROW', '''status=name'', ''Active=active'', ''Blocked=blocked'', ''ignore=gone'''));

-- with partitions
\pset format aligned
\pset tuples_only off
DROP TABLE contact_opt_outs;
ALTER TABLE contacts RENAME TO old_contacts;
DROP TRIGGER zzz_contact_audit ON old_contacts;
CREATE TABLE contacts (LIKE old_contacts INCLUDING DEFAULTS, PRIMARY KEY (id)) PARTITION BY LIST (id);
CREATE TABLE contacts1 PARTITION OF contacts FOR VALUES IN ('1');
CREATE TABLE "Regress Parts"."2" PARTITION OF contacts FOR VALUES IN ('2', '3') PARTITION BY LIST (id);
CREATE TABLE "Regress Parts"."2a" PARTITION OF "Regress Parts"."2" DEFAULT;
INSERT INTO contacts SELECT * FROM old_contacts;
SELECT contact_block_setup();
\pset format unaligned
\pset tuples_only

\echo disabled for all, for one, and for partitions of one
SELECT try_all('ALTER TABLE contacts DISABLE TRIGGER zzz_contact_audit');
SELECT try_all('ALTER TABLE contacts1 DISABLE TRIGGER zzz_contact_audit');
SELECT try_all('ALTER TABLE "Regress Parts"."2" DISABLE TRIGGER zzz_contact_audit');
\echo missing, but for one
SELECT try_all('DROP TRIGGER zzz_contact_audit ON contacts');
SELECT try_all('DROP TRIGGER zzz_contact_audit ON contacts; CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON "Regress Parts"."2a" FOR EACH ROW EXECUTE FUNCTION contact_audit()');
SELECT try_all('DROP TRIGGER zzz_contact_audit ON contacts; CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON "Regress Parts"."2" FOR EACH ROW EXECUTE FUNCTION contact_audit()');
SELECT try_all('DROP TRIGGER zzz_contact_audit ON contacts; CREATE TRIGGER own BEFORE INSERT OR UPDATE ON contacts1 FOR EACH ROW EXECUTE FUNCTION contact_audit();'
	'CREATE TRIGGER zzz_contact_audit BEFORE INSERT OR UPDATE ON "Regress Parts"."2a" FOR EACH ROW EXECUTE FUNCTION nothing()');
\echo of another shape
SELECT try_all(shaped('BEFORE UPDATE', 'FOR EACH ROW'));

DROP SCHEMA regress_adopt_trigger, "Regress Parts" CASCADE;
