/*
 * traceparent - the W3C's name of a place in a trace: version, trace, span,
 * flags.
 *
 *   00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
 *
 * Source: W3C Trace Context, level 1, section 3.2.
 */
#ifndef PHOS_WIRE_TRACEPARENT_H
#define PHOS_WIRE_TRACEPARENT_H

#include "phos/base.h"

enum { PHOS__TRACEPARENT_LENGTH = 55 };

/* Whether it is one of version 00: lower case, and neither trace nor span all
 * zeros. Async-signal-safe. */
bool phos__traceparent_is_valid(phos_str text);

#endif
