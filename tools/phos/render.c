#include "render.h"

#include <stdlib.h>
#include <string.h>

#include "instant.h"
#include "reply.h"
#include "text.h"

/* Names of one value, likeliest first; only some are documented. */
#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static const char *or_dash(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : "-";
}

static void cell(FILE *out, const char *text, size_t columns)
{
    text_cell(out, text, strlen(text), columns);
    fputs("  ", out);
}

/* Ids are not cut: they are there to be copied. */
static void whole(FILE *out, const char *text)
{
    text_line(out, text, strlen(text), SIZE_MAX);
}

/* ISO 8601 text or Unix seconds, as "2025-01-31 09:30:00"; what is neither
 * stays as it is. */
static const char *time_of(const json_t *object, const char *const *names,
                           char buffer[INSTANT_TEXT_BYTES])
{
    const char *text = reply_text(object, names);
    double seconds;
    int64_t us;

    if (text != NULL && instant_read(text, strlen(text), &us)) {
        instant_write(us, buffer);
        return buffer;
    }
    if (text == NULL && reply_number(object, names, &seconds) && seconds >= 0 &&
        seconds < 253402300800.0) {
        instant_write((int64_t)(seconds * 1e6), buffer);
        return buffer;
    }
    return or_dash(text);
}

static const char *event_time(const json_t *event,
                              char buffer[INSTANT_TEXT_BYTES])
{
    return time_of(event, NAMES("timestamp", "created_at", "received_at"),
                   buffer);
}

static const char *count_of(const json_t *object, const char *const *names,
                            char buffer[TEXT_NUMBER_BYTES])
{
    double number;

    if (!reply_number(object, names, &number) || number < 0 ||
        number >= 9007199254740992.0)
        return "-";
    return text_count((uint64_t)(number + 0.5), buffer);
}

static const char *duration_of(const json_t *object, const char *const *names,
                               double unit_ms, char buffer[TEXT_NUMBER_BYTES])
{
    double number;

    if (!reply_number(object, names, &number) || number < 0 ||
        number * unit_ms >= 9007199254740992.0)
        return "-";
    return text_duration((uint64_t)(number * unit_ms + 0.5), buffer);
}

/* ---- events ---- */

static const char *flag_of(const json_t *event)
{
    const char *flag = reply_text(event, NAMES("flag"));

    if (flag == NULL)
        flag = reply_text(json_object_get(event, "feedback"), NAMES("flag"));
    return flag;
}

/* Above 1,000 as a whole number: %g would go over to powers of ten. */
static const char *cents_text(double cents, int digits,
                              char buffer[TEXT_NUMBER_BYTES])
{
    if (cents >= 1000.0 && cents < 9007199254740992.0)
        return text_count((uint64_t)(cents + 0.5), buffer);
    snprintf(buffer, TEXT_NUMBER_BYTES, "%.*g", digits, cents);
    return buffer;
}

/* "gpt-4 · acme · 850 ms · 12 + 40 tokens · 0.4 cents · success" on a line
 * that begins with `indent`; nothing when there are no facts. */
static void print_facts(FILE *out, const char *indent, const json_t *event)
{
    char buffer[TEXT_NUMBER_BYTES];
    const char *model = reply_text(event, NAMES("model"));
    const char *provider = reply_text(event, NAMES("provider"));
    const char *flag = flag_of(event);
    const char *gap = indent;
    double number;

    if (model != NULL) {
        fputs(gap, out);
        text_line(out, model, strlen(model), 40);
        gap = " \xc2\xb7 ";
    }
    if (provider != NULL) {
        fputs(gap, out);
        text_line(out, provider, strlen(provider), 40);
        gap = " \xc2\xb7 ";
    }
    if (reply_number(event, NAMES("latency_ms"), &number)) {
        fprintf(out, "%s%s", gap,
                duration_of(event, NAMES("latency_ms"), 1.0, buffer));
        gap = " \xc2\xb7 ";
    }
    if (reply_number(event, NAMES("token_count_input"), &number) ||
        reply_number(event, NAMES("token_count_output"), &number)) {
        fprintf(out, "%s%s + ", gap,
                count_of(event, NAMES("token_count_input"), buffer));
        fprintf(out, "%s tokens",
                count_of(event, NAMES("token_count_output"), buffer));
        gap = " \xc2\xb7 ";
    }
    if (reply_number(event, NAMES("cost_cents"), &number)) {
        fprintf(out, "%s%s cents", gap, cents_text(number, 6, buffer));
        gap = " \xc2\xb7 ";
    }
    if (flag != NULL) {
        fputs(gap, out);
        text_line(out, flag, strlen(flag), 20);
        gap = " \xc2\xb7 ";
    }
    if (gap != indent)
        fputc('\n', out);
}

/* "> How tall is K2?", on one line. */
static void print_preview(FILE *out, const char *mark, const char *text,
                          size_t columns)
{
    fputs(mark, out);
    text_line(out, text, strlen(text),
              columns > strlen(mark) + 8 ? columns - strlen(mark) : 8);
    fputc('\n', out);
}

void render_events(FILE *out, const json_t *events, size_t columns)
{
    const json_t *event;
    size_t i;

    json_array_foreach((json_t *)events, i, event)
    {
        char time[INSTANT_TEXT_BYTES];
        const char *session = reply_text(event, NAMES("session_id"));

        cell(out, event_time(event, time), 19);
        whole(out, or_dash(reply_text(event, NAMES("event_id", "id"))));
        if (session != NULL) {
            fputs("  ", out);
            whole(out, session);
        }
        fputc('\n', out);
        print_preview(out, "    > ", or_dash(reply_text(event, NAMES("input"))),
                      columns);
        print_preview(out, "    < ",
                      or_dash(reply_text(event, NAMES("output"))), columns);
        print_facts(out, "    ", event);
    }
}

static void field(FILE *out, const char *name, const char *text)
{
    if (text == NULL)
        return;
    fprintf(out, "%-10s", name);
    text_line(out, text, strlen(text), 200);
    fputc('\n', out);
}

static void print_json_member(FILE *out, const char *key, const json_t *value)
{
    char *json = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY |
                                       JSON_REAL_PRECISION(15));

    if (json == NULL)
        return;
    fputs("          ", out);
    text_line(out, key, strlen(key), 60);
    fputs(" = ", out);
    text_line(out, json, strlen(json), 200);
    fputc('\n', out);
    free(json);
}

/* What the facts above do not show. */
static void print_metadata(FILE *out, const json_t *metadata)
{
    static const char *const shown[] = {
        "model",      "provider",          "user_id",           "latency_ms",
        "cost_cents", "token_count_input", "token_count_output"
    };
    const char *gap = "metadata\n";
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)metadata, key, value)
    {
        bool is_shown = json_is_null(value);

        for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
            is_shown |= strcmp(key, shown[i]) == 0;
        if (is_shown)
            continue;
        fputs(gap, out);
        gap = "";
        print_json_member(out, key, value);
    }
}

static void print_side(FILE *out, const char *mark, const char *text,
                       const char *indent)
{
    fputs(mark, out);
    text_block(out, text, strlen(text), indent);
    fputc('\n', out);
}

void render_event(FILE *out, const json_t *event)
{
    char time[INSTANT_TEXT_BYTES];

    field(out, "event", reply_text(event, NAMES("event_id", "id")));
    field(out, "time", event_time(event, time));
    field(out, "session", reply_text(event, NAMES("session_id")));
    field(out, "user", reply_text(event, NAMES("user_id")));
    print_facts(out, "facts     ", event);
    print_metadata(out, json_object_get(event, "metadata"));
    fputc('\n', out);
    print_side(out, "> ", or_dash(reply_text(event, NAMES("input"))), "  ");
    print_side(out, "< ", or_dash(reply_text(event, NAMES("output"))), "  ");
}

/* ---- sessions ---- */

static const char *const start_names[] = { "started_at", "first_event_at",
                                           "start", "created_at", NULL };
static const char *const event_count_names[] = { "event_count", "events_count",
                                                 "count", NULL };

static const char *session_duration(const json_t *session,
                                    char buffer[TEXT_NUMBER_BYTES])
{
    double number;

    if (reply_number(session, NAMES("duration_ms"), &number))
        return duration_of(session, NAMES("duration_ms"), 1.0, buffer);
    return duration_of(session,
                       NAMES("duration_seconds", "duration_s", "duration"),
                       1000.0, buffer);
}

static const char *session_tokens(const json_t *session,
                                  char buffer[TEXT_NUMBER_BYTES])
{
    double input = 0, output = 0;

    if (strcmp(count_of(session, NAMES("tokens", "token_count", "total_tokens"),
                        buffer),
               "-") != 0)
        return buffer;
    if (!reply_number(session, NAMES("token_count_input"), &input) &&
        !reply_number(session, NAMES("token_count_output"), &output))
        return "-";
    reply_number(session, NAMES("token_count_output"), &output);
    if (input < 0 || output < 0 || input + output >= 9007199254740992.0)
        return "-";
    return text_count((uint64_t)(input + output), buffer);
}

static const char *session_cost(const json_t *session,
                                char buffer[TEXT_NUMBER_BYTES])
{
    double cents;

    if (!reply_number(session, NAMES("cost_cents", "total_cost_cents"), &cents))
        return "-";
    return cents_text(cents, 3, buffer);
}

static const char *session_success(const json_t *session,
                                   char buffer[TEXT_NUMBER_BYTES])
{
    double rate;

    if (!reply_number(session, NAMES("success_rate"), &rate) ||
        !(rate >= 0 && rate <= 1))
        return "-";
    snprintf(buffer, TEXT_NUMBER_BYTES, "%.0f %%", rate * 100.0);
    return buffer;
}

static const char *session_name(const json_t *session)
{
    return or_dash(reply_text(session, NAMES("session_id", "id")));
}

void render_sessions(FILE *out, const json_t *sessions)
{
    const json_t *session;
    size_t i;

    cell(out, "STARTED (UTC)", 19);
    cell(out, "LASTED", 10);
    cell(out, "EVENTS", 6);
    cell(out, "TOKENS", 7);
    cell(out, "CENTS", 8);
    cell(out, "SUCCESS", 7);
    fputs("SESSION\n", out);
    json_array_foreach((json_t *)sessions, i, session)
    {
        char time[INSTANT_TEXT_BYTES];
        char number[TEXT_NUMBER_BYTES];

        cell(out, time_of(session, start_names, time), 19);
        cell(out, session_duration(session, number), 10);
        cell(out, count_of(session, event_count_names, number), 6);
        cell(out, session_tokens(session, number), 7);
        cell(out, session_cost(session, number), 8);
        cell(out, session_success(session, number), 7);
        whole(out, session_name(session));
        fputc('\n', out);
    }
}

static void print_turn(FILE *out, const json_t *event)
{
    static const char indent[] = "            ";
    char buffer[INSTANT_TEXT_BYTES];
    const char *time = event_time(event, buffer);

    /* The day stands in the head; the turns show the time of day. */
    if (strlen(time) == 19)
        time += 11;
    cell(out, time, 8);
    print_side(out, "> ", or_dash(reply_text(event, NAMES("input"))), indent);
    print_side(out, "          < ", or_dash(reply_text(event, NAMES("output"))),
               indent);
    print_facts(out, indent, event);
}

void render_session(FILE *out, const json_t *session, const json_t *events)
{
    char time[INSTANT_TEXT_BYTES];
    char number[TEXT_NUMBER_BYTES];
    const char *text;
    const json_t *event;
    size_t i;

    fputs("session ", out);
    whole(out, session_name(session));
    text = count_of(session, event_count_names, number);
    fprintf(out, "\n%s %s, from ", text,
            strcmp(text, "1") == 0 ? "event" : "events");
    whole(out, time_of(session, start_names, time));
    fprintf(out, ", lasted %s", session_duration(session, number));
    fprintf(out, ", %s tokens", session_tokens(session, number));
    fprintf(out, ", %s cents", session_cost(session, number));
    fprintf(out, ", success %s\n\n", session_success(session, number));
    json_array_foreach((json_t *)events, i, event)
    {
        if (i > 0)
            fputc('\n', out);
        print_turn(out, event);
    }
}
