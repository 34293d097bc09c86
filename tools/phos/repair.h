/*
 * repair - makes a line of JSON readable that one bad byte would lose.
 */
#ifndef PHOS_TOOL_REPAIR_H
#define PHOS_TOOL_REPAIR_H

#include <stdbool.h>
#include <stddef.h>

/* A buffer that is kept from line to line. */
struct repair {
    char *data;
    size_t capacity;
};

/*
 * Replaces what is not UTF-8 by U+FFFD, and \u escapes of a surrogate without
 * its other half by \ufffd. *ret_text is `text` itself when nothing was wrong,
 * else lies in the buffer until the next call. Returns false without memory.
 */
bool repair_text(struct repair *repair, const char *text, size_t length,
                 const char **ret_text, size_t *ret_length);
void repair_deinit(struct repair *repair);

#endif
