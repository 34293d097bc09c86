/*
 * worker - the thread behind clients and services: a loop, and the members that
 * have a turn in it. A member is owned by its client until it leaves; then the
 * worker destroys it on its own thread.
 */
#ifndef PHOS_CLIENT_WORKER_H
#define PHOS_CLIENT_WORKER_H

#include "io/loop.h"
#include "phos/worker.h"

struct phos__member;

/* What the worker asks of a member, on its own thread. */
struct phos__member_calls {
    /* Returns the monotonic millisecond of the next turn at the latest; a time
     * that has passed: at once; UINT64_MAX: when something wakes it. */
    uint64_t (*turn)(struct phos__member *member);
    /* After a turn, of a member that is leaving: ends what it has under way.
     * true: nothing is, and it can be destroyed. */
    bool (*wind_up)(struct phos__member *member);
    /* Frees the member with all around it. */
    void (*destroy)(struct phos__member *member);
};

struct phos__member {
    const struct phos__member_calls *calls;

    /* the worker's */
    struct phos__member *next;
    bool is_leaving;
    bool *ret_has_left; /* of who waits; NULL: nobody does any more */
    bool holds_worker;  /* nobody waits: the hold is the worker's to drop */
};

/* Whether the worker was inherited: in a child of a fork nobody works. */
bool phos__worker_is_foreign(const phos_worker *worker);
/* Whether the caller is on the worker's thread. */
bool phos__worker_is_here(const phos_worker *worker);
int phos__worker_wake_fd(const phos_worker *worker);
void phos__worker_wake(phos_worker *worker);
phos_allocator phos__worker_allocator(const phos_worker *worker);

phos_worker *phos__worker_ref(phos_worker *worker);
void phos__worker_unref(phos_worker *worker);

/* Runs fn(loop, data) on the worker's thread and waits for it. */
void phos__worker_call(phos_worker *worker,
                       void (*fn)(struct phos__loop *loop, void *data),
                       void *data);

/* From now on the member has its turns. It holds the worker. */
void phos__worker_join(phos_worker *worker, struct phos__member *member);
/* The member has its requests ended, is destroyed and lets go of the worker.
 * Returns when that is done, at the latest after a tenth of a second: a worker
 * that is held up by a callback does it when it can. */
void phos__worker_leave(phos_worker *worker, struct phos__member *member);

#endif
