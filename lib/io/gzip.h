/*
 * gzip - compresses request bodies, one at a time, with memory that is kept.
 */
#ifndef PHOS_IO_GZIP_H
#define PHOS_IO_GZIP_H

#include "base/buffer.h"

struct phos__gzip;

/* Whether this build can compress. */
bool phos__gzip_is_built(void);

/* level 1 to 9. PHOS_OK, PHOS_E_NO_MEMORY, PHOS_E_UNSUPPORTED. */
phos_status phos__gzip_create(const phos_allocator *allocator, uint32_t level,
                              struct phos__gzip **ret_gzip);
void phos__gzip_destroy(struct phos__gzip *gzip); /* takes NULL */

/* Replaces what `packed` holds; false: no memory, or no smaller than `body`,
 * so that it travels as it is. */
bool phos__gzip_pack(struct phos__gzip *gzip, phos_str body,
                     struct phos__buffer *packed);

#endif
