/*
 * inflate - bodies that come compressed.
 */
#ifndef PHOSD_INFLATE_H
#define PHOSD_INFLATE_H

#include "base/buffer.h"

enum phosd_inflated {
    PHOSD_INFLATED,
    PHOSD_INFLATE_BROKEN,
    PHOSD_INFLATE_TOO_LARGE,
    PHOSD_INFLATE_NO_MEMORY
};

/* Whether this build can. */
bool phosd_inflate_offered(void);

/* Appends at most bytes_max bytes of one gzip stream, the whole of `body`. */
enum phosd_inflated phosd_inflate(phos_str body, size_t bytes_max,
                                  struct phos__buffer *buffer);

#endif
