/*
 * alloc - the one way to get memory: the allocator that the application gave,
 * or malloc. Copied by value into whatever allocates.
 */
#ifndef PHOS_BASE_ALLOC_H
#define PHOS_BASE_ALLOC_H

#include "phos/base.h"

/* Returns `given` when it has all three functions, malloc when it has none;
 * sets *ret_valid to false when it has only some. */
phos_allocator phos__allocator_resolve(const phos_allocator *given,
                                       bool *ret_valid);

/* NULL when out of memory. count * bytes is checked for overflow. */
void *phos__alloc(const phos_allocator *allocator, size_t bytes);
void *phos__alloc_zeroed(const phos_allocator *allocator, size_t count,
                         size_t bytes);
void *phos__realloc(const phos_allocator *allocator, void *memory,
                    size_t bytes);
void phos__free(const phos_allocator *allocator, void *memory); /* takes NULL */

/* A copy with a terminating NUL; NULL when out of memory. */
char *phos__strdup(const phos_allocator *allocator, phos_str text);

#endif
