/*-------------------------------------------------------------------------
 *
 * lifecycle.h
 *	  The state machine of a contact.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONTACT_BLOCK_LIFECYCLE_H
#define CONTACT_BLOCK_LIFECYCLE_H

/* The SQLSTATE that gateways answer with the HTTP status in its digits. */
#define ERRCODE_CONTACT_CONFLICT	MAKE_SQLSTATE('P', 'T', '4', '0', '9')

/*
 * What can happen to a contact, and whether it has happened to all.  The name
 * is the document's, and the columns are called after it.
 */
#define CB_EVENTS(event) \
	event(CB_CREATED, "created", true) \
	event(CB_UPDATED, "updated", false) \
	event(CB_ACTIVATED, "activated", false) \
	event(CB_BECAME_BLOCKED, "blocked", false) \
	event(CB_BECAME_DELETED, "deleted", false)

#define CB_EVENT_NUMBER(number, name, always) number,
typedef enum CbEvent
{
	CB_EVENTS(CB_EVENT_NUMBER)
	CB_NEVENTS
} CbEvent;
#undef CB_EVENT_NUMBER

typedef enum CbStatus
{
	CB_NEW,
	CB_ACTIVE,
	CB_BLOCKED,
	CB_DELETED,
	CB_NO_STATUS				/* a word that is none of them, or null */
} CbStatus;

#define CB_NSTATUSES CB_NO_STATUS

/* Sets of statuses, a bit each */
#define CB_IS(status)	(1 << (status))

/*
 * A status, and how it is reached: by any statement from the statuses that it
 * may follow, and by the verb of its own, a function, from those that this
 * starts from.
 */
typedef struct CbStatusInfo
{
	const char *name;
	CbEvent		event;			/* what becoming it is */
	int			follows;
	int			verb_starts_from;	/* none: there is no verb */
	bool		has_reason;		/* blocked_reason may be there */
} CbStatusInfo;

extern const CbStatusInfo cb_statuses[CB_NSTATUSES];

/* What follows the type of the status column in CREATE TABLE. */
extern const char *cb_status_constraint(void);

/* The name of a status for people, "null" for none. */
extern const char *cb_status_name(CbStatus status);

/*
 * Does a change from one status to the other lift a block, or a deletion?
 * That must not happen by accident.
 */
extern bool cb_lifts(CbStatus from, CbStatus to);

/*
 * Raise PT409 for a contact that has a status in which the caller's wish
 * cannot be met.  Each of DETAIL and HINT may be NULL.
 */
pg_noreturn extern void cb_conflict(const char *detail, const char *hint);

#endif							/* CONTACT_BLOCK_LIFECYCLE_H */
