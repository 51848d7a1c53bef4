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
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "compat.h"
#include "history.h"
#include "trigger.h"

/*
 * How often a change is tried before it is taken for forbidden.  A row that
 * changed under way is locked after the first try, so that the second one
 * meets it in the status that it was locked in; one more is for a row that
 * was deleted and made again.
 */
#define MAX_TRIES 3

/* From so many contacts on a look at one of them first costs next to nothing. */
#define MANY 20

/* A change of a set of contacts under way. */
typedef struct Work
{
	const CbCall *call;
	const CbChange *change;
	int			nids;
	const Datum *ids;
	CbOutcome  *outcomes;
	int		   *next;			/* which id is likely to be looked for next */
} Work;

CbSetAtWork *cb_set_at_work = NULL;

int
cb_trigger_depth(void)
{
	return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0));
}

pg_noreturn static void
contact_not_found(Datum id)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONTACT_NOT_FOUND),
			 errmsg("contact not found"),
			 errdetail("There is no contact \"%s\".", TextDatumGetCString(id))));
}

pg_noreturn static void
change_refused(Datum id)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to change the contact"),
			 errdetail("Row security or a trigger keeps contact \"%s\" as it is.",
					   TextDatumGetCString(id))));
}

/* Raise 21000: only a table of the user's own can bring it about. */
static void
more_than_one(Datum id)
{
	ereport(ERROR,
			(errcode(ERRCODE_CARDINALITY_VIOLATION),
			 errmsg("more than one contact has this id"),
			 errdetail("The id is \"%s\".", TextDatumGetCString(id))));
}

CbRow
cb_read_contact(const CbCall *call, Datum id, bool read_only)
{
	const CbRows *rows = cb_run(call, CB_CONTACTS, CB_READ, NULL, 1, &id, read_only);

	if (rows->count == 0)
		contact_not_found(id);
	if (rows->count > 1)
		more_than_one(id);
	return rows->rows[0];
}

static CbStatus
status_of(const CbCall *call, const CbRow *contact)
{
	int			place = cb_contact_place(CB_STATUS);

	return contact->isnull[place] ? CB_NO_STATUS :
		cb_find_label(call->schema, contact->values[place]);
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

/* Raise 55000 for a row that was changed behind the audit trigger's back. */
static void
not_stamped(const CbCall *call)
{
	const char *remedy;
	bool		is_missing;
	const char *trouble = cb_trigger_trouble(call->schema->contacts_table, call->schema->oid, &remedy, &is_missing);

	if (is_missing)
		remedy = psprintf("%s%sSELECT %s();", remedy, remedy[0] != '\0' ? " " : "",
						  cb_qualified(call->schema->oid, "contact_block_setup"));
	else if (!trouble && SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
	{
		trouble = "session_replication_role is \"replica\", so that triggers do not fire.";
		remedy = "SET session_replication_role = origin;";
	}
	else if (!trouble)
	{
		trouble = "The audit trigger is there and in force, but did not fire in this session.";
		remedy = "See to it that it fires where the row is: on every shard of a distributed table, which has no rows itself, in every table that inherits from it, and not moved by a rule.";
	}
	cb_not_set_up(trouble, remedy);
}

/* Raise 0A000 when the status column cannot hold what the change is about. */
static void
check_words(const CbCall *call, const CbChange *change)
{
	for (int status = 0; status < CB_NSTATUSES; status++)
	{
		if (((CbStatus) status == change->to || cb_statuses[change->to].verb_starts_from & CB_IS(status)) &&
			NameStr(call->schema->labels[status])[0] == '\0')
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("the status of contacts has no word for this"),
					 errdetail("There is none for %s.", cb_status_name(status))));
	}
}

/* Rows by their keys */
static int
compare_keys(const void *a, const void *b)
{
	return cb_compare(((const CbRow *) a)->values[0], ((const CbRow *) b)->values[0]);
}

static int
compare_ids(const void *a, const void *b)
{
	return cb_compare(*(const Datum *) a, *(const Datum *) b);
}

int
cb_find_id(int nids, const Datum *ids, Datum id, int *next)
{
	const Datum *found;

	/* rows mostly come in the order of their ids */
	if (*next < nids && cb_compare(ids[*next], id) == 0)
		return (*next)++;
	found = (const Datum *) bsearch(&id, ids, nids, sizeof(Datum), compare_ids);
	if (!found)
		return -1;
	*next = found - ids + 1;
	return found - ids;
}

/* Which of the ids is this, by the bytes?  -1 if none is. */
static int
find_id(const Work *work, const Datum *id)
{
	/* a trigger may have given it another one; who is alone is meant all the same */
	return work->nids == 1 ? 0 : cb_find_id(work->nids, work->ids, *id, work->next);
}

/* Take a row as what became of its contact.  Returns this. */
static CbOutcome *
take_row(const Work *work, const CbRow *row)
{
	int			which = find_id(work, &row->values[0]);
	CbOutcome  *outcome;

	if (which < 0)
		return NULL;
	outcome = &work->outcomes[which];
	if (outcome->row)
		more_than_one(work->ids[which]);
	outcome->row = row;
	outcome->status = status_of(work->call, row);
	return outcome;
}

/*
 * The ids that nothing is known of yet, with those that could not be locked or
 * without; returns how many.
 */
static int
unknown_ids(const Work *work, bool with_refused, Datum *ids)
{
	int			count = 0;

	for (int i = 0; i < work->nids; i++)
	{
		if (!work->outcomes[i].is_known && (with_refused || work->outcomes[i].code == 0))
			ids[count++] = work->ids[i];
	}
	return count;
}

/* What was read of contacts of which nothing is known yet is old by now. */
static void
forget_rows(const Work *work)
{
	for (int i = 0; i < work->nids; i++)
	{
		if (!work->outcomes[i].is_known)
			work->outcomes[i].row = NULL;
	}
}

/*
 * Run an UPDATE of these contacts, as the set at work.
 */
static CbRows *
update_set(const CbCall *call, CbSetAtWork *set)
{
	const CbChange *change = set->change;
	CbAction	action = set->nids == 1 ?
		(change->has_reason ? CB_CHANGE_WITH_REASON : CB_CHANGE) :
		(change->has_reason ? CB_CHANGE_MANY_WITH_REASON : CB_CHANGE_MANY);
	CbRows	   *rows = NULL;

	set->outer = cb_set_at_work;
	cb_set_at_work = set;
	PG_TRY();
	{
		rows = cb_run(call, CB_CONTACTS, action, change, set->nids, set->ids, false);
		/* a trigger that fires from here on is not fired by our UPDATE */
		cb_set_at_work = NULL;
		cb_write_events(set);
	}
	PG_FINALLY();
	{
		cb_set_at_work = set->outer;
	}
	PG_END_TRY();
	return rows;
}

/*
 * Read contacts that were changed once more: what has written meanwhile, a
 * trigger of the user's, may have changed or deleted them.
 */
static void
read_again(const Work *work, int nids, const Datum *ids)
{
	CbRows	   *rows = cb_run(work->call, CB_CONTACTS, work->nids == 1 ? CB_READ : CB_READ_STATES, NULL,
							  nids, ids, false);

	for (int i = 0; i < work->nids; i++)
	{
		if (work->outcomes[i].is_changed)
			work->outcomes[i].row = NULL;
	}
	for (int i = 0; i < rows->count; i++)
		(void) take_row(work, &rows->rows[i]);
	for (int i = 0; i < work->nids; i++)
	{
		if (work->outcomes[i].is_changed && !work->outcomes[i].row)
			contact_not_found(work->ids[i]);
	}
}

/* Where an id is in the set at work, which mostly has them all. */
static int
place_in_set(const CbSetAtWork *set, const Work *work, const Datum *id)
{
	if (set->nids == work->nids)
		return id - work->ids;
	return (const Datum *) bsearch(id, set->ids, set->nids, sizeof(Datum), compare_ids) - set->ids;
}

/*
 * Make the change for those contacts of which nothing is known yet, that are
 * in a status that it starts from, and that the caller may change.
 */
static void
try_change(const Work *work)
{
	const CbCall *call = work->call;
	Datum	   *ids = (Datum *) palloc(work->nids * sizeof(Datum));
	CbSetAtWork set = {
		.change = work->change,
		.relid = call->schema->contacts_table,
		.trigger_depth = cb_trigger_depth(),
		.nids = unknown_ids(work, false, ids),
		.ids = ids,
		.context = CurrentMemoryContext
	};
	CommandId	command;
	CbRows	   *rows;
	Datum	   *changed;
	int			nchanged = 0;

	if (set.nids == 0)
		return;
	set.is_stamped = (bool *) palloc0(set.nids * sizeof(bool));
	forget_rows(work);
	/* so that the UPDATE is this command */
	CommandCounterIncrement();
	command = GetCurrentCommandId(false);
	rows = update_set(call, &set);

	changed = (Datum *) palloc(rows->count * sizeof(Datum));
	for (int i = 0; i < rows->count; i++)
	{
		CbOutcome  *outcome = take_row(work, &rows->rows[i]);
		const Datum *id = outcome ? &work->ids[outcome - work->outcomes] : NULL;

		if (!id || !set.is_stamped[place_in_set(&set, work, id)])
			not_stamped(call);
		/* another BEFORE trigger may have had its own idea */
		if (outcome->status != work->change->to)
			change_refused(*id);
		outcome->is_known = outcome->is_changed = true;
		changed[nchanged++] = *id;
	}
	if (nchanged > 0 && GetCurrentCommandId(false) > command + 1 + set.own_commands)
		read_again(work, nchanged, changed);
}

/*
 * Is the contact already what the change would make of it?  A reason that the
 * caller may not read, and so is null here, counts as another one.
 */
static bool
is_done(const CbChange *change, const CbOutcome *outcome)
{
	int			place = cb_contact_place(CB_REASON);

	return outcome->status == change->to &&
		(!change->has_reason || (!outcome->row->isnull[place] &&
								 cb_compare(outcome->row->values[place], change->reason) == 0));
}

static bool
starts_from(const CbChange *change, CbStatus status)
{
	/* another reason for the same status */
	if (change->has_reason && status == change->to)
		return true;
	return (cb_statuses[change->to].verb_starts_from & CB_IS(status)) != 0;
}

/*
 * See why contacts were not changed, in their rows as they are now.  Returns
 * how many there are for which the change would be possible.
 */
static int
explain(const Work *work)
{
	Datum	   *ids = (Datum *) palloc(work->nids * sizeof(Datum));
	int			nids = unknown_ids(work, true, ids);
	int			npossible = 0;
	CbRows	   *rows;

	if (nids == 0)
		return 0;
	forget_rows(work);
	rows = cb_run(work->call, CB_CONTACTS, work->nids == 1 ? CB_READ : CB_READ_STATES, NULL, nids, ids, false);
	for (int i = 0; i < rows->count; i++)
		(void) take_row(work, &rows->rows[i]);
	for (int i = 0; i < work->nids; i++)
	{
		CbOutcome  *outcome = &work->outcomes[i];

		if (outcome->is_known)
			continue;
		if (outcome->row && !is_done(work->change, outcome) && starts_from(work->change, outcome->status))
		{
			/* what could not be locked then is refused */
			outcome->is_known = outcome->code != 0;
			if (!outcome->is_known)
				npossible++;
			continue;
		}
		outcome->is_known = true;
		outcome->code = !outcome->row ? ERRCODE_CONTACT_NOT_FOUND :
			is_done(work->change, outcome) ? 0 : ERRCODE_CONTACT_CONFLICT;
	}
	return npossible;
}

/*
 * Lock all of these contacts at once.  Returns their rows, NULL if somebody
 * holds one.
 */
static CbRows *
lock_nowait(const Work *work, int nids, const Datum *ids)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	CbRows	   *volatile rows = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(oldcontext);
	PG_TRY();
	{
		rows = cb_run(work->call, CB_CONTACTS, CB_LOCK_NOWAIT, NULL, nids, ids, false);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(oldcontext);
		error = CopyErrorData();
		FlushErrorState();
		/* whoever catches another error takes the innermost one for his own */
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(oldcontext);
		CurrentResourceOwner = oldowner;
		if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			ReThrowError(error);
		FreeErrorData(error);
		rows = NULL;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(oldcontext);
	CurrentResourceOwner = oldowner;
	return rows;
}

/*
 * Leave only those of the sorted ids that none of the rows has.  Returns how
 * many are left.
 */
static int
remove_returned(int nids, Datum *ids, const CbRows *rows)
{
	int			nleft = 0;

	if (rows->count > 1)
		qsort(rows->rows, rows->count, sizeof(CbRow), compare_keys);
	for (int i = 0, j = 0; i < nids; i++)
	{
		while (j < rows->count && cb_compare(rows->rows[j].values[0], ids[i]) < 0)
			j++;
		if (j == rows->count || cb_compare(rows->rows[j].values[0], ids[i]) != 0)
			ids[nleft++] = ids[i];
	}
	return nleft;
}

/*
 * Note why these contacts cannot be locked: somebody holds them, or the caller
 * may not update them.  Those that can be by now are locked.  All are asked for
 * at once, and by halves where one is held.
 */
static void
note_not_locked(const Work *work, int nids, Datum *ids, MemoryContext context)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	CbRows	   *locked;

	CHECK_FOR_INTERRUPTS();
	locked = lock_nowait(work, nids, ids);
	if (locked)
		nids = remove_returned(nids, ids, locked);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(context);
	if (!locked && nids > 1)
	{
		note_not_locked(work, nids / 2, ids, context);
		note_not_locked(work, nids - nids / 2, ids + nids / 2, context);
		return;
	}
	for (int i = 0; i < nids; i++)
	{
		CbOutcome  *outcome = &work->outcomes[find_id(work, &ids[i])];

		/* unless it is gone by now, or needs no change any more */
		outcome->is_known = !locked;
		outcome->code = locked ? ERRCODE_INSUFFICIENT_PRIVILEGE : ERRCODE_LOCK_NOT_AVAILABLE;
	}
}

/*
 * Lock the contacts for which the change would be possible now.  Either a row
 * has just come back to this status, then it is locked to try again, or the
 * caller may not update it, then there is nothing to lock.
 *
 * To wait for one while others are held is how two calls deadlock: it is left
 * alone then, and who called has to call again.
 */
static void
lock_possible(const Work *work)
{
	Datum	   *ids = (Datum *) palloc(work->nids * sizeof(Datum));
	int			nids = unknown_ids(work, false, ids);
	CbRows	   *locked;
	MemoryContext context;

	if (work->nids == 1)
	{
		(void) cb_run(work->call, CB_CONTACTS, CB_LOCK, NULL, nids, ids, false);
		return;
	}
	locked = cb_run(work->call, CB_CONTACTS, CB_LOCK_FREE, NULL, nids, ids, false);
	nids = remove_returned(nids, ids, locked);
	if (nids == 0)
		return;

	/* what cannot be locked is held or hidden; mostly nothing is held */
	context = AllocSetContextCreate(CurrentMemoryContext, "contact_block locks", ALLOCSET_DEFAULT_SIZES);
	note_not_locked(work, nids, ids, context);
	MemoryContextDelete(context);
}

/* Is this a retry, by the look of one of the contacts? */
static bool
looks_done(Work work)
{
	bool		is_done;

	work.nids = 1;
	is_done = explain(&work) == 0 && work.outcomes[0].code == 0;
	memset(work.outcomes, 0, sizeof(CbOutcome));
	return is_done;
}

/*
 * The same as try_change and explain, for what is mostly a retry: an UPDATE
 * that finds nothing to change costs as much as the look that tells why.
 * Returns as explain does.
 */
static int
try_again(const Work *work)
{
	CbSetAtWork none = {.change = work->change};

	if (explain(work) == 0)
	{
		/* who may change nothing hears so also where there is nothing to change */
		(void) update_set(work->call, &none);
		return 0;
	}
	try_change(work);
	/* it may have waited, and what was seen before is old then */
	for (int i = 0; i < work->nids; i++)
	{
		if (!work->outcomes[i].is_changed)
			work->outcomes[i] = (CbOutcome) {0};
	}
	return explain(work);
}

void
cb_change_contacts(const CbCall *call, const CbChange *change, int nids, const Datum *ids, CbOutcome *outcomes)
{
	int			next = 0;
	Work		work = {call, change, nids, ids, outcomes, &next};
	int			npossible;

	check_words(call, change);
	memset(outcomes, 0, nids * sizeof(CbOutcome));
	if (nids == 0)
		return;
	if (nids >= MANY && looks_done(work))
		npossible = try_again(&work);
	else
	{
		try_change(&work);
		npossible = explain(&work);
	}
	for (int tries = 1; npossible > 0; tries++)
	{
		if (tries == MAX_TRIES)
		{
			for (int i = 0; i < nids; i++)
			{
				if (!outcomes[i].is_known)
					outcomes[i].code = ERRCODE_INSUFFICIENT_PRIVILEGE;
			}
			return;
		}
		lock_possible(&work);
		try_change(&work);
		npossible = explain(&work);
	}
}

void
cb_raise_outcome(const CbCall *call, const CbOutcome *outcome, Datum id)
{
	if (outcome->code == ERRCODE_CONTACT_NOT_FOUND)
		contact_not_found(id);
	if (outcome->code == ERRCODE_CONTACT_CONFLICT)
		cb_conflict(psprintf("Contact \"%s\" is %s.", TextDatumGetCString(id),
							 status_text(call, outcome->row)), NULL);
	change_refused(id);
}
