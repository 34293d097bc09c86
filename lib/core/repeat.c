#include "core/repeat.h"

#include <assert.h>

#include "base/saturate.h"

enum { JITTER_MS = 1000 };

/* initial * exponent^n, at most `max`. */
static uint64_t grown_ms(const phos_retry *retry, uint32_t n)
{
    double wait_ms = retry->initial_ms;

    for (uint32_t i = 0; i < n && wait_ms < retry->max_ms; i++) {
        double more_ms = wait_ms * retry->exponent;

        if (!(more_ms > wait_ms))
            break; /* it will not grow any more */
        wait_ms = more_ms;
    }
    return wait_ms < retry->max_ms ? (uint64_t)wait_ms : retry->max_ms;
}

static bool is_passing(int http_status)
{
    return http_status == 429 || http_status == 500 || http_status == 502 ||
           http_status == 503 || http_status == 504;
}

static bool is_broken_connection(phos_exchange exchange)
{
    return exchange == PHOS_EXCHANGE_NOT_SENT ||
           exchange == PHOS_EXCHANGE_BROKEN ||
           exchange == PHOS_EXCHANGE_STALLED;
}

static bool may_repeat_safely(const struct phos__repeat_ask *ask)
{
    if (ask->exchange == PHOS_EXCHANGE_NOT_SENT)
        return true;
    if (!ask->is_safe)
        return false;
    if (ask->exchange == PHOS_EXCHANGE_ANSWERED)
        return is_passing(ask->http_status) || ask->http_status == 408;
    return is_broken_connection(ask->exchange);
}

static bool may_repeat_always(const phos_retry *retry,
                              const struct phos__repeat_ask *ask)
{
    if (ask->exchange == PHOS_EXCHANGE_ANSWERED)
        return is_passing(ask->http_status);
    return retry->connection_errors && is_broken_connection(ask->exchange);
}

bool phos__repeat_next(const phos_retry *retry,
                       const struct phos__repeat_ask *ask,
                       uint64_t *ret_wait_ms)
{
    uint64_t wait_ms = grown_ms(retry, ask->attempts - 1);

    assert(ask->attempts > 0);
    if (retry->attempts_max && ask->attempts >= retry->attempts_max)
        return false;
    if (retry->elapsed_max_ms && ask->elapsed_ms > retry->elapsed_max_ms)
        return false;
    switch (retry->kind) {
    case PHOS_RETRY_SAFE:
        if (!may_repeat_safely(ask))
            return false;
        *ret_wait_ms =
            phos__max_u64(ask->random % (wait_ms + 1), ask->retry_after_ms);
        return true;
    case PHOS_RETRY_BACKOFF:
        if (!may_repeat_always(retry, ask))
            return false;
        *ret_wait_ms = phos__min_u64(wait_ms + ask->random % (JITTER_MS + 1),
                                     retry->max_ms);
        return true;
    case PHOS_RETRY_NEVER:
        break;
    }
    return false;
}
