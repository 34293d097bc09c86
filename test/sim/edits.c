#include "sim/edits.h"

#include <string.h>

enum {
    TEXT_BYTES_MIN = 24,
    TEXT_BYTES_MAX = PLAN_RECORD_BYTES_MAX - 256 /* with all else it fits */
};

static struct event *find(struct checks *checks, uint64_t cookie)
{
    for (uint32_t i = checks->event_count; i > 0; i--)
        if (checks->events[i - 1].cookie == cookie)
            return &checks->events[i - 1];
    return NULL;
}

static bool is_as_it_should(struct checks *checks, const struct event *event,
                            const phos_event *shown)
{
    const char *why = NULL;

    if (!event)
        why = "it was never logged";
    else if (event->was_shown)
        why = "it was before";
    else if (event->json)
        why = "it was sent";
    else if (memcmp(event->id, shown->event_id->bytes, 16) != 0)
        why = "it has another id";
    else if (shown->input.length != event->text_bytes)
        why = "it has another text";
    if (why)
        world_fail(checks->world, "event %u is shown, but %s",
                   event ? event->number : 0, why);
    return !why;
}

bool edits_before_send(struct checks *checks, phos_event *shown, char *text)
{
    struct event *event = find(checks, shown->cookie);
    unsigned choice;

    if (!is_as_it_should(checks, event, shown))
        return true;
    event->was_shown = true;
    choice = (unsigned)(event->cookie >> 60);
    world_trace(checks->world, "event %llu is shown, choice %llu",
                event->number, choice, 0);
    if (choice < 2) {
        event->is_unwanted = true;
        shown->latency_ms = -1; /* broken */
        return choice == 1;
    }
    if (choice > 9)
        return true;
    event->text_bytes =
        choice < 6 ? event->text_bytes * 3 : event->text_bytes / 2;
    if (event->text_bytes > TEXT_BYTES_MAX)
        event->text_bytes = TEXT_BYTES_MAX;
    if (event->text_bytes < TEXT_BYTES_MIN)
        event->text_bytes = TEXT_BYTES_MIN;
    event->is_edited = true;
    checks_fill_event(text, event);
    shown->input = phos_str_make(text, event->text_bytes);
    return true;
}
