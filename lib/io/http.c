#define _GNU_SOURCE

#include "io/http_internal.h"

#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/error.h"

/* A reply's memory up to here is kept for the next one. */
enum { KEPT_BODY_BYTES = 65536 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode curl_is_ready;

/* Never taken back: curl_global_cleanup() under another user of libcurl in the
 * same process pulls the ground from under it. */
static void init_curl(void)
{
    curl_is_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

bool phos__http_has_gzip(void)
{
    return phos__gzip_is_built();
}

/* ---- exchanges ---- */

static struct phos__http_exchange *exchange_new(struct phos__http *http)
{
    struct phos__http_exchange *exchange =
        phos__alloc_zeroed(&http->allocator, 1, sizeof(*exchange));

    if (!exchange)
        return NULL;
    exchange->http = http;
    phos__buffer_init(&exchange->url, &http->allocator);
    phos__buffer_init(&exchange->header_text, &http->allocator);
    phos__buffer_init(&exchange->packed, &http->allocator);
    phos__buffer_init(&exchange->head, &http->allocator);
    phos__buffer_init(&exchange->reply_body, &http->allocator);
    return exchange;
}

static void exchange_free(struct phos__http_exchange *exchange)
{
    struct phos__http *http = exchange->http;

    if (exchange->easy && !http->is_lost)
        curl_easy_cleanup(exchange->easy);
    /* The key is among the lines. */
    if (exchange->header_text.data)
        explicit_bzero(exchange->header_text.data,
                       exchange->header_text.capacity);
    phos__buffer_deinit(&exchange->url);
    phos__buffer_deinit(&exchange->header_text);
    phos__buffer_deinit(&exchange->packed);
    phos__buffer_deinit(&exchange->head);
    phos__buffer_deinit(&exchange->reply_body);
    phos__free(&http->allocator, exchange->header_nodes);
    phos__free(&http->allocator, exchange->reply_headers);
    phos__free(&http->allocator, exchange);
}

static void begin(struct phos__http *http, struct phos__http_exchange *exchange)
{
    exchange->previous = NULL;
    exchange->next = http->busy;
    if (http->busy)
        http->busy->previous = exchange;
    http->busy = exchange;
}

static void end(struct phos__http *http, struct phos__http_exchange *exchange)
{
    if (exchange->previous)
        exchange->previous->next = exchange->next;
    else
        http->busy = exchange->next;
    if (exchange->next)
        exchange->next->previous = exchange->previous;
    exchange->previous = NULL;
    exchange->next = NULL;
}

static void rest(struct phos__http *http, struct phos__http_exchange *exchange)
{
    if (exchange->reply_body.capacity > KEPT_BODY_BYTES)
        phos__buffer_deinit(&exchange->reply_body);
    exchange->reply_body.allocator = http->allocator;
    exchange->next = http->resting;
    http->resting = exchange;
}

static void clear(struct phos__http_exchange *exchange)
{
    exchange->has_begun = false;
    exchange->is_connected = false;
    exchange->veto = NULL;
    exchange->bytes_before = 0;
    exchange->unread = 0;
    exchange->head_bytes = 0;
    exchange->http_status = 0;
    exchange->is_answered = false;
    exchange->head_is_too_large = false;
    exchange->is_out_of_memory = false;
    exchange->body_is_cut = false;
    exchange->streamed_head.struct_size = 0;
    exchange->error_text[0] = '\0';
    phos__buffer_clear(&exchange->head);
    phos__buffer_clear(&exchange->reply_body);
}

/* ---- replies ---- */

static uint64_t size_info(CURL *easy, CURLINFO info)
{
    curl_off_t size = 0;

    if (curl_easy_getinfo(easy, info, &size) != CURLE_OK || size < 0)
        return 0;
    return (uint64_t)size;
}

static uint64_t long_info(CURL *easy, CURLINFO info)
{
    long value = 0;

    if (curl_easy_getinfo(easy, info, &value) != CURLE_OK || value < 0)
        return 0;
    return (uint64_t)value;
}

/* curl counts a small body as part of the request and a large one apart. The
 * lines that we gave tell which: the request is longer than those. */
uint64_t phos__http_bytes_sent(const struct phos__http_exchange *exchange)
{
    uint64_t request = long_info(exchange->easy, CURLINFO_REQUEST_SIZE);
    uint64_t body = size_info(exchange->easy, CURLINFO_SIZE_UPLOAD_T);

    return request >= body + exchange->header_text.bytes ? request
                                                         : request + body;
}

/* By its beginning, for curl's words end after 255 bytes. */
static bool quotes_a_password(const char *proxy, const char *text)
{
    enum { BEGINNING = 12 };
    size_t length = proxy ? strlen(proxy) : 0;

    return length > 0 && strchr(proxy, '@') &&
           memmem(text, strlen(text), proxy,
                  length < BEGINNING ? length : BEGINNING);
}

/* curl's own words may quote what it was given; never a header's value, nor a
 * proxy with its password. */
static bool quotes_a_secret(const struct phos__http_exchange *exchange)
{
    const phos_request *request = &exchange->request;
    size_t length = strlen(exchange->error_text);

    if (quotes_a_password(exchange->http->proxy, exchange->error_text))
        return true;
    for (size_t i = 0; i < request->header_count; i++) {
        phos_str value = request->headers[i].value;

        if (value.length > 0 &&
            memmem(exchange->error_text, length, value.data, value.length))
            return true;
    }
    return false;
}

static const char *words_of(const struct phos__http_exchange *exchange,
                            CURLcode code)
{
    if (exchange->veto)
        return exchange->veto;
    if (exchange->error_text[0] == '\0' || quotes_a_secret(exchange))
        return curl_easy_strerror(code);
    return exchange->error_text;
}

static void describe(const struct phos__http_exchange *exchange,
                     const struct phos__http_ending *ending, phos_reply *reply)
{
    const struct phos__http *http = exchange->http;
    const struct phos__http_way way = { exchange->request.url, http->proxy,
                                        http->unix_socket_path };
    /* What breaks behind a status breaks like what breaks before it. */
    phos_exchange how = reply->exchange == PHOS_EXCHANGE_ANSWERED
                            ? PHOS_EXCHANGE_BROKEN
                            : reply->exchange;
    phos_status status = phos__http_status_of(how, ending->code);

    if (exchange->is_out_of_memory)
        status = PHOS_E_NO_MEMORY;
    if (exchange->head_is_too_large) {
        phos__error_set(&reply->error, PHOS_E_PROTOCOL, PHOS_ORIGIN_PHOS,
                        PHOS_E_PROTOCOL, "the reply's headers exceed %d bytes",
                        PHOS__HTTP_HEAD_BYTES_MAX);
        return;
    }
    reply->obstacle = phos__http_obstacle(ending, &way);
    phos__http_describe(ending, &way, status, &reply->error);
}

static void give(struct phos__http_exchange *exchange, phos_reply *reply)
{
    struct phos__http *http = exchange->http;

    /* A reply gives the turn something to do, also when a timer brought it. */
    phos__loop_touch(http->loop);
    exchange->on_reply(reply, exchange->reply_data);
    rest(http, exchange);
}

/* libcurl 7.88 tells the time of the connection only when TLS and the proxy
 * are through, too; its peer's address when it stands. */
static bool has_peer(CURL *easy)
{
    char *address = NULL;

    return curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &address) == CURLE_OK &&
           address && address[0] != '\0';
}

static struct phos__http_ending
ending_of(const struct phos__http_exchange *exchange, CURLcode code)
{
    CURL *easy = exchange->easy;

    return (struct phos__http_ending){
        .code = code,
        .has_begun = exchange->has_begun,
        .is_answered = exchange->is_answered,
        .body_bytes = exchange->body.length,
        .body_written = size_info(easy, CURLINFO_SIZE_UPLOAD_T),
        .unread = exchange->unread,
        .proxy_status = (long)long_info(easy, CURLINFO_HTTP_CONNECTCODE),
        .words = words_of(exchange, code),
        .system_error = (int)long_info(easy, CURLINFO_OS_ERRNO),
        .is_https = exchange->request.url.length > 5 &&
                    strncasecmp(exchange->request.url.data, "https", 5) == 0,
        .is_resolved = size_info(easy, CURLINFO_NAMELOOKUP_TIME_T) > 0,
        .is_connected = has_peer(easy),
        .is_secured = size_info(easy, CURLINFO_APPCONNECT_TIME_T) > 0,
    };
}

/* `exchange` has left curl already. */
static void finish(struct phos__http_exchange *exchange, CURLcode code)
{
    struct phos__http *http = exchange->http;
    struct phos__http_ending ending;
    phos_reply reply;

    end(http, exchange);
    phos__http_sockets_forget(http, exchange);
    ending = ending_of(exchange, code);
    memset(&reply, 0, sizeof(reply));
    reply.struct_size = sizeof(reply);
    reply.exchange = phos__http_outcome(&ending);
    reply.bytes_sent = phos__http_bytes_sent(exchange);
    reply.bytes_received = exchange->head_bytes +
                           size_info(exchange->easy, CURLINFO_SIZE_DOWNLOAD_T);
    if (reply.exchange == PHOS_EXCHANGE_ANSWERED) {
        reply.http_status = exchange->http_status;
        reply.header_count = phos__http_split_head(exchange);
        reply.headers = exchange->reply_headers;
        reply.body = phos_str_make((const char *)exchange->reply_body.data,
                                   exchange->reply_body.bytes);
        reply.body_cut = exchange->body_is_cut || code != CURLE_OK;
    }
    if (reply.exchange != PHOS_EXCHANGE_ANSWERED ||
        (code != CURLE_OK && !exchange->body_is_cut) ||
        exchange->is_out_of_memory)
        describe(exchange, &ending, &reply);
    give(exchange, &reply);
}

/* Of an exchange that curl is not told to end in order. */
static void abandon(struct phos__http_exchange *exchange, phos_exchange how,
                    phos_status status, const char *text)
{
    phos_reply reply;

    end(exchange->http, exchange);
    phos__http_sockets_forget(exchange->http, exchange);
    memset(&reply, 0, sizeof(reply));
    reply.struct_size = sizeof(reply);
    reply.exchange = how;
    phos__error_set(&reply.error, status, PHOS_ORIGIN_PHOS, (int)status, "%s",
                    text);
    give(exchange, &reply);
}

static void cancel_one(struct phos__http_exchange *exchange)
{
    if (!exchange->http->is_lost)
        curl_multi_remove_handle(exchange->http->multi, exchange->easy);
    abandon(exchange, PHOS_EXCHANGE_CANCELLED, PHOS_E_CANCELLED, "cancelled");
}

void phos__http_reap(struct phos__http *http)
{
    CURLMsg *message;
    int left;

    while (!http->is_lost &&
           (message = curl_multi_info_read(http->multi, &left)) != NULL) {
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        char *exchange = NULL;

        if (message->msg != CURLMSG_DONE ||
            curl_easy_getinfo(easy, CURLINFO_PRIVATE, &exchange) != CURLE_OK)
            continue;
        curl_multi_remove_handle(http->multi, easy); /* ends `message` */
        finish((struct phos__http_exchange *)(void *)exchange, code);
    }
}

/* ---- the transport ---- */

static phos_status submit(void *user_data, const phos_request *request,
                          phos_reply_fn *on_reply, void *reply_data)
{
    struct phos__http *http = user_data;
    struct phos__http_exchange *exchange = http->resting;
    phos_status status;

    if (http->is_doomed)
        return PHOS_E_CLOSED;
    if (http->is_lost)
        return PHOS_E_SYSTEM;
    if (exchange)
        http->resting = exchange->next;
    else
        exchange = exchange_new(http);
    if (!exchange)
        return PHOS_E_NO_MEMORY;

    clear(exchange);
    exchange->request = *request;
    exchange->on_reply = on_reply;
    exchange->reply_data = reply_data;
    status = phos__http_prepare(exchange);
    if (!status && curl_multi_add_handle(http->multi, exchange->easy))
        status = PHOS_E_NO_MEMORY;
    if (status) {
        rest(http, exchange);
        return status;
    }
    begin(http, exchange);
    return PHOS_OK;
}

static struct phos__http_exchange *find(const struct phos__http *http,
                                        uint64_t id, const void *reply_data)
{
    struct phos__http_exchange *exchange = http->busy;

    while (exchange &&
           (exchange->request.id != id || exchange->reply_data != reply_data))
        exchange = exchange->next;
    return exchange;
}

static void cancel(void *user_data, uint64_t id, void *reply_data)
{
    struct phos__http_exchange *exchange = find(user_data, id, reply_data);
    struct phos__http *http = user_data;

    if (!exchange)
        return;
    phos__http_enter(http);
    cancel_one(exchange);
    phos__http_leave(http);
}

static void resume(void *user_data, uint64_t id, void *reply_data)
{
    struct phos__http_exchange *exchange = find(user_data, id, reply_data);
    struct phos__http *http = user_data;
    CURLcode code;

    if (!exchange || http->is_lost)
        return;
    phos__http_enter(http);
    /* curl hands out what it held back in here; how it goes on from there its
     * timer brings. Who wants no more of it, curl tells only us: by itself the
     * transfer would go on, and wait for bytes that may never come. */
    code = curl_easy_pause(exchange->easy, CURLPAUSE_CONT);
    if (code) {
        curl_multi_remove_handle(http->multi, exchange->easy);
        finish(exchange, code);
    }
    phos__http_leave(http);
}

/* ---- life ---- */

/* The descriptors are gone or, worse, other people's by now: what curl and
 * libuv hold is left where it lies, and never touched again. */
static void on_lost(struct phos__loop_watch *watch)
{
    struct phos__http *http =
        (struct phos__http *)(void *)((char *)watch -
                                      offsetof(struct phos__http, watch));

    http->is_lost = true;
    phos__http_enter(http);
    while (http->busy)
        abandon(http->busy,
                http->busy->has_begun ? PHOS_EXCHANGE_BROKEN
                                      : PHOS_EXCHANGE_NOT_SENT,
                PHOS_E_SYSTEM, "the process closed the library's descriptors");
    phos__http_leave(http);
}

static bool copy_text(struct phos__http *http, phos_str text, char **ret_copy)
{
    if (text.length == 0)
        return true;
    *ret_copy = phos__strdup(&http->allocator, text);
    return *ret_copy != NULL;
}

static phos_status configure(struct phos__http *http,
                             const struct phos__http_options *options)
{
    http->connect_timeout_ms = options->connect_timeout_ms;
    http->on_easy = options->on_easy;
    http->user_data = options->user_data;
    if (!copy_text(http, options->proxy, &http->proxy) ||
        !copy_text(http, options->ca_file, &http->ca_file) ||
        !copy_text(http, options->unix_socket_path, &http->unix_socket_path) ||
        !copy_text(http, options->user_agent, &http->user_agent))
        return PHOS_E_NO_MEMORY;
    if (options->gzip_level > 0)
        return phos__gzip_create(&http->allocator, options->gzip_level,
                                 &http->gzip);
    return PHOS_OK;
}

phos_status phos__http_create(struct phos__loop *loop,
                              const phos_allocator *allocator,
                              const struct phos__http_options *options,
                              struct phos__http **ret_http)
{
    struct phos__http *http;
    phos_status status;

    pthread_once(&once, init_curl);
    if (curl_is_ready != CURLE_OK)
        return PHOS_E_SYSTEM;
    http = phos__alloc_zeroed(allocator, 1, sizeof(*http));
    if (!http)
        return PHOS_E_NO_MEMORY;
    http->allocator = *allocator;
    http->loop = loop;
    http->transport.struct_size = sizeof(http->transport);
    http->transport.user_data = http;
    http->transport.submit = submit;
    http->transport.cancel = cancel;
    http->transport.resume = resume;
    http->watch.on_lost = on_lost;
    phos__loop_watch_add(loop, &http->watch);

    status = configure(http, options);
    if (!status && !(http->multi = phos__http_multi_new()))
        status = PHOS_E_NO_MEMORY;
    if (!status)
        status = phos__http_sockets_start(http, options->connections_max);
    if (status) {
        phos__http_destroy(http); /* takes half-built ones */
        return status;
    }
    *ret_http = http;
    return PHOS_OK;
}

const phos_transport *phos__http_transport(struct phos__http *http)
{
    return &http->transport;
}

void phos__http_handle_closed(struct phos__http *http)
{
    phos_allocator allocator = http->allocator;

    if (--http->handles == 0)
        phos__free(&allocator, http);
}

static void on_timer_closed(uv_handle_t *handle)
{
    phos__http_handle_closed(handle->data);
}

static void free_parts(struct phos__http *http)
{
    while (http->resting) {
        struct phos__http_exchange *exchange = http->resting;

        http->resting = exchange->next;
        exchange_free(exchange);
    }
    if (http->multi && !http->is_lost)
        curl_multi_cleanup(http->multi); /* closes the sockets */
    phos__gzip_destroy(http->gzip);
    phos__free(&http->allocator, http->proxy);
    phos__free(&http->allocator, http->ca_file);
    phos__free(&http->allocator, http->unix_socket_path);
    phos__free(&http->allocator, http->user_agent);
    http->proxy = http->ca_file = http->unix_socket_path = NULL;
    http->user_agent = NULL;
    http->gzip = NULL;
    http->multi = NULL;
}

void phos__http_enter(struct phos__http *http)
{
    http->depth++;
}

void phos__http_leave(struct phos__http *http)
{
    http->depth--;
    if (http->is_doomed && http->depth == 0)
        phos__http_destroy(http);
}

void phos__http_destroy(struct phos__http *http)
{
    phos_allocator allocator = http->allocator;

    http->is_doomed = true;
    if (http->depth > 0)
        return;    /* called from a reply: leaving comes back here */
    http->depth++; /* for good */
    while (http->busy)
        cancel_one(http->busy);
    phos__loop_watch_remove(http->loop, &http->watch);
    free_parts(http);
    if (http->is_lost) {
        /* libuv will not call back. Its list of handles stays as it is and is
         * never walked again. */
        while (http->sockets) {
            struct phos__http_socket *socket = http->sockets;

            http->sockets = socket->next;
            phos__free(&allocator, socket);
        }
        phos__free(&allocator, http);
    } else if (http->handles == 0) {
        phos__free(&allocator, http);
    } else {
        uv_close((uv_handle_t *)&http->timer, on_timer_closed);
    }
}
