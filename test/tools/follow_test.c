#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "follow.h"

#define S INT64_C(1000000)

static const int64_t noon_us = INT64_C(1738324800) * S; /* 2025-01-31 12:00 */

static void an_event_is_new_once(void **state)
{
    struct follow follow;
    char from[FOLLOW_TIME_BYTES] = "left alone";

    (void)state;
    follow_init(&follow);
    assert_false(follow_begin(&follow, noon_us, from));
    assert_string_equal(from, "left alone");
    assert_true(follow_take(&follow, "a", noon_us - 9));
    assert_true(follow_take(&follow, "b", noon_us - 9));
    assert_false(follow_take(&follow, "a", noon_us - 9));
    assert_true(follow_begin(&follow, noon_us, from));
    assert_false(follow_take(&follow, "b", noon_us - 9));
    assert_int_equal(follow_known(&follow), 2);
    follow_deinit(&follow);
}

static void the_window_begins_five_minutes_before_the_newest(void **state)
{
    struct follow follow;
    char from[FOLLOW_TIME_BYTES];

    (void)state;
    follow_init(&follow);
    follow_take(&follow, "old", noon_us - 600 * S);
    follow_take(&follow, "edge", noon_us - 300 * S + 42);
    follow_take(&follow, "new", noon_us + 42);
    assert_true(follow_begin(&follow, noon_us + S, from));
    assert_string_equal(from, "2025-01-31T11:55:00.000042Z");
    assert_int_equal(follow_known(&follow), 2); /* "old" is forgotten */
    assert_false(follow_take(&follow, "edge", noon_us - 300 * S + 42));
    follow_deinit(&follow);
}

static void an_event_of_the_future_leaves_the_window_at_now(void **state)
{
    struct follow follow;
    char from[FOLLOW_TIME_BYTES];

    (void)state;
    follow_init(&follow);
    follow_take(&follow, "2099", noon_us + 86400 * S);
    assert_true(follow_begin(&follow, noon_us, from));
    assert_string_equal(from, "2025-01-31T11:55:00.000000Z");
    assert_true(follow_take(&follow, "today", noon_us));
    follow_deinit(&follow);
}

static void nothing_below_the_floor_is_new(void **state)
{
    struct follow follow;
    char from[FOLLOW_TIME_BYTES];

    (void)state;
    follow_init(&follow);
    follow_take(&follow, "newest", noon_us);
    follow_take(&follow, "oldest", noon_us - 2 * S);
    follow_set_floor(&follow, noon_us - 2 * S);
    assert_true(follow_begin(&follow, noon_us, from));
    assert_string_equal(from, "2025-01-31T11:59:58.000000Z");
    assert_false(follow_take(&follow, "never seen", noon_us - 2 * S - 1));
    assert_true(follow_take(&follow, "late", noon_us - 2 * S));
    /* The window outgrows it. */
    follow_take(&follow, "later", noon_us + 600 * S);
    assert_true(follow_begin(&follow, noon_us + 600 * S, from));
    assert_string_equal(from, "2025-01-31T12:05:00.000000Z");
    follow_deinit(&follow);
}

static void times_near_the_epoch_have_a_window_too(void **state)
{
    struct follow follow;
    char from[FOLLOW_TIME_BYTES];

    (void)state;
    follow_init(&follow);
    follow_take(&follow, "first", 7);
    assert_true(follow_begin(&follow, noon_us, from));
    assert_string_equal(from, "1970-01-01T00:00:00.000000Z");
    follow_deinit(&follow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_new_once),
        cmocka_unit_test(the_window_begins_five_minutes_before_the_newest),
        cmocka_unit_test(an_event_of_the_future_leaves_the_window_at_now),
        cmocka_unit_test(nothing_below_the_floor_is_new),
        cmocka_unit_test(times_near_the_epoch_have_a_window_too),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
