#define _GNU_SOURCE

#include "client/call.h"

#include <assert.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/saturate.h"
#include "wire/url.h"

enum { METHOD_BYTES_MAX = 31, OWN_HEADERS = 3 };

/* ---- what may be asked ---- */

static bool is_token(phos_str text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            !(c >= '0' && c <= '9') && !memchr(others, c, sizeof(others) - 1))
            return false;
    }
    return text.length > 0;
}

bool phos__headers_are_valid(const phos_header *headers, size_t count)
{
    if (count > PHOS__CALL_HEADERS_MAX || (count > 0 && !headers))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!headers[i].name.data || !is_token(headers[i].name) ||
            !headers[i].value.data ||
            !phos__header_value_is_valid(headers[i].value))
            return false;
    return true;
}

/* What a request line can hold. */
static bool is_path(phos_str path)
{
    if (!path.data || path.length == 0 || path.data[0] != '/')
        return false;
    for (size_t i = 0; i < path.length; i++)
        if (path.data[i] <= ' ' || path.data[i] >= 0x7F || path.data[i] == '#')
            return false;
    return true;
}

static bool is_retry(const phos_retry *retry)
{
    return retry->kind <= PHOS_RETRY_BACKOFF && retry->exponent >= 1;
}

static bool is_askable(phos_str method, phos_str path, phos_str body,
                       const phos_call_options *options)
{
    return method.data && is_token(method) &&
           method.length <= METHOD_BYTES_MAX && is_path(path) &&
           (body.data || body.length == 0) &&
           phos__headers_are_valid(options->headers, options->header_count) &&
           (!options->retry || is_retry(options->retry));
}

/* Those that HTTP calls safe or idempotent. Not DELETE: after a lost answer
 * its second try finds nothing, and says so. */
static bool is_safe_method(phos_str method)
{
    static const char *const names[] = { "GET", "HEAD", "PUT", "OPTIONS" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (method.length == strlen(names[i]) &&
            memcmp(method.data, names[i], method.length) == 0)
            return true;
    return false;
}

/* ---- life ---- */

static struct phos_call *allocate(const phos_allocator *allocator)
{
    struct phos_call *call = phos__alloc_zeroed(allocator, 1, sizeof(*call));
    pthread_condattr_t attributes;

    if (!call)
        return NULL;
    call->allocator = *allocator;
    call->holders = 1;
    phos__buffer_init(&call->text, allocator);
    phos__buffer_init(&call->moved_url, allocator);
    phos__buffer_init(&call->reply.text, allocator);
    phos__problems_init(&call->problems, allocator);
    pthread_mutex_init(&call->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&call->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return call;
}

static void destroy(struct phos_call *call)
{
    phos_allocator allocator = call->allocator;

    if (call->taker)
        call->taker->destroy(call->stream);
    phos__credential_unref(call->credential);
    phos__free(&allocator, call->headers);
    phos__free(&allocator, call->reply.headers);
    phos__buffer_deinit(&call->text);
    phos__buffer_deinit(&call->moved_url);
    phos__buffer_deinit(&call->reply.text);
    phos__problems_deinit(&call->problems);
    pthread_cond_destroy(&call->changed);
    pthread_mutex_destroy(&call->lock);
    phos__free(&allocator, call);
}

void phos__call_ref(struct phos_call *call)
{
    pthread_mutex_lock(&call->lock);
    call->holders++;
    pthread_mutex_unlock(&call->lock);
}

void phos__call_unref(struct phos_call *call)
{
    bool is_last;

    pthread_mutex_lock(&call->lock);
    is_last = --call->holders == 0;
    pthread_mutex_unlock(&call->lock);
    if (is_last)
        destroy(call);
}

bool phos__call_is_foreign(const struct phos_call *call)
{
    return *call->generation_page != call->generation;
}

struct timespec phos__call_deadline(uint32_t timeout_ms)
{
    struct timespec deadline;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_nsec -= 1000000000;
        deadline.tv_sec++;
    }
    return deadline;
}

/* ---- copying what is asked ---- */

/* There is room: the buffer was reserved for all of it. */
static phos_str copy(struct phos_call *call, phos_str text)
{
    const char *at = (const char *)call->text.data + call->text.bytes;

    phos__buffer_append_str(&call->text, text);
    return phos_str_make(at, text.length);
}

static size_t header_bytes(const phos_header *headers, size_t count)
{
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++)
        bytes += headers[i].name.length + headers[i].value.length;
    return bytes;
}

static bool is_named(const phos_header *header, phos_str name)
{
    return header->name.length == name.length &&
           strncasecmp(header->name.data, name.data, name.length) == 0;
}

static bool has_header(const struct phos_call *call, phos_str name)
{
    for (size_t i = call->has_credential; i < call->header_count; i++)
        if (is_named(&call->headers[i], name))
            return true;
    return false;
}

/* The first of a name stays: the call's come before the service's. */
static void add_headers(struct phos_call *call, const phos_header *headers,
                        size_t count, bool only_new)
{
    for (size_t i = 0; i < count; i++) {
        phos_header *to = &call->headers[call->header_count];

        if (only_new && has_header(call, headers[i].name))
            continue;
        to->name = copy(call, headers[i].name);
        to->value = copy(call, headers[i].value);
        call->header_count++;
    }
}

static void add_all_headers(struct phos_call *call,
                            const struct phos__call_ground *ground,
                            const phos_call_options *options)
{
    static const phos_header accept = { { "Accept", 6 },
                                        { "application/json", 16 } };
    static const phos_header type = { { "Content-Type", 12 },
                                      { "application/json", 16 } };

    if (ground->auth_header) {
        call->has_credential = true;
        call->headers[0].name =
            phos_str_make(ground->auth_header, strlen(ground->auth_header));
        call->header_count = 1;
    }
    add_headers(call, options->headers, options->header_count, false);
    add_headers(call, ground->headers, ground->header_count, true);
    add_headers(call, &accept, 1, true);
    if (call->body.data)
        add_headers(call, &type, 1, true);
}

static bool copy_all(struct phos_call *call,
                     const struct phos__call_ground *ground, phos_str method,
                     phos_str path, phos_str body,
                     const phos_call_options *options)
{
    size_t count = options->header_count + ground->header_count + OWN_HEADERS;
    size_t bytes = method.length + ground->base_url.length + path.length +
                   body.length + 64 +
                   header_bytes(options->headers, options->header_count) +
                   header_bytes(ground->headers, ground->header_count);

    call->headers =
        phos__alloc_zeroed(&call->allocator, count, sizeof(*call->headers));
    if (!call->headers || !phos__buffer_reserve(&call->text, bytes))
        return false;
    call->method = copy(call, method);
    call->url = copy(call, ground->base_url);
    call->origin = phos_str_make(call->url.data, ground->origin.length);
    call->url.length += copy(call, path).length;
    if (body.data)
        call->body = copy(call, body);
    add_all_headers(call, ground, options);
    assert(call->text.bytes <= bytes);
    assert(call->header_count <= count);
    return true;
}

phos_status phos__call_create(const struct phos__call_ground *ground,
                              phos_str method, phos_str path, phos_str body,
                              const phos_call_options *options,
                              struct phos_call **ret_call)
{
    struct phos_call *call;

    if (!is_askable(method, path, body, options))
        return PHOS_E_INVALID;
    call = allocate(&ground->allocator);
    if (!call)
        return PHOS_E_NO_MEMORY;
    if (!copy_all(call, ground, method, path, body, options)) {
        destroy(call);
        return PHOS_E_NO_MEMORY;
    }
    call->generation_page = ground->generation_page;
    call->generation = *ground->generation_page;
    call->timeout_ms =
        options->timeout_ms ? options->timeout_ms : ground->timeout_ms;
    call->reply_bytes_max = ground->reply_bytes_max;
    call->retry = options->retry ? *options->retry : ground->retry;
    call->is_safe = options->is_safe || is_safe_method(method);
    call->on_done = options->on_done;
    call->user_data = options->user_data;
    *ret_call = call;
    return PHOS_OK;
}

/* ---- attempts ---- */

/* A copy for each attempt: who holds it is counted by the worker alone. */
static bool take_credential(struct phos_call *call,
                            const struct phos__credential *credential)
{
    size_t prefix_bytes = credential->prefix_bytes;
    struct phos__credential *own = phos__credential_create(
        &call->allocator, phos_str_make(credential->value, prefix_bytes),
        phos_str_make(credential->value + prefix_bytes,
                      credential->length - prefix_bytes));

    if (!own)
        return false;
    phos__credential_unref(call->credential);
    call->credential = own;
    call->headers[0].value = phos_str_make(own->value, own->length);
    return true;
}

phos_status phos__call_prepare(struct phos_call *call, uint64_t id,
                               uint64_t now_ms,
                               const struct phos__credential *credential)
{
    uint64_t spent_ms = phos__sub_sat_u64(now_ms, call->begun_ms);

    call->attempts++;
    call->is_cancel_told = false;
    if (call->has_credential && !take_credential(call, credential))
        return PHOS_E_NO_MEMORY;
    call->request = (phos_request){
        .struct_size = sizeof(call->request),
        .id = id,
        .method = call->method,
        .url = call->url,
        .headers = call->headers,
        .header_count = call->header_count,
        .body = call->body,
        /* At least something: 0 would be for ever. */
        .timeout_ms =
            call->timeout_ms
                ? (uint32_t)phos__max_u64(
                      phos__sub_sat_u64(call->timeout_ms, spent_ms), 1)
                : 0,
        .reply_bytes_max = call->reply_bytes_max,
        .idle_timeout_ms = call->idle_timeout_ms,
        .on_body = call->taker ? phos__call_take : NULL,
    };
    return PHOS_OK;
}

phos_flow phos__call_take(const phos_reply *head, phos_str piece,
                          void *reply_data)
{
    struct phos_call *call = reply_data;
    phos_flow flow = call->taker->take(call->stream, head, piece);

    call->was_shown = true;
    call->was_stopped = flow == PHOS_FLOW_STOP;
    return flow;
}

bool phos__call_is_taken(struct phos_call *call)
{
    const struct phos__kept_reply *reply = &call->reply;

    return !call->taker || reply->exchange != PHOS_EXCHANGE_ANSWERED ||
           reply->http_status < 200 || reply->http_status >= 300 ||
           reply->body_cut || call->taker->end(call->stream);
}

static phos_str keep_text(struct phos__buffer *text, phos_str what)
{
    const char *at = (const char *)text->data + text->bytes;

    phos__buffer_append_str(text, what);
    return phos_str_make(at, what.length);
}

static bool keep_texts(struct phos_call *call, const phos_reply *reply)
{
    struct phos__kept_reply *kept = &call->reply;
    size_t bytes = reply->body.length +
                   header_bytes(reply->headers, reply->header_count) + 1;

    phos__free(&call->allocator, kept->headers);
    kept->headers = phos__alloc_zeroed(
        &call->allocator, reply->header_count + 1, sizeof(*kept->headers));
    if (!kept->headers || !phos__buffer_reserve(&kept->text, bytes))
        return false;
    for (size_t i = 0; i < reply->header_count; i++) {
        kept->headers[i].name = keep_text(&kept->text, reply->headers[i].name);
        kept->headers[i].value =
            keep_text(&kept->text, reply->headers[i].value);
    }
    kept->header_count = reply->header_count;
    kept->body = keep_text(&kept->text, reply->body);
    return true;
}

void phos__call_keep(struct phos_call *call, const phos_reply *reply)
{
    struct phos__kept_reply *kept = &call->reply;

    phos__buffer_clear(&kept->text);
    kept->header_count = 0;
    kept->body = phos_str_make("", 0);
    kept->exchange = reply->exchange;
    kept->http_status = reply->http_status;
    kept->body_cut = reply->body_cut;
    kept->error = reply->error;
    if (reply->exchange == PHOS_EXCHANGE_ANSWERED && !keep_texts(call, reply))
        phos__call_keep_failure(call, PHOS_EXCHANGE_BROKEN, PHOS_E_NO_MEMORY,
                                "no memory for the reply");
}

void phos__call_keep_failure(struct phos_call *call, phos_exchange exchange,
                             phos_status status, const char *words)
{
    phos_reply reply = { .struct_size = sizeof(reply), .exchange = exchange };

    assert(exchange != PHOS_EXCHANGE_ANSWERED);
    phos__error_set(&reply.error, status, PHOS_ORIGIN_PHOS, status, "%s",
                    words);
    phos__call_keep(call, &reply);
}

phos_str phos__call_reply_header(const struct phos_call *call, const char *name)
{
    const struct phos__kept_reply *reply = &call->reply;

    for (size_t i = 0; i < reply->header_count; i++)
        if (is_named(&reply->headers[i], phos_str_make(name, strlen(name))))
            return reply->headers[i].value;
    return phos_str_make(NULL, 0);
}

/* ---- redirects ---- */

/* Where a Location leads on the same origin, from its slash on; data NULL: it
 * leads elsewhere. */
static phos_str path_on(phos_str origin, phos_str location)
{
    if (location.length > origin.length &&
        strncasecmp(location.data, origin.data, origin.length) == 0) {
        location.data += origin.length;
        location.length -= origin.length;
    } else if (location.length > 1 && location.data[1] == '/') {
        return phos_str_make(NULL, 0); /* another host, by this scheme */
    }
    return is_path(location) ? location : phos_str_make(NULL, 0);
}

bool phos__call_follow(struct phos_call *call)
{
    const struct phos__kept_reply *reply = &call->reply;
    struct phos__buffer moved;
    phos_str path;

    if (reply->exchange != PHOS_EXCHANGE_ANSWERED ||
        (reply->http_status != 307 && reply->http_status != 308) ||
        call->redirects == PHOS__CALL_REDIRECTS_MAX)
        return false;
    path = path_on(call->origin, phos__call_reply_header(call, "Location"));
    if (!path.data)
        return false;
    phos__buffer_init(&moved, &call->allocator);
    phos__buffer_append_str(&moved, call->origin);
    phos__buffer_append_str(&moved, path);
    if (moved.failed) {
        phos__buffer_deinit(&moved);
        return false;
    }
    phos__buffer_deinit(&call->moved_url);
    call->moved_url = moved;
    call->url = phos_str_make((const char *)moved.data, moved.bytes);
    call->redirects++;
    return true;
}

/* ---- the result ---- */

static void judge(struct phos_call *call)
{
    const struct phos__kept_reply *reply = &call->reply;
    phos_result *result = &call->result;
    int status = reply->http_status;
    char words[PHOS__DETAIL_BYTES_MAX + 1];

    if (reply->exchange != PHOS_EXCHANGE_ANSWERED) {
        result->error = reply->error;
    } else if (call->stream_error.status) {
        result->error = call->stream_error;
    } else if (call->was_stopped) {
        result->error.status = PHOS_OK; /* the body has done its duty */
    } else if (reply->body_cut && reply->error.status) {
        result->error = reply->error;
    } else if (reply->body_cut) {
        phos__error_set(&result->error, PHOS_E_TOO_LARGE, PHOS_ORIGIN_PHOS,
                        PHOS_E_TOO_LARGE, "the reply exceeds %u bytes",
                        call->reply_bytes_max);
    } else if (status < 200 || status >= 300) {
        phos__problems_read(&call->problems,
                            phos__call_reply_header(call, "Content-Type"),
                            reply->body);
        result->detail = call->problems.detail;
        result->problems = call->problems.items;
        result->problem_count = call->problems.count;
        memcpy(words, result->detail.data, result->detail.length);
        words[result->detail.length] = '\0';
        phos__credential_mask(call->credential, words);
        phos__error_set(&result->error, PHOS_E_HTTP, PHOS_ORIGIN_HTTP, status,
                        "HTTP %d%s%s", status, words[0] ? ": " : "", words);
    }
    result->status = result->error.status;
}

static void make_result(struct phos_call *call, uint64_t now_ms)
{
    const struct phos__kept_reply *reply = &call->reply;
    phos_result *result = &call->result;

    memset(result, 0, sizeof(*result));
    result->struct_size = sizeof(*result);
    result->attempts = call->attempts;
    result->elapsed_ms = phos__sub_sat_u64(now_ms, call->begun_ms);
    result->http_status = reply->http_status;
    result->headers = reply->headers;
    result->header_count = reply->header_count;
    result->body = reply->body;
    result->detail = phos_str_make("", 0);
    judge(call);
}

void phos__call_finish(struct phos_call *call, uint64_t now_ms)
{
    make_result(call, now_ms);
    phos__credential_unref(call->credential);
    call->credential = NULL;
    if (call->on_done)
        call->on_done(&call->result, call->user_data);
    pthread_mutex_lock(&call->lock);
    call->is_done = true;
    call->service = NULL;
    pthread_cond_broadcast(&call->changed);
    pthread_mutex_unlock(&call->lock);
    phos__call_unref(call);
}
