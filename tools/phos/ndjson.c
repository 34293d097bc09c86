#include "ndjson.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "instant.h"
#include "raw.h"

void ndjson_init(struct ndjson *ndjson)
{
    memset(ndjson, 0, sizeof(*ndjson));
}

void ndjson_deinit(struct ndjson *ndjson)
{
    json_decref(ndjson->root);
    ndjson->root = NULL;
    repair_deinit(&ndjson->repair);
    for (size_t i = 0; i < ndjson->stranger_count; i++)
        free(ndjson->strangers[i]);
    ndjson->stranger_count = 0;
}

bool ndjson_is_blank(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
            return false;
    return true;
}

/* Writes the reason and is false, so that a reader can return it. */
static bool broken(char *reason, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool broken(char *reason, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, NDJSON_REASON_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

static bool is_left_out(const json_t *value)
{
    return value == NULL || json_is_null(value);
}

static bool read_text(const json_t *object, const char *place, const char *key,
                      bool is_required, phos_str *ret_text, char *reason)
{
    const json_t *value = json_object_get(object, key);

    if (is_left_out(value)) {
        if (!is_required)
            return true;
        return value == NULL ? broken(reason, "%s%s is missing", place, key)
                             : broken(reason, "%s%s must be a string, not null",
                                      place, key);
    }
    if (!json_is_string(value))
        return broken(reason, "%s%s must be a string, not %s", place, key,
                      type_name(value));
    *ret_text =
        phos_str_make(json_string_value(value), json_string_length(value));
    return true;
}

/* Integers may be written 12.0; past 2^53 a double is no longer exact. */
static bool integer_of(const json_t *value, int64_t *ret_integer)
{
    double real;

    if (json_is_integer(value)) {
        *ret_integer = json_integer_value(value);
        return true;
    }
    if (!json_is_real(value))
        return false;
    real = json_real_value(value);
    if (!(real >= 0 && real <= 9007199254740992.0) ||
        (double)(int64_t)real != real)
        return false;
    *ret_integer = (int64_t)real;
    return true;
}

static bool read_count(const json_t *metadata, const char *key,
                       int64_t *ret_count, char *reason)
{
    const json_t *value = json_object_get(metadata, key);
    int64_t count;

    if (is_left_out(value))
        return true;
    if (!json_is_number(value))
        return broken(reason, "metadata.%s must be an integer, not %s", key,
                      type_name(value));
    if (!integer_of(value, &count) || count < 0)
        return broken(reason, "metadata.%s must be an integer, 0 or more", key);
    *ret_count = count;
    return true;
}

static bool read_cost(const json_t *metadata, double *ret_cost, char *reason)
{
    const json_t *value = json_object_get(metadata, "cost_cents");

    if (is_left_out(value))
        return true;
    if (!json_is_number(value))
        return broken(reason, "metadata.cost_cents must be a number, not %s",
                      type_name(value));
    *ret_cost = json_number_value(value);
    return true;
}

/* More tags than a phos_event holds travel in the raw metadata instead. */
static bool read_tags(struct ndjson *ndjson, const json_t *metadata,
                      phos_event *event, bool *ret_need_raw, char *reason)
{
    const json_t *list = json_object_get(metadata, "tags");
    size_t count;

    if (is_left_out(list))
        return true;
    if (!json_is_array(list))
        return broken(reason,
                      "metadata.tags must be an array of strings, not %s",
                      type_name(list));
    count = json_array_size(list);
    for (size_t i = 0; i < count; i++) {
        const json_t *tag = json_array_get(list, i);

        if (!json_is_string(tag))
            return broken(reason, "metadata.tags[%zu] must be a string, not %s",
                          i, type_name(tag));
        if (i < NDJSON_TAGS_MAX)
            ndjson->tags[i] =
                phos_str_make(json_string_value(tag), json_string_length(tag));
    }
    if (count == 0 || count > NDJSON_TAGS_MAX) {
        *ret_need_raw = true;
        return true;
    }
    event->tags = ndjson->tags;
    event->tag_count = count;
    return true;
}

/* Digits of lower case where the pattern has an x. */
static bool matches(const char *text, size_t length, const char *pattern)
{
    size_t i;

    for (i = 0; i < length && pattern[i] != '\0'; i++) {
        bool is_digit = strchr("0123456789abcdef", text[i]) && text[i] != '\0';

        if (pattern[i] == 'x' ? !is_digit : text[i] != pattern[i])
            return false;
    }
    return i == length && pattern[i] == '\0';
}

/* What the typed field would refuse travels in the raw metadata instead: no
 * event is lost to a trace that cannot be joined. */
static void read_trace(const json_t *metadata, phos_event *event,
                       bool *ret_need_raw)
{
    static const char shape[] =
        "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
    const json_t *value = json_object_get(metadata, "traceparent");
    const char *text = json_string_value(value);

    if (is_left_out(value))
        return;
    if (text == NULL || !matches(text, json_string_length(value), shape) ||
        strspn(text + 3, "0") >= 32 || strspn(text + 36, "0") >= 16)
        *ret_need_raw = true;
    else
        event->traceparent = phos_str_make(text, json_string_length(value));
}

static const char *const metadata_keys[] = { "model",
                                             "provider",
                                             "user_id",
                                             "latency_ms",
                                             "token_count_input",
                                             "token_count_output",
                                             "cost_cents",
                                             "tags",
                                             "traceparent" };
static const char *const event_keys[] = { "input",      "output",
                                          "event_id",   "session_id",
                                          "project_id", "metadata",
                                          "timestamp" };

static bool is_one_of(const char *key, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

static bool is_metadata_key(const char *key)
{
    return is_one_of(key, metadata_keys,
                     sizeof(metadata_keys) / sizeof(metadata_keys[0]));
}

static bool has_custom_key(const json_t *metadata)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)metadata, key,
                        value) if (!is_metadata_key(key)) return true;
    return false;
}

/* An object alone has depth 1. jansson has bounded the recursion already. */
static bool is_deeper_than(const json_t *value, unsigned depth_max)
{
    const char *key;
    json_t *member;
    size_t i;

    if (!json_is_object(value) && !json_is_array(value))
        return false;
    if (depth_max == 0)
        return true;
    json_object_foreach(
        (json_t *)value, key,
        member) if (is_deeper_than(member, depth_max - 1)) return true;
    json_array_foreach(
        (json_t *)value, i,
        member) if (is_deeper_than(member, depth_max - 1)) return true;
    return false;
}

static bool read_metadata(struct ndjson *ndjson, phos_str line,
                          phos_event *event, char *reason)
{
    const json_t *metadata = json_object_get(ndjson->root, "metadata");
    bool need_raw = false;

    if (is_left_out(metadata))
        return true;
    if (!json_is_object(metadata))
        return broken(reason, "metadata must be an object, not %s",
                      type_name(metadata));
    if (is_deeper_than(metadata, NDJSON_METADATA_DEPTH_MAX))
        return broken(reason, "metadata is nested deeper than %d levels",
                      NDJSON_METADATA_DEPTH_MAX);
    if (!read_text(metadata, "metadata.", "model", false, &event->model,
                   reason) ||
        !read_text(metadata, "metadata.", "provider", false, &event->provider,
                   reason) ||
        !read_text(metadata, "metadata.", "user_id", false, &event->user_id,
                   reason) ||
        !read_count(metadata, "latency_ms", &event->latency_ms, reason) ||
        !read_count(metadata, "token_count_input", &event->token_count_input,
                    reason) ||
        !read_count(metadata, "token_count_output", &event->token_count_output,
                    reason) ||
        !read_cost(metadata, &event->cost_cents, reason) ||
        !read_tags(ndjson, metadata, event, &need_raw, reason))
        return false;
    read_trace(metadata, event, &need_raw);
    if (need_raw || has_custom_key(metadata))
        event->metadata_json = raw_member(line, "metadata");
    return true;
}

static bool read_id(struct ndjson *ndjson, phos_event *event, char *reason)
{
    phos_str text = phos_str_make(NULL, 0);

    if (!read_text(ndjson->root, "", "event_id", false, &text, reason))
        return false;
    if (text.data == NULL)
        return true;
    if (phos_event_id_from_text(text, &ndjson->id) != PHOS_OK)
        return broken(reason, "event_id is not a UUID");
    event->event_id = &ndjson->id;
    return true;
}

static bool read_timestamp(struct ndjson *ndjson, phos_event *event,
                           char *reason)
{
    phos_str text = phos_str_make(NULL, 0);

    if (!read_text(ndjson->root, "", "timestamp", false, &text, reason))
        return false;
    if (text.data == NULL)
        return true;
    if (!instant_read(text.data, text.length, &event->timestamp_us))
        return broken(reason, "timestamp is not an ISO 8601 date-time of the "
                              "years 1970 to 9999");
    return true;
}

/* Remembers a key; false when it was met before or there are too many. */
static bool is_new_stranger(struct ndjson *ndjson, const char *key)
{
    if (ndjson->stranger_count == NDJSON_STRANGERS_MAX ||
        is_one_of(key, (const char *const *)ndjson->strangers,
                  ndjson->stranger_count))
        return false;
    ndjson->strangers[ndjson->stranger_count] = strdup(key);
    if (ndjson->strangers[ndjson->stranger_count] == NULL)
        return false;
    ndjson->stranger_count++;
    return true;
}

static void look_for_strangers(struct ndjson *ndjson,
                               ndjson_stranger_fn *on_stranger, void *user_data)
{
    const char *key;
    json_t *value;

    json_object_foreach(ndjson->root, key, value)
    {
        if (is_one_of(key, event_keys,
                      sizeof(event_keys) / sizeof(event_keys[0])))
            continue;
        if (is_new_stranger(ndjson, key))
            on_stranger(key,
                        is_metadata_key(key)
                            ? "it belongs inside \"metadata\""
                            : "keys of your own go inside \"metadata\"",
                        user_data);
    }
}

/*
 * Integers beyond 64 bits make jansson refuse the line. They can only matter
 * inside metadata, whose text is sent as it is, so the line is read again with
 * all numbers as doubles.
 */
static json_t *parse(phos_str line, char *reason)
{
    json_error_t error;
    json_t *root;

    root = json_loadb(line.data, line.length, JSON_ALLOW_NUL, &error);
    if (root == NULL && json_error_code(&error) == json_error_numeric_overflow)
        root = json_loadb(line.data, line.length,
                          JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    if (root == NULL)
        broken(reason, "not JSON: %s (column %d)", error.text, error.column);
    return root;
}

bool ndjson_read(struct ndjson *ndjson, const char *line, size_t length,
                 ndjson_stranger_fn *on_stranger, void *user_data,
                 phos_event *ret_event, char reason[NDJSON_REASON_BYTES])
{
    phos_event event = phos_event_default();
    phos_str text;

    json_decref(ndjson->root);
    ndjson->root = NULL;
    if (!repair_text(&ndjson->repair, line, length, &text.data, &text.length))
        return broken(reason, "out of memory");
    ndjson->root = parse(text, reason);
    if (ndjson->root == NULL)
        return false;
    if (!json_is_object(ndjson->root))
        return broken(reason, "not an object but %s", type_name(ndjson->root));

    if (!read_text(ndjson->root, "", "input", true, &event.input, reason) ||
        !read_text(ndjson->root, "", "output", true, &event.output, reason) ||
        !read_text(ndjson->root, "", "session_id", false, &event.session_id,
                   reason) ||
        !read_text(ndjson->root, "", "project_id", false, &event.project_id,
                   reason) ||
        !read_id(ndjson, &event, reason) ||
        !read_timestamp(ndjson, &event, reason) ||
        !read_metadata(ndjson, text, &event, reason))
        return false;
    look_for_strangers(ndjson, on_stranger, user_data);
    *ret_event = event;
    return true;
}
