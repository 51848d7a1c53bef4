/*-------------------------------------------------------------------------
 *
 * change.c
 *	  A change of the status of contacts: the UPDATE, what became of each id,
 *	  and what there is to do when somebody else was faster.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "compat.h"
#include "change.h"

/*
 * How often a change is tried before it is taken for forbidden.  A row that
 * changed under way is locked after the first try, so that the second one
 * meets it in the status that it was locked in; one more is for a row that
 * was deleted and made again.
 */
#define MAX_TRIES 3

CbSetAtWork *cb_set_at_work = NULL;

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
 * The contact in what a statement returned, NULL if there is none.  Raises
 * 21000 when it is there more than once, which only a table of the user's own
 * can bring about.
 */
static const CbRow *
one_contact(const CbRows *rows, Datum id)
{
	if (rows->count > 1)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("more than one contact has this id"),
				 errdetail("The id is \"%s\".", TextDatumGetCString(id))));
	return rows->count > 0 ? &rows->rows[0] : NULL;
}

CbRow
cb_read_contact(const CbCall *call, Datum id, bool read_only)
{
	const CbRow *contact = one_contact(cb_run(call, CB_CONTACTS, CB_READ, CB_NO_STATUS, &id, read_only), id);

	if (!contact)
		contact_not_found(id);
	return *contact;
}

/* The contact's status as it is written there, "null" if it has none. */
static const char *
status_name(const CbRow *contact)
{
	int			place = cb_contact_place(CB_STATUS);

	return contact->isnull[place] ? "null" : TextDatumGetCString(contact->values[place]);
}

/*
 * Run the UPDATE of a set, whose ids are its parameters.
 */
static CbRows *
update_set(const CbCall *call, const CbChange *change, CbSetAtWork *set)
{
	Datum		parameters[] = {set->ids[0], change->reason};
	CbRows	   *rows;

	set->outer = cb_set_at_work;
	cb_set_at_work = set;
	PG_TRY();
	{
		rows = cb_run(call, CB_CONTACTS, change->has_reason ? CB_CHANGE_WITH_REASON : CB_CHANGE,
					  change->to, parameters, false);
	}
	PG_FINALLY();
	{
		cb_set_at_work = set->outer;
	}
	PG_END_TRY();
	return rows;
}

/*
 * Make the change, if the contact is in a status that it starts from and the
 * caller may.  Returns whether it was made.
 */
static bool
try_change(const CbCall *call, const CbChange *change, Datum id, CbRow *contact)
{
	bool		is_stamped = false;
	CbSetAtWork set = {
		.relid = call->schema->relids[CB_CONTACTS],
		.schema = call->schema->oid,
		.trigger_depth = DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)),
		.nids = 1,
		.ids = &id,
		.is_stamped = &is_stamped
	};
	CommandId	command;
	const CbRow *changed;

	/* so that the UPDATE is this command */
	CommandCounterIncrement();
	command = GetCurrentCommandId(false);
	changed = one_contact(update_set(call, change, &set), id);

	if (!changed)
		return false;
	if (!is_stamped)
		cb_not_set_up(NameStr(call->schema->name),
					  "The audit trigger on \"contacts\" did not fire: it is missing or disabled.");
	*contact = *changed;
	/* another BEFORE trigger may have had its own idea */
	if (cb_find_status(status_name(contact)) != change->to)
		change_refused(id);
	/* what has written meanwhile, a trigger, may have changed or deleted the row afterwards */
	if (GetCurrentCommandId(false) > command + 1)
		*contact = cb_read_contact(call, id, false);
	return true;
}

/*
 * Is the contact already what the change would make of it?  A reason that the
 * caller may not read, and so is null here, counts as another one.
 */
static bool
is_done(const CbChange *change, const CbRow *contact)
{
	int			place = cb_contact_place(CB_REASON);

	if (cb_find_status(status_name(contact)) != change->to)
		return false;
	return !change->has_reason ||
		(!contact->isnull[place] && cb_compare(contact->values[place], change->reason) == 0);
}

static bool
starts_from(const CbChange *change, CbStatus status)
{
	/* another reason for the same status */
	if (change->has_reason && status == change->to)
		return true;
	return (cb_statuses[change->to].verb_starts_from & CB_IS(status)) != 0;
}

CbRow
cb_change_contact(const CbCall *call, const CbChange *change, Datum id)
{
	CbRow		contact;

	for (int tries = 1; !try_change(call, change, id, &contact); tries++)
	{
		/* nothing was changed: see why, in the row as it is now */
		contact = cb_read_contact(call, id, false);
		if (is_done(change, &contact))
			break;
		if (!starts_from(change, cb_find_status(status_name(&contact))))
			cb_conflict(TextDatumGetCString(id), status_name(&contact), NULL);
		if (tries == MAX_TRIES)
			change_refused(id);

		/*
		 * The change would be possible now.  Either the row has just come
		 * back to this status, then it is locked to try again, or the caller
		 * may not update it, then there is nothing to lock.
		 */
		(void) cb_run(call, CB_CONTACTS, CB_LOCK, CB_NO_STATUS, &id, false);
	}
	return contact;
}
