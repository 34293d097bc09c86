/*
 * The transport as a guest of its process: environment, descriptors, signals,
 * threads, name lookups that hang. This program has its own getenv(),
 * sigaction() and getaddrinfo(), which libcurl then calls instead of libc's.
 */
#define _GNU_SOURCE

#include <dirent.h>
#include <dlfcn.h>
#include <netdb.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "harness/descriptors.h"
#include "io/rig.h"

static const char batch[] =
    "{\"events\":[{\"event_id\":\"a\",\"input\":\"x\"}]}";

/* ---- what libcurl calls ---- */

static atomic_bool is_watching;
static atomic_uint environment_reads, signal_changes, lookups, lookups_over;
static atomic_bool lookups_hang;
static sem_t lookup_may_go;

char *getenv(const char *name)
{
    size_t length = strlen(name);

    if (is_watching)
        environment_reads++;
    for (char **entry = environ; entry && *entry; entry++)
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry + length + 1;
    return NULL;
}

int sigaction(int number, const struct sigaction *action,
              struct sigaction *ret_before)
{
    static int (*real)(int, const struct sigaction *, struct sigaction *);

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "sigaction");
    if (is_watching && action)
        signal_changes++;
    return real(number, action, ret_before);
}

int getaddrinfo(const char *node, const char *service,
                const struct addrinfo *hints, struct addrinfo **ret_info)
{
    (void)node;
    (void)service;
    (void)hints;
    (void)ret_info;
    lookups++;
    if (lookups_hang)
        while (sem_wait(&lookup_may_go) != 0)
            ;
    lookups_over++;
    return EAI_AGAIN;
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- environment ---- */

static const char *const surprises[] = {
    "http_proxy", "HTTP_PROXY", "https_proxy",    "HTTPS_PROXY",
    "all_proxy",  "ALL_PROXY",  "CURL_CA_BUNDLE", "SSL_CERT_FILE",
};

/* N9 */
static void the_environment_is_not_asked_and_sends_nobody_astray(void **state)
{
    struct fault_server *elsewhere =
        fault_server_start(&(struct fault_options){ .is_silent = true });
    struct phos__http_options options = rig_options();
    struct rig rig;
    phos_request request;

    (void)state;
    for (size_t i = 0; i < sizeof(surprises) / sizeof(surprises[0]); i++)
        setenv(surprises[i], fault_server_url(elsewhere), 1);
    setenv("no_proxy", "127.0.0.1", 1); /* would skip a proxy of ours */

    rig_start(&rig, NULL, NULL);
    environment_reads = 0;
    is_watching = true;
    request = rig_post(&rig, batch);
    assert_int_equal(rig_exchange(&rig, &request).http_status, 201);
    request.url = PHOS_STR("https://127.0.0.1:1/");
    assert_int_equal(rig_exchange(&rig, &request).exchange,
                     PHOS_EXCHANGE_NOT_SENT);
    is_watching = false;
    assert_int_equal(environment_reads, 0);
    assert_int_equal(fault_server_connections(elsewhere), 0);
    rig_stop(&rig);

    /* A proxy that was asked for is used, whatever no_proxy says. */
    rig_start(&rig, NULL, NULL);
    phos__http_destroy(rig.http);
    options.proxy =
        phos_str_make(rig.url, strlen(fault_server_url(rig.server)));
    assert_int_equal(
        phos__http_create(rig.loop, &rig.allocator, &options, &rig.http),
        PHOS_OK);
    is_watching = true;
    request = rig_post(&rig, batch);
    request.url = PHOS_STR("http://127.0.0.1:1/through/the/proxy");
    assert_int_equal(rig_exchange(&rig, &request).http_status, 201);
    is_watching = false;
    assert_int_equal(environment_reads, 0);
    assert_string_equal(fault_server_request(rig.server, 0).path,
                        "http://127.0.0.1:1/through/the/proxy");
    rig_stop(&rig);

    for (size_t i = 0; i < sizeof(surprises) / sizeof(surprises[0]); i++)
        unsetenv(surprises[i]);
    unsetenv("no_proxy");
    fault_server_free(elsewhere);
}

/* K4: on the way to an https service a proxy sees the name and no key. */
static void a_proxy_in_between_is_not_given_the_key(void **state)
{
    static const struct {
        int status;
        phos_exchange exchange;
    } rows[] = {
        { 407, PHOS_EXCHANGE_REFUSED },
        { 403, PHOS_EXCHANGE_REFUSED },
        { 502, PHOS_EXCHANGE_NOT_SENT },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct phos__http_options options = rig_options();
        struct rig rig;
        phos_request request;

        rig_start(&rig, NULL, NULL);
        phos__http_destroy(rig.http);
        options.proxy =
            phos_str_make(rig.url, strlen(fault_server_url(rig.server)));
        assert_int_equal(
            phos__http_create(rig.loop, &rig.allocator, &options, &rig.http),
            PHOS_OK);
        rig.plan.status = rows[i].status;
        request = rig_post(&rig, batch);
        request.url = PHOS_STR("https://service.invalid/api");
        assert_int_equal(rig_exchange(&rig, &request).exchange,
                         rows[i].exchange);
        assert_int_equal(rig.replies[0].obstacle, PHOS_OBSTACLE_PROXY);
        assert_string_equal(fault_server_request(rig.server, 0).path,
                            "service.invalid:443");
        assert_false(fault_server_saw(rig.server, rig_key, strlen(rig_key)));
        rig_stop(&rig);
    }
}

/* ---- descriptors, threads, signals ---- */

static unsigned count_threads(void)
{
    DIR *directory = opendir("/proc/self/task");
    unsigned count = 0;

    while (directory && readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static uint64_t destroy_once_looking_up(struct rig *rig)
{
    if (rig->http && lookups > lookups_over) {
        descriptors_read(rig->more);
        phos__http_destroy(rig->http);
        rig->http = NULL;
    }
    return now_ms() + 1;
}

static void let_lookups_go(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        sem_post(&lookup_may_go);
    lookups_hang = false;
    while (lookups_over < lookups)
        sched_yield();
}

/* L6 */
static void every_descriptor_closes_on_exec_also_in_mid_lookup(void **state)
{
    static struct descriptors before, during, made;
    struct rig rig;
    phos_request request;

    (void)state;
    descriptors_read(&before);
    rig_start(&rig, NULL, &no_server);
    rig.more = &during;
    rig.on_turn = destroy_once_looking_up;
    lookups_hang = true;
    request = rig_post(&rig, batch);
    request.url = PHOS_STR("http://a-name-to-look-up.invalid/");
    assert_int_equal(rig_exchange(&rig, &request).exchange,
                     PHOS_EXCHANGE_CANCELLED);
    descriptors_new(&before, &during, &made);
    assert_true(made.count >= 4); /* the loop's, curl's pair, the lookup's */
    assert_null(descriptors_inheritable(&made));
    rig_stop(&rig);
    let_lookups_go(1);
}

/* L6, with a connection open. */
static void a_kept_connection_closes_on_exec(void **state)
{
    static struct descriptors before, during, after, made;
    struct rig rig;
    phos_request request;

    (void)state;
    rig_start(&rig, NULL, NULL);
    descriptors_read(&before);
    request = rig_post(&rig, batch);
    assert_int_equal(rig_exchange(&rig, &request).http_status, 201);
    descriptors_read(&during);
    descriptors_new(&before, &during, &made);
    assert_true(made.count >= 1);
    assert_null(descriptors_inheritable(&made));
    phos__http_destroy(rig.http);
    rig.http = NULL;
    fault_server_stop(rig.server);
    descriptors_read(&after);
    descriptors_new(&before, &after, &made);
    assert_int_equal(made.count, 0);
    rig_stop(&rig);
}

/* R4: neither a lookup that hangs nor its thread is waited for. */
static void a_lookup_that_hangs_holds_nobody_up(void **state)
{
    static struct descriptors ignored;
    struct phos__http_options options = rig_options();
    struct rig rig;
    phos_request request;
    uint64_t start_ms;

    (void)state;
    lookups_hang = true;
    options.connect_timeout_ms = 50;
    rig_start(&rig, &options, &no_server);
    request = rig_post(&rig, batch);
    request.url = PHOS_STR("http://black-hole.invalid/");
    start_ms = now_ms();
    assert_int_equal(rig_exchange(&rig, &request).exchange,
                     PHOS_EXCHANGE_NOT_SENT);
    assert_int_equal(rig.replies[0].error.status, PHOS_E_TIMEOUT);
    rig.on_turn = destroy_once_looking_up;
    rig.more = &ignored;
    assert_int_equal(rig_exchange(&rig, &request).exchange,
                     PHOS_EXCHANGE_CANCELLED);
    rig_stop(&rig);
    /* The lookups still hang; they would for as long as nobody lets them go. */
    assert_true(lookups_over < lookups);
    assert_true(now_ms() - start_ms < 5000);
    let_lookups_go(2);
}

static atomic_uint pipes_broken;

static void on_sigpipe(int number)
{
    (void)number;
    pipes_broken++;
}

static void read_dispositions(struct sigaction *actions)
{
    memset(actions, 0, sizeof(*actions) * 65);
    for (int number = 1; number <= 64; number++)
        (void)sigaction(number, NULL, &actions[number]);
}

/* X4, L8, R10 */
static void no_signal_is_raised_and_no_disposition_touched(void **state)
{
    static struct sigaction before[65], after[65];
    struct sigaction count = { .sa_handler = on_sigpipe };
    char *huge = calloc(1, 4 << 20);
    struct rig rig;
    phos_request request;
    unsigned threads;

    (void)state;
    memset(huge, ' ', (4 << 20) - 1);
    sigaction(SIGPIPE, &count, NULL);
    read_dispositions(before);
    rig_start(&rig, NULL, NULL);
    threads = count_threads();
    signal_changes = 0;
    is_watching = true;
    for (size_t cut = 0; cut < 20; cut++) {
        rig.plan.cut_request_after = cut * 1000;
        rig.plan.resets = cut % 2;
        request = rig_post(&rig, huge);
        assert_int_equal(rig_exchange(&rig, &request).exchange,
                         PHOS_EXCHANGE_BROKEN);
    }
    phos__http_destroy(rig.http);
    rig.http = NULL;
    is_watching = false;
    assert_int_equal(pipes_broken, 0);
    assert_int_equal(signal_changes, 0);
    read_dispositions(after);
    for (int number = 1; number <= 64; number++)
        assert_true(before[number].sa_handler == after[number].sa_handler);
    /* The server's threads come and go; none of ours stays. */
    assert_true(fault_server_wait_closed(rig.server, 20));
    fault_server_stop(rig.server);
    assert_true(count_threads() < threads);
    rig_stop(&rig);
    free(huge);
    signal(SIGPIPE, SIG_DFL);
}

/* ---- at rest ---- */

static uint64_t only_under_way(struct rig *rig)
{
    (void)rig;
    return UINT64_MAX;
}

static void between_requests_nothing_wakes_the_loop(void **state)
{
    struct rig rig;
    phos_request request;
    struct fault_plan plan;

    (void)state;
    rig_start(&rig, NULL, NULL);
    plan = rig.plan;
    rig.on_turn = only_under_way;
    request = rig_post(&rig, batch);
    for (int i = 0; i < 3; i++) {
        /* After an answer, a broken connection, and a time-out. */
        rig.plan = plan;
        rig.plan.cut_reply_after = i == 1 ? 0 : FAULT_NEVER;
        rig.plan.stall = i == 2 ? FAULT_STALL_IN_HEAD : FAULT_STALL_NONE;
        request.timeout_ms = i == 2 ? 50 : 5000;
        rig_exchange(&rig, &request);
        /* A turn for what curl had to clear away; then no timer is set. */
        uv_run(phos__loop_uv(rig.loop), UV_RUN_NOWAIT);
        uv_run(phos__loop_uv(rig.loop), UV_RUN_NOWAIT);
        assert_int_equal(uv_backend_timeout(phos__loop_uv(rig.loop)), -1);
    }
    rig_stop(&rig);
}

/* Watched for room to write while there was a body to send, a socket that is
 * left so would turn the loop for ever while the answer is awaited. */
static void waiting_for_an_answer_is_quiet(void **state)
{
    const size_t bytes = 4 << 20;
    char *body = malloc(bytes + 1);
    struct rig rig;
    phos_request request;

    (void)state;
    memset(body, ' ', bytes);
    body[bytes] = '\0';
    rig_start(&rig, NULL, NULL);
    rig.plan.stall = FAULT_STALL_BEFORE_STATUS;
    request = rig_post(&rig, body);
    request.timeout_ms = 1500;
    assert_int_equal(rig_exchange(&rig, &request).exchange,
                     PHOS_EXCHANGE_BROKEN);
    assert_true(rig.turns < 1000);
    rig_stop(&rig);
    free(body);
}

/* ---- descriptors taken away ---- */

struct theft {
    struct descriptors made; /* by loop and transport */
    int decoy;
    bool is_done;
};

/* The host closes what is ours and opens other things under the numbers. */
static uint64_t steal_in_mid_request(struct rig *rig)
{
    struct theft *theft = rig->more;

    if (!theft->is_done && fault_server_requests(rig->server) > 0) {
        for (size_t i = 0; i < theft->made.count; i++)
            dup2(theft->decoy, theft->made.list[i].fd);
        theft->is_done = true;
    }
    return now_ms() + 2;
}

static void hold(void *user_data, uint64_t number, struct fault_plan *plan)
{
    (void)user_data;
    (void)number;
    plan->stall = FAULT_STALL_BEFORE_STATUS;
}

/* L9 */
static void requests_end_when_the_host_closes_our_descriptors(void **state)
{
    static struct descriptors before, during;
    static struct theft theft;
    struct fault_options server = { .plan = hold };
    struct fault_server *apart = fault_server_start(&server);
    struct rig rig;
    phos_request request;
    char nothing[8];

    (void)state;
    theft.decoy = memfd_create("decoy", MFD_CLOEXEC);
    descriptors_read(&before);
    rig_start(&rig, NULL, &no_server);
    snprintf(rig.url, sizeof(rig.url), "%s/", fault_server_url(apart));
    descriptors_read(&during);
    descriptors_new(&before, &during, &theft.made);
    rig.server = apart;
    rig.more = &theft;
    rig.on_turn = steal_in_mid_request;
    request = rig_post(&rig, batch);
    assert_int_equal(rig_submit(&rig, &request), PHOS_OK);
    rig_run(&rig);
    assert_int_equal(rig.reply_count, 1);
    assert_int_equal(rig.replies[0].exchange, PHOS_EXCHANGE_BROKEN);
    assert_int_equal(rig.replies[0].error.status, PHOS_E_SYSTEM);
    assert_int_equal(rig_submit(&rig, &request), PHOS_E_SYSTEM);
    rig_stop(&rig);
    for (size_t i = 0; i < theft.made.count; i++) {
        assert_int_equal(pread(theft.made.list[i].fd, nothing, 8, 0), 0);
        close(theft.made.list[i].fd);
    }
    close(theft.decoy);
}

/* What curl and libuv hold of a lost loop is left where it lies. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libcurl\nleak:libuv\n";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_environment_is_not_asked_and_sends_nobody_astray),
        cmocka_unit_test(a_proxy_in_between_is_not_given_the_key),
        cmocka_unit_test(every_descriptor_closes_on_exec_also_in_mid_lookup),
        cmocka_unit_test(a_kept_connection_closes_on_exec),
        cmocka_unit_test(a_lookup_that_hangs_holds_nobody_up),
        cmocka_unit_test(no_signal_is_raised_and_no_disposition_touched),
        cmocka_unit_test(between_requests_nothing_wakes_the_loop),
        cmocka_unit_test(waiting_for_an_answer_is_quiet),
        cmocka_unit_test(requests_end_when_the_host_closes_our_descriptors),
    };

    sem_init(&lookup_may_go, 0, 0);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
