#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "lines.h"

/* Feeds `text` in pieces of `step` bytes and gathers the lines, each behind
 * '|', too long ones as '!'. */
static void gather(const char *text, size_t step, size_t line_bytes_max,
                   char *ret_seen)
{
    struct lines lines;
    size_t length = strlen(text);
    size_t at = 0;
    size_t to = 0;

    lines_init(&lines, line_bytes_max);
    for (;;) {
        const char *line;
        size_t line_length;
        size_t room;
        size_t bytes = length - at < step ? length - at : step;
        char *data = lines_room(&lines, &room);
        enum lines_result result;

        assert_non_null(data);
        assert_true(room >= bytes);
        memcpy(data, text + at, bytes);
        lines_filled(&lines, bytes);
        at += bytes;
        while ((result = lines_next(&lines, at == length, &line,
                                    &line_length)) != LINES_NONE) {
            ret_seen[to++] = result == LINES_READY ? '|' : '!';
            if (result == LINES_READY) {
                memcpy(ret_seen + to, line, line_length);
                to += line_length;
            }
        }
        if (at == length)
            break;
    }
    ret_seen[to] = '\0';
    lines_deinit(&lines);
}

static void lines_are_the_same_however_they_arrive(void **state)
{
    static const struct {
        const char *text, *seen;
    } rows[] = {
        { "", "" },
        { "a", "|a" },
        { "a\n", "|a" },
        { "a\r\n", "|a" },
        { "a\nb", "|a|b" },
        { "\n\n", "||" },
        { "\r\n\r\n", "||" },
        { "a\rb\n", "|a\rb" },
        { "a\r", "|a" },
        { "12345678\n", "|12345678" },
        { "12345678\r\nx\n", "|12345678|x" },
        { "12345678", "|12345678" },
        { "123456789\nx", "!|x" },
        { "123456789\r\nx", "!|x" },
        { "123456789", "!" },
        { "123456789abcdefghijkl\nx\n123456789abcdefghijkl", "!|x!" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t step = 1; step <= 40; step++) {
            char seen[64];

            gather(rows[i].text, step, 8, seen);
            assert_string_equal(seen, rows[i].seen);
        }
    }
}

static void lines_are_counted_from_one_long_ones_too(void **state)
{
    static const char text[] = "a\n\n123456789\nb";
    static const uint64_t numbers[] = { 1, 2, 3, 4 };
    struct lines lines;
    const char *line;
    size_t length, room;

    (void)state;
    lines_init(&lines, 8);
    memcpy(lines_room(&lines, &room), text, strlen(text));
    lines_filled(&lines, strlen(text));
    for (size_t i = 0; i < 4; i++) {
        assert_int_not_equal(lines_next(&lines, true, &line, &length),
                             LINES_NONE);
        assert_int_equal(lines.number, numbers[i]);
    }
    assert_int_equal(lines_next(&lines, true, &line, &length), LINES_NONE);
    lines_deinit(&lines);
}

static void a_line_may_hold_nul(void **state)
{
    struct lines lines;
    const char *line;
    size_t length, room;

    (void)state;
    lines_init(&lines, 8);
    memcpy(lines_room(&lines, &room), "a\0b\n", 4);
    lines_filled(&lines, 4);
    assert_int_equal(lines_next(&lines, false, &line, &length), LINES_READY);
    assert_int_equal(length, 3);
    assert_memory_equal(line, "a\0b", 3);
    lines_deinit(&lines);
}

static void memory_stays_bounded_by_the_longest_line(void **state)
{
    struct lines lines;
    const char *line;
    size_t length;

    (void)state;
    lines_init(&lines, 100000);
    for (size_t i = 0; i < 1000; i++) { /* 64 MB without a line's end */
        size_t room;
        char *data = lines_room(&lines, &room);

        memset(data, 'x', room);
        lines_filled(&lines, room);
        assert_int_equal(lines_next(&lines, false, &line, &length), LINES_NONE);
        assert_true(lines.capacity < 1000000);
    }
    assert_int_equal(lines_next(&lines, true, &line, &length), LINES_TOO_LONG);
    lines_deinit(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_the_same_however_they_arrive),
        cmocka_unit_test(lines_are_counted_from_one_long_ones_too),
        cmocka_unit_test(a_line_may_hold_nul),
        cmocka_unit_test(memory_stays_bounded_by_the_longest_line),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
