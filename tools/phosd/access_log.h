/*
 * access_log - one JSON object a line for each request. Like metrics, it tells
 * nothing that a client has chosen: methods and routes are words of a list.
 *
 *     listener threads ---> lines, bounded ---> one thread ---> the file
 *
 * Whoever logs never waits for the disk or for a pipe that nobody reads: lines
 * beyond the bound are lost, and a line says how many.
 */
#ifndef PHOSD_ACCESS_LOG_H
#define PHOSD_ACCESS_LOG_H

#include "exchange.h"

struct phosd_access_log;

/* "-" is standard output. false: *error says why. */
bool phosd_access_log_open(const char *path, struct phosd_access_log **ret_log,
                           phos_error *error);

/* Any thread. Takes a NULL log, which keeps nothing. */
void phosd_access_log_add(struct phosd_access_log *log,
                          const struct phosd_exchange *exchange);

/* The file was renamed: the name is opened anew, soon. Whether there is a
 * name. Takes NULL. */
bool phosd_access_log_reopen(struct phosd_access_log *log);

/* Writes what is there, unless nobody takes it. Takes NULL. */
void phosd_access_log_close(struct phosd_access_log *log);

#endif
