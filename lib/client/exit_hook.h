/*
 * exit_hook - closes clients at exit(), for those that asked for it. The
 * handler is registered with the first of them and never before.
 */
#ifndef PHOS_CLIENT_EXIT_HOOK_H
#define PHOS_CLIENT_EXIT_HOOK_H

#include "phos/client.h"

struct phos__exit_entry {
    phos_client *client;
    uint32_t flush_ms;
    struct phos__exit_entry *next;
};

/* PHOS_OK, or PHOS_E_SYSTEM when no handler can be registered. */
phos_status phos__exit_hook_add(struct phos__exit_entry *entry);
/* Takes an entry that was never added. Waits while exit() closes clients. */
void phos__exit_hook_remove(struct phos__exit_entry *entry);

#endif
