/*-------------------------------------------------------------------------
 *
 * contact_block.c
 *	  The functions that callers see: fetch the arguments, call, return.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "utils/snapmgr.h"

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
	CbCall		call;
	CbRow		contact;
	Datum		result;

	cb_begin_call(fcinfo, &call);
	SPI_connect();
	contact = cb_change_contact(&call, change, id);
	PushActiveSnapshot(GetTransactionSnapshot());
	result = cb_document(&call, &contact, result_context);
	PopActiveSnapshot();
	SPI_finish();
	return result;
}

PG_FUNCTION_INFO_V1(contact_block);

/*
 * contact_block(id text) and contact_block(id text, reason text): Active to
 * Blocked.  An empty reason is none.
 */
Datum
contact_block(PG_FUNCTION_ARGS)
{
	CbChange	change = {.to = CB_BLOCKED};

	if (PG_NARGS() > 1 && !PG_ARGISNULL(1) &&
		VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(1)) > 0)
	{
		change.has_reason = true;
		change.reason = PointerGetDatum(PG_GETARG_TEXT_PP(1));
	}
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
