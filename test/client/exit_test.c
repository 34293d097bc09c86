/* L4: every way in which a process can end, with the exit hook and without. */
#define _GNU_SOURCE

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/child.h"
#include "client/process.h"
#include "client/witness.h"
#include "harness/fault_server.h"

/* Read by the thread sanitizer, which else sleeps for a second at each exit. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "atexit_sleep_ms=0";
}

enum { EVENTS = 20, CODE = 7, PATIENT_MS = 20000 };

/* ---- the child: logs, and ends in the way it is told ---- */

static phos_client *client, *other;

static void log_some(phos_client *to, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        phos_event event = witness_event(i);

        CHILD_CHECK(phos_client_log(to, &event, NULL) == PHOS_OK);
    }
}

/* Nothing is sent on its own: only an exit hook can be what sends. */
static phos_options patient_options(const char *url, unsigned hook_ms)
{
    phos_options options = phos_options_default();

    options.endpoint = phos_str_make(url, strlen(url));
    options.api_key = PHOS_STR("ph_key");
    options.use_environment = false;
    options.linger_ms = 3600000;
    options.exit_flush_ms = hook_ms;
    return options;
}

static phos_client *open_client(const phos_options *options)
{
    phos_client *opened = NULL;

    CHILD_CHECK(phos_client_open(options, &opened) == PHOS_OK);
    return opened;
}

static void *exit_from_here(void *unused)
{
    (void)unused;
    exit(CODE);
}

static sem_t is_logging;

static void *log_for_ever(void *unused)
{
    phos_event event = witness_event(0);
    phos_status status;

    (void)unused;
    do {
        status = phos_client_log(client, &event, NULL);
        sem_post(&is_logging);
    } while (status == PHOS_OK || status == PHOS_E_FULL);
    CHILD_CHECK(status == PHOS_E_CLOSED);
    return NULL;
}

static void exit_beside_a_logger(void)
{
    pthread_t thread;

    sem_init(&is_logging, 0, 0);
    pthread_create(&thread, NULL, log_for_ever, NULL);
    pthread_detach(thread);
    sem_wait(&is_logging);
    exit(CODE);
}

static void exit_in_callback(const phos_receipt *receipts, size_t count,
                             void *user_data)
{
    (void)receipts;
    (void)count;
    (void)user_data;
    exit(CODE);
}

static void exit_in_handler(int number)
{
    (void)number;
    exit(CODE);
}

/* Registered after the client's handler, so it runs before that one. */
static void free_at_exit(void)
{
    phos_client_free(client);
}

static int end_process(const char *way, const phos_options *options)
{
    if (!strcmp(way, "_exit"))
        _exit(CODE);
    if (!strcmp(way, "quick_exit"))
        quick_exit(CODE);
    if (!strcmp(way, "abort"))
        abort();
    if (!strcmp(way, "thread")) {
        pthread_t thread;

        pthread_create(&thread, NULL, exit_from_here, NULL);
        pthread_join(thread, NULL);
    }
    if (!strcmp(way, "logger"))
        exit_beside_a_logger();
    if (!strcmp(way, "callback")) {
        phos_client_begin_shutdown(client);
        for (;;)
            pause();
    }
    if (!strcmp(way, "handler")) {
        signal(SIGUSR1, exit_in_handler);
        raise(SIGUSR1);
    }
    if (!strcmp(way, "two")) {
        other = open_client(options);
        log_some(other, EVENTS);
    }
    if (!strcmp(way, "closed"))
        CHILD_CHECK(phos_client_close(client, PATIENT_MS, NULL) == PHOS_OK);
    if (!strcmp(way, "freed")) {
        CHILD_CHECK(phos_client_close(client, PATIENT_MS, NULL) == PHOS_OK);
        phos_client_free(client);
    }
    if (!strcmp(way, "free_at_exit"))
        atexit(free_at_exit);
    if (!strcmp(way, "return"))
        return CODE;
    exit(CODE);
}

/* arguments: way, url, milliseconds of the hook */
static int child_main(char **arguments)
{
    phos_options options =
        patient_options(arguments[1], (unsigned)atoi(arguments[2]));

    child_begin();
    if (!strcmp(arguments[0], "callback"))
        options.on_receipts = exit_in_callback;
    client = open_client(&options);
    log_some(client, EVENTS);
    return end_process(arguments[0], &options);
}

/* ---- the parent ---- */

static int run_child(const char *way, const char *url, unsigned hook_ms)
{
    char number[16];
    char *arguments[] = { (char *)(uintptr_t) "exit_test",
                          (char *)(uintptr_t)way, (char *)(uintptr_t)url,
                          number, NULL };

    snprintf(number, sizeof(number), "%u", hook_ms);
    return child_wait(child_spawn(arguments));
}

struct row {
    const char *way;
    int code;
    size_t least, most; /* events that arrive */
};

static void check(const struct row *row, unsigned hook_ms)
{
    const struct fault_options options = { 0 };
    struct fault_server *server = fault_server_start(&options);
    size_t events;
    int code;

    assert_non_null(server);
    code = run_child(row->way, fault_server_url(server), hook_ms);
    events = fault_server_events(server);
    if (code != row->code || events < row->least || events > row->most ||
        fault_server_arrivals(server) != events)
        fail_msg("%s, hook %u ms: code %d, %zu events, %ju arrivals", row->way,
                 hook_ms, code, events,
                 (uintmax_t)fault_server_arrivals(server));
    fault_server_free(server);
}

static void with_the_hook_an_orderly_exit_delivers(void **state)
{
    static const struct row rows[] = {
        { "return", CODE, EVENTS, EVENTS },
        { "exit", CODE, EVENTS, EVENTS },
        { "thread", CODE, EVENTS, EVENTS },
        { "two", CODE, 2 * EVENTS, 2 * EVENTS },
        { "closed", CODE, EVENTS, EVENTS },
        { "freed", CODE, EVENTS, EVENTS },
        { "logger", CODE, EVENTS, SIZE_MAX },
        /* On the worker's own thread nobody can be waited for. */
        { "callback", CODE, EVENTS, EVENTS },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check(&rows[i], PATIENT_MS);
}

static void with_the_hook_any_other_end_is_as_it_was(void **state)
{
    static const struct row rows[] = {
        { "_exit", CODE, 0, 0 },
        { "quick_exit", CODE, 0, 0 },
        { "abort", 128 + SIGABRT, 0, 0 },
        { "free_at_exit", CODE, 0, 0 }, /* a close with deadline 0 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check(&rows[i], PATIENT_MS);
}

static void without_the_hook_exit_sends_nothing(void **state)
{
    static const struct row rows[] = {
        { "return", CODE, 0, 0 },         { "exit", CODE, 0, 0 },
        { "thread", CODE, 0, 0 },         { "_exit", CODE, 0, 0 },
        { "quick_exit", CODE, 0, 0 },     { "logger", CODE, 0, SIZE_MAX },
        { "abort", 128 + SIGABRT, 0, 0 }, { "free_at_exit", CODE, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check(&rows[i], 0);
}

static uint64_t time_child_ms(const char *way, const char *url,
                              unsigned hook_ms)
{
    uint64_t begun_ms = now_ms();

    assert_int_equal(run_child(way, url, hook_ms), CODE);
    return now_ms() - begun_ms;
}

/* Not a thing that POSIX allows, and done everywhere. */
static void exit_in_a_signal_handler_is_an_exit(void **state)
{
    static const struct row with = { "handler", CODE, EVENTS, EVENTS };
    static const struct row without = { "handler", CODE, 0, 0 };

    (void)state;
    check(&with, PATIENT_MS);
    check(&without, 0);
}

/* L11; what a process takes to start and end anyway is measured beside it. */
static void the_hook_keeps_its_deadline_however_many_clients(void **state)
{
    enum { HOOK_MS = 2500, ALLOWED_MS = 2000 };
    const struct fault_options options = { .is_silent = true };
    struct fault_server *server = fault_server_start(&options);
    const char *url = fault_server_url(server);
    uint64_t without_ms, one_ms, two_ms;

    (void)state;
    assert_non_null(server);
    without_ms = time_child_ms("_exit", url, HOOK_MS);
    one_ms = time_child_ms("exit", url, HOOK_MS);
    two_ms = time_child_ms("two", url, HOOK_MS);
    assert_in_range(one_ms, HOOK_MS, without_ms + HOOK_MS + ALLOWED_MS);
    assert_in_range(two_ms, HOOK_MS, without_ms + HOOK_MS + ALLOWED_MS);
    fault_server_free(server);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_the_hook_an_orderly_exit_delivers),
        cmocka_unit_test(with_the_hook_any_other_end_is_as_it_was),
        cmocka_unit_test(without_the_hook_exit_sends_nothing),
        cmocka_unit_test(the_hook_keeps_its_deadline_however_many_clients),
        cmocka_unit_test(exit_in_a_signal_handler_is_an_exit),
    };
    /* The thread sanitizer ends a program that calls exit() in a handler. */
    const struct CMUnitTest without_handler[] = { tests[0], tests[1], tests[2],
                                                  tests[3] };

    if (argc == 4)
        return child_main(argv + 1);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (UNDER_THREAD_SANITIZER)
        return cmocka_run_group_tests(without_handler, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
