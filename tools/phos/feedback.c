/*
 * feedback - the command `phos feedback`: says of one event whether its answer
 * was a success.
 */
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "console.h"
#include "phos/event.h"
#include "reading.h"
#include "repair.h"
#include "reply.h"

static const struct manual manual = {
    .usage = "phos feedback EVENT_ID success|failure [OPTION...]",
    .purpose = "Says of one event whether its answer was a success. Given "
               "again, it replaces\nwhat was said before.",
    .examples = "  phos feedback 6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10 success\n"
                "  phos feedback 6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10 failure "
                "--comment 'wrong mountain'\n"
                "  phos feedback \"$id\" failure --source nightly-check\n",
    .notes =
        "EVENT_ID is the UUID that the event was sent with; 'phos events "
        "list' shows it.\n\nExit codes: 0 recorded, 1 not recorded (there is "
        "no such event, no answer),\n2 wrong usage, 3 wrong configuration "
        "(no or a refused key, a wrong endpoint).\n",
    .next = "phos events list --flag failure"
};

struct feedback_settings {
    struct reading reading;
    const char *comment, *source;
};

/* Adds a text, made UTF-8 if it is not; NULL adds nothing. */
static bool add(json_t *body, const char *name, const char *text)
{
    struct repair repair = { NULL, 0 };
    const char *whole;
    size_t length;
    bool is_added;

    if (text == NULL)
        return true;
    is_added =
        repair_text(&repair, text, strlen(text), &whole, &length) &&
        json_object_set_new(body, name, json_stringn(whole, length)) == 0;
    repair_deinit(&repair);
    return is_added;
}

/* To be freed; NULL without memory. */
static char *body_of(const struct feedback_settings *settings, const char *id,
                     const char *flag)
{
    json_t *body = json_object();
    char *text = NULL;

    if (add(body, "event_id", id) && add(body, "flag", flag) &&
        add(body, "comment", settings->comment) &&
        add(body, "source", settings->source))
        text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    return text;
}

/* A service may answer without a body: its API page names none. */
static bool is_bare_success(const struct http_reply *reply)
{
    return reply->status >= 200 && reply->status < 300 && reply->length == 0;
}

static int tell(struct feedback_settings *settings, const char *id,
                const char *flag)
{
    struct reading *reading = &settings->reading;
    int code =
        is_bare_success(&reading->reply) ? EXIT_OK : reading_judge(reading);

    if (reading->reply.status == 404)
        console_say("nothing was recorded: check EVENT_ID, whether the key is "
                    "of the project that the event was sent to, and "
                    "--endpoint; an event that was logged just now may still "
                    "be on its way");
    if (code != EXIT_OK)
        return code;
    if (!reading->as_json)
        printf("%s: %s\n", id, flag);
    else if (reading->reply.length == 0)
        puts("{}");
    else
        reading_print_json(reading);
    return EXIT_OK;
}

static int give(struct feedback_settings *settings, const phos_event_id *id,
                const char *flag)
{
    char id_text[PHOS_EVENT_ID_TEXT_LENGTH + 1];
    char *body;

    if (!connection_resolve(&settings->reading.connection))
        return EXIT_CONFIG;
    phos_event_id_to_text(id, id_text);
    body = body_of(settings, id_text, flag);
    if (body == NULL) {
        console_say("out of memory");
        return EXIT_SOME;
    }
    http_post(&settings->reading.connection, "/api/feedback", body,
              &settings->reading.reply);
    free(body);
    return tell(settings, id_text, flag);
}

static bool read_operands(char **argv, size_t operands, phos_event_id *ret_id)
{
    if (operands != 2) {
        fputs("phos feedback: what? An EVENT_ID, then 'success' or 'failure'\n",
              stderr);
        return false;
    }
    if (phos_event_id_from_text(phos_str_make(argv[1], strlen(argv[1])),
                                ret_id) != PHOS_OK) {
        fputs("phos feedback: EVENT_ID is a UUID, such as "
              "6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10\n",
              stderr);
        return false;
    }
    if (strcmp(argv[2], "success") != 0 && strcmp(argv[2], "failure") != 0) {
        fputs("phos feedback: say 'success' or 'failure' of the event\n",
              stderr);
        return false;
    }
    return true;
}

int feedback_command(int argc, char **argv)
{
    struct feedback_settings settings = { .source = "user" };
    struct option options[] = {
        TEXT_OPTION("comment", "TEXT", &settings.comment, NULL,
                    "why, in words"),
        TEXT_OPTION("source", "NAME", &settings.source, NULL,
                    "who says so (user)"),
        FLAG_OPTION("json", &settings.reading.as_json,
                    "print what the service answers"),
        ENDPOINT_OPTION(&settings.reading.connection),
        API_KEY_FILE_OPTION(&settings.reading.connection),
        API_KEY_OPTION(&settings.reading.connection)
    };
    const size_t option_count = sizeof(options) / sizeof(options[0]);
    phos_event_id id;
    size_t operands;
    int code;

    if (!options_begin(options, option_count, "phos feedback", &manual, argc,
                       argv, &operands, &code))
        return code;
    if (!read_operands(argv, operands, &id)) {
        fputs("Try 'phos feedback --help'.\n", stderr);
        return EXIT_USAGE;
    }
    code = give(&settings, &id, argv[2]);
    reading_deinit(&settings.reading);
    return code;
}
