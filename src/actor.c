/*-------------------------------------------------------------------------
 *
 * actor.c
 *	  The settings, and who acts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "compat.h"
#include "actor.h"

static char *actor_setting = NULL;
static char *actor_claim = NULL;
static bool trust_actor = true;
static bool require_actor = false;
int			cb_plain_unblock = CB_PLAIN_UNBLOCK_ERROR;

static const struct config_enum_entry plain_unblock_options[] = {
	{"error", CB_PLAIN_UNBLOCK_ERROR, false},
	{"keep", CB_PLAIN_UNBLOCK_KEEP, false},
	{"allow", CB_PLAIN_UNBLOCK_ALLOW, false},
	{NULL, 0, false}
};

/* What the JSON parser's actions tell each other while they look for a claim. */
typedef struct ClaimSearch
{
	JsonLexContext *lex;
	const char *name;			/* the claim */
	bool		is_object;		/* the claims are an object, as they must be */
	bool		at_claim;		/* the value that comes next is the claim's */
	bool		is_container;	/* the claim is an object or an array */
	JsonTokenType type;			/* of the claim, when it is a scalar */
	char	   *value;			/* of the claim; NULL when there is none */
} ClaimSearch;

/*
 * Return where the value that a setting has without any SET comes from,
 * PGC_S_DEFAULT when nobody gave it one.  What a session says later does not
 * count, also not a RESET, which makes a placeholder without a value.
 */
static GucSource
reset_source(const char *name)
{
	struct config_generic *setting = find_option(name, false, true, ERROR);

	return setting ? setting->reset_source : PGC_S_DEFAULT;
}

/*
 * Define a setting that is the administrator's to say, and by default not the
 * safe value.
 *
 * Before the library is loaded PostgreSQL keeps whatever is said, and sorts it
 * out here.  A SET that is not permitted gets a warning and leaves what was
 * there.  But a value from the connection string (PGOPTIONS) has hidden what
 * the database or the role says, which is lost when it is refused: then the
 * safe value takes its place, as it does for a value that makes no sense.  It
 * takes its source as well, or the configuration file's next reload would
 * override what the database said.
 */
static void
define_guard(const char *name, const char *short_desc, const char *long_desc,
			 bool *variable, bool safe)
{
	GucSource	source = reset_source(name);

	DefineCustomBoolVariable(name, short_desc, long_desc, variable, !safe,
							 PGC_SUSET, GUC_ALLOW_IN_PARALLEL,
							 NULL, NULL, NULL);
	if (reset_source(name) != source)
		SetConfigOption(name, safe ? "on" : "off", PGC_SUSET, source);
}

/*
 * Define the settings.  Called once, when the library is loaded.
 *
 * That can be in the middle of a parallel query, by a function in another
 * language, and must not lose the values that were set before.  The trigger
 * asks for them, which no parallel worker can fire.
 */
void
cb_define_settings(void)
{
	DefineCustomStringVariable("contact_block.actor",
							   "Sets who is recorded in the audit columns.",
							   "Empty: the claim, the role or the login is recorded.",
							   &actor_setting,
							   "",
							   PGC_USERSET,
							   GUC_ALLOW_IN_PARALLEL,
							   NULL, NULL, NULL);
	DefineCustomStringVariable("contact_block.actor_claim",
							   "Sets which claim of request.jwt.claims names the actor.",
							   NULL,
							   &actor_claim,
							   "sub",
							   PGC_SUSET,
							   GUC_ALLOW_IN_PARALLEL,
							   NULL, NULL, NULL);
	DefineCustomEnumVariable("contact_block.plain_unblock",
							 "Sets what a plain statement does that would make a Blocked contact Active.",
							 "An error, keep the contact Blocked, or allow it; contact_unblock() always may.",
							 &cb_plain_unblock,
							 CB_PLAIN_UNBLOCK_ERROR,
							 plain_unblock_options,
							 PGC_USERSET,
							 GUC_ALLOW_IN_PARALLEL,
							 NULL, NULL, NULL);
	define_guard("contact_block.trust_actor",
				 "Believes contact_block.actor, request.jwt.claims and the role.",
				 "Off: the session's login is recorded.",
				 &trust_actor, false);
	define_guard("contact_block.require_actor",
				 "Refuses to write without contact_block.actor or the claim.",
				 "Off: the role or the login is recorded then.",
				 &require_actor, true);
	MarkGUCPrefixReserved("contact_block");
}

static JSON_ACTION_RESULT
claims_object_start(void *state)
{
	ClaimSearch *search = (ClaimSearch *) state;

	if (search->lex->lex_level == 0)
		search->is_object = true;
	else if (search->at_claim && search->lex->lex_level == 1)
		search->is_container = true;
	JSON_ACTION_DONE();
}

static JSON_ACTION_RESULT
claims_array_start(void *state)
{
	ClaimSearch *search = (ClaimSearch *) state;

	if (search->at_claim && search->lex->lex_level == 1)
		search->is_container = true;
	JSON_ACTION_DONE();
}

/* Of a claim that is there twice the last one counts, as in jsonb. */
static JSON_ACTION_RESULT
claims_field_start(void *state, char *field, bool isnull pg_attribute_unused())
{
	ClaimSearch *search = (ClaimSearch *) state;

	if (search->lex->lex_level == 1)
	{
		search->at_claim = strcmp(field, search->name) == 0;
		if (search->at_claim)
		{
			search->is_container = false;
			search->value = NULL;
		}
	}
	JSON_ACTION_DONE();
}

static JSON_ACTION_RESULT
claims_scalar(void *state, char *token, JsonTokenType type)
{
	ClaimSearch *search = (ClaimSearch *) state;

	if (search->at_claim && search->lex->lex_level == 1 &&
		type != JSON_TOKEN_NULL)
	{
		search->type = type;
		search->value = token;
	}
	JSON_ACTION_DONE();
}

/*
 * Return the actor that the claims name, NULL when they name none.  Raises
 * 22023 when they are not a JSON object or the claim is neither a string nor
 * a number: a wrong name would be worse.
 */
static const char *
actor_from_claims(const char *claims)
{
	ClaimSearch search = {0};
	JsonSemAction actions = {0};
	int			length = strlen(claims);

	/* the lexer relies on valid encoding, which a start-up packet need not have */
	pg_verifymbstr(claims, length, false);

	search.name = actor_claim;
	search.lex = makeJsonLexContextCstringLen(NULL, claims, length,
											  GetDatabaseEncoding(), true);
	actions.semstate = &search;
	actions.object_start = claims_object_start;
	actions.array_start = claims_array_start;
	actions.object_field_start = claims_field_start;
	actions.scalar = claims_scalar;

	if (pg_parse_json(search.lex, &actions) != JSON_SUCCESS || !search.is_object)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("request.jwt.claims is not a JSON object")));
	if (search.is_container ||
		(search.value &&
		 search.type != JSON_TOKEN_STRING && search.type != JSON_TOKEN_NUMBER))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the actor's claim in request.jwt.claims is not a string"),
				 errdetail("The claim is \"%s\".", actor_claim)));
	return search.value;
}

/* PostgreSQL leaves '' behind where a transaction's setting was. */
static bool
is_set(const char *value)
{
	return value && value[0] != '\0';
}

/*
 * Return who acts: the setting, the claim, the role, or the login; it is not
 * to be freed.  Reads settings only.  Raises 22023 when the claims make no
 * sense or an actor is required and none is set, 22021 when a name that was
 * set is not valid in the encoding.
 */
const char *
cb_actor(void)
{
	const char *actor;

	if (trust_actor)
	{
		actor = actor_setting;
		if (!is_set(actor))
		{
			const char *claims = GetConfigOption("request.jwt.claims", true, false);

			actor = is_set(claims) ? actor_from_claims(claims) : NULL;
		}
		if (!is_set(actor))
		{
			if (require_actor)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("no actor is set"),
						 errhint("Set contact_block.actor, or request.jwt.claims with the claim \"%s\".",
								 actor_claim)));
			actor = GetConfigOption("role", true, false);
			if (actor && strcmp(actor, "none") == 0)
				actor = NULL;
		}
		if (is_set(actor))
		{
			pg_verifymbstr(actor, strlen(actor), false);
			return actor;
		}
	}
	return GetUserNameFromId(GetSessionUserId(), false);
}
