#include "core/verdict.h"

static enum phos__verdict verdict_of_status(int status,
                                            enum phos__body_kind body)
{
    switch (status) {
    case 429:
    case 503:
        return PHOS__VERDICT_THROTTLED;
    case 408:
    case 425:
        return PHOS__VERDICT_AGAIN;
    case 413:
        return PHOS__VERDICT_SMALLER;
    case 401:
    case 403:
    case 404:
    case 405:
    case 410:
    case 414:
    case 415:
    case 431:
    case 501:
    case 505:
        return PHOS__VERDICT_CONFIG;
    default:
        break;
    }
    if (status >= 200 && status < 300)
        /* A page where an API should be: a captive portal or a wrong path. */
        return body == PHOS__BODY_HTML ? PHOS__VERDICT_CONFIG
                                       : PHOS__VERDICT_DELIVERED;
    if (status >= 300 && status < 400)
        return PHOS__VERDICT_CONFIG;
    if (status >= 400 && status < 500)
        return PHOS__VERDICT_SUSPECT;
    /* 5xx, and what no server should send: 1xx as a final answer, 600-999. */
    return PHOS__VERDICT_AGAIN;
}

enum phos__verdict phos__verdict_of(phos_exchange exchange, int http_status,
                                    enum phos__body_kind body)
{
    switch (exchange) {
    case PHOS_EXCHANGE_ANSWERED:
        return verdict_of_status(http_status, body);
    case PHOS_EXCHANGE_STALLED:
        return PHOS__VERDICT_SMALLER;
    case PHOS_EXCHANGE_REFUSED:
        return PHOS__VERDICT_CONFIG;
    case PHOS_EXCHANGE_NOT_SENT:
    case PHOS_EXCHANGE_BROKEN:
    case PHOS_EXCHANGE_CANCELLED:
        break;
    }
    return PHOS__VERDICT_AGAIN;
}

bool phos__may_have_arrived(phos_exchange exchange, int http_status)
{
    switch (exchange) {
    case PHOS_EXCHANGE_NOT_SENT:
    case PHOS_EXCHANGE_REFUSED:
        return false;
    case PHOS_EXCHANGE_ANSWERED:
        /* 3xx and 4xx are a no before anything was done; all else is not. */
        return http_status < 300 || http_status >= 500 || http_status == 408;
    case PHOS_EXCHANGE_BROKEN:
    case PHOS_EXCHANGE_STALLED:
    case PHOS_EXCHANGE_CANCELLED:
        break;
    }
    return true;
}

bool phos__can_be_poison(phos_exchange exchange, int http_status)
{
    if (exchange == PHOS_EXCHANGE_ANSWERED)
        return http_status >= 500 && http_status != 503;
    return exchange == PHOS_EXCHANGE_BROKEN;
}
