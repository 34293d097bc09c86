/*
 * uv_server - a chat server on one libuv loop of its own, which puts every
 * interaction on record and never waits for that.
 *
 *     POST /v1/chat/completions   answers; the model is a function below
 *     GET  /stats                 what became of the events
 *
 * The loop has one thread, so all that happens there has to be short:
 * phos_client_log() copies and returns, phos_client_stats() reads a snapshot.
 * phos_client_close() may wait, and comes when the loop has ended:
 *
 *     SIGTERM ─► begin_shutdown; no new connections; what has begun is answered
 *             ─► the loop ends ─► close with a deadline, report
 *
 *     export PHOS_ENDPOINT=http://127.0.0.1:8787 PHOSPHO_API_KEY=ph_...
 *     cc main.c http.c $(pkg-config --cflags --libs phos libuv jansson) \
 *         -lhttp_parser -o uv_server
 *     ./uv_server 8080
 */
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <phos/phos.h>

#include "http.h"

enum {
    DRAIN_MS = 3000, /* for answers, after SIGTERM */
    CLOSE_MS = 5000  /* for events, after that */
};

static phos_client *client;
static uv_signal_t on_term, on_int;
static uint64_t answer_count;

static void respond_json(struct http_connection *connection, int status,
                         json_t *json)
{
    http_respond(connection, status,
                 json ? json_dumps(json, JSON_COMPACT) : NULL);
    json_decref(json);
}

static void respond_error(struct http_connection *connection, int status,
                          const char *message)
{
    respond_json(connection, status,
                 json_pack("{s{ss}}", "error", "message", message));
}

/* ---- the chat ---- */

/* The model: it repeats what it was told. To be freed. */
static char *think(const char *question)
{
    const char opening[] = "You said: ";
    size_t bytes = sizeof(opening) + strlen(question);
    char *answer = malloc(bytes);

    if (answer)
        snprintf(answer, bytes, "%s%s", opening, question);
    return answer;
}

static int64_t count_words(const char *text)
{
    int64_t count = 0;

    for (bool in_word = false; *text; text++) {
        bool is_blank = *text == ' ' || *text == '\n' || *text == '\t';

        count += !is_blank && !in_word;
        in_word = !is_blank;
    }
    return count;
}

static phos_str text_of(const json_t *string)
{
    return phos_str_make(json_string_value(string), json_string_length(string));
}

/* Before the answer is written, so that no client has one that is not on
 * record. What is rejected is counted, and /stats tells. */
static void put_on_record(const struct http_message *message,
                          const json_t *request, const char *question,
                          const char *answer)
{
    phos_event event = phos_event_default();

    event.input = phos_str_make(question, strlen(question));
    event.output = phos_str_make(answer, strlen(answer));
    event.model = PHOS_STR("echo-1");
    event.latency_ms = (int64_t)((uv_hrtime() - message->began_ns) / 1000000);
    event.token_count_input = count_words(question);
    event.token_count_output = count_words(answer);
    event.user_id = text_of(json_object_get(request, "user"));
    event.session_id = text_of(
        json_object_get(json_object_get(request, "metadata"), "session_id"));
    (void)phos_client_log(client, &event, NULL);
}

static json_t *completion_of(const char *question, const char *answer)
{
    return json_pack("{ss ss s[{si s{ss ss}}] s{sI sI}}", "object",
                     "chat.completion", "model", "echo-1", "choices", "index",
                     0, "message", "role", "assistant", "content", answer,
                     "usage", "prompt_tokens",
                     (json_int_t)count_words(question), "completion_tokens",
                     (json_int_t)count_words(answer));
}

static const char *question_of(const json_t *request)
{
    const json_t *messages = json_object_get(request, "messages");
    size_t count = json_array_size(messages);

    return count == 0 ? NULL
                      : json_string_value(json_object_get(
                            json_array_get(messages, count - 1), "content"));
}

static void chat(struct http_connection *connection,
                 const struct http_message *message)
{
    json_t *request = json_loadb(message->body, message->body_length, 0, NULL);
    const char *question = question_of(request);
    char *answer = question ? think(question) : NULL;

    if (question == NULL) {
        respond_error(connection, 400, "there is no message");
    } else if (answer == NULL) {
        http_respond(connection, 500, NULL);
    } else {
        put_on_record(message, request, question, answer);
        answer_count++;
        respond_json(connection, 200, completion_of(question, answer));
    }
    free(answer);
    json_decref(request);
}

static void show_stats(struct http_connection *connection)
{
    phos_stats stats = { .struct_size = sizeof(stats) };
    phos_status status = phos_client_stats(client, &stats);

    if (status != PHOS_OK) {
        respond_error(connection, 500, phos_status_text(status));
        return;
    }
    respond_json(connection, 200,
                 json_pack("{sI sI sI sI sI sI sI sI}", "answers",
                           (json_int_t)answer_count, "accepted",
                           (json_int_t)stats.ledger.accepted, "delivered",
                           (json_int_t)stats.ledger.delivered, "pending",
                           (json_int_t)stats.ledger.pending, "refused",
                           (json_int_t)stats.ledger.refused, "rejected_full",
                           (json_int_t)stats.rejected.full, "ring_used_bytes",
                           (json_int_t)stats.ring_used_bytes, "retries",
                           (json_int_t)stats.retries));
}

static void answer_request(struct http_connection *connection,
                           const struct http_message *message)
{
    if (message->method == HTTP_POST &&
        strcmp(message->path, "/v1/chat/completions") == 0)
        chat(connection, message);
    else if (message->method == HTTP_GET &&
             strcmp(message->path, "/stats") == 0)
        show_stats(connection);
    else
        respond_error(connection, 404, "there is nothing here");
}

/* ---- begin and end ---- */

static void on_signal(uv_signal_t *signal_handle, int number)
{
    (void)signal_handle;
    (void)number;
    phos_client_begin_shutdown(client);
    http_stop(DRAIN_MS);
    /* A second signal ends the program at once. */
    uv_close((uv_handle_t *)&on_term, NULL);
    uv_close((uv_handle_t *)&on_int, NULL);
}

static void print_diagnostic(const phos_diagnostic *diagnostic, void *user_data)
{
    (void)user_data;
    fprintf(stderr, "phos: %s\n", diagnostic->error.text);
}

static int serve(uv_loop_t *loop, int port)
{
    int status = http_start(loop, port, answer_request, &port);

    if (status != 0) {
        fprintf(stderr, "uv_server: %s\n", uv_strerror(status));
        return status;
    }
    signal(SIGPIPE, SIG_IGN); /* a client that goes away is an error code */
    uv_signal_init(loop, &on_term);
    uv_signal_init(loop, &on_int);
    uv_signal_start(&on_term, on_signal, SIGTERM);
    uv_signal_start(&on_int, on_signal, SIGINT);
    printf("listening on http://127.0.0.1:%d\n", port);
    fflush(stdout);
    uv_run(loop, UV_RUN_DEFAULT); /* until nothing of it is open */
    uv_loop_close(loop);
    return 0;
}

int main(int argc, char **argv)
{
    phos_options options = phos_options_default();
    phos_close_report report;
    uv_loop_t loop;
    phos_status closed;
    int status;

    options.on_diagnostic = print_diagnostic;
    if (phos_client_open(&options, &client) != PHOS_OK)
        return EXIT_FAILURE; /* the diagnostic has said why */
    uv_loop_init(&loop);
    status = serve(&loop, argc > 1 ? atoi(argv[1]) : 8080);

    /* The loop has ended, so nobody has to wait. */
    closed = phos_client_close(client, CLOSE_MS, &report);
    phos_client_free(client);
    fprintf(stderr,
            "uv_server: %" PRIu64 " answers, %" PRIu64 " accepted: %" PRIu64
            " delivered, %" PRIu64 " given up\n",
            answer_count, report.ledger.accepted, report.ledger.delivered,
            report.ledger.dropped + report.ledger.unknown);
    return status == 0 && closed == PHOS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
