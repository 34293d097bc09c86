#include "bins.h"

#include <assert.h>
#include <stdlib.h>

enum { WHOLE_MAX = 1024, SHARE_BITS = 9 };

/* Of a latency that is not negative. */
static int32_t place_of(uint64_t ms)
{
    unsigned shift = 0;

    if (ms < WHOLE_MAX)
        return (int32_t)ms;
    while (ms >> shift >= 2 << SHARE_BITS)
        shift++;
    return WHOLE_MAX + (int32_t)((shift - 1) << SHARE_BITS) +
           (int32_t)((ms >> shift) - (1 << SHARE_BITS));
}

static int64_t value_at(int32_t place)
{
    unsigned shift;
    int64_t share;

    if (place < WHOLE_MAX)
        return place;
    shift = (unsigned)((place - WHOLE_MAX) >> SHARE_BITS) + 1;
    share = ((place - WHOLE_MAX) & ((1 << SHARE_BITS) - 1)) + (1 << SHARE_BITS);
    return (share << shift) + (INT64_C(1) << (shift - 1));
}

int32_t phosd_bin_of(int64_t latency_ms)
{
    assert(latency_ms > -(INT64_C(1) << 53) && latency_ms < INT64_C(1) << 53);
    return latency_ms >= 0 ? place_of((uint64_t)latency_ms)
                           : -1 - place_of((uint64_t)(-1 - latency_ms));
}

int64_t phosd_bin_value(int32_t bin)
{
    return bin >= 0 ? value_at(bin) : -1 - value_at(-1 - bin);
}

static bool read_number(struct phosd_bins_cursor *cursor, uint64_t *ret_number)
{
    uint64_t number = 0;

    for (unsigned shift = 0; shift < 64 && cursor->at < cursor->bytes.length;
         shift += 7) {
        uint8_t byte = (uint8_t)cursor->bytes.data[cursor->at++];

        number |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *ret_number = number;
            return true;
        }
    }
    return false;
}

static void write_number(struct phos__buffer *to, uint64_t number)
{
    uint8_t bytes[10];
    size_t count = 0;

    for (; number >= 0x80; number >>= 7)
        bytes[count++] = (uint8_t)(number | 0x80);
    bytes[count++] = (uint8_t)number;
    phos__buffer_append(to, bytes, count);
}

/* The first distance is the one from below the lowest bin. */
static const int64_t before_all = -(int64_t)PHOSD_BINS - 1;

bool phosd_bins_next(struct phosd_bins_cursor *cursor,
                     struct phosd_bin *ret_bin)
{
    uint64_t distance, count;
    int64_t bin = cursor->at == 0 ? before_all : cursor->bin;

    if (!read_number(cursor, &distance) || !read_number(cursor, &count) ||
        distance > 2 * PHOSD_BINS || count > INT64_MAX)
        return false;
    bin += (int64_t)distance;
    if (bin >= PHOSD_BINS)
        return false;
    cursor->bin = bin;
    ret_bin->bin = (int32_t)bin;
    ret_bin->count = (int64_t)count;
    return true;
}

static int by_bin(const void *left, const void *right)
{
    const struct phosd_bin *a = left, *b = right;

    return (a->bin > b->bin) - (a->bin < b->bin);
}

void phosd_bins_change(phos_str kept, struct phosd_bin *changes, size_t count,
                       struct phos__buffer *ret)
{
    struct phosd_bins_cursor cursor = { .bytes = kept };
    struct phosd_bin old;
    bool more = phosd_bins_next(&cursor, &old);
    int64_t last = before_all;
    size_t at = 0;

    if (count > 0)
        qsort(changes, count, sizeof(changes[0]), by_bin);
    while (more || at < count) {
        int32_t bin = !more || (at < count && changes[at].bin < old.bin)
                          ? changes[at].bin
                          : old.bin;
        int64_t sum = 0;

        if (more && old.bin == bin) {
            sum = old.count;
            more = phosd_bins_next(&cursor, &old);
        }
        for (; at < count && changes[at].bin == bin; at++)
            sum += changes[at].count;
        if (sum <= 0)
            continue;
        write_number(ret, (uint64_t)(bin - last));
        write_number(ret, (uint64_t)sum);
        last = bin;
    }
}
