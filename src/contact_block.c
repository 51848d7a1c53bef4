/*-------------------------------------------------------------------------
 *
 * contact_block.c
 *	  The functions that callers see: fetch the arguments, change the
 *	  contact, return its document.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "contact_block.h"

CB_MODULE_MAGIC;

/*
 * How often a change is tried before it is taken for forbidden.  A row that
 * changed under way is locked after the first try, so that the second one
 * meets it in the status that it was locked in; one more is for a row that
 * was deleted and made again.
 */
#define MAX_TRIES 3

/* A change of a contact, with the reason if it has one (a datum, not null). */
typedef struct Change
{
	Statement	statement;
	const char *to;				/* the status it ends in */
	const char *from[2];		/* the statuses it starts from */
	Datum		parameters[2];	/* id and reason */
	bool		has_reason;
} Change;

void		_PG_init(void);

void
_PG_init(void)
{
	cb_define_settings();
}

/*
 * The id, which is the first argument of every function.  Raises 22004 when
 * it is null, 22023 when it is empty.
 */
static Datum
get_id(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the contact's id must not be null")));
	if (VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(0)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the contact's id must not be empty")));
	return PointerGetDatum(PG_GETARG_TEXT_PP(0));
}

static void
contact_not_found(Datum id)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONTACT_NOT_FOUND),
			 errmsg("contact not found"),
			 errdetail("There is no contact \"%s\".", TextDatumGetCString(id))));
}

static void
change_refused(Datum id)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to change the contact"),
			 errdetail("Row security or a trigger keeps contact \"%s\" as it is.",
					   TextDatumGetCString(id))));
}

/*
 * Take the contact from what a statement returned.  Returns whether it is
 * there.  Raises 21000 when it is there more than once, which only a table of
 * the user's own can bring about.
 */
static bool
take_contact(const Rows *rows, Datum id, Row *contact)
{
	if (rows->count > 1)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("more than one contact has this id"),
				 errdetail("The id is \"%s\".", TextDatumGetCString(id))));
	if (rows->count > 0)
		*contact = cb_fetch_row(rows, 0);
	return rows->count > 0;
}

/*
 * Read the contact with the given statement.  Returns whether it is there for
 * the caller.
 */
static bool
read_contact(const ContactCall *call, Statement statement, Datum id,
			 bool read_only, Row *contact)
{
	Rows		rows = cb_run(call, statement, &id, read_only);

	return take_contact(&rows, id, contact);
}

/* The contact's status, "null" if it has none. */
static const char *
status_of(const Row *contact)
{
	if (cb_isnull(contact, CONTACTS_STATUS))
		return "null";
	return TextDatumGetCString(cb_value(contact, CONTACTS_STATUS));
}

/*
 * Make the change, if the contact is in a status that it starts from and the
 * caller may.  Returns whether it was made.
 */
static bool
try_change(const ContactCall *call, Change *change, Row *contact)
{
	Datum		id = change->parameters[0];
	uint64		audit_count = cb_audit_count;
	Rows		rows = cb_run(call, change->statement, change->parameters, false);

	if (!take_contact(&rows, id, contact))
		return false;
	if (cb_audit_count == audit_count)
		cb_not_set_up(call, "The audit trigger on \"contacts\" did not fire: it is missing or disabled.");
	/* another BEFORE trigger may have had its own idea */
	if (strcmp(status_of(contact), change->to) != 0)
		change_refused(id);
	/* an AFTER trigger may have changed the row once more */
	if (cb_audit_count > audit_count + 1)
		(void) read_contact(call, SELECT_CONTACT, id, false, contact);
	return true;
}

/*
 * Is the contact already what the change would make of it?  A reason that the
 * caller may not read counts as another one.
 */
static bool
is_done(const Change *change, const char *status, const Row *contact)
{
	if (strcmp(status, change->to) != 0)
		return false;
	if (!change->has_reason)
		return true;
	return !cb_isnull(contact, CONTACTS_BLOCKED_REASON) &&
		cb_text_equal(cb_value(contact, CONTACTS_BLOCKED_REASON), change->parameters[1]);
}

static bool
starts_from(const Change *change, const char *status)
{
	for (size_t i = 0; i < lengthof(change->from); i++)
	{
		if (change->from[i] && strcmp(change->from[i], status) == 0)
			return true;
	}
	return false;
}

/*
 * Make the change and return the document of the contact as this call left
 * it, or found it when there was nothing to change.  Raises what the contract
 * of the functions says.
 */
static Datum
change_contact(FunctionCallInfo fcinfo, Change *change)
{
	MemoryContext result_context = CurrentMemoryContext;
	Datum		id = get_id(fcinfo);
	ContactCall call;
	Row			contact;
	Datum		result;

	change->parameters[0] = id;
	cb_begin_call(fcinfo, &call);
	if (change->has_reason && (call.hidden & COLUMN(CONTACTS_BLOCKED_REASON)))
		change->statement = BLOCK_CONTACT_WITH_UNREADABLE_REASON;

	SPI_connect();
	for (int tries = 1; !try_change(&call, change, &contact); tries++)
	{
		const char *status;
		Row			locked;

		/* nothing was changed: see why, in the row as it is now */
		if (!read_contact(&call, SELECT_CONTACT, id, false, &contact))
			contact_not_found(id);
		status = status_of(&contact);
		if (is_done(change, status, &contact))
			break;
		if (!starts_from(change, status))
			cb_conflict(TextDatumGetCString(id), status, NULL);
		if (tries == MAX_TRIES)
			change_refused(id);

		/*
		 * The change would be possible now.  Either the row has just come
		 * back to this status, then it is locked to try again, or the caller
		 * may not update it, then there is nothing to lock.
		 */
		(void) read_contact(&call, LOCK_CONTACT, id, false, &locked);
	}

	PushActiveSnapshot(GetTransactionSnapshot());
	result = cb_contact_document(&call, &contact, result_context);
	PopActiveSnapshot();
	SPI_finish();
	return result;
}

PG_FUNCTION_INFO_V1(contact_block);

/*
 * contact_block(id text) and contact_block(id text, reason text): Active to
 * Blocked.  An empty reason is none.
 */
Datum
contact_block(PG_FUNCTION_ARGS)
{
	Change		change = {.statement = BLOCK_CONTACT, .to = "Blocked", .from = {"Active"}};

	if (PG_NARGS() > 1 && !PG_ARGISNULL(1) &&
		VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(1)) > 0)
	{
		change.statement = BLOCK_CONTACT_WITH_REASON;
		change.from[1] = "Blocked";
		change.parameters[1] = PointerGetDatum(PG_GETARG_TEXT_PP(1));
		change.has_reason = true;
	}
	return change_contact(fcinfo, &change);
}

PG_FUNCTION_INFO_V1(contact_unblock);

/*
 * contact_unblock(id text): Blocked to Active.
 */
Datum
contact_unblock(PG_FUNCTION_ARGS)
{
	Change		change = {.statement = UNBLOCK_CONTACT, .to = "Active", .from = {"Blocked"}};

	return change_contact(fcinfo, &change);
}

PG_FUNCTION_INFO_V1(contact_delete);

/*
 * contact_delete(id text): Active or Blocked to Deleted; the row stays.
 */
Datum
contact_delete(PG_FUNCTION_ARGS)
{
	Change		change = {.statement = DELETE_CONTACT, .to = "Deleted", .from = {"Active", "Blocked"}};

	return change_contact(fcinfo, &change);
}

PG_FUNCTION_INFO_V1(contact_document);

/*
 * contact_document(id text): the document, in any status.  It is stable: it
 * sees what the calling statement sees.
 */
Datum
contact_document(PG_FUNCTION_ARGS)
{
	MemoryContext result_context = CurrentMemoryContext;
	Datum		id = get_id(fcinfo);
	ContactCall call;
	Row			contact;
	Datum		result;

	cb_begin_call(fcinfo, &call);
	SPI_connect();
	if (!read_contact(&call, SELECT_CONTACT, id, true, &contact))
		contact_not_found(id);
	result = cb_contact_document(&call, &contact, result_context);
	SPI_finish();
	return result;
}
