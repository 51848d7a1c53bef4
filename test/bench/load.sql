-- A schema with the extension's relations and the benchmark's data.
-- Variables: schema, contacts, users, accounts, wide (contacts per number of opt-outs).
--
-- Contact CON-10000000 and following: linked to a user who has 3 accounts,
-- 2 opt-outs.  OPT-k-n: the same with k opt-outs.  ODD-n: what a document can
-- lack.  No clock and no random, so every schema has the same data.
-- The ids ascend, which loads fast; the calls pick them at random.
BEGIN;
CREATE SCHEMA :schema;
CREATE EXTENSION contact_block SCHEMA :schema;
SET LOCAL search_path = :schema;
SELECT contact_block_setup();
-- neither audit trigger nor foreign keys: this is history
SET LOCAL session_replication_role = replica;

INSERT INTO accounts
    SELECT 'ACC-' || 10000000 + n, 'Client', 'Active', 'Account number ' || n,
           CASE WHEN n % 2 = 0 THEN '/v1/accounts/' || n || '/icon' END
    FROM generate_series(0, :accounts - 1) AS n;
INSERT INTO users
    SELECT 'USR-' || 10000000 + n, 'user' || n || '@example.com', 'Active',
           'First' || n || ' Last' || n, 'First' || n, 'Last' || n,
           CASE WHEN n % 2 = 0 THEN '/v1/users/' || n || '/icon' END,
           '+44', '20' || 7946000 + n, 'en-GB', 'en',
           timestamptz '2025-06-01 12:00Z' - n * interval '61.234567 s',
           'ACC-' || 10000000 + n % :accounts,
           timestamptz '2024-01-01 12:00Z' - n * interval '1.345678 s',
           'USR-' || 10000000 + (n + 1) % :users,
           timestamptz '2025-01-01 12:00Z' - n * interval '1.456789 s',
           'USR-' || 10000000 + (n + 2) % :users,
           timestamptz '2024-02-01 12:00Z' - n * interval '1.567891 s'
    FROM generate_series(0, :users - 1) AS n;
INSERT INTO account_users
    SELECT 'USR-' || 10000000 + n, 'ACC-' || 10000000 + (n + 7 * i) % :accounts
    FROM generate_series(0, :users - 1) AS n, generate_series(0, 2) AS i;
INSERT INTO categories
    SELECT 'CAT-' || 10000000 + n, 'Category ' || n, 'Messages of kind ' || n,
           CASE WHEN n % 2 = 0 THEN '/v1/categories/' || n || '/icon' END
    FROM generate_series(0, 999) AS n;

CREATE TEMP TABLE new_contacts ON COMMIT DROP AS
    SELECT 'OPT-' || k || '-' || n AS id, 10 * n AS user_number, k AS opt_outs
    FROM unnest('{0,10,100,1000}'::int[]) AS k, generate_series(1, :wide) AS n;
INSERT INTO contacts
    SELECT id, 'contact@example.com', 'Contact ' || id, 'Active', NULL,
           'USR-' || 10000000 + user_number % :users,
           '2025-02-01 12:00:00.123456Z', 'USR-' || 10000000 + (user_number + 3) % :users,
           '2025-05-01 12:00:00.234567Z', 'USR-' || 10000000 + (user_number + 4) % :users,
           '2025-03-01 12:00:00.345678Z', 'USR-' || 10000000 + (user_number + 5) % :users
    FROM (SELECT id, user_number FROM new_contacts
          UNION ALL
          SELECT 'CON-' || 10000000 + n, n * :users::bigint / :contacts
          FROM generate_series(0, :contacts - 1) AS n) AS c;
INSERT INTO contact_opt_outs
    SELECT 'CON-' || 10000000 + n, 'CAT-' || 10000000 + (n + 13 * i) % 1000,
           timestamptz '2025-04-01 12:00Z' - n * interval '1.678912 s'
    FROM generate_series(0, :contacts - 1) AS n, generate_series(0, 1) AS i;
INSERT INTO contact_opt_outs
    SELECT id, 'CAT-' || 10000000 + i, '2025-04-01 12:00:00.456789Z'
    FROM new_contacts, generate_series(0, opt_outs - 1) AS i;

-- a user of hardly anything, and one with half of each pair
INSERT INTO users (id, email, status, name, first_name, last_name)
    VALUES ('ODD-1', 'odd', 'New', 'Odd', 'Odd', '');
INSERT INTO users (id, email, status, name, first_name, last_name, phone_number, language_code,
                   created_at, updated_at, updated_by)
    VALUES ('ODD-2', 'odd', 'New', 'Odd', 'Odd', '', '1', 'en', '2024-01-01', '2024-01-01', 'nobody');
INSERT INTO contacts (id, email, status, user_id, created_at, created_by) VALUES
    ('ODD-1', '', 'Active', NULL, '2024-01-01', NULL),
    ('ODD-2', '', 'Active', 'ODD-1', '2024-01-01', 'nobody'),
    ('ODD-3', '"', 'Active', 'ODD-2', '2024-01-01', 'ODD-1');
INSERT INTO contact_opt_outs VALUES ('ODD-3', 'CAT-10000001', NULL);
COMMIT;
VACUUM (FREEZE, ANALYZE);
