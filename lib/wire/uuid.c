#include "wire/uuid.h"

static const char digits[] = "0123456789abcdef";

/* Bytes behind which the text has a dash. */
static bool dash_before(unsigned index)
{
    return index == 4 || index == 6 || index == 8 || index == 10;
}

void phos__uuid_v4_mark(uint8_t bytes[16])
{
    bytes[6] = (uint8_t)((bytes[6] & 0x0F) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3F) | 0x80);
}

void phos__uuid_write(const uint8_t bytes[16], char *text)
{
    for (unsigned i = 0; i < 16; i++) {
        if (dash_before(i))
            *text++ = '-';
        *text++ = digits[bytes[i] >> 4];
        *text++ = digits[bytes[i] & 15];
    }
}

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

bool phos__uuid_read(phos_str text, uint8_t ret_bytes[16])
{
    uint8_t bytes[16];
    const char *at = text.data;

    if (!at || text.length != PHOS_EVENT_ID_TEXT_LENGTH)
        return false;
    for (unsigned i = 0; i < 16; i++) {
        int high, low;

        if (dash_before(i) && *at++ != '-')
            return false;
        high = digit_value(at[0]);
        low = digit_value(at[1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    __builtin_memcpy(ret_bytes, bytes, 16);
    return true;
}

void phos_event_id_to_text(const phos_event_id *id,
                           char text[PHOS_EVENT_ID_TEXT_LENGTH + 1])
{
    phos__uuid_write(id->bytes, text);
    text[PHOS_EVENT_ID_TEXT_LENGTH] = '\0';
}

phos_status phos_event_id_from_text(phos_str text, phos_event_id *ret_id)
{
    return phos__uuid_read(text, ret_id->bytes) ? PHOS_OK : PHOS_E_INVALID;
}
