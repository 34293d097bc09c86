/*
 * chat_with_logging - asks a chat model one question and puts the interaction
 * on record, as a server would: the call is measured, its answer goes to the
 * user first, and logging can neither delay it nor make it fail.
 *
 *     OPENAI_BASE_URL  any server with POST /chat/completions;
 *                      default https://api.openai.com/v1
 *     OPENAI_API_KEY   may be missing where the server wants none
 *     OPENAI_MODEL     default gpt-4o-mini
 *     PHOS_ENDPOINT, PHOSPHO_API_KEY  where the interaction goes
 *
 *     cc chat_with_logging.c \
 *         $(pkg-config --cflags --libs phos libcurl jansson) -o chat
 *     ./chat "How tall is K2?"
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>
#include <jansson.h>
#include <phos/phos.h>

enum { REPLY_BYTES_MAX = 8 * 1024 * 1024, CHAT_TIMEOUT_MS = 120000 };

/* One answer of the model. The texts live as long as `reply`. */
struct answer {
    json_t *reply;
    const char *text;
    size_t text_length;
    const char *model; /* NULL: the server does not say */
    int64_t tokens_in;
    int64_t tokens_out;
    int64_t latency_ms;
};

static const char *environment(const char *name, const char *fallback)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : fallback;
}

/* Only the monotonic clock measures: the other one is set while we wait. */
static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct body {
    char *data;
    size_t length;
};

static size_t take_body(char *data, size_t size, size_t count, void *user_data)
{
    struct body *body = user_data;
    size_t more = size * count;
    char *grown;

    if (more > REPLY_BYTES_MAX - body->length)
        return 0; /* curl ends the transfer */
    grown = realloc(body->data, body->length + more);
    if (grown == NULL)
        return 0;
    memcpy(grown + body->length, data, more);
    body->data = grown;
    body->length += more;
    return more;
}

/* POSTs `request` and keeps what comes back. False after saying why not. */
static bool post(const char *request, struct body *ret_body)
{
    const char *base =
        environment("OPENAI_BASE_URL", "https://api.openai.com/v1");
    const char *key = environment("OPENAI_API_KEY", NULL);
    struct curl_slist *headers =
        curl_slist_append(NULL, "Content-Type: application/json");
    CURL *curl = curl_easy_init();
    CURLcode code = CURLE_OUT_OF_MEMORY;
    char url[2048], why[CURL_ERROR_SIZE] = "";
    long http_status = 0;

    if ((size_t)snprintf(url, sizeof(url), "%s/chat/completions", base) >=
        sizeof(url)) {
        code = CURLE_URL_MALFORMAT;
    } else if (curl != NULL && headers != NULL) {
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        if (key != NULL) {
            curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
            curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, key);
        }
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret_body);
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)CHAT_TIMEOUT_MS);
        code = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http_status);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);

    if (code != CURLE_OK)
        fprintf(stderr, "chat: %s\n",
                why[0] != '\0' ? why : curl_easy_strerror(code));
    else if (http_status != 200)
        fprintf(stderr, "chat: the model's server answered %ld\n", http_status);
    return code == CURLE_OK && http_status == 200;
}

/* Not every server counts tokens. */
static int64_t token_count(const json_t *usage, const char *name)
{
    const json_t *count = json_object_get(usage, name);

    return json_is_integer(count) ? json_integer_value(count) : PHOS_UNSET;
}

/* Takes out of a chat completion what an event has fields for. */
static bool read_answer(const struct body *body, struct answer *ret_answer)
{
    json_error_t error;
    json_t *reply = json_loadb(body->data, body->length, 0, &error);
    const json_t *choice = json_array_get(json_object_get(reply, "choices"), 0);
    const json_t *message = json_object_get(choice, "message");
    const json_t *text = json_object_get(message, "content");
    const json_t *usage = json_object_get(reply, "usage");

    if (!json_is_string(text)) {
        fprintf(stderr, "chat: what came back is no chat completion\n");
        json_decref(reply);
        return false;
    }
    ret_answer->reply = reply;
    ret_answer->text = json_string_value(text);
    ret_answer->text_length = json_string_length(text);
    ret_answer->model = json_string_value(json_object_get(reply, "model"));
    ret_answer->tokens_in = token_count(usage, "prompt_tokens");
    ret_answer->tokens_out = token_count(usage, "completion_tokens");
    return true;
}

/* The application's main job. It knows nothing of logging. */
static bool ask(const char *question, const char *model,
                struct answer *ret_answer)
{
    json_t *request =
        json_pack("{s:s, s:[{s:s, s:s}]}", "model", model, "messages", "role",
                  "user", "content", question);
    char *text = json_dumps(request, JSON_COMPACT);
    struct body body = { NULL, 0 };
    int64_t started_ms = now_ms();
    bool answered = false;

    if (text == NULL)
        fprintf(stderr, "chat: the question is not valid UTF-8\n");
    else if (post(text, &body))
        answered = read_answer(&body, ret_answer);
    if (answered)
        ret_answer->latency_ms = now_ms() - started_ms;
    free(body.data);
    free(text);
    json_decref(request);
    return answered;
}

/*
 * Fire and forget: the call copies the texts and returns, so they may be freed
 * right after it. Where there is no client (it could not be opened) the call
 * answers PHOS_E_CLOSED and nothing else happens.
 */
static void record(phos_client *client, const char *question,
                   const struct answer *answer)
{
    phos_event event = phos_event_default();
    phos_event_id id;
    phos_status status;
    char id_text[PHOS_EVENT_ID_TEXT_LENGTH + 1];

    event.input = phos_str_make(question, strlen(question));
    event.output = phos_str_make(answer->text, answer->text_length);
    if (answer->model != NULL)
        event.model = phos_str_make(answer->model, strlen(answer->model));
    event.provider = PHOS_STR("openai");
    event.latency_ms = answer->latency_ms;
    event.token_count_input = answer->tokens_in;
    event.token_count_output = answer->tokens_out;

    status = phos_client_log(client, &event, &id);
    if (status != PHOS_OK) {
        fprintf(stderr, "chat: not logged: %s\n", phos_status_text(status));
        return;
    }
    /* The id is what feedback refers to; a server would send it along. */
    phos_event_id_to_text(&id, id_text);
    fprintf(stderr, "chat: logged as %s\n", id_text);
}

/* What the library has to say goes where the application's own messages go. */
static void print_diagnostic(const phos_diagnostic *diagnostic, void *user_data)
{
    (void)user_data;
    fprintf(stderr, "phos: %s\n", diagnostic->error.text);
}

int main(int argc, char **argv)
{
    const char *question = argc > 1 ? argv[1] : "How tall is K2?";
    const char *model = environment("OPENAI_MODEL", "gpt-4o-mini");
    phos_options options = phos_options_default();
    phos_client *client = NULL;
    phos_close_report report;
    struct answer answer;
    bool answered;

    /* Before there is a second thread; the library's own use counts on top. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return 1;
    options.on_diagnostic = print_diagnostic;
    if (phos_client_open(&options, &client) != PHOS_OK)
        fprintf(stderr, "chat: going on without a record\n");

    answered = ask(question, model, &answer);
    if (answered) {
        printf("%.*s\n", (int)answer.text_length, answer.text);
        record(client, question, &answer);
        json_decref(answer.reply);
    }

    /* A server closes once, at its end; until then nothing waits for events. */
    if (client != NULL) {
        phos_client_close(client, 5000, &report);
        fprintf(stderr, "chat: %" PRIu64 " of %" PRIu64 " events delivered\n",
                report.ledger.delivered, report.ledger.accepted);
        phos_client_free(client);
    }
    curl_global_cleanup();
    return answered ? 0 : 1;
}
