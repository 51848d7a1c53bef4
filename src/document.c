/*-------------------------------------------------------------------------
 *
 * document.c
 *	  Rows to jsonb: the document of a contact, one function per object.
 *
 * In jsonb the keys of an object are sorted by their length and then by their
 * bytes.  They are added in that order here, so the tree is built as it has
 * to be, where pushJsonbValue() would sort every object once more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "contact_block.h"

/*
 * The columns behind those properties that have more than one.  A caller who
 * may not read one of them does not see the property.
 */
#define ACCOUNT_COLUMNS		COLUMN_RANGE(ACCOUNTS_ID, ACCOUNTS_ICON)
#define ACCOUNTS_COLUMNS	(ACCOUNT_COLUMNS | COLUMN_RANGE(ACCOUNT_USERS_USER_ID, ACCOUNT_USERS_ACCOUNT_ID))
#define CURRENT_ACCOUNT_COLUMNS (ACCOUNT_COLUMNS | COLUMN(USERS_CURRENT_ACCOUNT_ID))
#define PHONE_COLUMNS		COLUMN_RANGE(USERS_PHONE_PREFIX, USERS_PHONE_NUMBER)
#define SETTINGS_COLUMNS	COLUMN_RANGE(USERS_CULTURE_CODE, USERS_LANGUAGE_CODE)
#define USER_AUDIT_COLUMNS	COLUMN_RANGE(USERS_CREATED_AT, USERS_INVITATION_ACCEPTED_AT)
#define AUDIT_COLUMNS		COLUMN_RANGE(CONTACTS_CREATED_AT, CONTACTS_DELETED_BY)
#define OPT_OUTS_COLUMNS	(COLUMN_RANGE(CATEGORIES_ID, CATEGORIES_ICON) | \
							 COLUMN_RANGE(CONTACT_OPT_OUTS_CONTACT_ID, CONTACT_OPT_OUTS_LAST_USED))
#define USER_COLUMNS		(COLUMN(CONTACTS_USER_ID) | COLUMN(USERS_ID))
/* and behind the name and icon of an actor */
#define ACTOR_COLUMNS		(COLUMN(USERS_ID) | COLUMN(USERS_NAME) | COLUMN(USERS_ICON))

typedef struct Property
{
	const char *key;
	ColumnSet	columns;
} Property;

/* The properties that can be left out, sorted by their keys. */
static const Property contact_properties[] = {
	{"audit", AUDIT_COLUMNS},
	{"blockedReason", COLUMN(CONTACTS_BLOCKED_REASON)},
	{"email", COLUMN(CONTACTS_EMAIL)},
	{"name", COLUMN(CONTACTS_NAME)},
	{"optOuts", OPT_OUTS_COLUMNS},
	{"user", USER_COLUMNS},
	{"userId", COLUMN(CONTACTS_USER_ID)}
};

static const Property user_properties[] = {
	{"accounts", ACCOUNTS_COLUMNS},
	{"audit", USER_AUDIT_COLUMNS},
	{"currentAccount", CURRENT_ACCOUNT_COLUMNS},
	{"email", COLUMN(USERS_EMAIL)},
	{"firstName", COLUMN(USERS_FIRST_NAME)},
	{"icon", COLUMN(USERS_ICON)},
	{"lastLoginAt", COLUMN(USERS_LAST_LOGIN_AT)},
	{"lastName", COLUMN(USERS_LAST_NAME)},
	{"name", COLUMN(USERS_NAME)},
	{"phone", PHONE_COLUMNS},
	{"settings", SETTINGS_COLUMNS},
	{"status", COLUMN(USERS_STATUS)}
};

/* At most this many actors are in a document: five events and two. */
#define MAX_ACTORS 7

/* Where SELECT_OPT_OUTS returns last_used: behind the category's columns */
#define OPT_OUT_LAST_USED	(CATEGORIES_ICON - CATEGORIES_ID + 1)

/* What SELECT_ACTORS returns */
enum
{
	ACTOR_ID,
	ACTOR_NAME,
	ACTOR_ICON
};

/* Somebody who acted, and what users says about them if it knows them. */
typedef struct Actor
{
	Datum		id;
	bool		is_user;
	NullableDatum name;
	NullableDatum icon;
} Actor;

/* A document in the making. */
typedef struct Document
{
	const ContactCall *call;
	int			nactors;
	Actor		actors[MAX_ACTORS];
} Document;

static JsonbValue
string_value(const char *string, int length)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, string);
	value.val.string.len = length;
	return value;
}

static JsonbValue
null_value(void)
{
	JsonbValue	value;

	value.type = jbvNull;
	return value;
}

static JsonbValue
text_value(NullableDatum datum)
{
	text	   *string;

	if (datum.isnull)
		return null_value();
	string = DatumGetTextPP(datum.value);
	return string_value(VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
}

/*
 * A time in UTC, cut off after the milliseconds; null when the format's
 * four-digit years cannot tell it.
 */
static JsonbValue
time_value(NullableDatum datum)
{
	Timestamp	time = datum.isnull ? DT_NOEND : DatumGetTimestampTz(datum.value);
	struct pg_tm tm;
	fsec_t		microseconds;
	char	   *string;
	char	   *end;

	/* a timestamptz is kept in UTC: taken for one without time zone it stays there */
	if (TIMESTAMP_NOT_FINITE(time) ||
		timestamp2tm(time, NULL, &tm, &microseconds, NULL, NULL) != 0 ||
		tm.tm_year < 1 || tm.tm_year > 9999)
		return null_value();

	string = (char *) palloc(sizeof("0000-00-00T00:00:00.000Z"));
	end = pg_ultostr_zeropad(string, tm.tm_year, 4);
	*end++ = '-';
	end = pg_ultostr_zeropad(end, tm.tm_mon, 2);
	*end++ = '-';
	end = pg_ultostr_zeropad(end, tm.tm_mday, 2);
	*end++ = 'T';
	end = pg_ultostr_zeropad(end, tm.tm_hour, 2);
	*end++ = ':';
	end = pg_ultostr_zeropad(end, tm.tm_min, 2);
	*end++ = ':';
	end = pg_ultostr_zeropad(end, tm.tm_sec, 2);
	*end++ = '.';
	end = pg_ultostr_zeropad(end, microseconds / 1000, 3);
	*end++ = 'Z';
	return string_value(string, end - string);
}

static JsonbValue
new_object(void)
{
	JsonbValue	object;

	object.type = jbvObject;
	object.val.object.nPairs = 0;
	object.val.object.pairs = NULL;
	return object;
}

static JsonbValue
new_array(int size)
{
	JsonbValue	array;

	array.type = jbvArray;
	array.val.array.nElems = 0;
	array.val.array.elems = (JsonbValue *) palloc(Max(size, 1) * sizeof(JsonbValue));
	array.val.array.rawScalar = false;
	return array;
}

#ifdef USE_ASSERT_CHECKING
static bool
is_sorted(const JsonbValue *object, const JsonbValue *key)
{
	int			npairs = object->val.object.nPairs;
	const JsonbValue *last = &object->val.object.pairs[npairs - 1].key;

	if (npairs == 0 || last->val.string.len < key->val.string.len)
		return true;
	return last->val.string.len == key->val.string.len &&
		memcmp(last->val.string.val, key->val.string.val, key->val.string.len) < 0;
}
#endif

/* Add a property to an object, behind the keys that sort before it. */
static void
add(JsonbValue *object, const char *key, JsonbValue value)
{
	int			npairs = object->val.object.nPairs;
	JsonbPair  *pair;

	/* no object has many */
	if (npairs % 8 == 0)
	{
		Size		size = (npairs + 8) * sizeof(JsonbPair);

		object->val.object.pairs = (JsonbPair *)
			(npairs == 0 ? palloc(size) : repalloc(object->val.object.pairs, size));
	}
	pair = &object->val.object.pairs[npairs];
	pair->key = string_value(key, strlen(key));
	pair->value = value;
	pair->order = npairs;
	Assert(is_sorted(object, &pair->key));
	object->val.object.nPairs = npairs + 1;
}

static void
append(JsonbValue *array, JsonbValue element)
{
	array->val.array.elems[array->val.array.nElems++] = element;
}

static bool
may_read(const Document *document, ColumnSet columns)
{
	return (document->call->hidden & columns) == 0;
}

/* Add a property that is one column, unless the caller may not read it. */
static void
add_text(const Document *document, JsonbValue *object, const char *key,
		 const Row *row, ColumnNumber column)
{
	if (may_read(document, COLUMN(column)))
		add(object, key, text_value(cb_nullable(row, column)));
}

static void
add_time(const Document *document, JsonbValue *object, const char *key,
		 const Row *row, ColumnNumber column)
{
	if (may_read(document, COLUMN(column)))
		add(object, key, time_value(cb_nullable(row, column)));
}

static JsonbValue
meta_object(const Document *document, const Property *properties, int nproperties)
{
	JsonbValue	object = new_object();
	JsonbValue	omitted = new_array(nproperties);

	for (int i = 0; i < nproperties; i++)
	{
		if (!may_read(document, properties[i].columns))
			append(&omitted, string_value(properties[i].key, strlen(properties[i].key)));
	}
	add(&object, "omitted", omitted);
	return object;
}

static JsonbValue
actor_object(const Document *document, NullableDatum id)
{
	JsonbValue	object = new_object();

	add(&object, "id", text_value(id));
	for (int i = 0; i < document->nactors; i++)
	{
		const Actor *actor = &document->actors[i];

		if (actor->is_user && cb_text_equal(actor->id, id.value))
		{
			add(&object, "icon", text_value(actor->icon));
			add(&object, "name", text_value(actor->name));
			break;
		}
	}
	return object;
}

/* Add an event of the audit, unless it has not happened. */
static void
add_event(const Document *document, JsonbValue *audit, const char *key,
		  const Row *row, ColumnNumber at, ColumnNumber by)
{
	JsonbValue	event = new_object();

	if (cb_isnull(row, at))
		return;
	add(&event, "at", time_value(cb_nullable(row, at)));
	if (!cb_isnull(row, by))
		add(&event, "by", actor_object(document, cb_nullable(row, by)));
	add(audit, key, event);
}

static JsonbValue
account_object(const Document *document, const Row *account)
{
	JsonbValue	object = new_object();

	add_text(document, &object, "id", account, ACCOUNTS_ID);
	add_text(document, &object, "icon", account, ACCOUNTS_ICON);
	add_text(document, &object, "name", account, ACCOUNTS_NAME);
	add_text(document, &object, "type", account, ACCOUNTS_TYPE);
	add_text(document, &object, "status", account, ACCOUNTS_STATUS);
	return object;
}

static Rows
run(const Document *document, Statement statement, Datum parameter)
{
	return cb_run(document->call, statement, &parameter, true);
}

static JsonbValue
accounts_array(const Document *document, const Rows *accounts)
{
	JsonbValue	array = new_array(accounts->count);

	for (uint64 i = 0; i < accounts->count; i++)
	{
		Row			account = cb_fetch_row(accounts, i);

		append(&array, account_object(document, &account));
	}
	return array;
}

/*
 * Add the current account, unless it does not exist.  It is mostly one of the
 * user's accounts, which are at hand.
 */
static void
add_current_account(const Document *document, JsonbValue *object,
					const Rows *accounts, Datum id)
{
	Rows		rows;

	for (uint64 i = 0; i < accounts->count; i++)
	{
		Row			account = cb_fetch_row(accounts, i);

		if (cb_text_equal(cb_value(&account, ACCOUNTS_ID), id))
		{
			add(object, "currentAccount", account_object(document, &account));
			return;
		}
	}
	rows = run(document, SELECT_ACCOUNT, id);
	if (rows.count > 0)
	{
		Row			account = cb_fetch_row(&rows, 0);

		add(object, "currentAccount", account_object(document, &account));
	}
}

static JsonbValue
opt_outs_array(const Document *document, Datum contact_id)
{
	Rows		rows = run(document, SELECT_OPT_OUTS, contact_id);
	JsonbValue	array = new_array(rows.count);

	for (uint64 i = 0; i < rows.count; i++)
	{
		Row			category = cb_fetch_row(&rows, i);
		JsonbValue	object = new_object();

		add_text(document, &object, "id", &category, CATEGORIES_ID);
		add_text(document, &object, "icon", &category, CATEGORIES_ICON);
		add_text(document, &object, "name", &category, CATEGORIES_NAME);
		add(&object, "lastUsed",
			time_value((NullableDatum) {
					   category.values[OPT_OUT_LAST_USED], category.isnull[OPT_OUT_LAST_USED]}));
		add_text(document, &object, "shortDescription", &category, CATEGORIES_SHORT_DESCRIPTION);
		append(&array, object);
	}
	return array;
}

static JsonbValue
user_audit_object(const Document *document, const Row *user)
{
	JsonbValue	object = new_object();

	add_event(document, &object, "created", user, USERS_CREATED_AT, USERS_CREATED_BY);
	add_event(document, &object, "updated", user, USERS_UPDATED_AT, USERS_UPDATED_BY);
	add_time(document, &object, "invitationAcceptedAt", user, USERS_INVITATION_ACCEPTED_AT);
	return object;
}

/* Add an object of two texts, unless both are null or there is no right to them. */
static void
add_pair(const Document *document, JsonbValue *object, const char *key, const Row *row,
		 const char *key1, ColumnNumber column1,
		 const char *key2, ColumnNumber column2)
{
	JsonbValue	pair = new_object();

	if (!may_read(document, COLUMN(column1) | COLUMN(column2)) ||
		(cb_isnull(row, column1) && cb_isnull(row, column2)))
		return;
	add_text(document, &pair, key1, row, column1);
	add_text(document, &pair, key2, row, column2);
	add(object, key, pair);
}

static JsonbValue
user_object(const Document *document, const Row *user)
{
	JsonbValue	object = new_object();
	Rows		accounts = {0};

	add_text(document, &object, "id", user, USERS_ID);
	add_text(document, &object, "icon", user, USERS_ICON);
	add_text(document, &object, "name", user, USERS_NAME);
	add(&object, "$meta", meta_object(document, user_properties, lengthof(user_properties)));
	if (may_read(document, USER_AUDIT_COLUMNS))
		add(&object, "audit", user_audit_object(document, user));
	add_text(document, &object, "email", user, USERS_EMAIL);
	add_pair(document, &object, "phone", user,
			 "number", USERS_PHONE_NUMBER, "prefix", USERS_PHONE_PREFIX);
	add_text(document, &object, "status", user, USERS_STATUS);
	if (may_read(document, ACCOUNTS_COLUMNS))
	{
		accounts = run(document, SELECT_ACCOUNTS, cb_value(user, USERS_ID));
		add(&object, "accounts", accounts_array(document, &accounts));
	}
	add_text(document, &object, "lastName", user, USERS_LAST_NAME);
	add_pair(document, &object, "settings", user,
			 "cultureCode", USERS_CULTURE_CODE, "languageCode", USERS_LANGUAGE_CODE);
	add_text(document, &object, "firstName", user, USERS_FIRST_NAME);
	add_time(document, &object, "lastLoginAt", user, USERS_LAST_LOGIN_AT);
	if (may_read(document, CURRENT_ACCOUNT_COLUMNS) &&
		!cb_isnull(user, USERS_CURRENT_ACCOUNT_ID))
		add_current_account(document, &object, &accounts,
							cb_value(user, USERS_CURRENT_ACCOUNT_ID));
	return object;
}

static JsonbValue
contact_audit_object(const Document *document, const Row *contact)
{
	JsonbValue	object = new_object();

	add_event(document, &object, "blocked", contact, CONTACTS_BLOCKED_AT, CONTACTS_BLOCKED_BY);
	add_event(document, &object, "created", contact, CONTACTS_CREATED_AT, CONTACTS_CREATED_BY);
	add_event(document, &object, "deleted", contact, CONTACTS_DELETED_AT, CONTACTS_DELETED_BY);
	add_event(document, &object, "updated", contact, CONTACTS_UPDATED_AT, CONTACTS_UPDATED_BY);
	add_event(document, &object, "activated", contact, CONTACTS_ACTIVATED_AT, CONTACTS_ACTIVATED_BY);
	return object;
}

static JsonbValue
contact_object(const Document *document, const Row *contact, const Row *user)
{
	JsonbValue	object = new_object();

	add_text(document, &object, "id", contact, CONTACTS_ID);
	add_text(document, &object, "name", contact, CONTACTS_NAME);
	if (user)
		add(&object, "user", user_object(document, user));
	add(&object, "$meta",
		meta_object(document, contact_properties, lengthof(contact_properties)));
	if (may_read(document, AUDIT_COLUMNS))
		add(&object, "audit", contact_audit_object(document, contact));
	add_text(document, &object, "email", contact, CONTACTS_EMAIL);
	add_text(document, &object, "status", contact, CONTACTS_STATUS);
	add_text(document, &object, "userId", contact, CONTACTS_USER_ID);
	if (may_read(document, OPT_OUTS_COLUMNS))
		add(&object, "optOuts", opt_outs_array(document, cb_value(contact, CONTACTS_ID)));
	add_text(document, &object, "blockedReason", contact, CONTACTS_BLOCKED_REASON);
	return object;
}

/* Note who did something, once. */
static void
add_actor(Document *document, const Row *row, ColumnNumber by)
{
	if (cb_isnull(row, by))
		return;
	for (int i = 0; i < document->nactors; i++)
	{
		if (cb_text_equal(document->actors[i].id, cb_value(row, by)))
			return;
	}
	Assert(document->nactors < MAX_ACTORS);
	document->actors[document->nactors++].id = cb_value(row, by);
}

/* Note what users says about an actor. */
static void
identify_actor(Document *document, Datum id, NullableDatum name, NullableDatum icon)
{
	for (int i = 0; i < document->nactors; i++)
	{
		Actor	   *actor = &document->actors[i];

		if (cb_text_equal(actor->id, id))
		{
			actor->is_user = true;
			actor->name = name;
			actor->icon = icon;
		}
	}
}

/*
 * Find the users among those who acted: the contact's own user is at hand,
 * all others are looked up at once.
 */
static void
find_actors(Document *document, const Row *contact, const Row *user)
{
	Datum		ids[MAX_ACTORS];
	int			nids = 0;
	Rows		rows;

	if (!may_read(document, ACTOR_COLUMNS))
		return;
	if (may_read(document, AUDIT_COLUMNS))
	{
		add_actor(document, contact, CONTACTS_CREATED_BY);
		add_actor(document, contact, CONTACTS_UPDATED_BY);
		add_actor(document, contact, CONTACTS_ACTIVATED_BY);
		add_actor(document, contact, CONTACTS_BLOCKED_BY);
		add_actor(document, contact, CONTACTS_DELETED_BY);
	}
	if (user && may_read(document, USER_AUDIT_COLUMNS))
	{
		add_actor(document, user, USERS_CREATED_BY);
		add_actor(document, user, USERS_UPDATED_BY);
	}
	if (user)
		identify_actor(document, cb_value(user, USERS_ID),
					   cb_nullable(user, USERS_NAME), cb_nullable(user, USERS_ICON));

	for (int i = 0; i < document->nactors; i++)
	{
		if (!document->actors[i].is_user)
			ids[nids++] = document->actors[i].id;
	}
	if (nids == 0)
		return;
	rows = run(document, SELECT_ACTORS,
			   PointerGetDatum(construct_array(ids, nids, TEXTOID, -1, false, TYPALIGN_INT)));
	for (uint64 i = 0; i < rows.count; i++)
	{
		Row			row = cb_fetch_row(&rows, i);

		identify_actor(document, row.values[ACTOR_ID],
					   (NullableDatum) {row.values[ACTOR_NAME], row.isnull[ACTOR_NAME]},
					   (NullableDatum) {row.values[ACTOR_ICON], row.isnull[ACTOR_ICON]});
	}
}

/*
 * Return the document of a contact, whose row is at hand, as jsonb in the
 * given memory context.  What belongs to the contact is read with the active
 * snapshot, by the caller's rights.
 */
Datum
cb_contact_document(const ContactCall *call, const Row *contact,
					MemoryContext result_context)
{
	Document	document = {.call = call};
	Row			user_row;
	const Row  *user = NULL;
	JsonbValue	root;
	MemoryContext oldcontext;
	Jsonb	   *result;

	if (may_read(&document, USER_COLUMNS) && !cb_isnull(contact, CONTACTS_USER_ID))
	{
		Rows		rows = run(&document, SELECT_USER, cb_value(contact, CONTACTS_USER_ID));

		if (rows.count > 0)
		{
			user_row = cb_fetch_row(&rows, 0);
			user = &user_row;
		}
	}
	find_actors(&document, contact, user);
	root = contact_object(&document, contact, user);

	oldcontext = MemoryContextSwitchTo(result_context);
	result = JsonbValueToJsonb(&root);
	MemoryContextSwitchTo(oldcontext);
	return JsonbPGetDatum(result);
}
