#include "client/stream.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/error.h"
#include "wire/sse.h"

enum { QUEUE_EVENTS_MAX = 65536 };

/* An event, copied: three texts, one behind the other. */
struct queued {
    struct phos__buffer text;
    size_t name_bytes, data_bytes;
};

struct phos_stream {
    phos_allocator allocator;
    struct phos_call *call;
    phos_stream_fn *on_event;
    void *user_data;
    bool keeps_last;

    /* the worker's */
    struct phos__sse sse;
    bool has_begun;               /* the answer was looked at */
    bool has_event;               /* one that is not taken yet: */
    struct phos__sse_event event; /* lies in sse */
    bool has_finished;            /* sse was told of the end */
    size_t taken_bytes; /* of the pieces that come again after a pause */

    /* under the call's lock; a ring of queue_max */
    struct queued *queue;
    uint32_t queue_max, queue_first, queue_count;
    bool is_held_back;

    struct queued shown; /* by phos_stream_next(): the owner's */
};

/* ---- life ---- */

static void destroy(struct phos_stream *stream)
{
    phos_allocator allocator = stream->allocator;

    for (uint32_t i = 0; stream->queue && i < stream->queue_max; i++)
        phos__buffer_deinit(&stream->queue[i].text);
    phos__free(&allocator, stream->queue);
    phos__buffer_deinit(&stream->shown.text);
    phos__sse_deinit(&stream->sse);
    phos__free(&allocator, stream);
}

static struct phos_stream *create(const phos_allocator *allocator,
                                  const phos_stream_options *options)
{
    struct phos_stream *stream =
        phos__alloc_zeroed(allocator, 1, sizeof(*stream));

    if (!stream)
        return NULL;
    stream->allocator = *allocator;
    stream->on_event = options->on_event;
    stream->user_data = options->user_data;
    stream->keeps_last = options->keeps_last;
    /* A line holds a field's name and a blank besides. */
    phos__sse_init(&stream->sse, allocator,
                   (size_t)options->event_bytes_max + 64,
                   options->event_bytes_max);
    phos__buffer_init(&stream->shown.text, allocator);
    if (options->on_event)
        return stream;
    stream->queue_max = options->queue_events;
    stream->queue = phos__alloc_zeroed(allocator, stream->queue_max,
                                       sizeof(*stream->queue));
    if (!stream->queue) {
        destroy(stream);
        return NULL;
    }
    for (uint32_t i = 0; i < stream->queue_max; i++)
        phos__buffer_init(&stream->queue[i].text, allocator);
    return stream;
}

/* ---- handing events on: the worker's thread ---- */

static void fail(struct phos_stream *stream, phos_status status,
                 const char *words)
{
    phos__error_set(&stream->call->stream_error, status, PHOS_ORIGIN_PHOS,
                    status, "%s", words);
}

static void fail_of_sse(struct phos_stream *stream)
{
    fail(stream, stream->sse.status,
         "an event of the stream exceeds event_bytes_max, or memory");
}

static bool copy(struct queued *slot, const struct phos__sse_event *event)
{
    phos__buffer_clear(&slot->text);
    phos__buffer_append_str(&slot->text, event->name);
    phos__buffer_append_str(&slot->text, event->data);
    phos__buffer_append_str(&slot->text, event->id);
    slot->name_bytes = event->name.length;
    slot->data_bytes = event->data.length;
    return !slot->text.failed;
}

static phos_flow put_in_queue(struct phos_stream *stream)
{
    struct phos_call *call = stream->call;
    phos_flow flow = PHOS_FLOW_PAUSE;

    pthread_mutex_lock(&call->lock);
    if (stream->queue_count == stream->queue_max) {
        stream->is_held_back = true;
    } else {
        uint32_t at =
            (stream->queue_first + stream->queue_count) % stream->queue_max;

        flow = copy(&stream->queue[at], &stream->event) ? PHOS_FLOW_ON
                                                        : PHOS_FLOW_STOP;
        stream->queue_count += flow == PHOS_FLOW_ON;
        pthread_cond_broadcast(&call->changed);
    }
    pthread_mutex_unlock(&call->lock);
    if (flow == PHOS_FLOW_STOP)
        fail(stream, PHOS_E_NO_MEMORY, "no memory for an event");
    return flow;
}

static phos_flow hand_on(struct phos_stream *stream)
{
    const struct phos__sse_event *event = &stream->event;
    const phos_stream_event shown = { event->name, event->data, event->id };

    return stream->on_event ? stream->on_event(&shown, stream->user_data)
                            : put_in_queue(stream);
}

/* Hands on what is complete, until the input is read or somebody wants
 * otherwise. */
static phos_flow read_events(struct phos_stream *stream, phos_str *input)
{
    for (;;) {
        if (stream->has_event) {
            phos_flow flow = hand_on(stream);

            if (flow != PHOS_FLOW_ON)
                return flow;
            stream->has_event = false;
        }
        switch (phos__sse_read(&stream->sse, input, &stream->event)) {
        case PHOS__SSE_EVENT:
            stream->has_event = true;
            break;
        case PHOS__SSE_MORE:
            return PHOS_FLOW_ON;
        case PHOS__SSE_FAILED:
            fail_of_sse(stream);
            return PHOS_FLOW_STOP;
        }
    }
}

static bool is_event_stream(const phos_reply *head)
{
    static const phos_str name = { "Content-Type", 12 };
    static const phos_str type = { "text/event-stream", 17 };

    for (size_t i = 0; i < head->header_count; i++) {
        const phos_header *header = &head->headers[i];

        if (header->name.length == name.length &&
            strncasecmp(header->name.data, name.data, name.length) == 0)
            return header->value.length >= type.length &&
                   strncasecmp(header->value.data, type.data, type.length) == 0;
    }
    return false;
}

/*
 * A piece that was paused at comes again whole, or cut in another way: what was
 * taken of it is passed over.
 */
static phos_flow take(struct phos_stream *stream, const phos_reply *head,
                      phos_str piece)
{
    size_t known =
        stream->taken_bytes < piece.length ? stream->taken_bytes : piece.length;
    phos_str input = phos_str_make(piece.data + known, piece.length - known);
    phos_flow flow;

    if (!stream->has_begun && !is_event_stream(head)) {
        fail(stream, PHOS_E_PROTOCOL,
             "the answer is no event stream (Content-Type)");
        return PHOS_FLOW_STOP;
    }
    stream->has_begun = true;
    stream->taken_bytes -= known;
    flow = read_events(stream, &input);
    if (flow == PHOS_FLOW_PAUSE)
        stream->taken_bytes += piece.length - input.length;
    return flow;
}

static bool end(struct phos_stream *stream)
{
    if (!stream->has_finished && stream->keeps_last) {
        enum phos__sse_step step =
            phos__sse_finish(&stream->sse, &stream->event);

        if (step == PHOS__SSE_FAILED)
            fail_of_sse(stream);
        stream->has_event = step == PHOS__SSE_EVENT;
        stream->has_finished = true;
    }
    if (!stream->has_event)
        return true;
    return hand_on(stream) != PHOS_FLOW_PAUSE;
}

static const struct phos__call_taker taker = { take, end, destroy };

phos_status phos__stream_create(const struct phos__call_ground *ground,
                                phos_str method, phos_str path, phos_str body,
                                const phos_stream_options *options,
                                struct phos_stream **ret_stream)
{
    static const phos_header accept = { { "Accept", 6 },
                                        { "text/event-stream", 17 } };
    phos_header headers[PHOS__CALL_HEADERS_MAX];
    phos_call_options call_options = phos_call_options_default();
    struct phos_stream *stream;
    phos_status status;

    if (options->event_bytes_max == 0 || options->queue_events == 0 ||
        options->queue_events > QUEUE_EVENTS_MAX ||
        options->header_count >= PHOS__CALL_HEADERS_MAX ||
        (options->header_count > 0 && !options->headers))
        return PHOS_E_INVALID;
    for (size_t i = 0; i < options->header_count; i++)
        headers[i] = options->headers[i];
    headers[options->header_count] = accept;
    call_options.headers = headers;
    call_options.header_count = options->header_count + 1;
    call_options.retry = options->retry;
    call_options.is_safe = options->is_safe;
    call_options.on_done = options->on_done;
    call_options.user_data = options->user_data;
    stream = create(&ground->allocator, options);
    if (!stream)
        return PHOS_E_NO_MEMORY;
    status = phos__call_create(ground, method, path, body, &call_options,
                               &stream->call);
    if (status) {
        destroy(stream);
        return status;
    }
    stream->call->taker = &taker;
    stream->call->stream = stream;
    stream->call->timeout_ms = options->timeout_ms;
    stream->call->idle_timeout_ms = options->idle_timeout_ms;
    *ret_stream = stream;
    return PHOS_OK;
}

struct phos_call *phos__stream_call(struct phos_stream *stream)
{
    return stream->call;
}

/* ---- any thread ---- */

/* Under the lock. Returns whether the service may go on: not before half of the
 * queue is free, so that it does not stop and go at every event. */
static bool take_from_queue(struct phos_stream *stream)
{
    struct queued taken = stream->queue[stream->queue_first];
    bool goes_on;

    stream->queue[stream->queue_first] = stream->shown;
    stream->shown = taken;
    stream->queue_first = (stream->queue_first + 1) % stream->queue_max;
    stream->queue_count--;
    goes_on =
        stream->is_held_back && stream->queue_count <= stream->queue_max / 2;
    if (goes_on)
        stream->is_held_back = false;
    return goes_on;
}

static phos_status wait_for_event(struct phos_stream *stream,
                                  uint32_t timeout_ms)
{
    struct timespec deadline = phos__call_deadline(timeout_ms);
    struct phos_call *call = stream->call;

    if (stream->queue_count == 0 && phos__call_would_deadlock(call))
        return PHOS_E_WOULD_DEADLOCK;
    while (stream->queue_count == 0 && !call->is_done)
        if (pthread_cond_timedwait(&call->changed, &call->lock, &deadline))
            break;
    if (stream->queue_count > 0)
        return PHOS_OK;
    return call->is_done ? PHOS_ENDED : PHOS_E_TIMEOUT;
}

phos_status phos_stream_next(phos_stream *stream, uint32_t timeout_ms,
                             phos_stream_event *ret_event)
{
    struct phos_call *call;
    const struct queued *shown;
    phos_status status;
    bool goes_on = false;

    if (!stream || !ret_event || stream->on_event)
        return PHOS_E_INVALID;
    call = stream->call;
    if (phos__call_is_foreign(call))
        return PHOS_E_FORKED;
    pthread_mutex_lock(&call->lock);
    status = wait_for_event(stream, timeout_ms);
    if (!status)
        goes_on = take_from_queue(stream);
    pthread_mutex_unlock(&call->lock);
    if (goes_on)
        phos__call_resume(call);
    if (status)
        return status;
    shown = &stream->shown;
    ret_event->name =
        phos_str_make((const char *)shown->text.data, shown->name_bytes);
    ret_event->data = phos_str_make(ret_event->name.data + shown->name_bytes,
                                    shown->data_bytes);
    ret_event->id = phos_str_make(ret_event->data.data + shown->data_bytes,
                                  shown->text.bytes - shown->name_bytes -
                                      shown->data_bytes);
    return PHOS_OK;
}

void phos_stream_resume(phos_stream *stream)
{
    if (stream)
        phos__call_resume(stream->call);
}

phos_status phos_stream_wait(phos_stream *stream, uint32_t timeout_ms,
                             const phos_result **ret_result)
{
    return phos_call_wait(stream ? stream->call : NULL, timeout_ms, ret_result);
}

void phos_stream_cancel(phos_stream *stream)
{
    if (stream)
        phos_call_cancel(stream->call);
}

void phos_stream_free(phos_stream *stream)
{
    if (!stream)
        return;
    phos_call_cancel(stream->call);
    phos_call_free(stream->call); /* the stream goes with it */
}
