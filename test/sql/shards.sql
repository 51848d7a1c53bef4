-- What stands for the shards of a distributed engine: the table of contacts is
-- empty, and a rule moves what is done to it to tables beside it.  (A child of
-- it has a row for every id, so that the rule has something to start from.)
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_shards_other;
CREATE ROLE regress_shards_other;
CREATE SCHEMA regress_shards;
CREATE SCHEMA regress_shards_far;
SET search_path = regress_shards;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
SELECT contact_history_setup();
SET contact_block.actor = 'ann';

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

-- make a table a shard: both triggers, and the rule leads to it
CREATE FUNCTION move_to(shard regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE OR REPLACE TRIGGER audit BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION contact_audit()', shard);
	EXECUTE format('CREATE OR REPLACE TRIGGER record AFTER INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION contact_record()', shard);
	EXECUTE format('CREATE OR REPLACE RULE engine AS ON UPDATE TO contacts DO INSTEAD
		UPDATE %s AS shard SET status = NEW.status, blocked_reason = NEW.blocked_reason WHERE shard.id = OLD.id
		RETURNING shard.id, email, name, status, blocked_reason, user_id, created_at, created_by, updated_at, updated_by,
			activated_at, activated_by, blocked_at, blocked_by, deleted_at, deleted_by', shard);
END $$;
CREATE TABLE regress_shards_far.ids () INHERITS (contacts);
INSERT INTO regress_shards_far.ids (id, email, status, created_at) SELECT i, 'x', s, now()
	FROM unnest(ARRAY['Active', 'Blocked']) WITH ORDINALITY AS a (s, i);
-- the name does not matter
CREATE TABLE contacts_102008 (LIKE contacts INCLUDING ALL);
CREATE TABLE "a shard" (LIKE contacts INCLUDING ALL);
SELECT move_to('contacts_102008'), move_to('"a shard"');
INSERT INTO contacts_102008 (id, email) VALUES ('1', 'x'), ('2', 'x');
INSERT INTO "a shard" (id, email) VALUES ('1', 'x'), ('2', 'x');

CREATE VIEW calls AS SELECT call, try('SELECT ' || call) AS result FROM (VALUES
	(1, $$contact_block('1', 'spam')$$), (2, $$contact_unblock('2')$$)) AS calls (n, call) ORDER BY n;
CREATE VIEW events AS SELECT seq, contact_id, by, old_status, status, reason FROM contact_events ORDER BY seq;

-- A call changes the rows of a shard, lifts a block there, and history has both.
SELECT move_to('contacts_102008');
UPDATE contacts_102008 SET status = 'Blocked', blocked_reason = 'ham' WHERE id = '2';
SELECT * FROM calls;
SELECT id, status, blocked_reason, updated_by, blocked_at = updated_at AS blocked_now, activated_at = updated_at AS active_now
	FROM contacts_102008 ORDER BY id;
SELECT contact_id, by, old_status, status, reason FROM events;
-- where plain SQL lifts none
SELECT try($$UPDATE contacts_102008 SET status = 'Active'$$);

-- Whatever its name, and of any depth: a shard that has partitions.
CREATE TABLE parts (LIKE contacts_102008 INCLUDING ALL) PARTITION BY LIST (id);
CREATE TABLE regress_shards_far.part PARTITION OF parts DEFAULT;
SELECT move_to('parts');
INSERT INTO parts (id, email, status) VALUES ('1', 'x', 'Active'), ('2', 'x', 'Blocked');
SELECT * FROM calls;
SELECT id, status, updated_by FROM parts ORDER BY id;
SELECT move_to('"a shard"');
UPDATE "a shard" SET status = 'Blocked' WHERE id = '2';
SELECT * FROM calls;

-- A set of more than one
UPDATE regress_shards_far.ids SET status = 'Active' WHERE id = '1';
SELECT * FROM contacts_block('{1,2}', 'many');
SELECT count(*), max(seq) AS last FROM contact_events \gset

-- No shard: the trigger does not fire there,
ALTER TABLE "a shard" DISABLE TRIGGER audit;
SELECT * FROM calls;
ALTER TABLE "a shard" ENABLE TRIGGER audit;
-- it is in another schema,
ALTER TABLE "a shard" SET SCHEMA regress_shards_far;
SELECT * FROM calls;
SELECT try($$UPDATE regress_shards_far."a shard" SET status = 'Deleted'$$);
ALTER TABLE regress_shards_far."a shard" SET SCHEMA regress_shards;
-- somebody else's,
ALTER TABLE "a shard" OWNER TO regress_shards_other;
SELECT * FROM calls;
SELECT try($$UPDATE "a shard" SET status = 'Deleted'$$);
ALTER TABLE "a shard" OWNER TO CURRENT_USER;
-- or there are contacts here: then it is another table
INSERT INTO contacts (id, email) VALUES ('3', 'x');
SELECT * FROM calls;
SELECT try($$UPDATE "a shard" SET status = 'Deleted'$$);
SELECT try($$INSERT INTO contacts_102008 (id, email) VALUES ('4', 'x')$$);

SELECT contact_id, old_status, status FROM events WHERE seq > :last;
SET client_min_messages = error;
DROP SCHEMA regress_shards, regress_shards_far CASCADE;
DROP ROLE regress_shards_other;
