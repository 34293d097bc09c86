/*
 * uuid - event ids and their text.
 *
 * Source: RFC 9562, sections 4 and 5.4.
 */
#ifndef PHOS_WIRE_UUID_H
#define PHOS_WIRE_UUID_H

#include "phos/event.h"

/* Sets the version (4) and variant bits of 16 random bytes. */
void phos__uuid_v4_mark(uint8_t bytes[16]);
/* 36 bytes, no NUL. */
void phos__uuid_write(const uint8_t bytes[16], char *text);
/* Exactly 36 characters; any version, any letter case. */
bool phos__uuid_read(phos_str text, uint8_t ret_bytes[16]);

#endif
