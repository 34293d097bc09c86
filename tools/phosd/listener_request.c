/*
 * listener_request - one request from its first line to its reply, as the
 * HTTP library's threads call us.
 */
#include "listener_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "now.h"

/* Of a refused body, read for politeness. */
enum { DISCARD_BYTES_MAX = 64 << 20 };

/* All bodies in memory together; beyond it requests are asked to come again. */
#define BODIES_BYTES_MAX ((size_t)256 << 20)

static void enter(struct phosd_listener *listener, struct line *line,
                  enum phase phase, uint64_t bytes)
{
    pthread_mutex_lock(&listener->mutex);
    line->phase = phase;
    line->since_ms = phosd_now_ms();
    line->bytes = bytes;
    pthread_mutex_unlock(&listener->mutex);
}

static void line_open(struct phosd_listener *listener,
                      struct MHD_Connection *connection, void **ret_line)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct line *line = calloc(1, sizeof(*line));

    if (!line)
        return;
    line->fd = info->connect_fd;
    line->phase = PHASE_OPEN;
    line->since_ms = phosd_now_ms();
    pthread_mutex_lock(&listener->mutex);
    line->next = listener->lines.next;
    line->previous = &listener->lines;
    line->next->previous = line;
    listener->lines.next = line;
    pthread_mutex_unlock(&listener->mutex);
    *ret_line = line;
}

/* Called before the library closes the descriptor, so that the sweep never
 * meets a number that already names something else. */
static void line_close(struct phosd_listener *listener, void **line_slot)
{
    struct line *line = *line_slot;

    if (!line)
        return;
    pthread_mutex_lock(&listener->mutex);
    line->previous->next = line->next;
    line->next->previous = line->previous;
    pthread_mutex_unlock(&listener->mutex);
    free(line);
    *line_slot = NULL;
}

void phosd_listener_connection(void *user_data,
                               struct MHD_Connection *connection,
                               void **line_slot,
                               enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        line_open(user_data, connection, line_slot);
    else
        line_close(user_data, line_slot);
}

static bool begin_exchange(struct phosd_listener *listener)
{
    bool begun;

    pthread_mutex_lock(&listener->mutex);
    begun = !listener->closed;
    if (begun)
        listener->active++;
    pthread_mutex_unlock(&listener->mutex);
    return begun;
}

/* A request line has come in; makes the exchange. NULL ends the connection at
 * the first call of phosd_listener_request(). */
void *phosd_listener_target(void *user_data, const char *target,
                            struct MHD_Connection *connection)
{
    struct phosd_listener *listener = user_data;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct line *line = info->socket_context;
    struct link *link = line ? calloc(1, sizeof(*link)) : NULL;

    if (link)
        link->exchange.target = strdup(target);
    if (!link || !link->exchange.target || !begin_exchange(listener)) {
        if (link)
            free(link->exchange.target);
        free(link);
        return NULL;
    }
    phosd_buffer_init(&link->exchange.body);
    phosd_buffer_init(&link->exchange.reply.body);
    link->exchange.began_us = phosd_now_us();
    link->listener = listener;
    link->connection = connection;
    link->line = line;

    enter(listener, line, PHASE_HEAD, 0);
    return link;
}

static void give_back_body(struct link *link)
{
    struct phosd_listener *listener = link->listener;

    pthread_mutex_lock(&listener->mutex);
    listener->bodies_bytes -= link->exchange.body.bytes;
    pthread_mutex_unlock(&listener->mutex);
    phos__buffer_deinit(&link->exchange.body);
    phosd_buffer_init(&link->exchange.body);
}

/* Tells once how the exchange went. */
static void answered(struct link *link)
{
    const struct phosd_handler *handler = &link->listener->options.handler;

    link->answered = true;
    handler->answered(handler->user_data, &link->exchange);
}

void phosd_listener_completed(void *user_data,
                              struct MHD_Connection *connection,
                              void **link_slot,
                              enum MHD_RequestTerminationCode code)
{
    struct phosd_listener *listener = user_data;
    struct link *link = *link_slot;

    (void)connection;
    (void)code;
    if (!link)
        return;
    if (!link->answered) {
        link->exchange.reply.status = 0;
        answered(link);
    }
    listener->options.handler.forget(listener->options.handler.user_data,
                                     &link->exchange);
    give_back_body(link);
    enter(listener, link->line, PHASE_IDLE, 0);
    pthread_mutex_lock(&listener->mutex);
    if (--listener->active == 0)
        pthread_cond_signal(&listener->calmed);
    pthread_mutex_unlock(&listener->mutex);
    phos__buffer_deinit(&link->exchange.reply.body);
    phos__buffer_deinit(&link->exchange.body);
    free(link->exchange.target);
    free(link);
    *link_slot = NULL;
}

static void add_header(struct MHD_Response *response, const char *name,
                       const char *value)
{
    /* Fails only without memory; the reply is whole without the field too. */
    (void)MHD_add_response_header(response, name, value);
}

/* What a browser may do with the page: load its own files, ask its own
 * collector, and nothing else; no other site may frame it or learn of it. */
static void add_page_headers(struct MHD_Response *response)
{
    add_header(response, "Content-Security-Policy",
               "default-src 'none'; script-src 'self'; style-src 'self'; "
               "connect-src 'self'; img-src 'self'; base-uri 'none'; "
               "form-action 'none'; frame-ancestors 'none'");
    add_header(response, "Referrer-Policy", "no-referrer");
    add_header(response, "Cross-Origin-Opener-Policy", "same-origin");
    add_header(response, "Cross-Origin-Resource-Policy", "same-origin");
}

static struct MHD_Response *make_response(struct link *link)
{
    struct phosd_reply *reply = &link->exchange.reply;
    struct MHD_Response *response;
    char seconds[16];

    if (reply->body.failed) {
        phosd_reply_busy(reply, "out of memory");
        if (reply->body.failed)
            return NULL;
    }
    response = MHD_create_response_from_buffer(
        reply->body.bytes, reply->body.data, MHD_RESPMEM_MUST_FREE);
    if (!response)
        return NULL;
    phosd_buffer_init(&reply->body); /* the response owns the bytes now */

    add_header(response, "Content-Type",
               reply->content_type ? reply->content_type : "application/json");
    if (reply->page)
        add_page_headers(response);
    add_header(response, "Cache-Control", "no-store");
    add_header(response, "X-Content-Type-Options", "nosniff");
    if (reply->status == 401)
        add_header(response, "WWW-Authenticate", "Bearer");
    if (reply->allow)
        add_header(response, "Allow", reply->allow);
    if (reply->retry_after_s > 0) {
        snprintf(seconds, sizeof(seconds), "%u",
                 (unsigned)reply->retry_after_s);
        add_header(response, "Retry-After", seconds);
    }
    return response;
}

static enum MHD_Result send_reply(struct link *link)
{
    struct phosd_listener *listener = link->listener;
    struct phosd_reply *reply = &link->exchange.reply;
    uint64_t bytes = reply->body.bytes;
    struct MHD_Response *response = make_response(link);
    enum MHD_Result result;
    bool draining;

    if (!response)
        return MHD_NO;
    pthread_mutex_lock(&listener->mutex);
    draining = listener->draining;
    pthread_mutex_unlock(&listener->mutex);
    if (draining || reply->close)
        add_header(response, "Connection", "close");
    link->exchange.reply_bytes = bytes;
    answered(link);
    enter(listener, link->line, PHASE_REPLY, bytes);
    result = MHD_queue_response(link->connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_field(void *user_data, enum MHD_ValueKind kind,
                                const char *name, size_t name_bytes,
                                const char *value, size_t value_bytes)
{
    (void)kind;
    phosd_head_add(user_data, phos_str_make(name, name_bytes),
                   phos_str_make(value, value_bytes));
    return MHD_YES;
}

/* Whether the reply is to go out before the body is read. */
static bool refuses_at_once(const struct link *link)
{
    const struct phosd_head *head = &link->exchange.head;

    if (link->exchange.reply.status == 0)
        return false;
    return link->exchange.reply.close || head->expects ||
           (head->has_length && head->content_length > DISCARD_BYTES_MAX);
}

static void judge_head(struct link *link, const char *method,
                       const char *version)
{
    struct phosd_exchange *exchange = &link->exchange;
    const struct phosd_handler *handler = &link->listener->options.handler;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        link->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    struct phosd_head_line line = { method, exchange->target, version, 0 };

    exchange->method = method;
    MHD_get_connection_values_n(link->connection, MHD_HEADER_KIND, on_field,
                                &exchange->head);
    line.head_bytes = info->header_size;
    phosd_head_finish(&exchange->head, &line);
    if (exchange->head.broken) {
        phosd_reply_error(&exchange->reply, exchange->head.broken_status, "%s",
                          exchange->head.broken);
        exchange->reply.close = true;
    } else {
        handler->head(handler->user_data, exchange);
    }
}

static void too_large(struct link *link)
{
    phosd_reply_error(&link->exchange.reply, 413,
                      "the body is larger than %zu bytes",
                      link->listener->options.body_bytes_max);
    give_back_body(link);
}

/* Takes a piece of the body, or throws it away; false ends the connection. */
static bool take_body(struct link *link, const char *data, size_t bytes)
{
    struct phosd_listener *listener = link->listener;
    struct phosd_exchange *exchange = &link->exchange;
    bool room = false;

    pthread_mutex_lock(&listener->mutex);
    link->line->bytes += bytes;
    if (exchange->reply.status == 0) {
        room = listener->bodies_bytes + bytes <= BODIES_BYTES_MAX;
        if (room)
            listener->bodies_bytes += bytes;
    }
    pthread_mutex_unlock(&listener->mutex);

    if (exchange->reply.status != 0) {
        link->discarded += bytes;
        return link->discarded <= DISCARD_BYTES_MAX;
    }
    if (!room) {
        phosd_reply_busy(&exchange->reply, "too many bodies at once");
        give_back_body(link);
        return true;
    }
    if (!phos__buffer_reserve(&exchange->body, bytes)) {
        pthread_mutex_lock(&listener->mutex);
        listener->bodies_bytes -= bytes;
        pthread_mutex_unlock(&listener->mutex);
        phosd_reply_busy(&exchange->reply, "out of memory");
        give_back_body(link);
        return true;
    }
    phos__buffer_append(&exchange->body, data, bytes);
    if (exchange->body.bytes > listener->options.body_bytes_max)
        too_large(link);
    return true;
}

/* The library must not be stopped while connections are suspended, so from
 * the end of the drain on none is. */
static bool may_submit(struct link *link)
{
    struct phosd_listener *listener = link->listener;
    bool open;

    pthread_mutex_lock(&listener->mutex);
    open = !listener->closed;
    if (open)
        listener->submitted++;
    pthread_mutex_unlock(&listener->mutex);
    if (!open)
        phosd_reply_busy(&link->exchange.reply, "the collector is stopping");
    return open;
}

/* Called for the head, for each piece of the body, at the body's end, and once
 * more when a suspended connection goes on. */
enum MHD_Result phosd_listener_request(void *user_data,
                                       struct MHD_Connection *connection,
                                       const char *url, const char *method,
                                       const char *version, const char *data,
                                       size_t *data_bytes, void **link_slot)
{
    struct phosd_listener *listener = user_data;
    const struct phosd_handler *handler = &listener->options.handler;
    struct link *link = *link_slot;

    (void)url;
    if (!link)
        return MHD_NO;
    if (!link->head_seen) {
        link->head_seen = true;
        judge_head(link, method, version);
        if (refuses_at_once(link))
            return send_reply(link);
        enter(listener, link->line, PHASE_BODY, 0);
        return MHD_YES;
    }
    if (*data_bytes > 0) {
        bool alive = take_body(link, data, *data_bytes);

        *data_bytes = 0;
        return alive ? MHD_YES : MHD_NO;
    }
    if (!link->asked) {
        link->asked = true;
        if (link->exchange.reply.status == 0)
            handler->body(handler->user_data, &link->exchange);
        if (link->exchange.reply.status == 0 && may_submit(link)) {
            enter(listener, link->line, PHASE_STORE, 0);
            MHD_suspend_connection(connection);
            handler->submit(handler->user_data, &link->exchange);
            return MHD_YES;
        }
    }
    return send_reply(link);
}

void phosd_exchange_finish(struct phosd_exchange *exchange)
{
    struct link *link = (struct link *)exchange;
    struct phosd_listener *listener = link->listener;

    MHD_resume_connection(link->connection); /* the link may be gone now */
    pthread_mutex_lock(&listener->mutex);
    if (--listener->submitted == 0)
        pthread_cond_signal(&listener->calmed);
    pthread_mutex_unlock(&listener->mutex);
}
