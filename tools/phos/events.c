/*
 * events - the commands `phos events list` and `phos events get`.
 */
#include <string.h>

#include "command.h"
#include "console.h"
#include "reading.h"
#include "render.h"
#include "reply.h"

static const struct manual manual = {
    .usage = "phos events list [OPTION...]\n       phos events get ID "
             "[OPTION...]",
    .purpose = "Lists events, newest first, or shows one whole. On a terminal "
               "as a table;\nelsewhere, and with --json, as the service sent "
               "it.",
    .examples =
        "  phos events list\n"
        "  phos events list --user user-42 --from 2025-01-31 --limit 50\n"
        "  phos events list --q refund --model gpt-4\n"
        "  phos events get 6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10\n"
        "  phos events list --json | jq -c '.events[]' > events.ndjson\n",
    .notes = NULL,
    .next = "phos sessions list"
};

struct events_settings {
    struct reading reading;
    const char *session, *user, *model, *flag, *tag, *from, *to, *text;
    uint64_t limit, offset;
};

static int list(struct events_settings *settings)
{
    struct http_query query = { NULL, false };
    const json_t *events;
    int code;

    http_query_add(&query, "session_id", settings->session);
    http_query_add(&query, "user_id", settings->user);
    http_query_add(&query, "model", settings->model);
    http_query_add(&query, "flag", settings->flag);
    http_query_add(&query, "tag", settings->tag);
    http_query_add(&query, "from", settings->from);
    http_query_add(&query, "to", settings->to);
    http_query_add(&query, "q", settings->text);
    http_query_add_number(&query, "limit", settings->limit);
    if (settings->offset > 0)
        http_query_add_number(&query, "offset", settings->offset);
    code = reading_get(&settings->reading, "/api/events", NULL, &query);
    http_query_deinit(&query);
    if (code != EXIT_OK || reading_is_done(&settings->reading))
        return code;
    events = reply_list(settings->reading.json);
    if (events == NULL) {
        console_say("the service sent no list that phos knows; see --json");
        return EXIT_SOME;
    }
    render_events(stdout, events, reading_columns());
    reading_print_place(&settings->reading, json_array_size(events),
                        settings->offset);
    return EXIT_OK;
}

static int get(struct events_settings *settings, const char *id)
{
    const json_t *event;
    int code = reading_get(&settings->reading, "/api/events", id, NULL);

    if (code != EXIT_OK || reading_is_done(&settings->reading))
        return code;
    event = reply_object(settings->reading.json, "event");
    if (event == NULL) {
        console_say("the service sent no event that phos knows; see --json");
        return EXIT_SOME;
    }
    render_event(stdout, event);
    return EXIT_OK;
}

int events_command(int argc, char **argv)
{
    struct events_settings settings = { .limit = 20 };
    struct option options[] = {
        TEXT_OPTION("session", "ID", &settings.session, NULL,
                    "only of this session"),
        TEXT_OPTION("user", "ID", &settings.user, NULL, "only of this user"),
        TEXT_OPTION("model", "NAME", &settings.model, NULL,
                    "only of this model"),
        TEXT_OPTION("flag", "FLAG", &settings.flag, NULL,
                    "only with this feedback: success or failure"),
        TEXT_OPTION("tag", "TAG", &settings.tag, NULL, "only with this tag"),
        TEXT_OPTION("from", "TIME", &settings.from, NULL,
                    "not older than this, ISO 8601"),
        TEXT_OPTION("to", "TIME", &settings.to, NULL,
                    "older than this, ISO 8601"),
        TEXT_OPTION("q", "TEXT", &settings.text, NULL,
                    "only with this text in input or output"),
        NUMBER_OPTION("limit", 1, 1000000, &settings.limit, NULL,
                      "at most so many (20)"),
        NUMBER_OPTION("offset", 0, INT64_MAX, &settings.offset, NULL,
                      "leave out the first so many"),
        FLAG_OPTION("json", &settings.reading.as_json,
                    "as the service sent it"),
        FLAG_OPTION("text", &settings.reading.as_text,
                    "for reading, also where no terminal is"),
        ENDPOINT_OPTION(&settings.reading.connection),
        API_KEY_FILE_OPTION(&settings.reading.connection),
        API_KEY_OPTION(&settings.reading.connection)
    };
    const size_t option_count = sizeof(options) / sizeof(options[0]);
    size_t operands;
    int code = EXIT_USAGE;

    if (!options_begin(options, option_count, "phos events", &manual, argc,
                       argv, &operands, &code))
        return code;
    if (operands == 1 && strcmp(argv[1], "list") == 0)
        code = list(&settings);
    else if (operands == 2 && strcmp(argv[1], "get") == 0 && argv[2][0] != '\0')
        code = get(&settings, argv[2]);
    else
        fputs("phos events: what? 'list', or 'get' and one ID\n"
              "Try 'phos events --help'.\n",
              stderr);
    reading_deinit(&settings.reading);
    return code;
}
