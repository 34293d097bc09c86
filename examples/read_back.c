/*
 * read_back - asks a service's REST API for what it has on record: one call
 * that is waited for, and one whose result comes to a callback.
 *
 *     export PHOS_ENDPOINT=http://127.0.0.1:8787 PHOSPHO_API_KEY=ph_...
 *     cc read_back.c $(pkg-config --cflags --libs phos) -o read_back
 *     ./read_back
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <phos/phos.h>

static phos_str from_environment(const char *name)
{
    const char *text = getenv(name);

    return phos_str_make(text, text ? strlen(text) : 0);
}

static void complain(const phos_diagnostic *diagnostic, void *user_data)
{
    (void)user_data;
    fprintf(stderr, "%s\n", diagnostic->error.text);
}

/* On the worker's thread. */
static void print_sessions(const phos_result *result, void *user_data)
{
    (void)user_data;
    if (result->status == PHOS_OK)
        printf("sessions: %.*s\n", (int)result->body.length, result->body.data);
    else
        fprintf(stderr, "sessions: %s\n", result->error.text);
}

int main(void)
{
    const phos_str no_body = phos_str_make(NULL, 0);
    phos_service_options options = phos_service_options_default();
    phos_service *service;

    options.base_url = from_environment("PHOS_ENDPOINT");
    options.auth = PHOS_AUTH_BEARER;
    options.credential = from_environment("PHOSPHO_API_KEY");
    options.on_diagnostic = complain;
    if (phos_service_open(&options, &service) != PHOS_OK)
        return 1;

    phos_call_options told = phos_call_options_default();
    phos_call *sessions = NULL, *events = NULL;
    const phos_result *result;
    int code = 1;

    told.timeout_ms = 5000; /* attempts and waits in all */
    told.on_done = print_sessions;
    phos_service_call(service, PHOS_STR("GET"), PHOS_STR("/api/sessions"),
                      no_body, &told, &sessions);
    phos_service_call(service, PHOS_STR("GET"), PHOS_STR("/api/events?limit=1"),
                      no_body, NULL, &events);
    if (phos_call_wait(events, 10000, &result) == PHOS_OK &&
        result->status == PHOS_OK) {
        printf("events: %.*s\n", (int)result->body.length, result->body.data);
        code = 0;
    } else
        fprintf(stderr, "events: not in time, or not answered with 2xx\n");
    phos_call_wait(sessions, 10000, NULL);
    phos_call_free(sessions);
    phos_call_free(events);
    phos_service_free(service);
    return code;
}
