-- The state machine: every status before and after, by function and by plain
-- UPDATE, is either done and stamped, or found done, or PT409 and untouched;
-- and what becomes of reasons.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_state_machine;
SET search_path = regress_state_machine;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
SET contact_block.actor = 'tester';

-- Run a command on contact 'c'.  Tells the outcome, which is the status in the
-- document that came back (with "?" when that is not the row's document) or
-- the error; which columns changed (with "?" when their stamps differ); and
-- whether there is a new version of the row.
CREATE FUNCTION run(command text, OUT outcome text, OUT reason text, OUT changed text, OUT "row" text)
LANGUAGE plpgsql AS $$
DECLARE
	old record;
	new record;
	doc jsonb;
	detail text;
BEGIN
	SELECT ctid, to_jsonb(contacts) AS contact INTO old FROM contacts WHERE id = 'c';
	BEGIN
		IF command ~ '^UPDATE' THEN
			EXECUTE command;
		ELSE
			EXECUTE 'SELECT ' || command INTO doc;
		END IF;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
		-- that of 23502 is the row, with its times
		outcome := SQLSTATE || ' ' || CASE WHEN SQLSTATE = '23502' THEN SQLERRM ELSE detail END;
	END;
	SELECT ctid, to_jsonb(contacts) AS contact INTO new FROM contacts WHERE id = 'c';
	IF doc IS NOT NULL THEN
		outcome := concat(doc ->> 'status', CASE WHEN doc <> contact_document('c') THEN '?' END);
	ELSIF outcome IS NULL THEN
		outcome := new.contact ->> 'status';
	END IF;
	reason := new.contact ->> 'blocked_reason';
	"row" := CASE WHEN new.ctid = old.ctid THEN 'same' ELSE 'new' END;
	SELECT string_agg(key, ' ' ORDER BY key COLLATE "C") ||
			CASE WHEN count(DISTINCT value) FILTER (WHERE key ~ '_at$') > 1 THEN '?' ELSE '' END
		INTO changed FROM jsonb_each(new.contact) WHERE value <> old.contact -> key;
END $$;

-- The same on a new contact that has just arrived in a status.
CREATE FUNCTION run_from(status text, command text,
	OUT outcome text, OUT reason text, OUT changed text, OUT "row" text)
LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM contacts;
	INSERT INTO contacts (id, email, status, blocked_reason)
		VALUES ('c', 'c@example.org', status, CASE WHEN status = 'Blocked' THEN 'old' END);
	SELECT * INTO outcome, reason, changed, "row" FROM run(command);
END $$;

CREATE TABLE statuses AS SELECT * FROM unnest('{New,Active,Blocked,Deleted}'::text[])
	WITH ORDINALITY AS statuses (status, number);

-- by function; none of them leads to New
SELECT status AS before, command, result.*
	FROM statuses, unnest(ARRAY['contact_block(''c'')', 'contact_block(''c'', ''new'')',
			'contact_unblock(''c'')', 'contact_delete(''c'')'])
			WITH ORDINALITY AS commands (command, command_number),
		run_from(status, command) AS result
	ORDER BY number, command_number;

-- by plain UPDATE, which may unblock here
SET contact_block.plain_unblock = allow;
SELECT before.status AS before, after.status AS after, result.*
	FROM statuses AS before, statuses AS after, run_from(before.status,
		format('UPDATE contacts SET status = %L', after.status)) AS result
	ORDER BY before.number, after.number;

-- and where it may not, with all that is different then
SET contact_block.plain_unblock = keep;
SELECT before.status AS before, after.status AS after, result.*
	FROM statuses AS before, statuses AS after, run_from(before.status,
		format('UPDATE contacts SET status = %L', after.status)) AS result
	WHERE before.status IN ('Blocked', 'Deleted') AND after.status IN ('New', 'Active')
	ORDER BY before.number, after.number;
RESET contact_block.plain_unblock;
SELECT before.status AS before, after.status AS after, result.*
	FROM statuses AS before, statuses AS after, run_from(before.status,
		format('UPDATE contacts SET status = %L', after.status)) AS result
	WHERE before.status IN ('Blocked', 'Deleted') AND after.status IN ('New', 'Active')
	ORDER BY before.number, after.number;

-- what is no status at all
SELECT before.status AS before, after.status AS after, result.*
	FROM statuses AS before, unnest('{Paused,NULL}'::text[]) AS after (status), run_from(before.status,
		format('UPDATE contacts SET status = %L', after.status)) AS result
	ORDER BY before.number, after.status COLLATE "C";

-- reasons: one call after the other, on one contact
DELETE FROM contacts;
INSERT INTO contacts (id, email) VALUES ('c', 'c@example.org');
SELECT command, result.* FROM unnest(ARRAY[
	'contact_block(''c'', ''first'')', 'contact_block(''c'')', 'contact_block(''c'', NULL)',
	'contact_block(''c'', '''')', 'contact_block(''c'', ''first'')', 'contact_block(''c'', ''second'')',
	'contact_block(''c'', ''Second'')', 'contact_unblock(''c'')', 'contact_block(''c'')',
	'contact_block(''c'', ''third'')', 'contact_unblock(''c'')', 'contact_block(''c'', '''')',
	'contact_unblock(''c'')', 'contact_block(''c'', '' '')', 'contact_delete(''c'')',
	'contact_block(''c'', ''fourth'')', 'contact_delete(''c'')']) AS command, run(command) AS result;

-- a reason changes who updated, not who blocked
SET contact_block.actor = 'importer';
INSERT INTO contacts (id, email) VALUES ('r', 'r@example.org');
SET contact_block.actor = 'first';
SELECT contact_block('r', 'why') #> '{audit,blocked}' AS blocked \gset
SET contact_block.actor = 'second';
SELECT doc #> '{audit,blocked}' = :'blocked' AS same_blocked, doc #>> '{audit,updated,by,id}' AS updated_by,
		doc ->> 'blockedReason' AS reason
	FROM contact_block('r', 'why else') AS doc;

-- a whole life: each event keeps its last time, and the times follow each other
INSERT INTO contacts (id, email, status) VALUES ('life', 'life@example.org', 'New');
UPDATE contacts SET status = 'Active' WHERE id = 'life';
SELECT activated_at AS first_activated_at FROM contacts WHERE id = 'life' \gset
SELECT contact_block('life') ->> 'status' AS status;
SELECT blocked_at AS first_blocked_at FROM contacts WHERE id = 'life' \gset
SELECT contact_unblock('life') ->> 'status' AS status;
SELECT contact_block('life') ->> 'status' AS status;
SELECT contact_delete('life') ->> 'status' AS status;
SELECT created_at < :'first_activated_at' AND :'first_activated_at' < :'first_blocked_at'
		AND :'first_blocked_at' < activated_at AND activated_at < blocked_at
		AND blocked_at < deleted_at AND deleted_at = updated_at AS in_order
	FROM contacts WHERE id = 'life';

DROP SCHEMA regress_state_machine CASCADE;
