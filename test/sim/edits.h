/*
 * edits - the application's before_send in a schedule: leaves some events as
 * they are, shortens or lengthens the text of others, drops some and breaks
 * some, by their number, and notes what it did for the checks.
 */
#ifndef TEST_SIM_EDITS_H
#define TEST_SIM_EDITS_H

#include "sim/checks.h"

/* `text` has room for PLAN_RECORD_BYTES_MAX bytes, until the next call. */
bool edits_before_send(struct checks *checks, phos_event *shown, char *text);

#endif
