#include "wire/reply.h"

#include <jansson.h>
#include <string.h>

#include "wire/json_load.h"
#include "wire/uuid.h"

enum { STATUS_TEXT_BYTES_MAX = 32, ERROR_DEPTH_MAX = 4 };

/* What services call the fate of an event, in lower case. */
static const struct {
    const char *text;
    enum phos__event_result result;
} words[] = {
    { "accepted", PHOS__RESULT_DELIVERED },
    { "created", PHOS__RESULT_DELIVERED },
    { "delivered", PHOS__RESULT_DELIVERED },
    { "ingested", PHOS__RESULT_DELIVERED },
    { "inserted", PHOS__RESULT_DELIVERED },
    { "ok", PHOS__RESULT_DELIVERED },
    { "queued", PHOS__RESULT_DELIVERED },
    { "received", PHOS__RESULT_DELIVERED },
    { "stored", PHOS__RESULT_DELIVERED },
    { "success", PHOS__RESULT_DELIVERED },
    { "already_exists", PHOS__RESULT_DUPLICATE },
    { "conflict", PHOS__RESULT_DUPLICATE },
    { "duplicate", PHOS__RESULT_DUPLICATE },
    { "exists", PHOS__RESULT_DUPLICATE },
    { "error", PHOS__RESULT_REFUSED },
    { "failed", PHOS__RESULT_REFUSED },
    { "failure", PHOS__RESULT_REFUSED },
    { "invalid", PHOS__RESULT_REFUSED },
    { "refused", PHOS__RESULT_REFUSED },
    { "rejected", PHOS__RESULT_REFUSED },
    { "again", PHOS__RESULT_AGAIN },
    { "rate_limited", PHOS__RESULT_AGAIN },
    { "retry", PHOS__RESULT_AGAIN },
    { "throttled", PHOS__RESULT_AGAIN },
    { "timeout", PHOS__RESULT_AGAIN },
    { "unavailable", PHOS__RESULT_AGAIN },
};

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool starts_caseless(phos_str text, const char *lower)
{
    size_t length = strlen(lower);

    if (text.length < length)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (to_lower(text.data[i]) != lower[i])
            return false;
    }
    return true;
}

static phos_str skip(phos_str text, size_t length)
{
    return phos_str_make(text.data + length, text.length - length);
}

/* White space and a byte order mark say nothing. */
static phos_str skip_blanks(phos_str text)
{
    if (text.length >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0)
        text = skip(text, 3);
    while (text.length > 0 && is_blank(text.data[0]))
        text = skip(text, 1);
    return text;
}

/* Whether a Content-Type is `type`, whatever parameters follow. */
static bool is_media_type(phos_str content_type, const char *type)
{
    if (!starts_caseless(content_type, type))
        return false;
    content_type = skip(content_type, strlen(type));
    return content_type.length == 0 || content_type.data[0] == ';' ||
           is_blank(content_type.data[0]);
}

enum phos__body_kind phos__reply_kind(phos_str content_type, phos_str body)
{
    body = skip_blanks(body);
    if (body.length == 0)
        return PHOS__BODY_EMPTY;

    content_type = skip_blanks(content_type);
    if (body.data[0] == '<' || is_media_type(content_type, "text/html") ||
        is_media_type(content_type, "application/xhtml+xml"))
        return PHOS__BODY_HTML;
    if (body.data[0] == '{' || body.data[0] == '[' ||
        is_media_type(content_type, "application/json"))
        return PHOS__BODY_JSON;
    return PHOS__BODY_OTHER;
}

static enum phos__event_result result_of_http(double status)
{
    if (status >= 200 && status < 300)
        return PHOS__RESULT_DELIVERED;
    if (status == 409)
        return PHOS__RESULT_DUPLICATE;
    if (status == 408 || status == 425 || status == 429)
        return PHOS__RESULT_AGAIN;
    if (status >= 400 && status < 500)
        return PHOS__RESULT_REFUSED;
    if (status >= 500 && status < 600)
        return PHOS__RESULT_AGAIN;
    return PHOS__RESULT_NONE;
}

/* "created", "Already exists", "429". */
static enum phos__event_result result_of_text(phos_str text)
{
    char word[STATUS_TEXT_BYTES_MAX];

    if (text.length >= sizeof(word))
        return PHOS__RESULT_NONE;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];

        word[i] = c == ' ' || c == '-' ? '_' : to_lower(c);
    }
    word[text.length] = '\0';

    if (text.length == 3 && strspn(word, "0123456789") == 3)
        return result_of_http((word[0] - '0') * 100 + (word[1] - '0') * 10 +
                              (word[2] - '0'));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        /* Lengths too, for a text may hold NUL. */
        if (strlen(words[i].text) == text.length &&
            memcmp(words[i].text, word, text.length) == 0)
            return words[i].result;
    }
    return PHOS__RESULT_NONE;
}

static phos_str text_of(const json_t *value)
{
    if (!json_is_string(value))
        return phos_str_make(NULL, 0);
    return phos_str_make(json_string_value(value), json_string_length(value));
}

/* Services send `"error": null`, false, "" or {} to say that there is none. */
static bool is_something(const json_t *value)
{
    if (json_is_string(value))
        return json_string_length(value) > 0;
    if (json_is_object(value))
        return json_object_size(value) > 0;
    if (json_is_array(value))
        return json_array_size(value) > 0;
    return json_is_true(value);
}

static enum phos__event_result result_of_entry(const json_t *entry)
{
    const json_t *status = json_object_get(entry, "status");
    enum phos__event_result result = PHOS__RESULT_NONE;

    if (json_is_number(status))
        result = result_of_http(json_number_value(status));
    else if (json_is_string(status))
        result = result_of_text(text_of(status));
    if (result == PHOS__RESULT_NONE &&
        is_something(json_object_get(entry, "error")))
        result = PHOS__RESULT_REFUSED;
    return result;
}

/*
 * The place of the event that an entry speaks of; `count` when it is none of
 * ours. Without an id the entry's own place counts, but only in a list as long
 * as the batch: a shorter one may list nothing but failures, and a good event
 * must not be refused for its neighbour.
 */
static uint32_t place_of_entry(const json_t *entry, size_t index,
                               size_t entries, const uint8_t (*ids)[16],
                               uint32_t count, const uint8_t *results)
{
    const json_t *named = json_object_get(entry, "event_id");
    uint32_t spoken_for = count;
    uint8_t id[16];

    if (named == NULL || json_is_null(named))
        return entries == count ? (uint32_t)index : count;
    if (!phos__uuid_read(text_of(named), id))
        return count;
    if (index < count && memcmp(ids[index], id, 16) == 0)
        return (uint32_t)index;
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(ids[i], id, 16) != 0)
            continue;
        /* An id that was sent twice is answered twice. */
        if (results[i] == PHOS__RESULT_NONE)
            return i;
        spoken_for = i;
    }
    return spoken_for;
}

/* Two entries about one event. When they contradict each other, sending it
 * again is the only safe reading: the service knows its id. */
static uint8_t merge(uint8_t before, enum phos__event_result result)
{
    bool arrived_before =
        before == PHOS__RESULT_DELIVERED || before == PHOS__RESULT_DUPLICATE;
    bool arrived =
        result == PHOS__RESULT_DELIVERED || result == PHOS__RESULT_DUPLICATE;

    if (before == PHOS__RESULT_NONE)
        return (uint8_t)result;
    if (before == result || (arrived_before && arrived))
        return before;
    return PHOS__RESULT_AGAIN;
}

static const json_t *list_of(const json_t *root)
{
    const json_t *list = json_object_get(root, "results");

    if (!json_is_array(list))
        list = json_object_get(root, "events");
    return json_is_array(list) ? list : NULL;
}

void phos__reply_results(phos_str body, const uint8_t (*ids)[16],
                         uint32_t count, uint8_t *results)
{
    json_t *root = phos__json_load(body);
    const json_t *list = list_of(root);
    size_t entries = json_array_size(list);

    memset(results, PHOS__RESULT_NONE, count);
    for (size_t index = 0; index < entries; index++) {
        const json_t *entry = json_array_get(list, index);
        enum phos__event_result result = result_of_entry(entry);
        uint32_t place;

        if (result == PHOS__RESULT_NONE)
            continue;
        place = place_of_entry(entry, index, entries, ids, count, results);
        if (place < count)
            results[place] = merge(results[place], result);
    }
    json_decref(root);
}

/* The first text found in the keys that services use, from the outside in. */
static phos_str find_error_text(const json_t *value, unsigned depth)
{
    static const char *const keys[] = { "error", "message", "detail", "msg" };
    phos_str text = text_of(value);

    if (text.length > 0 || depth == ERROR_DEPTH_MAX)
        return text;
    if (json_is_array(value))
        return find_error_text(json_array_get(value, 0), depth + 1);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const json_t *inner = json_object_get(value, keys[i]);

        if (inner != NULL && text.length == 0)
            text = find_error_text(inner, depth + 1);
    }
    return text;
}

void phos__reply_error_text(phos_str body, char *text, size_t text_bytes)
{
    json_t *root = phos__json_load(body);
    phos_str found = { NULL, 0 };
    size_t length;

    if (text_bytes == 0) {
        json_decref(root);
        return;
    }
    if (json_is_object(root))
        found = find_error_text(root, 0);

    length = found.length < text_bytes ? found.length : text_bytes - 1;
    /* Cut before a character, not inside it. */
    while (length > 0 && length < found.length &&
           ((unsigned char)found.data[length] & 0xC0) == 0x80)
        length--;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)found.data[i];

        text[i] = c < ' ' || c == 0x7F ? '?' : found.data[i];
    }
    text[length] = '\0';
    json_decref(root);
}
