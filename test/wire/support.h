/*
 * What the tests of this room share: numbers by seed, memory that fails,
 * bytes with a fence behind them, JSON as jansson reads it.
 */
#ifndef PHOS_TEST_WIRE_SUPPORT_H
#define PHOS_TEST_WIRE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"

/* SplitMix64, with the constants of its authors. */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* An allocator that fails once `left` allocations have been made. */
struct budget {
    int left;
};

static inline void *budget_allocate(void *user_data, size_t bytes)
{
    struct budget *budget = user_data;

    return budget->left-- > 0 ? malloc(bytes) : NULL;
}

static inline void *budget_reallocate(void *user_data, void *memory,
                                      size_t bytes)
{
    struct budget *budget = user_data;

    return budget->left-- > 0 ? realloc(memory, bytes) : NULL;
}

static inline void budget_release(void *user_data, void *memory)
{
    (void)user_data;
    free(memory);
}

static inline phos_allocator budget_allocator(struct budget *budget)
{
    return (phos_allocator){ budget_allocate, budget_reallocate, budget_release,
                             budget };
}

static inline void buffer_init_libc(struct phos__buffer *buffer)
{
    phos_allocator allocator = { NULL, NULL, NULL, NULL };
    bool is_valid;

    allocator = phos__allocator_resolve(&allocator, &is_valid);
    phos__buffer_init(buffer, &allocator);
}

static inline phos_str buffer_text(const struct phos__buffer *buffer)
{
    return phos_str_make((const char *)buffer->data, buffer->bytes);
}

/* A copy that ends where its memory ends, so that the address sanitizer sees
 * whoever reads on; freed with free(). */
static inline phos_str fenced(phos_str text)
{
    char *copy = malloc(text.length ? text.length : 1);

    assert_non_null(copy);
    if (text.length)
        memcpy(copy, text.data, text.length);
    return phos_str_make(copy, text.length);
}

static inline void assert_text(phos_str got, phos_str want)
{
    if (got.length == want.length &&
        (got.length == 0 || memcmp(got.data, want.data, got.length) == 0))
        return;
    fail_msg("got  %.*s\nwant %.*s", (int)got.length, got.data,
             (int)want.length, want.data);
}

#endif
