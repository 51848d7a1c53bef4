/*-------------------------------------------------------------------------
 *
 * document.c
 *	  Rows to jsonb, by the model.
 *
 * An object is made in two steps.  First all rows that its properties refer to
 * are looked up, with one statement a relation; then the properties are shown
 * from the rows at hand.
 *
 * In jsonb the keys of an object are sorted by their length and then by their
 * bytes.  They are added in that order here, so the tree is built as it has
 * to be, where pushJsonbValue() would sort every object once more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "document.h"

/* A key that was asked for, and its row, NULL if there is none. */
typedef struct Known
{
	Datum		key;
	const CbRow *row;
} Known;

/* Keys, sorted but for those that were added since they were looked up. */
typedef struct KnownRows
{
	int			count;
	int			sorted;			/* the first so many are, and looked up */
	int			size;			/* of the array */
	Known	   *known;
} KnownRows;

/* A document in the making. */
typedef struct Document
{
	const CbCall *call;
	KnownRows	known[CB_NRELATIONS];
	KnownRows	actors;			/* looked up last, and those that are not known as users */
	CbRows	   *links[CB_NRELATIONS];	/* of the object at hand, where the relation lists others in it */
} Document;

static JsonbValue object_value(const Document *document, const CbObject *object,
							   const CbRow *row, const CbRow *link);

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

/* What statements return is not toasted. */
static JsonbValue
text_value(Datum datum)
{
	text	   *string = (text *) DatumGetPointer(datum);

	return string_value(VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
}

static JsonbValue
number_value(Datum datum)
{
	JsonbValue	value;

	value.type = jbvNumeric;
	value.val.numeric = int64_to_numeric(DatumGetInt64(datum));
	return value;
}

/*
 * A time in UTC, cut off after the milliseconds; null when the format's
 * four-digit years cannot tell it.
 */
static JsonbValue
time_value(Datum datum)
{
	Timestamp	time = DatumGetTimestampTz(datum);
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
new_object(int size)
{
	JsonbValue	object;

	object.type = jbvObject;
	object.val.object.nPairs = 0;
	object.val.object.pairs = (JsonbPair *) palloc(Max(size, 1) * sizeof(JsonbPair));
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

/* Add a property to an object, behind the keys that sort before it. */
static void
add(JsonbValue *object, const char *key, JsonbValue value)
{
	int			npairs = object->val.object.nPairs++;
	JsonbPair  *pair = &object->val.object.pairs[npairs];

	pair->key = string_value(key, strlen(key));
	pair->value = value;
	pair->order = npairs;
}

static void
append(JsonbValue *array, JsonbValue element)
{
	array->val.array.elems[array->val.array.nElems++] = element;
}

/* A contact's status, in the contract's word whatever the column's is. */
static JsonbValue
status_value(const Document *document, Datum datum)
{
	CbStatus	status = cb_find_label(document->call->schema, datum);

	return status == CB_NO_STATUS ? text_value(datum) :
		string_value(cb_status_name(status), strlen(cb_status_name(status)));
}

static bool
may_read(const Document *document, const Bitmapset *columns)
{
	return !bms_overlap(columns, document->call->hidden);
}

static int
compare_known(const void *a, const void *b)
{
	return cb_compare(((const Known *) a)->key, ((const Known *) b)->key);
}

static Known *
find_known(const KnownRows *rows, Datum key)
{
	Known		wanted = {.key = key};

	return rows->sorted == 0 ? NULL :
		(Known *) bsearch(&wanted, rows->known, rows->sorted, sizeof(Known), compare_known);
}

/* The key of a relation as its own rows show it; another one may show it otherwise. */
static Datum
key_of(const Document *document, CbRelation relation, Datum key)
{
	return cb_canonical_id(cb_key_type(document->call->schema, relation), key);
}

/* The row of this key, NULL if there is none; it was asked for. */
static const CbRow *
find_row(const KnownRows *rows, Datum key)
{
	const Known *known = find_known(rows, key);

	return known ? known->row : NULL;
}

/* The row that another one refers to by this key. */
static const CbRow *
find_referenced(const Document *document, CbRelation relation, Datum key)
{
	return find_row(&document->known[relation], key_of(document, relation, key));
}

/* Ask for the row of a key. */
static void
want(KnownRows *rows, Datum key)
{
	if (find_known(rows, key))
		return;
	if (rows->count == rows->size)
	{
		rows->size = Max(2 * rows->size, 8);
		rows->known = rows->known ?
			(Known *) repalloc(rows->known, rows->size * sizeof(Known)) :
			(Known *) palloc(rows->size * sizeof(Known));
	}
	rows->known[rows->count++] = (Known) {key, NULL};
}

static CbRows *
run(const Document *document, CbRelation relation, CbAction action, int nkeys, const Datum *keys)
{
	return cb_run(document->call, relation, action, NULL, nkeys, keys, true);
}

/* Look up the rows of a relation that were asked for since the last time. */
static void
look_up(const Document *document, KnownRows *wanted, CbRelation relation, CbAction action)
{
	int			nkeys = 0;
	int			last;
	Datum	   *keys;
	CbRows	   *rows;

	if (wanted->count == wanted->sorted)
		return;
	keys = (Datum *) palloc((wanted->count - wanted->sorted) * sizeof(Datum));

	/* each one once */
	qsort(wanted->known + wanted->sorted, wanted->count - wanted->sorted, sizeof(Known), compare_known);
	for (int i = wanted->sorted; i < wanted->count; i++)
	{
		if (nkeys > 0 && cb_compare(wanted->known[i].key, keys[nkeys - 1]) == 0)
			continue;
		keys[nkeys] = wanted->known[i].key;
		wanted->known[wanted->sorted + nkeys++] = wanted->known[i];
	}
	last = wanted->sorted + nkeys;
	if (wanted->sorted > 0)
		qsort(wanted->known, last, sizeof(Known), compare_known);
	wanted->count = wanted->sorted = last;

	rows = run(document, relation, action, nkeys, keys);
	for (int i = 0; i < rows->count; i++)
	{
		Known	   *known = find_known(wanted, rows->rows[i].values[0]);

		if (known && !known->row)
			known->row = &rows->rows[i];
	}
}

/* In a relation that links two others, what it links comes second. */
static int
compare_links(const void *a, const void *b)
{
	const CbRow *x = (const CbRow *) a;
	const CbRow *y = (const CbRow *) b;

	if (x->isnull[1] || y->isnull[1])
		return y->isnull[1] - x->isnull[1];
	return cb_compare(x->values[1], y->values[1]);
}

/* Ask for all that the properties of an object refer to. */
static void
want_references(Document *document, const CbObject *object, const CbRow *row)
{
	for (int i = 0; i < object->nproperties; i++)
	{
		const CbProperty *property = &object->properties[i];
		const CbObject *target = &cb_objects[property->object];
		KnownRows  *known = &document->known[target->relation];
		int			place = property->place;
		CbRows	   *links;

		if (!may_read(document, property->columns))
			continue;
		switch (property->kind)
		{
			case CB_EVENT:
				if (!row->isnull[place] && !row->isnull[place + 1])
					want(&document->actors, key_of(document, CB_USERS, row->values[place + 1]));
				break;
			case CB_REFERENCE:
				if (!row->isnull[place])
					want(known, key_of(document, target->relation, row->values[place]));
				break;
			case CB_GROUP:
			case CB_OPTIONAL_GROUP:
				want_references(document, target, row);
				break;
			case CB_LIST:
				links = run(document, target->link, CB_READ_LINKS, 1, &row->values[0]);
				for (int j = 0; j < links->count; j++)
				{
					Datum	   *key = unconstify(Datum *, &links->rows[j].values[1]);

					if (links->rows[j].isnull[1])
						continue;
					/* they are sorted as they are shown */
					*key = key_of(document, target->relation, *key);
					want(known, *key);
				}
				qsort(links->rows, links->count, sizeof(CbRow), compare_links);
				document->links[target->link] = links;
				break;
			default:
				break;
		}
	}
}

/* Look up the rows that an object needs, and then what those need themselves. */
static void
find_references(Document *document, const CbObject *object, const CbRow *row)
{
	want_references(document, object, row);
	for (int relation = 0; relation < CB_NRELATIONS; relation++)
		look_up(document, &document->known[relation], relation, CB_READ_MANY);
	for (int i = 0; i < object->nproperties; i++)
	{
		const CbProperty *property = &object->properties[i];
		const CbObject *target = &cb_objects[property->object];
		const CbRow *referenced = NULL;

		if (property->kind == CB_REFERENCE && may_read(document, property->columns) &&
			!row->isnull[property->place])
			referenced = find_referenced(document, target->relation, row->values[property->place]);
		if (referenced)
			find_references(document, target, referenced);
	}
}

/*
 * Find the users among those who acted: those that are known already, and all
 * others with one statement.
 */
static void
find_actors(Document *document)
{
	const CbObject *actor = &cb_objects[CB_ACTOR];
	KnownRows  *actors = &document->actors;
	KnownRows	others = {0};

	if (!may_read(document, actor->columns))
	{
		actors->count = 0;
		return;
	}
	for (int i = 0; i < actors->count; i++)
	{
		Known	   *known = &actors->known[i];

		known->row = find_row(&document->known[actor->relation], known->key);
		if (!known->row)
			want(&others, known->key);
	}
	look_up(document, &others, actor->relation, CB_READ_ACTORS);
	for (int i = 0; i < actors->count; i++)
	{
		if (!actors->known[i].row)
			actors->known[i].row = find_row(&others, actors->known[i].key);
	}
	qsort(actors->known, actors->count, sizeof(Known), compare_known);
	actors->sorted = actors->count;
}

/* Who acted: a user, or whatever the name is. */
static JsonbValue
actor_value(const Document *document, Datum id)
{
	const CbObject *actor = &cb_objects[CB_ACTOR];
	const CbRow *row = find_row(&document->actors, key_of(document, actor->relation, id));
	JsonbValue	object;

	if (row)
		return object_value(document, actor, row, row);
	object = new_object(1);
	add(&object, "id", text_value(id));
	return object;
}

static JsonbValue
event_value(const Document *document, const CbRow *row, int place)
{
	JsonbValue	event = new_object(2);

	add(&event, "at", time_value(row->values[place]));
	if (!row->isnull[place + 1])
		add(&event, "by", actor_value(document, row->values[place + 1]));
	return event;
}

static JsonbValue
list_value(const Document *document, const CbObject *object)
{
	const CbRows *links = document->links[object->link];
	JsonbValue	array = new_array(links->count);

	for (int i = 0; i < links->count; i++)
	{
		const CbRow *link = &links->rows[i];
		const CbRow *row = link->isnull[1] ? NULL :
			find_row(&document->known[object->relation], link->values[1]);

		if (row)
			append(&array, object_value(document, object, row, link));
	}
	return array;
}

static JsonbValue
meta_value(const Document *document, const CbObject *object)
{
	JsonbValue	meta = new_object(1);
	JsonbValue	omitted = new_array(object->nshown);

	for (int i = 0; i < object->nshown; i++)
	{
		const CbProperty *property = object->by_name[i];

		if (!may_read(document, property->columns))
			append(&omitted, string_value(property->key, strlen(property->key)));
	}
	add(&meta, "omitted", omitted);
	return meta;
}

/* Is there anything in any of an object's properties, which are one column each? */
static bool
is_empty(const CbObject *object, const CbRow *row)
{
	for (int i = 0; i < object->nproperties; i++)
	{
		if (!row->isnull[object->properties[i].place])
			return false;
	}
	return true;
}

/* Add a property to the object that it is of, unless it has to be left out. */
static void
add_property(const Document *document, JsonbValue *value, const CbObject *object,
			 const CbProperty *property, const CbRow *row)
{
	const CbObject *target = &cb_objects[property->object];
	bool		isnull = !property->column || row->isnull[property->place];
	Datum		datum = isnull ? (Datum) 0 : row->values[property->place];
	const CbRow *referenced;

	switch (property->kind)
	{
		case CB_STATUS:
			add(value, property->key, isnull ? null_value() : status_value(document, datum));
			break;
		case CB_TEXT:
		case CB_ID:
		case CB_REASON:
			add(value, property->key, isnull ? null_value() : text_value(datum));
			break;
		case CB_INTEGER:
			add(value, property->key, isnull ? null_value() : number_value(datum));
			break;
		case CB_TIME:
			add(value, property->key, isnull ? null_value() : time_value(datum));
			break;
		case CB_EVENT:
			if (!isnull)
				add(value, property->key, event_value(document, row, property->place));
			break;
		case CB_GROUP:
			add(value, property->key, object_value(document, target, row, row));
			break;
		case CB_OPTIONAL_GROUP:
			if (!is_empty(target, row))
				add(value, property->key, object_value(document, target, row, row));
			break;
		case CB_REFERENCE:
			referenced = isnull ? NULL : find_referenced(document, target->relation, datum);
			if (referenced)
				add(value, property->key, object_value(document, target, referenced, referenced));
			break;
		case CB_LIST:
			add(value, property->key, list_value(document, target));
			break;
		case CB_META:
			add(value, property->key, meta_value(document, object));
			break;
		case CB_LINK:
			break;
	}
}

/*
 * An object, from its row and, in a list, the row that lists it (elsewhere any).
 */
static JsonbValue
object_value(const Document *document, const CbObject *object,
			 const CbRow *row, const CbRow *link)
{
	JsonbValue	value = new_object(object->nshown);

	for (int i = 0; i < object->nshown; i++)
	{
		const CbProperty *property = object->in_jsonb[i];

		if (may_read(document, property->columns))
			add_property(document, &value, object, property,
						 property->relation == object->relation ? row : link);
	}
	return value;
}

Datum
cb_document(const CbCall *call, const CbRow *contact, MemoryContext result_context)
{
	Document	document = {.call = call};
	JsonbValue	root;
	MemoryContext oldcontext;
	Jsonb	   *result;

	find_references(&document, &cb_objects[CB_CONTACT], contact);
	find_actors(&document);
	root = object_value(&document, &cb_objects[CB_CONTACT], contact, contact);

	oldcontext = MemoryContextSwitchTo(result_context);
	result = JsonbValueToJsonb(&root);
	MemoryContextSwitchTo(oldcontext);
	return JsonbPGetDatum(result);
}
