/*-------------------------------------------------------------------------
 *
 * actor.h
 *	  The settings, and who acts.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONTACT_BLOCK_ACTOR_H
#define CONTACT_BLOCK_ACTOR_H

/* Define the settings; when the library is loaded. */
extern void cb_define_settings(void);

/*
 * Return who acts: the setting, the claim, the role, or the login; it is not
 * to be freed.  Reads settings only.  Raises 22023 when the claims make no
 * sense, 22021 when a name that was set is not valid in the encoding.
 */
extern const char *cb_actor(void);

#endif							/* CONTACT_BLOCK_ACTOR_H */
