/*
 * What a pipeline tells its application of how things go: gathers the facts,
 * core/watch.h decides, words.h says it.
 */
#include <string.h>

#include "base/error.h"
#include "base/saturate.h"
#include "client/pipeline_state.h"
#include "client/words.h"

static void tell(struct phos__pipeline *pipeline,
                 const struct phos__watch_line *line)
{
    phos_diagnostic diagnostic;

    if (!pipeline->options.on_diagnostic)
        return;
    phos__words(line, &pipeline->last_failure, pipeline->ring->bytes,
                &diagnostic);
    pipeline->options.on_diagnostic(&diagnostic, pipeline->options.user_data);
}

/* ---- facts ---- */

/* Events without a verdict. What has not been read is known by its bytes; so
 * many events as of the size of those that were read. */
static uint64_t waiting(const struct phos__pipeline *pipeline)
{
    const phos_ledger *ledger = phos__delivery_ledger(pipeline->delivery);
    uint64_t read = pipeline->reader.read;
    uint64_t read_bytes = read - pipeline->ring->shared->start_position;
    uint64_t unread_bytes = phos__ring_tail(pipeline->ring) - read;

    if (ledger->accepted == 0 || read_bytes == 0)
        return ledger->pending;
    return ledger->pending +
           (uint64_t)((double)unread_bytes * (double)ledger->accepted /
                      (double)read_bytes);
}

void phos__pipeline_note_answer(struct phos__pipeline *pipeline,
                                const struct phos__exchange *exchange)
{
    const struct phos__answer *answer = &exchange->answer;

    if (answer->exchange == PHOS_EXCHANGE_CANCELLED)
        return;
    if (phos__verdict_of(answer->exchange, answer->http_status, answer->body) ==
        PHOS__VERDICT_DELIVERED) {
        phos__watch_arrived(&pipeline->watch, pipeline->now_ms,
                            waiting(pipeline));
        return;
    }
    pipeline->last_failure = exchange->error;
    phos__watch_failed(
        &pipeline->watch,
        phos__watch_why(answer, exchange->obstacle, exchange->error.status));
}

void phos__pipeline_note_unsent(struct phos__pipeline *pipeline)
{
    phos__error_set(&pipeline->last_failure, PHOS_E_NO_MEMORY, PHOS_ORIGIN_PHOS,
                    PHOS_E_NO_MEMORY, "%s", phos_status_text(PHOS_E_NO_MEMORY));
    phos__watch_failed(&pipeline->watch, PHOS_DIAGNOSTIC_NOT_SENT);
}

static void count_losses(const struct phos__pipeline *pipeline,
                         uint64_t losses[PHOS__LOSS_COUNT])
{
    const uint64_t *by_reason =
        phos__delivery_ledger(pipeline->delivery)->by_reason;
    phos_rejections rejected =
        phos__rejections_get(pipeline->options.rejections);

    losses[PHOS__LOSS_AGE] = by_reason[PHOS_REASON_AGE];
    losses[PHOS__LOSS_CLOSED] = by_reason[PHOS_REASON_CLOSED];
    losses[PHOS__LOSS_DAMAGED] = by_reason[PHOS_REASON_DAMAGED];
    losses[PHOS__LOSS_INVALID] = by_reason[PHOS_REASON_INVALID];
    losses[PHOS__LOSS_TOO_LARGE] = by_reason[PHOS_REASON_TOO_LARGE];
    losses[PHOS__LOSS_POISON] = by_reason[PHOS_REASON_POISON];
    losses[PHOS__LOSS_FULL] = rejected.full;
    losses[PHOS__LOSS_BAD_CALL] = rejected.invalid;
    losses[PHOS__LOSS_BIG_CALL] = rejected.too_large;
    losses[PHOS__LOSS_EDIT] = pipeline->broken_edits;
}

/* ---- lines ---- */

void phos__pipeline_watch_ring(struct phos__pipeline *pipeline)
{
    uint64_t tail = phos__ring_tail(pipeline->ring);
    uint64_t used = tail - pipeline->reader.head;
    struct phos__watch_line line;
    bool is_told;

    if (!phos__watch_ring(&pipeline->watch, pipeline->now_ms, used, tail, &line,
                          &is_told))
        return;
    if (pipeline->options.on_high_water)
        pipeline->options.on_high_water(used, pipeline->ring->bytes,
                                        pipeline->options.user_data);
    if (is_told)
        tell(pipeline, &line);
}

uint64_t phos__pipeline_watch(struct phos__pipeline *pipeline)
{
    const struct phos__delivery *delivery = pipeline->delivery;
    struct phos__watch_facts facts = {
        .pending = phos__delivery_ledger(delivery)->pending,
        .waiting = waiting(pipeline),
        .in_flight = phos__delivery_in_flight(delivery),
        .is_config = phos__delivery_state(delivery) == PHOS_STATE_CONFIG,
        .refused_status = pipeline->refused_status,
    };
    struct phos__watch_line line;

    phos__pipeline_watch_ring(pipeline);
    phos__delivery_limits(delivery, pipeline->now_ms, &facts.learned_per_minute,
                          &facts.hold_ms);
    count_losses(pipeline, facts.losses);
    while (phos__watch_next(&pipeline->watch, pipeline->now_ms, &facts, &line))
        tell(pipeline, &line);
    return phos__watch_due_ms(&pipeline->watch);
}
