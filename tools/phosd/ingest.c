#include "ingest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "raw.h"
#include "reply.h"
#include "wire/json_scan.h"
#include "wire/timestamp.h"
#include "wire/uuid.h"

/* Reals up to here hold every whole number. */
#define INTEGRAL_MAX 9007199254740991.0

/* Where in the body we are, for error messages. */
struct place {
    char *error;
    int index; /* of the event; -1: a single one */
};

static bool wrong(const struct place *place, const char *path,
                  const char *expected)
{
    if (place->index >= 0)
        snprintf(place->error, PHOSD_INGEST_ERROR_BYTES, "events[%d]%s%s: %s",
                 place->index, *path ? "." : "", path, expected);
    else
        snprintf(place->error, PHOSD_INGEST_ERROR_BYTES, "%s%s%s",
                 *path ? path : "", *path ? ": " : "", expected);
    return false;
}

/* Numbers beyond 64 bits are no reason to refuse metadata of the client's own;
 * they are read as reals then, and kept as they were written. */
static json_t *load(phos_str text, char *error)
{
    const char *data = text.data ? text.data : "";
    json_error_t why;
    json_t *root = json_loadb(data, text.length, JSON_ALLOW_NUL, &why);

    if (!root && json_error_code(&why) == json_error_numeric_overflow)
        root = json_loadb(data, text.length,
                          JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);
    if (!root)
        snprintf(error, PHOSD_INGEST_ERROR_BYTES,
                 "not JSON: line %d, column %d: %s", why.line, why.column,
                 why.text);
    return root;
}

static phos_str text_of(const json_t *value)
{
    return phos_str_make(json_string_value(value), json_string_length(value));
}

/* A missing member and null are the same. */
static json_t *member(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);

    return json_is_null(value) ? NULL : value;
}

static bool read_text(const json_t *object, const char *name, const char *path,
                      const struct place *place, bool required,
                      phos_str *ret_text)
{
    const json_t *value = member(object, name);

    if (!value)
        return !required || wrong(place, path, "required");
    if (!json_is_string(value))
        return wrong(place, path, "expected a string");
    *ret_text = text_of(value);
    return true;
}

static bool read_integer(const json_t *object, const char *name,
                         const char *path, const struct place *place,
                         int64_t *ret_integer)
{
    const json_t *value = member(object, name);
    double real;

    if (!value)
        return true;
    if (json_is_integer(value)) {
        *ret_integer = json_integer_value(value);
        return true;
    }
    /* In JSON 412.0 is 412 as well. */
    real = json_is_real(value) ? json_real_value(value) : NAN;
    if (!(fabs(real) <= INTEGRAL_MAX) || trunc(real) != real)
        return wrong(place, path, "expected an integer");
    *ret_integer = (int64_t)real;
    return true;
}

static bool check_tags(const json_t *metadata, const struct place *place,
                       struct phosd_event *event)
{
    const json_t *tags = member(metadata, "tags");
    char path[64];
    size_t index;
    json_t *tag;

    if (!tags)
        return true;
    if (!json_is_array(tags))
        return wrong(place, "metadata.tags", "expected an array of strings");
    json_array_foreach(tags, index, tag)
    {
        if (!json_is_string(tag)) {
            snprintf(path, sizeof(path), "metadata.tags[%zu]", index);
            return wrong(place, path, "expected a string");
        }
    }
    event->tag_count = json_array_size(tags);
    return true;
}

static bool read_metadata(const json_t *object, const struct place *place,
                          struct phosd_event *event)
{
    const json_t *metadata = member(object, "metadata");
    const json_t *cost;
    phos_str provider;
    int64_t latency_ms;

    if (!metadata)
        return true;
    if (!json_is_object(metadata))
        return wrong(place, "metadata", "expected an object");
    event->metadata = PHOS_STR("{}"); /* there is some */
    cost = member(metadata, "cost_cents");
    if (cost && !json_is_number(cost))
        return wrong(place, "metadata.cost_cents", "expected a number");
    event->cost_cents = json_number_value(cost);
    return read_text(metadata, "model", "metadata.model", place, false,
                     &event->model) &&
           read_text(metadata, "provider", "metadata.provider", place, false,
                     &provider) &&
           read_text(metadata, "user_id", "metadata.user_id", place, false,
                     &event->user_id) &&
           read_integer(metadata, "latency_ms", "metadata.latency_ms", place,
                        &latency_ms) &&
           read_integer(metadata, "token_count_input",
                        "metadata.token_count_input", place,
                        &event->token_count_input) &&
           read_integer(metadata, "token_count_output",
                        "metadata.token_count_output", place,
                        &event->token_count_output);
}

static void make_id(uint8_t id[16])
{
    /* Up to 256 bytes come whole and at once, once the system has started. */
    while (getrandom(id, 16, 0) != 16)
        continue;
    phos__uuid_v4_mark(id);
}

static bool read_id_and_time(const json_t *object, const struct place *place,
                             int64_t received_us, struct phosd_event *event)
{
    phos_str id = { NULL, 0 }, timestamp = { NULL, 0 };

    if (!read_text(object, "event_id", "event_id", place, false, &id) ||
        !read_text(object, "timestamp", "timestamp", place, false, &timestamp))
        return false;
    if (!id.data)
        make_id(event->id);
    else if (!phos__uuid_read(id, event->id))
        return wrong(place, "event_id", "expected a UUID");
    event->time_us = received_us;
    if (timestamp.data && !phos__timestamp_read(timestamp, &event->time_us))
        return wrong(place, "timestamp", "expected an ISO 8601 date and time");
    return true;
}

static bool read_event(const json_t *object, const struct place *place,
                       int64_t received_us, struct phosd_event *event)
{
    if (!json_is_object(object))
        return wrong(place, "", "expected an object");
    return read_text(object, "input", "input", place, true, &event->input) &&
           read_text(object, "output", "output", place, true, &event->output) &&
           read_text(object, "session_id", "session_id", place, false,
                     &event->session_id) &&
           read_id_and_time(object, place, received_us, event) &&
           read_metadata(object, place, event) &&
           check_tags(member(object, "metadata"), place, event);
}

static json_t *event_at(const struct phosd_batch *batch, bool single,
                        size_t index)
{
    if (single)
        return batch->root;
    return json_array_get(json_object_get(batch->root, "events"), index);
}

static bool read_events(struct phosd_batch *batch, bool single,
                        int64_t received_us)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct place place = { batch->error, single ? -1 : (int)i };

        if (!read_event(event_at(batch, single, i), &place, received_us,
                        &batch->events[i]))
            return false;
    }
    return true;
}

static void write_metadata(struct phosd_batch *batch, phos_str event,
                           size_t index)
{
    phos_str raw = phosd_raw_member(event, PHOS_STR("metadata"));
    size_t begin = batch->metadata.bytes;

    if (batch->events[index].metadata.data)
        phos__json_minify(&batch->metadata, raw);
    else
        phos__buffer_append_str(&batch->metadata, PHOS_STR("{}"));
    batch->events[index].metadata.length = batch->metadata.bytes - begin;
}

/* All metadata in one buffer, which moves while it grows: the views into it
 * are set when it is whole. */
static bool keep_metadata(struct phosd_batch *batch, phos_str body, bool single)
{
    phos_str events = phosd_raw_member(body, PHOS_STR("events"));
    phos_str event = body;
    size_t cursor = 0, at = 0;

    for (size_t i = 0; i < batch->count; i++)
        if (single || phosd_raw_next(events, &cursor, &event))
            write_metadata(batch, event, i);
    if (batch->metadata.failed)
        return false;
    for (size_t i = 0; i < batch->count; i++) {
        batch->events[i].metadata.data =
            (const char *)batch->metadata.data + at;
        at += batch->events[i].metadata.length;
    }
    return true;
}

static bool list_tags(struct phosd_batch *batch, bool single)
{
    size_t count = 0;
    phos_str *next;

    for (size_t i = 0; i < batch->count; i++)
        count += batch->events[i].tag_count;
    if (count == 0)
        return true;
    next = batch->tags = calloc(count, sizeof(*batch->tags));
    if (!next)
        return false;
    for (size_t i = 0; i < batch->count; i++) {
        const json_t *tags = json_object_get(
            json_object_get(event_at(batch, single, i), "metadata"), "tags");
        size_t index;
        json_t *tag;

        batch->events[i].tags = next;
        json_array_foreach(tags, index, tag) *next++ = text_of(tag);
    }
    return true;
}

static bool count_events(struct phosd_batch *batch)
{
    const json_t *events = json_object_get(batch->root, "events");
    const char *expected = NULL;

    batch->count = json_array_size(events);
    if (!json_is_object(batch->root))
        expected = "expected an object with events";
    else if (!json_is_array(events))
        expected = "events: expected an array of 1 to 100 events";
    else if (batch->count == 0)
        expected = "events: expected 1 to 100 events, got none";
    if (!expected && batch->count <= PHOSD_BATCH_EVENTS_MAX)
        return true;
    if (expected)
        snprintf(batch->error, sizeof(batch->error), "%s", expected);
    else
        snprintf(batch->error, sizeof(batch->error),
                 "events: expected 1 to 100 events, got %zu", batch->count);
    batch->count = 0;
    return false;
}

bool phosd_batch_read(struct phosd_batch *batch, phos_str body, bool single,
                      int64_t received_us)
{
    memset(batch, 0, sizeof(*batch));
    phosd_buffer_init(&batch->metadata);
    batch->root = load(body, batch->error);
    if (!batch->root)
        return false;
    batch->count = 1;
    if (!single && !count_events(batch))
        return false;
    batch->events = calloc(batch->count, sizeof(*batch->events));
    if (!batch->events) {
        snprintf(batch->error, sizeof(batch->error), "out of memory");
        return false;
    }
    if (!read_events(batch, single, received_us))
        return false;
    if (!keep_metadata(batch, body, single) || !list_tags(batch, single)) {
        snprintf(batch->error, sizeof(batch->error), "out of memory");
        return false;
    }
    return true;
}

void phosd_batch_deinit(struct phosd_batch *batch)
{
    json_decref(batch->root);
    free(batch->events);
    free(batch->tags);
    phos__buffer_deinit(&batch->metadata);
}

bool phosd_feedback_read(struct phosd_feedback_body *body, phos_str text)
{
    const struct place place = { body->error, -1 };
    phos_str id = { NULL, 0 };

    memset(body, 0, sizeof(*body));
    body->feedback.source = PHOS_STR("user");
    body->root = load(text, body->error);
    if (!body->root)
        return false;
    if (!json_is_object(body->root))
        return wrong(&place, "", "expected an object");
    if (!read_text(body->root, "event_id", "event_id", &place, true, &id))
        return false;
    if (!phos__uuid_read(id, body->feedback.event_id))
        return wrong(&place, "event_id", "expected a UUID");
    if (!read_text(body->root, "flag", "flag", &place, true,
                   &body->feedback.flag))
        return false;
    if (body->feedback.flag.length == 0)
        return wrong(&place, "flag", "expected a text that is not empty");
    return read_text(body->root, "comment", "comment", &place, false,
                     &body->feedback.comment) &&
           read_text(body->root, "source", "source", &place, false,
                     &body->feedback.source);
}

void phosd_feedback_deinit(struct phosd_feedback_body *body)
{
    json_decref(body->root);
}
