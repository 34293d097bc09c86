#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "reply.h"

static json_t *parse(const char *text)
{
    json_t *json = reply_parse(text, strlen(text));

    assert_non_null(json);
    return json;
}

static void a_list_is_found_in_every_known_shape(void **state)
{
    static const char *const shapes[] = { "[1]", "{\"data\":[1]}",
                                          "{\"events\":[1],\"total\":1}",
                                          "{\"sessions\":[1]}",
                                          "{\"items\":[1]}" };
    json_t *none = parse("{\"rows\":[1]}");

    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        json_t *json = parse(shapes[i]);

        assert_int_equal(json_array_size(reply_list(json)), 1);
        json_decref(json);
    }
    assert_null(reply_list(none));
    json_decref(none);
}

static void an_object_may_be_wrapped(void **state)
{
    json_t *bare = parse("{\"event_id\":\"a\"}");
    json_t *wrapped = parse("{\"event\":{\"event_id\":\"a\"}}");
    json_t *list = parse("[]");

    (void)state;
    assert_ptr_equal(reply_object(bare, "event"), bare);
    assert_ptr_equal(reply_object(wrapped, "event"),
                     json_object_get(wrapped, "event"));
    assert_null(reply_object(list, "event"));
    json_decref(bare);
    json_decref(wrapped);
    json_decref(list);
}

static void the_words_of_an_error_are_found(void **state)
{
    static const struct {
        const char *body, *words;
    } rows[] = {
        { "{\"error\":\"no\"}", "no" },
        { "{\"error\":{\"message\":\"no\"}}", "no" },
        { "{\"message\":\"no\"}", "no" },
        { "{\"detail\":\"no\"}", "no" },
        { "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"no\"}]}", "no" },
        { "{\"other\":1}", "{\"other\":1}" },
        { "Bad Gateway", "Bad Gateway" },
        { "", "(nothing more)" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *json = reply_parse(rows[i].body, strlen(rows[i].body));

        assert_string_equal(reply_words(json, rows[i].body), rows[i].words);
        json_decref(json);
    }
}

static void broken_text_and_great_numbers_still_read(void **state)
{
    json_t *json = parse("{\"a\":\"\xff\",\"b\":123456789012345678901234}");

    (void)state;
    assert_string_equal(json_string_value(json_object_get(json, "a")),
                        "\xef\xbf\xbd");
    assert_null(reply_parse("<html>", 6));
    assert_null(reply_parse(NULL, 0));
    json_decref(json);
}

static void members_are_found_one_level_down_too(void **state)
{
    static const char *const cost[] = { "cost", "cost_cents", NULL };
    static const char *const model[] = { "model", NULL };
    json_t *json = parse("{\"cost\":\"free\",\"metrics\":{\"cost_cents\":2.5},"
                         "\"metadata\":{\"model\":\"m\"}}");
    double number = 0;

    (void)state;
    assert_true(reply_number(json, cost, &number));
    assert_true(number == 2.5);
    assert_string_equal(reply_text(json, model), "m");
    assert_null(reply_text(json, cost + 1));
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_found_in_every_known_shape),
        cmocka_unit_test(an_object_may_be_wrapped),
        cmocka_unit_test(the_words_of_an_error_are_found),
        cmocka_unit_test(broken_text_and_great_numbers_still_read),
        cmocka_unit_test(members_are_found_one_level_down_too),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
