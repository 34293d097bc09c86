/*
 * routes_write - the routes that store: events and feedback.
 */
#include "routes_internal.h"

#include <stdio.h>
#include <string.h>

#include "now.h"
#include "render.h"

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
    if (phosd_work_failed(work, write->result, "unknown event"))
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

void phosd_ingest_body(struct work *work, phos_str body)
{
    bool single = strcmp(work->route->path, "/api/ingest") == 0;
    int64_t received_us = phosd_wall_us();

    bool sound = phosd_batch_read(&work->batch, body, single, received_us);

    work->exchange->events = (uint32_t)work->batch.count;
    if (!sound) {
        phosd_work_refuse(work, 400, work->batch.error);
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

void phosd_write_submit(struct work *work)
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

    if (!phosd_work_failed(work, write->result, "event_id: unknown event")) {
        phosd_render_literal(&reply->body, "{\"event_id\":");
        phosd_render_id(&reply->body, work->feedback.feedback.event_id);
        phosd_render_literal(&reply->body, "}\n");
        reply->status = 201;
    }
    phosd_exchange_finish(work->exchange);
}

void phosd_judgement_body(struct work *work, phos_str body)
{
    if (!phosd_feedback_read(&work->feedback, body)) {
        phosd_work_refuse(work, 400, work->feedback.error);
        return;
    }
    work->write.feedback = &work->feedback.feedback;
    work->write.received_us = phosd_wall_us();
    work->write.bytes = body.length;
    work->write.done = feedback_done;
}
