#define _GNU_SOURCE
#include "floor.h"

#include <sys/mman.h>

#include "measure.h"

/* A record that begins at the last byte of the ring may run on for this far. */
enum { OVERHANG_BYTES = 65536 };

void floor_make(struct floor_ring *ring, size_t bytes)
{
    void *data = mmap(NULL, bytes + OVERHANG_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    if (data == MAP_FAILED)
        bench_fail("out of memory");
    atomic_init(&ring->tail, 0);
    ring->data = data;
    ring->mask = bytes - 1;
}

void floor_free(struct floor_ring *ring)
{
    munmap(ring->data, ring->mask + 1 + OVERHANG_BYTES);
}
