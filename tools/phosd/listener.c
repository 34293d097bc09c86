#include "listener_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "now.h"

enum {
    POOL_BYTES = 64 << 10,  /* a connection's memory for its head */
    CONNECTIONS_MAX = 1000, /* of all sockets; more wait in the backlog */
    DESCRIPTORS_KEPT = 64,  /* of RLIMIT_NOFILE, for everything else */
    THREADS_MAX = 4,        /* they never wait, so few are enough */
    DRAIN_STEP_MS = 50,     /* between looks at the time-outs */
    REPLY_BYTES_PER_MS = 4096,
    BODY_BYTES_PER_MS = 1,
};

/* The routes decode what they need, once; the library decodes nothing. */
static size_t leave_escaped(void *user_data, struct MHD_Connection *connection,
                            char *text)
{
    (void)user_data;
    (void)connection;
    return strlen(text);
}

static void say_nothing(void *user_data, const char *format, va_list arguments)
{
    (void)user_data;
    (void)format;
    (void)arguments;
}

static unsigned connections_max(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) ||
        limit.rlim_cur >= CONNECTIONS_MAX + DESCRIPTORS_KEPT)
        return CONNECTIONS_MAX;
    return limit.rlim_cur > 2 * DESCRIPTORS_KEPT
               ? (unsigned)limit.rlim_cur - DESCRIPTORS_KEPT
               : DESCRIPTORS_KEPT;
}

static unsigned threads(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (processors < 2)
        return 2; /* the library takes a pool of at least two */
    return processors < THREADS_MAX ? (unsigned)processors : THREADS_MAX;
}

static struct MHD_Daemon *start_daemon(struct phosd_listener *listener, int fd,
                                       unsigned connections)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, phosd_listener_request, listener,
        MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL, MHD_OPTION_LISTEN_SOCKET,
        fd, MHD_OPTION_THREAD_POOL_SIZE, threads(), MHD_OPTION_CONNECTION_LIMIT,
        connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_UNESCAPE_CALLBACK,
        leave_escaped, NULL, MHD_OPTION_URI_LOG_CALLBACK, phosd_listener_target,
        listener, MHD_OPTION_NOTIFY_CONNECTION, phosd_listener_connection,
        listener, MHD_OPTION_NOTIFY_COMPLETED, phosd_listener_completed,
        listener, MHD_OPTION_END);
}

struct phosd_listener *
phosd_listener_open(const struct phosd_listener_options *options,
                    const struct phosd_socket *sockets, size_t count)
{
    struct phosd_listener *listener = calloc(1, sizeof(*listener));

    if (!listener)
        return NULL;
    listener->options = *options;
    listener->lines.next = listener->lines.previous = &listener->lines;
    pthread_mutex_init(&listener->mutex, NULL);
    pthread_cond_init(&listener->calmed, NULL);
    for (size_t i = 0; i < count; i++) {
        listener->quiesced[i] = MHD_INVALID_SOCKET;
        listener->inherited[i] = sockets[i].inherited;
        listener->daemons[i] = start_daemon(
            listener, sockets[i].fd, connections_max() / (unsigned)count);
        if (!listener->daemons[i]) {
            phosd_listener_close(listener);
            return NULL;
        }
        listener->count++;
    }
    return listener;
}

static bool is_late(const struct phosd_listener_options *options,
                    struct line *line, uint64_t now_ms)
{
    uint64_t spent_ms = now_ms > line->since_ms ? now_ms - line->since_ms : 0;

    switch (line->phase) {
    case PHASE_OPEN:
    case PHASE_HEAD:
        return spent_ms > options->head_timeout_ms;
    case PHASE_IDLE:
        return spent_ms > options->idle_timeout_ms;
    case PHASE_STORE:
        return false; /* the store's calls have limits of their own */
    case PHASE_REPLY:
        return spent_ms >
               options->reply_timeout_ms + line->bytes / REPLY_BYTES_PER_MS;
    case PHASE_BODY:
        if (spent_ms <= options->body_timeout_ms)
            return false;
        if (line->bytes < spent_ms * BODY_BYTES_PER_MS)
            return true;
        line->since_ms = now_ms; /* quick enough: the next stretch begins */
        line->bytes = 0;
        return false;
    }
    return false;
}

/* Under the mutex. */
static void end_late_lines(struct phosd_listener *listener, uint64_t now_ms)
{
    for (struct line *line = listener->lines.next; line != &listener->lines;
         line = line->next)
        if (is_late(&listener->options, line, now_ms))
            shutdown(line->fd, SHUT_RDWR); /* the library sees its end */
}

void phosd_listener_sweep(struct phosd_listener *listener, uint64_t now_ms)
{
    pthread_mutex_lock(&listener->mutex);
    end_late_lines(listener, now_ms);
    pthread_mutex_unlock(&listener->mutex);
}

static void begin_drain(struct phosd_listener *listener)
{
    pthread_mutex_lock(&listener->mutex);
    listener->draining = true;
    pthread_mutex_unlock(&listener->mutex);
    for (size_t i = 0; i < listener->count; i++) {
        MHD_socket quiesced = MHD_quiesce_daemon(listener->daemons[i]);

        listener->quiesced[i] = quiesced;
        /* Its threads may still look at the descriptor, so it is closed later;
         * but from now on clients are refused instead of kept waiting. They
         * are to wait where systemd starts the next of us. */
        if (quiesced != MHD_INVALID_SOCKET && !listener->inherited[i])
            shutdown(quiesced, SHUT_RDWR);
    }
}

/* Waits a little for `calmed`. Under the mutex. */
static void wait_a_little(struct phosd_listener *listener)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += DRAIN_STEP_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&listener->calmed, &listener->mutex, &until);
}

void phosd_listener_drain(struct phosd_listener *listener, uint32_t ms_max)
{
    uint64_t end_ms = phosd_now_ms() + ms_max;

    begin_drain(listener);
    pthread_mutex_lock(&listener->mutex);
    while (listener->active > 0 && phosd_now_ms() < end_ms) {
        end_late_lines(listener, phosd_now_ms());
        wait_a_little(listener);
    }
    listener->closed = true;
    while (listener->submitted > 0) /* the store's calls have limits */
        wait_a_little(listener);
    pthread_mutex_unlock(&listener->mutex);
}

void phosd_listener_close(struct phosd_listener *listener)
{
    if (!listener)
        return;
    for (size_t i = 0; i < listener->count; i++) {
        MHD_stop_daemon(listener->daemons[i]);
        if (listener->quiesced[i] != MHD_INVALID_SOCKET)
            close(listener->quiesced[i]);
    }
    pthread_cond_destroy(&listener->calmed);
    pthread_mutex_destroy(&listener->mutex);
    free(listener);
}
