/*
 * How a pipeline reads its ring: records become events of the machine and, at
 * once, JSON at the end of the body under construction.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/saturate.h"
#include "client/pipeline_state.h"
#include "wire/feedback_record.h"
#include "wire/record.h"

/* In place with one store, so a successor finds either form whole. */
void phos__pipeline_fix_time(struct phos__pipeline *pipeline, uint8_t *record,
                             uint64_t *ret_time_us, uint64_t *ret_logged_us)
{
    uint64_t time = phos__record_time(record);
    uint64_t age_us;

    if (time & PHOS__TIME_RAW) {
        age_us = phos__timebase_age_us(&pipeline->timebase, time);
        time = phos__sub_sat_u64(pipeline->timebase.wall_us, age_us);
        memcpy(record, &time, sizeof(time));
    } else {
        age_us = phos__sub_sat_u64(pipeline->timebase.wall_us, time);
    }
    *ret_time_us = time;
    *ret_logged_us = phos__sub_sat_u64(phos__pipeline_now_us(pipeline), age_us);
}

static void describe(struct phos__pipeline *pipeline,
                     const struct phos__ring_item *item,
                     struct phos__held_event *event,
                     struct phos__record_view *view,
                     struct phos__arrival *arrival)
{
    memset(event, 0, sizeof(*event));
    memset(arrival, 0, sizeof(*arrival));
    event->record = item->record;
    event->record_bytes = item->bytes;
    arrival->position = item->position;
    arrival->record_bytes = item->bytes + PHOS__RING_STAMP_BYTES;
    if (phos__record_read(item->record, item->bytes, view)) {
        phos__pipeline_fix_time(pipeline, event->record, &event->time_us,
                                &event->logged_us);
        /* Meanwhile somebody may have set the clock. */
        if (pipeline->waiting_logged_us)
            event->logged_us = pipeline->waiting_logged_us;
        pipeline->waiting_logged_us = 0;
        arrival->cookie = view->cookie;
        arrival->id_is_chosen = view->has_event_id;
    } else {
        arrival->is_damaged = true;
        event->logged_us = phos__pipeline_now_us(pipeline);
    }
    if (arrival->id_is_chosen)
        memcpy(event->id, view->event_id, 16);
    else
        phos__ring_event_id(pipeline->ring, item->position, event->id);
    arrival->logged_ms = event->logged_us / 1000;
    memcpy(arrival->id, event->id, 16);
}

static bool next_item(struct phos__pipeline *pipeline,
                      struct phos__ring_item *item)
{
    if (pipeline->has_waiting_item) {
        *item = pipeline->waiting_item;
        pipeline->has_waiting_item = false;
        return true;
    }
    return phos__ring_read(&pipeline->reader, pipeline->now_ms, item);
}

/* ---- what the application makes of it ---- */

/* Gives what is on the page its place: the ring's, where it fits, else memory
 * of its own, inside the ceiling for parked records. false: none now. */
static bool place(struct phos__pipeline *pipeline,
                  const struct phos__ring_item *item,
                  struct phos__held_event *event, struct phos__arrival *arrival)
{
    const struct phos__editor *editor = &pipeline->editor;
    uint32_t ring_bytes = editor->bytes + PHOS__RING_STAMP_BYTES;

    if (editor->bytes > item->bytes) {
        if (!phos__delivery_may_park(pipeline->delivery, ring_bytes))
            return false;
        event->record = phos__alloc(&pipeline->allocator, editor->bytes);
        if (!event->record)
            return false;
        event->is_parked = true;
        arrival->is_parked = true;
        arrival->record_bytes = ring_bytes;
    }
    memcpy(event->record, editor->page, editor->bytes);
    event->record_bytes = editor->bytes;
    return true;
}

/* Shows the event, once, and puts what is left of it in its place. false: no
 * memory for it now; as it was it must not go on. */
static bool edit(struct phos__pipeline *pipeline,
                 const struct phos__ring_item *item,
                 struct phos__held_event *event, struct phos__record_view *view,
                 struct phos__arrival *arrival)
{
    struct phos__editor *editor = &pipeline->editor;

    if (!editor->is_held) {
        phos__editor_run(editor, view, event->id, event->time_us);
        pipeline->broken_edits += editor->status != PHOS_OK;
    }
    arrival->is_unwanted = editor->is_unwanted;
    if (editor->is_unwanted)
        return true;
    return place(pipeline, item, event, arrival) &&
           phos__record_read(event->record, event->record_bytes, view);
}

/* Writes the event behind those that are staged. false: no memory now. */
static bool stage(struct phos__pipeline *pipeline,
                  struct phos__held_event *event,
                  const struct phos__record_view *view,
                  struct phos__arrival *arrival)
{
    phos__stage_begin(&pipeline->stage);
    phos__pipeline_append_view(pipeline, event, view, &pipeline->stage.body);
    arrival->json_bytes = (uint32_t)phos__stage_end(&pipeline->stage);
    event->is_staged = arrival->json_bytes > 0;
    return event->is_staged;
}

static bool edit_and_stage(struct phos__pipeline *pipeline,
                           const struct phos__ring_item *item,
                           struct phos__held_event *event,
                           struct phos__record_view *view,
                           struct phos__arrival *arrival)
{
    if (arrival->is_damaged)
        return true;
    if (pipeline->editor.page && !edit(pipeline, item, event, view, arrival))
        return false;
    if (arrival->is_unwanted || stage(pipeline, event, view, arrival))
        return true;
    if (event->is_parked) /* made again from the page */
        phos__free(&pipeline->allocator, event->record);
    return false;
}

/* Tells a machine of one record; false: no memory now, it waits. */
static bool take(struct phos__pipeline *pipeline,
                 const struct phos__ring_item *item)
{
    struct phos__held_event event;
    struct phos__record_view view;
    struct phos__arrival arrival;
    uint32_t index;

    if (phos__feedback_record_is(item->record, item->bytes)) {
        phos__pipeline_take_feedback(pipeline, item);
        return true;
    }
    describe(pipeline, item, &event, &view, &arrival);
    if (!edit_and_stage(pipeline, item, &event, &view, &arrival)) {
        pipeline->waiting_item = *item;
        pipeline->has_waiting_item = true;
        pipeline->waiting_logged_us = event.logged_us;
        return false;
    }
    pipeline->editor.is_held = false;
    if (event.is_parked)
        phos__ring_finish(&pipeline->reader, item->position);
    index = phos__delivery_take(pipeline->delivery, pipeline->now_ms, &arrival);
    pipeline->events[index] = event;
    if (event.is_staged)
        phos__stage_name(&pipeline->stage, index);
    pipeline->rate_events++;
    return true;
}

/* A batch's worth is staged: it must leave before more is read. */
bool phos__pipeline_stage_is_due(const struct phos__pipeline *pipeline)
{
    return pipeline->stage.count >=
               pipeline->options.delivery.batch_events_max ||
           pipeline->stage.body.bytes >=
               pipeline->options.delivery.batch_bytes_max;
}

/* Reads until a batch is staged or nothing is left. Returns how many. */
uint32_t phos__pipeline_read_batch(struct phos__pipeline *pipeline)
{
    struct phos__ring_item item;
    uint32_t count = 0;

    while (!phos__pipeline_stage_is_due(pipeline) &&
           !phos__stage_is_full(&pipeline->stage) &&
           phos__delivery_room(pipeline->delivery) > 0 &&
           next_item(pipeline, &item)) {
        if (!take(pipeline, &item))
            break;
        count++;
    }
    if (count > 0) {
        pipeline->last_read_ms = pipeline->now_ms;
        phos__delivery_read_to(pipeline->delivery, pipeline->reader.read);
    }
    return count;
}

uint64_t phos__pipeline_read_below(const struct phos__pipeline *pipeline)
{
    uint64_t position = phos__ring_read_below(&pipeline->reader);

    if (pipeline->has_waiting_item &&
        (int64_t)(pipeline->waiting_item.position - position) < 0)
        position = pipeline->waiting_item.position;
    return position;
}

/* ---- at the end ---- */

/* Log calls that have claimed their place and not finished: the ring is
 * closed, nobody waits for them any more. Their bytes are not touched, so that
 * nobody knows whether one would have been feedback: they count as events. */
bool phos__pipeline_take_unfinished(struct phos__pipeline *pipeline)
{
    struct phos__arrival arrival = { .logged_ms = pipeline->now_ms };
    struct phos__held_event *event;

    if (!phos__ring_give_up_stalled(&pipeline->reader, &arrival.position))
        return false;
    phos__ring_event_id(pipeline->ring, arrival.position, arrival.id);
    event = &pipeline->events[phos__delivery_take(pipeline->delivery,
                                                  pipeline->now_ms, &arrival)];
    memset(event, 0, sizeof(*event));
    return true;
}

bool phos__pipeline_take_unsent(struct phos__pipeline *pipeline)
{
    struct phos__ring_item item;
    struct phos__held_event event;
    struct phos__record_view view;
    struct phos__arrival arrival;

    if (!next_item(pipeline, &item))
        return false;
    pipeline->editor.is_held = false;
    if (phos__feedback_record_is(item.record, item.bytes)) {
        phos__ring_finish(&pipeline->reader, item.position);
        phos__feedback_drop(pipeline->feedback, PHOS_REASON_CLOSED);
        return true;
    }
    describe(pipeline, &item, &event, &view, &arrival);
    pipeline->events[phos__delivery_take(pipeline->delivery, pipeline->now_ms,
                                         &arrival)] = event;
    return true;
}
