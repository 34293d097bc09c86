/*
 * signals - SIGINT, SIGTERM and SIGHUP as something that can be polled.
 */
#ifndef PHOS_TOOL_SIGNALS_H
#define PHOS_TOOL_SIGNALS_H

#include <stdbool.h>

/* Begins to catch them; one that is ignored (nohup) stays ignored. SIGPIPE is
 * ignored from here on, so that a closed pipe is an error of a write. */
bool signals_catch(void);

/* How many came so far. */
unsigned signals_count(void);
/* The first that came; 0: none. */
int signals_first(void);

/* Readable as soon as a signal comes that was not taken yet. */
int signals_fd(void);
/* Empties it. */
void signals_take(void);

#endif
