#include "support.h"

#include "wire/traceparent.h"

static const char good[] =
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static bool is_valid(const char *text)
{
    phos_str copy = fenced(phos_str_make(text, strlen(text)));
    bool is = phos__traceparent_is_valid(copy);

    free((char *)(uintptr_t)copy.data);
    return is;
}

static void version_00_is_taken(void **state)
{
    (void)state;
    assert_true(is_valid(good));
    assert_true(
        is_valid("00-00000000000000000000000000000001-0000000000000001-00"));
    assert_true(
        is_valid("00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-ff"));
}

static void all_else_is_not(void **state)
{
    static const char *const rows[] = {
        "",
        "00",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (is_valid(rows[i]))
            fail_msg("\"%s\" is taken", rows[i]);
}

/* Every byte counts: no other value of one of them may pass, but for digits in
 * the place of digits. */
static void every_byte_counts(void **state)
{
    char text[sizeof(good)];

    (void)state;
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        bool is_digit = i >= 3 && good[i] != '-';

        for (int byte = 0; byte < 256; byte++) {
            bool is_other_digit =
                byte && strchr("0123456789abcdef", (char)byte);

            memcpy(text, good, sizeof(good));
            text[i] = (char)byte;
            assert_int_equal(phos__traceparent_is_valid(
                                 phos_str_make(text, sizeof(text) - 1)),
                             (char)byte == good[i] ||
                                 (is_digit && is_other_digit));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_00_is_taken),
        cmocka_unit_test(all_else_is_not),
        cmocka_unit_test(every_byte_counts),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
