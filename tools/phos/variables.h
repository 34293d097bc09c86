/*
 * variables - the names in the environment that phos and the library read.
 */
#ifndef PHOS_TOOL_VARIABLES_H
#define PHOS_TOOL_VARIABLES_H

#include <stdbool.h>
#include <stddef.h>

extern const char *const variables_known[];
extern const size_t variables_known_count;

/*
 * Looks through an environment ("NAME=value", NULL at the end) for names that
 * begin like ours and are none, from *at on, which it moves behind the find.
 * Returns the entry, NULL when there is none; *ret_nearest is the name that
 * was most likely meant, NULL when none is near.
 */
const char *variables_unknown(char *const *environment, size_t *at,
                              const char **ret_nearest);

#endif
