#include "support.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/utf8.h"
#include "wire/record.h"
#include "wire/timestamp.h"

enum { ROOM = 1 << 16 };

static const phos_event_id some_id = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
                                         13, 14, 15, 16 } };
static const phos_str some_trace = {
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", 55
};
static const phos_str some_tags[] = { { "a", 1 }, { "", 0 }, { "ccc", 3 } };

static phos_event minimal(void)
{
    phos_event event = phos_event_default();

    event.input = PHOS_STR("i");
    event.output = PHOS_STR("o");
    return event;
}

static phos_status plan_of(const phos_event *event, size_t bytes_max)
{
    struct phos__record_plan plan;

    return phos__record_plan(event, bytes_max, &plan);
}

/* Writes into memory that ends where the record ends, and reads it back. */
static uint8_t *write_record(const phos_event *event, size_t *ret_bytes)
{
    struct phos__record_plan plan;
    uint8_t *record;

    assert_int_equal(phos__record_plan(event, ROOM, &plan), PHOS_OK);
    assert_int_equal(plan.bytes % 8, 0);
    record = malloc(plan.bytes);
    assert_non_null(record);
    memset(record, 0xAA, plan.bytes); /* what an earlier lap left */
    phos__record_write(event, &plan, UINT64_C(0x8000000000000007), record);
    *ret_bytes = plan.bytes;
    return record;
}

static void assert_same_text(phos_str got, phos_str want)
{
    assert_int_equal(got.data == NULL, want.data == NULL);
    assert_text(got, want);
}

static void assert_round_trip(const phos_event *event)
{
    size_t bytes, cursor = 0;
    uint8_t *record = write_record(event, &bytes);
    struct phos__record_view view;
    phos_str tag;
    phos_pair pair;

    assert_true(phos__record_read(record, bytes, &view));
    assert_true(phos__record_time(record) == UINT64_C(0x8000000000000007));
    assert_true(view.time == UINT64_C(0x8000000000000007));
    assert_true(view.cookie == event->cookie);
    assert_int_equal(view.has_event_id, event->event_id != NULL);
    if (event->event_id)
        assert_memory_equal(view.event_id, event->event_id->bytes, 16);
    assert_int_equal(view.has_timestamp, event->timestamp_us != PHOS_UNSET);
    assert_true(!view.has_timestamp ||
                view.timestamp_us == event->timestamp_us);
    assert_int_equal(view.has_latency_ms, event->latency_ms != PHOS_UNSET);
    assert_true(!view.has_latency_ms || view.latency_ms == event->latency_ms);
    assert_int_equal(view.has_token_count_input,
                     event->token_count_input != PHOS_UNSET);
    assert_true(!view.has_token_count_input ||
                view.token_count_input == event->token_count_input);
    assert_int_equal(view.has_token_count_output,
                     event->token_count_output != PHOS_UNSET);
    assert_true(!view.has_token_count_output ||
                view.token_count_output == event->token_count_output);
    assert_int_equal(view.has_cost_cents, !isnan(event->cost_cents));
    assert_true(!view.has_cost_cents || view.cost_cents == event->cost_cents);
    assert_same_text(view.input, event->input);
    assert_same_text(view.output, event->output);
    assert_same_text(view.session_id, event->session_id);
    assert_same_text(view.project_id, event->project_id);
    assert_same_text(view.model, event->model);
    assert_same_text(view.provider, event->provider);
    assert_same_text(view.user_id, event->user_id);
    assert_same_text(view.metadata_json, event->metadata_json);
    assert_same_text(view.traceparent, event->traceparent);

    for (size_t i = 0; i < event->tag_count; i++) {
        assert_true(phos__record_next_tag(view.tags, &cursor, &tag));
        assert_same_text(tag, event->tags[i]);
    }
    assert_false(phos__record_next_tag(view.tags, &cursor, &tag));
    cursor = 0;
    for (size_t i = 0; i < event->pair_count; i++) {
        const phos_pair *want = &event->pairs[i];

        assert_true(phos__record_next_pair(view.pairs, &cursor, &pair));
        assert_same_text(pair.key, want->key);
        assert_int_equal(pair.type, want->type);
        if (pair.type == PHOS_VALUE_TEXT)
            assert_same_text(pair.text, want->text);
        else if (pair.type == PHOS_VALUE_INTEGER)
            assert_true(pair.integer == want->integer);
        else if (pair.type == PHOS_VALUE_NUMBER)
            assert_true(pair.number == want->number);
        else if (pair.type == PHOS_VALUE_BOOLEAN)
            assert_int_equal(pair.boolean, want->boolean);
    }
    assert_false(phos__record_next_pair(view.pairs, &cursor, &pair));
    free(record);
}

/* Fills in what the bits of `fields` say; pairs stands for five pairs. */
static phos_event random_event(uint64_t *seed, uint64_t fields,
                               phos_pair pairs[5])
{
    static const char text[] = "0123456789abcdefghijklmnopqrstuvwxyz\0\xff";
    phos_event event = minimal();
#define TEXT() phos_str_make(text, (size_t)(next_random(seed) % sizeof(text)))

    event.input = TEXT();
    event.output = TEXT();
    event.cookie = next_random(seed);
    if (fields & 1)
        event.event_id = &some_id;
    if (fields & 2)
        event.timestamp_us =
            (int64_t)(next_random(seed) % (PHOS__TIMESTAMP_US_MAX + 1));
    if (fields & 4)
        event.latency_ms = (int64_t)(next_random(seed) >> 1);
    if (fields & 8)
        event.token_count_input = (int64_t)(next_random(seed) % 3);
    if (fields & 16)
        event.token_count_output = (int64_t)(next_random(seed) % 3);
    if (fields & 32)
        event.cost_cents = (double)(next_random(seed) % 100) / 8;
    if (fields & 64)
        event.session_id = TEXT();
    if (fields & 128)
        event.project_id = TEXT();
    if (fields & 256)
        event.model = TEXT();
    if (fields & 512)
        event.provider = TEXT();
    if (fields & 1024)
        event.user_id = TEXT();
    if (fields & 2048)
        event.metadata_json = PHOS_STR("{\"k\": [1]}");
    if (fields & 4096) {
        event.tags = some_tags;
        event.tag_count = next_random(seed) % 4;
    }
    if (fields & 8192) {
        const phos_str key = phos_str_make(text, 1 + next_random(seed) % 9);

        pairs[0] = phos_pair_text(key, TEXT());
        pairs[1] = phos_pair_integer(key, (int64_t)next_random(seed));
        pairs[2] = phos_pair_number(key, -0.25);
        pairs[3] = phos_pair_boolean(key, next_random(seed) % 2);
        pairs[4] = phos_pair_null(key);
        event.pairs = pairs;
        event.pair_count = next_random(seed) % 6;
    }
    if (fields & 16384)
        event.traceparent = some_trace;
#undef TEXT
    return event;
}

static void every_set_of_fields_comes_back_as_it_was(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (uint64_t fields = 0; fields < 32768; fields++) {
        phos_pair pairs[5];
        phos_event event = random_event(&seed, fields, pairs);

        assert_round_trip(&event);
    }
}

static void extreme_values_come_back_as_they_were(void **state)
{
    phos_event event = minimal();

    (void)state;
    event.timestamp_us = PHOS__TIMESTAMP_US_MAX;
    event.latency_ms = INT64_MAX;
    event.cost_cents = -1.7976931348623157e308;
    event.cookie = UINT64_MAX;
    event.input = PHOS_STR("\0\0");
    assert_round_trip(&event);
}

static void the_same_event_gives_the_same_bytes(void **state)
{
    phos_event event = minimal();
    size_t bytes, again_bytes;
    uint8_t *record, *again;

    (void)state;
    for (size_t length = 0; length < 9; length++) {
        event.input = phos_str_make("abcdefgh", length);
        record = write_record(&event, &bytes);
        again = write_record(&event, &again_bytes);
        assert_int_equal(bytes, again_bytes);
        assert_memory_equal(record, again, bytes);
        for (size_t i = 41 + length; i < bytes; i++)
            assert_int_equal(record[i], 0); /* padding */
        free(record);
        free(again);
    }
}

/* ---- what is refused ---- */

#define EXPECT_STATUS(assignment, want)                        \
    do {                                                       \
        phos_event event = minimal();                          \
                                                               \
        assignment;                                            \
        if (plan_of(&event, ROOM) != (want))                   \
            fail_msg("%s: %s", #assignment,                    \
                     phos_status_name(plan_of(&event, ROOM))); \
    } while (0)
#define EXPECT_OK(assignment) EXPECT_STATUS(assignment, PHOS_OK)
#define EXPECT_INVALID(assignment) EXPECT_STATUS(assignment, PHOS_E_INVALID)

static void input_and_output_are_required(void **state)
{
    (void)state;
    EXPECT_OK((void)event);
    EXPECT_OK(event.input = PHOS_STR(""));
    EXPECT_OK(event.output = PHOS_STR(""));
    EXPECT_INVALID(event.input = phos_str_make(NULL, 0));
    EXPECT_INVALID(event.output = phos_str_make(NULL, 0));
    EXPECT_INVALID(event.input = phos_str_make(NULL, 1));
}

static const phos_str no_parts[1];

/* What comes out of pieces, as it lies in the record. */
static void assert_joins(const phos_str *parts, size_t count, phos_str want)
{
    phos_event event = minimal();
    struct phos__record_view view;
    size_t bytes;
    uint8_t *record;

    event.output = phos_str_make(NULL, 0);
    event.output_parts = parts;
    event.output_part_count = count;
    event.model = PHOS_STR("behind it");
    record = write_record(&event, &bytes);
    assert_true(phos__record_read(record, bytes, &view));
    assert_same_text(view.output, want);
    assert_same_text(view.input, event.input);
    assert_same_text(view.model, event.model);
    free(record);
}

static void an_answer_in_pieces_is_joined(void **state)
{
    const phos_str parts[] = { PHOS_STR("8,61"),
                               { NULL, 0 },
                               PHOS_STR(""),
                               PHOS_STR("1"),
                               PHOS_STR(" m, and that is the height of K2.") };
    phos_str *tokens = calloc(1048576, sizeof(*tokens));
    phos_event event = minimal();

    (void)state;
    assert_joins(parts, 5, PHOS_STR("8,611 m, and that is the height of K2."));
    assert_joins(parts, 1, PHOS_STR("8,61"));
    assert_joins(no_parts, 0, PHOS_STR(""));
    assert_non_null(tokens);
    assert_joins(tokens, 1048576, PHOS_STR(""));

    event.output = phos_str_make(NULL, 0);
    event.output_parts = tokens;
    event.output_part_count = 1048577;
    assert_int_equal(plan_of(&event, ROOM), PHOS_E_INVALID);
    free(tokens);
}

static void an_answer_is_given_once_and_whole(void **state)
{
    const phos_str parts[] = { PHOS_STR("a"), { NULL, 1 } };
    const phos_str huge[] = { { "a", SIZE_MAX }, { "a", SIZE_MAX } };
    phos_event event = minimal();

    (void)state;
    event.output_parts = parts; /* beside output */
    event.output_part_count = 1;
    assert_int_equal(plan_of(&event, ROOM), PHOS_E_INVALID);
    event.output_part_count = 0;
    assert_int_equal(plan_of(&event, ROOM), PHOS_E_INVALID);
    event.output = phos_str_make(NULL, 1);
    assert_int_equal(plan_of(&event, ROOM), PHOS_E_INVALID);
    event.output = phos_str_make(NULL, 0);
    assert_int_equal(plan_of(&event, ROOM), PHOS_OK);
    event.output_part_count = 2; /* a length without data */
    assert_int_equal(plan_of(&event, ROOM), PHOS_E_INVALID);
    event.output_parts = NULL;
    assert_int_equal(plan_of(&event, ROOM), PHOS_E_INVALID);
    event.output_parts = huge;
    assert_int_equal(plan_of(&event, ROOM), PHOS_E_TOO_LARGE);
}

static void a_length_without_data_is_invalid(void **state)
{
    const phos_str bad = { NULL, 1 };

    (void)state;
    EXPECT_INVALID(event.session_id = bad);
    EXPECT_INVALID(event.project_id = bad);
    EXPECT_INVALID(event.model = bad);
    EXPECT_INVALID(event.provider = bad);
    EXPECT_INVALID(event.user_id = bad);
    EXPECT_INVALID(event.metadata_json = bad);
}

static void numbers_keep_to_their_ranges(void **state)
{
    (void)state;
    EXPECT_OK(event.latency_ms = 0);
    EXPECT_OK(event.latency_ms = INT64_MAX);
    EXPECT_INVALID(event.latency_ms = -1);
    EXPECT_INVALID(event.latency_ms = INT64_MIN + 1);
    EXPECT_OK(event.token_count_input = 0);
    EXPECT_INVALID(event.token_count_input = -1);
    EXPECT_OK(event.token_count_output = 0);
    EXPECT_INVALID(event.token_count_output = -1);
    EXPECT_OK(event.timestamp_us = 0);
    EXPECT_OK(event.timestamp_us = PHOS__TIMESTAMP_US_MAX);
    EXPECT_INVALID(event.timestamp_us = PHOS__TIMESTAMP_US_MAX + 1);
    EXPECT_INVALID(event.timestamp_us = -1);
    EXPECT_OK(event.cost_cents = 0);
    EXPECT_OK(event.cost_cents = -0.5);
    EXPECT_OK(event.cost_cents = (double)NAN);
    EXPECT_OK(event.cost_cents = -(double)NAN);
    EXPECT_INVALID(event.cost_cents = (double)INFINITY);
    EXPECT_INVALID(event.cost_cents = -(double)INFINITY);
}

static void lists_hold_at_most_64_entries_and_each_has_its_text(void **state)
{
    phos_str tags[65];
    phos_pair pairs[65];

    (void)state;
    for (int i = 0; i < 65; i++) {
        tags[i] = PHOS_STR("t");
        pairs[i] = phos_pair_null(PHOS_STR("k"));
    }
    EXPECT_OK((event.tags = tags, event.tag_count = 64));
    EXPECT_INVALID((event.tags = tags, event.tag_count = 65));
    EXPECT_INVALID((event.tags = tags, event.tag_count = SIZE_MAX));
    EXPECT_INVALID(event.tag_count = 1);
    EXPECT_OK((event.pairs = pairs, event.pair_count = 64));
    EXPECT_INVALID((event.pairs = pairs, event.pair_count = 65));
    EXPECT_INVALID((event.pairs = pairs, event.pair_count = SIZE_MAX));
    EXPECT_INVALID(event.pair_count = 1);

    tags[63] = phos_str_make(NULL, 0);
    EXPECT_INVALID((event.tags = tags, event.tag_count = 64));
    EXPECT_OK((event.tags = tags, event.tag_count = 63));
}

static void pairs_keep_to_their_shape(void **state)
{
    const phos_str key = PHOS_STR("k");
    phos_pair pair = phos_pair_null(key);

    (void)state;
#define PAIR(value) (pair = value, event.pairs = &pair, event.pair_count = 1)
    EXPECT_OK(PAIR(phos_pair_null(key)));
    EXPECT_INVALID(PAIR(phos_pair_null(PHOS_STR(""))));
    EXPECT_INVALID(PAIR(phos_pair_null(phos_str_make(NULL, 0))));
    EXPECT_INVALID(PAIR(phos_pair_null(phos_str_make(NULL, 3))));
    EXPECT_OK(PAIR(phos_pair_text(key, PHOS_STR(""))));
    EXPECT_INVALID(PAIR(phos_pair_text(key, phos_str_make(NULL, 0))));
    EXPECT_OK(PAIR(phos_pair_integer(key, INT64_MIN)));
    EXPECT_OK(PAIR(phos_pair_number(key, -1e308)));
    EXPECT_INVALID(PAIR(phos_pair_number(key, (double)NAN)));
    EXPECT_INVALID(PAIR(phos_pair_number(key, (double)INFINITY)));
    EXPECT_INVALID((PAIR(phos_pair_null(key)), pair.type = (phos_value_type)5));
    EXPECT_INVALID(
        (PAIR(phos_pair_null(key)), pair.type = (phos_value_type)-1));
#undef PAIR
}

static void a_traceparent_keeps_to_its_shape(void **state)
{
    phos_event event = minimal();
    struct phos__record_view view;
    size_t bytes;
    uint8_t *record;

    (void)state;
    event.traceparent = PHOS_STR("");
    assert_int_equal(plan_of(&event, ROOM), PHOS_E_INVALID);
    event.traceparent = phos_str_make(some_trace.data, 54);
    assert_int_equal(plan_of(&event, ROOM), PHOS_E_INVALID);
    assert_int_equal(plan_of(&event, 8), PHOS_E_INVALID);
    event.traceparent = some_trace;
    record = write_record(&event, &bytes);
    assert_true(phos__record_read(record, bytes, &view));
    ((uint8_t *)(uintptr_t)view.traceparent.data)[1] = '1';
    assert_true(phos__record_read(record, bytes, &view));
    assert_null(view.traceparent.data);
    free(record);
}

static void metadata_json_is_one_object(void **state)
{
    (void)state;
    EXPECT_OK(event.metadata_json = PHOS_STR("{}"));
    EXPECT_OK(event.metadata_json = PHOS_STR(" {\"a\": 1} "));
    EXPECT_INVALID(event.metadata_json = PHOS_STR(""));
    EXPECT_INVALID(event.metadata_json = PHOS_STR("[]"));
    EXPECT_INVALID(event.metadata_json = PHOS_STR("{},{}"));
    EXPECT_INVALID(event.metadata_json = PHOS_STR("{}]}"));
}

static void a_struct_may_be_longer_than_ours_but_not_shorter(void **state)
{
    (void)state;
    EXPECT_OK(event.struct_size += 8);
    EXPECT_INVALID(event.struct_size -= 1);
    EXPECT_INVALID(event.struct_size = 0);
}

static void a_record_may_be_as_large_as_the_limit_and_no_larger(void **state)
{
    static const char text[1000];
    phos_event event = minimal();
    struct phos__record_plan plan;

    (void)state;
    for (size_t length = 900; length < 1000; length++) {
        event.input = phos_str_make(text, length);
        assert_int_equal(phos__record_plan(&event, ROOM, &plan), PHOS_OK);
        assert_int_equal(plan.bytes, (40 + length + 1 + 7) / 8 * 8);
        assert_int_equal(plan_of(&event, plan.bytes), PHOS_OK);
        assert_int_equal(plan_of(&event, plan.bytes - 1), PHOS_E_TOO_LARGE);
    }
}

/* P7, I5: only lengths are looked at, so the memory need not exist. */
/* ---- cut ---- */

/* Characters of one to four bytes, in turn. */
static phos_str long_text(size_t bytes)
{
    static const char cycle[] = "a\xc3\xa9\xe2\x9b\xb0\xf0\x9f\x8f\x94";
    char *text = malloc(bytes + sizeof(cycle));
    size_t length = 0;

    assert_non_null(text);
    while (length < bytes) {
        memcpy(text + length, cycle, sizeof(cycle) - 1);
        length += sizeof(cycle) - 1;
    }
    return phos_str_make(text, length);
}

static void assert_whole_prefix(phos_str cut, phos_str text)
{
    const uint8_t *at = (const uint8_t *)cut.data;
    bool is_whole;

    assert_true(cut.length <= text.length);
    assert_memory_equal(cut.data, text.data, cut.length);
    for (size_t i = 0; i < cut.length;) {
        if (at[i] < 0x80) {
            i++;
            continue;
        }
        i += phos__utf8_sequence(at + i, cut.length - i, &is_whole);
        assert_true(is_whole);
    }
}

/* As a cut record of at most bytes_max; the view points into *ret_record. */
static struct phos__record_view
cut_event(const phos_event *event, size_t bytes_max, uint8_t **ret_record)
{
    struct phos__record_plan plan;
    struct phos__record_view view;

    assert_int_equal(phos__record_plan(event, bytes_max, &plan),
                     PHOS_E_TOO_LARGE);
    assert_int_equal(phos__record_plan_cut(event, bytes_max, &plan), PHOS_OK);
    assert_int_equal(plan.bytes % 8, 0);
    assert_true(plan.bytes <= bytes_max);
    *ret_record = malloc(plan.bytes);
    assert_non_null(*ret_record);
    phos__record_write(event, &plan, 0, *ret_record);
    assert_true(phos__record_read(*ret_record, plan.bytes, &view));
    return view;
}

static void what_is_cut_fits_and_ends_with_a_whole_character(void **state)
{
    const size_t slack = 7 + 7 + 8 + 3 + 3; /* padding, a mark, characters */
    phos_event event = minimal();
    phos_pair pair = phos_pair_text(PHOS_STR("key"), PHOS_STR("value"));
    phos_str text = long_text(3000);
    uint8_t *record;

    (void)state;
    event.model = PHOS_STR("m-1");
    event.event_id = &some_id;
    event.pairs = &pair;
    event.pair_count = 1;
    event.tags = some_tags;
    event.tag_count = 3;
    event.metadata_json = PHOS_STR("{\"k\": 1}");
    for (size_t bytes_max = 256; bytes_max < 2048; bytes_max++) {
        struct phos__record_view view;
        size_t empty;

        event.input = PHOS_STR("");
        event.output = PHOS_STR("");
        free(write_record(&event, &empty));
        event.input = text;
        event.output = text;
        view = cut_event(&event, bytes_max, &record);
        assert_whole_prefix(view.input, text);
        assert_whole_prefix(view.output, text);
        assert_true(view.input.length + view.output.length + empty + slack >=
                    bytes_max);
        assert_true(view.has_input_was && view.has_output_was);
        assert_int_equal(view.input_was, text.length);
        assert_int_equal(view.output_was, text.length);
        assert_text(view.model, event.model);
        assert_memory_equal(view.event_id, some_id.bytes, 16);
        assert_text(view.metadata_json, event.metadata_json);
        assert_int_equal(view.tags.length, 3 * 4 + 4);
        free(record);
    }
    free((char *)(uintptr_t)text.data);
}

static void the_longer_text_is_cut_first(void **state)
{
    phos_str text = long_text(1000), shorter = long_text(100);
    uint8_t *record;
    phos_event event = minimal();
    struct phos__record_view view;

    (void)state;
    event.input = shorter;
    event.output = text;
    view = cut_event(&event, 512, &record);
    assert_text(view.input, shorter);
    assert_false(view.has_input_was);
    assert_true(view.has_output_was);
    assert_in_range(view.output.length, 300, 512);
    free(record);

    event.input = text;
    event.output = shorter;
    view = cut_event(&event, 512, &record);
    assert_text(view.output, shorter);
    assert_true(view.has_input_was);
    assert_false(view.has_output_was);
    assert_in_range(view.input.length, 300, 512);
    free(record);
    free((char *)(uintptr_t)text.data);
    free((char *)(uintptr_t)shorter.data);
}

static void pieces_are_cut_like_a_whole(void **state)
{
    phos_str text = long_text(1000), parts[1010];
    phos_event event = minimal();
    struct phos__record_view whole, joined;
    uint8_t *record, *other;
    size_t count = 0;

    (void)state;
    event.output = text;
    whole = cut_event(&event, 512, &record);
    for (size_t i = 0; i < text.length; i++)
        parts[count++] = phos_str_make(text.data + i, 1);
    event.output = phos_str_make(NULL, 0);
    event.output_parts = parts;
    event.output_part_count = count;
    joined = cut_event(&event, 512, &other);
    assert_text(joined.output, whole.output);
    assert_int_equal(joined.output_was, text.length);
    free(record);
    free(other);
    free((char *)(uintptr_t)text.data);
}

static void what_cannot_be_cut_is_still_too_large(void **state)
{
    struct phos__record_plan plan;
    phos_event event = minimal();
    phos_str text = long_text(600);

    (void)state;
    event.model = text;
    assert_int_equal(phos__record_plan_cut(&event, 512, &plan),
                     PHOS_E_TOO_LARGE);
    event.model = phos_str_make(NULL, 0);
    event.output = text;
    assert_int_equal(phos__record_plan_cut(&event, 512, &plan), PHOS_OK);
    assert_int_equal(phos__record_plan_cut(&event, 0, &plan), PHOS_E_TOO_LARGE);
    event.metadata_json = PHOS_STR("[]"); /* now it is looked into */
    assert_int_equal(phos__record_plan_cut(&event, 512, &plan), PHOS_E_INVALID);
    free((char *)(uintptr_t)text.data);
}

static void lengths_beyond_all_measure_are_too_large(void **state)
{
    const size_t lengths[] = { UINT32_MAX, (size_t)UINT32_MAX + 1, SIZE_MAX / 2,
                               SIZE_MAX - 7, SIZE_MAX };
    phos_str tags[64];
    phos_pair pairs[64];

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        const phos_str huge = { "", lengths[i] };

        for (int j = 0; j < 64; j++) {
            tags[j] = huge;
            pairs[j] = phos_pair_text(huge, huge);
        }
        EXPECT_STATUS(event.input = huge, PHOS_E_TOO_LARGE);
        EXPECT_STATUS(event.output = huge, PHOS_E_TOO_LARGE);
        EXPECT_STATUS(event.model = huge, PHOS_E_TOO_LARGE);
        EXPECT_STATUS((event.input = huge, event.output = huge,
                       event.session_id = huge, event.user_id = huge),
                      PHOS_E_TOO_LARGE);
        EXPECT_STATUS(event.metadata_json = huge, PHOS_E_TOO_LARGE);
        EXPECT_STATUS((event.tags = tags, event.tag_count = 64),
                      PHOS_E_TOO_LARGE);
        EXPECT_STATUS((event.pairs = pairs, event.pair_count = 64),
                      PHOS_E_TOO_LARGE);
        EXPECT_INVALID((event.input = huge, event.latency_ms = -1));
    }
    phos_event event = minimal();

    event.input = phos_str_make("", UINT32_MAX);
    assert_int_equal(plan_of(&event, SIZE_MAX), PHOS_E_TOO_LARGE);
}

/* ---- hostile bytes ---- */

/* Walks everything that a reader would touch. */
static void walk(const uint8_t *record, size_t bytes)
{
    struct phos__record_view view;
    size_t cursor = 0;
    unsigned sum = 0;
    phos_str text;
    phos_pair pair;

    if (!phos__record_read(record, bytes, &view))
        return;
    const phos_str texts[] = { view.input,      view.output,
                               view.session_id, view.project_id,
                               view.model,      view.provider,
                               view.user_id,    view.metadata_json,
                               view.tags,       view.pairs };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        for (size_t j = 0; j < texts[i].length; j++)
            sum += (unsigned char)texts[i].data[j];
    while (phos__record_next_tag(view.tags, &cursor, &text))
        sum += (unsigned)text.length;
    assert_int_equal(cursor, view.tags.length);
    cursor = 0;
    while (phos__record_next_pair(view.pairs, &cursor, &pair)) {
        assert_true(isfinite(pair.number));
        assert_true(pair.key.length > 0);
        assert_true((unsigned)pair.type <= PHOS_VALUE_NULL);
    }
    assert_int_equal(cursor, view.pairs.length);
    assert_true(isfinite(view.cost_cents));
    assert_true(view.latency_ms >= 0);
    assert_true(view.timestamp_us >= 0);
    assert_true(view.timestamp_us <= PHOS__TIMESTAMP_US_MAX);
    assert_true(sum < UINT32_MAX);
}

static void damaged_records_are_never_read_past_their_end(void **state)
{
    uint64_t seed = 2;

    (void)state;
    for (int round = 0; round < 60000; round++) {
        phos_pair pairs[5];
        uint64_t fields = next_random(&seed);
        phos_event event = random_event(&seed, fields, pairs);
        size_t bytes;
        uint8_t *record = write_record(&event, &bytes);

        for (uint64_t count = 1 + next_random(&seed) % 4; count > 0; count--) {
            uint64_t random = next_random(&seed);
            /* Half of them in the head and the lengths behind it. */
            size_t at = random % 2 && bytes > 120 ? (random >> 8) % 120
                                                  : (random >> 8) % bytes;

            record[at] = random & 4 ? (uint8_t)(random >> 40)
                                    : (uint8_t)(record[at] + (random & 8) - 4);
        }
        walk(record, bytes);
        free(record);
    }
}

static void noise_and_short_records_are_no_records(void **state)
{
    static const uint8_t zeros[64];
    struct phos__record_view view;
    phos_event event = minimal();
    size_t bytes;
    uint8_t *record = write_record(&event, &bytes);

    (void)state;
    assert_false(phos__record_read(zeros, sizeof(zeros), &view));
    for (size_t cut = 0; cut < bytes; cut += 8) {
        uint8_t *part = malloc(cut + 1);

        assert_non_null(part);
        memcpy(part, record, cut);
        assert_false(phos__record_read(part, cut, &view));
        free(part);
    }
    free(record);
}

/* Each of the counts in the head, one less and one more than it is. */
static void a_record_whose_sums_disagree_is_no_record(void **state)
{
    struct phos__record_view view;
    phos_pair pair = phos_pair_integer(PHOS_STR("key"), 1);
    phos_event event = minimal();

    (void)state;
    event.tags = some_tags;
    event.tag_count = 3;
    event.pairs = &pair;
    event.pair_count = 1;
    for (size_t at = 20; at < 40; at += 4)
        for (int by = -1; by <= 1; by++) {
            size_t bytes;
            uint8_t *record = write_record(&event, &bytes);
            uint32_t count;

            memcpy(&count, record + at, sizeof(count));
            count += (uint32_t)by;
            memcpy(record + at, &count, sizeof(count));
            assert_int_equal(phos__record_read(record, bytes, &view), by == 0);
            free(record);
        }
}

/* ---- an event that changes under the call ---- */

struct scribbler {
    char text[512];
    atomic_bool is_done;
};

/* The bytes are read while they are written, on purpose; what a record must
 * not lose by that is its framing. */
__attribute__((no_sanitize("thread"))) static void *scribble(void *argument)
{
    struct scribbler *scribbler = argument;
    uint64_t seed = 3;

    while (!atomic_load_explicit(&scribbler->is_done, memory_order_relaxed))
        for (size_t i = 0; i < sizeof(scribbler->text); i++)
            ((volatile char *)scribbler->text)[i] = (char)next_random(&seed);
    return NULL;
}

static void texts_that_change_meanwhile_tear_bytes_but_no_framing(void **state)
{
    struct scribbler *scribbler = calloc(1, sizeof(*scribbler));
    phos_event event = minimal();
    phos_str tags[2];
    phos_pair pair;
    pthread_t thread;

    (void)state;
    assert_non_null(scribbler);
    event.input = phos_str_make(scribbler->text, 200);
    event.model = phos_str_make(scribbler->text + 200, 100);
    tags[0] = phos_str_make(scribbler->text + 300, 50);
    tags[1] = phos_str_make(scribbler->text + 350, 50);
    event.tags = tags;
    event.tag_count = 2;
    pair = phos_pair_text(phos_str_make(scribbler->text + 400, 50),
                          phos_str_make(scribbler->text + 450, 62));
    event.pairs = &pair;
    event.pair_count = 1;
    assert_int_equal(pthread_create(&thread, NULL, scribble, scribbler), 0);
    for (int round = 0; round < 2000; round++) {
        size_t bytes;
        uint8_t *record = write_record(&event, &bytes);
        struct phos__record_view view;

        assert_true(phos__record_read(record, bytes, &view));
        assert_int_equal(view.input.length, 200);
        assert_int_equal(view.model.length, 100);
        walk(record, bytes);
        free(record);
    }
    atomic_store(&scribbler->is_done, true);
    pthread_join(thread, NULL);
    free(scribbler);
}

/* Worse: lengths that grow after the plan. What fits is written, no more. */
static void lengths_that_change_after_the_plan_stay_inside_it(void **state)
{
    uint64_t seed = 4;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        phos_pair pairs[5];
        phos_str tags[3];
        static const char text[400];
        phos_event event = random_event(&seed, next_random(&seed), pairs);
        struct phos__record_plan plan;
        struct phos__record_view view;
        uint8_t *record;

        memcpy(tags, some_tags, sizeof(tags));
        if (event.tag_count)
            event.tags = tags;
        assert_int_equal(phos__record_plan(&event, ROOM, &plan), PHOS_OK);
        record = malloc(plan.bytes);
        assert_non_null(record);
        event.input = phos_str_make(text, next_random(&seed) % 400);
        event.output = phos_str_make(text, next_random(&seed) % 60);
        if (event.user_id.data)
            event.user_id = phos_str_make(text, next_random(&seed) % 60);
        tags[1] = phos_str_make(text, next_random(&seed) % 20);
        if (event.pair_count) {
            pairs[0].text = phos_str_make(text, next_random(&seed) % 60);
            pairs[1].type = PHOS_VALUE_NULL;
        }
        phos__record_write(&event, &plan, 0, record);
        assert_true(phos__record_read(record, plan.bytes, &view));
        walk(record, plan.bytes);
        free(record);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_set_of_fields_comes_back_as_it_was),
        cmocka_unit_test(extreme_values_come_back_as_they_were),
        cmocka_unit_test(the_same_event_gives_the_same_bytes),
        cmocka_unit_test(input_and_output_are_required),
        cmocka_unit_test(an_answer_in_pieces_is_joined),
        cmocka_unit_test(an_answer_is_given_once_and_whole),
        cmocka_unit_test(a_length_without_data_is_invalid),
        cmocka_unit_test(numbers_keep_to_their_ranges),
        cmocka_unit_test(lists_hold_at_most_64_entries_and_each_has_its_text),
        cmocka_unit_test(pairs_keep_to_their_shape),
        cmocka_unit_test(a_traceparent_keeps_to_its_shape),
        cmocka_unit_test(metadata_json_is_one_object),
        cmocka_unit_test(a_struct_may_be_longer_than_ours_but_not_shorter),
        cmocka_unit_test(a_record_may_be_as_large_as_the_limit_and_no_larger),
        cmocka_unit_test(what_is_cut_fits_and_ends_with_a_whole_character),
        cmocka_unit_test(the_longer_text_is_cut_first),
        cmocka_unit_test(pieces_are_cut_like_a_whole),
        cmocka_unit_test(what_cannot_be_cut_is_still_too_large),
        cmocka_unit_test(lengths_beyond_all_measure_are_too_large),
        cmocka_unit_test(damaged_records_are_never_read_past_their_end),
        cmocka_unit_test(noise_and_short_records_are_no_records),
        cmocka_unit_test(a_record_whose_sums_disagree_is_no_record),
        cmocka_unit_test(texts_that_change_meanwhile_tear_bytes_but_no_framing),
        cmocka_unit_test(lengths_that_change_after_the_plan_stay_inside_it),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
