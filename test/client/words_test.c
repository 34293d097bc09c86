/* Every line as it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "client/words.h"

enum { RING = 4194304 };

static phos_diagnostic say(const struct phos__watch_line *line,
                           const char *cause)
{
    phos_diagnostic diagnostic;
    phos_error error;

    phos__error_set(&error, *cause ? PHOS_E_NETWORK : PHOS_OK, PHOS_ORIGIN_CURL,
                    7, "%s", cause);
    phos__words(line, &error, RING, &diagnostic);
    assert_int_equal(diagnostic.struct_size, sizeof(diagnostic));
    assert_int_equal(diagnostic.code, line->code);
    return diagnostic;
}

static void each_reason_says_what_to_do(void **state)
{
    static const struct {
        phos_diagnostic_code code;
        phos_severity severity;
        const char *cause, *text;
    } rows[] = {
        { PHOS_DIAGNOSTIC_WAITING, PHOS_SEVERITY_WARNING, "an earlier one",
          "nothing delivered for 5.0 s: a request is under way and not "
          "answered yet; 12 events wait, the ring is 3% full, and full in "
          "240 s" },
        { PHOS_DIAGNOSTIC_NAME, PHOS_SEVERITY_WARNING,
          "the name service.invalid cannot be resolved",
          "nothing delivered for 5.0 s: the name service.invalid cannot be "
          "resolved; 12 events wait, the ring is 3% full, and full in 240 s; "
          "check the host in endpoint or proxy, and this machine's DNS" },
        { PHOS_DIAGNOSTIC_CONNECT, PHOS_SEVERITY_WARNING,
          "cannot connect to 127.0.0.1:1: Connection refused",
          "nothing delivered for 5.0 s: cannot connect to 127.0.0.1:1: "
          "Connection refused; 12 events wait, the ring is 3% full, and full "
          "in 240 s; is it running there, and does no firewall stand "
          "between?" },
        { PHOS_DIAGNOSTIC_PROXY, PHOS_SEVERITY_WARNING, "the proxy p: HTTP 407",
          "nothing delivered for 5.0 s: the proxy p: HTTP 407; 12 events "
          "wait, the ring is 3% full, and full in 240 s; check proxy: its "
          "name and password, and whether it allows this host" },
        { PHOS_DIAGNOSTIC_TLS, PHOS_SEVERITY_WARNING, "no TLS with a:443",
          "nothing delivered for 5.0 s: no TLS with a:443; 12 events wait, "
          "the ring is 3% full, and full in 240 s; check endpoint's port; at "
          "least TLS 1.2 is needed" },
        { PHOS_DIAGNOSTIC_NO_TLS, PHOS_SEVERITY_ERROR,
          "the server does not speak TLS on a:80",
          "nothing delivered for 5.0 s: the server does not speak TLS on "
          "a:80; 12 events wait, the ring is 3% full, and full in 240 s; "
          "check endpoint: its port, and http or https" },
        { PHOS_DIAGNOSTIC_UNTRUSTED, PHOS_SEVERITY_ERROR,
          "the certificate of a:443 is not trusted: self-signed",
          "nothing delivered for 5.0 s: the certificate of a:443 is not "
          "trusted: self-signed; 12 events wait, the ring is 3% full, and "
          "full in 240 s; give your own authority's certificate as ca_file, "
          "or update the system's" },
        { PHOS_DIAGNOSTIC_EXPIRED, PHOS_SEVERITY_ERROR,
          "the certificate of a:443 is not valid now: expired",
          "nothing delivered for 5.0 s: the certificate of a:443 is not valid "
          "now: expired; 12 events wait, the ring is 3% full, and full in "
          "240 s; have it renewed; is this machine's date right?" },
        { PHOS_DIAGNOSTIC_OTHER_HOST, PHOS_SEVERITY_ERROR,
          "the certificate of a:443 is for another host",
          "nothing delivered for 5.0 s: the certificate of a:443 is for "
          "another host; 12 events wait, the ring is 3% full, and full in "
          "240 s; endpoint must use a name that stands in it" },
        { PHOS_DIAGNOSTIC_NOT_SENT, PHOS_SEVERITY_WARNING, "out of memory",
          "nothing delivered for 5.0 s: no request leaves this machine (out "
          "of memory); 12 events wait, the ring is 3% full, and full in "
          "240 s" },
        { PHOS_DIAGNOSTIC_BROKEN, PHOS_SEVERITY_WARNING, "reset by peer",
          "nothing delivered for 5.0 s: the connection breaks (reset by "
          "peer); 12 events wait, the ring is 3% full, and full in 240 s; "
          "does endpoint's port speak HTTP, and is it http or https?" },
        { PHOS_DIAGNOSTIC_NO_ANSWER, PHOS_SEVERITY_WARNING, "timed out",
          "nothing delivered for 5.0 s: no answer in time (timed out); 12 "
          "events wait, the ring is 3% full, and full in 240 s; is the "
          "service overloaded? request_timeout_ms is the longest wait" },
        { PHOS_DIAGNOSTIC_KEY, PHOS_SEVERITY_ERROR, "HTTP 401: no such key",
          "nothing delivered for 5.0 s: the key is refused (HTTP 401: no such "
          "key); 12 events wait, the ring is 3% full, and full in 240 s; "
          "check api_key: is it whole, of this service, and not revoked?" },
        { PHOS_DIAGNOSTIC_PATH, PHOS_SEVERITY_ERROR, "HTTP 404",
          "nothing delivered for 5.0 s: there is no ingestion API at this "
          "address (HTTP 404); 12 events wait, the ring is 3% full, and full "
          "in 240 s; check endpoint: /api/ingest/batch is appended to it" },
        { PHOS_DIAGNOSTIC_REDIRECT, PHOS_SEVERITY_ERROR, "HTTP 301",
          "nothing delivered for 5.0 s: the service redirects elsewhere (HTTP "
          "301); 12 events wait, the ring is 3% full, and full in 240 s; give "
          "the final address as endpoint: the key is sent nowhere else" },
        { PHOS_DIAGNOSTIC_WEB_PAGE, PHOS_SEVERITY_ERROR,
          "HTTP 200 with a web page instead of an answer",
          "nothing delivered for 5.0 s: something else than the service "
          "answers (HTTP 200 with a web page instead of an answer); 12 events "
          "wait, the ring is 3% full, and full in 240 s; check endpoint, and "
          "whether this network wants a log-in first" },
        { PHOS_DIAGNOSTIC_REFUSED, PHOS_SEVERITY_ERROR, "HTTP 400",
          "nothing delivered for 5.0 s: every request is refused (HTTP 400); "
          "12 events wait, the ring is 3% full, and full in 240 s; check "
          "endpoint, and what stands between" },
        { PHOS_DIAGNOSTIC_LIMITED, PHOS_SEVERITY_WARNING, "HTTP 429: slow down",
          "nothing delivered for 5.0 s: the service limits us (HTTP 429: slow "
          "down); 12 events wait, the ring is 3% full, and full in 240 s; "
          "events_per_minute stays below a limit" },
        { PHOS_DIAGNOSTIC_SERVICE, PHOS_SEVERITY_WARNING, "HTTP 503",
          "nothing delivered for 5.0 s: the service fails (HTTP 503); 12 "
          "events wait, the ring is 3% full, and full in 240 s; it is tried "
          "again" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct phos__watch_line line = { .code = rows[i].code,
                                               .stalled_ms = 5000,
                                               .waiting = 12,
                                               .ring_used = RING * 3 / 100 + 64,
                                               .fill_ms = 240000 };
        phos_diagnostic told = say(&line, rows[i].cause);

        assert_string_equal(told.error.text, rows[i].text);
        assert_int_equal(told.severity, rows[i].severity);
        assert_int_equal(told.error.status,
                         rows[i].severity == PHOS_SEVERITY_ERROR
                             ? PHOS_E_CONFIG
                             : PHOS_E_NETWORK);
        assert_int_equal(told.error.code, 7);
    }
}

/* The longest that there can be: only foreign words are cut. */
static void however_long_the_cause_the_advice_stands_in_the_line(void **state)
{
    char cause[PHOS_ERROR_TEXT_BYTES];

    (void)state;
    memset(cause, 'x', sizeof(cause) - 1);
    cause[sizeof(cause) - 1] = '\0';
    memcpy(cause + 60, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 8);
    for (int code = PHOS_DIAGNOSTIC_NAME; code <= PHOS_DIAGNOSTIC_SERVICE;
         code++) {
        struct phos__watch_line line = { .code = (phos_diagnostic_code)code,
                                         .stalled_ms = 35999000,
                                         .waiting = 123456789,
                                         .ring_used = RING,
                                         .fill_ms = 35999000,
                                         .hold_ms = 35999000 };
        phos_diagnostic whole, told;

        whole = say(&line, "-");
        told = say(&line, cause);
        /* What stands behind the cause has not moved out of the line. */
        assert_string_equal(strstr(told.error.text, "; 123456789"),
                            strstr(whole.error.text, "; 123456789"));
        assert_non_null(strstr(told.error.text, "xxxxxxxxxxxxxxxxxxxxxxxx"));
        /* Cut between characters. */
        *strstr(told.error.text, "; 1234") = '\0';
        assert_null(strchr(told.error.text, '?'));
    }
}

static void what_is_not_known_is_left_out(void **state)
{
    struct phos__watch_line line = { .code = PHOS_DIAGNOSTIC_KEY,
                                     .stalled_ms = 20,
                                     .waiting = 1,
                                     .fill_ms = UINT64_MAX };

    (void)state;
    assert_string_equal(
        say(&line, "HTTP 401").error.text,
        "nothing is delivered: the key is refused (HTTP 401); 1 event waits, "
        "the ring is 0% full; check api_key: is it whole, of this service, "
        "and not revoked?");
    line.code = PHOS_DIAGNOSTIC_CONNECT;
    assert_string_equal(
        say(&line, "").error.text,
        "nothing is delivered: the service cannot be reached; 1 event waits, "
        "the ring is 0% full; is it running there, and does no firewall stand "
        "between?");
    line.code = PHOS_DIAGNOSTIC_NOT_SENT;
    assert_string_equal(say(&line, "").error.text,
                        "nothing is delivered: no request leaves this "
                        "machine; 1 event waits, the ring is 0% full");
}

static void a_limit_is_told_as_far_as_it_is_known(void **state)
{
    struct phos__watch_line line = { .code = PHOS_DIAGNOSTIC_LIMITED,
                                     .stalled_ms = 5000,
                                     .waiting = 12,
                                     .fill_ms = UINT64_MAX,
                                     .per_minute = 1200 };

    (void)state;
    assert_non_null(strstr(say(&line, "HTTP 429").error.text,
                           "(HTTP 429), 1200 events a minute are tried; 12"));
    line.hold_ms = 60000;
    assert_non_null(strstr(say(&line, "HTTP 429").error.text,
                           "(HTTP 429), it asks for a pause of 60 s; 12"));
}

static void times_are_told_no_more_exactly_than_they_matter(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } rows[] = {
        { 9999, "after 9.9 s;" },       { 10000, "after 10 s;" },
        { 599999, "after 599 s;" },     { 600000, "after 10 min;" },
        { 35999999, "after 599 min;" }, { 36000000, "after 10 h;" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct phos__watch_line line = { .code =
                                                   PHOS_DIAGNOSTIC_DELIVERED,
                                               .stalled_ms = rows[i].ms };

        assert_non_null(strstr(say(&line, "").error.text, rows[i].text));
    }
}

static void recovery_losses_and_the_high_water_have_their_lines(void **state)
{
    struct phos__watch_line line = { .code = PHOS_DIAGNOSTIC_DELIVERED,
                                     .stalled_ms = 12345,
                                     .waiting = 678 };
    phos_diagnostic told = say(&line, "HTTP 503");

    (void)state;
    assert_string_equal(told.error.text,
                        "events are delivered again, after 12 s; 678 had to "
                        "wait");
    assert_int_equal(told.error.status, PHOS_OK);
    assert_int_equal(told.severity, PHOS_SEVERITY_INFO);

    line.code = PHOS_DIAGNOSTIC_HIGH_WATER;
    line.ring_used = RING / 4 * 3 + 8;
    line.fill_ms = 2500;
    told = say(&line, "");
    assert_string_equal(told.error.text,
                        "the ring is 75% full, and full in 2.5 s; then log "
                        "calls are rejected: is the service slower than what "
                        "is logged, or ring_bytes too small?");
    assert_int_equal(told.severity, PHOS_SEVERITY_WARNING);

    line.code = PHOS_DIAGNOSTIC_LOST;
    line.losses[PHOS__LOSS_INVALID] = 3;
    line.losses[PHOS__LOSS_FULL] = 100;
    line.http_status = 422;
    line.lost_over_ms = 10000;
    told = say(&line, "");
    assert_string_equal(told.error.text, "events lost in 10 s: 3 refused (HTTP "
                                         "422), 100 rejected: ring full");
    assert_int_equal(told.error.status, PHOS_E_HTTP);
    assert_int_equal(told.error.code, 422);
}

static void what_is_lost_at_close_is_told_with_the_last_problem(void **state)
{
    struct phos__watch_line line = { .code = PHOS_DIAGNOSTIC_LOST };

    (void)state;
    line.losses[PHOS__LOSS_CLOSED] = 7;
    assert_string_equal(say(&line, "cannot connect").error.text,
                        "events lost: 7 at close");
    line.is_failing = true;
    assert_string_equal(say(&line, "cannot connect").error.text,
                        "events lost: 7 at close; the last problem was: "
                        "cannot connect");
    line.losses[PHOS__LOSS_CLOSED] = 0;
    line.losses[PHOS__LOSS_AGE] = 7;
    assert_string_equal(say(&line, "cannot connect").error.text,
                        "events lost: 7 too old");
}

static void every_loss_at_once_still_fits(void **state)
{
    struct phos__watch_line line = { .code = PHOS_DIAGNOSTIC_LOST };

    (void)state;
    for (unsigned i = 0; i < PHOS__LOSS_COUNT; i++)
        line.losses[i] = 1000000 + i;
    line.http_status = 422;
    line.lost_over_ms = 10000;
    assert_string_equal(
        say(&line, "").error.text,
        "events lost in 10 s: 1000000 too old, 1000001 at close, 1000002 "
        "unreadable, 1000003 refused (HTTP 422), 1000004 refused: too large, "
        "1000005 poison, 1000006 rejected: "
        "ring full, 1000007 rejected: invalid, 1000008 rejected: too large, "
        "1000009 broken edits");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reason_says_what_to_do),
        cmocka_unit_test(however_long_the_cause_the_advice_stands_in_the_line),
        cmocka_unit_test(what_is_not_known_is_left_out),
        cmocka_unit_test(a_limit_is_told_as_far_as_it_is_known),
        cmocka_unit_test(times_are_told_no_more_exactly_than_they_matter),
        cmocka_unit_test(recovery_losses_and_the_high_water_have_their_lines),
        cmocka_unit_test(what_is_lost_at_close_is_told_with_the_last_problem),
        cmocka_unit_test(every_loss_at_once_still_fits),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
