#include "harness/failing_alloc.h"

#include <stdlib.h>

/* In front of each block: its size, at the strictest alignment. */
union header {
    size_t bytes;
    max_align_t alignment;
};

static bool fails_now(struct failing_alloc *state)
{
    uint64_t call = atomic_fetch_add(&state->calls, 1) + 1;

    return state->fail_at != 0 && (call == state->fail_at ||
                                   (state->is_sticky && call > state->fail_at));
}

static void *allocate(void *user_data, size_t bytes)
{
    struct failing_alloc *state = user_data;
    union header *header;

    if (fails_now(state) || !(header = malloc(sizeof(*header) + bytes)))
        return NULL;
    header->bytes = bytes;
    atomic_fetch_add(&state->blocks, 1);
    atomic_fetch_add(&state->bytes, (int_fast64_t)bytes);
    return header + 1;
}

static void release(void *user_data, void *memory)
{
    struct failing_alloc *state = user_data;
    union header *header;

    if (!memory)
        return;
    header = (union header *)memory - 1;
    atomic_fetch_sub(&state->bytes, (int_fast64_t)header->bytes);
    free(header);
    /* Last: who has waited for it to be 0 may take the state away. */
    atomic_fetch_sub(&state->blocks, 1);
}

static void *reallocate(void *user_data, void *memory, size_t bytes)
{
    struct failing_alloc *state = user_data;
    union header *header;
    size_t before;

    if (!memory)
        return allocate(user_data, bytes);
    header = (union header *)memory - 1;
    before = header->bytes;
    if (fails_now(state) ||
        !(header = realloc(header, sizeof(*header) + bytes)))
        return NULL;
    header->bytes = bytes;
    atomic_fetch_add(&state->bytes, (int_fast64_t)bytes - (int_fast64_t)before);
    return header + 1;
}

phos_allocator failing_alloc_make(struct failing_alloc *state)
{
    const phos_allocator allocator = { allocate, reallocate, release, state };

    return allocator;
}

void failing_alloc_reset(struct failing_alloc *state, uint64_t fail_at,
                         bool is_sticky)
{
    state->fail_at = fail_at;
    state->is_sticky = is_sticky;
    atomic_store(&state->calls, 0);
    atomic_store(&state->blocks, 0);
    atomic_store(&state->bytes, 0);
}
