/*
 * multi_turn_session - one conversation of several turns, kept together by a
 * session id, with everything that the service understands: who asked, tags,
 * custom keys, tokens, cost; and a receipt for each turn.
 *
 *     export PHOS_ENDPOINT=http://127.0.0.1:8787 PHOSPHO_API_KEY=ph_...
 *     cc multi_turn_session.c $(pkg-config --cflags --libs phos) -o session
 *     ./session && phos sessions list
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <phos/phos.h>

/* What a model would say; so the program runs without one. */
static const struct turn {
    const char *input;
    const char *output;
    int64_t latency_ms;
    int64_t tokens_in;
    int64_t tokens_out;
} turns[] = {
    { "Which mountain is the second highest?",
      "K2, on the border of China and Pakistan.", 640, 8, 11 },
    { "How tall is it?", "8,611 metres.", 410, 24, 5 },
    { "And who climbed it first?",
      "Achille Compagnoni and Lino Lacedelli, in 1954.", 780, 36, 15 },
    { "Grazie!", "Prego! \xE2\x9B\xB0\xEF\xB8\x8F", 300, 57, 6 },
};

enum { TURN_COUNT = sizeof(turns) / sizeof(turns[0]) };

/*
 * Called on the worker's thread, so it does little: a slow callback would hold
 * up delivery. The cookie is what phos_client_log() was given.
 */
static void print_receipts(const phos_receipt *receipts, size_t count,
                           void *user_data)
{
    static const char *const outcomes[PHOS_OUTCOME_COUNT] = {
        "delivered", "duplicate", "refused", "dropped", "unknown"
    };

    (void)user_data;
    for (size_t i = 0; i < count; i++) {
        char id[PHOS_EVENT_ID_TEXT_LENGTH + 1];

        phos_event_id_to_text(&receipts[i].id, id);
        printf("turn %" PRIu64 ": %s as %s\n", receipts[i].cookie,
               outcomes[receipts[i].outcome], id);
    }
}

static void print_diagnostic(const phos_diagnostic *diagnostic, void *user_data)
{
    (void)user_data;
    fprintf(stderr, "phos: %s\n", diagnostic->error.text);
}

static phos_status log_turn(phos_client *client, phos_str session_id,
                            size_t index)
{
    const struct turn *turn = &turns[index];
    const phos_str tags[] = { PHOS_STR("demo"), PHOS_STR("mountains") };
    const phos_pair pairs[] = {
        phos_pair_integer(PHOS_STR("turn"), (int64_t)index + 1),
        phos_pair_text(PHOS_STR("release"), PHOS_STR("2025.1")),
        phos_pair_number(PHOS_STR("temperature"), 0.2),
        phos_pair_boolean(PHOS_STR("cached"), false),
    };
    phos_event event = phos_event_default();

    event.session_id = session_id;
    event.user_id = PHOS_STR("user-42");
    event.input = phos_str_make(turn->input, strlen(turn->input));
    event.output = phos_str_make(turn->output, strlen(turn->output));
    event.model = PHOS_STR("m-1");
    event.provider = PHOS_STR("acme");
    event.latency_ms = turn->latency_ms;
    event.token_count_input = turn->tokens_in;
    event.token_count_output = turn->tokens_out;
    event.cost_cents =
        0.001 * (double)turn->tokens_in + 0.004 * (double)turn->tokens_out;
    event.tags = tags;
    event.tag_count = sizeof(tags) / sizeof(tags[0]);
    event.pairs = pairs;
    event.pair_count = sizeof(pairs) / sizeof(pairs[0]);
    event.cookie = index + 1;

    /* All of this is copied in the call; nothing has to outlive it. */
    return phos_client_log(client, &event, NULL);
}

int main(void)
{
    phos_options options = phos_options_default();
    phos_client *client;
    phos_close_report report;
    char session[PHOS_SESSION_ID_BYTES_MAX] = "";
    size_t session_length = 0;
    phos_status status;

    options.on_receipts = print_receipts;
    options.on_diagnostic = print_diagnostic;
    status = phos_client_open(&options, &client);
    if (status != PHOS_OK)
        return 1; /* the diagnostic has said why */

    /* A session exists as soon as an event names it. */
    status =
        phos_session_id_make(PHOS_STR("user-42"), session, &session_length);
    for (size_t i = 0; i < TURN_COUNT && status == PHOS_OK; i++)
        status = log_turn(client, phos_str_make(session, session_length), i);

    /* The conversation is over: do not wait for more to fill a batch. Between
     * turns there is no reason to flush; half a second later they leave. */
    if (status == PHOS_OK)
        status = phos_client_flush(client, PHOS_FLUSH_DELIVERED, 5000);
    if (status != PHOS_OK)
        fprintf(stderr, "session: %s\n", phos_status_text(status));

    phos_client_close(client, 1000, &report);
    phos_client_free(client);
    printf("session %s: %" PRIu64 " of %d turns delivered\n", session,
           report.ledger.delivered, TURN_COUNT);
    return report.ledger.delivered == TURN_COUNT ? 0 : 1;
}
