/*-------------------------------------------------------------------------
 *
 * history.h
 *	  The history of contacts.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONTACT_BLOCK_HISTORY_H
#define CONTACT_BLOCK_HISTORY_H

#include "change.h"

/* Write the events of a set whose UPDATE is over that the history has kept back, if any. */
extern void cb_write_events(CbSetAtWork *set);

#endif							/* CONTACT_BLOCK_HISTORY_H */
