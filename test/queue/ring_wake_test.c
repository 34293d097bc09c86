#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <time.h>

#include "ring_rig.h"

enum { PRODUCERS_MAX = 2, HANG_SECONDS = 10 };

static struct rig rig;

/* ---- a consumer that sleeps whenever it may ---- */

struct consumer {
    pthread_t thread;
    _Atomic bool stop;
    _Atomic bool asleep; /* or on its way into poll(); false before it reads */
    uint64_t sleeps;
    sem_t delivered[PRODUCERS_MAX]; /* one for each event of that producer */
};

static struct consumer consumer;

static void drain(void)
{
    struct phos__ring_item item;

    while (phos__ring_read(&rig.reader, 0, &item)) {
        uint64_t producer = rig_tag(&item);

        phos__ring_finish(&rig.reader, item.position);
        phos__ring_release(&rig.reader);
        sem_post(&consumer.delivered[producer]);
    }
}

static void *consume(void *argument)
{
    struct pollfd wake = { .fd = rig.ring.wake_fd, .events = POLLIN };

    while (!atomic_load(&consumer.stop)) {
        phos__ring_awake(&rig.reader);
        drain();
        if (!phos__ring_sleep(&rig.reader))
            continue;
        consumer.sleeps++;
        atomic_store(&consumer.asleep, true);
        poll(&wake, 1, -1);
        atomic_store(&consumer.asleep, false);
        rig_woken(&rig.ring);
    }
    return argument;
}

static void start_consumer(void)
{
    consumer = (struct consumer){ 0 };
    for (int i = 0; i < PRODUCERS_MAX; i++)
        assert_int_equal(sem_init(&consumer.delivered[i], 0, 0), 0);
    assert_int_equal(pthread_create(&consumer.thread, NULL, consume, NULL), 0);
}

static void stop_consumer(void)
{
    atomic_store(&consumer.stop, true);
    phos__ring_wake(&rig.ring);
    assert_int_equal(pthread_join(consumer.thread, NULL), 0);
    for (int i = 0; i < PRODUCERS_MAX; i++)
        sem_destroy(&consumer.delivered[i]);
}

/* ---- producers that log one event and await its delivery ---- */

static bool await_delivery(uint64_t producer)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += HANG_SECONDS;
    while (sem_timedwait(&consumer.delivered[producer], &deadline) != 0) {
        if (errno != EINTR)
            return false;
    }
    return true;
}

struct producer {
    pthread_t thread;
    uint64_t index;
    uint32_t events;
    uint32_t delivered; /* before anything hung */
};

/* Every second event waits until the consumer sleeps, the others come as it
 * looks at tail for the last time. */
static void *ping(void *argument)
{
    struct producer *producer = argument;

    for (uint32_t i = 0; i < producer->events; i++) {
        while (i % 2 == 0 && !atomic_load(&consumer.asleep))
            sched_yield();
        if (rig_log(&rig.ring, 8, producer->index) != PHOS_OK ||
            !await_delivery(producer->index))
            break;
        producer->delivered++;
    }
    return NULL;
}

static void no_event_is_slept_over(void **state)
{
    struct producer producer = { .events = 100000 };

    (void)state;
    /* Half of them before the positions pass 2^64. */
    rig_open(&rig, UINT64_C(0) - UINT64_C(16) * 50000);
    start_consumer();
    ping(&producer);
    stop_consumer();
    assert_int_equal(producer.delivered, producer.events);
    assert_true(consumer.sleeps >= producer.events / 2);
    rig_close(&rig);
}

static void two_wakers_lose_no_event_between_them(void **state)
{
    struct producer producers[2];

    (void)state;
    rig_open(&rig, UINT64_C(0) - UINT64_C(16) * 20000);
    start_consumer();
    for (uint64_t i = 0; i < 2; i++) {
        producers[i] = (struct producer){ .index = i, .events = 20000 };
        assert_int_equal(
            pthread_create(&producers[i].thread, NULL, ping, &producers[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(producers[i].thread, NULL), 0);
    stop_consumer();
    assert_int_equal(producers[0].delivered, producers[0].events);
    assert_int_equal(producers[1].delivered, producers[1].events);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_event_is_slept_over),
        cmocka_unit_test(two_wakers_lose_no_event_between_them),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
