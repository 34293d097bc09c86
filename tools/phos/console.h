/*
 * console - standard error, shared by the main thread, the library's callbacks
 * and a progress line that steps aside for messages.
 */
#ifndef PHOS_TOOL_CONSOLE_H
#define PHOS_TOOL_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

/* Looks at standard error: whether it is a terminal. Before any other call. */
void console_init(void);

bool console_is_terminal(void);
/* Columns of the terminal, 80 where that cannot be told. */
size_t console_columns(void);

/* Prints "phos: ", the message and a newline; control bytes are shown, not
 * sent. Any thread. */
void console_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Replaces the progress line; "" removes it. Only on a terminal. */
void console_progress(const char *line);

#endif
