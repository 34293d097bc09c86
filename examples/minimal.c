/*
 * minimal - puts one AI interaction on record and says what became of it.
 *
 *     export PHOS_ENDPOINT=http://127.0.0.1:8787 PHOSPHO_API_KEY=ph_...
 *     cc minimal.c $(pkg-config --cflags --libs phos) -o minimal && ./minimal
 */
#include <inttypes.h>
#include <stdio.h>

#include <phos/phos.h>

/* What is wrong, and what to do about it. */
static void print_line(const phos_diagnostic *diagnostic, void *user_data)
{
    (void)user_data;
    fprintf(stderr, "phos: %s\n", diagnostic->error.text);
}

int main(void)
{
    phos_options options = phos_options_default(); /* environment: the rest */
    phos_client *client;
    options.on_diagnostic = print_line;
    phos_status status = phos_client_open(&options, &client);
    if (status != PHOS_OK)
        return 1; /* print_line() has said why */

    phos_event event = phos_event_default();
    event.input = PHOS_STR("How tall is K2?");
    event.output = PHOS_STR("8,611 m.");
    event.model = PHOS_STR("m-1");
    event.latency_ms = 412;
    status = phos_client_log(client, &event, NULL); /* copies, never waits */
    if (status != PHOS_OK)
        fprintf(stderr, "%s\n", phos_status_text(status));

    phos_close_report report; /* waits for the answer, at most 5 s */
    phos_client_close(client, 5000, &report);
    phos_client_free(client);
    printf("%" PRIu64 " delivered\n", report.ledger.delivered);
    return report.ledger.delivered == 1 ? 0 : 1;
}
