/*
 * retry_after - the Retry-After header, in seconds or as a date.
 *
 * Source: RFC 9110, sections 5.6.7 (three date forms) and 10.2.3.
 */
#ifndef PHOS_WIRE_RETRY_AFTER_H
#define PHOS_WIRE_RETRY_AFTER_H

#include "phos/base.h"

enum { PHOS__RETRY_AFTER_MS_MAX = 3600000 };

/* Unix seconds of an HTTP date in IMF-fixdate, RFC 850 or asctime form.
 * `now_s` decides the century of two-digit years. */
bool phos__http_date_read(phos_str text, int64_t now_s, int64_t *ret_unix_s);

/*
 * The wait that a header value asks for, 0 to PHOS__RETRY_AFTER_MS_MAX; false
 * when it is neither digits (a fraction is rounded up to a millisecond) nor a
 * date. A date is
 * measured against `date`, the answer's own Date header, when that can be
 * read, else against `now_s`. In the past: 0.
 */
bool phos__retry_after_read(phos_str value, phos_str date, int64_t now_s,
                            uint64_t *ret_wait_ms);

#endif
