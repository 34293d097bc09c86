#include "routes.h"

#include <stdlib.h>
#include <string.h>

#include "access_log.h"
#include "inflate.h"
#include "ingest.h"
#include "now.h"
#include "page.h"
#include "query.h"
#include "render.h"
#include "stats.h"
#include "wire/uuid.h"

/* A page ends early at this size: events may be megabytes long. */
enum { PAGE_BYTES_MAX = 32 << 20, SESSION_EVENTS_MAX = 1000 };

/* What the routes keep of an exchange between its calls. */
struct work {
    struct phosd_routes *routes;
    struct phosd_exchange *exchange;
    const struct route *route;
    const struct phosd_page_file *file; /* of the page */
    struct phosd_project *project;
    char *query; /* in exchange->target; NULL: none */
    phos_str id; /* the path's last part, decoded */

    struct phosd_write write;
    struct phosd_batch batch;
    struct phosd_feedback_body feedback;
    uint32_t tokens; /* taken from the bucket */

    struct phosd_read read;
    struct phosd_filter filter;
    uint8_t event_id[16];
    bool any; /* a list has an element already */
};

struct route {
    const char *path; /* one that ends in '/' takes one more part, an id */
    const char *method;
    bool open; /* needs no key */
    void (*body)(struct work *work, phos_str body);
    void (*submit)(struct work *work);
};

static void refuse(struct work *work, unsigned status, const char *why)
{
    phosd_reply_error(&work->exchange->reply, status, "%s", why);
}

/* Results that are alike everywhere; true: the reply stands. */
static bool failed(struct work *work, enum phosd_result result,
                   const char *unknown)
{
    switch (result) {
    case PHOSD_STORED:
        return false;
    case PHOSD_NOT_FOUND:
        refuse(work, 404, unknown);
        return true;
    case PHOSD_TOO_SLOW:
        phosd_reply_busy(&work->exchange->reply,
                         "the search took too long; narrow it by time");
        return true;
    case PHOSD_FAILED:
        break;
    }
    phosd_reply_busy(&work->exchange->reply, "the database cannot be used now");
    return true;
}

/* Ingestion */

static void reply_ids(struct work *work, bool single)
{
    struct phos__buffer *body = &work->exchange->reply.body;
    char head[64];

    if (single) {
        phosd_render_literal(body, "{\"event_id\":");
        phosd_render_id(body, work->batch.events[0].id);
        phosd_render_literal(body, "}\n");
    } else {
        snprintf(head, sizeof(head), "{\"accepted\":%zu,\"event_ids\":[",
                 work->batch.count);
        phosd_render_literal(body, head);
        for (size_t i = 0; i < work->batch.count; i++) {
            if (i > 0)
                phosd_render_literal(body, ",");
            phosd_render_id(body, work->batch.events[i].id);
        }
        phosd_render_literal(body, "]}\n");
    }
    work->exchange->reply.status = 201;
}

static void give_tokens_back(struct work *work)
{
    pthread_mutex_lock(&work->project->mutex);
    phosd_bucket_give_back(&work->project->bucket, work->tokens);
    pthread_mutex_unlock(&work->project->mutex);
}

static void ingest_done(struct phosd_write *write)
{
    struct work *work = write->user_data;

    work->exchange->duplicates = (uint32_t)write->duplicates;
    if (failed(work, write->result, "unknown event"))
        give_tokens_back(work);
    else
        reply_ids(work, strcmp(work->route->path, "/api/ingest") == 0);
    phosd_exchange_finish(work->exchange);
}

static bool take_tokens(struct work *work)
{
    uint32_t events = (uint32_t)work->batch.count;
    uint32_t wait_s;
    bool taken;

    pthread_mutex_lock(&work->project->mutex);
    taken = phosd_bucket_take(&work->project->bucket, events, phosd_now_ms(),
                              &wait_s);
    pthread_mutex_unlock(&work->project->mutex);
    if (taken) {
        work->tokens = events;
        return true;
    }
    phosd_reply_error(&work->exchange->reply, 429,
                      "more events than this key may send in a minute; "
                      "come back in %u s",
                      (unsigned)wait_s);
    work->exchange->reply.retry_after_s = wait_s;
    return false;
}

static void ingest_body(struct work *work, phos_str body)
{
    bool single = strcmp(work->route->path, "/api/ingest") == 0;
    int64_t received_us = phosd_wall_us();

    bool sound = phosd_batch_read(&work->batch, body, single, received_us);

    work->exchange->events = (uint32_t)work->batch.count;
    if (!sound) {
        refuse(work, 400, work->batch.error);
        return;
    }
    if (!take_tokens(work))
        return;
    work->write.events = work->batch.events;
    work->write.event_count = work->batch.count;
    work->write.received_us = received_us;
    work->write.bytes = body.length;
    work->write.done = ingest_done;
}

static void write_submit(struct work *work)
{
    work->write.project_id = work->project->id;
    work->write.user_data = work;
    phosd_store_write(work->routes->store, &work->write);
}

/* Feedback */

static void feedback_done(struct phosd_write *write)
{
    struct work *work = write->user_data;
    struct phosd_reply *reply = &work->exchange->reply;

    if (!failed(work, write->result, "event_id: unknown event")) {
        phosd_render_literal(&reply->body, "{\"event_id\":");
        phosd_render_id(&reply->body, work->feedback.feedback.event_id);
        phosd_render_literal(&reply->body, "}\n");
        reply->status = 201;
    }
    phosd_exchange_finish(work->exchange);
}

static void feedback_body(struct work *work, phos_str body)
{
    if (!phosd_feedback_read(&work->feedback, body)) {
        refuse(work, 400, work->feedback.error);
        return;
    }
    work->write.feedback = &work->feedback.feedback;
    work->write.received_us = phosd_wall_us();
    work->write.bytes = body.length;
    work->write.done = feedback_done;
}

/* Reading */

static void read_done(struct phosd_read *read)
{
    struct work *work = read->user_data;

    phosd_exchange_finish(work->exchange);
}

static void read_submit(struct work *work)
{
    work->read.user_data = work;
    work->read.done = read_done;
    phosd_store_read(work->routes->store, &work->read);
}

static bool add_event(const struct phosd_event_found *found, void *user_data)
{
    struct work *work = user_data;
    struct phos__buffer *body = &work->exchange->reply.body;

    if (work->any)
        phosd_render_literal(body, ",");
    work->any = true;
    phosd_render_event(body, found);
    return body->bytes < PAGE_BYTES_MAX && !body->failed;
}

static void end_list(struct work *work, int64_t total)
{
    char tail[64];

    snprintf(tail, sizeof(tail), "],\"total\":%lld}\n", (long long)total);
    phosd_render_literal(&work->exchange->reply.body, tail);
    work->exchange->reply.status = 200;
}

static void read_query(struct work *work, unsigned allowed, unsigned limit_max)
{
    char error[128];

    if (!phosd_query_read(work->query, allowed, limit_max, &work->filter, error,
                          sizeof(error)))
        refuse(work, 400, error);
}

static void events_run(struct phosd_reader *reader, struct phosd_read *read)
{
    struct work *work = read->user_data;
    int64_t total = 0;

    phosd_render_literal(&work->exchange->reply.body, "{\"events\":[");
    if (!failed(work,
                phosd_reader_events(reader, work->project->id, &work->filter,
                                    add_event, work, &total),
                ""))
        end_list(work, total);
}

static void events_body(struct work *work, phos_str body)
{
    (void)body;
    read_query(work,
               PHOSD_SESSION_ID | PHOSD_USER_ID | PHOSD_MODEL | PHOSD_FLAG |
                   PHOSD_TAG | PHOSD_FROM | PHOSD_TO | PHOSD_Q | PHOSD_LIMIT |
                   PHOSD_OFFSET,
               PHOSD_LIMIT_MAX);
    work->read.run = events_run;
}

static void event_run(struct phosd_reader *reader, struct phosd_read *read)
{
    struct work *work = read->user_data;

    if (!failed(work,
                phosd_reader_event(reader, work->project->id, work->event_id,
                                   add_event, work),
                "unknown event")) {
        phosd_render_literal(&work->exchange->reply.body, "\n");
        work->exchange->reply.status = 200;
    }
}

static void event_body(struct work *work, phos_str body)
{
    (void)body;
    read_query(work, 0, PHOSD_LIMIT_MAX);
    if (!phos__uuid_read(work->id, work->event_id))
        refuse(work, 400, "the event's id: expected a UUID");
    work->read.run = event_run;
}

static void add_session(const struct phosd_session_found *found,
                        void *user_data)
{
    struct work *work = user_data;
    struct phos__buffer *body = &work->exchange->reply.body;

    if (work->any)
        phosd_render_literal(body, ",");
    work->any = true;
    phosd_render_session(body, found);
    phosd_render_literal(body, "}");
}

static void sessions_run(struct phosd_reader *reader, struct phosd_read *read)
{
    struct work *work = read->user_data;
    int64_t total = 0;

    phosd_render_literal(&work->exchange->reply.body, "{\"sessions\":[");
    if (!failed(work,
                phosd_reader_sessions(reader, work->project->id, &work->filter,
                                      add_session, work, &total),
                ""))
        end_list(work, total);
}

static void sessions_body(struct work *work, phos_str body)
{
    (void)body;
    read_query(work,
               PHOSD_USER_ID | PHOSD_MODEL | PHOSD_FLAG | PHOSD_FROM |
                   PHOSD_TO | PHOSD_Q | PHOSD_LIMIT | PHOSD_OFFSET,
               PHOSD_LIMIT_MAX);
    work->read.run = sessions_run;
}

static void begin_session(const struct phosd_session_found *found,
                          void *user_data)
{
    struct work *work = user_data;

    phosd_render_session(&work->exchange->reply.body, found);
    phosd_render_literal(&work->exchange->reply.body, ",\"events\":[");
}

static void session_run(struct phosd_reader *reader, struct phosd_read *read)
{
    struct work *work = read->user_data;

    if (!failed(work,
                phosd_reader_session(reader, work->project->id, work->id,
                                     &work->filter, begin_session, add_event,
                                     work),
                "unknown session")) {
        phosd_render_literal(&work->exchange->reply.body, "]}\n");
        work->exchange->reply.status = 200;
    }
}

static void session_body(struct work *work, phos_str body)
{
    (void)body;
    read_query(work, PHOSD_LIMIT | PHOSD_OFFSET, SESSION_EVENTS_MAX);
    work->read.run = session_run;
}

/* Statistics */

static void begin_stats(const struct phosd_stats_range *range, void *user_data)
{
    phosd_stats_begin(user_data, range);
}

static void add_to_stats(const struct phosd_stats_row *row, void *user_data)
{
    phosd_stats_add(user_data, row);
}

static void stats_run(struct phosd_reader *reader, struct phosd_read *read)
{
    struct work *work = read->user_data;
    struct phosd_stats *stats = calloc(1, sizeof(*stats));

    if (!stats) {
        phosd_reply_busy(&work->exchange->reply, "out of memory");
        return;
    }
    phosd_stats_init(stats);
    if (!failed(work,
                phosd_reader_stats(reader, work->project->id, &work->filter,
                                   PHOSD_STATS_EVENTS_MAX, begin_stats,
                                   add_to_stats, stats),
                "")) {
        if (stats->failed) {
            phosd_reply_busy(&work->exchange->reply, "out of memory");
        } else {
            phosd_stats_render(stats, &work->exchange->reply.body);
            work->exchange->reply.status = 200;
        }
    }
    phosd_stats_deinit(stats);
    free(stats);
}

static void stats_body(struct work *work, phos_str body)
{
    (void)body;
    read_query(work, PHOSD_FROM | PHOSD_TO, PHOSD_LIMIT_MAX);
    work->read.run = stats_run;
}

static void healthz_body(struct work *work, phos_str body)
{
    (void)body;
    phosd_render_literal(&work->exchange->reply.body, "{\"status\":\"ok\"}\n");
    work->exchange->reply.status = 200;
}

/* The page */

static void page_body(struct work *work, phos_str body)
{
    struct phosd_reply *reply = &work->exchange->reply;

    (void)body;
    phos__buffer_append(&reply->body, work->file->data, work->file->bytes);
    reply->content_type = work->file->content_type;
    reply->page = true;
    reply->status = 200;
}

static const struct route page_route = { "/", "GET", true, page_body, NULL };

static void metrics_body(struct work *work, phos_str body)
{
    struct phosd_reply *reply = &work->exchange->reply;
    struct phosd_gauges gauges;

    (void)body;
    phosd_store_gauges(work->routes->store, &gauges);
    phosd_metrics_render(work->routes->metrics, &gauges, &reply->body);
    reply->content_type = phosd_metrics_type;
    reply->status = 200;
}

/* Which path is which */

static const char metrics_path[] = "/metrics";

static const struct route routes_table[] = {
    { "/api/ingest", "POST", false, ingest_body, write_submit },
    { "/api/ingest/batch", "POST", false, ingest_body, write_submit },
    { "/api/feedback", "POST", false, feedback_body, write_submit },
    { "/api/events", "GET", false, events_body, read_submit },
    { "/api/events/", "GET", false, event_body, read_submit },
    { "/api/sessions", "GET", false, sessions_body, read_submit },
    { "/api/sessions/", "GET", false, session_body, read_submit },
    { "/api/stats", "GET", false, stats_body, read_submit },
    { metrics_path, "GET", false, metrics_body, NULL },
    { "/healthz", "GET", true, healthz_body, NULL },
};

/* Paths are compared as they were sent, letter by letter: there is nothing to
 * canonicalise and so nothing to get around. Only an id is decoded. */
static const struct route *find_route(const char *path, char **ret_id)
{
    for (size_t i = 0; i < sizeof(routes_table) / sizeof(routes_table[0]);
         i++) {
        const struct route *route = &routes_table[i];
        size_t bytes = strlen(route->path);

        if (strcmp(path, route->path) == 0 && route->path[bytes - 1] != '/')
            return route;
        if (route->path[bytes - 1] == '/' &&
            strncmp(path, route->path, bytes) == 0 && path[bytes] != '\0' &&
            !strchr(path + bytes, '/')) {
            *ret_id = (char *)(uintptr_t)(path + bytes);
            return route;
        }
    }
    return NULL;
}

static bool is_method(const struct route *route, const char *method)
{
    return strcmp(method, route->method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

/* Sets the route and the id, or the reply. */
static void find(struct work *work, char *id)
{
    struct phosd_exchange *exchange = work->exchange;

    if (!is_method(work->route, exchange->method)) {
        phosd_reply_error(&exchange->reply, 405, "this path takes %s alone",
                          work->route->method);
        exchange->reply.allow =
            strcmp(work->route->method, "GET") == 0 ? "GET, HEAD" : "POST";
    } else if (id && !phosd_decode(id, false, &work->id)) {
        refuse(work, 400, "the path is not well encoded");
    }
}

static void check_key(struct work *work)
{
    phos_str key;

    if (work->route->open ||
        (work->routes->metrics_open && work->route->path == metrics_path))
        return;
    if (phosd_head_bearer(&work->exchange->head, &key))
        work->project = phosd_keys_find(work->routes->keys, key);
    if (work->project)
        work->exchange->project_id = work->project->id;
    else
        refuse(work, 401,
               "the key is missing or unknown; expected "
               "Authorization: Bearer <key>");
}

static bool is_gzip(const struct phosd_head *head)
{
    return phosd_text_equals(head->content_encoding, "gzip") ||
           phosd_text_equals(head->content_encoding, "x-gzip");
}

static void check_body_head(struct work *work)
{
    const struct phosd_head *head = &work->exchange->head;
    bool plain = head->content_encoding.length == 0 ||
                 phosd_text_equals(head->content_encoding, "identity");

    if (strcmp(work->route->method, "POST") != 0)
        return;
    if (!phosd_head_is_json(head))
        refuse(work, 415, "Content-Type: expected application/json");
    else if (!plain && !(is_gzip(head) && phosd_inflate_offered()))
        refuse(work, 415,
               phosd_inflate_offered()
                   ? "Content-Encoding: expected gzip or none"
                   : "Content-Encoding: expected none");
    else if (head->has_length &&
             head->content_length > work->routes->body_bytes_max)
        phosd_reply_error(&work->exchange->reply, 413,
                          "the body is larger than %zu bytes",
                          work->routes->body_bytes_max);
}

static void on_head(void *user_data, struct phosd_exchange *exchange)
{
    struct work *work = calloc(1, sizeof(*work));
    char *id = NULL;

    if (!work) {
        phosd_reply_busy(&exchange->reply, "out of memory");
        return;
    }
    work->routes = user_data;
    work->exchange = exchange;
    exchange->work = work;
    work->query = strchr(exchange->target, '?');
    if (work->query)
        *work->query++ = '\0';
    work->route = find_route(exchange->target, &id);
    if (!work->route) {
        work->file = phosd_page_find(exchange->target);
        if (work->file)
            work->route = &page_route;
    }
    if (!work->route) {
        if (exchange->target[0] == '/')
            refuse(work, 404, "there is nothing at this path");
        else
            refuse(work, 400, "expected a path that begins with /");
        return;
    }
    exchange->route = work->route->path;
    find(work, id);
    if (exchange->reply.status == 0)
        check_key(work);
    if (exchange->reply.status == 0)
        check_body_head(work);
}

static void on_body(void *user_data, struct phosd_exchange *exchange)
{
    const struct phosd_routes *routes = user_data;
    struct work *work = exchange->work;
    phos_str body =
        phos_str_make((const char *)exchange->body.data, exchange->body.bytes);
    struct phos__buffer plain;

    if (!is_gzip(&exchange->head) || strcmp(work->route->method, "POST") != 0) {
        work->route->body(work, body);
        return;
    }
    phosd_buffer_init(&plain);
    switch (phosd_inflate(body, routes->body_bytes_max, &plain)) {
    case PHOSD_INFLATED:
        work->route->body(work,
                          phos_str_make((const char *)plain.data, plain.bytes));
        break;
    case PHOSD_INFLATE_BROKEN:
        refuse(work, 400, "the body is not what gzip makes");
        break;
    case PHOSD_INFLATE_TOO_LARGE:
        phosd_reply_error(&exchange->reply, 413,
                          "the body is larger than %zu bytes",
                          routes->body_bytes_max);
        break;
    case PHOSD_INFLATE_NO_MEMORY:
        phosd_reply_busy(&exchange->reply, "out of memory");
        break;
    }
    phos__buffer_deinit(&plain);
}

static void on_submit(void *user_data, struct phosd_exchange *exchange)
{
    struct work *work = exchange->work;

    (void)user_data;
    work->route->submit(work);
}

static void on_answered(void *user_data, const struct phosd_exchange *exchange)
{
    const struct phosd_routes *routes = user_data;

    phosd_metrics_answered(routes->metrics, exchange);
    phosd_access_log_add(routes->access_log, exchange);
}

static void on_forget(void *user_data, struct phosd_exchange *exchange)
{
    struct work *work = exchange->work;

    (void)user_data;
    if (!work)
        return;
    phosd_batch_deinit(&work->batch);
    phosd_feedback_deinit(&work->feedback);
    free(work);
    exchange->work = NULL;
}

struct phosd_handler phosd_routes_handler(struct phosd_routes *routes)
{
    const struct phosd_handler handler = { on_head,     on_body,   on_submit,
                                           on_answered, on_forget, routes };

    return handler;
}
