#include "summary.h"

#include <inttypes.h>

#include "text.h"

bool summary_is_whole(const struct summary *summary)
{
    const phos_ledger *ledger = &summary->ledger;

    return summary->broken == 0 && summary->rejected == 0 &&
           ledger->delivered + ledger->duplicate == ledger->accepted;
}

static void count(FILE *out, uint64_t number, const char *before,
                  const char *after)
{
    char text[TEXT_NUMBER_BYTES];

    fprintf(out, "%s%s%s", before, text_count(number, text), after);
}

static void print_reasons(FILE *out, const phos_ledger *ledger)
{
    static const char *const words[PHOS_REASON_COUNT] = {
        [PHOS_REASON_INVALID] = "not valid to the service",
        [PHOS_REASON_TOO_LARGE] = "too large for the service",
        [PHOS_REASON_POISON] = "the service fails on them",
        [PHOS_REASON_AGE] = "too old",
        [PHOS_REASON_CLOSED] = "still open when phos stopped",
        [PHOS_REASON_DAMAGED] = "damaged in memory",
        [PHOS_REASON_BEFORE_SEND] = "unwanted"
    };
    const char *gap = "  because: ";

    for (size_t i = 0; i < PHOS_REASON_COUNT; i++) {
        if (ledger->by_reason[i] == 0 || words[i] == NULL)
            continue;
        count(out, ledger->by_reason[i], gap, " ");
        fputs(words[i], out);
        gap = ", ";
    }
    if (gap[0] == ',')
        fputc('\n', out);
}

/* Of what arrived: what was only read says nothing of the service. */
static void print_rate(FILE *out, uint64_t delivered, uint64_t elapsed_ms)
{
    uint64_t rate;

    if (delivered == 0 || elapsed_ms == 0)
        return;
    rate = (delivered * 1000 + elapsed_ms / 2) / elapsed_ms;
    if (rate == 0)
        fputs(", less than 1 event/s", out);
    else
        count(out, rate, ", ", rate == 1 ? " event/s" : " events/s");
}

void summary_print(FILE *out, const struct summary *summary)
{
    const phos_ledger *ledger = &summary->ledger;
    char time[TEXT_NUMBER_BYTES];
    char size[TEXT_NUMBER_BYTES];

    count(out, summary->lines, "",
          summary->lines == 1 ? " line read = " : " lines read = ");
    count(out, ledger->accepted, "", " accepted");
    count(out, summary->broken, " + ", " broken");
    count(out, summary->rejected, " + ", " rejected\n");
    count(out, ledger->accepted, "", " accepted = ");
    count(out, ledger->delivered, "", " delivered");
    count(out, ledger->duplicate, " + ", " duplicate");
    count(out, ledger->refused, " + ", " refused");
    count(out, ledger->dropped, " + ", " dropped");
    count(out, ledger->unknown, " + ", " unknown\n");
    print_reasons(out, ledger);
    count(out, summary->requests, "",
          summary->requests == 1 ? " request" : " requests");
    count(out, summary->retries, ", ", " of them repeated; ");
    fprintf(out, "%s sent in %s", text_bytes(summary->bytes_sent, size),
            text_duration(summary->elapsed_ms, time));
    print_rate(out, ledger->delivered, summary->elapsed_ms);
    fputc('\n', out);
}

static void member(FILE *out, const char *name, uint64_t value)
{
    fprintf(out, "\"%s\":%" PRIu64 ",", name, value);
}

void summary_print_json(FILE *out, const struct summary *summary)
{
    /* Of events; what has no name here is of feedback. */
    static const char *const names[] = {
        "none", "invalid", "too_large", "poison", "age", "closed", "damaged"
    };
    const phos_ledger *ledger = &summary->ledger;

    fputc('{', out);
    member(out, "lines", summary->lines);
    member(out, "empty", summary->empty);
    member(out, "broken", summary->broken);
    member(out, "rejected", summary->rejected);
    member(out, "accepted", ledger->accepted);
    member(out, "delivered", ledger->delivered);
    member(out, "duplicate", ledger->duplicate);
    member(out, "refused", ledger->refused);
    member(out, "dropped", ledger->dropped);
    member(out, "unknown", ledger->unknown);
    fputs("\"reasons\":{", out);
    for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++)
        fprintf(out, "%s\"%s\":%" PRIu64, i > 1 ? "," : "", names[i],
                ledger->by_reason[i]);
    fputs("},", out);
    member(out, "requests", summary->requests);
    member(out, "retries", summary->retries);
    member(out, "bytes_sent", summary->bytes_sent);
    member(out, "bytes_received", summary->bytes_received);
    member(out, "elapsed_ms", summary->elapsed_ms);
    fprintf(out, "\"last_http_status\":%d,", summary->last_http_status);
    if (summary->stopped_by != NULL)
        fprintf(out, "\"stopped_by\":\"%s\",", summary->stopped_by);
    else
        fputs("\"stopped_by\":null,", out);
    fprintf(out, "\"exit_code\":%d}\n", summary->exit_code);
}
