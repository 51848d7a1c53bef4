/*-------------------------------------------------------------------------
 *
 * contact_block.c
 *	  The functions that callers see: fetch the arguments, call, return.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "actor.h"
#include "change.h"
#include "document.h"

CB_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	cb_load_model();
	cb_define_settings();
}

/*
 * The id, which is the first argument of every function.  Raises 22004 when
 * it is null, 22023 when it is empty.
 */
static Datum
get_id(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the contact's id must not be null")));
	if (VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(0)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the contact's id must not be empty")));
	return PointerGetDatum(PG_GETARG_TEXT_PP(0));
}

/*
 * Change the contact and return its document.
 */
static Datum
change_contact(FunctionCallInfo fcinfo, const CbChange *change)
{
	MemoryContext result_context = CurrentMemoryContext;
	Datum		id = get_id(fcinfo);
	Datum		key;
	CbCall		call;
	CbOutcome	outcome = {0};
	Datum		result;

	cb_begin_call(fcinfo, &call);
	SPI_connect();
	key = cb_canonical_id(cb_key_type(call.schema, CB_CONTACTS), id);
	cb_change_contacts(&call, change, 1, &key, &outcome);
	if (outcome.code != 0)
		cb_raise_outcome(&call, &outcome, id);
	PushActiveSnapshot(GetTransactionSnapshot());
	result = cb_document(&call, outcome.row, result_context);
	PopActiveSnapshot();
	SPI_finish();
	return result;
}

/*
 * Active to Blocked, with the reason that is the second argument, if there is
 * one.  An empty reason is none.
 */
static CbChange
blocking(FunctionCallInfo fcinfo)
{
	CbChange	change = {.to = CB_BLOCKED};

	if (PG_NARGS() > 1 && !PG_ARGISNULL(1) &&
		VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(1)) > 0)
	{
		change.has_reason = true;
		change.reason = PointerGetDatum(PG_GETARG_TEXT_PP(1));
	}
	return change;
}

PG_FUNCTION_INFO_V1(contact_block);

/*
 * contact_block(id text) and contact_block(id text, reason text)
 */
Datum
contact_block(PG_FUNCTION_ARGS)
{
	CbChange	change = blocking(fcinfo);

	return change_contact(fcinfo, &change);
}

PG_FUNCTION_INFO_V1(contact_unblock);

/*
 * contact_unblock(id text): Blocked to Active.
 */
Datum
contact_unblock(PG_FUNCTION_ARGS)
{
	return change_contact(fcinfo, &(CbChange) {.to = CB_ACTIVE});
}

PG_FUNCTION_INFO_V1(contact_delete);

/*
 * contact_delete(id text): Active or Blocked to Deleted; the row stays.
 */
Datum
contact_delete(PG_FUNCTION_ARGS)
{
	return change_contact(fcinfo, &(CbChange) {.to = CB_DELETED});
}

PG_FUNCTION_INFO_V1(contact_document);

/*
 * contact_document(id text): the document, in any status.  It is stable: it
 * sees what the calling statement sees.
 */
Datum
contact_document(PG_FUNCTION_ARGS)
{
	MemoryContext result_context = CurrentMemoryContext;
	Datum		id = get_id(fcinfo);
	CbCall		call;
	CbRow		contact;
	Datum		result;

	cb_begin_call(fcinfo, &call);
	SPI_connect();
	contact = cb_read_contact(&call, id, true);
	result = cb_document(&call, &contact, result_context);
	SPI_finish();
	return result;
}

/* An element of the array of ids, and what there is to say of it. */
typedef struct Element
{
	Datum		id;				/* as the table shows it */
	int			code;			/* an error that it is by itself */
	int			which;			/* its place in the set, if it is none */
	int			number;			/* its place in the array */
} Element;

static int
compare_elements(const void *a, const void *b)
{
	return cb_compare(((const Element *) a)->id, ((const Element *) b)->id);
}

/*
 * Make a sorted set of the ids, each one once.  Returns its size; the elements
 * learn their places in it.
 */
static int
make_set(const CbCall *call, int nelements, const Datum *values, const bool *isnull,
		 Element *elements, Datum *ids)
{
	Oid			type = cb_key_type(call->schema, CB_CONTACTS);
	Element    *sorted = (Element *) palloc_extended((Size) nelements * sizeof(Element), MCXT_ALLOC_HUGE);
	int			nsorted = 0;
	int			nids = 0;

	for (int i = 0; i < nelements; i++)
	{
		Element    *element = &elements[i];

		element->number = i;
		element->code = isnull[i] ? ERRCODE_NULL_VALUE_NOT_ALLOWED :
			VARSIZE_ANY_EXHDR(DatumGetPointer(values[i])) == 0 ? ERRCODE_INVALID_PARAMETER_VALUE : 0;
		if (element->code != 0)
			continue;
		element->id = cb_canonical_id(type, values[i]);
		sorted[nsorted++] = *element;
	}
	qsort(sorted, nsorted, sizeof(Element), compare_elements);
	for (int i = 0; i < nsorted; i++)
	{
		if (nids == 0 || cb_compare(ids[nids - 1], sorted[i].id) != 0)
			ids[nids++] = sorted[i].id;
		elements[sorted[i].number].which = nids - 1;
	}
	pfree(sorted);
	return nids;
}

/* Append a row of the answer: the element as it was given, and what became of it. */
static void
put_row(ReturnSetInfo *result, Datum id, bool isnull, const CbOutcome *outcome)
{
	int			place = cb_contact_place(CB_STATUS);
	Datum		values[4] = {id};
	bool		nulls[4] = {isnull};

	values[1] = CStringGetTextDatum(outcome->code == 0 ? "00000" : unpack_sql_state(outcome->code));
	nulls[2] = !outcome->row || outcome->row->isnull[place];
	/* the contract's word, or what stands there */
	if (!nulls[2])
		values[2] = outcome->status == CB_NO_STATUS ? outcome->row->values[place] :
			CStringGetTextDatum(cb_status_name(outcome->status));
	values[3] = BoolGetDatum(outcome->is_changed);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	pfree(DatumGetPointer(values[1]));
	if (!nulls[2] && outcome->status != CB_NO_STATUS)
		pfree(DatumGetPointer(values[2]));
}

/*
 * Change the contacts and return what became of each element of the array.
 * Raises 22004 when there is no array.
 */
static Datum
change_contacts(FunctionCallInfo fcinfo, const CbChange *change)
{
	ArrayType  *array;
	Datum	   *values;
	bool	   *isnull;
	int			nelements;
	Element    *elements;
	Datum	   *ids;
	CbOutcome  *outcomes;
	CbCall		call;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the array of the contacts' ids must not be null")));
	InitMaterializedSRF(fcinfo, 0);
	cb_begin_call(fcinfo, &call);
	SPI_connect();

	array = PG_GETARG_ARRAYTYPE_P(0);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &isnull, &nelements);
	elements = (Element *) palloc_extended((Size) nelements * sizeof(Element), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	ids = (Datum *) palloc_extended((Size) nelements * sizeof(Datum), MCXT_ALLOC_HUGE);
	outcomes = (CbOutcome *) palloc_extended((Size) nelements * sizeof(CbOutcome), MCXT_ALLOC_HUGE);
	cb_change_contacts(&call, change, make_set(&call, nelements, values, isnull, elements, ids), ids, outcomes);

	for (int i = 0; i < nelements; i++)
	{
		const Element *element = &elements[i];
		CbOutcome	none = {.code = element->code};
		CbOutcome  *outcome = element->code == 0 ? &outcomes[element->which] : &none;

		put_row((ReturnSetInfo *) fcinfo->resultinfo, values[i], isnull[i], outcome);
		/* an id that comes again meets what it has become */
		outcome->is_changed = false;
	}
	SPI_finish();
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(contacts_block);

/*
 * contacts_block(ids text[], reason text)
 */
Datum
contacts_block(PG_FUNCTION_ARGS)
{
	CbChange	change = blocking(fcinfo);

	return change_contacts(fcinfo, &change);
}

PG_FUNCTION_INFO_V1(contacts_unblock);

/*
 * contacts_unblock(ids text[])
 */
Datum
contacts_unblock(PG_FUNCTION_ARGS)
{
	return change_contacts(fcinfo, &(CbChange) {.to = CB_ACTIVE});
}

PG_FUNCTION_INFO_V1(contacts_delete);

/*
 * contacts_delete(ids text[])
 */
Datum
contacts_delete(PG_FUNCTION_ARGS)
{
	return change_contacts(fcinfo, &(CbChange) {.to = CB_DELETED});
}
