#include "access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "now.h"

enum {
    WAITING_BYTES_MAX = 1 << 20, /* some 5,000 lines */
    PIECE_BYTES = 4096,          /* a pipe that polls writable takes as much */
    PATIENCE_MS = 500,           /* at the end, with a pipe that is full */
    LINE_BYTES = 512,
    TIME_BYTES = 40,
};

struct phosd_access_log {
    const char *path; /* NULL: standard output */
    int fd;           /* the thread's */
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wanted;
    struct phos__buffer waiting;
    uint64_t lost;
    bool reopen, stopping;
};

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static const char *known_method(const char *method)
{
    static const char *const known[] = { "GET",    "HEAD",    "POST", "PUT",
                                         "DELETE", "OPTIONS", "PATCH" };

    for (size_t i = 0; method && i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(method, known[i]) == 0)
            return known[i];
    return "other";
}

static void time_text(char text[TIME_BYTES])
{
    int64_t now_us = phosd_wall_us();
    time_t seconds = (time_t)(now_us / 1000000);
    char second[TIME_BYTES];
    struct tm parts;

    gmtime_r(&seconds, &parts);
    if (strftime(second, sizeof(second), "%Y-%m-%dT%H:%M:%S", &parts) == 0)
        second[0] = '\0';
    snprintf(text, TIME_BYTES, "%.20s.%03dZ", second,
             (int)(now_us / 1000 % 1000));
}

/* A number, or null. */
static const char *number(char text[32], bool there, int64_t value)
{
    if (there)
        snprintf(text, 32, "%" PRId64, value);
    return there ? text : "null";
}

static int line_of(const struct phosd_exchange *exchange, char *line,
                   size_t bytes)
{
    const char *route = exchange->route;
    bool id = route && strlen(route) > 1 && route[strlen(route) - 1] == '/';
    uint64_t spent_us = phosd_now_us() - exchange->began_us;
    unsigned status = exchange->reply.status;
    char now[TIME_BYTES], numbers[2][32];

    time_text(now);
    return snprintf(
        line, bytes,
        "{\"time\":\"%s\",\"method\":\"%s\",\"route\":%s%s%s%s,"
        "\"status\":%s,\"bytes\":%" PRIu64 ",\"duration_ms\":%" PRIu64
        ".%03u,\"project\":%s,\"events\":%u}\n",
        now, known_method(exchange->method), route ? "\"" : "",
        route ? route : "null", id ? ":id" : "", route ? "\"" : "",
        number(numbers[0], status != 0, status),
        status != 0 ? exchange->reply_bytes : 0, spent_us / 1000,
        (unsigned)(spent_us % 1000),
        number(numbers[1], exchange->project_id != 0, exchange->project_id),
        (unsigned)exchange->events);
}

/* Takes what waits, and tells what was lost behind it. Under the mutex. */
static struct phos__buffer take(struct phosd_access_log *log)
{
    struct phos__buffer lines = log->waiting;
    char note[LINE_BYTES], now[TIME_BYTES];

    phosd_buffer_init(&log->waiting);
    if (log->lost > 0) {
        time_text(now);
        snprintf(note, sizeof(note), "{\"time\":\"%s\",\"lost\":%" PRIu64 "}\n",
                 now, log->lost);
        phos__buffer_append(&lines, note, strlen(note));
        log->lost = 0;
    }
    return lines;
}

void phosd_access_log_add(struct phosd_access_log *log,
                          const struct phosd_exchange *exchange)
{
    char line[LINE_BYTES];
    int bytes;

    if (!log)
        return;
    bytes = line_of(exchange, line, sizeof(line));
    if (bytes <= 0 || bytes >= (int)sizeof(line))
        return;
    pthread_mutex_lock(&log->mutex);
    if (log->waiting.bytes + (size_t)bytes > WAITING_BYTES_MAX)
        log->lost++;
    else
        phos__buffer_append(&log->waiting, line, (size_t)bytes);
    pthread_cond_signal(&log->wanted);
    pthread_mutex_unlock(&log->mutex);
}

static bool stopping(struct phosd_access_log *log)
{
    bool result;

    pthread_mutex_lock(&log->mutex);
    result = log->stopping;
    pthread_mutex_unlock(&log->mutex);
    return result;
}

/* What a full disk or a gone reader does not take is dropped. */
static void write_out(struct phosd_access_log *log,
                      const struct phos__buffer *lines)
{
    size_t done = 0;

    while (done < lines->bytes) {
        struct pollfd ready = { .fd = log->fd, .events = POLLOUT };
        size_t piece = lines->bytes - done;
        ssize_t written;

        if (poll(&ready, 1, PATIENCE_MS) == 0) {
            if (stopping(log))
                return;
            continue;
        }
        if (piece > PIECE_BYTES)
            piece = PIECE_BYTES;
        written = write(log->fd, (const char *)lines->data + done, piece);
        if (written < 0 && errno != EINTR && errno != EAGAIN)
            return;
        if (written > 0)
            done += (size_t)written;
    }
}

static void reopen_file(struct phosd_access_log *log)
{
    int fd = open_file(log->path);

    if (fd < 0) {
        fprintf(stderr, "phosd: %s: %s; the access log stays in the old file\n",
                log->path, strerror(errno));
        return;
    }
    close(log->fd);
    log->fd = fd;
}

static void *log_main(void *user_data)
{
    struct phosd_access_log *log = user_data;
    struct phos__buffer lines;
    bool reopen, stop;

    do {
        pthread_mutex_lock(&log->mutex);
        while (log->waiting.bytes == 0 && !log->reopen && !log->stopping)
            pthread_cond_wait(&log->wanted, &log->mutex);
        lines = take(log);
        reopen = log->reopen;
        log->reopen = false;
        stop = log->stopping;
        pthread_mutex_unlock(&log->mutex);
        write_out(log, &lines); /* what came before the signal: old file */
        phos__buffer_deinit(&lines);
        if (reopen)
            reopen_file(log);
    } while (!stop);
    return NULL;
}

static bool start(struct phosd_access_log *log, phos_error *error)
{
    if (log->path)
        log->fd = open_file(log->path);
    if (log->fd >= 0) {
        errno = pthread_create(&log->thread, NULL, log_main, log);
        if (errno == 0)
            return true;
        if (log->path)
            close(log->fd);
    }
    phos__error_set(error, PHOS_E_SYSTEM, PHOS_ORIGIN_SYSTEM, errno, "%s: %s",
                    log->path ? log->path : "standard output", strerror(errno));
    return false;
}

bool phosd_access_log_open(const char *path, struct phosd_access_log **ret_log,
                           phos_error *error)
{
    struct phosd_access_log *log = calloc(1, sizeof(*log));

    if (!log) {
        phos__error_set(error, PHOS_E_NO_MEMORY, PHOS_ORIGIN_NONE, 0,
                        "out of memory");
        return false;
    }
    log->path = strcmp(path, "-") == 0 ? NULL : path;
    log->fd = STDOUT_FILENO;
    phosd_buffer_init(&log->waiting);
    pthread_mutex_init(&log->mutex, NULL);
    pthread_cond_init(&log->wanted, NULL);
    if (start(log, error)) {
        *ret_log = log;
        return true;
    }
    pthread_cond_destroy(&log->wanted);
    pthread_mutex_destroy(&log->mutex);
    free(log);
    return false;
}

bool phosd_access_log_reopen(struct phosd_access_log *log)
{
    if (!log || !log->path)
        return false;
    pthread_mutex_lock(&log->mutex);
    log->reopen = true;
    pthread_cond_signal(&log->wanted);
    pthread_mutex_unlock(&log->mutex);
    return true;
}

void phosd_access_log_close(struct phosd_access_log *log)
{
    if (!log)
        return;
    pthread_mutex_lock(&log->mutex);
    log->stopping = true;
    pthread_cond_signal(&log->wanted);
    pthread_mutex_unlock(&log->mutex);
    pthread_join(log->thread, NULL);
    if (log->path)
        close(log->fd);
    phos__buffer_deinit(&log->waiting);
    pthread_cond_destroy(&log->wanted);
    pthread_mutex_destroy(&log->mutex);
    free(log);
}
