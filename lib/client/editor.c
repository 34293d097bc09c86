#include "client/editor.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "wire/json_scan.h"

bool phos__editor_init(struct phos__editor *editor,
                       const struct phos__editor_options *options,
                       const phos_allocator *allocator)
{
    memset(editor, 0, sizeof(*editor));
    editor->options = *options;
    if (!options->before_send)
        return true;
    editor->page = phos__alloc(allocator, options->event_bytes_max);
    return editor->page != NULL;
}

void phos__editor_deinit(struct phos__editor *editor,
                         const phos_allocator *allocator)
{
    if (editor->page)
        phos__free(allocator, editor->page);
    editor->page = NULL;
}

/* ---- from the record ---- */

static void unpack_tags(struct phos__editor *editor, phos_str packed,
                        phos_event *event)
{
    size_t cursor = 0;

    event->tags = editor->tags;
    while (
        event->tag_count < PHOS__EDITOR_LIST_MAX &&
        phos__record_next_tag(packed, &cursor, &editor->tags[event->tag_count]))
        event->tag_count++;
}

static void unpack_pairs(struct phos__editor *editor, phos_str packed,
                         phos_event *event)
{
    size_t cursor = 0;

    event->pairs = editor->pairs;
    while (event->pair_count < PHOS__EDITOR_LIST_MAX &&
           phos__record_next_pair(packed, &cursor,
                                  &editor->pairs[event->pair_count]))
        event->pair_count++;
}

static void unpack_numbers(const struct phos__record_view *view,
                           phos_event *event)
{
    if (view->has_timestamp)
        event->timestamp_us = view->timestamp_us;
    if (view->has_latency_ms)
        event->latency_ms = view->latency_ms;
    if (view->has_token_count_input)
        event->token_count_input = view->token_count_input;
    if (view->has_token_count_output)
        event->token_count_output = view->token_count_output;
    if (view->has_cost_cents)
        event->cost_cents = view->cost_cents;
}

static phos_event unpack(struct phos__editor *editor,
                         const struct phos__record_view *view)
{
    phos_event event = phos_event_default();

    event.input = view->input;
    event.output = view->output;
    event.session_id = view->session_id;
    event.project_id = view->project_id;
    event.model = view->model;
    event.provider = view->provider;
    event.user_id = view->user_id;
    event.traceparent = view->traceparent;
    unpack_numbers(view, &event);
    unpack_tags(editor, view->tags, &event);
    unpack_pairs(editor, view->pairs, &event);
    /* Its owner may have changed it while the log call copied: then it is left
     * out, as it would be of the JSON, and the edit is not to blame. */
    if (view->metadata_json.data && phos__json_is_object(view->metadata_json))
        event.metadata_json = view->metadata_json;
    event.cookie = view->cookie;
    return event;
}

/* ---- onto the page ---- */

void phos__editor_run(struct phos__editor *editor,
                      const struct phos__record_view *view,
                      const uint8_t id[16], uint64_t time_us)
{
    const struct phos__editor_options *options = &editor->options;
    phos_event event = unpack(editor, view);
    struct phos__record_plan plan;
    phos_event_id event_id;

    assert(!editor->is_held);
    memcpy(event_id.bytes, id, sizeof(event_id.bytes));
    event.event_id = &event_id;
    editor->is_held = true;
    editor->status = PHOS_OK;
    editor->is_unwanted = !options->before_send(&event, options->user_data);
    if (editor->is_unwanted)
        return;

    /* Its identity is not the application's to change: the record keeps an id
     * only where the application chose it. */
    memcpy(event_id.bytes, id, sizeof(event_id.bytes));
    event.event_id = view->has_event_id ? &event_id : NULL;
    event.cookie = view->cookie;
    event.struct_size = sizeof(event);
    editor->status = phos__record_plan_edited(
        &event, view, options->event_bytes_max,
        options->oversize == PHOS_OVERSIZE_TRUNCATE, &plan);
    editor->is_unwanted = editor->status != PHOS_OK;
    if (editor->is_unwanted)
        return;
    phos__record_write(&event, &plan, time_us, editor->page);
    editor->bytes = (uint32_t)plan.bytes;
}
