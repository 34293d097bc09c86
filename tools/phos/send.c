/*
 * send - the command `phos send`: options, files, the client, and the words at
 * the end. The run itself is sender.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "connection.h"
#include "console.h"
#include "receipts.h"
#include "sender.h"
#include "signals.h"

static const struct manual manual = {
    .usage = "phos send [OPTION...] [FILE...]",
    .purpose =
        "Sends events from files, or from standard input, to an ingestion "
        "service.\nEach line is one event, a JSON object; a broken line is "
        "reported and the\nrest goes on. Without FILE, and where FILE is -, "
        "standard input is read.",
    .examples =
        "  phos send events.ndjson\n"
        "  phos send --endpoint https://co-phospho.nanocorp.app "
        "--api-key-file ~/.phospho-key day-*.ndjson\n"
        "  tail -n +1 -f app.ndjson | phos send --linger-ms 1000\n"
        "  echo '{\"input\": \"How tall is K2?\", \"output\": \"8,611 m.\"}' |"
        " phos send\n"
        "  phos send --json --quiet events.ndjson | jq .delivered\n",
    .notes =
        "An event: \"input\" and \"output\" (strings, required); \"event_id\" "
        "(a UUID),\n\"session_id\", \"project_id\", \"timestamp\" (ISO 8601, "
        "UTC without a zone);\n\"metadata\" with \"model\", \"provider\", "
        "\"user_id\", \"latency_ms\",\n\"token_count_input\", "
        "\"token_count_output\", \"cost_cents\", \"tags\",\n\"traceparent\" "
        "and keys of your own, which arrive as they are, numbers digit by "
        "digit. null leaves "
        "a\nfield out. Other keys beside \"metadata\" are left out, which is "
        "said once\nfor each. Bytes that are no UTF-8 become U+FFFD. A line "
        "has at most 16 MiB.\n\n"
        "An event with an event_id can be sent again safely: the service "
        "keeps one.\n\n"
        "While the service is away events wait for it, an hour at most; "
        "PHOS_AGE_MAX_MS\nsays otherwise, 0 is for ever.\n\n"
        "Ctrl-C ends reading and sends what was read; a second one stops at "
        "once.\n\n"
        "What else can be set is read from the environment: PHOS_PROXY, "
        "PHOS_CA_FILE,\nPHOS_UNIX_SOCKET_PATH, PHOS_GZIP_LEVEL, "
        "PHOS_ALLOW_PLAIN_HTTP, PHOS_AGE_MAX_MS,\nPHOS_RETRY_BASE_MS, "
        "PHOS_RETRY_CAP_MS, PHOS_BATCH_BYTES_MAX, PHOS_RING_BYTES,\n"
        "PHOS_EVENT_BYTES_MAX, PHOS_DEDUPE_WINDOW, PHOS_CONNECT_TIMEOUT_MS,\n"
        "PHOS_REQUEST_TIMEOUT_MS.\n\n"
        "Exit codes: 0 all delivered (duplicates included), 1 some not, 2 "
        "wrong usage,\n3 wrong configuration (no or a refused key, a wrong "
        "endpoint), 130 Ctrl-C,\n143 SIGTERM.\n",
    .next = "phos events list --limit 5"
};

struct send_settings {
    struct connection connection;
    const char *project_id;
    const char *refused_path;
    uint64_t linger_ms, batch, in_flight, rate;
    uint64_t close_timeout_ms;
    bool is_strict, does_wait, is_quiet, as_json;
};

/* ---- input files ---- */

struct inputs {
    char **names;
    size_t count;
    uint64_t bytes_total; /* 0: not all are regular files */
};

static bool is_standard_input(const char *name)
{
    return strcmp(name, "-") == 0;
}

/* false, with errno: it is closed, or a place to write to. */
static bool can_read_standard_input(struct stat *ret_info)
{
    int flags = fcntl(STDIN_FILENO, F_GETFL);

    if (flags != -1 && (flags & O_ACCMODE) == O_WRONLY) {
        errno = EBADF;
        return false;
    }
    return flags != -1 && fstat(STDIN_FILENO, ret_info) == 0;
}

/* Looks at all files before anything is sent: a mistyped name is better found
 * now than after an hour. */
static bool look_at_inputs(struct inputs *inputs)
{
    bool is_total_known = true;
    bool is_stdin_met = false;

    for (size_t i = 0; i < inputs->count; i++) {
        const char *name = inputs->names[i];
        bool is_stdin = is_standard_input(name);
        struct stat info;

        if (is_stdin && is_stdin_met) {
            console_say("standard input can be read only once");
            return false;
        }
        is_stdin_met |= is_stdin;
        if ((is_stdin ? !can_read_standard_input(&info)
                      : stat(name, &info) != 0 || access(name, R_OK) != 0)) {
            console_say("%s: %s; nothing was sent",
                        is_stdin ? "standard input" : name, strerror(errno));
            return false;
        }
        if (S_ISDIR(info.st_mode)) {
            console_say("%s: is a directory; nothing was sent", name);
            return false;
        }
        if (S_ISREG(info.st_mode))
            inputs->bytes_total += (uint64_t)info.st_size;
        else
            is_total_known = false;
    }
    if (!is_total_known)
        inputs->bytes_total = 0;
    return true;
}

static void read_inputs(struct sender *sender, const struct inputs *inputs)
{
    for (size_t i = 0; i < inputs->count && sender->stop == SENDER_GOES_ON;
         i++) {
        const char *name = inputs->names[i];
        int fd = STDIN_FILENO;

        if (is_standard_input(name))
            name = "stdin";
        else
            fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0) {
            console_say("%s: %s", name, strerror(errno));
            sender->stop = SENDER_READ;
            return;
        }
        sender_read(sender, fd, name, i);
        if (fd != STDIN_FILENO)
            close(fd);
    }
}

/* ---- the client ---- */

struct callbacks {
    struct receipts receipts;
    bool is_quiet;
};

static void on_receipts(const phos_receipt *receipts, size_t count,
                        void *user_data)
{
    struct callbacks *callbacks = user_data;

    receipts_take(receipts, count, &callbacks->receipts);
}

static void on_refused(const phos_receipt *receipt, phos_str event_json,
                       void *user_data)
{
    struct callbacks *callbacks = user_data;

    receipts_take_refused(receipt, event_json, &callbacks->receipts);
}

static void on_diagnostic(const phos_diagnostic *diagnostic, void *user_data)
{
    const struct callbacks *callbacks = user_data;

    /* Lines that are lost are told one by one, with their numbers. */
    if (diagnostic->code == PHOS_DIAGNOSTIC_LOST)
        return;
    if (!callbacks->is_quiet || diagnostic->severity == PHOS_SEVERITY_ERROR)
        console_say("%s", diagnostic->error.text);
}

static phos_str view(const char *text)
{
    return text == NULL ? phos_str_make(NULL, 0)
                        : phos_str_make(text, strlen(text));
}

/* What was not given keeps its default, so that the library may take it from
 * the environment. */
static phos_options options_of(const struct send_settings *settings,
                               struct callbacks *callbacks)
{
    phos_options options = phos_options_default();

    options.endpoint = view(settings->connection.endpoint);
    options.api_key = view(settings->connection.api_key);
    options.project_id = view(settings->project_id);
    options.linger_ms = (uint32_t)settings->linger_ms;
    options.batch_events_max = (uint32_t)settings->batch;
    options.in_flight_max = (uint32_t)settings->in_flight;
    options.events_per_minute = (uint32_t)settings->rate;
    /* Short enough that a signal is seen in time; see sender.c. */
    options.full_wait_ms = 100;
    options.high_water_percent =
        0; /* files are read as fast as there is room */
    options.user_agent = PHOS_STR("phos/" PHOS_VERSION_TEXT);
    options.on_receipts = on_receipts;
    options.on_refused = on_refused;
    options.on_diagnostic = on_diagnostic;
    options.user_data = callbacks;
    return options;
}

static struct send_settings default_settings(void)
{
    phos_options options = phos_options_default();
    struct send_settings settings;

    memset(&settings, 0, sizeof(settings));
    settings.linger_ms = options.linger_ms;
    settings.batch = options.batch_events_max;
    settings.in_flight = options.in_flight_max;
    settings.rate = options.events_per_minute;
    settings.close_timeout_ms = SENDER_NO_DEADLINE;
    return settings;
}

/* ---- the words at the end ---- */

/* Why is said by the library's own line above; this is where to mend it. */
static const char *place_of(int http_status)
{
    if (http_status == 401 || http_status == 403)
        return "Check --api-key-file, --api-key or PHOSPHO_API_KEY";
    if (http_status >= 300 && http_status < 400)
        return "Give the final address with --endpoint";
    if (http_status != 0)
        return "Check --endpoint";
    return "Check --endpoint, PHOS_PROXY and PHOS_CA_FILE";
}

static void say_config_stop(const struct sender *sender)
{
    const phos_error *error = &sender->stats.last_error;
    int http_status = error->origin == PHOS_ORIGIN_HTTP ? error->code : 0;

    console_say("stopped: %s. %s; with --wait phos goes on trying", error->text,
                place_of(http_status));
}

/* What was given up has its place in the input above; this is why. */
static void say_last_problem(const struct sender *sender,
                             const struct summary *summary)
{
    if (summary->ledger.dropped + summary->ledger.unknown > 0 &&
        sender->stats.last_error.status != PHOS_OK)
        console_say("the last problem with the service was: %s",
                    sender->stats.last_error.text);
}

static int exit_code_of(const struct sender *sender,
                        const struct summary *summary)
{
    if (signals_first() != 0)
        return EXIT_SIGNAL + signals_first();
    if (sender->stop == SENDER_CONFIG)
        return EXIT_CONFIG;
    if (sender->stop != SENDER_GOES_ON || !summary_is_whole(summary))
        return EXIT_SOME;
    return EXIT_OK;
}

static int run(const struct send_settings *settings,
               const struct inputs *inputs, struct callbacks *callbacks,
               phos_client *client)
{
    struct sender sender;
    struct summary summary;

    sender_init(&sender, client);
    sender.is_strict = settings->is_strict;
    sender.is_quiet = settings->is_quiet;
    sender.does_wait = settings->does_wait;
    sender.close_timeout_ms = settings->close_timeout_ms;
    sender.bytes_total = inputs->bytes_total;

    read_inputs(&sender, inputs);
    sender_finish(&sender, &summary);
    receipts_tell_lost(&callbacks->receipts);
    if (sender.stop == SENDER_CONFIG)
        say_config_stop(&sender);
    else
        say_last_problem(&sender, &summary);
    summary.exit_code = exit_code_of(&sender, &summary);
    if (settings->as_json)
        summary_print_json(stdout, &summary);
    else if (!settings->is_quiet)
        summary_print(stdout, &summary);
    sender_deinit(&sender);
    return summary.exit_code;
}

/* The library's own message, with the option's name, stands above. */
static void say_not_started(phos_status status)
{
    if (status == PHOS_E_INVALID)
        console_say("cannot start with that; nothing was sent");
    else if (status == PHOS_E_INSECURE)
        console_say("cannot start: anyone between could read the key. Give an "
                    "https address with --endpoint or, in a network of your "
                    "own, set PHOS_ALLOW_PLAIN_HTTP=1; nothing was sent");
    else
        console_say("cannot start: %s; nothing was sent",
                    phos_status_text(status));
}

static bool is_configuration(phos_status status)
{
    return status == PHOS_E_INVALID || status == PHOS_E_INSECURE ||
           status == PHOS_E_UNSUPPORTED;
}

static int open_and_run(const struct send_settings *settings,
                        const struct inputs *inputs)
{
    struct callbacks callbacks = { .is_quiet = settings->is_quiet };
    phos_options options = options_of(settings, &callbacks);
    phos_client *client = NULL;
    phos_status status;
    int code;

    /* They are for programs that log beside their work; this one is asked to
     * send. */
    unsetenv("PHOS_ENABLED");
    unsetenv("PHOS_SAMPLE_RATE");
    receipts_init(&callbacks.receipts, (const char *const *)inputs->names);
    if (settings->refused_path != NULL) {
        callbacks.receipts.refused_file = fopen(settings->refused_path, "ae");
        if (callbacks.receipts.refused_file == NULL) {
            console_say("cannot write %s: %s; nothing was sent",
                        settings->refused_path, strerror(errno));
            receipts_deinit(&callbacks.receipts);
            return EXIT_USAGE;
        }
    }
    status = phos_client_open(&options, &client);
    if (status == PHOS_OK) {
        code = run(settings, inputs, &callbacks, client);
    } else {
        say_not_started(status);
        code = is_configuration(status) ? EXIT_CONFIG : EXIT_SOME;
    }
    phos_client_free(client);
    if (callbacks.receipts.refused_file != NULL)
        fclose(callbacks.receipts.refused_file);
    receipts_deinit(&callbacks.receipts);
    return code;
}

int send_command(int argc, char **argv)
{
    struct send_settings settings = default_settings();
    struct option options[] = {
        ENDPOINT_OPTION(&settings.connection),
        API_KEY_FILE_OPTION(&settings.connection),
        API_KEY_OPTION(&settings.connection),
        TEXT_OPTION("project-id", "ID", &settings.project_id,
                    "PHOSPHO_PROJECT_ID",
                    "for events without one; PHOSPHO_PROJECT_ID"),
        NUMBER_OPTION("linger-ms", 0, 3600000, &settings.linger_ms,
                      "PHOS_LINGER_MS",
                      "longest wait of an event for company (500);\n"
                      "PHOS_LINGER_MS"),
        NUMBER_OPTION("batch", 1, 100, &settings.batch, "PHOS_BATCH_EVENTS_MAX",
                      "events in a request, 1 to 100 (100);\n"
                      "PHOS_BATCH_EVENTS_MAX"),
        NUMBER_OPTION("in-flight", 1, 16, &settings.in_flight,
                      "PHOS_IN_FLIGHT_MAX",
                      "requests at a time, 1 to 16 (4);\n"
                      "PHOS_IN_FLIGHT_MAX"),
        NUMBER_OPTION("rate", 0, 1000000000, &settings.rate,
                      "PHOS_EVENTS_PER_MINUTE",
                      "events a minute at most; 0: as many as the\n"
                      "service takes (0); PHOS_EVENTS_PER_MINUTE"),
        NUMBER_OPTION("close-timeout-ms", 0, 86400000,
                      &settings.close_timeout_ms, NULL,
                      "longest wait for the last verdicts (no limit;\n"
                      "after a signal 5000)"),
        TEXT_OPTION("refused", "FILE", &settings.refused_path, NULL,
                    "append events that the service refuses, one a\n"
                    "line, as they were sent"),
        FLAG_OPTION("strict", &settings.is_strict,
                    "stop reading at the first broken line"),
        FLAG_OPTION("wait", &settings.does_wait,
                    "go on trying while the service refuses key or\n"
                    "endpoint; else three such answers end it"),
        FLAG_OPTION("quiet", &settings.is_quiet,
                    "no progress and no summary, only problems"),
        FLAG_OPTION("json", &settings.as_json, "the summary as one JSON object")
    };
    const size_t option_count = sizeof(options) / sizeof(options[0]);
    static char dash[] = "-";
    char *standard_input[] = { dash };
    struct inputs inputs = { standard_input, 1, 0 };
    size_t operands;
    int code;

    if (!options_begin(options, option_count, "phos send", &manual, argc, argv,
                       &operands, &code))
        return code;
    if (operands > RECEIPTS_FILES_MAX) {
        console_say("at most %d files at a time", RECEIPTS_FILES_MAX);
        return EXIT_USAGE;
    }
    if (operands > 0) {
        inputs.names = argv + 1;
        inputs.count = operands;
    }
    if (!look_at_inputs(&inputs))
        return EXIT_USAGE;
    if (operands == 0 && !settings.is_quiet && isatty(STDIN_FILENO) == 1)
        console_say("reading events from this terminal, one a line; Ctrl-D "
                    "ends the input");
    if (!signals_catch()) {
        console_say("cannot catch signals: %s", strerror(errno));
        return EXIT_SOME;
    }
    code = connection_resolve(&settings.connection)
               ? open_and_run(&settings, &inputs)
               : EXIT_CONFIG;
    connection_deinit(&settings.connection);
    return code;
}
