#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "repair.h"

static void assert_repaired(const char *text, const char *wanted)
{
    struct repair repair = { NULL, 0 };
    const char *got;
    size_t length;

    assert_true(repair_text(&repair, text, strlen(text), &got, &length));
    assert_int_equal(length, strlen(wanted));
    assert_memory_equal(got, wanted, length);
    repair_deinit(&repair);
}

static void good_text_is_not_copied(void **state)
{
    static const char text[] =
        "{\"a\":\"\xe6\x97\xa5 \xef\xbf\xbd \\ud83d\\ude00 \\\\ud800\"}";
    struct repair repair = { NULL, 0 };
    const char *got;
    size_t length;

    (void)state;
    assert_true(repair_text(&repair, text, strlen(text), &got, &length));
    assert_ptr_equal(got, text);
    assert_null(repair.data);
}

static void broken_bytes_become_the_replacement_character(void **state)
{
    (void)state;
    assert_repaired("a\xff"
                    "b",
                    "a\xef\xbf\xbd"
                    "b");
    assert_repaired("\xe2\x82", "\xef\xbf\xbd");
    assert_repaired("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    assert_repaired("\\\xff", "\\\xef\xbf\xbd");
    assert_repaired("\xff\xff\xff\xff\xff\xff",
                    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

static void halves_of_surrogates_become_it_too(void **state)
{
    (void)state;
    assert_repaired("\\ud800", "\\ufffd");
    assert_repaired("\\uDC00", "\\ufffd");
    assert_repaired("\\ud800\\ud83d\\ude00", "\\ufffd\\ud83d\\ude00");
    assert_repaired("\\ud800\\n", "\\ufffd\\n");
    assert_repaired("\\ud800x", "\\ufffdx");
    assert_repaired("\\ude00\\ud83d", "\\ufffd\\ufffd");
    assert_repaired("\\\\ud800", "\\\\ud800"); /* a backslash, then letters */
}

static void cut_escapes_are_left_to_the_parser(void **state)
{
    (void)state;
    assert_repaired("\\", "\\");
    assert_repaired("\\u", "\\u");
    assert_repaired("\\ud80", "\\ud80");
    assert_repaired("\\uzzzz", "\\uzzzz");
}

static void the_buffer_serves_again(void **state)
{
    struct repair repair = { NULL, 0 };
    const char *got;
    size_t length;

    (void)state;
    assert_true(repair_text(&repair, "\xff\xff\xff\xff", 4, &got, &length));
    assert_int_equal(length, 12);
    assert_true(repair_text(&repair, "a\xff", 2, &got, &length));
    assert_int_equal(length, 4);
    assert_memory_equal(got, "a\xef\xbf\xbd", 4);
    repair_deinit(&repair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_text_is_not_copied),
        cmocka_unit_test(broken_bytes_become_the_replacement_character),
        cmocka_unit_test(halves_of_surrogates_become_it_too),
        cmocka_unit_test(cut_escapes_are_left_to_the_parser),
        cmocka_unit_test(the_buffer_serves_again),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
