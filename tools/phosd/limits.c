#include "limits.h"

/* A rate per minute fills this many parts of an event in each millisecond, so
 * that whole numbers suffice. */
#define PARTS INT64_C(60000)

static int64_t capacity(const struct phosd_bucket *bucket)
{
    return (int64_t)bucket->per_minute * PARTS;
}

void phosd_bucket_init(struct phosd_bucket *bucket, uint32_t per_minute,
                       uint64_t now_ms)
{
    bucket->per_minute = per_minute;
    bucket->tokens = capacity(bucket);
    bucket->filled_ms = now_ms;
}

static void fill(struct phosd_bucket *bucket, uint64_t now_ms)
{
    uint64_t spent_ms =
        now_ms > bucket->filled_ms ? now_ms - bucket->filled_ms : 0;
    int64_t missing = capacity(bucket) - bucket->tokens;

    bucket->filled_ms = now_ms;
    if (spent_ms >= (uint64_t)(missing / bucket->per_minute) + 1)
        bucket->tokens = capacity(bucket);
    else
        bucket->tokens += (int64_t)spent_ms * bucket->per_minute;
    if (bucket->tokens > capacity(bucket))
        bucket->tokens = capacity(bucket);
}

bool phosd_bucket_take(struct phosd_bucket *bucket, uint32_t events,
                       uint64_t now_ms, uint32_t *ret_wait_s)
{
    int64_t asked = (int64_t)events * PARTS;
    int64_t needed, wait_ms;

    if (bucket->per_minute == 0)
        return true;
    fill(bucket, now_ms);
    needed = asked < capacity(bucket) ? asked : capacity(bucket);
    if (bucket->tokens >= needed) {
        bucket->tokens -= asked;
        return true;
    }
    wait_ms =
        (needed - bucket->tokens + bucket->per_minute - 1) / bucket->per_minute;
    *ret_wait_s = (uint32_t)((wait_ms + 999) / 1000);
    return false;
}

void phosd_bucket_give_back(struct phosd_bucket *bucket, uint32_t events)
{
    if (bucket->per_minute == 0)
        return;
    bucket->tokens += (int64_t)events * PARTS;
    if (bucket->tokens > capacity(bucket))
        bucket->tokens = capacity(bucket);
}
