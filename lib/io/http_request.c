#include "io/http_internal.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"

/* A body of 216 kB leaves more than twice as fast as with curl's 64 KiB; more
 * gains little. */
enum { UPLOAD_BUFFER_BYTES = 262144 };
/* An idle connection is not trusted for longer, and none outlives a change of
 * the service's address by more than ten minutes. */
enum { IDLE_SECONDS_MAX = 60, LIFETIME_SECONDS_MAX = 600 };
/* A CA file that was replaced is read again after this time. */
enum { CA_CACHE_SECONDS = 60 };

static const phos_str gzip_header = { "Content-Encoding: gzip",
                                      sizeof("Content-Encoding: gzip") - 1 };
/* curl would wait a second for an answer to it before it sends a large body. */
static const phos_str no_expect = { "Expect:", sizeof("Expect:") - 1 };
/* curl would say that the body is a form. */
static const phos_str no_type = { "Content-Type:",
                                  sizeof("Content-Type:") - 1 };

static bool is_text(phos_str given, const char *text)
{
    return given.length == strlen(text) &&
           strncasecmp(given.data, text, given.length) == 0;
}

/* A line break inside would begin a header of the text's own choosing. */
static bool is_one_line(phos_str text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] == '\r' || text.data[i] == '\n' ||
            text.data[i] == '\0')
            return false;
    return true;
}

/* ---- settings that stay ---- */

/*
 * When a kept connection closes without a word, curl sends the request again
 * on another one, which is right if the connection was dead already, and a
 * hidden second delivery if the server has read it. If the peer acknowledged
 * no byte, it read none.
 */
static bool may_send_again(const struct phos__http_exchange *exchange)
{
    uint64_t sent = phos__http_bytes_sent(exchange) - exchange->bytes_before;

    return exchange->unread >= sent;
}

/* Called when a connection stands, before the first byte of the request. */
static int on_connected(void *user_data, char *to_ip, char *from_ip,
                        int to_port, int from_port)
{
    struct phos__http_exchange *exchange = user_data;

    (void)to_ip;
    (void)from_ip;
    /* They would be taken for the answer to this request. */
    if (phos__http_sockets_have_stray(exchange->http, from_port, to_port)) {
        exchange->veto = "the kept connection held bytes of no answer";
        return CURL_PREREQFUNC_ABORT;
    }
    if (exchange->has_begun && !may_send_again(exchange)) {
        exchange->veto = "the kept connection closed without an answer";
        return CURL_PREREQFUNC_ABORT;
    }
    exchange->has_begun = true;
    exchange->bytes_before = phos__http_bytes_sent(exchange);
    exchange->unread = 0;
    exchange->is_connected = true;
    return CURL_PREREQFUNC_OK;
}

#define SET(option, value) \
    (failed |= curl_easy_setopt(easy, option, value) != CURLE_OK)

static bool set_manners(CURL *easy)
{
    bool failed = false;

    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_NOPROGRESS, 1L);
    /* Leaves a name lookup that hangs behind instead of waiting for it. */
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    /* HTTP/2 of libcurl 7.88 breaks at the second request (curl/curl#10634);
     * a few HTTP/1.1 connections are faster anyway. */
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER_BYTES);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_MAXAGE_CONN, (long)IDLE_SECONDS_MAX);
    SET(CURLOPT_MAXLIFETIME_CONN, (long)LIFETIME_SECONDS_MAX);
    return !failed;
}

static bool set_tls(const struct phos__http *http, CURL *easy)
{
    bool failed = false;

    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_CA_CACHE_TIMEOUT, (long)CA_CACHE_SECONDS);
    if (http->ca_file) {
        /* The one given, and not the system's directory as well. */
        SET(CURLOPT_CAINFO, http->ca_file);
        SET(CURLOPT_CAPATH, NULL);
        SET(CURLOPT_PROXY_CAINFO, http->ca_file);
        SET(CURLOPT_PROXY_CAPATH, NULL);
    }
    return !failed;
}

static bool set_route(struct phos__http *http, CURL *easy)
{
    bool failed = false;

    /* Texts, though empty: with NULL curl asks the environment. */
    SET(CURLOPT_PROXY, http->proxy ? http->proxy : "");
    SET(CURLOPT_NOPROXY, "");
    /* The key is for the service, not for the proxy before it. */
    SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (http->unix_socket_path)
        SET(CURLOPT_UNIX_SOCKET_PATH, http->unix_socket_path);
    SET(CURLOPT_OPENSOCKETFUNCTION, phos__http_open_socket);
    SET(CURLOPT_OPENSOCKETDATA, http);
    SET(CURLOPT_CLOSESOCKETFUNCTION, phos__http_close_socket);
    SET(CURLOPT_CLOSESOCKETDATA, http);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)http->connect_timeout_ms);
    if (http->user_agent)
        SET(CURLOPT_USERAGENT, http->user_agent);
    return !failed;
}

static bool set_callbacks(struct phos__http_exchange *exchange)
{
    CURL *easy = exchange->easy;
    bool failed = false;

    SET(CURLOPT_PRIVATE, exchange);
    SET(CURLOPT_ERRORBUFFER, exchange->error_text);
    SET(CURLOPT_PREREQFUNCTION, on_connected);
    SET(CURLOPT_PREREQDATA, exchange);
    SET(CURLOPT_HEADERFUNCTION, phos__http_on_head);
    SET(CURLOPT_HEADERDATA, exchange);
    SET(CURLOPT_WRITEFUNCTION, phos__http_on_body);
    SET(CURLOPT_WRITEDATA, exchange);
    return !failed;
}

static phos_status set_up(struct phos__http_exchange *exchange)
{
    struct phos__http *http = exchange->http;

    if (!exchange->easy)
        exchange->easy = curl_easy_init();
    if (!exchange->easy)
        return PHOS_E_NO_MEMORY;
    if (exchange->is_set_up)
        return PHOS_OK;
    curl_easy_reset(exchange->easy);
    phos__buffer_clear(&exchange->url);
    if (!set_manners(exchange->easy) || !set_tls(http, exchange->easy) ||
        !set_route(http, exchange->easy) || !set_callbacks(exchange))
        return PHOS_E_UNSUPPORTED;
    /* What the hook adjusts for one request is not left to the next one. */
    exchange->is_set_up = http->on_easy == NULL;
    return PHOS_OK;
}

/* ---- settings of one request ---- */

static void add_line(struct phos__buffer *lines, phos_str text)
{
    phos__buffer_append_str(lines, text);
    phos__buffer_append(lines, "", 1);
}

static void add_header(struct phos__buffer *lines, const phos_header *header)
{
    phos__buffer_append_str(lines, header->name);
    if (header->value.length == 0) {
        add_line(lines, PHOS_STR(";")); /* "Name:" would take it out */
        return;
    }
    phos__buffer_append_str(lines, PHOS_STR(": "));
    add_line(lines, header->value);
}

static bool header_is_valid(const phos_header *header)
{
    return header->name.length > 0 && is_one_line(header->name) &&
           is_one_line(header->value) &&
           !memchr(header->name.data, ':', header->name.length);
}

/* Writes all header lines one after the other; *ret_count counts them. */
static phos_status write_lines(struct phos__http_exchange *exchange,
                               size_t *ret_count)
{
    const phos_request *request = &exchange->request;
    struct phos__buffer *lines = &exchange->header_text;
    size_t count = 1;
    bool has_type = false;

    phos__buffer_clear(lines);
    add_line(lines, no_expect);
    for (size_t i = 0; i < request->header_count; i++) {
        const phos_header *header = &request->headers[i];

        if (!header_is_valid(header))
            return PHOS_E_INVALID;
        has_type = has_type || is_text(header->name, "Content-Type");
        add_header(lines, header);
        count++;
    }
    if (!has_type) {
        add_line(lines, no_type);
        count++;
    }
    if (exchange->body.data == (const char *)exchange->packed.data &&
        exchange->body.length > 0) {
        add_line(lines, gzip_header);
        count++;
    }
    if (lines->failed)
        return PHOS_E_NO_MEMORY;
    *ret_count = count;
    return PHOS_OK;
}

/* curl's list, made of our own nodes: nothing is allocated once warm. */
static phos_status make_headers(struct phos__http_exchange *exchange)
{
    size_t count = 0;
    phos_status status = write_lines(exchange, &count);
    char *line;

    if (status)
        return status;
    if (count > exchange->header_capacity) {
        struct curl_slist *grown =
            phos__realloc(&exchange->http->allocator, exchange->header_nodes,
                          count * sizeof(*grown));

        if (!grown)
            return PHOS_E_NO_MEMORY;
        exchange->header_nodes = grown;
        exchange->header_capacity = count;
    }
    line = (char *)exchange->header_text.data;
    for (size_t i = 0; i < count; i++) {
        struct curl_slist *node = &exchange->header_nodes[i];

        node->data = line;
        node->next = i + 1 < count ? node + 1 : NULL;
        line += strlen(line) + 1;
    }
    return PHOS_OK;
}

static phos_status set_url(struct phos__http_exchange *exchange)
{
    struct phos__buffer *kept = &exchange->url;
    phos_str url = exchange->request.url;

    if (!is_one_line(url) || url.length == 0)
        return PHOS_E_INVALID;
    /* curl copies the text at every setting; mostly it is the same again. */
    if (kept->bytes == url.length + 1 &&
        memcmp(kept->data, url.data, url.length) == 0)
        return PHOS_OK;
    phos__buffer_clear(kept);
    add_line(kept, url);
    if (kept->failed || curl_easy_setopt(exchange->easy, CURLOPT_URL,
                                         (char *)kept->data) != CURLE_OK) {
        phos__buffer_clear(kept);
        return PHOS_E_NO_MEMORY;
    }
    return PHOS_OK;
}

static phos_status set_method(struct phos__http_exchange *exchange)
{
    CURL *easy = exchange->easy;
    phos_str method = exchange->request.method;
    bool is_get = is_text(method, "GET"), is_post = is_text(method, "POST");
    bool is_head = is_text(method, "HEAD"), failed = false;
    char text[32];

    if (method.length == 0 || method.length >= sizeof(text) ||
        !is_one_line(method))
        return PHOS_E_INVALID;
    memcpy(text, method.data, method.length);
    text[method.length] = '\0';

    SET(CURLOPT_HTTPGET, 1L); /* forgets the last one, HEAD too */
    if (is_head)
        SET(CURLOPT_NOBODY, 1L);
    if (is_post || exchange->body.length > 0) {
        /* Borrowed: curl reads it where it lies. */
        SET(CURLOPT_POSTFIELDS,
            exchange->body.length > 0 ? exchange->body.data : "");
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->body.length);
    }
    SET(CURLOPT_CUSTOMREQUEST, is_get || is_post || is_head ? NULL : text);
    return failed ? PHOS_E_NO_MEMORY : PHOS_OK;
}

static phos_status set_times(struct phos__http_exchange *exchange)
{
    CURL *easy = exchange->easy;
    uint32_t timeout_ms = exchange->request.timeout_ms;
    uint64_t idle_ms = exchange->request.idle_timeout_ms;
    /* No byte in either direction for two thirds of the whole time: what is
     * left would not be enough either. */
    uint64_t idle_s = idle_ms ? (idle_ms + 999) / 1000 : timeout_ms / 1500;
    bool failed = false;

    SET(CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
    SET(CURLOPT_LOW_SPEED_TIME, (long)idle_s);
    return failed ? PHOS_E_NO_MEMORY : PHOS_OK;
}

phos_status phos__http_prepare(struct phos__http_exchange *exchange)
{
    struct phos__http *http = exchange->http;
    phos_status status = set_up(exchange);

    if (status)
        return status;
    exchange->body = exchange->request.body;
    if (http->gzip &&
        phos__gzip_pack(http->gzip, exchange->request.body, &exchange->packed))
        exchange->body = phos_str_make((const char *)exchange->packed.data,
                                       exchange->packed.bytes);
    if ((status = set_url(exchange)) || (status = set_method(exchange)) ||
        (status = make_headers(exchange)) || (status = set_times(exchange)))
        return status;
    if (curl_easy_setopt(exchange->easy, CURLOPT_HTTPHEADER,
                         exchange->header_nodes) != CURLE_OK)
        return PHOS_E_NO_MEMORY;
    if (http->on_easy)
        http->on_easy(exchange->easy, http->user_data);
    return PHOS_OK;
}
