#include "wire/json.h"

#include "wire/json_scan.h"
#include "wire/json_text.h"
#include "wire/key_set.h"
#include "wire/number.h"
#include "wire/timestamp.h"
#include "wire/uuid.h"

/* A literal, copied without a call when there is room. */
#define PUT(buffer, literal) put(buffer, "" literal, sizeof("" literal) - 1)

static inline __attribute__((always_inline)) void
put(struct phos__buffer *buffer, const char *text, size_t bytes)
{
    if (buffer->capacity - buffer->bytes < bytes &&
        !phos__buffer_reserve(buffer, bytes))
        return;
    memcpy(buffer->data + buffer->bytes, text, bytes);
    buffer->bytes += bytes;
}

void phos__json_i64(struct phos__buffer *buffer, int64_t value)
{
    if (phos__buffer_reserve(buffer, PHOS__NUMBER_TEXT_MAX))
        buffer->bytes +=
            phos__number_write_i64(value, (char *)buffer->data + buffer->bytes);
}

void phos__json_double(struct phos__buffer *buffer, double value)
{
    if (phos__buffer_reserve(buffer, PHOS__NUMBER_TEXT_MAX))
        buffer->bytes += phos__number_write_double(value, (char *)buffer->data +
                                                              buffer->bytes);
}

/* ---- metadata ---- */

enum known {
    MODEL,
    PROVIDER,
    LATENCY_MS,
    TOKEN_COUNT_INPUT,
    TOKEN_COUNT_OUTPUT,
    COST_CENTS,
    USER_ID,
    TAGS,
    TRACEPARENT,
    TRUNCATED,
    INPUT_BYTES,
    OUTPUT_BYTES,
    KNOWN_COUNT
};

/* The keys of the typed fields, as they are written. */
static const phos_str known_keys[KNOWN_COUNT] = {
#define KEY(index, text) [index] = { text, sizeof(text) - 1 }
    KEY(MODEL, "\"model\""),
    KEY(PROVIDER, "\"provider\""),
    KEY(LATENCY_MS, "\"latency_ms\""),
    KEY(TOKEN_COUNT_INPUT, "\"token_count_input\""),
    KEY(TOKEN_COUNT_OUTPUT, "\"token_count_output\""),
    KEY(COST_CENTS, "\"cost_cents\""),
    KEY(USER_ID, "\"user_id\""),
    KEY(TAGS, "\"tags\""),
    KEY(TRACEPARENT, "\"traceparent\""),
    KEY(TRUNCATED, "\"phos_truncated\""),
    KEY(INPUT_BYTES, "\"phos_input_bytes\""),
    KEY(OUTPUT_BYTES, "\"phos_output_bytes\""),
#undef KEY
};

/* The object `metadata`, which begins with its first member. */
struct metadata {
    struct phos__buffer *buffer;
    const struct phos__record_view *view;
    unsigned known; /* a bit for each typed field that is in it */
    bool is_open;
};

static inline void next_member(struct metadata *metadata)
{
    if (metadata->is_open)
        PUT(metadata->buffer, ",");
    else
        PUT(metadata->buffer, ",\"metadata\":{");
    metadata->is_open = true;
}

static inline void next_known(struct metadata *metadata, enum known key)
{
    next_member(metadata);
    metadata->known |= 1u << key;
}

static void put_tags(struct phos__buffer *buffer, phos_str tags)
{
    size_t cursor = 0;
    bool is_first = true;
    phos_str tag;

    PUT(buffer, "[");
    while (phos__record_next_tag(tags, &cursor, &tag)) {
        if (!is_first)
            PUT(buffer, ",");
        is_first = false;
        phos__json_text(buffer, tag);
    }
    PUT(buffer, "]");
}

/* What tells of texts that were cut. */
static void put_cuts(struct metadata *metadata)
{
    const struct phos__record_view *view = metadata->view;
    struct phos__buffer *buffer = metadata->buffer;

    next_known(metadata, TRUNCATED);
    PUT(buffer, "\"phos_truncated\":true");
    if (view->has_input_was) {
        next_known(metadata, INPUT_BYTES);
        PUT(buffer, "\"phos_input_bytes\":");
        phos__json_i64(buffer, view->input_was);
    }
    if (view->has_output_was) {
        next_known(metadata, OUTPUT_BYTES);
        PUT(buffer, "\"phos_output_bytes\":");
        phos__json_i64(buffer, view->output_was);
    }
}

static void put_known(struct metadata *metadata)
{
    const struct phos__record_view *view = metadata->view;
    struct phos__buffer *buffer = metadata->buffer;

    if (view->model.data) {
        next_known(metadata, MODEL);
        PUT(buffer, "\"model\":");
        phos__json_text(buffer, view->model);
    }
    if (view->provider.data) {
        next_known(metadata, PROVIDER);
        PUT(buffer, "\"provider\":");
        phos__json_text(buffer, view->provider);
    }
    if (view->has_latency_ms) {
        next_known(metadata, LATENCY_MS);
        PUT(buffer, "\"latency_ms\":");
        phos__json_i64(buffer, view->latency_ms);
    }
    if (view->has_token_count_input) {
        next_known(metadata, TOKEN_COUNT_INPUT);
        PUT(buffer, "\"token_count_input\":");
        phos__json_i64(buffer, view->token_count_input);
    }
    if (view->has_token_count_output) {
        next_known(metadata, TOKEN_COUNT_OUTPUT);
        PUT(buffer, "\"token_count_output\":");
        phos__json_i64(buffer, view->token_count_output);
    }
    if (view->has_cost_cents) {
        next_known(metadata, COST_CENTS);
        PUT(buffer, "\"cost_cents\":");
        phos__json_double(buffer, view->cost_cents);
    }
    if (view->user_id.data) {
        next_known(metadata, USER_ID);
        PUT(buffer, "\"user_id\":");
        phos__json_text(buffer, view->user_id);
    }
    if (view->tags.length) {
        next_known(metadata, TAGS);
        PUT(buffer, "\"tags\":");
        put_tags(buffer, view->tags);
    }
    if (view->traceparent.data) {
        next_known(metadata, TRACEPARENT);
        PUT(buffer, "\"traceparent\":");
        phos__json_text(buffer, view->traceparent);
    }
    if (view->has_input_was || view->has_output_was)
        put_cuts(metadata);
}

/* Whether a written key (with its quotes) is that of a typed field in use. */
static bool is_known(const struct metadata *metadata, const uint8_t *key,
                     size_t length)
{
    for (unsigned i = 0; i < KNOWN_COUNT; i++)
        if (known_keys[i].length == length &&
            memcmp(known_keys[i].data, key, length) == 0)
            return metadata->known >> i & 1;
    return false;
}

/*
 * Writes a comma and a key; takes both back and returns false when the object
 * has that key already. Keys are compared as written, so that different
 * spellings of one key are one.
 */
static bool put_key(struct metadata *metadata, struct phos__key_set *keys,
                    phos_str key, bool is_raw)
{
    struct phos__buffer *buffer = metadata->buffer;
    struct metadata before = *metadata;
    size_t bytes_before = buffer->bytes, offset;

    next_member(metadata);
    offset = buffer->bytes;
    if (is_raw)
        phos__json_raw_text(buffer, key);
    else
        phos__json_text(buffer, key);
    if (buffer->failed)
        return false;
    if (is_known(metadata, buffer->data + offset, buffer->bytes - offset) ||
        !phos__key_set_add(keys, offset)) {
        *metadata = before;
        buffer->bytes = bytes_before;
        return false;
    }
    PUT(buffer, ":");
    return true;
}

static void put_pairs(struct metadata *metadata, struct phos__key_set *keys)
{
    struct phos__buffer *buffer = metadata->buffer;
    size_t cursor = 0;
    phos_pair pair;

    while (phos__record_next_pair(metadata->view->pairs, &cursor, &pair)) {
        if (!put_key(metadata, keys, pair.key, false))
            continue;
        switch (pair.type) {
        case PHOS_VALUE_TEXT:
            phos__json_text(buffer, pair.text);
            break;
        case PHOS_VALUE_INTEGER:
            phos__json_i64(buffer, pair.integer);
            break;
        case PHOS_VALUE_NUMBER:
            phos__json_double(buffer, pair.number);
            break;
        case PHOS_VALUE_BOOLEAN:
            if (pair.boolean)
                PUT(buffer, "true");
            else
                PUT(buffer, "false");
            break;
        case PHOS_VALUE_NULL:
            PUT(buffer, "null");
            break;
        }
    }
}

static void put_raw(struct metadata *metadata, struct phos__key_set *keys)
{
    phos_str object = metadata->view->metadata_json, key, value;
    size_t cursor = 0;

    /* The log call has checked the caller's bytes. Should they have changed
     * while it copied them, they must not break the body apart here. */
    if (!phos__json_is_object(object))
        return;
    while (phos__json_next_member(object, &cursor, &key, &value))
        if (put_key(metadata, keys, key, true))
            phos__json_minify(metadata->buffer, value);
}

static void put_metadata(struct phos__buffer *buffer,
                         const struct phos__record_view *view,
                         const uint8_t event_id[16])
{
    struct metadata metadata = { buffer, view, 0, false };

    put_known(&metadata);
    if (view->pairs.length || view->metadata_json.data) {
        struct phos__key_set keys;

        phos__key_set_init(&keys, buffer, event_id);
        put_pairs(&metadata, &keys);
        if (view->metadata_json.data)
            put_raw(&metadata, &keys);
        phos__key_set_deinit(&keys);
    }
    if (metadata.is_open)
        PUT(buffer, "}");
}

/* ---- the event ---- */

static void put_id(struct phos__buffer *buffer, const uint8_t event_id[16])
{
    if (!phos__buffer_reserve(buffer, PHOS_EVENT_ID_TEXT_LENGTH))
        return;
    phos__uuid_write(event_id, (char *)buffer->data + buffer->bytes);
    buffer->bytes += PHOS_EVENT_ID_TEXT_LENGTH;
}

static void put_time(struct phos__buffer *buffer, uint64_t time_us)
{
    if (!phos__buffer_reserve(buffer, PHOS__TIMESTAMP_LENGTH))
        return;
    phos__timestamp_write(time_us, (char *)buffer->data + buffer->bytes);
    buffer->bytes += PHOS__TIMESTAMP_LENGTH;
}

void phos__json_event(struct phos__buffer *buffer,
                      const struct phos__record_view *view,
                      const uint8_t event_id[16], uint64_t time_us,
                      phos_str project_id)
{
    if (view->project_id.data)
        project_id = view->project_id;
    if (view->has_timestamp)
        time_us = (uint64_t)view->timestamp_us;

    PUT(buffer, "{\"event_id\":\"");
    put_id(buffer, event_id);
    PUT(buffer, "\"");
    if (view->session_id.data) {
        PUT(buffer, ",\"session_id\":");
        phos__json_text(buffer, view->session_id);
    }
    if (project_id.data) {
        PUT(buffer, ",\"project_id\":");
        phos__json_text(buffer, project_id);
    }
    PUT(buffer, ",\"input\":");
    phos__json_text(buffer, view->input);
    PUT(buffer, ",\"output\":");
    phos__json_text(buffer, view->output);
    put_metadata(buffer, view, event_id);
    PUT(buffer, ",\"timestamp\":\"");
    put_time(buffer, time_us);
    PUT(buffer, "\"}");
}
