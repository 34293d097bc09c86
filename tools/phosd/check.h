/*
 * check - looks whether phosd could be started so, without starting it.
 */
#ifndef PHOSD_CHECK_H
#define PHOSD_CHECK_H

#include "config.h"

/* Tells everything that is wrong on standard error; whether nothing is. */
bool phosd_check(const struct phosd_config *config);

#endif
