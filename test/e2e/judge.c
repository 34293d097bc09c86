/*
 * judge - logs so many events and gives feedback on each at once, as a program
 * would that judges its own answers; where the judge changes its mind, the last
 * word is to count. Prints each id with what it was told last.
 *
 *     judge ENDPOINT KEY COUNT
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <phos/phos.h>

static int judge(phos_client *client, unsigned number)
{
    const phos_str none = phos_str_make(NULL, 0);
    const phos_flag last = number % 2 ? PHOS_FLAG_SUCCESS : PHOS_FLAG_FAILURE;
    phos_event event = phos_event_default();
    char id_text[PHOS_EVENT_ID_TEXT_LENGTH + 1];
    phos_event_id id;

    event.input = PHOS_STR("How deep is Lake Baikal?");
    event.output = PHOS_STR("1,642 m.");
    if (phos_client_log(client, &event, &id) != PHOS_OK)
        return 1;
    if (number % 3 == 0 && phos_client_feedback(client, &id, PHOS_FLAG_FAILURE,
                                                none, none) != PHOS_OK)
        return 1;
    if (phos_client_feedback(client, &id, last, PHOS_STR("caf\xc3\xa9 \"no\""),
                             number % 3 ? PHOS_STR("judge") : none) != PHOS_OK)
        return 1;
    phos_event_id_to_text(&id, id_text);
    printf("%s %s %s\n", id_text,
           last == PHOS_FLAG_SUCCESS ? "success" : "failure",
           number % 3 ? "judge" : "user");
    return 0;
}

int main(int argument_count, char **arguments)
{
    phos_options options = phos_options_default();
    phos_close_report report;
    phos_client *client;
    unsigned count, failed = 0;

    if (argument_count != 4)
        return 2;
    options.use_environment = false;
    options.endpoint = phos_str_make(arguments[1], strlen(arguments[1]));
    options.api_key = phos_str_make(arguments[2], strlen(arguments[2]));
    count = (unsigned)strtoul(arguments[3], NULL, 10);
    if (phos_client_open(&options, &client) != PHOS_OK)
        return 2;
    for (unsigned i = 0; i < count; i++)
        failed += (unsigned)judge(client, i);
    phos_client_close(client, 60000, &report);
    phos_client_free(client);
    fprintf(stderr, "%" PRIu64 " of %" PRIu64 " delivered\n",
            report.feedback.delivered, report.feedback.accepted);
    return failed > 0 || report.feedback.delivered != report.feedback.accepted;
}
