#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "raw.h"

static phos_str str(const char *text)
{
    return phos_str_make(text, strlen(text));
}

static void assert_part(phos_str got, const char *want)
{
    if (!want) {
        assert_null(got.data);
        return;
    }
    assert_non_null(got.data);
    assert_int_equal(got.length, strlen(want));
    assert_memory_equal(got.data, want, got.length);
}

static void a_member_is_found_byte_for_byte(void **state)
{
    static const struct {
        const char *object, *value;
    } rows[] = {
        { "{}", NULL },
        { "{\"b\":1}", NULL },
        { "{\"a\":1}", "1" },
        { "{\"a\":1.0e+5}", "1.0e+5" },
        { " {\n\"a\" : null , \"b\":2}", "null" },
        { "{\"b\":{\"a\":5},\"a\":[1,{\"x\":\"]}\"}]}", "[1,{\"x\":\"]}\"}]" },
        { "{\"b\":\"a\",\"a\":\"\\\"}\"}", "\"\\\"}\"" },
        { "{\"a\":1,\"a\":2}", "2" },
        { "{\"\\u0061\":3}", "3" },
        { "{\"\\\"a\":3}", NULL },
        { "{\"aa\":3,\"\":4}", NULL },
        { "{\"x\":[[[]],{}],\"a\":{}}", "{}" },
        { "{\"x\":\"\\\\\",\"a\":true}", "true" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_part(phosd_raw_member(str(rows[i].object), PHOS_STR("a")),
                    rows[i].value);
}

static void elements_come_one_by_one(void **state)
{
    static const char *const want[] = { "1", "[2,[3]]", "{\"a\":[4]}", "\"],\"",
                                        "-0.5" };
    phos_str array = str(" [1 , [2,[3]],\n{\"a\":[4]},\"],\", -0.5 ] ");
    size_t cursor = 0, count = 0;
    phos_str value;

    (void)state;
    while (phosd_raw_next(array, &cursor, &value))
        assert_part(value, want[count++]);
    assert_int_equal(count, sizeof(want) / sizeof(want[0]));

    cursor = 0;
    assert_false(phosd_raw_next(str("[]"), &cursor, &value));
    cursor = 0;
    assert_false(phosd_raw_next(str("[ ]"), &cursor, &value));
}

/* What has not been checked finds anything or nothing, but never reads past
 * its end: each text is a copy of exactly its size, for the sanitizers. */
static void no_text_is_read_past_its_end(void **state)
{
    static const char text[] =
        "[{\"a\":\"\\\\\\\"\",\"\\u0061\":[1,{}]},\"a\",{\"a\":-1}]";

    (void)state;
    for (size_t from = 0; from < sizeof(text); from++) {
        for (size_t bytes = 0; bytes < sizeof(text) - from; bytes++) {
            char *copy = malloc(bytes + 1);
            char *end = copy + 1; /* as malloc(0) may give NULL */
            phos_str part = phos_str_make(end, bytes), value;
            size_t cursor = 0, count = 0;

            memcpy(end, text + from, bytes);
            phosd_raw_member(part, PHOS_STR("a"));
            while (phosd_raw_next(part, &cursor, &value)) {
                assert_true(value.data >= end);
                assert_true(value.data + value.length <= end + bytes);
                assert_true(++count <= sizeof(text));
            }
            free(copy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_is_found_byte_for_byte),
        cmocka_unit_test(elements_come_one_by_one),
        cmocka_unit_test(no_text_is_read_past_its_end),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
