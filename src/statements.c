/*-------------------------------------------------------------------------
 *
 * statements.c
 *	  Every SQL text of the calls, and its kept plan.
 *
 * The texts name everything with its schema, cast every column that they
 * return, and never write relation.column, which PostgreSQL would take for a
 * function of the search_path where that column is missing.  So neither a
 * search_path nor a changed relation can turn them into something else.
 *
 * PostgreSQL plans a kept plan anew when something that it depends on has
 * changed; what the text itself depends on, the name of the schema and the
 * columns that the caller may read, is the key of the cache.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"

#include "contact_block.h"

#define EQUALS "OPERATOR(pg_catalog.=)"
#define BY_ID " WHERE id " EQUALS " $1"
#define STATUS_IS(status) "status " EQUALS " '" status "'"
/* a column's value, to be compared or ordered byte by byte */
#define BYTEWISE(column) column "::pg_catalog.text COLLATE pg_catalog.\"C\""

/* An UPDATE that changes nothing unless the condition holds */
#define UPDATE(set, condition) \
	"UPDATE {contacts} SET " set BY_ID " AND (" condition ")" \
	" RETURNING {contacts.*}"

/*
 * The template of a statement and the types of its parameters, of which the
 * first is the id to look for.  {name} stands for a relation, {name.*} for
 * its columns.
 *
 * LATERAL ... OFFSET 0 makes the planner look up the joined relation row by
 * row, by its primary key: right for two rows and good enough for a thousand,
 * where it would otherwise settle for reading all of it.  What the rows are
 * ordered by is returned too, for a column that is not would have to be
 * filtered out again.
 */
typedef struct StatementInfo
{
	RelationNumber returns;		/* the relation whose columns come first */
	const char *template;
	int			nparameters;
	Oid			parameter_types[2];
} StatementInfo;

static const StatementInfo statements[N_STATEMENTS] = {
	[BLOCK_CONTACT] = {
		CONTACTS,
		UPDATE("status = 'Blocked'", STATUS_IS("Active")),
		1, {TEXTOID}
	},
	[BLOCK_CONTACT_WITH_REASON] = {
		CONTACTS,
		UPDATE("status = 'Blocked', blocked_reason = $2",
			   STATUS_IS("Active") " OR " STATUS_IS("Blocked")
			   " AND (blocked_reason IS NULL OR " BYTEWISE("blocked_reason")
			   " OPERATOR(pg_catalog.<>) $2)"),
		2, {TEXTOID, TEXTOID}
	},
	[BLOCK_CONTACT_WITH_UNREADABLE_REASON] = {
		CONTACTS,
		UPDATE("status = 'Blocked', blocked_reason = $2",
			   STATUS_IS("Active") " OR " STATUS_IS("Blocked")),
		2, {TEXTOID, TEXTOID}
	},
	[UNBLOCK_CONTACT] = {
		CONTACTS,
		UPDATE("status = 'Active'", STATUS_IS("Blocked")),
		1, {TEXTOID}
	},
	[DELETE_CONTACT] = {
		CONTACTS,
		UPDATE("status = 'Deleted'", STATUS_IS("Active") " OR " STATUS_IS("Blocked")),
		1, {TEXTOID}
	},
	[LOCK_CONTACT] = {
		CONTACTS,
		"SELECT {contacts.*} FROM {contacts}" BY_ID " FOR NO KEY UPDATE",
		1, {TEXTOID}
	},
	[SELECT_CONTACT] = {
		CONTACTS,
		"SELECT {contacts.*} FROM {contacts}" BY_ID,
		1, {TEXTOID}
	},
	[SELECT_OPT_OUTS] = {
		CATEGORIES,
		"SELECT category.*, opt_out.last_used, " BYTEWISE("opt_out.category_id") " FROM"
		" (SELECT category_id, last_used::pg_catalog.timestamptz FROM {contact_opt_outs}"
		" WHERE contact_id " EQUALS " $1) AS opt_out,"
		" LATERAL (SELECT {categories.*} FROM {categories}"
		" WHERE id " EQUALS " opt_out.category_id OFFSET 0) AS category"
		" ORDER BY " BYTEWISE("opt_out.category_id"),
		1, {TEXTOID}
	},
	[SELECT_USER] = {
		USERS,
		"SELECT {users.*} FROM {users}" BY_ID,
		1, {TEXTOID}
	},
	[SELECT_ACCOUNT] = {
		ACCOUNTS,
		"SELECT {accounts.*} FROM {accounts}" BY_ID,
		1, {TEXTOID}
	},
	[SELECT_ACCOUNTS] = {
		ACCOUNTS,
		"SELECT account.*, " BYTEWISE("account_user.account_id") " FROM"
		" (SELECT account_id FROM {account_users} WHERE user_id " EQUALS " $1) AS account_user,"
		" LATERAL (SELECT {accounts.*} FROM {accounts}"
		" WHERE id " EQUALS " account_user.account_id OFFSET 0) AS account"
		" ORDER BY " BYTEWISE("account_user.account_id"),
		1, {TEXTOID}
	},
	[SELECT_ACTORS] = {
		USERS,
		"SELECT id::pg_catalog.text, name::pg_catalog.text, icon::pg_catalog.text"
		" FROM {users} WHERE id " EQUALS " ANY ($1)",
		1, {TEXTARRAYOID}
	}
};

typedef struct PlanKey
{
	NameData	schema;
	Statement	statement;
	ColumnSet	hidden;			/* of those that the statement returns first */
} PlanKey;

typedef struct PlanEntry
{
	PlanKey		key;			/* must be first */
	SPIPlanPtr	plan;
} PlanEntry;

static HTAB *plans = NULL;

/*
 * Append the columns of a relation, null for those that are hidden.
 */
static void
append_columns(StringInfo sql, const RelationInfo *relation, ColumnSet hidden)
{
	for (ColumnNumber column = relation->first; column <= relation->last; column++)
	{
		if (column > relation->first)
			appendStringInfoString(sql, ", ");
		if (hidden & COLUMN(column))
			appendStringInfoString(sql, "NULL");
		else
			appendStringInfoString(sql, cb_columns[column].name);
		appendStringInfo(sql, "::pg_catalog.%s", cb_columns[column].type);
	}
}

/*
 * The text of a statement: its template, filled in.
 */
static char *
statement_text(const PlanKey *key)
{
	const char *template = statements[key->statement].template;
	const char *brace;
	StringInfoData sql;

	initStringInfo(&sql);
	while ((brace = strchr(template, '{')) != NULL)
	{
		const char *name = brace + 1;
		int			length = strcspn(name, ".}");
		const RelationInfo *relation = cb_relations;

		appendBinaryStringInfo(&sql, template, brace - template);
		while (strncmp(relation->name, name, length) != 0 ||
			   relation->name[length] != '\0')
			relation++;
		if (name[length] == '.')
			append_columns(&sql, relation, key->hidden);
		else
			appendStringInfo(&sql, "%s AS %s",
							 quote_qualified_identifier(NameStr(key->schema), relation->name),
							 relation->name);
		template = strchr(name, '}') + 1;
	}
	appendStringInfoString(&sql, template);
	return sql.data;
}

/*
 * The plan of a statement for this call, made and kept when it is not there.
 *
 * Plans are always generic: for an id nothing can be gained by planning for
 * its value, and "= ANY" would be planned at every call.
 */
static SPIPlanPtr
get_plan(const ContactCall *call, Statement statement)
{
	const RelationInfo *returns = &cb_relations[statements[statement].returns];
	PlanKey		key;
	PlanEntry  *entry;
	SPIPlanPtr	plan;

	/* the key is compared as a string of bytes */
	memset(&key, 0, sizeof(key));
	key.schema = call->schema;
	key.statement = statement;
	key.hidden = call->hidden & COLUMN_RANGE(returns->first, returns->last);

	if (!plans)
	{
		HASHCTL		control = {0};

		control.keysize = sizeof(PlanKey);
		control.entrysize = sizeof(PlanEntry);
		plans = hash_create("contact_block plans", 32, &control, HASH_ELEM | HASH_BLOBS);
	}
	entry = (PlanEntry *) hash_search(plans, &key, HASH_FIND, NULL);
	if (entry)
		return entry->plan;

	plan = SPI_prepare_cursor(statement_text(&key),
							  statements[statement].nparameters,
							  (Oid *) statements[statement].parameter_types,
							  CURSOR_OPT_GENERIC_PLAN);
	if (!plan)
		elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	entry = (PlanEntry *) hash_search(plans, &key, HASH_ENTER, NULL);
	entry->plan = plan;
	return plan;
}

/*
 * Run a statement and return its rows.  The parameters are as the statement
 * wants them, none of them null.  With read_only it sees what the active
 * snapshot sees, else all that is committed by now and what this transaction
 * did.  Between SPI_connect and SPI_finish only.
 */
Rows
cb_run(const ContactCall *call, Statement statement, Datum *parameters,
	   bool read_only)
{
	Rows		rows;
	int			rc = SPI_execute_plan(get_plan(call, statement), parameters, NULL,
									  read_only, 0);

	if (rc < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(rc));
	/* an INSTEAD rule may have put something that returns no rows in its place */
	rows.count = SPI_tuptable ? SPI_tuptable->numvals : 0;
	rows.table = SPI_tuptable;
	rows.relation = statements[statement].returns;
	return rows;
}

/*
 * Return a row, counted from 0, as the columns of its first relation.  Raises
 * 23502 when it has no key: what is looked up by it next must not be null.
 * Only a trigger, a rule or a view of the user's can bring that about.
 */
Row
cb_fetch_row(const Rows *rows, uint64 number)
{
	const RelationInfo *relation = &cb_relations[rows->relation];
	TupleDesc	desc = rows->table->tupdesc;
	Row			row;

	row.values = (Datum *) palloc(desc->natts * sizeof(Datum));
	row.isnull = (bool *) palloc(desc->natts * sizeof(bool));
	row.relation = rows->relation;
	heap_deform_tuple(rows->table->vals[number], desc, row.values, row.isnull);
	if (row.isnull[0])
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("a row of relation \"%s\" has no %s",
						relation->name, cb_columns[relation->first].name)));
	return row;
}

/*
 * Are two texts the same, byte by byte?
 */
bool
cb_text_equal(Datum a, Datum b)
{
	text	   *x = DatumGetTextPP(a);
	text	   *y = DatumGetTextPP(b);

	return VARSIZE_ANY_EXHDR(x) == VARSIZE_ANY_EXHDR(y) &&
		memcmp(VARDATA_ANY(x), VARDATA_ANY(y), VARSIZE_ANY_EXHDR(x)) == 0;
}
