-- Room on the page: the share of HOT updates, and the size of the table, by
-- fillfactor, contact and length of the reason.  Nothing is vacuumed.
-- Variables: contacts (how many); fillfactors, reasons (arrays).
CREATE SCHEMA page;
CREATE EXTENSION contact_block SCHEMA page;
SET search_path = page;
SELECT contact_block_setup() \g /dev/null
ALTER TABLE contacts SET (autovacuum_enabled = off);
CREATE TABLE results (way text, contact text, reason int, fillfactor int, loaded bigint, hot numeric, used bigint);

-- Two contacts: short has ids of 5 bytes and an email, long ids of 36 bytes
-- (and so its actors), a name and a user as well.
CREATE FUNCTION id(contact text, n int) RETURNS text LANGUAGE sql AS
    $$ SELECT CASE contact WHEN 'long' THEN md5(n::text)::uuid::text ELSE lpad(n::text, 5, '0') END $$;
CREATE PROCEDURE load(contact text, contacts int) LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE contacts, users CASCADE;
    PERFORM set_config('contact_block.actor', id(contact, 1), false);
    IF contact = 'short' THEN
        INSERT INTO contacts (id, email)
            SELECT id(contact, n), n || '@example.org' FROM generate_series(1, contacts) AS n;
    ELSE
        INSERT INTO users (id, email, status, name, first_name, last_name)
            SELECT id(contact, n), 'user' || n || '@example.org', 'Active', 'User ' || n, 'User', n
            FROM generate_series(1, 10) AS n;
        INSERT INTO contacts (id, email, name, user_id)
            SELECT id(contact, n), 'first.last' || n || '@mail.example.org', 'First Last' || n, id(contact, 1 + n % 10)
            FROM generate_series(1, contacts) AS n;
    END IF;
    ANALYZE contacts;
END $$;

-- What is called: all contacts, or a tenth of them at random, ...
CREATE FUNCTION called(share text) RETURNS SETOF text LANGUAGE sql AS
    $$ SELECT id FROM contacts WHERE share = 'all' OR md5(id) < '199a' ORDER BY ctid $$;
-- ... in one statement, ...
CREATE PROCEDURE at_once(share text, reason text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM contact_block(id, reason) FROM called(share) AS id;
END $$;
-- ... or blocked, unblocked and blocked again, one call a transaction.
CREATE PROCEDURE apart(share text, reason text) LANGUAGE plpgsql AS $$
DECLARE
    ids text[] := (SELECT array_agg(id ORDER BY md5(id)) FROM called(share) AS id);
    id text;
BEGIN
    COMMIT;
    FOR round IN 1 .. 3 LOOP
        FOREACH id IN ARRAY ids LOOP
            IF round = 2 THEN
                PERFORM contact_unblock(id);
            ELSE
                PERFORM contact_block(id, reason);
            END IF;
            COMMIT;
        END LOOP;
    END LOOP;
END $$;
-- What was counted goes to the shared statistics at the end of a statement.
CREATE PROCEDURE flush() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_stat_force_next_flush();
END $$;
CREATE PROCEDURE start_counting() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_stat_reset_single_table_counters('contacts'::regclass);
END $$;
CREATE PROCEDURE stop_counting() LANGUAGE plpgsql AS $$
BEGIN
    UPDATE results SET hot = 100.0 * n_tup_hot_upd / n_tup_upd, used = pg_relation_size(relid)
        FROM pg_stat_user_tables WHERE relid = 'contacts'::regclass AND hot IS NULL;
END $$;

-- a row is a measurement, its columns are run one after the other
SELECT format('ALTER TABLE contacts SET (fillfactor = %s)', fillfactor),
    format('CALL load(%L, %s)', contact, :contacts),
    'CALL flush()', 'CALL start_counting()',
    format('INSERT INTO results VALUES (%L, %L, %s, %s, pg_relation_size(%L))',
        share || ' ' || replace(way, '_', ' '), contact, reason, fillfactor, 'contacts'),
    format('CALL %s(%L, %L)', way, share, repeat('r', reason)),
    'CALL flush()', 'CALL stop_counting()'
FROM unnest('{at_once,apart}'::text[]) AS way, unnest('{all,a tenth}'::text[]) AS share,
    unnest('{short,long}'::text[]) AS contact, unnest(:'reasons'::int[]) AS reason,
    unnest(:'fillfactors'::int[]) AS fillfactor \gexec

SELECT 'HOT', format('%s: %s contact, %s', way, contact, CASE reason WHEN 0 THEN 'no reason' ELSE reason || ' bytes' END),
    fillfactor, hot FROM results;
SELECT 'page bytes', format('%s contact, as loaded', contact), fillfactor, loaded / :contacts
FROM results WHERE way = 'all at once' AND reason = 0
UNION ALL
SELECT 'page bytes', format('%s contact, %s with 120 bytes', contact, way), fillfactor, used / :contacts
FROM results WHERE way LIKE 'all %' AND reason = 120;
