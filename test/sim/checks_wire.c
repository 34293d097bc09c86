/*
 * What the service saw: requests taken apart byte by byte, answers understood
 * a second time.
 */
#define _GNU_SOURCE

#include <string.h>

#include "sim/checks.h"

enum { POISON_SENDS_MAX = 20, PROBE_GAP_US_MAX = 60000000 };

/* Times inside the library are whole milliseconds. */
enum { GRAIN_US = 1000 };

static const char batch_begin[] = "{\"events\":[";
static const char event_begin[] = "{\"event_id\":\"";
static const char input_begin[] = "\"input\":\"#";

static uint64_t hash_of(phos_str text)
{
    uint64_t hash = text.length;

    for (size_t i = 0; i < text.length; i += 61)
        hash = (hash ^ (unsigned char)text.data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* ---- one event's JSON ---- */

/* Its bytes up to the brace that closes it; 0: it does not end. */
static size_t json_length(const char *text, size_t length)
{
    size_t depth = 0;

    for (size_t i = 0; i < length; i++) {
        char c = text[i];

        if (c == '"') {
            for (i++; i < length && text[i] != '"'; i++)
                if (text[i] == '\\')
                    i++;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

static bool has_id(const char *text, const uint8_t id[16])
{
    for (unsigned i = 0; i < 16; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
            return false;
        if (hex_digit(text[0]) != id[i] >> 4 ||
            hex_digit(text[1]) != (id[i] & 15))
            return false;
        text += 2;
    }
    return true;
}

/* The number in an event's input text; CHECKS_NONE: there is none. */
static uint32_t number_in(const char *text, size_t length)
{
    const char *input =
        memmem(text, length, input_begin, sizeof(input_begin) - 1);
    const char *end = text + length;
    uint32_t number = 0;

    if (!input)
        return CHECKS_NONE;
    input += sizeof(input_begin) - 1;
    while (input < end && *input >= '0' && *input <= '9' && number < 1000000)
        number = number * 10 + (uint32_t)(*input++ - '0');
    return input < end && *input == ';' ? number : CHECKS_NONE;
}

/* The texts are in it as they were logged. */
static bool has_text(const struct event *event, const char *json, size_t length)
{
    char text[PLAN_RECORD_BYTES_MAX];

    checks_fill_event(text, event);
    return memmem(json, length, text, event->text_bytes) != NULL;
}

static void keep_first(struct checks *checks, struct event *event,
                       const char *json, size_t length)
{
    if (!has_id(json + sizeof(event_begin) - 1, event->id))
        world_fail(checks->world, "event %u is sent under another id",
                   event->number);
    else if (checks->plan->edits && !event->was_shown)
        world_fail(checks->world, "event %u is sent unseen", event->number);
    else if (!has_text(event, json, length))
        world_fail(checks->world, "event %u is sent with other texts",
                   event->number);
    else if (checks->arena_used + length > CHECKS_ARENA_BYTES)
        world_fail(checks->world, "the arena of the checks is too small");
    if (checks->world->has_failed)
        return;
    event->json = memcpy(checks->arena + checks->arena_used, json, length);
    event->json_bytes = (uint32_t)length;
    checks->arena_used += length;
}

/* Returns the bytes of the event at the front of `text`; 0: failed. */
static size_t take_event(struct checks *checks, const char *text, size_t length,
                         uint32_t *ret_number)
{
    size_t bytes;
    uint32_t number;
    struct event *event;

    if (length < sizeof(event_begin) + 36 ||
        memcmp(text, event_begin, sizeof(event_begin) - 1) != 0) {
        world_fail(checks->world, "the body holds something else than events");
        return 0;
    }
    number = number_in(text, length);
    if (number >= checks->event_count) {
        world_fail(checks->world, "the body holds an event never logged");
        return 0;
    }
    event = &checks->events[number];
    if (!event->json) {
        bytes = json_length(text, length);
        if (bytes == 0)
            world_fail(checks->world, "event %u is cut", number);
        else
            keep_first(checks, event, text, bytes);
    } else if (length < event->json_bytes ||
               memcmp(text, event->json, event->json_bytes) != 0) {
        world_fail(checks->world,
                   "event %u is sent with other bytes than "
                   "before",
                   number);
    }
    *ret_number = number;
    return checks->world->has_failed ? 0 : event->json_bytes;
}

/* ---- a request ---- */

static void take_apart(struct checks *checks, phos_str body,
                       struct sent *ret_sent)
{
    const char *at = body.data, *end = body.data + body.length;
    size_t bytes;

    if (body.length < sizeof(batch_begin) + 2 ||
        memcmp(at, batch_begin, sizeof(batch_begin) - 1) != 0) {
        world_fail(checks->world, "the body is no batch");
        return;
    }
    at += sizeof(batch_begin) - 1;
    do {
        if (ret_sent->count == CHECKS_BATCH_MAX) {
            world_fail(checks->world, "more than 100 events in a request");
            return;
        }
        bytes = take_event(checks, at, (size_t)(end - at),
                           &ret_sent->events[ret_sent->count]);
        if (bytes == 0)
            return;
        ret_sent->count++;
        at += bytes;
    } while (at < end && *at++ == ',');
    if (end - at != 1 || at[-1] != ']' || at[0] != '}')
        world_fail(checks->world, "the body does not end as a batch");
}

static bool header_is(const phos_header *header, const char *name)
{
    return header->name.length == strlen(name) &&
           memcmp(header->name.data, name, header->name.length) == 0;
}

static void look_at_headers(struct checks *checks, const phos_request *request)
{
    bool has_key = false;

    for (size_t i = 0; i < request->header_count; i++) {
        const phos_header *header = &request->headers[i];

        if (header_is(header, "Authorization"))
            has_key = header->value.length > 7 &&
                      memcmp(header->value.data, "Bearer ", 7) == 0;
    }
    if (!has_key)
        world_fail(checks->world, "a request without key");
    if (request->method.length != 4 ||
        memcmp(request->method.data, "POST", 4) != 0)
        world_fail(checks->world, "a request that is no POST");
}

static void look_at_limits(struct checks *checks, const struct sent *sent)
{
    const struct phos__delivery_options *options = &checks->plan->delivery;

    if (checks->must_be_silent)
        world_fail(checks->world, "a request after the end");
    if (sent->count > options->batch_events_max)
        world_fail(checks->world, "%u events in a request", sent->count);
    if (sent->body_bytes > options->batch_bytes_max && sent->count > 1)
        world_fail(checks->world, "a body of %u bytes", sent->body_bytes);
    if (checks->under_way >= options->in_flight_max)
        world_fail(checks->world, "more than %u requests under way",
                   options->in_flight_max);
}

/* When a request may be made at all. */
static void look_at_time(struct checks *checks, struct sent *sent)
{
    uint64_t now_us = checks->world->now_us;

    if (now_us + GRAIN_US < checks->quiet_until_us)
        world_fail(checks->world, "a request %llu us before Retry-After",
                   (unsigned long long)(checks->quiet_until_us - now_us));
    if (checks->state == PHOS_STATE_RUNNING)
        return;
    sent->is_probe = true;
    if (checks->probes_under_way++ > 0)
        world_fail(checks->world, "two probes at a time");
    if (checks->state != PHOS_STATE_CONFIG)
        return;
    if (now_us + GRAIN_US < checks->next_probe_us)
        world_fail(checks->world, "a probe %llu us too early",
                   (unsigned long long)(checks->next_probe_us - now_us));
}

/* A bucket that holds a second's worth, but never less than a batch. */
static void look_at_pace(struct checks *checks, const struct sent *sent)
{
    const struct phos__delivery_options *options = &checks->plan->delivery;
    int64_t event = 60000000, rate = options->events_per_minute;
    int64_t room = rate / 60 > options->batch_events_max
                       ? event * (rate / 60)
                       : event * options->batch_events_max;

    if (!rate)
        return;
    checks->pace_tokens +=
        rate * (int64_t)(checks->world->now_us - checks->pace_at_us);
    checks->pace_at_us = checks->world->now_us;
    if (checks->pace_tokens > room)
        checks->pace_tokens = room;
    checks->pace_tokens -= event * (sent->given ? 1 : sent->count);
    if (checks->pace_tokens < -2 * GRAIN_US * rate)
        world_fail(checks->world, "faster than %u events a minute",
                   options->events_per_minute);
}

static void look_at_event(struct checks *checks, struct event *event)
{
    uint64_t now_us = checks->world->now_us;

    if (event->is_garbage)
        world_fail(checks->world, "event %u is sent, damaged", event->number);
    if (event->is_unfinished)
        world_fail(checks->world, "event %u is sent, unfinished",
                   event->number);
    if (event->receipts)
        world_fail(checks->world, "event %u is sent after its receipt",
                   event->number);
    if (event->under_way)
        world_fail(checks->world, "event %u is under way twice", event->number);
    if (event->last == ANSWER_DELIVERED)
        world_fail(checks->world, "event %u is sent although it has arrived",
                   event->number);
    if (now_us + GRAIN_US < event->not_before_us)
        world_fail(checks->world,
                   "event %u is sent %llu us before the "
                   "Retry-After of its batch",
                   event->number,
                   (unsigned long long)(event->not_before_us - now_us));
    event->under_way++;
    event->sends++;
    if (event->nature == NATURE_POISON && checks->plan->fault_count == 0 &&
        event->failures_beside > POISON_SENDS_MAX)
        world_fail(checks->world,
                   "poison is sent again after %u failures "
                   "beside successes",
                   event->failures_beside);
}

void checks_request(struct checks *checks, const phos_request *request,
                    struct sent *ret_sent)
{
    ret_sent->request = request;
    ret_sent->id = request->id;
    ret_sent->count = 0;
    ret_sent->body_bytes = (uint32_t)request->body.length;
    ret_sent->body_hash = hash_of(request->body);
    ret_sent->is_probe = false;
    if (++checks->requests == 2)
        checks->second_request_us = checks->world->now_us;

    ret_sent->given = NULL;
    if (feedback_is(request)) {
        ret_sent->given = feedback_request(&checks->feedback, request);
    } else {
        take_apart(checks, request->body, ret_sent);
        world_trace(checks->world, "request %llu: %llu events, %llu bytes",
                    request->id, ret_sent->count, ret_sent->body_bytes);
    }
    if (checks->world->has_failed)
        return;
    look_at_headers(checks, request);
    look_at_limits(checks, ret_sent);
    look_at_time(checks, ret_sent);
    look_at_pace(checks, ret_sent);
    for (uint32_t i = 0; i < ret_sent->count; i++)
        look_at_event(checks, &checks->events[ret_sent->events[i]]);
    checks->under_way++;
}

/* ---- an answer ---- */

static enum last_answer meaning_of_status(int status)
{
    static const int configuration[] = { 401, 403, 404, 405, 410,
                                         414, 415, 431, 501, 505 };

    for (size_t i = 0; i < sizeof(configuration) / sizeof(int); i++)
        if (status == configuration[i])
            return ANSWER_CONFIG;
    if (status == 429 || status == 503)
        return ANSWER_THROTTLED;
    if (status == 408 || status == 425 || status < 200 || status >= 500)
        return ANSWER_AGAIN;
    if (status == 413)
        return ANSWER_SMALLER;
    return status < 300   ? ANSWER_DELIVERED
           : status < 400 ? ANSWER_CONFIG
                          : ANSWER_SUSPECT;
}

static enum last_answer meaning(const struct answer *answer)
{
    switch (answer->exchange) {
    case PHOS_EXCHANGE_ANSWERED:
        return answer->is_html && answer->status < 300
                   ? ANSWER_CONFIG
                   : meaning_of_status(answer->status);
    case PHOS_EXCHANGE_STALLED:
        return ANSWER_SMALLER;
    case PHOS_EXCHANGE_REFUSED:
        return ANSWER_CONFIG;
    default:
        return ANSWER_AGAIN;
    }
}

static void land(struct checks *checks, const struct sent *sent)
{
    checks->under_way--;
    if (sent->is_probe)
        checks->probes_under_way--;
    for (uint32_t i = 0; i < sent->count; i++)
        checks->events[sent->events[i]].under_way--;
}

void checks_not_submitted(struct checks *checks, const struct sent *sent)
{
    world_trace(checks->world, "request %llu: submit fails", sent->id, 0, 0);
    land(checks, sent);
    if (sent->given)
        feedback_not_submitted(&checks->feedback, sent->given);
    for (uint32_t i = 0; i < sent->count; i++)
        checks->events[sent->events[i]].last = ANSWER_AGAIN;
}

static void note_probe(struct checks *checks, enum last_answer last)
{
    if (checks->state != PHOS_STATE_CONFIG || last == ANSWER_DELIVERED)
        return;
    checks->next_probe_us = checks->world->now_us + checks->probe_gap_us;
    checks->probe_gap_us *= 2;
    if (checks->probe_gap_us > PROBE_GAP_US_MAX)
        checks->probe_gap_us = PROBE_GAP_US_MAX;
}

static void note_answer(struct checks *checks, struct event *event,
                        enum last_answer last, uint64_t not_before_us,
                        bool was_alone)
{
    event->last = last;
    event->was_alone = was_alone;
    event->not_before_us = not_before_us;
    if (last == ANSWER_AGAIN && event->deliveries_seen != checks->deliveries)
        event->failures_beside++;
    event->deliveries_seen = checks->deliveries;
}

static bool holds_poison(const struct checks *checks, const struct sent *sent)
{
    for (uint32_t i = 0; i < sent->count; i++)
        if (checks->events[sent->events[i]].nature == NATURE_POISON)
            return true;
    return false;
}

void checks_answer(struct checks *checks, const struct sent *sent,
                   const struct answer *answer)
{
    enum last_answer last = meaning(answer);
    uint64_t not_before_us = 0;

    world_trace(checks->world, "request %llu ends: %llu, HTTP %llu", sent->id,
                (uint64_t)answer->exchange, (uint64_t)answer->status);
    if (hash_of(sent->request->body) != sent->body_hash)
        world_fail(checks->world, "a body that changes while it is sent");
    land(checks, sent);
    if (sent->given) {
        feedback_answer(&checks->feedback, sent->given, answer->exchange,
                        answer->status, answer->is_html,
                        answer->has_retry_after ? answer->retry_after_ms : 0);
        return;
    }
    checks->deliveries += last == ANSWER_DELIVERED;
    lines_answered(&checks->lines, last == ANSWER_DELIVERED,
                   answer->exchange == PHOS_EXCHANGE_CANCELLED);
    if (!holds_poison(checks, sent))
        checks->recent = checks->recent << 1 | (last == ANSWER_AGAIN);
    if (last != ANSWER_DELIVERED && answer->has_retry_after &&
        checks->world->now_us + answer->retry_after_ms * 1000 >
            checks->retry_after_us)
        checks->retry_after_us =
            checks->world->now_us + answer->retry_after_ms * 1000;
    if (answer->exchange == PHOS_EXCHANGE_ANSWERED && answer->has_retry_after &&
        (last == ANSWER_THROTTLED || last == ANSWER_AGAIN)) {
        not_before_us = checks->world->now_us + answer->retry_after_ms * 1000;
        if (checks->state == PHOS_STATE_OUTAGE &&
            not_before_us > checks->quiet_until_us)
            checks->quiet_until_us = not_before_us;
    }
    if (sent->is_probe)
        note_probe(checks, last);
    for (uint32_t i = 0; i < sent->count; i++) {
        enum last_answer own = (enum last_answer)answer->results[i];

        note_answer(checks, &checks->events[sent->events[i]],
                    last == ANSWER_DELIVERED && own != ANSWER_NONE ? own : last,
                    not_before_us, sent->count == 1);
    }
}
