/*-------------------------------------------------------------------------
 *
 * contact_block.h
 *	  The types and functions that cross files.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONTACT_BLOCK_H
#define CONTACT_BLOCK_H

#include "postgres.h"

#include "executor/spi.h"

#include "compat.h"

/* SQLSTATEs that gateways answer with the HTTP status in their digits. */
#define ERRCODE_CONTACT_NOT_FOUND	MAKE_SQLSTATE('P', 'T', '4', '0', '4')
#define ERRCODE_CONTACT_CONFLICT	MAKE_SQLSTATE('P', 'T', '4', '0', '9')

/* The relations, referenced ones first. */
typedef enum RelationNumber
{
	ACCOUNTS,
	USERS,
	ACCOUNT_USERS,
	CATEGORIES,
	CONTACTS,
	CONTACT_OPT_OUTS
} RelationNumber;

#define N_RELATIONS (CONTACT_OPT_OUTS + 1)

/* The columns of all relations; those of one follow each other, key first. */
typedef enum ColumnNumber
{
	ACCOUNTS_ID,
	ACCOUNTS_TYPE,
	ACCOUNTS_STATUS,
	ACCOUNTS_NAME,
	ACCOUNTS_ICON,

	USERS_ID,
	USERS_EMAIL,
	USERS_STATUS,
	USERS_NAME,
	USERS_FIRST_NAME,
	USERS_LAST_NAME,
	USERS_ICON,
	USERS_PHONE_PREFIX,
	USERS_PHONE_NUMBER,
	USERS_CULTURE_CODE,
	USERS_LANGUAGE_CODE,
	USERS_LAST_LOGIN_AT,
	USERS_CURRENT_ACCOUNT_ID,
	USERS_CREATED_AT,
	USERS_CREATED_BY,
	USERS_UPDATED_AT,
	USERS_UPDATED_BY,
	USERS_INVITATION_ACCEPTED_AT,

	ACCOUNT_USERS_USER_ID,
	ACCOUNT_USERS_ACCOUNT_ID,

	CATEGORIES_ID,
	CATEGORIES_NAME,
	CATEGORIES_SHORT_DESCRIPTION,
	CATEGORIES_ICON,

	CONTACTS_ID,
	CONTACTS_EMAIL,
	CONTACTS_NAME,
	CONTACTS_STATUS,
	CONTACTS_BLOCKED_REASON,
	CONTACTS_USER_ID,
	CONTACTS_CREATED_AT,
	CONTACTS_CREATED_BY,
	CONTACTS_UPDATED_AT,
	CONTACTS_UPDATED_BY,
	CONTACTS_ACTIVATED_AT,
	CONTACTS_ACTIVATED_BY,
	CONTACTS_BLOCKED_AT,
	CONTACTS_BLOCKED_BY,
	CONTACTS_DELETED_AT,
	CONTACTS_DELETED_BY,

	CONTACT_OPT_OUTS_CONTACT_ID,
	CONTACT_OPT_OUTS_CATEGORY_ID,
	CONTACT_OPT_OUTS_LAST_USED
} ColumnNumber;

#define N_COLUMNS (CONTACT_OPT_OUTS_LAST_USED + 1)

/* A set of columns, one bit each. */
typedef uint64 ColumnSet;

#define COLUMN(column)			(UINT64CONST(1) << (column))
#define COLUMN_RANGE(first, last) (2 * COLUMN(last) - COLUMN(first))

StaticAssertDecl(N_COLUMNS < 64, "a ColumnSet must hold all columns");

typedef struct RelationInfo
{
	const char *name;
	ColumnNumber first;
	ColumnNumber last;
	const char *key;			/* the columns of the primary key */
	const char *options;		/* the rest of CREATE TABLE */
} RelationInfo;

typedef struct ColumnInfo
{
	const char *name;
	const char *type;			/* what it is read as */
	const char *constraint;		/* what follows the type in CREATE TABLE */
	bool		not_null;
	int			references;		/* RelationNumber, or -1 */
} ColumnInfo;

extern const RelationInfo cb_relations[N_RELATIONS];
extern const ColumnInfo cb_columns[N_COLUMNS];

/* One call of a function of the extension: what its statements depend on. */
typedef struct ContactCall
{
	NameData	schema;			/* of the extension, as it is named now */
	ColumnSet	hidden;			/* columns that the caller may not read */
} ContactCall;

/* What a statement returned; it lives until SPI_finish. */
typedef struct Rows
{
	uint64		count;
	SPITupleTable *table;
	RelationNumber relation;	/* whose columns come first */
} Rows;

/* The columns of one relation in one row. */
typedef struct Row
{
	Datum	   *values;
	bool	   *isnull;
	RelationNumber relation;
} Row;

static inline Datum
cb_value(const Row *row, ColumnNumber column)
{
	return row->values[column - cb_relations[row->relation].first];
}

static inline bool
cb_isnull(const Row *row, ColumnNumber column)
{
	return row->isnull[column - cb_relations[row->relation].first];
}

static inline NullableDatum
cb_nullable(const Row *row, ColumnNumber column)
{
	NullableDatum result = {cb_value(row, column), cb_isnull(row, column)};

	return result;
}

/* actor.c */
extern void cb_define_settings(void);
extern const char *cb_actor(void);

/* audit.c */
extern uint64 cb_audit_count;
pg_noreturn extern void cb_conflict(const char *id, const char *status, const char *new_status);

/* relations.c */
extern void cb_begin_call(FunctionCallInfo fcinfo, ContactCall *call);
pg_noreturn extern void cb_not_set_up(const ContactCall *call, const char *detail);

/* statements.c */
typedef enum Statement
{
	BLOCK_CONTACT,
	BLOCK_CONTACT_WITH_REASON,
	BLOCK_CONTACT_WITH_UNREADABLE_REASON,
	UNBLOCK_CONTACT,
	DELETE_CONTACT,
	LOCK_CONTACT,
	SELECT_CONTACT,
	SELECT_OPT_OUTS,
	SELECT_USER,
	SELECT_ACCOUNT,
	SELECT_ACCOUNTS,
	SELECT_ACTORS
} Statement;

#define N_STATEMENTS (SELECT_ACTORS + 1)

extern Rows cb_run(const ContactCall *call, Statement statement,
				   Datum *parameters, bool read_only);
extern Row	cb_fetch_row(const Rows *rows, uint64 number);
extern bool cb_text_equal(Datum a, Datum b);

/* document.c */
extern Datum cb_contact_document(const ContactCall *call, const Row *contact,
								 MemoryContext result_context);

#endif							/* CONTACT_BLOCK_H */
