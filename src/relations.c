/*-------------------------------------------------------------------------
 *
 * relations.c
 *	  The user's relations as they are now, and what a caller may read.
 *
 * What the relations are like is kept until PostgreSQL says that one of them
 * or the schema has changed.  What a caller may read is looked up for every
 * call: it changes with the role, and by what is granted to other roles.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/attnum.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "compat.h"
#include "relations.h"

/* A database has one extension, and so one schema. */
static CbSchema *known = NULL;

/* How many changes were heard of, and of how many what is known takes account. */
static uint64 changes = 1;
static uint64 changes_seen = 0;

static Size
schema_size(void)
{
	return offsetof(CbSchema, types) + cb_ncolumns * sizeof(Oid);
}

static void
relation_changed(Datum arg pg_attribute_unused(), Oid relid)
{
	for (int i = 0; i < CB_NRELATIONS; i++)
	{
		if (!OidIsValid(relid) || known->relids[i] == relid)
			changes++;
	}
}

static void
schema_renamed(Datum arg pg_attribute_unused(), CbCacheId cacheid pg_attribute_unused(),
			   uint32 hashvalue pg_attribute_unused())
{
	changes++;
}

Oid
cb_get_schema(FunctionCallInfo fcinfo, char **name)
{
	Oid			schema = get_func_namespace(fcinfo->flinfo->fn_oid);

	*name = get_namespace_name(schema);
	if (!*name)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("the called function does not exist any more")));
	return schema;
}

void
cb_not_set_up(const char *schema_name, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("contact_block is not set up"),
			 errdetail_internal("%s", detail),
			 errhint("Run SELECT %s.contact_block_setup().", quote_identifier(schema_name))));
}

/*
 * Look at the relations in the schema.  Raises 55000 when one is missing.
 */
static CbSchema *
look_at_schema(FunctionCallInfo fcinfo)
{
	CbSchema   *schema = (CbSchema *) palloc0(schema_size());
	char	   *name;

	schema->oid = cb_get_schema(fcinfo, &name);
	namestrcpy(&schema->name, name);
	for (int i = 0; i < CB_NRELATIONS; i++)
	{
		const CbRelationInfo *relation = &cb_relations[i];
		Oid			relid = get_relname_relid(relation->name, schema->oid);

		if (!OidIsValid(relid))
			cb_not_set_up(name, psprintf("Relation \"%s\" does not exist in schema \"%s\".",
										 relation->name, name));
		/* of what changes from here on we hear */
		schema->relids[i] = known->relids[i] = relid;
		for (int place = 0; place < relation->ncolumns; place++)
		{
			AttrNumber	number = get_attnum(relid, relation->columns[place].name);

			if (number != InvalidAttrNumber)
				schema->types[relation->first + place] = getBaseType(get_atttype(relid, number));
		}
	}
	return schema;
}

/*
 * Note what the schema is like.  It gets a new generation only if that has
 * changed: an ANALYZE does not.
 */
static void
know_schema(FunctionCallInfo fcinfo)
{
	static uint64 generation = 0;
	uint64		changes_now;
	CbSchema   *now;

	if (!known)
	{
		known = (CbSchema *) MemoryContextAllocZero(TopMemoryContext, schema_size());
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, schema_renamed, (Datum) 0);
	}
	/* a change that is heard of while we look is one to look at next time */
	changes_now = changes;
	now = look_at_schema(fcinfo);
	now->generation = known->generation;
	if (memcmp(now, known, schema_size()) != 0)
	{
		now->generation = ++generation;
		memcpy(known, now, schema_size());
	}
	pfree(now);
	changes_seen = changes_now;
}

/*
 * Add the columns of a relation that the current user may not read.  A column
 * that is missing does not count, nor do those without which nothing works:
 * the statement that needs them gets PostgreSQL's own error.
 */
static Bitmapset *
add_hidden(Bitmapset *hidden, CbRelation number)
{
	const CbRelationInfo *relation = &cb_relations[number];
	Oid			relid = known->relids[number];

	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return hidden;
	for (int place = 0; place < relation->ncolumns; place++)
	{
		const CbColumn *column = &relation->columns[place];
		AttrNumber	attnum = get_attnum(relid, column->name);

		if (attnum != InvalidAttrNumber &&
			!(number == CB_CONTACTS && (column->kind == CB_ID || column->kind == CB_STATUS)) &&
			pg_attribute_aclcheck(relid, attnum, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
			hidden = bms_add_member(hidden, relation->first + place);
	}
	return hidden;
}

void
cb_begin_call(FunctionCallInfo fcinfo, CbCall *call)
{
	/* in a transaction's second statement nothing has looked for a REVOKE yet */
	AcceptInvalidationMessages();

	if (changes_seen != changes || known->oid != get_func_namespace(fcinfo->flinfo->fn_oid))
		know_schema(fcinfo);
	call->schema = known;
	call->hidden = NULL;
	for (int i = 0; i < CB_NRELATIONS; i++)
		call->hidden = add_hidden(call->hidden, i);
}
