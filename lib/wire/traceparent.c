#include "wire/traceparent.h"

/* Digits at [begin, end), of which one at least is not 0 unless they may. */
static bool is_hex(const char *text, int begin, int end, bool may_be_zero)
{
    bool is_zero = true;

    for (int i = begin; i < end; i++) {
        char c = text[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        is_zero &= c == '0';
    }
    return may_be_zero || !is_zero;
}

bool phos__traceparent_is_valid(phos_str text)
{
    const char *at = text.data;

    return text.length == PHOS__TRACEPARENT_LENGTH && at[0] == '0' &&
           at[1] == '0' && at[2] == '-' && is_hex(at, 3, 35, false) &&
           at[35] == '-' && is_hex(at, 36, 52, false) && at[52] == '-' &&
           is_hex(at, 53, 55, true);
}
