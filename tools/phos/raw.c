#include "raw.h"

#include <jansson.h>
#include <string.h>

struct cursor {
    const char *data;
    size_t length, at;
};

static void skip_space(struct cursor *cursor)
{
    while (cursor->at < cursor->length &&
           strchr(" \t\r\n", cursor->data[cursor->at]) != NULL &&
           cursor->data[cursor->at] != '\0')
        cursor->at++;
}

/* From its opening quote to behind its closing one. */
static phos_str take_string(struct cursor *cursor)
{
    size_t start = cursor->at++;

    while (cursor->at < cursor->length && cursor->data[cursor->at] != '"')
        cursor->at += cursor->data[cursor->at] == '\\' ? 2 : 1;
    cursor->at++;
    return phos_str_make(cursor->data + start, cursor->at - start);
}

/* Containers by counting brackets; anything else ends where a separator or
 * the container's end stands. */
static phos_str take_value(struct cursor *cursor)
{
    size_t start = cursor->at;
    size_t depth = 0;

    while (cursor->at < cursor->length) {
        char c = cursor->data[cursor->at];

        if (c == '"') {
            take_string(cursor);
            if (depth == 0)
                break;
            continue;
        }
        if (depth == 0 && strchr(",}] \t\r\n", c) != NULL)
            break;
        if (c == '{' || c == '[')
            depth++;
        cursor->at++;
        if ((c == '}' || c == ']') && --depth == 0)
            break;
    }
    return phos_str_make(cursor->data + start, cursor->at - start);
}

static bool spells(phos_str raw_key, const char *key)
{
    size_t length = strlen(key);
    json_t *decoded;
    bool is_same;

    if (memchr(raw_key.data, '\\', raw_key.length) == NULL)
        return raw_key.length == length + 2 &&
               memcmp(raw_key.data + 1, key, length) == 0;
    decoded = json_loadb(raw_key.data, raw_key.length,
                         JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    is_same = decoded != NULL && json_string_length(decoded) == length &&
              memcmp(json_string_value(decoded), key, length) == 0;
    json_decref(decoded);
    return is_same;
}

phos_str raw_member(phos_str text, const char *key)
{
    struct cursor cursor = { text.data, text.length, 0 };
    phos_str found = phos_str_make(NULL, 0);

    skip_space(&cursor);
    cursor.at++; /* { */
    for (;;) {
        phos_str name;
        phos_str value;

        skip_space(&cursor);
        if (cursor.at >= cursor.length || cursor.data[cursor.at] != '"')
            return found;
        name = take_string(&cursor);
        skip_space(&cursor);
        cursor.at++; /* : */
        skip_space(&cursor);
        value = take_value(&cursor);
        if (spells(name, key))
            found = value;
        skip_space(&cursor);
        cursor.at++; /* , or } */
    }
}

phos_str raw_element(phos_str text, size_t *at)
{
    struct cursor cursor = { text.data, text.length, *at };
    phos_str value;

    skip_space(&cursor);
    cursor.at++; /* [ or , */
    skip_space(&cursor);
    if (cursor.at >= cursor.length || cursor.data[cursor.at] == ']')
        return phos_str_make(NULL, 0);
    value = take_value(&cursor);
    *at = cursor.at;
    return value;
}
