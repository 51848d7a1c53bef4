\echo Use "CREATE EXTENSION contact_block" to load this file. \quit

-- Also see the update script, which ends in the same catalog.
-- This script runs as superuser also for a role that is none (trusted = true).
-- Reviewed against the checks of pgspot, PS001 to PS018:
--   PS001, PS009, PS016, PS017  there is no operator, CASE or bare name of an
--       object, and the only call is qualified; the types are those of
--       pg_catalog, which CREATE EXTENSION leaves first in the search_path
--   PS002, PS006 to PS008, PS010 to PS015  there is no OR REPLACE and no IF NOT
--       EXISTS: what is there before is an error
--   PS003, PS004  no function is SECURITY DEFINER
--   PS005, PS018  the C code qualifies every name, but for contact_block_setup,
--       which sets a safe search_path

-- PostgreSQL asks for CREATE on the database only.  The functions will be the
-- installing role's: it must be one that may put them into this schema.
DO $$
BEGIN
	IF NOT pg_catalog.has_schema_privilege('@extowner@'::pg_catalog.regrole,
										   '@extschema@'::pg_catalog.regnamespace, 'CREATE') THEN
		RAISE insufficient_privilege
			USING MESSAGE = 'permission denied for the schema of contact_block',
				HINT = 'Installing it takes CREATE on the database and on the schema.';
	END IF;
END $$;

CREATE FUNCTION @extschema@.contact_block(id text) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'contact_block' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.contact_block(text) IS
'Block a contact

Takes the contact''s id, turns an Active contact Blocked and returns its document after the change.
A contact that is Blocked already stays exactly as it is: repeating the call is free.
Raises 22004 (id null), 22023 (id empty, or claims not a JSON object), PT404 (no such contact), PT409 (New or Deleted), 42501 (not permitted), 55000 (not set up), 21000 (the id is not unique) and 42703 (a column is missing).';

CREATE FUNCTION @extschema@.contact_block(id text, reason text) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'contact_block' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.contact_block(text, text) IS
'Block a contact and say why

Takes the contact''s id and a reason, turns an Active contact Blocked, sets its blockedReason and returns its document after the change.
Of a contact that is Blocked already another reason is replaced; a null or empty one never erases it.
Raises 22004 (id null), 22023 (id empty, or claims not a JSON object), PT404 (no such contact), PT409 (New or Deleted), 42501 (not permitted), 55000 (not set up), 21000 (the id is not unique) and 42703 (a column is missing).';

CREATE FUNCTION @extschema@.contact_unblock(id text) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'contact_unblock' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.contact_unblock(text) IS
'Unblock a contact

Takes the contact''s id, turns a Blocked contact Active, removes its blockedReason and returns its document after the change.
A contact that is Active already stays exactly as it is.
Raises 22004 (id null), 22023 (id empty, or claims not a JSON object), PT404 (no such contact), PT409 (New or Deleted), 42501 (not permitted), 55000 (not set up), 21000 (the id is not unique) and 42703 (a column is missing).';

CREATE FUNCTION @extschema@.contact_delete(id text) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'contact_delete' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.contact_delete(text) IS
'Delete a contact

Takes the contact''s id, turns an Active or Blocked contact Deleted, which is final, and returns its document after the change. The row stays.
A contact that is Deleted already stays exactly as it is.
Raises 22004 (id null), 22023 (id empty, or claims not a JSON object), PT404 (no such contact), PT409 (New), 0A000 (the status cannot be Deleted), 42501 (not permitted), 55000 (not set up), 21000 (the id is not unique) and 42703 (a column is missing).';

CREATE FUNCTION @extschema@.contact_document(id text) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'contact_document' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED;
COMMENT ON FUNCTION @extschema@.contact_document(text) IS
'Get a contact

Takes the contact''s id and returns its document, whatever its status, as the calling statement sees it: what that statement itself changes is not in it.
Raises 22004 (id null), 22023 (id empty), PT404 (no such contact), 42501 (not permitted), 55000 (not set up), 21000 (the id is not unique) and 42703 (a column is missing).';

CREATE FUNCTION @extschema@.contact_audit() RETURNS trigger
	AS 'MODULE_PATHNAME', 'contact_audit' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.contact_audit() IS
'Stamp who changed a contact and when

Trigger function for contacts, BEFORE INSERT OR UPDATE FOR EACH ROW; contact_block_setup() puts it there.
Returns the row with its audit columns set; what the statement says about them is ignored.
Its arguments, ''NAME=OWN'', are what the table calls the columns and statuses; ''ignore=COLUMN'' is a column whose change alone is none.
Raises PT409 (the status cannot follow the old one, a block would be lifted, or deleted_at is set without the status), 23514 (a status that is none), 22008 (no time is left after the last stamp), 22023 (claims not a JSON object, no actor, or one that does not fit its column), 55000 (an argument makes no sense), 42703 (a column is missing) and 39P01 (called in another way).';

CREATE FUNCTION @extschema@.contact_block_setup() RETURNS void
	AS 'MODULE_PATHNAME', 'contact_block_setup' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.contact_block_setup() IS
'Set up the relations of contact_block

Takes nothing. Makes the relations that are missing in the extension''s schema, owned by the caller, and puts the audit trigger on contacts. Relations that are there already are left as they are; it may be run again at any time.
Raises 55000 (an existing relation does not fit, with all that was found in DETAIL and what to run in HINT, or another session changed the schema meanwhile) and 42501 (one belongs to another role), and has changed nothing then.';

CREATE FUNCTION @extschema@.contacts_block(ids text[], reason text DEFAULT NULL)
	RETURNS TABLE (id text, code text, status text, changed boolean)
	AS 'MODULE_PATHNAME', 'contacts_block' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.contacts_block(text[], text) IS
'Block many contacts

Takes an array of ids and a reason for all of them, or null, and turns the Active ones among these contacts Blocked.
Returns a row for each element, in the array''s order: the id, the SQLSTATE that contact_block would have ended with (00000: none), the status now, and whether this call has changed it. 55P03: somebody held the contact, call again.
Raises 22004 (no array), 22023 (claims not a JSON object), 42501 (not permitted), 55000 (not set up), 21000 (an id is not unique) and 42703 (a column is missing), and has changed nothing then.';

CREATE FUNCTION @extschema@.contacts_unblock(ids text[])
	RETURNS TABLE (id text, code text, status text, changed boolean)
	AS 'MODULE_PATHNAME', 'contacts_unblock' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.contacts_unblock(text[]) IS
'Unblock many contacts

Takes an array of ids, turns the Blocked ones among these contacts Active and removes their blockedReason.
Returns a row for each element, in the array''s order: the id, the SQLSTATE that contact_unblock would have ended with (00000: none), the status now, and whether this call has changed it. 55P03: somebody held the contact, call again.
Raises 22004 (no array), 22023 (claims not a JSON object), 42501 (not permitted), 55000 (not set up), 21000 (an id is not unique) and 42703 (a column is missing), and has changed nothing then.';

CREATE FUNCTION @extschema@.contacts_delete(ids text[])
	RETURNS TABLE (id text, code text, status text, changed boolean)
	AS 'MODULE_PATHNAME', 'contacts_delete' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.contacts_delete(text[]) IS
'Delete many contacts

Takes an array of ids and turns the Active and Blocked ones among these contacts Deleted, which is final. The rows stay.
Returns a row for each element, in the array''s order: the id, the SQLSTATE that contact_delete would have ended with (00000: none), the status now, and whether this call has changed it. 55P03: somebody held the contact, call again.
Raises 22004 (no array), 22023 (claims not a JSON object), 42501 (not permitted), 55000 (not set up), 0A000 (the status cannot be Deleted), 21000 (an id is not unique) and 42703 (a column is missing), and has changed nothing then.';

CREATE FUNCTION @extschema@.contact_record() RETURNS trigger
	AS 'MODULE_PATHNAME', 'contact_record' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.contact_record() IS
'Record what happens to a contact

Trigger function for contacts, AFTER INSERT OR UPDATE FOR EACH ROW; contact_history_setup() puts it there.
Writes a row into contact_events for every creation, every change of status and every change of a block''s reason. Returns nothing.
Raises 55000 (contact_events is not as it has to be, or the table is not the contacts of this extension), 42501 (the owner of contact_events may not insert into it) and 39P01 (called in another way).';

CREATE FUNCTION @extschema@.contact_history_setup() RETURNS void
	AS 'MODULE_PATHNAME', 'contact_history_setup' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION @extschema@.contact_history_setup() IS
'Set up the history of contacts

Takes nothing. Makes contact_events in the extension''s schema, unless it is there, and puts the trigger on contacts that writes to it. It may be run again at any time.
Raises 55000 (contact_block_setup() has not been run, or contact_events does not fit) and 42501 (contacts belong to another role), and has changed nothing then.';

-- The role that installs the functions owns them: it may call and grant them, and
-- a superuser's pg_restore can repeat those grants.  It may also replace them, so
-- no script of the extension may ever call one.
ALTER FUNCTION @extschema@.contact_block(text) OWNER TO @extowner@;
ALTER FUNCTION @extschema@.contact_block(text, text) OWNER TO @extowner@;
ALTER FUNCTION @extschema@.contact_unblock(text) OWNER TO @extowner@;
ALTER FUNCTION @extschema@.contact_delete(text) OWNER TO @extowner@;
ALTER FUNCTION @extschema@.contact_document(text) OWNER TO @extowner@;
ALTER FUNCTION @extschema@.contact_audit() OWNER TO @extowner@;
ALTER FUNCTION @extschema@.contact_block_setup() OWNER TO @extowner@;
ALTER FUNCTION @extschema@.contacts_block(text[], text) OWNER TO @extowner@;
ALTER FUNCTION @extschema@.contacts_unblock(text[]) OWNER TO @extowner@;
ALTER FUNCTION @extschema@.contacts_delete(text[]) OWNER TO @extowner@;
ALTER FUNCTION @extschema@.contact_record() OWNER TO @extowner@;
ALTER FUNCTION @extschema@.contact_history_setup() OWNER TO @extowner@;

-- Only now: pg_dump takes the privileges after this for the initial ones, which
-- are to be the owner's.
REVOKE ALL ON FUNCTION
	@extschema@.contact_block(text),
	@extschema@.contact_block(text, text),
	@extschema@.contact_unblock(text),
	@extschema@.contact_delete(text),
	@extschema@.contact_document(text),
	@extschema@.contact_audit(),
	@extschema@.contact_block_setup(),
	@extschema@.contacts_block(text[], text),
	@extschema@.contacts_unblock(text[]),
	@extschema@.contacts_delete(text[]),
	@extschema@.contact_record(),
	@extschema@.contact_history_setup()
	FROM PUBLIC;
