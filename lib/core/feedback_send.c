/*
 * Which feedback is sent next, and when: after its event, after what was said
 * of the event before, and where delivery leaves room.
 */
#include "base/saturate.h"
#include "base/seeded.h"
#include "core/feedback_state.h"

void phos__feedback_look_up(struct phos__feedback *feedback, uint64_t now_ms)
{
    uint32_t index = feedback->last, previous;

    for (; feedback->new_count > 0 && index != PHOS__NOBODY; index = previous) {
        struct phos__opinion *o = phos__opinion(feedback, index);

        previous = o->previous;
        if (o->state != PHOS__OPINION_NEW ||
            (int64_t)(feedback->read_to - o->position) <= 0)
            continue;
        o->due_ms = now_ms;
        if (phos__delivery_holds(feedback->delivery, o->event_id) &&
            !PHOS__BUG(FEEDBACK_OVERTAKES))
            phos__opinion_enter(feedback, index, PHOS__OPINION_HELD);
        else if (phos__dedupe_has(&feedback->lost, o->event_id))
            phos__opinion_give_up(feedback, index, PHOS_REASON_EVENT_LOST);
        else
            phos__opinion_enter(feedback, index, PHOS__OPINION_READY);
    }
}

/* Whether any may be sent now at all; if not, when. */
static bool may_send(struct phos__feedback *feedback, uint64_t now_ms)
{
    bool probes = feedback->state != PHOS_STATE_RUNNING;
    uint32_t flying_max =
        probes ? 1 : (feedback->options.in_flight_max + 1) / 2;

    feedback->send_due_ms = UINT64_MAX;
    if (feedback->ready_count == 0 || feedback->flying_count >= flying_max)
        return false;
    feedback->send_due_ms = phos__max_u64(feedback->hold_until_ms,
                                          probes ? feedback->probe_due_ms : 0);
    return now_ms >= feedback->send_due_ms;
}

/* The first that is due, or as a probe the one that was sent longest ago. */
static uint32_t choose(struct phos__feedback *feedback, uint64_t now_ms)
{
    bool probes = feedback->state != PHOS_STATE_RUNNING;
    uint32_t chosen = PHOS__NOBODY;

    if (!may_send(feedback, now_ms))
        return PHOS__NOBODY;
    feedback->send_due_ms = UINT64_MAX;
    for (uint32_t index = feedback->first; index != PHOS__NOBODY;
         index = phos__opinion(feedback, index)->next) {
        const struct phos__opinion *o = phos__opinion(feedback, index);

        if (o->state != PHOS__OPINION_READY ||
            !phos__opinion_has_its_turn(feedback, index))
            continue;
        if (!probes && o->due_ms > now_ms)
            feedback->send_due_ms =
                phos__min_u64(feedback->send_due_ms, o->due_ms);
        else if (!probes)
            return index;
        else if (chosen == PHOS__NOBODY ||
                 o->turn < phos__opinion(feedback, chosen)->turn)
            chosen = index;
    }
    return chosen;
}

bool phos__feedback_next_send(struct phos__feedback *feedback, uint64_t now_ms,
                              struct phos__feedback_action *ret_action)
{
    uint32_t index = choose(feedback, now_ms);
    struct phos__opinion *o;

    if (index == PHOS__NOBODY) {
        phos__delivery_lend_nothing(feedback->delivery);
        return false;
    }
    if (!phos__delivery_lend(feedback->delivery, now_ms,
                             &feedback->send_due_ms))
        return false;
    phos__opinion_enter(feedback, index, PHOS__OPINION_FLYING);
    o = phos__opinion(feedback, index);
    o->is_probe = feedback->state != PHOS_STATE_RUNNING;
    o->turn = ++feedback->turn;
    o->request_id = PHOS__FEEDBACK_REQUEST | ++feedback->last_request_id;
    ret_action->kind = PHOS__FEEDBACK_SEND;
    ret_action->index = index;
    ret_action->request_id = o->request_id;
    ret_action->is_repeat = o->sends++ > 0;
    return true;
}
