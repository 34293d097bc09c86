/*
 * limits - events per minute of one key, as a token bucket that holds one
 * minute's worth. Pure: time is an argument.
 *
 * The service counts events, not requests, and accepted ones alone: a request
 * takes its tokens when it is let in and gives them back when it is not
 * stored.
 */
#ifndef PHOSD_LIMITS_H
#define PHOSD_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct phosd_bucket {
    uint32_t per_minute; /* 0: no limit */
    int64_t tokens;      /* in 1/60,000 of an event; below 0: a debt */
    uint64_t filled_ms;
};

void phosd_bucket_init(struct phosd_bucket *bucket, uint32_t per_minute,
                       uint64_t now_ms);

/*
 * Takes `events` tokens, all or none. false sets *ret_wait_s to the seconds
 * after which the same request would pass, at least 1.
 *
 * A request larger than a whole minute's worth passes when the bucket is full,
 * and leaves a debt: else it could never pass.
 */
bool phosd_bucket_take(struct phosd_bucket *bucket, uint32_t events,
                       uint64_t now_ms, uint32_t *ret_wait_s);

void phosd_bucket_give_back(struct phosd_bucket *bucket, uint32_t events);

#endif
