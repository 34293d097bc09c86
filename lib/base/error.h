/*
 * error - fills a phos_error. Text from outside is made printable: control
 * characters and broken UTF-8 become '?', and it is cut at a character
 * boundary.
 */
#ifndef PHOS_BASE_ERROR_H
#define PHOS_BASE_ERROR_H

#include "phos/base.h"

/* `format` as for printf; never given a key or a payload. */
void phos__error_set(phos_error *error, phos_status status, phos_origin origin,
                     int code, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
