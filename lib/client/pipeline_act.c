/*
 * How a pipeline carries out what the machine wants: requests with their
 * bodies, parking, and what the application hears.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/histogram.h"
#include "base/saturate.h"
#include "client/pipeline_state.h"
#include "wire/batch.h"
#include "wire/json.h"

/* ---- what the application hears ---- */

void phos__pipeline_hand_out_receipts(struct phos__pipeline *pipeline)
{
    uint32_t count = pipeline->receipt_count;

    pipeline->receipt_count = 0;
    if (count > 0)
        pipeline->options.on_receipts(pipeline->receipts, count,
                                      pipeline->options.user_data);
}

static void keep_receipt(struct phos__pipeline *pipeline,
                         const phos_receipt *receipt)
{
    if (!pipeline->options.on_receipts)
        return;
    pipeline->receipts[pipeline->receipt_count++] = *receipt;
    if (pipeline->receipt_count == PHOS__RECEIPTS_MAX)
        phos__pipeline_hand_out_receipts(pipeline);
}

/* ---- records into JSON ---- */

void phos__pipeline_append_view(struct phos__pipeline *pipeline,
                                const struct phos__held_event *event,
                                const struct phos__record_view *view,
                                struct phos__buffer *body)
{
    phos__json_event(body, view, event->id, event->time_us,
                     pipeline->options.project_id);
}

static bool append_json(struct phos__pipeline *pipeline,
                        const struct phos__held_event *event,
                        struct phos__buffer *body)
{
    struct phos__record_view view;

    if (!phos__record_read(event->record, event->record_bytes, &view))
        return false;
    phos__pipeline_append_view(pipeline, event, &view, body);
    return true;
}

/* Forgets the staged bytes: they are made again from the records. */
void phos__pipeline_unstage_all(struct phos__pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->stage.count; i++)
        pipeline->events[pipeline->stage.events[i].event].is_staged = false;
    phos__stage_clear(&pipeline->stage);
}

static void unstage(struct phos__pipeline *pipeline, uint32_t event)
{
    struct phos__stage *stage = &pipeline->stage;

    if (!pipeline->events[event].is_staged)
        return;
    if (stage->count > 0 && stage->events[stage->count - 1].event == event)
        phos__stage_pop(stage);
    else
        phos__pipeline_unstage_all(pipeline);
    pipeline->events[event].is_staged = false;
}

/* ---- actions ---- */

static bool build_body(struct phos__pipeline *pipeline,
                       const struct phos__action *action,
                       struct phos__buffer *body)
{
    if (phos__stage_take(&pipeline->stage, action->events, action->event_count,
                         body)) {
        for (uint32_t i = 0; i < action->event_count; i++)
            pipeline->events[action->events[i]].is_staged = false;
        return true;
    }
    phos__buffer_clear(body);
    phos__batch_begin(body);
    for (uint32_t i = 0; i < action->event_count; i++) {
        phos__batch_next(body, i);
        if (!append_json(pipeline, &pipeline->events[action->events[i]], body))
            return false;
    }
    phos__batch_end(body);
    return !body->failed;
}

static void fill_request(struct phos__pipeline *pipeline,
                         struct phos__exchange *exchange, uint64_t id,
                         phos_str url)
{
    phos_request *request = &exchange->request;

    phos__credential_unref(exchange->credential);
    exchange->credential = phos__credential_ref(pipeline->credential);
    exchange->headers[0] =
        (phos_header){ PHOS_STR("Authorization"),
                       phos_str_make(exchange->credential->value,
                                     exchange->credential->length) };
    exchange->headers[1] =
        (phos_header){ PHOS_STR("Content-Type"), PHOS_STR("application/json") };
    exchange->headers[2] =
        (phos_header){ PHOS_STR("Accept"), PHOS_STR("application/json") };
    exchange->headers[3] =
        (phos_header){ PHOS_STR("User-Agent"), pipeline->options.user_agent };

    request->struct_size = sizeof(*request);
    request->id = id;
    request->method = PHOS_STR("POST");
    request->url = url;
    request->headers = exchange->headers;
    request->header_count = PHOS__EXCHANGE_HEADERS;
    request->body =
        phos_str_make((const char *)exchange->body.data, exchange->body.bytes);
    request->timeout_ms = pipeline->options.request_timeout_ms;
    request->reply_bytes_max = PHOS__EXCHANGE_REPLY_BYTES_MAX;
}

struct phos__exchange *
phos__pipeline_idle_exchange(struct phos__pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->options.delivery.in_flight_max; i++)
        if (!pipeline->exchanges[i].is_under_way)
            return &pipeline->exchanges[i];
    return NULL;
}

static void note_first_sends(struct phos__pipeline *pipeline,
                             const struct phos__action *action)
{
    phos_histogram *ages = &pipeline->published.stats.queue_age_ms;

    for (uint32_t i = 0; i < action->event_count; i++) {
        struct phos__held_event *event = &pipeline->events[action->events[i]];

        if (!event->was_sent)
            phos__histogram_add(
                ages, phos__sub_sat_u64(phos__pipeline_now_us(pipeline),
                                        event->logged_us) /
                          1000);
        event->was_sent = true;
    }
}

static void answer_not_sent(struct phos__pipeline *pipeline,
                            uint64_t request_id)
{
    const struct phos__answer answer = { .request_id = request_id,
                                         .exchange = PHOS_EXCHANGE_NOT_SENT };

    phos__delivery_answer(pipeline->delivery, pipeline->now_ms,
                          pipeline->options.ports.random.next(
                              pipeline->options.ports.random.self),
                          &answer);
    phos__pipeline_note_unsent(pipeline);
}

void phos__pipeline_submit(struct phos__pipeline *pipeline,
                           struct phos__exchange *exchange, uint64_t request_id,
                           phos_str url, bool is_repeat)
{
    const phos_transport *transport = pipeline->options.ports.transport;
    phos_status status;

    exchange->sent_us = phos__pipeline_now_us(pipeline);
    exchange->wall_s = (int64_t)(pipeline->timebase.wall_us / 1000000);
    fill_request(pipeline, exchange, request_id, url);
    pipeline->published.stats.requests++;
    pipeline->published.stats.retries += is_repeat;
    exchange->is_under_way = true;
    status = transport->submit(transport->user_data, &exchange->request,
                               phos__exchange_reply, exchange);
    if (status)
        phos__exchange_fail(exchange, status, phos_status_text(status));
}

static void send(struct phos__pipeline *pipeline,
                 const struct phos__action *action)
{
    struct phos__exchange *exchange = phos__pipeline_idle_exchange(pipeline);

    if (!exchange || !build_body(pipeline, action, &exchange->body)) {
        answer_not_sent(pipeline, action->request_id);
        return;
    }
    exchange->event_count = action->event_count;
    for (uint32_t i = 0; i < action->event_count; i++)
        memcpy(exchange->ids[i], pipeline->events[action->events[i]].id, 16);
    note_first_sends(pipeline, action);
    phos__pipeline_submit(pipeline, exchange, action->request_id,
                          pipeline->options.url, action->is_repeat);
}

void phos__pipeline_cancel(struct phos__pipeline *pipeline, uint64_t request_id)
{
    const phos_transport *transport = pipeline->options.ports.transport;

    for (uint32_t i = 0; i < pipeline->options.delivery.in_flight_max; i++) {
        struct phos__exchange *exchange = &pipeline->exchanges[i];

        if (exchange->is_under_way && exchange->request.id == request_id)
            transport->cancel(transport->user_data, request_id, exchange);
    }
}

static void park(struct phos__pipeline *pipeline,
                 const struct phos__action *action)
{
    struct phos__held_event *event = &pipeline->events[action->event];
    uint8_t *copy = phos__alloc(&pipeline->allocator, event->record_bytes);

    if (copy) {
        memcpy(copy, event->record, event->record_bytes);
        event->record = copy;
        event->is_parked = true;
        phos__ring_finish(&pipeline->reader, action->position);
    }
    phos__delivery_parked(pipeline->delivery, action->event, copy != NULL);
}

static void tell_refused(struct phos__pipeline *pipeline,
                         const struct phos__held_event *event,
                         const phos_receipt *receipt)
{
    struct phos__buffer json;

    if (!pipeline->options.on_refused ||
        receipt->outcome != PHOS_OUTCOME_REFUSED)
        return;
    phos__buffer_init(&json, &pipeline->allocator);
    if (append_json(pipeline, event, &json) && !json.failed)
        pipeline->options.on_refused(
            receipt, phos_str_make((const char *)json.data, json.bytes),
            pipeline->options.user_data);
    phos__buffer_deinit(&json);
}

static void conclude(struct phos__pipeline *pipeline,
                     const struct phos__action *action)
{
    struct phos__held_event *event = &pipeline->events[action->event];

    unstage(pipeline, action->event);
    if (action->receipt.outcome == PHOS_OUTCOME_REFUSED)
        pipeline->refused_status = action->receipt.http_status;
    tell_refused(pipeline, event, &action->receipt);
    keep_receipt(pipeline, &action->receipt);
    if (event->is_parked)
        phos__free(&pipeline->allocator, event->record);
    else if (event->record) /* else its producer may yet write */
        phos__ring_finish(&pipeline->reader, action->position);
    event->record = NULL;
    phos__feedback_event_ended(pipeline->feedback, pipeline->now_ms,
                               action->receipt.id.bytes,
                               action->receipt.outcome);
}

static bool act_on_events(struct phos__pipeline *pipeline)
{
    struct phos__action action;
    bool has_acted = false;

    while (phos__delivery_next(pipeline->delivery, pipeline->now_ms, &action)) {
        has_acted = true;
        switch (action.kind) {
        case PHOS__ACTION_SEND:
            send(pipeline, &action);
            break;
        case PHOS__ACTION_CANCEL:
            phos__pipeline_cancel(pipeline, action.request_id);
            break;
        case PHOS__ACTION_PARK:
            park(pipeline, &action);
            break;
        case PHOS__ACTION_VERDICT:
            conclude(pipeline, &action);
            break;
        case PHOS__ACTION_STATE:
            if (pipeline->options.on_state)
                pipeline->options.on_state(action.state,
                                           pipeline->options.user_data);
            break;
        }
    }
    return has_acted;
}

bool phos__pipeline_act(struct phos__pipeline *pipeline)
{
    bool has_acted = false, acts;

    /* A verdict sets feedback free, and the end of feedback a place for a
     * request. */
    do {
        acts = act_on_events(pipeline);
        acts |= phos__pipeline_act_on_feedback(pipeline);
        has_acted |= acts;
    } while (acts);
    return has_acted;
}
