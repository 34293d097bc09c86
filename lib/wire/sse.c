#include "wire/sse.h"

#include <assert.h>

enum {
    /* Line ends are looked for in pieces, so that a stream that never uses LF
     * is not searched to its end for one, line by line. */
    SEARCH_BYTES = 256,
    RETRY_DIGITS_MAX = 18 /* fit 64 bits */
};

void phos__sse_init(struct phos__sse *sse, const phos_allocator *allocator,
                    size_t line_bytes_max, size_t event_bytes_max)
{
    assert(line_bytes_max > 0);
    assert(event_bytes_max > 0);

    memset(sse, 0, sizeof(*sse));
    sse->line_bytes_max = line_bytes_max;
    sse->event_bytes_max = event_bytes_max;
    phos__buffer_init(&sse->line, allocator);
    phos__buffer_init(&sse->name, allocator);
    phos__buffer_init(&sse->data, allocator);
    phos__buffer_init(&sse->id, allocator);
}

void phos__sse_deinit(struct phos__sse *sse)
{
    phos__buffer_deinit(&sse->line);
    phos__buffer_deinit(&sse->name);
    phos__buffer_deinit(&sse->data);
    phos__buffer_deinit(&sse->id);
}

static void fail(struct phos__sse *sse, phos_status status)
{
    if (!sse->status)
        sse->status = status;
}

static void append(struct phos__sse *sse, struct phos__buffer *to,
                   phos_str text)
{
    phos__buffer_append_str(to, text);
    if (to->failed)
        fail(sse, PHOS_E_NO_MEMORY);
}

static phos_str view(const struct phos__buffer *buffer)
{
    return phos_str_make(buffer->data ? (const char *)buffer->data : "",
                         buffer->bytes);
}

static void skip(phos_str *text, size_t bytes)
{
    text->data += bytes;
    text->length -= bytes;
}

static bool begins_with(phos_str text, const char *what, size_t bytes)
{
    return text.length >= bytes && memcmp(text.data, what, bytes) == 0;
}

/* ---- lines ---- */

/* Bytes in front of the first CR or LF; all of them when there is none. */
static size_t line_length(phos_str input)
{
    for (size_t from = 0; from < input.length; from += SEARCH_BYTES) {
        const char *at = input.data + from;
        size_t left = input.length - from;
        size_t bytes = left < SEARCH_BYTES ? left : SEARCH_BYTES;
        const char *lf = memchr(at, '\n', bytes);
        const char *end = memchr(at, '\r', lf ? (size_t)(lf - at) : bytes);

        end = end ? end : lf;
        if (end)
            return (size_t)(end - input.data);
    }
    return input.length;
}

/* The next whole line, without its end; it points into the input, or into
 * sse->line if it began earlier. false: there is none, or it is too long. */
static bool take_line(struct phos__sse *sse, phos_str *input,
                      phos_str *ret_line)
{
    size_t length;
    bool is_whole;

    if (sse->is_after_cr && input->length > 0) {
        sse->is_after_cr = false;
        if (input->data[0] == '\n')
            skip(input, 1);
    }
    length = line_length(*input);
    is_whole = length < input->length;
    if (length > sse->line_bytes_max - sse->line.bytes) {
        fail(sse, PHOS_E_TOO_LARGE);
        return false;
    }
    *ret_line = phos_str_make(input->data, length);
    if (sse->line.bytes > 0 || !is_whole) {
        append(sse, &sse->line, *ret_line);
        *ret_line = view(&sse->line);
    }
    skip(input, length);
    if (is_whole) {
        sse->is_after_cr = input->data[0] == '\r';
        skip(input, 1);
    }
    return is_whole && !sse->status;
}

/* ---- fields ---- */

static void add_data(struct phos__sse *sse, phos_str value)
{
    size_t bytes = value.length + sse->has_data;

    if (bytes > sse->event_bytes_max - sse->data.bytes) {
        fail(sse, PHOS_E_TOO_LARGE);
        return;
    }
    if (sse->has_data)
        append(sse, &sse->data, PHOS_STR("\n"));
    append(sse, &sse->data, value);
    sse->has_data = true;
}

static void set_text(struct phos__sse *sse, struct phos__buffer *text,
                     phos_str value)
{
    phos__buffer_clear(text);
    append(sse, text, value);
}

static void set_retry(struct phos__sse *sse, phos_str value)
{
    uint64_t retry_ms = 0;

    if (value.length == 0 || value.length > RETRY_DIGITS_MAX)
        return;
    for (size_t i = 0; i < value.length; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return;
        retry_ms = retry_ms * 10 + (uint64_t)(value.data[i] - '0');
    }
    sse->has_retry = true;
    sse->retry_ms = retry_ms;
}

static bool is_named(phos_str field, phos_str name)
{
    return field.length == name.length &&
           memcmp(field.data, name.data, name.length) == 0;
}

static void read_field(struct phos__sse *sse, phos_str line)
{
    const char *colon = memchr(line.data, ':', line.length);
    phos_str field = line, value = phos_str_make("", 0);

    if (colon) {
        field.length = (size_t)(colon - line.data);
        value = line;
        skip(&value, field.length + 1);
        if (begins_with(value, " ", 1))
            skip(&value, 1);
    }
    if (is_named(field, PHOS_STR("data")))
        add_data(sse, value);
    else if (is_named(field, PHOS_STR("event")))
        set_text(sse, &sse->name, value);
    else if (is_named(field, PHOS_STR("id"))) {
        if (!memchr(value.data, '\0', value.length))
            set_text(sse, &sse->id, value);
    } else if (is_named(field, PHOS_STR("retry")))
        set_retry(sse, value);
    /* A field without a name is a comment; others are for later readers. */
}

/* ---- events ---- */

static void begin_event(struct phos__sse *sse)
{
    phos__buffer_clear(&sse->name);
    phos__buffer_clear(&sse->data);
    sse->has_data = false;
    sse->was_handed_out = false;
}

/* At a blank line; false: no line of the block was data. */
static bool end_event(struct phos__sse *sse, struct phos__sse_event *ret_event)
{
    if (!sse->has_data) {
        begin_event(sse);
        return false;
    }
    ret_event->name =
        sse->name.bytes > 0 ? view(&sse->name) : PHOS_STR("message");
    ret_event->data = view(&sse->data);
    ret_event->id = view(&sse->id);
    sse->was_handed_out = true;
    return true;
}

/* A line is read; true: it ended an event. */
static bool read_line(struct phos__sse *sse, phos_str line,
                      struct phos__sse_event *ret_event)
{
    bool ends_event = false;

    if (!sse->is_past_line_one && begins_with(line, "\xEF\xBB\xBF", 3))
        skip(&line, 3);
    sse->is_past_line_one = true;
    if (line.length == 0)
        ends_event = end_event(sse, ret_event);
    else
        read_field(sse, line);
    phos__buffer_clear(&sse->line);
    return ends_event;
}

enum phos__sse_step phos__sse_read(struct phos__sse *sse, phos_str *input,
                                   struct phos__sse_event *ret_event)
{
    phos_str line;

    if (sse->was_handed_out)
        begin_event(sse);
    while (!sse->status && take_line(sse, input, &line))
        if (read_line(sse, line, ret_event))
            return PHOS__SSE_EVENT;
    return sse->status ? PHOS__SSE_FAILED : PHOS__SSE_MORE;
}

enum phos__sse_step phos__sse_finish(struct phos__sse *sse,
                                     struct phos__sse_event *ret_event)
{
    if (sse->was_handed_out)
        begin_event(sse);
    if (!sse->status && sse->line.bytes > 0)
        read_line(sse, view(&sse->line), ret_event);
    if (sse->status)
        return PHOS__SSE_FAILED;
    return end_event(sse, ret_event) ? PHOS__SSE_EVENT : PHOS__SSE_MORE;
}
