#include "support.h"

#include "wire/json.h"
#include "wire/json_text.h"

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

/* ---- a second opinion ---- */

/* The UTF-8 decoder of the WHATWG's Encoding standard, a state machine fed byte
 * by byte, followed by the escapes; slow and differently built. */
struct decoder {
    uint32_t code_point;
    int needed, seen;
    uint8_t low, high;
    char *to;
};

static void emit(struct decoder *decoder, uint32_t code_point)
{
    static const char *const named[] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f",
        ['\r'] = "\\r", ['"'] = "\\\"", ['\\'] = "\\\\"
    };
    char *to = decoder->to;

    if (code_point < sizeof(named) / sizeof(named[0]) && named[code_point])
        to += sprintf(to, "%s", named[code_point]);
    else if (code_point < 0x20 || code_point == 0x7F || code_point == 0x2028 ||
             code_point == 0x2029)
        to += sprintf(to, "\\u%04x", (unsigned)code_point);
    else if (code_point < 0x80)
        *to++ = (char)code_point;
    else if (code_point < 0x800)
        to += sprintf(to, "%c%c", (int)(0xC0 + code_point / 64),
                      (int)(0x80 + code_point % 64));
    else if (code_point < 0x10000)
        to += sprintf(to, "%c%c%c", (int)(0xE0 + code_point / 4096),
                      (int)(0x80 + code_point / 64 % 64),
                      (int)(0x80 + code_point % 64));
    else
        to += sprintf(to, "%c%c%c%c", (int)(0xF0 + code_point / 262144),
                      (int)(0x80 + code_point / 4096 % 64),
                      (int)(0x80 + code_point / 64 % 64),
                      (int)(0x80 + code_point % 64));
    decoder->to = to;
}

static void feed(struct decoder *decoder, uint8_t byte)
{
    if (decoder->needed == 0) {
        decoder->low = 0x80;
        decoder->high = 0xBF;
        decoder->seen = 0;
        if (byte < 0x80) {
            emit(decoder, byte);
        } else if (byte >= 0xC2 && byte <= 0xDF) {
            decoder->needed = 1;
            decoder->code_point = byte & 0x1F;
        } else if (byte >= 0xE0 && byte <= 0xEF) {
            if (byte == 0xE0)
                decoder->low = 0xA0;
            if (byte == 0xED)
                decoder->high = 0x9F;
            decoder->needed = 2;
            decoder->code_point = byte & 0xF;
        } else if (byte >= 0xF0 && byte <= 0xF4) {
            if (byte == 0xF0)
                decoder->low = 0x90;
            if (byte == 0xF4)
                decoder->high = 0x8F;
            decoder->needed = 3;
            decoder->code_point = byte & 7;
        } else {
            emit(decoder, 0xFFFD);
        }
        return;
    }
    if (byte < decoder->low || byte > decoder->high) {
        decoder->needed = 0;
        emit(decoder, 0xFFFD);
        feed(decoder, byte);
        return;
    }
    decoder->low = 0x80;
    decoder->high = 0xBF;
    decoder->code_point = decoder->code_point << 6 | (byte & 0x3F);
    if (++decoder->seen == decoder->needed) {
        decoder->needed = 0;
        emit(decoder, decoder->code_point);
    }
}

/* Returns the length of what a string of these bytes has to be. */
static size_t expected(const uint8_t *bytes, size_t count, char *to)
{
    struct decoder decoder = { .to = to };

    *decoder.to++ = '"';
    for (size_t i = 0; i < count; i++)
        feed(&decoder, bytes[i]);
    if (decoder.needed)
        emit(&decoder, 0xFFFD);
    *decoder.to++ = '"';
    return (size_t)(decoder.to - to);
}

static void assert_as_expected(struct phos__buffer *buffer,
                               const uint8_t *bytes, size_t count)
{
    char want[2048];
    size_t length = expected(bytes, count, want);

    phos__buffer_clear(buffer);
    phos__json_text(buffer, phos_str_make((const char *)bytes, count));
    assert_text(buffer_text(buffer), phos_str_make(want, length));
}

/* ---- text ---- */

static void
every_pair_of_bytes_is_written_as_a_second_decoder_does(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 0x10000; i++) {
        uint8_t bytes[2] = { (uint8_t)(i >> 8), (uint8_t)i };

        assert_as_expected(*state, bytes, 1 + (i > 0xFF));
        assert_as_expected(*state, bytes, 2);
    }
}

/* I1: every border between the rows of the table of well-formed sequences. */
static void
sequences_of_border_bytes_are_written_as_a_second_decoder_does(void **state)
{
    static const uint8_t border[] = { 0x00, '"',  'a',  0x7F, 0x80, 0x8F,
                                      0x90, 0x9F, 0xA0, 0xA8, 0xA9, 0xBF,
                                      0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1,
                                      0xE2, 0xEC, 0xED, 0xEE, 0xEF, 0xF0,
                                      0xF1, 0xF3, 0xF4, 0xF5, 0xFF };
    enum { N = sizeof(border) };

    for (unsigned i = 0; i < N * N * N * N; i++) {
        /* Shifted by a few letters, so that it straddles a block of 16. */
        uint8_t bytes[24] = "abcdefghijklmnop";
        size_t before = i % 17;

        bytes[before] = border[i % N];
        bytes[before + 1] = border[i / N % N];
        bytes[before + 2] = border[i / (N * N) % N];
        bytes[before + 3] = border[i / (N * N * N)];
        assert_as_expected(*state, bytes, before + 4);
    }
}

static void
random_texts_of_every_length_are_written_as_a_second_decoder_does(void **state)
{
    uint64_t seed = 1;

    for (int round = 0; round < 30000; round++) {
        uint8_t bytes[160];
        size_t count = (size_t)(round % 160);
        unsigned odd = (unsigned)next_random(&seed) % 12;

        for (size_t i = 0; i < count; i++) {
            uint64_t random = next_random(&seed);

            bytes[i] = random % 16 < odd ? (uint8_t)(random >> 8)
                                         : (uint8_t)('a' + random % 7);
        }
        phos_str text = fenced(phos_str_make((const char *)bytes, count));

        assert_as_expected(*state, (const uint8_t *)text.data, count);
        free((void *)(uintptr_t)text.data);
    }
}

static void a_broken_part_becomes_one_replacement_each(void **state)
{
    static const struct {
        phos_str text, json;
    } rows[] = {
        /* The examples of the Unicode Standard, table 3-8 and around. */
        { { "\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", 9 },
          { "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
            "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\x41\"",
            27 } },
        { { "\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", 9 },
          { "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
            "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\x41\"",
            27 } },
        { { "\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", 9 },
          { "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\x41\"", 15 } },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        phos__buffer_clear(*state);
        phos__json_text(*state, rows[i].text);
        assert_text(buffer_text(*state), rows[i].json);
    }
}

static void a_text_of_escapes_alone_outgrows_its_first_room(void **state)
{
    struct phos__buffer *buffer = *state;
    static char text[10000];

    memset(text, 1, sizeof(text));
    phos__buffer_append_str(buffer, PHOS_STR("before"));
    phos__json_text(buffer, phos_str_make(text, sizeof(text)));
    assert_int_equal(buffer->bytes, 6 + 2 + 6 * sizeof(text));
    assert_memory_equal(buffer->data, "before\"\\u0001", 13);
    assert_int_equal(buffer->data[buffer->bytes - 1], '"');
}

static void without_memory_the_buffer_stays_as_it_was(void **state)
{
    static char text[10000];

    (void)state;
    memset(text, 1, sizeof(text));
    for (int allocations = 1; allocations < 4; allocations++) {
        struct budget budget = { allocations };
        phos_allocator allocator = budget_allocator(&budget);
        struct phos__buffer buffer;

        phos__buffer_init(&buffer, &allocator);
        phos__buffer_append_str(&buffer, PHOS_STR("before"));
        phos__json_text(&buffer, phos_str_make(text, sizeof(text)));
        assert_true(buffer.failed);
        assert_text(buffer_text(&buffer), PHOS_STR("before"));
        phos__buffer_deinit(&buffer);
    }
}

static void both_scans_find_the_same_plain_bytes(void **state)
{
    uint64_t seed = 2;

    (void)state;
    for (int round = 0; round < 100000; round++) {
        uint8_t bytes[100], one[100 + 16], other[100 + 16];
        size_t count = (size_t)(next_random(&seed) % sizeof(bytes));
        size_t plain;

        for (size_t i = 0; i < count; i++)
            bytes[i] = (uint8_t)('a' + next_random(&seed) % 26);
        for (uint64_t odd = next_random(&seed) % 3; odd > 0 && count; odd--)
            bytes[next_random(&seed) % count] = (uint8_t)next_random(&seed);
        phos_str text = fenced(phos_str_make((const char *)bytes, count));
        plain = phos__json_copy_plain((const uint8_t *)text.data, count, one);
        assert_int_equal(plain, phos__json_copy_plain_portable(
                                    (const uint8_t *)text.data, count, other));
        assert_memory_equal(one, bytes, plain);
        assert_memory_equal(other, bytes, plain);
        free((void *)(uintptr_t)text.data);
    }
}

static void both_scans_tell_each_byte_alike_in_each_place(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++)
        for (size_t place = 0; place < 40; place++) {
            uint8_t bytes[40], to[40 + 16];
            bool is_plain =
                byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\';

            memset(bytes, 'x', sizeof(bytes));
            bytes[place] = (uint8_t)byte;
            assert_int_equal(phos__json_copy_plain(bytes, sizeof(bytes), to),
                             is_plain ? sizeof(bytes) : place);
            assert_int_equal(
                phos__json_copy_plain_portable(bytes, sizeof(bytes), to),
                is_plain ? sizeof(bytes) : place);
        }
}

/* ---- raw strings ---- */

static void raw_strings_end_in_the_same_spelling_as_texts(void **state)
{
    static const struct {
        phos_str raw, want;
    } rows[] = {
#define ROW(raw, want)             \
    {                              \
        { raw, sizeof(raw) - 1 },  \
        {                          \
            want, sizeof(want) - 1 \
        }                          \
    }
        ROW("\"\"", "\"\""),
        ROW("\"plain\"", "\"plain\""),
        ROW("\"\\u006d\\u006F\"", "\"mo\""),
        ROW("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\""),
        ROW("\"\\u0022\\u005c\\u000a\\u0000\"", "\"\\\"\\\\\\n\\u0000\""),
        ROW("\"\x7f\\u007f\"", "\"\\u007f\\u007f\""),
        ROW("\"\xe2\x80\xa8\\u2029\"", "\"\\u2028\\u2029\""),
        ROW("\"\\u00e9\xc3\xa9\"", "\"\xc3\xa9\xc3\xa9\""),
        ROW("\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""),
        ROW("\"\\uDBFF\\uDFFF\"", "\"\xf4\x8f\xbf\xbf\""),
        ROW("\"\\ud800\"", "\"\xef\xbf\xbd\""),
        ROW("\"\\ud800x\"", "\"\xef\xbf\xbdx\""),
        ROW("\"\\ud800\\n\"", "\"\xef\xbf\xbd\\n\""),
        ROW("\"\\ud800\\ud800\\udc00\"", "\"\xef\xbf\xbd\xf0\x90\x80\x80\""),
        ROW("\"\\udc00\\ud800\"", "\"\xef\xbf\xbd\xef\xbf\xbd\""),
        ROW("\"\\ud800\\u0041\"", "\"\xef\xbf\xbd"
                                  "A\""),
        ROW("\"\xff\xc3\"", "\"\xef\xbf\xbd\xef\xbf\xbd\""),
        /* Never accepted by the scanner, and still no foreign structure. */
        ROW("\"\\\"", "\"\xef\xbf\xbd\""),
        ROW("\"\\u12\"", "\"\xef\xbf\xbd"
                         "12\""),
        ROW("\"\\x\"", "\"\xef\xbf\xbd\""),
        ROW("\"a\"b\"", "\"a\\\"b\""),
        ROW("\"", "\"\""),
        ROW("", "\"\""),
#undef ROW
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        phos_str raw = fenced(rows[i].raw);

        phos__buffer_clear(*state);
        phos__json_raw_text(*state, raw);
        assert_text(buffer_text(*state), rows[i].want);
        free((void *)(uintptr_t)raw.data);
    }
}

static void a_text_written_twice_is_the_same(void **state)
{
    struct phos__buffer *buffer = *state;
    uint64_t seed = 3;

    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[60];
        struct phos__buffer again;

        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)(next_random(&seed) >> (round % 2));
        phos__buffer_clear(buffer);
        phos__json_text(buffer,
                        phos_str_make((const char *)bytes, sizeof(bytes)));
        buffer_init_libc(&again);
        phos__json_raw_text(&again, buffer_text(buffer));
        assert_text(buffer_text(&again), buffer_text(buffer));
        phos__buffer_deinit(&again);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_pair_of_bytes_is_written_as_a_second_decoder_does),
        TEST(sequences_of_border_bytes_are_written_as_a_second_decoder_does),
        TEST(random_texts_of_every_length_are_written_as_a_second_decoder_does),
        TEST(a_broken_part_becomes_one_replacement_each),
        TEST(a_text_of_escapes_alone_outgrows_its_first_room),
        TEST(without_memory_the_buffer_stays_as_it_was),
        TEST(both_scans_find_the_same_plain_bytes),
        TEST(both_scans_tell_each_byte_alike_in_each_place),
        TEST(raw_strings_end_in_the_same_spelling_as_texts),
        TEST(a_text_written_twice_is_the_same),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
