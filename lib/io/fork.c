#define _GNU_SOURCE

#include "io/fork.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic uint32_t *page;
/* The generation that a child inherits with all other memory. */
static _Atomic uint32_t inherited;

static void make_page(void)
{
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return;
    if (madvise(memory, bytes, MADV_WIPEONFORK) != 0) {
        munmap(memory, bytes);
        return;
    }
    page = memory;
}

/*
 * Numbers rise from parent to child, so that none of an ancestor's handles
 * looks like one's own. A process id would not do: it may come again, and the
 * first child in a pid namespace has the id 1.
 */
static void begin_generation(void)
{
    uint32_t found = atomic_load(page);

    if (found == 0)
        atomic_compare_exchange_strong(page, &found, inherited + 1);
    /* By everyone, before anything is opened: a child that is forked now has
     * the next number even if the thread above has not got here. */
    atomic_store(&inherited, *page);
}

const volatile uint32_t *phos__fork_generation(void)
{
    pthread_once(&once, make_page);
    if (page)
        begin_generation();
    return (const volatile uint32_t *)page;
}
