#include "render.h"

#include <math.h>

#include "wire/json.h"
#include "wire/timestamp.h"
#include "wire/uuid.h"

void phosd_render_literal(struct phos__buffer *buffer, const char *text)
{
    phos__buffer_append(buffer, text, strlen(text));
}

void phosd_render_id(struct phos__buffer *buffer, const uint8_t id[16])
{
    char text[PHOS_EVENT_ID_TEXT_LENGTH];

    phos__uuid_write(id, text);
    phosd_render_literal(buffer, "\"");
    phos__buffer_append(buffer, text, sizeof(text));
    phosd_render_literal(buffer, "\"");
}

static void text(struct phos__buffer *buffer, const char *name, phos_str value)
{
    phosd_render_literal(buffer, name);
    if (value.data)
        phos__json_text(buffer, value);
    else
        phosd_render_literal(buffer, "null");
}

void phosd_render_time(struct phos__buffer *buffer, const char *name,
                       int64_t time_us)
{
    char value[PHOS__TIMESTAMP_LENGTH];

    phos__timestamp_write(time_us > 0 ? (uint64_t)time_us : 0, value);
    phosd_render_literal(buffer, name);
    phosd_render_literal(buffer, "\"");
    phos__buffer_append(buffer, value, sizeof(value));
    phosd_render_literal(buffer, "\"");
}

static void integer(struct phos__buffer *buffer, const char *name,
                    int64_t value)
{
    phosd_render_literal(buffer, name);
    phos__json_i64(buffer, value);
}

void phosd_render_event(struct phos__buffer *buffer,
                        const struct phosd_event_found *found)
{
    phosd_render_literal(buffer, "{\"event_id\":");
    phosd_render_id(buffer, found->event.id);
    text(buffer, ",\"session_id\":", found->event.session_id);
    text(buffer, ",\"input\":", found->event.input);
    text(buffer, ",\"output\":", found->event.output);
    phosd_render_literal(buffer, ",\"metadata\":");
    phos__buffer_append_str(buffer, found->event.metadata);
    phosd_render_time(buffer, ",\"timestamp\":", found->event.time_us);
    phosd_render_time(buffer, ",\"received_at\":", found->received_us);
    if (found->flag.data) {
        text(buffer, ",\"feedback\":{\"flag\":", found->flag);
        text(buffer, ",\"comment\":", found->comment);
        text(buffer, ",\"source\":", found->source);
        phosd_render_literal(buffer, "}");
    }
    phosd_render_literal(buffer, "}");
}

static void real(struct phos__buffer *buffer, const char *name, double value)
{
    phosd_render_literal(buffer, name);
    if (isfinite(value))
        phos__json_double(buffer, value);
    else
        phosd_render_literal(buffer, "null");
}

void phosd_render_session(struct phos__buffer *buffer,
                          const struct phosd_session_found *found)
{
    int64_t judged = found->success_count + found->failure_count;

    text(buffer, "{\"session_id\":", found->session_id);
    text(buffer, ",\"user_id\":", found->user_id);
    text(buffer, ",\"first_input\":", found->first_input);
    phosd_render_literal(buffer, found->by_user
                                     ? ",\"grouped_by\":\"user_id\""
                                     : ",\"grouped_by\":\"session_id\"");
    phosd_render_time(buffer, ",\"started_at\":", found->started_us);
    phosd_render_time(buffer, ",\"ended_at\":", found->ended_us);
    integer(buffer,
            ",\"duration_ms\":", (found->ended_us - found->started_us) / 1000);
    integer(buffer, ",\"event_count\":", found->event_count);
    integer(buffer, ",\"token_count_input\":", found->token_count_input);
    integer(buffer, ",\"token_count_output\":", found->token_count_output);
    real(buffer, ",\"cost_cents\":", found->cost_cents);
    integer(buffer, ",\"success_count\":", found->success_count);
    integer(buffer, ",\"failure_count\":", found->failure_count);
    phosd_render_literal(buffer, ",\"success_rate\":");
    if (judged > 0)
        real(buffer, "", (double)found->success_count / (double)judged);
    else
        phosd_render_literal(buffer, "null");
}
