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
#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

#include "compat.h"
#include "relations.h"
#include "trigger.h"

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
	if (known->contacts_table == relid)
		changes++;
}

/* the schema, or a word of an enum */
static void
name_changed(Datum arg pg_attribute_unused(), CbCacheId cacheid pg_attribute_unused(),
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

bool
cb_can_hold(Oid type, const char *label)
{
	Datum		id;

	if (type_is_enum(type))
		return SearchSysCacheExists2(ENUMTYPOIDNAME, ObjectIdGetDatum(type), CStringGetDatum(label));
	return cb_parse_id(type, CStringGetTextDatum(label), &id);
}

CbStatus
cb_find_label(const CbSchema *schema, Datum label)
{
	text	   *packed = DatumGetTextPP(label);
	size_t		length = VARSIZE_ANY_EXHDR(packed);
	int			status = 0;

	/* a status without a word has an empty one */
	if (length == 0)
		return CB_NO_STATUS;
	while (status < CB_NSTATUSES &&
		   (strlen(NameStr(schema->labels[status])) != length ||
			memcmp(NameStr(schema->labels[status]), VARDATA_ANY(packed), length) != 0))
		status++;
	return (CbStatus) status;
}

Oid
cb_table_under(Relation view, const char **reason)
{
	Query	   *query = get_view_query(view);
	const char *why_not = view_query_is_auto_updatable(query, true);
	RangeTblEntry *rte;

	if (!why_not && query->jointree->quals)
		why_not = "It has a WHERE clause.";
	if (!why_not && RelationHasCheckOption(view))
		why_not = "It has a check option.";
	/* its one rule is the view itself */
	if (!why_not && ((view->trigdesc && view->trigdesc->trig_update_instead_row) || view->rd_rules->numLocks > 1))
		why_not = "It has an INSTEAD OF trigger or a rule.";
	if (!why_not)
	{
		rte = rt_fetch(linitial_node(RangeTblRef, query->jointree->fromlist)->rtindex, query->rtable);
		if (rte->relkind == RELKIND_RELATION || rte->relkind == RELKIND_PARTITIONED_TABLE)
			return rte->relid;
		why_not = "It is not over a table.";
	}
	if (reason)
		*reason = why_not;
	return InvalidOid;
}

Oid
cb_contacts_table(Oid contacts)
{
	Relation	view;
	Oid			table = InvalidOid;

	if (get_rel_relkind(contacts) != RELKIND_VIEW)
		return contacts;
	view = try_relation_open(contacts, AccessShareLock);
	if (view)
	{
		table = cb_table_under(view, NULL);
		relation_close(view, NoLock);
	}
	return table;
}

Oid
cb_column_type(Oid relid, const char *column)
{
	HeapTuple	tuple = SearchSysCacheAttName(relid, column);
	Oid			type = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		type = ((Form_pg_attribute) GETSTRUCT(tuple))->atttypid;
		ReleaseSysCache(tuple);
	}
	while (HeapTupleIsValid(tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type))))
	{
		Oid			base = ((Form_pg_type) GETSTRUCT(tuple))->typbasetype;

		ReleaseSysCache(tuple);
		if (!OidIsValid(base))
			return type;
		type = base;
	}
	return InvalidOid;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;					/* lower case */
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 8-4-4-4-12 hexadecimal digits in either case */
static bool
parse_uuid(const char *string, int length, Datum *id)
{
	pg_uuid_t  *uuid = (pg_uuid_t *) palloc0(sizeof(pg_uuid_t));
	int			ndigits = 0;

	if (length != 36)
		return false;
	for (int i = 0; i < length; i++)
	{
		int			digit = hex_digit(string[i]);

		if (i == 8 || i == 13 || i == 18 || i == 23)
		{
			if (string[i] != '-')
				return false;
			continue;
		}
		if (digit < 0)
			return false;
		uuid->data[ndigits / 2] |= ndigits % 2 == 0 ? digit << 4 : digit;
		ndigits++;
	}
	*id = UUIDPGetDatum(uuid);
	return true;
}

/* Digits without leading zeros, behind a minus sign perhaps, that fit into so many bits */
static bool
parse_integer(const char *string, int length, int bits, int64 *number)
{
	bool		is_negative = length > 0 && string[0] == '-';
	int			first = is_negative ? 1 : 0;

	*number = 0;
	/* a zero comes first only if it is alone */
	if (length == first || (string[first] == '0' && length > 1))
		return false;
	for (int i = first; i < length; i++)
	{
		int			digit = string[i] - '0';

		if (digit < 0 || digit > 9 ||
			pg_mul_s64_overflow(*number, 10, number) ||
			pg_add_s64_overflow(*number, is_negative ? -digit : digit, number))
			return false;
	}
	return bits == 64 || (*number >= -(INT64CONST(1) << (bits - 1)) && *number < INT64CONST(1) << (bits - 1));
}

/* How many bits an integer of this type has, 0 for other types. */
static int
integer_bits(Oid type)
{
	return type == INT2OID ? 16 : type == INT4OID ? 32 : type == INT8OID ? 64 : 0;
}

bool
cb_is_parsed(Oid type)
{
	return type == UUIDOID || integer_bits(type) > 0;
}

bool
cb_parse_id(Oid type, Datum word, Datum *id)
{
	int			bits = integer_bits(type);
	text	   *packed;
	int64		number;

	if (!cb_is_parsed(type))
	{
		*id = word;
		return true;
	}
	packed = DatumGetTextPP(word);
	if (bits == 0)
		return parse_uuid(VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed), id);
	if (!parse_integer(VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed), bits, &number))
		return false;
	*id = bits == 16 ? Int16GetDatum((int16) number) :
		bits == 32 ? Int32GetDatum((int32) number) : Int64GetDatum(number);
	return true;
}

Datum
cb_canonical_id(Oid type, Datum word)
{
	Datum		id;

	if (type != UUIDOID || !cb_parse_id(type, word, &id))
		return word;
	return CStringGetTextDatum(DatumGetCString(DirectFunctionCall1(uuid_out, id)));
}

Oid
cb_key_type(const CbSchema *schema, CbRelation relation)
{
	return schema->types[cb_relations[relation].first];
}

/*
 * Look at the audit trigger: which table it is on, and what that calls the
 * statuses.  Without a trigger it is the contract's words.
 */
static void
look_at_trigger(CbSchema *schema)
{
	Oid			status_type = schema->types[cb_relations[CB_CONTACTS].first + cb_contact_place(CB_STATUS)];
	Relation	rel = NULL;
	const Trigger *trigger = NULL;
	CbNames		names;

	schema->contacts_table = known->contacts_table = cb_contacts_table(schema->relids[CB_CONTACTS]);
	/* one that was dropped since its name was looked up: the statement will tell */
	if (OidIsValid(schema->contacts_table))
		rel = try_relation_open(schema->contacts_table, AccessShareLock);
	if (rel)
		trigger = cb_find_trigger(rel, cb_trigger_function(schema->oid));
	if (trigger)
		cb_read_arguments(trigger, &names);
	for (int status = 0; status < CB_NSTATUSES; status++)
	{
		const char *label = trigger ? names.labels[status] : cb_statuses[status].name;

		if (cb_can_hold(status_type, label))
			namestrcpy(&schema->labels[status], label);
	}
	if (rel)
		relation_close(rel, NoLock);
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
			cb_not_set_up(psprintf("Relation \"%s\" does not exist in schema \"%s\".", relation->name, name),
						  psprintf("Run SELECT %s.contact_block_setup().", quote_identifier(name)));
		/* of what changes from here on we hear */
		schema->relids[i] = known->relids[i] = relid;
		for (int place = 0; place < relation->ncolumns; place++)
			schema->types[relation->first + place] = cb_column_type(relid, relation->columns[place].name);
	}
	look_at_trigger(schema);
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
		CacheRegisterSyscacheCallback(NAMESPACEOID, name_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(ENUMTYPOIDNAME, name_changed, (Datum) 0);
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
 * that is missing, or dropped meanwhile, does not count, nor do those without
 * which nothing works: the statement that needs them gets PostgreSQL's own error.
 */
static Bitmapset *
add_hidden(Bitmapset *hidden, CbRelation number)
{
	const CbRelationInfo *relation = &cb_relations[number];
	Oid			relid = known->relids[number];
	bool		is_missing = false;

	if (pg_class_aclcheck_ext(relid, GetUserId(), ACL_SELECT, &is_missing) == ACLCHECK_OK || is_missing)
		return hidden;
	for (int place = 0; place < relation->ncolumns; place++)
	{
		const CbColumn *column = &relation->columns[place];
		AttrNumber	attnum = get_attnum(relid, column->name);

		if (attnum != InvalidAttrNumber &&
			!(number == CB_CONTACTS && (column->kind == CB_ID || column->kind == CB_STATUS)) &&
			pg_attribute_aclcheck_ext(relid, attnum, GetUserId(), ACL_SELECT, &is_missing) != ACLCHECK_OK &&
			!is_missing)
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
