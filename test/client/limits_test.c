/* R2, R3: descriptors and threads that are not to be had, or were taken away.
 */
#define _GNU_SOURCE

#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/child.h"
#include "client/process.h"
#include "client/witness.h"
#include "harness/descriptors.h"
#include "harness/failing_alloc.h"
#include "harness/fault_server.h"

enum { EVENTS = 20, PATIENT_MS = 20000 };

struct world {
    struct failing_alloc memory;
    struct witness witness;
    struct fault_server *server;
    phos_client *client;
};

static struct world world;

static phos_options start_world(void)
{
    const struct fault_options server = { 0 };
    phos_options options;

    memset(&world, 0, sizeof(world));
    failing_alloc_reset(&world.memory, 0, false);
    witness_init(&world.witness);
    world.server = fault_server_start(&server);
    assert_non_null(world.server);
    options = witness_options(&world.witness, fault_server_url(world.server));
    options.allocator = failing_alloc_make(&world.memory);
    return options;
}

static void log_some(void)
{
    for (unsigned i = 0; i < EVENTS; i++) {
        phos_event event = witness_event(i);

        assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
    }
}

/* All that was ever accepted is delivered. */
static void end_world(uint64_t accepted)
{
    phos_close_report report;

    assert_int_equal(phos_client_close(world.client, PATIENT_MS, &report),
                     PHOS_OK);
    assert_adds_up(&report.ledger);
    assert_int_equal(report.ledger.delivered, accepted);
    phos_client_free(world.client);
    threads_await_none("phos");
    counter_await_below(&world.memory.blocks, 1);
    fault_server_free(world.server);
    witness_deinit(&world.witness);
}

/* ---- descriptors ---- */

static struct descriptors before, now, more;
static struct rlimit no_limit;

/* Lets the process have `count` descriptors more than now; their numbers are
 * the lowest that are free. */
static void allow_more(unsigned count)
{
    struct rlimit limit = no_limit;
    rlim_t next = 0;

    descriptors_read(&now);
    for (size_t i = 0; i < now.count; next++)
        if (now.list[i].fd == (int)next)
            i++;
        else if (count > 0)
            count--;
        else
            break;
    limit.rlim_cur = next + count;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void allow_all(void)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &no_limit), 0);
}

static void open_without_descriptors_fails_and_leaves_nothing(void **state)
{
    phos_options options = start_world();
    phos_client *untouched = (phos_client *)(void *)&options;
    unsigned failures = 0;
    phos_status status;

    (void)state;
    getrlimit(RLIMIT_NOFILE, &no_limit);
    /* What is opened once for a process is open after this. */
    assert_int_equal(phos_client_open(&options, &world.client), PHOS_OK);
    phos_client_free(world.client);
    threads_await_none("phos");
    descriptors_read(&before);
    do {
        world.client = untouched;
        allow_more(failures);
        status = phos_client_open(&options, &world.client);
        allow_all();
        if (status) {
            assert_true(status == PHOS_E_SYSTEM || status == PHOS_E_NO_MEMORY);
            assert_ptr_equal(world.client, untouched);
            threads_await_none("phos");
            counter_await_below(&world.memory.blocks, 1);
            descriptors_read(&now);
            descriptors_new(&before, &now, &more);
            assert_int_equal(more.count, 0);
            failures++;
        }
        assert_true(failures < 50);
    } while (status);
    /* loop, wake-up and curl's pair at least */
    assert_true(failures >= 4);
    log_some();
    end_world(EVENTS);
}

static void delivery_goes_on_when_there_are_descriptors_again(void **state)
{
    phos_options options = start_world();
    phos_stats stats = { .struct_size = sizeof(stats) };

    (void)state;
    getrlimit(RLIMIT_NOFILE, &no_limit);
    assert_int_equal(phos_client_open(&options, &world.client), PHOS_OK);
    allow_more(0);
    log_some();
    assert_int_equal(phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, 100),
                     PHOS_E_TIMEOUT);
    assert_int_equal(phos_client_stats(world.client, &stats), PHOS_OK);
    assert_int_equal(stats.ledger.pending, EVENTS);
    assert_int_not_equal(stats.last_error.status, PHOS_OK);
    allow_all();
    assert_int_equal(
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, PATIENT_MS),
        PHOS_OK);
    end_world(EVENTS);
}

/* ---- threads ---- */

static void open_without_a_thread_fails_and_leaves_nothing(void **state)
{
    phos_options options = start_world();
    phos_client *untouched = (phos_client *)(void *)&options;
    phos_worker *worker = (phos_worker *)(void *)&options;
    pthread_attr_t few, many;

    (void)state;
    assert_int_equal(phos_client_open(&options, &world.client), PHOS_OK);
    phos_client_free(world.client);
    threads_await_none("phos");
    descriptors_read(&before);

    /* A stack that no address space can hold. */
    pthread_getattr_default_np(&few);
    pthread_getattr_default_np(&many);
    assert_int_equal(pthread_attr_setstacksize(&many, (size_t)1 << 60), 0);
    assert_int_equal(pthread_setattr_default_np(&many), 0);
    world.client = untouched;
    assert_int_equal(phos_client_open(&options, &world.client), PHOS_E_SYSTEM);
    assert_int_equal(phos_worker_open(NULL, &worker), PHOS_E_SYSTEM);
    assert_int_equal(pthread_setattr_default_np(&few), 0);

    assert_ptr_equal(world.client, untouched);
    assert_ptr_equal(worker, &options);
    assert_int_equal(world.memory.blocks, 0);
    descriptors_read(&now);
    descriptors_new(&before, &now, &more);
    assert_int_equal(more.count, 0);

    assert_int_equal(phos_client_open(&options, &world.client), PHOS_OK);
    log_some();
    end_world(EVENTS);
    pthread_attr_destroy(&few);
    pthread_attr_destroy(&many);
}

/* ---- a host that closes what it did not open (L9) ---- */

/* In a process of its own, as a daemon does it; argument: the service's URL. */
static int close_everything(const char *url)
{
    enum { CLOSE_MS = 500, OVER_MS = 5000, TAKEN = 64 };
    static struct witness witness;
    phos_options options;
    phos_close_report report;
    phos_client *client = NULL;
    uint64_t begun_ms, accepted = 0;
    int sockets[2];

    child_begin();
    witness_init(&witness);
    options = witness_options(&witness, url);
    CHILD_CHECK(phos_client_open(&options, &client) == PHOS_OK);
    for (unsigned i = 0; i < 2 * EVENTS; i++) {
        phos_event event = witness_event(i);

        accepted += phos_client_log(client, &event, NULL) == PHOS_OK;
        if (i == EVENTS - 1) {
            CHILD_CHECK(phos_client_flush(client, PHOS_FLUSH_DELIVERED,
                                          PATIENT_MS) == PHOS_OK);
            close_range(3, UINT_MAX, 0);
            for (unsigned j = 0; j < TAKEN; j++) /* their numbers */
                CHILD_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
        }
    }
    begun_ms = now_ms();
    phos_client_close(client, CLOSE_MS, &report);
    CHILD_CHECK(now_ms() - begun_ms <= CLOSE_MS + OVER_MS);
    CHILD_CHECK(report.ledger.accepted == accepted);
    CHILD_CHECK(report.ledger.delivered >= EVENTS);
    CHILD_CHECK(report.ledger.accepted == report.ledger.delivered +
                                              report.ledger.dropped +
                                              report.ledger.unknown);
    begun_ms = now_ms();
    phos_client_free(client);
    CHILD_CHECK(now_ms() - begun_ms <= OVER_MS);
    /* What curl and libuv held is left where it lies: no leak to look for. */
    _exit(0);
}

static void a_host_may_close_every_descriptor(void **state)
{
    const struct fault_options options = { 0 };
    struct fault_server *server = fault_server_start(&options);
    char *arguments[3] = { (char *)(uintptr_t) "limits_test" };

    (void)state;
    assert_non_null(server);
    arguments[1] = (char *)(uintptr_t)fault_server_url(server);
    assert_int_equal(child_wait(child_spawn(arguments)), 0);
    fault_server_free(server);
}

/* In a child, because libuv makes some of what it needs once for a process. */
static void the_first_open_of_a_process_fails_without_harm_too(void **state)
{
    (void)state;
    for (rlim_t limit = 3; limit < 24; limit++) {
        int how;
        pid_t child = fork();

        if (child == 0) {
            const struct rlimit few = { limit, limit };
            phos_options options = phos_options_default();
            phos_status status;

            options.endpoint = PHOS_STR("http://127.0.0.1:1");
            options.api_key = PHOS_STR("ph_secret");
            setrlimit(RLIMIT_NOFILE, &few);
            status = phos_client_open(&options, &world.client);
            _exit(status == PHOS_OK || status == PHOS_E_SYSTEM ||
                          status == PHOS_E_NO_MEMORY
                      ? 0
                      : 1);
        }
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFEXITED(how));
        assert_int_equal(WEXITSTATUS(how), 0);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_open_of_a_process_fails_without_harm_too),
        cmocka_unit_test(open_without_descriptors_fails_and_leaves_nothing),
        cmocka_unit_test(delivery_goes_on_when_there_are_descriptors_again),
        cmocka_unit_test(open_without_a_thread_fails_and_leaves_nothing),
        cmocka_unit_test(a_host_may_close_every_descriptor),
    };
    /* The thread sanitizer ends a child of fork() that makes threads, and a
     * host that gives our descriptors' numbers to others races with us by
     * intention. */
    const struct CMUnitTest without_children[] = {
        tests[1],
        tests[2],
        tests[3],
    };

    if (argc == 2)
        return close_everything(argv[1]);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (UNDER_THREAD_SANITIZER)
        return cmocka_run_group_tests(without_children, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
