#define _GNU_SOURCE

#include "harness/fault_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { RAW_BYTES_MAX = 4 << 20, WAIT_SECONDS = 30 };

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- the record ---- */

bool fault__request_begin(struct fault_connection *connection,
                          struct fault_request *ret_request)
{
    struct fault_server *server = connection->server;
    struct fault_request *request = calloc(1, sizeof(*request)), **grown;

    if (!request)
        return false;
    pthread_mutex_lock(&server->lock);
    grown = realloc(server->requests, (server->request_count + 1) *
                                          sizeof(struct fault_request *));
    if (!grown) {
        pthread_mutex_unlock(&server->lock);
        free(request);
        return false;
    }
    server->requests = grown;
    grown[server->request_count++] = request;
    request->number = server->request_count;
    request->connection = connection->number;
    request->at_us = now_us();
    *ret_request = *request;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    return true;
}

static json_t *entry_of(struct fault_server *server, const json_t *event)
{
    const char *id = json_string_value(json_object_get(event, "event_id"));
    json_t *entry;

    if (!id)
        id = "(none)";
    entry = json_object_get(server->events, id);
    if (!entry) {
        entry = json_pack("{s:i, s:i}", "stored", 0, "sent", 0);
        json_object_set_new(server->events, id, entry);
    }
    return entry;
}

static json_int_t count_up(json_t *entry, const char *key)
{
    json_int_t count = json_integer_value(json_object_get(entry, key)) + 1;

    json_object_set_new(entry, key, json_integer(count));
    return count;
}

static void note_events(struct fault_server *server,
                        const struct fault_request *request, bool is_stored)
{
    json_t *event;
    size_t i;

    json_array_foreach(request->events, i, event)
    {
        json_t *entry = entry_of(server, event);

        count_up(entry, "sent");
        if (!is_stored)
            continue;
        server->arrivals++;
        if (count_up(entry, "stored") == 1) {
            server->event_count++;
            json_object_set(entry, "event", event);
        }
    }
}

static void note_feedback(struct fault_server *server, const json_t *feedback,
                          bool is_stored)
{
    const char *id = json_string_value(json_object_get(feedback, "event_id"));

    if (!json_object_get(json_object_get(server->events, id), "event"))
        server->early_feedback++;
    if (!is_stored)
        return;
    json_array_append_new(server->feedback, json_deep_copy(feedback));
    server->feedback_count++;
}

void fault__request_end(struct fault_server *server,
                        const struct fault_request *request, bool is_stored)
{
    pthread_mutex_lock(&server->lock);
    *server->requests[request->number - 1] = *request;
    note_events(server, request, is_stored);
    if (request->feedback)
        note_feedback(server, request->feedback, is_stored);
    server->answered_count++;
    server->by_status[request->status]++;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

void fault__raw(struct fault_server *server, const void *bytes, size_t count)
{
    pthread_mutex_lock(&server->lock);
    if (count > RAW_BYTES_MAX - server->raw_bytes)
        count = RAW_BYTES_MAX - server->raw_bytes;
    memcpy(server->raw + server->raw_bytes, bytes, count);
    server->raw_bytes += count;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static void request_free(struct fault_request *request)
{
    for (size_t i = 0; i < request->header_count; i++) {
        free(request->headers[i].name);
        free(request->headers[i].value);
    }
    free(request->headers);
    free(request->method);
    free(request->path);
    free(request->body);
    json_decref(request->events);
    json_decref(request->feedback);
    free(request);
}

/* ---- listening ---- */

static bool listen_on_port(struct fault_server *server)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(server->options.port) };
    socklen_t length = sizeof(address);
    const int yes = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listener < 0)
        return false;
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(server->listener, (struct sockaddr *)&address, length) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &length) !=
            0)
        return false;
    server->port = ntohs(address.sin_port);
    snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u",
             server->port);
    return true;
}

static bool listen_on_path(struct fault_server *server)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    snprintf(address.sun_path, sizeof(address.sun_path), "%s",
             server->options.unix_path);
    snprintf(server->url, sizeof(server->url), "http://localhost");
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return server->listener >= 0 &&
           bind(server->listener, (struct sockaddr *)&address,
                sizeof(address)) == 0;
}

/* Once its queue is full the kernel drops whoever wants to connect. */
static void fill_queue(struct fault_server *server)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(server->port) };
    const size_t count = 4;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (size_t i = 0; i < count; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
            continue;
        (void)connect(fd, (struct sockaddr *)&address, sizeof(address));
        server->fillers[server->filler_count++] = fd;
    }
}

static void join(struct fault_connection *connection)
{
    pthread_join(connection->thread, NULL);
    free(connection);
}

/* Threads that have ended are not kept until the end of the test. */
static void join_ended(struct fault_server *server)
{
    struct fault_connection **link, *ended = NULL;

    pthread_mutex_lock(&server->lock);
    link = &server->connections;
    while (*link) {
        struct fault_connection *connection = *link;

        if (connection->is_over) {
            *link = connection->next;
            connection->next = ended;
            ended = connection;
        } else {
            link = &connection->next;
        }
    }
    pthread_mutex_unlock(&server->lock);
    while (ended) {
        struct fault_connection *connection = ended;

        ended = connection->next;
        join(connection);
    }
}

static void take_one(struct fault_server *server)
{
    const int yes = 1;
    struct fault_connection *connection;
    int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    const int on = 1;

    if (fd < 0)
        return;
    /* Head and body go out apart; the body would wait 40 ms for the other
     * side's acknowledgement of the head. A Unix socket refuses it. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection = calloc(1, sizeof(*connection));
    if (!connection) {
        close(fd);
        return;
    }
    /* A reply goes out in pieces; none is to wait for the last one's ACK. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    connection->server = server;
    connection->fd = fd;
    pthread_mutex_lock(&server->lock);
    connection->number = ++server->connection_count;
    if (pthread_create(&connection->thread, NULL, fault__serve, connection)) {
        close(fd);
        free(connection);
    } else {
        connection->next = server->connections;
        server->connections = connection;
    }
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static void *run(void *argument)
{
    struct fault_server *server = argument;
    struct pollfd fds[] = {
        { .fd = server->stop_fd, .events = POLLIN },
        { .fd = server->options.accepts_nothing ? -1 : server->listener,
          .events = POLLIN },
    };

    for (;;) {
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[0].revents)
            return NULL;
        take_one(server);
        join_ended(server);
    }
}

/* ---- life ---- */

struct fault_server *fault_server_start(const struct fault_options *options)
{
    struct fault_server *server = calloc(1, sizeof(*server));
    bool listens;

    if (!server)
        return NULL;
    server->options = *options;
    server->listener = -1;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    server->events = json_object();
    server->feedback = json_array();
    server->raw = malloc(RAW_BYTES_MAX);
    server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->release_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    listens =
        options->unix_path ? listen_on_path(server) : listen_on_port(server);
    if (!server->raw || !listens ||
        listen(server->listener, options->accepts_nothing ? 0 : 128) != 0)
        goto fail;
    if (options->accepts_nothing)
        fill_queue(server);
    if (pthread_create(&server->thread, NULL, run, server) != 0)
        goto fail;
    server->is_running = true;
    return server;

fail:
    fault_server_free(server);
    return NULL;
}

static void raise_flag(int fd)
{
    const uint64_t one = 1;
    ssize_t put = write(fd, &one, sizeof(one));

    (void)put;
}

void fault_server_stop(struct fault_server *server)
{
    if (server->is_running) {
        server->is_running = false;
        raise_flag(server->stop_fd);
        pthread_join(server->thread, NULL);
        while (server->connections) {
            struct fault_connection *connection = server->connections;

            server->connections = connection->next;
            join(connection);
        }
    }
    if (server->listener >= 0)
        close(server->listener);
    server->listener = -1;
    while (server->filler_count > 0)
        close(server->fillers[--server->filler_count]);
}

void fault_server_free(struct fault_server *server)
{
    if (!server)
        return;
    fault_server_stop(server);
    for (uint64_t i = 0; i < server->request_count; i++)
        request_free(server->requests[i]);
    free(server->requests);
    json_decref(server->events);
    json_decref(server->feedback);
    free(server->raw);
    close(server->stop_fd);
    close(server->release_fd);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

uint16_t fault_server_port(const struct fault_server *server)
{
    return server->port;
}

const char *fault_server_url(const struct fault_server *server)
{
    return server->url;
}

void fault_server_release(struct fault_server *server)
{
    raise_flag(server->release_fd);
}

static bool wait_for(struct fault_server *server, const uint64_t *counter,
                     uint64_t count)
{
    struct timespec deadline;
    bool is_reached;
    int error = 0;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_SECONDS;
    pthread_mutex_lock(&server->lock);
    while (*counter < count && !error)
        error =
            pthread_cond_timedwait(&server->changed, &server->lock, &deadline);
    is_reached = *counter >= count;
    pthread_mutex_unlock(&server->lock);
    return is_reached;
}

bool fault_server_wait_begun(struct fault_server *server, uint64_t count)
{
    return wait_for(server, &server->request_count, count);
}

bool fault_server_wait_answered(struct fault_server *server, uint64_t count)
{
    return wait_for(server, &server->answered_count, count);
}

bool fault_server_wait_feedback(struct fault_server *server, uint64_t count)
{
    return wait_for(server, &server->feedback_count, count);
}

bool fault_server_wait_closed(struct fault_server *server, uint64_t count)
{
    return wait_for(server, &server->closed_count, count);
}
