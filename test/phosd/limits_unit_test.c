#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "limits.h"

static void a_full_bucket_gives_one_minute_of_events(void **state)
{
    struct phosd_bucket bucket;
    uint32_t wait_s = 42;

    (void)state;
    phosd_bucket_init(&bucket, 1000, 5000);
    for (int i = 0; i < 10; i++)
        assert_true(phosd_bucket_take(&bucket, 100, 5000, &wait_s));
    assert_int_equal(wait_s, 42); /* set only by a refusal */
    assert_false(phosd_bucket_take(&bucket, 1, 5000, &wait_s));
    assert_int_equal(wait_s, 1);
}

static void a_refusal_takes_nothing_and_names_the_exact_wait(void **state)
{
    static const struct {
        uint32_t per_minute, events;
        uint64_t wait_ms;
    } rows[] = {
        { 60, 1, 1000 },        { 60, 60, 60000 }, { 1000, 100, 6000 },
        { 10000, 100, 600 },    { 7, 1, 8572 },    { 1, 1, 60000 },
        { 1000000000, 100, 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct phosd_bucket bucket;
        uint32_t wait_s = 0;

        phosd_bucket_init(&bucket, rows[i].per_minute, 0);
        assert_true(phosd_bucket_take(&bucket, rows[i].per_minute, 0, &wait_s));
        for (uint64_t ms = 0; ms < rows[i].wait_ms;
             ms += 1 + rows[i].wait_ms / 100) {
            assert_false(
                phosd_bucket_take(&bucket, rows[i].events, ms, &wait_s));
            assert_true(ms + wait_s * UINT64_C(1000) >= rows[i].wait_ms);
            assert_true(ms + (wait_s - 1) * UINT64_C(1000) < rows[i].wait_ms);
        }
        assert_false(phosd_bucket_take(&bucket, rows[i].events,
                                       rows[i].wait_ms - 1, &wait_s));
        assert_true(phosd_bucket_take(&bucket, rows[i].events, rows[i].wait_ms,
                                      &wait_s));
    }
}

static void rest_never_saves_up_more_than_a_minute(void **state)
{
    struct phosd_bucket bucket;
    uint32_t wait_s;

    (void)state;
    phosd_bucket_init(&bucket, 60, 0);
    assert_true(phosd_bucket_take(&bucket, 60, UINT64_MAX / 2, &wait_s));
    assert_false(phosd_bucket_take(&bucket, 1, UINT64_MAX / 2, &wait_s));
    phosd_bucket_give_back(&bucket, 1000);
    assert_true(phosd_bucket_take(&bucket, 60, UINT64_MAX / 2, &wait_s));
    assert_false(phosd_bucket_take(&bucket, 1, UINT64_MAX / 2, &wait_s));
}

static void a_request_above_the_rate_passes_once_and_leaves_a_debt(void **state)
{
    struct phosd_bucket bucket;
    uint32_t wait_s;

    (void)state;
    phosd_bucket_init(&bucket, 30, 0);
    assert_true(phosd_bucket_take(&bucket, 100, 0, &wait_s));
    assert_false(phosd_bucket_take(&bucket, 1, 0, &wait_s));
    assert_int_equal(wait_s, 142);
    assert_false(phosd_bucket_take(&bucket, 100, 199999, &wait_s));
    assert_true(phosd_bucket_take(&bucket, 100, 200000, &wait_s));
}

static void a_clock_that_stands_still_or_goes_back_gives_nothing(void **state)
{
    struct phosd_bucket bucket;
    uint32_t wait_s;

    (void)state;
    phosd_bucket_init(&bucket, 60, 100000);
    assert_true(phosd_bucket_take(&bucket, 60, 100000, &wait_s));
    assert_false(phosd_bucket_take(&bucket, 1, 100000, &wait_s));
    assert_false(phosd_bucket_take(&bucket, 1, 99000, &wait_s));
}

static void without_a_limit_everything_passes(void **state)
{
    struct phosd_bucket bucket;
    uint32_t wait_s;

    (void)state;
    phosd_bucket_init(&bucket, 0, 0);
    for (int i = 0; i < 1000; i++)
        assert_true(phosd_bucket_take(&bucket, UINT32_MAX, 0, &wait_s));
    phosd_bucket_give_back(&bucket, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_bucket_gives_one_minute_of_events),
        cmocka_unit_test(a_refusal_takes_nothing_and_names_the_exact_wait),
        cmocka_unit_test(rest_never_saves_up_more_than_a_minute),
        cmocka_unit_test(
            a_request_above_the_rate_passes_once_and_leaves_a_debt),
        cmocka_unit_test(a_clock_that_stands_still_or_goes_back_gives_nothing),
        cmocka_unit_test(without_a_limit_everything_passes),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
