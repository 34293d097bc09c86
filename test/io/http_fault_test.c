/* How exchanges end when the service or the network does its worst. Rows of
 * the fault catalogue stand beside the tests that cover them. */
#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "io/rig.h"

static const char batch[] =
    "{\"events\":[{\"event_id\":\"a\",\"input\":\"x\"}]}";

/* More than the socket buffers at both ends hold. */
enum { HUGE_BYTES = 24 << 20 };

static char *huge_body(void)
{
    char *body = malloc(HUGE_BYTES + 1);

    memset(body, ' ', HUGE_BYTES);
    body[HUGE_BYTES] = '\0';
    return body;
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void assert_works_again(struct rig *rig)
{
    phos_request request = rig_post(rig, batch);
    struct rig_reply reply;

    rig->plan = (struct fault_plan){ .status = 201,
                                     .cut_request_after = FAULT_NEVER,
                                     .cut_reply_after = FAULT_NEVER };
    reply = rig_exchange(rig, &request);
    assert_int_equal(reply.exchange, PHOS_EXCHANGE_ANSWERED);
    assert_int_equal(reply.http_status, 201);
    assert_false(reply.body_cut);
}

/* N2, N1 */
static void without_a_connection_nothing_was_sent(void **state)
{
    static const struct {
        const char *url;
        phos_exchange exchange;
        phos_status status;
        phos_obstacle obstacle;
    } rows[] = {
        { "http://127.0.0.1:1/", PHOS_EXCHANGE_NOT_SENT, PHOS_E_NETWORK,
          PHOS_OBSTACLE_CONNECT },
        { "http://[::1]:1/", PHOS_EXCHANGE_NOT_SENT, PHOS_E_NETWORK,
          PHOS_OBSTACLE_CONNECT },
        { "http://no-such-host.invalid/", PHOS_EXCHANGE_NOT_SENT,
          PHOS_E_NETWORK, PHOS_OBSTACLE_NAME },
        { "ftp://127.0.0.1/", PHOS_EXCHANGE_REFUSED, PHOS_E_CONFIG,
          PHOS_OBSTACLE_UNKNOWN },
        { "file:///etc/passwd", PHOS_EXCHANGE_REFUSED, PHOS_E_CONFIG,
          PHOS_OBSTACLE_UNKNOWN },
        { "http://", PHOS_EXCHANGE_REFUSED, PHOS_E_CONFIG,
          PHOS_OBSTACLE_UNKNOWN },
        { "http://a b/", PHOS_EXCHANGE_REFUSED, PHOS_E_CONFIG,
          PHOS_OBSTACLE_UNKNOWN },
        { "http://127.0.0.1:99999/", PHOS_EXCHANGE_REFUSED, PHOS_E_CONFIG,
          PHOS_OBSTACLE_UNKNOWN },
    };
    struct rig rig;

    (void)state;
    rig_start(&rig, NULL, &no_server);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        phos_request request = rig_post(&rig, batch);
        struct rig_reply reply;

        request.url = phos_str_make(rows[i].url, strlen(rows[i].url));
        reply = rig_exchange(&rig, &request);
        assert_int_equal(reply.exchange, rows[i].exchange);
        assert_int_equal(reply.error.status, rows[i].status);
        assert_int_equal(reply.obstacle, rows[i].obstacle);
        assert_int_equal(reply.error.origin, PHOS_ORIGIN_CURL);
        assert_true(reply.error.text[0] != '\0');
        assert_int_equal(reply.http_status, 0);
        assert_int_equal(reply.bytes_sent, 0);
    }
    rig_stop(&rig);
}

static void a_connection_that_never_stands_times_out_unsent(void **state)
{
    struct phos__http_options options = rig_options();
    struct fault_options server = { .accepts_nothing = true };
    struct rig rig;
    phos_request request;
    struct rig_reply reply;

    (void)state;
    options.connect_timeout_ms = 100;
    rig_start(&rig, &options, &server);
    request = rig_post(&rig, batch);
    reply = rig_exchange(&rig, &request);
    assert_int_equal(reply.exchange, PHOS_EXCHANGE_NOT_SENT);
    assert_int_equal(reply.error.status, PHOS_E_TIMEOUT);
    assert_int_equal(reply.obstacle, PHOS_OBSTACLE_CONNECT);
    rig_stop(&rig);
}

/* N5: in every phase the whole exchange keeps to its time. */
static void a_stall_ends_with_the_time_that_the_request_had(void **state)
{
    static const struct {
        enum fault_stall stall;
        bool is_huge;
        phos_exchange exchange;
    } rows[] = {
        { FAULT_STALL_BEFORE_READING, false, PHOS_EXCHANGE_BROKEN },
        { FAULT_STALL_BEFORE_READING, true, PHOS_EXCHANGE_STALLED },
        { FAULT_STALL_IN_REQUEST, true, PHOS_EXCHANGE_STALLED },
        { FAULT_STALL_BEFORE_STATUS, false, PHOS_EXCHANGE_BROKEN },
        { FAULT_STALL_IN_HEAD, false, PHOS_EXCHANGE_BROKEN },
        { FAULT_STALL_IN_BODY, false, PHOS_EXCHANGE_ANSWERED },
    };
    char *huge = huge_body();
    struct rig rig;

    (void)state;
    rig_start(&rig, NULL, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        phos_request request = rig_post(&rig, rows[i].is_huge ? huge : batch);
        uint64_t start_ms = now_ms();
        struct rig_reply reply;

        /* Long enough for a busy machine to come as far as the stall. */
        request.timeout_ms = 700;
        rig.plan.stall = rows[i].stall;
        reply = rig_exchange(&rig, &request);
        assert_int_equal(reply.exchange, rows[i].exchange);
        assert_true(now_ms() - start_ms >= request.timeout_ms - 5);
        if (reply.exchange == PHOS_EXCHANGE_ANSWERED) {
            assert_int_equal(reply.http_status, 201);
            assert_true(reply.body_cut);
            assert_string_equal(reply.body, "{\"ok\"");
        } else {
            assert_int_equal(reply.error.status, PHOS_E_TIMEOUT);
            assert_int_equal(reply.http_status, 0);
        }
    }
    assert_works_again(&rig);
    rig_stop(&rig);
    free(huge);
}

/* N4: FIN and RST after every byte of the reply. */
static void
a_reply_cut_at_any_byte_is_answered_only_with_its_whole_head(void **state)
{
    static const char whole[] = "HTTP/1.1 201 Scripted\r\n"
                                "Content-Length: 11\r\n\r\n{\"ok\":true}";
    const size_t bytes = sizeof(whole) - 1, head = bytes - 11;
    struct rig rig;

    (void)state;
    rig_start(&rig, NULL, NULL);
    for (size_t cut = 0; cut <= 2 * bytes + 1; cut++) {
        const size_t at = cut % (bytes + 1);
        phos_request request = rig_post(&rig, batch);
        struct rig_reply reply;

        rig.plan.resets = cut > bytes;
        rig.plan.closes = true;
        rig.plan.cut_reply_after = at;
        reply = rig_exchange(&rig, &request);
        if (reply.exchange == PHOS_EXCHANGE_ANSWERED) {
            assert_true(at >= head);
            assert_int_equal(reply.http_status, 201);
            assert_true(reply.body_cut == (reply.body_bytes < 11));
            assert_memory_equal(reply.body, whole + head, reply.body_bytes);
        } else {
            assert_int_equal(reply.exchange, PHOS_EXCHANGE_BROKEN);
            assert_int_equal(reply.error.status, PHOS_E_NETWORK);
            /* A reset may take with it what had arrived. */
            assert_true(at < head || rig.plan.resets);
        }
    }
    /* One request each: nothing was sent twice behind our back. */
    assert_int_equal(fault_server_requests(rig.server), 2 * bytes + 2);
    assert_works_again(&rig);
    rig_stop(&rig);
}

/* N4: FIN and RST after every byte of the request. */
static void a_request_cut_at_any_byte_may_have_arrived(void **state)
{
    struct rig rig;
    phos_request request;
    size_t bytes;

    (void)state;
    rig_start(&rig, NULL, NULL);
    request = rig_post(&rig, batch);
    bytes = rig_exchange(&rig, &request).bytes_sent;
    rig.plan.closes = true;
    rig_exchange(&rig, &request);
    for (size_t cut = 0; cut < 2 * bytes; cut++) {
        struct rig_reply reply;

        rig.plan.resets = cut >= bytes;
        rig.plan.cut_request_after = cut % bytes;
        reply = rig_exchange(&rig, &request);
        assert_int_equal(reply.exchange, PHOS_EXCHANGE_BROKEN);
        assert_int_equal(reply.http_status, 0);
    }
    assert_works_again(&rig);
    assert_int_equal(fault_server_requests(rig.server), 2 * bytes + 3);
    rig_stop(&rig);
}

/* N6 */
static void what_has_no_end_is_cut_off(void **state)
{
    struct rig rig;
    phos_request request;
    struct rig_reply reply;

    (void)state;
    rig_start(&rig, NULL, NULL);
    request = rig_post(&rig, batch);

    rig.plan.has_endless_body = true;
    reply = rig_exchange(&rig, &request);
    assert_int_equal(reply.exchange, PHOS_EXCHANGE_ANSWERED);
    assert_int_equal(reply.body_bytes, request.reply_bytes_max);
    assert_true(reply.body_cut);

    rig.plan.has_endless_body = false;
    rig.plan.has_endless_head = true;
    reply = rig_exchange(&rig, &request);
    assert_int_equal(reply.exchange, PHOS_EXCHANGE_BROKEN);
    assert_int_equal(reply.error.status, PHOS_E_PROTOCOL);
    assert_true(reply.bytes_received < 70000);

    rig.plan.has_endless_head = false;
    rig.plan.interim = -1;
    reply = rig_exchange(&rig, &request);
    assert_int_equal(reply.exchange, PHOS_EXCHANGE_BROKEN);
    assert_int_equal(reply.error.status, PHOS_E_PROTOCOL);

    assert_works_again(&rig);
    assert_true(rig.memory.bytes < 300000);
    rig_stop(&rig);
}

static void
a_reply_as_large_as_allowed_is_whole_and_one_byte_more_is_not(void **state)
{
    struct rig rig;
    phos_request request;
    struct rig_reply reply;

    (void)state;
    rig_start(&rig, NULL, NULL);
    request = rig_post(&rig, batch);
    for (uint32_t max = 10; max <= 12; max++) {
        request.reply_bytes_max = max;
        reply = rig_exchange(&rig, &request);
        assert_int_equal(reply.exchange, PHOS_EXCHANGE_ANSWERED);
        assert_true(reply.body_cut == (max < 11));
        assert_int_equal(reply.body_bytes, max < 11 ? max : 11);
    }
    request.reply_bytes_max = 0;
    reply = rig_exchange(&rig, &request);
    assert_int_equal(reply.exchange, PHOS_EXCHANGE_ANSWERED);
    assert_true(reply.body_cut);
    rig_stop(&rig);
}

/* N5 */
static void a_reply_byte_by_byte_is_patiently_read(void **state)
{
    struct rig rig;
    phos_request request;

    (void)state;
    rig_start(&rig, NULL, NULL);
    rig.plan.byte_ms = 1;
    request = rig_post(&rig, batch);
    assert_int_equal(rig_exchange(&rig, &request).http_status, 201);
    request.timeout_ms = 100;
    rig.plan.byte_ms = 30;
    assert_int_equal(rig_exchange(&rig, &request).exchange,
                     PHOS_EXCHANGE_BROKEN);
    rig_stop(&rig);
}

/* N7 */
static void
what_is_no_http_is_broken_and_its_connection_not_used_again(void **state)
{
    static const struct {
        struct fault_plan plan;
        phos_exchange exchange;
    } rows[] = {
        { { .status = 201, .is_garbage = true }, PHOS_EXCHANGE_BROKEN },
        /* A status below 100. */
        { { .status = 99 }, PHOS_EXCHANGE_BROKEN },
        { { .status = 0 }, PHOS_EXCHANGE_BROKEN },
        /* A length longer than the body, and then the end. */
        { { .status = 201,
            .headers = "Content-Length: 4000\r\n",
            .closes = true },
          PHOS_EXCHANGE_ANSWERED },
        { { .status = 201, .headers = "Content-Length: -1\r\n" },
          PHOS_EXCHANGE_BROKEN },
        /* No chunk where a chunk is announced. */
        { { .status = 201,
            .headers = "Transfer-Encoding: chunked\r\n",
            .closes = true },
          PHOS_EXCHANGE_ANSWERED },
        /* A second reply that nobody asked for. */
        { { .status = 201,
            .extra = "HTTP/1.1 500 Late\r\nContent-Length: 0\r\n\r\n" },
          PHOS_EXCHANGE_ANSWERED },
        { { .status = 201, .extra = "trash" }, PHOS_EXCHANGE_ANSWERED },
    };
    struct rig rig;

    (void)state;
    rig_start(&rig, NULL, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        phos_request request = rig_post(&rig, batch);

        request.timeout_ms = 500;
        rig.plan = rows[i].plan;
        rig.plan.cut_request_after = rig.plan.cut_reply_after = FAULT_NEVER;
        assert_int_equal(rig_exchange(&rig, &request).exchange,
                         rows[i].exchange);
        assert_works_again(&rig);
        rig.plan.status = 422;
        assert_int_equal(rig_exchange(&rig, &request).http_status, 422);
    }
    rig_stop(&rig);
}

static uint64_t until_the_server_has_closed(struct rig *rig)
{
    const uint64_t *closed = rig->more;

    if (fault_server_closed(rig->server) > *closed) {
        rig->on_turn = NULL;
        rig->under_way = 0;
    }
    return now_ms() + 1;
}

/* N7: the answer to no request comes while the connection is idle. */
static void an_answer_to_no_request_is_nobodys_answer(void **state)
{
    struct rig rig;
    uint64_t closed = 0;
    phos_request request;

    (void)state;
    rig_start(&rig, NULL, NULL);
    rig.plan.extra = "HTTP/1.1 500 Late\r\nContent-Length: 0\r\n\r\n";
    rig.plan.stall = FAULT_STALL_BEFORE_EXTRA;
    request = rig_post(&rig, batch);
    assert_int_equal(rig_exchange(&rig, &request).http_status, 201);
    fault_server_release(rig.server);
    /* The transport turns away; that is how the server knows. */
    rig.more = &closed;
    rig.on_turn = until_the_server_has_closed;
    rig.under_way = 1;
    rig_run(&rig);
    assert_works_again(&rig);
    assert_int_equal(fault_server_connections(rig.server), 2);
    rig_stop(&rig);
}

static void answer_early(void *user_data, uint64_t number,
                         struct fault_plan *plan)
{
    (void)user_data;
    (void)number;
    plan->answers_early = true;
    plan->status = 413;
}

/* A service that has read enough says so and hangs up; the answer counts, not
 * the broken upload. */
static void an_answer_in_mid_upload_counts(void **state)
{
    struct fault_options server = { .plan = answer_early };
    char *huge = huge_body();
    struct rig rig;
    phos_request request;

    (void)state;
    rig_start(&rig, NULL, &server);
    request = rig_post(&rig, huge);
    assert_int_equal(rig_exchange(&rig, &request).exchange,
                     PHOS_EXCHANGE_ANSWERED);
    assert_int_equal(rig.replies[0].http_status, 413);
    rig_stop(&rig);
    free(huge);
}

/* N8, R19: the server closed the idle connection; nothing was lost and nothing
 * was sent twice. */
static void a_connection_closed_while_idle_is_replaced(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, NULL, NULL);
    for (int i = 0; i < 10; i++) {
        phos_request request = rig_post(&rig, batch);

        rig.plan.closes = true;
        rig.plan.resets = i % 2;
        assert_int_equal(rig_exchange(&rig, &request).http_status, 201);
        assert_true(fault_server_wait_closed(rig.server, (uint64_t)i + 1));
    }
    assert_int_equal(fault_server_requests(rig.server), 10);
    assert_int_equal(fault_server_connections(rig.server), 10);
    rig_stop(&rig);
}

static void drop_the_second(void *user_data, uint64_t number,
                            struct fault_plan *plan)
{
    (void)user_data;
    if (number != 2)
        return;
    plan->store = FAULT_STORE_ALWAYS;
    plan->cut_reply_after = 0;
}

/* N8: on a kept connection the server reads the request, stores it, and hangs
 * up. curl would send it once more by itself; whether to do that is for the
 * machine to decide, which counts the sends. */
static void a_request_that_was_read_is_never_sent_again_unseen(void **state)
{
    struct fault_options server = { .plan = drop_the_second };
    struct rig rig;
    phos_request request;

    (void)state;
    rig_start(&rig, NULL, &server);
    request = rig_post(&rig, batch);
    assert_int_equal(rig_exchange(&rig, &request).http_status, 201);
    assert_int_equal(rig_exchange(&rig, &request).exchange,
                     PHOS_EXCHANGE_BROKEN);
    assert_string_equal(rig.replies[0].error.text,
                        "the kept connection closed without an answer");
    assert_int_equal(fault_server_requests(rig.server), 2);
    assert_int_equal(fault_server_stored(rig.server, "a"), 2);
    assert_int_equal(rig_exchange(&rig, &request).http_status, 201);
    rig_stop(&rig);
}

/* ---- ends in mid-flight ---- */

struct phase {
    enum fault_stall stall;
    bool is_huge, is_at_once;
};

static const struct phase phases[] = {
    { FAULT_STALL_NONE, false, true },
    { FAULT_STALL_BEFORE_READING, false, false },
    { FAULT_STALL_BEFORE_READING, true, false },
    { FAULT_STALL_IN_REQUEST, true, false },
    { FAULT_STALL_BEFORE_STATUS, false, false },
    { FAULT_STALL_IN_HEAD, false, false },
    { FAULT_STALL_IN_BODY, false, false },
};

enum { PHASE_COUNT = sizeof(phases) / sizeof(phases[0]) };

/* Turns until the server has begun what it will not finish. */
static bool is_in_phase(struct rig *rig)
{
    const struct phase *phase = rig->more;

    return phase->is_at_once || fault_server_requests(rig->server) > 0;
}

static uint64_t cancel_in_phase(struct rig *rig)
{
    if (rig->under_way > 0 && is_in_phase(rig))
        rig_cancel(rig, 1);
    return now_ms() + 2;
}

static uint64_t destroy_in_phase(struct rig *rig)
{
    if (rig->under_way > 0 && is_in_phase(rig)) {
        phos__http_destroy(rig->http);
        rig->http = NULL;
    }
    return now_ms() + 2;
}

static void end_in_each_phase(uint64_t (*end)(struct rig *rig))
{
    char *huge = huge_body();

    for (size_t i = 0; i < PHASE_COUNT; i++) {
        struct phase phase = phases[i];
        struct rig rig;
        phos_request request;

        rig_start(&rig, NULL, NULL);
        rig.plan.stall = phase.stall;
        rig.more = &phase;
        rig.on_turn = end;
        request = rig_post(&rig, phase.is_huge ? huge : batch);
        assert_int_equal(rig_exchange(&rig, &request).exchange,
                         PHOS_EXCHANGE_CANCELLED);
        assert_int_equal(rig.replies[0].error.status, PHOS_E_CANCELLED);
        rig_stop(&rig);
    }
    free(huge);
}

static void cancel_answers_at_once_in_each_phase(void **state)
{
    (void)state;
    end_in_each_phase(cancel_in_phase);
}

static void destroy_answers_whatever_is_under_way(void **state)
{
    (void)state;
    end_in_each_phase(destroy_in_phase);
}

static void only_the_request_that_is_named_is_cancelled(void **state)
{
    struct rig rig;
    phos_request request;

    (void)state;
    rig_start(&rig, NULL, NULL);
    request = rig_post(&rig, batch);
    for (request.id = 1; request.id <= 3; request.id++)
        assert_int_equal(rig_submit(&rig, &request), PHOS_OK);
    rig_cancel(&rig, 2);
    rig_cancel(&rig, 2);
    rig_cancel(&rig, 77);
    assert_int_equal(rig.reply_count, 1);
    assert_int_equal(rig.replies[0].id, 2);
    rig_run(&rig);
    assert_int_equal(rig.reply_count, 3);
    assert_int_equal(rig.replies[1].http_status, 201);
    assert_int_equal(rig.replies[2].http_status, 201);
    rig_stop(&rig);
}

static void destroy_from_a_reply(struct rig *rig, const struct rig_reply *reply)
{
    phos_request request = rig_post(rig, batch);

    (void)reply;
    if (!rig->http)
        return;
    phos__http_destroy(rig->http);
    request.id = 9;
    assert_int_equal(rig_submit(rig, &request), PHOS_E_CLOSED);
    rig->http = NULL;
}

static void a_reply_may_destroy_the_transport(void **state)
{
    for (int how = 0; how < 2; how++) {
        struct rig rig;
        phos_request request;

        (void)state;
        rig_start(&rig, NULL, NULL);
        request = rig_post(&rig, batch);
        for (request.id = 1; request.id <= 3; request.id++)
            assert_int_equal(rig_submit(&rig, &request), PHOS_OK);
        rig.on_reply = destroy_from_a_reply;
        if (how == 1)
            rig_cancel(&rig, 1);
        else
            rig_run(&rig);
        assert_int_equal(rig.reply_count, 3);
        rig_stop(&rig);
    }
}

/* ---- memory ---- */

static void talk(struct rig *rig)
{
    phos_request request = rig_post(rig, batch);

    rig->reply_count = 0;
    for (request.id = 1; request.id <= 3; request.id++)
        (void)rig_submit(rig, &request);
    if (rig->under_way > 0)
        rig_run(rig);
    for (size_t i = 0; i < rig->reply_count; i++)
        assert_in_range(rig->replies[i].exchange, PHOS_EXCHANGE_ANSWERED,
                        PHOS_EXCHANGE_BROKEN);
}

/* Each allocation of ours fails in turn, alone and with all after it: no
 * crash, no leak, one answer for each request taken. */
static void any_allocation_may_fail(void **state)
{
    struct phos__http_options options = rig_options();
    struct rig rig;
    uint64_t calls;

    (void)state;
    options.gzip_level = phos__http_has_gzip() ? 1 : 0;
    rig_start(&rig, &options, NULL);
    rig.plan.headers = "Retry-After: 1\r\n";
    talk(&rig);
    assert_int_equal(rig.reply_count, 3);
    calls = rig.memory.calls;
    phos__http_destroy(rig.http);
    rig.http = NULL;
    rig_stop(&rig);

    for (uint64_t i = 0; i < 2 * calls; i++) {
        rig_start(&rig, &options, NULL);
        rig.plan.headers = "Retry-After: 1\r\n";
        phos__http_destroy(rig.http);
        rig.http = NULL;
        rig.memory.fail_at = rig.memory.calls + 1 + i / 2;
        rig.memory.is_sticky = i % 2;
        if (phos__http_create(rig.loop, &rig.allocator, &options, &rig.http) ==
            PHOS_OK)
            talk(&rig);
        rig_stop(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_connection_nothing_was_sent),
        cmocka_unit_test(a_connection_that_never_stands_times_out_unsent),
        cmocka_unit_test(a_stall_ends_with_the_time_that_the_request_had),
        cmocka_unit_test(
            a_reply_cut_at_any_byte_is_answered_only_with_its_whole_head),
        cmocka_unit_test(a_request_cut_at_any_byte_may_have_arrived),
        cmocka_unit_test(what_has_no_end_is_cut_off),
        cmocka_unit_test(
            a_reply_as_large_as_allowed_is_whole_and_one_byte_more_is_not),
        cmocka_unit_test(a_reply_byte_by_byte_is_patiently_read),
        cmocka_unit_test(
            what_is_no_http_is_broken_and_its_connection_not_used_again),
        cmocka_unit_test(an_answer_to_no_request_is_nobodys_answer),
        cmocka_unit_test(an_answer_in_mid_upload_counts),
        cmocka_unit_test(a_connection_closed_while_idle_is_replaced),
        cmocka_unit_test(a_request_that_was_read_is_never_sent_again_unseen),
        cmocka_unit_test(cancel_answers_at_once_in_each_phase),
        cmocka_unit_test(destroy_answers_whatever_is_under_way),
        cmocka_unit_test(only_the_request_that_is_named_is_cancelled),
        cmocka_unit_test(a_reply_may_destroy_the_transport),
        cmocka_unit_test(any_allocation_may_fail),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
