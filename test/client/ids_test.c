#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "phos/phos.h"

enum { MANY = 1000, DIGITS = 16 };

static void made_ids_are_different_uuids_of_version_4(void **state)
{
    static phos_event_id ids[MANY];

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(phos_event_id_make(&ids[i]), PHOS_OK);
        assert_int_equal(ids[i].bytes[6] >> 4, 4);
        assert_int_equal(ids[i].bytes[8] >> 6, 2);
        for (unsigned j = 0; j < i; j++)
            assert_memory_not_equal(&ids[i], &ids[j], sizeof(ids[i]));
    }
}

static void an_id_comes_back_from_its_text(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        char text[PHOS_EVENT_ID_TEXT_LENGTH + 1];
        phos_event_id id, back;

        assert_int_equal(phos_event_id_make(&id), PHOS_OK);
        phos_event_id_to_text(&id, text);
        assert_int_equal(strlen(text), PHOS_EVENT_ID_TEXT_LENGTH);
        assert_int_equal(
            phos_event_id_from_text(
                phos_str_make(text, PHOS_EVENT_ID_TEXT_LENGTH), &back),
            PHOS_OK);
        assert_memory_equal(&back, &id, sizeof(id));
        for (char *at = text; *at; at++)
            *at = (char)toupper((unsigned char)*at);
        assert_int_equal(
            phos_event_id_from_text(
                phos_str_make(text, PHOS_EVENT_ID_TEXT_LENGTH), &back),
            PHOS_OK);
        assert_memory_equal(&back, &id, sizeof(id));
    }
}

static void bytes_are_written_in_network_order(void **state)
{
    static const phos_event_id id = { { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
                                        0x4c, 0xde, 0x8f, 0x01, 0x23, 0x45,
                                        0x67, 0x89, 0xab, 0xcd } };
    char text[PHOS_EVENT_ID_TEXT_LENGTH + 1];

    (void)state;
    phos_event_id_to_text(&id, text);
    assert_string_equal(text, "01234567-89ab-4cde-8f01-23456789abcd");
}

static void what_is_no_uuid_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "01234567-89ab-4cde-8f01-23456789abc",
        "01234567-89ab-4cde-8f01-23456789abcde",
        "01234567-89ab-4cde-8f01-23456789abcg",
        "0123456789ab4cde8f0123456789abcd0000",
        "01234567_89ab_4cde_8f01_23456789abcd",
        "{1234567-89ab-4cde-8f01-23456789abc}",
        " 1234567-89ab-4cde-8f01-23456789abcd",
        "0x234567-89ab-4cde-8f01-23456789abcd",
        "01234567-89ab-4cde-8f01-23456789ab-d",
    };
    phos_event_id id, untouched;

    (void)state;
    memset(&id, 0x5a, sizeof(id));
    untouched = id;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (phos_event_id_from_text(phos_str_make(rows[i], strlen(rows[i])),
                                    &id) != PHOS_E_INVALID)
            fail_msg("\"%s\" is taken for a UUID", rows[i]);
        assert_memory_equal(&id, &untouched, sizeof(id));
    }
    assert_int_equal(phos_event_id_from_text(phos_str_make(NULL, 0), &id),
                     PHOS_E_INVALID);
    assert_int_equal(phos_event_id_from_text(
                         phos_str_make(NULL, PHOS_EVENT_ID_TEXT_LENGTH), &id),
                     PHOS_E_INVALID);
}

static void assert_digits(const char *text)
{
    assert_int_equal(strlen(text), DIGITS);
    assert_int_equal(strspn(text, "0123456789abcdef"), DIGITS);
}

static void a_session_id_is_its_prefix_a_dash_and_16_digits(void **state)
{
    char text[PHOS_SESSION_ID_BYTES_MAX], other[PHOS_SESSION_ID_BYTES_MAX];
    size_t length = 0;

    (void)state;
    assert_int_equal(phos_session_id_make(PHOS_STR("user-42"), text, &length),
                     PHOS_OK);
    assert_int_equal(length, strlen(text));
    assert_memory_equal(text, "user-42-", 8);
    assert_digits(text + 8);
    assert_int_equal(phos_session_id_make(PHOS_STR("user-42"), other, NULL),
                     PHOS_OK);
    assert_string_not_equal(text, other);
    assert_int_equal(phos_session_id_make(PHOS_STR("\xc3\xa9"), text, &length),
                     PHOS_OK);
    assert_memory_equal(text, "\xc3\xa9-", 3);
}

static void without_a_prefix_a_session_id_is_its_digits(void **state)
{
    char text[PHOS_SESSION_ID_BYTES_MAX];
    size_t length = 0;

    (void)state;
    assert_int_equal(phos_session_id_make(PHOS_STR(""), text, &length),
                     PHOS_OK);
    assert_int_equal(length, DIGITS);
    assert_digits(text);
    assert_int_equal(
        phos_session_id_make(phos_str_make(NULL, 0), text, &length), PHOS_OK);
    assert_digits(text);
}

static void the_longest_prefix_fits_and_a_longer_one_is_refused(void **state)
{
    char prefix[201], text[PHOS_SESSION_ID_BYTES_MAX];
    size_t length = 0;

    (void)state;
    memset(prefix, 'p', sizeof(prefix));
    assert_int_equal(
        phos_session_id_make(phos_str_make(prefix, 200), text, &length),
        PHOS_OK);
    assert_int_equal(length, 200 + 1 + DIGITS);
    assert_int_equal(strlen(text), length);
    length = 42;
    memset(text, 'x', sizeof(text));
    assert_int_equal(
        phos_session_id_make(phos_str_make(prefix, 201), text, &length),
        PHOS_E_INVALID);
    assert_int_equal(length, 42);
    assert_int_equal(text[0], 'x');
}

static void a_prefix_is_whole_utf8_without_nul(void **state)
{
    const phos_str rows[] = {
        PHOS_STR("a\0b"),
        PHOS_STR("\xc3"),
        PHOS_STR("\xff"),
        PHOS_STR("\xed\xa0\x80"),
        PHOS_STR("\xf4\x90\x80\x80"),
        PHOS_STR("\xc0\xaf"),
        phos_str_make(NULL, 3),
    };
    char text[PHOS_SESSION_ID_BYTES_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(phos_session_id_make(rows[i], text, NULL),
                         PHOS_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_ids_are_different_uuids_of_version_4),
        cmocka_unit_test(an_id_comes_back_from_its_text),
        cmocka_unit_test(bytes_are_written_in_network_order),
        cmocka_unit_test(what_is_no_uuid_is_refused),
        cmocka_unit_test(a_session_id_is_its_prefix_a_dash_and_16_digits),
        cmocka_unit_test(without_a_prefix_a_session_id_is_its_digits),
        cmocka_unit_test(the_longest_prefix_fits_and_a_longer_one_is_refused),
        cmocka_unit_test(a_prefix_is_whole_utf8_without_nul),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
