/*-------------------------------------------------------------------------
 *
 * relations.h
 *	  The user's relations as they are now, and what a caller may read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONTACT_BLOCK_RELATIONS_H
#define CONTACT_BLOCK_RELATIONS_H

#include "fmgr.h"

#include "model.h"

/* The relations in the extension's schema, as they were found. */
typedef struct CbSchema
{
	Oid			oid;
	NameData	name;
	uint64		generation;		/* another one when anything here is another */
	Oid			relids[CB_NRELATIONS];
	Oid			types[FLEXIBLE_ARRAY_MEMBER];	/* of all columns, of domains their base; InvalidOid: it is missing */
} CbSchema;

/* One call of a function of the extension: what its statements depend on. */
typedef struct CbCall
{
	const CbSchema *schema;
	Bitmapset  *hidden;			/* the columns that the caller may not read */
} CbCall;

/*
 * Fill in what the statements of this call depend on.  Raises 55000 when a
 * relation is missing, 42883 when the called function has been dropped.
 */
extern void cb_begin_call(FunctionCallInfo fcinfo, CbCall *call);

/*
 * The schema of the called function, with its name.  Raises 42883 when the
 * function was dropped while the calling statement was under way.
 */
extern Oid	cb_get_schema(FunctionCallInfo fcinfo, char **name);

/* Raise 55000 and say what to run. */
pg_noreturn extern void cb_not_set_up(const char *schema_name, const char *detail);

#endif							/* CONTACT_BLOCK_RELATIONS_H */
