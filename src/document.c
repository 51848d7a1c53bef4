/*-------------------------------------------------------------------------
 *
 * document.c
 *	  Rows to jsonb: the document of a contact, one function per object.
 *
 * jsonb sorts the keys of an object by their length and then by their bytes.
 * They are pushed in that order here, so that there is nothing left to sort.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "utils/array.h"
#include "utils/builtins.h"
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
	JsonbInState json;
	int			nactors;
	Actor		actors[MAX_ACTORS];
} Document;

static bool
may_read(const Document *document, ColumnSet columns)
{
	return (document->call->hidden & columns) == 0;
}

static void
push_string(Document *document, JsonbIteratorToken token, const char *string,
			int length)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, string);
	value.val.string.len = length;
	pushJsonbValue(&document->json, token, &value);
}

static void
push_null(Document *document)
{
	JsonbValue	value;

	value.type = jbvNull;
	pushJsonbValue(&document->json, WJB_VALUE, &value);
}

static void
push_key(Document *document, const char *key)
{
	push_string(document, WJB_KEY, key, strlen(key));
}

/* Begin or end an object or array. */
static void
push_token(Document *document, JsonbIteratorToken token)
{
	pushJsonbValue(&document->json, token, NULL);
}

static void
push_text(Document *document, const char *key, Datum value, bool isnull)
{
	push_key(document, key);
	if (isnull)
		push_null(document);
	else
	{
		text	   *string = DatumGetTextPP(value);

		push_string(document, WJB_VALUE, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
	}
}

/* A property that is one text column, unless the caller may not read it. */
static void
push_text_column(Document *document, const char *key, const Row *row,
				 ColumnNumber column)
{
	if (may_read(document, COLUMN(column)))
		push_text(document, key, cb_value(row, column), cb_isnull(row, column));
}

/*
 * The same for a time: in UTC, cut off after the milliseconds, null when the
 * format's four-digit years cannot tell it.
 */
static void
push_time_column(Document *document, const char *key, const Row *row,
				 ColumnNumber column)
{
	Timestamp	time;
	struct pg_tm tm;
	fsec_t		microseconds;
	char	   *string;
	char	   *end;

	if (!may_read(document, COLUMN(column)))
		return;

	push_key(document, key);
	time = cb_isnull(row, column) ? DT_NOEND : DatumGetTimestampTz(cb_value(row, column));
	/* a timestamptz is kept in UTC: read as one without time zone it stays there */
	if (TIMESTAMP_NOT_FINITE(time) ||
		timestamp2tm(time, NULL, &tm, &microseconds, NULL, NULL) != 0 ||
		tm.tm_year < 1 || tm.tm_year > 9999)
	{
		push_null(document);
		return;
	}

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
	push_string(document, WJB_VALUE, string, end - string);
}

static void
push_meta(Document *document, const Property *properties, int nproperties)
{
	push_key(document, "$meta");
	push_token(document, WJB_BEGIN_OBJECT);
	push_key(document, "omitted");
	push_token(document, WJB_BEGIN_ARRAY);
	for (int i = 0; i < nproperties; i++)
	{
		if (!may_read(document, properties[i].columns))
			push_string(document, WJB_ELEM, properties[i].key, strlen(properties[i].key));
	}
	push_token(document, WJB_END_ARRAY);
	push_token(document, WJB_END_OBJECT);
}

static void
push_actor(Document *document, Datum id)
{
	push_key(document, "by");
	push_token(document, WJB_BEGIN_OBJECT);
	push_text(document, "id", id, false);
	for (int i = 0; i < document->nactors; i++)
	{
		const Actor *actor = &document->actors[i];

		if (actor->is_user && cb_text_equal(actor->id, id))
		{
			push_text(document, "icon", actor->icon.value, actor->icon.isnull);
			push_text(document, "name", actor->name.value, actor->name.isnull);
			break;
		}
	}
	push_token(document, WJB_END_OBJECT);
}

/* An event of the audit, unless it has not happened. */
static void
push_event(Document *document, const char *key, const Row *row,
		   ColumnNumber at, ColumnNumber by)
{
	if (cb_isnull(row, at))
		return;
	push_key(document, key);
	push_token(document, WJB_BEGIN_OBJECT);
	push_time_column(document, "at", row, at);
	if (!cb_isnull(row, by))
		push_actor(document, cb_value(row, by));
	push_token(document, WJB_END_OBJECT);
}

/* The members of an account, whose object has been begun. */
static void
push_account(Document *document, const Row *account)
{
	push_text_column(document, "id", account, ACCOUNTS_ID);
	push_text_column(document, "icon", account, ACCOUNTS_ICON);
	push_text_column(document, "name", account, ACCOUNTS_NAME);
	push_text_column(document, "type", account, ACCOUNTS_TYPE);
	push_text_column(document, "status", account, ACCOUNTS_STATUS);
	push_token(document, WJB_END_OBJECT);
}

static Rows
run(const Document *document, Statement statement, Datum parameter)
{
	return cb_run(document->call, statement, &parameter, true);
}

static void
push_accounts(Document *document, const Rows *accounts)
{
	push_key(document, "accounts");
	push_token(document, WJB_BEGIN_ARRAY);
	for (uint64 i = 0; i < accounts->count; i++)
	{
		Row			account = cb_fetch_row(accounts, i);

		push_token(document, WJB_BEGIN_OBJECT);
		push_account(document, &account);
	}
	push_token(document, WJB_END_ARRAY);
}

/* The current account is mostly one of the user's accounts, which are at hand. */
static void
push_current_account(Document *document, const Rows *accounts, Datum id)
{
	Rows		rows = *accounts;
	Row			account;
	bool		found = false;

	for (uint64 i = 0; i < rows.count && !found; i++)
	{
		account = cb_fetch_row(&rows, i);
		found = !cb_isnull(&account, ACCOUNTS_ID) &&
			cb_text_equal(cb_value(&account, ACCOUNTS_ID), id);
	}
	if (!found)
	{
		rows = run(document, SELECT_ACCOUNT, id);
		if (rows.count == 0)
			return;
		account = cb_fetch_row(&rows, 0);
	}
	push_key(document, "currentAccount");
	push_token(document, WJB_BEGIN_OBJECT);
	push_account(document, &account);
}

static void
push_opt_outs(Document *document, Datum contact_id)
{
	Rows		rows = run(document, SELECT_OPT_OUTS, contact_id);

	push_key(document, "optOuts");
	push_token(document, WJB_BEGIN_ARRAY);
	for (uint64 i = 0; i < rows.count; i++)
	{
		Row			category = cb_fetch_row(&rows, i);
		Row			opt_out = cb_next_relation(&category, CONTACT_OPT_OUTS);

		push_token(document, WJB_BEGIN_OBJECT);
		push_text_column(document, "id", &category, CATEGORIES_ID);
		push_text_column(document, "icon", &category, CATEGORIES_ICON);
		push_text_column(document, "name", &category, CATEGORIES_NAME);
		push_time_column(document, "lastUsed", &opt_out, CONTACT_OPT_OUTS_LAST_USED);
		push_text_column(document, "shortDescription", &category, CATEGORIES_SHORT_DESCRIPTION);
		push_token(document, WJB_END_OBJECT);
	}
	push_token(document, WJB_END_ARRAY);
}

static void
push_user_audit(Document *document, const Row *user)
{
	push_key(document, "audit");
	push_token(document, WJB_BEGIN_OBJECT);
	push_event(document, "created", user, USERS_CREATED_AT, USERS_CREATED_BY);
	push_event(document, "updated", user, USERS_UPDATED_AT, USERS_UPDATED_BY);
	push_time_column(document, "invitationAcceptedAt", user, USERS_INVITATION_ACCEPTED_AT);
	push_token(document, WJB_END_OBJECT);
}

/* An object of two texts, left out when there is neither or no right to them. */
static void
push_pair(Document *document, const char *key, const Row *row,
		  const char *key1, ColumnNumber column1,
		  const char *key2, ColumnNumber column2)
{
	if (!may_read(document, COLUMN(column1) | COLUMN(column2)) ||
		(cb_isnull(row, column1) && cb_isnull(row, column2)))
		return;
	push_key(document, key);
	push_token(document, WJB_BEGIN_OBJECT);
	push_text_column(document, key1, row, column1);
	push_text_column(document, key2, row, column2);
	push_token(document, WJB_END_OBJECT);
}

static void
push_user(Document *document, const Row *user)
{
	Rows		accounts = {0};

	push_key(document, "user");
	push_token(document, WJB_BEGIN_OBJECT);
	push_text_column(document, "id", user, USERS_ID);
	push_text_column(document, "icon", user, USERS_ICON);
	push_text_column(document, "name", user, USERS_NAME);
	push_meta(document, user_properties, lengthof(user_properties));
	if (may_read(document, USER_AUDIT_COLUMNS))
		push_user_audit(document, user);
	push_text_column(document, "email", user, USERS_EMAIL);
	push_pair(document, "phone", user,
			  "number", USERS_PHONE_NUMBER, "prefix", USERS_PHONE_PREFIX);
	push_text_column(document, "status", user, USERS_STATUS);
	if (may_read(document, ACCOUNTS_COLUMNS))
	{
		accounts = run(document, SELECT_ACCOUNTS, cb_value(user, USERS_ID));
		push_accounts(document, &accounts);
	}
	push_text_column(document, "lastName", user, USERS_LAST_NAME);
	push_pair(document, "settings", user,
			  "cultureCode", USERS_CULTURE_CODE, "languageCode", USERS_LANGUAGE_CODE);
	push_text_column(document, "firstName", user, USERS_FIRST_NAME);
	push_time_column(document, "lastLoginAt", user, USERS_LAST_LOGIN_AT);
	if (may_read(document, CURRENT_ACCOUNT_COLUMNS) &&
		!cb_isnull(user, USERS_CURRENT_ACCOUNT_ID))
		push_current_account(document, &accounts, cb_value(user, USERS_CURRENT_ACCOUNT_ID));
	push_token(document, WJB_END_OBJECT);
}

static void
push_contact_audit(Document *document, const Row *contact)
{
	push_key(document, "audit");
	push_token(document, WJB_BEGIN_OBJECT);
	push_event(document, "blocked", contact, CONTACTS_BLOCKED_AT, CONTACTS_BLOCKED_BY);
	push_event(document, "created", contact, CONTACTS_CREATED_AT, CONTACTS_CREATED_BY);
	push_event(document, "deleted", contact, CONTACTS_DELETED_AT, CONTACTS_DELETED_BY);
	push_event(document, "updated", contact, CONTACTS_UPDATED_AT, CONTACTS_UPDATED_BY);
	push_event(document, "activated", contact, CONTACTS_ACTIVATED_AT, CONTACTS_ACTIVATED_BY);
	push_token(document, WJB_END_OBJECT);
}

static void
push_contact(Document *document, const Row *contact, const Row *user)
{
	push_token(document, WJB_BEGIN_OBJECT);
	push_text_column(document, "id", contact, CONTACTS_ID);
	push_text_column(document, "name", contact, CONTACTS_NAME);
	if (user)
		push_user(document, user);
	push_meta(document, contact_properties, lengthof(contact_properties));
	if (may_read(document, AUDIT_COLUMNS))
		push_contact_audit(document, contact);
	push_text_column(document, "email", contact, CONTACTS_EMAIL);
	push_text_column(document, "status", contact, CONTACTS_STATUS);
	push_text_column(document, "userId", contact, CONTACTS_USER_ID);
	if (may_read(document, OPT_OUTS_COLUMNS))
		push_opt_outs(document, cb_value(contact, CONTACTS_ID));
	push_text_column(document, "blockedReason", contact, CONTACTS_BLOCKED_REASON);
	push_token(document, WJB_END_OBJECT);
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

static NullableDatum
nullable(const Row *row, int position)
{
	NullableDatum result = {row->values[position], row->isnull[position]};

	return result;
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
					   nullable(user, USERS_NAME - USERS_ID),
					   nullable(user, USERS_ICON - USERS_ID));

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

		identify_actor(document, row.values[ACTOR_ID], nullable(&row, ACTOR_NAME),
					   nullable(&row, ACTOR_ICON));
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
	Row			user;
	bool		has_user = false;
	MemoryContext oldcontext;
	Jsonb	   *result;

	if (may_read(&document, USER_COLUMNS) && !cb_isnull(contact, CONTACTS_USER_ID))
	{
		Rows		rows = run(&document, SELECT_USER, cb_value(contact, CONTACTS_USER_ID));

		has_user = rows.count > 0;
		if (has_user)
			user = cb_fetch_row(&rows, 0);
	}
	find_actors(&document, contact, has_user ? &user : NULL);
	push_contact(&document, contact, has_user ? &user : NULL);

	oldcontext = MemoryContextSwitchTo(result_context);
	result = JsonbValueToJsonb(document.json.result);
	MemoryContextSwitchTo(oldcontext);
	return JsonbPGetDatum(result);
}
