/*
 * What is told when something is wrong on the way to a real service: the
 * pipeline with libcurl on its loop, and a clock of the test's own, so that a
 * minute passes in no time. TLS needs the openssl program. This program has its
 * own getaddrinfo(), which libcurl then calls instead of libc's.
 */
#define _GNU_SOURCE

#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "client/pipeline.h"
#include "harness/fault_server.h"
#include "harness/tls_server.h"
#include "io/http.h"
#include "io/loop.h"
#include "wire/record.h"

#define KEY "ph_never_told"

enum {
    TOLD_CODES = PHOS_DIAGNOSTIC_CALLBACK + 1,
    PATIENT_MS = 30000, /* real time that a request may take */
    HURRY_MS = 100      /* that of one which is to run into it */
};

struct world {
    struct fault_server *server; /* NULL: none */
    struct fault_plan plan;      /* of its answers, until it is well */
    atomic_bool is_well;
    struct phos__loop *loop;
    struct phos__http *http;
    struct phos__ring ring;
    struct phos__rejections rejections;
    struct phos__pipeline *pipeline;
    uint64_t now_us, until_us;
    unsigned told[TOLD_CODES], lines;
    phos_diagnostic last;
};

/* No name exists. */
int getaddrinfo(const char *node, const char *service,
                const struct addrinfo *hints, struct addrinfo **ret_info)
{
    (void)node;
    (void)service;
    (void)hints;
    (void)ret_info;
    return EAI_NONAME;
}

/* ---- ports ---- */

static uint64_t read_us(void *self)
{
    return ((struct world *)self)->now_us;
}

static uint64_t read_raw(void *self)
{
    return ((struct world *)self)->now_us * 1000 | PHOS__TIME_RAW;
}

/* Nothing is left to chance; no wait is short, so that there are few. */
static uint64_t next_random(void *self)
{
    (void)self;
    return UINT64_MAX;
}

static void on_diagnostic(const phos_diagnostic *diagnostic, void *user_data)
{
    struct world *world = user_data;

    world->lines++;
    world->told[diagnostic->code]++;
    world->last = *diagnostic;
    assert_null(strstr(diagnostic->error.text, KEY));
}

static void begin(void *user_data, uint64_t number, struct fault_plan *plan)
{
    struct world *world = user_data;

    (void)number;
    if (!atomic_load(&world->is_well))
        *plan = world->plan;
}

/* A turn when it is due, and the loop's sleep only while an answer is owed. */
static uint64_t on_turn(void *user_data)
{
    struct world *world = user_data;
    uint64_t due_ms = phos__pipeline_turn(world->pipeline);

    if (phos__pipeline_is_busy(world->pipeline))
        return UINT64_MAX;
    if (due_ms >= world->until_us / 1000) {
        phos__loop_stop(world->loop);
        return UINT64_MAX;
    }
    if (due_ms * 1000 > world->now_us)
        world->now_us = due_ms * 1000;
    return 0;
}

/* ---- life ---- */

struct way {
    const char *url, *proxy, *socket, *ca_file;
};

static phos_str view(const char *text)
{
    return text ? phos_str_make(text, strlen(text)) : phos_str_make(NULL, 0);
}

static void open_client(struct world *world, const struct way *way,
                        const phos_allocator *libc)
{
    const struct phos__siphash_key id_key = { 1, 2 };
    const struct phos__http_options http = {
        .connect_timeout_ms = PATIENT_MS,
        .connections_max = 4,
        .proxy = view(way->proxy),
        .ca_file = view(way->ca_file),
        .unix_socket_path = view(way->socket),
        .user_agent = PHOS_STR("test"),
    };
    struct phos__pipeline_options options = {
        .ring = &world->ring,
        .ports = { .clock = { world, read_us, read_us, read_raw, 1000 },
                   .random = { NULL, next_random } },
        .answers_bring_turns = true,
        .delivery = { .batch_events_max = 100,
                      .batch_bytes_max = 1048576,
                      .in_flight_max = 4,
                      .retry_base_ms = 250,
                      .retry_cap_ms = 30000,
                      .ring_bytes = PHOS__RING_BYTES_MIN },
        .request_timeout_ms = world->plan.stall ? HURRY_MS : PATIENT_MS,
        .url = view(way->url),
        .api_key = PHOS_STR(KEY),
        .user_agent = PHOS_STR("test"),
        .on_diagnostic = on_diagnostic,
        .user_data = world,
        .rejections = &world->rejections,
    };

    assert_int_equal(phos__ring_open(&world->ring, PHOS__RING_BYTES_MIN, 3,
                                     &id_key, phos__loop_wake_fd(world->loop),
                                     0),
                     PHOS_OK);
    assert_int_equal(phos__http_create(world->loop, libc, &http, &world->http),
                     PHOS_OK);
    options.ports.transport = phos__http_transport(world->http);
    assert_int_equal(phos__pipeline_create(&options, libc, &world->pipeline),
                     PHOS_OK);
}

/* `way` NULL: to the fault server. */
static void open_world(struct world *world, const struct fault_plan *plan,
                       const struct way *way)
{
    const phos_allocator none = { NULL, NULL, NULL, NULL };
    struct fault_options server = { .plan = begin, .user_data = world };
    char url[128];
    struct way straight = { url, NULL, NULL, NULL };
    bool is_valid;
    phos_allocator libc = phos__allocator_resolve(&none, &is_valid);

    memset(world, 0, sizeof(*world));
    world->now_us = 1000000000;
    if (plan) {
        world->plan = *plan;
        world->server = fault_server_start(&server);
        assert_non_null(world->server);
        snprintf(url, sizeof(url), "%s/api/ingest/batch",
                 fault_server_url(world->server));
    }
    assert_int_equal(phos__loop_create(&libc, on_turn, world, &world->loop),
                     PHOS_OK);
    open_client(world, way ? way : &straight, &libc);
}

static void live(struct world *world, uint64_t ms)
{
    world->until_us = world->now_us + ms * 1000;
    phos__loop_touch(world->loop);
    phos__loop_run(world->loop);
    world->now_us = world->until_us;
}

static void close_world(struct world *world)
{
    phos__pipeline_close(world->pipeline, 0);
    phos__pipeline_turn(world->pipeline);
    phos__http_destroy(world->http);
    phos__pipeline_turn(world->pipeline); /* what was cancelled is answered */
    assert_false(phos__pipeline_is_busy(world->pipeline));
    phos__pipeline_destroy(world->pipeline);
    phos__loop_destroy(world->loop);
    phos__ring_deinit(&world->ring);
    fault_server_free(world->server);
}

static void log_one(struct world *world)
{
    phos_event event = phos_event_default();
    struct phos__record_plan plan;
    uint64_t position = 0;
    uint8_t *record = NULL;

    event.input = PHOS_STR("question");
    event.output = PHOS_STR("answer");
    assert_int_equal(phos__record_plan(&event, 4096, &plan), PHOS_OK);
    assert_int_equal(phos__ring_reserve(&world->ring, (uint32_t)plan.bytes,
                                        &position, &record),
                     PHOS_OK);
    phos__record_write(&event, &plan, read_raw(world), record);
    phos__ring_publish(&world->ring, position, (uint32_t)plan.bytes);
}

/* ---- tests ---- */

/* Exactly one line in a minute, of that code and with those words. */
static void assert_told(struct world *world, phos_diagnostic_code code,
                        const char *words)
{
    log_one(world);
    live(world, 59000);
    if (world->told[code] != 1 || world->lines != 1 ||
        !strstr(world->last.error.text, words))
        fail_msg("%u lines, %u of code %d; the last is \"%s\"", world->lines,
                 world->told[code], (int)code, world->last.error.text);
}

/* And one more when it works again. */
static void assert_told_well(struct world *world)
{
    unsigned lines = world->lines;

    atomic_store(&world->is_well, true);
    live(world, 120000);
    assert_int_equal(world->told[PHOS_DIAGNOSTIC_DELIVERED], 1);
    assert_int_equal(world->last.code, PHOS_DIAGNOSTIC_DELIVERED);
    assert_true(world->lines - lines <= 2);
    assert_int_equal(fault_server_arrivals(world->server), 1);
}

static void who_cannot_be_reached_is_told_with_the_place(void **state)
{
    static const struct {
        struct way way;
        phos_diagnostic_code code;
        const char *words;
    } rows[] = {
        { { .url = "http://no-such-host.invalid/" },
          PHOS_DIAGNOSTIC_NAME,
          "the name no-such-host.invalid cannot be resolved; 1 event waits" },
        { { .url = "http://service.invalid/",
            .proxy = "http://me:word@no-such-proxy.invalid:3128" },
          PHOS_DIAGNOSTIC_NAME,
          "the proxy's name no-such-proxy.invalid cannot be resolved" },
        { { .url = "http://127.0.0.1:1/" },
          PHOS_DIAGNOSTIC_CONNECT,
          "cannot connect to 127.0.0.1:1: Connection refused; 1 event" },
        { { .url = "http://127.0.0.1:1/",
            .socket = "/tmp/phos-no-such-socket" },
          PHOS_DIAGNOSTIC_CONNECT,
          "cannot connect to /tmp/phos-no-such-socket: No such file" },
        { { .url = "http://service.invalid/", .proxy = "127.0.0.1:1" },
          PHOS_DIAGNOSTIC_CONNECT,
          "cannot connect to the proxy 127.0.0.1:1: Connection refused" },
        /* A password that should have been written %2F. */
        { { .url = "http://service.invalid/",
            .proxy = "http://me:pass/word@127.0.0.1:1" },
          PHOS_DIAGNOSTIC_NAME,
          "the proxy's name 127.0.0.1 cannot be resolved" },
        /* curl would quote it, password and all. */
        { { .url = "http://service.invalid/",
            .proxy = "ftp://me:word@127.0.0.1:1" },
          PHOS_DIAGNOSTIC_CONNECT,
          "cannot connect to the proxy 127.0.0.1:1: " },
        { { .url = "http:///" }, PHOS_DIAGNOSTIC_NOT_SENT, "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world world;

        open_world(&world, NULL, &rows[i].way);
        assert_told(&world, rows[i].code, rows[i].words);
        assert_null(strstr(world.last.error.text, "word@"));
        assert_null(strstr(world.last.error.text, "me:"));
        close_world(&world);
    }
}

static void what_is_wrong_with_the_answers_is_told_and_its_end(void **state)
{
    static const struct {
        struct fault_plan plan;
        phos_diagnostic_code code;
        const char *words;
    } rows[] = {
        { { .status = 401, .body = "{\"error\":\"no such key\"}" },
          PHOS_DIAGNOSTIC_KEY,
          "the key is refused (HTTP 401: no such key)" },
        { { .status = 404 }, PHOS_DIAGNOSTIC_PATH, "(HTTP 404" },
        { { .status = 302 }, PHOS_DIAGNOSTIC_REDIRECT, "(HTTP 302" },
        { { .status = 200, .sends_page = true },
          PHOS_DIAGNOSTIC_WEB_PAGE,
          "(HTTP 200 with a web page instead of an answer)" },
        { { .status = 415 }, PHOS_DIAGNOSTIC_REFUSED, "(HTTP 415" },
        { { .status = 429, .headers = "Retry-After: 90\r\n" },
          PHOS_DIAGNOSTIC_LIMITED,
          "it asks for a pause of 8" /* 85 s are left */ },
        { { .status = 503 }, PHOS_DIAGNOSTIC_SERVICE, "(HTTP 503" },
        { { .status = 201, .stall = FAULT_STALL_BEFORE_STATUS },
          PHOS_DIAGNOSTIC_NO_ANSWER,
          "no answer in time (Operation timed out" },
        { { .status = 201, .resets = true, .cut_request_after = 1 },
          PHOS_DIAGNOSTIC_BROKEN,
          "the connection breaks (" },
        { { .is_garbage = true },
          PHOS_DIAGNOSTIC_BROKEN,
          "the connection breaks (" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fault_plan plan = rows[i].plan;
        struct world world;

        if (!plan.cut_request_after)
            plan.cut_request_after = FAULT_NEVER;
        plan.cut_reply_after = FAULT_NEVER;
        plan.store = FAULT_STORE_NEVER;
        open_world(&world, &plan, NULL);
        assert_told(&world, rows[i].code, rows[i].words);
        if (!plan.stall) /* a good answer may need more than the hurry, too */
            assert_told_well(&world);
        close_world(&world);
    }
}

static void a_proxy_that_says_no_is_told(void **state)
{
    const struct fault_plan plan = { .status = 407,
                                     .cut_request_after = FAULT_NEVER,
                                     .cut_reply_after = FAULT_NEVER };
    struct fault_options options = { .plan = begin };
    struct way way = { "https://service.invalid/", NULL, NULL, NULL };
    struct world world, proxy = { .plan = plan };
    struct fault_server *server;

    (void)state;
    options.user_data = &proxy;
    server = fault_server_start(&options);
    way.proxy = fault_server_url(server);
    open_world(&world, NULL, &way);
    assert_told(&world, PHOS_DIAGNOSTIC_PROXY,
                "does not let the request through: HTTP 407");
    close_world(&world);
    fault_server_free(server);
}

static void what_is_wrong_with_a_certificate_is_told(void **state)
{
    static const struct {
        const char *certificate, *ca_file, *host;
        phos_diagnostic_code code;
        const char *words;
    } rows[] = {
        { "good", NULL, "localhost", PHOS_DIAGNOSTIC_UNTRUSTED,
          " is not trusted: self-signed certificate" },
        { "good", "good.crt", "127.0.0.1", PHOS_DIAGNOSTIC_OTHER_HOST,
          " is for another host" },
        { "old", "old.crt", "localhost", PHOS_DIAGNOSTIC_EXPIRED,
          " is not valid now: certificate has expired" },
    };
    char folder[] = "/tmp/phos-told-XXXXXX";

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_true(tls_make_certificate(folder, "good", "DNS:localhost"));
    assert_true(tls_make_expired_certificate(folder, "good"));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_server server;
        char url[64], ca_file[64];
        const struct way way = { url, NULL, NULL,
                                 rows[i].ca_file ? ca_file : NULL };
        struct world world;

        assert_true(
            tls_start(&server, folder, rows[i].certificate, "-no_ssl3"));
        snprintf(url, sizeof(url), "https://%s:%d/", rows[i].host, server.port);
        snprintf(ca_file, sizeof(ca_file), "%s/%s", folder,
                 rows[i].ca_file ? rows[i].ca_file : "");
        open_world(&world, NULL, &way);
        assert_told(&world, rows[i].code, rows[i].words);
        close_world(&world);
        assert_false(tls_stop(&server, KEY));
    }
    assert_true(tls_run("rm -r %s", folder));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_cannot_be_reached_is_told_with_the_place),
        cmocka_unit_test(what_is_wrong_with_the_answers_is_told_and_its_end),
        cmocka_unit_test(a_proxy_that_says_no_is_told),
        cmocka_unit_test(what_is_wrong_with_a_certificate_is_told),
    };
    const struct CMUnitTest without_openssl[] = { tests[0], tests[1],
                                                  tests[2] };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (!tls_is_there())
        return cmocka_run_group_tests(without_openssl, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
