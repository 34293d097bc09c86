/*
 * One request: what its bodies say is read as they pass by, and becomes an
 * event when nginx has finished with it.
 *
 *     request body ─► filter ─► reader ┐
 *                                      ├─► log phase: event ─► libphos
 *     answer ─► header, body filter ───┘
 *
 * The filters read and change nothing, and keep no more than the texts, up to
 * phos_max_text_size. The log phase comes when the client has its answer.
 */
#include "ngx_http_phos.h"
#include "ngx_phos_chat.h"
#include "ngx_phos_stream.h"

enum { PAIRS_MAX = 3 };

typedef struct {
    /* Of the location that the request came to: after an internal redirect
     * another one answers, and still it is the same interaction. */
    const ngx_http_phos_loc_conf_t *conf;
    struct ngx_phos_chat request;
    struct ngx_phos_chat answer;
    struct ngx_phos_stream stream;
    phos_event_id event_id;
    int64_t first_text_ms; /* -1: none yet */
    int64_t latency_ms;    /* -1: the answer has not ended */
    unsigned has_event_id : 1;
    unsigned has_answer : 1; /* with a status of 200 to 299 */
    unsigned is_stream : 1;
    unsigned is_encoded : 1; /* compressed: it cannot be read */
} capture_t;

static ngx_http_request_body_filter_pt next_request_body_filter;
static ngx_http_output_header_filter_pt next_header_filter;
static ngx_http_output_body_filter_pt next_body_filter;

/* ---- a request's capture ---- */

static void cleanup(void *data)
{
    (void)data; /* it is there to be found; the pool frees */
}

/* An internal redirect (error_page, X-Accel-Redirect) forgets the contexts of
 * a request but keeps its body, so the pool remembers, too. */
static capture_t *find(ngx_http_request_t *r)
{
    capture_t *capture = ngx_http_get_module_ctx(r, ngx_http_phos_module);
    ngx_pool_cleanup_t *one;

    if (r != r->main)
        return NULL;
    if (capture || !r->internal)
        return capture;
    for (one = r->pool->cleanup; one; one = one->next) {
        if (one->handler == cleanup) {
            ngx_http_set_ctx(r, one->data, ngx_http_phos_module);
            return one->data;
        }
    }
    return NULL;
}

static void *grow(void *pool, void *old, size_t old_bytes, size_t bytes)
{
    void *memory = ngx_pnalloc(pool, bytes);

    if (memory && old) {
        ngx_memcpy(memory, old, old_bytes);
        ngx_pfree(pool, old); /* large ones; small ones wait for the pool */
    }
    return memory;
}

static capture_t *begin(ngx_http_request_t *r)
{
    ngx_http_phos_loc_conf_t *conf =
        ngx_http_get_module_loc_conf(r, ngx_http_phos_module);
    struct ngx_phos_memory memory = { grow, r->pool };
    ngx_pool_cleanup_t *keeper;
    capture_t *capture;

    if (!conf->enable || r != r->main || r->method != NGX_HTTP_POST ||
        !ngx_http_phos_worker_is_open())
        return NULL;
    keeper = ngx_pool_cleanup_add(r->pool, sizeof(*capture));
    if (keeper == NULL)
        return NULL;
    keeper->handler = cleanup;
    capture = keeper->data;
    ngx_memzero(capture, sizeof(*capture));
    capture->conf = conf;
    capture->first_text_ms = -1;
    capture->latency_ms = -1;
    ngx_phos_chat_init(
        &capture->request, memory,
        conf->capture & NGX_HTTP_PHOS_CAPTURE_INPUT ? conf->text_max : 0);
    ngx_phos_chat_init(
        &capture->answer, memory,
        conf->capture & NGX_HTTP_PHOS_CAPTURE_OUTPUT ? conf->text_max : 0);
    ngx_http_set_ctx(r, capture, ngx_http_phos_module);
    return capture;
}

static int64_t age_ms(const ngx_http_request_t *r)
{
    ngx_time_t *now = ngx_timeofday();
    int64_t age = ((int64_t)now->sec - r->start_sec) * 1000 +
                  ((int64_t)now->msec - (int64_t)r->start_msec);

    return age < 0 ? 0 : age; /* the wall clock was set back */
}

/* ---- filters ---- */

static ngx_int_t request_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    capture_t *capture = find(r);
    ngx_chain_t *link;

    if (capture == NULL && in)
        capture = begin(r);
    for (link = in; capture && link; link = link->next) {
        if (ngx_buf_in_memory(link->buf))
            ngx_phos_chat_feed(&capture->request, (char *)link->buf->pos,
                               (size_t)(link->buf->last - link->buf->pos));
    }
    return next_request_body_filter(r, in);
}

static ngx_flag_t is_event_stream(const ngx_http_request_t *r)
{
    const ngx_str_t wanted = ngx_string("text/event-stream");

    return r->headers_out.content_type.len >= wanted.len &&
           ngx_strncasecmp(r->headers_out.content_type.data, wanted.data,
                           wanted.len) == 0;
}

static ngx_flag_t is_encoded(const ngx_http_request_t *r)
{
    const ngx_table_elt_t *encoding = r->headers_out.content_encoding;

    return encoding && encoding->hash != 0 && encoding->value.len > 0 &&
           !(encoding->value.len == sizeof("identity") - 1 &&
             ngx_strncasecmp(encoding->value.data, (u_char *)"identity",
                             encoding->value.len) == 0);
}

static ngx_int_t header_filter(ngx_http_request_t *r)
{
    capture_t *capture = find(r);

    if (capture && r->headers_out.status >= 200 &&
        r->headers_out.status < 300) {
        capture->has_answer = 1;
        capture->is_stream = is_event_stream(r);
        capture->is_encoded = is_encoded(r);
        /* Parts of a long answer that nginx has put aside in a file. */
        r->filter_need_in_memory = 1;
    }
    return next_header_filter(r);
}

static void read_answer(ngx_http_request_t *r, capture_t *capture,
                        const ngx_buf_t *buf)
{
    if (ngx_buf_in_memory(buf) && !capture->is_encoded) {
        const char *data = (const char *)buf->pos;
        size_t length = (size_t)(buf->last - buf->pos);

        if (capture->is_stream)
            ngx_phos_stream_feed(&capture->stream, &capture->answer, data,
                                 length);
        else
            ngx_phos_chat_feed(&capture->answer, data, length);
        if (capture->first_text_ms < 0 && capture->answer.output.length > 0)
            capture->first_text_ms = age_ms(r);
    }
    if (buf->last_buf)
        capture->latency_ms = age_ms(r);
}

static ngx_int_t body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    capture_t *capture = find(r);
    ngx_chain_t *link;

    if (capture && capture->has_answer) {
        for (link = in; link; link = link->next)
            read_answer(r, capture, link->buf);
    }
    return next_body_filter(r, in);
}

/* ---- the event ---- */

/* What keeps the event from being the whole story; NULL: nothing. */
static const char *flaw_of(const capture_t *capture)
{
    const struct ngx_phos_text *input = &capture->request.input;
    const struct ngx_phos_text *output = &capture->answer.output;

    if (capture->is_encoded)
        return "encoded";
    if (!capture->request.has_messages)
        return "unreadable request";
    if (capture->latency_ms < 0)
        return "aborted";
    if (!capture->answer.has_choices || capture->stream.broken > 0 ||
        (!capture->is_stream && !ngx_phos_chat_is_whole(&capture->answer)))
        return "unreadable";
    if ((input->limit > 0 && input->is_cut) ||
        (output->limit > 0 && output->is_cut))
        return "cut";
    return NULL;
}

static phos_str required(struct ngx_phos_text *text)
{
    if (text->is_cut)
        ngx_phos_text_trim(text);
    return text->length > 0 ? phos_str_make(text->data, text->length)
                            : PHOS_STR("");
}

static phos_str optional(const struct ngx_phos_text *text)
{
    return phos_str_make(text->length > 0 ? text->data : NULL, text->length);
}

static phos_str value(ngx_http_request_t *r,
                      ngx_http_complex_value_t *expression)
{
    ngx_str_t text;

    if (expression == NULL ||
        ngx_http_complex_value(r, expression, &text) != NGX_OK || text.len == 0)
        return phos_str_make(NULL, 0);
    return phos_str_make((const char *)text.data, text.len);
}

static int64_t count(int64_t told)
{
    return told < 0 ? PHOS_UNSET : told;
}

static size_t fill_pairs(const capture_t *capture, phos_pair *pairs)
{
    const char *flaw = flaw_of(capture);
    size_t filled = 0;

    pairs[filled++] = phos_pair_boolean(PHOS_STR("stream"), capture->is_stream);
    if (capture->is_stream && capture->first_text_ms >= 0)
        pairs[filled++] = phos_pair_integer(PHOS_STR("first_text_ms"),
                                            capture->first_text_ms);
    if (flaw)
        pairs[filled++] = phos_pair_text(PHOS_STR("capture"),
                                         phos_str_make(flaw, ngx_strlen(flaw)));
    return filled;
}

static void fill_names(ngx_http_request_t *r, const capture_t *capture,
                       phos_event *event)
{
    const ngx_http_phos_loc_conf_t *conf = capture->conf;

    if (capture->has_event_id)
        event->event_id = &capture->event_id;
    event->session_id = value(r, conf->session_id);
    event->user_id = conf->user_id ? value(r, conf->user_id)
                                   : optional(&capture->request.user);
    event->provider = value(r, conf->provider);
    event->model =
        optional(capture->answer.model.length > 0 ? &capture->answer.model
                                                  : &capture->request.model);
}

static void log_event(ngx_http_request_t *r, capture_t *capture)
{
    struct ngx_phos_chat *answer = &capture->answer;
    phos_event event = phos_event_default();
    phos_pair pairs[PAIRS_MAX];

    event.input = required(&capture->request.input);
    event.output = required(&answer->output);
    event.timestamp_us =
        ((int64_t)r->start_sec * 1000 + (int64_t)r->start_msec) * 1000;
    event.latency_ms =
        capture->latency_ms < 0 ? age_ms(r) : capture->latency_ms;
    event.token_count_input = count(answer->token_count_input);
    event.token_count_output = count(answer->token_count_output);
    event.pairs = pairs;
    event.pair_count = fill_pairs(capture, pairs);
    fill_names(r, capture, &event);
    ngx_http_phos_worker_log(&event);
}

static ngx_int_t log_handler(ngx_http_request_t *r)
{
    capture_t *capture = find(r);

    if (capture == NULL)
        return NGX_OK;
    if (capture->has_answer)
        log_event(r, capture);
    else
        ngx_http_phos_worker_skip();
    return NGX_OK;
}

ngx_int_t ngx_http_phos_event_id(ngx_http_request_t *r,
                                 ngx_http_variable_value_t *v, uintptr_t data)
{
    capture_t *capture = find(r->main);
    char text[PHOS_EVENT_ID_TEXT_LENGTH + 1];

    (void)data;
    v->not_found = 1;
    if (capture == NULL)
        return NGX_OK;
    if (!capture->has_event_id) {
        if (phos_event_id_make(&capture->event_id) != PHOS_OK)
            return NGX_OK;
        capture->has_event_id = 1;
    }
    phos_event_id_to_text(&capture->event_id, text);
    v->data = ngx_pnalloc(r->pool, PHOS_EVENT_ID_TEXT_LENGTH);
    if (v->data == NULL)
        return NGX_ERROR;
    ngx_memcpy(v->data, text, PHOS_EVENT_ID_TEXT_LENGTH);
    v->len = PHOS_EVENT_ID_TEXT_LENGTH;
    v->not_found = 0;
    v->valid = 1;
    v->no_cacheable = 1;
    return NGX_OK;
}

ngx_int_t ngx_http_phos_capture_init(ngx_conf_t *cf)
{
    ngx_http_core_main_conf_t *core =
        ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    ngx_http_handler_pt *handler =
        ngx_array_push(&core->phases[NGX_HTTP_LOG_PHASE].handlers);

    if (handler == NULL)
        return NGX_ERROR;
    *handler = log_handler;

    next_request_body_filter = ngx_http_top_request_body_filter;
    ngx_http_top_request_body_filter = request_body_filter;
    next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = header_filter;
    next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = body_filter;
    return NGX_OK;
}
