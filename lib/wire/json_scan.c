#include "wire/json_scan.h"

#include "wire/json_text.h"

/* A place in text; every step looks at the end first. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static struct cursor cursor_make(phos_str text)
{
    struct cursor cursor;

    cursor.at = (const uint8_t *)(text.length ? text.data : "");
    cursor.end = cursor.at + text.length;
    return cursor;
}

static inline bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static inline bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static inline void skip_blanks(struct cursor *cursor)
{
    while (cursor->at < cursor->end && is_blank(*cursor->at))
        cursor->at++;
}

static inline bool skip_byte(struct cursor *cursor, uint8_t byte)
{
    if (cursor->at == cursor->end || *cursor->at != byte)
        return false;
    cursor->at++;
    return true;
}

static bool skip_word(struct cursor *cursor, const char *word)
{
    for (; *word; word++)
        if (!skip_byte(cursor, (uint8_t)*word))
            return false;
    return true;
}

static bool skip_digits(struct cursor *cursor)
{
    const uint8_t *start = cursor->at;

    while (cursor->at < cursor->end && is_digit(*cursor->at))
        cursor->at++;
    return cursor->at > start;
}

static bool skip_number(struct cursor *cursor)
{
    skip_byte(cursor, '-');
    if (!skip_byte(cursor, '0') && !skip_digits(cursor))
        return false;
    if (skip_byte(cursor, '.') && !skip_digits(cursor))
        return false;
    if (skip_byte(cursor, 'e') || skip_byte(cursor, 'E')) {
        if (!skip_byte(cursor, '+'))
            skip_byte(cursor, '-');
        return skip_digits(cursor);
    }
    return true;
}

static bool skip_escape(struct cursor *cursor)
{
    static const char letters[] = "\"\\/bfnrt";

    if (skip_byte(cursor, 'u')) {
        for (int i = 0; i < 4; i++, cursor->at++) {
            if (cursor->at == cursor->end ||
                !(is_digit(*cursor->at) ||
                  ((*cursor->at | 0x20) >= 'a' && (*cursor->at | 0x20) <= 'f')))
                return false;
        }
        return true;
    }
    for (const char *letter = letters; *letter; letter++)
        if (skip_byte(cursor, (uint8_t)*letter))
            return true;
    return false;
}

/* Leaves *cursor behind the closing quote. */
static bool skip_string(struct cursor *cursor)
{
    if (!skip_byte(cursor, '"'))
        return false;
    while (cursor->at < cursor->end) {
        uint8_t byte = *cursor->at++;

        if (byte == '"')
            return true;
        if (byte < 0x20 || (byte == '\\' && !skip_escape(cursor)))
            return false;
    }
    return false;
}

static bool skip_scalar(struct cursor *cursor)
{
    if (cursor->at == cursor->end)
        return false;
    switch (*cursor->at) {
    case '"':
        return skip_string(cursor);
    case 't':
        return skip_word(cursor, "true");
    case 'f':
        return skip_word(cursor, "false");
    case 'n':
        return skip_word(cursor, "null");
    default:
        return skip_number(cursor);
    }
}

static bool skip_key(struct cursor *cursor)
{
    if (!skip_string(cursor))
        return false;
    skip_blanks(cursor);
    return skip_byte(cursor, ':');
}

/*
 * Skips one value. Instead of recursion, a bit for each open container: set for
 * an object; the last opened one is the lowest bit.
 */
static bool skip_value(struct cursor *cursor, int depth_max)
{
    uint64_t objects = 0;
    int depth = 0;

    for (;;) {
        /* Here a value begins. */
        bool is_object, is_open = false;

        skip_blanks(cursor);
        is_object = skip_byte(cursor, '{');
        if (is_object || skip_byte(cursor, '[')) {
            if (++depth > depth_max)
                return false;
            objects = objects << 1 | is_object;
            is_open = true;
        } else if (!skip_scalar(cursor)) {
            return false;
        }

        /* Here one has ended, or a container is still empty: on to the place
         * of the next value, closing what ends before it. */
        for (;;) {
            if (depth == 0)
                return true;
            skip_blanks(cursor);
            if (skip_byte(cursor, objects & 1 ? '}' : ']')) {
                objects >>= 1;
                depth--;
                is_open = false;
                continue;
            }
            if (!is_open && !skip_byte(cursor, ','))
                return false;
            break;
        }
        if (objects & 1) {
            skip_blanks(cursor);
            if (!skip_key(cursor))
                return false;
        }
    }
}

bool phos__json_is_object(phos_str text)
{
    struct cursor cursor = cursor_make(text);

    skip_blanks(&cursor);
    if (cursor.at == cursor.end || *cursor.at != '{' ||
        !skip_value(&cursor, PHOS__JSON_DEPTH_MAX))
        return false;
    skip_blanks(&cursor);
    return cursor.at == cursor.end;
}

bool phos__json_next_member(phos_str object, size_t *cursor, phos_str *ret_key,
                            phos_str *ret_value)
{
    struct cursor place = cursor_make(object);
    const uint8_t *start = place.at, *key, *key_end, *value;

    if (*cursor > object.length)
        return false;
    place.at += *cursor;
    skip_blanks(&place);
    if (!skip_byte(&place, *cursor == 0 ? '{' : ','))
        return false;
    skip_blanks(&place);
    key = place.at;
    if (!skip_string(&place))
        return false;
    key_end = place.at;
    skip_blanks(&place);
    if (!skip_byte(&place, ':'))
        return false;
    skip_blanks(&place);
    value = place.at;
    if (!skip_value(&place, PHOS__JSON_DEPTH_MAX))
        return false;

    *ret_key = phos_str_make((const char *)key, (size_t)(key_end - key));
    *ret_value = phos_str_make((const char *)value, (size_t)(place.at - value));
    *cursor = (size_t)(place.at - start);
    return true;
}

void phos__json_minify(struct phos__buffer *buffer, phos_str value)
{
    struct cursor cursor = cursor_make(value);

    while (cursor.at < cursor.end) {
        const uint8_t *start = cursor.at;

        if (*start == '"') {
            if (!skip_string(&cursor))
                return;
            phos__json_raw_text(buffer,
                                phos_str_make((const char *)start,
                                              (size_t)(cursor.at - start)));
            continue;
        }
        while (cursor.at < cursor.end && !is_blank(*cursor.at) &&
               *cursor.at != '"')
            cursor.at++;
        phos__buffer_append(buffer, start, (size_t)(cursor.at - start));
        skip_blanks(&cursor);
    }
}
