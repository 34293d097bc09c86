#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* U+0000 to U+001F, DEL, and U+0080 to U+009F: what a terminal obeys. */
static bool is_control(const uint8_t *at, size_t bytes)
{
    return bytes == 1 ? at[0] < 0x20 || at[0] == 0x7F
                      : at[0] == 0xC2 && at[1] < 0xA0;
}

/* Each control character and each broken part becomes a question mark. When
 * the text has been cut, a part that is broken at its end was a character. */
static void make_printable(char *text, size_t length, bool is_cut)
{
    const uint8_t *at = (const uint8_t *)text, *end = at + length;
    char *to = text;

    while (at < end) {
        bool is_whole = true;
        size_t bytes =
            *at < 0x80 ? 1
                       : phos__utf8_sequence(at, (size_t)(end - at), &is_whole);

        if (!is_whole && is_cut && at + bytes == end)
            break;
        if (!is_whole || is_control(at, bytes)) {
            *to++ = '?';
        } else {
            memmove(to, at, bytes);
            to += bytes;
        }
        at += bytes;
    }
    *to = '\0';
}

void phos__error_set(phos_error *error, phos_status status, phos_origin origin,
                     int code, const char *format, ...)
{
    va_list arguments;
    int written;

    error->status = status;
    error->origin = origin;
    error->code = code;
    va_start(arguments, format);
    written = vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    if (written < 0)
        error->text[0] = '\0';
    make_printable(error->text, strlen(error->text),
                   written >= (int)sizeof(error->text));
}
