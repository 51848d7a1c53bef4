/*-------------------------------------------------------------------------
 *
 * trigger.h
 *	  The audit trigger as it stands on a table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONTACT_BLOCK_TRIGGER_H
#define CONTACT_BLOCK_TRIGGER_H

#include "commands/trigger.h"
#include "utils/relcache.h"

#include "lifecycle.h"
#include "model.h"

/* It sorts behind the names that users give, so that it fires last. */
#define CB_TRIGGER_NAME "zzz_contact_audit"

/*
 * What the arguments of the audit trigger say: what the table calls the columns
 * of contacts and the statuses, and which columns' changes do not count.
 */
typedef struct CbNames
{
	const char **columns;		/* of contacts, by place; the contract's where nothing else is said */
	const char *labels[CB_NSTATUSES];
	List	   *ignored;		/* of names */
} CbNames;

/* Read the arguments, in the current memory context.  Raises 55000. */
extern void cb_read_arguments(const Trigger *trigger, CbNames *names);

/* Is the column one of those that the trigger deals with, and its arguments can name? */
extern bool cb_is_audited(const CbColumn *column);

/* The function contact_audit() in the schema. */
extern Oid	cb_trigger_function(Oid schema);

/* The audit trigger of a table, whatever its name and, if need be, shape; NULL if there is none. */
extern const Trigger *cb_find_trigger(Relation rel, Oid function);

/* The CREATE TRIGGER for a table, whose name is qualified, with arguments. */
extern char *cb_create_trigger(const char *name, const char *table, Oid schema, const List *arguments);

/*
 * Why the audit trigger does not fire on the table, or on a partition of it,
 * and what to run; NULL if it does, where triggers do.  What to run for a
 * trigger that is missing is what keeps set-up from making it, "" if nothing
 * does.  The table is locked.
 */
extern const char *cb_trigger_trouble(Oid relid, Oid schema, const char **remedy, bool *is_missing);

/* "schema.name", quoted where needed */
extern char *cb_qualified(Oid schema, const char *name);

/* Raise 55000 with DETAIL and HINT. */
pg_noreturn extern void cb_not_set_up(const char *detail, const char *hint);

#endif							/* CONTACT_BLOCK_TRIGGER_H */
