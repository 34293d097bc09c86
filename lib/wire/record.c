#include "wire/record.h"

#include "base/saturate.h"
#include "wire/json_scan.h"
#include "wire/record_layout.h"
#include "wire/timestamp.h"
#include "wire/traceparent.h"

enum { LIST_MAX = 64, PARTS_MAX = 1048576 };

/* That of version 0.1; when the struct grows, what it was then. */
#define EVENT_BYTES_MIN sizeof(phos_event)

/* ---- plan ---- */

/*
 * Sums over an event. Which fields are there rarely changes from call to call,
 * so a branch for each is foreseen and cheap. What is wrong is gathered and
 * looked at once.
 */
struct survey {
    uint64_t text_bytes;
    uint64_t lengths; /* of all texts, or-ed: shows one that is too long */
    uint64_t lost;    /* lengths without data, or-ed */
    uint64_t signs;   /* of integers that are there, or-ed: the top bit */
    uint32_t fields;
    uint32_t fixed_bytes; /* from the record's start to its first text */
};

static inline void survey_part(struct survey *survey, uint32_t field,
                               uint32_t bytes)
{
    survey->fields |= field;
    survey->fixed_bytes += bytes;
    /* Unknown to the compiler from here on: gcc would else prepare the masks
     * of all combinations of fields beforehand, which takes twice the time. */
    __asm__("" : "+r"(survey->fields), "+r"(survey->fixed_bytes));
}

static inline void survey_text(struct survey *survey, phos_str text,
                               uint32_t field)
{
    if (text.data) {
        survey_part(survey, field, LENGTH_BYTES);
        survey->text_bytes += text.length;
        survey->lengths |= text.length;
    } else {
        survey->lost |= text.length;
    }
}

static inline void survey_integer(struct survey *survey, int64_t value,
                                  uint32_t field)
{
    if (value != PHOS_UNSET) {
        survey_part(survey, field, NUMBER_BYTES);
        survey->signs |= (uint64_t)value;
    }
}

/* What tags and pairs add. A struct of its own, so that the survey above, whose
 * address goes nowhere, can stay in registers. */
struct list_survey {
    uint64_t tag_bytes, pair_bytes;
    uint64_t lengths;
    bool is_bad;
};

static void survey_tags(struct list_survey *lists, const phos_event *event)
{
    lists->tag_bytes = event->tag_count * LENGTH_BYTES;
    for (size_t i = 0; i < event->tag_count; i++) {
        lists->is_bad |= !event->tags[i].data;
        lists->lengths |= event->tags[i].length;
        lists->tag_bytes += event->tags[i].length;
    }
}

/* A pair is its key's length, its type (and truth), the key, the value. */
static void survey_pairs(struct list_survey *lists, const phos_event *event)
{
    uint64_t bytes = event->pair_count * 2 * LENGTH_BYTES;

    for (size_t i = 0; i < event->pair_count; i++) {
        const phos_pair *pair = &event->pairs[i];

        lists->is_bad |= !pair->key.data | !pair->key.length;
        lists->lengths |= pair->key.length;
        bytes += pair->key.length;
        switch (pair->type) {
        case PHOS_VALUE_TEXT:
            lists->is_bad |= !pair->text.data;
            lists->lengths |= pair->text.length;
            bytes += LENGTH_BYTES + pair->text.length;
            break;
        case PHOS_VALUE_INTEGER:
            bytes += NUMBER_BYTES;
            break;
        case PHOS_VALUE_NUMBER:
            lists->is_bad |= !phos__is_number(pair->number);
            bytes += NUMBER_BYTES;
            break;
        case PHOS_VALUE_BOOLEAN:
        case PHOS_VALUE_NULL:
            break;
        default:
            lists->is_bad = true;
        }
    }
    lists->pair_bytes = bytes;
}

static __attribute__((noinline)) struct list_survey
survey_lists(const phos_event *event)
{
    struct list_survey lists = { 0, 0, 0, false };

    if (event->tag_count > LIST_MAX || event->pair_count > LIST_MAX ||
        (event->tag_count && !event->tags) ||
        (event->pair_count && !event->pairs)) {
        lists.is_bad = true;
        return lists;
    }
    survey_tags(&lists, event);
    survey_pairs(&lists, event);
    return lists;
}

/* An answer in pieces: sums them; false: it breaks the documented shape. */
static __attribute__((noinline)) bool survey_parts(const phos_event *event,
                                                   uint64_t *ret_bytes)
{
    uint64_t bytes = 0;
    bool is_bad = false;

    if (!event->output_parts || event->output.data || event->output.length ||
        event->output_part_count > PARTS_MAX)
        return false;
    for (size_t i = 0; i < event->output_part_count; i++) {
        phos_str part = event->output_parts[i];

        is_bad |= !part.data & (part.length != 0);
        bytes = phos__add_sat_u64(bytes, part.length);
    }
    *ret_bytes = bytes;
    return !is_bad;
}

/* The bytes of the answer; false: it is missing, or breaks its shape. */
static inline bool survey_output(const phos_event *event, uint64_t *ret_bytes)
{
    *ret_bytes = event->output.length;
    if (event->output_parts || event->output_part_count)
        return survey_parts(event, ret_bytes);
    return event->output.data;
}

phos_status phos__record_plan(const phos_event *event, size_t bytes_max,
                              struct phos__record_plan *ret_plan)
{
    struct survey survey = { .fixed_bytes = sizeof(struct phos__record_head) };
    struct list_survey lists = { 0, 0, 0, false };
    uint64_t bytes, cost, output_bytes;
    bool is_bad;

    assert(event);
    cost = phos__magnitude_bits(event->cost_cents);
    if (event->struct_size < EVENT_BYTES_MIN || !event->input.data ||
        !survey_output(event, &output_bytes))
        return PHOS_E_INVALID;

    survey.text_bytes = event->input.length + output_bytes;
    survey.lengths = event->input.length | output_bytes;
    survey_text(&survey, event->session_id, HAS_SESSION_ID);
    survey_text(&survey, event->project_id, HAS_PROJECT_ID);
    survey_text(&survey, event->model, HAS_MODEL);
    survey_text(&survey, event->provider, HAS_PROVIDER);
    survey_text(&survey, event->user_id, HAS_USER_ID);
    survey_text(&survey, event->metadata_json, HAS_METADATA_JSON);
    survey_text(&survey, event->traceparent, HAS_TRACEPARENT);

    survey_integer(&survey, event->timestamp_us, HAS_TIMESTAMP);
    survey_integer(&survey, event->latency_ms, HAS_LATENCY_MS);
    survey_integer(&survey, event->token_count_input, HAS_TOKEN_COUNT_INPUT);
    survey_integer(&survey, event->token_count_output, HAS_TOKEN_COUNT_OUTPUT);
    if (cost < DOUBLE_INFINITE)
        survey_part(&survey, HAS_COST_CENTS, NUMBER_BYTES);
    if (event->event_id)
        survey_part(&survey, HAS_EVENT_ID, ID_BYTES);
    is_bad = (survey.lost != 0) | (survey.signs >> 63 != 0) |
             (event->timestamp_us > PHOS__TIMESTAMP_US_MAX) |
             (cost == DOUBLE_INFINITE);

    if (event->traceparent.data)
        is_bad |= !phos__traceparent_is_valid(event->traceparent);
    if (event->tag_count | event->pair_count)
        lists = survey_lists(event);
    if (is_bad | lists.is_bad)
        return PHOS_E_INVALID;

    /* Up to 200 lengths below 2^32 cannot overflow 64 bits. Positions and
     * lengths inside a record are 32 bits, whatever the caller allows. */
    bytes = (survey.fixed_bytes + survey.text_bytes + lists.tag_bytes +
             lists.pair_bytes + 7) &
            ~UINT64_C(7);
    if ((survey.lengths | lists.lengths) > UINT32_MAX || bytes > bytes_max ||
        bytes > UINT32_MAX)
        return PHOS_E_TOO_LARGE;
    if ((survey.fields & HAS_METADATA_JSON) &&
        !phos__json_is_object(event->metadata_json))
        return PHOS_E_INVALID;

    ret_plan->bytes = (size_t)bytes;
    ret_plan->fields = survey.fields;
    ret_plan->fixed_bytes = survey.fixed_bytes;
    ret_plan->tag_bytes = (uint32_t)lists.tag_bytes;
    ret_plan->pair_bytes = (uint32_t)lists.pair_bytes;
    return PHOS_OK;
}

/* Shares `room` out so that the longer text is cut first; what is left of two
 * that are both cut is the same. */
static void share(uint64_t room, uint64_t input, uint64_t output,
                  struct phos__record_plan *plan)
{
    uint64_t shorter = phos__min_u64(input, output);
    uint64_t kept = phos__min_u64(shorter, room / 2);
    uint64_t rest = room - kept;

    plan->input_bytes =
        (uint32_t)(input <= output ? kept : phos__min_u64(input, rest));
    plan->output_bytes =
        (uint32_t)(input <= output ? phos__min_u64(output, rest) : kept);
}

static void add_mark(struct phos__record_plan *plan, uint32_t field)
{
    if (plan->fields & field)
        return;
    plan->fields |= field;
    plan->fixed_bytes += NUMBER_BYTES;
}

phos_status phos__record_plan_cut(const phos_event *event, size_t bytes_max,
                                  struct phos__record_plan *ret_plan)
{
    const size_t marks_max = 2 * NUMBER_BYTES;
    phos_event rest = *event;
    uint64_t output_bytes;
    phos_status status;

    if (!survey_output(event, &output_bytes))
        return PHOS_E_INVALID;
    if (bytes_max > UINT32_MAX)
        bytes_max = UINT32_MAX;
    bytes_max &= ~(size_t)7;
    if (bytes_max < marks_max)
        return PHOS_E_TOO_LARGE;
    rest.input.length = 0;
    rest.output = phos_str_make("", 0);
    rest.output_parts = NULL;
    rest.output_part_count = 0;
    status = phos__record_plan(&rest, bytes_max - marks_max, ret_plan);
    if (status)
        return status;

    share(bytes_max - marks_max - ret_plan->bytes, event->input.length,
          output_bytes, ret_plan);
    ret_plan->input_was = phos__min_u64(event->input.length, INT64_MAX);
    ret_plan->output_was = phos__min_u64(output_bytes, INT64_MAX);
    if (ret_plan->input_bytes < ret_plan->input_was)
        add_mark(ret_plan, HAS_INPUT_WAS);
    if (ret_plan->output_bytes < ret_plan->output_was)
        add_mark(ret_plan, HAS_OUTPUT_WAS);
    /* What was padding before leaves room for up to 7 bytes: enough. */
    ret_plan->bytes = bytes_max;
    return PHOS_OK;
}

phos_status phos__record_plan_edited(const phos_event *event,
                                     const struct phos__record_view *before,
                                     size_t bytes_max, bool may_cut,
                                     struct phos__record_plan *ret_plan)
{
    size_t marks =
        (size_t)(before->has_input_was + before->has_output_was) * NUMBER_BYTES;
    phos_status status = phos__record_plan(event, bytes_max - marks, ret_plan);
    bool is_cut = status == PHOS_E_TOO_LARGE && may_cut;
    uint64_t output_bytes;

    if (is_cut) /* which leaves room for both marks */
        status = phos__record_plan_cut(event, bytes_max, ret_plan);
    if (status)
        return status;
    if (!is_cut && marks && survey_output(event, &output_bytes)) {
        ret_plan->bytes += marks;
        ret_plan->input_bytes = (uint32_t)event->input.length;
        ret_plan->output_bytes = (uint32_t)output_bytes;
    }
    if (before->has_input_was) {
        add_mark(ret_plan, HAS_INPUT_WAS);
        ret_plan->input_was = (uint64_t)before->input_was;
    }
    if (before->has_output_was) {
        add_mark(ret_plan, HAS_OUTPUT_WAS);
        ret_plan->output_was = (uint64_t)before->output_was;
    }
    return PHOS_OK;
}

/* ---- write ---- */

/*
 * Room that the plan has promised. The event's lengths are read a second time
 * here; should another thread change the event meanwhile, which it must not,
 * then what does not fit is cut and the lengths written are those of the bytes
 * that are there.
 */
struct room {
    uint8_t *at;
    uint8_t *end;
};

static inline size_t room_left(const struct room *room)
{
    return (size_t)(room->end - room->at);
}

static inline void put(struct room *room, const void *data, size_t bytes)
{
    memcpy(room->at, data, bytes);
    room->at += bytes;
}

static inline void put_u32(struct room *room, uint32_t value)
{
    put(room, &value, sizeof(value));
}

/* Names and ids are short: for 8 to 32 bytes two copies that overlap cost less
 * than a call. */
static inline void copy(uint8_t *to, const char *from, size_t bytes)
{
    if (bytes - 16 <= 16) {
        memcpy(to, from, 16);
        memcpy(to + bytes - 16, from + bytes - 16, 16);
    } else if (bytes - 8 < 8) {
        memcpy(to, from, 8);
        memcpy(to + bytes - 8, from + bytes - 8, 8);
    } else {
        memcpy(to, from, bytes);
    }
}

static inline uint32_t put_text(struct room *room, phos_str text)
{
    size_t bytes =
        text.length < room_left(room) ? text.length : room_left(room);

    copy(room->at, text.data, bytes);
    room->at += bytes;
    return (uint32_t)bytes;
}

/* Writes the text, and its length at *slot, which then moves on. */
static inline void put_sized(struct room *room, phos_str text, uint8_t **slot)
{
    uint32_t bytes = put_text(room, text);

    memcpy(*slot, &bytes, sizeof(bytes));
    *slot += sizeof(bytes);
}

/* Joins an answer that came in pieces, up to the end of the room. */
static void put_parts(struct room *room, const phos_event *event)
{
    for (size_t i = 0; i < event->output_part_count; i++)
        if (event->output_parts[i].length)
            put_text(room, event->output_parts[i]);
}

/* How many of these bytes are whole characters, when the text went on behind
 * them. One that was broken before stays as it was. */
static uint32_t whole_bytes(const uint8_t *text, uint32_t bytes)
{
    for (uint32_t back = 1; back <= 3 && back <= bytes; back++) {
        uint8_t lead = text[bytes - back];
        uint32_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;

        if (lead < 0x80)
            return bytes;
        if (lead >= 0xC0)
            return length > back ? bytes - back : bytes;
    }
    return bytes;
}

/* Takes back what was written behind the last whole character. */
static uint32_t end_cut(struct room *room, uint8_t *start)
{
    uint32_t bytes = whole_bytes(start, (uint32_t)(room->at - start));

    room->at = start + bytes;
    return bytes;
}

/* Input and output of an event that is cut, or that came in pieces. */
static __attribute__((noinline)) void
put_unusual(struct room *room, const phos_event *event,
            const struct phos__record_plan *plan,
            struct phos__record_head *head)
{
    struct room part = *room;

    if (plan->fields & HAS_INPUT_WAS)
        part.end = part.at + plan->input_bytes;
    head->input_bytes = put_text(&part, event->input);
    if (plan->fields & HAS_INPUT_WAS)
        head->input_bytes = end_cut(&part, room->at);
    room->at = part.at;

    part.end = room->end;
    if (plan->fields & HAS_OUTPUT_WAS)
        part.end = part.at + plan->output_bytes;
    if (event->output_parts)
        put_parts(&part, event);
    else
        put_text(&part, event->output);
    head->output_bytes = plan->fields & HAS_OUTPUT_WAS
                             ? end_cut(&part, room->at)
                             : (uint32_t)(part.at - room->at);
    room->at = part.at;
}

static void put_tags(struct room *room, const phos_event *event)
{
    for (size_t i = 0; i < event->tag_count; i++) {
        phos_str tag = event->tags[i];

        if (room_left(room) < LENGTH_BYTES ||
            room_left(room) - LENGTH_BYTES < tag.length)
            return;
        put_u32(room, (uint32_t)tag.length);
        put_text(room, tag);
    }
}

static size_t value_bytes(const phos_pair *pair)
{
    switch (pair->type) {
    case PHOS_VALUE_TEXT:
        return LENGTH_BYTES + pair->text.length;
    case PHOS_VALUE_INTEGER:
    case PHOS_VALUE_NUMBER:
        return NUMBER_BYTES;
    case PHOS_VALUE_BOOLEAN:
    case PHOS_VALUE_NULL:
        break;
    }
    return 0;
}

static void put_pairs(struct room *room, const phos_event *event)
{
    for (size_t i = 0; i < event->pair_count; i++) {
        phos_pair pair = event->pairs[i];
        size_t left = room_left(room), value = value_bytes(&pair);

        if (left < 2 * LENGTH_BYTES + value ||
            left - 2 * LENGTH_BYTES - value < pair.key.length)
            return;
        put_u32(room, (uint32_t)pair.key.length);
        put_u32(room, pair.type == PHOS_VALUE_BOOLEAN && pair.boolean
                          ? PHOS_VALUE_BOOLEAN | PAIR_TRUE
                          : (uint32_t)pair.type);
        put_text(room, pair.key);
        if (pair.type == PHOS_VALUE_TEXT) {
            put_u32(room, (uint32_t)pair.text.length);
            put_text(room, pair.text);
        } else if (pair.type == PHOS_VALUE_INTEGER) {
            put(room, &pair.integer, sizeof(pair.integer));
        } else if (pair.type == PHOS_VALUE_NUMBER) {
            put(room, &pair.number, sizeof(pair.number));
        }
    }
}

/* Returns where the lengths of the texts go. */
static inline uint8_t *put_numbers(const phos_event *event,
                                   const struct phos__record_plan *plan,
                                   uint8_t *at)
{
    uint32_t fields = plan->fields;
    struct room room = { at, NULL };

    if (fields & HAS_EVENT_ID)
        put(&room, event->event_id->bytes, ID_BYTES);
    if (fields & HAS_TIMESTAMP)
        put(&room, &event->timestamp_us, NUMBER_BYTES);
    if (fields & HAS_LATENCY_MS)
        put(&room, &event->latency_ms, NUMBER_BYTES);
    if (fields & HAS_TOKEN_COUNT_INPUT)
        put(&room, &event->token_count_input, NUMBER_BYTES);
    if (fields & HAS_TOKEN_COUNT_OUTPUT)
        put(&room, &event->token_count_output, NUMBER_BYTES);
    if (fields & HAS_COST_CENTS)
        put(&room, &event->cost_cents, NUMBER_BYTES);
    if (fields & HAS_INPUT_WAS)
        put(&room, &plan->input_was, NUMBER_BYTES);
    if (fields & HAS_OUTPUT_WAS)
        put(&room, &plan->output_was, NUMBER_BYTES);
    return room.at;
}

void phos__record_write(const phos_event *event,
                        const struct phos__record_plan *plan, uint64_t time,
                        uint8_t *to)
{
    uint32_t fields = plan->fields;
    struct room room = { to + plan->fixed_bytes, to + plan->bytes };
    uint8_t *slot;
    struct phos__record_head *head = (struct phos__record_head *)(void *)to;
    const uint8_t *start;

    memset(room.end - 8, 0, 8); /* the padding; all else is written below */
    slot = put_numbers(event, plan, to + sizeof(*head));
    head->time = time;
    head->cookie = event->cookie;
    head->fields = fields;
    if (event->output_parts || fields & HAS_CUTS) {
        put_unusual(&room, event, plan, head);
    } else {
        head->input_bytes = put_text(&room, event->input);
        head->output_bytes = put_text(&room, event->output);
    }
    if (fields & HAS_SESSION_ID)
        put_sized(&room, event->session_id, &slot);
    if (fields & HAS_PROJECT_ID)
        put_sized(&room, event->project_id, &slot);
    if (fields & HAS_MODEL)
        put_sized(&room, event->model, &slot);
    if (fields & HAS_PROVIDER)
        put_sized(&room, event->provider, &slot);
    if (fields & HAS_USER_ID)
        put_sized(&room, event->user_id, &slot);
    if (fields & HAS_METADATA_JSON)
        put_sized(&room, event->metadata_json, &slot);
    if (fields & HAS_TRACEPARENT)
        put_sized(&room, event->traceparent, &slot);

    start = room.at;
    if (plan->tag_bytes)
        put_tags(&room, event);
    head->tag_bytes = (uint32_t)(room.at - start);
    start = room.at;
    if (plan->pair_bytes)
        put_pairs(&room, event);
    head->pair_bytes = (uint32_t)(room.at - start);
    head->used = (uint32_t)(room.at - to);
}
