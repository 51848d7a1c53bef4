/*-------------------------------------------------------------------------
 *
 * history.c
 *	  The history: a row in contact_events for each event of a contact, its
 *	  creation, a change of its status or of a block's reason.
 *
 * The rows are written by a trigger, as the owner of contact_events, so that
 * nobody who changes a contact needs a right on them, or can write one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/queryenvironment.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "history.h"
#include "relations.h"
#include "trigger.h"

#define RELATION_NAME "contact_events"
#define TRIGGER_NAME "zzz_contact_record"

/* What the INSERT of many events calls them, in front of any relation of this name. */
#define PENDING_NAME "contact_block_pending"

/* The columns of contact_events; what the trigger writes has a parameter. */
typedef enum EventColumn
{
	EVENT_TXID,
	EVENT_SEQ,
	EVENT_CONTACT_ID,
	EVENT_AT,
	EVENT_BY,
	EVENT_OLD_STATUS,
	EVENT_STATUS,
	EVENT_REASON,
	N_EVENT_COLUMNS
} EventColumn;

static const struct
{
	const char *name;
	Oid			type;			/* InvalidOid: that of the contact's id */
	const char *constraint;		/* in CREATE TABLE */
	bool		is_nullable;
}			columns[N_EVENT_COLUMNS] = {
	[EVENT_TXID] = {"txid", XID8OID, "NOT NULL", false},
	[EVENT_SEQ] = {"seq", INT8OID, "GENERATED ALWAYS AS IDENTITY", false},
	[EVENT_CONTACT_ID] = {"contact_id", InvalidOid, "NOT NULL", false},
	[EVENT_AT] = {"at", TIMESTAMPTZOID, "NOT NULL", false},
	[EVENT_BY] = {"by", TEXTOID, "NOT NULL", false},
	[EVENT_OLD_STATUS] = {"old_status", TEXTOID, "", true},
	[EVENT_STATUS] = {"status", TEXTOID, "NOT NULL", false},
	[EVENT_REASON] = {"reason", TEXTOID, "", true}
};

/* The transaction and the number are not the trigger's to say. */
#define FIRST_WRITTEN EVENT_CONTACT_ID
#define N_WRITTEN (N_EVENT_COLUMNS - FIRST_WRITTEN)

/* What the trigger has to know, looked up once a statement and relation. */
typedef struct Recorder
{
	CbAuditedColumns *audited;
	Oid			events;			/* contact_events */
	Oid			owner;			/* its owner */
	bool		is_partitioned;
	bool		may_wait;		/* does nobody look at the events before the statement is over? */
	NameData	schema;
	Oid			id_type;
} Recorder;

/* The events of a set at work, to be written by one INSERT. */
struct CbEvents
{
	Recorder	recorder;		/* audited is gone with the UPDATE */
	TupleDesc	desc;
	Tuplestorestate *rows;
};

/* The kept plans of the INSERT, of one event and of many, and what their texts depend on. */
typedef struct Insert
{
	NameData	schema;
	Oid			id_type;
	SPIPlanPtr	plan;
	int			uses;
} Insert;

static Insert insert_one;
static Insert insert_many;

/* The type of a contact's id, of a domain its base: what the column here is. */
static Oid
id_type(Relation table, const CbNames *names)
{
	return cb_column_type(RelationGetRelid(table), names->columns[cb_contact_place(CB_ID)]);
}

/*
 * The table of contacts in this schema, InvalidOid if there is none.
 */
static Oid
contacts_table(Oid schema)
{
	return cb_contacts_table(get_relname_relid(cb_relations[CB_CONTACTS].name, schema));
}

/* The audit trigger of the table.  Raises 55000 when there is none. */
static const Trigger *
audit_trigger(Relation rel, Oid schema)
{
	const Trigger *trigger = cb_find_trigger(rel, cb_trigger_function(schema));

	if (!trigger)
		cb_not_set_up(psprintf("There is no audit trigger on %s.",
							   cb_qualified(RelationGetNamespace(rel), RelationGetRelationName(rel))),
					  psprintf("Run SELECT %s().", cb_qualified(schema, "contact_block_setup")));
	return trigger;
}

static Oid
relation_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/* Raise 42501: the owner of contact_events lacks a right, and what grants it. */
static void
owner_may_not(Oid owner, const char *what, const char *grant)
{
	const char *name = GetUserNameFromId(owner, false);

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to record the contact's history"),
			 errdetail("Role %s, the owner of " RELATION_NAME ", may not %s.", name, what),
			 errhint("%s TO %s;", grant, quote_identifier(name))));
}

/*
 * Raise 55000 unless contact_events is there, a table, and its owner that of
 * the contacts; 42501 when that may not insert into it.
 */
static void
check_events(Oid schema, Oid events, Oid table)
{
	char	   *name;
	char	   *setup;
	char		kind = OidIsValid(events) ? get_rel_relkind(events) : '\0';
	Oid			owner = OidIsValid(events) ? relation_owner(events) : InvalidOid;
	bool		is_missing = !OidIsValid(owner);

	/* mostly all is well, and this is part of every change */
	if ((kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE) && owner == relation_owner(table) &&
		object_aclcheck(NamespaceRelationId, schema, owner, ACL_USAGE) == ACLCHECK_OK &&
		pg_class_aclcheck_ext(events, owner, ACL_INSERT, &is_missing) == ACLCHECK_OK)
		return;
	name = cb_qualified(schema, RELATION_NAME);
	setup = psprintf("Run SELECT %s().", cb_qualified(schema, "contact_history_setup"));
	if (is_missing)
		cb_not_set_up(psprintf("Relation %s does not exist.", name), setup);
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		cb_not_set_up(psprintf("%s is not a table.", name),
					  psprintf("Rename %s or move it to another schema. %s", name, setup));
	if (owner != relation_owner(table))
		cb_not_set_up(psprintf("%s does not belong to the owner of the contacts.", name),
					  psprintf("ALTER TABLE %s OWNER TO %s;", name,
							   quote_identifier(GetUserNameFromId(relation_owner(table), false))));
	if (object_aclcheck(NamespaceRelationId, schema, owner, ACL_USAGE) != ACLCHECK_OK)
		owner_may_not(owner, "use its schema",
					  psprintf("GRANT USAGE ON SCHEMA %s", quote_identifier(get_namespace_name(schema))));
	owner_may_not(owner, "insert into it", psprintf("GRANT INSERT ON %s", name));
}

/*
 * Raise 55000 unless the relation is the table of contacts or a part of it: a
 * partition, a child, or a shard.  A partition that is being detached does not
 * tell of what; but whoever owns it, as any of these, could write what he likes.
 */
static void
check_contacts(Relation rel, Oid table)
{
	Oid			relid = RelationGetRelid(rel);
	char	   *name;
	Oid			owner = OidIsValid(table) ? relation_owner(table) : InvalidOid;
	List	   *ancestors = NIL;

	if (relid == table && rel->rd_rel->relowner == owner)
		return;
	name = cb_qualified(RelationGetNamespace(rel), RelationGetRelationName(rel));
	if (rel->rd_rel->relispartition)
		ancestors = get_partition_ancestors(relid);
	if (!OidIsValid(table) ||
		(relid != table && !list_member_oid(ancestors, table) &&
		 !(rel->rd_rel->relispartition && ancestors == NIL) &&
		 !list_member_oid(find_all_inheritors(table, NoLock, NULL), relid) &&
		 !cb_is_shard(rel, ancestors == NIL ? relid : llast_oid(ancestors), table)))
		cb_not_set_up(psprintf("%s is not the table of contacts of this extension.", name),
					  "Drop the trigger, unless it is a shard: that has the schema and the owner of contacts, which has no rows itself.");
	if (rel->rd_rel->relowner != owner)
		cb_not_set_up(psprintf("%s does not belong to the owner of the contacts.", name),
					  psprintf("ALTER TABLE %s OWNER TO %s;", name, quote_identifier(GetUserNameFromId(owner, false))));
}

/*
 * May events of our own UPDATEs wait for its end?  Not if another trigger, or
 * a rule, would look for them before.
 */
static bool
may_wait(Relation rel, Oid function)
{
	if (rel->rd_rules)
		return false;
	for (int i = 0; i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (TRIGGER_FOR_AFTER(trigger->tgtype) && !trigger->tgisinternal && trigger->tgfoid != function)
			return false;
	}
	return true;
}

static Recorder *
find_recorder(FmgrInfo *flinfo, Relation rel)
{
	Recorder   *recorder = (Recorder *) flinfo->fn_extra;
	MemoryContext oldcontext;
	Oid			schema;
	Oid			table;
	const Trigger *trigger;

	if (recorder)
		return recorder;
	schema = get_func_namespace(flinfo->fn_oid);
	table = contacts_table(schema);
	/* nobody makes history with a table of his own */
	check_contacts(rel, table);
	trigger = audit_trigger(rel, schema);

	oldcontext = MemoryContextSwitchTo(flinfo->fn_mcxt);
	recorder = (Recorder *) palloc0(sizeof(Recorder));
	recorder->audited = cb_look_up_columns(rel, trigger);
	if (!recorder->audited->is_time[CB_CREATED] || !recorder->audited->is_time[CB_UPDATED])
		cb_not_set_up("The times of contacts are not of a type that has times.",
					  psprintf("Run SELECT %s().", cb_qualified(schema, "contact_block_setup")));
	recorder->events = get_relname_relid(RELATION_NAME, schema);
	check_events(schema, recorder->events, table);
	recorder->owner = relation_owner(recorder->events);
	recorder->is_partitioned = get_rel_relkind(recorder->events) == RELKIND_PARTITIONED_TABLE;
	recorder->may_wait = may_wait(rel, flinfo->fn_oid);
	recorder->id_type = id_type(rel, &recorder->audited->names);
	namestrcpy(&recorder->schema, get_namespace_name(schema));
	MemoryContextSwitchTo(oldcontext);
	flinfo->fn_extra = recorder;
	return recorder;
}

/* The type of a column that the trigger writes. */
static Oid
written_type(const Recorder *recorder, int i)
{
	Oid			type = columns[FIRST_WRITTEN + i].type;

	return OidIsValid(type) ? type : recorder->id_type;
}

static char *
insert_text(const Recorder *recorder, bool is_many)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO %s (%s", quote_qualified_identifier(NameStr(recorder->schema), RELATION_NAME),
					 columns[EVENT_TXID].name);
	for (int i = FIRST_WRITTEN; i < N_EVENT_COLUMNS; i++)
		appendStringInfo(&sql, ", %s", columns[i].name);
	/* one row is VALUES: an engine plans no SELECT without a table */
	appendStringInfo(&sql, ") %spg_catalog.pg_current_xact_id()", is_many ? "SELECT " : "VALUES (");
	for (int i = 0; i < N_WRITTEN; i++)
	{
		if (is_many)
			appendStringInfo(&sql, ", %s", columns[FIRST_WRITTEN + i].name);
		else
			appendStringInfo(&sql, ", $%d", i + 1);
	}
	appendStringInfoString(&sql, is_many ? " FROM " PENDING_NAME : ")");
	return sql.data;
}

/* The plan of an INSERT, made and kept when it is not there. */
static SPIPlanPtr
get_plan(const Recorder *recorder, Insert *insert)
{
	bool		is_many = insert == &insert_many;
	Oid			types[N_WRITTEN];

	if (insert->plan && insert->id_type == recorder->id_type &&
		strcmp(NameStr(insert->schema), NameStr(recorder->schema)) == 0)
		return insert->plan;

	for (int i = 0; i < N_WRITTEN; i++)
		types[i] = written_type(recorder, i);
	/* one that an outer call is running stays until the session ends */
	if (insert->plan && insert->uses == 0)
		SPI_freeplan(insert->plan);
	insert->plan = NULL;
	insert->plan = SPI_prepare_cursor(insert_text(recorder, is_many), is_many ? 0 : N_WRITTEN, types,
									  CURSOR_OPT_GENERIC_PLAN);
	if (!insert->plan)
		elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));
	if (SPI_keepplan(insert->plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	insert->schema = recorder->schema;
	insert->id_type = recorder->id_type;
	return insert->plan;
}

/*
 * Run an INSERT.  That no partition takes the row is no fault of whoever
 * changed the contact.
 */
static void
run_insert(const Recorder *recorder, Insert *insert, Datum *values, const char *nulls)
{
	SPIPlanPtr	plan = get_plan(recorder, insert);
	MemoryContext oldcontext = CurrentMemoryContext;
	int			rc;

	insert->uses++;
	PG_TRY();
	{
		rc = SPI_execute_plan(plan, values, nulls, false, 0);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		insert->uses--;
		MemoryContextSwitchTo(oldcontext);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_CHECK_VIOLATION || !error->table_name || error->column_name ||
			error->constraint_name || !recorder->is_partitioned)
			PG_RE_THROW();
		FlushErrorState();
		error->sqlerrcode = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
		error->hint = psprintf("CREATE TABLE ... PARTITION OF %s for the time of now, or a default partition.",
							   quote_qualified_identifier(NameStr(recorder->schema), RELATION_NAME));
		ReThrowError(error);
	}
	PG_END_TRY();
	insert->uses--;
	if (rc != SPI_OK_INSERT)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(rc));
}

/*
 * Write an event, or those that are pending, as the owner of contact_events.
 */
static void
write_events(const Recorder *recorder, EphemeralNamedRelation pending, Datum *values, const char *nulls)
{
	Oid			user;
	int			security_context;

	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(recorder->owner, security_context | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	if (pending && SPI_register_relation(pending) != SPI_OK_REL_REGISTER)
		elog(ERROR, "SPI_register_relation failed");
	CommandCounterIncrement();
	run_insert(recorder, pending ? &insert_many : &insert_one, values, nulls);
	SPI_finish();
	SetUserIdAndSecContext(user, security_context);
}

/* The events of a set, none yet. */
static struct CbEvents *
make_events(const Recorder *recorder)
{
	struct CbEvents *events = (struct CbEvents *) palloc(sizeof(struct CbEvents));
	List	   *names = NIL;
	List	   *types = NIL;
	List	   *modifiers = NIL;
	List	   *collations = NIL;

	for (int i = 0; i < N_WRITTEN; i++)
	{
		names = lappend(names, makeString(unconstify(char *, columns[FIRST_WRITTEN + i].name)));
		types = lappend_oid(types, written_type(recorder, i));
		modifiers = lappend_int(modifiers, -1);
		collations = lappend_oid(collations, get_typcollation(written_type(recorder, i)));
	}
	events->recorder = *recorder;
	events->desc = BuildDescFromLists(names, types, modifiers, collations);
	events->rows = tuplestore_begin_heap(false, false, work_mem);
	return events;
}

/* Keep an event of a set at work for the end of its UPDATE. */
static void
keep_event(const Recorder *recorder, CbSetAtWork *set, Datum *values, const char *nulls)
{
	bool		isnull[N_WRITTEN];

	if (!set->events)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(set->context);

		set->events = make_events(recorder);
		MemoryContextSwitchTo(oldcontext);
	}
	for (int i = 0; i < N_WRITTEN; i++)
		isnull[i] = nulls[i] == 'n';
	tuplestore_putvalues(set->events->rows, set->events->desc, values, isnull);
}

/*
 * An INSERT for each row costs more than the rest of its change: the events of
 * many contacts in one call are written by one, where nobody can tell.
 */
static void
record(const Recorder *recorder, Relation rel, Datum *values, const char *nulls)
{
	CbSetAtWork *set = cb_set_at_work;
	CommandId	command = GetCurrentCommandId(false);

	if (set && set->trigger_depth + 1 != cb_trigger_depth())
		set = NULL;
	if (set && set->nids > 1 && recorder->may_wait && RelationGetRelid(rel) == set->relid)
	{
		keep_event(recorder, set, values, nulls);
		return;
	}
	write_events(recorder, NULL, values, nulls);
	/* a call of ours wants to know whether anything else has written */
	if (set)
		set->own_commands += Min(GetCurrentCommandId(false) - command, 2);
}

void
cb_write_events(CbSetAtWork *set)
{
	struct CbEvents *events = set->events;
	EphemeralNamedRelationData pending;
	CommandId	command;

	if (!events)
		return;
	pending = (EphemeralNamedRelationData) {
		.md = {
			.name = PENDING_NAME,
			.tupdesc = events->desc,
			.enrtype = ENR_NAMED_TUPLESTORE,
			.enrtuples = tuplestore_tuple_count(events->rows)
		},
		.reldata = events->rows
	};
	CommandCounterIncrement();
	command = GetCurrentCommandId(false);
	write_events(&events->recorder, &pending, NULL, NULL);
	set->own_commands += Min(GetCurrentCommandId(false) - command, 1);
	tuplestore_end(events->rows);
	set->events = NULL;
}

/* A status in the contract's word, or what stands there. */
static Datum
status_word(const CbNames *names, const char *word)
{
	CbStatus	status = cb_find_word(names, word);

	return CStringGetTextDatum(status == CB_NO_STATUS ? word : cb_status_name(status));
}

/*
 * Is it an event: a row that is new, a status that has changed, or the reason
 * of a block?
 */
static bool
is_event(const Recorder *recorder, TupleDesc desc, const TupleTableSlot *old, const TupleTableSlot *new,
		 const char *old_word, const char *word)
{
	int			reason = recorder->audited->reason;
	Form_pg_attribute attribute = TupleDescAttr(desc, reason);

	if (!old || !old_word || !word || strcmp(old_word, word) != 0)
		return true;
	if (cb_find_word(&recorder->audited->names, word) != CB_BLOCKED)
		return false;
	if (old->tts_isnull[reason] || new->tts_isnull[reason])
		return old->tts_isnull[reason] != new->tts_isnull[reason];
	return !datum_image_eq(old->tts_values[reason], new->tts_values[reason], attribute->attbyval, attribute->attlen);
}

PG_FUNCTION_INFO_V1(contact_record);

/*
 * AFTER INSERT OR UPDATE FOR EACH ROW trigger on contacts.  Writes the event
 * that it was, if it was one.  Raises 39P01 when it is called in another way,
 * 55000 when it is not on the contacts of this extension, or contact_events is
 * not as it has to be, 42501 when its owner may not write to it.
 */
Datum
contact_record(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	const Recorder *recorder;
	const CbAuditedColumns *audited;
	TupleDesc	desc;
	TupleTableSlot *old = NULL;
	TupleTableSlot *new;
	const char *old_word = NULL;
	const char *word;
	CbEvent		stamp;
	Datum		values[N_WRITTEN] = {0};
	char		nulls[N_WRITTEN + 1] = "      ";

	cb_check_protocol(fcinfo, "contact_record", true);
	recorder = find_recorder(fcinfo->flinfo, trigdata->tg_relation);
	audited = recorder->audited;
	desc = RelationGetDescr(trigdata->tg_relation);
	new = trigdata->tg_trigslot;
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		old = trigdata->tg_trigslot;
		new = trigdata->tg_newslot;
		slot_getallattrs(old);
		old_word = cb_column_string(desc, audited->status, old->tts_values, old->tts_isnull);
	}
	slot_getallattrs(new);
	word = cb_column_string(desc, audited->status, new->tts_values, new->tts_isnull);
	if ((old && !old_word && !word) || !is_event(recorder, desc, old, new, old_word, word))
		return PointerGetDatum(NULL);

	stamp = old ? CB_UPDATED : CB_CREATED;
#define WRITE(column, value, isnull) \
	(nulls[(column) - FIRST_WRITTEN] = (isnull) ? 'n' : ' ', \
	 values[(column) - FIRST_WRITTEN] = (isnull) ? (Datum) 0 : (value))
	WRITE(EVENT_CONTACT_ID, new->tts_values[audited->id], new->tts_isnull[audited->id]);
	WRITE(EVENT_AT, new->tts_values[audited->at[stamp]], new->tts_isnull[audited->at[stamp]]);
	WRITE(EVENT_BY, cb_column_text(desc, audited->by[stamp], new->tts_values), new->tts_isnull[audited->by[stamp]]);
	WRITE(EVENT_OLD_STATUS, status_word(&audited->names, old_word), !old_word);
	WRITE(EVENT_STATUS, status_word(&audited->names, word), !word);
	WRITE(EVENT_REASON, cb_column_text(desc, audited->reason, new->tts_values), new->tts_isnull[audited->reason]);
#undef WRITE
	record(recorder, trigdata->tg_relation, values, nulls);
	return PointerGetDatum(NULL);
}

/* Run DDL. */
static void
execute(const char *sql)
{
	if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(SPI_result));
}

/*
 * Make contact_events, with the type that the contact's id has, for the owner
 * of the contacts, whose superuser the caller may be.
 */
static void
create_events(Oid schema, Oid table, const CbNames *names)
{
	Relation	rel = relation_open(table, NoLock);
	char	   *name = cb_qualified(schema, RELATION_NAME);
	Oid			type = id_type(rel, names);
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TABLE %s (", name);
	for (int i = 0; i < N_EVENT_COLUMNS; i++)
	{
		Oid			column_type = OidIsValid(columns[i].type) ? columns[i].type : type;

		if (column_type == VARCHAROID)
			column_type = TEXTOID;
		appendStringInfo(&sql, "%s %s%s %s, ", columns[i].name, format_type_be(column_type),
						 i == EVENT_CONTACT_ID && column_type == TEXTOID ? " COLLATE \"C\"" : "",
						 columns[i].constraint);
	}
	appendStringInfo(&sql, "PRIMARY KEY (%s, %s))", columns[EVENT_TXID].name, columns[EVENT_SEQ].name);
	execute(sql.data);
	execute(psprintf("CREATE INDEX ON %s (%s, %s)", name, columns[EVENT_CONTACT_ID].name, columns[EVENT_AT].name));
	if (rel->rd_rel->relowner != GetUserId())
		execute(psprintf("ALTER TABLE %s OWNER TO %s", name,
						 quote_identifier(GetUserNameFromId(rel->rd_rel->relowner, false))));
	relation_close(rel, NoLock);
}

/*
 * Look at a contact_events that is there: its columns, and that nothing else
 * in it has to be given.  Raises 55000.
 */
static void
check_columns(Oid schema, Oid events, Oid table, const CbNames *names)
{
	Relation	rel = relation_open(events, AccessShareLock);
	Relation	contacts = relation_open(table, NoLock);
	TupleDesc	desc = RelationGetDescr(rel);
	char	   *name = cb_qualified(schema, RELATION_NAME);
	StringInfoData detail;

	initStringInfo(&detail);
	for (int i = 0; i < N_EVENT_COLUMNS; i++)
	{
		AttrNumber	number = get_attnum(events, columns[i].name);
		Oid			wanted = OidIsValid(columns[i].type) ? columns[i].type : id_type(contacts, names);
		Oid			type = cb_column_type(events, columns[i].name);

		if (number == InvalidAttrNumber)
			appendStringInfo(&detail, "%s lacks %s. ", name, columns[i].name);
		else if (type != wanted && !((type == TEXTOID || type == VARCHAROID) && (wanted == TEXTOID || wanted == VARCHAROID)))
			appendStringInfo(&detail, "%s.%s is of type %s, not %s. ", name, columns[i].name,
							 format_type_be(type), format_type_be(wanted));
		else if (i != EVENT_SEQ && (TupleDescAttr(desc, number - 1)->attgenerated != '\0' ||
									TupleDescAttr(desc, number - 1)->attidentity == ATTRIBUTE_IDENTITY_ALWAYS))
			appendStringInfo(&detail, "%s.%s is generated, but has to be written. ", name, columns[i].name);
		else if (i == EVENT_SEQ && !TupleDescAttr(desc, number - 1)->atthasdef &&
				 TupleDescAttr(desc, number - 1)->attidentity == '\0')
			appendStringInfo(&detail, "%s.%s has no default that numbers the rows. ", name, columns[i].name);
		else if (columns[i].is_nullable && TupleDescAttr(desc, number - 1)->attnotnull)
			appendStringInfo(&detail, "%s.%s must not be null, but has to be at times. ", name, columns[i].name);
	}
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		bool		is_written = false;

		for (int j = 0; j < N_EVENT_COLUMNS; j++)
			is_written |= namestrcmp(&attribute->attname, columns[j].name) == 0;
		if (!attribute->attisdropped && !is_written && attribute->attnotnull && !attribute->atthasdef &&
			attribute->attidentity == '\0')
			appendStringInfo(&detail, "%s.%s must not be null, but has no default. ", name, NameStr(attribute->attname));
	}
	if (rel->rd_rel->relpersistence != contacts->rd_rel->relpersistence)
		appendStringInfo(&detail, "%s is %s after a crash, but the contacts are %s. ", name,
						 rel->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT ? "there" : "empty",
						 rel->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT ? "gone" : "there");
	relation_close(contacts, NoLock);
	relation_close(rel, NoLock);
	if (detail.len > 0)
		cb_not_set_up(pnstrdup(detail.data, detail.len - 1),
					  psprintf("Change %s, or rename it and run SELECT %s().", name,
							   cb_qualified(schema, "contact_history_setup")));
}

/* Put the trigger on a table, unless it is there.  Raises 55000 when it is but does not fire. */
static void
put_trigger(Relation rel, Oid schema)
{
	char	   *table = cb_qualified(RelationGetNamespace(rel), RelationGetRelationName(rel));
	const Trigger *trigger = cb_find_trigger(rel, cb_function(schema, "contact_record"));

	if (!trigger)
		execute(psprintf("CREATE TRIGGER " TRIGGER_NAME " AFTER INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION %s()",
						 table, cb_qualified(schema, "contact_record")));
	else if (!TRIGGER_FOR_ROW(trigger->tgtype) || !TRIGGER_FOR_AFTER(trigger->tgtype) ||
			 !TRIGGER_FOR_INSERT(trigger->tgtype) || !TRIGGER_FOR_UPDATE(trigger->tgtype) ||
			 trigger->tgnattr != 0 || trigger->tgqual != NULL)
		cb_not_set_up(psprintf("Trigger %s on %s is of another shape than AFTER INSERT OR UPDATE FOR EACH ROW, without columns and condition.",
							   quote_identifier(trigger->tgname), table),
					  psprintf("DROP TRIGGER %s ON %s; SELECT %s();", quote_identifier(trigger->tgname), table,
							   cb_qualified(schema, "contact_history_setup")));
	else if (trigger->tgenabled == TRIGGER_DISABLED || trigger->tgenabled == TRIGGER_FIRES_ON_REPLICA)
		cb_not_set_up(psprintf("Trigger %s on %s does not fire.", quote_identifier(trigger->tgname), table),
					  psprintf("ALTER TABLE %s ENABLE TRIGGER %s;", table, quote_identifier(trigger->tgname)));
}

PG_FUNCTION_INFO_V1(contact_history_setup);

/*
 * Make contact_events, unless it is there, and put the trigger on contacts.
 * Raises 55000 when contacts are not set up or contact_events does not fit,
 * 42501 when it is somebody else's.
 *
 * It is declared with a safe search_path, under which its DDL runs.
 */
Datum
contact_history_setup(PG_FUNCTION_ARGS)
{
	char	   *schema_name;
	Oid			schema;
	Oid			table;
	Oid			events;
	Relation	rel;
	CbNames		names;
	ListCell   *lc;

	/* one at a time, and the extension stays */
	LockDatabaseObject(ProcedureRelationId, fcinfo->flinfo->fn_oid, 0,
					   ShareUpdateExclusiveLock);
	schema = cb_get_schema(fcinfo, &schema_name);
	table = contacts_table(schema);
	if (!OidIsValid(table))
		cb_not_set_up(psprintf("There are no contacts in schema \"%s\".", schema_name),
					  psprintf("Run SELECT %s().", cb_qualified(schema, "contact_block_setup")));
	if (!object_ownercheck(RelationRelationId, table, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(table)), get_rel_name(table));
	rel = relation_open(table, ShareRowExclusiveLock);
	cb_read_arguments(audit_trigger(rel, schema), &names);

	SPI_connect();
	events = get_relname_relid(RELATION_NAME, schema);
	if (OidIsValid(events))
	{
		check_events(schema, events, table);
		check_columns(schema, events, table, &names);
	}
	else
	{
		create_events(schema, table, &names);
		events = get_relname_relid(RELATION_NAME, schema);
		check_events(schema, events, table);
	}
	/* partitions get the trigger of the whole, children need one of their own */
	foreach(lc, find_all_inheritors(table, ShareRowExclusiveLock, NULL))
	{
		Relation	part = relation_open(lfirst_oid(lc), NoLock);

		check_contacts(part, table);
		if (!part->rd_rel->relispartition || RelationGetRelid(part) == table)
			put_trigger(part, schema);
		relation_close(part, NoLock);
	}
	relation_close(rel, NoLock);
	SPI_finish();

	PG_RETURN_VOID();
}
