#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/watch.h"

enum { RING = 1 << 20, START = 1000 };

/* A watch, how things stand, and what it said last. */
struct world {
    struct phos__watch watch;
    struct phos__watch_facts facts;
    struct phos__watch_line line;
    bool is_told; /* of a line about the ring */
    uint64_t now_ms;
};

static void open_world(struct world *world)
{
    memset(world, 0, sizeof(*world));
    world->now_ms = START;
    phos__watch_init(&world->watch, START, RING, 75, 0);
}

/* Whether there is a line now. */
static bool tells(struct world *world)
{
    return phos__watch_next(&world->watch, world->now_ms, &world->facts,
                            &world->line);
}

/* Goes on to that time, by the turns that the watch itself asks for; fails if
 * it tells something before. */
static void assert_silent_until(struct world *world, uint64_t until_ms)
{
    while (!tells(world)) {
        uint64_t due_ms = phos__watch_due_ms(&world->watch);

        if (due_ms > until_ms) {
            world->now_ms = until_ms;
            return;
        }
        assert_true(due_ms > world->now_ms);
        world->now_ms = due_ms;
        if (due_ms == until_ms)
            return;
    }
    fail_msg("code %d at %llu", (int)world->line.code,
             (unsigned long long)world->now_ms);
}

static void assert_tells(struct world *world, phos_diagnostic_code code)
{
    struct phos__watch_line line;

    assert_true(tells(world));
    line = world->line;
    assert_int_equal(line.code, code);
    assert_false(tells(world)); /* exactly one */
    world->line = line;
}

static void begin_to_try(struct world *world)
{
    world->facts.pending = 12;
    world->facts.waiting = 20;
    world->facts.in_flight = 1;
    assert_false(tells(world));
}

/* ---- why ---- */

static void each_cause_has_its_code(void **state)
{
    static const struct {
        phos_exchange exchange;
        int http_status;
        enum phos__body_kind body;
        phos_obstacle obstacle;
        phos_status status;
        phos_diagnostic_code code;
    } rows[] = {
        { PHOS_EXCHANGE_NOT_SENT, 0, 0, PHOS_OBSTACLE_NAME, PHOS_E_NETWORK,
          PHOS_DIAGNOSTIC_NAME },
        { PHOS_EXCHANGE_NOT_SENT, 0, 0, PHOS_OBSTACLE_CONNECT, PHOS_E_TIMEOUT,
          PHOS_DIAGNOSTIC_CONNECT },
        { PHOS_EXCHANGE_REFUSED, 0, 0, PHOS_OBSTACLE_PROXY, PHOS_E_CONFIG,
          PHOS_DIAGNOSTIC_PROXY },
        { PHOS_EXCHANGE_NOT_SENT, 0, 0, PHOS_OBSTACLE_TLS, PHOS_E_NETWORK,
          PHOS_DIAGNOSTIC_TLS },
        { PHOS_EXCHANGE_NOT_SENT, 0, 0, PHOS_OBSTACLE_NO_TLS, PHOS_E_NETWORK,
          PHOS_DIAGNOSTIC_NO_TLS },
        { PHOS_EXCHANGE_REFUSED, 0, 0, PHOS_OBSTACLE_UNTRUSTED, PHOS_E_CONFIG,
          PHOS_DIAGNOSTIC_UNTRUSTED },
        { PHOS_EXCHANGE_REFUSED, 0, 0, PHOS_OBSTACLE_EXPIRED, PHOS_E_CONFIG,
          PHOS_DIAGNOSTIC_EXPIRED },
        { PHOS_EXCHANGE_REFUSED, 0, 0, PHOS_OBSTACLE_OTHER_HOST, PHOS_E_CONFIG,
          PHOS_DIAGNOSTIC_OTHER_HOST },
        /* of a transport that cannot tell */
        { PHOS_EXCHANGE_NOT_SENT, 0, 0, PHOS_OBSTACLE_UNKNOWN, PHOS_E_NETWORK,
          PHOS_DIAGNOSTIC_NOT_SENT },
        { PHOS_EXCHANGE_BROKEN, 0, 0, PHOS_OBSTACLE_UNKNOWN, PHOS_E_NETWORK,
          PHOS_DIAGNOSTIC_BROKEN },
        { PHOS_EXCHANGE_BROKEN, 0, 0, PHOS_OBSTACLE_UNKNOWN, PHOS_E_TIMEOUT,
          PHOS_DIAGNOSTIC_NO_ANSWER },
        { PHOS_EXCHANGE_STALLED, 0, 0, PHOS_OBSTACLE_UNKNOWN, PHOS_E_TIMEOUT,
          PHOS_DIAGNOSTIC_NO_ANSWER },
        { PHOS_EXCHANGE_ANSWERED, 401, 0, 0, 0, PHOS_DIAGNOSTIC_KEY },
        { PHOS_EXCHANGE_ANSWERED, 403, 0, 0, 0, PHOS_DIAGNOSTIC_KEY },
        { PHOS_EXCHANGE_ANSWERED, 404, 0, 0, 0, PHOS_DIAGNOSTIC_PATH },
        { PHOS_EXCHANGE_ANSWERED, 405, 0, 0, 0, PHOS_DIAGNOSTIC_PATH },
        { PHOS_EXCHANGE_ANSWERED, 410, 0, 0, 0, PHOS_DIAGNOSTIC_PATH },
        { PHOS_EXCHANGE_ANSWERED, 501, 0, 0, 0, PHOS_DIAGNOSTIC_PATH },
        { PHOS_EXCHANGE_ANSWERED, 301, 0, 0, 0, PHOS_DIAGNOSTIC_REDIRECT },
        { PHOS_EXCHANGE_ANSWERED, 200, PHOS__BODY_HTML, 0, 0,
          PHOS_DIAGNOSTIC_WEB_PAGE },
        { PHOS_EXCHANGE_ANSWERED, 400, 0, 0, 0, PHOS_DIAGNOSTIC_REFUSED },
        { PHOS_EXCHANGE_ANSWERED, 413, 0, 0, 0, PHOS_DIAGNOSTIC_REFUSED },
        { PHOS_EXCHANGE_ANSWERED, 505, 0, 0, 0, PHOS_DIAGNOSTIC_REFUSED },
        { PHOS_EXCHANGE_ANSWERED, 429, 0, 0, 0, PHOS_DIAGNOSTIC_LIMITED },
        { PHOS_EXCHANGE_ANSWERED, 408, 0, 0, 0, PHOS_DIAGNOSTIC_SERVICE },
        { PHOS_EXCHANGE_ANSWERED, 500, 0, 0, 0, PHOS_DIAGNOSTIC_SERVICE },
        { PHOS_EXCHANGE_ANSWERED, 503, 0, 0, 0, PHOS_DIAGNOSTIC_SERVICE },
        { PHOS_EXCHANGE_ANSWERED, 100, 0, 0, 0, PHOS_DIAGNOSTIC_SERVICE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct phos__answer answer = {
            .exchange = rows[i].exchange,
            .http_status = rows[i].http_status,
            .body = rows[i].body,
        };

        if (phos__watch_why(&answer, rows[i].obstacle, rows[i].status) !=
            rows[i].code)
            fail_msg("row %zu is told as %d", i,
                     (int)phos__watch_why(&answer, rows[i].obstacle,
                                          rows[i].status));
    }
}

/* ---- nothing arrives ---- */

static void silence_of_five_seconds_is_told_once(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    begin_to_try(&world);
    world.now_ms += 1000;
    phos__watch_failed(&world.watch, PHOS_DIAGNOSTIC_CONNECT);
    assert_silent_until(&world, START + 5000);
    assert_tells(&world, PHOS_DIAGNOSTIC_CONNECT);
    assert_int_equal(world.line.stalled_ms, 5000);
    assert_int_equal(world.line.waiting, 20);
    assert_silent_until(&world, START + 5000 + 60000);
    assert_tells(&world, PHOS_DIAGNOSTIC_CONNECT);
    assert_int_equal(world.line.stalled_ms, 65000);
    assert_silent_until(&world, START + 5000 + 120000);
    assert_tells(&world, PHOS_DIAGNOSTIC_CONNECT);
}

static void a_request_without_an_answer_is_told_as_waiting(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    begin_to_try(&world);
    assert_silent_until(&world, START + 5000);
    assert_tells(&world, PHOS_DIAGNOSTIC_WAITING);
}

static void an_idle_watch_asks_for_no_turn(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    assert_false(tells(&world));
    assert_true(phos__watch_due_ms(&world.watch) == UINT64_MAX);
    /* Nor does one whose events only linger. */
    world.facts.pending = 3;
    assert_false(tells(&world));
    assert_true(phos__watch_due_ms(&world.watch) == UINT64_MAX);
}

static void while_batches_arrive_nothing_is_told(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    begin_to_try(&world);
    for (unsigned i = 0; i < 100; i++) {
        assert_silent_until(&world, world.now_ms + 4999);
        phos__watch_failed(&world.watch, PHOS_DIAGNOSTIC_SERVICE);
        phos__watch_arrived(&world.watch, world.now_ms, 20);
        assert_false(tells(&world));
    }
}

static void what_somebody_has_to_mend_is_told_at_once(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    begin_to_try(&world);
    world.now_ms += 20;
    phos__watch_failed(&world.watch, PHOS_DIAGNOSTIC_KEY);
    world.facts.is_config = true;
    assert_tells(&world, PHOS_DIAGNOSTIC_KEY);
    assert_silent_until(&world, START + 20 + 60000);
    assert_tells(&world, PHOS_DIAGNOSTIC_KEY);
}

static void
another_reason_is_told_ten_seconds_later_at_the_soonest(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    begin_to_try(&world);
    assert_silent_until(&world, START + 5000);
    assert_tells(&world, PHOS_DIAGNOSTIC_WAITING);
    world.now_ms += 1000;
    phos__watch_failed(&world.watch, PHOS_DIAGNOSTIC_CONNECT);
    assert_silent_until(&world, START + 15000);
    assert_tells(&world, PHOS_DIAGNOSTIC_CONNECT);
    /* One that goes back and forth does not bring a line each time. */
    for (unsigned i = 0; i < 9; i++) {
        world.now_ms += 1000;
        phos__watch_failed(&world.watch, i % 2 ? PHOS_DIAGNOSTIC_CONNECT
                                               : PHOS_DIAGNOSTIC_NAME);
        assert_false(tells(&world));
    }
    world.now_ms += 1000;
    assert_tells(&world, PHOS_DIAGNOSTIC_NAME);
}

static void that_it_works_again_is_told_with_what_had_to_wait(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    begin_to_try(&world);
    phos__watch_failed(&world.watch, PHOS_DIAGNOSTIC_SERVICE);
    assert_silent_until(&world, START + 5000);
    assert_tells(&world, PHOS_DIAGNOSTIC_SERVICE);
    world.now_ms += 7000;
    phos__watch_arrived(&world.watch, world.now_ms, 345);
    assert_tells(&world, PHOS_DIAGNOSTIC_DELIVERED);
    assert_int_equal(world.line.stalled_ms, 12000);
    assert_int_equal(world.line.waiting, 345);
    phos__watch_arrived(&world.watch, world.now_ms, 245);
    assert_false(tells(&world));
}

static void an_outage_too_short_for_a_line_ends_without_one(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    begin_to_try(&world);
    phos__watch_failed(&world.watch, PHOS_DIAGNOSTIC_SERVICE);
    assert_silent_until(&world, START + 4000);
    phos__watch_arrived(&world.watch, world.now_ms, 12);
    world.facts.pending = world.facts.in_flight = 0;
    assert_false(tells(&world));
    assert_true(phos__watch_due_ms(&world.watch) == UINT64_MAX);
}

/* A service that comes and goes: a line in 10 s, and its end. */
static void a_flapping_service_is_told_no_more_often_than_that(void **state)
{
    struct world world;
    unsigned stalls = 0, ends = 0;

    (void)state;
    open_world(&world);
    world.facts.pending = 12;
    world.facts.in_flight = 1;
    for (; world.now_ms < START + 60000; world.now_ms += 100) {
        bool is_up = world.now_ms / 100 % 5 == 0;

        world.facts.is_config = !is_up;
        if (is_up)
            phos__watch_arrived(&world.watch, world.now_ms, 12);
        else
            phos__watch_failed(&world.watch, PHOS_DIAGNOSTIC_KEY);
        while (tells(&world)) {
            stalls += world.line.code == PHOS_DIAGNOSTIC_KEY;
            ends += world.line.code == PHOS_DIAGNOSTIC_DELIVERED;
        }
    }
    assert_int_equal(stalls, 6);
    assert_int_equal(ends, 6);
}

/* The events have been given up; those that come later are patient again. */
static void a_new_event_after_a_long_outage_has_its_five_seconds(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    begin_to_try(&world);
    phos__watch_failed(&world.watch, PHOS_DIAGNOSTIC_NAME);
    assert_silent_until(&world, START + 5000);
    assert_tells(&world, PHOS_DIAGNOSTIC_NAME);
    world.facts.pending = world.facts.in_flight = 0;
    assert_silent_until(&world, START + 3600000);
    begin_to_try(&world);
    assert_silent_until(&world, START + 3605000);
    assert_tells(&world, PHOS_DIAGNOSTIC_NAME);
    assert_int_equal(world.line.stalled_ms, 3605000);
}

static void what_the_service_has_told_of_its_limit_is_in_the_line(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    begin_to_try(&world);
    phos__watch_failed(&world.watch, PHOS_DIAGNOSTIC_LIMITED);
    world.facts.learned_per_minute = 1200;
    world.facts.hold_ms = 30000;
    assert_silent_until(&world, START + 5000);
    assert_tells(&world, PHOS_DIAGNOSTIC_LIMITED);
    assert_int_equal(world.line.per_minute, 1200);
    assert_int_equal(world.line.hold_ms, 30000);
}

/* ---- the ring ---- */

static bool ring_tells(struct world *world, uint64_t used, uint64_t tail)
{
    return phos__watch_ring(&world->watch, world->now_ms, used, tail,
                            &world->line, &world->is_told);
}

static void the_mark_is_told_once_until_the_ring_has_emptied(void **state)
{
    const uint64_t mark = RING / 100 * 75;
    struct world world;

    (void)state;
    open_world(&world);
    assert_int_equal(phos__watch_mark(&world.watch), mark);
    assert_false(ring_tells(&world, mark, 0));
    assert_true(ring_tells(&world, mark + 8, 8));
    assert_int_equal(world.line.code, PHOS_DIAGNOSTIC_HIGH_WATER);
    assert_int_equal(world.line.ring_used, mark + 8);
    assert_true(phos__watch_mark(&world.watch) == UINT64_MAX);
    assert_false(ring_tells(&world, RING, 8));
    assert_false(ring_tells(&world, mark / 2, 8));
    assert_false(ring_tells(&world, RING, 8));
    assert_false(ring_tells(&world, mark / 2 - 1, 8));
    assert_int_equal(phos__watch_mark(&world.watch), mark);
    assert_true(ring_tells(&world, mark + 8, 8));
}

/* Whoever wants every time hears it by callback. */
static void a_ring_that_swings_around_the_mark_fills_no_log(void **state)
{
    struct world world;
    unsigned lines = 0;

    (void)state;
    open_world(&world);
    for (unsigned i = 0; i < 100; i++) { /* a quarter of a second apart */
        assert_true(ring_tells(&world, RING, 0));
        lines += world.is_told;
        assert_false(ring_tells(&world, 0, 0));
        world.now_ms += 250;
    }
    assert_int_equal(lines, 3);
}

static void without_a_mark_the_ring_is_not_told(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    phos__watch_init(&world.watch, START, RING, 0, 0);
    assert_false(ring_tells(&world, RING, 0));
    assert_true(phos__watch_mark(&world.watch) == UINT64_MAX);
}

static void when_the_ring_fills_is_told_from_the_rate_of_late(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    /* 1 KiB a second for a minute, then 10. */
    for (unsigned i = 1; i <= 60; i++) {
        world.now_ms += 1000;
        ring_tells(&world, 1024 * i, 1024 * i);
    }
    for (unsigned i = 1; i <= 10; i++) {
        world.now_ms += 1000;
        ring_tells(&world, 61440 + 10240 * i, 61440 + 10240 * i);
    }
    begin_to_try(&world);
    world.facts.is_config = true;
    phos__watch_failed(&world.watch, PHOS_DIAGNOSTIC_KEY);
    assert_tells(&world, PHOS_DIAGNOSTIC_KEY);
    assert_int_equal(world.line.ring_used, 163840);
    assert_int_equal(world.line.fill_ms, (RING - 163840) * 1000ull / 10240);
}

static void a_ring_that_does_not_fill_has_no_such_time(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    world.now_ms += 100; /* too short to tell a rate */
    ring_tells(&world, 4096, 4096);
    begin_to_try(&world);
    world.facts.is_config = true;
    phos__watch_failed(&world.watch, PHOS_DIAGNOSTIC_KEY);
    assert_tells(&world, PHOS_DIAGNOSTIC_KEY);
    assert_true(world.line.fill_ms == UINT64_MAX);
    world.now_ms += 20000;
    ring_tells(&world, 4096, 4096);
    world.now_ms += 40000;
    ring_tells(&world, 4096, 4096);
    assert_tells(&world, PHOS_DIAGNOSTIC_KEY);
    assert_true(world.line.fill_ms == UINT64_MAX);
}

/* ---- losses ---- */

static void a_loss_is_told_at_once_and_then_in_sums(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    world.facts.losses[PHOS__LOSS_FULL] = 1;
    assert_tells(&world, PHOS_DIAGNOSTIC_LOST);
    assert_int_equal(world.line.losses[PHOS__LOSS_FULL], 1);
    assert_int_equal(world.line.lost_over_ms, 0);
    world.now_ms += 3000;
    world.facts.losses[PHOS__LOSS_FULL] = 40;
    assert_silent_until(&world, START + 10000);
    world.facts.losses[PHOS__LOSS_FULL] = 101;
    assert_tells(&world, PHOS_DIAGNOSTIC_LOST);
    assert_int_equal(world.line.losses[PHOS__LOSS_FULL], 100);
    assert_int_equal(world.line.lost_over_ms, 10000);
    assert_true(phos__watch_due_ms(&world.watch) == UINT64_MAX);
}

static void each_cause_of_a_loss_is_told_at_once_the_first_time(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    world.facts.refused_status = 422;
    for (unsigned i = 0; i < PHOS__LOSS_COUNT; i++) {
        world.now_ms += 10;
        world.facts.losses[i] = i + 1;
        assert_tells(&world, PHOS_DIAGNOSTIC_LOST);
        for (unsigned k = 0; k < PHOS__LOSS_COUNT; k++)
            assert_int_equal(world.line.losses[k], k == i ? i + 1 : 0);
        assert_int_equal(world.line.http_status, 422);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cause_has_its_code),
        cmocka_unit_test(silence_of_five_seconds_is_told_once),
        cmocka_unit_test(a_request_without_an_answer_is_told_as_waiting),
        cmocka_unit_test(an_idle_watch_asks_for_no_turn),
        cmocka_unit_test(while_batches_arrive_nothing_is_told),
        cmocka_unit_test(what_somebody_has_to_mend_is_told_at_once),
        cmocka_unit_test(
            another_reason_is_told_ten_seconds_later_at_the_soonest),
        cmocka_unit_test(that_it_works_again_is_told_with_what_had_to_wait),
        cmocka_unit_test(an_outage_too_short_for_a_line_ends_without_one),
        cmocka_unit_test(a_flapping_service_is_told_no_more_often_than_that),
        cmocka_unit_test(a_new_event_after_a_long_outage_has_its_five_seconds),
        cmocka_unit_test(what_the_service_has_told_of_its_limit_is_in_the_line),
        cmocka_unit_test(the_mark_is_told_once_until_the_ring_has_emptied),
        cmocka_unit_test(a_ring_that_swings_around_the_mark_fills_no_log),
        cmocka_unit_test(without_a_mark_the_ring_is_not_told),
        cmocka_unit_test(when_the_ring_fills_is_told_from_the_rate_of_late),
        cmocka_unit_test(a_ring_that_does_not_fill_has_no_such_time),
        cmocka_unit_test(a_loss_is_told_at_once_and_then_in_sums),
        cmocka_unit_test(each_cause_of_a_loss_is_told_at_once_the_first_time),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
