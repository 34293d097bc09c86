/* What the transport promises when the service behaves, more or less. */
#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/rig.h"

static const char batch[] =
    "{\"events\":[{\"event_id\":\"a\",\"input\":\"x\"}]}";

/* A body of `bytes` bytes that the server takes for a batch. The caller
 * frees it. */
static char *large_batch(size_t bytes)
{
    char *body = malloc(bytes + 1);
    int head =
        snprintf(body, bytes, "{\"events\":[{\"event_id\":\"a\",\"x\":\"");

    memset(body + head, 'x', bytes - (size_t)head);
    memcpy(body + bytes - 4, "\"}]}", 5);
    return body;
}

static void a_request_arrives_as_given_and_its_answer_comes_back(void **state)
{
    struct rig rig;
    struct fault_request seen;
    struct rig_reply reply;
    phos_request request;

    (void)state;
    rig_start(&rig, NULL, NULL);
    rig.plan.headers = "Retry-After:  7 \r\nX-Other: y\r\n";
    rig.plan.body = "{\"accepted\":1}";
    request = rig_post(&rig, batch);
    reply = rig_exchange(&rig, &request);
    seen = fault_server_request(rig.server, 0);

    assert_int_equal(reply.exchange, PHOS_EXCHANGE_ANSWERED);
    assert_int_equal(reply.http_status, 201);
    assert_int_equal(reply.header_count, 3);
    assert_string_equal(reply.retry_after, "7");
    assert_string_equal(reply.body, "{\"accepted\":1}");
    assert_false(reply.body_cut);
    assert_string_equal(seen.method, "POST");
    assert_string_equal(seen.path, "/api/ingest/batch");
    assert_string_equal(seen.body, batch);
    assert_string_equal(fault_request_header(&seen, "Authorization"),
                        "Bearer ph_a_key_that_nobody_may_see");
    assert_string_equal(fault_request_header(&seen, "Content-Type"),
                        "application/json");
    assert_string_equal(fault_request_header(&seen, "User-Agent"), "rig");
    assert_null(fault_request_header(&seen, "Expect"));
    assert_null(fault_request_header(&seen, "Accept-Encoding"));
    assert_int_equal(fault_server_stored(rig.server, "a"), 1);
    rig_stop(&rig);
}

static void every_status_comes_through(void **state)
{
    /* 101 last: it ends HTTP on its connection. */
    static const int statuses[] = { 200, 202, 204, 299, 301, 400, 401, 408, 413,
                                    422, 429, 500, 503, 599, 600, 999, 101 };
    struct rig rig;

    (void)state;
    rig_start(&rig, NULL, NULL);
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        phos_request request = rig_post(&rig, batch);

        rig.plan.status = statuses[i];
        rig.plan.closes = statuses[i] == 101;
        assert_int_equal(rig_exchange(&rig, &request).exchange,
                         PHOS_EXCHANGE_ANSWERED);
        assert_int_equal(rig.replies[0].http_status, statuses[i]);
    }
    rig_stop(&rig);
}

static void methods_with_and_without_a_body_follow_each_other(void **state)
{
    static const struct {
        const char *method, *body;
    } rows[] = {
        { "GET", "" },  { "POST", "{}" },   { "GET", "" },    { "DELETE", "" },
        { "POST", "" }, { "PATCH", "[1]" }, { "PUT", "[2]" }, { "GET", "" },
    };
    struct rig rig;

    (void)state;
    rig_start(&rig, NULL, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        phos_request request = rig_post(&rig, rows[i].body);
        struct fault_request seen;

        request.method = phos_str_make(rows[i].method, strlen(rows[i].method));
        assert_int_equal(rig_exchange(&rig, &request).http_status, 201);
        seen = fault_server_request(rig.server, i);
        assert_string_equal(seen.method, rows[i].method);
        assert_string_equal(seen.body, rows[i].body);
    }
    assert_int_equal(fault_server_connections(rig.server), 1);
    rig_stop(&rig);
}

static void headers_may_change_and_be_empty_but_not_break_the_line(void **state)
{
    static const phos_header empty[] = { { { "X-Empty", 7 }, { NULL, 0 } } };
    static const phos_header bad[][1] = {
        { { { "X-A", 3 }, { "1\r\nX-B: 2", 9 } } },
        { { { "X\nA", 3 }, { "1", 1 } } },
        { { { "X:A", 3 }, { "1", 1 } } },
        { { { "", 0 }, { "1", 1 } } },
        { { { "X-A", 3 }, { "1\0", 2 } } },
    };
    struct rig rig;
    struct fault_request seen;
    phos_request request;

    (void)state;
    rig_start(&rig, NULL, NULL);
    request = rig_post(&rig, batch);
    rig_exchange(&rig, &request);
    request.headers = empty;
    request.header_count = 1;
    rig_exchange(&rig, &request);
    seen = fault_server_request(rig.server, 1);
    assert_string_equal(fault_request_header(&seen, "X-Empty"), "");
    assert_null(fault_request_header(&seen, "Authorization"));
    assert_null(fault_request_header(&seen, "Content-Type"));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        request.headers = bad[i];
        assert_int_equal(rig_submit(&rig, &request), PHOS_E_INVALID);
    }
    request = rig_post(&rig, batch);
    request.url = PHOS_STR("http://127.0.0.1/a\r\nX: y");
    assert_int_equal(rig_submit(&rig, &request), PHOS_E_INVALID);
    assert_int_equal(fault_server_requests(rig.server), 2);
    rig_stop(&rig);
}

static void a_large_body_arrives_whole(void **state)
{
    const size_t bytes = 3 << 20;
    char *body = large_batch(bytes);
    struct rig rig;
    phos_request request;
    struct rig_reply reply;

    (void)state;
    rig_start(&rig, NULL, NULL);
    request = rig_post(&rig, body);
    reply = rig_exchange(&rig, &request);
    assert_int_equal(reply.http_status, 201);
    assert_true(reply.bytes_sent > bytes && reply.bytes_sent < bytes + 1000);
    assert_memory_equal(fault_server_request(rig.server, 0).body, body, bytes);
    rig_stop(&rig);
    free(body);
}

static void submit_next(struct rig *rig, const struct rig_reply *reply)
{
    phos_request *request = rig->more;

    (void)reply;
    if (request->id < 200) {
        request->id++;
        assert_int_equal(rig_submit(rig, request), PHOS_OK);
    }
}

/* Performance, and R19: connections and easy handles are used again, and once
 * warm nothing of ours is allocated. */
static void
four_at_a_time_share_four_connections_and_no_new_memory(void **state)
{
    struct rig rig;
    phos_request request;
    uint64_t calls;

    (void)state;
    rig_start(&rig, NULL, NULL);
    rig.on_reply = submit_next;
    rig.more = &request;
    request = rig_post(&rig, batch);
    for (request.id = 1; request.id <= 4; request.id++)
        assert_int_equal(rig_submit(&rig, &request), PHOS_OK);
    rig_run(&rig);
    assert_int_equal(rig.reply_count, 199);
    assert_int_equal(fault_server_requests(rig.server), 199);
    assert_true(fault_server_connections(rig.server) <= 4);

    rig.reply_count = 0;
    calls = rig.memory.calls;
    for (request.id = 101; request.id <= 104; request.id++)
        assert_int_equal(rig_submit(&rig, &request), PHOS_OK);
    rig_run(&rig);
    assert_int_equal(rig.memory.calls, calls);
    assert_true(fault_server_connections(rig.server) <= 4);
    rig_stop(&rig);
}

static void a_unix_socket_carries_requests_too(void **state)
{
    char path[] = "/tmp/phos-http-XXXXXX";
    struct fault_options server = { .unix_path = path };
    struct phos__http_options options = rig_options();
    struct rig rig;
    phos_request request;

    (void)state;
    close(mkstemp(path));
    unlink(path);
    options.unix_socket_path = phos_str_make(path, strlen(path));
    rig_start(&rig, &options, &server);
    request = rig_post(&rig, batch);
    assert_int_equal(rig_exchange(&rig, &request).http_status, 201);
    assert_int_equal(fault_server_stored(rig.server, "a"), 1);
    fault_server_stop(rig.server);
    unlink(path);
    assert_int_equal(rig_exchange(&rig, &request).exchange,
                     PHOS_EXCHANGE_NOT_SENT);
    assert_int_equal(rig.replies[0].obstacle, PHOS_OBSTACLE_CONNECT);
    assert_non_null(strstr(rig.replies[0].error.text, path));
    assert_null(strstr(rig.replies[0].error.text, "127.0.0.1"));
    rig_stop(&rig);
}

static void
a_body_is_compressed_when_asked_and_unpacks_to_the_same(void **state)
{
    struct phos__http_options options = rig_options();
    char *body = large_batch(100000);
    struct rig rig;
    struct fault_request seen;
    phos_request request;

    (void)state;
    options.gzip_level = 1;
    if (!phos__http_has_gzip()) {
        free(body);
        return;
    }
    rig_start(&rig, &options, NULL);
    request = rig_post(&rig, body);
    assert_int_equal(rig_exchange(&rig, &request).http_status, 201);
    seen = fault_server_request(rig.server, 0);
    assert_string_equal(fault_request_header(&seen, "Content-Encoding"),
                        "gzip");
    assert_true(seen.body_bytes_packed < 2000);
    assert_string_equal(seen.body, body);
    /* What would grow travels as it is. */
    request = rig_post(&rig, "{}");
    assert_int_equal(rig_exchange(&rig, &request).http_status, 201);
    seen = fault_server_request(rig.server, 1);
    assert_null(fault_request_header(&seen, "Content-Encoding"));
    assert_string_equal(seen.body, "{}");
    rig_stop(&rig);
    free(body);
}

/* H3 */
static void a_redirect_is_an_answer_and_never_followed(void **state)
{
    static const int statuses[] = { 301, 302, 303, 307, 308 };
    struct rig rig;
    struct fault_server *other;
    char location[128];

    (void)state;
    other = fault_server_start(&(struct fault_options){ .is_silent = false });
    rig_start(&rig, NULL, NULL);
    snprintf(location, sizeof(location), "Location: %s/elsewhere\r\n",
             fault_server_url(other));
    rig.plan.headers = location;
    for (size_t i = 0; i < 5; i++) {
        phos_request request = rig_post(&rig, batch);

        rig.plan.status = statuses[i];
        assert_int_equal(rig_exchange(&rig, &request).http_status, statuses[i]);
    }
    assert_int_equal(fault_server_connections(other), 0);
    assert_int_equal(fault_server_requests(rig.server), 5);
    rig_stop(&rig);
    fault_server_free(other);
}

static void an_interim_answer_is_passed_over(void **state)
{
    struct rig rig;
    phos_request request;
    struct rig_reply reply;

    (void)state;
    rig_start(&rig, NULL, NULL);
    rig.plan.interim = 3;
    rig.plan.is_chunked = true;
    rig.plan.headers = "Retry-After: 1\r\n";
    request = rig_post(&rig, batch);
    reply = rig_exchange(&rig, &request);
    assert_int_equal(reply.http_status, 201);
    assert_string_equal(reply.body, "{\"ok\":true}");
    assert_string_equal(reply.retry_after, "1");
    assert_int_equal(reply.header_count, 2); /* no trailer among them */
    assert_false(reply.body_cut);
    rig_stop(&rig);
}

/* The hook sees the handle after our settings, and only for one request. */
static void adjust(void *easy, void *user_data)
{
    unsigned *calls = user_data;

    assert_non_null(easy);
    ++*calls;
}

static void the_hook_is_called_before_each_request(void **state)
{
    struct phos__http_options options = rig_options();
    unsigned calls = 0;
    struct rig rig;
    phos_request request;

    (void)state;
    options.on_easy = adjust;
    options.user_data = &calls;
    rig_start(&rig, &options, NULL);
    request = rig_post(&rig, batch);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(rig_exchange(&rig, &request).http_status, 201);
        assert_int_equal(calls, i);
    }
    assert_int_equal(fault_server_connections(rig.server), 1);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_arrives_as_given_and_its_answer_comes_back),
        cmocka_unit_test(every_status_comes_through),
        cmocka_unit_test(methods_with_and_without_a_body_follow_each_other),
        cmocka_unit_test(
            headers_may_change_and_be_empty_but_not_break_the_line),
        cmocka_unit_test(a_large_body_arrives_whole),
        cmocka_unit_test(
            four_at_a_time_share_four_connections_and_no_new_memory),
        cmocka_unit_test(a_unix_socket_carries_requests_too),
        cmocka_unit_test(
            a_body_is_compressed_when_asked_and_unpacks_to_the_same),
        cmocka_unit_test(a_redirect_is_an_answer_and_never_followed),
        cmocka_unit_test(an_interim_answer_is_passed_over),
        cmocka_unit_test(the_hook_is_called_before_each_request),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
