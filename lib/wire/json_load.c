#include "wire/json_load.h"

#include <string.h>

/* Far more than any answer has, far less than a thread's stack: reading and
 * freeing are recursive. */
enum { DEPTH_MAX = 32 };

/* Brackets outside of texts; whether they match is jansson's to find out. */
static bool is_deeper_than(phos_str body, unsigned depth_max)
{
    unsigned depth = 0;
    bool in_text = false;

    for (size_t i = 0; i < body.length; i++) {
        char c = body.data[i];

        if (in_text) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_text = false;
        } else if (c == '"') {
            in_text = true;
        } else if (c == '{' || c == '[') {
            if (++depth > depth_max)
                return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

json_t *phos__json_load(phos_str body)
{
    static const char order_mark[] = "\xEF\xBB\xBF";
    json_error_t error;

    if (body.length >= 3 && memcmp(body.data, order_mark, 3) == 0)
        body = phos_str_make(body.data + 3, body.length - 3);
    if (body.length == 0 || is_deeper_than(body, DEPTH_MAX))
        return NULL;
    /* Neither a NUL in a text nor an integer beyond 64 bits in a key that
     * nobody reads may hide what the rest says. */
    return json_loadb(body.data, body.length,
                      JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
}
