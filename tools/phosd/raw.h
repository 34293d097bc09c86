/*
 * raw - finds the bytes of values in JSON that has been checked already. The
 * JSON reader gives values, and a value has lost how it was written: 64-bit
 * numbers beyond its own range, 1.0 beside 1. Metadata is given back as it
 * came, so its bytes are needed too.
 *
 * Never looks past the end of `text`, whatever it holds.
 */
#ifndef PHOSD_RAW_H
#define PHOSD_RAW_H

#include "phos/base.h"

/* The last member of that name, one that JSON writes without escapes; data is
 * NULL when there is none. */
phos_str phosd_raw_member(phos_str object, phos_str name);

/* Walks an array's elements; *cursor starts at 0. false at the end. */
bool phosd_raw_next(phos_str array, size_t *cursor, phos_str *ret_value);

#endif
