/*-------------------------------------------------------------------------
 *
 * audit.c
 *	  The audit trigger: it guards the state machine of a contact and stamps
 *	  who changed it and when.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/timestamp.h"

#include "contact_block.h"

/* What can happen to a contact; each has a column for when and one for who. */
typedef enum AuditEvent
{
	CREATED,
	UPDATED,
	ACTIVATED,
	BLOCKED,
	DELETED
} AuditEvent;

#define N_EVENTS (DELETED + 1)

static const char *const at_columns[N_EVENTS] = {
	"created_at", "updated_at", "activated_at", "blocked_at", "deleted_at"
};
static const char *const by_columns[N_EVENTS] = {
	"created_by", "updated_by", "activated_by", "blocked_by", "deleted_by"
};

/*
 * The state machine: what becoming each status is called, and from which
 * statuses it may be reached.  New is only ever a first status.
 */
typedef struct Transition
{
	const char *to;
	AuditEvent	event;
	const char *from[2];
} Transition;

static const Transition transitions[] = {
	{"Active", ACTIVATED, {"New", "Blocked"}},
	{"Blocked", BLOCKED, {"Active", NULL}},
	{"Deleted", DELETED, {"Active", "Blocked"}}
};

/*
 * Where the columns are that the trigger deals with.  Partitions differ from
 * their parent, so this is looked up for the relation at hand, once a
 * statement: the executor has an FmgrInfo of its own for each relation, and
 * the lock that it holds keeps the columns where they are.  Counted from 0.
 */
typedef struct ContactColumns
{
	Oid			relid;			/* of what relation this tells */
	int			id;
	int			status;
	int			reason;
	int			at[N_EVENTS];
	int			by[N_EVENTS];
} ContactColumns;

/*
 * How often the trigger has done its work in this session, on whatever
 * relation.  It only grows; a caller looks at what it grew by.
 */
uint64		cb_audit_count = 0;

/*
 * The place of a column.  The search starts at *next, and leaves there the
 * place behind: columns mostly follow each other as they are asked for.
 */
static int
find_column(Relation rel, const char *name, int *next)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		int			place = (*next + i) % desc->natts;
		Form_pg_attribute attribute = TupleDescAttr(desc, place);

		if (!attribute->attisdropped && namestrcmp(&attribute->attname, name) == 0)
		{
			*next = place + 1;
			return place;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of relation \"%s\" does not exist",
					name, RelationGetRelationName(rel)),
			 errhint("contact_block_setup() lists the columns that are missing.")));
}

static ContactColumns *
find_columns(FmgrInfo *flinfo, Relation rel)
{
	ContactColumns *columns = (ContactColumns *) flinfo->fn_extra;
	int			next = 0;

	if (columns)
	{
		Assert(columns->relid == RelationGetRelid(rel));
		return columns;
	}

	columns = (ContactColumns *)
		MemoryContextAlloc(flinfo->fn_mcxt, sizeof(ContactColumns));
	columns->relid = RelationGetRelid(rel);
	columns->id = find_column(rel, "id", &next);
	columns->status = find_column(rel, "status", &next);
	columns->reason = find_column(rel, "blocked_reason", &next);
	for (int event = 0; event < N_EVENTS; event++)
	{
		columns->at[event] = find_column(rel, at_columns[event], &next);
		columns->by[event] = find_column(rel, by_columns[event], &next);
	}

	flinfo->fn_extra = columns;
	return columns;
}

/* A column's value as a string, whatever its type is by now; NULL for null. */
static char *
column_string(TupleDesc desc, int column, const Datum *values, const bool *isnull)
{
	Oid			type = TupleDescAttr(desc, column)->atttypid;
	Oid			output;
	bool		is_varlena;

	if (isnull[column])
		return NULL;
	if (type == TEXTOID)
		return TextDatumGetCString(values[column]);
	getTypeOutputInfo(type, &output, &is_varlena);
	return OidOutputFunctionCall(output, values[column]);
}

/*
 * The value to store in a column, from a timestamptz or text, which the column
 * should have for a type.  For a user's own type (varchar(40), timestamp(0), a
 * domain) it goes through its input function, so that the type's own checks
 * and precision apply.
 */
static Datum
column_value(TupleDesc desc, int column, Oid type, Datum value)
{
	Form_pg_attribute attribute = TupleDescAttr(desc, column);
	char	   *string;
	Oid			input;
	Oid			ioparam;

	if (attribute->atttypid == type && attribute->atttypmod < 0)
		return value;
	/* ISO, with the offset from UTC, which all types but timestamp heed */
	string = type == TEXTOID ? TextDatumGetCString(value) :
		pstrdup(timestamptz_to_str(DatumGetTimestampTz(value)));
	getTypeInputInfo(attribute->atttypid, &input, &ioparam);
	return OidInputFunctionCall(input, string, ioparam, attribute->atttypmod);
}

/*
 * Do two versions of a row differ?  Generated columns follow from the others,
 * and are not computed yet.
 */
static bool
row_differs(TupleDesc desc, const Datum *old_values, const bool *old_isnull,
			const Datum *values, const bool *isnull)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped || attribute->attgenerated != '\0')
			continue;
		if (old_isnull[i] != isnull[i])
			return true;
		if (isnull[i])
			continue;
		/* the same pointer to a TOAST value is the same value, unread */
		if (!datumIsEqual(old_values[i], values[i],
						  attribute->attbyval, attribute->attlen) &&
			!datum_image_eq(old_values[i], values[i],
							attribute->attbyval, attribute->attlen))
			return true;
	}
	return false;
}

static const Transition *
find_transition(const char *to)
{
	for (size_t i = 0; to && i < lengthof(transitions); i++)
	{
		if (strcmp(transitions[i].to, to) == 0)
			return &transitions[i];
	}
	return NULL;
}

static bool
allows(const Transition *transition, const char *from)
{
	for (size_t i = 0; from && i < lengthof(transition->from); i++)
	{
		if (transition->from[i] && strcmp(transition->from[i], from) == 0)
			return true;
	}
	return false;
}

/*
 * Raise PT409.  Gateways put its message into the HTTP status line, so it is
 * constant; what it is about goes into the detail.  Without a status there is
 * no detail; without a new one the detail does without it.
 */
void
cb_conflict(const char *id, const char *status, const char *new_status)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONTACT_CONFLICT),
			 errmsg("the contact's status does not allow this"),
			 !status ? 0 :
			 new_status ?
			 errdetail("Contact \"%s\" is %s and cannot become %s.",
					   id ? id : "null", status, new_status) :
			 errdetail("Contact \"%s\" is %s.",
					   id ? id : "null", status)));
}

/*
 * May the caller read id and status of the contact at hand?  Whoever may
 * update it need not see it.  As in PostgreSQL's own errors about a row, row
 * security counts as a no.
 */
static bool
may_be_told(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	List	   *ancestors = NIL;

	/*
	 * Rights are those to the table that is named in the statement.  A
	 * partition that is being detached has no ancestors any more.
	 */
	if (rel->rd_rel->relispartition)
		ancestors = get_partition_ancestors(relid);
	if (ancestors != NIL)
		relid = llast_oid(ancestors);
	if (check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		return false;
	return pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		(pg_attribute_aclcheck(relid, get_attnum(relid, "id"), GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		 pg_attribute_aclcheck(relid, get_attnum(relid, "status"), GetUserId(), ACL_SELECT) == ACLCHECK_OK);
}

PG_FUNCTION_INFO_V1(contact_audit);

/*
 * BEFORE INSERT OR UPDATE FOR EACH ROW trigger on contacts.  Returns the row
 * with its audit columns as they have to be; what the statement says about
 * them is ignored.  Raises PT409 for a status that cannot follow the old one,
 * 39P01 when it is called in another way, 42703 when a column is missing.
 */
Datum
contact_audit(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	ContactColumns *columns;
	HeapTuple	newtuple;
	TupleTableSlot *newslot;
	TupleTableSlot *oldslot = NULL;
	HeapTuple	result;
	Datum	   *values;
	bool	   *isnull;
	char	   *status;
	const Transition *transition;
	bool		stamps[N_EVENTS] = {0};

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager",
						"contact_audit")));
	if (!TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired BEFORE ROW",
						"contact_audit")));
	if (!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) &&
		!TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired for INSERT or UPDATE",
						"contact_audit")));

	desc = RelationGetDescr(trigdata->tg_relation);
	columns = find_columns(fcinfo->flinfo, trigdata->tg_relation);
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
	{
		newtuple = trigdata->tg_trigtuple;
		newslot = trigdata->tg_trigslot;
	}
	else
	{
		newtuple = trigdata->tg_newtuple;
		newslot = trigdata->tg_newslot;
		oldslot = trigdata->tg_trigslot;
		slot_getallattrs(oldslot);
	}

	/* the row as it will be; what the statement says of the audit is dropped */
	slot_getallattrs(newslot);
	values = (Datum *) palloc(desc->natts * sizeof(Datum));
	isnull = (bool *) palloc(desc->natts * sizeof(bool));
	memcpy(values, newslot->tts_values, desc->natts * sizeof(Datum));
	memcpy(isnull, newslot->tts_isnull, desc->natts * sizeof(bool));
	for (int event = 0; event < N_EVENTS; event++)
	{
		int			at = columns->at[event];
		int			by = columns->by[event];

		isnull[at] = oldslot ? oldslot->tts_isnull[at] : true;
		isnull[by] = oldslot ? oldslot->tts_isnull[by] : true;
		values[at] = oldslot ? oldslot->tts_values[at] : (Datum) 0;
		values[by] = oldslot ? oldslot->tts_values[by] : (Datum) 0;
	}

	status = column_string(desc, columns->status, values, isnull);
	transition = find_transition(status);
	if (!oldslot)
		stamps[CREATED] = true;
	else
	{
		char	   *old_status = column_string(desc, columns->status,
											   oldslot->tts_values, oldslot->tts_isnull);

		if (old_status && status ? strcmp(old_status, status) != 0 :
			old_status != status)
		{
			if (!transition || !allows(transition, old_status))
				cb_conflict(column_string(desc, columns->id,
										  oldslot->tts_values, oldslot->tts_isnull),
							!may_be_told(trigdata->tg_relation) ? NULL :
							old_status ? old_status : "null",
							status ? status : "null");
			if (transition->event == ACTIVATED)
				isnull[columns->reason] = true;
			stamps[UPDATED] = true;
		}
		else
		{
			transition = NULL;
			stamps[UPDATED] = row_differs(desc, oldslot->tts_values, oldslot->tts_isnull,
										  values, isnull);
		}
	}
	if (transition)
		stamps[transition->event] = true;

	if (stamps[CREATED] || stamps[UPDATED])
	{
		/* a row to update is locked by now: a later change reads the clock later */
		Datum		at = TimestampTzGetDatum(GetCurrentTimestamp());
		Datum		by = CStringGetTextDatum(cb_actor());

		for (int event = 0; event < N_EVENTS; event++)
		{
			if (!stamps[event])
				continue;
			values[columns->at[event]] = column_value(desc, columns->at[event],
													  TIMESTAMPTZOID, at);
			values[columns->by[event]] = column_value(desc, columns->by[event],
													  TEXTOID, by);
			isnull[columns->at[event]] = isnull[columns->by[event]] = false;
		}
	}

	result = heap_form_tuple(desc, values, isnull);
	/* it is the same row to whoever asks for its system columns */
	result->t_data->t_ctid = newtuple->t_data->t_ctid;
	result->t_self = newtuple->t_self;
	result->t_tableOid = newtuple->t_tableOid;
	cb_audit_count++;
	return PointerGetDatum(result);
}
