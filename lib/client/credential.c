#define _GNU_SOURCE

#include "client/credential.h"

#include <string.h>

#include "base/alloc.h"

enum { CUT_SECRET_BYTES_MIN = 4 }; /* less is no secret, and may be chance */

struct phos__credential *
phos__credential_create(const phos_allocator *allocator, phos_str prefix,
                        phos_str secret)
{
    size_t length = prefix.length + secret.length;
    struct phos__credential *credential =
        phos__alloc(allocator, sizeof(*credential) + length);

    if (!credential)
        return NULL;
    credential->allocator = *allocator;
    credential->holders = 1;
    credential->prefix_bytes = prefix.length;
    credential->length = length;
    memcpy(credential->value, prefix.data, prefix.length);
    memcpy(credential->value + prefix.length, secret.data, secret.length);
    return credential;
}

struct phos__credential *
phos__credential_ref(struct phos__credential *credential)
{
    credential->holders++;
    return credential;
}

void phos__credential_unref(struct phos__credential *credential)
{
    if (!credential || --credential->holders > 0)
        return;
    explicit_bzero(credential->value, credential->length);
    phos__free(&credential->allocator, credential);
}

void phos__credential_mask(const struct phos__credential *credential,
                           char *text)
{
    const char *secret;
    size_t length, cut;
    char *at = text;

    if (!credential)
        return;
    secret = credential->value + credential->prefix_bytes;
    length = credential->length - credential->prefix_bytes;
    /* Goes on behind the mask: a secret of asterisks would be found in it. */
    while ((at = memmem(at, strlen(at), secret, length))) {
        memset(at, '*', length);
        at += length;
    }
    cut = strlen(text) < length ? strlen(text) : length;
    at = text + strlen(text) - cut;
    while (cut > 0 && memcmp(at, secret, cut) != 0) {
        at++;
        cut--;
    }
    if (cut >= CUT_SECRET_BYTES_MIN)
        memset(at, '*', cut);
}
