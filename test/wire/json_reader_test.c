#include "json_world.h"

#include <jansson.h>
#include <math.h>

struct random_event {
    phos_event event;
    phos_str tags[4];
    phos_pair pairs[6];
    char texts[24][40];
    char keys[6][8];
    unsigned text_count;
};

/* Whole characters of one to four bytes, NUL among them. */
static phos_str random_text(struct random_event *random, uint64_t *seed)
{
    static const phos_str pieces[] = {
        { "a", 1 },
        { "\"", 1 },
        { "\\", 1 },
        { "\0", 1 },
        { "\n", 1 },
        { "\x7f", 1 },
        { "\xc3\xa9", 2 },
        { "\xe2\x80\xa8", 3 },
        { "\xe4\xb8\xad", 3 },
        { "\xef\xbf\xbf", 3 },
        { "\xf0\x9f\x98\x80", 4 },
        { "</script>", 9 },
    };
    char *text = random->texts[random->text_count++];
    size_t length = 0;

    for (uint64_t count = next_random(seed) % 5; count > 0; count--) {
        phos_str piece =
            pieces[next_random(seed) % (sizeof(pieces) / sizeof(pieces[0]))];

        if (length + piece.length > sizeof(random->texts[0]))
            break;
        memcpy(text + length, piece.data, piece.length);
        length += piece.length;
    }
    return phos_str_make(text, length);
}

static double random_finite(uint64_t *seed)
{
    double value;

    do {
        uint64_t bits = next_random(seed);

        memcpy(&value, &bits, sizeof(value));
    } while (!isfinite(value));
    return value;
}

static void fill_random_pairs(struct random_event *random, uint64_t *seed)
{
    for (unsigned i = 0; i < random->event.pair_count; i++) {
        phos_str key = phos_str_make(random->keys[i], 2);

        random->keys[i][0] = 'k';
        random->keys[i][1] = (char)('0' + i);
        switch (next_random(seed) % 5) {
        case 0:
            random->pairs[i] = phos_pair_text(key, random_text(random, seed));
            break;
        case 1:
            random->pairs[i] =
                phos_pair_integer(key, (int64_t)next_random(seed));
            break;
        case 2:
            random->pairs[i] = phos_pair_number(key, random_finite(seed));
            break;
        case 3:
            random->pairs[i] = phos_pair_boolean(key, next_random(seed) % 2);
            break;
        default:
            random->pairs[i] = phos_pair_null(key);
        }
    }
}

static void fill_random(struct random_event *random, uint64_t *seed)
{
    phos_event *event = &random->event;
    uint64_t fields = next_random(seed);

    memset(random, 0, sizeof(*random));
    *event = phos_event_default();
    event->input = random_text(random, seed);
    event->output = random_text(random, seed);
    if (fields & 1)
        event->session_id = random_text(random, seed);
    if (fields & 2)
        event->project_id = random_text(random, seed);
    if (fields & 4)
        event->model = random_text(random, seed);
    if (fields & 8)
        event->provider = random_text(random, seed);
    if (fields & 16)
        event->user_id = random_text(random, seed);
    if (fields & 32)
        event->latency_ms = (int64_t)(next_random(seed) >> 1);
    if (fields & 64)
        event->token_count_input = (int64_t)(next_random(seed) % 2);
    if (fields & 128)
        event->token_count_output = INT64_MAX;
    if (fields & 256)
        event->cost_cents = random_finite(seed);
    if (fields & 512)
        event->metadata_json = PHOS_STR(
            "{\"raw\":{\"deep\":[null,-1.5,\"\\u00e9\"]},\"k0\":\"lost?\"}");
    event->tags = random->tags;
    event->tag_count = fields & 1024 ? next_random(seed) % 4 : 0;
    for (size_t i = 0; i < event->tag_count; i++)
        random->tags[i] = random_text(random, seed);
    event->pairs = random->pairs;
    event->pair_count = fields & 2048 ? next_random(seed) % 7 : 0;
    fill_random_pairs(random, seed);
}

static void assert_text_member(json_t *object, const char *key, phos_str want)
{
    json_t *value = json_object_get(object, key);

    if (!want.data) {
        assert_null(value);
        return;
    }
    assert_true(json_is_string(value));
    assert_text(
        phos_str_make(json_string_value(value), json_string_length(value)),
        want);
}

static void assert_integer_member(json_t *object, const char *key, int64_t want)
{
    json_t *value = json_object_get(object, key);

    if (want == PHOS_UNSET) {
        assert_null(value);
        return;
    }
    assert_true(json_is_integer(value));
    assert_true(json_integer_value(value) == want);
}

static void assert_number_member(json_t *object, const char *key, double want)
{
    json_t *value = json_object_get(object, key);

    if (isnan(want)) {
        assert_null(value);
        return;
    }
    assert_true(json_is_number(value));
    assert_true(json_number_value(value) == want);
}

static void assert_pair_member(json_t *metadata, const phos_pair *pair)
{
    char key[3] = { pair->key.data[0], pair->key.data[1], '\0' };
    json_t *value = json_object_get(metadata, key);

    assert_non_null(value);
    switch (pair->type) {
    case PHOS_VALUE_TEXT:
        assert_text_member(metadata, key, pair->text);
        break;
    case PHOS_VALUE_INTEGER:
        assert_integer_member(metadata, key, pair->integer);
        break;
    case PHOS_VALUE_NUMBER:
        assert_number_member(metadata, key, pair->number);
        break;
    case PHOS_VALUE_BOOLEAN:
        assert_true(json_is_boolean(value));
        assert_int_equal(json_is_true(value), pair->boolean);
        break;
    case PHOS_VALUE_NULL:
        assert_true(json_is_null(value));
        break;
    }
}

static void assert_reads_as(json_t *json, const phos_event *event)
{
    json_t *metadata = json_object_get(json, "metadata");
    json_t *tags = json_object_get(metadata, "tags");
    size_t members;

    assert_text_member(json, "event_id",
                       PHOS_STR("6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10"));
    assert_text_member(json, "input", event->input);
    assert_text_member(json, "output", event->output);
    assert_text_member(json, "session_id", event->session_id);
    assert_text_member(json, "project_id", event->project_id);
    assert_text_member(metadata, "model", event->model);
    assert_text_member(metadata, "provider", event->provider);
    assert_text_member(metadata, "user_id", event->user_id);
    assert_integer_member(metadata, "latency_ms", event->latency_ms);
    assert_integer_member(metadata, "token_count_input",
                          event->token_count_input);
    assert_integer_member(metadata, "token_count_output",
                          event->token_count_output);
    assert_number_member(metadata, "cost_cents", event->cost_cents);
    assert_int_equal(json_array_size(tags), event->tag_count);
    for (size_t i = 0; i < event->tag_count; i++) {
        json_t *tag = json_array_get(tags, i);

        assert_text(
            phos_str_make(json_string_value(tag), json_string_length(tag)),
            event->tags[i]);
    }
    for (size_t i = 0; i < event->pair_count; i++)
        assert_pair_member(metadata, &event->pairs[i]);

    members = event->pair_count;
    members += event->model.data != NULL;
    members += event->provider.data != NULL;
    members += event->user_id.data != NULL;
    members += event->latency_ms != PHOS_UNSET;
    members += event->token_count_input != PHOS_UNSET;
    members += event->token_count_output != PHOS_UNSET;
    members += isnan(event->cost_cents) == 0;
    members += event->tag_count > 0;
    if (event->metadata_json.data) {
        json_t *raw = json_loadb(event->metadata_json.data,
                                 event->metadata_json.length, 0, NULL);

        assert_true(json_equal(json_object_get(metadata, "raw"),
                               json_object_get(raw, "raw")));
        json_decref(raw);
        members += event->pair_count > 0 ? 1 : 2; /* k0 is a pair's */
    }
    assert_int_equal(json_object_size(metadata), members);
    assert_int_equal(metadata != NULL, members > 0);
}

static void random_events_arrive_as_they_were_logged(void **state)
{
    struct world *world = *state;
    uint64_t seed = 1;

    for (int round = 0; round < 20000; round++) {
        struct random_event random;
        json_error_t error;
        json_t *json;

        fill_random(&random, &seed);
        make_record(world, &random.event);
        phos__buffer_clear(&world->json);
        phos__json_event(&world->json, &world->view, id_bytes, LOGGED_US,
                         phos_str_make(NULL, 0));
        assert_true(phos__json_is_object(buffer_text(&world->json)));
        json = json_loadb((const char *)world->json.data, world->json.bytes,
                          JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
        if (!json)
            fail_msg("%s: %.*s", error.text, (int)world->json.bytes,
                     (const char *)world->json.data);
        assert_reads_as(json, &random.event);
        json_decref(json);
    }
}

/* I6: whatever stands in the texts, the body has as many events as were put
 * in. */
static void hostile_texts_never_change_the_number_of_events(void **state)
{
    struct world *world = *state;
    uint64_t seed = 2;

    for (int round = 0; round < 20000; round++) {
        static const char alphabet[] = "\"\\{}[],:u\n\xe2\x80\xa8\xed\xff";
        char text[48];
        phos_event event = minimal();
        phos_pair pair;
        json_t *json;

        for (size_t i = 0; i < sizeof(text); i++)
            text[i] = alphabet[next_random(&seed) % sizeof(alphabet)];
        event.input = phos_str_make(text, next_random(&seed) % 17);
        event.model = phos_str_make(text + 16, next_random(&seed) % 17);
        pair = phos_pair_text(
            PHOS_STR("k"), phos_str_make(text + 32, next_random(&seed) % 17));
        event.pairs = &pair;
        event.pair_count = 1;
        make_record(world, &event);
        phos__buffer_clear(&world->json);
        phos__batch_begin(&world->json);
        for (uint32_t i = 0; i < 2; i++) {
            phos__batch_next(&world->json, i);
            phos__json_event(&world->json, &world->view, id_bytes, LOGGED_US,
                             phos_str_make(NULL, 0));
        }
        phos__batch_end(&world->json);
        json = json_loadb((const char *)world->json.data, world->json.bytes,
                          JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        assert_non_null(json);
        assert_int_equal(json_object_size(json), 1);
        assert_int_equal(json_array_size(json_object_get(json, "events")), 2);
        json_decref(json);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(random_events_arrive_as_they_were_logged),
        TEST(hostile_texts_never_change_the_number_of_events),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
