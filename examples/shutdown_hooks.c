/*
 * shutdown_hooks - a small server that loses nothing when it ends. Requests are
 * lines on standard input; each is answered by an echo in capitals, and logged.
 *
 * It ends in one of three ways:
 *
 *     SIGTERM     the handler lets the queue drain at once, the loop ends, and
 *                 main() closes with a deadline and reports
 *     end of file main() closes and reports as well
 *     "exit"      somewhere below main() exit() is called, as libraries do;
 *                 the exit hook (exit_flush_ms) closes in its place
 *
 *     export PHOS_ENDPOINT=http://127.0.0.1:8787 PHOSPHO_API_KEY=ph_...
 *     cc shutdown_hooks.c $(pkg-config --cflags --libs phos) -o server
 *     ./server
 */
#define _GNU_SOURCE /* ppoll() */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <phos/phos.h>

enum {
    CLOSE_MS = 5000, /* less than what the supervisor grants after SIGTERM */
    EXIT_FLUSH_MS = 2000
};

static phos_client *client;
static volatile sig_atomic_t is_ending;

/* Async-signal-safe: sets a flag and wakes the worker, which sends what it has
 * while the request under way is still being answered. */
static void on_sigterm(int signal_number)
{
    (void)signal_number;
    is_ending = 1;
    phos_client_begin_shutdown(client);
}

static void print_diagnostic(const phos_diagnostic *diagnostic, void *user_data)
{
    (void)user_data;
    fprintf(stderr, "phos: %s\n", diagnostic->error.text);
}

static void serve(const char *line, size_t length)
{
    char answer[1024];
    phos_event event = phos_event_default();
    phos_status status;

    if (length == 4 && memcmp(line, "exit", 4) == 0)
        exit(EXIT_SUCCESS);
    for (size_t i = 0; i < length; i++)
        answer[i] = (char)toupper((unsigned char)line[i]);
    printf("%.*s\n", (int)length, answer);
    fflush(stdout);

    event.input = phos_str_make(line, length);
    event.output = phos_str_make(answer, length);
    status = phos_client_log(client, &event, NULL);
    if (status != PHOS_OK)
        fprintf(stderr, "server: not logged: %s\n", phos_status_text(status));
}

/* Serves every whole line in `buffer`; returns the bytes that are left. */
static size_t serve_lines(char *buffer, size_t length)
{
    char *start = buffer, *end = buffer + length, *newline;

    while ((newline = memchr(start, '\n', (size_t)(end - start))) != NULL) {
        serve(start, (size_t)(newline - start));
        start = newline + 1;
    }
    memmove(buffer, start, (size_t)(end - start));
    return (size_t)(end - start);
}

/*
 * SIGTERM can only arrive inside ppoll(), where `open_mask` lets it through:
 * if it could come just before a read(), that read would wait for ever. A line
 * that does not fit ends the server, as end of file does.
 */
static void run(const sigset_t *open_mask)
{
    char buffer[1024];
    size_t length = 0;

    while (!is_ending && length < sizeof(buffer)) {
        struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
        ssize_t got;

        if (ppoll(&input, 1, NULL, open_mask) < 0) {
            if (errno == EINTR)
                continue;
            return;
        }
        got = read(STDIN_FILENO, buffer + length, sizeof(buffer) - length);
        if (got <= 0)
            return;
        length = serve_lines(buffer, length + (size_t)got);
    }
}

int main(void)
{
    phos_options options = phos_options_default();
    phos_close_report report;
    struct sigaction action = { .sa_handler = on_sigterm };
    sigset_t sigterm, open_mask;
    phos_status status;

    options.exit_flush_ms = EXIT_FLUSH_MS;
    options.on_diagnostic = print_diagnostic;
    status = phos_client_open(&options, &client);
    if (status != PHOS_OK)
        return EXIT_FAILURE; /* the diagnostic has said why */

    /* Only now, for the handler uses the client. The worker's thread has all
     * signals blocked, so they are handled here. */
    sigemptyset(&action.sa_mask);
    sigemptyset(&sigterm);
    sigaddset(&sigterm, SIGTERM);
    sigprocmask(SIG_BLOCK, &sigterm, &open_mask);
    sigaction(SIGTERM, &action, NULL);
    printf("ready\n");
    fflush(stdout);

    run(&open_mask);

    /* No signal may find a client that has been freed; SIGTERM stays blocked.
     */
    status = phos_client_close(client, CLOSE_MS, &report);
    phos_client_free(client);
    fprintf(stderr,
            "server: %" PRIu64 " accepted: %" PRIu64 " delivered, %" PRIu64
            " duplicate, %" PRIu64 " refused, %" PRIu64 " dropped, %" PRIu64
            " unknown\n",
            report.ledger.accepted, report.ledger.delivered,
            report.ledger.duplicate, report.ledger.refused,
            report.ledger.dropped, report.ledger.unknown);
    return status == PHOS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
