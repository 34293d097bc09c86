#include "reading.h"

#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "command.h"
#include "console.h"
#include "reply.h"
#include "text.h"

enum { WORDS_BYTES_MAX = 300 };

static int say_failure(const struct reading *reading)
{
    long status = reading->reply.status;

    if (status >= 300 && status < 400) {
        console_say("the service redirects elsewhere (HTTP %ld); give the "
                    "final address with --endpoint. The key is never sent "
                    "along a redirect",
                    status);
        return EXIT_CONFIG;
    }
    console_say("the service answers HTTP %ld: %.*s", status, WORDS_BYTES_MAX,
                reply_words(reading->json, reading->reply.body));
    if (status == 401 || status == 403) {
        console_say("check --api-key-file, --api-key or PHOSPHO_API_KEY");
        return EXIT_CONFIG;
    }
    return EXIT_SOME;
}

int reading_judge(struct reading *reading)
{
    if (reading->reply.status == 0) {
        console_say("%s", reading->reply.problem);
        return reading->reply.is_misconfigured ? EXIT_CONFIG : EXIT_SOME;
    }
    reading->json = reply_parse(reading->reply.body, reading->reply.length);
    if (reading->reply.status < 200 || reading->reply.status >= 300)
        return say_failure(reading);
    if (reading->json == NULL) {
        console_say("the service answers HTTP %ld, but not with JSON. Check "
                    "--endpoint, and whether this network wants a log-in "
                    "first",
                    reading->reply.status);
        return EXIT_CONFIG;
    }
    return EXIT_OK;
}

void reading_choose_form(struct reading *reading)
{
    if (!reading->as_text && isatty(STDOUT_FILENO) != 1)
        reading->as_json = true;
}

int reading_get(struct reading *reading, const char *path, const char *segment,
                const struct http_query *query)
{
    int code;

    if (!connection_resolve(&reading->connection))
        return EXIT_CONFIG;
    http_get(&reading->connection, path, segment, query, &reading->reply);
    code = reading_judge(reading);
    if (code != EXIT_OK)
        return code;
    reading_choose_form(reading);
    if (reading->as_json)
        reading_print_json(reading);
    return EXIT_OK;
}

void reading_print_json(const struct reading *reading)
{
    text_json(stdout, reading->reply.body, reading->reply.length);
    if (reading->reply.body[reading->reply.length - 1] != '\n')
        fputc('\n', stdout);
}

bool reading_is_done(const struct reading *reading)
{
    return reading->as_json;
}

void reading_deinit(struct reading *reading)
{
    json_decref(reading->json);
    reading->json = NULL;
    http_reply_deinit(&reading->reply);
    connection_deinit(&reading->connection);
}

void reading_print_place(const struct reading *reading, size_t shown,
                         uint64_t offset)
{
    static const char *const total_names[] = { "total", "total_count", NULL };
    char first[TEXT_NUMBER_BYTES], last[TEXT_NUMBER_BYTES];
    char all[TEXT_NUMBER_BYTES];
    const json_t *reply = reading->json;
    double total;

    if (shown == 0) {
        puts("nothing here");
        return;
    }
    printf("\n%s to %s", text_count(offset + 1, first),
           text_count(offset + shown, last));
    if (json_is_object(reply) && reply_number(reply, total_names, &total) &&
        total >= 0 && total < 9007199254740992.0) {
        bool is_least = json_is_false(json_object_get(reply, "exact"));

        printf(" of %s%s", is_least ? "at least " : "",
               text_count((uint64_t)total, all));
        if ((uint64_t)total > offset + shown || is_least)
            printf("; next: --offset %" PRIu64, offset + shown);
    }
    putchar('\n');
}

size_t reading_columns(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}
