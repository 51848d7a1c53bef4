/*-------------------------------------------------------------------------
 *
 * model.h
 *	  What a document is, and the relations that it comes from.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONTACT_BLOCK_MODEL_H
#define CONTACT_BLOCK_MODEL_H

#include "nodes/bitmapset.h"

/* The relations, referenced ones first. */
typedef enum CbRelation
{
	CB_ACCOUNTS,
	CB_USERS,
	CB_ACCOUNT_USERS,
	CB_CATEGORIES,
	CB_CONTACTS,
	CB_CONTACT_OPT_OUTS,
	CB_NO_RELATION
} CbRelation;

#define CB_NRELATIONS CB_NO_RELATION

/* The kinds of objects in a document. */
typedef enum CbObjectNumber
{
	CB_NO_OBJECT,
	CB_CONTACT,
	CB_CONTACT_AUDIT,
	CB_OPT_OUT,
	CB_USER,
	CB_USER_AUDIT,
	CB_PHONE,
	CB_SETTINGS,
	CB_ACCOUNT,
	CB_ACTOR
} CbObjectNumber;

#define CB_NOBJECTS (CB_ACTOR + 1)

/* The kinds of properties: what they have for columns, and how they are shown. */
typedef enum CbKind
{
	CB_TEXT,					/* text: a string, or null */
	CB_INTEGER,					/* integer: a number, or null */
	CB_TIME,					/* timestamptz: a string, or null */
	CB_ID,						/* text, the key: a string */
	CB_STATUS,					/* text, a status of the lifecycle: a string */
	CB_REASON,					/* text, why it is blocked: a string, or null */
	CB_LINK,					/* the key of an object that this relation links: not shown */
	CB_REFERENCE,				/* the key of an object: this, unless it is not there */
	CB_EVENT,					/* NAME_at, NAME_by: when and who, unless it has not happened */
	CB_GROUP,					/* an object of more properties of the same row */
	CB_OPTIONAL_GROUP,			/* the same, unless all are null */
	CB_LIST,					/* the objects that a relation links to this one */
	CB_META						/* the names of what the caller may not read */
} CbKind;

/* A property of a kind of object. */
typedef struct CbProperty
{
	const char *key;			/* in the document; NULL: it is not shown */
	CbKind		kind;
	CbRelation	relation;		/* whose column it is */
	const char *column;			/* NULL: it has none of its own */
	const char *constraint;		/* what follows the type in CREATE TABLE */
	bool		not_null;
	bool		newer;			/* relations that an older version made may lack it */
	CbObjectNumber object;		/* what it shows, or refers to */

	/* derived at load */
	int			place;			/* of its first column in the relation, from 0 */
	Bitmapset  *columns;		/* it is left out for who may not read all of these */
} CbProperty;

/* A kind of object. */
typedef struct CbObject
{
	CbRelation	relation;
	CbRelation	link;			/* which lists it in another object, by two keys: that one's, its own */
	CbProperty *properties;
	int			nproperties;

	/* derived at load */
	int			nshown;			/* the properties that are shown: */
	CbProperty **in_jsonb;		/* in the order of jsonb */
	CbProperty **by_name;		/* in that of the alphabet */
	Bitmapset  *columns;		/* of all of them */
} CbObject;

/* A column, as the properties that have it say. */
typedef struct CbColumn
{
	const char *name;
	const char *type;
	const char *read_as;		/* the type that it is cast to, of pg_catalog */
	const char *constraint;
	bool		not_null;
	bool		newer;
	bool		is_key;			/* of the primary key */
	CbKind		kind;
	CbRelation	references;
} CbColumn;

typedef struct CbRelationInfo
{
	const char *name;
	const char *options;		/* storage parameters, or NULL */

	/* derived at load */
	int			first;			/* number of the first column among those of all relations */
	int			ncolumns;
	CbColumn   *columns;
} CbRelationInfo;

extern CbObject cb_objects[CB_NOBJECTS];
extern CbRelationInfo cb_relations[CB_NRELATIONS];

/* How many columns all relations have. */
extern int	cb_ncolumns;

/* Derive what is derived; when the library is loaded. */
extern void cb_load_model(void);

/* The place of the one column of contacts that is of this kind. */
extern int	cb_contact_place(CbKind kind);

#endif							/* CONTACT_BLOCK_MODEL_H */
