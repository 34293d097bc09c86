#define _GNU_SOURCE

#include "client/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/saturate.h"
#include "io/fork.h"

enum { PATIENCE_MS = 100 };

/* Something that is run on the worker's thread. */
struct call {
    void (*fn)(struct phos__loop *loop, void *data);
    void *data;
    bool is_done;
    struct call *next;
};

struct phos_worker {
    phos_allocator allocator;
    char name[16];
    struct phos__loop *loop;
    pthread_t thread;
    const volatile uint32_t *generation_page;
    uint32_t generation;

    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned holders;
    bool has_started, has_ended;
    bool is_stopping;
    bool frees_itself; /* nobody joins it any more */
    struct call *calls;
    struct phos__member *joining;

    /* the thread's own */
    struct phos__member *members;
};

static void destroy(phos_worker *worker)
{
    phos_allocator allocator = worker->allocator;

    if (worker->loop)
        phos__loop_destroy(worker->loop);
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->lock);
    phos__free(&allocator, worker);
}

/* Waits for *condition, under the lock, no longer than PATIENCE_MS. */
static bool wait_patiently(phos_worker *worker, const bool *condition)
{
    struct timespec deadline;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_nsec += PATIENCE_MS * 1000000L;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_nsec -= 1000000000;
        deadline.tv_sec++;
    }
    while (!*condition)
        if (pthread_cond_timedwait(&worker->changed, &worker->lock, &deadline))
            break;
    return *condition;
}

/* ---- the thread ---- */

static void run_calls(phos_worker *worker)
{
    struct call *call;

    pthread_mutex_lock(&worker->lock);
    while ((call = worker->calls) != NULL) {
        worker->calls = call->next;
        pthread_mutex_unlock(&worker->lock);
        call->fn(worker->loop, call->data);
        pthread_mutex_lock(&worker->lock);
        call->is_done = true;
        pthread_cond_broadcast(&worker->changed);
    }
    while (worker->joining) {
        struct phos__member *member = worker->joining;

        worker->joining = member->next;
        member->next = worker->members;
        worker->members = member;
    }
    pthread_mutex_unlock(&worker->lock);
}

/* Returns whether the hold of a member that nobody waits for is to be let go.
 */
static bool say_goodbye(phos_worker *worker, struct phos__member *member)
{
    bool drops_hold;

    pthread_mutex_lock(&worker->lock);
    drops_hold = member->holds_worker;
    if (member->ret_has_left)
        *member->ret_has_left = true;
    member->calls->destroy(member);
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
    return drops_hold;
}

static uint64_t turn_members(phos_worker *worker, unsigned *ret_drops)
{
    struct phos__member **link = &worker->members;
    uint64_t due_ms = UINT64_MAX;

    while (*link) {
        struct phos__member *member = *link;
        bool is_leaving;

        due_ms = phos__min_u64(due_ms, member->calls->turn(member));
        pthread_mutex_lock(&worker->lock);
        is_leaving = member->is_leaving;
        pthread_mutex_unlock(&worker->lock);
        if (is_leaving && member->calls->wind_up(member)) {
            *link = member->next;
            *ret_drops += say_goodbye(worker, member);
        } else {
            link = &member->next;
        }
    }
    return due_ms;
}

static uint64_t on_turn(void *user_data)
{
    phos_worker *worker = user_data;
    unsigned drops = 0;
    uint64_t due_ms;
    bool is_stopping;

    run_calls(worker);
    due_ms = turn_members(worker, &drops);
    pthread_mutex_lock(&worker->lock);
    worker->holders -= drops;
    if (drops > 0 && worker->holders == 0) {
        worker->is_stopping = true;
        worker->frees_itself = true;
        pthread_detach(worker->thread);
    }
    is_stopping = worker->is_stopping;
    pthread_mutex_unlock(&worker->lock);
    if (is_stopping)
        phos__loop_stop(worker->loop);
    return due_ms;
}

static void *thread_main(void *user_data)
{
    phos_worker *worker = user_data;
    bool frees_itself;

    pthread_setname_np(pthread_self(), worker->name);
    pthread_mutex_lock(&worker->lock);
    worker->thread = pthread_self();
    worker->has_started = true;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);

    phos__loop_run(worker->loop);

    pthread_mutex_lock(&worker->lock);
    worker->has_ended = true;
    frees_itself = worker->frees_itself;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
    if (frees_itself)
        destroy(worker);
    return NULL;
}

/* The thread handles no signal of its host. */
static phos_status start_thread(phos_worker *worker)
{
    sigset_t all, before;
    pthread_t thread;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, NULL, thread_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        errno = error; /* where open looks for what the system said */
        return PHOS_E_SYSTEM;
    }
    pthread_mutex_lock(&worker->lock);
    while (!worker->has_started)
        pthread_cond_wait(&worker->changed, &worker->lock);
    pthread_mutex_unlock(&worker->lock);
    return PHOS_OK;
}

/* ---- life ---- */

static phos_worker *create(const phos_worker_options *options,
                           const phos_allocator *allocator)
{
    phos_worker *worker = phos__alloc_zeroed(allocator, 1, sizeof(*worker));
    pthread_condattr_t attributes;

    if (!worker)
        return NULL;
    worker->allocator = *allocator;
    worker->holders = 1;
    memcpy(worker->name, options->thread_name, sizeof(worker->name) - 1);
    pthread_mutex_init(&worker->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&worker->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return worker;
}

phos_status phos_worker_open(const phos_worker_options *given,
                             phos_worker **ret_worker)
{
    phos_worker_options options = phos_worker_options_default();
    phos_allocator allocator;
    phos_worker *worker;
    phos_status status;
    bool is_valid;

    if (!ret_worker || (given && given->struct_size < sizeof(size_t)))
        return PHOS_E_INVALID;
    if (given)
        memcpy(&options, given,
               phos__min_u64(given->struct_size, sizeof(options)));
    allocator = phos__allocator_resolve(&options.allocator, &is_valid);
    if (!is_valid)
        return PHOS_E_INVALID;
    worker = create(&options, &allocator);
    if (!worker)
        return PHOS_E_NO_MEMORY;
    worker->generation_page = phos__fork_generation();
    if (!worker->generation_page) {
        destroy(worker);
        return PHOS_E_SYSTEM;
    }
    worker->generation = *worker->generation_page;
    status =
        phos__loop_create(&worker->allocator, on_turn, worker, &worker->loop);
    if (!status)
        status = start_thread(worker);
    if (status) {
        destroy(worker);
        return status;
    }
    *ret_worker = worker;
    return PHOS_OK;
}

void phos_worker_free(phos_worker *worker)
{
    /* What a child inherits is its parent's: abandoned, never closed. */
    if (!worker || phos__worker_is_foreign(worker))
        return;
    phos__worker_unref(worker);
}

phos_worker *phos__worker_ref(phos_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->holders++;
    pthread_mutex_unlock(&worker->lock);
    return worker;
}

void phos__worker_unref(phos_worker *worker)
{
    bool is_here = phos__worker_is_here(worker);
    bool is_last, has_ended = false;
    pthread_t thread = worker->thread;

    pthread_mutex_lock(&worker->lock);
    is_last = --worker->holders == 0;
    if (is_last) {
        worker->is_stopping = true;
        phos__loop_wake(worker->loop);
        if (!is_here)
            has_ended = wait_patiently(worker, &worker->has_ended);
        worker->frees_itself = !has_ended;
        if (!has_ended)
            pthread_detach(thread);
    }
    pthread_mutex_unlock(&worker->lock);
    if (!has_ended)
        return;
    pthread_join(thread, NULL);
    destroy(worker);
}

/* ---- members ---- */

bool phos__worker_is_foreign(const phos_worker *worker)
{
    return *worker->generation_page != worker->generation;
}

bool phos__worker_is_here(const phos_worker *worker)
{
    return pthread_equal(pthread_self(), worker->thread);
}

int phos__worker_wake_fd(const phos_worker *worker)
{
    return phos__loop_wake_fd(worker->loop);
}

void phos__worker_wake(phos_worker *worker)
{
    phos__loop_wake(worker->loop);
}

phos_allocator phos__worker_allocator(const phos_worker *worker)
{
    return worker->allocator;
}

void phos__worker_call(phos_worker *worker,
                       void (*fn)(struct phos__loop *loop, void *data),
                       void *data)
{
    struct call call = { fn, data, false, NULL };

    if (phos__worker_is_here(worker)) {
        fn(worker->loop, data);
        return;
    }
    pthread_mutex_lock(&worker->lock);
    call.next = worker->calls;
    worker->calls = &call;
    phos__loop_wake(worker->loop);
    while (!call.is_done)
        pthread_cond_wait(&worker->changed, &worker->lock);
    pthread_mutex_unlock(&worker->lock);
}

void phos__worker_join(phos_worker *worker, struct phos__member *member)
{
    pthread_mutex_lock(&worker->lock);
    member->next = worker->joining;
    worker->joining = member;
    pthread_mutex_unlock(&worker->lock);
    phos__loop_wake(worker->loop);
}

void phos__worker_leave(phos_worker *worker, struct phos__member *member)
{
    bool has_left = false;

    pthread_mutex_lock(&worker->lock);
    member->is_leaving = true;
    if (phos__worker_is_here(worker)) {
        member->holds_worker = true;
    } else {
        member->ret_has_left = &has_left;
        phos__loop_wake(worker->loop);
        if (!wait_patiently(worker, &has_left)) {
            member->ret_has_left = NULL;
            member->holds_worker = true;
        }
    }
    phos__loop_wake(worker->loop);
    pthread_mutex_unlock(&worker->lock);
    if (has_left)
        phos__worker_unref(worker);
}
