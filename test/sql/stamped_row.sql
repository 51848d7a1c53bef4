-- Whether the contact was stamped is known by its row: what the trigger does
-- elsewhere meanwhile does not count.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_stamped;
CREATE SCHEMA regress_stamped_parts;
SET search_path = regress_stamped;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();

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

-- the two forms of contact_block, on an Active contact and on a Blocked one
CREATE VIEW calls AS SELECT call, split_part(try('SELECT ' || call), E'\n', 1) AS result
	FROM (VALUES ($$contact_block('a')$$), ($$contact_block('b', 'ham')$$)) AS calls (call);
CREATE VIEW changed AS SELECT id, status, blocked_reason, updated_at IS NOT NULL AS stamped FROM contacts;

SET contact_block.actor = 'ann';
INSERT INTO contacts (id, email, status, blocked_reason) VALUES
	('a', 'a@example.org', 'Active', NULL), ('b', 'b@example.org', 'Blocked', 'spam');

-- a second table that is audited, here and in another schema, with contacts of
-- the same ids
CREATE TABLE copies (LIKE contacts INCLUDING ALL);
CREATE TABLE regress_stamped_parts.copies (LIKE contacts INCLUDING ALL);
CREATE TRIGGER audit BEFORE INSERT OR UPDATE ON copies FOR EACH ROW EXECUTE FUNCTION contact_audit();
CREATE TRIGGER audit BEFORE INSERT OR UPDATE ON regress_stamped_parts.copies FOR EACH ROW EXECUTE FUNCTION contact_audit();
CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format(TG_ARGV[0], NEW.id);
	RETURN NEW;
END $$;

ALTER TABLE contacts DISABLE TRIGGER zzz_contact_audit;
SELECT * FROM calls;
-- which an INSERT there
CREATE TRIGGER before BEFORE UPDATE ON contacts FOR EACH ROW
	EXECUTE FUNCTION copy('INSERT INTO regress_stamped.copies (id, email) VALUES (%L, 1)');
SELECT * FROM calls;
DROP TRIGGER before ON contacts;
-- or an UPDATE there does not change, be it before, after or instead of ours
INSERT INTO copies (id, email) VALUES ('a', 'a'), ('b', 'b');
INSERT INTO regress_stamped_parts.copies (id, email) VALUES ('a', 'a'), ('b', 'b');
CREATE TRIGGER before BEFORE UPDATE ON contacts FOR EACH ROW
	EXECUTE FUNCTION copy('UPDATE regress_stamped.copies SET name = name || 1 WHERE id = %L');
SELECT * FROM calls;
DROP TRIGGER before ON contacts;
CREATE TRIGGER after AFTER UPDATE ON contacts FOR EACH ROW
	EXECUTE FUNCTION copy('UPDATE regress_stamped_parts.copies SET name = name || 1 WHERE id = %L');
SELECT * FROM calls;
DROP TRIGGER after ON contacts;
CREATE RULE also AS ON UPDATE TO contacts DO ALSO
	UPDATE copies SET name = concat(name, 1) WHERE id = OLD.id;
SELECT * FROM calls;
DROP RULE also ON contacts;
ALTER TABLE contacts ENABLE TRIGGER zzz_contact_audit;
SELECT * FROM changed ORDER BY id;

-- with the trigger all of that works
CREATE TRIGGER before BEFORE UPDATE ON contacts FOR EACH ROW
	EXECUTE FUNCTION copy('UPDATE regress_stamped.copies SET name = concat(name, 1) WHERE id = %L');
CREATE TRIGGER after AFTER UPDATE ON contacts FOR EACH ROW
	EXECUTE FUNCTION copy('UPDATE regress_stamped_parts.copies SET name = concat(name, 1) WHERE id = %L');
SELECT * FROM calls;
SELECT * FROM changed ORDER BY id;
SELECT string_agg(name, ',' ORDER BY id) AS here,
	(SELECT string_agg(name, ',' ORDER BY id) FROM regress_stamped_parts.copies) AS there FROM copies;
DROP TABLE contact_opt_outs;
DROP VIEW changed;
DROP TABLE contacts;

-- partitions, one of them in another schema: by the trigger on each
CREATE TABLE contacts (LIKE copies INCLUDING ALL) PARTITION BY LIST (id);
CREATE TABLE part_a PARTITION OF contacts FOR VALUES IN ('a');
CREATE TABLE regress_stamped_parts.part_b PARTITION OF contacts FOR VALUES IN ('b') PARTITION BY HASH (id);
CREATE TABLE regress_stamped_parts.part_b0 PARTITION OF regress_stamped_parts.part_b FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT contact_block_setup();
CREATE VIEW changed AS SELECT id, status, blocked_reason, updated_at IS NOT NULL AS stamped FROM contacts;
INSERT INTO contacts (id, email, status, blocked_reason) VALUES
	('a', 'a@example.org', 'Active', NULL), ('b', 'b@example.org', 'Blocked', 'spam');
SELECT * FROM calls;
SELECT * FROM changed ORDER BY id;
SELECT contact_unblock('a') ->> 'status' AS unblock, contact_block('b', 'spam') ->> 'status' AS block;
ALTER TABLE part_a DISABLE TRIGGER zzz_contact_audit;
SELECT * FROM calls;
ALTER TABLE part_a ENABLE TRIGGER zzz_contact_audit;
SELECT contact_block('b', 'spam') ->> 'blockedReason' AS reason;
ALTER TABLE regress_stamped_parts.part_b0 DISABLE TRIGGER zzz_contact_audit;
SELECT * FROM calls;
SELECT * FROM changed ORDER BY id;

DROP VIEW changed;
DROP TABLE contact_opt_outs, contacts;

-- a child in another schema
CREATE TABLE contacts (LIKE copies INCLUDING ALL);
SELECT contact_block_setup();
INSERT INTO contacts (id, email, status) VALUES ('a', 'a@example.org', 'Active'), ('b', 'b@example.org', 'Blocked');
SELECT * FROM calls;
CREATE TABLE regress_stamped_parts.child () INHERITS (contacts);
CREATE TRIGGER audit BEFORE INSERT OR UPDATE ON regress_stamped_parts.child FOR EACH ROW EXECUTE FUNCTION contact_audit();
INSERT INTO regress_stamped_parts.child (id, email) VALUES ('child', 'child@example.org');
SELECT contact_block('child') ->> 'status' AS status;
ALTER TABLE regress_stamped_parts.child DISABLE TRIGGER audit;
SELECT split_part(try($$SELECT contact_unblock('child')$$), E'\n', 1) AS result;

SET client_min_messages = error;
DROP SCHEMA regress_stamped, regress_stamped_parts CASCADE;
