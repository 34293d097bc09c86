#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "text.h"

/* What a function that prints has printed; to be freed. */
struct output {
    char *data;
    size_t length;
    FILE *file;
};

static void begin(struct output *output)
{
    output->file = open_memstream(&output->data, &output->length);
    assert_non_null(output->file);
}

static void assert_printed(struct output *output, const char *wanted)
{
    fclose(output->file);
    assert_string_equal(output->data, wanted);
    free(output->data);
}

static void assert_line(const char *text, size_t columns, const char *wanted)
{
    struct output output;

    begin(&output);
    text_line(output.file, text, strlen(text), columns);
    assert_printed(&output, wanted);
}

static void broken_utf_8_reads_as_the_replacement_character(void **state)
{
    static const struct {
        const char *data;
        size_t length, taken;
        uint32_t point;
    } rows[] = {
        { "a", 1, 1, 'a' },
        { "\xc3\xa9", 2, 2, 0xe9 },
        { "\xe2\x82\xac", 3, 3, 0x20ac },
        { "\xf0\x9f\x98\x80", 4, 4, 0x1f600 },
        { "\xf4\x8f\xbf\xbf", 4, 4, 0x10ffff },
        { "\x80", 1, 1, 0xfffd },             /* a tail alone */
        { "\xc0\x80", 2, 1, 0xfffd },         /* overlong */
        { "\xe0\x80\x80", 3, 1, 0xfffd },     /* overlong */
        { "\xed\xa0\x80", 3, 1, 0xfffd },     /* a surrogate */
        { "\xf4\x90\x80\x80", 4, 1, 0xfffd }, /* past U+10FFFF */
        { "\xf5\x80", 2, 1, 0xfffd },
        { "\xe2\x82", 2, 2, 0xfffd }, /* cut off */
        { "\xf0\x9f\x98", 3, 3, 0xfffd },
        { "\xe2\x82x", 3, 2, 0xfffd },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t point;

        assert_int_equal(text_decode(rows[i].data, rows[i].length, &point),
                         rows[i].taken);
        assert_int_equal(point, rows[i].point);
    }
}

static void control_bytes_are_shown_and_never_sent(void **state)
{
    (void)state;
    assert_line("a\x1b[31mb\x07", 80, "a\\x1b[31mb\\x07");
    assert_line("\xc2\x9b"
                "2J",
                80, "\\u009b2J"); /* CSI as one character */
    assert_line("\x7f", 80, "\\x7f");
    assert_line("a\xe2\x80\xae"
                "b",
                80, "a\\u202eb"); /* right to left */
    assert_line("\xff", 80, "\xef\xbf\xbd");
}

static void white_space_on_a_line_is_one_blank(void **state)
{
    (void)state;
    assert_line("a\r\n\t b\xe2\x80\xa8"
                "c",
                80, "a b c");
}

static void a_line_is_cut_between_characters(void **state)
{
    (void)state;
    assert_line("abcdef", 6, "abcdef");
    assert_line("abcdefg", 6, "abcde\xe2\x80\xa6");
    /* Wide characters take two columns: none is cut in half. */
    assert_line("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 6,
                "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e");
    assert_line("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 5,
                "\xe6\x97\xa5\xe6\x9c\xac\xe2\x80\xa6");
    assert_line("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 4,
                "\xe6\x97\xa5\xe2\x80\xa6");
    assert_line("abc", 1, "\xe2\x80\xa6");
    assert_line("abc", 0, "");
    /* A mark stays with its letter. */
    assert_line("e\xcc\x81"
                "fg",
                2, "e\xcc\x81\xe2\x80\xa6");
}

static void a_cell_is_filled_up(void **state)
{
    struct output output;

    (void)state;
    begin(&output);
    text_cell(output.file, "\xe6\x97\xa5", 3, 4);
    fputc('|', output.file);
    assert_printed(&output, "\xe6\x97\xa5  |");
}

static void a_block_keeps_its_line_breaks(void **state)
{
    static const char text[] = "one\r\ntwo\n\tthree\x1b";
    struct output output;

    (void)state;
    begin(&output);
    text_block(output.file, text, strlen(text), "  ");
    assert_printed(&output, "one\n  two\n      three\\x1b");
}

static void json_keeps_every_byte_but_controls(void **state)
{
    static const char text[] =
        "{\"a\":\t\"\xc2\x9b\x7f\xe6\x97\xa5\",\n\"n\":1.10}";
    struct output output;

    (void)state;
    begin(&output);
    text_json(output.file, text, strlen(text));
    assert_printed(&output, "{\"a\":\t\"\\u009b\\u007f\xe6\x97\xa5\",\n"
                            "\"n\":1.10}");
}

static void numbers_read_as_people_write_them(void **state)
{
    char buffer[TEXT_NUMBER_BYTES];

    (void)state;
    assert_string_equal(text_count(0, buffer), "0");
    assert_string_equal(text_count(999, buffer), "999");
    assert_string_equal(text_count(1000, buffer), "1,000");
    assert_string_equal(text_count(UINT64_MAX, buffer),
                        "18,446,744,073,709,551,615");
    assert_string_equal(text_bytes(999, buffer), "999 B");
    assert_string_equal(text_bytes(1000, buffer), "1.0 kB");
    assert_string_equal(text_bytes(999949, buffer), "999.9 kB");
    assert_string_equal(text_bytes(999950, buffer), "1.0 MB");
    assert_string_equal(text_bytes(UINT64_MAX, buffer), "18.4 EB");
    assert_string_equal(text_duration(999, buffer), "999 ms");
    assert_string_equal(text_duration(1000, buffer), "1.0 s");
    assert_string_equal(text_duration(59999, buffer), "59.9 s");
    assert_string_equal(text_duration(65000, buffer), "1 min 05 s");
    assert_string_equal(text_duration(7620000, buffer), "2 h 07 min");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_utf_8_reads_as_the_replacement_character),
        cmocka_unit_test(control_bytes_are_shown_and_never_sent),
        cmocka_unit_test(white_space_on_a_line_is_one_blank),
        cmocka_unit_test(a_line_is_cut_between_characters),
        cmocka_unit_test(a_cell_is_filled_up),
        cmocka_unit_test(a_block_keeps_its_line_breaks),
        cmocka_unit_test(json_keeps_every_byte_but_controls),
        cmocka_unit_test(numbers_read_as_people_write_them),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
