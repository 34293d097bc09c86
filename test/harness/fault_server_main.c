/*
 * fault-server - the fault server as a program of its own, for tests that are
 * no C programs.
 */
#define _GNU_SOURCE

#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "harness/fault_mix.h"

static const char usage[] =
    "Usage: fault-server [OPTION...]\n"
    "An ingestion service that misbehaves. Prints its port on the first line;\n"
    "at SIGTERM or SIGINT prints what it stored as one JSON object, and ends.\n"
    "\n"
    "Shares of 100 requests, drawn by --seed and the request's number:\n"
    "  --429 N  --500 N  --503 N   that status\n"
    "  --reset N                   nothing stored, connection reset\n"
    "  --cut N                     nothing stored, the reply ends in its head\n"
    "  --commit-drop N             events stored, connection reset, no reply\n"
    "  --seed N                    default 1\n"
    "  --from N  --to N            only requests with these numbers (from 1)\n"
    "  --retry-after N             seconds, sent with 429 and 503\n"
    "\n"
    "For every request:\n"
    "  --poison TEXT               a body that holds TEXT gets 422 ...\n"
    "  --poison-status N           ... or this\n"
    "  --body-max N                a larger body gets 413\n"
    "  --key KEY                   any other key gets 401\n"
    "  --status N                  the answer to all the rest; default 201\n"
    "  --redirect URL              302 to there\n"
    "  --page                      200 and a web page\n"
    "  --delay-ms N                waits before each reply\n"
    "\n"
    "  --port N                    default: any that is free\n"
    "  --unix PATH                 listens on a Unix socket instead\n"
    "  --dump FILE                 at the end, stored events as NDJSON\n"
    "  --with-stdin                ends also when standard input does\n"
    "  --help\n";

enum option_key {
    KEY_429 = 1000,
    KEY_500,
    KEY_503,
    KEY_RESET,
    KEY_CUT,
    KEY_COMMIT_DROP,
    KEY_SEED,
    KEY_FROM,
    KEY_TO,
    KEY_RETRY_AFTER,
    KEY_POISON,
    KEY_POISON_STATUS,
    KEY_BODY_MAX,
    KEY_KEY,
    KEY_STATUS,
    KEY_REDIRECT,
    KEY_PAGE,
    KEY_DELAY_MS,
    KEY_PORT,
    KEY_UNIX,
    KEY_DUMP,
    KEY_WITH_STDIN,
    KEY_HELP
};

static const struct option options[] = {
    { "429", required_argument, NULL, KEY_429 },
    { "500", required_argument, NULL, KEY_500 },
    { "503", required_argument, NULL, KEY_503 },
    { "reset", required_argument, NULL, KEY_RESET },
    { "cut", required_argument, NULL, KEY_CUT },
    { "commit-drop", required_argument, NULL, KEY_COMMIT_DROP },
    { "seed", required_argument, NULL, KEY_SEED },
    { "from", required_argument, NULL, KEY_FROM },
    { "to", required_argument, NULL, KEY_TO },
    { "retry-after", required_argument, NULL, KEY_RETRY_AFTER },
    { "poison", required_argument, NULL, KEY_POISON },
    { "poison-status", required_argument, NULL, KEY_POISON_STATUS },
    { "body-max", required_argument, NULL, KEY_BODY_MAX },
    { "key", required_argument, NULL, KEY_KEY },
    { "status", required_argument, NULL, KEY_STATUS },
    { "redirect", required_argument, NULL, KEY_REDIRECT },
    { "page", no_argument, NULL, KEY_PAGE },
    { "delay-ms", required_argument, NULL, KEY_DELAY_MS },
    { "port", required_argument, NULL, KEY_PORT },
    { "unix", required_argument, NULL, KEY_UNIX },
    { "dump", required_argument, NULL, KEY_DUMP },
    { "with-stdin", no_argument, NULL, KEY_WITH_STDIN },
    { "help", no_argument, NULL, KEY_HELP },
    { NULL, 0, NULL, 0 },
};

struct settings {
    struct fault_mix mix;
    struct fault_options server;
    const char *dump;
    bool with_stdin;
};

static void set_text(struct settings *settings, int key, const char *value)
{
    switch (key) {
    case KEY_POISON:
        settings->mix.poison = value;
        break;
    case KEY_KEY:
        settings->mix.key = value;
        break;
    case KEY_REDIRECT:
        settings->mix.redirect_to = value;
        break;
    case KEY_UNIX:
        settings->server.unix_path = value;
        break;
    case KEY_DUMP:
        settings->dump = value;
        break;
    case KEY_PAGE:
        settings->mix.sends_page = true;
        break;
    case KEY_WITH_STDIN:
        settings->with_stdin = true;
        break;
    default:
        break;
    }
}

static bool set_number(struct settings *settings, int key, uint64_t n)
{
    struct fault_mix *mix = &settings->mix;
    unsigned *const shares[] = {
        &mix->too_many, &mix->error, &mix->unavailable,
        &mix->reset,    &mix->cut,   &mix->commit_drop
    };

    if (key >= KEY_429 && key <= KEY_COMMIT_DROP) {
        *shares[key - KEY_429] = (unsigned)n;
        return true;
    }
    switch (key) {
    case KEY_SEED:
        mix->seed = n;
        return true;
    case KEY_FROM:
        mix->first = n;
        return true;
    case KEY_TO:
        mix->last = n;
        return true;
    case KEY_RETRY_AFTER:
        mix->retry_after_s = (int)n;
        return true;
    case KEY_POISON_STATUS:
        mix->poison_status = (int)n;
        return true;
    case KEY_BODY_MAX:
        mix->body_bytes_max = n;
        return true;
    case KEY_STATUS:
        mix->status = (int)n;
        return true;
    case KEY_DELAY_MS:
        mix->delay_ms = (uint32_t)n;
        return true;
    case KEY_PORT:
        settings->server.port = (uint16_t)n;
        return true;
    default:
        return false;
    }
}

static bool parse(int argc, char **argv, struct settings *settings)
{
    int key;

    while ((key = getopt_long(argc, argv, "", options, NULL)) != -1) {
        char *end = NULL;
        uint64_t number = optarg ? strtoull(optarg, &end, 10) : 0;

        if (key == KEY_HELP) {
            fputs(usage, stdout);
            exit(0);
        }
        if (key == '?')
            return false;
        if (set_number(settings, key, number)) {
            if (*optarg == '\0' || *end != '\0') {
                fprintf(stderr, "fault-server: not a number: %s\n", optarg);
                return false;
            }
        } else {
            set_text(settings, key, optarg);
        }
    }
    return optind == argc;
}

static void wait_for_the_end(int signals, bool with_stdin)
{
    struct pollfd fds[] = {
        { .fd = signals, .events = POLLIN },
        { .fd = with_stdin ? STDIN_FILENO : -1, .events = POLLIN },
    };
    char ignored[256];

    for (;;) {
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[0].revents)
            return;
        if (fds[1].revents && read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0)
            return;
    }
}

static void print_summary(struct fault_server *server,
                          const struct fault_mix *mix)
{
    size_t events = fault_server_events(server);
    uint64_t arrivals = fault_server_arrivals(server);
    json_t *by_status = json_object(), *summary;

    for (int status = 0; status < 1000; status++) {
        uint64_t count = fault_server_by_status(server, status);
        char name[8];

        if (count == 0)
            continue;
        snprintf(name, sizeof(name), "%d", status);
        json_object_set_new(by_status, status ? name : "none",
                            json_integer((json_int_t)count));
    }
    summary =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "events",
                  (json_int_t)events, "arrivals", (json_int_t)arrivals,
                  "duplicates", (json_int_t)(arrivals - events), "requests",
                  (json_int_t)fault_server_requests(server), "connections",
                  (json_int_t)fault_server_connections(server), "sent_most",
                  (json_int_t)fault_server_sent_most(server), "poison_sends",
                  (json_int_t)mix->poison_sends, "by_status", by_status);
    json_dumpf(summary, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(summary);
}

static bool dump(struct fault_server *server, const char *path)
{
    FILE *file = fopen(path, "we");
    json_t *events = fault_server_all_events(server), *event;
    const char *id;

    if (file) {
        json_object_foreach(events, id, event)
        {
            json_dumpf(event, file, JSON_COMPACT);
            fputc('\n', file);
        }
    }
    json_decref(events);
    return file && fclose(file) == 0;
}

int main(int argc, char **argv)
{
    struct settings settings = { .mix = { .seed = 1, .retry_after_s = -1 } };
    struct fault_server *server;
    sigset_t set;
    int signals;
    bool is_dumped;

    if (!parse(argc, argv, &settings)) {
        fputs("Try 'fault-server --help'.\n", stderr);
        return 2;
    }
    /* Before the first thread, so that every thread blocks them. */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC);

    settings.server.answer = fault_mix_answer;
    settings.server.user_data = &settings.mix;
    server = fault_server_start(&settings.server);
    if (signals < 0 || !server) {
        perror("fault-server");
        return 1;
    }
    printf("%u\n", fault_server_port(server));
    fflush(stdout);
    wait_for_the_end(signals, settings.with_stdin);
    fault_server_stop(server);
    print_summary(server, &settings.mix);
    is_dumped = !settings.dump || dump(server, settings.dump);
    fault_server_free(server);
    close(signals);
    return is_dumped ? 0 : 1;
}
