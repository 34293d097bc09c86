#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "ring_rig.h"

/* Positions at which an arithmetic slip would show: the beginning, a few
 * records before 2^32, 2^63 and 2^64. */
static const uint64_t starts[] = { 0, (UINT64_C(1) << 32) - 4096,
                                   (UINT64_C(1) << 63) - 4096,
                                   UINT64_C(0) - 4096 };
enum { START_COUNT = sizeof(starts) / sizeof(starts[0]) };

static struct rig rig;

static bool next(struct phos__ring_item *ret_item)
{
    return phos__ring_read(&rig.reader, 0, ret_item);
}

static void read_one(uint64_t tag, uint32_t bytes,
                     struct phos__ring_item *ret_item)
{
    assert_true(next(ret_item));
    assert_true(rig_tag(ret_item) == tag);
    assert_int_equal(ret_item->bytes, bytes);
    assert_true(rig_whole(ret_item));
}

static void finish_and_release(uint64_t position)
{
    phos__ring_finish(&rig.reader, position);
    phos__ring_release(&rig.reader);
}

/* A record reserved by a producer that then goes no further. */
static uint64_t reserve(uint32_t bytes)
{
    uint64_t position = 0;
    uint8_t *record;

    assert_int_equal(phos__ring_reserve(&rig.ring, bytes, &position, &record),
                     PHOS_OK);
    return position;
}

/* The same, stopped one instruction earlier. */
static struct phos__ring_taken take(uint32_t bytes)
{
    struct phos__ring_taken taken = { 0 };

    assert_int_equal(phos__ring_take(&rig.ring, bytes, &taken), PHOS_OK);
    return taken;
}

static uint8_t *bytes_of(uint64_t position)
{
    return (uint8_t *)(phos__ring_stamp_at(&rig.ring, position) + 1);
}

static void records_come_out_as_they_went_in_over_many_laps(void **state)
{
    (void)state;
    for (unsigned s = 0; s < START_COUNT; s++) {
        uint64_t expected = starts[s];

        rig_open(&rig, starts[s]);
        for (uint64_t tag = 0; tag < 3000; tag++) {
            uint32_t bytes = 8 + 8 * (uint32_t)(tag * 37 % 500);
            struct phos__ring_item item;

            assert_int_equal(rig_log(&rig.ring, bytes, tag), PHOS_OK);
            read_one(tag, bytes, &item);
            assert_true(item.position == expected);
            expected += bytes + PHOS__RING_STAMP_BYTES;
            finish_and_release(item.position);
        }
        assert_true(phos__ring_head(&rig.ring) == expected);
        assert_true(phos__ring_tail(&rig.ring) == expected);
        assert_true(phos__ring_read_position(&rig.ring) == expected);
        rig_close(&rig);
    }
}

static void a_full_ring_takes_no_more_until_head_is_released(void **state)
{
    (void)state;
    for (unsigned s = 0; s < START_COUNT; s++) {
        struct phos__ring_item item;

        rig_open(&rig, starts[s]);
        for (uint64_t tag = 0; tag < RIG_BYTES / 1024; tag++)
            assert_int_equal(rig_log(&rig.ring, 1016, tag), PHOS_OK);
        assert_int_equal(rig_log(&rig.ring, 0, 0), PHOS_E_FULL);

        read_one(0, 1016, &item);
        phos__ring_finish(&rig.reader, item.position);
        assert_int_equal(rig_log(&rig.ring, 0, 0), PHOS_E_FULL);
        phos__ring_release(&rig.reader);
        assert_int_equal(rig_log(&rig.ring, 1024, 0), PHOS_E_FULL);
        assert_int_equal(rig_log(&rig.ring, 1016, 64), PHOS_OK);
        assert_int_equal(rig_log(&rig.ring, 0, 0), PHOS_E_FULL);
        for (uint64_t tag = 1; tag <= 64; tag++)
            read_one(tag, 1016, &item);
        assert_false(next(&item));
        rig_close(&rig);
    }
}

static void a_record_larger_than_the_ring_never_fits(void **state)
{
    (void)state;
    rig_open(&rig, 0);
    assert_int_equal(rig_log(&rig.ring, RIG_BYTES, 0), PHOS_E_FULL);
    assert_int_equal(rig_log(&rig.ring, PHOS__RING_RECORD_BYTES_MAX, 0),
                     PHOS_E_FULL);
    assert_true(phos__ring_tail(&rig.ring) == 0);
    assert_int_equal(rig_log(&rig.ring, RIG_BYTES - 8, 7), PHOS_OK);
    rig_close(&rig);
}

static void an_empty_record_is_read_like_any_other(void **state)
{
    struct phos__ring_item item;

    (void)state;
    rig_open(&rig, 0);
    assert_int_equal(rig_log(&rig.ring, 0, 0), PHOS_OK);
    assert_true(next(&item));
    assert_int_equal(item.bytes, 0);
    finish_and_release(item.position);
    assert_true(phos__ring_head(&rig.ring) == PHOS__RING_STAMP_BYTES);
    rig_close(&rig);
}

static void a_record_across_the_end_of_the_buffer_is_contiguous(void **state)
{
    struct phos__ring_item item;

    (void)state;
    rig_open(&rig, RIG_BYTES - 64);
    assert_int_equal(rig_log(&rig.ring, 4096, 5), PHOS_OK);
    read_one(5, 4096, &item);
    assert_true(item.record + item.bytes > rig.ring.data + rig.ring.bytes);
    /* The bytes beyond the end are those of the beginning. */
    assert_memory_equal(rig.ring.data, item.record + 56, 4096 - 56);
    rig_close(&rig);
}

static void head_follows_only_a_finished_prefix(void **state)
{
    struct phos__ring_item items[5];

    (void)state;
    for (unsigned s = 0; s < START_COUNT; s++) {
        rig_open(&rig, starts[s]);
        for (uint64_t tag = 0; tag < 5; tag++) {
            rig_log(&rig.ring, 2040, tag);
            read_one(tag, 2040, &items[tag]);
        }
        finish_and_release(items[3].position);
        finish_and_release(items[1].position);
        finish_and_release(items[2].position);
        assert_true(phos__ring_head(&rig.ring) == starts[s]);
        finish_and_release(items[0].position);
        assert_true(phos__ring_head(&rig.ring) == items[4].position);
        finish_and_release(items[4].position);
        assert_true(phos__ring_head(&rig.ring) == phos__ring_tail(&rig.ring));
        rig_close(&rig);
    }
}

static void close_refuses_all_that_comes_later(void **state)
{
    struct phos__ring_item item;

    (void)state;
    rig_open(&rig, 0);
    assert_int_equal(rig_log(&rig.ring, 16, 1), PHOS_OK);
    phos__ring_close(&rig.ring);
    phos__ring_close(&rig.ring);
    assert_int_equal(rig_log(&rig.ring, 16, 2), PHOS_E_CLOSED);
    assert_true(phos__ring_tail(&rig.ring) == 24);
    read_one(1, 16, &item);
    assert_false(next(&item));
    assert_true(phos__ring_sleep(&rig.reader));
    rig_close(&rig);
}

static void
a_claimed_record_is_passed_and_read_when_it_is_published(void **state)
{
    struct phos__ring_item item;
    uint64_t position;

    (void)state;
    rig_open(&rig, UINT64_C(0) - 4096);
    position = reserve(64);
    rig_log(&rig.ring, 16, 1);
    assert_true(phos__ring_read(&rig.reader, 1000, &item));
    assert_true(rig_tag(&item) == 1);
    assert_false(phos__ring_read(&rig.reader, 1001, &item));
    assert_int_equal(phos__ring_stalled_age_ms(&rig.reader, 5000), 4000);
    finish_and_release(item.position);
    assert_true(phos__ring_head(&rig.ring) == position);

    rig_log(&rig.ring, 16, 2);
    rig_fill(bytes_of(position), 64, 99);
    phos__ring_publish(&rig.ring, position, 64);
    read_one(99, 64, &item); /* first: it has waited longest */
    assert_true(item.position == position);
    assert_int_equal(phos__ring_stalled_age_ms(&rig.reader, 5000), 0);
    finish_and_release(position);
    read_one(2, 16, &item);
    assert_true(phos__ring_head(&rig.ring) == item.position);
    rig_close(&rig);
}

static void stalled_records_are_passed_up_to_a_bound(void **state)
{
    uint64_t positions[PHOS__RING_STALLED_MAX + 1];
    struct phos__ring_item item;

    (void)state;
    rig_open(&rig, 0);
    for (int i = 0; i <= PHOS__RING_STALLED_MAX; i++)
        positions[i] = reserve(8);
    rig_log(&rig.ring, 8, 1);
    assert_false(next(&item));
    assert_true(rig.reader.read == positions[PHOS__RING_STALLED_MAX]);

    /* One in the middle ends, so there is room for the last one. */
    phos__ring_publish(&rig.ring, positions[10], 8);
    assert_true(next(&item));
    assert_true(item.position == positions[10]);
    read_one(1, 8, &item);
    assert_false(next(&item));
    for (int i = 0; i <= PHOS__RING_STALLED_MAX; i++) {
        if (i == 10)
            continue;
        phos__ring_publish(&rig.ring, positions[i], 8);
        assert_true(next(&item));
        assert_true(item.position == positions[i]);
    }
    assert_false(next(&item));
    assert_int_equal(rig.reader.stalled_count, 0);
    rig_close(&rig);
}

static void a_record_taken_and_not_claimed_is_waited_for(void **state)
{
    struct phos__ring_taken taken;
    struct phos__ring_item item;

    (void)state;
    rig_open(&rig, 0);
    /* A lap of records, so that old stamps lie about. */
    for (uint64_t tag = 0; tag < RIG_BYTES / 64; tag++) {
        rig_log(&rig.ring, 56, tag);
        assert_true(next(&item));
        finish_and_release(item.position);
    }
    taken = take(56);
    rig_log(&rig.ring, 56, 1);
    assert_false(next(&item));
    assert_false(phos__ring_sleep(&rig.reader));
    phos__ring_claim(&taken);
    read_one(1, 56, &item);
    rig_close(&rig);
}

static void no_payload_looks_like_a_stamp_of_another_position(void **state)
{
    struct phos__ring_item item;
    uint64_t position;

    (void)state;
    rig_open(&rig, 0);
    /* The worst case: a payload of true stamps, each for the place where it
     * lies now, read one lap later by a consumer that meets a record taken and
     * not claimed. */
    position = reserve(RIG_BYTES - 8);
    for (uint32_t at = 0; at < RIG_BYTES - 8; at += 8) {
        uint64_t stamp = phos__ring_stamp(&rig.ring, position + 8 + at, 16,
                                          PHOS__RING_PUBLISHED);

        memcpy(bytes_of(position) + at, &stamp, sizeof(stamp));
    }
    phos__ring_publish(&rig.ring, position, RIG_BYTES - 8);
    assert_true(next(&item));
    finish_and_release(item.position);

    for (uint64_t used = 0; used < RIG_BYTES; used += 8) {
        struct phos__ring_taken taken = take(0);

        assert_false(next(&item));
        assert_int_equal(rig.reader.stalled_count, 0);
        phos__ring_claim(&taken);
        phos__ring_publish(&rig.ring, taken.position, 0);
        assert_true(next(&item));
        assert_true(item.position == taken.position);
        finish_and_release(item.position);
    }
    rig_close(&rig);
}

static void stamps_of_all_laps_differ(void **state)
{
    const uint64_t zero = 0;

    (void)state;
    rig_open(&rig, 0);
    /* Laps that differ in one bit only, for every bit and many places. */
    for (uint64_t place = 0; place < RIG_BYTES; place += 8) {
        uint64_t key = phos__ring_key(&rig.ring, place);

        assert_true(key != zero);
        for (unsigned bit = 16; bit < 64; bit++)
            assert_true(phos__ring_key(&rig.ring, place | UINT64_C(1) << bit) !=
                        key);
    }
    rig_close(&rig);
}

/* Records of 24 bytes are of a kind of their own. */
static bool is_of_kind(const uint8_t *record, size_t bytes)
{
    (void)record;
    return bytes == 24;
}

static void assert_count_from(uint64_t read, uint64_t want,
                              uint64_t want_of_kind)
{
    uint64_t of_kind = 42;

    assert_int_equal(
        phos__ring_count_from(&rig.ring, read, is_of_kind, &of_kind), want);
    assert_int_equal(of_kind, want_of_kind);
}

static void a_stray_length_does_not_lead_out_of_the_ring(void **state)
{
    struct phos__ring_item item;
    _Atomic uint64_t *stamp;

    (void)state;
    rig_open(&rig, 0);
    rig_log(&rig.ring, 16, 1);
    rig_log(&rig.ring, 16, 2);
    stamp = phos__ring_stamp_at(&rig.ring, 0);
    atomic_fetch_or(stamp, PHOS__RING_LENGTH_MASK);
    assert_false(next(&item));
    assert_int_equal(rig.reader.stalled_count, 0);
    /* The one behind it is found again. */
    assert_count_from(0, 1, 0);
    rig_close(&rig);
}

static void only_an_event_past_the_stated_position_wakes(void **state)
{
    struct phos__ring_item item;

    (void)state;
    for (unsigned s = 0; s < START_COUNT; s++) {
        rig_open(&rig, starts[s]);
        rig_log(&rig.ring, 8, 0);
        assert_false(rig_woken(&rig.ring)); /* awake at first */

        phos__ring_nap(&rig.reader, starts[s] + 48 + 4096);
        rig_log(&rig.ring, 4088, 0);
        rig_log(&rig.ring, 24, 0); /* ends at the position */
        assert_false(rig_woken(&rig.ring));
        rig_log(&rig.ring, 0, 0);
        assert_true(rig_woken(&rig.ring));
        rig_log(&rig.ring, 0, 0); /* it has been told */
        assert_false(rig_woken(&rig.ring));

        phos__ring_nap(&rig.reader, phos__ring_tail(&rig.ring));
        phos__ring_awake(&rig.reader);
        rig_log(&rig.ring, 0, 0);
        assert_false(rig_woken(&rig.ring));

        while (next(&item))
            finish_and_release(item.position);
        assert_true(phos__ring_sleep(&rig.reader));
        rig_log(&rig.ring, 0, 0);
        assert_true(rig_woken(&rig.ring));
        rig_close(&rig);
    }
}

static void deep_sleep_is_refused_while_anything_is_left(void **state)
{
    struct phos__ring_item item;
    uint64_t position;

    (void)state;
    rig_open(&rig, UINT64_C(0) - 8);
    assert_true(phos__ring_sleep(&rig.reader));
    rig_log(&rig.ring, 8, 1);
    assert_true(rig_woken(&rig.ring));
    assert_false(phos__ring_sleep(&rig.reader)); /* unread */
    rig_log(&rig.ring, 8, 2);
    assert_false(rig_woken(&rig.ring)); /* and it left "never" behind */
    assert_true(next(&item));
    assert_true(next(&item));
    assert_true(phos__ring_sleep(&rig.reader));
    phos__ring_awake(&rig.reader);

    position = reserve(8);
    assert_false(phos__ring_sleep(&rig.reader)); /* reserved */
    assert_false(next(&item));
    assert_false(phos__ring_sleep(&rig.reader)); /* stalled */
    phos__ring_publish(&rig.ring, position, 8);
    assert_true(next(&item));
    assert_true(phos__ring_sleep(&rig.reader));
    rig_close(&rig);
}

/* A waker that is stopped after its write(), while the consumer has woken,
 * drained and gone to sleep anew, must not take the new position away. */
static void a_late_waker_leaves_a_newer_position_alone(void **state)
{
    struct phos__ring_item item;

    (void)state;
    rig_open(&rig, 0);
    assert_true(phos__ring_sleep(&rig.reader)); /* at 0 */
    rig_log(&rig.ring, 8, 1);
    assert_true(rig_woken(&rig.ring));
    assert_true(next(&item));
    assert_true(phos__ring_sleep(&rig.reader)); /* at 16 */
    phos__ring_wake_asked(&rig.ring, 0);
    assert_true(rig_woken(&rig.ring));
    rig_log(&rig.ring, 8, 2);
    assert_true(rig_woken(&rig.ring));
    rig_close(&rig);
}

static void waking_keeps_errno_and_a_full_eventfd_is_no_trouble(void **state)
{
    const uint64_t nearly = UINT64_MAX - 1;

    (void)state;
    rig_open(&rig, 0);
    assert_int_equal(write(rig.ring.wake_fd, &nearly, sizeof(nearly)), 8);
    errno = ENOTTY;
    phos__ring_wake(&rig.ring);
    assert_int_equal(errno, ENOTTY);
    assert_true(phos__ring_sleep(&rig.reader));
    rig_log(&rig.ring, 8, 0);
    assert_int_equal(errno, ENOTTY);
    rig_close(&rig);
}

static void event_ids_are_uuids_of_version_4_and_all_different(void **state)
{
    uint8_t ids[512][16];

    (void)state;
    rig_open(&rig, 0);
    for (uint64_t i = 0; i < 512; i++) {
        phos__ring_event_id(&rig.ring, 8 * i, ids[i]);
        assert_int_equal(ids[i][6] >> 4, 4);
        assert_int_equal(ids[i][8] >> 6, 2);
        for (uint64_t j = 0; j < i; j++)
            assert_memory_not_equal(ids[i], ids[j], 16);
    }
    rig_close(&rig);
}

static void what_is_stalled_at_close_can_be_given_up(void **state)
{
    uint64_t stalled, taken, given_up;
    struct phos__ring_item item;

    (void)state;
    rig_open(&rig, UINT64_C(0) - 64);
    assert_false(phos__ring_give_up_stalled(&rig.reader, &given_up));
    stalled = reserve(24);
    rig_log(&rig.ring, 16, 1);
    taken = take(40).position;
    rig_log(&rig.ring, 16, 2);
    phos__ring_close(&rig.ring);
    assert_count_from(rig.reader.read, 3, 0);

    read_one(1, 16, &item);
    assert_false(next(&item));
    assert_true(phos__ring_give_up_stalled(&rig.reader, &given_up));
    assert_true(given_up == stalled);
    assert_true(phos__ring_give_up_stalled(&rig.reader, &given_up));
    assert_true(given_up == taken);
    assert_false(phos__ring_give_up_stalled(&rig.reader, &given_up));
    read_one(2, 16, &item);
    assert_false(next(&item));

    /* Their producers may still write: the space stays theirs. */
    finish_and_release(item.position);
    assert_true(phos__ring_head(&rig.ring) == stalled);
    assert_count_from(rig.reader.read, 0, 0);
    rig_close(&rig);
}

/* One that is not finished has no kind yet. */
static void what_is_left_is_counted_by_kind(void **state)
{
    (void)state;
    rig_open(&rig, 0);
    rig_log(&rig.ring, 24, 1);
    rig_log(&rig.ring, 16, 2);
    reserve(24);
    rig_log(&rig.ring, 24, 3);
    assert_count_from(0, 2, 2);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_out_as_they_went_in_over_many_laps),
        cmocka_unit_test(a_full_ring_takes_no_more_until_head_is_released),
        cmocka_unit_test(a_record_larger_than_the_ring_never_fits),
        cmocka_unit_test(an_empty_record_is_read_like_any_other),
        cmocka_unit_test(a_record_across_the_end_of_the_buffer_is_contiguous),
        cmocka_unit_test(head_follows_only_a_finished_prefix),
        cmocka_unit_test(close_refuses_all_that_comes_later),
        cmocka_unit_test(
            a_claimed_record_is_passed_and_read_when_it_is_published),
        cmocka_unit_test(stalled_records_are_passed_up_to_a_bound),
        cmocka_unit_test(a_record_taken_and_not_claimed_is_waited_for),
        cmocka_unit_test(no_payload_looks_like_a_stamp_of_another_position),
        cmocka_unit_test(stamps_of_all_laps_differ),
        cmocka_unit_test(a_stray_length_does_not_lead_out_of_the_ring),
        cmocka_unit_test(only_an_event_past_the_stated_position_wakes),
        cmocka_unit_test(deep_sleep_is_refused_while_anything_is_left),
        cmocka_unit_test(a_late_waker_leaves_a_newer_position_alone),
        cmocka_unit_test(waking_keeps_errno_and_a_full_eventfd_is_no_trouble),
        cmocka_unit_test(event_ids_are_uuids_of_version_4_and_all_different),
        cmocka_unit_test(what_is_stalled_at_close_can_be_given_up),
        cmocka_unit_test(what_is_left_is_counted_by_kind),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
