#include "wire/record.h"

#include "wire/record_layout.h"
#include "wire/timestamp.h"
#include "wire/traceparent.h"

/* Bytes not taken yet; `failed` once something did not fit. */
struct source {
    const uint8_t *at;
    size_t left;
    bool failed;
};

static void take(struct source *source, void *data, size_t bytes)
{
    if (bytes > source->left) {
        source->failed = true;
        return;
    }
    memcpy(data, source->at, bytes);
    source->at += bytes;
    source->left -= bytes;
}

static phos_str take_text(struct source *source, size_t bytes)
{
    phos_str text = { (const char *)source->at, bytes };

    if (bytes > source->left) {
        source->failed = true;
        return phos_str_make(NULL, 0);
    }
    source->at += bytes;
    source->left -= bytes;
    return text;
}

static int64_t take_integer(struct source *source, uint32_t fields,
                            uint32_t field, int64_t max, bool *ret_has)
{
    int64_t value = 0;

    if (!(fields & field))
        return 0;
    take(source, &value, sizeof(value));
    source->failed |= value < 0 || value > max;
    *ret_has = true;
    return value;
}

static void take_numbers(struct source *source, uint32_t fields,
                         struct phos__record_view *view)
{
    if (fields & HAS_EVENT_ID) {
        take(source, view->event_id, ID_BYTES);
        view->has_event_id = true;
    }
    view->timestamp_us =
        take_integer(source, fields, HAS_TIMESTAMP, PHOS__TIMESTAMP_US_MAX,
                     &view->has_timestamp);
    view->latency_ms = take_integer(source, fields, HAS_LATENCY_MS, INT64_MAX,
                                    &view->has_latency_ms);
    view->token_count_input =
        take_integer(source, fields, HAS_TOKEN_COUNT_INPUT, INT64_MAX,
                     &view->has_token_count_input);
    view->token_count_output =
        take_integer(source, fields, HAS_TOKEN_COUNT_OUTPUT, INT64_MAX,
                     &view->has_token_count_output);
    if (fields & HAS_COST_CENTS) {
        take(source, &view->cost_cents, sizeof(view->cost_cents));
        source->failed |= !phos__is_number(view->cost_cents);
        view->has_cost_cents = true;
    }
    view->input_was = take_integer(source, fields, HAS_INPUT_WAS, INT64_MAX,
                                   &view->has_input_was);
    view->output_was = take_integer(source, fields, HAS_OUTPUT_WAS, INT64_MAX,
                                    &view->has_output_was);
}

static void take_texts(struct source *source, uint32_t fields,
                       struct phos__record_view *view)
{
    const struct {
        uint32_t field;
        phos_str *text;
    } texts[] = {
        { HAS_SESSION_ID, &view->session_id },
        { HAS_PROJECT_ID, &view->project_id },
        { HAS_MODEL, &view->model },
        { HAS_PROVIDER, &view->provider },
        { HAS_USER_ID, &view->user_id },
        { HAS_METADATA_JSON, &view->metadata_json },
        { HAS_TRACEPARENT, &view->traceparent },
    };
    enum { COUNT = sizeof(texts) / sizeof(texts[0]) };
    uint32_t bytes[COUNT] = { 0 };

    for (size_t i = 0; i < COUNT; i++)
        if (fields & texts[i].field)
            take(source, &bytes[i], sizeof(bytes[i]));
    view->input = take_text(source, view->input.length);
    view->output = take_text(source, view->output.length);
    for (size_t i = 0; i < COUNT; i++)
        if (fields & texts[i].field)
            *texts[i].text = take_text(source, bytes[i]);
    /* Changed by its owner while the log call copied: no reason to lose the
     * event. */
    if (!source->failed && view->traceparent.data &&
        !phos__traceparent_is_valid(view->traceparent))
        view->traceparent = phos_str_make(NULL, 0);
}

static bool lists_are_whole(const struct phos__record_view *view)
{
    size_t cursor = 0;
    phos_str tag;
    phos_pair pair;

    while (phos__record_next_tag(view->tags, &cursor, &tag))
        ;
    if (cursor != view->tags.length)
        return false;
    cursor = 0;
    while (phos__record_next_pair(view->pairs, &cursor, &pair))
        ;
    return cursor == view->pairs.length;
}

bool phos__record_read(const uint8_t *record, size_t bytes,
                       struct phos__record_view *ret_view)
{
    struct phos__record_view view;
    struct source source;
    struct phos__record_head head;

    if (bytes < sizeof(head))
        return false;
    memcpy(&head, record, sizeof(head));
    if (head.used < sizeof(head) || head.used > bytes ||
        (head.fields & ~(uint32_t)HAS_ALL))
        return false;

    memset(&view, 0, sizeof(view));
    view.time = head.time;
    view.cookie = head.cookie;
    source.at = record + sizeof(head);
    source.left = head.used - sizeof(head);
    source.failed = false;
    take_numbers(&source, head.fields, &view);
    view.input.length = head.input_bytes;
    view.output.length = head.output_bytes;
    take_texts(&source, head.fields, &view);
    view.tags = take_text(&source, head.tag_bytes);
    view.pairs = take_text(&source, head.pair_bytes);
    if (source.failed || source.left != 0 || !lists_are_whole(&view))
        return false;

    *ret_view = view;
    return true;
}

bool phos__record_next_tag(phos_str tags, size_t *cursor, phos_str *ret_tag)
{
    struct source source = { 0 };
    uint32_t bytes = 0;
    phos_str tag;

    if (*cursor >= tags.length)
        return false;
    source.at = (const uint8_t *)tags.data + *cursor;
    source.left = tags.length - *cursor;
    take(&source, &bytes, sizeof(bytes));
    tag = take_text(&source, bytes);
    if (source.failed)
        return false;
    *ret_tag = tag;
    *cursor = tags.length - source.left;
    return true;
}

bool phos__record_next_pair(phos_str pairs, size_t *cursor, phos_pair *ret_pair)
{
    struct source source = { 0 };
    phos_pair pair;
    uint32_t key_bytes = 0, type = 0, text_bytes = 0;

    if (*cursor >= pairs.length)
        return false;
    source.at = (const uint8_t *)pairs.data + *cursor;
    source.left = pairs.length - *cursor;
    memset(&pair, 0, sizeof(pair));
    take(&source, &key_bytes, sizeof(key_bytes));
    take(&source, &type, sizeof(type));
    pair.key = take_text(&source, key_bytes);
    if (type == (PHOS_VALUE_BOOLEAN | PAIR_TRUE)) {
        type = PHOS_VALUE_BOOLEAN;
        pair.boolean = true;
    }
    if (source.failed || key_bytes == 0 || type > PHOS_VALUE_NULL)
        return false;

    pair.type = (phos_value_type)type;
    if (pair.type == PHOS_VALUE_TEXT) {
        take(&source, &text_bytes, sizeof(text_bytes));
        pair.text = take_text(&source, text_bytes);
    } else if (pair.type == PHOS_VALUE_INTEGER) {
        take(&source, &pair.integer, sizeof(pair.integer));
    } else if (pair.type == PHOS_VALUE_NUMBER) {
        take(&source, &pair.number, sizeof(pair.number));
    }
    if (source.failed || !phos__is_number(pair.number))
        return false;
    *ret_pair = pair;
    *cursor = pairs.length - source.left;
    return true;
}
