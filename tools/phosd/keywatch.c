#include "keywatch.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "now.h"

/* Uses are written this often: a sync each time, and nobody asks for more. */
enum { NOTE_MS = 60000 };

static void take_row(const struct phosd_key_row *row, void *user_data)
{
    struct phosd_keywatch *watch = user_data;
    struct phosd_project *known = phosd_keys_of_row(watch->keys, row->id);

    if (known && row->revoked_us != 0)
        phosd_keys_revoke(watch->keys, known);
    else if (!known && row->revoked_us == 0 &&
             !phosd_keys_add(watch->keys, row->hash, row->project_id, row->id))
        watch->changes = -1; /* no memory: the next turn tries again */
}

static bool read_keys(struct phosd_keywatch *watch, phos_error *error)
{
    int64_t changes = phosd_keybook_changes(watch->book);

    if (changes == watch->changes)
        return true;
    watch->changes = changes;
    if (phosd_keybook_list(watch->book, take_row, watch, error))
        return true;
    watch->changes = -1;
    return false;
}

bool phosd_keywatch_open(struct phosd_keywatch *watch, const char *path,
                         struct phosd_keys *keys, struct phosd_store *store,
                         phos_error *error)
{
    watch->keys = keys;
    watch->store = store;
    watch->changes = -1;
    watch->noted_ms = phosd_now_ms();
    return phosd_keybook_open(path, false, &watch->book, error) &&
           read_keys(watch, error);
}

static void noted(struct phosd_write *write)
{
    free(write);
}

/* By the store's writer, so that nothing ever waits for a lock. */
static void note_uses(struct phosd_keywatch *watch)
{
    for (struct phosd_project *project = watch->keys->first; project;
         project = project->next) {
        int64_t used_us =
            atomic_load_explicit(&project->used_us, memory_order_relaxed);
        struct phosd_write *write;

        if (project->key == 0 || used_us == project->noted_us)
            continue;
        write = calloc(1, sizeof(*write));
        if (!write)
            return;
        write->key = project->key;
        write->received_us = used_us;
        write->done = noted;
        project->noted_us = used_us;
        phosd_store_write(watch->store, write);
    }
}

void phosd_keywatch_turn(struct phosd_keywatch *watch, uint64_t now_ms)
{
    phos_error error;

    (void)read_keys(watch, &error); /* else the next turn */
    if (now_ms - watch->noted_ms < NOTE_MS)
        return;
    watch->noted_ms = now_ms;
    note_uses(watch);
}

void phosd_keywatch_close(struct phosd_keywatch *watch)
{
    if (!watch->book)
        return;
    note_uses(watch);
    phosd_keybook_close(watch->book);
    watch->book = NULL;
}
