#include "listener.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "now.h"

enum {
    POOL_BYTES = 64 << 10,        /* a connection's memory for its head */
    CONNECTIONS_MAX = 1000,       /* more wait in the backlog */
    DESCRIPTORS_KEPT = 64,        /* of RLIMIT_NOFILE, for everything else */
    THREADS_MAX = 4,              /* they never wait, so few are enough */
    DISCARD_BYTES_MAX = 64 << 20, /* of a refused body, read for politeness */
    DRAIN_STEP_MS = 50,           /* between looks at the time-outs */
    REPLY_BYTES_PER_MS = 4096,
    BODY_BYTES_PER_MS = 1,
};

/* All bodies in memory together; beyond it requests are asked to come again. */
#define BODIES_BYTES_MAX ((size_t)256 << 20)

enum phase {
    PHASE_OPEN,
    PHASE_IDLE,
    PHASE_HEAD,
    PHASE_BODY,
    PHASE_STORE,
    PHASE_REPLY
};

/* One connection, as the sweep sees it. Guarded by the listener's mutex. */
struct line {
    struct line *next, *previous;
    int fd;
    enum phase phase;
    uint64_t since_ms;
    uint64_t bytes; /* body: received since then; reply: to be sent */
};

struct phosd_listener {
    struct phosd_listener_options options;
    struct MHD_Daemon *daemon;
    MHD_socket quiesced; /* the listening socket, ours to close after drain */
    pthread_mutex_t mutex;
    struct line lines;     /* ring with this as its anchor */
    pthread_cond_t calmed; /* `active` or `submitted` has become 0 */
    unsigned active;       /* exchanges */
    unsigned submitted;    /* of them, in others' hands */
    size_t bodies_bytes;
    bool draining; /* each reply is its connection's last */
    bool closed;   /* no exchange begins, none is submitted */
};

/* The listener's side of an exchange. */
struct link {
    struct phosd_exchange exchange; /* first: one address serves both */
    struct phosd_listener *listener;
    struct MHD_Connection *connection;
    struct line *line;
    size_t discarded;
    bool head_seen;
    bool asked;
    bool answered;
};

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

static void on_connection(void *user_data, struct MHD_Connection *connection,
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
 * the first call of on_request(). */
static void *on_target(void *user_data, const char *target,
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

static void on_completed(void *user_data, struct MHD_Connection *connection,
                         void **link_slot, enum MHD_RequestTerminationCode code)
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
static enum MHD_Result on_request(void *user_data,
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

/* The routes decode what they need, once; the library decodes nothing. */
static size_t leave_escaped(void *user_data, struct MHD_Connection *connection,
                            char *text)
{
    (void)user_data;
    (void)connection;
    return strlen(text);
}

static void say_nothing(void *user_data, const char *format, va_list arguments)
{
    (void)user_data;
    (void)format;
    (void)arguments;
}

static unsigned connections_max(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) ||
        limit.rlim_cur >= CONNECTIONS_MAX + DESCRIPTORS_KEPT)
        return CONNECTIONS_MAX;
    return limit.rlim_cur > 2 * DESCRIPTORS_KEPT
               ? (unsigned)limit.rlim_cur - DESCRIPTORS_KEPT
               : DESCRIPTORS_KEPT;
}

static unsigned threads(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (processors < 2)
        return 2; /* the library takes a pool of at least two */
    return processors < THREADS_MAX ? (unsigned)processors : THREADS_MAX;
}

struct phosd_listener *
phosd_listener_open(const struct phosd_listener_options *options,
                    const struct phosd_socket *socket)
{
    struct phosd_listener *listener = calloc(1, sizeof(*listener));

    if (!listener)
        return NULL;
    listener->options = *options;
    listener->quiesced = MHD_INVALID_SOCKET;
    listener->lines.next = listener->lines.previous = &listener->lines;
    pthread_mutex_init(&listener->mutex, NULL);
    pthread_cond_init(&listener->calmed, NULL);
    listener->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_request, listener, MHD_OPTION_EXTERNAL_LOGGER,
        say_nothing, NULL, MHD_OPTION_LISTEN_SOCKET, socket->fd,
        MHD_OPTION_THREAD_POOL_SIZE, threads(), MHD_OPTION_CONNECTION_LIMIT,
        connections_max(), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)POOL_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, 0u,
        MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, listener,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, listener,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, listener, MHD_OPTION_END);
    if (!listener->daemon) {
        pthread_cond_destroy(&listener->calmed);
        pthread_mutex_destroy(&listener->mutex);
        free(listener);
        return NULL;
    }
    return listener;
}

static bool is_late(const struct phosd_listener_options *options,
                    struct line *line, uint64_t now_ms)
{
    uint64_t spent_ms = now_ms > line->since_ms ? now_ms - line->since_ms : 0;

    switch (line->phase) {
    case PHASE_OPEN:
    case PHASE_HEAD:
        return spent_ms > options->head_timeout_ms;
    case PHASE_IDLE:
        return spent_ms > options->idle_timeout_ms;
    case PHASE_STORE:
        return false; /* the store's calls have limits of their own */
    case PHASE_REPLY:
        return spent_ms >
               options->reply_timeout_ms + line->bytes / REPLY_BYTES_PER_MS;
    case PHASE_BODY:
        if (spent_ms <= options->body_timeout_ms)
            return false;
        if (line->bytes < spent_ms * BODY_BYTES_PER_MS)
            return true;
        line->since_ms = now_ms; /* quick enough: the next stretch begins */
        line->bytes = 0;
        return false;
    }
    return false;
}

/* Under the mutex. */
static void end_late_lines(struct phosd_listener *listener, uint64_t now_ms)
{
    for (struct line *line = listener->lines.next; line != &listener->lines;
         line = line->next)
        if (is_late(&listener->options, line, now_ms))
            shutdown(line->fd, SHUT_RDWR); /* the library sees its end */
}

void phosd_listener_sweep(struct phosd_listener *listener, uint64_t now_ms)
{
    pthread_mutex_lock(&listener->mutex);
    end_late_lines(listener, now_ms);
    pthread_mutex_unlock(&listener->mutex);
}

static void begin_drain(struct phosd_listener *listener)
{
    pthread_mutex_lock(&listener->mutex);
    listener->draining = true;
    pthread_mutex_unlock(&listener->mutex);
    listener->quiesced = MHD_quiesce_daemon(listener->daemon);
    /* Its threads may still look at the descriptor, so it is closed later;
     * but from now on clients are refused instead of kept waiting. */
    if (listener->quiesced != MHD_INVALID_SOCKET)
        shutdown(listener->quiesced, SHUT_RDWR);
}

/* Waits a little for `calmed`. Under the mutex. */
static void wait_a_little(struct phosd_listener *listener)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += DRAIN_STEP_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&listener->calmed, &listener->mutex, &until);
}

void phosd_listener_drain(struct phosd_listener *listener, uint32_t ms_max)
{
    uint64_t end_ms = phosd_now_ms() + ms_max;

    begin_drain(listener);
    pthread_mutex_lock(&listener->mutex);
    while (listener->active > 0 && phosd_now_ms() < end_ms) {
        end_late_lines(listener, phosd_now_ms());
        wait_a_little(listener);
    }
    listener->closed = true;
    while (listener->submitted > 0) /* the store's calls have limits */
        wait_a_little(listener);
    pthread_mutex_unlock(&listener->mutex);
}

void phosd_listener_close(struct phosd_listener *listener)
{
    if (!listener)
        return;
    MHD_stop_daemon(listener->daemon);
    if (listener->quiesced != MHD_INVALID_SOCKET)
        close(listener->quiesced);
    pthread_cond_destroy(&listener->calmed);
    pthread_mutex_destroy(&listener->mutex);
    free(listener);
}
