-- What test/demo shows.  psql prints every statement where ECHO is on.
\set ON_ERROR_STOP on
\pset pager off
\pset footer off
\pset null '-'
SET client_min_messages = warning;
SET TimeZone = 'UTC';

\echo
\echo == The extension goes into a schema; set-up makes the relations there
\set ECHO queries
CREATE SCHEMA crm;
CREATE EXTENSION contact_block SCHEMA crm;
SET search_path = crm;
SELECT contact_block_setup();
\set ECHO none

\echo
\echo == 10,000 contacts with users, accounts, categories and opt-outs
\set ECHO queries
SET contact_block.actor = 'import';
INSERT INTO accounts (id, type, status, name)
    SELECT 'ACC-' || n,
           (ARRAY['Client', 'Vendor', 'Operations'])[n % 3 + 1],
           'Active',
           'Account ' || n
    FROM generate_series(1, 100) AS n;
INSERT INTO users (id, email, status, name, first_name, last_name, phone_prefix, phone_number,
                   culture_code, language_code, current_account_id, created_at, created_by)
    SELECT 'USR-' || n,
           'user' || n || '@example.com',
           'Active',
           'First' || n || ' Last' || n, 'First' || n, 'Last' || n,
           '+44', '20' || 7946000 + n,
           'en-GB', 'en',
           'ACC-' || n % 100 + 1,
           now() - n * INTERVAL '1 hour', 'import'
    FROM generate_series(1, 5000) AS n;
INSERT INTO account_users (user_id, account_id)
    SELECT 'USR-' || n, 'ACC-' || (n + 7 * i) % 100 + 1
    FROM generate_series(1, 5000) AS n, generate_series(0, 1) AS i;
INSERT INTO categories (id, name, short_description)
    SELECT 'NTC-' || n, 'Category ' || n, 'Messages of kind ' || n
    FROM generate_series(1, 20) AS n;
-- Every second contact has a user; of ten contacts one is New and one Deleted.
INSERT INTO contacts (id, email, name, status, user_id)
    SELECT 'NTU-' || n,
           'contact' || n || '@example.com',
           'Contact ' || n,
           CASE n % 10 WHEN 0 THEN 'Deleted' WHEN 1 THEN 'New' ELSE 'Active' END,
           CASE WHEN n % 2 = 0 THEN 'USR-' || n / 2 END
    FROM generate_series(1, 10000) AS n;
INSERT INTO contact_opt_outs (contact_id, category_id, last_used)
    SELECT 'NTU-' || n, 'NTC-' || (n + 3 * i) % 20 + 1, now() - n * INTERVAL '1 minute'
    FROM generate_series(1, 10000) AS n, generate_series(0, n % 3) AS i;
ANALYZE;
SELECT status, count(*) FROM contacts GROUP BY status ORDER BY status;
\set ECHO none

\echo
\echo == User USR-7 blocks a contact and gets the whole document back
\set ECHO queries
SET contact_block.actor = 'USR-7';
\pset format unaligned
SELECT jsonb_pretty(contact_block('NTU-42', 'bounced twice')) AS document;
\pset format aligned
SELECT ctid, xmin, status FROM contacts WHERE id = 'NTU-42';
\set ECHO none
SELECT ctid AS old_ctid, xmin AS old_xmin FROM contacts WHERE id = 'NTU-42' \gset

\echo
\echo == A retry is free: the same answer, and the very same row version
\set ECHO queries
SELECT contact_block('NTU-42') #>> '{audit,blocked,at}' AS blocked_at;
SELECT ctid, xmin, status FROM contacts WHERE id = 'NTU-42';
\set ECHO none
SELECT ctid = :'old_ctid'::tid AND xmin = :'old_xmin'::xid AS retry_is_free
    FROM contacts WHERE id = 'NTU-42' \gset

\echo
\echo == A Deleted contact cannot be blocked
\set ON_ERROR_STOP off
\set ECHO queries
SELECT contact_block('NTU-50');
\set ECHO none
\set ON_ERROR_STOP on
\set error_of_deleted :LAST_ERROR_SQLSTATE
\echo SQLSTATE :error_of_deleted

\echo
\echo == Plain SQL is stamped too: user USR-8 blocks another contact by UPDATE
\set ECHO queries
SET contact_block.actor = 'USR-8';
UPDATE contacts SET status = 'Blocked' WHERE id = 'NTU-43';
SELECT status, blocked_by, blocked_at FROM contacts WHERE id = 'NTU-43';
\pset format unaligned
SELECT jsonb_pretty(contact_document('NTU-43') #> '{audit,blocked}') AS blocked;
\set ECHO none

-- If the story was not true, the demo fails.
SELECT :'retry_is_free' AND :'error_of_deleted' = 'PT409'
       AND (SELECT (status, blocked_by) = ('Blocked', 'USR-7') FROM contacts WHERE id = 'NTU-42')
       AND (SELECT (status, blocked_by) = ('Blocked', 'USR-8') FROM contacts WHERE id = 'NTU-43')
       AND (SELECT status = 'Deleted' AND blocked_at IS NULL FROM contacts WHERE id = 'NTU-50')
       AS story_is_true \gset
\if :story_is_true
\else
DO $$ BEGIN RAISE 'what was shown is not what the extension promises'; END $$;
\endif
