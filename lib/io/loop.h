/*
 * loop - the worker's event loop: libuv with a wake-up descriptor and one
 * timer. Every turn of the loop ends with a call of on_turn, which returns
 * when it wants the next one at the latest.
 *
 *      ┌─► timers ─► sleep (sockets, wake-up) ─► on_turn ─► closed handles ─┐
 *      └────────────────────────────────────────────────────────────────────┘
 *
 * The wake-up is an eventfd behind uv_poll and not uv_async_send(), which
 * orders nothing and aborts the process when its descriptor was closed by the
 * host. The libuv thread pool is never used: it would crash a forked child.
 *
 * A host that closes every descriptor of its process (as a daemon does) takes
 * the loop's too, and libuv would abort over it. So the loop looks before each
 * sleep whether its descriptors are still the ones it opened. If not, it is
 * lost: it never touches them or libuv again, tells whoever watches, and goes
 * on turning by a slow tick, so that waiting and closing still come to an end.
 */
#ifndef PHOS_IO_LOOP_H
#define PHOS_IO_LOOP_H

#include "phos/base.h"

typedef struct uv_loop_s uv_loop_t;

struct phos__loop;

/* Returns the monotonic millisecond of the next turn; UINT64_MAX: none. */
typedef uint64_t phos__turn_fn(void *user_data);

/* Returns PHOS_OK, PHOS_E_NO_MEMORY, PHOS_E_SYSTEM. */
phos_status phos__loop_create(const phos_allocator *allocator,
                              phos__turn_fn *on_turn, void *user_data,
                              struct phos__loop **ret_loop);
/* The eventfd that ends the loop's sleep when it is written to. */
int phos__loop_wake_fd(const struct phos__loop *loop);
/* Wakes the loop. Any thread, signal handlers; keeps errno. */
void phos__loop_wake(struct phos__loop *loop);
/* Runs on the calling thread until phos__loop_stop() and until every handle
 * that was closed has had its close callback. */
void phos__loop_run(struct phos__loop *loop);
void phos__loop_stop(struct phos__loop *loop); /* on the loop's thread */
uv_loop_t *phos__loop_uv(struct phos__loop *loop);
/* After the loop's thread has ended, or before it began. Other handles on the
 * loop have been closed by then. NULL is ignored. */
void phos__loop_destroy(struct phos__loop *loop);

/* ---- for those who have handles on the loop; on its thread ---- */

/* Makes sure that a turn comes before the loop sleeps again: whoever gives the
 * turn something to do outside of it says so here. */
void phos__loop_touch(struct phos__loop *loop);

/* Whether its descriptors were taken away. libuv is not to be called then. */
bool phos__loop_is_lost(const struct phos__loop *loop);

/* Told once, when the loop is lost. The caller's memory, linked in. */
struct phos__loop_watch {
    void (*on_lost)(struct phos__loop_watch *watch);
    struct phos__loop_watch *next;
};
void phos__loop_watch_add(struct phos__loop *loop,
                          struct phos__loop_watch *watch);
void phos__loop_watch_remove(struct phos__loop *loop,
                             struct phos__loop_watch *watch);

#endif
