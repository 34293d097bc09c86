#include "lines.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* As much as a pipe holds. */
enum { READ_BYTES = 65536 };

void lines_init(struct lines *lines, size_t line_bytes_max)
{
    memset(lines, 0, sizeof(*lines));
    lines->line_bytes_max = line_bytes_max;
}

void lines_deinit(struct lines *lines)
{
    free(lines->data);
    lines->data = NULL;
}

char *lines_room(struct lines *lines, size_t *ret_bytes)
{
    size_t held = lines->end - lines->start;

    if (held > 0 && lines->start > 0)
        memmove(lines->data, lines->data + lines->start, held);
    lines->start = 0;
    lines->end = held;
    if (lines->capacity - held < READ_BYTES) {
        size_t capacity = lines->capacity * 2 + READ_BYTES;
        char *data = realloc(lines->data, capacity);

        if (data == NULL)
            return NULL;
        lines->data = data;
        lines->capacity = capacity;
    }
    *ret_bytes = lines->capacity - held;
    return lines->data + held;
}

void lines_filled(struct lines *lines, size_t bytes)
{
    assert(bytes <= lines->capacity - lines->end);
    lines->end += bytes;
}

/* Takes `length` bytes as a line, and the newline behind them if there is. */
static enum lines_result take(struct lines *lines, size_t length,
                              bool has_newline, const char **ret_line,
                              size_t *ret_length)
{
    const char *line = lines->data + lines->start;
    bool is_too_long = lines->is_skipping;

    lines->start += length + (has_newline ? 1 : 0);
    lines->scanned = 0;
    lines->is_skipping = false;
    lines->number++;
    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (is_too_long || length > lines->line_bytes_max)
        return LINES_TOO_LONG;
    *ret_line = line;
    *ret_length = length;
    return LINES_READY;
}

enum lines_result lines_next(struct lines *lines, bool is_end,
                             const char **ret_line, size_t *ret_length)
{
    size_t held = lines->end - lines->start;
    const char *from;
    const char *newline;

    if (held == 0 && !(is_end && lines->is_skipping))
        return LINES_NONE;
    from = lines->data + lines->start + lines->scanned;
    newline = memchr(from, '\n', held - lines->scanned);
    if (newline != NULL)
        return take(lines, (size_t)(newline - lines->data) - lines->start, true,
                    ret_line, ret_length);
    lines->scanned = held;
    /* One more byte than the maximum may be the '\r' of its end. */
    if (held > lines->line_bytes_max + 1) {
        lines->is_skipping = true;
        lines->start = lines->end;
        lines->scanned = 0;
    }
    if (is_end)
        return take(lines, lines->end - lines->start, false, ret_line,
                    ret_length);
    return LINES_NONE;
}
