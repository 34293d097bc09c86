#include "routes_internal.h"

#include <stdlib.h>
#include <string.h>

#include "access_log.h"
#include "inflate.h"
#include "query.h"
#include "render.h"

void phosd_work_refuse(struct work *work, unsigned status, const char *why)
{
    phosd_reply_error(&work->exchange->reply, status, "%s", why);
}

bool phosd_work_failed(struct work *work, enum phosd_result result,
                       const char *unknown)
{
    switch (result) {
    case PHOSD_STORED:
        return false;
    case PHOSD_NOT_FOUND:
        phosd_work_refuse(work, 404, unknown);
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
    { "/api/ingest", "POST", false, phosd_ingest_body, phosd_write_submit },
    { "/api/ingest/batch", "POST", false, phosd_ingest_body,
      phosd_write_submit },
    { "/api/feedback", "POST", false, phosd_judgement_body,
      phosd_write_submit },
    { "/api/events", "GET", false, phosd_events_body, phosd_read_submit },
    { "/api/events/", "GET", false, phosd_event_body, phosd_read_submit },
    { "/api/sessions", "GET", false, phosd_sessions_body, phosd_read_submit },
    { "/api/sessions/", "GET", false, phosd_session_body, phosd_read_submit },
    { "/api/stats", "GET", false, phosd_stats_body, phosd_read_submit },
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
        phosd_work_refuse(work, 400, "the path is not well encoded");
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
        phosd_work_refuse(work, 401,
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
        phosd_work_refuse(work, 415, "Content-Type: expected application/json");
    else if (!plain && !(is_gzip(head) && phosd_inflate_offered()))
        phosd_work_refuse(work, 415,
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
            phosd_work_refuse(work, 404, "there is nothing at this path");
        else
            phosd_work_refuse(work, 400, "expected a path that begins with /");
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
        phosd_work_refuse(work, 400, "the body is not what gzip makes");
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
