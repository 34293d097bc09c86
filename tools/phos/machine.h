/*
 * machine - what `phos doctor` looks at on this machine: settings in the
 * environment, memory, limits, versions.
 */
#ifndef PHOS_TOOL_MACHINE_H
#define PHOS_TOOL_MACHINE_H

#include "connection.h"
#include "findings.h"

/* Whether the library takes the settings: opens a client and closes it,
 * without an event, so nothing is sent. NULL in the connection: left out of
 * the question. */
void machine_check_settings(struct findings *findings,
                            const struct connection *connection);
void machine_check_memory(struct findings *findings);
void machine_check_limits(struct findings *findings);
void machine_check_versions(struct findings *findings);

#endif
