/*
 * ring_rig - what the tests of the ring share: a ring with its eventfd and
 * reader, and records whose every byte follows from a tag.
 */
#ifndef TEST_QUEUE_RING_RIG_H
#define TEST_QUEUE_RING_RIG_H

#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "queue/ring.h"

enum { RIG_BYTES = 1 << 16 };

struct rig {
    struct phos__ring ring;
    struct phos__ring_reader reader;
};

static inline void rig_open_bytes(struct rig *rig, uint64_t bytes,
                                  uint64_t start_position)
{
    const struct phos__siphash_key id_key = { 1, 2 };
    int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    assert_true(wake_fd >= 0);
    assert_int_equal(phos__ring_open(&rig->ring, bytes,
                                     UINT64_C(0x243f6a8885a308d3), &id_key,
                                     wake_fd, start_position),
                     PHOS_OK);
    phos__ring_reader_init(&rig->reader, &rig->ring);
}

static inline void rig_open(struct rig *rig, uint64_t start_position)
{
    rig_open_bytes(rig, RIG_BYTES, start_position);
}

static inline void rig_close(struct rig *rig)
{
    close(rig->ring.wake_fd);
    phos__ring_deinit(&rig->ring);
}

/* The byte at `index` of the record with that tag; its first 8 are the tag. */
static inline uint8_t rig_byte(uint64_t tag, uint32_t index)
{
    if (index < 8)
        return (uint8_t)(tag >> (8 * index));
    return (uint8_t)(tag * 31 + index * 7 + (index >> 8));
}

static inline void rig_fill(uint8_t *record, uint32_t bytes, uint64_t tag)
{
    for (uint32_t i = 0; i < bytes; i++)
        record[i] = rig_byte(tag, i);
}

static inline uint64_t rig_tag(const struct phos__ring_item *item)
{
    uint64_t tag = 0;

    for (uint32_t i = 0; i < 8; i++)
        tag |= (uint64_t)item->record[i] << (8 * i);
    return tag;
}

/* Whether every byte follows from the tag in front. */
static inline bool rig_whole(const struct phos__ring_item *item)
{
    uint64_t tag = rig_tag(item);

    for (uint32_t i = 0; i < item->bytes; i++) {
        if (item->record[i] != rig_byte(tag, i))
            return false;
    }
    return true;
}

static inline phos_status rig_log(struct phos__ring *ring, uint32_t bytes,
                                  uint64_t tag)
{
    uint64_t position;
    uint8_t *record;
    phos_status status = phos__ring_reserve(ring, bytes, &position, &record);

    if (status)
        return status;
    rig_fill(record, bytes, tag);
    phos__ring_publish(ring, position, bytes);
    return PHOS_OK;
}

/* Whether somebody has asked to wake the consumer; clears it. */
static inline bool rig_woken(const struct phos__ring *ring)
{
    uint64_t count;

    return read(ring->wake_fd, &count, sizeof(count)) == sizeof(count);
}

#endif
