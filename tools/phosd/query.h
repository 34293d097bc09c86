/*
 * query - what stands behind the method in a request line: the path's parts
 * and the parameters, each decoded exactly once.
 */
#ifndef PHOSD_QUERY_H
#define PHOSD_QUERY_H

#include "store.h"

/*
 * Decodes %XX in place ('+' into a blank when asked) and sets *text to the
 * result. false: a broken escape, a NUL, a control byte or broken UTF-8.
 */
bool phosd_decode(char *text, bool plus, phos_str *ret_text);

/* Whether the bytes are well-formed UTF-8. */
bool phosd_is_utf8(phos_str text);

/*
 * Reads "a=1&b=2" into a filter; `text` is changed and the filter points into
 * it. Only parameters in `allowed` (bits of enum phosd_parameter) may stand
 * there, each once. false: *error says which one is wrong.
 */
enum phosd_parameter {
    PHOSD_SESSION_ID = 1 << 0,
    PHOSD_USER_ID = 1 << 1,
    PHOSD_MODEL = 1 << 2,
    PHOSD_FLAG = 1 << 3,
    PHOSD_TAG = 1 << 4,
    PHOSD_FROM = 1 << 5,
    PHOSD_TO = 1 << 6,
    PHOSD_Q = 1 << 7,
    PHOSD_LIMIT = 1 << 8,
    PHOSD_OFFSET = 1 << 9,
};

enum { PHOSD_LIMIT_MAX = 100, PHOSD_LIMIT_DEFAULT = 50 };

bool phosd_query_read(char *text, unsigned allowed, unsigned limit_max,
                      struct phosd_filter *ret_filter, char *error,
                      size_t error_bytes);

#endif
