/*-------------------------------------------------------------------------
 *
 * lifecycle.c
 *	  The state machine of a contact: statuses, transitions, verbs, events.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "compat.h"
#include "lifecycle.h"

/* New is only ever a first status, and left by a plain UPDATE. */
const CbStatusInfo cb_statuses[CB_NSTATUSES] = {
	[CB_NEW] = {"New", CB_CREATED, 0, 0, false},
	[CB_ACTIVE] = {"Active", CB_ACTIVATED, CB_IS(CB_NEW) | CB_IS(CB_BLOCKED), CB_IS(CB_BLOCKED), false},
	[CB_BLOCKED] = {"Blocked", CB_BECAME_BLOCKED, CB_IS(CB_ACTIVE), CB_IS(CB_ACTIVE), true},
	[CB_DELETED] = {"Deleted", CB_BECAME_DELETED, CB_IS(CB_ACTIVE) | CB_IS(CB_BLOCKED),
	CB_IS(CB_ACTIVE) | CB_IS(CB_BLOCKED), true}
};

const char *
cb_status_constraint(void)
{
	StringInfoData sql;

	initStringInfo(&sql);
	/* every UPDATE reads the expression anew, and this one is shorter than an IN */
	appendStringInfo(&sql, "DEFAULT '%s' CHECK (status = ANY ('{", cb_statuses[CB_ACTIVE].name);
	for (int status = 0; status < CB_NSTATUSES; status++)
		appendStringInfo(&sql, "%s%s", status > 0 ? "," : "", cb_statuses[status].name);
	appendStringInfoString(&sql, "}'))");
	return sql.data;
}

const char *
cb_status_name(CbStatus status)
{
	return status == CB_NO_STATUS ? "null" : cb_statuses[status].name;
}

bool
cb_lifts(CbStatus from, CbStatus to)
{
	return from != CB_NO_STATUS && to != CB_NO_STATUS &&
		cb_statuses[from].has_reason && !cb_statuses[to].has_reason;
}

/* Gateways put the message into the HTTP status line, so it is constant. */
void
cb_conflict(const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONTACT_CONFLICT),
			 errmsg("the contact's status does not allow this"),
			 detail ? errdetail_internal("%s", detail) : 0,
			 hint ? errhint("%s", hint) : 0));
}
