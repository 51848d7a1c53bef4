\echo Use "ALTER EXTENSION contact_block UPDATE TO '1.1'" to load this file. \quit

-- Ends in the same catalog as contact_block--1.1.sql.

COMMENT ON FUNCTION @extschema@.contact_document(text) IS
'Get a contact

Takes the contact''s id and returns its document, whatever its status, as the calling statement sees it: what that statement itself changes is not in it.
Raises 22004 (id null), 22023 (id empty), PT404 (no such contact), 42501 (not permitted), 55000 (not set up), 21000 (the id is not unique) and 42703 (a column is missing).';

COMMENT ON FUNCTION @extschema@.contact_audit() IS
'Stamp who changed a contact and when

Trigger function for contacts, BEFORE INSERT OR UPDATE FOR EACH ROW; contact_block_setup() puts it there.
Returns the row with its audit columns set; what the statement says about them is ignored.
Raises PT409 (the status cannot follow the old one), 22008 (no time is left after the last stamp), 22023 (claims not a JSON object), 42703 (a column is missing) and 39P01 (called in another way).';

COMMENT ON FUNCTION @extschema@.contact_block_setup() IS
'Set up the relations of contact_block

Takes nothing. Makes the relations that are missing in the extension''s schema, owned by the caller, and puts the audit trigger on contacts. Relations that are there already are left as they are; it may be run again at any time.
Raises 55000 (an existing relation lacks columns, is of the wrong kind or partitioned by another key than the id, or another session changed the schema meanwhile) and 42501 (one belongs to another role), and has changed nothing then.';
