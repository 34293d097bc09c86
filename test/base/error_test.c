#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

/* PHOS_STATUS_LIST as data. */
struct row {
    phos_status status;
    const char *name, *text;
    bool again;
};

static const struct row rows[] = {
#define ROW(name, value, text, again) \
    { PHOS_##name, "PHOS_" #name, text, again },
    PHOS_STATUS_LIST(ROW)
#undef ROW
};

static void an_error_carries_what_it_was_given(void **state)
{
    phos_error error;

    (void)state;
    phos__error_set(&error, PHOS_E_HTTP, PHOS_ORIGIN_HTTP, 503, "%s is %d",
                    "answer", 503);
    assert_int_equal(error.status, PHOS_E_HTTP);
    assert_int_equal(error.origin, PHOS_ORIGIN_HTTP);
    assert_int_equal(error.code, 503);
    assert_string_equal(error.text, "answer is 503");
}

static void control_bytes_become_question_marks(void **state)
{
    phos_error error;

    (void)state;
    phos__error_set(&error, PHOS_E_HTTP, PHOS_ORIGIN_NONE, 0, "%s",
                    "a\r\nb\x1b[1m\x7f \xc3\xa9");
    assert_string_equal(error.text, "a??b?[1m? \xc3\xa9");
}

static void
controls_of_two_bytes_and_broken_parts_become_question_marks(void **state)
{
    phos_error error;

    (void)state;
    /* U+009B begins a command of a terminal, U+00A0 does not. */
    phos__error_set(&error, PHOS_E_HTTP, PHOS_ORIGIN_NONE, 0, "%s",
                    "a\xc2\x9b"
                    "b\xc2\xa0"
                    "c\xff\xe4\xb8"
                    "d\xc3");
    assert_string_equal(error.text, "a?b\xc2\xa0"
                                    "c??d?");
}

static void a_long_text_is_cut_between_two_characters(void **state)
{
    static const struct {
        const char *character;
        size_t bytes;
    } characters[] = { { "x", 1 },
                       { "\xc3\xa9", 2 },
                       { "\xe4\xb8\xad", 3 },
                       { "\xf0\x9f\x98\x80", 4 } };

    (void)state;
    for (size_t i = 0; i < 4; i++)
        for (size_t before = 0; before < 4; before++) {
            const size_t bytes = characters[i].bytes;
            const size_t room = PHOS_ERROR_TEXT_BYTES - 1 - before;
            char text[PHOS_ERROR_TEXT_BYTES * 2] = "zzzz";
            phos_error error;

            for (size_t at = before; at + 8 < sizeof(text); at += bytes)
                memcpy(text + at, characters[i].character, bytes);
            phos__error_set(&error, PHOS_E_HTTP, PHOS_ORIGIN_NONE, 0, "%s",
                            text);
            assert_int_equal(strlen(error.text), before + room / bytes * bytes);
            assert_memory_equal(error.text, text, strlen(error.text));
        }
}

static void a_text_that_just_fits_is_not_cut(void **state)
{
    char text[PHOS_ERROR_TEXT_BYTES];
    phos_error error;

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text + sizeof(text) - 3, "\xc3\xa9", 3);
    phos__error_set(&error, PHOS_E_HTTP, PHOS_ORIGIN_NONE, 0, "%s", text);
    assert_string_equal(error.text, text);
}

static void every_status_has_its_name_and_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_string_equal(phos_status_name(rows[i].status), rows[i].name);
        assert_string_equal(phos_status_text(rows[i].status), rows[i].text);
        assert_int_equal(phos_status_retryable(rows[i].status), rows[i].again);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(rows[i].status, rows[j].status);
    }
    assert_string_equal(phos_status_name((phos_status)-1000), "PHOS_E_?");
    assert_string_equal(phos_status_text((phos_status)-1000), "unknown status");
    assert_false(phos_status_retryable((phos_status)-1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_carries_what_it_was_given),
        cmocka_unit_test(control_bytes_become_question_marks),
        cmocka_unit_test(
            controls_of_two_bytes_and_broken_parts_become_question_marks),
        cmocka_unit_test(a_long_text_is_cut_between_two_characters),
        cmocka_unit_test(a_text_that_just_fits_is_not_cut),
        cmocka_unit_test(every_status_has_its_name_and_text),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
