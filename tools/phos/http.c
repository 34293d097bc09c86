#include "http.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "phos/base.h"
#include "signals.h"

enum {
    BODY_BYTES_MAX = 64 * 1024 * 1024,
    CONNECT_TIMEOUT_MS = 10000,
    REQUEST_TIMEOUT_MS = 30000
};

/* ---- the address ---- */

/* left + middle + right, to be freed; NULL without memory. */
static char *join(const char *left, const char *middle, const char *right)
{
    size_t bytes = strlen(left) + strlen(middle) + strlen(right) + 1;
    char *whole = malloc(bytes);

    if (whole != NULL)
        snprintf(whole, bytes, "%s%s%s", left, middle, right);
    return whole;
}

void http_query_add(struct http_query *query, const char *name,
                    const char *value)
{
    char *escaped;
    char *pair;
    char *longer = NULL;

    if (value == NULL || query->failed)
        return;
    escaped = curl_easy_escape(NULL, value, 0);
    pair = escaped != NULL ? join(name, "=", escaped) : NULL;
    if (pair != NULL && query->text != NULL)
        longer = join(query->text, "&", pair);
    else if (pair != NULL)
        longer = join("?", "", pair);
    free(pair);
    curl_free(escaped);
    free(query->text);
    query->text = longer;
    query->failed = longer == NULL;
}

void http_query_add_number(struct http_query *query, const char *name,
                           uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    http_query_add(query, name, text);
}

void http_query_deinit(struct http_query *query)
{
    free(query->text);
    query->text = NULL;
}

/* NULL without memory. */
static char *url_of(const struct connection *connection, const char *path,
                    const char *segment, const struct http_query *query)
{
    char *base = strdup(connection->endpoint);
    char *escaped = segment != NULL ? curl_easy_escape(NULL, segment, 0) : NULL;
    char *with_path = NULL;
    char *url = NULL;

    for (size_t length = base != NULL ? strlen(base) : 0;
         length > 0 && base[length - 1] == '/'; length--)
        base[length - 1] = '\0';
    if (base != NULL && (segment == NULL || escaped != NULL))
        with_path = join(base, path, segment != NULL ? "/" : "");
    if (with_path != NULL)
        url = join(with_path, escaped != NULL ? escaped : "",
                   query != NULL && query->text != NULL ? query->text : "");
    free(base);
    free(with_path);
    curl_free(escaped);
    return url;
}

static bool is_loopback(const char *host)
{
    const char *dot = strrchr(host, '.');
    unsigned a, b, c, d;
    char rest;

    if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
        (dot != NULL && strcasecmp(dot, ".localhost") == 0))
        return true;
    return sscanf(host, "%3u.%3u.%3u.%3u%c", &a, &b, &c, &d, &rest) == 4 &&
           a == 127;
}

static bool is_plain_http_allowed(void)
{
    const char *value = getenv("PHOS_ALLOW_PLAIN_HTTP");

    return value != NULL && strcmp(value, "1") == 0;
}

static bool has_part(CURLU *parts, CURLUPart part)
{
    char *text = NULL;
    bool is_there = curl_url_get(parts, part, &text, 0) == CURLUE_OK;

    curl_free(text);
    return is_there;
}

bool http_check_endpoint(const char *endpoint, char problem[HTTP_PROBLEM_BYTES])
{
    const size_t bytes = HTTP_PROBLEM_BYTES;
    CURLU *parts = curl_url();
    char *scheme = NULL;
    char *host = NULL;
    bool is_good = false;

    if (parts == NULL ||
        curl_url_set(parts, CURLUPART_URL, endpoint, 0) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        snprintf(problem, bytes,
                 "the endpoint must be an absolute http or https URL");
    else if (has_part(parts, CURLUPART_USER) ||
             has_part(parts, CURLUPART_QUERY) ||
             has_part(parts, CURLUPART_FRAGMENT))
        snprintf(problem, bytes,
                 "the endpoint must hold no user, query or fragment");
    else if (strcmp(scheme, "http") == 0 && !is_loopback(host) &&
             !is_plain_http_allowed())
        snprintf(problem, bytes,
                 "the key would travel over plain http: use https, or set "
                 "PHOS_ALLOW_PLAIN_HTTP=1");
    else
        is_good = true;
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(parts);
    return is_good;
}

/* ---- the exchange ---- */

static size_t take_body(char *data, size_t size, size_t count, void *user_data)
{
    struct http_reply *reply = user_data;
    size_t bytes = size * count;
    char *body;

    if (bytes > BODY_BYTES_MAX - reply->length)
        return 0;
    body = realloc(reply->body, reply->length + bytes + 1);
    if (body == NULL)
        return 0;
    memcpy(body + reply->length, data, bytes);
    reply->body = body;
    reply->length += bytes;
    body[reply->length] = '\0';
    return bytes;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value != NULL ? value : "";
}

static int end_on_signal(void *user_data, curl_off_t down_total,
                         curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    (void)user_data;
    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    return signals_count() > 0;
}

static void set_up(CURL *curl, const char *url, struct curl_slist *headers,
                   char *error, struct http_reply *reply)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "phos/" PHOS_VERSION_TEXT);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)REQUEST_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, end_on_signal);
    curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
    /* "" keeps curl from reading proxies for others from the environment. */
    curl_easy_setopt(curl, CURLOPT_PROXY, environment("PHOS_PROXY"));
    if (environment("PHOS_CA_FILE")[0] != '\0')
        curl_easy_setopt(curl, CURLOPT_CAINFO, environment("PHOS_CA_FILE"));
    if (environment("PHOS_UNIX_SOCKET_PATH")[0] != '\0')
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH,
                         environment("PHOS_UNIX_SOCKET_PATH"));
}

static struct curl_slist *headers_of(const struct connection *connection,
                                     const char *body)
{
    struct curl_slist *headers = NULL;
    struct curl_slist *with_key;
    char *authorization = NULL;

    headers = curl_slist_append(NULL, "Accept: application/json");
    if (connection->api_key != NULL) {
        authorization = join("Authorization: Bearer ", connection->api_key, "");
        with_key = authorization != NULL
                       ? curl_slist_append(headers, authorization)
                       : NULL;
        if (authorization != NULL)
            memset(authorization, 0, strlen(authorization));
        free(authorization);
        if (with_key == NULL) {
            curl_slist_free_all(headers);
            headers = NULL;
        }
    }
    if (headers != NULL && body != NULL) {
        curl_slist_append(headers, "Content-Type: application/json");
        /* Or curl asks first whether a longer body is welcome, and waits. */
        curl_slist_append(headers, "Expect:");
    }
    return headers;
}

static uint64_t time_ms(CURL *curl, CURLINFO info)
{
    curl_off_t us = 0;

    if (curl_easy_getinfo(curl, info, &us) != CURLE_OK || us <= 0)
        return 0;
    return ((uint64_t)us + 999) / 1000; /* what took place took some time */
}

/* The end of the server's own certificate, the first of its chain. */
static int64_t certificate_until(CURL *curl)
{
    static const char label[] = "Expire date:";
    struct curl_certinfo *chain = NULL;

    if (curl_easy_getinfo(curl, CURLINFO_CERTINFO, &chain) != CURLE_OK ||
        chain == NULL || chain->num_of_certs < 1)
        return 0;
    for (const struct curl_slist *line = chain->certinfo[0]; line != NULL;
         line = line->next) {
        int64_t until;

        if (strncasecmp(line->data, label, sizeof(label) - 1) != 0)
            continue;
        until = (int64_t)curl_getdate(line->data + sizeof(label) - 1, NULL);
        return until > 0 ? until : 0;
    }
    return 0;
}

static bool is_about_tls(CURLcode code)
{
    return code == CURLE_SSL_CONNECT_ERROR ||
           code == CURLE_PEER_FAILED_VERIFICATION ||
           code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CIPHER ||
           code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_ISSUER_ERROR ||
           code == CURLE_SSL_INVALIDCERTSTATUS;
}

static enum http_stage stage_of(CURLcode code, const struct http_reply *reply,
                                bool is_https)
{
    bool has_proxy = environment("PHOS_PROXY")[0] != '\0';

    if (code == CURLE_OK)
        return HTTP_ANSWERED;
    if (is_about_tls(code))
        return HTTP_SECURE;
    if (code == CURLE_PROXY)
        return HTTP_PROXY;
    if (reply->resolve_ms == 0)
        return HTTP_RESOLVE;
    if (reply->connect_ms == 0)
        return HTTP_CONNECT;
    if (is_https && reply->secure_ms == 0)
        return has_proxy ? HTTP_PROXY : HTTP_SECURE;
    return HTTP_WAIT;
}

static void take_facts(CURL *curl, CURLcode code, struct http_reply *reply)
{
    struct curl_header *date = NULL;
    curl_off_t retry_after = 0;
    char *text = NULL;

    reply->clock_s = (int64_t)time(NULL);
    reply->resolve_ms = time_ms(curl, CURLINFO_NAMELOOKUP_TIME_T);
    reply->connect_ms = time_ms(curl, CURLINFO_CONNECT_TIME_T);
    reply->secure_ms = time_ms(curl, CURLINFO_APPCONNECT_TIME_T);
    reply->total_ms = time_ms(curl, CURLINFO_TOTAL_TIME_T);
    if (curl_easy_getinfo(curl, CURLINFO_PRIMARY_IP, &text) == CURLE_OK &&
        text != NULL)
        snprintf(reply->peer, sizeof(reply->peer), "%s", text);
    if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK)
        reply->retry_after_s = (int64_t)retry_after;
    if (curl_easy_header(curl, "Date", 0, CURLH_HEADER, -1, &date) == CURLHE_OK)
        reply->date_s = (int64_t)curl_getdate(date->value, NULL);
    if (reply->date_s < 0)
        reply->date_s = 0;
    reply->certificate_until_s = certificate_until(curl);
    text = NULL;
    curl_easy_getinfo(curl, CURLINFO_SCHEME, &text);
    reply->stage =
        stage_of(code, reply, text != NULL && strcasecmp(text, "https") == 0);
}

static void exchange(CURL *curl, const char *url, struct curl_slist *headers,
                     struct http_reply *reply)
{
    char error[CURL_ERROR_SIZE] = "";
    CURLcode code;

    set_up(curl, url, headers, error, reply);
    code = curl_easy_perform(curl);
    take_facts(curl, code, reply);
    if (code == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply->status);
        return;
    }
    snprintf(reply->problem, sizeof(reply->problem), "no answer: %s",
             error[0] != '\0' ? error : curl_easy_strerror(code));
}

static void ask(const struct connection *connection, const char *path,
                const char *segment, const struct http_query *query,
                const char *body, struct http_reply *ret_reply)
{
    char *url;
    CURL *curl;
    struct curl_slist *headers;

    memset(ret_reply, 0, sizeof(*ret_reply));
    ret_reply->is_misconfigured =
        !http_check_endpoint(connection->endpoint, ret_reply->problem);
    if (ret_reply->is_misconfigured)
        return;
    url = url_of(connection, path, segment, query);
    curl = curl_easy_init();
    headers = headers_of(connection, body);
    if (curl != NULL && body != NULL)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    if (url == NULL || curl == NULL || headers == NULL ||
        (query != NULL && query->failed))
        snprintf(ret_reply->problem, sizeof(ret_reply->problem),
                 "out of memory");
    else
        exchange(curl, url, headers, ret_reply);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    free(url);
}

void http_get(const struct connection *connection, const char *path,
              const char *segment, const struct http_query *query,
              struct http_reply *ret_reply)
{
    ask(connection, path, segment, query, NULL, ret_reply);
}

void http_post(const struct connection *connection, const char *path,
               const char *body, struct http_reply *ret_reply)
{
    ask(connection, path, NULL, NULL, body, ret_reply);
}

void http_reply_deinit(struct http_reply *reply)
{
    free(reply->body);
    reply->body = NULL;
}
