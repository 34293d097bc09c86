/* L5, L7: fork() at any moment. What a child inherits is its parent's; what it
 * opens is its own. */
#define _GNU_SOURCE

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "client/child.h"
#include "client/memory_transport.h"
#include "client/process.h"
#include "client/witness.h"
#include "harness/fault_server.h"

enum { EVENTS = 10, PATIENT_MS = 20000 };

struct world {
    struct witness witness;
    struct memory_transport service;
    struct fault_server *server;
    phos_worker *worker;
    phos_client *client;
    bool accepted[WITNESS_COOKIES];
    uint64_t accepted_count;
};

static struct world world;

static phos_options start_world(void)
{
    const struct fault_options server = { 0 };
    phos_options options;

    memset(&world, 0, sizeof(world));
    witness_init(&world.witness);
    memory_transport_init(&world.service);
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

static void log_some(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        phos_event event = witness_event(world.accepted_count);

        event.session_id = PHOS_STR("parent");
        assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
        world.accepted[world.accepted_count++] = true;
    }
}

/* The parent has lost nothing and has been told of nothing twice. */
static void end_world(void)
{
    phos_close_report report;

    assert_int_equal(phos_client_close(world.client, PATIENT_MS, &report),
                     PHOS_OK);
    assert_adds_up(&report.ledger);
    assert_int_equal(report.ledger.accepted, world.accepted_count);
    assert_int_equal(report.ledger.delivered, world.accepted_count);
    assert_one_receipt_each(&world.witness, world.accepted, WITNESS_COOKIES);
    phos_client_free(world.client);
    phos_worker_free(world.worker);
    fault_server_free(world.server);
    memory_transport_deinit(&world.service);
    witness_deinit(&world.witness);
}

/* ---- in a child ---- */

static void check_inherited_is_refused(void)
{
    phos_event event = witness_event(0);
    phos_stats stats = { .struct_size = sizeof(stats), .requests = 4711 };
    phos_close_report report = { .struct_size = 4711 };
    phos_event_id id = { { 42 } };

    CHILD_CHECK(phos_client_log(world.client, &event, &id) == PHOS_E_FORKED);
    CHILD_CHECK(id.bytes[0] == 42);
    CHILD_CHECK(phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, 1000) ==
                PHOS_E_FORKED);
    CHILD_CHECK(phos_client_stats(world.client, &stats) == PHOS_E_FORKED);
    CHILD_CHECK(stats.requests == 4711);
    CHILD_CHECK(phos_client_set_api_key(world.client, PHOS_STR("other")) ==
                PHOS_E_FORKED);
    phos_client_begin_shutdown(world.client);
    CHILD_CHECK(phos_client_close(world.client, 1000, &report) ==
                PHOS_E_FORKED);
    CHILD_CHECK(report.struct_size == 4711);
}

/* A client of the child's own, which delivers `count` events. */
static phos_client *open_own(unsigned exit_flush_ms)
{
    phos_options options = phos_options_default();
    const char *url = fault_server_url(world.server);
    phos_client *client = NULL;

    options.endpoint = phos_str_make(url, strlen(url));
    options.api_key = PHOS_STR("ph_child");
    options.use_environment = false;
    options.ring_bytes = 65536;
    options.event_bytes_max = 4096;
    options.exit_flush_ms = exit_flush_ms;
    CHILD_CHECK(phos_client_open(&options, &client) == PHOS_OK);
    for (unsigned i = 0; i < EVENTS; i++) {
        phos_event event = witness_event(i);

        event.session_id = PHOS_STR("child");
        CHILD_CHECK(phos_client_log(client, &event, NULL) == PHOS_OK);
    }
    return client;
}

static void deliver_own(void)
{
    phos_client *client = open_own(0);
    phos_close_report report;

    CHILD_CHECK(phos_client_flush(client, PHOS_FLUSH_DELIVERED, PATIENT_MS) ==
                PHOS_OK);
    CHILD_CHECK(phos_client_close(client, PATIENT_MS, &report) == PHOS_OK);
    CHILD_CHECK(report.ledger.delivered == EVENTS);
    phos_client_free(client);
}

/* ---- tests ---- */

static void an_inherited_client_answers_that_it_was_forked(void **state)
{
    phos_options options = start_world();
    pid_t child;

    (void)state;
    options.transport = &world.service.transport;
    assert_int_equal(phos_worker_open(NULL, &world.worker), PHOS_OK);
    options.worker = world.worker;
    open_world(&options);
    log_some(EVENTS);
    child = child_fork();
    if (child == 0) {
        check_inherited_is_refused();
        phos_client_free(world.client);
        phos_worker_free(world.worker);
        _exit(0);
    }
    log_some(EVENTS);
    assert_int_equal(child_wait(child), 0);
    log_some(EVENTS);
    assert_int_equal(
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, PATIENT_MS),
        PHOS_OK);
    assert_int_equal(world.service.event_count, 3 * EVENTS);
    end_world();
}

/* Nobody works behind it: to wait for it would be to wait for ever. */
static void a_child_opens_nothing_on_an_inherited_worker(void **state)
{
    phos_options options = start_world();
    pid_t child;

    (void)state;
    options.transport = &world.service.transport;
    assert_int_equal(phos_worker_open(NULL, &world.worker), PHOS_OK);
    options.worker = world.worker;
    open_world(&options);
    child = child_fork();
    if (child == 0) {
        phos_client *client = NULL;

        CHILD_CHECK(phos_client_open(&options, &client) == PHOS_E_FORKED);
        CHILD_CHECK(!client);
        _exit(0);
    }
    assert_int_equal(child_wait(child), 0);
    end_world();
}

/* Connections over which events of that session came, as bits. */
static uint64_t connections_of(const char *session)
{
    uint64_t connections = 0;

    for (uint64_t i = 0; i < fault_server_requests(world.server); i++) {
        struct fault_request request = fault_server_request(world.server, i);
        const json_t *event = json_array_get(request.events, 0);
        const char *text =
            json_string_value(json_object_get(event, "session_id"));

        assert_true(request.connection < 64);
        if (text && strcmp(text, session) == 0)
            connections |= UINT64_C(1) << request.connection;
    }
    return connections;
}

static void a_child_delivers_through_a_client_of_its_own(void **state)
{
    phos_options options = start_world();
    pid_t child;

    (void)state;
    open_world(&options);
    log_some(EVENTS);
    assert_int_equal(
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, PATIENT_MS),
        PHOS_OK);
    child = child_fork(); /* beside a connection that stands */
    if (child == 0) {
        deliver_own();
        check_inherited_is_refused();
        phos_client_free(world.client);
        deliver_own();
        _exit(0);
    }
    assert_int_equal(child_wait(child), 0);
    log_some(EVENTS);
    assert_int_equal(
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, PATIENT_MS),
        PHOS_OK);
    assert_int_equal(fault_server_events(world.server), 4 * EVENTS);
    assert_int_equal(fault_server_arrivals(world.server), 4 * EVENTS);
    /* Not a byte of the child on a socket of the parent. */
    assert_int_equal(connections_of("parent") & connections_of("child"), 0);
    end_world();
}

static void a_grandchild_is_as_free_as_its_parent(void **state)
{
    phos_options options = start_world();
    pid_t child;

    (void)state;
    open_world(&options);
    log_some(EVENTS);
    child = child_fork();
    if (child == 0) {
        phos_client *own = open_own(0);
        pid_t grandchild = child_fork();

        if (grandchild == 0) {
            phos_event event = witness_event(0);

            check_inherited_is_refused();
            CHILD_CHECK(phos_client_log(own, &event, NULL) == PHOS_E_FORKED);
            deliver_own();
            _exit(0);
        }
        CHILD_CHECK(grandchild > 0);
        CHILD_CHECK(child_wait(grandchild) == 0);
        CHILD_CHECK(phos_client_close(own, PATIENT_MS, NULL) == PHOS_OK);
        _exit(0);
    }
    assert_int_equal(child_wait(child), 0);
    end_world();
}

/* ---- fork beside threads that log ---- */

enum { LOGGERS = 2, FORKS = 8 };

struct logger {
    pthread_t thread;
    uint64_t accepted;
    atomic_bool *must_end;
};

static void *log_on(void *argument)
{
    struct logger *logger = argument;

    while (!atomic_load(logger->must_end)) {
        phos_event event = witness_event(WITNESS_COOKIES);
        phos_status status = phos_client_log(world.client, &event, NULL);

        logger->accepted += status == PHOS_OK;
        if (status == PHOS_E_FULL)
            sched_yield();
    }
    return NULL;
}

static void fork_beside_logging_threads_disturbs_nobody(void **state)
{
    phos_options options = start_world();
    struct logger loggers[LOGGERS] = { 0 };
    phos_close_report report;
    atomic_bool must_end = false;
    uint64_t accepted = 0;

    (void)state;
    world.service.keeps_events = false;
    options.transport = &world.service.transport;
    options.ring_bytes = 65536;
    open_world(&options);
    for (unsigned i = 0; i < LOGGERS; i++) {
        loggers[i].must_end = &must_end;
        pthread_create(&loggers[i].thread, NULL, log_on, &loggers[i]);
    }
    for (unsigned i = 0; i < FORKS; i++) {
        pid_t child = child_fork();

        if (child == 0) {
            check_inherited_is_refused();
            deliver_own();
            _exit(0);
        }
        assert_int_equal(child_wait(child), 0);
    }
    atomic_store(&must_end, true);
    for (unsigned i = 0; i < LOGGERS; i++) {
        pthread_join(loggers[i].thread, NULL);
        accepted += loggers[i].accepted;
    }
    assert_int_equal(phos_client_close(world.client, PATIENT_MS, &report),
                     PHOS_OK);
    assert_int_equal(report.ledger.accepted, accepted);
    assert_int_equal(report.ledger.delivered, accepted);
    assert_int_equal(world.service.event_count, accepted);
    assert_int_equal(fault_server_events(world.server), FORKS * EVENTS);
    assert_int_equal(fault_server_arrivals(world.server), FORKS * EVENTS);
    phos_client_free(world.client);
    fault_server_free(world.server);
    memory_transport_deinit(&world.service);
    witness_deinit(&world.witness);
}

/* ---- fork where it is least expected ---- */

static sem_t has_forked;
static pid_t forked;

static void fork_in_callback(const phos_receipt *receipts, size_t count,
                             void *user_data)
{
    witness_receipts(receipts, count, user_data);
    if (forked)
        return;
    forked = child_fork();
    if (forked == 0) {
        check_inherited_is_refused();
        phos_client_free(world.client);
        deliver_own();
        _exit(0);
    }
    sem_post(&has_forked);
}

static void a_callback_may_fork(void **state)
{
    phos_options options = start_world();

    (void)state;
    sem_init(&has_forked, 0, 0);
    options.on_receipts = fork_in_callback;
    open_world(&options);
    log_some(EVENTS);
    sem_wait(&has_forked);
    assert_int_equal(child_wait(forked), 0);
    end_world();
    sem_destroy(&has_forked);
}

static void a_process_made_without_the_library_of_c_is_noticed(void **state)
{
#if defined(__x86_64__)
    phos_options options = start_world();
    phos_event event = witness_event(0);
    long child;

    (void)state;
    open_world(&options);
    log_some(EVENTS);
    fflush(NULL);
    child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0)
        syscall(SYS_exit_group,
                phos_client_log(world.client, &event, NULL) == PHOS_E_FORKED
                    ? 0
                    : 99);
    assert_true(child > 0);
    assert_int_equal(child_wait((pid_t)child), 0);
    end_world();
#else
    (void)state;
#endif
}

/* ---- fork and the exit hook ---- */

static void the_parents_exit_hook_does_nothing_in_a_child(void **state)
{
    phos_options options = start_world();
    pid_t child;

    (void)state;
    options.exit_flush_ms = PATIENT_MS;
    options.linger_ms = 3600000;
    open_world(&options);
    log_some(EVENTS);
    child = child_fork();
    if (child == 0)
        exit(0);
    assert_int_equal(child_wait(child), 0);
    assert_int_equal(fault_server_requests(world.server), 0);
    end_world();
}

static void a_childs_exit_hook_flushes_the_child(void **state)
{
    phos_options options = start_world();
    pid_t child;

    (void)state;
    options.exit_flush_ms = PATIENT_MS;
    options.linger_ms = 3600000;
    open_world(&options);
    log_some(EVENTS);
    child = child_fork();
    if (child == 0) {
        world.client = open_own(PATIENT_MS); /* reachable until the end */
        exit(0);
    }
    assert_int_equal(child_wait(child), 0);
    assert_int_equal(fault_server_events(world.server), EVENTS);
    assert_int_equal(connections_of("parent"), 0);
    end_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_inherited_client_answers_that_it_was_forked),
        cmocka_unit_test(a_child_opens_nothing_on_an_inherited_worker),
        cmocka_unit_test(a_process_made_without_the_library_of_c_is_noticed),
        cmocka_unit_test(the_parents_exit_hook_does_nothing_in_a_child),
        cmocka_unit_test(a_child_delivers_through_a_client_of_its_own),
        cmocka_unit_test(a_grandchild_is_as_free_as_its_parent),
        cmocka_unit_test(a_callback_may_fork),
        cmocka_unit_test(a_childs_exit_hook_flushes_the_child),
        cmocka_unit_test(fork_beside_logging_threads_disturbs_nobody),
    };
    /* The thread sanitizer takes a child's new threads for those that its
     * parent had, and ends it. */
    const struct CMUnitTest without_threads_of_children[] = {
        tests[0],
        tests[1],
        tests[2],
    };
    /* child_fork() waits for a moment in which all other threads sleep. */
    const struct CMUnitTest without_busy_threads[] = {
        tests[0], tests[1], tests[2], tests[3],
        tests[4], tests[5], tests[6], tests[7],
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (UNDER_THREAD_SANITIZER)
        return cmocka_run_group_tests(without_threads_of_children, NULL, NULL);
    if (UNDER_ADDRESS_SANITIZER)
        return cmocka_run_group_tests(without_busy_threads, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
