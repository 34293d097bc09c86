/* E1, E2: event streams, however their bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "harness/failing_alloc.h"
#include "wire/sse.h"

enum { LINE_MAX = 4096, EVENT_MAX = 8192, TEXT_BYTES = 1 << 16 };

/* ---- what a stream says, as text: one line for each event ---- */

struct story {
    char text[TEXT_BYTES];
    size_t length;
};

static void tell(struct story *story, phos_str text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool is_plain = c >= ' ' && c < 0x7F && c != '\\' && c != '|';

        assert_true(story->length + 5 < sizeof(story->text));
        story->length += (size_t)sprintf(story->text + story->length,
                                         is_plain ? "%c" : "\\%02x", c);
    }
}

static void tell_event(struct story *story, const struct phos__sse_event *event)
{
    tell(story, event->name);
    story->text[story->length++] = '|';
    tell(story, event->data);
    story->text[story->length++] = '|';
    tell(story, event->id);
    story->text[story->length++] = '\n';
}

static phos_allocator libc(void)
{
    bool is_valid;

    return phos__allocator_resolve(&(phos_allocator){ 0 }, &is_valid);
}

static void init(struct phos__sse *sse)
{
    phos_allocator allocator = libc();

    phos__sse_init(sse, &allocator, LINE_MAX, EVENT_MAX);
}

/* Pieces end where the caller says; each lies in memory of its own, so that
 * reading past one shows. */
static void feed(struct phos__sse *sse, phos_str piece, struct story *story)
{
    char *copy = malloc(piece.length + !piece.length);
    struct phos__sse_event event;
    phos_str input = phos_str_make(copy, piece.length);

    assert_non_null(copy);
    memcpy(copy, piece.data, piece.length);
    while (phos__sse_read(sse, &input, &event) == PHOS__SSE_EVENT)
        tell_event(story, &event);
    if (!sse->status)
        assert_int_equal(input.length, 0);
    free(copy);
}

static void end_story(struct phos__sse *sse, struct story *story)
{
    struct phos__sse_event event;

    if (phos__sse_finish(sse, &event) == PHOS__SSE_EVENT) {
        memcpy(story->text + story->length, "end:", 4);
        story->length += 4;
        tell_event(story, &event);
    }
    story->text[story->length] = '\0';
    phos__sse_deinit(sse);
}

static void read_in_pieces(phos_str stream, const size_t *ends,
                           size_t end_count, struct story *ret_story)
{
    struct phos__sse sse;
    size_t from = 0;

    ret_story->length = 0;
    init(&sse);
    for (size_t i = 0; i <= end_count; i++) {
        size_t to = i < end_count ? ends[i] : stream.length;

        feed(&sse, phos_str_make(stream.data + from, to - from), ret_story);
        from = to;
    }
    end_story(&sse, ret_story);
}

/* ---- what the standard says, row by row ---- */

struct row {
    phos_str stream;
    const char *story;
};

static const struct row rows[] = {
    { { "", 0 }, "" },
#define ROW(stream, story)                    \
    {                                         \
        { stream, sizeof(stream) - 1 }, story \
    }
    /* line ends */
    ROW("data: a\n\ndata: b\n\n", "message|a|\nmessage|b|\n"),
    ROW("data: a\r\n\r\ndata: b\r\n\r\n", "message|a|\nmessage|b|\n"),
    ROW("data: a\r\rdata: b\r\r", "message|a|\nmessage|b|\n"),
    ROW("data: a\n\rdata: b\r\n\ndata: c\r\n\r",
        "message|a|\nmessage|b|\nmessage|c|\n"),
    ROW("\n\n\r\r\r\n\r\ndata: a\n\n\n\n", "message|a|\n"),
    /* the value: one blank goes, no more */
    ROW("data:a\n\n", "message|a|\n"),
    ROW("data:  a \n\n", "message| a |\n"),
    ROW("data:\ta\n\n", "message|\\09a|\n"),
    ROW("data: a: b\n\n", "message|a: b|\n"),
    ROW("data\n\n", "message||\n"),
    ROW("data:\n\n", "message||\n"),
    ROW("data\ndata\n\n", "message|\\0a|\n"),
    ROW("data: a\ndata:\ndata: b\n\n", "message|a\\0a\\0ab|\n"),
    ROW("data: {\"t\":\"\xC3\xA9\"}\n\n", "message|{\"t\":\"\\c3\\a9\"}|\n"),
    ROW("data: a\0b\n\n", "message|a\\00b|\n"),
    /* comments, unknown fields, fields that only look alike */
    ROW(": hello\n\n:\n\ndata: a\n: between\ndata: b\n\n", "message|a\\0ab|\n"),
    ROW("datas: a\ndat: b\nDATA: c\n data: d\nx\n\ndata: e\n\n",
        "message|e|\n"),
    /* kinds */
    ROW("event: token\ndata: a\n\ndata: b\n\n", "token|a|\nmessage|b|\n"),
    ROW("event: a\nevent: b\ndata: c\n\n", "b|c|\n"),
    ROW("event: a\nevent\ndata: c\n\n", "message|c|\n"),
    ROW("event: token\n\ndata: a\n\n", "message|a|\n"),
    /* ids stay until the next */
    ROW("id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
        "message|a|1\nmessage|b|1\nmessage|c|\n"),
    ROW("id: 1\n\ndata: a\n\n", "message|a|1\n"),
    ROW("id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n", "message|a|1\nmessage|b|1\n"),
    /* a byte order mark, once */
    ROW("\xEF\xBB\xBF"
        "data: a\n\n\xEF\xBB\xBF"
        "data: b\n\n",
        "message|a|\n"),
    ROW("\xEF\xBB\xBF\n", ""),
    ROW("\xEF\xBB"
        "data: a\n\n",
        ""),
    /* what is not ended */
    ROW("data: a\n\ndata: b", "message|a|\nend:message|b|\n"),
    ROW("data: a\n", "end:message|a|\n"),
    ROW("event: e\ndata: a\r", "end:e|a|\n"),
    ROW("event: e", ""),
    ROW("\xEF\xBB\xBF", ""),
    ROW("\xEF\xBB\xBF"
        "data: a",
        "end:message|a|\n"),
    /* a service's own */
    ROW("data: {\"type\":\"token\",\"content\":\"Hel\"}\n\ndata: [DONE]\n\n",
        "message|{\"type\":\"token\",\"content\":\"Hel\"}|\n"
        "message|[DONE]|\n"),
#undef ROW
};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

static void assert_story(const struct row *row, const size_t *ends,
                         size_t end_count)
{
    static struct story story;

    read_in_pieces(row->stream, ends, end_count, &story);
    if (strcmp(story.text, row->story) != 0)
        fail_msg("%.*s\nwant:\n%sgot:\n%s", (int)row->stream.length,
                 row->stream.data, row->story, story.text);
}

static void a_stream_says_what_the_standard_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT; i++)
        assert_story(&rows[i], NULL, 0);
}

static void no_cut_changes_what_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        size_t length = rows[i].stream.length;
        size_t ends[2], each[256];

        for (ends[0] = 0; ends[0] <= length; ends[0]++)
            for (ends[1] = ends[0]; ends[1] <= length; ends[1]++)
                assert_story(&rows[i], ends, 2);
        assert_true(length < 256);
        for (size_t at = 0; at < length; at++)
            each[at] = at;
        assert_story(&rows[i], each, length);
    }
}

/* ---- long streams ---- */

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

/* Lines of every kind and end, some longer than a search piece. */
static size_t write_stream(uint64_t seed, unsigned events, char *to)
{
    static const char *const ends[] = { "\n", "\r", "\r\n" };
    static const char *const fields[] = { "data: ", "data:",  "event: ",
                                          "id: ",   ": ping", "retry: " };
    size_t length = 0;

    for (unsigned i = 0; i < events; i++) {
        const char *end = ends[next_random(&seed) % 3];

        for (uint64_t line = next_random(&seed) % 4; line > 0; line--) {
            length += (size_t)sprintf(to + length, "%s",
                                      fields[next_random(&seed) % 6]);
            for (uint64_t c = next_random(&seed) % 300; c > 0; c--)
                to[length++] = (char)('a' + next_random(&seed) % 26);
            length += (size_t)sprintf(to + length, "%s", end);
        }
        /* A data field that is empty keeps a lone CR and LF apart. */
        length += (size_t)sprintf(to + length, "data:%s%s", end, end);
    }
    return length;
}

static void every_cut_of_a_long_stream_gives_the_same_events(void **state)
{
    static char bytes[200 * 2000];
    static struct story whole, cut;
    phos_str stream = phos_str_make(bytes, write_stream(1, 40, bytes));

    (void)state;
    read_in_pieces(stream, NULL, 0, &whole);
    assert_true(whole.length > 1000);
    for (size_t at = 0; at <= stream.length; at++) {
        read_in_pieces(stream, &at, 1, &cut);
        assert_string_equal(cut.text, whole.text);
    }
}

static void pieces_of_any_size_give_the_same_events(void **state)
{
    static char bytes[200 * 2000];
    static struct story whole, cut;
    static size_t ends[sizeof(bytes)];

    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        phos_str stream = phos_str_make(bytes, write_stream(seed, 20, bytes));
        uint64_t random = seed;
        size_t end_count = 0;

        read_in_pieces(stream, NULL, 0, &whole);
        for (size_t at = 0;;) {
            at += next_random(&random) % (seed % 2 ? 5 : 500);
            if (at > stream.length)
                break;
            ends[end_count++] = at;
        }
        read_in_pieces(stream, ends, end_count, &cut);
        assert_string_equal(cut.text, whole.text);
    }
}

/* ---- bounds ---- */

/* `count` bytes of a line that begins with "data:". */
static phos_status read_line_of(size_t count, size_t piece_bytes)
{
    static char bytes[2 * LINE_MAX];
    static struct story story;
    struct phos__sse sse;
    phos_status status;

    memset(bytes, 'x', sizeof(bytes));
    memcpy(bytes, "data:", 5);
    memcpy(bytes + count, "\n\n", 2);
    story.length = 0;
    init(&sse);
    for (size_t at = 0; at < count + 2; at += piece_bytes) {
        size_t left = count + 2 - at;

        feed(&sse,
             phos_str_make(bytes + at, left < piece_bytes ? left : piece_bytes),
             &story);
    }
    status = sse.status;
    assert_int_equal(story.length > 0, status == PHOS_OK);
    end_story(&sse, &story);
    return status;
}

static void a_line_may_be_as_long_as_allowed_and_no_longer(void **state)
{
    static const size_t pieces[] = { 1, 7, 255, 256, 4096, 8192 };

    (void)state;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        assert_int_equal(read_line_of(LINE_MAX, pieces[i]), PHOS_OK);
        assert_int_equal(read_line_of(LINE_MAX + 1, pieces[i]),
                         PHOS_E_TOO_LARGE);
    }
}

static phos_status read_data_of(size_t lines, size_t line_bytes)
{
    static char line[LINE_MAX];
    static struct story story;
    struct phos__sse sse;
    phos_status status;

    memset(line, 'x', sizeof(line));
    memcpy(line, "data:", 5);
    line[5 + line_bytes] = '\n';
    story.length = 0;
    init(&sse);
    for (size_t i = 0; i < lines; i++)
        feed(&sse, phos_str_make(line, line_bytes + 6), &story);
    feed(&sse, PHOS_STR("\n"), &story);
    status = sse.status;
    end_story(&sse, &story);
    return status;
}

static void an_event_may_be_as_large_as_allowed_and_no_larger(void **state)
{
    (void)state;
    /* 3 lines and the two LF between them */
    assert_int_equal(read_data_of(3, (EVENT_MAX - 2) / 3), PHOS_OK);
    assert_int_equal(read_data_of(3, (EVENT_MAX - 2) / 3 + 1),
                     PHOS_E_TOO_LARGE);
    /* Nothing but the LF: lines without data are not free. */
    assert_int_equal(read_data_of(EVENT_MAX + 1, 0), PHOS_OK);
    assert_int_equal(read_data_of(EVENT_MAX + 2, 0), PHOS_E_TOO_LARGE);
}

static void a_failure_is_for_good(void **state)
{
    static struct story story;
    static char bytes[LINE_MAX + 1];
    struct phos__sse_event event;
    struct phos__sse sse;
    phos_str more = PHOS_STR("\ndata: a\n\n");

    (void)state;
    story.length = 0;
    memset(bytes, 'x', sizeof(bytes));
    init(&sse);
    feed(&sse, phos_str_make(bytes, sizeof(bytes)), &story);
    assert_int_equal(phos__sse_read(&sse, &more, &event), PHOS__SSE_FAILED);
    assert_int_equal(phos__sse_finish(&sse, &event), PHOS__SSE_FAILED);
    assert_int_equal(sse.status, PHOS_E_TOO_LARGE);
    phos__sse_deinit(&sse);
}

/* ---- the rest ---- */

static void a_wait_is_read_when_it_is_a_number(void **state)
{
    static const struct {
        phos_str stream;
        bool has_retry;
        uint64_t retry_ms;
    } waits[] = {
        { { "retry: 1500\n", 12 }, true, 1500 },
        { { "retry:0\n", 8 }, true, 0 },
        { { "retry: 7\nretry: -1\n", 19 }, true, 7 },
        { { "retry: 7\nretry: 1e3\n", 20 }, true, 7 },
        { { "retry:\n", 7 }, false, 0 },
        { { "retry: 999999999999999999\n", 26 }, true, 999999999999999999 },
        { { "retry: 1000000000000000000\n", 27 }, false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        static struct story story;
        struct phos__sse sse;

        story.length = 0;
        init(&sse);
        feed(&sse, waits[i].stream, &story);
        assert_int_equal(sse.has_retry, waits[i].has_retry);
        assert_int_equal(sse.retry_ms, waits[i].retry_ms);
        end_story(&sse, &story);
    }
}

static void a_slow_reader_finds_the_rest_where_it_left_it(void **state)
{
    phos_str input = PHOS_STR("data: a\n\ndata: b\n\ndata: c");
    struct phos__sse_event event;
    struct phos__sse sse;

    (void)state;
    init(&sse);
    assert_int_equal(phos__sse_read(&sse, &input, &event), PHOS__SSE_EVENT);
    assert_int_equal(input.length, 16);
    assert_memory_equal(event.data.data, "a", 1);
    assert_int_equal(phos__sse_read(&sse, &input, &event), PHOS__SSE_EVENT);
    assert_int_equal(input.length, 7);
    assert_memory_equal(event.data.data, "b", 1);
    assert_int_equal(phos__sse_read(&sse, &input, &event), PHOS__SSE_MORE);
    assert_int_equal(input.length, 0);
    phos__sse_deinit(&sse);
}

static phos_status read_with(const phos_allocator *allocator)
{
    phos_str input = PHOS_STR("id: 1\nevent: e\ndata: a\ndata: b\n\ndat");
    struct phos__sse_event event;
    struct phos__sse sse;
    phos_status status;

    phos__sse_init(&sse, allocator, LINE_MAX, EVENT_MAX);
    while (phos__sse_read(&sse, &input, &event) == PHOS__SSE_EVENT)
        ;
    status = sse.status;
    phos__sse_deinit(&sse);
    return status;
}

static void without_memory_it_fails_and_leaks_nothing(void **state)
{
    struct failing_alloc memory;
    phos_allocator allocator = failing_alloc_make(&memory);
    uint64_t calls;

    (void)state;
    failing_alloc_reset(&memory, 0, false);
    assert_int_equal(read_with(&allocator), PHOS_OK);
    calls = atomic_load(&memory.calls);
    assert_int_equal(calls, 4); /* line, name, data, id */
    for (uint64_t i = 0; i < 2 * calls; i++) {
        failing_alloc_reset(&memory, 1 + i / 2, i % 2);
        assert_int_equal(read_with(&allocator), PHOS_E_NO_MEMORY);
        assert_int_equal(atomic_load(&memory.blocks), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_says_what_the_standard_says),
        cmocka_unit_test(no_cut_changes_what_it_says),
        cmocka_unit_test(every_cut_of_a_long_stream_gives_the_same_events),
        cmocka_unit_test(pieces_of_any_size_give_the_same_events),
        cmocka_unit_test(a_line_may_be_as_long_as_allowed_and_no_longer),
        cmocka_unit_test(an_event_may_be_as_large_as_allowed_and_no_larger),
        cmocka_unit_test(a_failure_is_for_good),
        cmocka_unit_test(a_wait_is_read_when_it_is_a_number),
        cmocka_unit_test(a_slow_reader_finds_the_rest_where_it_left_it),
        cmocka_unit_test(without_memory_it_fails_and_leaks_nothing),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
