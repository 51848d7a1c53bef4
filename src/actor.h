/*-------------------------------------------------------------------------
 *
 * actor.h
 *	  The settings, and who acts.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONTACT_BLOCK_ACTOR_H
#define CONTACT_BLOCK_ACTOR_H

/* What a plain statement does that would lift a block. */
typedef enum CbPlainUnblock
{
	CB_PLAIN_UNBLOCK_ERROR,		/* it is PT409 */
	CB_PLAIN_UNBLOCK_KEEP,		/* the status stays as it is, the rest counts */
	CB_PLAIN_UNBLOCK_ALLOW
} CbPlainUnblock;

/* The setting contact_block.plain_unblock: a CbPlainUnblock. */
extern int	cb_plain_unblock;

/* Define the settings; when the library is loaded. */
extern void cb_define_settings(void);

/*
 * Return who acts: the setting, the claim, the role, or the login; it is not
 * to be freed.  Reads settings only.  Raises 22023 when the claims make no
 * sense, 22021 when a name that was set is not valid in the encoding.
 */
extern const char *cb_actor(void);

#endif							/* CONTACT_BLOCK_ACTOR_H */
