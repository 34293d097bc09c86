#include "diagnosis.h"

#include <inttypes.h>
#include <string.h>

#include "instant.h"
#include "reply.h"

enum {
    SKEW_MAX_S = 5, /* the Date header has whole seconds, and travels */
    CERTIFICATE_SOON_S = 14 * 86400,
    WORDS_BYTES_MAX = 200
};

/* ---- the way ---- */

static const char *connect_advice(const struct route *route)
{
    if (route->socket_path != NULL)
        return "is the service running, and PHOS_UNIX_SOCKET_PATH its socket?";
    if (route->proxy != NULL)
        return "is PHOS_PROXY right, and the proxy running?";
    return "is the service running there, and does no firewall stand "
           "between? If this network needs a proxy, set PHOS_PROXY";
}

/* Lines for what came before and after the stage that failed. */
static void add_stage(struct findings *findings, enum http_stage stage,
                      enum http_stage reached, const char *name,
                      const char *advice, const char *problem, const char *good)
{
    if (reached == stage)
        findings_add(findings, FINDING_FAIL, name, advice, "%s", problem);
    else if (reached < stage)
        findings_add(findings, FINDING_SKIP, name, NULL, "not come to");
    else
        findings_add(findings, FINDING_OK, name, NULL, "%s", good);
}

static void diagnose_tls(struct findings *findings, const struct route *route,
                         const struct http_reply *reply)
{
    int64_t left_s = reply->certificate_until_s - reply->clock_s;
    char until[INSTANT_TEXT_BYTES];
    char text[120];

    if (!route->is_https) {
        findings_add(findings, FINDING_OK, "tls", NULL,
                     "not used: the endpoint is plain http");
        return;
    }
    instant_write(reply->certificate_until_s * 1000000, until);
    if (reply->stage > HTTP_SECURE && reply->certificate_until_s > 0 &&
        left_s < CERTIFICATE_SOON_S) {
        findings_add(findings, FINDING_WARN, "tls",
                     "have it renewed: afterwards nothing is delivered",
                     "the certificate is good, but only until %s", until);
        return;
    }
    snprintf(text, sizeof(text), "the certificate is good%s%s",
             reply->certificate_until_s > 0 ? " until " : "",
             reply->certificate_until_s > 0 ? until : "");
    add_stage(findings, HTTP_SECURE, reply->stage, "tls",
              "does that port speak https at all? If it does: for a "
              "certificate of your own authority set PHOS_CA_FILE to "
              "its PEM file; else check the endpoint's name and port, this "
              "machine's date and its ca-certificates",
              reply->problem, text);
}

bool diagnose_way(struct findings *findings, const struct route *route,
                  const struct http_reply *reply)
{
    char text[160];

    if (route->socket_path != NULL)
        findings_add(findings, FINDING_OK, "dns", NULL,
                     "not asked: PHOS_UNIX_SOCKET_PATH is set");
    else {
        snprintf(text, sizeof(text), "%s name resolves (%" PRIu64 " ms)",
                 route->proxy != NULL ? "the proxy's" : "the",
                 reply->resolve_ms);
        add_stage(findings, HTTP_RESOLVE, reply->stage, "dns",
                  route->proxy != NULL
                      ? "check the host's name in PHOS_PROXY"
                      : "check the host's name in the endpoint, and this "
                        "machine's resolver",
                  reply->problem, text);
    }
    snprintf(text, sizeof(text), "%s%s (%" PRIu64 " ms)",
             route->proxy != NULL ? "to the proxy at " : "to ",
             route->socket_path != NULL ? "the socket" : reply->peer,
             reply->connect_ms);
    add_stage(findings, HTTP_CONNECT, reply->stage, "connect",
              connect_advice(route), reply->problem, text);
    if (route->proxy != NULL)
        add_stage(findings, HTTP_PROXY, reply->stage, "tunnel",
                  "does the proxy want a name and password in PHOS_PROXY, and "
                  "does it allow this host?",
                  reply->problem, "the proxy lets us through");
    diagnose_tls(findings, route, reply);
    return reply->stage == HTTP_ANSWERED;
}

/* ---- the service ---- */

static bool is_phosd(const struct http_reply *reply)
{
    json_t *json = reply_parse(reply->body, reply->length);
    const char *status = json_string_value(json_object_get(json, "status"));
    bool is =
        reply->status == 200 && status != NULL && strcmp(status, "ok") == 0;

    json_decref(json);
    return is;
}

void diagnose_service(struct findings *findings, const struct http_reply *reply)
{
    if (reply->stage == HTTP_WAIT)
        findings_add(findings, FINDING_FAIL, "service",
                     "something listens there, but does it speak HTTP? Check "
                     "the endpoint's port, and http or https",
                     "%s", reply->problem);
    else if (reply->stage == HTTP_START)
        findings_add(findings, FINDING_FAIL, "service", NULL, "%s",
                     reply->problem);
    else if (reply->stage != HTTP_ANSWERED)
        findings_add(findings, FINDING_SKIP, "service", NULL, "not come to");
    else if (is_phosd(reply))
        findings_add(findings, FINDING_OK, "service", NULL,
                     "a collector like phosd says it is well (%" PRIu64 " ms)",
                     reply->total_ms);
    else
        findings_add(findings, FINDING_OK, "service", NULL,
                     "answers (%" PRIu64 " ms), and is not phosd: HTTP %ld to "
                     "/healthz",
                     reply->total_ms, reply->status);
}

static const char *refusal_advice(long status)
{
    if (status == 401 || status == 403)
        return "is the key whole, of this service, and not revoked?";
    if (status >= 300 && status < 400)
        return "give the final address as the endpoint: the key is never sent "
               "along a redirect";
    if (status == 404 || status == 405 || status == 410 || status == 501)
        return "there is no ingestion API at this address: check the "
               "endpoint and its path";
    if (status >= 500)
        return "the service has trouble of its own; phos send keeps trying";
    return "check the endpoint, and what stands between";
}

void diagnose_key(struct findings *findings, const struct http_reply *reply)
{
    json_t *json = reply_parse(reply->body, reply->length);
    long status = reply->status;

    if (reply->stage != HTTP_ANSWERED)
        findings_add(findings, FINDING_FAIL, "access",
                     "the first request was answered, the next was not: is "
                     "the service overloaded?",
                     "%s", reply->problem);
    else if (status >= 200 && status < 300 && json != NULL)
        findings_add(findings, FINDING_OK, "access", NULL,
                     "the key is accepted (GET /api/events, %" PRIu64 " ms)",
                     reply->total_ms);
    else if (status >= 200 && status < 300)
        findings_add(findings, FINDING_FAIL, "access",
                     "check the endpoint, and whether this network wants a "
                     "log-in first",
                     "a web page answers instead of the service");
    else if (status == 429)
        findings_add(findings, FINDING_WARN, "access", NULL,
                     "not told: the service is limiting us now");
    else
        findings_add(findings, FINDING_FAIL, "access", refusal_advice(status),
                     "HTTP %ld: %.*s", status, WORDS_BYTES_MAX,
                     reply_words(json, reply->body));
    json_decref(json);
}

void diagnose_clock(struct findings *findings, const struct http_reply *reply)
{
    int64_t ahead_s = reply->clock_s - reply->date_s;
    int64_t apart_s = ahead_s < 0 ? -ahead_s : ahead_s;

    if (reply->date_s == 0)
        findings_add(findings, FINDING_SKIP, "clock", NULL,
                     "the service does not tell its time");
    else if (apart_s > SKEW_MAX_S)
        findings_add(findings, FINDING_WARN, "clock",
                     "turn on time synchronisation: events carry this "
                     "machine's time",
                     "%" PRId64 " s %s the service's", apart_s,
                     ahead_s > 0 ? "ahead of" : "behind");
    else
        findings_add(findings, FINDING_OK, "clock", NULL,
                     "agrees with the service's");
}

void diagnose_pace(struct findings *findings, const struct http_reply *reply,
                   const char *per_minute)
{
    static const char advice[] =
        "phos and the library slow down by themselves; set "
        "PHOS_EVENTS_PER_MINUTE to stay below the limit";

    if (reply->status == 429 || reply->retry_after_s > 0)
        findings_add(findings, FINDING_WARN, "limits", advice,
                     "the service asks for a pause: HTTP %ld, Retry-After "
                     "%" PRId64 " s",
                     reply->status, reply->retry_after_s);
    else if (per_minute != NULL && strcmp(per_minute, "0") != 0)
        findings_add(findings, FINDING_OK, "limits", NULL,
                     "none met now; PHOS_EVENTS_PER_MINUTE keeps to %s",
                     per_minute);
    else
        findings_add(findings, FINDING_OK, "limits", NULL, "none met now");
}
