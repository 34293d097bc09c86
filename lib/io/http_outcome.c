#include "io/http_internal.h"

#include "base/saturate.h"

/*
 * What each CURLcode means while nothing of the request has left: either the
 * set-up cannot work and somebody has to change it, or the same request may
 * work later. When in doubt it is the latter, because a pause for the wrong
 * reason keeps events back, while a retry only costs a connection.
 *
 * Not here, because later may help: names that do not resolve (also the
 * proxy's: a resolver that is away looks the same), CURLE_SSL_CONNECT_ERROR
 * (also a reset in the handshake), CURLE_PROXY (also a target that is away).
 */
static bool is_configuration(CURLcode code)
{
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_UNKNOWN_OPTION:
    case CURLE_SETOPT_OPTION_SYNTAX:
    case CURLE_INTERFACE_FAILED:
    case CURLE_LOGIN_DENIED:
    case CURLE_AUTH_ERROR:
    /* The server is not who it should be. */
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    /* Files and names of the TLS set-up. */
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
        return true;
    default:
        return false;
    }
}

/* A proxy that refuses the way through: 407 and the like. Its 5xx and 429 are
 * passing trouble. */
static bool is_refused_by_proxy(long status)
{
    return status >= 400 && status < 500 && status != 408 && status != 429;
}

/*
 * The peer took some of the body, but not all of it: a body too large for this
 * path in this time. A peer that took none of it is not there at all, and a
 * smaller body would fare no better.
 */
static bool is_stalled(const struct phos__http_ending *ending)
{
    uint64_t taken = phos__sub_sat_u64(ending->body_written, ending->unread);

    return ending->code == CURLE_OPERATION_TIMEDOUT && taken > 0 &&
           taken < ending->body_bytes;
}

phos_exchange phos__http_outcome(const struct phos__http_ending *ending)
{
    if (ending->is_answered)
        return PHOS_EXCHANGE_ANSWERED;
    if (ending->has_begun)
        return is_stalled(ending) ? PHOS_EXCHANGE_STALLED
                                  : PHOS_EXCHANGE_BROKEN;
    if (is_configuration(ending->code) ||
        is_refused_by_proxy(ending->proxy_status))
        return PHOS_EXCHANGE_REFUSED;
    return PHOS_EXCHANGE_NOT_SENT;
}

phos_status phos__http_status_of(phos_exchange exchange, CURLcode code)
{
    switch (exchange) {
    case PHOS_EXCHANGE_ANSWERED:
        return PHOS_OK;
    case PHOS_EXCHANGE_CANCELLED:
        return PHOS_E_CANCELLED;
    case PHOS_EXCHANGE_REFUSED:
        return PHOS_E_CONFIG;
    case PHOS_EXCHANGE_STALLED:
        return PHOS_E_TIMEOUT;
    case PHOS_EXCHANGE_NOT_SENT:
    case PHOS_EXCHANGE_BROKEN:
        break;
    }
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return PHOS_E_TIMEOUT;
    case CURLE_OUT_OF_MEMORY:
        return PHOS_E_NO_MEMORY;
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9: no status line at all */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
        return PHOS_E_PROTOCOL;
    default:
        return PHOS_E_NETWORK;
    }
}
