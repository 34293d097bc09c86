#include "support.h"

#include <jansson.h>

#include "wire/json_scan.h"

static int set_up(void **state)
{
    struct phos__buffer *buffer = test_calloc(1, sizeof(*buffer));

    buffer_init_libc(buffer);
    *state = buffer;
    return 0;
}

static int tear_down(void **state)
{
    phos__buffer_deinit(*state);
    test_free(*state);
    return 0;
}

/* ---- two more opinions ---- */

/* The grammar of RFC 8259 as it is printed, by recursive descent. Returns where
 * the value ends, or NULL. */
static const char *descend(const char *at, const char *end);

static const char *blanks(const char *at, const char *end)
{
    while (at < end && strchr(" \t\r\n", *at) && *at)
        at++;
    return at;
}

static const char *digits(const char *at, const char *end)
{
    const char *start = at;

    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at > start ? at : NULL;
}

static const char *descend_string(const char *at, const char *end)
{
    if (at == end || *at++ != '"')
        return NULL;
    for (; at < end; at++) {
        if (*at == '"')
            return at + 1;
        if ((unsigned char)*at < 0x20)
            return NULL;
        if (*at != '\\')
            continue;
        if (++at == end)
            return NULL;
        if (*at == 'u') {
            for (int i = 0; i < 4; i++)
                if (++at == end || *at == '\0' ||
                    !strchr("0123456789abcdefABCDEF", *at))
                    return NULL;
        } else if (*at == '\0' || !strchr("\"\\/bfnrt", *at)) {
            return NULL;
        }
    }
    return NULL;
}

static const char *descend_number(const char *at, const char *end)
{
    if (at < end && *at == '-')
        at++;
    if (at < end && *at == '0')
        at++;
    else
        at = digits(at, end);
    if (at && at < end && *at == '.')
        at = digits(at + 1, end);
    if (at && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        at = digits(at, end);
    }
    return at;
}

static const char *descend_list(const char *at, const char *end, char close)
{
    at = blanks(at + 1, end);
    if (at < end && *at == close)
        return at + 1;
    for (;;) {
        if (close == '}') {
            at = descend_string(blanks(at, end), end);
            if (!at)
                return NULL;
            at = blanks(at, end);
            if (at == end || *at++ != ':')
                return NULL;
        }
        at = descend(at, end);
        if (!at)
            return NULL;
        at = blanks(at, end);
        if (at == end)
            return NULL;
        if (*at == close)
            return at + 1;
        if (*at++ != ',')
            return NULL;
    }
}

static const char *descend(const char *at, const char *end)
{
    static const char *const words[] = { "true", "false", "null" };

    at = blanks(at, end);
    if (at == end)
        return NULL;
    if (*at == '{' || *at == '[')
        return descend_list(at, end, *at == '{' ? '}' : ']');
    if (*at == '"')
        return descend_string(at, end);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if ((size_t)(end - at) >= strlen(words[i]) &&
            memcmp(at, words[i], strlen(words[i])) == 0)
            return at + strlen(words[i]);
    return descend_number(at, end);
}

static bool descends(phos_str text)
{
    const char *end = text.data + text.length;
    const char *at = blanks(text.data, end);

    if (at == end || *at != '{')
        return false;
    at = descend(at, end);
    return at && blanks(at, end) == end;
}

/* jansson's, where it is as lenient: numbers that no double can hold and NUL
 * in keys are grammar too. Lone surrogates and broken UTF-8 are not asked. */
static bool jansson_reads(phos_str text)
{
    json_error_t error;
    json_t *json = json_loadb(text.data, text.length, JSON_ALLOW_NUL, &error);
    bool is_object = json_is_object(json);

    if (!json)
        return json_error_code(&error) == json_error_numeric_overflow ||
               json_error_code(&error) == json_error_null_byte_in_key;
    json_decref(json);
    return is_object;
}

static void assert_same(phos_str text, bool got, bool want)
{
    if (got != want)
        fail_msg("%s: %.*s", got ? "accepted" : "not accepted",
                 (int)text.length, text.data);
}

/* ---- what is an object ---- */

static void objects_and_near_misses_are_told_apart(void **state)
{
    static const struct {
        const char *text;
        bool is_object;
    } rows[] = {
        { "{}", true },
        { " \t\r\n{ \n} ", true },
        { "{\"\":0}", true },
        { "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"a\":true}", true },
        { "{\"a\":-0.0e+00}", true },
        { "{\"a\":1e999999}", true },
        { "{\"a\":123456789012345678901234567890}", true },
        { "{\"a\":\"\\ud800\"}", true },
        { "{\"a\":\"\\u0000\\/\"}", true },
        { "{\"a\":\"\xff\x7f\"}", true },
        { "", false },
        { " ", false },
        { "null", false },
        { "[]", false },
        { "\"{}\"", false },
        { "{", false },
        { "}", false },
        { "{}}", false },
        { "{}{}", false },
        { "{},", false },
        { "{]", false },
        { "{,}", false },
        { "{\"a\"}", false },
        { "{\"a\":}", false },
        { "{\"a\":1,}", false },
        { "{\"a\":1 \"b\":2}", false },
        { "{a:1}", false },
        { "{'a':1}", false },
        { "{1:1}", false },
        { "{\"a\":01}", false },
        { "{\"a\":+1}", false },
        { "{\"a\":.5}", false },
        { "{\"a\":5.}", false },
        { "{\"a\":5e}", false },
        { "{\"a\":-}", false },
        { "{\"a\":NaN}", false },
        { "{\"a\":Infinity}", false },
        { "{\"a\":tru}", false },
        { "{\"a\":truex}", false },
        { "{\"a\":True}", false },
        { "{\"a\":\"\n\"}", false },
        { "{\"a\":\"\\x\"}", false },
        { "{\"a\":\"\\u12g4\"}", false },
        { "{\"a\":\"\\u123\"}", false },
        { "{\"a\":\"\\\"}", false },
        { "{\"a\":[1,]}", false },
        { "{\"a\":[,1]}", false },
        { "{\"a\":[1}]", false },
        { "{\"a\":[}", false },
        { "{\"a\":1]", false },
        { "{\"a\"::1}", false },
        { "/**/{}", false },
        { "{}//", false },
        { "\xef\xbb\xbf{}", false },
        { "{\"a\":1\x0b}", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        phos_str text =
            fenced(phos_str_make(rows[i].text, strlen(rows[i].text)));

        assert_same(text, phos__json_is_object(text), rows[i].is_object);
        assert_same(text, descends(text), rows[i].is_object);
        free((void *)(uintptr_t)text.data);
    }
    assert_false(phos__json_is_object(phos_str_make(NULL, 0)));
    assert_false(phos__json_is_object(phos_str_make("{\0}", 3)));
    assert_false(phos__json_is_object(phos_str_make("{}\0", 3)));
}

/* Every value of up to three bytes, in an object. */
static void all_short_values_are_judged_as_by_the_grammar(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < UINT32_C(1) << 24; i++) {
        char text[9] = "{\"\":";
        size_t length = 4;

        for (uint32_t rest = i; rest || length == 4; rest >>= 8)
            text[length++] = (char)rest;
        text[length++] = '}';
        phos_str object = phos_str_make(text, length);
        bool got = phos__json_is_object(object);

        if (got != descends(object))
            assert_same(object, got, !got);
    }
}

static const char alphabet[] = "{}[],:\"\\0-.eu ";

/* Strings over the bytes that mean something to the grammar; counts down `i`
 * in the alphabet's base. */
static size_t spell(uint64_t i, size_t count, char *to)
{
    for (size_t at = 0; at < count; at++, i /= sizeof(alphabet) - 1)
        to[at] = alphabet[i % (sizeof(alphabet) - 1)];
    return count;
}

static void
meaningful_bytes_are_judged_as_by_the_grammar_and_by_jansson(void **state)
{
    static const struct {
        const char *before, *after;
    } frames[] = { { "{", "}" }, { "{\"\":", "}" }, { "{\"", "\":0}" } };

    (void)state;
    for (size_t frame = 0; frame < 3; frame++)
        for (size_t count = 0; count <= 5; count++) {
            uint64_t strings = 1;

            for (size_t i = 0; i < count; i++)
                strings *= sizeof(alphabet) - 1;
            for (uint64_t i = 0; i < strings; i++) {
                char text[32];
                size_t length = strlen(frames[frame].before);

                memcpy(text, frames[frame].before, length);
                length += spell(i, count, text + length);
                memcpy(text + length, frames[frame].after,
                       strlen(frames[frame].after));
                length += strlen(frames[frame].after);
                phos_str object = phos_str_make(text, length);
                bool got = phos__json_is_object(object);

                if (got != descends(object))
                    assert_same(object, got, !got);
                /* jansson is slow: the longest ones by sample. */
                if ((count < 5 || i % 8 == 0) && got != jansson_reads(object))
                    assert_same(object, got, !got);
            }
        }
}

static void depth_64_is_accepted_and_65_is_not(void **state)
{
    char text[1024];

    (void)state;
    for (int depth = 60; depth < 70; depth++)
        for (int mix = 0; mix < 3; mix++) {
            size_t length = 0;

            for (int i = 0; i < depth; i++) {
                bool is_object = i == 0 || mix == 0 || (mix == 1 && i % 2);

                length += (size_t)sprintf(text + length, "%s",
                                          !is_object       ? "["
                                          : i == depth - 1 ? "{\"a\":0"
                                                           : "{\"a\":");
            }
            for (int i = depth - 1; i >= 0; i--)
                text[length++] =
                    i == 0 || mix == 0 || (mix == 1 && i % 2) ? '}' : ']';
            phos_str object = phos_str_make(text, length);

            assert_true(descends(object));
            assert_same(object, phos__json_is_object(object),
                        depth <= PHOS__JSON_DEPTH_MAX);
        }
}

/* I4 */
static void a_million_brackets_are_refused(void **state)
{
    enum { COUNT = 1000000 };
    char *text = malloc(COUNT + 5);

    (void)state;
    assert_non_null(text);
    memcpy(text, "{\"a\":", 5);
    memset(text + 5, '[', COUNT);
    assert_false(phos__json_is_object(phos_str_make(text, COUNT + 5)));
    free(text);
}

/* ---- random documents ---- */

static void append_random(struct phos__buffer *text, uint64_t *seed, int depth);

static void append_random_string(struct phos__buffer *text, uint64_t *seed)
{
    static const char *const pieces[] = {
        "a",
        "key",
        "\\n",
        "\\\"",
        "\\\\",
        "\\u00e9",
        "\\u0041",
        "\\u2028",
        "\\ud83d\\ude00",
        "\xc3\xa9",
        " ",
        "\x7f",
        "\xe2\x80\xa9",
        "\\/",
        "{",
        "]",
    };

    phos__buffer_append(text, "\"", 1);
    for (uint64_t count = next_random(seed) % 5; count > 0; count--) {
        const char *piece =
            pieces[next_random(seed) % (sizeof(pieces) / sizeof(pieces[0]))];

        phos__buffer_append(text, piece, strlen(piece));
    }
    phos__buffer_append(text, "\"", 1);
}

static void append_blanks(struct phos__buffer *text, uint64_t *seed)
{
    for (uint64_t count = next_random(seed) % 4; count > 2; count--)
        phos__buffer_append(text, &" \t\r\n"[next_random(seed) % 4], 1);
}

static void append_random_list(struct phos__buffer *text, uint64_t *seed,
                               int depth, bool is_object)
{
    uint64_t count = next_random(seed) % 4;

    phos__buffer_append(text, is_object ? "{" : "[", 1);
    append_blanks(text, seed);
    for (uint64_t i = 0; i < count; i++) {
        if (i > 0)
            phos__buffer_append(text, ",", 1);
        append_blanks(text, seed);
        if (is_object) {
            append_random_string(text, seed);
            append_blanks(text, seed);
            phos__buffer_append(text, ":", 1);
            append_blanks(text, seed);
        }
        append_random(text, seed, depth + 1);
        append_blanks(text, seed);
    }
    phos__buffer_append(text, is_object ? "}" : "]", 1);
}

static void append_random(struct phos__buffer *text, uint64_t *seed, int depth)
{
    static const char *const scalars[] = {
        "true", "false",    "null",
        "0",    "-1",       "1.50",
        "2e+3", "-0.25E-2", "9223372036854775807",
    };
    uint64_t random = next_random(seed);
    const char *scalar;

    if (depth < 6 && random % 3 == 0) {
        append_random_list(text, seed, depth, random % 2);
    } else if (random % 3 == 1) {
        append_random_string(text, seed);
    } else {
        scalar = scalars[random % (sizeof(scalars) / sizeof(scalars[0]))];
        phos__buffer_append(text, scalar, strlen(scalar));
    }
}

static json_t *load_any(phos_str text)
{
    json_error_t error;
    json_t *json = json_loadb(text.data, text.length,
                              JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);

    if (!json)
        fail_msg("jansson: %s: %.*s", error.text, (int)text.length, text.data);
    return json;
}

static void
random_objects_are_walked_and_minified_without_changing_meaning(void **state)
{
    struct phos__buffer *text = *state;
    uint64_t seed = 1;

    for (int round = 0; round < 20000; round++) {
        struct phos__buffer minified;
        size_t cursor = 0;
        phos_str object, key, value;
        json_t *want, *walked = json_object(), *json;

        phos__buffer_clear(text);
        append_blanks(text, &seed);
        append_random_list(text, &seed, 0, true);
        append_blanks(text, &seed);
        object = fenced(buffer_text(text));
        assert_true(phos__json_is_object(object));
        want = load_any(object);

        while (phos__json_next_member(object, &cursor, &key, &value)) {
            json_t *name = load_any(key);

            json_object_set_new(walked, json_string_value(name),
                                load_any(value));
            json_decref(name);
        }
        assert_true(json_equal(walked, want));

        buffer_init_libc(&minified);
        phos__json_minify(&minified, object);
        json = load_any(buffer_text(&minified));
        assert_true(json_equal(json, want));
        assert_true(phos__json_is_object(buffer_text(&minified)));

        phos__buffer_deinit(&minified);
        json_decref(json);
        json_decref(walked);
        json_decref(want);
        free((void *)(uintptr_t)object.data);
    }
}

/* Bytes changed at random: judged alike, and never read past their end. */
static void damaged_objects_are_judged_as_by_the_grammar(void **state)
{
    struct phos__buffer *text = *state;
    uint64_t seed = 2;

    for (int round = 0; round < 40000; round++) {
        size_t cursor = 0;
        phos_str object, key, value;
        struct phos__buffer minified;
        bool got;

        phos__buffer_clear(text);
        append_random_list(text, &seed, 0, true);
        for (uint64_t count = next_random(&seed) % 3; count > 0; count--)
            text->data[next_random(&seed) % text->bytes] =
                (uint8_t)alphabet[next_random(&seed) % sizeof(alphabet)];
        text->bytes -=
            next_random(&seed) % 4 ? 0 : next_random(&seed) % text->bytes;
        object = fenced(buffer_text(text));
        got = phos__json_is_object(object);
        assert_same(object, got, descends(object));
        while (phos__json_next_member(object, &cursor, &key, &value))
            assert_true(cursor <= object.length);
        buffer_init_libc(&minified);
        phos__json_minify(&minified, object);
        phos__buffer_deinit(&minified);
        free((void *)(uintptr_t)object.data);
    }
}

static void minified_values_have_these_bytes(void **state)
{
    static const struct {
        const char *value, *want;
    } rows[] = {
        { "1", "1" },
        { " [ 1 , \"a b\" , { \"c\" : \"\\u0064\" } ]\n",
          "[1,\"a b\",{\"c\":\"d\"}]" },
        { "1.50E+10", "1.50E+10" },
        { "\"\xff\"", "\"\xef\xbf\xbd\"" },
        { "[\"\\ud800\"]", "[\"\xef\xbf\xbd\"]" },
        { "{ }", "{}" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        phos__buffer_clear(*state);
        phos__json_minify(*state,
                          phos_str_make(rows[i].value, strlen(rows[i].value)));
        assert_text(buffer_text(*state),
                    phos_str_make(rows[i].want, strlen(rows[i].want)));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(objects_and_near_misses_are_told_apart),
        TEST(all_short_values_are_judged_as_by_the_grammar),
        TEST(meaningful_bytes_are_judged_as_by_the_grammar_and_by_jansson),
        TEST(depth_64_is_accepted_and_65_is_not),
        TEST(a_million_brackets_are_refused),
        TEST(random_objects_are_walked_and_minified_without_changing_meaning),
        TEST(damaged_objects_are_judged_as_by_the_grammar),
        TEST(minified_values_have_these_bytes),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
