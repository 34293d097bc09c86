/* L11: flush, close and free end in time, whatever hangs. */
#define _GNU_SOURCE

#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/memory_transport.h"
#include "client/process.h"
#include "client/witness.h"
#include "harness/failing_alloc.h"
#include "harness/fault_server.h"

enum {
    EVENTS = 30,
    FLUSH_MS = 100,
    CLOSE_MS = 200,
    OVER_MS = 3000, /* what a loaded machine may add; scripts/deadlines: 20 */
    PATIENT_MS = 20000,
    LOGGERS = 4 /* threads that log while the client is closed */
};

/* By how much flush and close may miss their deadline. */
static uint64_t over_ms(void)
{
    const char *text = getenv("PHOS_TEST_OVER_MS");

    return text ? strtoull(text, NULL, 10) : OVER_MS;
}

/* ---- a resolver that hangs, in place of the C library's ---- */

static sem_t may_answer;
static atomic_int lookups;

int getaddrinfo(const char *node, const char *service,
                const struct addrinfo *hints, struct addrinfo **result)
{
    (void)node;
    (void)service;
    (void)hints;
    (void)result;
    atomic_fetch_add(&lookups, 1);
    while (sem_wait(&may_answer) != 0)
        ;
    return EAI_FAIL;
}

/* ---- the world ---- */

struct world {
    struct failing_alloc memory; /* counts */
    struct witness witness;
    struct memory_transport service;
    phos_client *client;
    uint64_t accepted;
    bool cuts_calls; /* of up to LOGGERS threads */
};

static struct world world;

static phos_options start_world(const char *url)
{
    phos_options options;

    memset(&world, 0, sizeof(world));
    failing_alloc_reset(&world.memory, 0, false);
    witness_init(&world.witness);
    memory_transport_init(&world.service);
    options = witness_options(&world.witness, url);
    options.allocator = failing_alloc_make(&world.memory);
    options.allow_plain_http = true;
    return options;
}

static void open_world(const phos_options *options)
{
    assert_int_equal(phos_client_open(options, &world.client), PHOS_OK);
}

static void log_some(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        phos_event event = witness_event(world.accepted);

        assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
        world.accepted++;
    }
}

static void free_in_time(void)
{
    uint64_t begun_ms = now_ms();

    phos_client_free(world.client);
    assert_in_range(now_ms() - begun_ms, 0, OVER_MS);
}

/* After what hung has been let go: nothing is left of the client, and each
 * accepted event has had its one receipt. */
static void end_world(void)
{
    static bool accepted[WITNESS_COOKIES];

    counter_await_below(&world.memory.blocks, 1);
    threads_await_none("phos");
    for (size_t i = 0; i < WITNESS_COOKIES; i++)
        accepted[i] = i < world.accepted;
    if (world.cuts_calls) {
        /* Of a call that had not finished, the cookie is not known. */
        assert_true(world.witness.receipts[0] <= LOGGERS);
        world.witness.receipts[0] = 0;
    }
    assert_one_receipt_each(&world.witness, accepted, WITNESS_COOKIES);
    memory_transport_deinit(&world.service);
    witness_deinit(&world.witness);
}

static void flush_in_time(uint32_t timeout_ms)
{
    uint64_t begun_ms = now_ms();

    assert_int_equal(
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, timeout_ms),
        PHOS_E_TIMEOUT);
    assert_in_range(now_ms() - begun_ms, timeout_ms, timeout_ms + over_ms());
}

static phos_close_report close_in_time(uint32_t timeout_ms)
{
    uint64_t begun_ms = now_ms();
    phos_close_report report;

    assert_int_equal(phos_client_close(world.client, timeout_ms, &report),
                     PHOS_E_TIMEOUT);
    assert_in_range(now_ms() - begun_ms, timeout_ms, timeout_ms + over_ms());
    assert_adds_up(&report.ledger);
    assert_int_equal(report.ledger.pending, 0);
    assert_int_equal(report.ledger.accepted, world.accepted);
    assert_true(report.ledger.dropped + report.ledger.unknown > 0);
    return report;
}

/* ---- services that never answer ---- */

static void check_service(const struct fault_options *options, size_t bytes)
{
    struct fault_server *server = fault_server_start(options);
    static char text[60000];
    phos_options client;
    phos_close_report report;

    assert_non_null(server);
    client = start_world(fault_server_url(server));
    client.ring_bytes = 1 << 21;
    client.event_bytes_max = 1 << 17;
    client.linger_ms = 3600000; /* all in one request, when flush asks */
    open_world(&client);
    log_some(EVENTS);
    for (size_t sent = 0; sent < bytes; sent += sizeof(text)) {
        phos_event event = witness_event(world.accepted);

        memset(text, 'x', sizeof(text));
        event.output = phos_str_make(text, sizeof(text));
        assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
        world.accepted++;
    }
    flush_in_time(0);
    flush_in_time(FLUSH_MS);
    report = close_in_time(CLOSE_MS);
    assert_int_equal(report.ledger.delivered, 0);
    free_in_time();
    end_world();
    fault_server_free(server);
}

static void a_service_that_accepts_no_connection_holds_up_nothing(void **state)
{
    const struct fault_options options = { .accepts_nothing = true };

    (void)state;
    check_service(&options, 0);
}

static void a_silent_service_holds_up_nothing(void **state)
{
    const struct fault_options options = { .is_silent = true };

    (void)state;
    check_service(&options, 0);
}

static void give_plan(void *user_data, uint64_t number, struct fault_plan *plan)
{
    (void)number;
    *plan = *(const struct fault_plan *)user_data;
}

static void check_plan(struct fault_plan plan, size_t bytes)
{
    const struct fault_options options = { .plan = give_plan,
                                           .user_data = &plan };

    plan.status = 201;
    plan.cut_request_after = plan.cut_reply_after = FAULT_NEVER;
    check_service(&options, bytes);
}

static void a_stall_before_reading_holds_up_nothing(void **state)
{
    (void)state;
    check_plan((struct fault_plan){ .stall = FAULT_STALL_BEFORE_READING }, 0);
}

static void a_stall_while_the_body_is_sent_holds_up_nothing(void **state)
{
    (void)state;
    check_plan((struct fault_plan){ .stall = FAULT_STALL_IN_REQUEST }, 900000);
}

static void a_stall_before_the_status_holds_up_nothing(void **state)
{
    (void)state;
    check_plan((struct fault_plan){ .stall = FAULT_STALL_BEFORE_STATUS }, 0);
}

static void a_stall_among_the_headers_holds_up_nothing(void **state)
{
    (void)state;
    check_plan((struct fault_plan){ .stall = FAULT_STALL_IN_HEAD }, 0);
}

static void a_stall_in_the_reply_holds_up_nothing(void **state)
{
    (void)state;
    check_plan((struct fault_plan){ .stall = FAULT_STALL_IN_BODY }, 0);
}

static void one_byte_a_second_holds_up_nothing(void **state)
{
    (void)state;
    check_plan((struct fault_plan){ .byte_ms = 1000 }, 0);
}

static void headers_for_ever_hold_up_nothing(void **state)
{
    (void)state;
    check_plan((struct fault_plan){ .interim = -1, .byte_ms = 1 }, 0);
}

static void close_without_time_gives_up_a_silent_service_at_once(void **state)
{
    const struct fault_options options = { .is_silent = true };
    struct fault_server *server = fault_server_start(&options);
    phos_options client;

    (void)state;
    assert_non_null(server);
    client = start_world(fault_server_url(server));
    open_world(&client);
    log_some(EVENTS);
    close_in_time(0);
    free_in_time();
    end_world();
    fault_server_free(server);
}

static void free_without_close_ends_in_time_too(void **state)
{
    const struct fault_options options = { .is_silent = true };
    struct fault_server *server = fault_server_start(&options);
    phos_options client;

    (void)state;
    assert_non_null(server);
    client = start_world(fault_server_url(server));
    open_world(&client);
    log_some(EVENTS);
    flush_in_time(FLUSH_MS);
    free_in_time();
    end_world();
    assert_int_equal(world.witness.by_outcome[PHOS_OUTCOME_UNKNOWN] +
                         world.witness.by_outcome[PHOS_OUTCOME_DROPPED],
                     EVENTS);
    fault_server_free(server);
}

static void a_resolver_that_hangs_holds_up_nothing(void **state)
{
    phos_options options = start_world("http://slow.test");
    phos_close_report report;

    (void)state;
    sem_init(&may_answer, 0, 0);
    atomic_store(&lookups, 0);
    open_world(&options);
    log_some(EVENTS);
    counter_await(&lookups, 1);
    flush_in_time(0);
    flush_in_time(FLUSH_MS);
    report = close_in_time(CLOSE_MS);
    assert_int_equal(report.ledger.delivered, 0);
    free_in_time();
    for (unsigned i = 0; i < 100; i++) /* more than look up */
        sem_post(&may_answer);
    end_world();
    sem_destroy(&may_answer);
}

/* ---- a callback that does not return ---- */

static sem_t may_return;
static atomic_int callbacks;

static void block(const phos_receipt *receipts, size_t count, void *user_data)
{
    witness_receipts(receipts, count, user_data);
    if (atomic_fetch_add(&callbacks, 1) == 0)
        while (sem_wait(&may_return) != 0)
            ;
}

static phos_options start_blocked_world(void)
{
    phos_options options = start_world("http://127.0.0.1:1");

    sem_init(&may_return, 0, 0);
    atomic_store(&callbacks, 0);
    options.transport = &world.service.transport;
    options.on_receipts = block;
    return options;
}

static void unblock_world(void)
{
    sem_post(&may_return);
    end_world();
    sem_destroy(&may_return);
}

static void a_blocked_callback_does_not_hold_up_close(void **state)
{
    phos_options options = start_blocked_world();
    phos_close_report first, second;

    (void)state;
    open_world(&options);
    log_some(1);
    counter_await(&callbacks, 1);
    log_some(EVENTS);
    flush_in_time(0);
    flush_in_time(FLUSH_MS);
    first = close_in_time(CLOSE_MS);
    assert_int_equal(phos_client_close(world.client, PATIENT_MS, &second),
                     PHOS_E_TIMEOUT);
    assert_memory_equal(&first.ledger, &second.ledger, sizeof(first.ledger));
    free_in_time();
    unblock_world();
}

static void a_report_stays_as_it_was_when_the_worker_comes_back(void **state)
{
    phos_options options = start_blocked_world();
    phos_stats stats = { .struct_size = sizeof(stats) };
    phos_close_report first, second;
    uint64_t give_up_ms = now_ms() + PATIENT_MS;

    (void)state;
    open_world(&options);
    log_some(1);
    counter_await(&callbacks, 1);
    log_some(EVENTS);
    first = close_in_time(CLOSE_MS);
    sem_post(&may_return);
    do {
        assert_true(now_ms() < give_up_ms);
        sched_yield();
        assert_int_equal(phos_client_stats(world.client, &stats), PHOS_OK);
    } while (stats.state != PHOS_STATE_CLOSED);
    assert_int_equal(phos_client_close(world.client, PATIENT_MS, &second),
                     PHOS_E_TIMEOUT);
    assert_memory_equal(&first.ledger, &second.ledger, sizeof(first.ledger));
    free_in_time();
    unblock_world();
}

static void a_blocked_callback_does_not_hold_up_free(void **state)
{
    phos_options options = start_blocked_world();

    (void)state;
    open_world(&options);
    log_some(1);
    counter_await(&callbacks, 1);
    log_some(EVENTS);
    free_in_time();
    unblock_world();
}

static void a_blocked_callback_does_not_hold_up_the_workers_owner(void **state)
{
    phos_options options = start_blocked_world();
    phos_worker *worker;
    uint64_t begun_ms;

    (void)state;
    assert_int_equal(phos_worker_open(NULL, &worker), PHOS_OK);
    options.worker = worker;
    open_world(&options);
    log_some(1);
    counter_await(&callbacks, 1);
    log_some(EVENTS);
    close_in_time(CLOSE_MS);
    free_in_time();
    begun_ms = now_ms();
    phos_worker_free(worker);
    assert_in_range(now_ms() - begun_ms, 0, OVER_MS);
    unblock_world();
}

/* ---- several threads at the end ---- */

struct closer {
    pthread_t thread;
    pthread_barrier_t *barrier;
    phos_status status;
    phos_close_report report;
    uint64_t took_ms;
};

static void *close_here(void *argument)
{
    struct closer *closer = argument;
    uint64_t begun_ms;

    pthread_barrier_wait(closer->barrier);
    begun_ms = now_ms();
    closer->status = phos_client_close(world.client, CLOSE_MS, &closer->report);
    closer->took_ms = now_ms() - begun_ms;
    return NULL;
}

static void closes_at_once_report_the_same(void **state)
{
    enum { CLOSERS = 3 };
    const struct fault_options options = { .is_silent = true };
    struct fault_server *server = fault_server_start(&options);
    struct closer closers[CLOSERS];
    pthread_barrier_t barrier;
    phos_options client;

    (void)state;
    assert_non_null(server);
    client = start_world(fault_server_url(server));
    open_world(&client);
    log_some(EVENTS);
    pthread_barrier_init(&barrier, NULL, CLOSERS);
    for (unsigned i = 0; i < CLOSERS; i++) {
        closers[i].barrier = &barrier;
        pthread_create(&closers[i].thread, NULL, close_here, &closers[i]);
    }
    for (unsigned i = 0; i < CLOSERS; i++) {
        pthread_join(closers[i].thread, NULL);
        assert_int_equal(closers[i].status, PHOS_E_TIMEOUT);
        assert_in_range(closers[i].took_ms, 0, CLOSE_MS + over_ms());
        assert_adds_up(&closers[i].report.ledger);
        assert_int_equal(closers[i].report.ledger.accepted, EVENTS);
        assert_memory_equal(&closers[i].report.ledger,
                            &closers[0].report.ledger, sizeof(phos_ledger));
    }
    pthread_barrier_destroy(&barrier);
    free_in_time();
    end_world();
    fault_server_free(server);
}

static void *flush_here(void *ret_status)
{
    *(phos_status *)ret_status =
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, PATIENT_MS);
    return NULL;
}

static void close_ends_a_flush_that_waits(void **state)
{
    phos_options options = start_world("http://127.0.0.1:1");
    phos_status status = PHOS_OK;
    pthread_t thread;

    (void)state;
    world.service.holds = true;
    options.transport = &world.service.transport;
    options.linger_ms = 3600000; /* so that a request means: flush has begun */
    open_world(&options);
    log_some(1);
    pthread_create(&thread, NULL, flush_here, &status);
    memory_transport_await_requests(&world.service, 1);
    close_in_time(CLOSE_MS);
    pthread_join(thread, NULL);
    assert_int_equal(status, PHOS_E_CLOSED);
    free_in_time();
    end_world();
}

enum { LEAST_EACH = 200 };

struct logger {
    pthread_t thread;
    atomic_int *accepted_in_all;
    uint64_t accepted, closed;
};

static void *log_until_closed(void *argument)
{
    struct logger *logger = argument;
    phos_event event = witness_event(WITNESS_COOKIES);
    phos_status status;

    do {
        status = phos_client_log(world.client, &event, NULL);
        if (status == PHOS_OK) {
            logger->accepted++;
            atomic_fetch_add(logger->accepted_in_all, 1);
        } else {
            sched_yield();
        }
    } while (status == PHOS_OK || status == PHOS_E_FULL);
    logger->closed += status == PHOS_E_CLOSED;
    return NULL;
}

/* Closes in the midst of it; what the threads were told adds up to what the
 * report says. */
static void check_cut(uint32_t timeout_ms, bool is_blocked)
{
    phos_options options = start_blocked_world();
    struct logger loggers[LOGGERS] = { 0 };
    atomic_int accepted_in_all = 0;
    phos_close_report report;
    phos_status status;
    uint64_t accepted = 0;

    if (!is_blocked)
        options.on_receipts = witness_receipts;
    world.cuts_calls = true;
    world.service.keeps_events = false;
    open_world(&options);
    for (unsigned i = 0; i < LOGGERS; i++) {
        loggers[i].accepted_in_all = &accepted_in_all;
        pthread_create(&loggers[i].thread, NULL, log_until_closed, &loggers[i]);
    }
    counter_await(&accepted_in_all, LEAST_EACH);
    status = phos_client_close(world.client, timeout_ms, &report);
    for (unsigned i = 0; i < LOGGERS; i++) {
        pthread_join(loggers[i].thread, NULL);
        assert_int_equal(loggers[i].closed, 1);
        accepted += loggers[i].accepted;
    }
    assert_adds_up(&report.ledger);
    assert_int_equal(report.ledger.pending, 0);
    assert_int_equal(report.ledger.accepted, accepted);
    if (status == PHOS_OK)
        assert_int_equal(report.ledger.delivered, accepted);
    else
        assert_int_equal(status, PHOS_E_TIMEOUT);
    assert_true(status == PHOS_OK || timeout_ms < PATIENT_MS || is_blocked);
    free_in_time();
    unblock_world();
}

static void close_cuts_exactly_and_delivers_what_came_before(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++)
        check_cut(PATIENT_MS, false);
}

static void close_without_time_cuts_exactly(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++)
        check_cut(0, false);
}

static void close_beside_a_blocked_worker_cuts_exactly(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++)
        check_cut(CLOSE_MS, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_that_accepts_no_connection_holds_up_nothing),
        cmocka_unit_test(a_silent_service_holds_up_nothing),
        cmocka_unit_test(a_stall_before_reading_holds_up_nothing),
        cmocka_unit_test(a_stall_while_the_body_is_sent_holds_up_nothing),
        cmocka_unit_test(a_stall_before_the_status_holds_up_nothing),
        cmocka_unit_test(a_stall_among_the_headers_holds_up_nothing),
        cmocka_unit_test(a_stall_in_the_reply_holds_up_nothing),
        cmocka_unit_test(one_byte_a_second_holds_up_nothing),
        cmocka_unit_test(headers_for_ever_hold_up_nothing),
        cmocka_unit_test(close_without_time_gives_up_a_silent_service_at_once),
        cmocka_unit_test(free_without_close_ends_in_time_too),
        cmocka_unit_test(a_resolver_that_hangs_holds_up_nothing),
        cmocka_unit_test(a_blocked_callback_does_not_hold_up_close),
        cmocka_unit_test(a_report_stays_as_it_was_when_the_worker_comes_back),
        cmocka_unit_test(a_blocked_callback_does_not_hold_up_free),
        cmocka_unit_test(a_blocked_callback_does_not_hold_up_the_workers_owner),
        cmocka_unit_test(closes_at_once_report_the_same),
        cmocka_unit_test(close_ends_a_flush_that_waits),
        cmocka_unit_test(close_cuts_exactly_and_delivers_what_came_before),
        cmocka_unit_test(close_without_time_cuts_exactly),
        cmocka_unit_test(close_beside_a_blocked_worker_cuts_exactly),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
