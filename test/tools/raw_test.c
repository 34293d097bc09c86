#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "raw.h"

static void assert_member(const char *text, const char *key, const char *wanted)
{
    phos_str found = raw_member(phos_str_make(text, strlen(text)), key);

    if (wanted == NULL) {
        assert_null(found.data);
        return;
    }
    assert_non_null(found.data);
    assert_int_equal(found.length, strlen(wanted));
    assert_memory_equal(found.data, wanted, found.length);
}

static void a_member_is_found_with_its_own_text(void **state)
{
    (void)state;
    assert_member("{}", "m", NULL);
    assert_member("{\"m\":{}}", "m", "{}");
    assert_member(" { \"a\" : [1, {\"m\": 2}] , \"m\" : { \"x\" : 1.10 } } ",
                  "m", "{ \"x\" : 1.10 }");
    assert_member("{\"a\":\"}{\\\"m\\\":\",\"m\":12345678901234567890123}", "m",
                  "12345678901234567890123");
    assert_member("{\"m\":\"a\\\\\",\"b\":1}", "m", "\"a\\\\\"");
    assert_member("{\"m\":[[],[[]]],\"b\":null}", "m", "[[],[[]]]");
    assert_member("{\"m\":true,\"b\":1}", "m", "true");
    assert_member("{\"mm\":1}", "m", NULL);
}

static void the_last_of_equal_keys_counts(void **state)
{
    (void)state;
    assert_member("{\"m\":1,\"m\":2}", "m", "2");
}

static void a_key_may_be_spelled_with_escapes(void **state)
{
    (void)state;
    assert_member("{\"meta\\u0064ata\":1}", "metadata", "1");
    assert_member("{\"metadata\\u0000\":1}", "metadata", NULL);
    assert_member("{\"a\\\"b\":1}", "a\"b", "1");
}

static void elements_of_an_array_come_one_by_one(void **state)
{
    static const char *const want[] = { "1.10", "\"],\"", "{\"a\": [1, 2]}",
                                        "[]", "null" };
    static const char text[] = " [1.10 , \"],\",\n{\"a\": [1, 2]},[] ,null ] ";
    phos_str array = phos_str_make(text, sizeof(text) - 1);
    phos_str empty = PHOS_STR("[ ]");
    size_t at = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        phos_str got = raw_element(array, &at);

        assert_int_equal(got.length, strlen(want[i]));
        assert_memory_equal(got.data, want[i], got.length);
    }
    assert_null(raw_element(array, &at).data);
    assert_null(raw_element(array, &at).data);
    at = 0;
    assert_null(raw_element(empty, &at).data);
    assert_null(raw_element(phos_str_make(NULL, 0), &at).data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_is_found_with_its_own_text),
        cmocka_unit_test(the_last_of_equal_keys_counts),
        cmocka_unit_test(a_key_may_be_spelled_with_escapes),
        cmocka_unit_test(elements_of_an_array_come_one_by_one),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
