/* One worker for several clients, and callbacks that call the API. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/memory_transport.h"
#include "client/process.h"
#include "client/witness.h"
#include "harness/descriptors.h"
#include "harness/failing_alloc.h"
#include "harness/fault_server.h"

enum { EVENTS = 20, PATIENT_MS = 20000 };

/* A client, the service inside the test that it delivers to, what it told. */
struct member {
    struct witness witness;
    struct memory_transport service;
    phos_client *client;
};

static struct member members[4];

static phos_options start_member(struct member *member, phos_worker *worker)
{
    phos_options options;

    memset(member, 0, sizeof(*member));
    witness_init(&member->witness);
    memory_transport_init(&member->service);
    options = witness_options(&member->witness, "http://127.0.0.1:1");
    options.transport = &member->service.transport;
    options.worker = worker;
    return options;
}

static void open_member(struct member *member, const phos_options *options)
{
    assert_int_equal(phos_client_open(options, &member->client), PHOS_OK);
}

static void log_some(struct member *member, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        phos_event event = witness_event(i);

        assert_int_equal(phos_client_log(member->client, &event, NULL),
                         PHOS_OK);
    }
}

static void flush_member(struct member *member)
{
    assert_int_equal(
        phos_client_flush(member->client, PHOS_FLUSH_DELIVERED, PATIENT_MS),
        PHOS_OK);
}

static phos_ledger end_member(struct member *member, uint32_t timeout_ms,
                              phos_status want)
{
    phos_close_report report;

    assert_int_equal(phos_client_close(member->client, timeout_ms, &report),
                     want);
    assert_adds_up(&report.ledger);
    assert_int_equal(report.ledger.pending, 0);
    phos_client_free(member->client);
    memory_transport_deinit(&member->service);
    witness_deinit(&member->witness);
    return report.ledger;
}

static int refuse_key(struct memory_transport *service, unsigned number,
                      const phos_request *request)
{
    (void)service;
    (void)number;
    (void)request;
    return 401;
}

static void clients_in_trouble_do_not_hold_up_their_neighbours(void **state)
{
    const struct fault_options silent = { .is_silent = true };
    const struct fault_options full = { .accepts_nothing = true };
    struct fault_server *servers[2] = { fault_server_start(&silent),
                                        fault_server_start(&full) };
    phos_stats stats = { .struct_size = sizeof(stats) };
    phos_options options;
    phos_worker *worker;

    (void)state;
    assert_int_equal(phos_worker_open(NULL, &worker), PHOS_OK);
    for (unsigned i = 0; i < 2; i++) {
        const char *url;

        assert_non_null(servers[i]);
        url = fault_server_url(servers[i]);
        options = start_member(&members[i], worker);
        options.transport = NULL;
        options.endpoint = phos_str_make(url, strlen(url));
        open_member(&members[i], &options);
    }
    options = start_member(&members[2], worker);
    members[2].service.script = refuse_key;
    open_member(&members[2], &options);
    options = start_member(&members[3], worker);
    open_member(&members[3], &options);

    for (unsigned i = 0; i < 3; i++)
        log_some(&members[i], EVENTS);
    assert_int_equal(
        phos_client_flush(members[2].client, PHOS_FLUSH_DELIVERED, PATIENT_MS),
        PHOS_E_CONFIG);
    for (unsigned i = 0; i < 50; i++) {
        log_some(&members[3], EVENTS);
        flush_member(&members[3]);
    }
    assert_int_equal(phos_client_stats(members[2].client, &stats), PHOS_OK);
    assert_int_equal(stats.state, PHOS_STATE_CONFIG);

    phos_worker_free(worker); /* before those who use it */
    assert_int_equal(end_member(&members[0], 0, PHOS_E_TIMEOUT).accepted,
                     EVENTS);
    log_some(&members[3], EVENTS);
    flush_member(&members[3]);
    assert_int_equal(end_member(&members[1], 0, PHOS_E_TIMEOUT).accepted,
                     EVENTS);
    assert_int_equal(end_member(&members[2], 0, PHOS_E_CONFIG).dropped, EVENTS);
    assert_int_equal(end_member(&members[3], PATIENT_MS, PHOS_OK).delivered,
                     51 * EVENTS);
    threads_await_none("phos");
    fault_server_free(servers[0]);
    fault_server_free(servers[1]);
}

static void a_worker_without_clients_ends_with_its_owner(void **state)
{
    phos_worker *worker;

    (void)state;
    assert_int_equal(phos_worker_open(NULL, &worker), PHOS_OK);
    assert_int_equal(threads_named("phos"), 1);
    phos_worker_free(worker);
    threads_await_none("phos");
}

static void a_workers_allocator_is_its_clients_too(void **state)
{
    phos_worker_options worker_options = phos_worker_options_default();
    struct failing_alloc memory;
    phos_options options;
    phos_worker *worker;
    int64_t of_worker;

    (void)state;
    failing_alloc_reset(&memory, 0, false);
    worker_options.allocator = failing_alloc_make(&memory);
    assert_int_equal(phos_worker_open(&worker_options, &worker), PHOS_OK);
    of_worker = memory.blocks;
    assert_true(of_worker > 0);
    options = start_member(&members[0], worker);
    open_member(&members[0], &options);
    assert_true(memory.blocks > of_worker);
    end_member(&members[0], PATIENT_MS, PHOS_OK);
    counter_await_below(&memory.blocks, of_worker + 1);
    phos_worker_free(worker);
    counter_await_below(&memory.blocks, 1);
}

static void worker_options_are_checked(void **state)
{
    phos_worker_options options = phos_worker_options_default();
    phos_worker *worker = (phos_worker *)(void *)&options;
    struct failing_alloc memory;

    (void)state;
    assert_int_equal(phos_worker_open(NULL, NULL), PHOS_E_INVALID);
    options.allocator.allocate = failing_alloc_make(&memory).allocate;
    assert_int_equal(phos_worker_open(&options, &worker), PHOS_E_INVALID);
    assert_ptr_equal(worker, &options);
    options = phos_worker_options_default();
    memset(options.thread_name, 'n', sizeof(options.thread_name)); /* no NUL */
    assert_int_equal(phos_worker_open(&options, &worker), PHOS_OK);
    assert_int_equal(threads_named("nnnnnnnnnnnnnnn"), 1);
    phos_worker_free(worker);
    threads_await_none("nnnnnnnnnnnnnnn");
}

/* ---- again and again ---- */

static struct descriptors descriptors_before, descriptors_after, more;

static void check_lives(unsigned lives, phos_worker *worker, bool uses_curl)
{
    const struct fault_options server_options = { 0 };
    struct fault_server *server = fault_server_start(&server_options);
    struct failing_alloc memory;
    uint64_t connections = 0;

    assert_non_null(server);
    failing_alloc_reset(&memory, 0, false);
    for (unsigned i = 0; i < lives; i++) {
        phos_options options = start_member(&members[0], worker);

        options.endpoint = phos_str_make(fault_server_url(server),
                                         strlen(fault_server_url(server)));
        options.allocator = failing_alloc_make(&memory);
        if (uses_curl)
            options.transport = NULL;
        open_member(&members[0], &options);
        log_some(&members[0], 1 + i % 3);
        assert_int_equal(end_member(&members[0], PATIENT_MS, PHOS_OK).delivered,
                         1 + i % 3);
        counter_await_below(&memory.blocks, 1);
        if (!worker)
            threads_await_none("phos");
        connections = fault_server_connections(server);
        assert_true(fault_server_wait_closed(server, connections));
        if (i == 0) /* what is opened once for a process is open now */
            descriptors_read(&descriptors_before);
    }
    descriptors_read(&descriptors_after);
    descriptors_new(&descriptors_before, &descriptors_after, &more);
    assert_int_equal(more.count, 0);
    assert_int_equal(connections > 0, uses_curl);
    fault_server_free(server);
}

static void clients_come_and_go_without_a_trace(void **state)
{
    (void)state;
    check_lives(200, NULL, false);
    check_lives(100, NULL, true);
}

static void clients_come_and_go_on_a_worker_that_stays(void **state)
{
    phos_worker *worker;

    (void)state;
    assert_int_equal(phos_worker_open(NULL, &worker), PHOS_OK);
    check_lives(200, worker, false);
    check_lives(100, worker, true);
    assert_int_equal(threads_named("phos"), 1);
    phos_worker_free(worker);
    threads_await_none("phos");
}

struct opener {
    pthread_t thread;
    struct member member;
    phos_worker *worker;
};

/* Assertions are the main thread's: this one counts. */
static void *open_and_close(void *argument)
{
    struct opener *opener = argument;
    uint64_t delivered = 0;

    for (unsigned i = 0; i < 50; i++) {
        phos_options options = start_member(&opener->member, opener->worker);
        phos_event event = witness_event(i);
        phos_close_report report = { 0 };

        if (phos_client_open(&options, &opener->member.client) == PHOS_OK &&
            phos_client_log(opener->member.client, &event, NULL) == PHOS_OK)
            phos_client_close(opener->member.client, PATIENT_MS, &report);
        phos_client_free(opener->member.client);
        delivered += report.ledger.delivered;
        memory_transport_deinit(&opener->member.service);
        witness_deinit(&opener->member.witness);
    }
    return (void *)(uintptr_t)delivered;
}

static void threads_open_and_close_beside_each_other(void **state)
{
    enum { OPENERS = 4 };
    static struct opener openers[OPENERS];
    phos_worker *worker;

    (void)state;
    assert_int_equal(phos_worker_open(NULL, &worker), PHOS_OK);
    for (unsigned i = 0; i < OPENERS; i++) {
        /* The thread sanitizer does not see that libuv closes a loop's
         * descriptor, and takes its next owner for an intruder. */
        openers[i].worker = i % 2 || UNDER_THREAD_SANITIZER ? worker : NULL;
        pthread_create(&openers[i].thread, NULL, open_and_close, &openers[i]);
    }
    for (unsigned i = 0; i < OPENERS; i++) {
        void *delivered = NULL;

        pthread_join(openers[i].thread, &delivered);
        assert_int_equal((uintptr_t)delivered, 50);
    }
    phos_worker_free(worker);
    threads_await_none("phos");
}

/* ---- callbacks that call ---- */

/* What each function answered inside a callback. */
struct calls {
    phos_worker *worker;
    struct member *other, *opened;
    bool is_done;
    phos_status log, stats, flush, close, set_api_key, flush_other, close_other,
        open, flush_opened, worker_open, id;
};

static struct calls calls;

static void call_everything(phos_client *client)
{
    phos_stats stats = { .struct_size = sizeof(stats) };
    phos_event event = witness_event(EVENTS);
    phos_worker *worker = NULL;
    phos_close_report report;
    phos_options options;
    phos_event_id id;

    if (calls.is_done)
        return;
    calls.is_done = true;
    calls.log = phos_client_log(client, &event, &id);
    calls.stats = phos_client_stats(client, &stats);
    calls.flush = phos_client_flush(client, PHOS_FLUSH_DELIVERED, PATIENT_MS);
    calls.close = phos_client_close(client, PATIENT_MS, &report);
    calls.set_api_key = phos_client_set_api_key(client, PHOS_STR("next"));
    phos_client_begin_shutdown(client);
    /* Of another client on the same worker. */
    phos_client_log(calls.other->client, &event, NULL);
    calls.flush_other = phos_client_flush(calls.other->client,
                                          PHOS_FLUSH_DELIVERED, PATIENT_MS);
    calls.close_other =
        phos_client_close(calls.other->client, PATIENT_MS, &report);
    phos_client_free(calls.other->client);
    /* A client that is new, on the same worker. */
    options = start_member(calls.opened, calls.worker);
    calls.open = phos_client_open(&options, &calls.opened->client);
    phos_client_log(calls.opened->client, &event, NULL);
    calls.flush_opened = phos_client_flush(calls.opened->client,
                                           PHOS_FLUSH_DELIVERED, PATIENT_MS);
    calls.worker_open = phos_worker_open(NULL, &worker);
    phos_worker_free(worker);
    calls.id = phos_event_id_make(&id);
}

static void call_on_receipts(const phos_receipt *receipts, size_t count,
                             void *witness)
{
    witness_receipts(receipts, count, witness);
    call_everything(members[0].client);
}

static void call_on_refused(const phos_receipt *receipt, phos_str event_json,
                            void *witness)
{
    witness_refused(receipt, event_json, witness);
    call_everything(members[0].client);
}

static void call_on_diagnostic(const phos_diagnostic *diagnostic, void *witness)
{
    witness_diagnostic(diagnostic, witness);
    call_everything(members[0].client);
}

static void call_on_easy(void *easy, void *witness)
{
    (void)easy;
    (void)witness;
    call_everything(members[0].client);
}

/* Runs a client whose callback calls all; `status` is the service's answer to
 * the first request. */
static int first_answer;

static int answer_first(struct memory_transport *service, unsigned number,
                        const phos_request *request)
{
    (void)service;
    (void)request;
    return number == 0 ? first_answer : 201;
}

static phos_options start_calls(int answer)
{
    phos_options options;

    memset(&calls, 0, sizeof(calls));
    calls.other = &members[1];
    calls.opened = &members[2];
    assert_int_equal(phos_worker_open(NULL, &calls.worker), PHOS_OK);
    options = start_member(calls.other, calls.worker);
    open_member(calls.other, &options);
    options = start_member(&members[0], calls.worker);
    members[0].service.script = answer_first;
    first_answer = answer;
    options.linger_ms = 0;
    return options;
}

static void end_calls(void)
{
    phos_ledger ledger;
    uint64_t other_told;

    flush_member(&members[0]);
    assert_true(calls.is_done);
    assert_int_equal(calls.log, PHOS_OK);
    assert_int_equal(calls.stats, PHOS_OK);
    assert_int_equal(calls.flush, PHOS_E_WOULD_DEADLOCK);
    assert_int_equal(calls.close, PHOS_E_WOULD_DEADLOCK);
    assert_int_equal(calls.set_api_key, PHOS_OK);
    assert_int_equal(calls.flush_other, PHOS_E_WOULD_DEADLOCK);
    assert_int_equal(calls.close_other, PHOS_E_WOULD_DEADLOCK);
    assert_int_equal(calls.open, PHOS_OK);
    assert_int_equal(calls.flush_opened, PHOS_E_WOULD_DEADLOCK);
    assert_int_equal(calls.worker_open, PHOS_OK);
    assert_int_equal(calls.id, PHOS_OK);

    ledger = end_member(&members[0], PATIENT_MS, PHOS_OK);
    assert_int_equal(ledger.accepted, 2); /* one of them in the callback */
    ledger = end_member(calls.opened, PATIENT_MS, PHOS_OK);
    assert_int_equal(ledger.delivered, 1);
    phos_worker_free(calls.worker);
    threads_await_none("phos");
    /* The one that was freed inside: its event came to an end too. */
    other_told = 0;
    for (unsigned i = 0; i < PHOS_OUTCOME_COUNT; i++)
        other_told += calls.other->witness.by_outcome[i];
    assert_int_equal(other_told, 1);
    memory_transport_deinit(&calls.other->service);
    witness_deinit(&calls.other->witness);
}

static void receipts_may_call_the_api(void **state)
{
    phos_options options = start_calls(201);

    (void)state;
    options.on_receipts = call_on_receipts;
    open_member(&members[0], &options);
    log_some(&members[0], 1);
    memory_transport_await(&members[0].service, 2);
    end_calls();
}

static void a_refused_event_may_call_the_api(void **state)
{
    phos_options options = start_calls(422);

    (void)state;
    options.on_refused = call_on_refused;
    open_member(&members[0], &options);
    log_some(&members[0], 1);
    memory_transport_await(&members[0].service, 1);
    end_calls();
}

static void a_diagnostic_may_call_the_api(void **state)
{
    phos_options options = start_calls(401);

    (void)state;
    options.on_diagnostic = call_on_diagnostic;
    open_member(&members[0], &options);
    log_some(&members[0], 1);
    memory_transport_await(&members[0].service, 2);
    end_calls();
}

static void the_hook_of_a_request_may_call_the_api(void **state)
{
    const struct fault_options server_options = { 0 };
    struct fault_server *server = fault_server_start(&server_options);
    phos_options options = start_calls(201);

    (void)state;
    assert_non_null(server);
    options.transport = NULL;
    options.endpoint = phos_str_make(fault_server_url(server),
                                     strlen(fault_server_url(server)));
    options.on_easy = call_on_easy;
    open_member(&members[0], &options);
    log_some(&members[0], 1);
    assert_true(fault_server_wait_answered(server, 2));
    end_calls();
    fault_server_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_in_trouble_do_not_hold_up_their_neighbours),
        cmocka_unit_test(a_worker_without_clients_ends_with_its_owner),
        cmocka_unit_test(a_workers_allocator_is_its_clients_too),
        cmocka_unit_test(worker_options_are_checked),
        cmocka_unit_test(clients_come_and_go_without_a_trace),
        cmocka_unit_test(clients_come_and_go_on_a_worker_that_stays),
        cmocka_unit_test(threads_open_and_close_beside_each_other),
        cmocka_unit_test(receipts_may_call_the_api),
        cmocka_unit_test(a_refused_event_may_call_the_api),
        cmocka_unit_test(a_diagnostic_may_call_the_api),
        cmocka_unit_test(the_hook_of_a_request_may_call_the_api),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
