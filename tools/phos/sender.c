#include "sender.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "console.h"
#include "receipts.h"
#include "signals.h"
#include "text.h"

enum {
    LOOK_MS = 100,        /* between two looks at statistics and signals */
    PLAIN_LINE_MS = 5000, /* between two lines of progress in a log */
    CONFIG_ANSWERS_MAX = 3,
    SIGNAL_CLOSE_MS = 5000 /* after Ctrl-C, where no option says otherwise */
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void sender_init(struct sender *sender, phos_client *client)
{
    memset(sender, 0, sizeof(*sender));
    sender->client = client;
    sender->close_timeout_ms = SENDER_NO_DEADLINE;
    sender->started_ms = now_ms();
    sender->told_ms = sender->started_ms;
    sender->stats.struct_size = sizeof(sender->stats);
    ndjson_init(&sender->ndjson);
}

void sender_deinit(struct sender *sender)
{
    ndjson_deinit(&sender->ndjson);
}

/* ---- looking around ---- */

static uint64_t settled(const phos_ledger *ledger)
{
    return ledger->delivered + ledger->duplicate + ledger->refused +
           ledger->dropped + ledger->unknown;
}

static void show_progress(struct sender *sender, uint64_t now)
{
    struct progress progress = { .now_ms = now - sender->started_ms,
                                 .accepted = sender->accepted,
                                 .settled = settled(&sender->stats.ledger),
                                 .bytes_read = sender->bytes_read,
                                 .bytes_total = sender->bytes_total,
                                 .state = sender->stats.state,
                                 .last_http_status =
                                     sender->stats.last_http_status };
    char line[PROGRESS_LINE_BYTES];

    if (sender->is_quiet)
        return;
    progress.rate =
        progress_rate(&sender->meter, progress.now_ms, progress.settled);
    if (console_is_terminal()) {
        progress_bar(&progress, console_columns(), line);
        console_progress(line);
    } else if (now - sender->told_ms >= PLAIN_LINE_MS) {
        progress_plain(&progress, line);
        console_say("%s", line);
        sender->told_ms = now;
    }
}

/* Three answers in a row are no accident of a proxy that is just being
 * restarted. */
static void watch_configuration(struct sender *sender)
{
    if (!sender->does_wait &&
        sender->stats.config_answers >= CONFIG_ANSWERS_MAX)
        sender->stop = SENDER_CONFIG;
}

/* Called often; looks only now and then. */
static void look(struct sender *sender)
{
    uint64_t now = now_ms();

    if (signals_count() > 0 && sender->stop == SENDER_GOES_ON) {
        sender->stop = SENDER_SIGNAL;
        phos_client_begin_shutdown(sender->client);
    }
    if (now - sender->looked_ms < LOOK_MS)
        return;
    sender->looked_ms = now;
    if (phos_client_stats(sender->client, &sender->stats) != PHOS_OK)
        return;
    watch_configuration(sender);
    show_progress(sender, now);
}

/* Sleeps until `fd` (-1: none) can be read, a signal comes or it is time to
 * look again. Returns whether `fd` is the reason. */
static bool wait_readable(int fd)
{
    struct pollfd fds[2] = { { .fd = signals_fd(), .events = POLLIN },
                             { .fd = fd, .events = POLLIN } };

    if (poll(fds, 2, LOOK_MS) <= 0)
        return false;
    if (fds[0].revents != 0)
        signals_take();
    return fds[1].revents != 0;
}

/* ---- input ---- */

static void say_broken(struct sender *sender, uint64_t line, const char *reason)
{
    sender->broken++;
    console_say("%s:%" PRIu64 ": %s", sender->name, line, reason);
    if (sender->is_strict && sender->stop == SENDER_GOES_ON)
        sender->stop = SENDER_STRICT;
}

static void say_rejected(struct sender *sender, uint64_t line,
                         phos_status status)
{
    sender->rejected++;
    if (status == PHOS_E_FULL) {
        console_say("%s:%" PRIu64 ": not taken: stopped while waiting for "
                    "room",
                    sender->name, line);
        return;
    }
    console_say("%s:%" PRIu64 ": not taken: %s%s", sender->name, line,
                phos_status_text(status),
                status == PHOS_E_TOO_LARGE
                    ? "; raise PHOS_EVENT_BYTES_MAX, and PHOS_RING_BYTES to "
                      "16 times that"
                    : "");
    if (sender->is_strict && sender->stop == SENDER_GOES_ON)
        sender->stop = SENDER_STRICT;
}

static void say_stranger(const char *key, const char *hint, void *user_data)
{
    const struct sender *sender = user_data;

    console_say("%s:%" PRIu64 ": the key \"%s\" is not part of an event and "
                "is left out, here and from now on: %s",
                sender->name, sender->line, key, hint);
}

/* Waits for room: reading must not outrun the service. */
static void log_event(struct sender *sender, const phos_event *event,
                      uint64_t line)
{
    phos_status status = phos_client_log(sender->client, event, NULL);

    while (status == PHOS_E_FULL) {
        look(sender);
        if (sender->stop != SENDER_GOES_ON)
            break;
        status = phos_client_log(sender->client, event, NULL);
    }
    if (status == PHOS_OK)
        sender->accepted++;
    else
        say_rejected(sender, line, status);
}

static void take_line(struct sender *sender, const char *line, size_t length,
                      uint64_t number)
{
    phos_event event;
    char reason[NDJSON_REASON_BYTES];

    if (number == 1 && length >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
        line += 3; /* the mark that some editors put before UTF-8 */
        length -= 3;
    }
    if (ndjson_is_blank(line, length)) {
        sender->empty++;
        return;
    }
    sender->lines++;
    sender->line = number;
    if (!ndjson_read(&sender->ndjson, line, length, say_stranger, sender,
                     &event, reason)) {
        say_broken(sender, number, reason);
        return;
    }
    event.cookie = receipts_cookie(sender->file, number);
    log_event(sender, &event, number);
}

static void take_lines(struct sender *sender, struct lines *lines, bool is_end)
{
    while (sender->stop == SENDER_GOES_ON) {
        const char *line;
        size_t length;

        switch (lines_next(lines, is_end, &line, &length)) {
        case LINES_NONE:
            return;
        case LINES_READY:
            take_line(sender, line, length, lines->number);
            break;
        case LINES_TOO_LONG:
            sender->lines++;
            say_broken(sender, lines->number, "longer than 16 MiB");
            break;
        }
        look(sender);
    }
}

/* Reads once. false: the end, or an error that was told. */
static bool read_some(struct sender *sender, int fd, struct lines *lines,
                      bool *ret_is_end)
{
    size_t room;
    char *data = lines_room(lines, &room);
    ssize_t got;

    if (data == NULL) {
        console_say("%s: out of memory", sender->name);
        sender->stop = SENDER_READ;
        return false;
    }
    got = read(fd, data, room);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (got < 0) {
        console_say("%s: cannot read on: %s", sender->name, strerror(errno));
        sender->stop = SENDER_READ;
        return false;
    }
    if (got == 0) {
        *ret_is_end = true;
        return false;
    }
    lines_filled(lines, (size_t)got);
    sender->bytes_read += (uint64_t)got;
    return true;
}

void sender_read(struct sender *sender, int fd, const char *name, size_t file)
{
    struct lines lines;
    bool is_end = false;

    sender->name = name;
    sender->file = file;
    lines_init(&lines, SENDER_LINE_BYTES_MAX);
    while (sender->stop == SENDER_GOES_ON) {
        if (wait_readable(fd)) {
            if (!read_some(sender, fd, &lines, &is_end))
                break;
            take_lines(sender, &lines, false);
        }
        look(sender);
    }
    if (is_end)
        take_lines(sender, &lines, true);
    if (sender->stop != SENDER_GOES_ON)
        console_say("%s:%" PRIu64 ": reading stopped here", name, lines.number);
    lines_deinit(&lines);
}

/* ---- the end ---- */

/* How long verdicts may take; the clock starts at the first signal anew. */
static uint64_t deadline_of(const struct sender *sender, uint64_t now)
{
    uint64_t timeout_ms = sender->close_timeout_ms;

    if (timeout_ms == SENDER_NO_DEADLINE) {
        if (signals_count() == 0)
            return UINT64_MAX;
        timeout_ms = SIGNAL_CLOSE_MS;
    }
    return now + timeout_ms;
}

static void say_stopping(const struct sender *sender, uint64_t now)
{
    char time[TEXT_NUMBER_BYTES];

    if (!sender->is_quiet)
        console_say("stopping: what was read is sent, for at most %s; "
                    "once more stops at once",
                    text_duration(deadline_of(sender, now) - now, time));
}

/* Flushes in slices, so that signals and the configuration are seen. */
static void wait_for_verdicts(struct sender *sender)
{
    uint64_t now = now_ms();
    uint64_t deadline = deadline_of(sender, now);
    unsigned signals = signals_count();

    if (signals > 0)
        say_stopping(sender, now);
    while (signals < 2 && sender->stop != SENDER_CONFIG) {
        uint64_t left = deadline > now ? deadline - now : 0;
        phos_status status =
            phos_client_flush(sender->client, PHOS_FLUSH_DELIVERED,
                              left < LOOK_MS ? (uint32_t)left : LOOK_MS);

        if (status != PHOS_E_TIMEOUT && status != PHOS_E_CONFIG)
            return;
        if (left == 0)
            return;
        if (status == PHOS_E_CONFIG)
            wait_readable(-1);
        look(sender);
        now = now_ms();
        if (signals == 0 && signals_count() > 0) {
            deadline = deadline_of(sender, now);
            say_stopping(sender, now);
        }
        signals = signals_count();
    }
}

static const char *stop_word(const struct sender *sender)
{
    switch (signals_first()) {
    case SIGINT:
        return "SIGINT";
    case SIGTERM:
        return "SIGTERM";
    case SIGHUP:
        return "SIGHUP";
    default:
        break;
    }
    switch (sender->stop) {
    case SENDER_STRICT:
        return "broken line";
    case SENDER_READ:
        return "unreadable input";
    case SENDER_CONFIG:
        return "configuration";
    case SENDER_SIGNAL:
    case SENDER_GOES_ON:
        break;
    }
    return NULL;
}

void sender_finish(struct sender *sender, struct summary *ret_summary)
{
    phos_close_report report;

    if (sender->stop != SENDER_CONFIG)
        wait_for_verdicts(sender);
    memset(&report, 0, sizeof(report));
    phos_client_close(sender->client, 0, &report);
    phos_client_stats(sender->client, &sender->stats);
    console_progress("");

    memset(ret_summary, 0, sizeof(*ret_summary));
    ret_summary->lines = sender->lines;
    ret_summary->empty = sender->empty;
    ret_summary->broken = sender->broken;
    ret_summary->rejected = sender->rejected;
    ret_summary->ledger = report.ledger;
    ret_summary->requests = sender->stats.requests;
    ret_summary->retries = sender->stats.retries;
    ret_summary->bytes_sent = sender->stats.bytes_sent;
    ret_summary->bytes_received = sender->stats.bytes_received;
    ret_summary->last_http_status = sender->stats.last_http_status;
    ret_summary->elapsed_ms = now_ms() - sender->started_ms;
    ret_summary->stopped_by = stop_word(sender);
}
