/*
 * credential - the secret value of a header, shared by the requests that carry
 * it; one at a time touches the count of its holders.
 */
#ifndef PHOS_CLIENT_CREDENTIAL_H
#define PHOS_CLIENT_CREDENTIAL_H

#include "phos/base.h"

struct phos__credential {
    phos_allocator allocator;
    unsigned holders;
    size_t prefix_bytes; /* what stands before the secret is none */
    size_t length;
    char value[]; /* "Bearer …" */
};

/* NULL: out of memory. One holder. */
struct phos__credential *
phos__credential_create(const phos_allocator *allocator, phos_str prefix,
                        phos_str secret);
struct phos__credential *
phos__credential_ref(struct phos__credential *credential);
/* Wiped when the last holder lets go; takes NULL. */
void phos__credential_unref(struct phos__credential *credential);

/*
 * Covers the secret in a text with asterisks. A service may repeat in its
 * answer what it was sent: the secret must not get from there into an error
 * text, neither whole nor, if it is as long as signed tokens are, cut off where
 * the text ends. NULL: nothing to cover.
 */
void phos__credential_mask(const struct phos__credential *credential,
                           char *text);

#endif
