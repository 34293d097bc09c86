/*
 * What an answer changes for feedback. Its route is one of its own, so that
 * nothing is read from it about delivery, but that the service can be reached.
 */
#include "base/saturate.h"
#include "core/feedback_state.h"
#include "core/verdict.h"

enum {
    OUTAGE_FAILURES = 3,   /* in a row, nothing arriving in between */
    PROBE_FIRST_MS = 1000, /* of a refused configuration, doubling */
    PROBE_LAST_MS = 60000
};

/* ---- states ---- */

static void enter(struct phos__feedback *feedback, uint64_t now_ms,
                  phos_state state)
{
    feedback->state = state;
    feedback->probes_failed = 0;
    phos__feedback_note_pause(feedback, now_ms);
}

/* Requests get through again: what waited for that is due. */
static void recover(struct phos__feedback *feedback, uint64_t now_ms)
{
    feedback->failures_in_row = 0;
    if (feedback->state == PHOS_STATE_RUNNING)
        return;
    enter(feedback, now_ms, PHOS_STATE_RUNNING);
    for (uint32_t index = feedback->first; index != PHOS__NOBODY;
         index = phos__opinion(feedback, index)->next)
        if (phos__opinion(feedback, index)->unknown == 0)
            phos__opinion(feedback, index)->due_ms = now_ms;
}

void phos__feedback_reconfigured(struct phos__feedback *feedback,
                                 uint64_t now_ms)
{
    if (feedback->state == PHOS_STATE_CONFIG)
        recover(feedback, now_ms);
}

static uint64_t probe_wait_ms(const struct phos__feedback *feedback)
{
    uint32_t doublings =
        feedback->probes_failed < 6 ? feedback->probes_failed : 6;

    return phos__min_u64((uint64_t)PROBE_FIRST_MS << doublings, PROBE_LAST_MS);
}

/* ---- kinds of answers ---- */

static void refuse(struct phos__feedback *feedback, uint64_t now_ms,
                   uint32_t index, phos_reason reason)
{
    recover(feedback, now_ms); /* it answers */
    phos__opinion_end(feedback, index, PHOS_OUTCOME_REFUSED, reason);
}

static void arrived(struct phos__feedback *feedback, uint64_t now_ms,
                    uint32_t index)
{
    feedback->successes++;
    phos__retry_budget_pay_back(&feedback->budget);
    recover(feedback, now_ms);
    phos__opinion_end(feedback, index, PHOS_OUTCOME_DELIVERED,
                      PHOS_REASON_NONE);
}

static uint64_t wait_ms(struct phos__feedback *feedback,
                        const struct phos__answer *answer, uint32_t failures,
                        bool is_throttled, uint64_t random)
{
    const struct phos__retry_ask ask = {
        .failures = failures + phos__retry_budget_spend(&feedback->budget),
        .is_throttled = is_throttled,
        .retry_after_ms = answer->has_retry_after ? answer->retry_after_ms : 0,
        .random = random,
    };

    return phos__retry_wait_ms(&feedback->retry, &ask);
}

/* Fails while others succeed, again and again. */
static bool is_poison(struct phos__feedback *feedback, struct phos__opinion *o,
                      const struct phos__answer *answer)
{
    if (phos__can_be_poison(answer->exchange, answer->http_status) &&
        o->failures > 1 && o->successes_seen != feedback->successes)
        o->evidence++;
    o->successes_seen = feedback->successes;
    return o->evidence >= PHOS__FEEDBACK_POISON_FAILURES;
}

static void failed(struct phos__feedback *feedback, uint64_t now_ms,
                   uint64_t random, uint32_t index,
                   const struct phos__answer *answer, bool is_throttled)
{
    struct phos__opinion *o = phos__opinion(feedback, index);
    uint32_t failures = ++o->failures;
    uint64_t wait;

    if (is_poison(feedback, o, answer)) {
        refuse(feedback, now_ms, index, PHOS_REASON_POISON);
        return;
    }
    if (o->is_probe)
        failures = ++feedback->probes_failed + 1;
    wait = wait_ms(feedback, answer, failures, is_throttled, random);
    o->due_ms = phos__add_sat_u64(now_ms, wait);
    phos__opinion_enter(feedback, index, PHOS__OPINION_READY);
    /* A connection that cannot be made is everybody's trouble; what fails
     * beside successes is its own. */
    if (answer->exchange == PHOS_EXCHANGE_NOT_SENT)
        feedback->failures_in_row += OUTAGE_FAILURES;
    else if (o->evidence == 0)
        feedback->failures_in_row++;
    if (feedback->state == PHOS_STATE_RUNNING &&
        feedback->failures_in_row >= OUTAGE_FAILURES) {
        enter(feedback, now_ms, PHOS_STATE_OUTAGE);
        feedback->probe_due_ms = o->due_ms;
    } else if (o->is_probe) {
        feedback->probe_due_ms =
            feedback->state == PHOS_STATE_CONFIG
                ? phos__add_sat_u64(now_ms, probe_wait_ms(feedback))
                : o->due_ms;
    }
}

/* The event may be on its way into the store, or may never have been there. */
static void event_unknown(struct phos__feedback *feedback, uint64_t now_ms,
                          uint64_t random, uint32_t index,
                          const struct phos__answer *answer)
{
    struct phos__opinion *o = phos__opinion(feedback, index);

    if (o->unknown++ == 0)
        o->unknown_since_ms = now_ms;
    if (o->unknown >= PHOS__FEEDBACK_UNKNOWN_MAX ||
        now_ms - o->unknown_since_ms >= PHOS__FEEDBACK_UNKNOWN_MS_MAX) {
        refuse(feedback, now_ms, index, PHOS_REASON_EVENT_UNKNOWN);
        return;
    }
    recover(feedback, now_ms); /* it answers */
    /* As for throttling half of the wait is fixed: the store needs time. */
    o->due_ms = phos__add_sat_u64(
        now_ms, wait_ms(feedback, answer, o->unknown, true, random));
    phos__opinion_enter(feedback, index, PHOS__OPINION_READY);
}

static void misconfigured(struct phos__feedback *feedback, uint64_t now_ms,
                          uint32_t index)
{
    struct phos__opinion *o = phos__opinion(feedback, index);

    o->due_ms = now_ms;
    phos__opinion_enter(feedback, index, PHOS__OPINION_READY);
    if (feedback->state != PHOS_STATE_CONFIG)
        enter(feedback, now_ms, PHOS_STATE_CONFIG);
    else if (o->is_probe)
        feedback->probes_failed++;
    else
        return;
    feedback->probe_due_ms = phos__add_sat_u64(now_ms, probe_wait_ms(feedback));
}

/* ---- the answer ---- */

static uint32_t find_flying(struct phos__feedback *feedback,
                            uint64_t request_id)
{
    uint32_t index = feedback->first;

    while (index != PHOS__NOBODY &&
           (phos__opinion(feedback, index)->state != PHOS__OPINION_FLYING ||
            phos__opinion(feedback, index)->request_id != request_id))
        index = phos__opinion(feedback, index)->next;
    return index;
}

static bool is_not_found(const struct phos__answer *answer)
{
    return answer->exchange == PHOS_EXCHANGE_ANSWERED &&
           answer->http_status == 404;
}

static void decide(struct phos__feedback *feedback, uint64_t now_ms,
                   uint64_t random, uint32_t index, enum phos__verdict verdict,
                   const struct phos__answer *answer)
{
    switch (verdict) {
    case PHOS__VERDICT_DELIVERED:
        arrived(feedback, now_ms, index);
        break;
    case PHOS__VERDICT_SMALLER:
        if (answer->exchange == PHOS_EXCHANGE_ANSWERED)
            refuse(feedback, now_ms, index, PHOS_REASON_TOO_LARGE);
        else /* a body this small that stalls tells of the network */
            failed(feedback, now_ms, random, index, answer, false);
        break;
    case PHOS__VERDICT_AGAIN:
    case PHOS__VERDICT_THROTTLED:
        failed(feedback, now_ms, random, index, answer,
               verdict == PHOS__VERDICT_THROTTLED);
        break;
    case PHOS__VERDICT_SUSPECT:
        refuse(feedback, now_ms, index, PHOS_REASON_INVALID);
        break;
    case PHOS__VERDICT_CONFIG:
        misconfigured(feedback, now_ms, index);
        break;
    }
}

void phos__feedback_answer(struct phos__feedback *feedback, uint64_t now_ms,
                           uint64_t random, const struct phos__answer *answer)
{
    uint32_t index = find_flying(feedback, answer->request_id);
    enum phos__verdict verdict =
        phos__verdict_of(answer->exchange, answer->http_status, answer->body);

    if (index == PHOS__NOBODY)
        return;
    phos__delivery_repay(feedback->delivery, now_ms,
                         verdict == PHOS__VERDICT_DELIVERED);
    phos__opinion(feedback, index)->may_have_arrived |=
        phos__may_have_arrived(answer->exchange, answer->http_status);
    phos__opinion_note_expiry(feedback, index, now_ms);
    if (verdict != PHOS__VERDICT_DELIVERED && answer->has_retry_after)
        feedback->hold_until_ms =
            phos__max_u64(feedback->hold_until_ms,
                          phos__add_sat_u64(now_ms, answer->retry_after_ms));
    if (is_not_found(answer))
        event_unknown(feedback, now_ms, random, index, answer);
    else
        decide(feedback, now_ms, random, index, verdict, answer);
}
