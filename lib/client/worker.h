/*
 * worker - the thread behind clients: a loop, and the members that have a turn
 * in it. A member is owned by its client until it leaves; then the worker
 * destroys it on its own thread.
 */
#ifndef PHOS_CLIENT_WORKER_H
#define PHOS_CLIENT_WORKER_H

#include "client/pipeline.h"
#include "io/http.h"
#include "phos/worker.h"

struct phos__member {
    struct phos__pipeline *pipeline;
    struct phos__http *http; /* NULL: the application's transport */
    /* Frees the member with all around it, when nothing uses it any more. */
    void (*destroy)(struct phos__member *member);

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
