#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ngx_phos_chat.h"
#include "ngx_phos_stream.h"

#define TEXT_MAX 4096

static void *grow(void *pool, void *old, size_t old_bytes, size_t bytes)
{
    (void)pool;
    (void)old_bytes;
    return test_realloc(old, bytes);
}

static void *grow_never(void *pool, void *old, size_t old_bytes, size_t bytes)
{
    (void)pool;
    (void)old;
    (void)old_bytes;
    (void)bytes;
    return NULL;
}

static const struct ngx_phos_memory memory = { grow, NULL };

static void deinit(struct ngx_phos_chat *chat)
{
    struct ngx_phos_text *texts[] = { &chat->input, &chat->output,
                                      &chat->model, &chat->user,
                                      &chat->role,  &chat->message };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        test_free(texts[i]->data);
}

/* Every byte in a memory of its own, so that the sanitizer sees a step too
 * far; in pieces of `piece` bytes. */
static void feed_in(struct ngx_phos_chat *chat, struct ngx_phos_stream *stream,
                    const char *text, size_t length, size_t piece)
{
    for (size_t at = 0; at < length; at += piece) {
        size_t bytes = length - at < piece ? length - at : piece;
        char *copy = test_malloc(bytes);

        memcpy(copy, text + at, bytes);
        if (stream)
            ngx_phos_stream_feed(stream, chat, copy, bytes);
        else
            ngx_phos_chat_feed(chat, copy, bytes);
        test_free(copy);
    }
}

static void assert_text(const struct ngx_phos_text *text, const char *want)
{
    char *got = test_calloc(1, text->length + 1);

    if (text->length > 0)
        memcpy(got, text->data, text->length);
    assert_string_equal(got, want);
    test_free(got);
}

static const size_t pieces[] = { 1, 2, 3, 7, 4096 };

#define PIECE_COUNT (sizeof(pieces) / sizeof(*pieces))

/* ---- requests ---- */

static const struct {
    const char *json;
    const char *input;
    bool is_whole;
} requests[] = {
    { "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}",
      "Hi", true },
    /* the last of the user, wherever the role stands */
    { "{\"messages\":[{\"content\":\"a\",\"role\":\"user\"},"
      "{\"content\":\"b\",\"role\":\"assistant\"},"
      "{\"content\":\"c\",\"role\":\"user\"},"
      "{\"content\":\"d\",\"role\":\"tool\"}]}",
      "c", true },
    { "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"}]}", "", true },
    /* parts; what is no text leaves nothing */
    { "{\"messages\":[{\"role\":\"user\",\"content\":["
      "{\"type\":\"text\",\"text\":\"one\"},"
      "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:x\",\"text\":"
      "\"no\"}},"
      "{\"text\":\"two\",\"type\":\"text\"}]}]}",
      "one\ntwo", true },
    { " {\t\"messages\" :\r\n [ { \"role\" : \"user\" , \"content\" : \"x\" } "
      "] }\n",
      "x", true },
    { "{\"messages\":[{\"role\":\"user\",\"content\":null}]}", "", true },
    { "{\"messages\":[{\"role\":\"user\",\"name\":\"n\",\"content\":\"\"}]}",
      "", true },
    /* the same names in other places */
    { "{\"metadata\":{\"messages\":[{\"role\":\"user\",\"content\":\"no\"}]},"
      "\"content\":\"no\",\"messages\":[{\"role\":\"user\","
      "\"content\":\"yes\",\"extra\":{\"content\":\"no\"}}],"
      "\"tools\":[{\"role\":\"user\",\"content\":\"no\"}]}",
      "yes", true },
    /* a key that begins like one */
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"yes\","
      "\"contents\":\"no\",\"conten\":\"no\",\"content_and_much_more_of_it\":"
      "\"no\"}]}",
      "yes", true },
    /* broken behind the message, and in it */
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},{]}", "Hi",
      false },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi", "", false },
    { "[{\"role\":\"user\",\"content\":\"Hi\"}]", "", false },
    { "\"text\"", "", false },
    { "17", "", false },
    { "", "", false },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}}", "Hi", false },
    { "{\"messages\":[{\"role\":\"user\" \"content\":\"Hi\"}]}", "", false },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"\\x\"}]}", "", false },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"\\u12g4\"}]}", "",
      false },
};

static void the_last_text_of_the_user_is_the_input(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
        for (size_t p = 0; p < PIECE_COUNT; p++) {
            struct ngx_phos_chat chat;

            ngx_phos_chat_init(&chat, memory, TEXT_MAX);
            feed_in(&chat, NULL, requests[i].json, strlen(requests[i].json),
                    pieces[p]);

            assert_text(&chat.input, requests[i].input);
            assert_int_equal(ngx_phos_chat_is_whole(&chat),
                             requests[i].is_whole);
            deinit(&chat);
        }
    }
}

static void a_request_names_its_model_and_user(void **state)
{
    const char *json = "{\"user\":\"u-1\",\"n\":1,\"model\":\"m-1\","
                       "\"messages\":[],\"stream\":true}";
    struct ngx_phos_chat chat;

    (void)state;
    ngx_phos_chat_init(&chat, memory, TEXT_MAX);
    feed_in(&chat, NULL, json, strlen(json), 5);
    assert_text(&chat.model, "m-1");
    assert_text(&chat.user, "u-1");
    assert_true(chat.has_messages);
    assert_false(chat.has_choices);
    deinit(&chat);
}

/* ---- strings ---- */

static const struct {
    const char *json, *text;
} strings[] = {
    { "\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t" },
    { "\\u0041\\u00e9\\u20AC", "A\xC3\xA9\xE2\x82\xAC" },
    { "\\ud83d\\ude00!", "\xF0\x9F\x98\x80!" },
    /* halves without their other half */
    { "\\ud83d!", "\xEF\xBF\xBD!" },
    { "\\ud83d\\n", "\xEF\xBF\xBD\n" },
    { "\\ud83d", "\xEF\xBF\xBD" },
    { "\\ude00!", "\xEF\xBF\xBD!" },
    { "\\ud83d\\ud83d\\ude00", "\xEF\xBF\xBD\xF0\x9F\x98\x80" },
    { "\\ud83d\\u0041", "\xEF\xBF\xBD\x41" },
    { "\xE2\x82\xAC \xF0\x9F\x98\x80", "\xE2\x82\xAC \xF0\x9F\x98\x80" },
};

static void strings_are_read_as_they_were_meant(void **state)
{
    char json[256];

    (void)state;
    for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++) {
        snprintf(json, sizeof(json),
                 "{\"choices\":[{\"message\":{\"content\":\"%s\"}}]}",
                 strings[i].json);
        for (size_t p = 0; p < PIECE_COUNT; p++) {
            struct ngx_phos_chat chat;

            ngx_phos_chat_init(&chat, memory, TEXT_MAX);
            feed_in(&chat, NULL, json, strlen(json), pieces[p]);

            assert_text(&chat.output, strings[i].text);
            assert_true(ngx_phos_chat_is_whole(&chat));
            deinit(&chat);
        }
    }
}

static void keys_may_be_escaped(void **state)
{
    const char *json =
        "{\"\\u0063hoices\":[{\"m\\u0065ssage\":{\"content\":\"x\"}}]}";
    struct ngx_phos_chat chat;

    (void)state;
    ngx_phos_chat_init(&chat, memory, TEXT_MAX);
    feed_in(&chat, NULL, json, strlen(json), 1);
    assert_text(&chat.output, "x");
    deinit(&chat);
}

/* ---- answers ---- */

static const struct {
    const char *json, *output;
    int64_t tokens_in, tokens_out;
} answers[] = {
    { "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
      "\"content\":\"yes\",\"refusal\":null}}],"
      "\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":0,"
      "\"prompt_tokens_details\":{\"prompt_tokens\":99}}}",
      "yes", 12, 0 },
    { "{\"choices\":[{\"message\":{\"content\":\"a\"}},"
      "{\"message\":{\"content\":\"b\"}}],\"usage\":null}",
      "a", -1, -1 },
    { "{\"choices\":[{\"index\":1,\"message\":{\"content\":\"b\"}},"
      "{\"index\":0,\"message\":{\"content\":\"a\"}}]}",
      "a", -1, -1 },
    { "{\"choices\":[],\"usage\":{\"prompt_tokens\":-3,"
      "\"completion_tokens\":1.5}}",
      "", -1, -1 },
    { "{\"choices\":[],\"usage\":{\"prompt_tokens\":99999999999999999999999,"
      "\"completion_tokens\":2e3}}",
      "", -1, -1 },
    { "{\"choices\":[],\"usage\":{\"prompt_tokens\":9007199254740992,"
      "\"completion_tokens\":\"7\"}}",
      "", INT64_C(9007199254740992), -1 },
};

static void the_first_choice_is_the_output(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        for (size_t p = 0; p < PIECE_COUNT; p++) {
            struct ngx_phos_chat chat;

            ngx_phos_chat_init(&chat, memory, TEXT_MAX);
            feed_in(&chat, NULL, answers[i].json, strlen(answers[i].json),
                    pieces[p]);

            assert_text(&chat.output, answers[i].output);
            assert_true(chat.token_count_input == answers[i].tokens_in);
            assert_true(chat.token_count_output == answers[i].tokens_out);
            assert_true(chat.has_choices);
            assert_true(ngx_phos_chat_is_whole(&chat));
            deinit(&chat);
        }
    }
}

static void a_text_ends_at_its_limit(void **state)
{
    const char *json = "{\"choices\":[{\"message\":{\"content\":"
                       "\"1234567\xE2\x82\xAC and more\"}}],"
                       "\"usage\":{\"prompt_tokens\":5}}";

    (void)state;
    for (size_t limit = 7; limit <= 10; limit++) {
        struct ngx_phos_chat chat;

        ngx_phos_chat_init(&chat, memory, limit);
        feed_in(&chat, NULL, json, strlen(json), 4);
        ngx_phos_text_trim(&chat.output);
        assert_text(&chat.output,
                    limit < 10 ? "1234567" : "1234567\xE2\x82\xAC");
        assert_true(chat.output.is_cut);
        assert_int_equal(chat.token_count_input, 5);
        deinit(&chat);
    }
}

static void a_text_grows_to_any_limit(void **state)
{
    enum { BYTES = 300000 };
    static char json[BYTES + 64];
    struct ngx_phos_chat chat;
    int head = snprintf(json, sizeof(json),
                        "{\"choices\":[{\"message\":{\"content\":\"");

    (void)state;
    memset(json + head, 'x', BYTES);
    ngx_phos_chat_init(&chat, memory, BYTES);
    feed_in(&chat, NULL, json, (size_t)head + BYTES, 8192);
    assert_int_equal(chat.output.length, BYTES);
    assert_false(chat.output.is_cut);
    assert_int_equal(chat.output.capacity, BYTES);
    deinit(&chat);
}

static void a_limit_of_nothing_keeps_nothing(void **state)
{
    const char *json = "{\"choices\":[{\"message\":{\"content\":\"secret\"}}],"
                       "\"model\":\"m\"}";
    struct ngx_phos_chat chat;

    (void)state;
    ngx_phos_chat_init(&chat, memory, 0);
    feed_in(&chat, NULL, json, strlen(json), 4096);
    assert_null(chat.output.data);
    assert_text(&chat.model, "m");
    deinit(&chat);
}

static void without_memory_texts_are_cut_and_numbers_are_read(void **state)
{
    const char *json = "{\"model\":\"m\",\"choices\":[{\"message\":{"
                       "\"content\":\"text\"}}],"
                       "\"usage\":{\"prompt_tokens\":5}}";
    struct ngx_phos_chat chat;

    (void)state;
    ngx_phos_chat_init(&chat, (struct ngx_phos_memory){ grow_never, NULL },
                       TEXT_MAX);
    feed_in(&chat, NULL, json, strlen(json), 4096);
    assert_int_equal(chat.output.length, 0);
    assert_true(chat.output.is_cut);
    assert_int_equal(chat.token_count_input, 5);
}

static void nesting_is_read_to_its_limit(void **state)
{
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        struct ngx_phos_chat chat;

        ngx_phos_chat_init(&chat, memory, TEXT_MAX);
        ngx_phos_chat_feed(&chat, "{\"a\":", 5);
        for (size_t i = 1; i < NGX_PHOS_DEPTH_MAX + extra; i++)
            ngx_phos_chat_feed(&chat, "[", 1);
        assert_int_equal(ngx_phos_chat_is_broken(&chat), extra);
        deinit(&chat);
    }
}

/* jansson reads the same: whatever it takes, the reader takes whole. */
static void what_is_json_is_read_to_its_end(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"a\":{}}",
        "{\"a\":[]}",
        "{\"a\":[[],{},[{}],-1.5e+3,true,false,null,\"\"]}",
        "{\"a\":1,\"b\":[1,2,{\"c\":\"\\\\\"}]}",
        "{\"a\":[1,]}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1]",
        "{\"a\":[1}",
        "{1:2}",
        "{\"a\":1 2}",
        "{\"a\":\"\\q\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct ngx_phos_chat chat;
        json_t *json = json_loads(texts[i], 0, NULL);

        ngx_phos_chat_init(&chat, memory, TEXT_MAX);
        feed_in(&chat, NULL, texts[i], strlen(texts[i]), 3);

        assert_int_equal(ngx_phos_chat_is_whole(&chat), json != NULL);
        json_decref(json);
        deinit(&chat);
    }
}

/* ---- streams ---- */

#define DELTA(text) \
    "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"}}]}"

static const struct {
    const char *bytes, *output;
    uint64_t broken;
} streams[] = {
    { "data: " DELTA("Hel") "\n\ndata: " DELTA("lo") "\n\ndata: [DONE]\n\n",
      "Hello", 0 },
    /* line ends of all kinds, no space, other fields, comments */
    { "data:" DELTA("a") "\r\n\r\n: hi\r\nevent: x\r\ndata: " DELTA(
          "b") "\r\n\r\n",
      "ab", 0 },
    { "data:" DELTA("a") "\r\rid: 7\rdata: " DELTA("b") "\r\r", "ab", 0 },
    /* one text over several lines */
    { "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"a\"}}]}\n\n", "a",
      0 },
    /* no empty line between events; no last line end */
    { "data: " DELTA("a") "\ndata: " DELTA("b") "\ndata: [DONE]", "ab", 0 },
    /* an event that is broken spoils no other */
    { "data: " DELTA("a") "\n\ndata: {\"choices\":[}\n\ndata: " DELTA(
          "b") "\n\n",
      "ab", 1 },
    { "data: oops\n\ndata: " DELTA("b") "\n\n", "b", 1 },
    { "data: [DONE\n\ndata: " DELTA("b") "\n\n", "b", 1 },
    { "data\ndatax: " DELTA("no") "\n\nxdata: " DELTA("no") "\n\n", "", 0 },
    /* another choice, in a chunk of its own */
    { "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"}}]}\n\n"
      "data: " DELTA("yes") "\n\n",
      "yes", 0 },
    { "data:\n\ndata: " DELTA("a") "\n\n", "a", 0 },
};

static void the_deltas_of_a_stream_are_joined(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(streams) / sizeof(*streams); i++) {
        for (size_t p = 0; p < PIECE_COUNT; p++) {
            struct ngx_phos_chat chat;
            struct ngx_phos_stream stream = { 0 };

            ngx_phos_chat_init(&chat, memory, TEXT_MAX);
            feed_in(&chat, &stream, streams[i].bytes, strlen(streams[i].bytes),
                    pieces[p]);

            assert_text(&chat.output, streams[i].output);
            assert_true(stream.broken == streams[i].broken);
            deinit(&chat);
        }
    }
}

static void the_last_chunk_brings_the_usage(void **state)
{
    const char *bytes =
        "data: {\"model\":\"m-2\",\"choices\":[{\"delta\":{\"role\":"
        "\"assistant\",\"content\":\"\"}}],\"usage\":null}\n\n"
        "data: {\"model\":\"m-2\",\"choices\":[{\"delta\":{\"content\":\"x\"}}]"
        "}\n\ndata: {\"model\":\"m-2\",\"choices\":[],\"usage\":{"
        "\"prompt_tokens\":9,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n";
    struct ngx_phos_chat chat;
    struct ngx_phos_stream stream = { 0 };

    (void)state;
    ngx_phos_chat_init(&chat, memory, TEXT_MAX);
    feed_in(&chat, &stream, bytes, strlen(bytes), 16);
    assert_text(&chat.model, "m-2");
    assert_text(&chat.output, "x");
    assert_int_equal(chat.token_count_input, 9);
    assert_int_equal(chat.token_count_output, 1);
    deinit(&chat);
}

/* Whatever comes, nothing is read or written where it should not be. */
static void any_bytes_are_survived(void **state)
{
    static const char *const words[] = {
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\",
        "\\u",
        "d83d",
        "\n",
        "data: ",
        "-1",
        "messages",
        "\"content\"",
        "role",
        "\"user\"",
        "\xF0\x9F",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
        "{\"choices\":[{\"message\":{\"content\":[{\"text\":\"",
    };
    uint64_t dice = 88172645463325252u;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct ngx_phos_chat chat;
        struct ngx_phos_stream stream = { 0 };

        ngx_phos_chat_init(&chat, memory, 16);
        for (int i = 0; i < 24; i++) {
            const char *word;

            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            word = words[dice % (sizeof(words) / sizeof(*words))];
            feed_in(&chat, round & 1 ? &stream : NULL, word, strlen(word),
                    dice >> 60 | 1);
        }
        assert_true(chat.input.length <= 16 && chat.output.length <= 16);
        ngx_phos_text_trim(&chat.output);
        deinit(&chat);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_text_of_the_user_is_the_input),
        cmocka_unit_test(a_request_names_its_model_and_user),
        cmocka_unit_test(strings_are_read_as_they_were_meant),
        cmocka_unit_test(keys_may_be_escaped),
        cmocka_unit_test(the_first_choice_is_the_output),
        cmocka_unit_test(a_text_ends_at_its_limit),
        cmocka_unit_test(a_text_grows_to_any_limit),
        cmocka_unit_test(a_limit_of_nothing_keeps_nothing),
        cmocka_unit_test(without_memory_texts_are_cut_and_numbers_are_read),
        cmocka_unit_test(nesting_is_read_to_its_limit),
        cmocka_unit_test(what_is_json_is_read_to_its_end),
        cmocka_unit_test(the_deltas_of_a_stream_are_joined),
        cmocka_unit_test(the_last_chunk_brings_the_usage),
        cmocka_unit_test(any_bytes_are_survived),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
