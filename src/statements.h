/*-------------------------------------------------------------------------
 *
 * statements.h
 *	  The SQL statements of the calls.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONTACT_BLOCK_STATEMENTS_H
#define CONTACT_BLOCK_STATEMENTS_H

#include "lifecycle.h"
#include "relations.h"

/* What a statement does to the rows of one relation that have a key, its first column. */
typedef enum CbAction
{
	CB_READ,					/* $1 is the key */
	CB_READ_LINKS,				/* $1 is the key, which they share: not returned */
	CB_READ_MANY,				/* $1 is an array of keys */
	CB_READ_ACTORS,				/* the same; what is shown of those who acted */
	CB_READ_STATES,				/* the same of contacts; what tells whether there is something to change */
	CB_LOCK,					/* as for an UPDATE; returns the key */
	CB_LOCK_FREE,				/* $1 is an array of keys; the same, of those that nobody holds */
	CB_LOCK_NOWAIT,				/* the same of all, 55P03 if somebody holds one */
	CB_CHANGE,					/* to a status, unless it does not start from the row's */
	CB_CHANGE_WITH_REASON,		/* the same; $2 is the reason */
	CB_CHANGE_MANY,				/* $1 is an array of keys; returns key and status */
	CB_CHANGE_MANY_WITH_REASON
} CbAction;

/*
 * One row: the columns of its relation; null are those, too, that the statement
 * does not return.  Where it returns the state of many contacts, the row ends
 * with the reason.
 */
typedef struct CbRow
{
	const Datum *values;
	const bool *isnull;
} CbRow;

/* What a statement returned, but for what the caller may not read. */
typedef struct CbRows
{
	CbRelation	relation;
	int			count;
	int			size;			/* of the array */
	CbRow	   *rows;
} CbRows;

/* What a verb does: the status that it leads to, and the reason if there is one. */
typedef struct CbChange
{
	CbStatus	to;
	bool		has_reason;
	Datum		reason;			/* text, not empty */
} CbChange;

/*
 * Run a statement and return its rows, in the current memory context.  Keys
 * are text and not null; one that is no value of the column's type is found
 * nowhere; without any, a statement for many runs all the same and finds
 * nothing.  A change is for the actions that are one.  With read_only it sees
 * what the active snapshot sees, else all that is committed by now and what
 * this transaction did.  Between SPI_connect and SPI_finish only.
 */
extern CbRows *cb_run(const CbCall *call, CbRelation relation, CbAction action, const CbChange *change,
					  int nkeys, const Datum *keys, bool read_only);

/* Prepare every statement that a call may run.  Between SPI_connect and SPI_finish only. */
extern void cb_prepare_all(const CbCall *call);

/* Compare two texts, neither compressed nor out of line, byte by byte, as memcmp does. */
extern int	cb_compare(Datum a, Datum b);

#endif							/* CONTACT_BLOCK_STATEMENTS_H */
