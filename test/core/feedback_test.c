#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "core/feedback.h"

enum { EVENTS_MAX = 4000, FEEDBACK_MAX = 512, FLYING_MAX = 16 };

struct world;

/* The answer to the `send`th request (from 1) with feedback `number`: an HTTP
 * status, or a negative phos_exchange. */
typedef int feedback_service_fn(struct world *world, uint32_t number,
                                uint32_t send);

/* Both machines, a clock that is turned by hand, a service. What has been read
 * stands at position 100 times its number. */
static struct world {
    struct phos__delivery *delivery;
    struct phos__feedback *feedback;
    struct phos__delivery_options options;
    uint64_t now_ms, random;

    int event_status;       /* of requests with events */
    bool events_are_silent; /* they are not answered */
    uint32_t event_count, event_verdicts, event_requests;

    feedback_service_fn *service; /* NULL: 200 */
    uint64_t retry_after_ms;      /* of answers that are not 2xx; 0: none */
    uint32_t count;               /* of feedback */
    uint32_t number_of[FEEDBACK_MAX];
    struct {
        uint8_t id[16];
        uint32_t sends;
        uint64_t last_send_ms;
        uint64_t position;
    } given[EVENTS_MAX];
    uint32_t sends, cancels;
    uint32_t last_number;
    uint64_t state_count;
    phos_state state;

    struct {
        uint64_t request_id, due_ms;
        int status;
    } flying[FLYING_MAX];
    uint32_t flying_count, feedback_flying, feedback_flying_max;
    uint64_t position;
} world;

static const phos_feedback_ledger *ledger(void)
{
    return phos__feedback_ledger(world.feedback);
}

static struct phos__delivery_options default_options(void)
{
    return (struct phos__delivery_options){
        .batch_events_max = 100,
        .batch_bytes_max = 1048576,
        .in_flight_max = 4,
        .retry_base_ms = 250,
        .retry_cap_ms = 30000,
        .age_max_ms = 3600000,
        .dedupe_window = 1024,
        .ring_bytes = 4194304,
        .parking_bytes_max = 1048576,
        .random = 1,
    };
}

static void open_with(const struct phos__delivery_options *options)
{
    const phos_allocator none = { NULL, NULL, NULL, NULL };
    const struct phos__feedback_options feedback = {
        .capacity = FEEDBACK_MAX,
        .in_flight_max = options->in_flight_max,
        .retry_base_ms = options->retry_base_ms,
        .retry_cap_ms = options->retry_cap_ms,
        .age_max_ms = options->age_max_ms,
        .random = 1,
    };
    bool is_valid;
    phos_allocator libc = phos__allocator_resolve(&none, &is_valid);

    memset(&world, 0, sizeof(world));
    world.options = *options;
    world.now_ms = 1000000;
    world.event_status = 201;
    assert_int_equal(phos__delivery_create(options, &libc, &world.delivery),
                     PHOS_OK);
    assert_int_equal(phos__feedback_create(&feedback, &libc, world.delivery,
                                           &world.feedback),
                     PHOS_OK);
}

static void open_world(void)
{
    struct phos__delivery_options options = default_options();

    open_with(&options);
}

static void close_world(void)
{
    phos__feedback_destroy(world.feedback);
    phos__delivery_destroy(world.delivery);
}

static uint64_t next_random(void)
{
    world.random = world.random * UINT64_C(6364136223846793005) +
                   UINT64_C(1442695040888963407);
    return world.random >> 33 | world.random << 31;
}

static void id_of(uint32_t event, uint8_t id[16])
{
    memset(id, 0, 16);
    memcpy(id, &event, sizeof(event));
    id[15] = 7;
}

static void take_events(uint32_t n, bool are_chosen, uint32_t first)
{
    for (uint32_t i = 0; i < n; i++) {
        struct phos__arrival arrival = { .position = world.position += 100,
                                         .logged_ms = world.now_ms,
                                         .record_bytes = 100,
                                         .json_bytes = 100,
                                         .id_is_chosen = are_chosen };

        id_of(first + i, arrival.id);
        assert_true(phos__delivery_room(world.delivery) > 0);
        phos__delivery_take(world.delivery, world.now_ms, &arrival);
    }
}

/* Takes n events of ids of their own; returns the number of the first. */
static uint32_t log_events(uint32_t n)
{
    uint32_t first = world.event_count;

    take_events(n, false, first);
    world.event_count += n;
    return first;
}

static void log_chosen(uint32_t event)
{
    take_events(1, true, event);
}

/* Takes feedback on an event, known or not. Returns its number. */
static uint32_t give(uint32_t event)
{
    struct phos__feedback_arrival arrival = { .position = world.position += 100,
                                              .logged_ms = world.now_ms };
    uint32_t number = world.count++;

    id_of(event, arrival.event_id);
    world.given[number].position = arrival.position;
    assert_true(phos__feedback_room(world.feedback) > 0);
    world.number_of[phos__feedback_take(world.feedback, world.now_ms,
                                        &arrival)] = number;
    phos__feedback_read_to(world.feedback, world.position + 100);
    return number;
}

static void take_off(uint64_t request_id, int status)
{
    assert_true(world.flying_count < world.options.in_flight_max);
    world.flying[world.flying_count].request_id = request_id;
    world.flying[world.flying_count].due_ms = world.now_ms + 10;
    world.flying[world.flying_count].status = status;
    world.flying_count++;
}

static bool act_on_events(void)
{
    struct phos__action action;
    bool has_acted = false;

    while (phos__delivery_next(world.delivery, world.now_ms, &action)) {
        has_acted = true;
        if (action.kind == PHOS__ACTION_SEND) {
            world.event_requests++;
            take_off(action.request_id, world.event_status);
            if (world.events_are_silent)
                world.flying[world.flying_count - 1].due_ms = UINT64_MAX;
        } else if (action.kind == PHOS__ACTION_VERDICT) {
            world.event_verdicts++;
            phos__feedback_event_ended(world.feedback, world.now_ms,
                                       action.receipt.id.bytes,
                                       action.receipt.outcome);
        }
    }
    return has_acted;
}

static void send(const struct phos__feedback_action *action)
{
    uint32_t number = world.number_of[action->index];

    assert_int_equal(action->is_repeat, world.given[number].sends > 0);
    world.given[number].sends++;
    world.given[number].last_send_ms = world.now_ms;
    world.sends++;
    world.last_number = number;
    if (++world.feedback_flying > world.feedback_flying_max)
        world.feedback_flying_max = world.feedback_flying;
    take_off(action->request_id,
             world.service
                 ? world.service(&world, number, world.given[number].sends)
                 : 200);
}

static bool act_on_feedback(void)
{
    struct phos__feedback_action action;
    bool has_acted = false;

    while (phos__feedback_next(world.feedback, world.now_ms, &action)) {
        has_acted = true;
        if (action.kind == PHOS__FEEDBACK_SEND)
            send(&action);
        world.cancels += action.kind == PHOS__FEEDBACK_CANCEL;
        if (action.kind == PHOS__FEEDBACK_STATE) {
            world.state = action.state;
            world.state_count++;
        }
    }
    return has_acted;
}

static void check(void)
{
    const phos_feedback_ledger *all = ledger();
    uint64_t reasons = 0;

    for (unsigned i = 0; i < PHOS_REASON_SLOTS; i++)
        reasons += all->by_reason[i];
    assert_int_equal(all->accepted, world.count);
    assert_int_equal(all->accepted, all->delivered + all->refused +
                                        all->dropped + all->unknown +
                                        all->pending);
    assert_int_equal(reasons, all->refused + all->dropped + all->unknown);
    assert_true(world.flying_count <= world.options.in_flight_max);
}

static void act(void)
{
    bool acts;

    do {
        acts = act_on_events();
        acts |= act_on_feedback();
    } while (acts);
    check();
}

static void land(uint32_t i)
{
    int status = world.flying[i].status;
    struct phos__answer answer = {
        .request_id = world.flying[i].request_id,
        .exchange =
            status < 0 ? (phos_exchange)-status : PHOS_EXCHANGE_ANSWERED,
        .http_status = status < 0 ? 0 : status,
        .body = PHOS__BODY_JSON,
        .has_retry_after = world.retry_after_ms > 0,
        .retry_after_ms = world.retry_after_ms,
    };

    world.flying[i] = world.flying[--world.flying_count];
    if (answer.request_id & PHOS__FEEDBACK_REQUEST) {
        world.feedback_flying--;
        phos__feedback_answer(world.feedback, world.now_ms, next_random(),
                              &answer);
    } else {
        phos__delivery_answer(world.delivery, world.now_ms, next_random(),
                              &answer);
    }
}

static uint64_t next_due_ms(void)
{
    uint64_t due_ms = phos__delivery_due_ms(world.delivery);
    uint64_t feedback_ms = phos__feedback_due_ms(world.feedback);

    due_ms = feedback_ms < due_ms ? feedback_ms : due_ms;
    for (uint32_t i = 0; i < world.flying_count; i++)
        if (world.flying[i].due_ms < due_ms)
            due_ms = world.flying[i].due_ms;
    return due_ms;
}

/* Goes on until `ms` have passed, through every answer and timer. */
static void run(uint64_t ms)
{
    uint64_t end_ms = world.now_ms + ms;
    uint32_t idle = 0;

    act();
    while (next_due_ms() <= end_ms) {
        uint64_t due_ms = next_due_ms();

        /* A machine that asks for a turn and has nothing to do in it spins. */
        idle = due_ms > world.now_ms ? 0 : idle + 1;
        assert_true(idle < 10);
        world.now_ms = due_ms > world.now_ms ? due_ms : world.now_ms;
        for (uint32_t i = world.flying_count; i-- > 0;)
            if (world.flying[i].due_ms <= world.now_ms)
                land(i);
        act();
    }
    world.now_ms = end_ms;
}

/* ---- services ---- */

static int first_statuses[8]; /* of the sends of each; 0: 200 */

static int scripted(struct world *w, uint32_t number, uint32_t count)
{
    (void)w;
    (void)number;
    return count <= 8 && first_statuses[count - 1] ? first_statuses[count - 1]
                                                   : 200;
}

static int fixed_status;

static int always(struct world *w, uint32_t number, uint32_t count)
{
    (void)w;
    (void)number;
    (void)count;
    return fixed_status;
}

static int first_one_only(struct world *w, uint32_t number, uint32_t count)
{
    (void)w;
    (void)count;
    return number == 0 ? fixed_status : 200;
}

static void script(int first, int second, int third)
{
    memset(first_statuses, 0, sizeof(first_statuses));
    first_statuses[0] = first;
    first_statuses[1] = second;
    first_statuses[2] = third;
    world.service = scripted;
}

/* ---- the event comes first ---- */

static void feedback_waits_for_the_verdict_of_its_event(void **state)
{
    (void)state;
    open_world();
    world.events_are_silent = true;
    give(log_events(1));
    run(5000);
    assert_int_equal(world.event_requests, 1);
    assert_int_equal(world.sends, 0);
    world.flying[0].due_ms = world.now_ms;
    run(100);
    assert_int_equal(world.event_verdicts, 1);
    assert_int_equal(world.sends, 1);
    assert_int_equal(ledger()->delivered, 1);
    close_world();
}

static void feedback_waits_while_its_batch_lingers(void **state)
{
    struct phos__delivery_options options = default_options();

    (void)state;
    options.linger_ms = 60000;
    open_with(&options);
    give(log_events(1));
    run(50000);
    assert_int_equal(world.event_requests + world.sends, 0);
    run(20000);
    assert_int_equal(ledger()->delivered, 1);
    close_world();
}

static void feedback_on_a_refused_event_is_dropped(void **state)
{
    (void)state;
    open_world();
    world.event_status = 422;
    log_chosen(77);
    give(77); /* before its verdict … */
    run(1000);
    assert_int_equal(world.event_verdicts, 1);
    give(77); /* … and long after it */
    run(1000);
    assert_int_equal(world.sends, 0);
    assert_int_equal(ledger()->dropped, 2);
    assert_int_equal(ledger()->by_reason[PHOS_REASON_EVENT_LOST], 2);

    /* The same event once more, and this time it arrives. */
    world.event_status = 201;
    log_chosen(77);
    give(77);
    run(1000);
    give(77);
    run(1000);
    assert_int_equal(ledger()->delivered, 2);
    close_world();
}

static void feedback_on_an_event_that_may_have_arrived_is_sent(void **state)
{
    struct phos__delivery_options options = default_options();

    (void)state;
    options.age_max_ms = 1000;
    open_with(&options);
    world.event_status = -PHOS_EXCHANGE_BROKEN;
    log_events(1);
    run(500);
    give(0);
    run(3000);
    assert_int_equal(phos__delivery_ledger(world.delivery)->unknown, 1);
    assert_int_equal(world.sends, 1);
    assert_int_equal(ledger()->delivered, 1);
    close_world();
}

static void feedback_on_a_strange_event_is_sent_at_once(void **state)
{
    (void)state;
    open_world();
    world.events_are_silent = true;
    log_events(3);
    give(4711);
    act();
    assert_int_equal(world.sends, 1);
    run(100);
    assert_int_equal(ledger()->delivered, 1);
    close_world();
}

/* The second of one id is told a duplicate while the first has no verdict. */
static void a_duplicate_is_waited_for_like_the_first(void **state)
{
    (void)state;
    open_world();
    world.events_are_silent = true;
    log_chosen(77);
    give(77); /* held when the verdict of the second comes … */
    run(1);
    log_chosen(77);
    give(77); /* … and after it */
    run(1000);
    assert_int_equal(phos__delivery_ledger(world.delivery)->duplicate, 1);
    assert_int_equal(world.sends, 0);
    world.flying[0].due_ms = world.now_ms;
    run(100);
    assert_int_equal(ledger()->delivered, 2);
    log_chosen(77);
    give(77);
    run(100);
    assert_int_equal(ledger()->delivered, 3);
    close_world();
}

/* Its event may be in a log call that was stopped in front of it. */
static void feedback_waits_until_what_is_before_it_has_been_read(void **state)
{
    (void)state;
    open_world();
    give(world.event_count); /* the next event to be told of */
    phos__feedback_read_to(world.feedback, world.given[0].position);
    run(1000);
    assert_int_equal(world.sends, 0);
    world.event_status = 422;
    log_events(1);
    phos__feedback_read_to(world.feedback, world.given[0].position + 8);
    run(1000);
    assert_int_equal(ledger()->by_reason[PHOS_REASON_EVENT_LOST], 1);
    close_world();
}

static void feedback_on_one_event_goes_in_its_order(void **state)
{
    (void)state;
    open_world();
    script(500, 404, 0);
    for (uint32_t i = 0; i < 5; i++)
        give(4711);
    for (uint32_t i = 0; i < 5; i++) {
        while (ledger()->delivered == i) {
            assert_true(world.feedback_flying <= 1);
            run(1);
            assert_int_equal(world.last_number,
                             ledger()->delivered == i ? i : world.last_number);
        }
    }
    assert_int_equal(world.sends, 15);
    close_world();
}

/* ---- answers ---- */

static void an_event_that_is_not_stored_yet_is_asked_for_again(void **state)
{
    (void)state;
    open_world();
    script(404, 404, 0);
    give(log_events(1));
    run(1);
    run(3000);
    assert_int_equal(world.sends, 3);
    assert_int_equal(ledger()->delivered, 1);
    assert_int_equal(world.state_count, 0);
    close_world();
}

static void an_event_that_never_appears_ends_patience(void **state)
{
    (void)state;
    open_world();
    fixed_status = 404;
    world.service = always;
    give(4711);
    run(PHOS__FEEDBACK_UNKNOWN_MS_MAX);
    assert_int_equal(world.sends, PHOS__FEEDBACK_UNKNOWN_MAX);
    assert_int_equal(ledger()->refused, 1);
    assert_int_equal(ledger()->by_reason[PHOS_REASON_EVENT_UNKNOWN], 1);
    close_world();
}

static void patience_ends_by_time_too(void **state)
{
    struct phos__delivery_options options = default_options();

    (void)state;
    options.retry_base_ms = 30000;
    open_with(&options);
    fixed_status = 404;
    world.service = always;
    give(4711);
    run(PHOS__FEEDBACK_UNKNOWN_MS_MAX + 30000);
    assert_true(world.sends < PHOS__FEEDBACK_UNKNOWN_MAX);
    assert_int_equal(ledger()->by_reason[PHOS_REASON_EVENT_UNKNOWN], 1);
    close_world();
}

static void what_the_service_does_not_take_is_refused_at_once(void **state)
{
    static const struct {
        int status;
        phos_reason reason;
    } rows[] = { { 400, PHOS_REASON_INVALID },
                 { 422, PHOS_REASON_INVALID },
                 { 409, PHOS_REASON_INVALID },
                 { 413, PHOS_REASON_TOO_LARGE } };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        open_world();
        fixed_status = rows[i].status;
        world.service = first_one_only;
        give(1);
        give(2);
        run(100);
        assert_int_equal(world.sends, 2);
        assert_int_equal(ledger()->refused, 1);
        assert_int_equal(ledger()->by_reason[rows[i].reason], 1);
        assert_int_equal(ledger()->delivered, 1);
        close_world();
    }
}

static void what_failed_is_sent_again(void **state)
{
    static const int statuses[] = { 500,
                                    503,
                                    429,
                                    408,
                                    -PHOS_EXCHANGE_BROKEN,
                                    -PHOS_EXCHANGE_NOT_SENT,
                                    -PHOS_EXCHANGE_STALLED,
                                    -PHOS_EXCHANGE_CANCELLED };

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        open_world();
        script(statuses[i], statuses[i], 0);
        give(1);
        run(60000);
        assert_int_equal(world.sends, 3);
        assert_int_equal(ledger()->delivered, 1);
        close_world();
    }
}

static void the_services_wish_is_kept(void **state)
{
    (void)state;
    open_world();
    script(429, 0, 0);
    world.retry_after_ms = 20000;
    give(1);
    run(15);
    give(2); /* it holds for all feedback */
    run(19000);
    assert_int_equal(world.sends, 1);
    run(2000);
    assert_int_equal(ledger()->delivered, 1);
    close_world();
}

/* ---- nothing succeeds ---- */

static void an_outage_is_probed_by_one_at_a_time(void **state)
{
    (void)state;
    open_world();
    fixed_status = 500;
    world.service = always;
    for (uint32_t i = 0; i < 100; i++)
        give(i);
    run(600000);
    assert_int_equal(world.state, PHOS_STATE_OUTAGE);
    /* 250 ms, doubling to 30 s: about one in 15 s then. */
    assert_in_range(world.sends, 20, 120);
    assert_int_equal(ledger()->pending, 100);
    world.service = NULL;
    run(31000);
    assert_int_equal(world.state, PHOS_STATE_RUNNING);
    assert_int_equal(ledger()->delivered, 100);
    close_world();
}

static void a_refused_configuration_is_no_age_and_a_key_ends_it(void **state)
{
    static const int statuses[] = { 401, 403, 405, 302,
                                    -PHOS_EXCHANGE_REFUSED };

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        open_world();
        fixed_status = statuses[i];
        world.service = always;
        for (uint32_t k = 0; k < 10; k++)
            give(k);
        run(60000);
        assert_int_equal(world.state, PHOS_STATE_CONFIG);
        assert_int_equal(phos__feedback_state(world.feedback),
                         PHOS_STATE_CONFIG);
        /* Two under way at first; then 1, 2, 4 … 32 s. */
        assert_int_equal(world.sends, 2 + 5);
        run(5 * world.options.age_max_ms);
        assert_int_equal(ledger()->pending, 10);
        world.service = NULL;
        phos__feedback_reconfigured(world.feedback, world.now_ms);
        run(100);
        assert_int_equal(world.state, PHOS_STATE_RUNNING);
        assert_int_equal(ledger()->delivered, 10);
        close_world();
    }
}

static void a_pause_is_told_no_more_than_once_in_a_while(void **state)
{
    (void)state;
    open_world();
    fixed_status = 401;
    world.service = always;
    give(1);
    run(50);
    assert_int_equal(world.state_count, 1);
    world.service = NULL;
    phos__feedback_reconfigured(world.feedback, world.now_ms);
    run(50);
    assert_int_equal(world.state_count, 2);
    world.service = always;
    give(2);
    run(50);
    assert_int_equal(phos__feedback_state(world.feedback), PHOS_STATE_CONFIG);
    assert_int_equal(world.state_count, 2);
    /* At its time, and not with the next probe. */
    run(PHOS__FEEDBACK_TELL_GAP_MS - 100);
    assert_int_equal(world.state_count, 3);
    assert_int_equal(world.state, PHOS_STATE_CONFIG);
    close_world();
}

/* What is wrong with feedback alone is not delivery's affair. */
static void events_go_on_while_feedback_is_refused(void **state)
{
    (void)state;
    open_world();
    fixed_status = 405;
    world.service = always;
    give(4711);
    run(1000);
    log_events(250);
    run(1000);
    assert_int_equal(phos__delivery_state(world.delivery), PHOS_STATE_RUNNING);
    assert_int_equal(world.event_verdicts, 250);
    assert_int_equal(world.event_requests, 3);
    close_world();
}

static void feedback_waits_while_delivery_waits(void **state)
{
    static const int statuses[] = { 401, -PHOS_EXCHANGE_NOT_SENT };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        open_world();
        world.event_status = statuses[i];
        log_events(2);
        run(100);
        assert_int_not_equal(phos__delivery_state(world.delivery),
                             PHOS_STATE_RUNNING);
        give(4711);
        run(300000);
        assert_int_equal(world.sends, 0);
        world.event_status = 201;
        run(61000);
        assert_int_equal(ledger()->delivered, 1);
        close_world();
    }
}

static void an_outage_without_events_is_ended_by_feedback(void **state)
{
    struct phos__delivery_options options = default_options();

    (void)state;
    options.age_max_ms = 10000;
    open_with(&options);
    world.event_status = -PHOS_EXCHANGE_NOT_SENT;
    log_events(1);
    run(20000);
    assert_int_equal(phos__delivery_ledger(world.delivery)->dropped, 1);
    assert_int_equal(phos__delivery_state(world.delivery), PHOS_STATE_OUTAGE);
    give(4711);
    give(4712);
    run(9000);
    assert_int_equal(ledger()->delivered, 2);
    assert_int_equal(phos__delivery_state(world.delivery), PHOS_STATE_RUNNING);
    close_world();
}

static void feedback_that_always_fails_is_refused(void **state)
{
    (void)state;
    open_world();
    fixed_status = 500;
    world.service = first_one_only;
    give(1);
    for (uint32_t i = 0; i < 400 && ledger()->refused == 0; i++) {
        give(1000 + i);
        run(1000);
    }
    assert_int_equal(ledger()->by_reason[PHOS_REASON_POISON], 1);
    assert_in_range(world.given[0].sends, PHOS__FEEDBACK_POISON_FAILURES,
                    PHOS__FEEDBACK_POISON_FAILURES + 8);
    close_world();
}

/* ---- sharing ---- */

static void events_and_feedback_take_turns(void **state)
{
    struct phos__delivery_options options = default_options();

    (void)state;
    options.in_flight_max = 1;
    options.batch_events_max = 1;
    open_with(&options);
    for (uint32_t i = 0; i < 12; i++)
        give(1000 + i);
    log_events(12);
    run(20 * 10 - 5);
    assert_in_range(world.event_requests, 9, 11);
    assert_in_range(world.sends, 9, 11);
    run(1000);
    assert_int_equal(world.event_verdicts, 12);
    assert_int_equal(ledger()->delivered, 12);
    close_world();
}

static void feedback_leaves_half_of_the_requests_to_events(void **state)
{
    (void)state;
    open_world();
    for (uint32_t i = 0; i < 100; i++)
        give(1000 + i);
    run(10000);
    assert_int_equal(ledger()->delivered, 100);
    assert_int_equal(world.feedback_flying_max, 2);
    close_world();
}

static void feedback_counts_as_an_event_for_the_pace(void **state)
{
    struct phos__delivery_options options = default_options();

    (void)state;
    options.events_per_minute = 60;
    options.batch_events_max = 1;
    open_with(&options);
    for (uint32_t i = 0; i < 200; i++)
        give(1000 + i);
    log_events(15);
    run(20000);
    /* One a second, and one at once; by turns while there are both. */
    assert_in_range(world.sends, 9, 12);
    assert_in_range(world.event_requests, 9, 12);
    run(40000);
    assert_int_equal(world.event_verdicts, 15);
    assert_in_range(world.sends + world.event_requests, 59, 62);
    close_world();
}

/* Tokens for a full batch would never be there if feedback took each one. */
static void feedback_does_not_starve_a_full_batch_of_tokens(void **state)
{
    struct phos__delivery_options options = default_options();

    (void)state;
    options.events_per_minute = 600;
    options.linger_ms = 500;
    open_with(&options);
    log_events(100);
    run(1000);
    for (uint32_t i = 0; i < 400; i++)
        give(1000 + i);
    log_events(100);
    run(25000);
    assert_int_equal(world.event_verdicts, 200);
    close_world();
}

/* ---- the end ---- */

static void old_feedback_is_given_up(void **state)
{
    (void)state;
    open_world();
    fixed_status = -PHOS_EXCHANGE_NOT_SENT;
    world.service = first_one_only;
    give(1);
    run(world.options.age_max_ms + 60000);
    assert_int_equal(ledger()->dropped, 1);
    assert_int_equal(ledger()->by_reason[PHOS_REASON_AGE], 1);
    close_world();

    open_world();
    fixed_status = 500;
    world.service = always;
    give(1);
    run(world.options.age_max_ms + 60000);
    assert_int_equal(ledger()->unknown, 1);
    close_world();
}

static void giving_up_tells_what_may_have_arrived(void **state)
{
    (void)state;
    open_world();
    world.events_are_silent = true;
    give(log_events(1));
    give(4711);
    give(4712);
    give(4713);
    act();
    assert_int_equal(world.feedback_flying, 2);
    phos__feedback_give_up(world.feedback);
    act();
    assert_int_equal(world.cancels, 2);
    assert_int_equal(ledger()->unknown, 2);
    assert_int_equal(ledger()->dropped, 2);
    assert_int_equal(ledger()->by_reason[PHOS_REASON_CLOSED], 4);
    assert_int_equal(phos__delivery_in_flight(world.delivery), 1);
    phos__feedback_drop(world.feedback, PHOS_REASON_DAMAGED);
    world.count++;
    check();
    close_world();
}

static void the_oldest_position_is_known(void **state)
{
    (void)state;
    open_world();
    assert_true(phos__feedback_oldest(world.feedback) == UINT64_MAX);
    script(500, 0, 0);
    give(1);
    give(2);
    assert_true(phos__feedback_oldest(world.feedback) ==
                world.given[0].position);
    run(60000);
    assert_true(phos__feedback_oldest(world.feedback) == UINT64_MAX);
    assert_true(phos__feedback_due_ms(world.feedback) == UINT64_MAX);
    close_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(feedback_waits_for_the_verdict_of_its_event),
        cmocka_unit_test(feedback_waits_while_its_batch_lingers),
        cmocka_unit_test(feedback_on_a_refused_event_is_dropped),
        cmocka_unit_test(feedback_on_an_event_that_may_have_arrived_is_sent),
        cmocka_unit_test(feedback_on_a_strange_event_is_sent_at_once),
        cmocka_unit_test(a_duplicate_is_waited_for_like_the_first),
        cmocka_unit_test(feedback_waits_until_what_is_before_it_has_been_read),
        cmocka_unit_test(feedback_on_one_event_goes_in_its_order),
        cmocka_unit_test(an_event_that_is_not_stored_yet_is_asked_for_again),
        cmocka_unit_test(an_event_that_never_appears_ends_patience),
        cmocka_unit_test(patience_ends_by_time_too),
        cmocka_unit_test(what_the_service_does_not_take_is_refused_at_once),
        cmocka_unit_test(what_failed_is_sent_again),
        cmocka_unit_test(the_services_wish_is_kept),
        cmocka_unit_test(an_outage_is_probed_by_one_at_a_time),
        cmocka_unit_test(a_refused_configuration_is_no_age_and_a_key_ends_it),
        cmocka_unit_test(a_pause_is_told_no_more_than_once_in_a_while),
        cmocka_unit_test(events_go_on_while_feedback_is_refused),
        cmocka_unit_test(feedback_waits_while_delivery_waits),
        cmocka_unit_test(an_outage_without_events_is_ended_by_feedback),
        cmocka_unit_test(feedback_that_always_fails_is_refused),
        cmocka_unit_test(events_and_feedback_take_turns),
        cmocka_unit_test(feedback_leaves_half_of_the_requests_to_events),
        cmocka_unit_test(feedback_counts_as_an_event_for_the_pace),
        cmocka_unit_test(feedback_does_not_starve_a_full_batch_of_tokens),
        cmocka_unit_test(old_feedback_is_given_up),
        cmocka_unit_test(giving_up_tells_what_may_have_arrived),
        cmocka_unit_test(the_oldest_position_is_known),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
