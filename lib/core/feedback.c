#include "core/feedback.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/saturate.h"
#include "core/feedback_state.h"

/* ---- life ---- */

phos_status phos__feedback_create(const struct phos__feedback_options *options,
                                  const phos_allocator *allocator,
                                  struct phos__delivery *delivery,
                                  struct phos__feedback **ret_feedback)
{
    struct phos__feedback *feedback =
        phos__alloc_zeroed(allocator, 1, sizeof(*feedback));

    assert(options->capacity > 0);
    assert(options->in_flight_max > 0);
    if (!feedback)
        return PHOS_E_NO_MEMORY;
    feedback->allocator = *allocator;
    feedback->options = *options;
    feedback->delivery = delivery;
    feedback->retry.base_ms = options->retry_base_ms;
    feedback->retry.cap_ms = options->retry_cap_ms;
    feedback->key.k0 = options->random;
    feedback->key.k1 = ~options->random;
    phos__retry_budget_init(&feedback->budget);
    phos__dedupe_init(&feedback->lost, allocator, PHOS__FEEDBACK_LOST_MAX,
                      options->random);
    feedback->first = feedback->last = PHOS__NOBODY;
    feedback->ended_first = PHOS__NOBODY;
    feedback->send_due_ms = UINT64_MAX;
    feedback->expiry_check_ms = UINT64_MAX;
    if (!phos__opinions_init(feedback)) {
        phos__feedback_destroy(feedback);
        return PHOS_E_NO_MEMORY;
    }
    *ret_feedback = feedback;
    return PHOS_OK;
}

void phos__feedback_destroy(struct phos__feedback *feedback)
{
    phos_allocator allocator;

    if (!feedback)
        return;
    allocator = feedback->allocator;
    phos__dedupe_deinit(&feedback->lost);
    phos__free(&allocator, feedback->opinions);
    phos__free(&allocator, feedback->buckets);
    phos__free(&allocator, feedback->cancels);
    phos__free(&allocator, feedback);
}

uint32_t phos__feedback_room(const struct phos__feedback *feedback)
{
    return feedback->options.capacity - feedback->count;
}

/* ---- verdicts ---- */

static void count_end(phos_feedback_ledger *ledger, phos_outcome outcome,
                      phos_reason reason)
{
    if (outcome == PHOS_OUTCOME_DELIVERED)
        ledger->delivered++;
    else if (outcome == PHOS_OUTCOME_REFUSED)
        ledger->refused++;
    else if (outcome == PHOS_OUTCOME_DROPPED)
        ledger->dropped++;
    else
        ledger->unknown++;
    if (reason != PHOS_REASON_NONE)
        ledger->by_reason[reason]++;
}

void phos__opinion_end(struct phos__feedback *feedback, uint32_t index,
                       phos_outcome outcome, phos_reason reason)
{
    phos__opinion_retire(feedback, index);
    feedback->ledger.pending--;
    count_end(&feedback->ledger, outcome, reason);
}

void phos__opinion_give_up(struct phos__feedback *feedback, uint32_t index,
                           phos_reason reason)
{
    phos__opinion_end(feedback, index,
                      phos__opinion(feedback, index)->may_have_arrived
                          ? PHOS_OUTCOME_UNKNOWN
                          : PHOS_OUTCOME_DROPPED,
                      reason);
}

/* ---- age ---- */

void phos__feedback_note_pause(struct phos__feedback *feedback, uint64_t now_ms)
{
    if (feedback->state == PHOS_STATE_CONFIG ||
        phos__delivery_state(feedback->delivery) == PHOS_STATE_CONFIG)
        phos__pauses_begin(&feedback->pauses, now_ms);
    else
        phos__pauses_end(&feedback->pauses, now_ms);
}

static uint64_t age_left_ms(const struct phos__feedback *feedback,
                            const struct phos__opinion *o, uint64_t now_ms)
{
    return phos__sub_sat_u64(
        feedback->options.age_max_ms,
        phos__pauses_age_ms(&feedback->pauses, o->logged_ms, now_ms));
}

void phos__opinion_note_expiry(struct phos__feedback *feedback, uint32_t index,
                               uint64_t now_ms)
{
    uint64_t left_ms;

    if (feedback->options.age_max_ms == 0)
        return;
    left_ms = age_left_ms(feedback, phos__opinion(feedback, index), now_ms);
    feedback->expiry_check_ms = phos__min_u64(
        feedback->expiry_check_ms, phos__add_sat_u64(now_ms, left_ms));
}

static void expire(struct phos__feedback *feedback, uint64_t now_ms)
{
    uint32_t index = feedback->first;

    feedback->expiry_check_ms = UINT64_MAX;
    while (index != PHOS__NOBODY) {
        struct phos__opinion *o = phos__opinion(feedback, index);
        uint32_t next = o->next;

        /* One under way is looked at when it lands. */
        if (o->state == PHOS__OPINION_FLYING)
            ;
        else if (age_left_ms(feedback, o, now_ms) == 0)
            phos__opinion_give_up(feedback, index, PHOS_REASON_AGE);
        else
            phos__opinion_note_expiry(feedback, index, now_ms);
        index = next;
    }
}

/* ---- facts ---- */

uint32_t phos__feedback_take(struct phos__feedback *feedback, uint64_t now_ms,
                             const struct phos__feedback_arrival *arrival)
{
    uint32_t index = phos__opinion_new(feedback, arrival);

    phos__opinion(feedback, index)->logged_ms =
        phos__min_u64(arrival->logged_ms, now_ms);
    feedback->ledger.accepted++;
    feedback->ledger.pending++;
    phos__feedback_note_pause(feedback, now_ms);
    phos__opinion_note_expiry(feedback, index, now_ms);
    return index;
}

void phos__feedback_drop(struct phos__feedback *feedback, phos_reason reason)
{
    feedback->ledger.accepted++;
    count_end(&feedback->ledger, PHOS_OUTCOME_DROPPED, reason);
}

void phos__feedback_read_to(struct phos__feedback *feedback, uint64_t position)
{
    feedback->read_to = position;
}

static bool is_lost(phos_outcome outcome)
{
    return outcome == PHOS_OUTCOME_REFUSED || outcome == PHOS_OUTCOME_DROPPED;
}

void phos__feedback_event_ended(struct phos__feedback *feedback,
                                uint64_t now_ms, const uint8_t id[16],
                                phos_outcome outcome)
{
    uint32_t index, next;

    if (is_lost(outcome))
        phos__dedupe_add(&feedback->lost, id);
    else if (feedback->lost.count > 0)
        phos__dedupe_remove(&feedback->lost, id);
    if (feedback->held_count == 0)
        return;
    index = phos__opinion_first_of(feedback, id);
    /* Another event of this id may be the one that arrives. */
    if (index == PHOS__NOBODY || (outcome != PHOS_OUTCOME_DELIVERED &&
                                  phos__delivery_holds(feedback->delivery, id)))
        return;
    for (; index != PHOS__NOBODY; index = next) {
        struct phos__opinion *o = phos__opinion(feedback, index);

        next = phos__opinion_same(feedback, o->next_in_bucket, id);
        if (o->state != PHOS__OPINION_HELD)
            continue;
        o->due_ms = now_ms;
        if (is_lost(outcome))
            phos__opinion_give_up(feedback, index, PHOS_REASON_EVENT_LOST);
        else
            phos__opinion_enter(feedback, index, PHOS__OPINION_READY);
    }
}

void phos__feedback_give_up(struct phos__feedback *feedback)
{
    while (feedback->first != PHOS__NOBODY) {
        struct phos__opinion *o = phos__opinion(feedback, feedback->first);

        if (o->state == PHOS__OPINION_FLYING) {
            feedback->cancels[feedback->cancel_count++] = o->request_id;
            o->may_have_arrived = true;
            phos__delivery_repay(feedback->delivery, 0, false);
        }
        phos__opinion_give_up(feedback, feedback->first, PHOS_REASON_CLOSED);
    }
}

/* ---- actions ---- */

static bool next_news(struct phos__feedback *feedback, uint64_t now_ms,
                      struct phos__feedback_action *ret_action)
{
    if (phos__opinion_free_ended(feedback, &ret_action->index)) {
        ret_action->kind = PHOS__FEEDBACK_END;
        return true;
    }
    if (feedback->cancel_count > 0) {
        ret_action->kind = PHOS__FEEDBACK_CANCEL;
        ret_action->request_id = feedback->cancels[--feedback->cancel_count];
        return true;
    }
    /* What comes and goes is not told each time; its end, if it was told. */
    if (feedback->state == feedback->told_state ||
        (feedback->state != PHOS_STATE_RUNNING &&
         now_ms < feedback->tell_due_ms))
        return false;
    if (feedback->state != PHOS_STATE_RUNNING)
        feedback->tell_due_ms = now_ms + PHOS__FEEDBACK_TELL_GAP_MS;
    feedback->told_state = feedback->state;
    ret_action->kind = PHOS__FEEDBACK_STATE;
    ret_action->state = feedback->state;
    return true;
}

bool phos__feedback_next(struct phos__feedback *feedback, uint64_t now_ms,
                         struct phos__feedback_action *ret_action)
{
    phos__feedback_note_pause(feedback, now_ms);
    if (now_ms >= feedback->expiry_check_ms)
        expire(feedback, now_ms);
    phos__feedback_look_up(feedback, now_ms);
    return next_news(feedback, now_ms, ret_action) ||
           phos__feedback_next_send(feedback, now_ms, ret_action);
}

uint64_t phos__feedback_due_ms(const struct phos__feedback *feedback)
{
    uint64_t due_ms = UINT64_MAX;

    if (feedback->ended_first != PHOS__NOBODY || feedback->cancel_count > 0)
        return 0;
    if (feedback->first != PHOS__NOBODY)
        due_ms =
            phos__min_u64(feedback->send_due_ms, feedback->expiry_check_ms);
    if (feedback->state != feedback->told_state)
        due_ms = phos__min_u64(due_ms, feedback->tell_due_ms);
    return due_ms;
}

/* ---- what it knows ---- */

const phos_feedback_ledger *
phos__feedback_ledger(const struct phos__feedback *feedback)
{
    return &feedback->ledger;
}

phos_state phos__feedback_state(const struct phos__feedback *feedback)
{
    return feedback->state;
}

uint64_t phos__feedback_oldest(const struct phos__feedback *feedback)
{
    uint64_t oldest = UINT64_MAX;

    for (uint32_t index = feedback->first; index != PHOS__NOBODY;
         index = feedback->opinions[index].next) {
        uint64_t position = feedback->opinions[index].position;

        if (oldest == UINT64_MAX || (int64_t)(position - oldest) < 0)
            oldest = position;
    }
    return oldest;
}
