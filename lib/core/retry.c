#include "core/retry.h"

#include <assert.h>

#include "base/saturate.h"
#include "base/seeded.h"

enum { BUDGET_HALF_TOKENS_MAX = 100, EMPTY_FAILURES = 2 };

static uint64_t longest_wait_ms(const struct phos__retry *retry,
                                uint32_t failures)
{
    /* 32 doublings of even 1 ms pass any 32-bit cap and still fit 64 bits. */
    uint32_t doublings = failures - 1 < 32 ? failures - 1 : 32;
    uint64_t wait_ms = (uint64_t)retry->base_ms << doublings;

    return wait_ms < retry->cap_ms ? wait_ms : retry->cap_ms;
}

uint64_t phos__retry_wait_ms(const struct phos__retry *retry,
                             const struct phos__retry_ask *ask)
{
    uint64_t longest_ms, wait_ms;

    assert(retry->base_ms > 0);
    assert(retry->cap_ms >= retry->base_ms);
    assert(ask->failures > 0);

    longest_ms = longest_wait_ms(retry, ask->failures);
    if (PHOS__BUG(JITTER_ZERO))
        wait_ms = longest_ms;
    else if (ask->is_throttled)
        wait_ms = longest_ms / 2 + ask->random % (longest_ms / 2 + 1);
    else
        wait_ms = ask->random % (longest_ms + 1);
    return PHOS__BUG(RETRY_AFTER_IGNORED)
               ? wait_ms
               : phos__max_u64(wait_ms, ask->retry_after_ms);
}

void phos__retry_budget_init(struct phos__retry_budget *budget)
{
    budget->half_tokens = BUDGET_HALF_TOKENS_MAX;
}

void phos__retry_budget_pay_back(struct phos__retry_budget *budget)
{
    if (budget->half_tokens < BUDGET_HALF_TOKENS_MAX)
        budget->half_tokens++;
}

uint32_t phos__retry_budget_spend(struct phos__retry_budget *budget)
{
    if (budget->half_tokens < 2)
        return EMPTY_FAILURES;
    budget->half_tokens -= 2;
    return 0;
}
