/*-------------------------------------------------------------------------
 *
 * relations.c
 *	  The relations that the extension works on: what they look like, how
 *	  they are set up, and which of their columns a caller may read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "contact_block.h"

/* It sorts behind the names that users give, so that it fires last. */
#define TRIGGER_NAME "zzz_contact_audit"

/*
 * The fillfactor leaves room on a page for a new version of every row on it,
 * longer by the stamps and a reason, so that a block stays on its page (HOT)
 * even when all contacts of a page are blocked in one transaction.
 */
const RelationInfo cb_relations[N_RELATIONS] = {
	[ACCOUNTS] = {"accounts", ACCOUNTS_ID, ACCOUNTS_ICON, "id", ""},
	[USERS] = {"users", USERS_ID, USERS_INVITATION_ACCEPTED_AT, "id", ""},
	[ACCOUNT_USERS] = {"account_users", ACCOUNT_USERS_USER_ID, ACCOUNT_USERS_ACCOUNT_ID,
	"user_id, account_id", ""},
	[CATEGORIES] = {"categories", CATEGORIES_ID, CATEGORIES_ICON, "id", ""},
	[CONTACTS] = {"contacts", CONTACTS_ID, CONTACTS_DELETED_BY, "id", " WITH (fillfactor = 40)"},
	[CONTACT_OPT_OUTS] = {"contact_opt_outs", CONTACT_OPT_OUTS_CONTACT_ID, CONTACT_OPT_OUTS_LAST_USED,
	"contact_id, category_id", ""}
};

#define ID_COLUMN(name)			{name, "text", "COLLATE \"C\"", true, -1}
#define REFERENCE(name, not_null, to) {name, "text", "COLLATE \"C\"", not_null, to}
#define ACTOR_COLUMN(name)		{name, "text", "COLLATE \"C\"", false, -1}
#define TEXT_COLUMN(name)		{name, "text", "", false, -1}
#define TEXT_NOT_NULL(name, constraint) {name, "text", constraint, true, -1}
/* every UPDATE reads the expression anew, and this one is shorter than an IN */
#define CHECK_ONE_OF(name, values) "CHECK (" name " = ANY ('{" values "}'))"
#define TIME_COLUMN(name)		{name, "timestamptz", "", false, -1}

const ColumnInfo cb_columns[N_COLUMNS] = {
	[ACCOUNTS_ID] = ID_COLUMN("id"),
	[ACCOUNTS_TYPE] = TEXT_NOT_NULL("type", CHECK_ONE_OF("type", "Client,Vendor,Operations")),
	[ACCOUNTS_STATUS] = TEXT_NOT_NULL("status", CHECK_ONE_OF("status", "Enabled,Active,Disabled")),
	[ACCOUNTS_NAME] = TEXT_NOT_NULL("name", ""),
	[ACCOUNTS_ICON] = TEXT_COLUMN("icon"),

	[USERS_ID] = ID_COLUMN("id"),
	[USERS_EMAIL] = TEXT_NOT_NULL("email", ""),
	[USERS_STATUS] = TEXT_NOT_NULL("status",
								   CHECK_ONE_OF("status", "New,Invited,InvitationExpired,Active,Blocked,Disabled,Deleted")),
	[USERS_NAME] = TEXT_NOT_NULL("name", ""),
	[USERS_FIRST_NAME] = TEXT_NOT_NULL("first_name", ""),
	[USERS_LAST_NAME] = TEXT_NOT_NULL("last_name", ""),
	[USERS_ICON] = TEXT_COLUMN("icon"),
	[USERS_PHONE_PREFIX] = TEXT_COLUMN("phone_prefix"),
	[USERS_PHONE_NUMBER] = TEXT_COLUMN("phone_number"),
	[USERS_CULTURE_CODE] = TEXT_COLUMN("culture_code"),
	[USERS_LANGUAGE_CODE] = TEXT_COLUMN("language_code"),
	[USERS_LAST_LOGIN_AT] = TIME_COLUMN("last_login_at"),
	[USERS_CURRENT_ACCOUNT_ID] = REFERENCE("current_account_id", false, ACCOUNTS),
	[USERS_CREATED_AT] = TIME_COLUMN("created_at"),
	[USERS_CREATED_BY] = ACTOR_COLUMN("created_by"),
	[USERS_UPDATED_AT] = TIME_COLUMN("updated_at"),
	[USERS_UPDATED_BY] = ACTOR_COLUMN("updated_by"),
	[USERS_INVITATION_ACCEPTED_AT] = TIME_COLUMN("invitation_accepted_at"),

	[ACCOUNT_USERS_USER_ID] = REFERENCE("user_id", true, USERS),
	[ACCOUNT_USERS_ACCOUNT_ID] = REFERENCE("account_id", true, ACCOUNTS),

	[CATEGORIES_ID] = ID_COLUMN("id"),
	[CATEGORIES_NAME] = TEXT_COLUMN("name"),
	[CATEGORIES_SHORT_DESCRIPTION] = TEXT_NOT_NULL("short_description", ""),
	[CATEGORIES_ICON] = TEXT_COLUMN("icon"),

	[CONTACTS_ID] = ID_COLUMN("id"),
	[CONTACTS_EMAIL] = TEXT_NOT_NULL("email", ""),
	[CONTACTS_NAME] = TEXT_COLUMN("name"),
	[CONTACTS_STATUS] = TEXT_NOT_NULL("status", "DEFAULT 'Active' "
									  CHECK_ONE_OF("status", "New,Active,Blocked,Deleted")),
	[CONTACTS_BLOCKED_REASON] = TEXT_COLUMN("blocked_reason"),
	[CONTACTS_USER_ID] = REFERENCE("user_id", false, USERS),
	[CONTACTS_CREATED_AT] = {"created_at", "timestamptz", "", true, -1},
	[CONTACTS_CREATED_BY] = ACTOR_COLUMN("created_by"),
	[CONTACTS_UPDATED_AT] = TIME_COLUMN("updated_at"),
	[CONTACTS_UPDATED_BY] = ACTOR_COLUMN("updated_by"),
	[CONTACTS_ACTIVATED_AT] = TIME_COLUMN("activated_at"),
	[CONTACTS_ACTIVATED_BY] = ACTOR_COLUMN("activated_by"),
	[CONTACTS_BLOCKED_AT] = TIME_COLUMN("blocked_at"),
	[CONTACTS_BLOCKED_BY] = ACTOR_COLUMN("blocked_by"),
	[CONTACTS_DELETED_AT] = TIME_COLUMN("deleted_at"),
	[CONTACTS_DELETED_BY] = ACTOR_COLUMN("deleted_by"),

	[CONTACT_OPT_OUTS_CONTACT_ID] = REFERENCE("contact_id", true, CONTACTS),
	[CONTACT_OPT_OUTS_CATEGORY_ID] = REFERENCE("category_id", true, CATEGORIES),
	[CONTACT_OPT_OUTS_LAST_USED] = TIME_COLUMN("last_used")
};

/*
 * The columns of a relation that the current user may not read.  A column
 * that is missing does not count, nor do those without which nothing works:
 * the statement that needs them gets PostgreSQL's own error.
 */
static ColumnSet
hidden_columns(const RelationInfo *relation, Oid relid)
{
	ColumnSet	hidden = 0;

	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return 0;
	for (ColumnNumber column = relation->first; column <= relation->last; column++)
	{
		AttrNumber	attnum = get_attnum(relid, cb_columns[column].name);

		if (attnum != InvalidAttrNumber &&
			pg_attribute_aclcheck(relid, attnum, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
			hidden |= COLUMN(column);
	}
	return hidden & ~(COLUMN(CONTACTS_ID) | COLUMN(CONTACTS_STATUS));
}

/*
 * The schema of the called function, with its name.  Raises 42883 when the
 * function was dropped while the calling statement was under way.
 */
static Oid
get_schema(FunctionCallInfo fcinfo, char **name)
{
	Oid			schema = get_func_namespace(fcinfo->flinfo->fn_oid);

	*name = get_namespace_name(schema);
	if (!*name)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("the called function does not exist any more")));
	return schema;
}

/*
 * Fill in what the statements of this call depend on: the name of the schema
 * that the called function is in, and what its caller may not read.  Raises
 * 55000 when a relation is missing, 42883 when the function has been dropped.
 */
void
cb_begin_call(FunctionCallInfo fcinfo, ContactCall *call)
{
	Oid			schema;
	char	   *schema_name;

	/* in a transaction's second statement nothing has looked for a REVOKE yet */
	AcceptInvalidationMessages();

	schema = get_schema(fcinfo, &schema_name);
	namestrcpy(&call->schema, schema_name);
	call->hidden = 0;
	for (int i = 0; i < N_RELATIONS; i++)
	{
		Oid			relid = get_relname_relid(cb_relations[i].name, schema);

		if (!OidIsValid(relid))
			cb_not_set_up(call, psprintf("Relation \"%s\" does not exist in schema \"%s\".",
										 cb_relations[i].name, schema_name));
		call->hidden |= hidden_columns(&cb_relations[i], relid);
	}
}

/*
 * Raise 55000 and say what to run.
 */
void
cb_not_set_up(const ContactCall *call, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("contact_block is not set up"),
			 errdetail_internal("%s", detail),
			 errhint("Run SELECT %s.contact_block_setup().",
					 quote_identifier(NameStr(call->schema)))));
}

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
find_relation(Oid schema, const RelationInfo *relation, bool *foreign)
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
		for (int i = 0; i < N_RELATIONS; i++)
			nreferences -= lfirst_node(ForeignKeyCacheInfo, lc)->confrelid == relids[i];
	}
	relation_close(rel, NoLock);
	return as_made && nreferences == 0;
}

/*
 * Make a relation, when those that it refers to are there; its OID becomes one
 * of relids.
 */
static void
create_relation(Oid schema, RelationNumber number, Oid *relids)
{
	const RelationInfo *relation = &cb_relations[number];
	int			nindexes = 1;
	int			nreferences = 0;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TABLE %s (", qualified(schema, relation->name));
	for (ColumnNumber column = relation->first; column <= relation->last; column++)
	{
		const ColumnInfo *info = &cb_columns[column];

		appendStringInfo(&sql, "%s %s %s%s, ", info->name, info->type,
						 info->constraint, info->not_null ? " NOT NULL" : "");
		if (info->references >= 0 && can_be_referenced(relids[info->references]))
		{
			appendStringInfo(&sql, "FOREIGN KEY (%s) REFERENCES %s (id), ", info->name,
							 qualified(schema, cb_relations[info->references].name));
			nreferences++;
		}
	}
	appendStringInfo(&sql, "PRIMARY KEY (%s))%s", relation->key, relation->options);
	execute(sql.data);

	/* PostgreSQL makes no index for a foreign key; the primary key is one for its first column */
	for (ColumnNumber column = relation->first + 1; column <= relation->last; column++)
	{
		if (cb_columns[column].references < 0)
			continue;
		execute(psprintf("CREATE INDEX ON %s (%s)", qualified(schema, relation->name),
						 cb_columns[column].name));
		nindexes++;
	}

	relids[number] = get_relname_relid(relation->name, schema);
	if (!OidIsValid(relids[number]) ||
		!is_as_made(relids[number], nindexes, nreferences, relids))
		schema_changed();
}

/*
 * What keeps an existing relation from being used: columns that it lacks and
 * its kind go into detail and hint.  The relation is locked against changes
 * until the end of the transaction.  Returns whether there was anything.
 */
static bool
check_relation(Oid schema, RelationNumber number, Oid relid,
			   StringInfo detail, StringInfo hint)
{
	const RelationInfo *relation = &cb_relations[number];
	char	   *name = qualified(schema, relation->name);
	char		kind = get_rel_relkind(relid);
	int			nmissing = 0;

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE &&
		(number == CONTACTS ||
		 (kind != RELKIND_VIEW && kind != RELKIND_MATVIEW && kind != RELKIND_FOREIGN_TABLE)))
	{
		appendStringInfo(detail, "%s is not %s.\n", name,
						 number == CONTACTS ? "an ordinary or partitioned table" : "a table or view");
		appendStringInfo(hint, "Rename %s or move it to another schema.\n", name);
		return true;
	}

	for (ColumnNumber column = relation->first; column <= relation->last; column++)
	{
		const ColumnInfo *info = &cb_columns[column];

		if (get_attnum(relid, info->name) != InvalidAttrNumber)
			continue;
		if (nmissing++ == 0)
		{
			appendStringInfo(detail, "%s lacks", name);
			if (kind == RELKIND_VIEW || kind == RELKIND_MATVIEW)
				appendStringInfo(hint, "Add the columns to the definition of the view %s.", name);
			else
				appendStringInfo(hint, "ALTER TABLE %s", name);
		}
		appendStringInfo(detail, "%s %s", nmissing > 1 ? "," : "", info->name);
		if (kind != RELKIND_VIEW && kind != RELKIND_MATVIEW)
		{
			appendStringInfo(hint, "%s ADD COLUMN %s %s", nmissing > 1 ? "," : "",
							 info->name, info->type);
			if (info->constraint[0] != '\0')
				appendStringInfo(hint, " %s", info->constraint);
		}
	}
	if (nmissing > 0)
	{
		appendStringInfoString(detail, ".\n");
		appendStringInfoString(hint,
							   kind == RELKIND_VIEW || kind == RELKIND_MATVIEW ? "\n" : ";\n");
	}
	return nmissing > 0;
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
	Oid			relids[N_RELATIONS];
	Oid			trigger_function;
	StringInfoData detail;
	StringInfoData hint;
	bool		foreign = false;
	bool		unfit = false;

	/*
	 * One at a time; the second one finds what the first one made.  The
	 * extension, and so its schema, cannot be dropped from here on.
	 */
	LockDatabaseObject(ProcedureRelationId, fcinfo->flinfo->fn_oid, 0,
					   ShareUpdateExclusiveLock);
	schema = get_schema(fcinfo, &schema_name);

	initStringInfo(&detail);
	initStringInfo(&hint);
	for (int i = 0; i < N_RELATIONS; i++)
	{
		bool		is_foreign;

		relids[i] = find_relation(schema, &cb_relations[i], &is_foreign);
		if (is_foreign)
		{
			foreign = true;
			appendStringInfo(&detail, "%s belongs to another role.\n",
							 qualified(schema, cb_relations[i].name));
		}
		else if (OidIsValid(relids[i]) &&
				 check_relation(schema, i, relids[i], &detail, &hint))
			unfit = true;
	}
	if (foreign || unfit)
	{
		/* the last newline is one too many */
		detail.data[detail.len - 1] = '\0';
		if (hint.len > 0)
			hint.data[hint.len - 1] = '\0';
		ereport(ERROR,
				(errcode(foreign ? ERRCODE_INSUFFICIENT_PRIVILEGE :
						 ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("existing relations cannot be used by contact_block"),
				 errdetail_internal("%s", detail.data),
				 hint.len > 0 ? errhint("%s", hint.data) : 0));
	}

	SPI_connect();
	for (int i = 0; i < N_RELATIONS; i++)
	{
		if (!OidIsValid(relids[i]))
			create_relation(schema, i, relids);
	}

	trigger_function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
									   CStringGetDatum("contact_audit"),
									   PointerGetDatum(buildoidvector(NULL, 0)),
									   ObjectIdGetDatum(schema));
	/* under the second lock nobody else can put it there any more */
	if (!has_trigger(relids[CONTACTS], trigger_function, AccessShareLock) &&
		!has_trigger(relids[CONTACTS], trigger_function, ShareRowExclusiveLock))
	{
		execute(psprintf("CREATE TRIGGER " TRIGGER_NAME
						 " BEFORE INSERT OR UPDATE ON %s"
						 " FOR EACH ROW EXECUTE FUNCTION %s()",
						 qualified(schema, cb_relations[CONTACTS].name),
						 qualified(schema, "contact_audit")));
		if (!has_trigger(relids[CONTACTS], trigger_function, NoLock))
			schema_changed();
	}
	SPI_finish();

	PG_RETURN_VOID();
}
