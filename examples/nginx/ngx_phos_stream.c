#include "ngx_phos_stream.h"

#include <string.h>

enum state {
    LINE_START,
    NAME,  /* so far it is that of a data field */
    SPACE, /* one may stand behind the colon */
    DATA,
    REST /* of a line that is no data */
};

static const char DATA_NAME[] = "data:", DONE_TEXT[] = "[DONE]";
enum {
    DATA_LENGTH = sizeof(DATA_NAME) - 1,
    DONE_LENGTH = sizeof(DONE_TEXT) - 1
};

static void end_event(struct ngx_phos_stream *stream,
                      struct ngx_phos_chat *chat)
{
    if (ngx_phos_chat_is_broken(chat) && stream->done_matched != DONE_LENGTH)
        stream->broken++;
    stream->done_matched = 0;
    ngx_phos_chat_next(chat);
}

static void begin_data(struct ngx_phos_stream *stream,
                       struct ngx_phos_chat *chat)
{
    /* Some servers leave out the empty line between events. */
    if (ngx_phos_chat_is_whole(chat) || ngx_phos_chat_is_broken(chat))
        end_event(stream, chat);
    stream->state = DATA;
}

static void match_done(struct ngx_phos_stream *stream, const char *data,
                       size_t length)
{
    for (size_t i = 0; i < length && stream->done_matched < DONE_LENGTH; i++) {
        if (data[i] != DONE_TEXT[stream->done_matched])
            return;
        stream->done_matched++;
    }
}

static void end_line(struct ngx_phos_stream *stream, struct ngx_phos_chat *chat)
{
    if (stream->state == LINE_START)
        end_event(stream, chat);
    else if (stream->state == DATA)
        ngx_phos_chat_feed(chat, "\n", 1);
    stream->state = LINE_START;
    stream->matched = 0;
}

static const char *line_end(const char *at, const char *end)
{
    while (at < end && *at != '\n' && *at != '\r')
        at++;
    return at;
}

/* A byte that ends no line. */
static const char *read_line(struct ngx_phos_stream *stream,
                             struct ngx_phos_chat *chat, const char *at,
                             const char *end)
{
    const char *stop;

    switch (stream->state) {
    case LINE_START:
    case NAME:
        if (*at != DATA_NAME[stream->matched]) {
            stream->state = REST;
            return at + 1;
        }
        stream->state = ++stream->matched == DATA_LENGTH ? SPACE : NAME;
        return at + 1;
    case SPACE:
        begin_data(stream, chat);
        return *at == ' ' ? at + 1 : at;
    case DATA:
        stop = line_end(at, end);
        match_done(stream, at, (size_t)(stop - at));
        ngx_phos_chat_feed(chat, at, (size_t)(stop - at));
        return stop;
    default:
        return line_end(at, end);
    }
}

void ngx_phos_stream_feed(struct ngx_phos_stream *stream,
                          struct ngx_phos_chat *chat, const char *data,
                          size_t length)
{
    const char *at = data, *end = data + length;

    while (at < end) {
        bool ends_line = *at == '\n' || *at == '\r';
        bool belongs_to_return = *at == '\n' && stream->after_return;

        stream->after_return = *at == '\r';
        if (!ends_line) {
            at = read_line(stream, chat, at, end);
            continue;
        }
        if (!belongs_to_return)
            end_line(stream, chat);
        at++;
    }
}
