#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "harness/descriptors.h"
#include "harness/failing_alloc.h"
#include "io/loop.h"

struct world {
    struct failing_alloc memory;
    phos_allocator allocator;
    struct phos__loop *loop;
    unsigned turns, limit;
    uint64_t wait_ms; /* from each turn to the next; UINT64_MAX: none */
    unsigned lost;
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t on_turn(void *user_data)
{
    struct world *world = user_data;

    if (++world->turns == world->limit)
        phos__loop_stop(world->loop);
    return world->wait_ms == UINT64_MAX ? UINT64_MAX
                                        : now_ms() + world->wait_ms;
}

static void world_init(struct world *world, phos__turn_fn *turn)
{
    memset(world, 0, sizeof(*world));
    world->allocator = failing_alloc_make(&world->memory);
    world->wait_ms = UINT64_MAX;
    world->limit = 1;
    assert_int_equal(
        phos__loop_create(&world->allocator, turn, world, &world->loop),
        PHOS_OK);
}

static void world_deinit(struct world *world)
{
    phos__loop_destroy(world->loop);
    assert_int_equal(world->memory.blocks, 0);
}

static void the_first_turn_comes_at_once_and_then_the_loop_sleeps(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, on_turn);
    phos__loop_run(world.loop);
    assert_int_equal(world.turns, 1);
    /* No timer, nothing pending: the next sleep would have no end. */
    assert_int_equal(uv_backend_timeout(phos__loop_uv(world.loop)), -1);
    world_deinit(&world);
}

static void the_timer_brings_a_turn_at_its_time_and_goes_with_it(void **state)
{
    struct world world;
    uint64_t start_ms = now_ms();

    (void)state;
    world_init(&world, on_turn);
    world.wait_ms = 20;
    world.limit = 3;
    phos__loop_run(world.loop);
    assert_true(now_ms() - start_ms >= 40);
    world_deinit(&world);
}

static uint64_t count_down(void *user_data)
{
    struct world *world = user_data;

    if (++world->turns == world->limit)
        phos__loop_stop(world->loop);
    return world->turns == 1 ? now_ms() + 10 : UINT64_MAX;
}

static void a_timer_is_not_left_behind(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, count_down);
    world.limit = 2;
    phos__loop_run(world.loop);
    assert_int_equal(uv_backend_timeout(phos__loop_uv(world.loop)), -1);
    world_deinit(&world);
}

/* ---- a turn that is always due ---- */

static void on_byte(uv_poll_t *poll, int status, int events)
{
    bool *seen = poll->data;

    assert_int_equal(status, 0);
    assert_int_equal(events, UV_READABLE);
    *seen = true;
    uv_close((uv_handle_t *)poll, NULL);
}

static uint64_t always_due(void *user_data)
{
    struct world *world = user_data;

    if (++world->turns == world->limit)
        phos__loop_stop(world->loop);
    return world->turns % 2 ? 0 : now_ms();
}

static void
a_time_in_the_past_is_the_next_turn_and_starves_nothing(void **state)
{
    struct world world;
    uv_poll_t poll;
    bool seen = false;
    int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

    (void)state;
    world_init(&world, always_due);
    world.limit = 5;
    uv_poll_init(phos__loop_uv(world.loop), &poll, fd);
    poll.data = &seen;
    uv_poll_start(&poll, UV_READABLE, on_byte);
    phos__loop_run(world.loop);
    assert_int_equal(world.turns, 5);
    assert_true(seen);
    world_deinit(&world);
    close(fd);
}

/* ---- wake-ups ---- */

static void *wake_from_a_thread(void *argument)
{
    struct world *world = argument;

    for (unsigned i = 0; i < 1000; i++)
        phos__loop_wake(world->loop);
    return NULL;
}

static pthread_t waker;

/* The thread starts in the first turn: only its wake-ups bring the second. */
static uint64_t start_waker(void *user_data)
{
    struct world *world = user_data;

    if (++world->turns == 1)
        assert_int_equal(
            pthread_create(&waker, NULL, wake_from_a_thread, world), 0);
    else
        phos__loop_stop(world->loop);
    return UINT64_MAX;
}

static void a_wake_up_from_another_thread_brings_a_turn(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, start_waker);
    phos__loop_run(world.loop);
    pthread_join(waker, NULL);
    assert_int_equal(world.turns, 2);
    world_deinit(&world);
}

static void a_wake_up_keeps_errno_and_never_blocks(void **state)
{
    const uint64_t almost = UINT64_MAX - 1;
    struct world world;

    (void)state;
    world_init(&world, on_turn);
    assert_int_equal(
        write(phos__loop_wake_fd(world.loop), &almost, sizeof(almost)),
        sizeof(almost));
    errno = 1234;
    phos__loop_wake(world.loop);
    assert_int_equal(errno, 1234);
    phos__loop_run(world.loop);
    assert_int_equal(uv_backend_timeout(phos__loop_uv(world.loop)), -1);
    world_deinit(&world);
}

static void many_wake_ups_are_one_turn(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, on_turn);
    for (int i = 0; i < 100; i++)
        phos__loop_wake(world.loop);
    phos__loop_run(world.loop); /* the first turn takes them all */
    assert_int_equal(uv_backend_timeout(phos__loop_uv(world.loop)), -1);
    assert_int_equal(world.turns, 1);
    world_deinit(&world);
}

/* ---- what timers leave to do ---- */

static void touch_later(uv_timer_t *timer)
{
    phos__loop_touch(timer->data);
    uv_close((uv_handle_t *)timer, NULL);
}

static uv_timer_t other_timer;

static uint64_t start_other_timer(void *user_data)
{
    struct world *world = user_data;

    if (++world->turns == 1) {
        uv_timer_init(phos__loop_uv(world->loop), &other_timer);
        other_timer.data = world->loop;
        uv_timer_start(&other_timer, touch_later, 1, 0);
    } else if (uv_is_closing((uv_handle_t *)&other_timer)) {
        phos__loop_stop(world->loop);
    }
    return UINT64_MAX;
}

static void work_of_a_timer_gets_its_turn_before_the_next_sleep(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, start_other_timer);
    phos__loop_run(world.loop); /* without the turn: for ever */
    assert_true(world.turns >= 2);
    world_deinit(&world);
}

/* ---- descriptors ---- */

/* L6 */
static void all_descriptors_close_on_exec_and_at_the_end(void **state)
{
    static struct descriptors before, during, made, after;
    struct world world;

    (void)state;
    /* libuv keeps a pair for the process once it was used. */
    world_init(&world, on_turn);
    world_deinit(&world);
    descriptors_read(&before);
    world_init(&world, on_turn);
    descriptors_read(&during);
    phos__loop_run(world.loop);
    world_deinit(&world);
    descriptors_read(&after);
    descriptors_new(&before, &during, &made);
    assert_true(made.count >= 2);
    assert_null(descriptors_inheritable(&made));
    descriptors_new(&before, &after, &made);
    assert_int_equal(made.count, 0);
}

struct lost_world {
    struct world world;
    struct phos__loop_watch watch;
    struct descriptors *made;
    int decoy;
};

static void on_lost(struct phos__loop_watch *watch)
{
    struct lost_world *lost =
        (struct lost_world *)(void *)((char *)watch -
                                      offsetof(struct lost_world, watch));

    lost->world.lost++;
    assert_true(phos__loop_is_lost(lost->world.loop));
}

/* In the third turn the host closes everything and opens other things, which
 * get the same numbers. */
static uint64_t lose_everything(void *user_data)
{
    struct lost_world *lost = user_data;
    struct world *world = &lost->world;

    if (++world->turns == 3)
        for (size_t i = 0; i < lost->made->count; i++)
            dup2(lost->decoy, lost->made->list[i].fd);
    if (world->turns == 6)
        phos__loop_stop(world->loop);
    return now_ms() + 1;
}

/* L9 */
static void
a_host_that_closes_our_descriptors_is_survived_and_not_harmed(void **state)
{
    static struct descriptors before, during, made;
    struct lost_world lost;
    struct world *world = &lost.world;
    char nothing[8];

    (void)state;
    memset(&lost, 0, sizeof(lost));
    lost.decoy = memfd_create("decoy", MFD_CLOEXEC);
    descriptors_read(&before);
    world->allocator = failing_alloc_make(&world->memory);
    assert_int_equal(phos__loop_create(&world->allocator, lose_everything,
                                       &lost, &world->loop),
                     PHOS_OK);
    lost.watch.on_lost = on_lost;
    phos__loop_watch_add(world->loop, &lost.watch);
    descriptors_read(&during);
    descriptors_new(&before, &during, &made);
    lost.made = &made;

    phos__loop_run(world->loop);
    assert_int_equal(world->turns, 6);
    assert_int_equal(world->lost, 1);
    phos__loop_destroy(world->loop);
    assert_int_equal(world->memory.blocks, 0);

    /* The host's file is open under each number, and nobody wrote to it. */
    for (size_t i = 0; i < made.count; i++) {
        assert_int_equal(pread(made.list[i].fd, nothing, 8, 0), 0);
        close(made.list[i].fd);
    }
    close(lost.decoy);
}

static void without_memory_or_descriptors_there_is_no_loop(void **state)
{
    struct failing_alloc memory;
    phos_allocator allocator;
    struct phos__loop *loop = NULL;
    phos_status status = PHOS_E_SYSTEM;
    struct rlimit limit, before;

    (void)state;
    memset(&memory, 0, sizeof(memory));
    allocator = failing_alloc_make(&memory);
    memory.fail_at = 1;
    assert_int_equal(phos__loop_create(&allocator, on_turn, NULL, &loop),
                     PHOS_E_NO_MEMORY);
    memory.fail_at = 0;
    /* One descriptor more each time, until it is enough. */
    getrlimit(RLIMIT_NOFILE, &before);
    limit = before;
    for (limit.rlim_cur = 3; status; limit.rlim_cur++) {
        assert_true(limit.rlim_cur < 64);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_null(loop);
        status = phos__loop_create(&allocator, on_turn, NULL, &loop);
        assert_true(status == PHOS_OK || status == PHOS_E_SYSTEM);
    }
    setrlimit(RLIMIT_NOFILE, &before);
    phos__loop_destroy(loop);
    assert_int_equal(memory.blocks, 0);
}

/* What libuv holds of a lost loop is left where it lies. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libuv\n";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_turn_comes_at_once_and_then_the_loop_sleeps),
        cmocka_unit_test(the_timer_brings_a_turn_at_its_time_and_goes_with_it),
        cmocka_unit_test(a_timer_is_not_left_behind),
        cmocka_unit_test(
            a_time_in_the_past_is_the_next_turn_and_starves_nothing),
        cmocka_unit_test(a_wake_up_from_another_thread_brings_a_turn),
        cmocka_unit_test(a_wake_up_keeps_errno_and_never_blocks),
        cmocka_unit_test(many_wake_ups_are_one_turn),
        cmocka_unit_test(work_of_a_timer_gets_its_turn_before_the_next_sleep),
        cmocka_unit_test(all_descriptors_close_on_exec_and_at_the_end),
        cmocka_unit_test(without_memory_or_descriptors_there_is_no_loop),
        cmocka_unit_test(
            a_host_that_closes_our_descriptors_is_survived_and_not_harmed),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
