/*-------------------------------------------------------------------------
 *
 * relations.h
 *	  The user's relations as they are now, and what a caller may read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONTACT_BLOCK_RELATIONS_H
#define CONTACT_BLOCK_RELATIONS_H

#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/relcache.h"

#include "lifecycle.h"
#include "model.h"

/* The relations in the extension's schema, as they were found. */
typedef struct CbSchema
{
	Oid			oid;
	NameData	name;
	uint64		generation;		/* another one when anything here is another */
	Oid			relids[CB_NRELATIONS];
	Oid			contacts_table; /* contacts itself, or the table under that view */
	NameData	labels[CB_NSTATUSES];	/* the statuses in its words; "": it cannot hold this one */
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

/* Can a status column of this type, of domains their base, hold the word? */
extern bool cb_can_hold(Oid type, const char *label);

/* The status that this word stands for, CB_NO_STATUS if for none or NULL. */
extern CbStatus cb_find_label(const CbSchema *schema, const char *label);

/* The audit trigger of a table, whatever its name and shape; NULL if there is none. */
extern const Trigger *cb_find_trigger(Relation rel, Oid function);

/* The function contact_audit() in the schema. */
extern Oid	cb_trigger_function(Oid schema);

/* The table that a view shows; InvalidOid, with the reason if asked for, when it shows none that it could change. */
extern Oid	cb_table_under(Relation view, const char **reason);

/*
 * A word, a text, as an id of the given type, of domains their base.  Returns false if
 * it is no value of that type; every text is one of any other type than uuid
 * and integers.  (PostgreSQL's own input functions raise errors, and what they
 * accept differs between versions.)
 */
extern bool cb_parse_id(Oid type, Datum word, Datum *id);

/* The word as an id of this type is shown, so that texts of the same id are the same. */
extern Datum cb_canonical_id(Oid type, Datum word);

/* The type of a relation's key, its first column. */
extern Oid	cb_key_type(const CbSchema *schema, CbRelation relation);

/* Raise 55000 and say what to run. */
pg_noreturn extern void cb_not_set_up(const char *schema_name, const char *detail);

#endif							/* CONTACT_BLOCK_RELATIONS_H */
