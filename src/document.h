/*-------------------------------------------------------------------------
 *
 * document.h
 *	  The document of a contact.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONTACT_BLOCK_DOCUMENT_H
#define CONTACT_BLOCK_DOCUMENT_H

#include "statements.h"

/*
 * Return the document of a contact, whose row is at hand, as jsonb in the
 * given memory context.  What belongs to the contact is read with the active
 * snapshot, by the caller's rights.  Between SPI_connect and SPI_finish only.
 */
extern Datum cb_document(const CbCall *call, const CbRow *contact, MemoryContext result_context);

#endif							/* CONTACT_BLOCK_DOCUMENT_H */
