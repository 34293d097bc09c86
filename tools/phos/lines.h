/*
 * lines - cuts a stream of bytes into lines. It is given bytes as they come
 * and gives each line as soon as it is whole; it reads nothing itself, so a
 * slow pipe holds nothing up.
 */
#ifndef PHOS_TOOL_LINES_H
#define PHOS_TOOL_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lines_result {
    LINES_NONE,    /* more bytes are needed */
    LINES_READY,   /* a line, without its end ("\n" or "\r\n") */
    LINES_TOO_LONG /* a line was longer than the maximum and is left out */
};

struct lines {
    size_t line_bytes_max;
    char *data;
    size_t capacity, start, end;
    size_t scanned;   /* from start; holds no line end */
    bool is_skipping; /* inside a line that is too long */
    uint64_t number;  /* of the line given last; counts from 1 */
};

/* line_bytes_max: without the line's end. */
void lines_init(struct lines *lines, size_t line_bytes_max);
void lines_deinit(struct lines *lines);

/* Room for the next bytes; NULL: out of memory. */
char *lines_room(struct lines *lines, size_t *ret_bytes);
/* So many bytes were written there. */
void lines_filled(struct lines *lines, size_t bytes);

/* The next line, valid until lines_room(). is_end: no more bytes will come,
 * so that what is left is a line too. */
enum lines_result lines_next(struct lines *lines, bool is_end,
                             const char **ret_line, size_t *ret_length);

#endif
