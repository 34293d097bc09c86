/* Bodies that are handed on in pieces, as they arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "io/rig.h"

/* What a taker has seen, and what it wants. One stream at a time. */
static struct {
    struct rig *rig;
    char text[65536];
    size_t bytes;
    unsigned pieces;
    unsigned pauses_left; /* pieces that are refused first */
    size_t stop_at;       /* bytes after which it stops; 0: never */
    int http_status;
    char type[64];
} taker;

static phos_flow take(const phos_reply *head, phos_str piece, void *reply_data)
{
    (void)reply_data;
    assert_true(piece.length > 0);
    taker.pieces++;
    taker.http_status = head->http_status;
    for (size_t i = 0; i < head->header_count; i++)
        if (head->headers[i].name.length == 12)
            snprintf(taker.type, sizeof(taker.type), "%.*s",
                     (int)head->headers[i].value.length,
                     head->headers[i].value.data);
    if (taker.pauses_left > 0) {
        taker.pauses_left--;
        return PHOS_FLOW_PAUSE;
    }
    assert_true(taker.bytes + piece.length <= sizeof(taker.text));
    memcpy(taker.text + taker.bytes, piece.data, piece.length);
    taker.bytes += piece.length;
    return taker.stop_at && taker.bytes >= taker.stop_at ? PHOS_FLOW_STOP
                                                         : PHOS_FLOW_ON;
}

static phos_request stream_request(struct rig *rig)
{
    phos_request request = rig_post(rig, "{}");

    memset(&taker, 0, sizeof(taker));
    taker.rig = rig;
    request.on_body = take;
    request.timeout_ms = 0;
    request.idle_timeout_ms = 20000;
    return request;
}

static void pieces_come_before_the_reply_and_are_all_of_the_body(void **state)
{
    struct rig rig;
    struct rig_reply reply;
    phos_request request;

    (void)state;
    rig_start(&rig, NULL, NULL);
    rig.plan.status = 200;
    rig.plan.is_chunked = true;
    rig.plan.headers = "Content-Type: text/event-stream\r\n";
    rig.plan.body = "data: one\n\ndata: two\n\n";
    request = stream_request(&rig);
    reply = rig_exchange(&rig, &request);
    assert_int_equal(reply.exchange, PHOS_EXCHANGE_ANSWERED);
    assert_int_equal(reply.body_bytes, 0);
    assert_false(reply.body_cut);
    assert_int_equal(reply.error.status, PHOS_OK);
    assert_int_equal(taker.http_status, 200);
    assert_string_equal(taker.type, "text/event-stream");
    assert_int_equal(taker.bytes, strlen(rig.plan.body));
    assert_memory_equal(taker.text, rig.plan.body, taker.bytes);
    rig_stop(&rig);
}

static void a_failures_body_is_kept_whole(void **state)
{
    struct rig rig;
    struct rig_reply reply;
    phos_request request;

    (void)state;
    rig_start(&rig, NULL, NULL);
    rig.plan.status = 422;
    rig.plan.body = "{\"detail\":\"no\"}";
    request = stream_request(&rig);
    reply = rig_exchange(&rig, &request);
    assert_int_equal(reply.http_status, 422);
    assert_string_equal(reply.body, rig.plan.body);
    assert_int_equal(taker.pieces, 0);
    rig_stop(&rig);
}

static void a_body_may_be_longer_than_what_is_kept(void **state)
{
    static char body[60001];
    struct rig rig;
    struct rig_reply reply;
    phos_request request;

    (void)state;
    memset(body, 'x', sizeof(body) - 1);
    rig_start(&rig, NULL, NULL);
    rig.plan.body = body;
    request = stream_request(&rig);
    request.reply_bytes_max = 10;
    reply = rig_exchange(&rig, &request);
    assert_false(reply.body_cut);
    assert_int_equal(taker.bytes, sizeof(body) - 1);
    rig_stop(&rig);
}

static uint64_t resume_in_turn(struct rig *rig)
{
    rig_resume(rig, 1);
    rig_resume(rig, 2); /* of which nobody knows */
    return UINT64_MAX;
}

static void a_piece_that_was_not_wanted_comes_again(void **state)
{
    struct rig rig;
    struct rig_reply reply;
    phos_request request;

    (void)state;
    rig_start(&rig, NULL, NULL);
    rig.plan.body = "data: one\n\n";
    request = stream_request(&rig);
    taker.pauses_left = 3;
    rig.on_turn = resume_in_turn;
    reply = rig_exchange(&rig, &request);
    assert_int_equal(reply.exchange, PHOS_EXCHANGE_ANSWERED);
    assert_false(reply.body_cut);
    assert_true(taker.pieces >= 4); /* the server sends it in two halves */
    assert_memory_equal(taker.text, rig.plan.body, taker.bytes);
    assert_int_equal(taker.bytes, strlen(rig.plan.body));
    rig_stop(&rig);
}

static void who_has_enough_stops(void **state)
{
    struct rig rig;
    struct rig_reply reply;
    phos_request request;

    (void)state;
    rig_start(&rig, NULL, NULL);
    rig.plan.has_endless_body = true;
    request = stream_request(&rig);
    taker.stop_at = 1;
    reply = rig_exchange(&rig, &request);
    assert_int_equal(reply.exchange, PHOS_EXCHANGE_ANSWERED);
    assert_int_equal(reply.http_status, 201);
    assert_true(reply.body_cut);
    assert_int_equal(reply.error.status, PHOS_OK);
    rig_stop(&rig);
}

/* While the service says nothing more: nothing else would end it. */
static void who_has_paused_may_have_enough(void **state)
{
    struct rig rig;
    struct rig_reply reply;
    phos_request request;

    (void)state;
    rig_start(&rig, NULL, NULL);
    rig.plan.is_chunked = true;
    rig.plan.stall = FAULT_STALL_IN_BODY;
    rig.plan.body = "data: one\n\ndata: two\n\n";
    request = stream_request(&rig);
    taker.pauses_left = 1;
    taker.stop_at = 1;
    rig.on_turn = resume_in_turn;
    reply = rig_exchange(&rig, &request);
    assert_int_equal(reply.exchange, PHOS_EXCHANGE_ANSWERED);
    assert_true(reply.body_cut);
    assert_int_equal(reply.error.status, PHOS_OK);
    assert_int_equal(taker.pieces, 2);
    rig_stop(&rig);
}

static void a_stream_that_breaks_says_so(void **state)
{
    static char body[2001];
    struct rig rig;
    struct rig_reply reply;
    phos_request request;

    (void)state;
    rig_start(&rig, NULL, NULL);
    memset(body, 'x', sizeof(body) - 1);
    rig.plan.body = body;
    rig.plan.cut_reply_after = sizeof(body) / 2;
    request = stream_request(&rig);
    reply = rig_exchange(&rig, &request);
    assert_int_equal(reply.exchange, PHOS_EXCHANGE_ANSWERED);
    assert_true(reply.body_cut);
    assert_int_equal(reply.error.status, PHOS_E_NETWORK);
    assert_true(strlen(reply.error.text) > 0);
    assert_true(taker.bytes > 0);
    rig_stop(&rig);
}

static void silence_ends_a_stream(void **state)
{
    struct rig rig;
    struct rig_reply reply;
    phos_request request;

    (void)state;
    rig_start(&rig, NULL, NULL);
    rig.plan.is_chunked = true;
    rig.plan.stall = FAULT_STALL_IN_BODY;
    request = stream_request(&rig);
    request.idle_timeout_ms = 1;
    reply = rig_exchange(&rig, &request);
    assert_int_equal(reply.exchange, PHOS_EXCHANGE_ANSWERED);
    assert_true(reply.body_cut);
    assert_int_equal(reply.error.status, PHOS_E_TIMEOUT);
    rig_stop(&rig);
}

static uint64_t cancel_when_paused(struct rig *rig)
{
    if (taker.pieces == 1)
        rig_cancel(rig, 1);
    return UINT64_MAX;
}

static void a_pause_can_end_in_a_cancel(void **state)
{
    struct rig rig;
    struct rig_reply reply;
    phos_request request;

    (void)state;
    rig_start(&rig, NULL, NULL);
    rig.plan.has_endless_body = true;
    request = stream_request(&rig);
    taker.pauses_left = 1;
    rig.on_turn = cancel_when_paused;
    reply = rig_exchange(&rig, &request);
    assert_int_equal(reply.exchange, PHOS_EXCHANGE_CANCELLED);
    assert_int_equal(taker.bytes, 0);
    rig_stop(&rig);
}

static uint64_t destroy_when_paused(struct rig *rig)
{
    if (taker.pieces == 1 && rig->http) {
        phos__http_destroy(rig->http);
        rig->http = NULL;
    }
    return UINT64_MAX;
}

static void destroying_the_transport_ends_a_pause(void **state)
{
    struct rig rig;
    struct rig_reply reply;
    phos_request request;

    (void)state;
    rig_start(&rig, NULL, NULL);
    rig.plan.body = "data: one\n\n";
    request = stream_request(&rig);
    taker.pauses_left = 1;
    rig.on_turn = destroy_when_paused;
    reply = rig_exchange(&rig, &request);
    assert_int_equal(reply.exchange, PHOS_EXCHANGE_CANCELLED);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_come_before_the_reply_and_are_all_of_the_body),
        cmocka_unit_test(a_failures_body_is_kept_whole),
        cmocka_unit_test(a_body_may_be_longer_than_what_is_kept),
        cmocka_unit_test(a_piece_that_was_not_wanted_comes_again),
        cmocka_unit_test(who_has_enough_stops),
        cmocka_unit_test(who_has_paused_may_have_enough),
        cmocka_unit_test(a_stream_that_breaks_says_so),
        cmocka_unit_test(silence_ends_a_stream),
        cmocka_unit_test(a_pause_can_end_in_a_cancel),
        cmocka_unit_test(destroying_the_transport_ends_a_pause),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
