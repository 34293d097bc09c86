#include "keys.h"

#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "now.h"

void phosd_key_hash(const uint8_t salt[PHOSD_KEY_SALT_BYTES], phos_str key,
                    uint8_t ret_hash[PHOSD_KEY_HASH_BYTES])
{
    struct hmac_sha256_ctx context;

    hmac_sha256_set_key(&context, PHOSD_KEY_SALT_BYTES, salt);
    hmac_sha256_update(&context, key.length, (const uint8_t *)key.data);
    hmac_sha256_digest(&context, PHOSD_KEY_HASH_BYTES, ret_hash);
}

void phosd_keys_init(struct phosd_keys *keys,
                     const uint8_t salt[PHOSD_KEY_SALT_BYTES],
                     uint32_t events_per_minute)
{
    memset(keys, 0, sizeof(*keys));
    pthread_rwlock_init(&keys->lock, NULL);
    memcpy(keys->salt, salt, PHOSD_KEY_SALT_BYTES);
    keys->events_per_minute = events_per_minute;
}

void phosd_keys_deinit(struct phosd_keys *keys)
{
    struct phosd_project *project = keys->first;

    while (project) {
        struct phosd_project *next = project->next;

        pthread_mutex_destroy(&project->mutex);
        free(project);
        project = next;
    }
    keys->first = NULL;
}

bool phosd_keys_add(struct phosd_keys *keys,
                    const uint8_t hash[PHOSD_KEY_HASH_BYTES],
                    int64_t project_id, int64_t key)
{
    struct phosd_project *project = calloc(1, sizeof(*project));

    if (!project)
        return false;
    memcpy(project->key_hash, hash, PHOSD_KEY_HASH_BYTES);
    project->id = project_id;
    project->key = key;
    pthread_mutex_init(&project->mutex, NULL);
    phosd_bucket_init(&project->bucket, keys->events_per_minute,
                      phosd_now_ms());
    pthread_rwlock_wrlock(&keys->lock);
    project->next = keys->first;
    keys->first = project;
    pthread_rwlock_unlock(&keys->lock);
    return true;
}

struct phosd_project *phosd_keys_of_row(struct phosd_keys *keys, int64_t key)
{
    struct phosd_project *project = keys->first;

    while (project && project->key != key)
        project = project->next;
    return project;
}

void phosd_keys_revoke(struct phosd_keys *keys, struct phosd_project *project)
{
    pthread_rwlock_wrlock(&keys->lock);
    project->revoked = true;
    pthread_rwlock_unlock(&keys->lock);
}

struct phosd_project *phosd_keys_find(struct phosd_keys *keys, phos_str key)
{
    struct phosd_project *found = NULL;
    uint8_t hash[PHOSD_KEY_HASH_BYTES];

    phosd_key_hash(keys->salt, key, hash);
    pthread_rwlock_rdlock(&keys->lock);
    for (struct phosd_project *at = keys->first; at; at = at->next)
        if (memeql_sec(at->key_hash, hash, sizeof(hash)) && !at->revoked)
            found = at;
    pthread_rwlock_unlock(&keys->lock);
    if (found)
        atomic_store_explicit(&found->used_us, phosd_wall_us(),
                              memory_order_relaxed);
    return found;
}
