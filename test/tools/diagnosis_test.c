#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "diagnosis.h"

enum { NOW_S = 1738315800 }; /* 2025-01-31 09:30:00 */

static const struct route https = { .is_https = true };

/* "dns ok, connect fail, ..." of what was found, to be freed. */
static char *brief(struct findings *findings)
{
    char *text = calloc(1, 1024);
    const json_t *entry;
    size_t i;

    assert_non_null(text);
    json_array_foreach(findings->list, i, entry)
    {
        strcat(text, i > 0 ? ", " : "");
        strcat(text, json_string_value(json_object_get(entry, "name")));
        strcat(text, " ");
        strcat(text, json_string_value(json_object_get(entry, "status")));
    }
    findings_deinit(findings);
    return text;
}

static void assert_brief(struct findings *findings, const char *want)
{
    char *got = brief(findings);

    assert_string_equal(got, want);
    free(got);
}

static void
the_stage_that_failed_is_named_and_what_follows_skipped(void **state)
{
    static const struct {
        enum http_stage stage;
        const char *proxy;
        const char *brief;
    } rows[] = {
        { HTTP_RESOLVE, NULL, "dns fail, connect skip, tls skip" },
        { HTTP_CONNECT, NULL, "dns ok, connect fail, tls skip" },
        { HTTP_SECURE, NULL, "dns ok, connect ok, tls fail" },
        { HTTP_WAIT, NULL, "dns ok, connect ok, tls ok" },
        { HTTP_ANSWERED, NULL, "dns ok, connect ok, tls ok" },
        { HTTP_CONNECT, "p", "dns ok, connect fail, tunnel skip, tls skip" },
        { HTTP_PROXY, "p", "dns ok, connect ok, tunnel fail, tls skip" },
        { HTTP_SECURE, "p", "dns ok, connect ok, tunnel ok, tls fail" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_reply reply = { .stage = rows[i].stage, .clock_s = NOW_S };
        struct route route = https;
        struct findings findings;

        route.proxy = rows[i].proxy;
        findings_init(&findings, NULL, true);
        assert_int_equal(diagnose_way(&findings, &route, &reply),
                         rows[i].stage == HTTP_ANSWERED);
        assert_brief(&findings, rows[i].brief);
    }
}

static void a_certificate_that_ends_soon_is_a_warning(void **state)
{
    static const struct {
        int64_t left_s;
        const char *brief;
    } rows[] = {
        { 13 * 86400, "dns ok, connect ok, tls warn" },
        { 15 * 86400, "dns ok, connect ok, tls ok" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_reply reply = { .stage = HTTP_ANSWERED,
                                    .clock_s = NOW_S,
                                    .certificate_until_s =
                                        NOW_S + rows[i].left_s };
        struct findings findings;

        findings_init(&findings, NULL, true);
        diagnose_way(&findings, &https, &reply);
        assert_brief(&findings, rows[i].brief);
    }
}

static void plain_http_and_sockets_leave_steps_out(void **state)
{
    struct http_reply reply = { .stage = HTTP_CONNECT };
    struct route route = { .socket_path = "/run/phosd.sock" };
    struct findings findings;

    (void)state;
    findings_init(&findings, NULL, true);
    assert_false(diagnose_way(&findings, &route, &reply));
    assert_brief(&findings, "dns ok, connect fail, tls ok");
}

static void what_is_no_http_fails_as_the_service(void **state)
{
    static const struct {
        enum http_stage stage;
        const char *brief;
    } rows[] = { { HTTP_START, "service fail" },
                 { HTTP_RESOLVE, "service skip" },
                 { HTTP_WAIT, "service fail" },
                 { HTTP_ANSWERED, "service ok" } };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_reply reply = { .stage = rows[i].stage, .status = 404 };
        struct findings findings;

        findings_init(&findings, NULL, true);
        diagnose_service(&findings, &reply);
        assert_brief(&findings, rows[i].brief);
    }
}

static void an_answer_tells_whether_the_key_is_taken(void **state)
{
    static const struct {
        long status;
        const char *body, *brief, *advice;
    } rows[] = {
        { 200, "{\"events\":[]}", "access ok", NULL },
        { 200, "<html>", "access fail", "log-in" },
        { 302, "", "access fail", "final address" },
        { 401, "{\"error\":\"no\"}", "access fail", "not revoked" },
        { 403, "", "access fail", "not revoked" },
        { 404, "", "access fail", "no ingestion API" },
        { 418, "", "access fail", "stands between" },
        { 429, "", "access warn", NULL },
        { 503, "", "access fail", "trouble of its own" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char body[32];
        struct http_reply reply = { .stage = HTTP_ANSWERED,
                                    .status = rows[i].status,
                                    .body = body };
        struct findings findings;
        const char *advice;

        strcpy(body, rows[i].body);
        reply.length = strlen(body);
        findings_init(&findings, NULL, true);
        diagnose_key(&findings, &reply);
        advice = json_string_value(
            json_object_get(json_array_get(findings.list, 0), "advice"));
        assert_int_equal(advice == NULL, rows[i].advice == NULL);
        if (advice != NULL)
            assert_non_null(strstr(advice, rows[i].advice));
        assert_brief(&findings, rows[i].brief);
    }
}

static void clocks_more_than_five_seconds_apart_are_a_warning(void **state)
{
    static const struct {
        int64_t date_s;
        const char *brief, *text;
    } rows[] = {
        { 0, "clock skip", "does not tell" },
        { NOW_S, "clock ok", "agrees" },
        { NOW_S - 5, "clock ok", "agrees" },
        { NOW_S + 5, "clock ok", "agrees" },
        { NOW_S - 6, "clock warn", "6 s ahead of the service's" },
        { NOW_S + 3600, "clock warn", "3600 s behind the service's" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_reply reply = { .clock_s = NOW_S,
                                    .date_s = rows[i].date_s };
        struct findings findings;

        findings_init(&findings, NULL, true);
        diagnose_clock(&findings, &reply);
        assert_non_null(strstr(json_string_value(json_object_get(
                                   json_array_get(findings.list, 0), "text")),
                               rows[i].text));
        assert_brief(&findings, rows[i].brief);
    }
}

static void a_pause_that_is_asked_for_is_a_warning(void **state)
{
    static const struct {
        long status;
        int64_t retry_after_s;
        const char *per_minute, *brief;
    } rows[] = {
        { 200, 0, NULL, "limits ok" },
        { 200, 0, "600", "limits ok" },
        { 429, 0, NULL, "limits warn" },
        { 503, 30, "600", "limits warn" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_reply reply = { .status = rows[i].status,
                                    .retry_after_s = rows[i].retry_after_s };
        struct findings findings;

        findings_init(&findings, NULL, true);
        diagnose_pace(&findings, &reply, rows[i].per_minute);
        assert_brief(&findings, rows[i].brief);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            the_stage_that_failed_is_named_and_what_follows_skipped),
        cmocka_unit_test(a_certificate_that_ends_soon_is_a_warning),
        cmocka_unit_test(plain_http_and_sockets_leave_steps_out),
        cmocka_unit_test(what_is_no_http_fails_as_the_service),
        cmocka_unit_test(an_answer_tells_whether_the_key_is_taken),
        cmocka_unit_test(clocks_more_than_five_seconds_apart_are_a_warning),
        cmocka_unit_test(a_pause_that_is_asked_for_is_a_warning),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
