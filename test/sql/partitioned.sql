-- contacts partitioned by hash(id), with partitions whose columns are at other
-- places than the parent's: set-up, functions and trigger.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_partitioned;
SET search_path = regress_partitioned;
CREATE EXTENSION contact_block;

CREATE TABLE contacts (
	id text COLLATE "C" PRIMARY KEY,
	email text NOT NULL,
	name text,
	status text NOT NULL DEFAULT 'Active',
	blocked_reason text,
	user_id text COLLATE "C",
	created_at timestamptz NOT NULL, created_by text,
	updated_at timestamptz, updated_by text,
	activated_at timestamptz, activated_by text,
	blocked_at timestamptz, blocked_by text,
	deleted_at timestamptz, deleted_by text
) PARTITION BY HASH (id);
CREATE TABLE contacts_0 PARTITION OF contacts FOR VALUES WITH (MODULUS 4, REMAINDER 0);
-- the audit columns first and in another order, and dropped ones between
CREATE TABLE contacts_1 (
	dropped1 int,
	deleted_by text, deleted_at timestamptz,
	blocked_by text, blocked_at timestamptz,
	activated_by text, activated_at timestamptz,
	dropped2 text,
	updated_by text, updated_at timestamptz,
	created_by text, created_at timestamptz NOT NULL,
	user_id text COLLATE "C",
	blocked_reason text,
	status text NOT NULL DEFAULT 'Active',
	name text,
	email text NOT NULL,
	dropped3 timestamptz,
	id text COLLATE "C" PRIMARY KEY
);
ALTER TABLE contacts_1 DROP COLUMN dropped1, DROP COLUMN dropped2, DROP COLUMN dropped3;
ALTER TABLE contacts ATTACH PARTITION contacts_1 FOR VALUES WITH (MODULUS 4, REMAINDER 1);

SELECT contact_block_setup();

-- two more came after the set-up, one of them laid out like contacts_1
CREATE TABLE contacts_2 (LIKE contacts_1 INCLUDING DEFAULTS);
ALTER TABLE contacts ATTACH PARTITION contacts_2 FOR VALUES WITH (MODULUS 4, REMAINDER 2);
CREATE TABLE contacts_3 PARTITION OF contacts FOR VALUES WITH (MODULUS 4, REMAINDER 3);

SELECT contact_block_setup();
SELECT tgrelid::regclass AS relation, tgname FROM pg_trigger
	WHERE tgfoid = 'contact_audit'::regproc ORDER BY tgrelid::regclass::text COLLATE "C";
-- the other relations refer to it
SELECT conrelid::regclass AS relation, pg_get_constraintdef(oid) FROM pg_constraint
	WHERE confrelid = 'contacts'::regclass AND conparentid = 0;

-- who did what; the numbers tell the order of the times in this row
CREATE VIEW stamps AS SELECT id, status, blocked_reason, tableoid::regclass AS partition, (
	SELECT string_agg(concat_ws(' ', number, event, who), ', ' ORDER BY number, position)
	FROM (SELECT *, dense_rank() OVER (ORDER BY at) AS number
		  FROM (VALUES (1, 'created', created_at, created_by),
					   (2, 'updated', updated_at, updated_by),
					   (3, 'activated', activated_at, activated_by),
					   (4, 'blocked', blocked_at, blocked_by),
					   (5, 'deleted', deleted_at, deleted_by))
			   AS event (position, event, at, who)
		  WHERE at IS NOT NULL OR who IS NOT NULL) AS stamp) AS stamps
	FROM contacts;

-- enough contacts for each partition to have some of each status
SET contact_block.actor = 'ann';
INSERT INTO contacts (id, email, status, created_by)
	SELECT status || i, 'x@example.org', status, 'forged'
	FROM generate_series(1, 16) AS i, unnest('{New,Active,Blocked,Deleted}'::text[]) AS status;
SELECT partition, status, bool_and(id LIKE status || '%') AS right_status,
	count(DISTINCT stamps) AS kinds, min(stamps) AS stamps
	FROM stamps GROUP BY 1, 2 ORDER BY partition::text COLLATE "C", 2;

-- the functions, on one contact of each status in partitions of both kinds
SET contact_block.actor = 'bob';
CREATE TABLE chosen AS SELECT DISTINCT ON (tableoid, status) id, status AS was FROM contacts
	WHERE tableoid IN ('contacts_0'::regclass, 'contacts_1'::regclass) ORDER BY tableoid, status, id;
SELECT document ->> 'status' AS status, document #>> '{audit,blocked,by,id}' AS by, document ->> 'email' AS email, count(*)
	FROM chosen, contact_block(id) AS document WHERE was = 'Active' GROUP BY 1, 2, 3;
SELECT document ->> 'blockedReason' AS reason, document #>> '{audit,blocked,by,id}' AS by, count(*)
	FROM chosen, contact_block(id, 'spam') AS document WHERE was = 'Blocked' GROUP BY 1, 2;
SELECT document ->> 'status' AS status, document #>> '{audit,activated,by,id}' AS by, count(*)
	FROM chosen, contact_unblock(id) AS document WHERE was = 'Blocked' GROUP BY 1, 2;
SELECT document ->> 'status' AS status, document #>> '{audit,deleted,by,id}' AS by, count(*)
	FROM chosen, contact_delete(id) AS document WHERE was = 'Blocked' GROUP BY 1, 2;
SELECT partition, was, status, blocked_reason, stamps FROM stamps JOIN chosen USING (id)
	ORDER BY partition::text COLLATE "C", was;
SELECT count(*) FROM contacts WHERE updated_at IS NOT NULL;

-- one UPDATE over all partitions, directly on one, COPY
SET contact_block.actor = 'cid';
UPDATE contacts SET status = 'Active', created_by = 'forged' WHERE id LIKE 'New%';
SELECT status, count(DISTINCT partition) AS partitions, count(DISTINCT stamps) AS kinds, min(stamps) AS stamps
	FROM stamps WHERE id LIKE 'New%' GROUP BY 1;
UPDATE contacts_1 SET status = 'Blocked', blocked_by = 'forged' WHERE id LIKE 'New%';
SELECT partition, status, count(DISTINCT stamps) AS kinds, min(stamps) AS stamps
	FROM stamps WHERE id LIKE 'New%' GROUP BY 1, 2 ORDER BY partition::text COLLATE "C";
UPDATE contacts SET email = email, blocked_by = NULL WHERE id LIKE 'New%';
SELECT count(*) FROM contacts WHERE tableoid = 'contacts_1'::regclass AND id LIKE 'New%' AND blocked_by IS NULL;
DELETE FROM contacts WHERE id LIKE 'New%';
COPY contacts (id, email, status, blocked_by) FROM stdin;
New1	1	Blocked	x
New2	2	Blocked	x
New3	3	Blocked	x
New4	4	Blocked	x
New5	5	Blocked	x
New6	6	Blocked	x
New7	7	Blocked	x
New8	8	Blocked	x
\.
SELECT stamps, count(*) FROM stamps WHERE id LIKE 'New%' GROUP BY 1;

-- a wrong transition in one partition changes none
\set VERBOSITY sqlstate
UPDATE contacts SET status = 'Blocked', name = 'None';
SELECT count(*) FROM contacts WHERE name = 'None';

DROP SCHEMA regress_partitioned CASCADE;
