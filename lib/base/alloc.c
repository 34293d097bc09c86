#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static void *libc_allocate(void *user_data, size_t bytes)
{
    (void)user_data;
    return malloc(bytes);
}

static void *libc_reallocate(void *user_data, void *memory, size_t bytes)
{
    (void)user_data;
    return realloc(memory, bytes);
}

static void libc_release(void *user_data, void *memory)
{
    (void)user_data;
    free(memory);
}

phos_allocator phos__allocator_resolve(const phos_allocator *given,
                                       bool *ret_valid)
{
    const phos_allocator libc = { libc_allocate, libc_reallocate, libc_release,
                                  NULL };
    int functions = (given->allocate != NULL) + (given->reallocate != NULL) +
                    (given->release != NULL);

    *ret_valid = functions == 0 || functions == 3;
    return functions == 3 ? *given : libc;
}

void *phos__alloc(const phos_allocator *allocator, size_t bytes)
{
    return allocator->allocate(allocator->user_data, bytes);
}

void *phos__alloc_zeroed(const phos_allocator *allocator, size_t count,
                         size_t bytes)
{
    size_t total;
    void *memory;

    if (__builtin_mul_overflow(count, bytes, &total))
        return NULL;
    memory = phos__alloc(allocator, total);
    if (memory)
        memset(memory, 0, total);
    return memory;
}

void *phos__realloc(const phos_allocator *allocator, void *memory, size_t bytes)
{
    return allocator->reallocate(allocator->user_data, memory, bytes);
}

void phos__free(const phos_allocator *allocator, void *memory)
{
    if (memory)
        allocator->release(allocator->user_data, memory);
}

char *phos__strdup(const phos_allocator *allocator, phos_str text)
{
    char *copy = phos__alloc(allocator, text.length + 1);

    if (!copy)
        return NULL;
    if (text.length)
        memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    return copy;
}
