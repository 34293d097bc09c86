/*
 * routes_read - the routes that ask: lists, single events and sessions, and
 * statistics.
 */
#include "routes_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "query.h"
#include "render.h"
#include "stats.h"
#include "wire/uuid.h"

/* A page ends early at this size: events may be megabytes long. */
enum { PAGE_BYTES_MAX = 32 << 20, SESSION_EVENTS_MAX = 1000 };

static void read_done(struct phosd_read *read)
{
    struct work *work = read->user_data;

    phosd_exchange_finish(work->exchange);
}

void phosd_read_submit(struct work *work)
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

static void end_list(struct work *work, const struct phosd_total *total)
{
    char tail[64];

    snprintf(tail, sizeof(tail), "],\"total\":%lld,\"exact\":%s}\n",
             (long long)total->count, total->exact ? "true" : "false");
    phosd_render_literal(&work->exchange->reply.body, tail);
    work->exchange->reply.status = 200;
}

static void read_query(struct work *work, unsigned allowed, unsigned limit_max)
{
    char error[128];

    if (!phosd_query_read(work->query, allowed, limit_max, &work->filter, error,
                          sizeof(error)))
        phosd_work_refuse(work, 400, error);
}

static void events_run(struct phosd_reader *reader, struct phosd_read *read)
{
    struct work *work = read->user_data;
    struct phosd_total total = { 0, true };

    phosd_render_literal(&work->exchange->reply.body, "{\"events\":[");
    if (!phosd_work_failed(work,
                           phosd_reader_events(reader, work->project->id,
                                               &work->filter, add_event, work,
                                               &total),
                           ""))
        end_list(work, &total);
}

void phosd_events_body(struct work *work, phos_str body)
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

    if (!phosd_work_failed(work,
                           phosd_reader_event(reader, work->project->id,
                                              work->event_id, add_event, work),
                           "unknown event")) {
        phosd_render_literal(&work->exchange->reply.body, "\n");
        work->exchange->reply.status = 200;
    }
}

void phosd_event_body(struct work *work, phos_str body)
{
    (void)body;
    read_query(work, 0, PHOSD_LIMIT_MAX);
    if (!phos__uuid_read(work->id, work->event_id))
        phosd_work_refuse(work, 400, "the event's id: expected a UUID");
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
    struct phosd_total total = { 0, true };

    phosd_render_literal(&work->exchange->reply.body, "{\"sessions\":[");
    if (!phosd_work_failed(work,
                           phosd_reader_sessions(reader, work->project->id,
                                                 &work->filter, add_session,
                                                 work, &total),
                           ""))
        end_list(work, &total);
}

void phosd_sessions_body(struct work *work, phos_str body)
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

    if (!phosd_work_failed(work,
                           phosd_reader_session(reader, work->project->id,
                                                work->id, &work->filter,
                                                begin_session, add_event, work),
                           "unknown session")) {
        phosd_render_literal(&work->exchange->reply.body, "]}\n");
        work->exchange->reply.status = 200;
    }
}

void phosd_session_body(struct work *work, phos_str body)
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

static void add_sum_to_stats(const struct phosd_stats_sum *sum, void *user_data)
{
    phosd_stats_add_sum(user_data, sum);
}

static void stats_run(struct phosd_reader *reader, struct phosd_read *read)
{
    struct work *work = read->user_data;
    struct phosd_stats *stats = calloc(1, sizeof(*stats));
    const struct phosd_stats_hearer hearer = { begin_stats, add_to_stats,
                                               add_sum_to_stats, stats };

    if (!stats) {
        phosd_reply_busy(&work->exchange->reply, "out of memory");
        return;
    }
    phosd_stats_init(stats);
    if (!phosd_work_failed(work,
                           phosd_reader_stats(reader, work->project->id,
                                              &work->filter,
                                              PHOSD_STATS_EVENTS_MAX, &hearer),
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

void phosd_stats_body(struct work *work, phos_str body)
{
    (void)body;
    read_query(work, PHOSD_FROM | PHOSD_TO, PHOSD_LIMIT_MAX);
    work->read.run = stats_run;
}
