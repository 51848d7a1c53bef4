\echo Use "ALTER EXTENSION contact_block UPDATE TO '1.1'" to load this file. \quit

-- Ends in the same catalog as contact_block--1.1.sql.

COMMENT ON FUNCTION @extschema@.contact_delete(text) IS
'Delete a contact

Takes the contact''s id, turns an Active or Blocked contact Deleted, which is final, and returns its document after the change. The row stays.
A contact that is Deleted already stays exactly as it is.
Raises 22004 (id null), 22023 (id empty, or claims not a JSON object), PT404 (no such contact), PT409 (New), 0A000 (the status cannot be Deleted), 42501 (not permitted), 55000 (not set up), 21000 (the id is not unique) and 42703 (a column is missing).';

COMMENT ON FUNCTION @extschema@.contact_document(text) IS
'Get a contact

Takes the contact''s id and returns its document, whatever its status, as the calling statement sees it: what that statement itself changes is not in it.
Raises 22004 (id null), 22023 (id empty), PT404 (no such contact), 42501 (not permitted), 55000 (not set up), 21000 (the id is not unique) and 42703 (a column is missing).';

COMMENT ON FUNCTION @extschema@.contact_audit() IS
'Stamp who changed a contact and when

Trigger function for contacts, BEFORE INSERT OR UPDATE FOR EACH ROW; contact_block_setup() puts it there.
Returns the row with its audit columns set; what the statement says about them is ignored.
Its arguments, ''NAME=OWN'', are what the table calls the columns and statuses; ''ignore=COLUMN'' is a column whose change alone is none.
Raises PT409 (the status cannot follow the old one, a block would be lifted, or deleted_at is set without the status), 23514 (a status that is none), 22008 (no time is left after the last stamp), 22023 (claims not a JSON object, no actor, or one that does not fit its column), 55000 (an argument makes no sense), 42703 (a column is missing) and 39P01 (called in another way).';

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

-- Whoever runs this update, the new functions are the role's that installed the others.
DO $$
DECLARE
	signature pg_catalog.text;
BEGIN
	FOREACH signature IN ARRAY ARRAY['contacts_block(text[], text)', 'contacts_unblock(text[])',
		'contacts_delete(text[])', 'contact_record()', 'contact_history_setup()'] LOOP
		EXECUTE pg_catalog.format('ALTER FUNCTION @extschema@.%s OWNER TO %I', signature,
			(SELECT pg_catalog.pg_get_userbyid(p.proowner) FROM pg_catalog.pg_proc AS p
				WHERE p.oid OPERATOR(pg_catalog.=) '@extschema@.contact_block(text)'::pg_catalog.regprocedure));
	END LOOP;
END $$;

REVOKE ALL ON FUNCTION
	@extschema@.contacts_block(text[], text),
	@extschema@.contacts_unblock(text[]),
	@extschema@.contacts_delete(text[]),
	@extschema@.contact_record(),
	@extschema@.contact_history_setup()
	FROM PUBLIC;
