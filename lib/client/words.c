#include "client/words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/saturate.h"

enum { DURATION_BYTES = 24, STATE_BYTES = 112, LOSSES_BYTES = 256 };
enum { FEEDBACK_CAUSE_BYTES = 128 }; /* so that the advice is not cut off */

/* ---- reasons ---- */

/* Each reason why nothing is delivered: what is said before the foreign words,
 * and what to do. Options are named as in phos_options. */
static const struct reason {
    phos_diagnostic_code code;
    phos_severity severity;
    const char *lead, *advice;
} reasons[] = {
    { PHOS_DIAGNOSTIC_WAITING, PHOS_SEVERITY_WARNING,
      "a request is under way and not answered yet", "" },
    { PHOS_DIAGNOSTIC_NAME, PHOS_SEVERITY_WARNING, "",
      "check the host in endpoint or proxy, and this machine's DNS" },
    { PHOS_DIAGNOSTIC_CONNECT, PHOS_SEVERITY_WARNING, "",
      "is it running there, and does no firewall stand between?" },
    { PHOS_DIAGNOSTIC_PROXY, PHOS_SEVERITY_WARNING, "",
      "check proxy: its name and password, and whether it allows this host" },
    { PHOS_DIAGNOSTIC_TLS, PHOS_SEVERITY_WARNING, "",
      "check endpoint's port; at least TLS 1.2 is needed" },
    { PHOS_DIAGNOSTIC_NO_TLS, PHOS_SEVERITY_ERROR, "",
      "check endpoint: its port, and http or https" },
    { PHOS_DIAGNOSTIC_UNTRUSTED, PHOS_SEVERITY_ERROR, "",
      "give your own authority's certificate as ca_file, or update the "
      "system's" },
    { PHOS_DIAGNOSTIC_EXPIRED, PHOS_SEVERITY_ERROR, "",
      "have it renewed; is this machine's date right?" },
    { PHOS_DIAGNOSTIC_OTHER_HOST, PHOS_SEVERITY_ERROR, "",
      "endpoint must use a name that stands in it" },
    { PHOS_DIAGNOSTIC_NOT_SENT, PHOS_SEVERITY_WARNING,
      "no request leaves this machine", "" },
    { PHOS_DIAGNOSTIC_BROKEN, PHOS_SEVERITY_WARNING, "the connection breaks",
      "does endpoint's port speak HTTP, and is it http or https?" },
    { PHOS_DIAGNOSTIC_NO_ANSWER, PHOS_SEVERITY_WARNING, "no answer in time",
      "is the service overloaded? request_timeout_ms is the longest wait" },
    { PHOS_DIAGNOSTIC_KEY, PHOS_SEVERITY_ERROR, "the key is refused",
      "check api_key: is it whole, of this service, and not revoked?" },
    { PHOS_DIAGNOSTIC_PATH, PHOS_SEVERITY_ERROR,
      "there is no ingestion API at this address",
      "check endpoint: /api/ingest/batch is appended to it" },
    { PHOS_DIAGNOSTIC_REDIRECT, PHOS_SEVERITY_ERROR,
      "the service redirects elsewhere",
      "give the final address as endpoint: the key is sent nowhere else" },
    { PHOS_DIAGNOSTIC_WEB_PAGE, PHOS_SEVERITY_ERROR,
      "something else than the service answers",
      "check endpoint, and whether this network wants a log-in first" },
    { PHOS_DIAGNOSTIC_REFUSED, PHOS_SEVERITY_ERROR, "every request is refused",
      "check endpoint, and what stands between" },
    { PHOS_DIAGNOSTIC_LIMITED, PHOS_SEVERITY_WARNING, "the service limits us",
      "events_per_minute stays below a limit" },
    { PHOS_DIAGNOSTIC_SERVICE, PHOS_SEVERITY_WARNING, "the service fails",
      "it is tried again" },
};

static const struct reason *reason_of(phos_diagnostic_code code)
{
    const struct reason *reason = reasons;

    while (reason->code != code)
        reason++;
    return reason;
}

/* ---- parts ---- */

/* Two digits at least, so that nothing is said more exactly than it is. */
static const char *duration(uint64_t ms, char text[DURATION_BYTES])
{
    uint64_t s = ms / 1000;

    if (ms < 10000)
        snprintf(text, DURATION_BYTES, "%" PRIu64 ".%" PRIu64 " s", s,
                 ms / 100 % 10);
    else if (s < 600)
        snprintf(text, DURATION_BYTES, "%" PRIu64 " s", s);
    else if (s < 36000)
        snprintf(text, DURATION_BYTES, "%" PRIu64 " min", s / 60);
    else
        snprintf(text, DURATION_BYTES, "%" PRIu64 " h", s / 3600);
    return text;
}

/* How full the ring is and, if it fills within a day, when. */
static void write_ring(const struct phos__watch_line *line, uint64_t ring_bytes,
                       char text[STATE_BYTES])
{
    unsigned percent = (unsigned)(line->ring_used * 100 / ring_bytes);
    char time[DURATION_BYTES];

    if (line->fill_ms < UINT64_C(86400000))
        snprintf(text, STATE_BYTES, "the ring is %u%% full, and full in %s",
                 percent, duration(line->fill_ms, time));
    else
        snprintf(text, STATE_BYTES, "the ring is %u%% full", percent);
}

static void write_state(const struct phos__watch_line *line,
                        uint64_t ring_bytes, char text[STATE_BYTES + 32])
{
    char ring[STATE_BYTES];

    write_ring(line, ring_bytes, ring);
    snprintf(text, STATE_BYTES + 32, "%" PRIu64 " event%s wait%s, %s",
             line->waiting, line->waiting == 1 ? "" : "s",
             line->waiting == 1 ? "s" : "", ring);
}

/* What the service lets through, as far as it has told. */
static void write_limit(const struct phos__watch_line *line,
                        char text[STATE_BYTES])
{
    char time[DURATION_BYTES];

    text[0] = '\0';
    if (line->code != PHOS_DIAGNOSTIC_LIMITED)
        return;
    if (line->hold_ms)
        snprintf(text, STATE_BYTES, ", it asks for a pause of %s",
                 duration(line->hold_ms, time));
    else if (line->per_minute)
        snprintf(text, STATE_BYTES, ", %" PRIu64 " events a minute are tried",
                 line->per_minute);
}

/* The length of what fits, in whole characters. */
static int cut(const char *text, size_t room)
{
    size_t length = strlen(text);

    if (length > room) {
        length = room;
        while (length > 0 && (text[length] & 0xC0) == 0x80)
            length--;
    }
    return (int)length;
}

/* ---- lines ---- */

static void say_stall(const struct phos__watch_line *line,
                      const phos_error *cause, uint64_t ring_bytes,
                      phos_diagnostic *diagnostic)
{
    const struct reason *reason = reason_of(line->code);
    bool must_act = reason->severity == PHOS_SEVERITY_ERROR;
    bool is_known =
        line->code != PHOS_DIAGNOSTIC_WAITING && cause->text[0] != '\0';
    bool has_lead = reason->lead[0] != '\0' || !is_known;
    const char *lead = has_lead && reason->lead[0] == '\0'
                           ? "the service cannot be reached"
                           : reason->lead;
    char since[DURATION_BYTES], head[PHOS_ERROR_TEXT_BYTES];
    char limit[STATE_BYTES], state[STATE_BYTES + 32];
    char tail[PHOS_ERROR_TEXT_BYTES];
    size_t room;

    write_limit(line, limit);
    write_state(line, ring_bytes, state);
    if (line->stalled_ms < 1000)
        snprintf(head, sizeof(head), "nothing is delivered: %s%s", lead,
                 is_known && has_lead ? " (" : "");
    else
        snprintf(head, sizeof(head), "nothing delivered for %s: %s%s",
                 duration(line->stalled_ms, since), lead,
                 is_known && has_lead ? " (" : "");
    snprintf(tail, sizeof(tail), "%s%s; %s%s%s",
             is_known && has_lead ? ")" : "", limit, state,
             reason->advice[0] ? "; " : "", reason->advice);
    room = phos__sub_sat_u64(PHOS_ERROR_TEXT_BYTES - 1,
                             strlen(head) + strlen(tail));
    diagnostic->severity = reason->severity;
    phos__error_set(&diagnostic->error,
                    must_act        ? PHOS_E_CONFIG
                    : cause->status ? cause->status
                                    : PHOS_E_NETWORK,
                    cause->origin, cause->code, "%s%.*s%s", head,
                    is_known ? cut(cause->text, room) : 0, cause->text, tail);
}

static void say_recovery(const struct phos__watch_line *line,
                         phos_diagnostic *diagnostic)
{
    char time[DURATION_BYTES];

    diagnostic->severity = PHOS_SEVERITY_INFO;
    phos__error_set(&diagnostic->error, PHOS_OK, PHOS_ORIGIN_PHOS, 0,
                    "events are delivered again, after %s; %" PRIu64
                    " had to wait",
                    duration(line->stalled_ms, time), line->waiting);
}

static void say_high_water(const struct phos__watch_line *line,
                           uint64_t ring_bytes, phos_diagnostic *diagnostic)
{
    char ring[STATE_BYTES];

    write_ring(line, ring_bytes, ring);
    diagnostic->severity = PHOS_SEVERITY_WARNING;
    phos__error_set(&diagnostic->error, PHOS_OK, PHOS_ORIGIN_PHOS, 0,
                    "%s; then log calls are rejected: is the service slower "
                    "than what is logged, or ring_bytes too small?",
                    ring);
}

static const struct {
    const char *words;
    phos_status status;
} losses[PHOS__LOSS_COUNT] = {
    [PHOS__LOSS_AGE] = { "too old", PHOS_E_TIMEOUT },
    [PHOS__LOSS_CLOSED] = { "at close", PHOS_E_CLOSED },
    [PHOS__LOSS_DAMAGED] = { "unreadable", PHOS_E_SYSTEM },
    [PHOS__LOSS_INVALID] = { "refused", PHOS_E_HTTP },
    [PHOS__LOSS_TOO_LARGE] = { "refused: too large", PHOS_E_HTTP },
    [PHOS__LOSS_POISON] = { "poison", PHOS_E_HTTP },
    [PHOS__LOSS_FULL] = { "rejected: ring full", PHOS_E_FULL },
    [PHOS__LOSS_BAD_CALL] = { "rejected: invalid", PHOS_E_INVALID },
    [PHOS__LOSS_BIG_CALL] = { "rejected: too large", PHOS_E_TOO_LARGE },
    [PHOS__LOSS_EDIT] = { "broken edits", PHOS_E_INVALID },
};

static bool is_refusal(unsigned loss)
{
    return loss >= PHOS__LOSS_INVALID && loss <= PHOS__LOSS_POISON;
}

static void say_losses(const struct phos__watch_line *line,
                       const phos_error *cause, phos_diagnostic *diagnostic)
{
    /* A close may come before the line that would have told why. */
    bool says_why = line->losses[PHOS__LOSS_CLOSED] > 0 && line->is_failing;
    char text[LOSSES_BYTES] = "", http[16] = "", over[DURATION_BYTES + 8] = "";
    char time[DURATION_BYTES];
    phos_status status = PHOS_OK;
    size_t used = 0;

    if (line->http_status)
        snprintf(http, sizeof(http), " (HTTP %d)", line->http_status);
    if (line->lost_over_ms)
        snprintf(over, sizeof(over), " in %s",
                 duration(line->lost_over_ms, time));
    for (unsigned i = 0; i < PHOS__LOSS_COUNT && used < sizeof(text); i++) {
        if (line->losses[i] == 0)
            continue;
        if (status == PHOS_OK)
            status = losses[i].status;
        used += (size_t)snprintf(text + used, sizeof(text) - used,
                                 "%s%" PRIu64 " %s%s", used ? ", " : "",
                                 line->losses[i], losses[i].words,
                                 is_refusal(i) ? http : "");
        if (is_refusal(i))
            http[0] = '\0'; /* once is enough */
    }
    diagnostic->severity = PHOS_SEVERITY_WARNING;
    phos__error_set(&diagnostic->error, status,
                    status == PHOS_E_HTTP ? PHOS_ORIGIN_HTTP : PHOS_ORIGIN_PHOS,
                    status == PHOS_E_HTTP ? line->http_status : (int)status,
                    "events lost%s: %s%s%s", over, text,
                    says_why ? "; the last problem was: " : "",
                    says_why ? cause->text : "");
}

void phos__words(const struct phos__watch_line *line, const phos_error *cause,
                 uint64_t ring_bytes, phos_diagnostic *ret_diagnostic)
{
    ret_diagnostic->struct_size = sizeof(*ret_diagnostic);
    ret_diagnostic->code = line->code;
    if (line->code == PHOS_DIAGNOSTIC_DELIVERED)
        say_recovery(line, ret_diagnostic);
    else if (line->code == PHOS_DIAGNOSTIC_LOST)
        say_losses(line, cause, ret_diagnostic);
    else if (line->code == PHOS_DIAGNOSTIC_HIGH_WATER)
        say_high_water(line, ring_bytes, ret_diagnostic);
    else
        say_stall(line, cause, ring_bytes, ret_diagnostic);
}

void phos__words_of_feedback(phos_state state, const phos_error *cause,
                             phos_diagnostic *ret_diagnostic)
{
    phos_error *error = &ret_diagnostic->error;

    memset(ret_diagnostic, 0, sizeof(*ret_diagnostic));
    ret_diagnostic->struct_size = sizeof(*ret_diagnostic);
    ret_diagnostic->code = PHOS_DIAGNOSTIC_FEEDBACK;
    if (state == PHOS_STATE_CONFIG) {
        ret_diagnostic->severity = PHOS_SEVERITY_ERROR;
        phos__error_set(error, PHOS_E_CONFIG, cause->origin, cause->code,
                        "feedback is refused (%.*s); it is kept; check "
                        "api_key, and whether endpoint has /api/feedback",
                        cut(cause->text, FEEDBACK_CAUSE_BYTES), cause->text);
    } else if (state == PHOS_STATE_OUTAGE) {
        ret_diagnostic->severity = PHOS_SEVERITY_WARNING;
        phos__error_set(error, PHOS_E_NETWORK, cause->origin, cause->code,
                        "feedback is not delivered (%.*s); it is kept and "
                        "tried again",
                        cut(cause->text, FEEDBACK_CAUSE_BYTES), cause->text);
    } else {
        ret_diagnostic->severity = PHOS_SEVERITY_INFO;
        phos__error_set(error, PHOS_OK, PHOS_ORIGIN_PHOS, 0,
                        "feedback is delivered again");
    }
}
