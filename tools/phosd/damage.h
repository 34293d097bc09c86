/*
 * damage - a database that cannot be read any more is moved out of the way,
 * never deleted and never repaired: that is for a person with a copy.
 */
#ifndef PHOSD_DAMAGE_H
#define PHOSD_DAMAGE_H

#include "phos/base.h"

/*
 * Looks whether the file at `path` is damaged, for some seconds at most, and
 * if so renames it and its log to "<path>.corrupt-<UTC time>" and says so on
 * standard error. A sound, a missing, a foreign file and one that is in use
 * stay. false: *error says why it is damaged and still there.
 */
bool phosd_damage_set_aside(const char *path, phos_error *error);

#endif
