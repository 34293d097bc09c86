#include "target.h"

#include <inttypes.h>
#include <stdio.h>

#include "measure.h"

enum { CLOSE_TIMEOUT_MS = 30000 };

static void print_diagnostic(const phos_diagnostic *diagnostic, void *user_data)
{
    (void)user_data;
    if (diagnostic->severity != PHOS_SEVERITY_INFO)
        fprintf(stderr, "bench: %s\n", diagnostic->error.text);
}

phos_client *target_open(const struct sink *sink,
                         void (*adjust)(phos_options *options, void *user_data),
                         void *user_data)
{
    char endpoint[64];
    int length =
        snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", sink->port);
    phos_options options = phos_options_default();
    phos_client *client;
    phos_status status;

    options.endpoint = phos_str_make(endpoint, (size_t)length);
    options.api_key = PHOS_STR("ph_bench");
    options.use_environment = false;
    options.on_diagnostic = print_diagnostic;
    if (adjust)
        adjust(&options, user_data);
    status = phos_client_open(&options, &client);
    if (status)
        bench_fail("open: %s", phos_status_text(status));
    return client;
}

void target_close(phos_client *client, const struct sink *sink,
                  uint64_t events_before, uint64_t logged)
{
    phos_close_report report;
    phos_stats stats;
    uint64_t arrived;
    phos_status status;

    status = phos_client_flush(client, PHOS_FLUSH_DELIVERED, CLOSE_TIMEOUT_MS);
    if (status)
        bench_fail("flush: %s", phos_status_text(status));
    stats.struct_size = sizeof(stats);
    phos_client_stats(client, &stats);
    status = phos_client_close(client, CLOSE_TIMEOUT_MS, &report);
    if (status)
        bench_fail("close: %s", phos_status_text(status));
    phos_client_free(client);

    arrived = sink->counts->events - events_before;
    if (report.ledger.accepted != logged || report.ledger.delivered != logged ||
        arrived != logged)
        bench_fail("logged %" PRIu64 ", accepted %" PRIu64
                   ", delivered %" PRIu64 ", arrived %" PRIu64,
                   logged, report.ledger.accepted, report.ledger.delivered,
                   arrived);
    if (logged > 0 && stats.last_http_status != 201)
        bench_fail("the last answer was %d", stats.last_http_status);
    if (stats.retries != 0 || sink->counts->bad_requests != 0)
        bench_fail("%" PRIu64 " requests were sent again, %" PRIu64 " were bad",
                   stats.retries, sink->counts->bad_requests);
}
