#define _GNU_SOURCE
#include "sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

enum { HEAD_BYTES_MAX = 8192, READ_BYTES = 262144, TURN_MAX = 64 };

/* Each event of the library carries its id once. */
static const char needle[] = "\"event_id\":\"";
enum { NEEDLE_BYTES = sizeof(needle) - 1, CARRY_BYTES = NEEDLE_BYTES - 1 };

static const char answer[] = "HTTP/1.1 201 Created\r\n"
                             "Content-Type: application/json\r\n"
                             "Content-Length: 2\r\n\r\n{}";

struct connection {
    int fd;
    char head[HEAD_BYTES_MAX]; /* of the request under way */
    size_t head_bytes;
    bool in_body;
    uint64_t body_left;
    uint64_t events;
    char first, last;        /* bytes of the body */
    char carry[CARRY_BYTES]; /* the end of the piece before */
    size_t carry_bytes;
};

static struct sink_counts *counts;

static uint64_t count_in(const char *data, size_t bytes)
{
    const char *end = data + bytes;
    uint64_t count = 0;

    while ((data = memmem(data, (size_t)(end - data), needle, NEEDLE_BYTES))) {
        count++;
        data += NEEDLE_BYTES;
    }
    return count;
}

/* Counts events in a piece of a body, and those across the last two pieces. */
static void take_body(struct connection *connection, const char *data,
                      size_t bytes)
{
    char seam[2 * CARRY_BYTES];
    size_t joined = bytes < CARRY_BYTES ? bytes : CARRY_BYTES;
    size_t kept = connection->carry_bytes;

    memcpy(seam, connection->carry, kept);
    memcpy(seam + kept, data, joined);
    /* No needle fits into the carry alone or into `joined` alone. */
    connection->events += count_in(seam, kept + joined);
    if (bytes >= NEEDLE_BYTES)
        connection->events += count_in(data, bytes);

    if (bytes >= CARRY_BYTES) {
        memcpy(connection->carry, data + bytes - CARRY_BYTES, CARRY_BYTES);
        connection->carry_bytes = CARRY_BYTES;
    } else {
        size_t all = kept + bytes;
        size_t keep = all < CARRY_BYTES ? all : CARRY_BYTES;

        memcpy(connection->carry, seam + all - keep, keep);
        connection->carry_bytes = keep;
    }
    if (connection->first == '\0')
        connection->first = data[0];
    connection->last = data[bytes - 1];
}

static const char *header_value(const char *head, const char *name,
                                unsigned *times)
{
    const char *found = NULL;
    size_t length = strlen(name);

    *times = 0;
    for (const char *line = strstr(head, "\r\n"); line && line[2] != '\r';
         line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, length) == 0) {
            found = line + 2 + length;
            ++*times;
        }
    return found;
}

/* Whether the head is what the library has to send; sets the body's length. */
static bool take_head(struct connection *connection)
{
    const char *head = connection->head;
    unsigned lengths, chunked, keys, types, expects;
    const char *length = header_value(head, "Content-Length: ", &lengths);
    const char *key = header_value(head, "Authorization: ", &keys);

    header_value(head, "Transfer-Encoding: ", &chunked);
    header_value(head, "Content-Type: application/json", &types);
    header_value(head, "Expect: ", &expects);
    if (strncmp(head, "POST /api/ingest/batch HTTP/1.1\r\n", 33) != 0 ||
        lengths != 1 || chunked != 0 || keys != 1 || types != 1 ||
        expects != 0 || strncmp(key, "Bearer ", 7) != 0)
        return false;
    connection->body_left = strtoull(length, NULL, 10);
    connection->in_body = true;
    connection->events = 0;
    connection->first = connection->last = '\0';
    connection->carry_bytes = 0;
    return connection->body_left > 0;
}

static bool answer_body(struct connection *connection)
{
    connection->in_body = false;
    connection->head_bytes = 0;
    if (connection->first != '{' || connection->last != '}' ||
        connection->events == 0)
        return false;
    counts->events += connection->events;
    counts->requests++;
    return send(connection->fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) ==
           (ssize_t)sizeof(answer) - 1;
}

/* Consumes one read; false ends the connection. */
static bool take(struct connection *connection, const char *data, size_t bytes)
{
    while (bytes > 0) {
        if (connection->in_body) {
            size_t part = bytes < connection->body_left
                              ? bytes
                              : (size_t)connection->body_left;

            take_body(connection, data, part);
            counts->body_bytes += part;
            data += part;
            bytes -= part;
            connection->body_left -= part;
            if (connection->body_left == 0 && !answer_body(connection))
                return false;
            continue;
        }
        if (connection->head_bytes == HEAD_BYTES_MAX - 1)
            return false;
        connection->head[connection->head_bytes++] = *data++;
        connection->head[connection->head_bytes] = '\0';
        bytes--;
        if (connection->head_bytes >= 4 &&
            memcmp(connection->head + connection->head_bytes - 4, "\r\n\r\n",
                   4) == 0 &&
            !take_head(connection))
            return false;
    }
    return true;
}

static void hang_up(struct connection *connection, bool is_bad)
{
    if (is_bad)
        counts->bad_requests++;
    close(connection->fd);
    free(connection);
}

static void serve(struct connection *connection, char *buffer)
{
    ssize_t got = recv(connection->fd, buffer, READ_BYTES, 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        hang_up(connection, got < 0 || connection->in_body);
    else if (!take(connection, buffer, (size_t)got))
        hang_up(connection, true);
}

static void welcome(int listener, int epoll)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct connection *connection;
    struct epoll_event event = { .events = EPOLLIN };
    int on = 1;

    if (fd < 0)
        return;
    connection = calloc(1, sizeof(*connection));
    if (!connection)
        _exit(1);
    connection->fd = fd;
    counts->connections++;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    event.data.ptr = connection;
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static _Noreturn void run(int listener)
{
    static char buffer[READ_BYTES];
    struct epoll_event events[TURN_MAX];
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(epoll, events, TURN_MAX, -1);

        for (int i = 0; i < ready; i++)
            if (events[i].data.ptr)
                serve(events[i].data.ptr, buffer);
            else
                welcome(listener, epoll);
    }
}

void sink_start(struct sink *sink)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pid_t parent = getpid();

    if (listener < 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
        listen(listener, 64) ||
        getsockname(listener, (struct sockaddr *)&address, &length))
        bench_fail("cannot listen on loopback: %s", strerror(errno));
    counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counts == MAP_FAILED)
        bench_fail("no memory for the sink");
    sink->counts = counts;
    sink->port = ntohs(address.sin_port);
    sink->pid = fork();
    if (sink->pid < 0)
        bench_fail("cannot fork: %s", strerror(errno));
    if (sink->pid == 0) {
        /* Ends with the benchmark, however that ends. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        run(listener);
    }
    close(listener);
}

void sink_stop(struct sink *sink)
{
    kill(sink->pid, SIGKILL);
    waitpid(sink->pid, NULL, 0);
    munmap(sink->counts, sizeof(*sink->counts));
}
