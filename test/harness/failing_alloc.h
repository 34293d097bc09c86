/*
 * failing_alloc - an allocator that fails on request and counts what lives.
 * A scenario is run once to count its calls, then once for each of them with
 * that call failing, and once more with all later ones failing as well.
 */
#ifndef TEST_HARNESS_FAILING_ALLOC_H
#define TEST_HARNESS_FAILING_ALLOC_H

#include <stdatomic.h>

#include "phos/base.h"

struct failing_alloc {
    uint64_t fail_at; /* the call that fails, from 1; 0: none */
    bool is_sticky;   /* all later ones fail as well */

    atomic_uint_fast64_t calls; /* of allocate and reallocate */
    atomic_int_fast64_t blocks; /* alive */
    atomic_int_fast64_t bytes;  /* in them */
};

/* The allocator that counts in `state`, which outlives it. */
phos_allocator failing_alloc_make(struct failing_alloc *state);
/* Nothing lives, nothing was called, call `fail_at` will fail. */
void failing_alloc_reset(struct failing_alloc *state, uint64_t fail_at,
                         bool is_sticky);

#endif
