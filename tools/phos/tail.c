/*
 * tail - the command `phos tail`: shows events as they arrive, by asking again
 * and again.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "console.h"
#include "follow.h"
#include "instant.h"
#include "raw.h"
#include "reading.h"
#include "render.h"
#include "repair.h"
#include "reply.h"
#include "signals.h"
#include "text.h"

static const struct manual manual = {
    .usage = "phos tail [OPTION...]",
    .purpose = "Shows the last events, then others as they arrive, until "
               "Ctrl-C. On a terminal\nfor reading; elsewhere, and with "
               "--json, as the service sent them, one a line.",
    .examples = "  phos tail\n"
                "  phos tail --user user-42 --last 0\n"
                "  phos tail --from 2025-01-31 --json > events.ndjson\n"
                "  phos tail --flag failure --json | jq -r .input\n"
                "  phos tail --last 0 --count 1    # waits for the next one\n",
    .notes =
        "Services list events by their own time stamps. One that is dated "
        "more than five\nminutes before the newest one counts as old and is "
        "not shown.\n\nWhile the service does not answer, phos tries again, "
        "after longer and longer\nwaits, up to 30 s or what the service asks "
        "for.\n\nExit codes: 0 --count is reached, 1 the service refuses the "
        "request, 2 wrong\nusage, 3 wrong configuration (no or a refused key, "
        "a wrong endpoint), 130 Ctrl-C,\n143 SIGTERM.\n",
    .next = "phos events get ID"
};

enum {
    PAGE_EVENTS = 100,
    PAGES_MAX = 50, /* of one round */
    WAIT_MAX_MS = 30000,
    RETRY_AFTER_MAX_S = 3600
};

struct tail {
    struct reading reading;
    const char *session, *user, *model, *flag, *tag, *from, *text;
    uint64_t interval_ms, last, count;

    struct follow follow;
    json_t *fresh; /* of this round, newest first: [event, its text] */
    uint64_t shown;
    uint64_t wait_ms;
    bool has_begun;      /* a round was answered */
    bool is_failing;     /* said so */
    bool is_reader_gone; /* of a pipe that standard output is */
    int code;            /* why it ends; EXIT_OK: it does not yet */
};

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- asking ---- */

static void ask(struct tail *tail, const char *from, size_t offset)
{
    struct http_query query = { NULL, false };

    http_query_add(&query, "session_id", tail->session);
    http_query_add(&query, "user_id", tail->user);
    http_query_add(&query, "model", tail->model);
    http_query_add(&query, "flag", tail->flag);
    http_query_add(&query, "tag", tail->tag);
    http_query_add(&query, "q", tail->text);
    http_query_add(&query, "from", from);
    http_query_add_number(&query, "limit", PAGE_EVENTS);
    if (offset > 0)
        http_query_add_number(&query, "offset", offset);
    json_decref(tail->reading.json);
    tail->reading.json = NULL;
    http_reply_deinit(&tail->reading.reply);
    http_get(&tail->reading.connection, "/api/events", NULL, &query,
             &tail->reading.reply);
    http_query_deinit(&query);
}

/* Whether asking later may help. */
static bool may_pass(const struct http_reply *reply)
{
    long status = reply->status;

    return (status == 0 && !reply->is_misconfigured) || status == 408 ||
           status == 425 || status == 429 ||
           (status >= 500 && status != 501 && status != 505);
}

/* Says it once, and sets the next wait. */
static void put_off(struct tail *tail)
{
    const struct http_reply *reply = &tail->reading.reply;
    uint64_t asked_s =
        reply->retry_after_s > 0 ? (uint64_t)reply->retry_after_s : 0;

    if (!tail->is_failing && reply->status == 0)
        console_say("%s; trying again", reply->problem);
    else if (!tail->is_failing)
        console_say("the service answers HTTP %ld; trying again",
                    reply->status);
    tail->is_failing = true;
    tail->wait_ms *= 2;
    if (tail->wait_ms > WAIT_MAX_MS)
        tail->wait_ms = WAIT_MAX_MS;
    if (asked_s > RETRY_AFTER_MAX_S)
        asked_s = RETRY_AFTER_MAX_S;
    if (tail->wait_ms < asked_s * 1000)
        tail->wait_ms = asked_s * 1000;
}

/* The list of one page; NULL: none came, and tail->code or tail->wait_ms
 * tells how to go on. */
static const json_t *get_page(struct tail *tail, const char *from,
                              size_t offset)
{
    const json_t *events;

    ask(tail, from, offset);
    if (signals_count() > 0)
        return NULL;
    if (may_pass(&tail->reading.reply)) {
        put_off(tail);
        return NULL;
    }
    tail->code = reading_judge(&tail->reading);
    if (tail->code != EXIT_OK)
        return NULL;
    events = reply_list(tail->reading.json);
    if (events == NULL) {
        console_say("the service sent no list that phos knows");
        tail->code = EXIT_SOME;
        return NULL;
    }
    if (tail->is_failing)
        console_say("the service answers again");
    tail->is_failing = false;
    tail->wait_ms = tail->interval_ms;
    return events;
}

/* ---- what is new ---- */

static int64_t time_of(const struct tail *tail, const json_t *event)
{
    static const char *const names[] = { "timestamp", "created_at",
                                         "received_at", NULL };
    const char *text = reply_text(event, names);
    int64_t us;

    if (text != NULL && instant_read(text, strlen(text), &us))
        return us;
    return tail->follow.has_newest ? tail->follow.newest_us : 0;
}

static bool take(struct tail *tail, const json_t *event, phos_str text)
{
    static const char *const names[] = { "event_id", "id", NULL };
    const char *id = reply_text(event, names);
    json_t *whole = json_stringn(text.data, text.length);
    bool is_new =
        follow_take(&tail->follow, id != NULL ? id : json_string_value(whole),
                    time_of(tail, event));

    if (is_new)
        json_array_append_new(tail->fresh, json_pack("[O, O]", event, whole));
    json_decref(whole);
    return is_new;
}

/* Takes the new ones of a page; returns how many. */
static size_t take_page(struct tail *tail, const json_t *events)
{
    const struct http_reply *reply = &tail->reading.reply;
    struct repair repair = { NULL, 0 };
    phos_str text, list, element;
    const json_t *event;
    size_t at = 0;
    size_t taken = 0;
    size_t i;

    /* The text is read the way it was parsed. */
    if (!repair_text(&repair, reply->body, reply->length, &text.data,
                     &text.length))
        return 0;
    list = reply_list_text(tail->reading.json, text);
    json_array_foreach((json_t *)events, i, event)
    {
        element = raw_element(list, &at);
        taken += take(tail, event, element);
    }
    repair_deinit(&repair);
    return taken;
}

/* Whether the pages so far hold all that is new. */
static bool is_enough(const struct tail *tail, size_t size, size_t taken)
{
    static const char *const names[] = { "total", "total_count", NULL };
    double total;

    if (size == 0)
        return true;
    /* The service's count of the window tells of late ones further on. */
    if (json_is_object(tail->reading.json) &&
        reply_number(tail->reading.json, names, &total))
        return (double)follow_known(&tail->follow) >= total;
    return taken == 0 || size < PAGE_EVENTS;
}

/* From here on only what comes after the oldest event of this round. */
static void forget_older(struct tail *tail)
{
    size_t size = json_array_size(tail->fresh);

    if (size > 0)
        follow_set_floor(
            &tail->follow,
            time_of(tail,
                    json_array_get(json_array_get(tail->fresh, size - 1), 0)));
}

static void collect(struct tail *tail)
{
    char window[FOLLOW_TIME_BYTES];
    bool is_window = follow_begin(&tail->follow, now_us(), window);
    const char *from = is_window ? window : tail->from;
    bool is_only_first = !tail->has_begun && tail->from == NULL;
    size_t offset = 0;

    for (unsigned page = 0; page < PAGES_MAX; page++) {
        const json_t *events = get_page(tail, from, offset);
        size_t size = json_array_size(events);
        size_t taken;

        if (events == NULL)
            return;
        taken = take_page(tail, events);
        tail->has_begun = true;
        if (is_enough(tail, size, taken))
            return;
        if (is_only_first) {
            forget_older(tail);
            return;
        }
        offset += size;
    }
    console_say("more than %d events at once; older ones are left out",
                PAGES_MAX * PAGE_EVENTS);
    forget_older(tail);
}

/* ---- showing ---- */

static void print_line(const char *text, size_t length)
{
    char *line = strndup(text, length);

    if (line == NULL)
        return;
    /* Between members only: inside strings such bytes are escaped. */
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < 0x20)
            line[i] = ' ';
    text_json(stdout, line, length);
    fputc('\n', stdout);
    free(line);
}

static void show(struct tail *tail, size_t newest)
{
    size_t size = json_array_size(tail->fresh);

    for (size_t i = size < newest ? size : newest; i > 0; i--) {
        const json_t *pair = json_array_get(tail->fresh, i - 1);
        const json_t *text = json_array_get(pair, 1);

        if (tail->count > 0 && tail->shown == tail->count)
            break;
        if (tail->reading.as_json) {
            print_line(json_string_value(text), json_string_length(text));
        } else {
            json_t *one = json_pack("[O]", json_array_get(pair, 0));

            render_events(stdout, one, reading_columns());
            json_decref(one);
        }
        tail->shown++;
    }
    json_array_clear(tail->fresh);
    fflush(stdout);
}

/* ---- the run ---- */

/* Until it is time to ask again, or nobody is left to ask for. */
static void wait_for_time(struct tail *tail)
{
    struct pollfd ends[] = { { .fd = signals_fd(), .events = POLLIN },
                             { .fd = STDOUT_FILENO, .events = 0 } };

    while (poll(ends, 2, (int)tail->wait_ms) < 0 && errno == EINTR &&
           signals_count() == 0) {
    }
    tail->is_reader_gone = (ends[1].revents & POLLERR) != 0;
}

static bool is_over(const struct tail *tail)
{
    return signals_count() > 0 || tail->is_reader_gone ||
           tail->code != EXIT_OK || ferror(stdout) != 0 ||
           (tail->count > 0 && tail->shown == tail->count);
}

static int run(struct tail *tail)
{
    int64_t from_us;

    if (!connection_resolve(&tail->reading.connection))
        return EXIT_CONFIG;
    if (!signals_catch()) {
        console_say("cannot catch signals: %s", strerror(errno));
        return EXIT_SOME;
    }
    follow_init(&tail->follow);
    if (tail->from != NULL &&
        instant_read(tail->from, strlen(tail->from), &from_us))
        follow_set_floor(&tail->follow, from_us);
    tail->fresh = json_array();
    tail->wait_ms = tail->interval_ms;
    for (;;) {
        bool is_first = !tail->has_begun && tail->from == NULL;

        collect(tail);
        show(tail, is_first ? (size_t)tail->last : SIZE_MAX);
        if (is_over(tail))
            break;
        wait_for_time(tail);
        if (is_over(tail))
            break;
    }
    json_decref(tail->fresh);
    follow_deinit(&tail->follow);
    return signals_first() != 0 ? EXIT_SIGNAL + signals_first() : tail->code;
}

int tail_command(int argc, char **argv)
{
    struct tail tail = { .interval_ms = 1000, .last = 10 };
    struct option options[] = {
        TEXT_OPTION("session", "ID", &tail.session, NULL,
                    "only of this session"),
        TEXT_OPTION("user", "ID", &tail.user, NULL, "only of this user"),
        TEXT_OPTION("model", "NAME", &tail.model, NULL, "only of this model"),
        TEXT_OPTION("flag", "FLAG", &tail.flag, NULL,
                    "only with this feedback: success or failure"),
        TEXT_OPTION("tag", "TAG", &tail.tag, NULL, "only with this tag"),
        TEXT_OPTION("q", "TEXT", &tail.text, NULL,
                    "only with this text in input or output"),
        TEXT_OPTION("from", "TIME", &tail.from, NULL,
                    "begin with all that is not older than this,\n"
                    "ISO 8601, instead of the last few"),
        NUMBER_OPTION("last", 0, 100, &tail.last, NULL,
                      "begin with so many that are there (10)"),
        NUMBER_OPTION("count", 1, INT64_MAX, &tail.count, NULL,
                      "end after so many events"),
        NUMBER_OPTION("interval-ms", 10, 3600000, &tail.interval_ms, NULL,
                      "wait between two questions (1000)"),
        FLAG_OPTION("json", &tail.reading.as_json,
                    "as the service sent them, one a line"),
        FLAG_OPTION("text", &tail.reading.as_text,
                    "for reading, also where no terminal is"),
        ENDPOINT_OPTION(&tail.reading.connection),
        API_KEY_FILE_OPTION(&tail.reading.connection),
        API_KEY_OPTION(&tail.reading.connection)
    };
    const size_t option_count = sizeof(options) / sizeof(options[0]);
    size_t operands;
    int code;

    if (!options_begin(options, option_count, "phos tail", &manual, argc, argv,
                       &operands, &code))
        return code;
    if (operands > 0) {
        fputs("phos tail: takes options only\nTry 'phos tail --help'.\n",
              stderr);
        return EXIT_USAGE;
    }
    reading_choose_form(&tail.reading);
    code = run(&tail);
    reading_deinit(&tail.reading);
    return code;
}
