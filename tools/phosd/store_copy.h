/*
 * store_copy - one moment of a database, as a file of its own.
 */
#ifndef PHOSD_STORE_COPY_H
#define PHOSD_STORE_COPY_H

#include "phos/base.h"

/* Copies into `to`, an empty file, looks through the copy and syncs it. The
 * source may be in use. false: *error says why, and `to` is worth nothing. */
bool phosd_store_copy(const char *from, const char *to, phos_error *error);

#endif
