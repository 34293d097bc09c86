#include "support.h"

#include "wire/feedback_record.h"
#include "wire/record.h"

enum { ROOM = 8192 };

static const uint8_t some_id[16] = { 0x6f, 0x1f, 0x2b, 0x9e, 0x2f, 0x7a,
                                     0x4f, 0x0e, 0x9a, 0x51, 0x0b, 0x7f,
                                     0x3f, 0x6f, 0x5a, 0x10 };

static struct phos__feedback_view some_feedback(phos_str comment,
                                                phos_str source)
{
    struct phos__feedback_view view = { .time = UINT64_C(0x8000000000000007),
                                        .flag = PHOS_FLAG_FAILURE,
                                        .comment = comment,
                                        .source = source };

    memcpy(view.event_id, some_id, sizeof(some_id));
    return view;
}

/* In memory that ends where the record ends. */
static uint8_t *write_record(const struct phos__feedback_view *view,
                             uint32_t *ret_bytes)
{
    uint8_t *record;

    assert_int_equal(phos__feedback_record_plan(view, ROOM, ret_bytes),
                     PHOS_OK);
    assert_int_equal(*ret_bytes % 8, 0);
    record = malloc(*ret_bytes);
    assert_non_null(record);
    memset(record, 0xAA, *ret_bytes); /* what an earlier lap left */
    phos__feedback_record_write(view, *ret_bytes, record);
    return record;
}

static const phos_str texts[] = { { NULL, 0 },   { "", 0 },
                                  { "good", 4 }, { "1234567", 7 },
                                  { "x", 1 },    { "a\0b\xff", 4 } };

enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };

static void assert_same_text(phos_str got, phos_str want)
{
    assert_int_equal(got.data == NULL, want.data == NULL);
    assert_text(got, want);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < TEXTS * TEXTS * 2; i++) {
        struct phos__feedback_view view =
            some_feedback(texts[i % TEXTS], texts[i / 2 % TEXTS]);
        struct phos__feedback_view read;
        uint32_t bytes;
        uint8_t *record;

        view.flag = i % 2 ? PHOS_FLAG_SUCCESS : PHOS_FLAG_FAILURE;
        record = write_record(&view, &bytes);
        assert_true(phos__feedback_record_is(record, bytes));
        assert_true(phos__feedback_record_read(record, bytes, &read));
        assert_true(read.time == view.time);
        assert_true(phos__record_time(record) == view.time);
        assert_memory_equal(read.event_id, some_id, 16);
        assert_int_equal(read.flag, view.flag);
        assert_same_text(read.comment, view.comment);
        assert_same_text(read.source, view.source);
        free(record);
    }
}

static void texts_have_limits(void **state)
{
    static char text[PHOS_FEEDBACK_COMMENT_BYTES_MAX + 1];
    const phos_str none = { NULL, 0 };
    struct phos__feedback_view view =
        some_feedback(phos_str_make(text, sizeof(text)), none);
    uint32_t bytes = 42;

    (void)state;
    assert_int_equal(phos__feedback_record_plan(&view, ROOM, &bytes),
                     PHOS_E_TOO_LARGE);
    view.comment = none;
    view.source = phos_str_make(text, PHOS_FEEDBACK_SOURCE_BYTES_MAX + 1);
    assert_int_equal(phos__feedback_record_plan(&view, ROOM, &bytes),
                     PHOS_E_TOO_LARGE);
    assert_int_equal(bytes, 42);

    view.comment = phos_str_make(text, PHOS_FEEDBACK_COMMENT_BYTES_MAX);
    view.source.length--;
    assert_int_equal(phos__feedback_record_plan(
                         &view, PHOS__FEEDBACK_RECORD_BYTES_MAX - 1, &bytes),
                     PHOS_E_TOO_LARGE);
    assert_int_equal(phos__feedback_record_plan(
                         &view, PHOS__FEEDBACK_RECORD_BYTES_MAX, &bytes),
                     PHOS_OK);
    assert_int_equal(bytes, PHOS__FEEDBACK_RECORD_BYTES_MAX);
}

static void broken_feedback_is_invalid(void **state)
{
    const phos_str none = { NULL, 0 }, lost = { NULL, 3 };
    struct phos__feedback_view view = some_feedback(lost, none);
    uint32_t bytes;

    (void)state;
    assert_int_equal(phos__feedback_record_plan(&view, ROOM, &bytes),
                     PHOS_E_INVALID);
    view = some_feedback(none, lost);
    assert_int_equal(phos__feedback_record_plan(&view, ROOM, &bytes),
                     PHOS_E_INVALID);
    view = some_feedback(none, none);
    for (int flag = 0; flag < 4; flag += 3) {
        view.flag = (phos_flag)flag;
        assert_int_equal(phos__feedback_record_plan(&view, ROOM, &bytes),
                         PHOS_E_INVALID);
    }
}

/* Neither is taken for the other, nor memory that was written over. */
static void an_event_is_no_feedback(void **state)
{
    const phos_str none = { NULL, 0 };
    struct phos__feedback_view view = some_feedback(PHOS_STR("no"), none);
    struct phos__record_plan plan;
    struct phos__record_view event_view;
    phos_event event = phos_event_default();
    uint64_t room[64];
    uint32_t bytes;
    uint8_t *record = write_record(&view, &bytes);

    (void)state;
    assert_false(phos__record_read(record, bytes, &event_view));
    assert_false(phos__feedback_record_is(record, 40));
    free(record);

    event.input = PHOS_STR("i");
    event.output = PHOS_STR("o");
    event.model = PHOS_STR("m");
    assert_int_equal(phos__record_plan(&event, sizeof(room), &plan), PHOS_OK);
    phos__record_write(&event, &plan, 1, (uint8_t *)room);
    assert_false(phos__feedback_record_is((uint8_t *)room, plan.bytes));
    memset(room, 0xA5, sizeof(room));
    assert_false(phos__feedback_record_is((uint8_t *)room, sizeof(room)));
}

/* Each byte in turn, with every value: read whole or not, and nothing outside
 * (the address sanitizer watches). */
static void a_damaged_record_is_never_read_past_its_end(void **state)
{
    struct phos__feedback_view view =
        some_feedback(PHOS_STR("comment"), PHOS_STR("source"));
    struct phos__feedback_view read;
    uint32_t bytes;
    uint8_t *record = write_record(&view, &bytes);

    (void)state;
    for (uint32_t at = 0; at < bytes; at++) {
        uint8_t before = record[at];

        for (unsigned value = 0; value < 256; value++) {
            record[at] = (uint8_t)value;
            if (phos__feedback_record_read(record, bytes, &read)) {
                assert_true(read.comment.length + read.source.length == 13);
                assert_true((const uint8_t *)read.source.data +
                                read.source.length <=
                            record + bytes);
            }
        }
        record[at] = before;
    }
    for (uint32_t cut = 0; cut < bytes - 8; cut++)
        assert_false(phos__feedback_record_read(record, cut, &read));
    free(record);
}

static void a_link_changes_nothing_else(void **state)
{
    struct phos__feedback_view view =
        some_feedback(PHOS_STR("comment"), PHOS_STR("source"));
    struct phos__feedback_view read;
    uint32_t bytes;
    uint8_t *record = write_record(&view, &bytes);

    (void)state;
    assert_true(phos__feedback_record_link(record) == 0);
    phos__feedback_record_set_link(record, UINT64_MAX - 7);
    assert_true(phos__feedback_record_link(record) == UINT64_MAX - 7);
    assert_true(phos__feedback_record_read(record, bytes, &read));
    assert_true(read.time == view.time);
    assert_same_text(read.comment, view.comment);
    free(record);
}

static void the_body_is_what_the_service_reads(void **state)
{
    static const struct {
        phos_flag flag;
        phos_str comment, source;
        const char *json;
    } rows[] = {
        { PHOS_FLAG_SUCCESS,
          { NULL, 0 },
          { NULL, 0 },
          "\"flag\":\"success\",\"source\":\"user\"}" },
        { PHOS_FLAG_FAILURE,
          { "", 0 },
          { "judge", 5 },
          "\"flag\":\"failure\",\"comment\":\"\",\"source\":\"judge\"}" },
        { PHOS_FLAG_SUCCESS,
          { "say \"hi\"\n\xff", 10 },
          { "", 0 },
          "\"flag\":\"success\",\"comment\":\"say \\\"hi\\\"\\n\xef\xbf\xbd\","
          "\"source\":\"\"}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct phos__feedback_view view =
            some_feedback(rows[i].comment, rows[i].source);
        struct phos__buffer buffer;
        char want[256];

        snprintf(want, sizeof(want),
                 "{\"event_id\":\"6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10\",%s",
                 rows[i].json);
        view.flag = rows[i].flag;
        buffer_init_libc(&buffer);
        phos__feedback_record_json(&buffer, &view);
        assert_text(buffer_text(&buffer), phos_str_make(want, strlen(want)));
        phos__buffer_deinit(&buffer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(texts_have_limits),
        cmocka_unit_test(broken_feedback_is_invalid),
        cmocka_unit_test(an_event_is_no_feedback),
        cmocka_unit_test(a_damaged_record_is_never_read_past_its_end),
        cmocka_unit_test(a_link_changes_nothing_else),
        cmocka_unit_test(the_body_is_what_the_service_reads),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
