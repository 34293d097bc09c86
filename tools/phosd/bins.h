/*
 * bins - how often each latency occurred, in few bytes. Whole milliseconds
 * below 1024 have bins of their own; above, 512 bins share each doubling, so
 * that a bin's value is within 0.1 % of every latency in it. Negative ones
 * mirror that.
 *
 * Kept as bytes: for each bin that is not empty the distance from the one
 * before and its count, as variable-length integers, in order. At most 46,080
 * bins, so a quarter of a megabyte, whatever comes.
 */
#ifndef PHOSD_BINS_H
#define PHOSD_BINS_H

#include "base/buffer.h"

enum { PHOSD_BINS = 1024 + 43 * 512 }; /* of one sign */

/* |latency_ms| < 2^53. From -PHOSD_BINS to PHOSD_BINS - 1, in the latencies'
 * order. */
int32_t phosd_bin_of(int64_t latency_ms);

/* The middle of a bin. */
int64_t phosd_bin_value(int32_t bin);

struct phosd_bin {
    int32_t bin;
    int64_t count; /* below 0: as many fewer */
};

/* Walks kept bytes; starts zeroed but for `bytes`. false at the end, or where
 * they are damaged. */
struct phosd_bins_cursor {
    phos_str bytes;
    size_t at;
    int64_t bin;
};

bool phosd_bins_next(struct phosd_bins_cursor *cursor,
                     struct phosd_bin *ret_bin);

/* Sorts `changes`, and appends to `ret` the kept bytes after them. */
void phosd_bins_change(phos_str kept, struct phosd_bin *changes, size_t count,
                       struct phos__buffer *ret);

#endif
