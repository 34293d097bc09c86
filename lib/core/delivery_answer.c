/*
 * What an answer changes: verdicts for events, waits, splits, and the state of
 * the whole (running, outage, refused configuration).
 */
#include "base/saturate.h"
#include "base/seeded.h"
#include "core/delivery_state.h"

enum {
    OUTAGE_FAILURES = 3,   /* in a row, nothing arriving in between */
    LIMITED_LEARNED = 2,   /* 429s in a row: there is a rate to learn */
    PROBE_FIRST_MS = 1000, /* of a refused configuration, doubling */
    PROBE_LAST_MS = 60000,
    DISTRUST_ALL = 1024,
    DISTRUST_SHARE = 8,       /* one answer's weight */
    DISTRUST_SOME = 256,      /* above it a failure proves nothing of a batch */
    DISTRUST_LITTLE = 128,    /* below it a lone failing event is to blame */
    BESIDE_SPLIT = 4,         /* failures beside successes: look inside */
    HALF_SPLIT = 2,           /* of a half whose whole failed already */
    STALLED_BODY_MIN = 65536, /* a body worth halving when its upload stalls */
    POISON_FAILURES = 4,      /* of a single event that failed in its halves */
    /* A service that fails now and then must not lose an event by chance: its
     * failures beside successes, or half of them when it was sent so often. */
    POISON_EVIDENCE = 12,
    POISON_SENDS = 20
};

/* ---- states ---- */

void phos__delivery_enter(struct phos__delivery *delivery, phos_state state,
                          int http_status)
{
    delivery->state = state;
    delivery->state_http_status = http_status;
}

static uint64_t probe_wait_ms(const struct phos__delivery *delivery)
{
    uint32_t doublings =
        delivery->probes_failed < 6 ? delivery->probes_failed : 6;

    return phos__min_u64((uint64_t)PROBE_FIRST_MS << doublings, PROBE_LAST_MS);
}

static void pause_for_configuration(struct phos__delivery *delivery,
                                    uint64_t now_ms, int http_status)
{
    delivery->probes_failed = 0;
    delivery->probe_due_ms = phos__add_sat_u64(now_ms, probe_wait_ms(delivery));
    phos__pauses_begin(&delivery->pauses, now_ms);
    phos__delivery_enter(delivery, PHOS_STATE_CONFIG, http_status);
}

void phos__delivery_blame_configuration(struct phos__delivery *delivery,
                                        uint64_t now_ms, int http_status)
{
    for (uint32_t batch = delivery->stock.first; batch != PHOS__NONE;
         batch = phos__batch(delivery, batch)->next) {
        struct phos__stock_batch *b = phos__batch(delivery, batch);
        struct phos__stock_event *e;

        if (b->state != PHOS__BATCH_CONDEMNED)
            continue;
        e = phos__event(delivery, b->first);
        e->was_condemned = true;
        e->condemned_at = delivery->successes;
        if (http_status == 0)
            http_status = e->http_status;
        b->state = PHOS__BATCH_WAITING;
        b->due_ms = now_ms;
    }
    delivery->condemned = 0;
    delivery->config_by_suspects = true;
    pause_for_configuration(delivery, now_ms, http_status);
}

/* Nothing is known against what is in the batch, so that it may be sent in
 * other company: it was never sent, or was split only to have something to
 * probe with. */
static bool may_be_joined(const struct phos__stock_batch *b)
{
    if (b->state == PHOS__BATCH_READY && b->request_id == 0)
        return true;
    return b->is_probe_split && b->evidence == 0 &&
           (b->state == PHOS__BATCH_WAITING || b->state == PHOS__BATCH_READY);
}

/* Batches that were closed by the linger while nothing could leave, or split
 * only to have other events to probe with, become full ones, and what waited
 * for the end of the outage is due. */
static void gather(struct phos__delivery *delivery, uint64_t now_ms)
{
    uint32_t batch = delivery->stock.first;
    uint32_t target = PHOS__NONE;

    while (batch != PHOS__NONE) {
        struct phos__stock_batch *b = phos__batch(delivery, batch);
        uint32_t next = b->next;

        if (b->state == PHOS__BATCH_WAITING)
            b->due_ms = now_ms;
        if (!may_be_joined(b)) {
            batch = next;
            continue;
        }
        if (target != PHOS__NONE &&
            phos__batch(delivery, target)->count + b->count <=
                delivery->options.batch_events_max &&
            phos__add_sat_u64(phos__batch(delivery, target)->body_bytes,
                              b->body_bytes) <= delivery->ceiling.bytes) {
            if (delivery->parking_batch == batch)
                delivery->parking_batch = PHOS__NONE;
            phos__stock_merge(&delivery->stock, target, batch);
        } else {
            target = batch;
        }
        batch = next;
    }
}

void phos__delivery_recover(struct phos__delivery *delivery, uint64_t now_ms)
{
    delivery->failures_in_row = 0;
    if (delivery->state == PHOS_STATE_RUNNING)
        return;
    phos__pauses_end(&delivery->pauses, now_ms);
    delivery->window = 1;
    delivery->config_by_suspects = false;
    delivery->witnesses_left = PHOS__WITNESSES_MAX;
    phos__delivery_enter(delivery, PHOS_STATE_RUNNING, 0);
    gather(delivery, now_ms);
}

void phos__delivery_reconfigured(struct phos__delivery *delivery,
                                 uint64_t now_ms)
{
    if (delivery->state != PHOS_STATE_CONFIG)
        return;
    delivery->suspects_in_row = 0;
    phos__delivery_recover(delivery, now_ms);
}

/* ---- verdicts of single events ---- */

void phos__delivery_refuse_condemned(struct phos__delivery *delivery)
{
    uint32_t batch = delivery->stock.first;

    while (delivery->condemned > 0 && batch != PHOS__NONE) {
        uint32_t next = phos__batch(delivery, batch)->next;

        if (phos__batch(delivery, batch)->state == PHOS__BATCH_CONDEMNED) {
            delivery->condemned--;
            delivery->batch_count++;
            delivery->batch_events++;
            phos__delivery_conclude_batch(delivery, batch, PHOS_OUTCOME_REFUSED,
                                          PHOS_REASON_INVALID);
        }
        batch = next;
    }
}

static void refuse(struct phos__delivery *delivery, uint32_t batch,
                   phos_reason reason)
{
    uint32_t neighbour = phos__batch(delivery, batch)->next;

    if (PHOS__BUG(WRONG_HALF_BISECTED) && neighbour != PHOS__NONE &&
        phos__batch(delivery, neighbour)->state == PHOS__BATCH_READY &&
        phos__batch(delivery, neighbour)->count == 1) {
        phos__batch(delivery, batch)->state = PHOS__BATCH_READY;
        batch = neighbour;
    }
    delivery->batch_count++;
    delivery->batch_events += phos__batch(delivery, batch)->count;
    phos__delivery_conclude_batch(delivery, batch, PHOS_OUTCOME_REFUSED,
                                  reason);
}

/* ---- arrived ---- */

static void conclude_delivered(struct phos__delivery *delivery, uint32_t event,
                               enum phos__event_result result)
{
    switch (result) {
    case PHOS__RESULT_REFUSED:
        phos__delivery_conclude(delivery, event, PHOS_OUTCOME_REFUSED,
                                PHOS_REASON_INVALID);
        break;
    case PHOS__RESULT_DUPLICATE:
        /* Sent before, it is its own duplicate: it has arrived. */
        phos__delivery_conclude(delivery, event,
                                phos__event(delivery, event)->sends > 1
                                    ? PHOS_OUTCOME_DELIVERED
                                    : PHOS_OUTCOME_DUPLICATE,
                                PHOS_REASON_NONE);
        break;
    case PHOS__RESULT_NONE:
    case PHOS__RESULT_DELIVERED:
    case PHOS__RESULT_AGAIN:
        phos__delivery_conclude(delivery, event, PHOS_OUTCOME_DELIVERED,
                                PHOS_REASON_NONE);
        break;
    }
}

/* Concludes what has arrived; what the service wants again stays in the batch.
 * Returns how many stayed. */
static uint32_t conclude_arrived(struct phos__delivery *delivery,
                                 uint32_t batch, const uint8_t *results)
{
    struct phos__stock_batch *b = phos__batch(delivery, batch);
    uint32_t event = b->first;
    uint32_t index = 0;

    b->first = PHOS__NONE;
    b->last = PHOS__NONE;
    b->count = 0;
    while (event != PHOS__NONE) {
        uint32_t next = phos__event(delivery, event)->next;
        enum phos__event_result result =
            results ? (enum phos__event_result)results[index]
                    : PHOS__RESULT_NONE;

        if (result == PHOS__RESULT_AGAIN)
            phos__stock_append(&delivery->stock, batch, event);
        else
            conclude_delivered(delivery, event, result);
        index++;
        event = next;
    }
    return b->count;
}

static void note_success(struct phos__delivery *delivery, uint64_t now_ms,
                         const struct phos__stock_batch *b)
{
    delivery->successes++;
    delivery->suspects_in_row = 0;
    delivery->limited_in_row = 0;
    delivery->witnesses_left = PHOS__WITNESSES_MAX;
    if (b->failures == 0) /* at the first attempt, as in note_failure() */
        delivery->distrust -= delivery->distrust / DISTRUST_SHARE;
    phos__ceiling_succeeded(&delivery->ceiling, b->body_bytes);
    phos__pace_succeeded(&delivery->pace, now_ms, b->count);
    phos__retry_budget_pay_back(&delivery->budget);
}

/* One failure more than `failures`, and how long to wait after it. */
static uint64_t wait_ms(struct phos__delivery *delivery,
                        const struct phos__answer *answer, uint32_t failures,
                        bool is_throttled, uint64_t random)
{
    const struct phos__retry_ask ask = {
        .failures = failures + phos__retry_budget_spend(&delivery->budget),
        .is_throttled = is_throttled,
        .retry_after_ms = answer->has_retry_after ? answer->retry_after_ms : 0,
        .random = random,
    };

    return phos__retry_wait_ms(&delivery->retry, &ask);
}

static void arrived(struct phos__delivery *delivery, uint64_t now_ms,
                    uint64_t random, uint32_t batch,
                    const struct phos__answer *answer)
{
    struct phos__stock_batch *b = phos__batch(delivery, batch);
    uint32_t count = b->count;
    uint32_t stayed;

    note_success(delivery, now_ms, b);
    phos__delivery_recover(delivery, now_ms);
    if (delivery->window < delivery->options.in_flight_max)
        delivery->window++;
    phos__delivery_refuse_condemned(delivery);
    if (delivery->parking_batch == batch)
        delivery->parking_batch = PHOS__NONE;
    stayed = conclude_arrived(delivery, batch, answer->results);
    delivery->batch_events += count - stayed;
    if (stayed == 0) {
        delivery->batch_count++;
        phos__stock_batch_free(&delivery->stock, batch);
        return;
    }
    b->failures++;
    b->state = PHOS__BATCH_WAITING;
    b->due_ms = phos__add_sat_u64(
        now_ms, wait_ms(delivery, answer, b->failures, true, random));
}

/* ---- failed ---- */

static uint32_t patience_with(const struct phos__stock_batch *b)
{
    return b->is_half ? HALF_SPLIT : BESIDE_SPLIT;
}

static void note_failure(struct phos__delivery *delivery,
                         struct phos__stock_batch *b,
                         const struct phos__answer *answer)
{
    bool others_succeeded = b->successes_seen != delivery->successes;

    b->failures++;
    /* What is sent again and again tells of itself, not of the service. */
    if (phos__event(delivery, b->first)->sends == 1)
        delivery->distrust +=
            (DISTRUST_ALL - delivery->distrust) / DISTRUST_SHARE;
    if (phos__can_be_poison(answer->exchange, answer->http_status) &&
        others_succeeded && delivery->distrust <= DISTRUST_SOME) {
        b->beside++;
        b->evidence++;
    }
    b->successes_seen = delivery->successes;
    /* What looks like one batch's own trouble is no sign of an outage; a
     * connection that cannot be made is everybody's. */
    if (answer->exchange == PHOS_EXCHANGE_NOT_SENT)
        delivery->failures_in_row += OUTAGE_FAILURES;
    else if (b->evidence == 0)
        delivery->failures_in_row++;
}

/* Every batch has failed so often that none is left to tell whether it is the
 * service or what is in them. */
static bool all_have_failed(struct phos__delivery *delivery)
{
    for (uint32_t batch = delivery->stock.first; batch != PHOS__NONE;
         batch = phos__batch(delivery, batch)->next) {
        const struct phos__stock_batch *b = phos__batch(delivery, batch);

        if (b->state != PHOS__BATCH_CONDEMNED &&
            (b->state != PHOS__BATCH_WAITING || b->failures < patience_with(b)))
            return false;
    }
    return true;
}

/* Whether a single event is to blame. */
static bool is_poison(struct phos__delivery *delivery,
                      const struct phos__stock_batch *b)
{
    uint32_t enough = phos__event(delivery, b->first)->sends < POISON_SENDS
                          ? POISON_EVIDENCE
                          : POISON_EVIDENCE / 2;

    return b->beside > 0 && b->failures >= POISON_FAILURES &&
           b->evidence >= enough && delivery->distrust <= DISTRUST_LITTLE;
}

/* Looks inside a batch that fails: it is split where that can tell something.
 * Returns true when it is one event that is to blame, and was refused. */
static bool look_inside(struct phos__delivery *delivery, uint64_t now_ms,
                        uint32_t batch, const struct phos__answer *answer)
{
    struct phos__stock_batch *b = phos__batch(delivery, batch);
    bool fails_beside = b->evidence > 0 && b->failures >= patience_with(b);
    uint32_t other;

    if (!phos__can_be_poison(answer->exchange, answer->http_status))
        return false;
    if (b->count == 1) {
        if (!is_poison(delivery, b))
            return false;
        refuse(delivery, batch, PHOS_REASON_POISON);
        return true;
    }
    /* With nothing else left, halves are the other events to probe with. */
    if (!fails_beside && !all_have_failed(delivery))
        return false;
    b->is_half = true;
    b->is_probe_split = b->evidence == 0;
    b->failures = 0;
    b->beside = 0;
    other = phos__delivery_halve(delivery, batch);
    b->state = PHOS__BATCH_WAITING;
    phos__batch(delivery, other)->state = PHOS__BATCH_WAITING;
    b->due_ms = now_ms;
    phos__batch(delivery, other)->due_ms = now_ms;
    return false;
}

static void narrow(struct phos__delivery *delivery, bool is_throttled)
{
    if (is_throttled)
        delivery->window = (delivery->window + 1) / 2;
    else if (delivery->window > 1)
        delivery->window--;
}

/* A probe came to nothing: the next one later, with other events. */
static void probe_failed(struct phos__delivery *delivery, uint64_t now_ms,
                         uint64_t outage_wait_ms)
{
    uint64_t wait;

    delivery->probes_failed++;
    wait = delivery->state == PHOS_STATE_CONFIG ? probe_wait_ms(delivery)
                                                : outage_wait_ms;
    delivery->probe_due_ms = phos__add_sat_u64(now_ms, wait);
}

static void failed(struct phos__delivery *delivery, uint64_t now_ms,
                   uint64_t random, uint32_t batch,
                   const struct phos__answer *answer, bool is_throttled)
{
    struct phos__stock_batch *b = phos__batch(delivery, batch);
    bool was_probe = b->is_probe;
    uint32_t failures;
    uint64_t wait;

    note_failure(delivery, b, answer);
    failures = was_probe ? delivery->probes_failed + 2 : b->failures;
    wait = wait_ms(delivery, answer, failures, is_throttled, random);
    b->state = PHOS__BATCH_WAITING;
    b->due_ms = phos__add_sat_u64(now_ms, wait);
    /* 503 says that the service is unwell, not that it counts events; and a
     * service that counts them says so more than once. */
    if (answer->exchange == PHOS_EXCHANGE_ANSWERED &&
        answer->http_status == 429 &&
        ++delivery->limited_in_row >= LIMITED_LEARNED)
        phos__pace_throttled(&delivery->pace, now_ms);
    narrow(delivery, is_throttled);

    if (delivery->state == PHOS_STATE_RUNNING &&
        delivery->failures_in_row >= OUTAGE_FAILURES) {
        delivery->probes_failed = 0;
        delivery->probe_due_ms = b->due_ms;
        phos__delivery_enter(delivery, PHOS_STATE_OUTAGE, answer->http_status);
    } else if (was_probe) {
        probe_failed(delivery, now_ms, wait);
    }
    look_inside(delivery, now_ms, batch, answer);
}

/* ---- refused ---- */

static void too_large(struct phos__delivery *delivery, uint64_t now_ms,
                      uint64_t random, uint32_t batch,
                      const struct phos__answer *answer)
{
    struct phos__stock_batch *b = phos__batch(delivery, batch);
    bool is_stalled = answer->exchange == PHOS_EXCHANGE_STALLED;

    /* A small body that stalls says nothing of its size. */
    if (is_stalled && (b->count == 1 || b->body_bytes < STALLED_BODY_MIN)) {
        failed(delivery, now_ms, random, batch, answer, false);
        return;
    }
    if (b->count == 1) {
        phos__delivery_recover(delivery, now_ms); /* it answers */
        refuse(delivery, batch, PHOS_REASON_TOO_LARGE);
        return;
    }
    phos__ceiling_refused(&delivery->ceiling, b->body_bytes);
    if (is_stalled) {
        failed(delivery, now_ms, random, batch, answer, false);
        if (b->count > 1) {
            uint32_t other = phos__delivery_halve(delivery, batch);

            b->state = PHOS__BATCH_WAITING;
            phos__batch(delivery, other)->state = PHOS__BATCH_WAITING;
        }
    } else {
        phos__delivery_recover(delivery, now_ms);
        phos__delivery_halve(delivery, batch);
    }
}

static void condemn(struct phos__delivery *delivery, uint32_t batch)
{
    struct phos__stock_batch *b = phos__batch(delivery, batch);
    const struct phos__stock_event *e = phos__event(delivery, b->first);

    delivery->suspects_in_row++;
    if (e->was_condemned && e->condemned_at != delivery->successes) {
        refuse(delivery, batch, PHOS_REASON_INVALID);
        return;
    }
    b->state = PHOS__BATCH_CONDEMNED;
    delivery->condemned++;
}

static void suspected(struct phos__delivery *delivery, uint64_t now_ms,
                      uint32_t batch)
{
    struct phos__stock_batch *b = phos__batch(delivery, batch);

    if (delivery->state == PHOS_STATE_CONFIG && delivery->config_by_suspects) {
        b->state = PHOS__BATCH_WAITING;
        b->due_ms = now_ms;
        if (b->is_probe)
            probe_failed(delivery, now_ms, 0);
        return;
    }
    phos__delivery_recover(delivery, now_ms); /* it answers */
    if (b->count == 1) {
        condemn(delivery, batch);
        return;
    }
    b->is_suspect = true;
    b->is_half = true;
    phos__delivery_halve(delivery, batch);
}

static void misconfigured(struct phos__delivery *delivery, uint64_t now_ms,
                          uint32_t batch, const struct phos__answer *answer)
{
    struct phos__stock_batch *b = phos__batch(delivery, batch);

    b->state = PHOS__BATCH_WAITING;
    b->due_ms = now_ms;
    delivery->config_by_suspects = false;
    if (delivery->state != PHOS_STATE_CONFIG)
        pause_for_configuration(delivery, now_ms, answer->http_status);
    else if (b->is_probe)
        probe_failed(delivery, now_ms, 0);
}

/* ---- the answer ---- */

static uint32_t land(struct phos__delivery *delivery, uint64_t request_id)
{
    for (uint32_t i = 0; i < delivery->flying_count; i++) {
        uint32_t batch = delivery->flying[i];

        if (phos__batch(delivery, batch)->request_id == request_id) {
            delivery->flying[i] = delivery->flying[--delivery->flying_count];
            return batch;
        }
    }
    return PHOS__NONE;
}

static void note_on_events(struct phos__delivery *delivery, uint32_t batch,
                           const struct phos__answer *answer)
{
    bool may = phos__may_have_arrived(answer->exchange, answer->http_status);

    for (uint32_t event = phos__batch(delivery, batch)->first;
         event != PHOS__NONE; event = phos__event(delivery, event)->next) {
        if (answer->http_status)
            phos__event(delivery, event)->http_status = answer->http_status;
        phos__event(delivery, event)->may_have_arrived |= may;
    }
}

void phos__delivery_answer(struct phos__delivery *delivery, uint64_t now_ms,
                           uint64_t random, const struct phos__answer *answer)
{
    uint32_t batch = land(delivery, answer->request_id);
    enum phos__verdict verdict =
        phos__verdict_of(answer->exchange, answer->http_status, answer->body);

    if (batch == PHOS__NONE)
        return;
    note_on_events(delivery, batch, answer);
    if (delivery->options.age_max_ms)
        delivery->expiry_check_ms = phos__min_u64(
            delivery->expiry_check_ms,
            phos__delivery_expiry_ms(
                delivery, phos__batch(delivery, batch)->oldest_logged_ms,
                now_ms));
    if (verdict != PHOS__VERDICT_DELIVERED && answer->has_retry_after &&
        !PHOS__BUG(RETRY_AFTER_IGNORED))
        delivery->hold_until_ms =
            phos__max_u64(delivery->hold_until_ms,
                          phos__add_sat_u64(now_ms, answer->retry_after_ms));

    switch (verdict) {
    case PHOS__VERDICT_DELIVERED:
        arrived(delivery, now_ms, random, batch, answer);
        break;
    case PHOS__VERDICT_AGAIN:
    case PHOS__VERDICT_THROTTLED:
        failed(delivery, now_ms, random, batch, answer,
               verdict == PHOS__VERDICT_THROTTLED);
        break;
    case PHOS__VERDICT_SMALLER:
        too_large(delivery, now_ms, random, batch, answer);
        break;
    case PHOS__VERDICT_SUSPECT:
        suspected(delivery, now_ms, batch);
        break;
    case PHOS__VERDICT_CONFIG:
        misconfigured(delivery, now_ms, batch, answer);
        break;
    }
    delivery->must_check_parking = true;
    /* Memory may be there again, and a full ring is not read any further. */
    delivery->parking_retry_at = delivery->read_to;
}
