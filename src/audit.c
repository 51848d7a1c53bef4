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
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "actor.h"
#include "change.h"
#include "lifecycle.h"
#include "model.h"

/* Stamps are whole milliseconds, as the document shows them; in microseconds. */
#define STAMP_UNIT INT64CONST(1000)

/*
 * Where the columns are that the trigger deals with.  Partitions differ from
 * their parent, so this is looked up for the relation at hand, once a
 * statement: the executor has an FmgrInfo of its own for each relation, and
 * the lock that it holds keeps the columns where they are.  Counted from 0.
 */
typedef struct ContactColumns
{
	Oid			relid;			/* of what relation this tells */
	Oid			part_of;		/* the contacts that it is known to be a part of */
	int			id;
	int			status;
	int			reason;
	int			at[CB_NEVENTS];
	int			by[CB_NEVENTS];
	bool		is_time[CB_NEVENTS];	/* is "at" of a type that has times? */
} ContactColumns;

/* The row that the trigger was fired for, as it will be. */
typedef struct AuditedRow
{
	Relation	rel;
	TupleDesc	desc;
	ContactColumns *columns;
	Datum	   *values;
	bool	   *isnull;
	const TupleTableSlot *old;	/* as it was; NULL for an INSERT */
	bool		stamps[CB_NEVENTS]; /* what happens to it */
} AuditedRow;

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
	const CbRelationInfo *contacts = &cb_relations[CB_CONTACTS];
	const CbObject *events = &cb_objects[CB_CONTACT_AUDIT];
	int			next = 0;

	if (columns)
	{
		Assert(columns->relid == RelationGetRelid(rel));
		return columns;
	}

	columns = (ContactColumns *)
		MemoryContextAlloc(flinfo->fn_mcxt, sizeof(ContactColumns));
	columns->relid = RelationGetRelid(rel);
	columns->part_of = InvalidOid;
	columns->id = find_column(rel, contacts->columns[cb_contact_place(CB_ID)].name, &next);
	columns->status = find_column(rel, contacts->columns[cb_contact_place(CB_STATUS)].name, &next);
	columns->reason = find_column(rel, contacts->columns[cb_contact_place(CB_REASON)].name, &next);
	for (int event = 0; event < CB_NEVENTS; event++)
	{
		const CbColumn *at = &contacts->columns[events->properties[event].place];
		Oid			type;

		columns->at[event] = find_column(rel, at[0].name, &next);
		columns->by[event] = find_column(rel, at[1].name, &next);
		type = TupleDescAttr(RelationGetDescr(rel), columns->at[event])->atttypid;
		if (type != TIMESTAMPTZOID)
			type = getBaseType(type);
		columns->is_time[event] = type == TIMESTAMPTZOID || type == TIMESTAMPOID;
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

/* A time as a string, which a timestamp without time zone reads as UTC, too. */
static char *
time_string(TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		microseconds;
	char		string[MAXDATELEN + 1];

	if (timestamp2tm(time, NULL, &tm, &microseconds, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	tm.tm_isdst = 0;
	EncodeDateTime(&tm, microseconds, true, 0, NULL, USE_ISO_DATES, string);
	return pstrdup(string);
}

/*
 * The value to store in a column, from a timestamptz or text, which the column
 * should have for a type.  For a user's own type (varchar(40), timestamp(0), a
 * domain) it goes through its input function, so that the type's own checks
 * and precision apply.  A timestamp without time zone is in UTC.
 */
static Datum
column_value(TupleDesc desc, int column, Oid type, Datum value)
{
	Form_pg_attribute attribute = TupleDescAttr(desc, column);
	Oid			input;
	Oid			ioparam;

	if ((attribute->atttypid == type ||
		 (type == TIMESTAMPTZOID && attribute->atttypid == TIMESTAMPOID)) && attribute->atttypmod < 0)
		return value;
	getTypeInputInfo(attribute->atttypid, &input, &ioparam);
	return OidInputFunctionCall(input,
								type == TEXTOID ? TextDatumGetCString(value) :
								time_string(DatumGetTimestampTz(value)),
								ioparam, attribute->atttypmod);
}

/*
 * Does the row differ from what it was?  Generated columns follow from the
 * others, and are not computed yet.
 */
static bool
row_differs(const AuditedRow *row)
{
	for (int i = 0; i < row->desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(row->desc, i);

		if (attribute->attisdropped || attribute->attgenerated != '\0')
			continue;
		if (row->old->tts_isnull[i] != row->isnull[i])
			return true;
		if (row->isnull[i])
			continue;
		/* the same pointer to a TOAST value is the same value, unread */
		if (!datumIsEqual(row->old->tts_values[i], row->values[i],
						  attribute->attbyval, attribute->attlen) &&
			!datum_image_eq(row->old->tts_values[i], row->values[i],
							attribute->attbyval, attribute->attlen))
			return true;
	}
	return false;
}

/*
 * May the caller read id and status of the contact at hand?  Whoever may
 * update it need not see it.  As in PostgreSQL's own errors about a row, row
 * security counts as a no.
 */
static bool
may_be_told(Relation rel)
{
	static const CbKind told[] = {CB_ID, CB_STATUS};
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
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return true;
	for (size_t i = 0; i < lengthof(told); i++)
	{
		const char *name = cb_relations[CB_CONTACTS].columns[cb_contact_place(told[i])].name;

		if (pg_attribute_aclcheck(relid, get_attnum(relid, name), GetUserId(), ACL_SELECT) != ACLCHECK_OK)
			return false;
	}
	return true;
}

/* Raise PT409 for a change of status that is none of the lifecycle's. */
static void
conflict(const AuditedRow *row, const char *old_status, const char *status)
{
	cb_conflict(column_string(row->desc, row->columns->id, row->old->tts_values, row->old->tts_isnull),
				!may_be_told(row->rel) ? NULL : old_status ? old_status : "null",
				status ? status : "null");
}

/*
 * Guard the state machine, and find out what happens to the row.  Raises PT409.
 */
static void
guard(AuditedRow *row)
{
	const ContactColumns *columns = row->columns;
	const char *name = column_string(row->desc, columns->status, row->values, row->isnull);
	const char *old_name;
	CbStatus	status = cb_find_status(name);

	if (!row->old)
	{
		row->stamps[CB_CREATED] = true;
		if (status != CB_NO_STATUS)
			row->stamps[cb_statuses[status].event] = true;
		return;
	}

	old_name = column_string(row->desc, columns->status, row->old->tts_values, row->old->tts_isnull);
	if (old_name && name ? strcmp(old_name, name) == 0 : old_name == name)
	{
		row->stamps[CB_UPDATED] = row_differs(row);
		return;
	}
	if (status == CB_NO_STATUS || !(cb_statuses[status].follows & CB_IS(cb_find_status(old_name))))
		conflict(row, old_name, name);
	if (!cb_statuses[status].keeps_reason)
		row->isnull[columns->reason] = true;
	row->stamps[CB_UPDATED] = row->stamps[cb_statuses[status].event] = true;
}

/*
 * When this change happens: now, in whole milliseconds, but after all that has
 * happened to the row, also where the clock has been set back.  A row to
 * update is locked by now: a later change reads the clock later.  Raises 22008
 * when no time is left.
 */
static TimestampTz
stamp_time(const AuditedRow *row)
{
	const ContactColumns *columns = row->columns;
	TimestampTz now = GetCurrentTimestamp();

	now -= now % STAMP_UNIT;
	for (int event = 0; event < CB_NEVENTS; event++)
	{
		int			at = columns->at[event];
		TimestampTz stamp;

		if (row->isnull[at] || !columns->is_time[event])
			continue;
		stamp = DatumGetTimestampTz(row->values[at]);
		if (TIMESTAMP_NOT_FINITE(stamp) || stamp < now)
			continue;
		stamp += STAMP_UNIT - stamp % STAMP_UNIT;
		if (!IS_VALID_TIMESTAMP(stamp))
			ereport(ERROR,
					(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
					 errmsg("no time is left after the contact's last change"),
					 errdetail("It is in column \"%s\".",
							   NameStr(TupleDescAttr(row->desc, at)->attname))));
		now = stamp;
	}
	return now;
}

static void
stamp(AuditedRow *row)
{
	const ContactColumns *columns = row->columns;
	Datum		at = TimestampTzGetDatum(stamp_time(row));
	Datum		by = CStringGetTextDatum(cb_actor());

	for (int event = 0; event < CB_NEVENTS; event++)
	{
		if (!row->stamps[event])
			continue;
		row->values[columns->at[event]] = column_value(row->desc, columns->at[event], TIMESTAMPTZOID, at);
		row->values[columns->by[event]] = column_value(row->desc, columns->by[event], TEXTOID, by);
		row->isnull[columns->at[event]] = row->isnull[columns->by[event]] = false;
	}
}

static int
compare_ids(const void *a, const void *b)
{
	return cb_compare(*(const Datum *) a, *(const Datum *) b);
}

/*
 * Is the relation contacts or a part of it: a partition, a child, or on a
 * distributed engine a shard, a table beside it with a number behind the name?
 */
static bool
is_of_contacts(const CbSetAtWork *set, Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	List	   *ancestors;
	const char *contacts;
	const char *name;
	size_t		length;

	if (relid == set->relid)
		return true;
	ancestors = get_partition_ancestors(relid);
	if (ancestors != NIL)
		relid = llast_oid(ancestors);
	else if (rel->rd_rel->relispartition)
		return true;			/* while it is being detached it does not tell of what */
	if (list_member_oid(ancestors, set->relid))
		return true;

	if (get_rel_namespace(relid) != set->schema)
		return false;
	/* a view may be over any table */
	if (get_rel_relkind(set->relid) == RELKIND_VIEW)
		return true;
	contacts = get_rel_name(set->relid);
	name = get_rel_name(relid);
	if (!contacts || !name)
		return false;
	length = strlen(contacts);
	return strncmp(name, contacts, length) == 0 && name[length] == '_' && name[length + 1] != '\0' &&
		strspn(name + length + 1, "0123456789") == strlen(name + length + 1);
}

/*
 * Which of the set's ids is the row's?  NULL if none is.  It goes by the bytes,
 * unless it is char(n) or has a collation that takes different ids for one.
 */
static const Datum *
find_id(const CbSetAtWork *set, const AuditedRow *row)
{
	Form_pg_attribute attribute = TupleDescAttr(row->desc, row->columns->id);
	char	   *id = column_string(row->desc, row->columns->id, row->old->tts_values, row->old->tts_isnull);
	Datum		key;
	const Datum *found;

	if (!id)
		return NULL;
	if (attribute->atttypid != TEXTOID && getBaseType(attribute->atttypid) == BPCHAROID)
		id[bpchartruelen(id, strlen(id))] = '\0';
	key = CStringGetTextDatum(id);
	found = (const Datum *) bsearch(&key, set->ids, set->nids, sizeof(Datum), compare_ids);
	if (found || !OidIsValid(attribute->attcollation) || get_collation_isdeterministic(attribute->attcollation))
		return found;
	for (int i = 0; i < set->nids; i++)
	{
		if (DatumGetBool(DirectFunctionCall2Coll(texteq, attribute->attcollation, key, set->ids[i])))
			return &set->ids[i];
	}
	return NULL;
}

/*
 * If the row is one of those that a call of ours is changing, let it know that
 * it was stamped.
 */
static void
mark_stamped(const AuditedRow *row)
{
	CbSetAtWork *set = cb_set_at_work;
	const Datum *found;

	if (!set || DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)) != set->trigger_depth + 1)
		return;
	if (row->columns->part_of != set->relid)
	{
		if (!is_of_contacts(set, row->rel))
			return;
		row->columns->part_of = set->relid;
	}
	found = find_id(set, row);
	if (found)
		set->is_stamped[found - set->ids] = true;
}

/*
 * Check that the trigger is one that this function is for.  Raises 39P01.
 */
static void
check_protocol(FunctionCallInfo fcinfo)
{
	TriggerEvent event;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager",
						"contact_audit")));
	event = ((TriggerData *) fcinfo->context)->tg_event;
	if (!TRIGGER_FIRED_BEFORE(event) || !TRIGGER_FIRED_FOR_ROW(event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired BEFORE ROW",
						"contact_audit")));
	if (!TRIGGER_FIRED_BY_INSERT(event) && !TRIGGER_FIRED_BY_UPDATE(event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired for INSERT or UPDATE",
						"contact_audit")));
}

/*
 * Take the row as the statement wants it, but for the audit columns: what it
 * says of these is dropped.
 */
static void
take_row(AuditedRow *row, const TupleTableSlot *slot)
{
	int			natts = row->desc->natts;

	row->values = (Datum *) palloc(natts * sizeof(Datum));
	row->isnull = (bool *) palloc(natts * sizeof(bool));
	memcpy(row->values, slot->tts_values, natts * sizeof(Datum));
	memcpy(row->isnull, slot->tts_isnull, natts * sizeof(bool));
	for (int event = 0; event < CB_NEVENTS; event++)
	{
		int			at = row->columns->at[event];
		int			by = row->columns->by[event];

		row->isnull[at] = row->old ? row->old->tts_isnull[at] : true;
		row->isnull[by] = row->old ? row->old->tts_isnull[by] : true;
		row->values[at] = row->old ? row->old->tts_values[at] : (Datum) 0;
		row->values[by] = row->old ? row->old->tts_values[by] : (Datum) 0;
	}
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
	AuditedRow	row = {0};
	HeapTuple	tuple;
	TupleTableSlot *slot;
	HeapTuple	result;

	check_protocol(fcinfo);
	row.rel = trigdata->tg_relation;
	row.desc = RelationGetDescr(row.rel);
	row.columns = find_columns(fcinfo->flinfo, row.rel);
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
	{
		tuple = trigdata->tg_trigtuple;
		slot = trigdata->tg_trigslot;
	}
	else
	{
		tuple = trigdata->tg_newtuple;
		slot = trigdata->tg_newslot;
		slot_getallattrs(trigdata->tg_trigslot);
		row.old = trigdata->tg_trigslot;
	}
	slot_getallattrs(slot);
	take_row(&row, slot);

	guard(&row);
	if (row.stamps[CB_CREATED] || row.stamps[CB_UPDATED])
		stamp(&row);
	if (row.old)
		mark_stamped(&row);

	result = heap_form_tuple(row.desc, row.values, row.isnull);
	/* it is the same row to whoever asks for its system columns */
	result->t_data->t_ctid = tuple->t_data->t_ctid;
	result->t_self = tuple->t_self;
	result->t_tableOid = tuple->t_tableOid;
	return PointerGetDatum(result);
}
