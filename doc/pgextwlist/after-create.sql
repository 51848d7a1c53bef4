-- For a whitelist of extensions (pgextwlist; supautils takes the same scripts),
-- where the functions belong to the superuser: the owner of the database may
-- call them and let others call them, and nothing else.  As after-update.sql it
-- does the same for the functions that a new version brings.
--
-- This runs as superuser, with what belongs to others in reach: every name is
-- qualified.  What the whitelists put in for names is not always quoted, so the
-- owner's name is asked for here.
DO $grants$
DECLARE
	signature pg_catalog.text;
BEGIN
	FOR signature IN
		SELECT d.objid::pg_catalog.regprocedure
		FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
		WHERE e.extname OPERATOR(pg_catalog.=) 'contact_block' AND d.deptype OPERATOR(pg_catalog.=) 'e'
			AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
			AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
	LOOP
		EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO %I WITH GRANT OPTION', signature,
			(SELECT pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database
				WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()));
	END LOOP;
END $grants$;
