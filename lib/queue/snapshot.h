/*
 * snapshot - a block of 64-bit words that one thread writes and any thread
 * reads whole, without a lock: a sequence lock over relaxed atomic words.
 */
#ifndef PHOS_QUEUE_SNAPSHOT_H
#define PHOS_QUEUE_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct phos__snapshot {
    _Atomic uint64_t sequence; /* odd while a write is under way */
    size_t word_count;
    _Atomic uint64_t *words; /* borrowed */
};

void phos__snapshot_init(struct phos__snapshot *snapshot,
                         _Atomic uint64_t *words, size_t word_count);
/* One writer. `bytes` is at most 8 * word_count and a multiple of 8. */
void phos__snapshot_write(struct phos__snapshot *snapshot, const void *from,
                          size_t bytes);
/* Any thread; repeats while a write is under way. */
void phos__snapshot_read(struct phos__snapshot *snapshot, void *to,
                         size_t bytes);

#endif
