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
} CbSetAtWork;

extern CbSetAtWork *cb_set_at_work;

/*
 * Make the change, and return the contact as it is afterwards, or as it was
 * found when there was nothing to change.  Raises PT404, PT409, 42501, 21000,
 * and 55000 when the audit trigger did not fire.  Between SPI_connect and
 * SPI_finish only.
 */
extern CbRow cb_change_contact(const CbCall *call, const CbChange *change, Datum id);

/* Read a contact.  Raises PT404 and 21000; with read_only as cb_run. */
extern CbRow cb_read_contact(const CbCall *call, Datum id, bool read_only);

#endif							/* CONTACT_BLOCK_CHANGE_H */
