#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/rig.h"

static struct rig rig;

static const uint64_t hour_ms = 3600000;

static void open_rig(void)
{
    struct phos__delivery_options options = rig_options();

    rig_open(&rig, &options);
}

/* ---- services ---- */

static uint32_t poison[8];
static uint32_t poison_count;
static int poison_status;

static int poisoned(struct rig *world, const uint32_t *numbers, uint32_t count,
                    uint32_t body_bytes)
{
    (void)world;
    (void)body_bytes;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < poison_count; k++)
            if (numbers[i] == poison[k])
                return poison_status;
    return 201;
}

static int fixed_status;

static int always(struct rig *world, const uint32_t *numbers, uint32_t count,
                  uint32_t body_bytes)
{
    (void)world;
    (void)numbers;
    (void)count;
    (void)body_bytes;
    return fixed_status;
}

static uint32_t asked;

static int fails_each_tenth_time(struct rig *world, const uint32_t *numbers,
                                 uint32_t count, uint32_t body_bytes)
{
    (void)world;
    (void)numbers;
    (void)count;
    (void)body_bytes;
    return ++asked % 10 == 0 ? fixed_status : 201;
}

static uint64_t ill_until_ms;
static int ill_status;

static int ill_for_a_while(struct rig *world, const uint32_t *numbers,
                           uint32_t count, uint32_t body_bytes)
{
    (void)numbers;
    (void)count;
    (void)body_bytes;
    return world->now_ms < ill_until_ms ? ill_status : 201;
}

static uint32_t body_limit, too_large_count;

static int small_bodies_only(struct rig *world, const uint32_t *numbers,
                             uint32_t count, uint32_t body_bytes)
{
    (void)world;
    (void)numbers;
    (void)count;
    too_large_count += body_bytes > body_limit;
    return body_bytes > body_limit ? 413 : 201;
}

/* Fails a share of requests, otherwise as poisoned(). */
static uint32_t failing_percent;

static int flaky(struct rig *world, const uint32_t *numbers, uint32_t count,
                 uint32_t body_bytes)
{
    static const int failures[] = { 500, 429, 503, -PHOS_EXCHANGE_BROKEN,
                                    -PHOS_EXCHANGE_NOT_SENT };
    uint32_t dice = (uint32_t)(world->requests * UINT32_C(2654435761) >> 8);

    if (dice % 100 < failing_percent)
        return failures[dice / 100 % 5];
    return poisoned(world, numbers, count, body_bytes);
}

/* ---- batches ---- */

static void a_full_batch_leaves_at_once(void **state)
{
    (void)state;
    open_rig();
    rig_log(&rig, 250);
    rig_act(&rig);
    assert_int_equal(rig.requests, 2);
    assert_int_equal(rig_settle(&rig, hour_ms), 500 + rig.latency_ms);
    assert_int_equal(rig.requests, 3);
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 250);
    rig_close(&rig);
}

static void the_linger_begins_with_the_log_call(void **state)
{
    (void)state;
    open_rig();
    rig_log(&rig, 1);
    rig.events[0].logged_ms -= 400;
    rig_run(&rig, 99);
    assert_int_equal(rig.requests, 0);
    rig_run(&rig, 1);
    assert_int_equal(rig.requests, 1);
    rig_settle(&rig, hour_ms);
    rig_close(&rig);
}

static void hurry_closes_the_open_batch(void **state)
{
    (void)state;
    open_rig();
    rig_log(&rig, 7);
    rig_act(&rig);
    phos__delivery_hurry(rig.delivery, rig.now_ms);
    rig_act(&rig);
    assert_int_equal(rig.requests, 1);
    rig_settle(&rig, hour_ms);
    rig_close(&rig);
}

static void a_batch_keeps_its_byte_limit_and_a_giant_travels_alone(void **state)
{
    struct phos__delivery_options options = rig_options();

    (void)state;
    options.batch_bytes_max = 2048;
    options.linger_ms = 0;
    rig_open(&rig, &options);
    rig_log(&rig, 50);
    rig.events[20].json_bytes = 5000;
    rig_settle(&rig, hour_ms); /* the rig checks every body */
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 50);
    assert_int_equal(rig.requests, 1 + 1 + 2);
    rig_close(&rig);
}

/* Its linger would be a wait for company that cannot come any more. */
static void a_batch_that_has_reached_its_byte_limit_leaves_at_once(void **state)
{
    struct phos__delivery_options options = rig_options();

    (void)state;
    options.batch_bytes_max = 2048;
    rig_open(&rig, &options);
    for (uint32_t i = 0; i < 3; i++)
        rig.events[rig_log(&rig, 1)].json_bytes = 2048;
    assert_int_equal(rig_settle(&rig, hour_ms), rig.latency_ms);
    assert_int_equal(rig.requests, 3);
    rig_close(&rig);
}

static void no_more_requests_fly_than_allowed(void **state)
{
    (void)state;
    open_rig();
    rig_log(&rig, 2000);
    rig_settle(&rig, hour_ms);
    assert_int_equal(rig.flying_max, 4);
    assert_int_equal(rig.requests, 20);
    rig_close(&rig);
}

/* ---- duplicates ---- */

static void a_chosen_id_arrives_once(void **state)
{
    (void)state;
    open_rig();
    rig_log(&rig, 3);
    for (int i = 0; i < 3; i++) {
        rig.events[i].is_chosen = true;
        memset(rig.events[i].id, 7, 16);
    }
    rig_settle(&rig, hour_ms);
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 1);
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DUPLICATE), 2);
    assert_int_equal(rig.events[0].sends, 1);
    rig_log(&rig, 1); /* delivered ids stay in the window */
    rig.events[3].is_chosen = true;
    memset(rig.events[3].id, 7, 16);
    rig_settle(&rig, hour_ms);
    assert_int_equal(rig.events[3].receipt.outcome, PHOS_OUTCOME_DUPLICATE);
    rig_close(&rig);
}

static void a_refused_id_may_be_logged_again(void **state)
{
    (void)state;
    open_rig();
    rig.service = poisoned;
    poison[0] = 0;
    poison_count = 1;
    poison_status = 422;
    rig_log(&rig, 1);
    rig.events[0].is_chosen = true;
    rig_settle(&rig, hour_ms);
    assert_int_equal(rig.events[0].receipt.outcome, PHOS_OUTCOME_REFUSED);
    rig_log(&rig, 1);
    rig.events[1].is_chosen = true;
    memcpy(rig.events[1].id, rig.events[0].id, 16);
    rig_settle(&rig, hour_ms);
    assert_int_equal(rig.events[1].receipt.outcome, PHOS_OUTCOME_DELIVERED);
    rig_close(&rig);
}

static void a_damaged_record_is_dropped_and_stops_nothing(void **state)
{
    (void)state;
    open_rig();
    rig_log(&rig, 3);
    rig.events[1].is_damaged = true;
    rig_settle(&rig, hour_ms);
    assert_int_equal(rig.events[1].receipt.outcome, PHOS_OUTCOME_DROPPED);
    assert_int_equal(rig.events[1].receipt.reason, PHOS_REASON_DAMAGED);
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 2);
    rig_close(&rig);
}

/* ---- one bad event ---- */

static void one_refused_event_costs_its_neighbours_nothing(void **state)
{
    (void)state;
    for (uint32_t bad = 0; bad < 1000; bad += 37) {
        open_rig();
        rig.service = poisoned;
        poison[0] = bad;
        poison_count = 1;
        poison_status = 422;
        rig_log(&rig, 1000);
        rig_settle(&rig, hour_ms);
        assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 999);
        assert_int_equal(rig.events[bad].receipt.outcome, PHOS_OUTCOME_REFUSED);
        assert_int_equal(rig.events[bad].receipt.reason, PHOS_REASON_INVALID);
        assert_int_equal(rig.events[bad].receipt.http_status, 422);
        assert_in_range(rig.requests, 10, 10 + 16);
        rig_close(&rig);
    }
}

static void one_event_that_breaks_the_service_is_found(void **state)
{
    (void)state;
    for (uint32_t bad = 0; bad < 1000; bad += 37) {
        open_rig();
        rig.service = poisoned;
        poison[0] = bad;
        poison_count = 1;
        poison_status = bad % 2 ? 500 : -(int)PHOS_EXCHANGE_BROKEN;
        rig_log(&rig, 1000);
        rig_settle(&rig, hour_ms);
        assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 999);
        assert_int_equal(rig.events[bad].receipt.outcome, PHOS_OUTCOME_REFUSED);
        assert_int_equal(rig.events[bad].receipt.reason, PHOS_REASON_POISON);
        assert_in_range(rig.events[bad].sends, 4, 20);
        rig_close(&rig);
    }
}

static void several_bad_events_are_found_each(void **state)
{
    (void)state;
    open_rig();
    rig.service = poisoned;
    for (uint32_t i = 0; i < 8; i++)
        poison[i] = 340 + i; /* in a row: nobody good between them */
    poison_count = 8;
    poison_status = 400;
    rig_log(&rig, 1000);
    rig_settle(&rig, hour_ms);
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 992);
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_REFUSED), 8);
    assert_true(rig.requests <= 10 + 8 * 16);
    assert_int_equal(rig.state_count, 0); /* nobody blamed the key */
    rig_close(&rig);
}

static void a_service_that_refuses_everything_loses_nothing(void **state)
{
    (void)state;
    open_rig();
    rig.service = ill_for_a_while;
    ill_status = 400;
    ill_until_ms = rig.now_ms + 100000;
    rig_log(&rig, 1000);
    rig_run(&rig, 50000);
    assert_int_equal(phos__delivery_state(rig.delivery), PHOS_STATE_CONFIG);
    assert_int_equal(phos__delivery_ledger(rig.delivery)->refused, 0);
    assert_true(rig.requests < 100);
    rig_settle(&rig, hour_ms);
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 1000);
    rig_close(&rig);
}

static void a_lone_refused_event_does_not_wait_for_ever(void **state)
{
    (void)state;
    open_rig();
    rig.service = always;
    fixed_status = 422;
    rig_log(&rig, 1);
    assert_true(rig_settle(&rig, hour_ms) < 1000);
    assert_int_equal(rig.events[0].receipt.outcome, PHOS_OUTCOME_REFUSED);
    rig_log(&rig, 1);
    assert_true(rig_settle(&rig, hour_ms) < 1000);
    rig_log(&rig, 1); /* the third in a row: it is not the events */
    rig_run(&rig, 5000);
    assert_int_equal(phos__delivery_ledger(rig.delivery)->pending, 1);
    assert_int_equal(phos__delivery_state(rig.delivery), PHOS_STATE_CONFIG);
    fixed_status = 201;
    rig_settle(&rig, hour_ms);
    assert_int_equal(rig.events[2].receipt.outcome, PHOS_OUTCOME_DELIVERED);
    rig_close(&rig);
}

/* ---- too large ---- */

static void bodies_shrink_to_what_the_service_takes(void **state)
{
    (void)state;
    open_rig();
    rig.service = small_bodies_only;
    body_limit = 3000;
    too_large_count = 0;
    rig_log(&rig, 5000);
    rig_settle(&rig, hour_ms);
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 5000);
    assert_in_range(too_large_count, 1, 20);
    rig_close(&rig);
}

static void a_single_event_too_large_is_refused(void **state)
{
    (void)state;
    open_rig();
    rig.service = small_bodies_only;
    body_limit = 3000;
    rig_log(&rig, 100);
    rig.events[42].json_bytes = 3000;
    rig_settle(&rig, hour_ms);
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 99);
    assert_int_equal(rig.events[42].receipt.reason, PHOS_REASON_TOO_LARGE);
    rig_close(&rig);
}

/* ---- later ---- */

static void what_fails_for_a_while_arrives_later(void **state)
{
    static const int failures[] = { 500,
                                    502,
                                    503,
                                    504,
                                    429,
                                    408,
                                    425,
                                    100,
                                    999,
                                    -PHOS_EXCHANGE_NOT_SENT,
                                    -PHOS_EXCHANGE_BROKEN,
                                    -PHOS_EXCHANGE_STALLED,
                                    -PHOS_EXCHANGE_CANCELLED };

    (void)state;
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        open_rig();
        rig.service = ill_for_a_while;
        ill_status = failures[i];
        ill_until_ms = rig.now_ms + 60000;
        rig_log(&rig, 1000);
        /* One wait beyond the end of the illness, and then at full pace. */
        rig_settle(&rig, 60000 + 30000 + 60000);
        assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 1000);
        assert_true(rig.requests < 100);
        rig_close(&rig);
    }
}

static void an_outage_is_told_and_probed_one_at_a_time(void **state)
{
    (void)state;
    open_rig();
    rig.service = ill_for_a_while;
    ill_status = -(int)PHOS_EXCHANGE_NOT_SENT;
    ill_until_ms = rig.now_ms + 600000;
    rig_log(&rig, 1000);
    rig_run(&rig, 30000);
    assert_int_equal(rig.states[0], PHOS_STATE_OUTAGE);
    rig.flying_max = 0;
    rig.requests = 0;
    rig_run(&rig, 500000);
    assert_int_equal(rig.flying_max, 1);
    assert_in_range(rig.requests, 500000 / 31000, 200);
    rig_settle(&rig, hour_ms);
    assert_int_equal(rig.states[rig.state_count - 1], PHOS_STATE_RUNNING);
    rig_close(&rig);
}

static void probes_take_other_events_each_time(void **state)
{
    uint32_t probed = 0;

    (void)state;
    open_rig();
    rig.service = ill_for_a_while;
    ill_status = -(int)PHOS_EXCHANGE_NOT_SENT;
    ill_until_ms = rig.now_ms + 600000;
    rig_log(&rig, 1000);
    rig_run(&rig, 300000);
    for (uint32_t i = 0; i < 1000; i += 100)
        probed += rig.events[i].sends > 0;
    assert_int_equal(probed, 10);
    rig_settle(&rig, hour_ms);
    rig_close(&rig);
}

static void a_lone_batch_is_whole_again_after_an_outage(void **state)
{
    (void)state;
    open_rig();
    rig.service = ill_for_a_while;
    ill_status = 500;
    ill_until_ms = rig.now_ms + 600000;
    rig_log(&rig, 100);
    rig_run(&rig, 600000);
    rig.requests = 0;
    rig_settle(&rig, hour_ms);
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 100);
    assert_in_range(rig.requests, 1, 4);
    rig_close(&rig);
}

/* One event each second, and nothing can leave for ten minutes. */
static void what_piles_up_in_an_outage_leaves_in_full_batches(void **state)
{
    static const int statuses[] = { -PHOS_EXCHANGE_NOT_SENT, 503, 401 };

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        open_rig();
        rig.service = ill_for_a_while;
        ill_status = statuses[i];
        ill_until_ms = rig.now_ms + 600000;
        if (statuses[i] == 503)
            rig.retry_after_ms = 600000;
        for (uint32_t second = 0; second < 600; second++) {
            rig_log(&rig, 1);
            rig_run(&rig, 1000);
        }
        rig.requests = 0;
        rig_settle(&rig, hour_ms);
        assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 600);
        assert_in_range(rig.requests, 6, 60);
        rig_close(&rig);
    }
}

static void the_servers_wish_is_kept(void **state)
{
    static const int wishes[] = { 429, 503, 500, 408, 404, 413, 422 };

    (void)state;
    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        open_rig();
        rig.service = ill_for_a_while;
        rig.retry_after_ms = 120000;
        ill_status = wishes[i];
        ill_until_ms = rig.now_ms + 1;
        rig_log(&rig, 100);
        rig_settle(&rig, hour_ms); /* the rig checks every send */
        assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 100);
        rig_close(&rig);
    }
}

static void a_flaky_service_gets_everything_and_nothing_is_blamed(void **state)
{
    (void)state;
    for (failing_percent = 5; failing_percent <= 65; failing_percent += 15) {
        open_rig();
        rig.service = flaky;
        poison_count = 0;
        rig_log(&rig, 5000);
        rig_settle(&rig, hour_ms);
        assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 5000);
        rig_close(&rig);
    }
}

/* ---- configuration ---- */

static void a_refused_key_keeps_everything_and_probes_slowly(void **state)
{
    static const int refusals[] = {
        401, 403, 404, 405, 410,
        414, 415, 431, 501, 505,
        301, 302, 307, 308, -PHOS_EXCHANGE_REFUSED
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        open_rig();
        rig.service = ill_for_a_while;
        ill_status = refusals[i];
        ill_until_ms = rig.now_ms + 3 * hour_ms;
        rig_log(&rig, 1000);
        rig_run(&rig, 2 * hour_ms);
        assert_int_equal(rig.states[0], PHOS_STATE_CONFIG);
        assert_in_range(rig.requests, 120, 140);
        /* The time is no age: nothing is too old after two hours. */
        assert_int_equal(phos__delivery_ledger(rig.delivery)->pending, 1000);
        phos__delivery_reconfigured(rig.delivery, rig.now_ms);
        ill_until_ms = rig.now_ms;
        assert_true(rig_settle(&rig, hour_ms) < 1000);
        assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 1000);
        rig_close(&rig);
    }
}

static void a_web_page_is_no_delivery(void **state)
{
    (void)state;
    open_rig();
    rig.body = PHOS__BODY_HTML;
    rig_log(&rig, 10);
    rig_run(&rig, 10000);
    assert_int_equal(phos__delivery_state(rig.delivery), PHOS_STATE_CONFIG);
    assert_int_equal(phos__delivery_ledger(rig.delivery)->delivered, 0);
    rig.body = PHOS__BODY_EMPTY;
    rig_settle(&rig, hour_ms);
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 10);
    rig_close(&rig);
}

/* ---- age, pace, parking ---- */

static void what_is_too_old_is_given_up_honestly(void **state)
{
    (void)state;
    for (int sent = 0; sent < 2; sent++) {
        open_rig();
        rig.service = always;
        fixed_status = sent ? 500 : -(int)PHOS_EXCHANGE_NOT_SENT;
        rig_log(&rig, 100);
        rig_settle(&rig, hour_ms + 60000);
        assert_int_equal(
            rig_count(&rig, sent ? PHOS_OUTCOME_UNKNOWN : PHOS_OUTCOME_DROPPED),
            100);
        assert_int_equal(rig.events[0].receipt.reason, PHOS_REASON_AGE);
        assert_in_range(rig.events[0].receipt.age_ms, hour_ms,
                        hour_ms + rig.latency_ms + 1);
        rig_close(&rig);
    }
}

static void the_pace_is_kept_and_batches_are_full(void **state)
{
    struct phos__delivery_options options = rig_options();

    (void)state;
    options.events_per_minute = 1000;
    rig_open(&rig, &options);
    for (uint32_t second = 0; second < 120; second++) {
        rig_log(&rig, 20);
        rig_run(&rig, 1000);
        if (second == 60)
            rig.requests = 0; /* the tokens of the start are spent */
    }
    /* One burst of a batch beyond two minutes' worth. */
    assert_in_range(phos__delivery_ledger(rig.delivery)->delivered, 1800,
                    2 * 1000 + 100);
    assert_in_range(rig.requests, 9, 15);
    rig_settle(&rig, hour_ms);
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 2400);
    rig_close(&rig);
}

/* At a pace learned from its first failure, 4,300 events would have arrived. */
static void a_service_that_is_unwell_teaches_no_pace(void **state)
{
    static const int statuses[] = { 503, 500, -PHOS_EXCHANGE_BROKEN };

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        open_rig();
        rig.service = fails_each_tenth_time;
        fixed_status = statuses[i];
        asked = 0;
        rig_log(&rig, 5000);
        rig_run(&rig, 5000);
        assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 5000);
        rig_close(&rig);
    }
}

static void a_batch_that_holds_back_the_ring_is_moved(void **state)
{
    struct phos__delivery_options options = rig_options();

    (void)state;
    options.ring_bytes = 65536; /* 512 of the rig's records */
    options.parking_bytes_max = 16384;
    rig_open(&rig, &options);
    rig.service = poisoned;
    poison[0] = 5;
    poison_count = 1;
    poison_status = 503;
    rig_log(&rig, 1000);
    rig_run(&rig, 300);
    assert_true(rig.events[5].was_parked);
    assert_int_equal(phos__delivery_parked_bytes(rig.delivery), 100 * 128);
    poison_count = 0;
    rig_settle(&rig, hour_ms);
    assert_int_equal(phos__delivery_parked_bytes(rig.delivery), 0);
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 1000);
    rig_close(&rig);
}

/* Half of a batch becomes too old between two of its events' moves. */
static void what_has_its_verdict_is_not_moved_any_more(void **state)
{
    struct phos__delivery_options options = rig_options();
    struct phos__action action;

    (void)state;
    options.ring_bytes = 65536;
    rig_open(&rig, &options);
    rig_log(&rig, 300);
    for (uint32_t i = 50; i < 300; i++)
        rig.events[i].logged_ms += 1000;
    rig.now_ms += 1000;
    rig_take(&rig);
    while (phos__delivery_next(rig.delivery, rig.now_ms, &action) &&
           action.kind != PHOS__ACTION_PARK)
        ;
    assert_int_equal(rig.number_of[action.event], 0);
    rig_carry_out(&rig, &action);
    rig.now_ms += hour_ms - 1000;
    rig_act(&rig); /* the rig checks that only the pending are moved */
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DROPPED), 50);
    rig_settle(&rig, hour_ms);
    assert_int_equal(phos__delivery_parked_bytes(rig.delivery), 0);
    rig_close(&rig);
}

static void without_memory_for_parking_delivery_goes_on(void **state)
{
    struct phos__delivery_options options = rig_options();

    (void)state;
    options.ring_bytes = 65536;
    rig_open(&rig, &options);
    rig.refuses_parking = true;
    rig.service = flaky;
    failing_percent = 30;
    poison_count = 0;
    rig_log(&rig, 3000);
    rig_settle(&rig, hour_ms);
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 3000);
    rig_close(&rig);
}

/* ---- results ---- */

static void single_results_decide_for_single_events(void **state)
{
    uint8_t results[100] = { 0 };

    (void)state;
    open_rig();
    results[3] = PHOS__RESULT_REFUSED;
    results[4] = PHOS__RESULT_DUPLICATE;
    results[5] = PHOS__RESULT_AGAIN;
    rig.results = results;
    rig_log(&rig, 100);
    rig_act(&rig);
    rig_run(&rig, rig.latency_ms);
    rig.results = NULL;
    rig_settle(&rig, hour_ms);
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DELIVERED), 98);
    assert_int_equal(rig.events[3].receipt.outcome, PHOS_OUTCOME_REFUSED);
    assert_int_equal(rig.events[4].receipt.outcome, PHOS_OUTCOME_DUPLICATE);
    assert_int_equal(rig.events[5].receipt.sends, 2);
    assert_int_equal(rig.requests, 2);
    rig_close(&rig);
}

/* ---- the end ---- */

static void giving_up_tells_what_may_have_arrived(void **state)
{
    (void)state;
    open_rig();
    rig_log(&rig, 1000);
    rig_act(&rig); /* four requests fly */
    phos__delivery_give_up(rig.delivery, rig.now_ms);
    rig_act(&rig);
    assert_int_equal(rig.cancels, 4);
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_UNKNOWN), 400);
    assert_int_equal(rig_count(&rig, PHOS_OUTCOME_DROPPED), 600);
    assert_int_equal(rig.events[999].receipt.reason, PHOS_REASON_CLOSED);
    rig_run(&rig, 1000); /* late answers change nothing */
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_batch_leaves_at_once),
        cmocka_unit_test(the_linger_begins_with_the_log_call),
        cmocka_unit_test(hurry_closes_the_open_batch),
        cmocka_unit_test(
            a_batch_keeps_its_byte_limit_and_a_giant_travels_alone),
        cmocka_unit_test(
            a_batch_that_has_reached_its_byte_limit_leaves_at_once),
        cmocka_unit_test(no_more_requests_fly_than_allowed),
        cmocka_unit_test(a_chosen_id_arrives_once),
        cmocka_unit_test(a_refused_id_may_be_logged_again),
        cmocka_unit_test(a_damaged_record_is_dropped_and_stops_nothing),
        cmocka_unit_test(one_refused_event_costs_its_neighbours_nothing),
        cmocka_unit_test(one_event_that_breaks_the_service_is_found),
        cmocka_unit_test(several_bad_events_are_found_each),
        cmocka_unit_test(a_service_that_refuses_everything_loses_nothing),
        cmocka_unit_test(a_lone_refused_event_does_not_wait_for_ever),
        cmocka_unit_test(bodies_shrink_to_what_the_service_takes),
        cmocka_unit_test(a_single_event_too_large_is_refused),
        cmocka_unit_test(what_fails_for_a_while_arrives_later),
        cmocka_unit_test(an_outage_is_told_and_probed_one_at_a_time),
        cmocka_unit_test(probes_take_other_events_each_time),
        cmocka_unit_test(a_lone_batch_is_whole_again_after_an_outage),
        cmocka_unit_test(what_piles_up_in_an_outage_leaves_in_full_batches),
        cmocka_unit_test(the_servers_wish_is_kept),
        cmocka_unit_test(a_flaky_service_gets_everything_and_nothing_is_blamed),
        cmocka_unit_test(a_refused_key_keeps_everything_and_probes_slowly),
        cmocka_unit_test(a_web_page_is_no_delivery),
        cmocka_unit_test(what_is_too_old_is_given_up_honestly),
        cmocka_unit_test(the_pace_is_kept_and_batches_are_full),
        cmocka_unit_test(a_service_that_is_unwell_teaches_no_pace),
        cmocka_unit_test(a_batch_that_holds_back_the_ring_is_moved),
        cmocka_unit_test(what_has_its_verdict_is_not_moved_any_more),
        cmocka_unit_test(without_memory_for_parking_delivery_goes_on),
        cmocka_unit_test(single_results_decide_for_single_events),
        cmocka_unit_test(giving_up_tells_what_may_have_arrived),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
