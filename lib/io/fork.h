/*
 * fork - tells a child of fork() from the process that opened a client: one
 * page that the kernel wipes in every child, also after a raw clone().
 */
#ifndef PHOS_IO_FORK_H
#define PHOS_IO_FORK_H

#include "phos/base.h"

/* The page's first word: not 0 in the process that opened, 0 in its children
 * until they call this themselves, and then another number than any of their
 * ancestors had. Made at the first call and kept for the life of the process.
 * NULL: none to be had. */
const volatile uint32_t *phos__fork_generation(void);

#endif
