/*
 * How a pipeline carries feedback: out of the ring into the machine's table,
 * or, while that has no room, into a list that runs through the records where
 * they lie; and from there to the service. Events behind it in the ring go on.
 */
#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/saturate.h"
#include "client/pipeline_state.h"
#include "client/words.h"
#include "wire/feedback_record.h"

enum {
    TABLE_MAX = 512, /* pieces of feedback outside the ring */
    TABLE_SHARE = 8, /* of the ring's bytes that they may have, in all */
    RING_SHARE = 4,  /* that feedback inside the ring may hold back */
    MEMORY_NAP_MS = 10
};

static_assert(PHOS__RING_BYTES_MIN / TABLE_SHARE >=
                  PHOS__FEEDBACK_RECORD_BYTES_MAX,
              "the table has room for the largest record");

/* ---- the list in the ring, in the order of positions ---- */

static uint8_t *record_at(const struct phos__pipeline *pipeline,
                          uint64_t position)
{
    return (uint8_t *)(phos__ring_stamp_at(pipeline->ring, position) + 1);
}

static void enqueue(struct phos__pipeline *pipeline,
                    const struct phos__ring_item *item)
{
    struct phos__feedback_queue *queue = &pipeline->feedback_queue;
    uint64_t before = queue->last;

    if (queue->count++ == 0) {
        queue->first = queue->last = item->position;
        return;
    }
    if ((int64_t)(item->position - queue->first) < 0) {
        phos__feedback_record_set_link(item->record, queue->first);
        queue->first = item->position;
        return;
    }
    if ((int64_t)(item->position - queue->last) > 0)
        queue->last = item->position;
    else /* its call was stopped for a while */
        for (before = queue->first;;) {
            uint64_t next =
                phos__feedback_record_link(record_at(pipeline, before));

            if ((int64_t)(next - item->position) > 0) {
                phos__feedback_record_set_link(item->record, next);
                break;
            }
            before = next;
        }
    phos__feedback_record_set_link(record_at(pipeline, before), item->position);
}

/* The first one, which stays in the list. */
static struct phos__ring_item queued(const struct phos__pipeline *pipeline)
{
    const struct phos__feedback_queue *queue = &pipeline->feedback_queue;
    uint8_t *record = record_at(pipeline, queue->first);

    return (struct phos__ring_item){
        .position = queue->first,
        .record = record,
        .bytes = phos__feedback_record_bytes(record),
    };
}

static void dequeue(struct phos__pipeline *pipeline)
{
    struct phos__feedback_queue *queue = &pipeline->feedback_queue;

    queue->count--;
    queue->first =
        phos__feedback_record_link(record_at(pipeline, queue->first));
}

/* ---- from the ring into the table ---- */

/* Moves a record into the table; false: no room, or no memory now. */
static bool admit(struct phos__pipeline *pipeline,
                  const struct phos__ring_item *item)
{
    struct phos__feedback_arrival arrival = { .position = item->position };
    struct phos__feedback_view view;
    uint64_t time_us, logged_us;
    uint8_t *copy;
    uint32_t index;

    if (!phos__feedback_record_read(item->record, item->bytes, &view)) {
        phos__feedback_drop(pipeline->feedback, PHOS_REASON_DAMAGED);
        return true;
    }
    pipeline->feedback_lacks_memory = false;
    if (phos__feedback_room(pipeline->feedback) == 0 ||
        pipeline->feedback_bytes + item->bytes >
            pipeline->ring->bytes / TABLE_SHARE)
        return false;
    copy = phos__alloc(&pipeline->allocator, item->bytes);
    pipeline->feedback_lacks_memory = !copy;
    if (!copy)
        return false;
    phos__pipeline_fix_time(pipeline, item->record, &time_us, &logged_us);
    memcpy(copy, item->record, item->bytes);
    arrival.logged_ms = logged_us / 1000;
    memcpy(arrival.event_id, view.event_id, sizeof(arrival.event_id));
    index = phos__feedback_take(pipeline->feedback, pipeline->now_ms, &arrival);
    pipeline->held_feedback[index].record = copy;
    pipeline->held_feedback[index].bytes = item->bytes;
    pipeline->feedback_bytes += item->bytes;
    return true;
}

void phos__pipeline_take_feedback(struct phos__pipeline *pipeline,
                                  const struct phos__ring_item *item)
{
    struct phos__feedback_view view;
    bool is_damaged =
        !phos__feedback_record_read(item->record, item->bytes, &view);

    if ((pipeline->feedback_queue.count == 0 || is_damaged) &&
        admit(pipeline, item))
        phos__ring_finish(&pipeline->reader, item->position);
    else
        enqueue(pipeline, item);
}

static bool holds_back_too_much(const struct phos__pipeline *pipeline)
{
    uint64_t behind = pipeline->reader.read - pipeline->feedback_queue.first;

    return (int64_t)behind > (int64_t)(pipeline->ring->bytes / RING_SHARE);
}

/* What waits in the ring goes into the table, as far as there is room; and
 * what is in the way of events is given up. */
static void admit_queued(struct phos__pipeline *pipeline)
{
    while (pipeline->feedback_queue.count > 0) {
        struct phos__ring_item item = queued(pipeline);

        if (!admit(pipeline, &item)) {
            if (!holds_back_too_much(pipeline))
                return;
            phos__feedback_drop(pipeline->feedback, PHOS_REASON_CROWDED);
        }
        dequeue(pipeline);
        phos__ring_finish(&pipeline->reader, item.position);
    }
}

/* ---- actions ---- */

static void answer_not_sent(struct phos__pipeline *pipeline,
                            uint64_t request_id)
{
    const struct phos__answer answer = { .request_id = request_id,
                                         .exchange = PHOS_EXCHANGE_NOT_SENT };

    phos__feedback_answer(pipeline->feedback, pipeline->now_ms,
                          pipeline->options.ports.random.next(
                              pipeline->options.ports.random.self),
                          &answer);
}

static bool build_body(const struct phos__held_feedback *held,
                       struct phos__buffer *body)
{
    struct phos__feedback_view view;

    if (!phos__feedback_record_read(held->record, held->bytes, &view))
        return false;
    phos__buffer_clear(body);
    phos__feedback_record_json(body, &view);
    return !body->failed;
}

static void send(struct phos__pipeline *pipeline,
                 const struct phos__feedback_action *action)
{
    struct phos__exchange *exchange = phos__pipeline_idle_exchange(pipeline);

    if (!exchange ||
        !build_body(&pipeline->held_feedback[action->index], &exchange->body)) {
        answer_not_sent(pipeline, action->request_id);
        return;
    }
    exchange->event_count = 0;
    phos__pipeline_submit(pipeline, exchange, action->request_id,
                          pipeline->options.feedback_url, action->is_repeat);
}

static void end(struct phos__pipeline *pipeline, uint32_t index)
{
    struct phos__held_feedback *held = &pipeline->held_feedback[index];

    pipeline->feedback_bytes -= held->bytes;
    phos__free(&pipeline->allocator, held->record);
    held->record = NULL;
}

static void tell_state(struct phos__pipeline *pipeline,
                       const struct phos__feedback_action *action)
{
    phos_diagnostic diagnostic;

    if (!pipeline->options.on_diagnostic)
        return;
    phos__words_of_feedback(action->state, &pipeline->feedback_failure,
                            &diagnostic);
    pipeline->options.on_diagnostic(&diagnostic, pipeline->options.user_data);
}

bool phos__pipeline_act_on_feedback(struct phos__pipeline *pipeline)
{
    struct phos__feedback_action action;
    bool has_acted = false;

    admit_queued(pipeline);
    phos__feedback_read_to(pipeline->feedback,
                           phos__pipeline_read_below(pipeline));
    while (phos__feedback_next(pipeline->feedback, pipeline->now_ms, &action)) {
        has_acted = true;
        switch (action.kind) {
        case PHOS__FEEDBACK_SEND:
            send(pipeline, &action);
            break;
        case PHOS__FEEDBACK_CANCEL:
            phos__pipeline_cancel(pipeline, action.request_id);
            break;
        case PHOS__FEEDBACK_END:
            end(pipeline, action.index);
            break;
        case PHOS__FEEDBACK_STATE:
            tell_state(pipeline, &action);
            break;
        }
    }
    return has_acted;
}

void phos__pipeline_answer_feedback(struct phos__pipeline *pipeline,
                                    const struct phos__exchange *exchange)
{
    struct phos__random_port *random = &pipeline->options.ports.random;

    if (exchange->error.status)
        pipeline->feedback_failure = exchange->error;
    phos__feedback_answer(pipeline->feedback, pipeline->now_ms,
                          random->next(random->self), &exchange->answer);
}

/* ---- the rest ---- */

uint64_t phos__pipeline_feedback_due_ms(const struct phos__pipeline *pipeline)
{
    uint64_t due_ms = phos__feedback_due_ms(pipeline->feedback);

    if (pipeline->feedback_queue.count > 0 && pipeline->feedback_lacks_memory)
        due_ms = phos__min_u64(due_ms, pipeline->now_ms + MEMORY_NAP_MS);
    return due_ms;
}

phos_feedback_ledger
phos__pipeline_feedback_ledger(const struct phos__pipeline *pipeline)
{
    phos_feedback_ledger ledger = *phos__feedback_ledger(pipeline->feedback);

    ledger.accepted += pipeline->feedback_queue.count;
    ledger.pending += pipeline->feedback_queue.count;
    return ledger;
}

uint64_t phos__pipeline_oldest_feedback(const struct phos__pipeline *pipeline)
{
    const struct phos__feedback_queue *queue = &pipeline->feedback_queue;
    uint64_t oldest = phos__feedback_oldest(pipeline->feedback);

    if (queue->count > 0 &&
        (oldest == UINT64_MAX || (int64_t)(queue->first - oldest) < 0))
        oldest = queue->first;
    return oldest;
}

void phos__pipeline_give_up_feedback(struct phos__pipeline *pipeline)
{
    phos__feedback_give_up(pipeline->feedback);
    while (pipeline->feedback_queue.count > 0) {
        uint64_t position = pipeline->feedback_queue.first;

        dequeue(pipeline);
        phos__ring_finish(&pipeline->reader, position);
        phos__feedback_drop(pipeline->feedback, PHOS_REASON_CLOSED);
    }
}

bool phos__pipeline_make_feedback(struct phos__pipeline *pipeline)
{
    const struct phos__delivery_options *delivery = &pipeline->options.delivery;
    const struct phos__feedback_options options = {
        .capacity = TABLE_MAX,
        .in_flight_max = delivery->in_flight_max,
        .retry_base_ms = delivery->retry_base_ms,
        .retry_cap_ms = delivery->retry_cap_ms,
        .age_max_ms = delivery->age_max_ms,
        .random = delivery->random,
    };

    pipeline->held_feedback = phos__alloc_zeroed(
        &pipeline->allocator, TABLE_MAX, sizeof(*pipeline->held_feedback));
    return pipeline->held_feedback &&
           phos__feedback_create(&options, &pipeline->allocator,
                                 pipeline->delivery,
                                 &pipeline->feedback) == PHOS_OK;
}

void phos__pipeline_unmake_feedback(struct phos__pipeline *pipeline)
{
    if (pipeline->held_feedback)
        for (uint32_t i = 0; i < TABLE_MAX; i++)
            phos__free(&pipeline->allocator, pipeline->held_feedback[i].record);
    phos__free(&pipeline->allocator, pipeline->held_feedback);
    phos__feedback_destroy(pipeline->feedback);
}
