-- What holds for every function of the extension, so that a new one cannot be
-- forgotten: only its owner may call it, it runs with the caller's rights, and
-- a gateway finds a comment and names for its arguments.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_sanity;
CREATE ROLE regress_sanity;
CREATE SCHEMA regress_sanity AUTHORIZATION regress_sanity;
SET search_path = regress_sanity;
DO $$BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_sanity', current_database()); END$$;

CREATE VIEW functions AS SELECT p.*, extowner
	FROM pg_extension e JOIN pg_depend d ON refclassid = 'pg_extension'::regclass AND refobjid = e.oid AND deptype = 'e'
	JOIN pg_proc p ON classid = 'pg_proc'::regclass AND objid = p.oid
	WHERE extname = 'contact_block';
CREATE VIEW offenders AS SELECT oid::regprocedure AS function, array_remove(ARRAY[
		CASE WHEN has_function_privilege('public', oid, 'EXECUTE') THEN 'executable by PUBLIC' END,
		CASE WHEN EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner)))
			WHERE grantee NOT IN (0, proowner)) THEN 'granted to somebody' END,
		CASE WHEN proowner <> extowner THEN 'not of the extension''s owner' END,
		CASE WHEN prosecdef THEN 'SECURITY DEFINER' END,
		CASE WHEN coalesce(obj_description(oid, 'pg_proc'), '') = '' THEN 'no comment' END,
		CASE WHEN pronargs > 0 AND (proargnames IS NULL OR '' = ANY (proargnames)) THEN 'unnamed arguments' END
	], NULL) AS offences FROM functions;

-- installed by a superuser
CREATE EXTENSION contact_block;
SELECT count(*) > 0 AS found FROM offenders;
SELECT * FROM offenders WHERE offences <> '{}';
DROP EXTENSION contact_block;

-- and by somebody who is none
SET ROLE regress_sanity;
CREATE EXTENSION contact_block;
RESET ROLE;
SELECT count(*) > 0 AS found FROM offenders;
SELECT * FROM offenders WHERE offences <> '{}';

-- nobody escapes
BEGIN;
CREATE FUNCTION contact_new(text, why text) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT $1';
ALTER EXTENSION contact_block ADD FUNCTION contact_new(text, text);
GRANT EXECUTE ON FUNCTION contact_block(text) TO regress_sanity, pg_monitor;
SELECT * FROM offenders WHERE offences <> '{}' ORDER BY function::text COLLATE "C";
ROLLBACK;

DROP EXTENSION contact_block;
DROP SCHEMA regress_sanity CASCADE;
DROP OWNED BY regress_sanity;
DROP ROLE regress_sanity;
