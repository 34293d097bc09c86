/*
 * sessions - the commands `phos sessions list` and `phos sessions get`.
 */
#include <string.h>

#include "command.h"
#include "console.h"
#include "reading.h"
#include "render.h"
#include "reply.h"

static const struct manual manual = {
    .usage = "phos sessions list [OPTION...]\n       phos sessions get ID "
             "[OPTION...]",
    .purpose = "Lists sessions, or shows one as a conversation, its events in "
               "order of time.\nOn a terminal for reading; elsewhere, and "
               "with --json, as the service sent it.",
    .examples = "  phos sessions list\n"
                "  phos sessions list --user user-42 --limit 50\n"
                "  phos sessions get user-42-1a2b3c4d\n"
                "  phos sessions get user-42-1a2b3c4d --json | jq .\n",
    .notes = NULL,
    .next = "phos sessions get ID"
};

struct sessions_settings {
    struct reading reading;
    const char *user, *model, *from, *to, *text;
    uint64_t limit; /* 0: not given */
    uint64_t offset;
};

static void add_place(const struct sessions_settings *settings,
                      struct http_query *query)
{
    if (settings->limit > 0)
        http_query_add_number(query, "limit", settings->limit);
    if (settings->offset > 0)
        http_query_add_number(query, "offset", settings->offset);
}

static int list(struct sessions_settings *settings)
{
    struct http_query query = { NULL, false };
    const json_t *sessions;
    int code;

    if (settings->limit == 0)
        settings->limit = 20;
    http_query_add(&query, "user_id", settings->user);
    http_query_add(&query, "model", settings->model);
    http_query_add(&query, "from", settings->from);
    http_query_add(&query, "to", settings->to);
    http_query_add(&query, "q", settings->text);
    add_place(settings, &query);
    code = reading_get(&settings->reading, "/api/sessions", NULL, &query);
    http_query_deinit(&query);
    if (code != EXIT_OK || reading_is_done(&settings->reading))
        return code;
    sessions = reply_list(settings->reading.json);
    if (sessions == NULL) {
        console_say("the service sent no list that phos knows; see --json");
        return EXIT_SOME;
    }
    render_sessions(stdout, sessions);
    reading_print_place(&settings->reading, json_array_size(sessions),
                        settings->offset);
    return EXIT_OK;
}

static int get(struct sessions_settings *settings, const char *id)
{
    struct http_query query = { NULL, false };
    const json_t *session;
    int code;

    add_place(settings, &query);
    code = reading_get(&settings->reading, "/api/sessions", id, &query);
    http_query_deinit(&query);
    if (code != EXIT_OK || reading_is_done(&settings->reading))
        return code;
    session = reply_object(settings->reading.json, "session");
    if (session == NULL) {
        console_say("the service sent no session that phos knows; see --json");
        return EXIT_SOME;
    }
    render_session(stdout, session,
                   json_is_array(json_object_get(session, "events"))
                       ? json_object_get(session, "events")
                       : reply_list(settings->reading.json));
    return EXIT_OK;
}

int sessions_command(int argc, char **argv)
{
    struct sessions_settings settings = { .limit = 0 };
    struct option options[] = {
        TEXT_OPTION("user", "ID", &settings.user, NULL, "only of this user"),
        TEXT_OPTION("model", "NAME", &settings.model, NULL,
                    "only with an event of this model"),
        TEXT_OPTION("from", "TIME", &settings.from, NULL,
                    "not older than this, ISO 8601"),
        TEXT_OPTION("to", "TIME", &settings.to, NULL,
                    "older than this, ISO 8601"),
        TEXT_OPTION("q", "TEXT", &settings.text, NULL,
                    "only with this text in an event"),
        NUMBER_OPTION("limit", 1, 1000000, &settings.limit, NULL,
                      "at most so many sessions (20), or events of one"),
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

    if (!options_begin(options, option_count, "phos sessions", &manual, argc,
                       argv, &operands, &code))
        return code;
    if (operands == 1 && strcmp(argv[1], "list") == 0)
        code = list(&settings);
    else if (operands == 2 && strcmp(argv[1], "get") == 0 && argv[2][0] != '\0')
        code = get(&settings, argv[2]);
    else
        fputs("phos sessions: what? 'list', or 'get' and one ID\n"
              "Try 'phos sessions --help'.\n",
              stderr);
    reading_deinit(&settings.reading);
    return code;
}
