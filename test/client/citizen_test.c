/* What a host notices of the library: nothing but its thread and descriptors,
 * and these only while it uses it. L6, L8, L9, K4. */
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/memory_transport.h"
#include "client/process.h"
#include "client/witness.h"
#include "harness/descriptors.h"
#include "harness/fault_server.h"

enum { EVENTS = 20, PATIENT_MS = 20000 };

extern char **environ;

/* ---- the environment, read by whom? ---- */

static atomic_int reads_of_environment;

char *getenv(const char *name)
{
    size_t length = strlen(name);

    atomic_fetch_add(&reads_of_environment, 1);
    for (char **entry = environ; entry && *entry; entry++)
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry + length + 1;
    return NULL;
}

char *secure_getenv(const char *name)
{
    return getenv(name);
}

/* ---- the world: a service behind a socket, and all that was told ---- */

struct world {
    struct fault_plan plan; /* of every request */
    bool is_planned;
    struct fault_server *server;
    struct witness witness;
    phos_client *client;
    phos_close_report report;
};

static struct world world;

static void follow_plan(void *user_data, uint64_t number,
                        struct fault_plan *plan)
{
    (void)user_data;
    (void)number;
    if (world.is_planned)
        *plan = world.plan;
}

static phos_options start_world(void)
{
    const struct fault_options server = { .plan = follow_plan };

    memset(&world, 0, sizeof(world));
    witness_init(&world.witness);
    world.server = fault_server_start(&server);
    assert_non_null(world.server);
    return witness_options(&world.witness, fault_server_url(world.server));
}

/* For the world's start: what every request meets. */
static void plan_requests(struct fault_plan plan)
{
    plan.cut_request_after = plan.cut_reply_after = FAULT_NEVER;
    world.plan = plan;
    world.is_planned = true;
}

static void open_world(const phos_options *options)
{
    assert_int_equal(phos_client_open(options, &world.client), PHOS_OK);
}

static void log_some(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        phos_event event = witness_event(i);

        assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
    }
}

static void deliver_some(void)
{
    log_some(EVENTS);
    assert_int_equal(
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, PATIENT_MS),
        PHOS_OK);
}

static void close_world(uint32_t timeout_ms)
{
    phos_client_close(world.client, timeout_ms, &world.report);
    assert_adds_up(&world.report.ledger);
    phos_client_free(world.client);
    threads_await_none("phos");
}

static void end_world(void)
{
    fault_server_free(world.server);
    witness_deinit(&world.witness);
}

/* All that can go wrong between open and free, once. */
static void live_a_hard_life(void)
{
    static const struct fault_plan plans[] = {
        { .status = 201 },
        { .status = 503, .headers = "Retry-After: 0\r\n" },
        { .status = 201, .resets = true },
        { .status = 201, .cut_request_after = 100, .resets = true },
        { .status = 201, .cut_reply_after = 10, .resets = true },
        { .is_garbage = true },
        { .status = 422 },
        { .status = 401 },
        { .sends_page = true, .status = 201 },
    };

    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        phos_options options = start_world();
        struct fault_plan plan = plans[i];

        plan_requests(plan);
        if (plan.cut_request_after)
            world.plan.cut_request_after = plan.cut_request_after;
        if (plan.cut_reply_after)
            world.plan.cut_reply_after = plan.cut_reply_after;
        open_world(&options);
        log_some(EVENTS);
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, 50);
        close_world(50);
        end_world();
    }
}

/* ---- signals ---- */

static void the_worker_blocks_every_signal_and_has_its_name(void **state)
{
    phos_worker_options worker = phos_worker_options_default();
    phos_options options = start_world();
    char text[64] = "";
    uint64_t blocked;

    (void)state;
    strcpy(worker.thread_name, "a-name");
    assert_int_equal(phos_worker_open(&worker, &options.worker), PHOS_OK);
    open_world(&options);
    deliver_some();
    assert_true(thread_field("a-name", "SigBlk:", text, sizeof(text)));
    blocked = strtoull(text, NULL, 16);
    for (int number = 1; number <= 64; number++) {
        if (number == SIGKILL || number == SIGSTOP ||
            (number >= 32 && number < SIGRTMIN)) /* the C library's own */
            continue;
        if (!(blocked >> (number - 1) & 1))
            fail_msg("signal %d is not blocked: %s", number, text);
    }
    phos_worker_free(options.worker);
    close_world(PATIENT_MS);
    threads_await_none("a-name");
    end_world();
}

struct signals {
    struct sigaction actions[65];
    sigset_t mask;
};

static void signals_read(struct signals *signals)
{
    memset(signals, 0, sizeof(*signals));
    for (int number = 1; number <= 64; number++)
        sigaction(number, NULL, &signals->actions[number]);
    pthread_sigmask(SIG_SETMASK, NULL, &signals->mask);
}

static void dispositions_and_mask_stay_as_they_were(void **state)
{
    struct signals before, after;

    (void)state;
    signals_read(&before);
    live_a_hard_life();
    signals_read(&after);
    for (int number = 1; number <= 64; number++) {
        assert_ptr_equal((void *)(uintptr_t)before.actions[number].sa_handler,
                         (void *)(uintptr_t)after.actions[number].sa_handler);
        assert_int_equal(before.actions[number].sa_flags,
                         after.actions[number].sa_flags);
    }
    assert_memory_equal(&before.mask, &after.mask, sizeof(before.mask));
}

/* With the disposition of a new process it would end the tests here. */
static void a_connection_that_breaks_raises_no_sigpipe(void **state)
{
    struct sigaction by_default = { .sa_handler = SIG_DFL }, before;
    phos_options options;
    char text[64] = "", output[4000];

    (void)state;
    memset(output, 'x', sizeof(output));
    sigaction(SIGPIPE, &by_default, &before);
    options = start_world();
    options.event_bytes_max = 1 << 16;
    options.ring_bytes = 1 << 20;
    plan_requests((struct fault_plan){ .status = 201, .resets = true });
    world.plan.cut_request_after = 1000;
    open_world(&options);
    for (unsigned i = 0; i < 100; i++) {
        phos_event event = witness_event(i);

        event.output = phos_str_make(output, sizeof(output));
        assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
    }
    assert_true(fault_server_wait_closed(world.server, 5));
    /* Not even on the worker's own thread, where it would stay pending. */
    assert_true(thread_field("phos", "SigPnd:", text, sizeof(text)));
    assert_int_equal(strtoull(text, NULL, 16), 0);
    assert_true(thread_field("phos", "ShdPnd:", text, sizeof(text)));
    assert_int_equal(strtoull(text, NULL, 16), 0);
    close_world(0);
    end_world();
    sigaction(SIGPIPE, &before, NULL);
}

/* ---- descriptors and threads ---- */

static struct descriptors before, now, more;

static void everything_opened_closes_on_exec(void **state)
{
    phos_options options = start_world();

    (void)state;
    plan_requests((struct fault_plan){ .status = 201,
                                       .stall = FAULT_STALL_BEFORE_STATUS });
    descriptors_read(&before);
    open_world(&options);
    log_some(EVENTS);
    assert_true(fault_server_wait_begun(world.server, 1));
    descriptors_read(&now);
    descriptors_new(&before, &now, &more);
    /* loop, wake-up, curl's pair, both ends of the connection at least */
    assert_true(more.count >= 5);
    if (descriptors_inheritable(&more))
        fail_msg("%d (%s) would survive an exec",
                 descriptors_inheritable(&more)->fd,
                 descriptors_inheritable(&more)->what);
    fault_server_release(world.server);
    close_world(PATIENT_MS);
    end_world();
}

static void free_closes_every_descriptor(void **state)
{
    (void)state;
    /* What libuv and libcurl open once for a process stays. */
    live_a_hard_life();
    descriptors_read(&before);
    live_a_hard_life();
    descriptors_read(&now);
    descriptors_new(&before, &now, &more);
    for (size_t i = 0; i < more.count; i++)
        print_error("%d (%s) is left\n", more.list[i].fd, more.list[i].what);
    assert_int_equal(more.count, 0);
}

static void there_is_one_thread_and_after_free_none(void **state)
{
    const struct fault_options silent = { .is_silent = true };
    struct fault_server *server = fault_server_start(&silent);
    phos_options options;
    unsigned without;

    (void)state;
    assert_non_null(server);
    options = start_world();
    options.endpoint = phos_str_make(fault_server_url(server),
                                     strlen(fault_server_url(server)));
    open_world(&options);
    close_world(0);
    /* Only now: a sanitizer has begun a thread of its own. */
    without = threads_count();
    open_world(&options);
    assert_int_equal(threads_count(), without + 1);
    assert_int_equal(threads_named("phos"), 1);
    close_world(0);
    assert_int_equal(threads_count(), without);
    end_world();
    fault_server_free(server);
}

/* ---- the environment ---- */

static void set_variables(const char *const (*variables)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (variables[i][1])
            setenv(variables[i][0], variables[i][1], 1);
        else
            unsetenv(variables[i][0]);
    }
}

static size_t copy_environment(char *to, size_t bytes)
{
    size_t used = 0;

    for (char **entry = environ; *entry; entry++)
        used += (size_t)snprintf(to + used, bytes - used, "%s\n", *entry);
    return used;
}

static void the_environment_stays_as_it_was(void **state)
{
    static char were[65536], are[65536];
    size_t bytes = copy_environment(were, sizeof(were));

    (void)state;
    live_a_hard_life();
    assert_int_equal(copy_environment(are, sizeof(are)), bytes);
    assert_string_equal(are, were);
}

static void the_environment_is_read_by_open_and_never_again(void **state)
{
    phos_options options = start_world();
    const char *const set[][2] = {
        { "PHOS_ENDPOINT", fault_server_url(world.server) },
        { "PHOSPHO_API_KEY", "of-before" },
        { "PHOSPHO_PROJECT_ID", "of-before" },
    };
    static const char *const changed[][2] = {
        { "PHOS_ENDPOINT", "http://127.0.0.1:1" },
        { "PHOSPHO_API_KEY", "of-after" },
        { "PHOSPHO_PROJECT_ID", "of-after" },
        { "PHOS_IN_FLIGHT_MAX", "0" },
    };
    static const char *const unset[][2] = {
        { "PHOS_ENDPOINT", NULL },
        { "PHOSPHO_API_KEY", NULL },
        { "PHOSPHO_PROJECT_ID", NULL },
        { "PHOS_IN_FLIGHT_MAX", NULL },
    };

    (void)state;
    options.use_environment = true;
    options.endpoint = options.api_key = phos_str_make(NULL, 0);
    set_variables(set, 3);
    atomic_store(&reads_of_environment, 0);
    open_world(&options);
    assert_true(atomic_load(&reads_of_environment) > 0);
    set_variables(changed, 4);
    atomic_store(&reads_of_environment, 0);
    deliver_some();
    assert_int_equal(phos_client_set_api_key(world.client, PHOS_STR("next")),
                     PHOS_OK);
    deliver_some();
    close_world(PATIENT_MS);
    assert_int_equal(atomic_load(&reads_of_environment), 0);
    set_variables(unset, 4);
    assert_int_equal(fault_server_events(world.server), 2 * EVENTS);
    assert_true(fault_server_saw(world.server, "Bearer of-before", 16));
    assert_true(fault_server_saw(world.server, "\"of-before\"", 11));
    assert_false(fault_server_saw(world.server, "of-after", 8));
    end_world();
}

static void proxies_of_the_environment_are_others_business(void **state)
{
    const struct fault_options quiet = { 0 };
    struct fault_server *proxy = fault_server_start(&quiet);
    const char *url = fault_server_url(proxy);
    const char *const set[][2] = {
        { "http_proxy", url }, { "https_proxy", url }, { "HTTPS_PROXY", url },
        { "all_proxy", url },  { "ALL_PROXY", url },   { "HTTP_PROXY", url },
        { "no_proxy", NULL },  { "NO_PROXY", NULL },
    };
    static const char *const unset[][2] = {
        { "http_proxy", NULL },  { "https_proxy", NULL },
        { "HTTPS_PROXY", NULL }, { "all_proxy", NULL },
        { "ALL_PROXY", NULL },   { "HTTP_PROXY", NULL },
    };
    phos_options options = start_world();

    (void)state;
    assert_non_null(proxy);
    set_variables(set, 8);
    options.use_environment = true;
    open_world(&options);
    deliver_some();
    close_world(PATIENT_MS);
    set_variables(unset, 6);
    assert_int_equal(fault_server_events(world.server), EVENTS);
    assert_int_equal(fault_server_connections(proxy), 0);
    end_world();
    fault_server_free(proxy);
}

/* ---- output, errno ---- */

static void nothing_is_printed(void **state)
{
    int output = memfd_create("output", MFD_CLOEXEC);
    int standard_output, standard_error;
    phos_options options;
    phos_client *client;
    off_t bytes;

    (void)state;
    assert_true(output >= 0);
    fflush(NULL);
    standard_output = dup(STDOUT_FILENO);
    standard_error = dup(STDERR_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    live_a_hard_life();
    options = phos_options_default();
    options.endpoint = PHOS_STR("gopher://x");
    phos_client_open(&options, &client);
    options.endpoint = PHOS_STR("http://example.org");
    options.api_key = PHOS_STR("k");
    phos_client_open(&options, &client);
    fflush(NULL);
    dup2(standard_output, STDOUT_FILENO);
    dup2(standard_error, STDERR_FILENO);
    close(standard_output);
    close(standard_error);
    bytes = lseek(output, 0, SEEK_END);
    close(output);
    assert_int_equal(bytes, 0);
}

static void a_log_call_leaves_errno_alone(void **state)
{
    struct memory_transport service;
    phos_options options = start_world();
    char output[2000];

    (void)state;
    memset(output, 'x', sizeof(output));
    memory_transport_init(&service);
    service.keeps_events = false;
    options.transport = &service.transport;
    options.deep_sleep_after_ms = 0;   /* many calls wake the worker … */
    options.full_wait_ms = PATIENT_MS; /* … and many wait for room */
    open_world(&options);
    for (unsigned i = 0; i < 1000; i++) {
        phos_event event = witness_event(WITNESS_COOKIES);

        event.output = phos_str_make(output, sizeof(output));
        errno = 4711;
        assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
        assert_int_equal(errno, 4711);
        if (i % 100 == 0)
            memory_transport_await(&service, i);
    }
    errno = 4711;
    phos_client_begin_shutdown(world.client);
    assert_int_equal(errno, 4711);
    close_world(PATIENT_MS);
    memory_transport_deinit(&service);
    end_world();
}

/* ---- the key ---- */

static void assert_key_unheard(const char *key, const phos_stats *stats)
{
    assert_false(witness_heard(&world.witness, key));
    assert_null(strstr(stats->last_error.text, key));
    assert_null(strstr(world.report.last_error.text, key));
}

/* A service that answers `status` and these words of the key it was sent. */
static void check_echo(int status, const char *words, const char *key,
                       const char *part)
{
    phos_options options = start_world();
    phos_stats stats = { .struct_size = sizeof(stats) };
    char body[8192];

    snprintf(body, sizeof(body), words, key);
    plan_requests(
        (struct fault_plan){ .status = status,
                             .body = body,
                             .headers = "Content-Type: application/json\r\n" });
    options.api_key = phos_str_make(key, strlen(key));
    open_world(&options);
    log_some(1);
    assert_true(fault_server_wait_answered(world.server, 1));
    phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, 20);
    assert_int_equal(phos_client_stats(world.client, &stats), PHOS_OK);
    close_world(20);
    assert_true(fault_server_saw(world.server, key, strlen(key)));
    assert_int_equal(stats.last_http_status, status);
    assert_int_equal(stats.last_error.code, status);
    assert_key_unheard(part, &stats);
    end_world();
}

static void a_key_that_comes_back_is_told_to_nobody(void **state)
{
    static const char *const bodies[] = {
        "{\"error\":\"unknown key %s\"}",
        "{\"error\":\"Bearer %s is unknown\"}",
        "{\"error\":{\"message\":\"%s\"}}",
        "{\"detail\":[\"%s\"]}",
        "{\"message\":\"........................................"
        "........................................................"
        "........................................................"
        "...........................%s\"}",
    };
    static const int statuses[] = { 400, 401, 422, 429, 500, 503 };

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        check_echo(statuses[i % 6], bodies[i], witness_key, "ph_canary");
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        check_echo(statuses[i], bodies[0], witness_key, "ph_canary");
}

/* Signed tokens are longer than what is kept of an answer. */
static void a_long_key_that_comes_back_in_part_is_told_to_nobody(void **state)
{
    static char key[3000];

    (void)state;
    memset(key, 'k', sizeof(key) - 1);
    memcpy(key, "eyJhbGciOiJIUzI1NiJ9", 20);
    check_echo(401, "{\"error\":\"unknown key %s\"}", key, "eyJhbGciOi");
    check_echo(401, "{\"error\":\"unknown key %s\"}", key, "kkkkkkkkkk");
}

static void a_key_is_in_no_message_of_open(void **state)
{
    phos_options options = start_world();

    (void)state;
    options.endpoint = PHOS_STR("http://example.org");
    assert_int_equal(phos_client_open(&options, &world.client),
                     PHOS_E_INSECURE);
    options.endpoint = PHOS_STR("https://ph_canary_user:secret@example.org");
    assert_int_equal(phos_client_open(&options, &world.client), PHOS_E_INVALID);
    options.endpoint = PHOS_STR("https://example.org");
    options.api_key = PHOS_STR("ph_canary\r\nX: y");
    assert_int_equal(phos_client_open(&options, &world.client), PHOS_E_INVALID);
    assert_true(witness_heard(&world.witness, "api_key"));
    assert_false(witness_heard(&world.witness, "ph_canary"));
    end_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worker_blocks_every_signal_and_has_its_name),
        cmocka_unit_test(dispositions_and_mask_stay_as_they_were),
        cmocka_unit_test(a_connection_that_breaks_raises_no_sigpipe),
        cmocka_unit_test(everything_opened_closes_on_exec),
        cmocka_unit_test(free_closes_every_descriptor),
        cmocka_unit_test(there_is_one_thread_and_after_free_none),
        cmocka_unit_test(the_environment_stays_as_it_was),
        cmocka_unit_test(the_environment_is_read_by_open_and_never_again),
        cmocka_unit_test(proxies_of_the_environment_are_others_business),
        cmocka_unit_test(nothing_is_printed),
        cmocka_unit_test(a_log_call_leaves_errno_alone),
        cmocka_unit_test(a_key_that_comes_back_is_told_to_nobody),
        cmocka_unit_test(a_long_key_that_comes_back_in_part_is_told_to_nobody),
        cmocka_unit_test(a_key_is_in_no_message_of_open),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
