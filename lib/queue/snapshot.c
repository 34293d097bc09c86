#include "queue/snapshot.h"

#include <assert.h>
#include <sched.h>
#include <string.h>

void phos__snapshot_init(struct phos__snapshot *snapshot,
                         _Atomic uint64_t *words, size_t word_count)
{
    atomic_init(&snapshot->sequence, 0);
    for (size_t i = 0; i < word_count; i++)
        atomic_init(&words[i], 0);
    snapshot->words = words;
    snapshot->word_count = word_count;
}

void phos__snapshot_write(struct phos__snapshot *snapshot, const void *from,
                          size_t bytes)
{
    uint64_t sequence =
        atomic_load_explicit(&snapshot->sequence, memory_order_relaxed);
    const uint8_t *at = from;

    assert(bytes % 8 == 0);
    assert(bytes / 8 <= snapshot->word_count);
    atomic_store_explicit(&snapshot->sequence, sequence + 1,
                          memory_order_relaxed);
    for (size_t i = 0; i < bytes / 8; i++) {
        uint64_t word;

        memcpy(&word, at + 8 * i, 8);
        /* Pairs with the acquire in read_once(): who sees this word sees the
         * odd sequence too. */
        atomic_store_explicit(&snapshot->words[i], word, memory_order_release);
    }
    /* Pairs with the first acquire in read_once(): who sees this number sees
     * all words. */
    atomic_store_explicit(&snapshot->sequence, sequence + 2,
                          memory_order_release);
}

/* Returns false when a write came in between. */
static bool read_once(struct phos__snapshot *snapshot, uint8_t *to,
                      size_t bytes)
{
    uint64_t sequence =
        atomic_load_explicit(&snapshot->sequence, memory_order_acquire);

    if (sequence & 1)
        return false;
    for (size_t i = 0; i < bytes / 8; i++) {
        uint64_t word =
            atomic_load_explicit(&snapshot->words[i], memory_order_acquire);

        memcpy(to + 8 * i, &word, 8);
    }
    return atomic_load_explicit(&snapshot->sequence, memory_order_relaxed) ==
           sequence;
}

void phos__snapshot_read(struct phos__snapshot *snapshot, void *to,
                         size_t bytes)
{
    assert(bytes % 8 == 0);
    assert(bytes / 8 <= snapshot->word_count);
    for (unsigned tries = 1; !read_once(snapshot, to, bytes); tries++) {
        /* The writer may have lost its processor to this very thread. */
        if (tries % 64 == 0)
            sched_yield();
    }
}
