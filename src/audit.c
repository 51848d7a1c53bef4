/*-------------------------------------------------------------------------
 *
 * audit.c
 *	  The audit trigger: it guards the state machine of a contact and stamps
 *	  who changed it and when.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/xact.h"
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
#include "relations.h"
#include "trigger.h"

/* Stamps are whole milliseconds, as the document shows them; in microseconds. */
#define STAMP_UNIT INT64CONST(1000)

/* The row that the trigger was fired for, as it will be. */
typedef struct AuditedRow
{
	Relation	rel;
	TupleDesc	desc;
	CbAuditedColumns *columns;
	Datum	   *values;
	bool	   *isnull;
	const TupleTableSlot *said; /* as the statement wants it */
	const TupleTableSlot *old;	/* as it was; NULL for an INSERT */
	const CbChange *ours;		/* the change of ours that the UPDATE is, or NULL */
	bool		stamps[CB_NEVENTS]; /* what happens to it */
} AuditedRow;

static CbAuditedColumns *
find_columns(FmgrInfo *flinfo, Relation rel, const Trigger *trigger)
{
	CbAuditedColumns *columns = (CbAuditedColumns *) flinfo->fn_extra;
	MemoryContext oldcontext;

	if (columns)
	{
		Assert(columns->relid == RelationGetRelid(rel));
		return columns;
	}
	oldcontext = MemoryContextSwitchTo(flinfo->fn_mcxt);
	columns = cb_look_up_columns(rel, trigger);
	MemoryContextSwitchTo(oldcontext);
	flinfo->fn_extra = columns;
	return columns;
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
 * The actor as a value of a column that is no text.  Raises 22023 when it is
 * none of the column's type.
 */
static Datum
actor_value(Form_pg_attribute attribute, Oid base_type, Datum actor)
{
	Datum		value;

	if (!cb_parse_id(base_type, actor, &value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the actor does not fit the column that it is stored in"),
				 errdetail("Column \"%s\" is of type %s, the actor is \"%s\".",
						   NameStr(attribute->attname), format_type_be(attribute->atttypid),
						   TextDatumGetCString(actor)),
				 errhint("Set contact_block.actor, or the claim in request.jwt.claims, to a value of this type.")));
	if (attribute->atttypid != base_type)
		domain_check(value, false, attribute->atttypid, NULL, NULL);
	return value;
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
	Oid			base_type;
	Oid			input;
	Oid			ioparam;

	if ((attribute->atttypid == type ||
		 (type == TIMESTAMPTZOID && attribute->atttypid == TIMESTAMPOID)) && attribute->atttypmod < 0)
		return value;
	base_type = getBaseType(attribute->atttypid);
	if (type == TEXTOID && cb_is_parsed(base_type))
		return actor_value(attribute, base_type, value);
	getTypeInputInfo(attribute->atttypid, &input, &ioparam);
	return OidInputFunctionCall(input,
								type == TEXTOID ? TextDatumGetCString(value) :
								time_string(DatumGetTimestampTz(value)),
								ioparam, attribute->atttypmod);
}

/*
 * Does the row differ from what it was, in what counts?  Generated columns
 * follow from the others, and are not computed yet.
 */
static bool
row_differs(const AuditedRow *row)
{
	for (int i = 0; i < row->desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(row->desc, i);

		if (attribute->attisdropped || attribute->attgenerated != '\0' ||
			bms_is_member(i, row->columns->ignored))
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
may_be_told(const AuditedRow *row)
{
	static const CbKind told[] = {CB_ID, CB_STATUS};
	Relation	rel = row->rel;
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
		const char *name = row->columns->names.columns[cb_contact_place(told[i])];

		if (pg_attribute_aclcheck(relid, get_attnum(relid, name), GetUserId(), ACL_SELECT) != ACLCHECK_OK)
			return false;
	}
	return true;
}

static char *
id_string(const AuditedRow *row)
{
	return cb_column_string(row->desc, row->columns->id, row->old->tts_values, row->old->tts_isnull);
}

/* Raise PT409 for a change of status that a plain statement must not make. */
static void
conflict(const AuditedRow *row, CbStatus old_status, CbStatus status, const char *hint)
{
	const char *id = id_string(row);

	cb_conflict(!may_be_told(row) ? NULL :
				psprintf("Contact \"%s\" is %s and cannot become %s.", id ? id : "null",
						 cb_status_name(old_status), cb_status_name(status)), hint);
}

/* Raise 23514 for a status that is none of the four, but leave null to NOT NULL. */
static void
unknown_status(const AuditedRow *row, const char *label)
{
	Form_pg_attribute attribute = TupleDescAttr(row->desc, row->columns->status);
	StringInfoData others;

	if (!label && attribute->attnotnull)
		return;
	initStringInfo(&others);
	for (int status = 0; status < CB_NSTATUSES; status++)
	{
		const char *other = row->columns->names.labels[status];

		if (cb_can_hold(getBaseType(attribute->atttypid), other))
			appendStringInfo(&others, "%s\"%s\"", others.len > 0 ? ", " : "", other);
	}
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("the contact's status is none that it can have"),
			 errdetail("It is \"%s\", and can be one of %s.", label ? label : "null", others.data),
			 errtablecol(row->rel, row->columns->status + 1)));
}

/*
 * A soft delete, or the restore of one, that leaves the status alone would be
 * lost without a word, since what it says of the audit is dropped.
 */
static void
refuse_soft_delete(const AuditedRow *row, CbStatus status)
{
	int			deleted_at = row->columns->at[CB_BECAME_DELETED];
	bool		was_null = row->old ? row->old->tts_isnull[deleted_at] : status != CB_DELETED;
	bool		is_null = row->said->tts_isnull[deleted_at];

	if (row->old ? was_null != is_null : was_null && !is_null)
		cb_conflict("The statement sets when the contact was deleted, or clears it, but leaves its status as it is.",
					"Set the status: when it was deleted follows from that. contact_delete() does it.");
}

/*
 * The reason belongs to a block: there is none in another status, an empty one
 * is none, and one that was there before is not the next blocker's.
 */
static void
clean_reason(AuditedRow *row, CbStatus old_status, CbStatus status)
{
	int			reason = row->columns->reason;
	Form_pg_attribute attribute = TupleDescAttr(row->desc, reason);

	if (row->isnull[reason] || status == CB_NO_STATUS)
		return;
	row->isnull[reason] = !cb_statuses[status].has_reason ||
		(row->columns->has_reason_text && toast_raw_datum_size(row->values[reason]) == VARHDRSZ) ||
		(old_status != CB_NO_STATUS && !cb_statuses[old_status].has_reason &&
		 !(row->ours && row->ours->has_reason) && !row->old->tts_isnull[reason] &&
		 datum_image_eq(row->old->tts_values[reason], row->values[reason], attribute->attbyval, attribute->attlen));
}

static void
guard_insert(AuditedRow *row, const char *label)
{
	CbStatus	status = cb_find_word(&row->columns->names, label);

	if (status == CB_NO_STATUS)
		unknown_status(row, label);
	refuse_soft_delete(row, status);
	clean_reason(row, CB_NO_STATUS, status);
	row->stamps[CB_CREATED] = true;
	row->stamps[CB_UPDATED] = row->columns->insert_is_update;
	if (status != CB_NO_STATUS)
		row->stamps[cb_statuses[status].event] = true;
}

static void
guard_update(AuditedRow *row, const char *label)
{
	int			place = row->columns->status;
	const char *old_label = cb_column_string(row->desc, place, row->old->tts_values, row->old->tts_isnull);
	CbStatus	old_status = cb_find_word(&row->columns->names, old_label);
	CbStatus	status = cb_find_word(&row->columns->names, label);
	bool		is_lifted = cb_lifts(old_status, status) && !row->ours;

	if (old_label && label ? strcmp(old_label, label) == 0 : old_label == label)
	{
		refuse_soft_delete(row, status);
		clean_reason(row, old_status, status);
		row->stamps[CB_UPDATED] = row_differs(row);
		return;
	}
	if (is_lifted && cb_plain_unblock == CB_PLAIN_UNBLOCK_KEEP)
	{
		/* what it wants with the status is dropped, but not a deletion */
		if (row->old->tts_isnull[row->columns->at[CB_BECAME_DELETED]])
			refuse_soft_delete(row, old_status);
		row->values[place] = row->old->tts_values[place];
		row->values[row->columns->reason] = row->old->tts_values[row->columns->reason];
		row->isnull[row->columns->reason] = row->old->tts_isnull[row->columns->reason];
		row->stamps[CB_UPDATED] = row_differs(row);
		return;
	}
	if (status == CB_NO_STATUS)
	{
		unknown_status(row, label);
		return;
	}
	if (old_status != CB_NO_STATUS && !(cb_statuses[status].follows & CB_IS(old_status)))
		conflict(row, old_status, status, NULL);
	if (is_lifted && cb_plain_unblock == CB_PLAIN_UNBLOCK_ERROR)
		conflict(row, old_status, status,
				 "Call contact_unblock(), or set contact_block.plain_unblock to keep, which leaves the contact Blocked, or allow.");
	clean_reason(row, old_status, status);
	row->stamps[CB_UPDATED] = row->stamps[cb_statuses[status].event] = true;
}

/*
 * Guard the state machine, and find out what happens to the row.  Raises PT409
 * and 23514.
 */
static void
guard(AuditedRow *row)
{
	const char *label = cb_column_string(row->desc, row->columns->status, row->values, row->isnull);

	if (row->old)
		guard_update(row, label);
	else
		guard_insert(row, label);
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
	const CbAuditedColumns *columns = row->columns;
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
	const CbAuditedColumns *columns = row->columns;
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

/*
 * Is the row one of those that a call of ours is changing just now?  Returns
 * which one of the set, or -1.
 */
static int
find_in_set(const AuditedRow *row, CbSetAtWork *set)
{
	if (!set || cb_trigger_depth() != set->trigger_depth + 1 ||
		!cb_is_of_table(row->rel, set->relid, &row->columns->root))
		return -1;
	if (row->old->tts_isnull[row->columns->id])
		return -1;
	return cb_find_id(set->nids, set->ids, cb_column_text(row->desc, row->columns->id, row->old->tts_values),
					  &set->next);
}

/*
 * Take the row as the statement wants it, but for the audit columns: what it
 * says of these is dropped.
 */
static void
take_row(AuditedRow *row)
{
	const TupleTableSlot *slot = row->said;
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
 * 23514 for one that is none, 22023 for an actor that does not fit, 55000 for
 * arguments that make no sense, 39P01 when it is called in another way, 42703
 * when a column is missing.
 */
Datum
contact_audit(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	AuditedRow	row = {0};
	CbSetAtWork *set = cb_set_at_work;
	int			which = -1;
	HeapTuple	tuple;
	TupleTableSlot *slot;
	HeapTuple	result;

	cb_check_protocol(fcinfo, "contact_audit", false);
	row.rel = trigdata->tg_relation;
	row.desc = RelationGetDescr(row.rel);
	row.columns = find_columns(fcinfo->flinfo, row.rel, trigdata->tg_trigger);
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
		which = find_in_set(&row, set);
		if (which >= 0)
			row.ours = set->change;
	}
	slot_getallattrs(slot);
	row.said = slot;
	take_row(&row);

	guard(&row);
	if (row.stamps[CB_CREATED] || row.stamps[CB_UPDATED])
		stamp(&row);
	if (row.ours)
		set->is_stamped[which] = true;

	result = heap_form_tuple(row.desc, row.values, row.isnull);
	/* it is the same row to whoever asks for its system columns */
	result->t_data->t_ctid = tuple->t_data->t_ctid;
	result->t_self = tuple->t_self;
	result->t_tableOid = tuple->t_tableOid;
	return PointerGetDatum(result);
}
