-- Stamps are whole milliseconds, and later than every other of the row, also
-- where the clock is behind them.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_clock;
SET search_path = regress_clock;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
SET contact_block.actor = 'ann';
SET TimeZone = 'Asia/Kathmandu';

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

-- a row as another server has left it, with these stamps and all others of its past
CREATE FUNCTION load(id text, status text, stamps jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL session_replication_role = replica;
	INSERT INTO contacts SELECT (jsonb_populate_record(NULL::contacts,
		jsonb_build_object('id', id, 'email', id, 'status', status, 'created_at', '2001-01-01 UTC') || stamps)).*;
	SET LOCAL session_replication_role = origin;
END $$;
-- the stamps of a row in their order, and how much later than the time given
-- they are
CREATE FUNCTION stamps(id text, since timestamptz) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(event || ' ' || CASE WHEN NOT isfinite(at) THEN at::text ELSE (at - since)::text END, ', '
		ORDER BY at, position)
	FROM contacts AS c, LATERAL (VALUES (1, 'created', created_at), (2, 'updated', updated_at),
		(3, 'activated', activated_at), (4, 'blocked', blocked_at), (5, 'deleted', deleted_at)) AS events (position, event, at)
	WHERE c.id = stamps.id AND at IS NOT NULL $$;

-- behind a stamp in the future, whichever it is; of one between milliseconds,
-- the next
SELECT load('created', 'Active', '{"created_at": "2999-01-01 00:00:00 UTC"}'),
	load('updated', 'Active', '{"updated_at": "2999-01-01 00:00:00.0001 UTC"}'),
	load('activated', 'Active', '{"activated_at": "2999-01-01 00:00:00.000999 UTC", "updated_at": "2998-01-01"}'),
	load('blocked', 'Active', '{"blocked_at": "2999-01-01 00:00:00.001 UTC"}'),
	load('deleted', 'Active', '{"deleted_at": "2999-01-01 00:00:00.001001 UTC"}');
SELECT id, contact_block(id) #>> '{audit,updated,at}' AS updated_at, contact_document(id) #>> '{audit,blocked,at}' AS old_blocked_at
	FROM contacts ORDER BY id COLLATE "C";
SELECT id, stamps(id, '2999-01-01 UTC') FROM contacts WHERE id <> 'updated' ORDER BY id COLLATE "C";
SELECT bool_and(blocked_at = updated_at) AS one_reading FROM contacts;
-- one change after the other
SELECT contact_unblock('created') #>> '{audit,activated,at}' AS activated_at;
SELECT contact_block('created') #>> '{audit,blocked,at}' AS blocked_at;
SELECT contact_block('created', 'spam') #>> '{audit,updated,at}' AS updated_at;
UPDATE contacts SET name = 'plain' WHERE id = 'created';
SELECT contact_delete('created') #>> '{audit,deleted,at}' AS deleted_at;
SELECT stamps('created', '2999-01-01 UTC');
-- many in one transaction, where the clock may not have moved
BEGIN;
INSERT INTO contacts (id, email) SELECT 'm' || i, 'm@example.org' FROM generate_series(1, 100) AS i;
UPDATE contacts SET status = 'Blocked' WHERE id LIKE 'm%';
SET LOCAL contact_block.plain_unblock = allow;
UPDATE contacts SET status = 'Active' WHERE id LIKE 'm%';
UPDATE contacts SET status = 'Deleted' WHERE id LIKE 'm%';
SELECT bool_and(created_at < blocked_at AND blocked_at < activated_at AND activated_at < deleted_at) AS in_order,
	bool_and(deleted_at < clock_timestamp() + interval '5 ms') AS not_far_ahead FROM contacts WHERE id LIKE 'm%';
COMMIT;

-- an infinite stamp is not heeded, nor is one long ago
SELECT load('infinite', 'Active', '{"updated_at": "infinity", "blocked_at": "-infinity", "activated_at": "2000-01-01 BC"}');
SELECT load('infinite2', 'Blocked', '{"created_at": "infinity", "blocked_at": "2999-01-01 UTC"}');
SELECT (contact_block('infinite') #>> '{audit,updated,at}')::timestamptz BETWEEN now() - interval '1 s' AND now() + interval '1 h' AS now;
SELECT contact_unblock('infinite2') -> 'audit' AS audit;

-- the last time of all: no change after it
SELECT load('last', 'Active', '{"activated_at": "294276-12-31 23:59:59.998 UTC"}'),
	load('none', 'Active', '{"blocked_at": "294276-12-31 23:59:59.999999 UTC"}'),
	load('none2', 'Blocked', '{"created_at": "294276-12-31 23:59:59.999 UTC"}');
SELECT try($$SELECT contact_block('last')$$);
SELECT stamps('last', '294276-12-31 23:59:59 UTC');
SELECT try($$SELECT contact_unblock('last')$$);
SELECT try($$SELECT contact_block('none')$$);
SELECT try($$UPDATE contacts SET name = 'x' WHERE id = 'none2'$$);
SELECT id, status, name FROM contacts WHERE id IN ('last', 'none', 'none2') ORDER BY id COLLATE "C";

-- what the document shows is what the column has, however it is compared
INSERT INTO contacts (id, email) SELECT 't' || i, 't@example.org' FROM generate_series(1, 20) AS i;
CREATE TABLE documents AS SELECT id, contact_block(id) AS document FROM contacts WHERE id LIKE 't%';
SELECT count(*), bool_and(updated_at = (document #>> '{audit,updated,at}')::timestamptz) AS updated,
	bool_and(blocked_at = (document #>> '{audit,blocked,at}')::timestamptz) AS blocked,
	bool_and(created_at = (document #>> '{audit,created,at}')::timestamptz) AS created
	FROM documents JOIN contacts USING (id);
SELECT bool_and(updated_at = (contact_document(id) #>> '{audit,updated,at}')::timestamptz) AS updated,
	count(*) FILTER (WHERE date_trunc('milliseconds', updated_at) <> updated_at) AS between_milliseconds
	FROM contacts WHERE id LIKE 't%';

-- a timestamp without time zone, which is UTC
ALTER TABLE contacts ALTER COLUMN updated_at TYPE timestamp USING updated_at AT TIME ZONE 'UTC';
SELECT load('local', 'Active', '{"updated_at": "2999-01-01 00:00:00"}');
SELECT contact_block('local') #>> '{audit,blocked,at}' AS blocked_at;
SELECT updated_at FROM contacts WHERE id = 'local';

DROP SCHEMA regress_clock CASCADE;
