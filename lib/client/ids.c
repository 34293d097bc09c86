/*
 * ids - event and session ids that applications make beforehand.
 */
#include <string.h>

#include "base/utf8.h"
#include "io/entropy.h"
#include "phos/event.h"
#include "wire/uuid.h"

enum { PREFIX_BYTES_MAX = 200, RANDOM_BYTES = 8 };

phos_status phos_event_id_make(phos_event_id *ret_id)
{
    phos_event_id id;
    phos_status status = phos__entropy_fill(id.bytes, sizeof(id.bytes));

    if (status)
        return status;
    phos__uuid_v4_mark(id.bytes);
    *ret_id = id;
    return PHOS_OK;
}

/* Valid UTF-8 without NUL, short enough. */
static bool is_prefix(phos_str text)
{
    const uint8_t *at = (const uint8_t *)text.data;

    if (text.length > PREFIX_BYTES_MAX || (text.length && !at))
        return false;
    for (size_t i = 0; i < text.length;) {
        bool is_whole = at[i] != 0;

        i += at[i] < 0x80
                 ? 1
                 : phos__utf8_sequence(at + i, text.length - i, &is_whole);
        if (!is_whole)
            return false;
    }
    return true;
}

phos_status phos_session_id_make(phos_str prefix,
                                 char ret_text[PHOS_SESSION_ID_BYTES_MAX],
                                 size_t *ret_length)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[RANDOM_BYTES];
    phos_status status;
    char *at = ret_text;

    if (!is_prefix(prefix))
        return PHOS_E_INVALID;
    status = phos__entropy_fill(random, sizeof(random));
    if (status)
        return status;

    if (prefix.length) {
        memcpy(at, prefix.data, prefix.length);
        at += prefix.length;
        *at++ = '-';
    }
    for (unsigned i = 0; i < RANDOM_BYTES; i++) {
        *at++ = digits[random[i] >> 4];
        *at++ = digits[random[i] & 15];
    }
    *at = '\0';
    if (ret_length)
        *ret_length = (size_t)(at - ret_text);
    return PHOS_OK;
}
