/*
 * follow - which of the events that a service lists are new. Pure: ids, times
 * and the clock come as arguments.
 *
 * Lists are ordered by the events' own time stamps, not by arrival, so each
 * round asks for a window that ends now:
 *
 *     not asked for | newest - 5 min ......... newest | what comes next
 *                      late ones show up here too
 *
 * Ids inside the window are remembered, older ones forgotten.
 */
#ifndef PHOS_TOOL_FOLLOW_H
#define PHOS_TOOL_FOLLOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { FOLLOW_LATE_S = 300, FOLLOW_TIME_BYTES = 32 };

struct follow {
    json_t *seen; /* id: its time in microseconds */
    int64_t newest_us, floor_us;
    bool has_newest, has_floor;
};

void follow_init(struct follow *follow);
void follow_deinit(struct follow *follow);

/*
 * Begins a round: writes the time from which to ask as ISO 8601 and forgets
 * what lies before; false: no bound yet. An event that claims to be of the
 * future does not move the window past now_us.
 */
bool follow_begin(struct follow *follow, int64_t now_us,
                  char from[FOLLOW_TIME_BYTES]);

/* Whether it is new; from now on it is not. */
bool follow_take(struct follow *follow, const char *id, int64_t time_us);

/* Nothing older is new from now on. */
void follow_set_floor(struct follow *follow, int64_t time_us);

/* How many ids are remembered. */
size_t follow_known(const struct follow *follow);

#endif
