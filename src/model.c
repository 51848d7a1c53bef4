/*-------------------------------------------------------------------------
 *
 * model.c
 *	  What a document is: one table for each kind of object, a row a property.
 *
 * Everything else follows from these: the relations and their columns in
 * CREATE TABLE and set-up, the select lists, the rights that are behind a name
 * in $meta.omitted, and the jsonb.  The columns of a relation are in the order
 * of the rows here; what other orders there are is derived when the library is
 * loaded.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "compat.h"
#include "lifecycle.h"
#include "model.h"

#define BYTEWISE "COLLATE \"C\""
#define SHOWN(show_as, from, name, ...) {.key = (name), .kind = (show_as), .relation = (from), __VA_ARGS__}
#define COLUMN(show_as, from, name, called, ...) SHOWN(show_as, from, name, .column = called, __VA_ARGS__)
#define ID(from) COLUMN(CB_ID, from, "id", "id", .constraint = BYTEWISE, .not_null = true)
#define LINK(from, called, to) \
	COLUMN(CB_LINK, from, NULL, called, .constraint = BYTEWISE, .not_null = true, .object = (to))
#define EVENT(from, name, always) \
	COLUMN(CB_EVENT, from, name, name, .constraint = BYTEWISE, .not_null = (always))
#define CONTACT_EVENT(number, name, always) EVENT(CB_CONTACTS, name, always),
/* every UPDATE reads the expression anew, and this one is shorter than an IN */
#define ONE_OF(called, values) "CHECK (" called " = ANY ('{" values "}'))"

static CbProperty account[] = {
	ID(CB_ACCOUNTS),
	COLUMN(CB_TEXT, CB_ACCOUNTS, "type", "type", .not_null = true,
		   .constraint = ONE_OF("type", "Client,Vendor,Operations")),
	COLUMN(CB_TEXT, CB_ACCOUNTS, "status", "status", .not_null = true,
		   .constraint = ONE_OF("status", "Enabled,Active,Disabled")),
	COLUMN(CB_TEXT, CB_ACCOUNTS, "name", "name", .not_null = true),
	COLUMN(CB_TEXT, CB_ACCOUNTS, "icon", "icon"),
	LINK(CB_ACCOUNT_USERS, "user_id", CB_USER),
	LINK(CB_ACCOUNT_USERS, "account_id", CB_ACCOUNT)
};

static CbProperty user[] = {
	ID(CB_USERS),
	COLUMN(CB_TEXT, CB_USERS, "email", "email", .not_null = true),
	COLUMN(CB_TEXT, CB_USERS, "status", "status", .not_null = true,
		   .constraint = ONE_OF("status", "New,Invited,InvitationExpired,Active,Blocked,Disabled,Deleted")),
	COLUMN(CB_TEXT, CB_USERS, "name", "name", .not_null = true),
	COLUMN(CB_TEXT, CB_USERS, "firstName", "first_name", .not_null = true),
	COLUMN(CB_TEXT, CB_USERS, "lastName", "last_name", .not_null = true),
	COLUMN(CB_TEXT, CB_USERS, "icon", "icon"),
	SHOWN(CB_OPTIONAL_GROUP, CB_USERS, "phone", .object = CB_PHONE),
	SHOWN(CB_OPTIONAL_GROUP, CB_USERS, "settings", .object = CB_SETTINGS),
	COLUMN(CB_TIME, CB_USERS, "lastLoginAt", "last_login_at"),
	COLUMN(CB_REFERENCE, CB_USERS, "currentAccount", "current_account_id",
		   .constraint = BYTEWISE, .object = CB_ACCOUNT),
	SHOWN(CB_LIST, CB_USERS, "accounts", .object = CB_ACCOUNT),
	SHOWN(CB_GROUP, CB_USERS, "audit", .object = CB_USER_AUDIT),
	SHOWN(CB_META, CB_USERS, "$meta")
};

static CbProperty phone[] = {
	COLUMN(CB_TEXT, CB_USERS, "prefix", "phone_prefix"),
	COLUMN(CB_TEXT, CB_USERS, "number", "phone_number")
};

static CbProperty settings[] = {
	COLUMN(CB_TEXT, CB_USERS, "cultureCode", "culture_code"),
	COLUMN(CB_TEXT, CB_USERS, "languageCode", "language_code")
};

static CbProperty user_audit[] = {
	EVENT(CB_USERS, "created", false),
	EVENT(CB_USERS, "updated", false),
	COLUMN(CB_TIME, CB_USERS, "invitationAcceptedAt", "invitation_accepted_at")
};

/* Somebody who acted, when it is a user. */
static CbProperty actor[] = {
	ID(CB_USERS),
	COLUMN(CB_TEXT, CB_USERS, "name", "name"),
	COLUMN(CB_TEXT, CB_USERS, "icon", "icon")
};

static CbProperty opt_out[] = {
	ID(CB_CATEGORIES),
	COLUMN(CB_TEXT, CB_CATEGORIES, "name", "name"),
	COLUMN(CB_TEXT, CB_CATEGORIES, "shortDescription", "short_description", .not_null = true),
	COLUMN(CB_TEXT, CB_CATEGORIES, "icon", "icon"),
	LINK(CB_CONTACT_OPT_OUTS, "contact_id", CB_CONTACT),
	LINK(CB_CONTACT_OPT_OUTS, "category_id", CB_OPT_OUT),
	COLUMN(CB_TIME, CB_CONTACT_OPT_OUTS, "lastUsed", "last_used")
};

static CbProperty contact[] = {
	ID(CB_CONTACTS),
	COLUMN(CB_TEXT, CB_CONTACTS, "email", "email", .not_null = true),
	COLUMN(CB_TEXT, CB_CONTACTS, "name", "name"),
	COLUMN(CB_STATUS, CB_CONTACTS, "status", "status", .not_null = true),
	COLUMN(CB_REASON, CB_CONTACTS, "blockedReason", "blocked_reason"),
	COLUMN(CB_REFERENCE, CB_CONTACTS, "user", "user_id", .constraint = BYTEWISE, .object = CB_USER),
	COLUMN(CB_TEXT, CB_CONTACTS, "userId", "user_id"),
	SHOWN(CB_GROUP, CB_CONTACTS, "audit", .object = CB_CONTACT_AUDIT),
	SHOWN(CB_LIST, CB_CONTACTS, "optOuts", .object = CB_OPT_OUT),
	SHOWN(CB_META, CB_CONTACTS, "$meta")
};

static CbProperty contact_audit[] = {
	CB_EVENTS(CONTACT_EVENT)
};

#define OBJECT(from, listed_by, shows) \
	{.relation = (from), .link = (listed_by), .properties = (shows), .nproperties = lengthof(shows)}

CbObject	cb_objects[CB_NOBJECTS] = {
	[CB_CONTACT] = OBJECT(CB_CONTACTS, CB_NO_RELATION, contact),
	[CB_CONTACT_AUDIT] = OBJECT(CB_CONTACTS, CB_NO_RELATION, contact_audit),
	[CB_OPT_OUT] = OBJECT(CB_CATEGORIES, CB_CONTACT_OPT_OUTS, opt_out),
	[CB_USER] = OBJECT(CB_USERS, CB_NO_RELATION, user),
	[CB_USER_AUDIT] = OBJECT(CB_USERS, CB_NO_RELATION, user_audit),
	[CB_PHONE] = OBJECT(CB_USERS, CB_NO_RELATION, phone),
	[CB_SETTINGS] = OBJECT(CB_USERS, CB_NO_RELATION, settings),
	[CB_ACCOUNT] = OBJECT(CB_ACCOUNTS, CB_ACCOUNT_USERS, account),
	[CB_ACTOR] = OBJECT(CB_USERS, CB_NO_RELATION, actor)
};

/*
 * The fillfactor leaves room on a page for a new version of every row on it,
 * longer by the stamps: all its contacts can be blocked in one transaction,
 * without a reason, and stay there (HOT).  What a reason changes is measured
 * in doc/benchmark.md, Room on the page.
 */
CbRelationInfo cb_relations[CB_NRELATIONS] = {
	[CB_ACCOUNTS] = {.name = "accounts"},
	[CB_USERS] = {.name = "users"},
	[CB_ACCOUNT_USERS] = {.name = "account_users"},
	[CB_CATEGORIES] = {.name = "categories"},
	[CB_CONTACTS] = {.name = "contacts", .options = "fillfactor = 40"},
	[CB_CONTACT_OPT_OUTS] = {.name = "contact_opt_outs"}
};

int			cb_ncolumns = 0;

/* What the column of a property is in CREATE TABLE, and what it is read as. */
static const struct
{
	const char *type;
	const char *read_as;
}			types[] = {
	[CB_TEXT] = {"text", "text"},
	[CB_INTEGER] = {"integer", "int8"},
	[CB_TIME] = {"timestamptz", "timestamptz"},
	[CB_ID] = {"text", "text"},
	[CB_STATUS] = {"text", "text"},
	[CB_REASON] = {"text", "text"},
	[CB_LINK] = {"text", "text"},
	[CB_REFERENCE] = {"text", "text"},
	[CB_META] = {NULL, NULL}	/* the last kind; from CB_EVENT on a kind is no column */
};

/*
 * Give a property's column its place in the relation; where another property
 * has it already, that is the place.
 */
static int
add_column(const CbProperty *property, const char *name, CbKind kind)
{
	CbRelationInfo *relation = &cb_relations[property->relation];
	CbColumn   *column = relation->columns;

	while (column < relation->columns + relation->ncolumns)
	{
		if (strcmp(column->name, name) == 0)
			return column - relation->columns;
		column++;
	}
	relation->ncolumns++;
	cb_ncolumns++;

	column->name = name;
	column->type = types[kind].type;
	column->read_as = types[kind].read_as;
	column->constraint = property->kind == CB_STATUS ? cb_status_constraint() :
		property->kind == CB_EVENT && kind == CB_TIME ? NULL : property->constraint;
	column->not_null = property->not_null && (property->kind != CB_EVENT || kind == CB_TIME);
	column->newer = property->newer;
	column->is_key = kind == CB_ID || kind == CB_LINK;
	column->kind = property->kind;
	column->references = kind == CB_LINK || kind == CB_REFERENCE ?
		cb_objects[property->object].relation : CB_NO_RELATION;
	return column - relation->columns;
}

/*
 * Find the columns of a relation in an object's properties, those of its
 * groups included.
 */
static void
add_columns(CbObject *object, CbRelation relation)
{
	for (int i = 0; i < object->nproperties; i++)
	{
		CbProperty *property = &object->properties[i];

		if (property->kind == CB_GROUP || property->kind == CB_OPTIONAL_GROUP)
			add_columns(&cb_objects[property->object], relation);
		if (property->relation != relation || !property->column)
			continue;
		if (property->kind == CB_EVENT)
		{
			property->place = add_column(property, psprintf("%s_at", property->column), CB_TIME);
			(void) add_column(property, psprintf("%s_by", property->column), CB_TEXT);
		}
		else
			property->place = add_column(property, property->column, property->kind);
	}
}

/* The columns that a caller has to read to see anything of an object. */
static Bitmapset *
needed_columns(CbObjectNumber number)
{
	const CbObject *object = &cb_objects[number];

	/* what it lacks is told in the object itself, if it can be told there */
	for (int i = 0; i < object->nproperties; i++)
	{
		if (object->properties[i].kind == CB_META)
			return bms_make_singleton(cb_relations[object->relation].first);
	}
	return object->columns;
}

/* The columns behind a property, itself and what it shows. */
static Bitmapset *
property_columns(const CbProperty *property)
{
	int			first = cb_relations[property->relation].first + property->place;
	Bitmapset  *columns = NULL;
	CbRelation	link;

	if (property->column)
		columns = bms_make_singleton(first);
	switch (property->kind)
	{
		case CB_EVENT:
			return bms_add_member(columns, first + 1);
		case CB_GROUP:
		case CB_OPTIONAL_GROUP:
			return cb_objects[property->object].columns;
		case CB_REFERENCE:
			return bms_add_members(columns, needed_columns(property->object));
		case CB_LIST:
			link = cb_objects[property->object].link;
			columns = bms_copy(needed_columns(property->object));
			return bms_add_range(columns, cb_relations[link].first,
								 cb_relations[link].first + cb_relations[link].ncolumns - 1);
		default:
			return columns;
	}
}

/* As jsonb sorts its keys: by length, then byte by byte. */
static int
compare_in_jsonb(const void *a, const void *b)
{
	const char *x = (*(CbProperty *const *) a)->key;
	const char *y = (*(CbProperty *const *) b)->key;
	size_t		x_length = strlen(x);
	size_t		y_length = strlen(y);

	if (x_length != y_length)
		return x_length < y_length ? -1 : 1;
	return memcmp(x, y, x_length);
}

static int
compare_by_name(const void *a, const void *b)
{
	return strcmp((*(CbProperty *const *) a)->key, (*(CbProperty *const *) b)->key);
}

/* Derive the orders of an object's properties, and the columns behind them. */
static void
load_object(CbObject *object)
{
	Size		size = Max(object->nproperties, 1) * sizeof(CbProperty *);

	object->in_jsonb = (CbProperty **) palloc(size);
	object->by_name = (CbProperty **) palloc(size);
	object->nshown = 0;
	object->columns = NULL;
	for (int i = 0; i < object->nproperties; i++)
	{
		CbProperty *property = &object->properties[i];

		property->columns = property_columns(property);
		/* another relation's are those of its link */
		if (property->relation == object->relation)
			object->columns = bms_add_members(object->columns, property->columns);
		if (property->key)
			object->in_jsonb[object->nshown++] = property;
	}
	memcpy(object->by_name, object->in_jsonb, object->nshown * sizeof(CbProperty *));
	qsort(object->in_jsonb, object->nshown, sizeof(CbProperty *), compare_in_jsonb);
	qsort(object->by_name, object->nshown, sizeof(CbProperty *), compare_by_name);
}

void
cb_load_model(void)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	int			size = 0;

	for (int i = 0; i < CB_NOBJECTS; i++)
		size += 2 * cb_objects[i].nproperties;
	cb_ncolumns = 0;
	for (CbRelation relation = 0; relation < CB_NRELATIONS; relation++)
	{
		CbRelationInfo *info = &cb_relations[relation];

		info->first = cb_ncolumns;
		info->ncolumns = 0;
		info->columns = (CbColumn *) palloc0(size * sizeof(CbColumn));
		for (int i = 0; i < CB_NOBJECTS; i++)
			add_columns(&cb_objects[i], relation);
	}
	/* an object comes before what it is made of */
	for (int i = CB_NOBJECTS - 1; i >= 0; i--)
		load_object(&cb_objects[i]);
	MemoryContextSwitchTo(oldcontext);
}

int
cb_contact_place(CbKind kind)
{
	const CbRelationInfo *contacts = &cb_relations[CB_CONTACTS];
	int			place = 0;

	while (contacts->columns[place].kind != kind)
		place++;
	return place;
}
