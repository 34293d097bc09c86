/* Feedback among events, from the call to the service. */
#define _GNU_SOURCE

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/child.h"
#include "client/witness.h"
#include "harness/fault_server.h"

enum { PATIENT_MS = 20000 };

static const phos_str none = { NULL, 0 };

struct world {
    struct witness witness;
    struct fault_server *server;
    phos_client *client;
    phos_event_id ids[256];
    unsigned event_count;

    /* of the service */
    atomic_int event_status;         /* 0: 201 */
    atomic_int feedback_statuses[8]; /* of the first with feedback; 0: below */
    atomic_int feedback_status;      /* of all others; 0: 200 */
    atomic_uint feedback_requests;
    atomic_bool feedback_stalls;
};

static struct world world;

static void answer(void *user_data, const struct fault_request *request,
                   struct fault_plan *plan)
{
    int status = world.event_status;
    unsigned number;

    (void)user_data;
    if (!request->feedback) {
        plan->status = status ? status : 201;
        return;
    }
    number = world.feedback_requests++;
    status = number < 8 ? world.feedback_statuses[number] : 0;
    if (!status)
        status = world.feedback_status;
    plan->status = status ? status : 200;
    plan->stall =
        world.feedback_stalls ? FAULT_STALL_BEFORE_STATUS : FAULT_STALL_NONE;
}

static phos_options start_world(void)
{
    const struct fault_options server = { .answer = answer };
    phos_options options;

    memset(&world, 0, sizeof(world));
    witness_init(&world.witness);
    world.server = fault_server_start(&server);
    assert_non_null(world.server);
    options = witness_options(&world.witness, fault_server_url(world.server));
    options.ring_bytes = 1 << 20;
    return options;
}

static void open_world(const phos_options *options)
{
    assert_int_equal(phos_client_open(options, &world.client), PHOS_OK);
}

static void open_plain_world(void)
{
    phos_options options = start_world();

    open_world(&options);
}

static phos_event_id *log_one(void)
{
    phos_event event = witness_event(world.event_count);
    phos_event_id *id = &world.ids[world.event_count++];

    assert_int_equal(phos_client_log(world.client, &event, id), PHOS_OK);
    return id;
}

static void give(const phos_event_id *id)
{
    assert_int_equal(
        phos_client_feedback(world.client, id, PHOS_FLAG_SUCCESS, none, none),
        PHOS_OK);
}

static void flush(phos_status want)
{
    assert_int_equal(
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, PATIENT_MS),
        want);
}

static phos_feedback_ledger ledger_now(void)
{
    phos_stats stats = { .struct_size = sizeof(stats) };

    assert_int_equal(phos_client_stats(world.client, &stats), PHOS_OK);
    return stats.feedback;
}

static void assert_feedback_adds_up(const phos_feedback_ledger *ledger)
{
    uint64_t reasons = 0;

    for (unsigned i = 0; i < PHOS_REASON_SLOTS; i++)
        reasons += ledger->by_reason[i];
    assert_int_equal(ledger->accepted, ledger->delivered + ledger->refused +
                                           ledger->dropped + ledger->unknown +
                                           ledger->pending);
    assert_int_equal(reasons,
                     ledger->refused + ledger->dropped + ledger->unknown);
}

static phos_close_report end_world(uint32_t timeout_ms, phos_status want)
{
    phos_close_report report;

    assert_int_equal(phos_client_close(world.client, timeout_ms, &report),
                     want);
    assert_adds_up(&report.ledger);
    assert_feedback_adds_up(&report.feedback);
    assert_int_equal(report.feedback.pending, 0);
    assert_int_equal(report.ledger.accepted, world.event_count);
    phos_client_free(world.client);
    fault_server_free(world.server);
    witness_deinit(&world.witness);
    return report;
}

/* ---- after its event ---- */

static void feedback_arrives_after_its_event(void **state)
{
    phos_options options = start_world();
    char id[PHOS_EVENT_ID_TEXT_LENGTH + 1];
    json_t *stored, *one;
    phos_close_report report;

    (void)state;
    options.linger_ms = 300; /* the batch is still open at the next call */
    open_world(&options);
    phos_event_id_to_text(log_one(), id);
    assert_int_equal(
        phos_client_feedback(world.client, &world.ids[0], PHOS_FLAG_FAILURE,
                             PHOS_STR("too short"), PHOS_STR("judge")),
        PHOS_OK);
    give(&world.ids[0]);
    assert_true(fault_server_wait_feedback(world.server, 2));

    stored = fault_server_feedback(world.server);
    one = json_pack("{s:s, s:s, s:s, s:s}", "event_id", id, "flag", "failure",
                    "comment", "too short", "source", "judge");
    assert_true(json_equal(json_array_get(stored, 0), one));
    json_decref(one);
    one = json_pack("{s:s, s:s, s:s}", "event_id", id, "flag", "success",
                    "source", "user");
    assert_true(json_equal(json_array_get(stored, 1), one));
    json_decref(one);
    json_decref(stored);
    assert_int_equal(fault_server_early_feedback(world.server), 0);
    assert_string_equal(fault_server_request(world.server, 1).path,
                        "/api/feedback");
    report = end_world(PATIENT_MS, PHOS_OK);
    assert_int_equal(report.feedback.accepted, 2);
    assert_int_equal(report.feedback.delivered, 2);
    assert_int_equal(report.ledger.delivered, 1);
}

static void a_flush_waits_for_feedback_too(void **state)
{
    (void)state;
    open_plain_world();
    for (unsigned i = 0; i < 200; i++) {
        log_one();
        give(&world.ids[i / 2]);
    }
    flush(PHOS_OK);
    assert_int_equal(ledger_now().delivered, 200);
    assert_int_equal(ledger_now().pending, 0);
    assert_int_equal(fault_server_early_feedback(world.server), 0);
    end_world(PATIENT_MS, PHOS_OK);
}

static void feedback_on_a_refused_event_never_leaves(void **state)
{
    phos_close_report report;

    (void)state;
    open_plain_world();
    world.event_status = 422;
    give(log_one());
    flush(PHOS_OK);
    give(&world.ids[0]);
    report = end_world(PATIENT_MS, PHOS_OK);
    assert_int_equal(world.feedback_requests, 0);
    assert_int_equal(report.feedback.dropped, 2);
    assert_int_equal(report.feedback.by_reason[PHOS_REASON_EVENT_LOST], 2);
    assert_int_equal(report.ledger.refused, 1);
}

static bool keep_none(phos_event *event, void *user_data)
{
    (void)event;
    (void)user_data;
    return false;
}

static void feedback_on_an_event_that_is_not_sent_never_leaves(void **state)
{
    phos_options options = start_world();
    phos_close_report report;

    (void)state;
    options.before_send = keep_none;
    open_world(&options);
    give(log_one());
    flush(PHOS_OK);
    give(&world.ids[0]);
    report = end_world(PATIENT_MS, PHOS_OK);
    assert_int_equal(world.feedback_requests, 0);
    assert_int_equal(report.feedback.by_reason[PHOS_REASON_EVENT_LOST], 2);
    assert_int_equal(report.ledger.by_reason[PHOS_REASON_BEFORE_SEND], 1);
}

static void feedback_on_a_strange_event_needs_no_event(void **state)
{
    phos_event_id id = { { 1, 2, 3 } };
    phos_close_report report;

    (void)state;
    open_plain_world();
    give(&id);
    report = end_world(PATIENT_MS, PHOS_OK);
    assert_int_equal(report.feedback.delivered, 1);
    assert_int_equal(world.feedback_requests, 1);
}

/* ---- answers ---- */

static void an_event_that_is_not_stored_yet_is_asked_for_again(void **state)
{
    phos_close_report report;

    (void)state;
    open_plain_world();
    world.feedback_statuses[0] = world.feedback_statuses[1] = 404;
    give(log_one());
    flush(PHOS_OK);
    report = end_world(PATIENT_MS, PHOS_OK);
    assert_int_equal(report.feedback.delivered, 1);
    assert_int_equal(world.feedback_requests, 3);
}

static void an_event_that_never_appears_ends_patience(void **state)
{
    phos_event_id id = { { 1, 2, 3 } };
    phos_close_report report;

    (void)state;
    open_plain_world();
    world.feedback_status = 404;
    give(&id);
    flush(PHOS_OK);
    report = end_world(PATIENT_MS, PHOS_OK);
    assert_int_equal(report.feedback.refused, 1);
    assert_int_equal(report.feedback.by_reason[PHOS_REASON_EVENT_UNKNOWN], 1);
    assert_in_range(world.feedback_requests, 2, 8);
}

static void what_fails_is_sent_again(void **state)
{
    static const int statuses[] = { 500, 503, 429, 502, 408 };
    phos_close_report report;

    (void)state;
    open_plain_world();
    for (unsigned i = 0; i < 5; i++)
        world.feedback_statuses[i] = statuses[i];
    give(log_one());
    flush(PHOS_OK);
    report = end_world(PATIENT_MS, PHOS_OK);
    assert_int_equal(report.feedback.delivered, 1);
    assert_int_equal(world.feedback_requests, 6);
}

static void what_is_not_taken_is_refused_and_the_rest_goes_on(void **state)
{
    phos_close_report report;

    (void)state;
    open_plain_world();
    world.feedback_statuses[0] = 400;
    world.feedback_statuses[1] = 422;
    for (unsigned i = 0; i < 5; i++)
        give(log_one());
    report = end_world(PATIENT_MS, PHOS_OK);
    assert_int_equal(report.feedback.refused, 2);
    assert_int_equal(report.feedback.by_reason[PHOS_REASON_INVALID], 2);
    assert_int_equal(report.feedback.delivered, 3);
    assert_int_equal(report.ledger.delivered, 5);
}

static void a_new_key_lets_feedback_through(void **state)
{
    phos_stats stats = { .struct_size = sizeof(stats) };
    phos_close_report report;

    (void)state;
    open_plain_world();
    log_one();
    flush(PHOS_OK);
    world.feedback_statuses[0] = 401;
    give(&world.ids[0]);
    flush(PHOS_E_CONFIG);
    assert_int_equal(phos_client_stats(world.client, &stats), PHOS_OK);
    assert_int_equal(stats.state, PHOS_STATE_CONFIG);
    assert_true(witness_heard(&world.witness, "feedback is refused (HTTP 401"));
    log_one(); /* which a flush waits for all the same */
    flush(PHOS_E_CONFIG);
    assert_int_equal(phos_client_stats(world.client, &stats), PHOS_OK);
    assert_int_equal(stats.ledger.delivered, 2);
    assert_int_equal(phos_client_set_api_key(world.client, PHOS_STR("ph_new")),
                     PHOS_OK);
    flush(PHOS_OK);
    assert_true(witness_heard(&world.witness, "feedback is delivered again"));
    report = end_world(PATIENT_MS, PHOS_OK);
    assert_int_equal(report.feedback.delivered, 1);
    assert_int_equal(world.feedback_requests, 2);
}

/* ---- close ---- */

static void close_without_time_gives_up_feedback_and_says_so(void **state)
{
    phos_close_report report;

    (void)state;
    open_plain_world();
    world.feedback_stalls = true;
    for (unsigned i = 0; i < 20; i++)
        give(log_one());
    while (ledger_now().accepted < 20 || world.feedback_requests < 2)
        sched_yield();
    report = end_world(0, PHOS_E_TIMEOUT);
    assert_int_equal(report.feedback.accepted, 20);
    assert_int_equal(report.feedback.delivered, 0);
    assert_int_equal(report.feedback.unknown, 2);
    assert_int_equal(report.feedback.by_reason[PHOS_REASON_CLOSED], 20);
}

static void close_waits_for_feedback(void **state)
{
    phos_close_report report;

    (void)state;
    open_plain_world();
    for (unsigned i = 0; i < 100; i++)
        give(log_one());
    report = end_world(PATIENT_MS, PHOS_OK);
    assert_int_equal(report.feedback.delivered, 100);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool is_held;

static void hold_worker(const phos_receipt *receipts, size_t count,
                        void *user_data)
{
    (void)receipts;
    (void)count;
    (void)user_data;
    atomic_store(&is_held, true);
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

/* The kinds are counted apart although nobody has read them. */
static void a_stuck_worker_does_not_mix_the_ledgers(void **state)
{
    phos_options options = start_world();
    phos_close_report report;

    (void)state;
    options.on_receipts = hold_worker;
    atomic_store(&is_held, false);
    open_world(&options);
    pthread_mutex_lock(&gate);
    log_one();
    while (!atomic_load(&is_held))
        sched_yield();
    for (unsigned i = 0; i < 30; i++)
        give(log_one());
    give(&world.ids[0]);
    assert_int_equal(phos_client_close(world.client, 10, &report),
                     PHOS_E_TIMEOUT);
    assert_adds_up(&report.ledger);
    assert_feedback_adds_up(&report.feedback);
    assert_int_equal(report.ledger.accepted, 31);
    assert_int_equal(report.feedback.accepted, 31);
    assert_int_equal(report.feedback.by_reason[PHOS_REASON_CLOSED], 31);
    pthread_mutex_unlock(&gate);
    phos_client_free(world.client);
    fault_server_free(world.server);
    witness_deinit(&world.witness);
}

/* ---- too much ---- */

static void a_burst_waits_in_the_ring_and_events_go_on(void **state)
{
    enum { COUNT = 3000 };
    phos_event_id id = { { 9 } };
    phos_close_report report;
    phos_stats stats = { .struct_size = sizeof(stats) };

    (void)state;
    open_plain_world();
    world.feedback_status = 503;
    for (uint32_t i = 0; i < COUNT; i++) {
        memcpy(id.bytes + 4, &i, sizeof(i));
        give(&id);
    }
    log_one();
    do /* far behind feedback that does not get through */
        assert_int_equal(phos_client_stats(world.client, &stats), PHOS_OK);
    while (stats.ledger.delivered < 1);
    assert_int_equal(stats.feedback.delivered, 0);
    assert_int_equal(stats.feedback.accepted, COUNT);
    assert_int_equal(stats.feedback.pending, COUNT);
    world.feedback_status = 0;
    report = end_world(PATIENT_MS, PHOS_OK);
    assert_int_equal(report.feedback.delivered, COUNT);
}

static void feedback_that_holds_up_events_is_given_up(void **state)
{
    enum { FEEDBACK = 2000, ROUNDS = 4000 };
    phos_options options = start_world();
    static char text[1500];
    phos_event_id id = { { 9 } };
    phos_close_report report;
    phos_event event = witness_event(0);
    uint64_t accepted = 0;

    (void)state;
    memset(text, 'x', sizeof(text));
    event.output = phos_str_make(text, sizeof(text));
    event.cookie = WITNESS_COOKIES;
    options.full_wait_ms = PATIENT_MS;
    open_world(&options);
    world.feedback_status = 503;
    for (uint32_t i = 0; i < FEEDBACK; i++) {
        memcpy(id.bytes + 4, &i, sizeof(i));
        give(&id);
    }
    for (unsigned i = 0; i < ROUNDS; i++) /* several times the ring */
        accepted += phos_client_log(world.client, &event, NULL) == PHOS_OK;
    assert_int_equal(accepted, ROUNDS);
    while (ledger_now().by_reason[PHOS_REASON_CROWDED] < FEEDBACK - 512)
        sched_yield();
    world.feedback_status = 0;
    world.event_count = ROUNDS;
    report = end_world(PATIENT_MS, PHOS_OK);
    assert_int_equal(report.ledger.delivered, ROUNDS);
    assert_int_equal(report.feedback.delivered, 512);
    assert_int_equal(report.feedback.by_reason[PHOS_REASON_CROWDED],
                     FEEDBACK - 512);
}

static void a_full_ring_rejects_feedback_and_counts_it(void **state)
{
    phos_options options = start_world();
    static char text[PHOS_FEEDBACK_COMMENT_BYTES_MAX];
    phos_close_report report;
    phos_event_id id = { { 1 } };
    uint64_t accepted = 0;
    phos_status status;

    (void)state;
    memset(text, 'x', sizeof(text));
    options.on_receipts = hold_worker;
    options.event_bytes_max = 8192;
    options.full_wait_ms = 3600000; /* is for events only */
    atomic_store(&is_held, false);
    open_world(&options);
    pthread_mutex_lock(&gate);
    log_one();
    while (!atomic_load(&is_held))
        sched_yield();
    while ((status = phos_client_feedback(world.client, &id, PHOS_FLAG_SUCCESS,
                                          phos_str_make(text, sizeof(text)),
                                          none)) == PHOS_OK)
        accepted++;
    assert_int_equal(status, PHOS_E_FULL);
    assert_in_range(accepted, 200, 256);
    pthread_mutex_unlock(&gate);
    report = end_world(PATIENT_MS, PHOS_OK);
    assert_int_equal(report.feedback.accepted, accepted);
    assert_int_equal(report.feedback_rejected.full, 1);
    assert_int_equal(report.rejected.full, 0);
}

/* ---- who may call ---- */

static void what_is_wrong_is_told_at_the_call(void **state)
{
    static char text[PHOS_FEEDBACK_COMMENT_BYTES_MAX + 1];
    const phos_str lost = { NULL, 1 };
    const phos_str large = { text, sizeof(text) };
    const phos_event_id id = { { 1 } };
    phos_client *client;
    phos_close_report report;

    (void)state;
    open_plain_world();
    client = world.client;
    assert_int_equal(
        phos_client_feedback(NULL, &id, PHOS_FLAG_SUCCESS, none, none),
        PHOS_E_CLOSED);
    assert_int_equal(
        phos_client_feedback(client, NULL, PHOS_FLAG_SUCCESS, none, none),
        PHOS_E_INVALID);
    assert_int_equal(
        phos_client_feedback(client, &id, (phos_flag)0, none, none),
        PHOS_E_INVALID);
    assert_int_equal(
        phos_client_feedback(client, &id, PHOS_FLAG_SUCCESS, lost, none),
        PHOS_E_INVALID);
    assert_int_equal(
        phos_client_feedback(client, &id, PHOS_FLAG_SUCCESS, large, none),
        PHOS_E_TOO_LARGE);
    assert_int_equal(
        phos_client_feedback(client, &id, PHOS_FLAG_SUCCESS, none, large),
        PHOS_E_TOO_LARGE);
    assert_int_equal(phos_client_close(client, PATIENT_MS, NULL), PHOS_OK);
    assert_int_equal(
        phos_client_feedback(client, &id, PHOS_FLAG_SUCCESS, none, none),
        PHOS_E_CLOSED);
    report = end_world(PATIENT_MS, PHOS_OK);
    assert_int_equal(report.feedback.accepted, 0);
    assert_int_equal(report.feedback_rejected.invalid, 3);
    assert_int_equal(report.feedback_rejected.too_large, 2);
    assert_int_equal(report.feedback_rejected.closed, 1);
    assert_int_equal(report.rejected.invalid, 0);
}

static void a_disabled_client_discards_feedback(void **state)
{
    phos_options options = start_world();
    const phos_event_id id = { { 1 } };
    phos_close_report report;

    (void)state;
    options.enabled = false;
    open_world(&options);
    assert_int_equal(
        phos_client_feedback(world.client, &id, PHOS_FLAG_SUCCESS, none, none),
        PHOS_DISCARDED);
    assert_int_equal(phos_client_close(world.client, 0, NULL), PHOS_OK);
    assert_int_equal(
        phos_client_feedback(world.client, &id, PHOS_FLAG_SUCCESS, none, none),
        PHOS_E_CLOSED);
    report = end_world(0, PHOS_OK);
    assert_int_equal(report.discarded.feedback, 1);
    assert_int_equal(report.feedback.accepted, 0);
}

static void a_child_is_told_whose_client_it_is(void **state)
{
    const phos_event_id id = { { 1 } };
    pid_t child;

    (void)state;
    open_plain_world();
    give(log_one());
    child = child_fork();
    assert_true(child >= 0);
    if (child == 0) {
        child_begin();
        CHILD_CHECK(phos_client_feedback(world.client, &id, PHOS_FLAG_SUCCESS,
                                         none, none) == PHOS_E_FORKED);
        _exit(0);
    }
    assert_int_equal(child_wait(child), 0);
    assert_int_equal(end_world(PATIENT_MS, PHOS_OK).feedback.delivered, 1);
}

static void praise(const phos_receipt *receipts, size_t count, void *user_data)
{
    (void)user_data;
    for (size_t i = 0; i < count; i++)
        give(&receipts[i].id);
}

static void a_callback_may_give_feedback(void **state)
{
    phos_options options = start_world();

    (void)state;
    options.on_receipts = praise;
    open_world(&options);
    for (unsigned i = 0; i < 50; i++)
        log_one();
    flush(PHOS_OK);
    flush(PHOS_OK); /* what the callbacks gave came after the first */
    assert_int_equal(fault_server_early_feedback(world.server), 0);
    assert_int_equal(end_world(PATIENT_MS, PHOS_OK).feedback.delivered, 50);
}

static volatile sig_atomic_t given_in_handler;

static void on_signal(int number)
{
    (void)number;
    if (phos_client_feedback(world.client, &world.ids[0], PHOS_FLAG_FAILURE,
                             PHOS_STR("interrupted"), none) == PHOS_OK)
        given_in_handler = given_in_handler + 1;
}

static void a_signal_handler_may_give_feedback(void **state)
{
    struct sigaction action = { .sa_handler = on_signal }, before;

    (void)state;
    open_plain_world();
    log_one();
    given_in_handler = 0;
    sigemptyset(&action.sa_mask);
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(raise(SIGUSR1), 0);
    sigaction(SIGUSR1, &before, NULL);
    assert_int_equal(given_in_handler, 20);
    assert_int_equal(end_world(PATIENT_MS, PHOS_OK).feedback.delivered, 20);
}

static void *give_many(void *argument)
{
    (void)argument;
    for (unsigned i = 0; i < 100; i++)
        give(&world.ids[i]);
    return NULL;
}

static void any_number_of_threads_may_give_feedback(void **state)
{
    pthread_t threads[4];

    (void)state;
    open_plain_world();
    for (unsigned i = 0; i < 100; i++)
        log_one();
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, give_many, NULL), 0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    flush(PHOS_OK);
    assert_int_equal(fault_server_early_feedback(world.server), 0);
    assert_int_equal(end_world(PATIENT_MS, PHOS_OK).feedback.delivered, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(feedback_arrives_after_its_event),
        cmocka_unit_test(a_flush_waits_for_feedback_too),
        cmocka_unit_test(feedback_on_a_refused_event_never_leaves),
        cmocka_unit_test(feedback_on_an_event_that_is_not_sent_never_leaves),
        cmocka_unit_test(feedback_on_a_strange_event_needs_no_event),
        cmocka_unit_test(an_event_that_is_not_stored_yet_is_asked_for_again),
        cmocka_unit_test(an_event_that_never_appears_ends_patience),
        cmocka_unit_test(what_fails_is_sent_again),
        cmocka_unit_test(what_is_not_taken_is_refused_and_the_rest_goes_on),
        cmocka_unit_test(a_new_key_lets_feedback_through),
        cmocka_unit_test(close_without_time_gives_up_feedback_and_says_so),
        cmocka_unit_test(close_waits_for_feedback),
        cmocka_unit_test(a_stuck_worker_does_not_mix_the_ledgers),
        cmocka_unit_test(a_burst_waits_in_the_ring_and_events_go_on),
        cmocka_unit_test(feedback_that_holds_up_events_is_given_up),
        cmocka_unit_test(a_full_ring_rejects_feedback_and_counts_it),
        cmocka_unit_test(what_is_wrong_is_told_at_the_call),
        cmocka_unit_test(a_disabled_client_discards_feedback),
        cmocka_unit_test(a_child_is_told_whose_client_it_is),
        cmocka_unit_test(a_callback_may_give_feedback),
        cmocka_unit_test(a_signal_handler_may_give_feedback),
        cmocka_unit_test(any_number_of_threads_may_give_feedback),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
