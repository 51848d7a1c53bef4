/*-------------------------------------------------------------------------
 *
 * trigger.c
 *	  The audit trigger as it stands on a table: what its arguments say, and
 *	  whether it fires.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/partition.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "trigger.h"

char *
cb_qualified(Oid schema, const char *name)
{
	return quote_qualified_identifier(get_namespace_name(schema), name);
}

void
cb_not_set_up(const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("contact_block is not set up"),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint)));
}

bool
cb_is_audited(const CbColumn *column)
{
	return column->kind == CB_ID || column->kind == CB_STATUS ||
		column->kind == CB_REASON || column->kind == CB_EVENT;
}

/* Raise 55000 for an argument of the audit trigger, and say what there can be. */
pg_noreturn static void
bad_argument(const Trigger *trigger, const char *argument, const char *what)
{
	StringInfoData allowed;

	initStringInfo(&allowed);
	for (int place = 0; place < cb_relations[CB_CONTACTS].ncolumns; place++)
	{
		if (cb_is_audited(&cb_relations[CB_CONTACTS].columns[place]))
			appendStringInfo(&allowed, "%s, ", cb_relations[CB_CONTACTS].columns[place].name);
	}
	for (int status = 0; status < CB_NSTATUSES; status++)
		appendStringInfo(&allowed, "%s, ", cb_statuses[status].name);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("an argument of the audit trigger is not valid"),
			 errdetail("Argument \"%s\" of trigger \"%s\" %s.", argument, trigger->tgname, what),
			 errhint("An argument is a name, \"=\" and what the table calls it. The names are %sand ignore.",
					 allowed.data)));
}

/* The name that an argument is about: where it is in names, NULL if it is none. */
static const char **
find_name(CbNames *names, const char *name)
{
	const CbRelationInfo *contacts = &cb_relations[CB_CONTACTS];

	for (int place = 0; place < contacts->ncolumns; place++)
	{
		if (cb_is_audited(&contacts->columns[place]) && strcmp(contacts->columns[place].name, name) == 0)
			return &names->columns[place];
	}
	for (int status = 0; status < CB_NSTATUSES; status++)
	{
		if (strcmp(cb_statuses[status].name, name) == 0)
			return &names->labels[status];
	}
	return NULL;
}

void
cb_read_arguments(const Trigger *trigger, CbNames *names)
{
	const CbRelationInfo *contacts = &cb_relations[CB_CONTACTS];

	names->ignored = NIL;
	names->columns = (const char **) palloc0(contacts->ncolumns * sizeof(char *));
	memset(names->labels, 0, sizeof(names->labels));
	for (int i = 0; i < trigger->tgnargs; i++)
	{
		char	   *name = pstrdup(trigger->tgargs[i]);
		char	   *value = strchr(name, '=');
		const char **slot;

		if (!value || value == name || value[1] == '\0')
			bad_argument(trigger, trigger->tgargs[i], "has no name on one side");
		*value++ = '\0';
		if (strlen(value) >= NAMEDATALEN)
			bad_argument(trigger, trigger->tgargs[i], "is too long");
		if (strcmp(name, "ignore") == 0)
		{
			names->ignored = lappend(names->ignored, value);
			continue;
		}
		slot = find_name(names, name);
		if (!slot)
			bad_argument(trigger, trigger->tgargs[i], "names nothing");
		else if (*slot)
			bad_argument(trigger, trigger->tgargs[i], "names something twice");
		else
			*slot = value;
	}

	for (int place = 0; place < contacts->ncolumns; place++)
	{
		if (!names->columns[place])
			names->columns[place] = contacts->columns[place].name;
		for (int other = 0; trigger->tgnargs > 0 && other < place; other++)
		{
			if (strcmp(names->columns[other], names->columns[place]) == 0 &&
				cb_is_audited(&contacts->columns[other]) && cb_is_audited(&contacts->columns[place]))
				bad_argument(trigger, psprintf("%s=%s", contacts->columns[place].name, names->columns[place]),
							 "is another column, too");
		}
	}
	for (int status = 0; status < CB_NSTATUSES; status++)
	{
		if (!names->labels[status])
			names->labels[status] = cb_statuses[status].name;
		for (int other = 0; other < status; other++)
		{
			if (strcmp(names->labels[other], names->labels[status]) == 0)
				bad_argument(trigger, psprintf("%s=%s", cb_statuses[status].name, names->labels[status]),
							 "is another status, too");
		}
	}
}

Oid
cb_function(Oid schema, const char *name)
{
	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
						   PointerGetDatum(buildoidvector(NULL, 0)), ObjectIdGetDatum(schema));
}

Oid
cb_trigger_function(Oid schema)
{
	return cb_function(schema, "contact_audit");
}

/*
 * The place of a column.  The search starts at *next, and leaves there the
 * place behind: columns mostly follow each other as they are asked for.
 */
static int
find_column(Relation rel, const Trigger *trigger, const char *name, int *next)
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
	for (int i = 0; i < trigger->tgnargs; i++)
	{
		const char *value = strchr(trigger->tgargs[i], '=');

		if (value && strcmp(value + 1, name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist",
							name, RelationGetRelationName(rel)),
					 errdetail("Argument \"%s\" of trigger \"%s\" names it.", trigger->tgargs[i], trigger->tgname),
					 errhint("contact_block_setup() tells how to create it with the column's name of now.")));
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of relation \"%s\" does not exist",
					name, RelationGetRelationName(rel)),
			 errhint("contact_block_setup() lists the columns that are missing.")));
}

CbAuditedColumns *
cb_look_up_columns(Relation rel, const Trigger *trigger)
{
	CbAuditedColumns *columns = (CbAuditedColumns *) palloc0(sizeof(CbAuditedColumns));
	TupleDesc	desc = RelationGetDescr(rel);
	const CbObject *events = &cb_objects[CB_CONTACT_AUDIT];
	const char **names;
	int			next = 0;
	ListCell   *lc;
	Oid			type;

	columns->relid = RelationGetRelid(rel);
	cb_read_arguments(trigger, &columns->names);
	names = columns->names.columns;
	columns->id = find_column(rel, trigger, names[cb_contact_place(CB_ID)], &next);
	columns->status = find_column(rel, trigger, names[cb_contact_place(CB_STATUS)], &next);
	columns->reason = find_column(rel, trigger, names[cb_contact_place(CB_REASON)], &next);
	for (int event = 0; event < CB_NEVENTS; event++)
	{
		int			place = events->properties[event].place;

		columns->at[event] = find_column(rel, trigger, names[place], &next);
		columns->by[event] = find_column(rel, trigger, names[place + 1], &next);
		type = TupleDescAttr(desc, columns->at[event])->atttypid;
		if (type != TIMESTAMPTZOID)
			type = getBaseType(type);
		columns->is_time[event] = type == TIMESTAMPTZOID || type == TIMESTAMPOID;
	}
	type = TupleDescAttr(desc, columns->reason)->atttypid;
	if (type != TEXTOID)
		type = getBaseType(type);
	columns->has_reason_text = type == TEXTOID || type == VARCHAROID || type == BPCHAROID;
	columns->insert_is_update = TupleDescAttr(desc, columns->at[CB_UPDATED])->attnotnull ||
		TupleDescAttr(desc, columns->by[CB_UPDATED])->attnotnull;
	foreach(lc, columns->names.ignored)
		columns->ignored = bms_add_member(columns->ignored,
										  find_column(rel, trigger, (char *) lfirst(lc), &next));
	return columns;
}

static char *
value_string(Oid type, Datum value)
{
	Oid			output;
	bool		is_varlena;

	getTypeOutputInfo(type, &output, &is_varlena);
	return OidOutputFunctionCall(output, value);
}

char *
cb_column_string(TupleDesc desc, int column, const Datum *values, const bool *isnull)
{
	Oid			type = TupleDescAttr(desc, column)->atttypid;

	if (isnull[column])
		return NULL;
	return type == TEXTOID ? TextDatumGetCString(values[column]) : value_string(type, values[column]);
}

Datum
cb_column_text(TupleDesc desc, int column, const Datum *values)
{
	Oid			type = TupleDescAttr(desc, column)->atttypid;

	if (type == TEXTOID || type == VARCHAROID)
		return PointerGetDatum(DatumGetTextPP(values[column]));
	return CStringGetTextDatum(value_string(type, values[column]));
}

CbStatus
cb_find_word(const CbNames *names, const char *word)
{
	int			status = 0;

	if (!word)
		return CB_NO_STATUS;
	while (status < CB_NSTATUSES && strcmp(names->labels[status], word) != 0)
		status++;
	return (CbStatus) status;
}

bool
cb_is_shard(Relation rel, Oid root, Oid table)
{
	Relation	whole;
	bool		is_shard;

	if (get_rel_namespace(root) != get_rel_namespace(table))
		return false;
	whole = try_relation_open(table, AccessShareLock);
	if (!whole)
		return false;
	/* a partitioned table has its rows in its partitions */
	is_shard = whole->rd_rel->relkind == RELKIND_RELATION && RelationGetNumberOfBlocks(whole) == 0 &&
		whole->rd_rel->relowner == rel->rd_rel->relowner;
	relation_close(whole, NoLock);
	return is_shard;
}

bool
cb_is_of_table(Relation rel, Oid table, Oid *root)
{
	Oid			relid = RelationGetRelid(rel);
	List	   *ancestors;

	if (relid == table || *root == table)
		return true;
	if (!OidIsValid(*root))
	{
		ancestors = get_partition_ancestors(relid);
		*root = ancestors == NIL ? relid : list_member_oid(ancestors, table) ? table : llast_oid(ancestors);
		/* a partition that is being detached does not tell of what */
		if ((*root == relid && rel->rd_rel->relispartition) || cb_is_shard(rel, *root, table))
			*root = table;
	}
	return *root == table;
}

/* Does the trigger fire before every row that is inserted or updated? */
static bool
has_shape(const Trigger *trigger)
{
	return TRIGGER_FOR_ROW(trigger->tgtype) && TRIGGER_FOR_BEFORE(trigger->tgtype) &&
		TRIGGER_FOR_INSERT(trigger->tgtype) && TRIGGER_FOR_UPDATE(trigger->tgtype) &&
		!TRIGGER_FOR_DELETE(trigger->tgtype) && trigger->tgnattr == 0 && trigger->tgqual == NULL;
}

const Trigger *
cb_find_trigger(Relation rel, Oid function)
{
	TriggerDesc found = {0};

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (trigger->tgfoid == function && (!found.triggers || (has_shape(trigger) && !has_shape(found.triggers))))
			found.triggers = trigger;
	}
	if (!found.triggers)
		return NULL;
	/* the relation's own goes with the next invalidation, although the relation is open */
	found.numtriggers = 1;
	return CopyTriggerDesc(&found)->triggers;
}

char *
cb_create_trigger(const char *name, const char *table, Oid schema, const List *arguments)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TRIGGER %s BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION %s(",
					 quote_identifier(name), table, cb_qualified(schema, "contact_audit"));
	foreach(lc, arguments)
		appendStringInfo(&sql, "%s%s", lc == list_head(arguments) ? "" : ", ", quote_literal_cstr((char *) lfirst(lc)));
	appendStringInfoString(&sql, ");");
	return sql.data;
}

/* What is wrong with the trigger of one table, without its partitions. */
static const char *
trouble_of_table(Relation rel, Oid function, Oid schema, const char **remedy)
{
	char	   *table = cb_qualified(RelationGetNamespace(rel), RelationGetRelationName(rel));
	const Trigger *trigger = cb_find_trigger(rel, function);
	List	   *arguments = NIL;
	const char *name;

	*remedy = "";
	if (!trigger)
		return psprintf("There is no audit trigger on %s.", table);
	name = quote_identifier(trigger->tgname);
	if (!has_shape(trigger))
	{
		for (int i = 0; i < trigger->tgnargs; i++)
			arguments = lappend(arguments, trigger->tgargs[i]);
		*remedy = psprintf("DROP TRIGGER %s ON %s; %s", name, table,
						   cb_create_trigger(trigger->tgname, table, schema, arguments));
		return psprintf("Trigger %s on %s is of another shape than BEFORE INSERT OR UPDATE FOR EACH ROW, without columns and condition.",
						name, table);
	}
	*remedy = psprintf("ALTER TABLE %s ENABLE TRIGGER %s;", table, name);
	if (trigger->tgenabled == TRIGGER_DISABLED)
		return psprintf("Trigger %s on %s is disabled.", name, table);
	if (trigger->tgenabled == TRIGGER_FIRES_ON_REPLICA)
		return psprintf("Trigger %s on %s fires on replicas only.", name, table);
	return NULL;
}

/* Append what to run so that the table, or a partition, can get the trigger. */
static void
append_obstacle(StringInfo sql, Relation rel, Oid function)
{
	char	   *table = cb_qualified(RelationGetNamespace(rel), RelationGetRelationName(rel));

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];
		const char *space = sql->len > 0 ? " " : "";

		/* it goes with the one that it comes from */
		if (trigger->tgisclone)
			continue;
		if (trigger->tgfoid == function)
			appendStringInfo(sql, "%sDROP TRIGGER %s ON %s;", space, quote_identifier(trigger->tgname), table);
		else if (strcmp(trigger->tgname, CB_TRIGGER_NAME) == 0)
			appendStringInfo(sql, "%sALTER TRIGGER %s ON %s RENAME TO own_contact_audit;", space, CB_TRIGGER_NAME, table);
	}
}

const char *
cb_trigger_trouble(Oid relid, Oid schema, const char **remedy, bool *is_missing)
{
	Oid			function = cb_trigger_function(schema);
	const char *trouble = NULL;
	StringInfoData obstacles;
	ListCell   *lc;
	Relation	table = OidIsValid(relid) ? try_relation_open(relid, AccessShareLock) : NULL;

	*is_missing = table == NULL;
	*remedy = "";
	if (!table)
		return "Contacts are in no table that set-up knows.";
	relation_close(table, NoLock);
	initStringInfo(&obstacles);
	/* the table itself comes first */
	foreach(lc, find_all_inheritors(relid, AccessShareLock, NULL))
	{
		Relation	rel = relation_open(lfirst_oid(lc), NoLock);
		bool		gets_trigger = rel->rd_rel->relispartition || RelationGetRelid(rel) == relid;

		if (RelationGetRelid(rel) == relid)
			*is_missing = cb_find_trigger(rel, function) == NULL;
		/* a child that is no partition has one of its own, or none */
		if (!trouble && (gets_trigger || cb_find_trigger(rel, function)))
			trouble = trouble_of_table(rel, function, schema, remedy);
		if (*is_missing && gets_trigger)
			append_obstacle(&obstacles, rel, function);
		relation_close(rel, NoLock);
	}
	if (*is_missing)
		*remedy = obstacles.data;
	return trouble;
}

void
cb_check_protocol(FunctionCallInfo fcinfo, const char *name, bool is_after)
{
	TriggerEvent event;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", name)));
	event = ((TriggerData *) fcinfo->context)->tg_event;
	if (is_after && (!TRIGGER_FIRED_AFTER(event) || !TRIGGER_FIRED_FOR_ROW(event)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired AFTER ROW", name)));
	if (!is_after && (!TRIGGER_FIRED_BEFORE(event) || !TRIGGER_FIRED_FOR_ROW(event)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired BEFORE ROW", name)));
	if (!TRIGGER_FIRED_BY_INSERT(event) && !TRIGGER_FIRED_BY_UPDATE(event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired for INSERT or UPDATE", name)));
}
