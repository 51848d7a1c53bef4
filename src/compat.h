/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Everything that differs between PostgreSQL versions, written against
 *	  the newest shape.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONTACT_BLOCK_COMPAT_H
#define CONTACT_BLOCK_COMPAT_H

#include "catalog/pg_class.h"
#include "common/jsonapi.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/syscache.h"

/* 18 spells it like C11, in front of the declaration. */
#ifndef pg_noreturn
#define pg_noreturn pg_attribute_noreturn()
#endif

/* 18 lets a module tell its name and version. */
#ifdef PG_MODULE_MAGIC_EXT
#define CB_MODULE_MAGIC \
	PG_MODULE_MAGIC_EXT(.name = "contact_block", .version = CONTACT_BLOCK_VERSION)
#else
#define CB_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* The minor releases of November 2024 let a setting be set in a parallel query. */
#ifndef GUC_ALLOW_IN_PARALLEL
#define GUC_ALLOW_IN_PARALLEL 0
#endif

/* 19 has a type of its own for the number of a system cache. */
#if PG_VERSION_NUM >= 190000
typedef SysCacheIdentifier CbCacheId;
#else
typedef int CbCacheId;
#endif

/* 17 has another name for it. */
#if PG_VERSION_NUM < 170000
#define SearchPathMatchesCurrentEnvironment OverrideSearchPathMatchesCurrent
#endif

/* 17 can put the lexer's state into memory of the caller's; NULL allocates it. */
#if PG_VERSION_NUM < 170000
#define makeJsonLexContextCstringLen(lex, json, len, encoding, need_escapes) \
	makeJsonLexContextCstringLen((char *) (json), len, encoding, need_escapes)
#endif

/* 16 lets the actions of the JSON parser report an error. */
#if PG_VERSION_NUM < 160000
#define JSON_ACTION_RESULT void
#define JSON_ACTION_DONE() return
#else
#define JSON_ACTION_RESULT JsonParseErrorType
#define JSON_ACTION_DONE() return JSON_SUCCESS
#endif

/* 16 lets others look at a setting. */
#if PG_VERSION_NUM < 160000
static inline struct config_generic *
find_option(const char *name, bool create_placeholders pg_attribute_unused(),
			bool skip_errors pg_attribute_unused(), int elevel pg_attribute_unused())
{
	struct config_generic **variables = get_guc_variables();

	for (int i = 0; i < GetNumConfigOptions(); i++)
	{
		if (pg_strcasecmp(variables[i]->name, name) == 0)
			return variables[i];
	}
	return NULL;
}
#endif

/* 16 has one check of ownership, and one of rights, for every kind of object. */
#if PG_VERSION_NUM < 160000
#define object_aclcheck(classid, objectid, roleid, mode) \
	(AssertMacro((classid) == NamespaceRelationId), \
	 pg_namespace_aclcheck(objectid, roleid, mode))
#define object_ownercheck(classid, objectid, roleid) \
	(AssertMacro((classid) == RelationRelationId), \
	 pg_class_ownercheck(objectid, roleid))
#endif

#endif							/* CONTACT_BLOCK_COMPAT_H */
