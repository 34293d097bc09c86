/*
 * Which batch is sent next, and when: in order while others succeed, one probe
 * at a time while nothing does.
 */
#include "base/saturate.h"
#include "core/delivery_state.h"

static bool may_be_sent(const struct phos__stock_batch *b)
{
    return b->state == PHOS__BATCH_READY || b->state == PHOS__BATCH_WAITING;
}

static bool a_suspect_flies(struct phos__delivery *delivery)
{
    for (uint32_t i = 0; i < delivery->flying_count; i++)
        if (phos__batch(delivery, delivery->flying[i])->is_suspect)
            return true;
    return false;
}

/* Whether `b` was there already when `failing` was sent last, and has not had
 * its own turn since. */
static bool was_passed_over(const struct phos__stock_batch *b,
                            const struct phos__stock_batch *failing)
{
    return failing->failures > 0 && b->failures == 0 && b->turn < failing->turn;
}

/* Whether one more request may be under way. */
static bool has_free_place(const struct phos__delivery *delivery)
{
    return delivery->flying_count + delivery->lent_count + delivery->owes_turn <
           delivery->options.in_flight_max;
}

/* While others succeed: in order; a suspect one at a time. A batch that fails
 * again and again lets others go first, or it could take every place that the
 * pace and the window have. */
static uint32_t choose_running(struct phos__delivery *delivery, uint64_t now_ms)
{
    bool suspect_flies = a_suspect_flies(delivery);
    uint32_t chosen = PHOS__NONE;

    if (delivery->flying_count >= delivery->window || !has_free_place(delivery))
        return PHOS__NONE;
    for (uint32_t batch = delivery->stock.first; batch != PHOS__NONE;
         batch = phos__batch(delivery, batch)->next) {
        const struct phos__stock_batch *b = phos__batch(delivery, batch);

        if (!may_be_sent(b) || (b->is_suspect && suspect_flies) ||
            (b->state == PHOS__BATCH_WAITING && now_ms < b->due_ms))
            continue;
        if (chosen == PHOS__NONE ||
            was_passed_over(b, phos__batch(delivery, chosen)))
            chosen = batch;
    }
    return chosen;
}

/* The batch that was sent longest ago, or never: probes and witnesses take
 * turns. `due_by_ms`: of those that wait, only what is due by then. */
static uint32_t longest_unsent(const struct phos__delivery *delivery,
                               uint64_t due_by_ms)
{
    const struct phos__stock_batch *batches = delivery->stock.batches;
    uint32_t chosen = PHOS__NONE;

    for (uint32_t batch = delivery->stock.first; batch != PHOS__NONE;
         batch = batches[batch].next) {
        const struct phos__stock_batch *b = &batches[batch];

        if (!may_be_sent(b) ||
            (b->state == PHOS__BATCH_WAITING && b->due_ms > due_by_ms))
            continue;
        if (chosen == PHOS__NONE || b->turn < batches[chosen].turn ||
            (b->turn == batches[chosen].turn && b->failures == 0 &&
             batches[chosen].failures > 0))
            chosen = batch;
    }
    return chosen;
}

/* Three single events were refused and nothing has arrived since: another batch
 * is asked whether it is them or the service. */
static uint32_t choose_witness(struct phos__delivery *delivery, uint64_t now_ms)
{
    phos__delivery_close_open(delivery);
    if (delivery->witnesses_left > 0 &&
        longest_unsent(delivery, UINT64_MAX) != PHOS__NONE)
        return longest_unsent(delivery, now_ms);
    phos__delivery_blame_configuration(delivery, now_ms, 0);
    return PHOS__NONE;
}

static uint32_t choose(struct phos__delivery *delivery, uint64_t now_ms)
{
    bool asks_witnesses = delivery->condemned >= PHOS__CONDEMNED_MAX;

    if (now_ms < delivery->hold_until_ms)
        return PHOS__NONE;
    if (delivery->state == PHOS_STATE_RUNNING && !asks_witnesses)
        return choose_running(delivery, now_ms);
    if (delivery->flying_count > 0 || !has_free_place(delivery) ||
        (delivery->state != PHOS_STATE_RUNNING && delivery->lent_count > 0))
        return PHOS__NONE;
    if (delivery->state == PHOS_STATE_RUNNING)
        return choose_witness(delivery, now_ms);
    return now_ms < delivery->probe_due_ms
               ? PHOS__NONE
               : longest_unsent(delivery, UINT64_MAX);
}

uint32_t phos__delivery_halve(struct phos__delivery *delivery, uint32_t batch)
{
    struct phos__stock_batch *b = phos__batch(delivery, batch);
    uint32_t other =
        phos__stock_split(&delivery->stock, batch, (b->count + 1) / 2);

    b->state = PHOS__BATCH_READY;
    phos__batch(delivery, other)->state = PHOS__BATCH_READY;
    if (delivery->parking_batch == batch)
        delivery->parking_batch = PHOS__NONE;
    delivery->must_check_parking = true;
    return other;
}

static void fill_send(struct phos__delivery *delivery, uint32_t batch,
                      struct phos__action *action)
{
    struct phos__stock_batch *b = phos__batch(delivery, batch);
    uint32_t count = 0;

    action->kind = PHOS__ACTION_SEND;
    action->request_id = b->request_id;
    action->is_probe = b->is_probe;
    action->is_repeat = false;
    for (uint32_t event = b->first; event != PHOS__NONE;
         event = phos__event(delivery, event)->next) {
        struct phos__stock_event *e = phos__event(delivery, event);

        if (e->sends++ > 0)
            action->is_repeat = true;
        delivery->sent[count++] = event;
    }
    action->events = delivery->sent;
    action->event_count = count;
}

bool phos__delivery_next_send(struct phos__delivery *delivery, uint64_t now_ms,
                              struct phos__action *ret_action)
{
    uint32_t batch = choose(delivery, now_ms);
    struct phos__stock_batch *b;
    uint64_t wait_ms;

    delivery->pace_due_ms = 0;
    if (batch == PHOS__NONE)
        return false;
    while (phos__batch(delivery, batch)->count > 1 &&
           phos__batch(delivery, batch)->body_bytes > delivery->ceiling.bytes)
        phos__delivery_halve(delivery, batch);
    b = phos__batch(delivery, batch);
    wait_ms = phos__pace_wait_ms(&delivery->pace, now_ms,
                                 b->count + delivery->owes_turn);
    if (wait_ms > 0) {
        delivery->pace_due_ms = phos__add_sat_u64(now_ms, wait_ms);
        return false;
    }
    phos__pace_spend(&delivery->pace, now_ms, b->count);

    if (delivery->state == PHOS_STATE_RUNNING &&
        delivery->condemned >= PHOS__CONDEMNED_MAX)
        delivery->witnesses_left--;
    b->is_probe = delivery->state != PHOS_STATE_RUNNING;
    b->state = PHOS__BATCH_FLYING;
    b->turn = ++delivery->turn;
    b->request_id = ++delivery->last_request_id;
    delivery->flying[delivery->flying_count++] = batch;
    delivery->has_lent_last = false;
    fill_send(delivery, batch, ret_action);
    return true;
}

/* When a batch that may be sent comes due; UINT64_MAX: with an answer. */
uint64_t phos__delivery_send_due_ms(const struct phos__delivery *delivery)
{
    bool probes = delivery->state != PHOS_STATE_RUNNING;
    uint32_t window = probes || delivery->condemned >= PHOS__CONDEMNED_MAX
                          ? 1
                          : delivery->window;
    uint64_t due_ms = UINT64_MAX;

    if (delivery->flying_count >= window || !has_free_place(delivery) ||
        (probes && delivery->lent_count > 0))
        return UINT64_MAX;
    for (uint32_t batch = delivery->stock.first; batch != PHOS__NONE;
         batch = delivery->stock.batches[batch].next) {
        const struct phos__stock_batch *b = &delivery->stock.batches[batch];

        /* A suspect that is not alone waits for the other's answer. */
        if (!may_be_sent(b) || (b->is_suspect && delivery->flying_count > 0))
            continue;
        if (probes)
            due_ms = delivery->probe_due_ms;
        else
            due_ms = phos__min_u64(
                due_ms, b->state == PHOS__BATCH_WAITING ? b->due_ms : 0);
    }
    if (due_ms == UINT64_MAX)
        return due_ms;
    due_ms = phos__max_u64(due_ms, delivery->hold_until_ms);
    return phos__max_u64(due_ms, delivery->pace_due_ms);
}

/* ---- requests of others ---- */

/* Something of its own is to be sent, and only the pace holds it back. */
static bool waits_for_tokens(const struct phos__delivery *delivery,
                             uint64_t now_ms, uint64_t *ret_due_ms)
{
    *ret_due_ms = delivery->pace_due_ms;
    if (delivery->pace_due_ms > now_ms)
        return true;
    if (delivery->open == PHOS__NONE)
        return false;
    *ret_due_ms = delivery->open_due_ms;
    return delivery->open_due_ms > now_ms &&
           delivery->open_due_ms >
               phos__add_sat_u64(
                   delivery->stock.batches[delivery->open].oldest_logged_ms,
                   delivery->options.linger_ms);
}

bool phos__delivery_lend(struct phos__delivery *delivery, uint64_t now_ms,
                         uint64_t *ret_due_ms)
{
    bool probes = delivery->state != PHOS_STATE_RUNNING;
    uint64_t wait_ms;

    *ret_due_ms = UINT64_MAX;
    delivery->owes_turn = false;
    if (probes && (delivery->stock.first != PHOS__NONE ||
                   delivery->flying_count + delivery->lent_count > 0))
        return false;
    *ret_due_ms = phos__max_u64(delivery->hold_until_ms,
                                probes ? delivery->probe_due_ms : 0);
    if (now_ms < *ret_due_ms)
        return false;
    if (!has_free_place(delivery)) {
        *ret_due_ms = UINT64_MAX;
        delivery->owes_turn = !delivery->has_lent_last;
        return false;
    }
    if (delivery->has_lent_last &&
        waits_for_tokens(delivery, now_ms, ret_due_ms))
        return false;
    wait_ms = phos__pace_wait_ms(&delivery->pace, now_ms, 1);
    *ret_due_ms = phos__add_sat_u64(now_ms, wait_ms);
    delivery->owes_turn = wait_ms > 0 && !delivery->has_lent_last;
    if (wait_ms > 0)
        return false;
    phos__pace_spend(&delivery->pace, now_ms, 1);
    delivery->has_lent_last = true;
    delivery->lent_count++;
    return true;
}

void phos__delivery_lend_nothing(struct phos__delivery *delivery)
{
    delivery->owes_turn = false;
}

void phos__delivery_repay(struct phos__delivery *delivery, uint64_t now_ms,
                          bool has_arrived)
{
    delivery->lent_count--;
    if (has_arrived && delivery->state != PHOS_STATE_RUNNING &&
        delivery->stock.first == PHOS__NONE)
        phos__delivery_recover(delivery, now_ms);
}
