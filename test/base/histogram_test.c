#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/histogram.h"

static void every_value_falls_into_the_bucket_that_holds_it(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < 5000; value++) {
        phos_histogram histogram = { 0 };
        unsigned bucket = 0;

        phos__histogram_add(&histogram, value);
        while (histogram.buckets[bucket] == 0)
            bucket++;
        assert_true(phos_histogram_bucket_min(bucket) <= value);
        assert_true(value < phos_histogram_bucket_min(bucket + 1));
    }
}

static void the_last_bucket_takes_all_the_rest(void **state)
{
    phos_histogram histogram = { 0 };

    (void)state;
    phos__histogram_add(&histogram, UINT64_MAX);
    phos__histogram_add(&histogram, UINT64_MAX);
    assert_int_equal(histogram.buckets[PHOS_HISTOGRAM_BUCKETS - 1], 2);
    assert_true(histogram.sum == UINT64_MAX);
    assert_true(phos_histogram_percentile(&histogram, 50) == UINT64_MAX - 1);
}

static void a_percentile_lies_in_the_bucket_of_its_rank(void **state)
{
    phos_histogram histogram = { 0 };

    (void)state;
    assert_int_equal(phos_histogram_percentile(&histogram, 99), 0);
    for (uint64_t value = 1; value <= 100; value++)
        phos__histogram_add(&histogram, value);
    assert_int_equal(phos_histogram_percentile(&histogram, 0), 1);
    assert_int_equal(phos_histogram_percentile(&histogram, 50), 63);
    assert_int_equal(phos_histogram_percentile(&histogram, 100), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_falls_into_the_bucket_that_holds_it),
        cmocka_unit_test(the_last_bucket_takes_all_the_rest),
        cmocka_unit_test(a_percentile_lies_in_the_bucket_of_its_rank),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
