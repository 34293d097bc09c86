#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#include "ring_rig.h"

/* A tag names its producer and the event's place among that one's events. */
#define TAG(producer, number) ((uint64_t)(producer) << 32 | (number))

enum { PRODUCERS_MAX = 8 };

static struct rig rig;

/* ---- the consumer, in the test's own thread ---- */

struct tally {
    uint64_t read;
    uint64_t broken;              /* bytes that do not fit their tag */
    uint64_t out_of_order;        /* of one producer */
    uint32_t next[PRODUCERS_MAX]; /* number expected of each */
    uint64_t unfinished[32];      /* positions held back */
    unsigned unfinished_count;
};

/* Verdicts come in another order than the records. */
static void finish_one(struct tally *tally, uint64_t choice)
{
    unsigned index = (unsigned)(choice % tally->unfinished_count);

    phos__ring_finish(&rig.reader, tally->unfinished[index]);
    tally->unfinished[index] = tally->unfinished[--tally->unfinished_count];
}

static void count_in(struct tally *tally, const struct phos__ring_item *item)
{
    uint64_t tag = rig_tag(item);
    uint32_t producer = (uint32_t)(tag >> 32) % PRODUCERS_MAX;

    tally->read++;
    tally->broken += !rig_whole(item);
    tally->out_of_order += (uint32_t)tag != tally->next[producer];
    tally->next[producer] = (uint32_t)tag + 1;
    tally->unfinished[tally->unfinished_count++] = item->position;
    if (tally->unfinished_count == 32)
        finish_one(tally, tag * 7);
}

/* One turn of a worker. Returns false when there was nothing to read. */
static bool turn(struct tally *tally)
{
    struct phos__ring_item item;
    bool any = false;

    while (phos__ring_read(&rig.reader, 0, &item)) {
        count_in(tally, &item);
        any = true;
    }
    while (!any && tally->unfinished_count)
        finish_one(tally, 0);
    phos__ring_release(&rig.reader);
    return any;
}

/* ---- producers ---- */

struct producer {
    pthread_t thread;
    uint32_t index;
    uint32_t events;   /* to be logged */
    uint64_t accepted; /* of these */
    uint64_t full;     /* calls turned away and made again */
};

static uint32_t bytes_of_event(uint32_t number)
{
    return 8 + 8 * (number * UINT32_C(2654435761) >> 24);
}

static void *log_all(void *argument)
{
    struct producer *producer = argument;

    for (uint32_t number = 0; number < producer->events;) {
        phos_status status = rig_log(&rig.ring, bytes_of_event(number),
                                     TAG(producer->index, number));

        if (status == PHOS_E_CLOSED)
            break;
        if (status == PHOS_E_FULL) {
            producer->full++;
            sched_yield();
            continue;
        }
        producer->accepted++;
        number++;
    }
    return NULL;
}

static void start(struct producer *producers, uint32_t count, uint32_t events)
{
    for (uint32_t i = 0; i < count; i++) {
        producers[i] = (struct producer){ .index = i, .events = events };
        assert_int_equal(
            pthread_create(&producers[i].thread, NULL, log_all, &producers[i]),
            0);
    }
}

static uint64_t join(struct producer *producers, uint32_t count)
{
    uint64_t accepted = 0;

    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(pthread_join(producers[i].thread, NULL), 0);
        accepted += producers[i].accepted;
    }
    return accepted;
}

static void assert_flawless(const struct tally *tally)
{
    assert_int_equal(tally->broken, 0);
    assert_int_equal(tally->out_of_order, 0);
    assert_true(phos__ring_read_position(&rig.ring) ==
                phos__ring_tail(&rig.ring));
    assert_true(phos__ring_head(&rig.ring) == phos__ring_tail(&rig.ring));
}

/* P6, P8: more threads than processors, some thousand laps, positions that
 * pass 2^64 on their way. */
static void every_byte_of_many_producers_arrives_once(void **state)
{
    enum { PRODUCERS = 4, EVENTS = 20000 };
    struct producer producers[PRODUCERS];
    struct tally tally = { 0 };

    (void)state;
    rig_open(&rig, UINT64_C(0) - (UINT64_C(1) << 24));
    start(producers, PRODUCERS, EVENTS);
    while (tally.read < (uint64_t)PRODUCERS * EVENTS) {
        if (!turn(&tally))
            sched_yield();
    }
    while (turn(&tally) || tally.unfinished_count)
        ;
    assert_int_equal(join(producers, PRODUCERS), PRODUCERS * EVENTS);
    assert_int_equal(tally.read, PRODUCERS * EVENTS);
    assert_flawless(&tally);
    rig_close(&rig);
}

/* ---- a producer that stops between claim and publish ---- */

enum { FROZEN_BYTES = 512, FROZEN_INDEX = 7 };

struct frozen {
    pthread_t thread;
    sem_t claimed, thaw;
    uint64_t position;
    uint8_t *record;
    phos_status status;
};

static void *freeze(void *argument)
{
    struct frozen *frozen = argument;

    frozen->status = phos__ring_reserve(&rig.ring, FROZEN_BYTES,
                                        &frozen->position, &frozen->record);
    if (frozen->status == PHOS_OK)
        rig_fill(frozen->record, FROZEN_BYTES, TAG(FROZEN_INDEX, 0));
    sem_post(&frozen->claimed);
    while (sem_wait(&frozen->thaw) != 0)
        ;
    if (frozen->status == PHOS_OK)
        phos__ring_publish(&rig.ring, frozen->position, FROZEN_BYTES);
    return NULL;
}

static void start_frozen(struct frozen *frozen)
{
    *frozen = (struct frozen){ 0 };
    assert_int_equal(sem_init(&frozen->claimed, 0, 0), 0);
    assert_int_equal(sem_init(&frozen->thaw, 0, 0), 0);
    assert_int_equal(pthread_create(&frozen->thread, NULL, freeze, frozen), 0);
    while (sem_wait(&frozen->claimed) != 0)
        ;
    assert_int_equal(frozen->status, PHOS_OK);
}

static void thaw(struct frozen *frozen)
{
    sem_post(&frozen->thaw);
    assert_int_equal(pthread_join(frozen->thread, NULL), 0);
    sem_destroy(&frozen->claimed);
    sem_destroy(&frozen->thaw);
}

/* P2, P4 */
static void ten_thousand_events_pass_a_frozen_one(void **state)
{
    enum { PRODUCERS = 2, EVENTS = 5000 };
    struct producer producers[PRODUCERS];
    struct tally tally = { 0 };
    struct frozen frozen;

    (void)state;
    rig_open_bytes(&rig, UINT64_C(1) << 25, UINT64_C(0) - 4096);
    start_frozen(&frozen);
    start(producers, PRODUCERS, EVENTS);
    while (tally.read < PRODUCERS * EVENTS) {
        if (!turn(&tally))
            sched_yield();
    }
    join(producers, PRODUCERS);
    assert_int_equal(tally.next[0], EVENTS);
    assert_int_equal(tally.next[1], EVENTS);
    assert_int_equal(tally.next[FROZEN_INDEX], 0);
    while (turn(&tally) || tally.unfinished_count)
        ;
    assert_true(phos__ring_head(&rig.ring) == frozen.position);

    thaw(&frozen);
    assert_true(turn(&tally));
    assert_int_equal(tally.next[FROZEN_INDEX], 1);
    while (turn(&tally) || tally.unfinished_count)
        ;
    assert_flawless(&tally);
    rig_close(&rig);
}

/* P4 */
static void the_space_of_a_frozen_record_is_given_to_nobody(void **state)
{
    struct tally tally = { 0 };
    struct frozen frozen;
    uint32_t accepted = 0;

    (void)state;
    rig_open(&rig, UINT64_C(0) - 4096);
    start_frozen(&frozen);
    for (uint32_t call = 0; call < 10000; call++) {
        phos_status status = rig_log(&rig.ring, 24, TAG(0, accepted));

        assert_true(status == PHOS_OK || status == PHOS_E_FULL);
        accepted += status == PHOS_OK;
        turn(&tally);
    }
    assert_int_equal(accepted, (RIG_BYTES - FROZEN_BYTES - 8) / 32);
    for (uint32_t i = 0; i < FROZEN_BYTES; i++)
        assert_int_equal(frozen.record[i], rig_byte(TAG(FROZEN_INDEX, 0), i));
    thaw(&frozen);
    while (turn(&tally) || tally.unfinished_count)
        ;
    assert_int_equal(tally.read, accepted + 1);
    assert_flawless(&tally);
    assert_int_equal(rig_log(&rig.ring, RIG_BYTES - 8, 0), PHOS_OK);
    rig_close(&rig);
}

/* P11 */
static void close_cuts_exactly(void **state)
{
    enum { PRODUCERS = 4, ROUNDS = 150 };

    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct producer producers[PRODUCERS];
        struct tally tally = { 0 };
        uint64_t accepted, tail;

        rig_open(&rig, UINT64_C(0) - 8 * round);
        start(producers, PRODUCERS, UINT32_MAX);
        while (tally.read < 10 * round)
            turn(&tally);
        phos__ring_close(&rig.ring);
        tail = phos__ring_tail(&rig.ring);
        accepted = join(producers, PRODUCERS);
        while (turn(&tally) || tally.unfinished_count)
            ;
        assert_true(phos__ring_tail(&rig.ring) == tail);
        assert_true(tally.read == accepted);
        assert_flawless(&tally);
        rig_close(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_of_many_producers_arrives_once),
        cmocka_unit_test(ten_thousand_events_pass_a_frozen_one),
        cmocka_unit_test(the_space_of_a_frozen_record_is_given_to_nobody),
        cmocka_unit_test(close_cuts_exactly),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
