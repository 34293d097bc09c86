#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/uuid.h"

static const phos_event_id sample = { { 0x6f, 0x1f, 0x2b, 0x9e, 0x2f, 0x7a,
                                        0x4f, 0x0e, 0x9a, 0x51, 0x0b, 0x7f,
                                        0x3f, 0x6f, 0x5a, 0x10 } };
static const char sample_text[] = "6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10";

static void an_id_is_written_in_lower_case_with_dashes(void **state)
{
    char text[PHOS_EVENT_ID_TEXT_LENGTH + 1];

    (void)state;
    phos_event_id_to_text(&sample, text);
    assert_string_equal(text, sample_text);
}

static void every_byte_survives_the_round_trip_at_every_place(void **state)
{
    (void)state;
    for (unsigned place = 0; place < 16; place++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t bytes[16] = { 0 }, read[16];
            char text[PHOS_EVENT_ID_TEXT_LENGTH];

            bytes[place] = (uint8_t)value;
            phos__uuid_write(bytes, text);
            assert_true(
                phos__uuid_read(phos_str_make(text, sizeof(text)), read));
            assert_memory_equal(read, bytes, 16);
        }
    }
}

static void either_letter_case_is_read(void **state)
{
    phos_event_id id;

    (void)state;
    assert_int_equal(phos_event_id_from_text(
                         PHOS_STR("6F1F2B9E-2f7a-4F0E-9a51-0B7F3F6F5A10"), &id),
                     PHOS_OK);
    assert_memory_equal(id.bytes, sample.bytes, 16);
}

static void any_other_byte_at_any_place_is_refused(void **state)
{
    (void)state;
    for (unsigned place = 0; place < PHOS_EVENT_ID_TEXT_LENGTH; place++) {
        for (unsigned value = 0; value < 256; value++) {
            char text[PHOS_EVENT_ID_TEXT_LENGTH];
            phos_event_id id = { { 42 } };
            bool is_dash = sample_text[place] == '-';
            bool fits = is_dash ? value == '-'
                                : value != 0 && strchr("0123456789abcdefABCDEF",
                                                       (int)value) != NULL;

            memcpy(text, sample_text, sizeof(text));
            text[place] = (char)value;
            assert_int_equal(
                phos_event_id_from_text(phos_str_make(text, sizeof(text)), &id),
                fits ? PHOS_OK : PHOS_E_INVALID);
            if (!fits)
                assert_int_equal(id.bytes[0], 42);
        }
    }
}

static void any_other_length_is_refused(void **state)
{
    static const char longer[] = "6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10a";
    uint8_t bytes[16];

    (void)state;
    for (size_t length = 0; length < sizeof(longer); length++)
        assert_int_equal(phos__uuid_read(phos_str_make(longer, length), bytes),
                         length == PHOS_EVENT_ID_TEXT_LENGTH);
}

static void marking_sets_version_and_variant_and_nothing_else(void **state)
{
    uint8_t ones[16], zeros[16] = { 0 };

    (void)state;
    memset(ones, 0xFF, sizeof(ones));
    phos__uuid_v4_mark(ones);
    phos__uuid_v4_mark(zeros);
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(ones[i], i == 6 ? 0x4F : i == 8 ? 0xBF : 0xFF);
        assert_int_equal(zeros[i], i == 6 ? 0x40 : i == 8 ? 0x80 : 0x00);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_written_in_lower_case_with_dashes),
        cmocka_unit_test(every_byte_survives_the_round_trip_at_every_place),
        cmocka_unit_test(either_letter_case_is_read),
        cmocka_unit_test(any_other_byte_at_any_place_is_refused),
        cmocka_unit_test(any_other_length_is_refused),
        cmocka_unit_test(marking_sets_version_and_variant_and_nothing_else),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
