/*
 * open_loop - asks an HTTP server on a Unix socket at a fixed rate and writes
 * down how long each answer took.
 *
 * Open loop: when a request is to be sent is decided beforehand, and its time
 * begins then, whether or not it could be sent. A server that stalls for a
 * moment pays for every request of that moment, as it does with real clients;
 * a generator that waits for answers would have left them out.
 *
 *     bench_open_loop --rate N --seconds N --connections N SOCKET REQUEST...
 *
 * Each REQUEST is a file with a whole request; they take turns. Writes two
 * native 32-bit numbers per request to standard output, in nanoseconds: how
 * long it took, and how much of that is the generator's own delay in sending.
 */
#define _GNU_SOURCE /* epoll_pwait2() */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "measure.h"

enum {
    CONNECTIONS_MAX = 1024,
    REQUESTS_MAX = 16,
    ANSWER_BYTES_MAX = 65536,
    EVENTS_MAX = 64,
    WARM_UP_PERCENT = 10, /* of the requests; sent and not counted */
    STALL_MS = 20000      /* nothing takes that long */
};

struct request {
    char *bytes;
    size_t length;
};

struct connection {
    int fd;
    uint64_t due_ns; /* when its request was to be sent */
    uint64_t sent_ns;
    size_t index; /* of the request among all; SIZE_MAX: idle */
    size_t length;
    char answer[ANSWER_BYTES_MAX];
};

struct sample {
    uint32_t latency_ns;
    uint32_t late_ns;
};

static struct connection connections[CONNECTIONS_MAX];
static struct connection *idle[CONNECTIONS_MAX];
static size_t idle_count;
static struct request requests[REQUESTS_MAX];
static size_t request_count;
static struct sample *samples;
static int poller;

static void read_request(const char *path)
{
    struct request *request = &requests[request_count++];
    FILE *file = fopen(path, "rb");

    if (request_count == REQUESTS_MAX || file == NULL)
        bench_fail("%s: cannot be read, or is one too many", path);
    request->bytes = malloc(ANSWER_BYTES_MAX);
    request->length = fread(request->bytes, 1, ANSWER_BYTES_MAX, file);
    fclose(file);
}

static void connect_to(struct connection *connection, const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };

    if (strlen(path) >= sizeof(address.sun_path))
        bench_fail("%s: too long for a socket", path);
    strcpy(address.sun_path, path);
    connection->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof(address)) !=
        0)
        bench_fail("%s: %s", path, strerror(errno));
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(poller, EPOLL_CTL_ADD, connection->fd, &event);
    connection->index = SIZE_MAX;
    idle[idle_count++] = connection;
}

static void send_request(size_t index, uint64_t due_ns)
{
    struct connection *connection = idle[--idle_count];
    const struct request *request = &requests[index % request_count];

    connection->index = index;
    connection->due_ns = due_ns;
    connection->sent_ns = monotonic_ns();
    connection->length = 0;
    if (write(connection->fd, request->bytes, request->length) !=
        (ssize_t)request->length)
        bench_fail("a request could not be written in one piece");
}

/* Whether all of the answer is there. */
static bool is_whole(struct connection *connection)
{
    const char name[] = "\r\nContent-Length: ", ok[] = "HTTP/1.1 200 ";
    char *end, *length;

    connection->answer[connection->length] = '\0';
    end = strstr(connection->answer, "\r\n\r\n");
    if (end == NULL)
        return false;
    length = strstr(connection->answer, name);
    if (memcmp(connection->answer, ok, strlen(ok)) != 0 || length == NULL ||
        length > end)
        bench_fail("another answer than expected: %.200s", connection->answer);
    return connection->length == (size_t)(end + 4 - connection->answer) +
                                     strtoul(length + strlen(name), NULL, 10);
}

static uint32_t difference(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns - from_ns > UINT32_MAX ? UINT32_MAX
                                        : (uint32_t)(to_ns - from_ns);
}

/* Returns whether an answer came to its end. */
static bool receive(struct connection *connection, size_t warm_up)
{
    ssize_t length =
        read(connection->fd, connection->answer + connection->length,
             sizeof(connection->answer) - 1 - connection->length);

    if (length < 0 && errno == EAGAIN)
        return false;
    if (length <= 0 || connection->index == SIZE_MAX)
        bench_fail("the server closed a connection, or spoke unasked");
    connection->length += (size_t)length;
    if (!is_whole(connection))
        return false;
    if (connection->index >= warm_up) {
        struct sample *sample = &samples[connection->index - warm_up];

        sample->latency_ns = difference(connection->due_ns, monotonic_ns());
        sample->late_ns = difference(connection->due_ns, connection->sent_ns);
    }
    connection->index = SIZE_MAX;
    idle[idle_count++] = connection;
    return true;
}

/* One in each interval, at a place of its own, so that no other clock of the
 * machine can fall into step. The same in every run. */
static uint64_t due_in_interval(uint64_t interval_ns)
{
    static uint64_t dice = 88172645463325252u;

    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return dice % interval_ns;
}

/* Waits until `due_ns` or until an answer comes. */
static size_t wait_for_answers(uint64_t due_ns, size_t warm_up)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t now_ns = monotonic_ns();
    uint64_t wait_ns = due_ns > now_ns ? due_ns - now_ns : 0;
    struct timespec wait = { .tv_sec = (time_t)(wait_ns / 1000000000),
                             .tv_nsec = (long)(wait_ns % 1000000000) };
    int count = epoll_pwait2(poller, events, EVENTS_MAX, &wait, NULL);
    size_t answered = 0;

    for (int i = 0; i < count; i++)
        answered += receive(events[i].data.ptr, warm_up);
    return answered;
}

static void run(size_t total, size_t warm_up, uint64_t rate)
{
    const uint64_t interval_ns = 1000000000 / rate;
    uint64_t begin_ns = monotonic_ns() + interval_ns;
    uint64_t due_ns = begin_ns + due_in_interval(interval_ns);
    uint64_t last_ns = begin_ns;
    size_t sent = 0, answered = 0;

    while (answered < total) {
        uint64_t now_ns = monotonic_ns();
        size_t got;

        while (sent < total && due_ns <= now_ns && idle_count > 0) {
            send_request(sent++, due_ns);
            due_ns =
                begin_ns + sent * interval_ns + due_in_interval(interval_ns);
        }
        got = wait_for_answers(sent < total && idle_count > 0
                                   ? due_ns
                                   : now_ns + STALL_MS * UINT64_C(1000000),
                               warm_up);
        answered += got;
        if (got > 0)
            last_ns = monotonic_ns();
        else if (now_ns > last_ns + STALL_MS * UINT64_C(1000000))
            bench_fail("no answer in %d ms", STALL_MS);
    }
}

int main(int argc, char **argv)
{
    uint64_t rate = option_number(argc, argv, "--rate", 1000);
    uint64_t seconds = option_number(argc, argv, "--seconds", 1);
    uint64_t count = option_number(argc, argv, "--connections", 32);
    size_t total, warm_up;

    if (argc < 9 || rate == 0 || count == 0 || count > CONNECTIONS_MAX)
        bench_fail("usage: bench_open_loop --rate N --seconds N "
                   "--connections N SOCKET REQUEST...");
    for (int i = 8; i < argc; i++)
        read_request(argv[i]);
    /* The kernel may not round wake-ups to 50 us. */
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    poller = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < count; i++)
        connect_to(&connections[i], argv[7]);

    total = (size_t)(rate * seconds);
    warm_up = total * WARM_UP_PERCENT / 100;
    samples = calloc(total, sizeof(*samples));
    run(total, warm_up, rate);
    fwrite(samples, sizeof(*samples), total - warm_up, stdout);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
