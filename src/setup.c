/*-------------------------------------------------------------------------
 *
 * setup.c
 *	  Set-up: make the relations that are missing, look at those that are
 *	  there, and put the audit trigger on contacts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "relations.h"

/* It sorts behind the names that users give, so that it fires last. */
#define TRIGGER_NAME "zzz_contact_audit"

static void
execute(const char *sql)
{
	int			rc = SPI_execute(sql, false, 0);

	if (rc < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(rc));
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

/* "schema.name", quoted where needed */
static char *
qualified(Oid schema, const char *name)
{
	return quote_qualified_identifier(get_namespace_name(schema), name);
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

/*
 * Can a foreign key refer to the id of this relation?  A user's own relation
 * may be a view or unlogged, or have another key, type or notion of equality.
 */
static bool
can_be_referenced(Oid relid)
{
	Relation	rel = relation_open(relid, NoLock);
	Form_pg_attribute id = TupleDescAttr(RelationGetDescr(rel), get_attnum(relid, "id") - 1);
	bool		can_be = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index key = index->rd_index;

		can_be |= key->indnkeyatts == 1 && key->indkey.values[0] == id->attnum &&
			key->indisunique && key->indimmediate && key->indisvalid &&
			RelationGetIndexPredicate(index) == NIL;
		index_close(index, NoLock);
	}
	can_be = can_be && rel->rd_rel->relkind != RELKIND_MATVIEW &&
		rel->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT &&
		id->atttypid == TEXTOID && get_collation_isdeterministic(id->attcollation);
	relation_close(rel, NoLock);
	return can_be;
}

/*
 * Has this transaction made the relation, with all its indexes (an event
 * trigger may have added one), and with as many foreign keys to the other
 * relations?  One to a partitioned table has companions for the partitions.
 */
static bool
is_as_made(Oid relid, int nindexes, int nreferences, const Oid *relids)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	bool		as_made = rel->rd_createSubid != InvalidSubTransactionId &&
		list_length(RelationGetIndexList(rel)) >= nindexes;
	ListCell   *lc;

	foreach(lc, RelationGetFKeyList(rel))
	{
		for (int i = 0; i < CB_NRELATIONS; i++)
			nreferences -= lfirst_node(ForeignKeyCacheInfo, lc)->confrelid == relids[i];
	}
	relation_close(rel, NoLock);
	return as_made && nreferences == 0;
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
 * Make a relation, when those that it refers to are there; its OID becomes one
 * of relids.
 */
static void
create_relation(Oid schema, CbRelation number, Oid *relids)
{
	const CbRelationInfo *relation = &cb_relations[number];
	int			nindexes = 1;
	int			nreferences = 0;
	StringInfoData sql;
	StringInfoData key;

	initStringInfo(&sql);
	initStringInfo(&key);
	appendStringInfo(&sql, "CREATE TABLE %s (", qualified(schema, relation->name));
	for (int place = 0; place < relation->ncolumns; place++)
	{
		const CbColumn *column = &relation->columns[place];

		append_column(&sql, column);
		appendStringInfo(&sql, "%s, ", column->not_null ? " NOT NULL" : "");
		if (column->is_key)
			appendStringInfo(&key, "%s%s", key.len > 0 ? ", " : "", column->name);
		if (column->references != CB_NO_RELATION && can_be_referenced(relids[column->references]))
		{
			appendStringInfo(&sql, "FOREIGN KEY (%s) REFERENCES %s (id), ", column->name,
							 qualified(schema, cb_relations[column->references].name));
			nreferences++;
		}
	}
	appendStringInfo(&sql, "PRIMARY KEY (%s))%s", key.data, relation->options);
	execute(sql.data);

	/* PostgreSQL makes no index for a foreign key; the primary key is one for its first column */
	for (int place = 1; place < relation->ncolumns; place++)
	{
		if (relation->columns[place].references == CB_NO_RELATION)
			continue;
		execute(psprintf("CREATE INDEX ON %s (%s)", qualified(schema, relation->name),
						 relation->columns[place].name));
		nindexes++;
	}

	relids[number] = get_relname_relid(relation->name, schema);
	if (!OidIsValid(relids[number]) ||
		!is_as_made(relids[number], nindexes, nreferences, relids))
		schema_changed();
}

/* What keeps existing relations from being used, and what to do about it; a line each. */
typedef struct Findings
{
	StringInfoData detail;
	StringInfoData hint;
	bool		is_foreign;		/* one of them is that a relation is somebody else's */
} Findings;

/*
 * A row that an UPDATE moves to another partition is deleted and inserted, and
 * stamped as a new one.  The id does not change.
 */
static void
check_partitioning(Oid relid, Findings *findings)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, AccessShareLock, NULL))
	{
		Relation	rel = relation_open(lfirst_oid(lc), NoLock);
		PartitionKey key = RelationGetPartitionKey(rel);
		char	   *name = qualified(RelationGetNamespace(rel), RelationGetRelationName(rel));

		if (key && (key->partnatts != 1 ||
					key->partattrs[0] != get_attnum(RelationGetRelid(rel), "id")))
		{
			appendStringInfo(&findings->detail, "%s is partitioned by another key than id.\n", name);
			appendStringInfo(&findings->hint, "Partition %s by id.\n", name);
		}
		relation_close(rel, NoLock);
	}
}

/*
 * Look at an existing relation's kind and columns.  It is locked against
 * changes until the end of the transaction.
 */
static void
check_relation(Oid schema, CbRelation number, Oid relid, Findings *findings)
{
	const CbRelationInfo *relation = &cb_relations[number];
	char	   *name = qualified(schema, relation->name);
	char		kind = get_rel_relkind(relid);
	bool		is_view = kind == RELKIND_VIEW || kind == RELKIND_MATVIEW;
	int			nmissing = 0;

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE &&
		(number == CB_CONTACTS || (!is_view && kind != RELKIND_FOREIGN_TABLE)))
	{
		appendStringInfo(&findings->detail, "%s is not %s.\n", name,
						 number == CB_CONTACTS ? "an ordinary or partitioned table" : "a table or view");
		appendStringInfo(&findings->hint, "Rename %s or move it to another schema.\n", name);
		return;
	}

	for (int place = 0; place < relation->ncolumns; place++)
	{
		const CbColumn *column = &relation->columns[place];

		if (get_attnum(relid, column->name) != InvalidAttrNumber)
			continue;
		if (nmissing++ == 0)
		{
			appendStringInfo(&findings->detail, "%s lacks", name);
			appendStringInfo(&findings->hint,
							 is_view ? "Add the columns to the definition of the view %s." : "ALTER TABLE %s", name);
		}
		appendStringInfo(&findings->detail, "%s %s", nmissing > 1 ? "," : "", column->name);
		if (!is_view)
		{
			appendStringInfoString(&findings->hint, nmissing > 1 ? ", ADD COLUMN " : " ADD COLUMN ");
			append_column(&findings->hint, column);
		}
	}
	if (nmissing > 0)
	{
		appendStringInfoString(&findings->detail, ".\n");
		appendStringInfoString(&findings->hint, is_view ? "\n" : ";\n");
	}
	if (kind == RELKIND_PARTITIONED_TABLE && number == CB_CONTACTS)
		check_partitioning(relid, findings);
}

/*
 * Find the relations that are there, and look at them.  Raises 42501 when one
 * is somebody else's and 55000 when one does not fit.
 */
static void
find_relations(Oid schema, Oid *relids)
{
	Findings	findings = {.is_foreign = false};
	StringInfo	detail = &findings.detail;
	StringInfo	hint = &findings.hint;

	initStringInfo(detail);
	initStringInfo(hint);
	for (int i = 0; i < CB_NRELATIONS; i++)
	{
		bool		is_foreign;

		relids[i] = find_relation(schema, &cb_relations[i], &is_foreign);
		if (is_foreign)
			appendStringInfo(detail, "%s belongs to another role.\n",
							 qualified(schema, cb_relations[i].name));
		else if (OidIsValid(relids[i]))
			check_relation(schema, i, relids[i], &findings);
		findings.is_foreign |= is_foreign;
	}
	if (detail->len == 0)
		return;
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
 * Is the audit trigger on this relation, whole, under whatever name?  The lock
 * is kept.
 */
static bool
has_trigger(Oid relid, Oid function, LOCKMODE lock)
{
	Relation	rel = relation_open(relid, lock);
	bool		found = false;

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		found |= trigger->tgfoid == function &&
			TRIGGER_FOR_ROW(trigger->tgtype) && TRIGGER_FOR_BEFORE(trigger->tgtype) &&
			TRIGGER_FOR_INSERT(trigger->tgtype) && TRIGGER_FOR_UPDATE(trigger->tgtype) &&
			trigger->tgnattr == 0 && trigger->tgqual == NULL;
	}
	relation_close(rel, NoLock);
	return found;
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
	Oid			relids[CB_NRELATIONS];
	Oid			trigger_function;

	/*
	 * One at a time; the second one finds what the first one made.  The
	 * extension, and so its schema, cannot be dropped from here on.
	 */
	LockDatabaseObject(ProcedureRelationId, fcinfo->flinfo->fn_oid, 0,
					   ShareUpdateExclusiveLock);
	schema = cb_get_schema(fcinfo, &schema_name);

	find_relations(schema, relids);

	SPI_connect();
	for (int i = 0; i < CB_NRELATIONS; i++)
	{
		if (!OidIsValid(relids[i]))
			create_relation(schema, i, relids);
	}

	trigger_function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
									   CStringGetDatum("contact_audit"),
									   PointerGetDatum(buildoidvector(NULL, 0)),
									   ObjectIdGetDatum(schema));
	/* under the second lock nobody else can put it there any more */
	if (!has_trigger(relids[CB_CONTACTS], trigger_function, AccessShareLock) &&
		!has_trigger(relids[CB_CONTACTS], trigger_function, ShareRowExclusiveLock))
	{
		execute(psprintf("CREATE TRIGGER " TRIGGER_NAME
						 " BEFORE INSERT OR UPDATE ON %s"
						 " FOR EACH ROW EXECUTE FUNCTION %s()",
						 qualified(schema, cb_relations[CB_CONTACTS].name),
						 qualified(schema, "contact_audit")));
		if (!has_trigger(relids[CB_CONTACTS], trigger_function, NoLock))
			schema_changed();
	}
	SPI_finish();

	PG_RETURN_VOID();
}
