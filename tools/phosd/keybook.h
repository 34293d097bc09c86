/*
 * keybook - the keys that stand in the database: made, listed and revoked by
 * `phosd keys`, and looked at again and again by a phosd that runs beside it.
 * Each name is a project; a name whose key was revoked can be given another,
 * and the project goes on.
 */
#ifndef PHOSD_KEYBOOK_H
#define PHOSD_KEYBOOK_H

#include "keys.h"

enum { PHOSD_KEY_NAME_BYTES_MAX = 200 };

struct phosd_keybook;

struct phosd_key_row {
    int64_t id, project_id;
    const uint8_t *hash; /* PHOSD_KEY_HASH_BYTES of them */
    phos_str name;
    int64_t created_us;
    int64_t used_us;    /* about when; 0: never */
    int64_t revoked_us; /* 0: it is not */
};

/* Opens the file, of this phosd's schema afterwards; made when missing if
 * `make` says so. false: *error says what to do. */
bool phosd_keybook_open(const char *path, bool make,
                        struct phosd_keybook **ret_book, phos_error *error);
/* Takes NULL. */
void phosd_keybook_close(struct phosd_keybook *book);

/* The salt for key hashes of this file. */
bool phosd_keybook_salt(struct phosd_keybook *book,
                        uint8_t ret_salt[PHOSD_KEY_SALT_BYTES],
                        phos_error *error);

bool phosd_keybook_add(struct phosd_keybook *book, const char *name,
                       const uint8_t hash[PHOSD_KEY_HASH_BYTES],
                       phos_error *error);
bool phosd_keybook_revoke(struct phosd_keybook *book, const char *name,
                          phos_error *error);

/* In the order of their making. What a row points at lives until `each`
 * returns. */
typedef void phosd_key_fn(const struct phosd_key_row *row, void *user_data);
bool phosd_keybook_list(struct phosd_keybook *book, phosd_key_fn *each,
                        void *user_data, phos_error *error);

/* A number that changes with every key made or revoked; -1 while the file
 * cannot be read. Costs little when nothing was written. */
int64_t phosd_keybook_changes(struct phosd_keybook *book);

#endif
