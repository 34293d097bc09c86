/*
 * url - the endpoint: checks a base URL and joins a path to it. Parsing for
 * the connection itself is libcurl's work.
 */
#ifndef PHOS_WIRE_URL_H
#define PHOS_WIRE_URL_H

#include "base/buffer.h"

struct phos__url {
    bool is_https;
    phos_str host;   /* without brackets */
    phos_str prefix; /* scheme to end of path, trailing slashes cut */
};

/*
 * Strict: http or https, host, optional port and path; no user info, query,
 * fragment, blank, control or non-ASCII byte, at most 2,048 bytes. A host is a
 * name, four decimal numbers, or an IPv6 address without zone in brackets:
 * nothing that libcurl could take for another host. On PHOS_E_INVALID *ret_why
 * tells what is wrong, as the rest of a sentence that begins with the option's
 * name or a colon.
 */
phos_status phos__url_parse(phos_str text, struct phos__url *ret_url,
                            const char **ret_why);

/* localhost, *.localhost, 127.0.0.0/8, ::1. */
bool phos__url_is_loopback(const struct phos__url *url);

/* A value that a header field may hold: visible ASCII, and spaces inside; not
 * empty, for libcurl takes an empty value as the order to drop the header. */
bool phos__header_value_is_valid(phos_str value);

#endif
