/*-------------------------------------------------------------------------
 *
 * setup.c
 *	  Set-up: look at the relations that are there, make those that are
 *	  missing, and put the audit trigger on contacts.
 *
 * Whatever could make a call fail or a write go wrong later is found here, all
 * of it told in one error: the finding in the DETAIL, the SQL that mends it in
 * the HINT.  What works but is worth knowing is a NOTICE.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_am.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "compat.h"
#include "statements.h"
#include "trigger.h"

/* A stamp needs so many digits behind the second. */
#define STAMP_DIGITS 3

/* How many statuses an error shows. */
#define MAX_SHOWN 5

/* What was found; a line each. */
typedef struct Findings
{
	StringInfoData detail;
	StringInfoData hint;
	bool		is_foreign;		/* something is somebody else's */
} Findings;

/* A relation as it is found. */
typedef struct Found
{
	const CbRelationInfo *info;
	Oid			relid;			/* InvalidOid: it is not there */
	char	   *name;			/* qualified */
	bool		is_view;		/* or a materialized one */
	Oid			table;			/* of contacts that are a view the table under it, else the same; InvalidOid: none to look at */
	char	   *table_name;
	AttrNumber *numbers;		/* of its columns, by place */
	AttrNumber *table_numbers;	/* of the same in the table; InvalidAttrNumber if they are more than that */
} Found;

static void
execute(const char *sql)
{
	int			rc = SPI_execute(sql, false, 0);

	if (rc < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(rc));
}

/* The value in a row of what was executed last, NULL for null. */
static char *
result_value(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

/* Append a column as it stands in CREATE TABLE. */
static void
append_column(StringInfo sql, const CbColumn *column)
{
	appendStringInfo(sql, "%s %s", column->name, column->type);
	if (column->constraint)
		appendStringInfo(sql, " %s", column->constraint);
}

/*
 * DDL goes by names, and what they stand for can change at any time: the owner
 * of a schema can give its name to another one.  So set-up goes by OID where it
 * can, looks at what its DDL has done, and gives up when that is not what it
 * meant.
 */
static void
schema_changed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("another session changed the schema of contact_block during its set-up")));
}

/*
 * What has the relation's name in the schema, InvalidOid if nothing has.  What
 * is the caller's is locked until the end of the transaction, so that its name,
 * owner and columns stay as they are.  What belongs to others is left alone.
 */
static Oid
find_relation(Oid schema, const CbRelationInfo *relation, bool *foreign)
{
	Oid			locked = InvalidOid;

	for (;;)
	{
		Oid			relid = get_relname_relid(relation->name, schema);

		/* dropped meanwhile: look again */
		if (OidIsValid(relid) &&
			!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
			continue;
		*foreign = OidIsValid(relid) &&
			!object_ownercheck(RelationRelationId, relid, GetUserId());
		if (!OidIsValid(relid) || *foreign || relid == locked)
			return relid;
		/* it may have become another one before the lock is there */
		LockRelationOid(relid, AccessShareLock);
		locked = relid;
	}
}

static void
find(Findings *findings, const char *detail, const char *hint)
{
	appendStringInfo(&findings->detail, "%s\n", detail);
	if (hint[0] != '\0')
		appendStringInfo(&findings->hint, "%s\n", hint);
}

static const char *
column_name(const Found *found, int place)
{
	return found->info->columns[place].name;
}

/* The name of a column in the table under contacts, where it is one. */
static const char *
table_column_name(const Found *found, int place)
{
	return quote_identifier(get_attname(found->table, found->table_numbers[place], false));
}

/* What to do about a column of a view. */
static char *
change_view(const Found *found, int place)
{
	return psprintf("Change column %s in the definition of the view %s.", column_name(found, place), found->name);
}

/* What to run for an action on a column. */
static char *
alter_column(const Found *found, int place, const char *action)
{
	if (found->is_view && (found->table == found->relid || found->table_numbers[place] == InvalidAttrNumber))
		return change_view(found, place);
	return psprintf("ALTER TABLE %s ALTER COLUMN %s %s;", found->table_name, table_column_name(found, place), action);
}

/* The same for a type, which PostgreSQL does not change under a view. */
static char *
alter_type(const Found *found, int place, const char *type)
{
	char	   *command;

	if (found->is_view && (found->table == found->relid || found->table_numbers[place] == InvalidAttrNumber))
		return change_view(found, place);
	command = alter_column(found, place, psprintf("TYPE %s USING %s::%s", type, table_column_name(found, place), type));
	return found->is_view ? psprintf("Drop the view %s, run %s and create the view again.", found->name, command) : command;
}

/*
 * Find the columns of a relation, and of the table under contacts.
 */
static void
find_columns(Found *found)
{
	Size		size = found->info->ncolumns * sizeof(AttrNumber);
	Relation	rel = relation_open(found->relid, NoLock);
	List	   *targets = NIL;

	if (found->table != found->relid && OidIsValid(found->table))
		targets = get_view_query(rel)->targetList;
	found->numbers = (AttrNumber *) palloc0(size);
	found->table_numbers = (AttrNumber *) palloc0(size);
	for (int place = 0; place < found->info->ncolumns; place++)
	{
		AttrNumber	number = get_attnum(found->relid, column_name(found, place));
		TargetEntry *target;

		found->numbers[place] = number;
		if (found->table == found->relid)
			found->table_numbers[place] = number;
		if (number == InvalidAttrNumber || number > list_length(targets))
			continue;
		target = list_nth_node(TargetEntry, targets, number - 1);
		if (IsA(target->expr, Var) && ((Var *) target->expr)->varattno > 0)
			found->table_numbers[place] = ((Var *) target->expr)->varattno;
	}
	relation_close(rel, NoLock);
}

/*
 * Columns that are missing, in one line.  One that a newer version has added
 * may be: its property is null then.
 */
static void
check_columns(const Found *found, Findings *findings)
{
	StringInfoData missing;
	StringInfoData added;
	char	   *command;

	initStringInfo(&missing);
	initStringInfo(&added);
	for (int place = 0; place < found->info->ncolumns; place++)
	{
		if (found->numbers[place] != InvalidAttrNumber)
			continue;
		if (found->info->columns[place].newer)
		{
			ereport(NOTICE,
					(errmsg("%s lacks %s, which is new", found->name, column_name(found, place)),
					 errhint("ALTER TABLE %s ADD COLUMN %s %s;", found->table_name, column_name(found, place),
							 found->info->columns[place].type)));
			continue;
		}
		appendStringInfo(&missing, "%s%s", missing.len > 0 ? ", " : "", column_name(found, place));
		/* the table under a view may have it */
		if (!OidIsValid(found->table) || get_attnum(found->table, column_name(found, place)) != InvalidAttrNumber)
			continue;
		appendStringInfoString(&added, added.len > 0 ? ", ADD COLUMN " : "ADD COLUMN ");
		append_column(&added, &found->info->columns[place]);
	}
	if (missing.len == 0)
		return;
	command = psprintf("ALTER TABLE %s %s;", found->table_name, added.data);
	if (found->is_view)
		command = psprintf("Add the columns to the definition of the view %s.%s", found->name,
						   found->table == found->relid || added.len == 0 ? "" :
						   psprintf(" Where the table has none for them: %s", command));
	find(findings, psprintf("%s lacks %s.", found->name, missing.data), command);
}

static bool
is_string(Oid type)
{
	return type == TEXTOID || type == VARCHAROID;
}

static bool
is_id_type(Oid type)
{
	return is_string(type) || cb_is_parsed(type);
}

/*
 * The type of a column, and what else it must be or not be.  Returns whether it
 * fits.
 */
static bool
check_type(const Found *found, int place, Findings *findings)
{
	const CbColumn *column = &found->info->columns[place];
	Relation	rel = relation_open(found->relid, NoLock);
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel), found->numbers[place] - 1);
	bool		is_time = strcmp(column->read_as, "timestamptz") == 0;
	int32		typmod = attribute->atttypmod;
	Oid			type = getBaseTypeAndTypmod(attribute->atttypid, &typmod);
	const char *should_be = NULL;

	if (column->is_key || column->references != CB_NO_RELATION)
	{
		if (!is_id_type(type))
			should_be = "text COLLATE \"C\"";
		else if (OidIsValid(attribute->attcollation) && !get_collation_isdeterministic(attribute->attcollation))
			should_be = psprintf("%s COLLATE \"C\"", format_type_be(type));
	}
	else if (is_time)
	{
		if ((type != TIMESTAMPTZOID && type != TIMESTAMPOID) || (typmod >= 0 && typmod < STAMP_DIGITS))
			should_be = type == TIMESTAMPOID ? "timestamp" : "timestamptz";
	}
	else if (column->kind == CB_STATUS)
	{
		if ((!is_id_type(type) || type == UUIDOID) && !type_is_enum(type))
			should_be = "text";
	}
	else if (column->kind == CB_REASON || column->kind == CB_EVENT)
	{
		char		category;
		bool		is_preferred;

		get_type_category_preferred(type, &category, &is_preferred);
		if (category != TYPCATEGORY_STRING && (column->kind == CB_REASON || !is_id_type(type)))
			should_be = "text";
	}
	if (should_be)
		find(findings, psprintf("%s.%s is of type %s%s.", found->name, column->name,
								format_type_with_typemod(attribute->atttypid, attribute->atttypmod),
								strstr(should_be, "COLLATE") && is_id_type(type) ?
								" with a nondeterministic collation" : ""),
			 alter_type(found, place, should_be));
	relation_close(rel, NoLock);
	return should_be == NULL;
}

/* Is the column one of contacts that has to be null in some statuses? */
static bool
has_to_be_nullable(int place)
{
	const CbProperty *events = cb_objects[CB_CONTACT_AUDIT].properties;

	if (place == cb_contact_place(CB_REASON))
		return true;
	/* an INSERT stamps "updated", too, where that must not be null */
	for (int event = 0; event < CB_NEVENTS; event++)
	{
		if (place == events[event].place || place == events[event].place + 1)
			return !events[event].not_null && event != CB_UPDATED;
	}
	return false;
}

/* The domain by which a column of this type must not be null; InvalidOid if there is none. */
static Oid
not_null_domain(Oid type)
{
	while (get_typtype(type) == TYPTYPE_DOMAIN)
	{
		HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
		bool		is_not_null = ((Form_pg_type) GETSTRUCT(tuple))->typnotnull;
		Oid			base = ((Form_pg_type) GETSTRUCT(tuple))->typbasetype;

		ReleaseSysCache(tuple);
		if (is_not_null)
			return type;
		type = base;
	}
	return InvalidOid;
}

/*
 * What the trigger writes must be a plain column that takes it, and one of its
 * own.  Returns whether it is.
 */
static bool
check_audited(const Found *found, int place, Findings *findings)
{
	const char *name = column_name(found, place);
	AttrNumber	number = found->table_numbers[place];
	Relation	table;
	Form_pg_attribute attribute;
	const char *table_name;

	if (number == InvalidAttrNumber)
	{
		find(findings, psprintf("%s.%s is no plain column of a table.", found->name, name), change_view(found, place));
		return false;
	}
	table_name = table_column_name(found, place);
	for (int other = 0; other < place; other++)
	{
		if (found->table_numbers[other] != number || !cb_is_audited(&found->info->columns[other]))
			continue;
		find(findings, psprintf("%s.%s and %s are the same column of %s.", found->name, column_name(found, other),
								name, found->table_name),
			 change_view(found, place));
		return false;
	}
	table = relation_open(found->table, NoLock);
	attribute = TupleDescAttr(RelationGetDescr(table), number - 1);
	/* nothing writes to the id */
	if (attribute->attgenerated == ATTRIBUTE_GENERATED_STORED && place != 0)
		find(findings, psprintf("%s.%s is generated.", found->table_name, table_name),
			 alter_column(found, place, "DROP EXPRESSION"));
	else if (attribute->attgenerated != '\0' && attribute->attgenerated != ATTRIBUTE_GENERATED_STORED)
		find(findings, psprintf("%s.%s is generated when it is read.", found->table_name, table_name),
			 psprintf("Make %s.%s a column that is stored.", found->table_name, table_name));
	if (has_to_be_nullable(place))
	{
		const char *detail = psprintf("%s.%s must not be null, but has to be in some statuses.",
									  found->table_name, table_name);
		Oid			domain = not_null_domain(attribute->atttypid);

		if (attribute->attnotnull)
			find(findings, detail, alter_column(found, place, "DROP NOT NULL"));
		if (OidIsValid(domain))
			find(findings, detail, psprintf("ALTER DOMAIN %s DROP NOT NULL;",
											format_type_extended(domain, -1, FORMAT_TYPE_FORCE_QUALIFY)));
	}
	relation_close(table, NoLock);
	return true;
}

/*
 * Is there an index that keeps the column unique, by which rows can be found
 * and foreign keys can refer to it?
 */
static bool
has_unique_index(Relation rel, AttrNumber number)
{
	bool		found = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index key = index->rd_index;

		found |= key->indnkeyatts == 1 && key->indkey.values[0] == number &&
			key->indisunique && key->indimmediate && key->indisvalid &&
			RelationGetIndexPredicate(index) == NIL;
		index_close(index, NoLock);
	}
	return found;
}

static void
check_unique(const Found *found, Findings *findings)
{
	Relation	rel = relation_open(found->table, NoLock);
	char		kind = rel->rd_rel->relkind;
	bool		is_missing = found->table_numbers[0] == InvalidAttrNumber;

	/* what a view makes up has no index; what a table lacks gets one when it is there */
	if ((kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE || kind == RELKIND_MATVIEW) &&
		!(found->is_view && is_missing) && (is_missing || !has_unique_index(rel, found->table_numbers[0])))
	{
		const char *id = is_missing ? column_name(found, 0) : table_column_name(found, 0);

		find(findings, psprintf("%s has no unique index on %s alone.", found->table_name, id),
			 psprintf("CREATE UNIQUE INDEX ON %s (%s);", found->table_name, id));
	}
	relation_close(rel, NoLock);
}

/*
 * A row that an UPDATE moves to another partition is deleted and inserted, and
 * stamped as a new one.  The id does not change.  Returns whether it is the key.
 */
static bool
check_partitioning(const Found *found, Findings *findings)
{
	int			before = findings->detail.len;
	const char *id = found->table_numbers[0] == InvalidAttrNumber ? column_name(found, 0) :
		get_attname(found->table, found->table_numbers[0], false);
	ListCell   *lc;

	foreach(lc, find_all_inheritors(found->table, AccessShareLock, NULL))
	{
		Relation	rel = relation_open(lfirst_oid(lc), NoLock);
		PartitionKey key = RelationGetPartitionKey(rel);
		char	   *name = cb_qualified(RelationGetNamespace(rel), RelationGetRelationName(rel));

		/* an expression has the number of a column that is not there */
		if (key && (key->partnatts != 1 || key->partattrs[0] == InvalidAttrNumber ||
					key->partattrs[0] != get_attnum(RelationGetRelid(rel), id)))
			find(findings, psprintf("%s is partitioned by another key than %s.", name, id),
				 psprintf("Partition %s by %s.", name, id));
		relation_close(rel, NoLock);
	}
	return findings->detail.len == before;
}

/* What the table of contacts calls the statuses, as far as that can be told. */
typedef enum Spelling
{
	SPELLED_AS_IS,
	SPELLED_LOW,
	SPELLED_HIGH,
	NSPELLINGS
} Spelling;

static char *
spell(CbStatus status, Spelling spelling)
{
	const char *name = cb_statuses[status].name;

	return spelling == SPELLED_LOW ? asc_tolower(name, strlen(name)) :
		spelling == SPELLED_HIGH ? asc_toupper(name, strlen(name)) : pstrdup(name);
}

/*
 * The arguments of a trigger that fits the table's names; of the labels those
 * that are not NULL.
 */
static List *
trigger_arguments(const Found *contacts, const char *const *labels)
{
	List	   *arguments = NIL;

	for (int place = 0; place < contacts->info->ncolumns; place++)
	{
		AttrNumber	number = contacts->table_numbers[place];
		const char *own = number == InvalidAttrNumber ? NULL : get_attname(contacts->table, number, false);

		if (own && cb_is_audited(&contacts->info->columns[place]) && strcmp(column_name(contacts, place), own) != 0)
			arguments = lappend(arguments, psprintf("%s=%s", column_name(contacts, place), own));
	}
	for (int status = 0; status < CB_NSTATUSES; status++)
	{
		if (labels[status] && strcmp(cb_statuses[status].name, labels[status]) != 0)
			arguments = lappend(arguments, psprintf("%s=%s", cb_statuses[status].name, labels[status]));
	}
	return arguments;
}

/* The CREATE TRIGGER with these. */
static char *
trigger_text(const Found *contacts, Oid schema, const char *const *labels)
{
	return cb_create_trigger(CB_TRIGGER_NAME, contacts->table_name, schema, trigger_arguments(contacts, labels));
}

/* The same instead of the trigger that is there already, with its name and the columns that it ignores. */
static char *
new_trigger_text(const Found *contacts, Oid schema, const Trigger *trigger, const char *const *labels)
{
	List	   *arguments = trigger_arguments(contacts, labels);
	CbNames		names;
	ListCell   *lc;

	if (!trigger)
		return trigger_text(contacts, schema, labels);
	cb_read_arguments(trigger, &names);
	foreach(lc, names.ignored)
	{
		if (get_attnum(contacts->table, (char *) lfirst(lc)) != InvalidAttrNumber)
			arguments = lappend(arguments, psprintf("ignore=%s", (char *) lfirst(lc)));
	}
	return psprintf("DROP TRIGGER %s ON %s; %s", quote_identifier(trigger->tgname), contacts->table_name,
					cb_create_trigger(trigger->tgname, contacts->table_name, schema, arguments));
}

/* All statuses so spelled, NULL for one that the column cannot hold. */
static void
spell_all(Oid status_type, Spelling spelling, const char **labels)
{
	for (int status = 0; status < CB_NSTATUSES; status++)
	{
		labels[status] = spell(status, spelling);
		if (!cb_can_hold(status_type, labels[status]))
			labels[status] = NULL;
	}
}

/*
 * May a row have this status: does it fit into the type, and do the CHECK
 * constraints that are about nothing else take it?  Those of a domain are told
 * apart from an error by not using the domain.
 */
static bool
is_allowed(const Found *contacts, int place, const char *label)
{
	AttrNumber	number = contacts->table_numbers[place];
	const char *column = table_column_name(contacts, place);
	Oid			type;
	int32		typmod;
	Oid			collation;
	char	   *base_type;
	StringInfoData sql;

	get_atttypetypmodcoll(contacts->table, number, &type, &typmod, &collation);
	execute(psprintf("WITH RECURSIVE types (type, base) AS ("
					 "SELECT oid, typbasetype FROM pg_type WHERE oid = %u"
					 " UNION ALL SELECT oid, typbasetype FROM pg_type JOIN types ON oid = base)"
					 " SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE contype = 'c'"
					 " AND (conrelid = %u AND conkey = '{%d}' OR contypid IN (SELECT type FROM types))",
					 type, contacts->table, number));
	type = getBaseTypeAndTypmod(type, &typmod);
	base_type = format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s::text = %s", column, quote_literal_cstr(label));
	for (uint64 i = 0; i < SPI_processed; i++)
		appendStringInfo(&sql, " AND coalesce(%s, true)", result_value(i, 1));
	appendStringInfo(&sql, " FROM (SELECT %s::%s AS %s", quote_literal_cstr(label), base_type, column);
	if (strcmp(column, "value") != 0)
		appendStringInfo(&sql, ", %s::%s AS value", quote_literal_cstr(label), base_type);
	appendStringInfoString(&sql, ") AS status");
	execute(sql.data);
	return SPI_processed == 1 && strcmp(result_value(0, 1), "t") == 0;
}

/* What the column must hold. */
static const CbStatus needed[] = {CB_ACTIVE, CB_BLOCKED};

/* The first spelling in which it can, NSPELLINGS if there is none. */
static Spelling
find_spelling(const Found *contacts, int place, Oid status_type)
{
	int			spelling;

	for (spelling = 0; spelling < NSPELLINGS; spelling++)
	{
		bool		fits = true;

		for (size_t i = 0; i < lengthof(needed) && fits; i++)
		{
			const char *label = spell(needed[i], (Spelling) spelling);

			fits = cb_can_hold(status_type, label) && is_allowed(contacts, place, label);
		}
		if (fits)
			break;
	}
	return (Spelling) spelling;
}

/* The labels as a list of literals */
static char *
list_labels(const char *const *labels)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int status = 0; status < CB_NSTATUSES; status++)
	{
		if (labels[status])
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", quote_literal_cstr(labels[status]));
	}
	return list.data;
}

/*
 * How the rows spell the statuses: as the labels are, or in another way if more
 * of them are so, which only strings can be.
 */
static Spelling
find_spelling_of_rows(const Found *contacts, int place, Oid status_type, const char *const *labels)
{
	Spelling	spelling = SPELLED_AS_IS;
	const char *spelled[CB_NSTATUSES];
	StringInfoData sql;

	if (!is_string(status_type))
		return SPELLED_AS_IS;
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT count(*) FILTER (WHERE status = ANY (ARRAY[%s]))", list_labels(labels));
	for (int other = SPELLED_LOW; other < NSPELLINGS; other++)
	{
		spell_all(status_type, (Spelling) other, spelled);
		appendStringInfo(&sql, ", count(*) FILTER (WHERE status = ANY (ARRAY[%s]))", list_labels(spelled));
	}
	appendStringInfo(&sql, " FROM (SELECT %s::text AS status FROM %s) AS contacts",
					 table_column_name(contacts, place), contacts->table_name);
	execute(sql.data);
	for (int other = SPELLED_LOW; other < NSPELLINGS; other++)
	{
		if (pg_strtoint64(result_value(0, other + 1)) > pg_strtoint64(result_value(0, spelling + 1)))
			spelling = (Spelling) other;
	}
	return spelling;
}

/*
 * The UPDATE of rows that are in no status: other spellings become the status
 * that they mean, so that no block is lifted; what else there is, and null,
 * becomes Active, unless its user knows better.  "" if there are no such rows.
 */
static char *
update_text(const Found *contacts, int place, Oid status_type, const char *const *labels)
{
	const char *status = table_column_name(contacts, place);
	const char *active = quote_literal_cstr(labels[CB_ACTIVE]);
	const char *list = list_labels(labels);
	StringInfoData value;

	execute(psprintf("SELECT count(*), count(*) FILTER (WHERE lower(status) = ANY (ARRAY[%s]))"
					 " FROM (SELECT %s::text AS status FROM %s) AS contacts WHERE (status = ANY (ARRAY[%s])) IS NOT TRUE",
					 asc_tolower(list, strlen(list)), status, contacts->table_name, list));
	if (strcmp(result_value(0, 1), "0") == 0)
		return "";
	initStringInfo(&value);
	if (strcmp(result_value(0, 2), "0") == 0)
		appendStringInfoString(&value, active);
	else
	{
		appendStringInfo(&value, "(CASE lower(%s::text)", status);
		for (int known = 0; known < CB_NSTATUSES; known++)
		{
			if (labels[known])
				appendStringInfo(&value, " WHEN %s THEN %s",
								 quote_literal_cstr(asc_tolower(labels[known], strlen(labels[known]))),
								 quote_literal_cstr(labels[known]));
		}
		appendStringInfo(&value, " ELSE %s END)", active);
		if (type_is_enum(status_type))
			appendStringInfo(&value, "::%s", format_type_extended(status_type, -1, FORMAT_TYPE_FORCE_QUALIFY));
	}
	return psprintf("UPDATE %s SET %s = %s WHERE (%s::text = ANY (ARRAY[%s])) IS NOT TRUE; -- or another status",
					contacts->table_name, status, value.data, status, list);
}

/*
 * Rows that were deleted, by their time, without being Deleted.
 */
static void
check_deleted(const Found *contacts, int place, const char *const *labels, const Trigger *trigger, Findings *findings)
{
	int			deleted_at_place = cb_objects[CB_CONTACT_AUDIT].properties[CB_BECAME_DELETED].place;
	const char *status = table_column_name(contacts, place);
	const char *deleted_at;
	const char *deleted = labels[CB_DELETED] ? quote_literal_cstr(labels[CB_DELETED]) : NULL;
	char	   *update;

	if (contacts->table_numbers[deleted_at_place] == InvalidAttrNumber)
		return;
	deleted_at = table_column_name(contacts, deleted_at_place);
	execute(psprintf("SELECT count(*) FROM %s WHERE %s IS NOT NULL%s", contacts->table_name, deleted_at,
					 deleted ? psprintf(" AND (%s::text = %s) IS NOT TRUE", status, deleted) : ""));
	if (strcmp(result_value(0, 1), "0") == 0)
		return;
	update = deleted ? psprintf("UPDATE %s SET %s = %s WHERE %s IS NOT NULL AND (%s::text = %s) IS NOT TRUE;",
								contacts->table_name, status, deleted, deleted_at, status, deleted) :
		psprintf("UPDATE %s SET %s = NULL WHERE %s IS NOT NULL;", contacts->table_name, deleted_at, deleted_at);
	/* the trigger would say that they are deleted now */
	if (trigger)
		update = psprintf("ALTER TABLE %s DISABLE TRIGGER %s; %s ALTER TABLE %s ENABLE TRIGGER %s;",
						  contacts->table_name, quote_identifier(trigger->tgname), update,
						  contacts->table_name, quote_identifier(trigger->tgname));
	find(findings, psprintf("Rows of %s that have %s and are not Deleted: %s.", contacts->table_name,
							deleted_at, result_value(0, 1)), update);
}

/*
 * Rows that are in no status, or deleted without being Deleted.  The labels are
 * what the trigger calls the statuses; with needs_trigger what it would have
 * to.
 */
static void
check_rows(const Found *contacts, Oid schema, int place, Oid status_type, const char **labels,
		   bool needs_trigger, const Trigger *trigger, Findings *findings)
{
	const char *status = table_column_name(contacts, place);
	const char *list = list_labels(labels);
	StringInfoData shown;
	Spelling	spelling;
	const char *update;

	if (check_enable_rls(contacts->table, InvalidOid, true) == RLS_ENABLED)
	{
		ereport(NOTICE,
				(errmsg("row security hides rows of %s from set-up", contacts->table_name),
				 errdetail("Whether their statuses are ones that a contact can have is not known."),
				 errhint("A superuser, or a role with BYPASSRLS, sees them when it runs set-up.")));
		if (needs_trigger)
			appendStringInfo(&findings->hint, "%s\n", new_trigger_text(contacts, schema, trigger, labels));
		return;
	}

	initStringInfo(&shown);
	execute(psprintf("SELECT status, sum(count(*)) OVER () FROM (SELECT %s::text AS status FROM %s) AS contacts"
					 " WHERE (status = ANY (ARRAY[%s])) IS NOT TRUE GROUP BY status ORDER BY status COLLATE \"C\" LIMIT %d",
					 status, contacts->table_name, list, MAX_SHOWN));
	if (SPI_processed > 0)
	{
		char	   *count = result_value(0, 2);

		for (uint64 i = 0; i < SPI_processed; i++)
		{
			char	   *value = result_value(i, 1);

			appendStringInfo(&shown, "%s%s", i > 0 ? ", " : "", value ? quote_literal_cstr(value) : "null");
		}
		spelling = find_spelling_of_rows(contacts, place, status_type, labels);
		if (spelling != SPELLED_AS_IS)
		{
			needs_trigger = true;
			spell_all(status_type, spelling, labels);
		}
		update = update_text(contacts, place, status_type, labels);
		/* the trigger that is there does not know the words */
		if (spelling != SPELLED_AS_IS && trigger && update[0] != '\0')
			update = psprintf("ALTER TABLE %s DISABLE TRIGGER %s; %s", contacts->table_name,
							  quote_identifier(trigger->tgname), update);
		find(findings, psprintf("Rows of %s whose %s is none of %s: %s, with %s.", contacts->table_name, status, list,
								count, shown.data), update);
	}
	check_deleted(contacts, place, labels, trigger, findings);
	if (needs_trigger)
		appendStringInfo(&findings->hint, "%s\n", new_trigger_text(contacts, schema, trigger, labels));
}

/*
 * The trigger that is there: it has to fire, and its arguments to name the
 * columns that the functions mean.
 */
static void
check_trigger(const Found *contacts, Oid schema, const Trigger *trigger, const CbNames *names, Findings *findings)
{
	const char *name = quote_identifier(trigger->tgname);
	const char *text = new_trigger_text(contacts, schema, trigger, names->labels);
	ListCell   *lc;

	for (int place = 0; place < contacts->info->ncolumns; place++)
	{
		if (!cb_is_audited(&contacts->info->columns[place]) || contacts->table_numbers[place] == InvalidAttrNumber ||
			strcmp(names->columns[place], get_attname(contacts->table, contacts->table_numbers[place], false)) == 0)
			continue;
		find(findings, psprintf("Trigger %s on %s takes %s from column %s, but it is column %s.", name,
								contacts->table_name, column_name(contacts, place),
								quote_identifier(names->columns[place]), table_column_name(contacts, place)),
			 text);
		return;
	}
	foreach(lc, names->ignored)
	{
		if (get_attnum(contacts->table, (char *) lfirst(lc)) != InvalidAttrNumber)
			continue;
		find(findings, psprintf("Trigger %s on %s ignores %s, which is not there.", name, contacts->table_name,
								(char *) lfirst(lc)),
			 text);
		return;
	}
}

/*
 * A status column that cannot hold what it must.
 */
static void
check_labels(const Found *contacts, Oid schema, int place, Oid status_type, const Trigger *trigger, Findings *findings)
{
	static const char *const numbers[CB_NSTATUSES] = {[CB_ACTIVE] = "1", [CB_BLOCKED] = "2"};
	static const char *const open[CB_NSTATUSES] = {[CB_ACTIVE] = "...", [CB_BLOCKED] = "..."};
	const char *labels[CB_NSTATUSES];
	Spelling	spelling = find_spelling(contacts, place, status_type);
	const char *hint;

	if (spelling < NSPELLINGS)
	{
		/* only with the words that the trigger has now */
		spell_all(status_type, spelling, labels);
		hint = new_trigger_text(contacts, schema, trigger, labels);
	}
	else if (type_is_enum(status_type))
	{
		char	   *type = format_type_extended(status_type, -1, FORMAT_TYPE_FORCE_QUALIFY);

		for (spelling = SPELLED_AS_IS; spelling < NSPELLINGS; spelling++)
		{
			if (cb_can_hold(status_type, spell(CB_ACTIVE, spelling)))
				break;
		}
		spelling %= NSPELLINGS;
		spell_all(TEXTOID, spelling, labels);
		hint = "";
		for (size_t i = 0; i < lengthof(needed); i++)
		{
			if (!cb_can_hold(status_type, labels[needed[i]]))
				hint = psprintf("%sALTER TYPE %s ADD VALUE %s; ", hint, type, quote_literal_cstr(labels[needed[i]]));
		}
		hint = psprintf("%s%s-- or a trigger with its own words, 'Active=...', as arguments", hint,
						trigger ? psprintf("%s ", new_trigger_text(contacts, schema, trigger, labels)) : "");
	}
	else if (!is_string(status_type))
		hint = psprintf("%s -- with what the column holds for them",
						new_trigger_text(contacts, schema, trigger, numbers));
	else
		hint = psprintf("With the words that the column holds for them: %s",
						new_trigger_text(contacts, schema, trigger, open));
	find(findings, psprintf("%s.%s cannot hold %s and %s.", contacts->name, column_name(contacts, place),
							cb_statuses[CB_ACTIVE].name, cb_statuses[CB_BLOCKED].name), hint);
}

/*
 * Tables that inherit from that of contacts have its rows, but not its trigger.
 */
static void
check_children(const Found *contacts, Oid schema, const char *const *labels, Findings *findings)
{
	List	   *arguments = trigger_arguments(contacts, labels);
	ListCell   *lc;

	foreach(lc, find_all_inheritors(contacts->table, AccessShareLock, NULL))
	{
		Relation	rel = relation_open(lfirst_oid(lc), NoLock);
		char	   *name = cb_qualified(RelationGetNamespace(rel), RelationGetRelationName(rel));

		if (RelationGetRelid(rel) != contacts->table && !rel->rd_rel->relispartition &&
			!cb_find_trigger(rel, cb_trigger_function(schema)))
			find(findings, psprintf("%s inherits from %s, but not its trigger.", name, contacts->table_name),
				 cb_create_trigger(CB_TRIGGER_NAME, name, schema, arguments));
		relation_close(rel, NoLock);
	}
}

/*
 * The statuses, the rows and the trigger of contacts.  Returns the text of the
 * trigger to make, NULL if it is there.
 */
static char *
check_lifecycle(const Found *contacts, Oid schema, Findings *findings)
{
	int			place = cb_contact_place(CB_STATUS);
	Oid			status_type = getBaseType(get_atttype(contacts->table, contacts->table_numbers[place]));
	Relation	table = relation_open(contacts->table, NoLock);
	const Trigger *trigger = cb_find_trigger(table, cb_trigger_function(schema));
	bool		needs_trigger = false;
	const char *remedy;
	bool		is_missing;
	const char *trouble = cb_trigger_trouble(contacts->table, schema, &remedy, &is_missing);
	const char *labels[CB_NSTATUSES];
	char	   *wanted = NULL;

	if (trouble && !(is_missing && remedy[0] == '\0'))
		find(findings, trouble, remedy);
	if (trigger)
	{
		CbNames		names;

		cb_read_arguments(trigger, &names);
		check_trigger(contacts, schema, trigger, &names, findings);
		for (int status = 0; status < CB_NSTATUSES; status++)
			labels[status] = cb_can_hold(status_type, names.labels[status]) ? names.labels[status] : NULL;
	}
	else
	{
		Spelling	spelling = find_spelling(contacts, place, status_type);

		/* the labels of an enum are clear, the words of a text are up to the user */
		needs_trigger = spelling < NSPELLINGS && spelling != SPELLED_AS_IS && !type_is_enum(status_type);
		spell_all(status_type, spelling < NSPELLINGS ? spelling : SPELLED_AS_IS, labels);
		wanted = trigger_text(contacts, schema, labels);
	}
	if (needs_trigger)
		find(findings, psprintf("%s.%s cannot hold Active and Blocked so spelled.", contacts->name,
								column_name(contacts, place)), "");
	if (!labels[CB_ACTIVE] || !is_allowed(contacts, place, labels[CB_ACTIVE]) ||
		!labels[CB_BLOCKED] || !is_allowed(contacts, place, labels[CB_BLOCKED]))
		check_labels(contacts, schema, place, status_type, trigger, findings);
	else
		check_rows(contacts, schema, place, status_type, labels, needs_trigger, trigger, findings);
	check_children(contacts, schema, labels, findings);
	relation_close(table, NoLock);
	return wanted;
}

/*
 * A view of contacts, and the table under it, which has to be the caller's, too.
 */
static void
check_view(Found *contacts, Findings *findings)
{
	Relation	view = relation_open(contacts->relid, NoLock);
	const char *reason = NULL;
	Relation	table;

	contacts->table = cb_table_under(view, &reason);
	if (!OidIsValid(contacts->table))
		find(findings, psprintf("The view %s cannot be written to like a table. %s", contacts->name, reason),
			 psprintf("Define the view %s over one table, without WHERE, check option and whatever keeps it from being updatable.",
					  contacts->name));
	else if (!object_ownercheck(RelationRelationId, contacts->table, GetUserId()))
	{
		findings->is_foreign = true;
		find(findings, psprintf("The table under %s belongs to another role.", contacts->name),
			 psprintf("Let the owner of the table own %s and run set-up.", contacts->name));
		contacts->table = InvalidOid;
	}
	else
	{
		table = relation_open(contacts->table, AccessShareLock);
		contacts->table_name = cb_qualified(RelationGetNamespace(table), RelationGetRelationName(table));
		if (table->rd_rel->relrowsecurity && !RelationHasSecurityInvoker(view))
			find(findings, psprintf("%s has row security, which %s gets around.", contacts->table_name, contacts->name),
				 psprintf("ALTER VIEW %s SET (security_invoker = true);", contacts->name));
		relation_close(table, NoLock);
	}
	relation_close(view, NoLock);
}

/*
 * Look at an existing relation.  It is locked against changes until the end of
 * the transaction.  Returns, for contacts, the text of the trigger to make.
 */
static char *
check_relation(Oid schema, CbRelation number, Found *found, Findings *findings)
{
	char		kind = get_rel_relkind(found->relid);
	bool		is_table = kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE;
	bool		has_status = true;

	found->is_view = kind == RELKIND_VIEW || kind == RELKIND_MATVIEW;
	if (!is_table && kind != RELKIND_VIEW &&
		(number == CB_CONTACTS || (kind != RELKIND_MATVIEW && kind != RELKIND_FOREIGN_TABLE)))
	{
		find(findings, psprintf("%s is not a table or view.", found->name),
			 psprintf("Rename %s or move it to another schema.", found->name));
		return NULL;
	}
	if (number == CB_CONTACTS && found->is_view)
		check_view(found, findings);
	find_columns(found);
	check_columns(found, findings);
	for (int place = 0; place < found->info->ncolumns; place++)
	{
		bool		is_audited = number == CB_CONTACTS && cb_is_audited(&found->info->columns[place]);

		if (found->numbers[place] == InvalidAttrNumber || !OidIsValid(found->table) ||
			(is_audited && !check_audited(found, place, findings)) ||
			!check_type(found, place, findings))
			has_status &= found->info->columns[place].kind != CB_STATUS;
	}
	/* without the right partition key there can be no such index; the id has got its type when it is made */
	if (OidIsValid(found->table) && found->info->columns[0].kind == CB_ID &&
		(number != CB_CONTACTS || check_partitioning(found, findings)))
		check_unique(found, findings);
	if (number != CB_CONTACTS || !OidIsValid(found->table) || !has_status)
		return NULL;
	return check_lifecycle(found, schema, findings);
}

/*
 * Find the relations that are there, and look at them.  Returns the text of
 * the trigger to make on contacts that are there, NULL if that is there, too.
 * Raises 42501 when one is somebody else's and 55000 when one does not fit.
 */
static char *
find_relations(Oid schema, Found *relations)
{
	Findings	findings = {.is_foreign = false};
	StringInfo	detail = &findings.detail;
	StringInfo	hint = &findings.hint;
	char	   *wanted = NULL;

	initStringInfo(detail);
	initStringInfo(hint);
	for (int i = 0; i < CB_NRELATIONS; i++)
	{
		Found	   *found = &relations[i];
		bool		is_foreign;

		memset(found, 0, sizeof(Found));
		found->info = &cb_relations[i];
		found->name = found->table_name = cb_qualified(schema, found->info->name);
		found->relid = found->table = find_relation(schema, found->info, &is_foreign);
		if (is_foreign)
			find(&findings, psprintf("%s belongs to another role.", found->name),
				 findings.is_foreign ? "" : "Run set-up as a member of every role that owns one of the relations.");
		else if (OidIsValid(found->relid))
		{
			char	   *text = check_relation(schema, i, found, &findings);

			if (i == CB_CONTACTS)
				wanted = text;
		}
		findings.is_foreign |= is_foreign;
	}
	if (detail->len == 0)
		return wanted;
	/* the last newline is one too many */
	detail->data[detail->len - 1] = '\0';
	if (hint->len > 0)
		hint->data[hint->len - 1] = '\0';
	ereport(ERROR,
			(errcode(findings.is_foreign ? ERRCODE_INSUFFICIENT_PRIVILEGE :
					 ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("existing relations cannot be used by contact_block"),
			 errdetail_internal("%s", detail->data),
			 hint->len > 0 ? errhint("%s", hint->data) : 0));
}

/*
 * Has this transaction made the relation, with all its indexes (an event
 * trigger may have added one), and with as many foreign keys to the other
 * relations?  One to a partitioned table has companions for the partitions.
 */
static bool
is_as_made(Oid relid, int nindexes, int nreferences, const Found *relations)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	bool		as_made = rel->rd_createSubid != InvalidSubTransactionId &&
		list_length(RelationGetIndexList(rel)) >= nindexes;
	ListCell   *lc;

	foreach(lc, RelationGetFKeyList(rel))
	{
		for (int i = 0; i < CB_NRELATIONS; i++)
			nreferences -= lfirst_node(ForeignKeyCacheInfo, lc)->confrelid == relations[i].table;
	}
	relation_close(rel, NoLock);
	return as_made && nreferences == 0;
}

/*
 * The type of a column that refers to another relation: that of its id, but
 * text for any kind of string.
 */
static const char *
reference_type(const Found *referenced)
{
	Oid			type = get_atttype(referenced->table, referenced->table_numbers[0]);

	return is_string(getBaseType(type)) ? "text COLLATE \"C\"" :
		format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY);
}

/*
 * Can a foreign key refer to the id of this relation?  A user's own relation
 * may be a view or unlogged, or have another key, type or notion of equality.
 */
static bool
can_be_referenced(const Found *referenced, const Found *made, const CbColumn *column)
{
	Relation	rel = relation_open(referenced->table, NoLock);
	Oid			type = TupleDescAttr(RelationGetDescr(rel), referenced->table_numbers[0] - 1)->atttypid;
	bool		can_be = rel->rd_rel->relkind != RELKIND_MATVIEW &&
		rel->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT &&
		(type == TEXTOID || !is_string(getBaseType(type))) &&
		has_unique_index(rel, referenced->table_numbers[0]);

	relation_close(rel, NoLock);
	if (!can_be)
		ereport(NOTICE,
				(errmsg("%s.%s has no foreign key to %s", made->name, column->name, referenced->name),
				 errdetail("It takes a permanent table with a unique id of type text, uuid or an integer.")));
	return can_be;
}

/*
 * Make a relation, when those that it refers to are there.  The schema's name is
 * asked for each time: see schema_changed().
 */
static void
create_relation(Oid schema, CbRelation number, Found *relations)
{
	Found	   *made = &relations[number];
	const CbRelationInfo *info = made->info;
	int			nindexes = 1;
	int			nreferences = 0;
	StringInfoData sql;
	StringInfoData key;

	initStringInfo(&sql);
	initStringInfo(&key);
	appendStringInfo(&sql, "CREATE TABLE %s (", cb_qualified(schema, info->name));
	for (int place = 0; place < info->ncolumns; place++)
	{
		const CbColumn *column = &info->columns[place];
		const Found *referenced = column->references == CB_NO_RELATION ? NULL : &relations[column->references];

		if (referenced)
			appendStringInfo(&sql, "%s %s", column->name, reference_type(referenced));
		else
			append_column(&sql, column);
		appendStringInfo(&sql, "%s, ", column->not_null ? " NOT NULL" : "");
		if (column->is_key)
			appendStringInfo(&key, "%s%s", key.len > 0 ? ", " : "", column->name);
		if (referenced && can_be_referenced(referenced, made, column))
		{
			appendStringInfo(&sql, "FOREIGN KEY (%s) REFERENCES %s (%s), ", column->name,
							 referenced->is_view ? referenced->table_name : cb_qualified(schema, referenced->info->name),
							 table_column_name(referenced, 0));
			nreferences++;
		}
	}
	appendStringInfo(&sql, "PRIMARY KEY (%s))", key.data);
	if (info->options)
		appendStringInfo(&sql, " WITH (%s)", info->options);
	execute(sql.data);

	/* PostgreSQL makes no index for a foreign key; the primary key is one for its first column */
	for (int place = 1; place < info->ncolumns; place++)
	{
		if (info->columns[place].references == CB_NO_RELATION)
			continue;
		execute(psprintf("CREATE INDEX ON %s (%s)", cb_qualified(schema, info->name), info->columns[place].name));
		nindexes++;
	}

	made->relid = made->table = get_relname_relid(info->name, schema);
	if (!OidIsValid(made->relid) || !is_as_made(made->relid, nindexes, nreferences, relations))
		schema_changed();
	find_columns(made);
}

/*
 * Put the trigger on contacts.  Under the lock nobody else can do it any more.
 */
static void
create_trigger(const Found *contacts, Oid schema, const char *text)
{
	Oid			function = cb_trigger_function(schema);
	Relation	table = relation_open(contacts->table, ShareRowExclusiveLock);

	if (!cb_find_trigger(table, function))
		execute(text);
	relation_close(table, NoLock);
	table = relation_open(contacts->table, NoLock);
	if (!cb_find_trigger(table, function))
		schema_changed();
	relation_close(table, NoLock);
}

/* The name of the first column of the trigger's that an index of contacts has, "" if there is none. */
static const char *
indexed_column(const Found *contacts, Relation index)
{
	Bitmapset  *columns = NULL;
	Bitmapset  *predicate = NULL;
	int			whole_row = InvalidAttrNumber - FirstLowInvalidHeapAttributeNumber;

	for (int i = 0; i < index->rd_index->indnatts; i++)
		columns = bms_add_member(columns, index->rd_index->indkey.values[i]);
	pull_varattnos((Node *) RelationGetIndexExpressions(index), 1, &predicate);
	pull_varattnos((Node *) RelationGetIndexPredicate(index), 1, &predicate);
	for (int place = 0; place < contacts->info->ncolumns; place++)
	{
		const CbColumn *column = &contacts->info->columns[place];
		AttrNumber	number = contacts->table_numbers[place];

		if ((column->kind == CB_STATUS || column->kind == CB_EVENT) && number != InvalidAttrNumber &&
			(bms_is_member(number, columns) ||
			 bms_is_member(number - FirstLowInvalidHeapAttributeNumber, predicate) ||
			 bms_is_member(whole_row, predicate)))
			return column->name;
	}
	return "";
}

/*
 * Tell what works with contacts that were there before, but is worth knowing.
 */
static void
give_notice(const Found *contacts)
{
	Relation	table = relation_open(contacts->table, NoLock);
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(table))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		const char *column = indexed_column(contacts, index);

		/* a BRIN index does not count, from version 16 on */
		if (column[0] != '\0' && index->rd_rel->relam != BRIN_AM_OID)
			ereport(NOTICE,
					(errmsg("every block writes to the index \"%s\"", RelationGetRelationName(index)),
					 errdetail("It has the column %s of contacts.", column),
					 errhint("Without it a block stays on its page (HOT).")));
		index_close(index, NoLock);
	}
	if (table->rd_rel->relkind == RELKIND_RELATION && RelationGetFillFactor(table, HEAP_DEFAULT_FILLFACTOR) == 100)
		ereport(NOTICE,
				(errmsg("the pages of %s have no room for a block", contacts->table_name),
				 errhint("ALTER TABLE %s SET (%s); VACUUM FULL %s;", contacts->table_name,
						 cb_relations[CB_CONTACTS].options, contacts->table_name)));
	for (int i = 0; table->trigdesc && i < table->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &table->trigdesc->triggers[i];

		if (TRIGGER_FOR_ROW(trigger->tgtype) && TRIGGER_FOR_BEFORE(trigger->tgtype) &&
			(TRIGGER_FOR_INSERT(trigger->tgtype) || TRIGGER_FOR_UPDATE(trigger->tgtype)) &&
			strcmp(trigger->tgname, CB_TRIGGER_NAME) > 0)
			ereport(NOTICE,
					(errmsg("trigger \"%s\" fires after the audit trigger and can undo what that did", trigger->tgname),
					 errhint("Give it a name that sorts before %s.", CB_TRIGGER_NAME)));
	}
	relation_close(table, NoLock);
}

PG_FUNCTION_INFO_V1(contact_block_setup);

/*
 * Make the relations that are missing, owned by the caller, and put the audit
 * trigger on contacts.  Existing relations are left as they are.  Raises
 * 42501 when one of them is somebody else's and 55000 when one does not fit,
 * in a single error and with nothing changed.
 *
 * It is declared with a safe search_path, under which its DDL runs.
 */
Datum
contact_block_setup(PG_FUNCTION_ARGS)
{
	Oid			schema;
	char	   *schema_name;
	Found		relations[CB_NRELATIONS];
	Found	   *contacts = &relations[CB_CONTACTS];
	bool		was_there;
	char	   *trigger;
	CbCall		call;

	/*
	 * One at a time; the second one finds what the first one made.  The
	 * extension, and so its schema, cannot be dropped from here on.
	 */
	LockDatabaseObject(ProcedureRelationId, fcinfo->flinfo->fn_oid, 0,
					   ShareUpdateExclusiveLock);
	schema = cb_get_schema(fcinfo, &schema_name);

	SPI_connect();
	trigger = find_relations(schema, relations);
	was_there = OidIsValid(contacts->relid);
	for (int i = 0; i < CB_NRELATIONS; i++)
	{
		if (!OidIsValid(relations[i].relid))
			create_relation(schema, i, relations);
	}
	if (!was_there)
	{
		const char *labels[CB_NSTATUSES];

		spell_all(TEXTOID, SPELLED_AS_IS, labels);
		trigger = trigger_text(contacts, schema, labels);
	}
	if (trigger)
		create_trigger(contacts, schema, trigger);
	if (was_there)
		give_notice(contacts);

	/* what cannot be prepared now cannot be run later */
	cb_begin_call(fcinfo, &call);
	cb_prepare_all(&call);
	SPI_finish();

	PG_RETURN_VOID();
}
