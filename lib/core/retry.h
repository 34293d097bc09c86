/*
 * retry - how long a failed batch waits before it may be sent again.
 *
 * Pure: randomness arrives as an argument, so any schedule can be replayed. It
 * keeps no batches and no timers; core/delivery.h owns those.
 *
 *     send 1 fails     send 2 fails          send 3 fails
 *     |--- 0..base ---|------ 0..2*base -----|---- 0..4*base, at most cap ---
 */
#ifndef PHOS_CORE_RETRY_H
#define PHOS_CORE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct phos__retry {
    uint32_t base_ms; /* longest first wait; > 0 */
    uint32_t cap_ms;  /* longest wait of our own choosing; >= base_ms */
};

/* Four numbers of one type would trade places unnoticed as plain arguments. */
struct phos__retry_ask {
    uint32_t failures;       /* in a row; > 0 */
    bool is_throttled;       /* 429, 503: half of the wait is fixed */
    uint64_t retry_after_ms; /* the server's wish; 0 when it has none */
    uint64_t random;         /* any 64 bits */
};

/*
 * The wait in milliseconds. A server's wish is kept even above cap_ms: coming
 * back sooner would only be refused again.
 *
 * Source: RFC 9110, section 10.2.3 (Retry-After). Full jitter for failures,
 * because clients that failed together must not return together; half of it
 * fixed for throttling, because full jitter can come close to no wait at all.
 */
uint64_t phos__retry_wait_ms(const struct phos__retry *retry,
                             const struct phos__retry_ask *ask);

/*
 * The retry budget: a repeated request costs one token, a success pays half a
 * one back. It never drops anything: while it is empty, waits grow as if there
 * had been two more failures.
 */
struct phos__retry_budget {
    uint32_t half_tokens;
};

void phos__retry_budget_init(struct phos__retry_budget *budget);
void phos__retry_budget_pay_back(struct phos__retry_budget *budget);
/* Returns the failures to add to an ask: 0, or 2 when the budget is empty. */
uint32_t phos__retry_budget_spend(struct phos__retry_budget *budget);

#endif
