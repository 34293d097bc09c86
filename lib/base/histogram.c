#include "base/histogram.h"

#include "base/saturate.h"

uint64_t phos_histogram_bucket_min(unsigned bucket)
{
    if (bucket < 2)
        return bucket;
    if (bucket >= PHOS_HISTOGRAM_BUCKETS)
        return UINT64_MAX;
    return (UINT64_C(2) | (bucket & 1)) << (bucket / 2 - 1);
}

static unsigned bucket_of(uint64_t value)
{
    unsigned magnitude, bucket;

    if (value < 2)
        return (unsigned)value;
    magnitude = 63u - (unsigned)__builtin_clzll(value);
    bucket = 2 * magnitude + (unsigned)(value >> (magnitude - 1) & 1);
    return bucket < PHOS_HISTOGRAM_BUCKETS ? bucket
                                           : PHOS_HISTOGRAM_BUCKETS - 1;
}

void phos__histogram_add(phos_histogram *histogram, uint64_t value)
{
    histogram->count++;
    histogram->sum = phos__add_sat_u64(histogram->sum, value);
    histogram->max = phos__max_u64(histogram->max, value);
    histogram->buckets[bucket_of(value)]++;
}

uint64_t phos_histogram_percentile(const phos_histogram *histogram,
                                   double percentile)
{
    uint64_t below = 0;
    double rank;

    if (!histogram || histogram->count == 0)
        return 0;
    rank = (double)histogram->count * percentile / 100.0;
    for (unsigned i = 0; i < PHOS_HISTOGRAM_BUCKETS; i++) {
        below += histogram->buckets[i];
        if (below > 0 && (double)below >= rank)
            return phos__min_u64(phos_histogram_bucket_min(i + 1) - 1,
                                 histogram->max);
    }
    return histogram->max;
}
