#include "client/exit_hook.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/saturate.h"
#include "io/fork.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct phos__exit_entry *entries;
static bool is_registered; /* a child of a fork inherits that */

/* Whose the lock and the entries are: a generation of the fork page, shifted,
 * and bit 0 while they are being made ready for it. */
static _Atomic uint64_t owner;

static uint64_t this_process(void)
{
    return (uint64_t)*phos__fork_generation() << 1;
}

/*
 * A child inherits its parent's entries, and maybe the lock in the hands of a
 * thread that is not there: with the first client of its own it starts afresh.
 * Two threads may be about to do so; a third may fork meanwhile, so that a
 * child of that child must not wait for either.
 */
static void take_over(uint64_t process)
{
    uint64_t before = atomic_load(&owner);

    while (before != process) {
        if (before == (process | 1))
            sched_yield();
        else if (atomic_compare_exchange_strong(&owner, &before, process | 1)) {
            pthread_mutex_init(&lock, NULL);
            entries = NULL;
            atomic_store(&owner, process);
        }
        before = atomic_load(&owner);
    }
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* All drain together, and the deadline of each counts from the same moment, so
 * that several clients take no longer than the most patient one. */
static void close_all(void)
{
    uint64_t begun_ms = now_ms();

    for (struct phos__exit_entry *entry = entries; entry; entry = entry->next)
        phos_client_begin_shutdown(entry->client);
    for (struct phos__exit_entry *entry = entries; entry; entry = entry->next) {
        uint64_t left_ms =
            phos__sub_sat_u64(begun_ms + entry->flush_ms, now_ms());

        phos_client_close(entry->client, (uint32_t)left_ms, NULL);
    }
    entries = NULL;
}

static void at_exit(void)
{
    /* In a child without clients of its own they are its parent's. */
    if (atomic_load(&owner) != this_process())
        return;
    pthread_mutex_lock(&lock);
    close_all();
    pthread_mutex_unlock(&lock);
}

phos_status phos__exit_hook_add(struct phos__exit_entry *entry)
{
    phos_status status = PHOS_OK;

    take_over(this_process());
    pthread_mutex_lock(&lock);
    if (!is_registered)
        is_registered = atexit(at_exit) == 0;
    if (is_registered) {
        entry->next = entries;
        entries = entry;
    } else {
        status = PHOS_E_SYSTEM;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

void phos__exit_hook_remove(struct phos__exit_entry *entry)
{
    struct phos__exit_entry **link = &entries;

    if (atomic_load(&owner) != this_process())
        return;
    pthread_mutex_lock(&lock);
    while (*link && *link != entry)
        link = &(*link)->next;
    if (*link)
        *link = entry->next;
    pthread_mutex_unlock(&lock);
}
