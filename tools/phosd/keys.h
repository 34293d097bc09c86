/*
 * keys - who may speak for which project. A key is known by its hash alone,
 * here and in the database.
 */
#ifndef PHOSD_KEYS_H
#define PHOSD_KEYS_H

#include <pthread.h>

#include "phos/base.h"

#include "limits.h"

enum { PHOSD_KEY_HASH_BYTES = 32, PHOSD_KEY_SALT_BYTES = 16 };

/* One key, and the project it speaks for. Lives as long as the keys do, so
 * that a request may hold it while it is revoked. */
struct phosd_project {
    struct phosd_project *next;
    uint8_t key_hash[PHOSD_KEY_HASH_BYTES];
    int64_t id;   /* in the store */
    int64_t key;  /* its row in the database; 0: given at the start */
    bool revoked; /* guarded by the keys' lock */
    _Atomic int64_t used_us; /* last; 0: never */
    int64_t noted_us;        /* of it, what the database has been told */
    pthread_mutex_t mutex;
    struct phosd_bucket bucket; /* guarded by it */
};

struct phosd_keys {
    pthread_rwlock_t lock;
    struct phosd_project *first; /* one thread adds; guarded by the lock */
    uint8_t salt[PHOSD_KEY_SALT_BYTES]; /* of this database */
    uint32_t events_per_minute;
};

void phosd_keys_init(struct phosd_keys *keys,
                     const uint8_t salt[PHOSD_KEY_SALT_BYTES],
                     uint32_t events_per_minute);
/* Takes zeroed ones too. */
void phosd_keys_deinit(struct phosd_keys *keys);

/* `key` is the row in the database, 0 for one that is given at the start.
 * false: no memory. */
bool phosd_keys_add(struct phosd_keys *keys,
                    const uint8_t hash[PHOSD_KEY_HASH_BYTES],
                    int64_t project_id, int64_t key);

/* The key of that row; NULL when there is none. For the thread that adds. */
struct phosd_project *phosd_keys_of_row(struct phosd_keys *keys, int64_t key);
void phosd_keys_revoke(struct phosd_keys *keys, struct phosd_project *project);

/* HMAC-SHA256 of the key under the database's salt. */
void phosd_key_hash(const uint8_t salt[PHOSD_KEY_SALT_BYTES], phos_str key,
                    uint8_t ret_hash[PHOSD_KEY_HASH_BYTES]);

/* The project of a key, or NULL. Takes equally long for every key that is
 * given, known or not. */
struct phosd_project *phosd_keys_find(struct phosd_keys *keys, phos_str key);

#endif
