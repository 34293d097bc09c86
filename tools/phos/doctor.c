/*
 * doctor - the command `phos doctor`: looks at everything between this machine
 * and the service, one check a line, and says what to do.
 */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "command.h"
#include "diagnosis.h"
#include "machine.h"

static const struct manual manual = {
    .usage = "phos doctor [OPTION...]",
    .purpose = "Looks at everything between this machine and the service, and "
               "says what to do\nabout what it finds. It sends no event and "
               "changes nothing; the key goes to the\nendpoint alone and is "
               "not printed.",
    .examples = "  phos doctor\n"
                "  phos doctor --endpoint https://co-phospho.nanocorp.app "
                "--api-key-file ~/.phospho-key\n"
                "  phos doctor --json | jq -r '.checks[] | "
                "select(.status == \"fail\") | .text'\n",
    .notes =
        "Each line begins with ok, warn (works, but may not be what is "
        "wanted), fail, or\nskip (could not be looked at because of another "
        "line).\n\nIt reads the same variables as 'phos send': PHOS_PROXY, "
        "PHOS_CA_FILE,\nPHOS_UNIX_SOCKET_PATH, PHOS_ALLOW_PLAIN_HTTP and "
        "the settings of the library.\n\nExit codes: 0 all is well, "
        "warnings allowed, 1 something fails, 2 wrong usage,\n3 endpoint or "
        "key is missing or cannot be read.\n",
    .next = "phos send --help"
};

struct doctor_settings {
    struct connection connection;
    bool as_json;
    bool is_endpoint_given, is_key_given; /* on the command line */
};

static const char *set_variable(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* ---- what is configured ---- */

static bool check_endpoint(struct findings *findings,
                           struct doctor_settings *settings)
{
    struct connection *connection = &settings->connection;
    char problem[CONNECTION_PROBLEM_BYTES];
    char wrong[HTTP_PROBLEM_BYTES];

    if (!connection_find_endpoint(connection, problem)) {
        findings_add(findings, FINDING_FAIL, "endpoint",
                     "give --endpoint URL or set PHOS_ENDPOINT; for phosd on "
                     "this machine that is http://127.0.0.1:8787",
                     "not set");
        return false;
    }
    if (!http_check_endpoint(connection->endpoint, wrong)) {
        findings_add(findings, FINDING_FAIL, "endpoint",
                     "correct --endpoint or PHOS_ENDPOINT", "%s", wrong);
        connection->endpoint = NULL;
        return false;
    }
    findings_add(findings, FINDING_OK, "endpoint", NULL, "%s (%s)",
                 connection->endpoint,
                 settings->is_endpoint_given ? "--endpoint" : "PHOS_ENDPOINT");
    return true;
}

static const char *key_source(const struct doctor_settings *settings)
{
    if (settings->connection.api_key_file != NULL)
        return settings->connection.api_key_file;
    return settings->is_key_given ? "--api-key" : "PHOSPHO_API_KEY";
}

static bool check_key(struct findings *findings,
                      struct doctor_settings *settings)
{
    struct connection *connection = &settings->connection;
    const char *source;
    char problem[CONNECTION_PROBLEM_BYTES];
    struct stat info;

    if (!connection_find_key(connection, problem)) {
        bool is_set =
            connection->api_key != NULL || connection->api_key_file != NULL;

        findings_add(findings, FINDING_FAIL, "key",
                     "give --api-key-file FILE or set PHOSPHO_API_KEY", "%s",
                     is_set ? problem : "not set");
        connection->api_key = NULL;
        return false;
    }
    source = key_source(settings);
    if (connection->key_read != NULL &&
        stat(connection->api_key_file, &info) == 0 &&
        (info.st_mode & (S_IRGRP | S_IROTH)) != 0)
        findings_add(findings, FINDING_WARN, "key", "chmod 600 that file",
                     "set, but others can read %s", source);
    else if (strncmp(connection->api_key, "ph_", 3) != 0)
        findings_add(findings, FINDING_WARN, "key",
                     "keys of the ingestion API do; is it one of another "
                     "service?",
                     "set (%s), but does not begin with ph_", source);
    else
        findings_add(findings, FINDING_OK, "key", NULL, "set (%s)", source);
    return true;
}

/* Host and port of a proxy's URL, without what may be a password. */
static void name_proxy(const char *proxy, char *text, size_t bytes)
{
    CURLU *parts = curl_url();
    char *host = NULL;
    char *port = NULL;

    if (parts != NULL &&
        curl_url_set(parts, CURLUPART_URL, proxy, CURLU_GUESS_SCHEME) ==
            CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        curl_url_get(parts, CURLUPART_PORT, &port, 0);
        snprintf(text, bytes, "%s%s%s", host, port != NULL ? ":" : "",
                 port != NULL ? port : "");
    } else {
        snprintf(text, bytes, "what is no URL");
    }
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
}

/* One that curl itself would follow. */
static const char *others_proxy(void)
{
    static const char *const names[] = { "https_proxy", "HTTPS_PROXY",
                                         "http_proxy", "all_proxy",
                                         "ALL_PROXY" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (set_variable(names[i]) != NULL)
            return names[i];
    return NULL;
}

static void check_proxy(struct findings *findings)
{
    const char *proxy = set_variable("PHOS_PROXY");
    char name[300];

    if (proxy != NULL) {
        name_proxy(proxy, name, sizeof(name));
        findings_add(findings, FINDING_OK, "proxy", NULL,
                     "PHOS_PROXY leads to %s", name);
    } else if (others_proxy() != NULL) {
        findings_add(findings, FINDING_WARN, "proxy",
                     "if the way to the service needs it, set PHOS_PROXY",
                     "none is used: %s is ignored, as by the library",
                     others_proxy());
    } else {
        findings_add(findings, FINDING_OK, "proxy", NULL, "none is used");
    }
}

/* ---- the service ---- */

static void skip(struct findings *findings, const char *const *names,
                 size_t count, const char *why)
{
    for (size_t i = 0; i < count; i++)
        findings_add(findings, FINDING_SKIP, names[i], NULL, "%s", why);
}

static void ask_with_key(struct findings *findings,
                         const struct connection *connection)
{
    struct http_query query = { NULL, false };
    struct http_reply reply;

    http_query_add_number(&query, "limit", 1);
    http_get(connection, "/api/events", NULL, &query, &reply);
    diagnose_key(findings, &reply);
    diagnose_pace(findings, &reply, set_variable("PHOS_EVENTS_PER_MINUTE"));
    http_query_deinit(&query);
    http_reply_deinit(&reply);
}

static void check_service(struct findings *findings,
                          const struct connection *connection, bool has_key)
{
    static const char *const later[] = { "clock", "access", "limits" };
    struct connection without_key = { .endpoint = connection->endpoint };
    struct route route = {
        .is_https = strncasecmp(connection->endpoint, "https:", 6) == 0,
        .proxy = set_variable("PHOS_PROXY"),
        .socket_path = set_variable("PHOS_UNIX_SOCKET_PATH")
    };
    struct http_reply reply;
    bool is_there;

    http_get(&without_key, "/healthz", NULL, NULL, &reply);
    is_there = diagnose_way(findings, &route, &reply);
    diagnose_service(findings, &reply);
    if (is_there)
        diagnose_clock(findings, &reply);
    if (is_there && has_key)
        ask_with_key(findings, connection);
    else if (is_there)
        skip(findings, later + 1, 2, "not asked: there is no key");
    else
        skip(findings, later, 3, "not come to");
    http_reply_deinit(&reply);
}

static int examine(struct doctor_settings *settings)
{
    static const char *const way[] = { "dns",   "connect", "tls",   "service",
                                       "clock", "access",  "limits" };
    struct findings findings;
    bool has_endpoint, has_key;
    int code;

    findings_init(&findings, stdout, settings->as_json);
    has_endpoint = check_endpoint(&findings, settings);
    has_key = check_key(&findings, settings);
    findings.is_incomplete = !has_endpoint || !has_key;
    machine_check_settings(&findings, &settings->connection);
    check_proxy(&findings);
    if (has_endpoint)
        check_service(&findings, &settings->connection, has_key);
    else
        skip(&findings, way, sizeof(way) / sizeof(way[0]),
             "not asked: there is no endpoint");
    machine_check_memory(&findings);
    machine_check_limits(&findings);
    machine_check_versions(&findings);
    code = findings_end(&findings);
    findings_deinit(&findings);
    return code;
}

int doctor_command(int argc, char **argv)
{
    struct doctor_settings settings = { .as_json = false };
    struct option options[] = { FLAG_OPTION(
                                    "json", &settings.as_json,
                                    "what was found as one JSON object"),
                                ENDPOINT_OPTION(&settings.connection),
                                API_KEY_FILE_OPTION(&settings.connection),
                                API_KEY_OPTION(&settings.connection) };
    const size_t option_count = sizeof(options) / sizeof(options[0]);
    size_t operands;
    int code;

    if (!options_begin(options, option_count, "phos doctor", &manual, argc,
                       argv, &operands, &code))
        return code;
    if (operands > 0) {
        fputs("phos doctor: takes options only\nTry 'phos doctor --help'.\n",
              stderr);
        return EXIT_USAGE;
    }
    settings.is_endpoint_given = settings.connection.endpoint != NULL;
    settings.is_key_given = settings.connection.api_key != NULL;
    code = examine(&settings);
    connection_deinit(&settings.connection);
    return code;
}
