#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "options.h"

static bool flag;
static const char *text;
static const char *secret;
static uint64_t number;
static size_t operands;

static enum options_result read_arguments(int argc, char **argv)
{
    struct option options[] = {
        { .name = "flag", .kind = OPTION_FLAG, .target = &flag },
        { .name = "text",
          .value_name = "T",
          .kind = OPTION_TEXT,
          .target = &text,
          .environment = "PHOS_TEST_TEXT" },
        { .name = "secret",
          .value_name = "S",
          .kind = OPTION_SECRET,
          .target = &secret },
        { .name = "number",
          .value_name = "N",
          .kind = OPTION_NUMBER,
          .target = &number,
          .min = 1,
          .max = 10 },
    };

    flag = false;
    text = secret = NULL;
    number = 7;
    return options_read(options, 4, "test", argc, argv, &operands);
}

static void options_and_operands_stand_in_any_order(void **state)
{
    char *argv[] = { (char[]){ "test" },       (char[]){ "one" },
                     (char[]){ "--flag" },     (char[]){ "-" },
                     (char[]){ "--text" },     (char[]){ "--x" },
                     (char[]){ "--number=3" }, (char[]){ "--" },
                     (char[]){ "--two" } };

    (void)state;
    assert_int_equal(read_arguments(9, argv), OPTIONS_OK);
    assert_true(flag);
    assert_string_equal(text, "--x"); /* a value may look like an option */
    assert_int_equal(number, 3);
    assert_int_equal(operands, 3);
    assert_string_equal(argv[1], "one");
    assert_string_equal(argv[2], "-");
    assert_string_equal(argv[3], "--two");
}

static void a_secret_is_wiped_from_the_command_line(void **state)
{
    char apart[] = "hunter2";
    char joined[] = "--secret=hunter3";
    char *first[] = { (char[]){ "test" }, (char[]){ "--secret" }, apart };
    char *second[] = { (char[]){ "test" }, joined };

    (void)state;
    assert_int_equal(read_arguments(3, first), OPTIONS_OK);
    assert_string_equal(secret, "hunter2");
    assert_string_equal(apart, "xxxxxxx");
    free((char *)secret);
    assert_int_equal(read_arguments(2, second), OPTIONS_OK);
    assert_string_equal(secret, "hunter3");
    assert_string_equal(joined, "--secret=xxxxxxx");
    free((char *)secret);
}

static void a_given_option_removes_its_variable(void **state)
{
    char *without[] = { (char[]){ "test" } };
    char *with[] = { (char[]){ "test" }, (char[]){ "--text=a" } };

    (void)state;
    setenv("PHOS_TEST_TEXT", "b", 1);
    assert_int_equal(read_arguments(1, without), OPTIONS_OK);
    assert_string_equal(getenv("PHOS_TEST_TEXT"), "b");
    assert_int_equal(read_arguments(2, with), OPTIONS_OK);
    assert_null(getenv("PHOS_TEST_TEXT"));
}

static void wrong_arguments_are_refused(void **state)
{
    static const char *const rows[] = {
        "--flat",      "--flag=1",  "--text",      "--number=0", "--number=11",
        "--number=1x", "--number=", "--number=-1", "-f",         "--f"
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char argument[32];
        char *argv[] = { (char[]){ "test" }, argument };

        strcpy(argument, rows[i]);
        assert_int_equal(read_arguments(2, argv), OPTIONS_WRONG);
        assert_int_equal(number, 7);
    }
}

static void help_is_asked_for_by_two_names(void **state)
{
    char *longer[] = { (char[]){ "test" }, (char[]){ "--help" } };
    char *shorter[] = { (char[]){ "test" }, (char[]){ "-h" } };

    (void)state;
    assert_int_equal(read_arguments(2, longer), OPTIONS_HELP);
    assert_int_equal(read_arguments(2, shorter), OPTIONS_HELP);
}

static void a_slip_of_the_finger_finds_its_word(void **state)
{
    static const char *const words[] = { "linger-ms", "batch", "endpoint" };

    (void)state;
    assert_string_equal(options_nearest("liger-ms", words, 3), "linger-ms");
    assert_string_equal(options_nearest("bacth", words, 3), "batch");
    assert_string_equal(options_nearest("endp", words, 3), "endpoint");
    assert_null(options_nearest("frobnicate", words, 3));
    assert_null(options_nearest("", words, 3));
}

static void numbers_are_digits_within_64_bits(void **state)
{
    uint64_t value = 42;

    (void)state;
    assert_true(options_number("18446744073709551615", &value));
    assert_true(value == UINT64_MAX);
    value = 42;
    assert_false(options_number("18446744073709551616", &value));
    assert_false(options_number("", &value));
    assert_false(options_number("+1", &value));
    assert_false(options_number(" 1", &value));
    assert_int_equal(value, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_operands_stand_in_any_order),
        cmocka_unit_test(a_secret_is_wiped_from_the_command_line),
        cmocka_unit_test(a_given_option_removes_its_variable),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(help_is_asked_for_by_two_names),
        cmocka_unit_test(a_slip_of_the_finger_finds_its_word),
        cmocka_unit_test(numbers_are_digits_within_64_bits),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
