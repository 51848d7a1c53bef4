/*-------------------------------------------------------------------------
 *
 * statements.c
 *	  Every SQL text of the calls, and its kept plan.
 *
 * A statement names one relation, with its schema, casts every column that it
 * returns, and never writes relation.column, which PostgreSQL would take for a
 * function of the search_path where that column is missing.  So neither a
 * search_path nor a changed relation can turn it into something else.
 *
 * PostgreSQL plans a kept plan anew when something that it depends on has
 * changed; what the text itself depends on is the key under which it is kept.
 * At most MAX_PLANS are, those that were used last.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/ilist.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "tcop/dest.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rls.h"

#include "compat.h"
#include "statements.h"

#define EQUALS "OPERATOR(pg_catalog.=)"

/* One takes some 40 kB, and a call takes seven of them. */
#define MAX_PLANS 128

typedef struct PlanEntry
{
	dlist_node	node;

	/* what the text depends on */
	uint64		generation;		/* of the schema */
	CbRelation	relation;
	CbAction	action;
	CbStatus	to;
	Bitmapset  *hidden;			/* columns of the relation */

	int			nplaces;
	int		   *places;			/* of the columns that it returns */
	SPIPlanPtr	plan;
	int			planned;		/* which generic plan is ours; 0: none yet */
	int			uses;			/* how many calls are running it */
} PlanEntry;

/* The one that was used last comes first. */
static dlist_head plans = DLIST_STATIC_INIT(plans);
static int	nplans = 0;

/* Puts rows where a statement's caller wants them, without a table of tuples between. */
typedef struct Receiver
{
	DestReceiver pub;			/* must be first */
	MemoryContext context;
	int			width;			/* how many columns a row has, returned or not */
	const int  *places;
	CbRows	   *rows;
} Receiver;

/* Is the first parameter of the statement an array of keys? */
static bool
takes_many(CbAction action)
{
	return action != CB_READ && action != CB_READ_LINKS && action != CB_LOCK &&
		action != CB_CHANGE && action != CB_CHANGE_WITH_REASON;
}

static bool
is_change(CbAction action)
{
	return action >= CB_CHANGE;
}

/* Is the second parameter of the statement a reason? */
static bool
takes_reason(CbAction action)
{
	return action == CB_CHANGE_WITH_REASON || action == CB_CHANGE_MANY_WITH_REASON;
}

static const char *
column_name(CbRelation relation, int place)
{
	return cb_relations[relation].columns[place].name;
}

static bool
is_hidden(CbRelation relation, int place, const Bitmapset *hidden)
{
	return bms_is_member(cb_relations[relation].first + place, hidden);
}

/* Does a statement of this kind return the column? */
static bool
is_returned(CbRelation relation, CbAction action, int place)
{
	switch (action)
	{
		case CB_READ_LINKS:
			return place > 0;
		case CB_READ_ACTORS:
			return bms_is_member(cb_relations[relation].first + place, cb_objects[CB_ACTOR].columns);
		case CB_READ_STATES:
			return place == 0 || place == cb_contact_place(CB_STATUS) || place == cb_contact_place(CB_REASON);
		case CB_LOCK:
		case CB_LOCK_FREE:
		case CB_LOCK_NOWAIT:
			return place == 0;
		case CB_CHANGE_MANY:
		case CB_CHANGE_MANY_WITH_REASON:
			return place == 0 || place == cb_contact_place(CB_STATUS);
		default:
			return true;
	}
}

/*
 * Append the columns that a statement returns, and note which they are: not
 * those that are hidden, or that a newer version has added.
 */
static void
append_columns(StringInfo sql, const CbSchema *schema, PlanEntry *entry)
{
	const CbRelationInfo *relation = &cb_relations[entry->relation];

	entry->nplaces = 0;
	entry->places = (int *) palloc(relation->ncolumns * sizeof(int));
	for (int place = 0; place < relation->ncolumns; place++)
	{
		const CbColumn *column = &relation->columns[place];
		Oid			type = schema->types[relation->first + place];

		if (!is_returned(entry->relation, entry->action, place) ||
			is_hidden(entry->relation, place, entry->hidden) || (column->newer && !OidIsValid(type)))
			continue;
		appendStringInfo(sql, type == TIMESTAMPOID ? "%spg_catalog.timezone('UTC', %s)::pg_catalog.%s" :
						 "%s%s::pg_catalog.%s",
						 entry->nplaces > 0 ? ", " : "", column->name, column->read_as);
		entry->places[entry->nplaces++] = place;
	}
}

/* The word of the contacts' table for a status, as a literal of whatever type the column has. */
static char *
status_literal(const CbSchema *schema, CbStatus status)
{
	return quote_literal_cstr(NameStr(schema->labels[status]));
}

/*
 * Append a comparison of a contact's status with one of the lifecycle.  It is
 * by text where the column is of an enum: a domain over one has no operators.
 */
static void
append_is_status(StringInfo sql, const CbSchema *schema, CbStatus status)
{
	int			place = cb_contact_place(CB_STATUS);
	Oid			type = schema->types[cb_relations[CB_CONTACTS].first + place];

	appendStringInfo(sql, "%s%s " EQUALS " %s", column_name(CB_CONTACTS, place),
					 type_is_enum(type) ? "::pg_catalog.text" : "", status_literal(schema, status));
}

/* Append an UPDATE of a contact's status, for the statuses that its verb starts from. */
static void
append_change(StringInfo sql, const CbSchema *schema, const char *name, const PlanEntry *entry)
{
	int			reason_place = cb_contact_place(CB_REASON);
	const char *status = column_name(CB_CONTACTS, cb_contact_place(CB_STATUS));
	const char *reason = column_name(CB_CONTACTS, reason_place);
	const char *separator = " AND (";

	appendStringInfo(sql, "UPDATE %s SET %s = %s", name, status, status_literal(schema, entry->to));
	if (takes_reason(entry->action))
		appendStringInfo(sql, ", %s = $2", reason);
	appendStringInfo(sql, " WHERE %s " EQUALS " %s", column_name(CB_CONTACTS, 0),
					 takes_many(entry->action) ? "ANY ($1)" : "$1");
	for (int from = 0; from < CB_NSTATUSES; from++)
	{
		if (!(cb_statuses[entry->to].verb_starts_from & CB_IS(from)))
			continue;
		appendStringInfoString(sql, separator);
		append_is_status(sql, schema, from);
		separator = " OR ";
	}
	if (takes_reason(entry->action))
	{
		/* the same status with another reason; one that may not be read counts as another */
		appendStringInfoString(sql, separator);
		append_is_status(sql, schema, entry->to);
		if (!is_hidden(CB_CONTACTS, reason_place, entry->hidden))
			appendStringInfo(sql, " AND (%s IS NULL OR %s::pg_catalog.text COLLATE pg_catalog.\"C\""
							 " OPERATOR(pg_catalog.<>) $2)", reason, reason);
	}
	appendStringInfoString(sql, ") RETURNING ");
}

static char *
statement_text(const CbSchema *schema, PlanEntry *entry)
{
	char	   *name = quote_qualified_identifier(NameStr(schema->name), cb_relations[entry->relation].name);
	StringInfoData sql;

	initStringInfo(&sql);
	if (is_change(entry->action))
	{
		append_change(&sql, schema, name, entry);
		append_columns(&sql, schema, entry);
		return sql.data;
	}
	appendStringInfoString(&sql, "SELECT ");
	append_columns(&sql, schema, entry);
	appendStringInfo(&sql, " FROM %s WHERE %s " EQUALS " %s", name, column_name(entry->relation, 0),
					 takes_many(entry->action) ? "ANY ($1)" : "$1");
	if (entry->action == CB_LOCK || entry->action == CB_LOCK_FREE || entry->action == CB_LOCK_NOWAIT)
		appendStringInfo(&sql, " FOR NO KEY UPDATE%s", entry->action == CB_LOCK_FREE ? " SKIP LOCKED" :
						 entry->action == CB_LOCK_NOWAIT ? " NOWAIT" : "");
	return sql.data;
}

static void
free_plan(PlanEntry *entry)
{
	dlist_delete(&entry->node);
	nplans--;
	SPI_freeplan(entry->plan);
	bms_free(entry->hidden);
	pfree(entry->places);
	pfree(entry);
}

/* Make room for one more plan, if there is one that nobody is running. */
static void
free_oldest_plan(void)
{
	dlist_iter	iter;

	dlist_reverse_foreach(iter, &plans)
	{
		PlanEntry  *entry = dlist_container(PlanEntry, node, iter.cur);

		if (entry->uses == 0)
		{
			free_plan(entry);
			return;
		}
	}
}

/*
 * The type of a statement's keys as they are passed: that of the column, so
 * that its index serves, or text, which others compare themselves with.
 */
static Oid
key_parameter_type(const CbSchema *schema, CbRelation relation)
{
	Oid			type = cb_key_type(schema, relation);

	return cb_is_parsed(type) ? type : TEXTOID;
}

/* Prepare the statement of this key, and keep it. */
static PlanEntry *
prepare(const CbSchema *schema, PlanEntry *key)
{
	MemoryContext oldcontext;
	Oid			key_type = key_parameter_type(schema, key->relation);
	Oid			types[] = {takes_many(key->action) ? get_array_type(key_type) : key_type, TEXTOID};
	PlanEntry  *entry;
	SPIPlanPtr	plan;

	if (nplans >= MAX_PLANS)
		free_oldest_plan();
	plan = SPI_prepare_cursor(statement_text(schema, key),
							  takes_reason(key->action) ? 2 : 1, types,
							  CURSOR_OPT_GENERIC_PLAN);
	if (!plan)
		elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));

	oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	entry = (PlanEntry *) palloc(sizeof(PlanEntry));
	*entry = *key;
	entry->hidden = bms_copy(key->hidden);
	entry->places = (int *) memcpy(palloc(Max(key->nplaces, 1) * sizeof(int)),
								   key->places, key->nplaces * sizeof(int));
	entry->plan = plan;
	MemoryContextSwitchTo(oldcontext);
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	dlist_push_head(&plans, &entry->node);
	nplans++;
	return entry;
}

/*
 * Is the plan that PostgreSQL would run now one that we planned?  Not if it is
 * about to plan anew, and not if it has done so by itself, between our asking
 * and the run: then it had its own mind about scans.
 */
static bool
is_planned(const PlanEntry *entry)
{
	const CachedPlanSource *source = (CachedPlanSource *) linitial(SPI_plan_get_plan_sources(entry->plan));
	const CachedPlan *plan = source->gplan;

	return source->is_valid && plan && plan->is_valid && plan->generation == entry->planned &&
		SearchPathMatchesCurrentEnvironment(source->search_path) &&
		!(source->dependsOnRLS && (source->rewriteRoleId != GetUserId() ||
								   source->rewriteRowSecurity != row_security)) &&
		!(plan->dependsOnRole && plan->planRoleId != GetUserId()) &&
		!TransactionIdIsValid(plan->saved_xmin);
}

/*
 * Plan a statement that goes by key.  The planner would read a small table
 * whole, which takes twice as long as the index; where there is no index it
 * still does, without taking its high cost for a reason to compile the plan.
 */
static void
plan_by_key(PlanEntry *entry)
{
	static const char *const off[] = {"enable_seqscan", "enable_bitmapscan", "jit"};
	int			nest_level = NewGUCNestLevel();
	CachedPlan *plan = NULL;

	for (size_t i = 0; i < lengthof(off); i++)
		(void) set_config_option(off[i], "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	/* a function that the planner runs may call us, too */
	entry->uses++;
	PG_TRY();
	{
		plan = SPI_plan_get_cached_plan(entry->plan);
	}
	PG_FINALLY();
	{
		entry->uses--;
	}
	PG_END_TRY();
	if (!plan)
		elog(ERROR, "SPI_plan_get_cached_plan failed");
	entry->planned = plan->generation;
	ReleaseCachedPlan(plan, CurrentResourceOwner);
	AtEOXact_GUC(true, nest_level);
}

/*
 * The plan of a statement for this call, made and kept when it is not there.
 *
 * Plans are generic: for a key nothing can be gained by planning for its
 * value, and "= ANY" would be planned at every call.  (The user's
 * plan_cache_mode = force_custom_plan is heeded all the same, at that price.)
 */
static PlanEntry *
get_plan(const CbCall *call, CbRelation relation, CbAction action, CbStatus to)
{
	PlanEntry	key = {
		.generation = call->schema->generation,
		.relation = relation,
		.action = action,
		.to = to
	};
	PlanEntry  *entry = NULL;
	dlist_iter	iter;

	if (call->hidden)
	{
		Bitmapset  *columns = bms_add_range(NULL, cb_relations[relation].first,
											cb_relations[relation].first + cb_relations[relation].ncolumns - 1);

		key.hidden = bms_int_members(columns, call->hidden);
	}
	dlist_foreach(iter, &plans)
	{
		PlanEntry  *candidate = dlist_container(PlanEntry, node, iter.cur);

		if (candidate->relation == key.relation && candidate->action == key.action &&
			candidate->to == key.to && candidate->generation == key.generation &&
			bms_equal(candidate->hidden, key.hidden))
		{
			entry = candidate;
			break;
		}
	}

	if (entry && is_planned(entry))
	{
		dlist_move_head(&plans, &entry->node);
		return entry;
	}
	if (entry && entry->uses > 0)
		return entry;
	if (entry)
		free_plan(entry);
	entry = prepare(call->schema, &key);
	plan_by_key(entry);
	return entry;
}

/* The size of what a value points to, which is never a C string. */
static inline Size
value_size(Datum value, Form_pg_attribute attribute)
{
	return attribute->attlen == -1 ? VARSIZE_ANY(DatumGetPointer(value)) : (Size) attribute->attlen;
}

/*
 * Copy a row to where its caller wants it, in one piece of memory: its values
 * and whether they are null, and behind these what the values point to.
 */
static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	Receiver   *receiver = (Receiver *) self;
	CbRows	   *rows = receiver->rows;
	MemoryContext oldcontext = MemoryContextSwitchTo(receiver->context);
	TupleDesc	desc = slot->tts_tupleDescriptor;
	int			ncolumns = receiver->width;
	Size		size = ncolumns * sizeof(Datum) + MAXALIGN(ncolumns * sizeof(bool));
	Datum	   *values;
	bool	   *isnull;
	char	   *end;

	slot_getallattrs(slot);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (slot->tts_isnull[i] || attribute->attbyval)
			continue;
		if (attribute->attlen == -1)
			slot->tts_values[i] = PointerGetDatum(PG_DETOAST_DATUM_PACKED(slot->tts_values[i]));
		size += MAXALIGN(value_size(slot->tts_values[i], attribute));
	}
	values = (Datum *) palloc(size);
	isnull = (bool *) (values + ncolumns);
	end = (char *) isnull + MAXALIGN(ncolumns * sizeof(bool));
	memset(isnull, true, ncolumns * sizeof(bool));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		int			place = receiver->places[i];
		Size		length;

		Assert(place < ncolumns);
		if (slot->tts_isnull[i])
			continue;
		isnull[place] = false;
		values[place] = slot->tts_values[i];
		if (attribute->attbyval)
			continue;
		length = value_size(values[place], attribute);
		values[place] = PointerGetDatum(memcpy(end, DatumGetPointer(values[place]), length));
		end += MAXALIGN(length);
	}

	if (rows->count == rows->size)
	{
		rows->size = Max(2 * rows->size, 8);
		rows->rows = rows->rows ?
			(CbRow *) repalloc_huge(rows->rows, rows->size * sizeof(CbRow)) :
			(CbRow *) palloc(rows->size * sizeof(CbRow));
	}
	rows->rows[rows->count++] = (CbRow) {values, isnull};
	MemoryContextSwitchTo(oldcontext);
	return true;
}

static void
start_rows(DestReceiver *self pg_attribute_unused(), int operation pg_attribute_unused(),
		   TupleDesc desc pg_attribute_unused())
{
}

static void
end_rows(DestReceiver *self pg_attribute_unused())
{
}

/*
 * What is looked up by a row's key next must not be null.  Only a trigger, a
 * rule or a view of the user's can bring that about.
 */
static void
check_keys(const CbRows *rows)
{
	for (int i = 0; i < rows->count; i++)
	{
		if (rows->rows[i].isnull[0])
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("a row of relation \"%s\" has no %s",
							cb_relations[rows->relation].name, column_name(rows->relation, 0))));
	}
}

static void
execute(PlanEntry *entry, const SPIExecuteOptions *options)
{
	int			rc = 0;

	entry->uses++;
	PG_TRY();
	{
		rc = SPI_execute_plan_extended(entry->plan, options);
	}
	PG_FINALLY();
	{
		entry->uses--;
	}
	PG_END_TRY();
	if (rc < 0)
		elog(ERROR, "SPI_execute_plan_extended failed: %s", SPI_result_code_string(rc));
}

/*
 * Turn keys, which are text, into a statement's first parameter.  Returns
 * false when none of them is a value of the column's type: nothing has it.
 */
static bool
key_parameter(const CbSchema *schema, CbRelation relation, CbAction action,
			  int nkeys, const Datum *keys, ParamExternData *parameter)
{
	Oid			type = key_parameter_type(schema, relation);
	Datum	   *values = (Datum *) palloc(nkeys * sizeof(Datum));
	int			nvalues = 0;
	int16		length;
	bool		byval;
	char		align;

	for (int i = 0; i < nkeys; i++)
	{
		if (cb_parse_id(type, keys[i], &values[nvalues]))
			nvalues++;
	}
	if (nvalues == 0 && nkeys > 0)
		return false;
	*parameter = (ParamExternData) {
		nvalues > 0 ? values[0] : (Datum) 0, false, PARAM_FLAG_CONST, type
	};
	if (takes_many(action))
	{
		get_typlenbyvalalign(type, &length, &byval, &align);
		parameter->value = PointerGetDatum(construct_array(values, nvalues, type, length, byval, align));
		parameter->ptype = get_array_type(type);
	}
	return true;
}

CbRows *
cb_run(const CbCall *call, CbRelation relation, CbAction action, const CbChange *change,
	   int nkeys, const Datum *keys, bool read_only)
{
	ParamListInfo params = makeParamList(takes_reason(action) ? 2 : 1);
	CbRows	   *rows = (CbRows *) palloc0(sizeof(CbRows));
	Receiver	receiver = {
		.pub = {
			.receiveSlot = receive_row,
			.rStartup = start_rows,
			.rShutdown = end_rows,
			.rDestroy = end_rows,
			.mydest = DestTuplestore
		},
		.context = CurrentMemoryContext,
		.rows = rows
	};
	SPIExecuteOptions options = {
		.params = params,
		.read_only = read_only,
		.dest = (DestReceiver *) &receiver
	};
	PlanEntry  *entry;

	rows->relation = relation;
	if (!key_parameter(call->schema, relation, action, nkeys, keys, &params->params[0]))
		return rows;
	if (takes_reason(action))
		params->params[1] = (ParamExternData) {
		change->reason, false, PARAM_FLAG_CONST, TEXTOID
	};

	entry = get_plan(call, relation, action, change ? change->to : CB_NO_STATUS);
	receiver.places = entry->places;
	/* of many contacts only what tells their state is kept */
	receiver.width = relation == CB_CONTACTS && takes_many(action) && action != CB_READ_MANY ?
		cb_contact_place(CB_REASON) + 1 : cb_relations[relation].ncolumns;
	execute(entry, &options);
	if (action != CB_READ_LINKS)
		check_keys(rows);
	return rows;
}

void
cb_prepare_all(const CbCall *call)
{
	for (int relation = 0; relation < CB_NRELATIONS; relation++)
	{
		if (cb_relations[relation].columns[0].kind == CB_LINK)
			(void) get_plan(call, relation, CB_READ_LINKS, CB_NO_STATUS);
		else
			(void) get_plan(call, relation, CB_READ_MANY, CB_NO_STATUS);
	}
	(void) get_plan(call, cb_objects[CB_ACTOR].relation, CB_READ_ACTORS, CB_NO_STATUS);
	(void) get_plan(call, CB_CONTACTS, CB_READ, CB_NO_STATUS);
	for (int action = CB_READ_STATES; action <= CB_LOCK_NOWAIT; action++)
		(void) get_plan(call, CB_CONTACTS, action, CB_NO_STATUS);
	(void) get_plan(call, CB_CONTACTS, CB_CHANGE_WITH_REASON, CB_BLOCKED);
	(void) get_plan(call, CB_CONTACTS, CB_CHANGE_MANY_WITH_REASON, CB_BLOCKED);
	for (int status = 0; status < CB_NSTATUSES; status++)
	{
		if (cb_statuses[status].verb_starts_from && NameStr(call->schema->labels[status])[0] != '\0')
		{
			(void) get_plan(call, CB_CONTACTS, CB_CHANGE, status);
			(void) get_plan(call, CB_CONTACTS, CB_CHANGE_MANY, status);
		}
	}
}

int
cb_compare(Datum a, Datum b)
{
	const void *x = DatumGetPointer(a);
	const void *y = DatumGetPointer(b);
	int			x_length = VARSIZE_ANY_EXHDR(x);
	int			y_length = VARSIZE_ANY_EXHDR(y);
	int			result;

	Assert(!VARATT_IS_EXTERNAL(x) && !VARATT_IS_COMPRESSED(x));
	Assert(!VARATT_IS_EXTERNAL(y) && !VARATT_IS_COMPRESSED(y));
	result = memcmp(VARDATA_ANY(x), VARDATA_ANY(y), Min(x_length, y_length));
	return result != 0 ? result : x_length - y_length;
}
