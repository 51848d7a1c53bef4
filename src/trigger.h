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
#include "fmgr.h"
#include "nodes/bitmapset.h"
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

/*
 * Where the columns are that a trigger deals with, and what the table calls the
 * statuses.  Partitions differ from their parent, so this is looked up for the
 * relation at hand, once a statement: the executor has an FmgrInfo of its own
 * for each relation, and the lock that it holds keeps the columns where they
 * are.  Counted from 0.
 */
typedef struct CbAuditedColumns
{
	Oid			relid;			/* of what relation this tells */
	int			id;
	int			status;
	int			reason;
	int			at[CB_NEVENTS];
	int			by[CB_NEVENTS];
	bool		is_time[CB_NEVENTS];	/* is "at" of a type that has times? */
	Oid			root;			/* what it is a partition of, on top; InvalidOid: not looked up yet */
	bool		has_reason_text;	/* is the reason of a type that has empty values? */
	bool		insert_is_update;	/* must "updated" not be null? */
	Bitmapset  *ignored;		/* columns whose change alone is none */
	CbNames		names;
} CbAuditedColumns;

/* Look that up, in the current memory context.  Raises 55000, and 42703 when a column is missing. */
extern CbAuditedColumns *cb_look_up_columns(Relation rel, const Trigger *trigger);

/* A column's value as a string, whatever its type is by now; NULL for null. */
extern char *cb_column_string(TupleDesc desc, int column, const Datum *values, const bool *isnull);

/* The same as a text, neither compressed nor out of line, for a value that is not null; maybe the value itself. */
extern Datum cb_column_text(TupleDesc desc, int column, const Datum *values);

/* The status that the table's word stands for, CB_NO_STATUS if for none or NULL. */
extern CbStatus cb_find_word(const CbNames *names, const char *word);

/*
 * Is the relation, which has the trigger, a shard of the table, as it may be on
 * a distributed engine?  Root is the relation, or what it is a partition of, on
 * top.  A shard is beside the table and of the same owner, and the table keeps
 * no rows itself; of its name nothing is known.
 */
extern bool cb_is_shard(Relation rel, Oid root, Oid table);

/*
 * Is the relation, which has the trigger, the table or a part of it: a
 * partition, a child, or a shard?  What it is part of is looked up once for
 * this table, into *root, InvalidOid at first.
 */
extern bool cb_is_of_table(Relation rel, Oid table, Oid *root);

/* Read the arguments, in the current memory context.  Raises 55000. */
extern void cb_read_arguments(const Trigger *trigger, CbNames *names);

/* Is the column one of those that the trigger deals with, and its arguments can name? */
extern bool cb_is_audited(const CbColumn *column);

/* A function without arguments in the schema, InvalidOid if there is none; and contact_audit(). */
extern Oid	cb_function(Oid schema, const char *name);
extern Oid	cb_trigger_function(Oid schema);

/* A copy of the table's trigger with the function, whatever its name and, if need be, shape; NULL if there is none. */
extern const Trigger *cb_find_trigger(Relation rel, Oid function);

/* The CREATE TRIGGER for a table, whose name is qualified, with arguments. */
extern char *cb_create_trigger(const char *name, const char *table, Oid schema, const List *arguments);

/*
 * Why the audit trigger does not fire on the table, or on a partition of it,
 * and what to run; NULL if it does, where triggers do.  What to run for a
 * trigger that is missing is what keeps set-up from making it, "" if nothing
 * does.  The table may be gone, or InvalidOid.
 */
extern const char *cb_trigger_trouble(Oid relid, Oid schema, const char **remedy, bool *is_missing);

/* Raise 39P01 unless the function was called by a trigger of the shape that it is for. */
extern void cb_check_protocol(FunctionCallInfo fcinfo, const char *name, bool is_after);

/* "schema.name", quoted where needed */
extern char *cb_qualified(Oid schema, const char *name);

/* Raise 55000 with DETAIL and HINT. */
pg_noreturn extern void cb_not_set_up(const char *detail, const char *hint);

#endif							/* CONTACT_BLOCK_TRIGGER_H */
