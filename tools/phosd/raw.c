#include "raw.h"

#include <string.h>

#include "reply.h"
#include "wire/json_text.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Each skip_...() returns the place behind what it skips, at most the end. */
static size_t skip_blanks(phos_str text, size_t at)
{
    while (at < text.length && is_blank(text.data[at]))
        at++;
    return at;
}

/* From quote to quote: one with an odd number of backslashes before it stands
 * inside the string. */
static size_t skip_string(phos_str text, size_t at)
{
    size_t begin = at + 1;

    for (at = begin; at < text.length; at++) {
        const char *quote = memchr(text.data + at, '"', text.length - at);
        size_t backslashes = 0;

        if (!quote)
            break;
        at = (size_t)(quote - text.data);
        while (at - backslashes > begin &&
               text.data[at - backslashes - 1] == '\\')
            backslashes++;
        if (backslashes % 2 == 0)
            return at + 1;
    }
    return text.length;
}

static size_t skip_value(phos_str text, size_t at)
{
    size_t depth = 0;

    while (at < text.length) {
        char c = text.data[at];

        if (c == '"') {
            at = skip_string(text, at);
            if (depth == 0)
                return at;
            continue;
        }
        if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                return at; /* a number or word ended before it */
            if (--depth == 0)
                return at + 1;
        } else if (depth == 0 && (c == ',' || is_blank(c))) {
            return at;
        }
        at++;
    }
    return text.length;
}

static phos_str part(phos_str text, size_t begin, size_t end)
{
    return phos_str_make(text.data + begin, end - begin);
}

/* From a container's start or a value's end to the next item. */
static bool next_item(phos_str text, size_t *at)
{
    *at = skip_blanks(text, *at);
    if (*at >= text.length || text.data[*at] == '}' || text.data[*at] == ']')
        return false;
    *at = skip_blanks(text, *at + 1); /* the opening bracket, or a comma */
    return *at < text.length && text.data[*at] != '}' && text.data[*at] != ']';
}

/* Whether a key, with its quotes, spells a name that needs no escapes. */
static bool spells(phos_str key, phos_str name)
{
    struct phos__buffer plain;
    bool same;

    if (!memchr(key.data, '\\', key.length))
        return key.length == name.length + 2 &&
               memcmp(key.data + 1, name.data, name.length) == 0;
    phosd_buffer_init(&plain);
    phos__json_raw_text(&plain, key);
    same = plain.bytes == name.length + 2 &&
           memcmp(plain.data + 1, name.data, name.length) == 0;
    phos__buffer_deinit(&plain);
    return same;
}

phos_str phosd_raw_member(phos_str object, phos_str name)
{
    phos_str found = { NULL, 0 };
    size_t at = 0;

    while (next_item(object, &at)) {
        size_t key_end = skip_string(object, at);
        phos_str key = part(object, at, key_end);
        size_t begin = skip_blanks(object, key_end);

        begin = skip_blanks(object, begin < object.length ? begin + 1 : begin);
        at = skip_value(object, begin);
        if (spells(key, name))
            found = part(object, begin, at);
    }
    return found;
}

bool phosd_raw_next(phos_str array, size_t *cursor, phos_str *ret_value)
{
    size_t begin = *cursor;

    if (!next_item(array, &begin))
        return false;
    *cursor = skip_value(array, begin);
    *ret_value = part(array, begin, *cursor);
    return true;
}
