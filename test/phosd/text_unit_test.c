#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "query.h"
#include "reply.h"
#include "text.h"

static phos_str str(const char *text)
{
    return phos_str_make(text, strlen(text));
}

static void words_are_found_in_either_case(void **state)
{
    static const struct {
        const char *text, *word;
        bool found;
    } rows[] = {
        { "", "", true },
        { "abc", "", true },
        { "", "a", false },
        { "abc", "abc", true },
        { "xABCx", "abc", true },
        { "xabcx", "ABC", true },
        { "ab", "abc", false },
        { "aab", "ab", true },
        { "ababac", "abac", true },
        { "[", "{", false },
        { "@", "`", false },
        { "Gr\xC3\x96\xC3\x9F"
          "e",
          "gr\xC3\xB6", true },
        { "\xC3\xB6", "\xC3\x96", true },
        { "\xD0\xA2\xD0\x95", "\xD1\x82\xD0\xB5", true },
        { "\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80", true },
        { "\xF0\x9F\x98\x80", "\xF0\x9F\x98\x81", false },
        { "a\xFF"
          "b",
          "a\xFF"
          "B",
          true },
        { "\xE2\x82", "\xE2\x82\xAC", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(
            phosd_text_contains(str(rows[i].text), str(rows[i].word)),
            rows[i].found);
}

static void a_word_is_asked_of_the_index_in_threes(void **state)
{
    static const struct {
        const char *word, *query;
    } rows[] = {
        { "", NULL },
        { "ab", NULL },
        { "\xC3\xA4\xC3\xB6", NULL },
        { "abc", "\"abc\"" },
        { "abcd", "\"abc\" AND \"bcd\"" },
        { "a\"b", "\"a\"\"b\"" },
        { "\xC3\xA4"
          "b\xE2\x82\xAC"
          "c",
          "\"\xC3\xA4"
          "b\xE2\x82\xAC\" AND \"b\xE2\x82\xAC"
          "c\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct phos__buffer buffer;

        phosd_buffer_init(&buffer);
        assert_int_equal(phosd_text_trigrams(&buffer, str(rows[i].word)),
                         rows[i].query != NULL);
        if (rows[i].query) {
            assert_int_equal(buffer.bytes, strlen(rows[i].query));
            assert_memory_equal(buffer.data, rows[i].query, buffer.bytes);
        }
        phos__buffer_deinit(&buffer);
    }
}

static void escapes_are_decoded_once(void **state)
{
    static const struct {
        const char *text;
        bool plus;
        const char *decoded; /* NULL: refused */
    } rows[] = {
        { "", false, "" },
        { "abc", false, "abc" },
        { "a%20b", false, "a b" },
        { "a+b", false, "a+b" },
        { "a+b", true, "a b" },
        { "%2B", true, "+" },
        { "%2525", false, "%25" },
        { "%2F..%2f", false, "/../" },
        { "%C3%a4", false, "\xC3\xA4" },
        { "%F0%9F%98%80", false, "\xF0\x9F\x98\x80" },
        { "%", false, NULL },
        { "%4", false, NULL },
        { "%4g", false, NULL },
        { "%00", false, NULL },
        { "%0a", false, NULL },
        { "%7F", false, NULL },
        { "%80", false, NULL },
        { "%C3", false, NULL },
        { "%C0%AF", false, NULL },
        { "%E0%80%AF", false, NULL },
        { "%ED%A0%80", false, NULL },
        { "%F4%90%80%80", false, NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        phos_str decoded;
        char text[32];

        strcpy(text, rows[i].text);
        assert_int_equal(phosd_decode(text, rows[i].plus, &decoded),
                         rows[i].decoded != NULL);
        if (rows[i].decoded) {
            assert_int_equal(decoded.length, strlen(rows[i].decoded));
            assert_memory_equal(decoded.data, rows[i].decoded, decoded.length);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_found_in_either_case),
        cmocka_unit_test(a_word_is_asked_of_the_index_in_threes),
        cmocka_unit_test(escapes_are_decoded_once),
    };

    setlocale(LC_CTYPE, "C.UTF-8");
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
