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
	bool		keeps_reason;	/* becoming it leaves blocked_reason as it is */
} CbStatusInfo;

extern const CbStatusInfo cb_statuses[CB_NSTATUSES];

/* The status of this name, CB_NO_STATUS if it is none or NULL. */
extern CbStatus cb_find_status(const char *name);

/* What follows the type of the status column in CREATE TABLE. */
extern const char *cb_status_constraint(void);

/*
 * Raise PT409 for a contact that has a status in which the caller's wish
 * cannot be met.  Without a status there is no DETAIL; without a new one it
 * does not name that.
 */
pg_noreturn extern void cb_conflict(const char *id, const char *status, const char *new_status);

#endif							/* CONTACT_BLOCK_LIFECYCLE_H */
