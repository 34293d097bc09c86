#include "io/http_internal.h"

#include <string.h>

#include "base/alloc.h"

/* Returned to curl in place of the size: ends the transfer. */
enum { STOP = 0 };

/* The status of a status line; 0: that is not one. */
static int status_of_line(const char *line, size_t bytes)
{
    const char *space = memchr(line, ' ', bytes);
    const char *end = line + bytes;
    int status = 0, digits = 0;

    if (bytes < 5 || memcmp(line, "HTTP/", 5) != 0 || !space)
        return 0;
    for (const char *c = space + 1; c < end && *c >= '0' && *c <= '9'; c++) {
        status = status * 10 + (*c - '0');
        if (++digits > 3)
            return 0;
    }
    return digits == 3 && status >= 100 ? status : 0;
}

/* 1xx are interim; but for 101, after which HTTP is over. */
static bool is_final(int status)
{
    return status >= 200 || status == 101;
}

static bool ends_head(const char *line, size_t bytes)
{
    return (bytes == 2 && line[0] == '\r' && line[1] == '\n') ||
           (bytes == 1 && line[0] == '\n');
}

size_t phos__http_on_head(char *data, size_t one, size_t bytes, void *user_data)
{
    struct phos__http_exchange *exchange = user_data;

    (void)one;
    exchange->head_bytes += bytes;
    if (exchange->head_bytes > PHOS__HTTP_HEAD_BYTES_MAX) {
        exchange->head_is_too_large = true;
        return STOP;
    }
    if (exchange->is_answered)
        return bytes; /* trailers */
    if (bytes >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        exchange->http_status = status_of_line(data, bytes);
        phos__buffer_clear(&exchange->head);
        return exchange->http_status ? bytes : STOP;
    }
    if (ends_head(data, bytes)) {
        exchange->is_answered = is_final(exchange->http_status);
        return bytes;
    }
    phos__buffer_append(&exchange->head, data, bytes);
    if (exchange->head.failed) {
        exchange->is_out_of_memory = true;
        return STOP;
    }
    return bytes;
}

static size_t keep_body(struct phos__http_exchange *exchange, const char *data,
                        size_t bytes)
{
    struct phos__buffer *body = &exchange->reply_body;
    size_t room = exchange->request.reply_bytes_max - body->bytes;
    size_t kept = bytes < room ? bytes : room;

    phos__buffer_append(body, data, kept);
    if (kept < bytes || body->failed) {
        exchange->is_out_of_memory = body->failed;
        exchange->body_is_cut = true;
        return STOP;
    }
    return bytes;
}

static size_t hand_on_body(struct phos__http_exchange *exchange,
                           const char *data, size_t bytes)
{
    phos_reply *head = &exchange->streamed_head;

    if (head->struct_size == 0) {
        head->struct_size = sizeof(*head);
        head->http_status = exchange->http_status;
        head->header_count = phos__http_split_head(exchange);
        head->headers = exchange->reply_headers;
        if (exchange->is_out_of_memory) {
            exchange->body_is_cut = true;
            return STOP; /* half a head would be taken for another */
        }
    }
    /* What a piece leads to is for the turn that follows it. */
    phos__loop_touch(exchange->http->loop);
    switch (exchange->request.on_body(head, phos_str_make(data, bytes),
                                      exchange->reply_data)) {
    case PHOS_FLOW_ON:
        return bytes;
    case PHOS_FLOW_PAUSE:
        return CURL_WRITEFUNC_PAUSE;
    case PHOS_FLOW_STOP:
        break;
    }
    exchange->body_is_cut = true;
    return STOP;
}

size_t phos__http_on_body(char *data, size_t one, size_t bytes, void *user_data)
{
    struct phos__http_exchange *exchange = user_data;
    bool is_success =
        exchange->http_status >= 200 && exchange->http_status < 300;

    (void)one;
    if (exchange->request.on_body && is_success)
        return hand_on_body(exchange, data, bytes);
    return keep_body(exchange, data, bytes);
}

static phos_str trimmed(const char *from, const char *end)
{
    while (from < end && (*from == ' ' || *from == '\t'))
        from++;
    while (from < end && strchr(" \t\r\n", end[-1]) != NULL)
        end--;
    return phos_str_make(from, (size_t)(end - from));
}

static bool make_room(struct phos__http_exchange *exchange, size_t count)
{
    const phos_allocator *allocator = &exchange->http->allocator;
    size_t capacity = exchange->reply_header_capacity;
    phos_header *grown;

    if (count <= capacity)
        return true;
    capacity = count < 32 ? 32 : 2 * count;
    grown = phos__realloc(allocator, exchange->reply_headers,
                          capacity * sizeof(*grown));
    if (!grown)
        return false;
    exchange->reply_headers = grown;
    exchange->reply_header_capacity = capacity;
    return true;
}

size_t phos__http_split_head(struct phos__http_exchange *exchange)
{
    const char *line = (const char *)exchange->head.data;
    const char *end = line ? line + exchange->head.bytes : NULL;
    size_t count = 0;

    while (line != end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *next = newline ? newline + 1 : end;
        const char *colon = memchr(line, ':', (size_t)(next - line));

        /* A line without a name, or one that continues the line before it in
         * the way that RFC 9112 has taken back, is passed over. */
        if (colon && *line != ' ' && *line != '\t') {
            if (!make_room(exchange, count + 1)) {
                exchange->is_out_of_memory = true;
                break;
            }
            exchange->reply_headers[count].name = trimmed(line, colon);
            exchange->reply_headers[count].value = trimmed(colon + 1, next);
            count++;
        }
        line = next;
    }
    return count;
}
