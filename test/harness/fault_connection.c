#define _GNU_SOURCE

#include "harness/fault_internal.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#if HARNESS_HAVE_ZLIB
#include <zlib.h>
#endif

enum { HEAD_BYTES_MAX = 262144, BODY_BYTES_MAX = 64 << 20 };

/* ---- reading ---- */

static bool wait_readable(struct fault_connection *connection)
{
    struct pollfd fds[] = {
        { .fd = connection->server->stop_fd, .events = POLLIN },
        { .fd = connection->fd, .events = POLLIN },
    };

    while (poll(fds, 2, -1) < 0)
        ;
    return !(fds[0].revents & POLLIN);
}

static bool make_room(struct fault_connection *connection, size_t more)
{
    size_t need = connection->in_bytes + more;
    char *grown;

    if (need <= connection->in_capacity)
        return true;
    grown = realloc(connection->in, 2 * need);
    if (!grown)
        return false;
    connection->in = grown;
    connection->in_capacity = 2 * need;
    return true;
}

/* Reads some more, but not past what the plan allows of this request; false:
 * the end, of the stream or of the allowance. */
static bool read_more(struct fault_connection *connection,
                      const struct fault_plan *plan)
{
    size_t room = 65536;
    ssize_t got;

    if (plan->cut_request_after - connection->request_bytes < room)
        room = plan->cut_request_after - connection->request_bytes;
    if (room == 0 || !wait_readable(connection) ||
        !make_room(connection, room + 1))
        return false;
    got = recv(connection->fd, connection->in + connection->in_bytes, room, 0);
    if (got <= 0)
        return false;
    fault__raw(connection->server, connection->in + connection->in_bytes,
               (size_t)got);
    connection->in_bytes += (size_t)got;
    connection->request_bytes += (size_t)got;
    connection->in[connection->in_bytes] = '\0';
    return true;
}

static void use(struct fault_connection *connection, size_t count)
{
    connection->in_bytes -= count;
    memmove(connection->in, connection->in + count, connection->in_bytes);
}

/* ---- the request ---- */

static bool add_header(struct fault_request *request, char *line)
{
    char *colon = strchr(line, ':'), *value;
    struct fault_header *grown;

    if (!colon)
        return false;
    *colon = '\0';
    for (value = colon + 1; *value == ' ' || *value == '\t'; value++)
        ;
    grown =
        realloc(request->headers, (request->header_count + 1) * sizeof(*grown));
    if (!grown)
        return false;
    request->headers = grown;
    request->headers[request->header_count].name = strdup(line);
    request->headers[request->header_count].value = strdup(value);
    request->header_count++;
    return true;
}

static bool parse_head(struct fault_request *request, char *head)
{
    char *rest = head, *line = strsep(&rest, "\n"), *words = line;
    char *method = strsep(&words, " "), *path = strsep(&words, " ");

    if (!path)
        return false;
    request->method = strdup(method);
    request->path = strdup(path);
    while ((line = strsep(&rest, "\n")) != NULL) {
        size_t length = strlen(line);

        if (length > 0 && line[length - 1] == '\r')
            line[length - 1] = '\0';
        if (*line && !add_header(request, line))
            return false;
    }
    return true;
}

static bool read_head(struct fault_connection *connection,
                      const struct fault_plan *plan,
                      struct fault_request *request)
{
    char *end = NULL, *head;
    size_t length;
    bool is_whole;

    while (!connection->in_bytes ||
           !(end = memmem(connection->in, connection->in_bytes, "\r\n\r\n", 4)))
        if (connection->in_bytes > HEAD_BYTES_MAX ||
            !read_more(connection, plan))
            return false;
    length = (size_t)(end - connection->in) + 4;
    head = strndup(connection->in, length);
    if (!head)
        return false;
    is_whole = parse_head(request, head);
    free(head);
    use(connection, length);
    return is_whole;
}

static char *unpack(const char *packed, size_t bytes, size_t *ret_bytes)
{
    char *body = NULL;

#if HARNESS_HAVE_ZLIB
    z_stream stream = { 0 };
    size_t capacity = 1100 * bytes + 1; /* no more comes out of deflate */

    body = malloc(capacity + 1);
    if (!body || inflateInit2(&stream, MAX_WBITS + 16) != Z_OK) {
        free(body);
        return NULL;
    }
    stream.next_in = (Bytef *)(uintptr_t)packed;
    stream.avail_in = (uInt)bytes;
    stream.next_out = (Bytef *)body;
    stream.avail_out = (uInt)capacity;
    if (inflate(&stream, Z_FINISH) == Z_STREAM_END) {
        *ret_bytes = capacity - stream.avail_out;
        body[*ret_bytes] = '\0';
    } else {
        free(body);
        body = NULL;
    }
    inflateEnd(&stream);
#else
    (void)packed;
    (void)bytes;
    (void)ret_bytes;
#endif
    return body;
}

static void parse_body(struct fault_request *request)
{
    json_t *body = json_loadb(request->body, request->body_bytes, 0, NULL);
    json_t *events = json_object_get(body, "events");

    if (json_is_array(events))
        request->events = json_incref(events);
    else if (json_is_object(body) && json_object_get(body, "input"))
        request->events = json_pack("[O]", body);
    else if (json_is_object(body) && json_object_get(body, "flag"))
        request->feedback = json_incref(body);
    json_decref(body);
}

static char *copy_of(const char *bytes, size_t count)
{
    char *copy = malloc(count + 1);

    if (!copy)
        return NULL;
    if (count)
        memcpy(copy, bytes, count);
    copy[count] = '\0';
    return copy;
}

static bool read_body(struct fault_connection *connection,
                      struct fault_plan *plan, struct fault_request *request)
{
    const char *length = fault_request_header(request, "Content-Length");
    const char *encoding = fault_request_header(request, "Content-Encoding");
    size_t bytes = length ? strtoul(length, NULL, 10) : 0;

    if (bytes > BODY_BYTES_MAX)
        return false;
    while (connection->in_bytes < bytes) {
        if (plan->stall == FAULT_STALL_IN_REQUEST &&
            connection->in_bytes >= bytes / 2) {
            plan->stall = FAULT_STALL_NONE;
            if (!fault__pause(connection, plan->stall_ms))
                return false;
        }
        if (!read_more(connection, plan))
            return false;
    }
    request->body_bytes = request->body_bytes_packed = bytes;
    if (encoding && strcasecmp(encoding, "gzip") == 0)
        request->body = unpack(connection->in, bytes, &request->body_bytes);
    else
        request->body = copy_of(connection->in, bytes);
    use(connection, bytes);
    if (!request->body)
        return false;
    parse_body(request);
    return true;
}

/* ---- the connection ---- */

static void ask_plan(struct fault_server *server, uint64_t number,
                     struct fault_plan *plan)
{
    memset(plan, 0, sizeof(*plan));
    plan->status = 201;
    plan->cut_request_after = plan->cut_reply_after = FAULT_NEVER;
    pthread_mutex_lock(&server->lock);
    if (server->options.plan)
        server->options.plan(server->options.user_data, number, plan);
    pthread_mutex_unlock(&server->lock);
}

static void ask_answer(struct fault_server *server,
                       const struct fault_request *request,
                       struct fault_plan *plan)
{
    pthread_mutex_lock(&server->lock);
    if (server->options.answer)
        server->options.answer(server->options.user_data, request, plan);
    if (plan->sends_page && plan->status == 201)
        plan->status = 200;
    pthread_mutex_unlock(&server->lock);
}

static void read_to_the_end(struct fault_connection *connection)
{
    const struct fault_plan plan = { .cut_request_after = FAULT_NEVER };

    while (read_more(connection, &plan))
        connection->in_bytes = 0;
}

/* Reads as much of the request as the plan lets pass. */
static bool read_request(struct fault_connection *connection,
                         struct fault_plan *plan, struct fault_request *request)
{
    if (plan->stall == FAULT_STALL_BEFORE_READING &&
        !fault__pause(connection, plan->stall_ms))
        return false;
    if (!read_head(connection, plan, request))
        return false;
    return plan->answers_early || read_body(connection, plan, request);
}

/* Returns whether the connection may take another request. */
static bool serve_one(struct fault_connection *connection,
                      struct fault_plan *plan)
{
    struct fault_server *server = connection->server;
    struct fault_request request;
    bool is_read;

    if (!fault__request_begin(connection, &request))
        return false;
    connection->request_bytes = connection->in_bytes;
    ask_plan(server, request.number, plan);
    is_read = read_request(connection, plan, &request);
    if (is_read)
        ask_answer(server, &request, plan);
    /* Noted before it goes out: whoever has the reply finds it noted. */
    request.status =
        is_read && plan->cut_reply_after == FAULT_NEVER ? plan->status : 0;
    fault__request_end(server, &request,
                       is_read && (plan->store == FAULT_STORE_ALWAYS ||
                                   (plan->store == FAULT_STORE_BY_STATUS &&
                                    plan->status / 100 == 2)));
    if (!is_read || !fault__reply(connection, plan))
        return false;
    if (plan->answers_early) {
        /* Closing while bytes still come in would reset the connection, and
         * could take the answer with it; careful servers read on. */
        shutdown(connection->fd, SHUT_WR);
        read_to_the_end(connection);
    }
    return !plan->answers_early;
}

void *fault__serve(void *argument)
{
    struct fault_connection *connection = argument;
    struct fault_server *server = connection->server;
    struct fault_plan plan = { 0 };

    if (server->options.is_silent)
        read_to_the_end(connection);
    else
        while (connection->in_bytes > 0 || wait_readable(connection)) {
            char first;

            if (connection->in_bytes == 0 &&
                recv(connection->fd, &first, 1, MSG_PEEK) <= 0)
                break;
            if (!serve_one(connection, &plan))
                break;
        }
    if (plan.resets) {
        struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once,
                   sizeof(at_once));
    }
    close(connection->fd);
    free(connection->in);
    pthread_mutex_lock(&server->lock);
    connection->is_over = true;
    server->closed_count++;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    return NULL;
}
