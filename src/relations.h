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

/* Can a status column of this type, of domains their base, hold the word? */
extern bool cb_can_hold(Oid type, const char *label);

/* The status that this word, a text, stands for, CB_NO_STATUS if for none. */
extern CbStatus cb_find_label(const CbSchema *schema, Datum label);

/* The table that a view shows; InvalidOid, with the reason if asked for, when it shows none that it could change. */
extern Oid	cb_table_under(Relation view, const char **reason);

/* The table of contacts: what has the name, or the table under that view; InvalidOid if there is none. */
extern Oid	cb_contacts_table(Oid contacts);

/*
 * The type of a column, under all domains; InvalidOid if there is none, also of
 * what is dropped meanwhile: it asks for no lock.
 */
extern Oid	cb_column_type(Oid relid, const char *column);

/* Is an id of this type, of domains their base, no string: a uuid or an integer? */
extern bool cb_is_parsed(Oid type);

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

#endif							/* CONTACT_BLOCK_RELATIONS_H */
