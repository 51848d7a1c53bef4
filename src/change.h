/*-------------------------------------------------------------------------
 *
 * change.h
 *	  A change of the status of contacts.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONTACT_BLOCK_CHANGE_H
#define CONTACT_BLOCK_CHANGE_H

#include "statements.h"

/* The SQLSTATE that gateways answer with the HTTP status in its digits. */
#define ERRCODE_CONTACT_NOT_FOUND	MAKE_SQLSTATE('P', 'T', '4', '0', '4')

/*
 * The contacts that an UPDATE of ours is changing, for exactly the time that it
 * runs.  A row that the audit trigger meets is one of them when its relation is
 * the table or a part of it, it has one of the ids, and the trigger is fired by
 * that UPDATE, not by one that another trigger has made meanwhile.
 */
typedef struct CbSetAtWork
{
	struct CbSetAtWork *outer;	/* of the call within which this one is made */
	const CbChange *change;
	Oid			relid;			/* of the table of contacts */
	int			trigger_depth;	/* at the call */
	int			nids;
	const Datum *ids;			/* text, as the column shows them, sorted */
	bool	   *is_stamped;		/* by the trigger, for each id */
	int			next;			/* which id the trigger is likely to meet next */
	CommandId	own_commands;	/* that the history has taken to record them */
	MemoryContext context;		/* lives as long as this */
	struct CbEvents *events;	/* that the history has yet to record, for the end of the UPDATE */
} CbSetAtWork;

extern CbSetAtWork *cb_set_at_work;

/* The depth of triggers at which we are: 0 outside of any. */
extern int	cb_trigger_depth(void);

/*
 * Where an id is in a set of them, which is sorted; -1 if it is not there.
 * *next is looked at first, and becomes the place behind the one found.
 */
extern int	cb_find_id(int nids, const Datum *ids, Datum id, int *next);

/* What became of a contact. */
typedef struct CbOutcome
{
	int			code;			/* the SQLSTATE that a call for it alone ends with; 0 is a document */
	bool		is_changed;
	bool		is_known;		/* is there nothing to be done about it any more? */
	CbStatus	status;			/* as it is now, where there is one to tell */
	const CbRow *row;			/* the same; NULL: there is none */
} CbOutcome;

/*
 * Make the change for a set of contacts, by one UPDATE in the order of their
 * ids, and tell what became of each.  The ids are text as the column shows
 * them, sorted, and different.  The rows are whole for a set of one, else they
 * have what CB_READ_STATES returns or less.  A set of one waits for whoever
 * holds its contact; of more, one that came back to a starting status while
 * somebody holds it is 55P03.  Raises 55000 when the audit trigger did not
 * fire, 21000 when an id is not unique, 42501 when a trigger of the user's
 * makes something else of a row, PT404 when one removes it, and 0A000 when the
 * column has no word for a status.  Between SPI_connect and SPI_finish only.
 */
extern void cb_change_contacts(const CbCall *call, const CbChange *change,
							   int nids, const Datum *ids, CbOutcome *outcomes);

/* Raise the error that an outcome with a code is, for the id as the caller gave it. */
pg_noreturn extern void cb_raise_outcome(const CbCall *call, const CbOutcome *outcome, Datum id);

/* Read a contact.  Raises PT404 and 21000; with read_only as cb_run. */
extern CbRow cb_read_contact(const CbCall *call, Datum id, bool read_only);

#endif							/* CONTACT_BLOCK_CHANGE_H */
