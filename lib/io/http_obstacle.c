#include "io/http_internal.h"

#include <string.h>

#include "base/error.h"

enum { WHERE_BYTES_MAX = 120, SYSTEM_WORDS_BYTES = 64 };

/* ---- which ---- */

static bool says(const struct phos__http_ending *ending,
                 const char *const *phrases)
{
    for (; *phrases; phrases++)
        if (strstr(ending->words, *phrases))
            return true;
    return false;
}

/* curl has one code for all three; the words are those of its TLS libraries. */
static phos_obstacle
fault_of_certificate(const struct phos__http_ending *ending)
{
    static const char *const times[] = { "expired", "not yet valid",
                                         "not yet activated", NULL };
    static const char *const names[] = { "subject name", "does not match",
                                         "hostname mismatch", NULL };

    if (says(ending, times))
        return PHOS_OBSTACLE_EXPIRED;
    if (says(ending, names))
        return PHOS_OBSTACLE_OTHER_HOST;
    return PHOS_OBSTACLE_UNTRUSTED;
}

/* What OpenSSL and GnuTLS say of bytes that are no TLS record, such as the
 * answer of a server of plain HTTP to a handshake. */
static bool is_no_tls(const struct phos__http_ending *ending)
{
    static const char *const phrases[] = {
        "wrong version number",  "packet length too long",
        "record layer failure",  "http request",
        "unexpected TLS packet", NULL
    };

    return says(ending, phrases);
}

static phos_obstacle silence(const struct phos__http_ending *ending,
                             bool has_proxy)
{
    if (!ending->is_resolved)
        return PHOS_OBSTACLE_NAME;
    if (!ending->is_connected)
        return PHOS_OBSTACLE_CONNECT;
    if (!ending->is_https || ending->is_secured)
        return PHOS_OBSTACLE_UNKNOWN;
    return has_proxy && ending->proxy_status == 0 ? PHOS_OBSTACLE_PROXY
                                                  : PHOS_OBSTACLE_TLS;
}

phos_obstacle phos__http_obstacle(const struct phos__http_ending *ending,
                                  const struct phos__http_way *way)
{
    if (ending->has_begun || ending->is_answered)
        return PHOS_OBSTACLE_UNKNOWN;
    if (ending->proxy_status >= 300)
        return PHOS_OBSTACLE_PROXY;
    switch (ending->code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return PHOS_OBSTACLE_NAME;
    case CURLE_COULDNT_CONNECT:
        return PHOS_OBSTACLE_CONNECT;
    case CURLE_PROXY:
        return PHOS_OBSTACLE_PROXY;
    case CURLE_OPERATION_TIMEDOUT:
        return silence(ending, way->proxy != NULL);
    case CURLE_PEER_FAILED_VERIFICATION:
        return fault_of_certificate(ending);
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return PHOS_OBSTACLE_UNTRUSTED;
    case CURLE_SSL_CONNECT_ERROR:
        return is_no_tls(ending) ? PHOS_OBSTACLE_NO_TLS : PHOS_OBSTACLE_TLS;
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return PHOS_OBSTACLE_TLS;
    default:
        return PHOS_OBSTACLE_UNKNOWN;
    }
}

/* ---- where ---- */

/* Behind the scheme, up to the path. */
static phos_str authority_of(phos_str url)
{
    const char *at = url.data, *end = url.data + url.length;
    const char *start = at;

    for (; end - at >= 3; at++)
        if (memcmp(at, "://", 3) == 0) {
            start = at + 3;
            break;
        }
    for (at = start; at < end && *at != '/'; at++)
        ;
    return phos_str_make(start, (size_t)(at - start));
}

/* The same of a proxy, without name and password: those may hold slashes, right
 * or wrong, but hosts and ports hold no '@'. */
static phos_str authority_of_proxy(const char *proxy)
{
    const char *secret_end = strrchr(proxy, '@');
    const char *rest = secret_end ? secret_end + 1 : proxy;

    return authority_of(phos_str_make(rest, strlen(rest)));
}

static bool has_port(phos_str authority)
{
    size_t i = authority.length;

    while (i > 0 && authority.data[i - 1] >= '0' &&
           authority.data[i - 1] <= '9')
        i--;
    return i > 0 && i < authority.length && authority.data[i - 1] == ':' &&
           !memchr(authority.data + i, ']', authority.length - i);
}

static phos_str without_port(phos_str authority)
{
    if (has_port(authority))
        while (authority.data[--authority.length] != ':')
            ;
    return authority;
}

/* The peer that a connection is made to, as one may type it. */
static void write_peer(const struct phos__http_ending *ending,
                       const struct phos__http_way *way,
                       char where[WHERE_BYTES_MAX])
{
    bool is_proxy = way->proxy && !way->unix_socket_path;
    phos_str peer =
        is_proxy ? authority_of_proxy(way->proxy) : authority_of(way->url);
    const char *port = ending->is_https ? ":443" : ":80";

    if (way->unix_socket_path)
        snprintf(where, WHERE_BYTES_MAX, "%s", way->unix_socket_path);
    else
        snprintf(where, WHERE_BYTES_MAX, "%s%.*s%s",
                 is_proxy ? "the proxy " : "", (int)peer.length, peer.data,
                 is_proxy || has_port(peer) ? "" : port);
}

static void write_name(const struct phos__http_way *way,
                       char where[WHERE_BYTES_MAX])
{
    phos_str name = without_port(way->proxy ? authority_of_proxy(way->proxy)
                                            : authority_of(way->url));

    snprintf(where, WHERE_BYTES_MAX, "%s %.*s",
             way->proxy ? "the proxy's name" : "the name", (int)name.length,
             name.data);
}

/* The service, whatever is between. */
static void write_host(const struct phos__http_ending *ending,
                       const struct phos__http_way *way,
                       char where[WHERE_BYTES_MAX])
{
    const struct phos__http_way straight = { way->url, NULL, NULL };

    write_peer(ending, &straight, where);
}

/* ---- in words ---- */

static const char *why_no_connection(const struct phos__http_ending *ending,
                                     char words[SYSTEM_WORDS_BYTES])
{
    if (ending->code == CURLE_OPERATION_TIMEDOUT)
        return "no answer in time";
    if (ending->system_error &&
        strerror_r(ending->system_error, words, SYSTEM_WORDS_BYTES) == 0)
        return words;
    return ending->words;
}

static const char *without(const char *words, const char *prefix)
{
    size_t length = strlen(prefix);

    return strncmp(words, prefix, length) == 0 ? words + length : words;
}

static void describe_proxy(const struct phos__http_ending *ending,
                           const char *where, char text[PHOS_ERROR_TEXT_BYTES])
{
    if (ending->proxy_status)
        snprintf(text, PHOS_ERROR_TEXT_BYTES,
                 "%s does not let the request through: HTTP %ld", where,
                 ending->proxy_status);
    else
        snprintf(text, PHOS_ERROR_TEXT_BYTES,
                 "%s does not let the request through: %s", where,
                 ending->words);
}

void phos__http_describe(const struct phos__http_ending *ending,
                         const struct phos__http_way *way, phos_status status,
                         phos_error *ret_error)
{
    const size_t bytes = PHOS_ERROR_TEXT_BYTES;
    char where[WHERE_BYTES_MAX], system_words[SYSTEM_WORDS_BYTES];
    char text[PHOS_ERROR_TEXT_BYTES];
    const char *words = without(ending->words, "SSL certificate problem: ");

    switch (phos__http_obstacle(ending, way)) {
    case PHOS_OBSTACLE_NAME:
        write_name(way, where);
        snprintf(text, bytes, "%s cannot be resolved%s", where,
                 ending->code == CURLE_OPERATION_TIMEDOUT ? " in time" : "");
        break;
    case PHOS_OBSTACLE_CONNECT:
        write_peer(ending, way, where);
        snprintf(text, bytes, "cannot connect to %s: %s", where,
                 why_no_connection(ending, system_words));
        break;
    case PHOS_OBSTACLE_PROXY:
        write_peer(ending, way, where);
        describe_proxy(ending, where, text);
        break;
    case PHOS_OBSTACLE_TLS:
        write_host(ending, way, where);
        snprintf(text, bytes, "no TLS with %s: %s", where, words);
        break;
    case PHOS_OBSTACLE_NO_TLS:
        write_host(ending, way, where);
        snprintf(text, bytes, "the server does not speak TLS on %s", where);
        break;
    case PHOS_OBSTACLE_UNTRUSTED:
        write_host(ending, way, where);
        snprintf(text, bytes, "the certificate of %s is not trusted: %s", where,
                 words);
        break;
    case PHOS_OBSTACLE_EXPIRED:
        write_host(ending, way, where);
        snprintf(text, bytes, "the certificate of %s is not valid now: %s",
                 where, words);
        break;
    case PHOS_OBSTACLE_OTHER_HOST:
        write_host(ending, way, where);
        snprintf(text, bytes, "the certificate of %s is for another host",
                 where);
        break;
    case PHOS_OBSTACLE_UNKNOWN:
        snprintf(text, bytes, "%s", ending->words);
        break;
    }
    phos__error_set(ret_error, status, PHOS_ORIGIN_CURL, (int)ending->code,
                    "%s", text);
}
