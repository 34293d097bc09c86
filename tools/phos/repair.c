#include "repair.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* What stands at one place of the text and what it should be. */
struct piece {
    size_t length;           /* bytes in the text */
    const char *replacement; /* NULL: stays as it is */
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The unit of a \uXXXX escape; -1 when there is none. */
static int escaped_unit(const char *text, size_t length)
{
    int unit = 0;

    if (length < 6 || text[0] != '\\' || text[1] != 'u')
        return -1;
    for (size_t i = 2; i < 6; i++) {
        int digit = hex_digit(text[i]);

        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_surrogate(int unit, int first)
{
    return unit >= first && unit < first + 0x400;
}

static struct piece escape_at(const char *text, size_t length)
{
    int unit = escaped_unit(text, length);
    int next;

    if (unit < 0) /* \" and \\ too: what follows must not be read as one */
        return (struct piece){ length < 2 ? length : 2, NULL };
    if (is_surrogate(unit, 0xdc00))
        return (struct piece){ 6, "\\ufffd" };
    if (!is_surrogate(unit, 0xd800))
        return (struct piece){ 6, NULL };
    next = escaped_unit(text + 6, length - 6);
    if (is_surrogate(next, 0xdc00))
        return (struct piece){ 12, NULL };
    return (struct piece){ 6, "\\ufffd" };
}

static struct piece piece_at(const char *text, size_t length)
{
    uint32_t point;
    size_t taken;

    if (text[0] == '\\' && length >= 2 && (text[1] & 0x80) == 0)
        return escape_at(text, length);
    taken = text_decode(text, length, &point);
    if (point == 0xfffd &&
        !(taken == 3 && memcmp(text, "\xef\xbf\xbd", 3) == 0))
        return (struct piece){ taken, "\xef\xbf\xbd" };
    return (struct piece){ taken, NULL };
}

/* The first place that needs repair; `length` when there is none. */
static size_t first_fault(const char *text, size_t length)
{
    size_t at = 0;

    while (at < length) {
        struct piece piece = piece_at(text + at, length - at);

        if (piece.replacement != NULL)
            return at;
        at += piece.length;
    }
    return length;
}

bool repair_text(struct repair *repair, const char *text, size_t length,
                 const char **ret_text, size_t *ret_length)
{
    size_t at = first_fault(text, length);
    size_t to = at;

    *ret_text = text;
    *ret_length = length;
    if (at == length)
        return true;

    /* A single byte becomes three at most. */
    if (repair->capacity < length * 3) {
        char *data = realloc(repair->data, length * 3);

        if (data == NULL)
            return false;
        repair->data = data;
        repair->capacity = length * 3;
    }
    memcpy(repair->data, text, at);
    while (at < length) {
        struct piece piece = piece_at(text + at, length - at);
        const char *from =
            piece.replacement != NULL ? piece.replacement : text + at;
        size_t bytes = piece.replacement != NULL ? strlen(from) : piece.length;

        memcpy(repair->data + to, from, bytes);
        to += bytes;
        at += piece.length;
    }
    *ret_text = repair->data;
    *ret_length = to;
    return true;
}

void repair_deinit(struct repair *repair)
{
    free(repair->data);
    repair->data = NULL;
    repair->capacity = 0;
}
