#define _GNU_SOURCE

#include "io/loop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/alloc.h"

enum {
    LOST_TICK_MS = 20,     /* nothing can wake a lost loop, so it looks */
    DESCRIPTORS_WANTED = 8 /* as many as libuv takes, and some */
};

struct phos__loop {
    phos_allocator allocator;
    phos__turn_fn *on_turn;
    void *user_data;

    uv_loop_t uv;
    uv_poll_t wake;       /* wake_fd became readable */
    uv_timer_t timer;     /* the next turn at the latest */
    uv_prepare_t prepare; /* before the sleep */
    uv_check_t check;     /* after it: the turn */
    uv_idle_t idle;       /* while active, the loop does not sleep */

    int wake_fd;
    uint64_t due_ms; /* what the timer is set to; UINT64_MAX: not active */
    bool is_touched; /* a turn is wanted before the next sleep */
    bool is_running;
    bool is_stopping;
    bool is_lost;
    struct phos__loop_watch *watches;
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static void on_idle(uv_idle_t *handle)
{
    (void)handle;
}

static void on_timer(uv_timer_t *handle)
{
    struct phos__loop *loop = handle->data;

    loop->due_ms = UINT64_MAX;
    loop->is_touched = true;
}

static void on_wake(uv_poll_t *handle, int status, int events)
{
    struct phos__loop *loop = handle->data;
    uint64_t count;
    ssize_t got;

    (void)status;
    (void)events;
    /* Any number of wake-ups before this one is one turn. */
    got = read(loop->wake_fd, &count, sizeof(count));
    (void)got;
}

/* libuv runs due timers before it sleeps; what they gave the turn to do must
 * not wait until the sleep is over. */
static void on_prepare(uv_prepare_t *handle)
{
    struct phos__loop *loop = handle->data;

    if (loop->is_touched)
        uv_idle_start(&loop->idle, on_idle);
}

static void set_due(struct phos__loop *loop, uint64_t due_ms)
{
    uint64_t now;

    if (due_ms == loop->due_ms)
        return;
    loop->due_ms = due_ms;
    if (due_ms == UINT64_MAX) {
        uv_timer_stop(&loop->timer);
        return;
    }
    /* libuv counts from its own idea of now, which is as old as the turn. */
    uv_update_time(&loop->uv);
    now = uv_now(&loop->uv);
    uv_timer_start(&loop->timer, on_timer, due_ms > now ? due_ms - now : 0, 0);
}

static void on_check(uv_check_t *handle)
{
    struct phos__loop *loop = handle->data;

    if (!loop->is_running || loop->is_stopping)
        return;
    if (loop->is_touched) {
        loop->is_touched = false;
        uv_idle_stop(&loop->idle);
    }
    set_due(loop, loop->on_turn(loop->user_data));
}

/*
 * libuv makes a pipe when its first loop is made, and aborts the process when
 * it cannot. So room for that and all the rest is looked for beforehand.
 */
static bool has_room_for_descriptors(const struct phos__loop *loop)
{
    int spare[DESCRIPTORS_WANTED];
    int count = 0, saved;

    while (count < DESCRIPTORS_WANTED &&
           (spare[count] = fcntl(loop->wake_fd, F_DUPFD_CLOEXEC, 0)) >= 0)
        count++;
    saved = errno;
    for (int i = 0; i < count; i++)
        close(spare[i]);
    errno = saved;
    return count == DESCRIPTORS_WANTED;
}

/*
 * uv_loop_init() that leaves nothing behind when it fails: libuv 1.44 forgets
 * its epoll instance if it finds no further descriptors. Only an epoll instance
 * answers ENOENT here, so that no number of anyone else is closed.
 */
static bool init_uv(struct phos__loop *loop)
{
    struct epoll_event event = { .events = EPOLLIN };
    int left;

    loop->uv.backend_fd = -1;
    if (uv_loop_init(&loop->uv) == 0)
        return true;
    left = loop->uv.backend_fd;
    if (left >= 0 &&
        epoll_ctl(left, EPOLL_CTL_MOD, loop->wake_fd, &event) != 0 &&
        errno == ENOENT)
        close(left);
    return false;
}

/* Fails only where memory or descriptors ran out; every handle but `wake` is
 * initialised by then without fail. */
static phos_status start_handles(struct phos__loop *loop)
{
    if (!has_room_for_descriptors(loop) || !init_uv(loop))
        return PHOS_E_SYSTEM;
    if (uv_poll_init(&loop->uv, &loop->wake, loop->wake_fd) != 0) {
        int closed = uv_loop_close(&loop->uv);

        assert(closed == 0);
        (void)closed;
        return PHOS_E_SYSTEM;
    }
    uv_timer_init(&loop->uv, &loop->timer);
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    loop->wake.data = loop;
    loop->timer.data = loop;
    loop->prepare.data = loop;
    loop->check.data = loop;
    uv_poll_start(&loop->wake, UV_READABLE, on_wake);
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_start(&loop->check, on_check);
    /* libuv registers with epoll at its first sleep; descriptors_are_ours()
     * wants to find that done. */
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    return PHOS_OK;
}

phos_status phos__loop_create(const phos_allocator *allocator,
                              phos__turn_fn *on_turn, void *user_data,
                              struct phos__loop **ret_loop)
{
    struct phos__loop *loop = phos__alloc_zeroed(allocator, 1, sizeof(*loop));
    phos_status status;

    if (!loop)
        return PHOS_E_NO_MEMORY;
    loop->allocator = *allocator;
    loop->on_turn = on_turn;
    loop->user_data = user_data;
    loop->due_ms = UINT64_MAX;
    loop->is_touched = true; /* the first turn comes at once */
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    status = loop->wake_fd < 0 ? PHOS_E_SYSTEM : start_handles(loop);
    if (status) {
        if (loop->wake_fd >= 0)
            close(loop->wake_fd);
        phos__free(allocator, loop);
        return status;
    }
    *ret_loop = loop;
    return PHOS_OK;
}

int phos__loop_wake_fd(const struct phos__loop *loop)
{
    return loop->wake_fd;
}

void phos__loop_wake(struct phos__loop *loop)
{
    int saved = errno;
    const uint64_t one = 1;
    ssize_t put = write(loop->wake_fd, &one, sizeof(one));

    /* A full counter is a wake-up as well. */
    (void)put;
    errno = saved;
}

/*
 * One system call tells that both descriptors are still ours: repeating what
 * libuv asked of its epoll instance succeeds only if that is what the number
 * names, and if our eventfd is registered in it.
 */
static bool descriptors_are_ours(const struct phos__loop *loop)
{
    struct epoll_event event = { .events = EPOLLIN };

    event.data.fd = loop->wake_fd;
    return epoll_ctl(uv_backend_fd(&loop->uv), EPOLL_CTL_MOD, loop->wake_fd,
                     &event) == 0;
}

static void lose(struct phos__loop *loop)
{
    loop->is_lost = true;
    while (loop->watches) {
        struct phos__loop_watch *watch = loop->watches;

        loop->watches = watch->next;
        watch->on_lost(watch);
    }
}

static void nap(uint64_t ms)
{
    struct timespec wait = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

    nanosleep(&wait, NULL);
}

static void run_lost(struct phos__loop *loop)
{
    while (!loop->is_stopping) {
        uint64_t due_ms = loop->on_turn(loop->user_data);
        uint64_t now = now_ms();

        if (!loop->is_stopping && due_ms > now)
            nap(due_ms - now < LOST_TICK_MS ? due_ms - now : LOST_TICK_MS);
    }
}

void phos__loop_run(struct phos__loop *loop)
{
    loop->is_running = true;
    while (!loop->is_stopping && !loop->is_lost) {
        if (descriptors_are_ours(loop))
            uv_run(&loop->uv, UV_RUN_ONCE);
        else
            lose(loop);
    }
    if (loop->is_lost)
        run_lost(loop);
    else
        /* What was closed in the last turn. */
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    loop->is_running = false;
    loop->is_stopping = false;
}

void phos__loop_stop(struct phos__loop *loop)
{
    loop->is_stopping = true;
}

uv_loop_t *phos__loop_uv(struct phos__loop *loop)
{
    return &loop->uv;
}

void phos__loop_destroy(struct phos__loop *loop)
{
    phos_allocator allocator;

    if (!loop)
        return;
    allocator = loop->allocator;
    if (!loop->is_lost) {
        int closed;

        uv_close((uv_handle_t *)&loop->wake, NULL);
        uv_close((uv_handle_t *)&loop->timer, NULL);
        uv_close((uv_handle_t *)&loop->prepare, NULL);
        uv_close((uv_handle_t *)&loop->check, NULL);
        uv_close((uv_handle_t *)&loop->idle, NULL);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
        closed = uv_loop_close(&loop->uv);
        assert(closed == 0);
        (void)closed;
        close(loop->wake_fd);
    }
    phos__free(&allocator, loop);
}

void phos__loop_touch(struct phos__loop *loop)
{
    loop->is_touched = true;
}

bool phos__loop_is_lost(const struct phos__loop *loop)
{
    return loop->is_lost;
}

void phos__loop_watch_add(struct phos__loop *loop,
                          struct phos__loop_watch *watch)
{
    watch->next = loop->watches;
    loop->watches = watch;
}

void phos__loop_watch_remove(struct phos__loop *loop,
                             struct phos__loop_watch *watch)
{
    struct phos__loop_watch **link = &loop->watches;

    while (*link && *link != watch)
        link = &(*link)->next;
    if (*link)
        *link = watch->next;
}
