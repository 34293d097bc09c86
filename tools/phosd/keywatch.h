/*
 * keywatch - keeps the keys in memory in step with those in the database, and
 * the database with when they were last used. All calls on one thread.
 */
#ifndef PHOSD_KEYWATCH_H
#define PHOSD_KEYWATCH_H

#include "keybook.h"
#include "store.h"

struct phosd_keywatch {
    struct phosd_keybook *book;
    struct phosd_keys *keys;
    struct phosd_store *store;
    int64_t changes;   /* of the keys that are in memory; -1: none yet */
    uint64_t noted_ms; /* when uses were written last */
};

/* Opens the database once more and reads its keys. */
bool phosd_keywatch_open(struct phosd_keywatch *watch, const char *path,
                         struct phosd_keys *keys, struct phosd_store *store,
                         phos_error *error);

/* To be called a few times a second, once the store is started. */
void phosd_keywatch_turn(struct phosd_keywatch *watch, uint64_t now_ms);

/* Before the store is closed. Takes zeroed ones too. */
void phosd_keywatch_close(struct phosd_keywatch *watch);

#endif
