-- No setting of the session changes the document or what a change does:
-- TimeZone, DateStyle, lc_*, the planner's, an empty or a hostile search_path.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA regress_settings;
SET search_path = regress_settings;
CREATE EXTENSION contact_block;
SELECT contact_block_setup();
SET contact_block.actor = 'u';

INSERT INTO accounts VALUES
	('a2', 'Vendor', 'Enabled', 'Two', NULL), ('a1', 'Client', 'Active', 'One', NULL);
INSERT INTO users VALUES
	('u', 'u@example.org', 'Active', 'U', 'U', 'U', NULL, '+41', '555', 'de-CH', 'de',
	 '1999-12-31 23:59:59.999999+00', 'a2', '2024-07-01 12:00+00', 'u',
	 '2024-07-02 12:00+00', 'import', '0044-03-15 12:00+00 BC');
INSERT INTO account_users VALUES ('u', 'a2'), ('u', 'a1');
INSERT INTO categories VALUES ('k2', 'Two', '1,234.5', NULL), ('k1', NULL, '', NULL);
INSERT INTO contacts (id, email, name, user_id) VALUES ('c', 'c@example.org', 'Cé ☎', 'u');
INSERT INTO contact_opt_outs VALUES ('c', 'k2', '2025-06-21 17:13:52.888+00'), ('c', 'k1', NULL);
SELECT contact_block('c', 'why') ->> 'status' AS status;
CREATE TABLE reference AS SELECT contact_document('c') AS doc;

-- a schema that gets in the way of every name and operator there is a use for
CREATE SCHEMA regress_settings_evil;
CREATE FUNCTION regress_settings_evil.wrong() RETURNS boolean LANGUAGE plpgsql AS
	$$ BEGIN RAISE EXCEPTION 'the search_path was used'; END $$;
DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY '{text,text[],varchar,"\"char\""}'::text[] LOOP
		EXECUTE format('CREATE FUNCTION regress_settings_evil.wrong(text, %1$s) RETURNS boolean
				LANGUAGE sql AS ''SELECT regress_settings_evil.wrong()'';
			CREATE OPERATOR regress_settings_evil.= (LEFTARG = text, RIGHTARG = %1$s,
				FUNCTION = regress_settings_evil.wrong);
			CREATE OPERATOR regress_settings_evil.<> (LEFTARG = text, RIGHTARG = %1$s,
				FUNCTION = regress_settings_evil.wrong)', name);
	END LOOP;
	FOREACH name IN ARRAY ARRAY['now()', 'clock_timestamp()', 'text(text)', 'texteq(text, text)',
			'current_setting(text)', 'contact_block(text)', 'contact_document(text)'] LOOP
		EXECUTE format('CREATE FUNCTION regress_settings_evil.%s RETURNS text
			LANGUAGE sql AS ''SELECT regress_settings_evil.wrong()::text''', name);
	END LOOP;
	FOR name IN SELECT relname FROM pg_class
			WHERE relnamespace = 'regress_settings'::regnamespace AND relkind = 'r' LOOP
		EXECUTE format('CREATE VIEW regress_settings_evil.%1$I AS
			SELECT * FROM %1$I WHERE regress_settings_evil.wrong()', name);
	END LOOP;
END $$;
CREATE DOMAIN regress_settings_evil.text AS text CHECK (regress_settings_evil.wrong());
CREATE DOMAIN regress_settings_evil.timestamptz AS timestamptz CHECK (regress_settings_evil.wrong());
CREATE COLLATION regress_settings_evil."C" FROM pg_catalog."POSIX";
-- relations and types of pg_temp come first even where search_path does not say so
CREATE TEMPORARY TABLE contacts (id integer, status integer);
CREATE TEMPORARY TABLE users (id integer);
CREATE DOMAIN pg_temp.timestamptz AS pg_catalog.timestamptz CHECK (regress_settings_evil.wrong());

-- Read, unblock and block the contact with some settings, undo it all and tell
-- whether each document was what it should be.
CREATE FUNCTION try_settings(commands text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	shown pg_catalog.jsonb;
	unblocked pg_catalog.jsonb;
	blocked pg_catalog.jsonb;
	contact regress_settings.contacts;
BEGIN
	BEGIN
		EXECUTE commands;
		shown := regress_settings.contact_document('c');
		unblocked := regress_settings.contact_unblock('c');
		blocked := regress_settings.contact_block('c', 'other');
		blocked := regress_settings.contact_block('c', 'why');
		SELECT * INTO contact FROM regress_settings.contacts;
		RAISE SQLSTATE 'UNDO0';
	EXCEPTION
		WHEN SQLSTATE 'UNDO0' THEN NULL;
		WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
	END;
	RETURN concat_ws(', ',
		CASE WHEN shown::text = doc::text THEN 'read' END,
		CASE WHEN unblocked - 'audit' = doc - 'audit' || '{"status": "Active", "blockedReason": null}'
			AND unblocked #> '{audit,activated,at}' = shown_at(contact.activated_at) THEN 'unblocked' END,
		CASE WHEN blocked - 'audit' = doc - 'audit'
			AND blocked #> '{audit,blocked,at}' = shown_at(contact.blocked_at) THEN 'blocked' END)
		FROM reference;
END $$;
CREATE FUNCTION shown_at(pg_catalog.timestamptz) RETURNS jsonb LANGUAGE sql AS
	$$ SELECT to_jsonb(to_char($1 AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) $$;

SELECT commands, try_settings(commands) FROM unnest(ARRAY[
	'SET LOCAL search_path = ''''',
	'SET LOCAL search_path = regress_settings_evil, pg_catalog',
	'SET LOCAL search_path = pg_temp, regress_settings_evil, pg_catalog, regress_settings',
	'SET LOCAL TimeZone = ''Asia/Kathmandu''; SET LOCAL DateStyle = ''German, DMY''',
	'SET LOCAL TimeZone = ''<odd>+12:34''; SET LOCAL DateStyle = ''SQL, MDY''; SET LOCAL IntervalStyle = iso_8601',
	'SET LOCAL transform_null_equals = on; SET LOCAL array_nulls = off',
	'SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_indexscan = off'
]) AS commands;
-- backslashes in strings, which a server from 19 on refuses to go back to
SELECT try_settings('SET LOCAL standard_conforming_strings = off') LIKE
	CASE WHEN current_setting('server_version_num')::integer < 190000 THEN 'read, unblocked, blocked' ELSE '0A000 %' END
	AS as_it_should_be;

-- a locale of this machine that is not C's: listed if it makes a difference
SELECT locale, result
	FROM (SELECT DISTINCT collcollate AS locale FROM pg_collation
		WHERE collprovider = 'c' AND collcollate NOT IN ('', 'C', 'POSIX')
		AND collencoding IN (-1, (SELECT encoding FROM pg_database WHERE datname = current_database()))
		ORDER BY locale LIMIT 1) AS locales,
		try_settings(format('SET LOCAL lc_messages = %1$L; SET LOCAL lc_monetary = %1$L;'
			' SET LOCAL lc_numeric = %1$L; SET LOCAL lc_time = %1$L', locale)) AS result
	WHERE result <> 'read, unblocked, blocked';

DROP TABLE pg_temp.contacts, pg_temp.users;
DROP SCHEMA regress_settings, regress_settings_evil CASCADE;
