#include "http.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BACKLOG = 511,
    PATH_BYTES = 64,
    BODY_BYTES_MAX = 1 << 20,
    READ_BYTES = 65536,
    WRITE_QUEUE_BYTES_MAX = 1 << 18 /* of a client that does not read */
};

struct http_connection {
    uv_tcp_t tcp; /* first: a pointer to one is a pointer to the other */
    http_parser parser;
    struct http_connection *previous, *next;
    unsigned writes; /* under way */
    bool is_in_message;
    bool must_close; /* when its writes are done */
    bool is_too_large;
    char path[PATH_BYTES];
    size_t path_length;
    char *body;
    size_t body_length, body_capacity;
    uint64_t began_ns;
};

struct answer {
    uv_write_t write; /* first, as above */
    char *body;
    char head[160];
};

static uv_tcp_t listener;
static uv_timer_t drain_timer;
static http_handler_fn *handle;
static struct http_connection *connections;
static bool is_ending;

/* ---- connections ---- */

static void free_connection(uv_handle_t *closed)
{
    struct http_connection *connection = (struct http_connection *)closed;

    free(connection->body);
    free(connection);
}

/* With the last connection goes the last that keeps the loop alive. */
static void end_if_alone(void)
{
    if (is_ending && connections == NULL &&
        !uv_is_closing((uv_handle_t *)&drain_timer))
        uv_close((uv_handle_t *)&drain_timer, NULL);
}

static void close_connection(struct http_connection *connection)
{
    if (uv_is_closing((uv_handle_t *)connection))
        return;
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    uv_close((uv_handle_t *)connection, free_connection);
    end_if_alone();
}

static void close_if_done(struct http_connection *connection)
{
    if (connection->writes == 0 &&
        (connection->must_close || (is_ending && !connection->is_in_message)))
        close_connection(connection);
}

/* ---- answers ---- */

static void lend_buffer(uv_handle_t *reader, size_t wished, uv_buf_t *buffer)
{
    static char bytes[READ_BYTES]; /* one loop, one read at a time */

    (void)reader;
    (void)wished;
    *buffer = uv_buf_init(bytes, sizeof(bytes));
}

static void on_read(uv_stream_t *stream, ssize_t length,
                    const uv_buf_t *buffer);

static void after_write(uv_write_t *write, int status)
{
    struct answer *answer = (struct answer *)write;
    struct http_connection *connection =
        (struct http_connection *)write->handle;

    free(answer->body);
    free(answer);
    connection->writes--;
    if (status < 0)
        connection->must_close = true;
    close_if_done(connection);
    if (connection->writes == 0 && !uv_is_closing((uv_handle_t *)connection))
        uv_read_start((uv_stream_t *)connection, lend_buffer, on_read);
}

static void write_answer(struct http_connection *connection,
                         struct answer *answer)
{
    uv_stream_t *stream = (uv_stream_t *)connection;
    uv_buf_t buffers[2] = {
        uv_buf_init(answer->head, (unsigned)strlen(answer->head)),
        uv_buf_init(answer->body, (unsigned)strlen(answer->body)),
    };

    connection->writes++;
    if (uv_write(&answer->write, stream, buffers, 2, after_write) != 0) {
        connection->writes--;
        free(answer->body);
        free(answer);
        close_connection(connection);
    } else if (uv_stream_get_write_queue_size(stream) > WRITE_QUEUE_BYTES_MAX) {
        uv_read_stop(stream); /* until it has read what there is */
    }
}

void http_respond(struct http_connection *connection, int status, char *body)
{
    struct answer *answer = body ? malloc(sizeof(*answer)) : NULL;
    bool keeps = answer && !is_ending && !connection->must_close &&
                 http_should_keep_alive(&connection->parser);

    connection->must_close = !keeps;
    if (answer == NULL) {
        free(body);
        close_if_done(connection);
        return;
    }
    answer->body = body;
    snprintf(answer->head, sizeof(answer->head),
             "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\nConnection: %s\r\n\r\n",
             status, http_status_str((enum http_status)status), strlen(body),
             keeps ? "keep-alive" : "close");
    write_answer(connection, answer);
}

static void refuse(struct http_connection *connection, int status,
                   const char *body)
{
    http_respond(connection, status, strdup(body));
}

/* ---- requests ---- */

static int on_message_begin(http_parser *parser)
{
    struct http_connection *connection = parser->data;

    connection->is_in_message = true;
    connection->is_too_large = false;
    connection->path_length = 0;
    connection->body_length = 0;
    connection->began_ns = uv_hrtime();
    return 0;
}

static int on_url(http_parser *parser, const char *text, size_t length)
{
    struct http_connection *connection = parser->data;
    size_t room = sizeof(connection->path) - 1 - connection->path_length;

    connection->is_too_large |= length > room;
    length = length < room ? length : room;
    memcpy(connection->path + connection->path_length, text, length);
    connection->path_length += length;
    return 0;
}

static int on_body(http_parser *parser, const char *bytes, size_t length)
{
    struct http_connection *connection = parser->data;
    size_t want = connection->body_length + length;

    connection->is_too_large |= want > BODY_BYTES_MAX;
    if (connection->is_too_large)
        return 0; /* read to its end, for only then is there an answer */
    if (want > connection->body_capacity) {
        size_t capacity = want < READ_BYTES ? READ_BYTES : 2 * want;
        char *body = realloc(connection->body, capacity);

        if (body == NULL)
            return -1;
        connection->body = body;
        connection->body_capacity = capacity;
    }
    memcpy(connection->body + connection->body_length, bytes, length);
    connection->body_length = want;
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    struct http_connection *connection = parser->data;
    struct http_message message = {
        .method = (enum http_method)parser->method,
        .path = connection->path,
        .body = connection->body_length > 0 ? connection->body : "",
        .body_length = connection->body_length,
        .began_ns = connection->began_ns,
    };

    connection->path[connection->path_length] = '\0';
    connection->is_in_message = false;
    if (connection->is_too_large)
        refuse(connection, 413, "{\"error\":{\"message\":\"too large\"}}");
    else
        handle(connection, &message);
    /* Nothing is read after a last answer. */
    if (connection->must_close)
        http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct http_connection *connection = (struct http_connection *)stream;

    if (length < 0) { /* the client has gone, or has no more to ask */
        connection->must_close = true;
        close_if_done(connection);
        return;
    }
    if (connection->must_close)
        return;
    http_parser_execute(&connection->parser, &settings, buffer->base,
                        (size_t)length);
    if (HTTP_PARSER_ERRNO(&connection->parser) != HPE_OK &&
        !connection->must_close) {
        connection->must_close = true;
        refuse(connection, 400, "{\"error\":{\"message\":\"no HTTP\"}}");
    }
}

static void on_connection(uv_stream_t *server, int status)
{
    struct http_connection *connection =
        status == 0 ? calloc(1, sizeof(*connection)) : NULL;

    if (connection == NULL)
        return;
    http_parser_init(&connection->parser, HTTP_REQUEST);
    connection->parser.data = connection;
    uv_tcp_init(server->loop, &connection->tcp);
    connection->next = connections;
    if (connections)
        connections->previous = connection;
    connections = connection;
    uv_tcp_nodelay(&connection->tcp, 1);
    if (uv_accept(server, (uv_stream_t *)connection) != 0 ||
        uv_read_start((uv_stream_t *)connection, lend_buffer, on_read) != 0)
        close_connection(connection);
}

/* ---- begin and end ---- */

int http_start(uv_loop_t *loop, int port, http_handler_fn *handler,
               int *ret_port)
{
    struct sockaddr_in address;
    int length = sizeof(address), status;

    handle = handler;
    uv_timer_init(loop, &drain_timer);
    uv_tcp_init(loop, &listener);
    uv_ip4_addr("127.0.0.1", port, &address);
    status = uv_tcp_bind(&listener, (struct sockaddr *)&address, 0);
    if (status == 0)
        status = uv_listen((uv_stream_t *)&listener, BACKLOG, on_connection);
    if (status == 0)
        status =
            uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &length);
    if (status == 0)
        *ret_port = ntohs(address.sin_port);
    return status;
}

static void on_drain_timeout(uv_timer_t *timer)
{
    (void)timer;
    while (connections)
        close_connection(connections);
}

void http_stop(unsigned drain_ms)
{
    struct http_connection *connection, *next;

    is_ending = true;
    uv_close((uv_handle_t *)&listener, NULL);
    uv_timer_start(&drain_timer, on_drain_timeout, drain_ms, 0);
    for (connection = connections; connection; connection = next) {
        next = connection->next;
        close_if_done(connection);
    }
    end_if_alone();
}
