#include "query.h"

#include <stdio.h>
#include <string.h>

#include "wire/timestamp.h"

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* The length of the character at the start of `text`, 0 when it is broken.
 * Source: Unicode, table 3-7 (well-formed UTF-8 byte sequences). */
static size_t character_bytes(phos_str text)
{
    const unsigned char *at = (const unsigned char *)text.data;
    unsigned char low = 0x80, high = 0xBF;
    size_t bytes;

    if (at[0] < 0x80)
        return 1;
    if (at[0] < 0xC2 || at[0] > 0xF4)
        return 0;
    bytes = at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : 4;
    if (bytes > text.length)
        return 0;
    if (at[0] == 0xE0)
        low = 0xA0;
    else if (at[0] == 0xED)
        high = 0x9F;
    else if (at[0] == 0xF0)
        low = 0x90;
    else if (at[0] == 0xF4)
        high = 0x8F;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < bytes; i++)
        if (at[i] < 0x80 || at[i] > 0xBF)
            return 0;
    return bytes;
}

bool phosd_is_utf8(phos_str text)
{
    size_t at = 0;

    while (at < text.length) {
        size_t bytes =
            character_bytes(phos_str_make(text.data + at, text.length - at));

        if (bytes == 0)
            return false;
        at += bytes;
    }
    return true;
}

bool phosd_decode(char *text, bool plus, phos_str *ret_text)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        char c = *from;

        if (c == '%') {
            int high = digit_value(from[1]);
            int low = high < 0 ? -1 : digit_value(from[2]);

            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            from += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if ((unsigned char)c < 0x20 || c == 0x7F)
            return false;
        *to++ = c;
    }
    *ret_text = phos_str_make(text, (size_t)(to - text));
    return phosd_is_utf8(*ret_text);
}

static const struct {
    enum phosd_parameter bit;
    const char *name;
} parameters[] = {
    { PHOSD_SESSION_ID, "session_id" },
    { PHOSD_USER_ID, "user_id" },
    { PHOSD_MODEL, "model" },
    { PHOSD_FLAG, "flag" },
    { PHOSD_TAG, "tag" },
    { PHOSD_FROM, "from" },
    { PHOSD_TO, "to" },
    { PHOSD_Q, "q" },
    { PHOSD_LIMIT, "limit" },
    { PHOSD_OFFSET, "offset" },
};

static unsigned parameter_of(phos_str name)
{
    for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
        if (strlen(parameters[i].name) == name.length &&
            memcmp(parameters[i].name, name.data, name.length) == 0)
            return parameters[i].bit;
    return 0;
}

static bool read_number(phos_str text, int64_t max, int64_t *ret_number)
{
    int64_t number = 0;

    if (text.length == 0 || text.length > 15)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (text.data[i] - '0');
    }
    *ret_number = number;
    return number <= max;
}

/*
 * Cuts a search into words, all of which must occur; "..." keeps words
 * together as one. Returns what is wrong, or NULL.
 */
static const char *read_words(phos_str text, struct phosd_filter *filter)
{
    size_t at = 0;

    filter->word_count = 0;
    while (at < text.length) {
        size_t begin = at;
        char end = ' ';

        if (text.data[at] == ' ') {
            at++;
            continue;
        }
        if (text.data[at] == '"') {
            end = '"';
            begin = ++at;
        }
        while (at < text.length && text.data[at] != end &&
               (end == '"' || text.data[at] != '"'))
            at++;
        if (end == '"' && at == text.length)
            return "a quotation mark is never closed";
        if (at > begin) {
            if (filter->word_count == PHOSD_WORDS_MAX)
                return "too many words";
            filter->words[filter->word_count++] =
                phos_str_make(text.data + begin, at - begin);
        }
        if (end == '"')
            at++;
    }
    return filter->word_count > 0 ? NULL : "there is nothing to search for";
}

/* Returns what is wrong, or NULL. */
static const char *take(enum phosd_parameter parameter, phos_str value,
                        unsigned limit_max, struct phosd_filter *filter)
{
    int64_t number;

    switch (parameter) {
    case PHOSD_SESSION_ID:
        filter->session_id = value;
        return NULL;
    case PHOSD_USER_ID:
        filter->user_id = value;
        return NULL;
    case PHOSD_MODEL:
        filter->model = value;
        return NULL;
    case PHOSD_FLAG:
        filter->flag = value;
        return NULL;
    case PHOSD_TAG:
        filter->tag = value;
        return NULL;
    case PHOSD_FROM:
        filter->has_from = true;
        return phos__timestamp_read(value, &filter->from_us)
                   ? NULL
                   : "expected an ISO 8601 date and time";
    case PHOSD_TO:
        filter->has_to = true;
        return phos__timestamp_read(value, &filter->to_us)
                   ? NULL
                   : "expected an ISO 8601 date and time";
    case PHOSD_Q:
        return read_words(value, filter);
    case PHOSD_LIMIT:
        if (!read_number(value, limit_max, &number))
            return limit_max == PHOSD_LIMIT_MAX
                       ? "expected a whole number from 0 to 100"
                       : "expected a whole number from 0 to 1000";
        filter->limit = (unsigned)number;
        return NULL;
    case PHOSD_OFFSET:
        if (!read_number(value, INT64_C(1000000000000), &number))
            return "expected a whole number, 0 or more";
        filter->offset = number;
        return NULL;
    }
    return "unknown parameter";
}

bool phosd_query_read(char *text, unsigned allowed, unsigned limit_max,
                      struct phosd_filter *ret_filter, char *error,
                      size_t error_bytes)
{
    struct phosd_filter filter;
    unsigned seen = 0;

    memset(&filter, 0, sizeof(filter));
    filter.limit =
        limit_max == PHOSD_LIMIT_MAX ? PHOSD_LIMIT_DEFAULT : limit_max;
    while (text && *text) {
        char *next = strchr(text, '&');
        char *equals;
        phos_str name, value = PHOS_STR("");
        const char *wrong;
        unsigned bit;

        if (next)
            *next++ = '\0';
        if (*text == '\0') { /* as in "a=1&&b=2" */
            text = next;
            continue;
        }
        equals = strchr(text, '=');
        if (equals)
            *equals++ = '\0';
        if (!phosd_decode(text, true, &name) ||
            (equals && !phosd_decode(equals, true, &value))) {
            snprintf(error, error_bytes, "the query is not well encoded");
            return false;
        }
        bit = parameter_of(name);
        if (!(bit & allowed))
            wrong = "unknown parameter";
        else if (seen & bit)
            wrong = "given more than once";
        else
            wrong = take((enum phosd_parameter)bit, value, limit_max, &filter);
        if (wrong) {
            snprintf(error, error_bytes, "%.*s: %s",
                     name.length < 64 ? (int)name.length : 64, name.data,
                     wrong);
            return false;
        }
        seen |= bit;
        text = next;
    }
    *ret_filter = filter;
    return true;
}
