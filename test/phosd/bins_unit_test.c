#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bins.h"
#include "reply.h"

static void whole_milliseconds_have_bins_of_their_own(void **state)
{
    (void)state;
    for (int64_t ms = -1024; ms < 1024; ms++) {
        assert_int_equal(phosd_bin_of(ms), ms);
        assert_int_equal(phosd_bin_value((int32_t)ms), ms);
    }
}

static void a_bin_is_within_a_thousandth_of_what_is_in_it(void **state)
{
    (void)state;
    for (int64_t ms = 1; ms < INT64_C(9000000000000000); ms += 1 + ms / 97) {
        const int64_t signs[] = { ms, -1 - ms };

        for (size_t i = 0; i < 2; i++) {
            int64_t value = phosd_bin_value(phosd_bin_of(signs[i]));
            int64_t away = llabs(value - signs[i]);

            if (away > ms / 1000 + 1)
                fail_msg("%lld became %lld", (long long)signs[i],
                         (long long)value);
        }
    }
}

static void bins_are_in_the_latencies_order(void **state)
{
    int32_t last = -PHOSD_BINS - 1;

    (void)state;
    for (int64_t ms = -INT64_C(9000000000000000); ms < 9000000000000000;
         ms += 1 + llabs(ms) / 300) {
        int32_t bin = phosd_bin_of(ms);

        assert_true(bin >= last);
        assert_true(bin >= -PHOSD_BINS && bin < PHOSD_BINS);
        last = bin;
    }
    assert_true(phosd_bin_of((INT64_C(1) << 53) - 1) == PHOSD_BINS - 1);
}

enum { SPAN = 40 };

/* What the bytes hold, and nothing else, must be `counts`. */
static void check(const struct phos__buffer *kept, const int64_t *counts)
{
    struct phosd_bins_cursor cursor = {
        .bytes = phos_str_make((const char *)kept->data, kept->bytes)
    };
    struct phosd_bin bin;
    int32_t next = -SPAN;

    while (phosd_bins_next(&cursor, &bin)) {
        for (; next < bin.bin; next++)
            assert_int_equal(counts[next + SPAN], 0);
        assert_int_equal(counts[next++ + SPAN], bin.count);
    }
    for (; next < SPAN; next++)
        assert_int_equal(counts[next + SPAN], 0);
    assert_int_equal(cursor.at, kept->bytes);
}

static void changes_are_what_counting_anew_gives(void **state)
{
    int64_t counts[2 * SPAN] = { 0 };
    struct phos__buffer kept;

    (void)state;
    phosd_buffer_init(&kept);
    srand(11);
    for (int round = 0; round < 2000; round++) {
        struct phosd_bin changes[30];
        struct phos__buffer next;
        size_t count = (size_t)(rand() % 30);

        for (size_t i = 0; i < count; i++) {
            int place = rand() % (2 * SPAN);
            bool down = counts[place] > 0 && rand() % 2;

            changes[i].bin = place - SPAN;
            changes[i].count = down ? -1 : rand() % 100 ? 1 : 1000000;
            counts[place] += changes[i].count;
        }
        phosd_buffer_init(&next);
        phosd_bins_change(phos_str_make((const char *)kept.data, kept.bytes),
                          changes, count, &next);
        assert_false(next.failed);
        phos__buffer_deinit(&kept);
        kept = next;
        check(&kept, counts);
    }
    phos__buffer_deinit(&kept);
}

static void damaged_bytes_end_early(void **state)
{
    /* Cut off, a bin that cannot be, a number without end. */
    static const char endless[] = "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"
                                  "\x80\x01";
    static const char *const rows[] = { "\x80", "\x05", "\x05\x80",
                                        "\xFF\xFF\xFF\xFF\x7F\x01", endless };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct phosd_bins_cursor cursor = { .bytes = phos_str_make(
                                                rows[i], strlen(rows[i])) };
        struct phosd_bin bin;

        assert_false(phosd_bins_next(&cursor, &bin));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_milliseconds_have_bins_of_their_own),
        cmocka_unit_test(a_bin_is_within_a_thousandth_of_what_is_in_it),
        cmocka_unit_test(bins_are_in_the_latencies_order),
        cmocka_unit_test(changes_are_what_counting_anew_gives),
        cmocka_unit_test(damaged_bytes_end_early),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
