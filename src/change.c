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
#include "utils/lsyscache.h"

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
	const CbRow *contact = one_contact(cb_run(call, CB_CONTACTS, CB_READ, NULL, 1, &id, read_only), id);

	if (!contact)
		contact_not_found(id);
	return *contact;
}

static CbStatus
status_of(const CbCall *call, const CbRow *contact)
{
	int			place = cb_contact_place(CB_STATUS);

	return contact->isnull[place] ? CB_NO_STATUS :
		cb_find_label(call->schema, TextDatumGetCString(contact->values[place]));
}

/* The contact's status for people: the contract's word, or what stands there. */
static const char *
status_text(const CbCall *call, const CbRow *contact)
{
	int			place = cb_contact_place(CB_STATUS);
	CbStatus	status = status_of(call, contact);

	return status == CB_NO_STATUS && !contact->isnull[place] ?
		TextDatumGetCString(contact->values[place]) : cb_status_name(status);
}

/*
 * Run the UPDATE of a set.
 */
static CbRows *
update_set(const CbCall *call, CbSetAtWork *set)
{
	const CbChange *change = set->change;
	CbRows	   *rows;

	set->outer = cb_set_at_work;
	cb_set_at_work = set;
	PG_TRY();
	{
		rows = cb_run(call, CB_CONTACTS, change->has_reason ? CB_CHANGE_WITH_REASON : CB_CHANGE,
					  change, set->nids, set->ids, false);
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
	Datum		key = cb_canonical_id(cb_key_type(call->schema, CB_CONTACTS), id);
	CbSetAtWork set = {
		.change = change,
		.relid = call->schema->contacts_table,
		.schema = get_rel_namespace(call->schema->contacts_table),
		.trigger_depth = DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)),
		.nids = 1,
		.ids = &key,
		.is_stamped = &is_stamped
	};
	const CbRow *changed = one_contact(update_set(call, &set), id);

	if (!changed)
		return false;
	if (!is_stamped)
		cb_not_set_up(NameStr(call->schema->name),
					  "The audit trigger on \"contacts\" did not fire: it is missing or disabled.");
	*contact = *changed;
	/* another BEFORE trigger may have had its own idea */
	if (status_of(call, contact) != change->to)
		change_refused(id);
	/* what has written since, an AFTER trigger, may have changed or deleted the row */
	if (GetCurrentCommandId(false) > set.last_command + 1)
		*contact = cb_read_contact(call, id, false);
	return true;
}

/*
 * Is the contact already what the change would make of it?  A reason that the
 * caller may not read, and so is null here, counts as another one.
 */
static bool
is_done(const CbCall *call, const CbChange *change, const CbRow *contact)
{
	int			place = cb_contact_place(CB_REASON);

	if (status_of(call, contact) != change->to)
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
	int			needed = CB_IS(change->to) | cb_statuses[change->to].verb_starts_from;
	CbRow		contact;

	for (int status = 0; status < CB_NSTATUSES; status++)
	{
		if ((needed & CB_IS(status)) &&
			NameStr(call->schema->labels[status])[0] == '\0')
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("the status of contacts has no word for this"),
					 errdetail("There is none for %s.", cb_status_name(status))));
	}
	for (int tries = 1; !try_change(call, change, id, &contact); tries++)
	{
		/* nothing was changed: see why, in the row as it is now */
		contact = cb_read_contact(call, id, false);
		if (is_done(call, change, &contact))
			break;
		if (!starts_from(change, status_of(call, &contact)))
			cb_conflict(psprintf("Contact \"%s\" is %s.", TextDatumGetCString(id),
								 status_text(call, &contact)), NULL);
		if (tries == MAX_TRIES)
			change_refused(id);

		/*
		 * The change would be possible now.  Either the row has just come
		 * back to this status, then it is locked to try again, or the caller
		 * may not update it, then there is nothing to lock.
		 */
		(void) cb_run(call, CB_CONTACTS, CB_LOCK, NULL, 1, &id, false);
	}
	return contact;
}
