#include "core/delivery.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/saturate.h"
#include "base/seeded.h"
#include "core/delivery_state.h"
#include "wire/batch.h"

enum {
    SPARE_BATCHES = 12, /* that may wait beside those under way */
    PARK_SHARE = 4,     /* of the ring that one batch may hold back */
    PARK_RETRY_SHARE = 16
};

/* ---- life ---- */

phos_status phos__delivery_create(const struct phos__delivery_options *options,
                                  const phos_allocator *allocator,
                                  struct phos__delivery **ret_delivery)
{
    struct phos__delivery *delivery =
        phos__alloc_zeroed(allocator, 1, sizeof(*delivery));

    assert(options->batch_events_max > 0 && options->batch_events_max <= 100);
    assert(options->in_flight_max > 0);
    assert(options->in_flight_max <= PHOS__FLYING_MAX);
    if (!delivery)
        return PHOS_E_NO_MEMORY;
    delivery->allocator = *allocator;
    delivery->options = *options;
    if (!phos__stock_init(&delivery->stock, allocator,
                          options->batch_events_max *
                              (options->in_flight_max + SPARE_BATCHES))) {
        phos__delivery_destroy(delivery);
        return PHOS_E_NO_MEMORY;
    }
    phos__dedupe_init(&delivery->dedupe, allocator, options->dedupe_window,
                      options->random);
    phos__pace_init(&delivery->pace, options->events_per_minute,
                    options->batch_events_max, 0);
    phos__ceiling_init(&delivery->ceiling, options->batch_bytes_max);
    phos__retry_budget_init(&delivery->budget);
    delivery->retry.base_ms = options->retry_base_ms;
    delivery->retry.cap_ms = options->retry_cap_ms;
    delivery->state = PHOS_STATE_RUNNING;
    delivery->told_state = PHOS_STATE_RUNNING;
    delivery->open = PHOS__NONE;
    delivery->window = options->in_flight_max;
    delivery->witnesses_left = PHOS__WITNESSES_MAX;
    delivery->expiry_check_ms = UINT64_MAX;
    delivery->done_first = PHOS__NONE;
    delivery->parking_batch = PHOS__NONE;
    *ret_delivery = delivery;
    return PHOS_OK;
}

void phos__delivery_destroy(struct phos__delivery *delivery)
{
    phos_allocator allocator = delivery->allocator;

    phos__stock_deinit(&delivery->stock, &allocator);
    phos__dedupe_deinit(&delivery->dedupe);
    phos__free(&allocator, delivery);
}

uint32_t phos__delivery_capacity(const struct phos__delivery *delivery)
{
    return delivery->stock.capacity;
}

uint32_t phos__delivery_room(const struct phos__delivery *delivery)
{
    return delivery->stock.capacity - delivery->stock.event_count;
}

/* ---- verdicts ---- */

static uint64_t *count_of(phos_ledger *ledger, phos_outcome outcome)
{
    switch (outcome) {
    case PHOS_OUTCOME_DELIVERED:
        return &ledger->delivered;
    case PHOS_OUTCOME_DUPLICATE:
        return &ledger->duplicate;
    case PHOS_OUTCOME_REFUSED:
        return &ledger->refused;
    case PHOS_OUTCOME_DROPPED:
        return &ledger->dropped;
    case PHOS_OUTCOME_UNKNOWN:
        break;
    }
    return &ledger->unknown;
}

void phos__delivery_conclude(struct phos__delivery *delivery, uint32_t event,
                             phos_outcome outcome, phos_reason reason)
{
    struct phos__stock_event *e = phos__event(delivery, event);

    e->outcome = outcome;
    e->reason = reason;
    e->next = PHOS__NONE;
    if (delivery->done_first == PHOS__NONE)
        delivery->done_first = event;
    else
        phos__event(delivery, delivery->done_last)->next = event;
    delivery->done_last = event;

    delivery->ledger.pending--;
    ++*count_of(&delivery->ledger, outcome);
    if (reason != PHOS_REASON_NONE)
        delivery->ledger.by_reason[reason]++;
    if (e->id_is_chosen && outcome != PHOS_OUTCOME_DELIVERED &&
        outcome != PHOS_OUTCOME_DUPLICATE)
        phos__dedupe_remove(&delivery->dedupe, e->id);
}

void phos__delivery_conclude_batch(struct phos__delivery *delivery,
                                   uint32_t batch, phos_outcome outcome,
                                   phos_reason reason)
{
    uint32_t event = phos__batch(delivery, batch)->first;

    while (event != PHOS__NONE) {
        uint32_t next = phos__event(delivery, event)->next;

        phos__delivery_conclude(delivery, event, outcome, reason);
        event = next;
    }
    phos__stock_batch_free(&delivery->stock, batch);
}

/* Given up: unknown for what may have arrived. */
static void give_up_event(struct phos__delivery *delivery, uint32_t event,
                          phos_reason reason)
{
    phos__delivery_conclude(delivery, event,
                            phos__event(delivery, event)->may_have_arrived
                                ? PHOS_OUTCOME_UNKNOWN
                                : PHOS_OUTCOME_DROPPED,
                            reason);
}

/* ---- the open batch ---- */

void phos__delivery_close_open(struct phos__delivery *delivery)
{
    if (delivery->open == PHOS__NONE)
        return;
    phos__batch(delivery, delivery->open)->state = PHOS__BATCH_READY;
    delivery->open = PHOS__NONE;
}

static void add_to_open(struct phos__delivery *delivery, uint32_t event)
{
    const struct phos__delivery_options *options = &delivery->options;
    uint32_t more =
        PHOS__BATCH_COMMA_BYTES + phos__event(delivery, event)->json_bytes;
    struct phos__stock_batch *b;

    if (delivery->open != PHOS__NONE &&
        phos__add_sat_u64(phos__batch(delivery, delivery->open)->body_bytes,
                          more) > delivery->ceiling.bytes)
        phos__delivery_close_open(delivery);
    if (delivery->open == PHOS__NONE) {
        delivery->open = phos__stock_batch_new(&delivery->stock, PHOS__NONE);
        phos__batch(delivery, delivery->open)->state = PHOS__BATCH_OPEN;
        phos__batch(delivery, delivery->open)->turn = delivery->turn;
    }
    phos__stock_append(&delivery->stock, delivery->open, event);
    b = phos__batch(delivery, delivery->open);
    b->successes_seen = delivery->successes;
    if (b->count == 1)
        delivery->open_due_ms =
            phos__add_sat_u64(b->oldest_logged_ms, options->linger_ms);
    if (b->count == options->batch_events_max ||
        b->body_bytes >= delivery->ceiling.bytes)
        phos__delivery_close_open(delivery);
}

/* The linger is over; but while the service's wish would hold the batch back
 * anyway, it goes on filling, and while the pace would, until there are tokens
 * for a full one. */
static void end_linger(struct phos__delivery *delivery, uint64_t now_ms)
{
    struct phos__pace *pace = &delivery->pace;
    uint32_t count;

    if (delivery->open == PHOS__NONE || now_ms < delivery->open_due_ms)
        return;
    count = phos__batch(delivery, delivery->open)->count;
    if (delivery->hold_until_ms > now_ms)
        delivery->open_due_ms = delivery->hold_until_ms;
    else if (delivery->pace_due_ms > now_ms) /* another has the next tokens */
        delivery->open_due_ms = delivery->pace_due_ms;
    else if (phos__pace_wait_ms(pace, now_ms, count) > 0)
        delivery->open_due_ms = phos__add_sat_u64(
            now_ms, phos__pace_wait_ms(pace, now_ms,
                                       delivery->options.batch_events_max));
    else
        phos__delivery_close_open(delivery);
}

/* ---- facts ---- */

uint64_t phos__delivery_expiry_ms(const struct phos__delivery *delivery,
                                  uint64_t logged_ms, uint64_t now_ms)
{
    uint64_t age_ms = phos__pauses_age_ms(&delivery->pauses, logged_ms, now_ms);

    return phos__add_sat_u64(
        now_ms, phos__sub_sat_u64(delivery->options.age_max_ms, age_ms));
}

uint32_t phos__delivery_take(struct phos__delivery *delivery, uint64_t now_ms,
                             const struct phos__arrival *arrival)
{
    uint32_t event = phos__stock_event_new(&delivery->stock);
    struct phos__stock_event *e = phos__event(delivery, event);

    e->json_bytes = arrival->json_bytes;
    e->record_bytes = arrival->record_bytes;
    e->id_is_chosen = arrival->id_is_chosen;
    e->position = arrival->position;
    e->logged_ms = phos__min_u64(arrival->logged_ms, now_ms);
    e->cookie = arrival->cookie;
    e->is_parked = arrival->is_parked;
    if (arrival->is_parked)
        delivery->parked_bytes += e->record_bytes;
    memcpy(e->id, arrival->id, 16);
    delivery->ledger.accepted++;
    delivery->ledger.pending++;

    if (arrival->is_damaged) {
        phos__delivery_conclude(delivery, event, PHOS_OUTCOME_DROPPED,
                                PHOS_REASON_DAMAGED);
    } else if (arrival->is_unwanted) {
        e->id_is_chosen = false; /* it is not in the window: not taken out */
        phos__delivery_conclude(delivery, event, PHOS_OUTCOME_DROPPED,
                                PHOS_REASON_BEFORE_SEND);
    } else if (arrival->id_is_chosen &&
               !phos__dedupe_add(&delivery->dedupe, arrival->id)) {
        phos__delivery_conclude(delivery, event, PHOS_OUTCOME_DUPLICATE,
                                PHOS_REASON_NONE);
    } else {
        add_to_open(delivery, event);
        if (delivery->options.age_max_ms)
            delivery->expiry_check_ms = phos__min_u64(
                delivery->expiry_check_ms,
                phos__delivery_expiry_ms(delivery, e->logged_ms, now_ms));
    }
    return event;
}

void phos__delivery_read_to(struct phos__delivery *delivery, uint64_t position)
{
    delivery->read_to = position;
    delivery->must_check_parking = true;
}

void phos__delivery_hurry(struct phos__delivery *delivery, uint64_t now_ms)
{
    (void)now_ms;
    phos__delivery_close_open(delivery);
}

void phos__delivery_parked(struct phos__delivery *delivery, uint32_t event,
                           bool moved)
{
    struct phos__stock_event *e = phos__event(delivery, event);

    assert(delivery->parking_batch != PHOS__NONE);
    if (moved) {
        e->is_parked = true;
        delivery->parked_bytes += e->record_bytes;
        return;
    }
    phos__batch(delivery, delivery->parking_batch)->parking_failed = true;
    delivery->parking_retry_at =
        delivery->read_to + delivery->options.ring_bytes / PARK_RETRY_SHARE;
    delivery->parking_batch = PHOS__NONE;
}

static void forget_flying(struct phos__delivery *delivery)
{
    for (uint32_t i = 0; i < delivery->flying_count; i++)
        delivery->cancels[delivery->cancel_count++] =
            phos__batch(delivery, delivery->flying[i])->request_id;
    delivery->flying_count = 0;
}

void phos__delivery_give_up(struct phos__delivery *delivery, uint64_t now_ms)
{
    (void)now_ms;
    forget_flying(delivery);
    phos__delivery_refuse_condemned(delivery);
    delivery->open = PHOS__NONE;
    delivery->parking_batch = PHOS__NONE;
    while (delivery->stock.first != PHOS__NONE) {
        uint32_t batch = delivery->stock.first;
        struct phos__stock_batch *b = phos__batch(delivery, batch);
        uint32_t event = b->first;

        while (event != PHOS__NONE) {
            uint32_t next = phos__event(delivery, event)->next;

            if (b->state == PHOS__BATCH_FLYING)
                phos__event(delivery, event)->may_have_arrived = true;
            give_up_event(delivery, event, PHOS_REASON_CLOSED);
            event = next;
        }
        phos__stock_batch_free(&delivery->stock, batch);
    }
}

/* ---- age ---- */

/* Takes the events that are too old out of a batch; true: it is empty now and
 * freed. */
static bool expire_batch(struct phos__delivery *delivery, uint32_t batch,
                         uint64_t now_ms)
{
    struct phos__stock_batch *b = phos__batch(delivery, batch);
    uint32_t *link = &b->first;
    bool any = false;

    while (*link != PHOS__NONE) {
        uint32_t event = *link;
        struct phos__stock_event *e = phos__event(delivery, event);

        if (phos__pauses_age_ms(&delivery->pauses, e->logged_ms, now_ms) <
            delivery->options.age_max_ms) {
            link = &e->next;
            continue;
        }
        *link = e->next;
        give_up_event(delivery, event, PHOS_REASON_AGE);
        any = true;
    }
    if (any) {
        phos__stock_recount(&delivery->stock, batch);
        if (delivery->parking_batch == batch) /* the next may be among them */
            delivery->parking_batch = PHOS__NONE;
        delivery->must_check_parking = true;
    }
    if (b->count > 0)
        return false;
    if (b->state == PHOS__BATCH_CONDEMNED)
        delivery->condemned--;
    if (delivery->open == batch)
        delivery->open = PHOS__NONE;
    phos__stock_batch_free(&delivery->stock, batch);
    return true;
}

static void expire(struct phos__delivery *delivery, uint64_t now_ms)
{
    uint64_t check_ms = UINT64_MAX;
    uint32_t batch = delivery->stock.first;

    while (batch != PHOS__NONE) {
        struct phos__stock_batch *b = phos__batch(delivery, batch);
        uint32_t next = b->next;

        /* One under way is looked at when it lands. */
        if (b->state != PHOS__BATCH_FLYING &&
            !expire_batch(delivery, batch, now_ms))
            check_ms = phos__min_u64(
                check_ms, phos__delivery_expiry_ms(
                              delivery, b->oldest_logged_ms, now_ms));
        batch = next;
    }
    delivery->expiry_check_ms = check_ms;
}

/* ---- parking ---- */

static bool holds_back_too_much(const struct phos__delivery *delivery,
                                const struct phos__stock_batch *b)
{
    uint64_t behind = delivery->read_to - b->oldest_position;

    return (int64_t)behind >
           (int64_t)(delivery->options.ring_bytes / PARK_SHARE);
}

static bool has_unparked(struct phos__delivery *delivery, uint32_t batch)
{
    uint32_t event = phos__batch(delivery, batch)->first;

    while (event != PHOS__NONE && phos__event(delivery, event)->is_parked)
        event = phos__event(delivery, event)->next;
    return event != PHOS__NONE;
}

/* Finds a batch that has to leave the ring and fits into the parking. */
static void choose_parking(struct phos__delivery *delivery)
{
    bool may_retry =
        (int64_t)(delivery->read_to - delivery->parking_retry_at) >= 0;

    delivery->must_check_parking = false;
    for (uint32_t batch = delivery->stock.first; batch != PHOS__NONE;
         batch = phos__batch(delivery, batch)->next) {
        struct phos__stock_batch *b = phos__batch(delivery, batch);

        if (b->state == PHOS__BATCH_OPEN || !holds_back_too_much(delivery, b) ||
            (b->parking_failed && !may_retry) ||
            delivery->parked_bytes + b->record_bytes >
                delivery->options.parking_bytes_max ||
            !has_unparked(delivery, batch))
            continue;
        b->parking_failed = false;
        delivery->parking_batch = batch;
        delivery->parking_event = b->first;
        delivery->must_check_parking = true; /* there may be another */
        return;
    }
}

static bool next_park(struct phos__delivery *delivery,
                      struct phos__action *ret_action)
{
    struct phos__stock_event *e;

    if (delivery->parking_batch == PHOS__NONE && delivery->must_check_parking)
        choose_parking(delivery);
    if (delivery->parking_batch == PHOS__NONE)
        return false;
    while (delivery->parking_event != PHOS__NONE &&
           phos__event(delivery, delivery->parking_event)->is_parked)
        delivery->parking_event =
            phos__event(delivery, delivery->parking_event)->next;
    if (delivery->parking_event == PHOS__NONE) {
        delivery->parking_batch = PHOS__NONE;
        return next_park(delivery, ret_action);
    }
    e = phos__event(delivery, delivery->parking_event);
    ret_action->kind = PHOS__ACTION_PARK;
    ret_action->event = delivery->parking_event;
    ret_action->position = e->position;
    return true;
}

/* ---- actions ---- */

static bool next_verdict(struct phos__delivery *delivery, uint64_t now_ms,
                         struct phos__action *ret_action)
{
    uint32_t event = delivery->done_first;
    struct phos__stock_event *e;

    if (event == PHOS__NONE)
        return false;
    e = phos__event(delivery, event);
    ret_action->kind = PHOS__ACTION_VERDICT;
    ret_action->event = event;
    ret_action->position = e->position;
    ret_action->is_parked = e->is_parked;
    memcpy(ret_action->receipt.id.bytes, e->id, 16);
    ret_action->receipt.cookie = e->cookie;
    ret_action->receipt.outcome = e->outcome;
    ret_action->receipt.reason = e->reason;
    ret_action->receipt.sends = e->sends;
    ret_action->receipt.http_status = e->http_status;
    ret_action->receipt.age_ms = phos__sub_sat_u64(now_ms, e->logged_ms);
    if (PHOS__BUG(RECEIPT_TWICE) && e->sends == 2) {
        e->sends++;
        return true;
    }
    delivery->done_first = e->next;
    if (e->is_parked)
        delivery->parked_bytes -= e->record_bytes;
    phos__stock_event_free(&delivery->stock, event);
    return true;
}

static bool next_news(struct phos__delivery *delivery,
                      struct phos__action *ret_action)
{
    if (delivery->cancel_count > 0) {
        ret_action->kind = PHOS__ACTION_CANCEL;
        ret_action->request_id = delivery->cancels[--delivery->cancel_count];
        return true;
    }
    if (delivery->state == delivery->told_state)
        return false;
    delivery->told_state = delivery->state;
    ret_action->kind = PHOS__ACTION_STATE;
    ret_action->state = delivery->state;
    ret_action->http_status = delivery->state_http_status;
    return true;
}

/* Nothing else is there that could vouch for the service: the first two events
 * that are refused alone are taken at its word; from the third on, without a
 * success in between, it is not the events. */
static void settle_lone_condemned(struct phos__delivery *delivery,
                                  uint64_t now_ms)
{
    if (delivery->condemned == 0 || delivery->state != PHOS_STATE_RUNNING)
        return;
    for (uint32_t batch = delivery->stock.first; batch != PHOS__NONE;
         batch = phos__batch(delivery, batch)->next)
        if (phos__batch(delivery, batch)->state != PHOS__BATCH_CONDEMNED)
            return;
    if (delivery->suspects_in_row < PHOS__CONDEMNED_MAX)
        phos__delivery_refuse_condemned(delivery);
    else
        phos__delivery_blame_configuration(delivery, now_ms, 0);
}

bool phos__delivery_next(struct phos__delivery *delivery, uint64_t now_ms,
                         struct phos__action *ret_action)
{
    if (next_verdict(delivery, now_ms, ret_action) ||
        next_news(delivery, ret_action))
        return true;
    if (now_ms >= delivery->expiry_check_ms)
        expire(delivery, now_ms);
    settle_lone_condemned(delivery, now_ms);
    end_linger(delivery, now_ms);
    if (delivery->done_first != PHOS__NONE)
        return next_verdict(delivery, now_ms, ret_action);
    return next_park(delivery, ret_action) ||
           phos__delivery_next_send(delivery, now_ms, ret_action) ||
           next_news(delivery, ret_action);
}

uint64_t phos__delivery_due_ms(const struct phos__delivery *delivery)
{
    uint64_t due_ms = phos__delivery_send_due_ms(delivery);

    if (delivery->done_first != PHOS__NONE || delivery->cancel_count > 0)
        return 0;
    if (delivery->open != PHOS__NONE)
        due_ms = phos__min_u64(due_ms, delivery->open_due_ms);
    /* The check is not called off when the last event has its verdict. */
    if (delivery->stock.first != PHOS__NONE)
        due_ms = phos__min_u64(due_ms, delivery->expiry_check_ms);
    return due_ms;
}

/* ---- what it knows ---- */

const phos_ledger *phos__delivery_ledger(const struct phos__delivery *delivery)
{
    return &delivery->ledger;
}

phos_state phos__delivery_state(const struct phos__delivery *delivery)
{
    return delivery->state;
}

uint64_t phos__delivery_parked_bytes(const struct phos__delivery *delivery)
{
    return delivery->parked_bytes;
}

bool phos__delivery_may_park(const struct phos__delivery *delivery,
                             uint64_t record_bytes)
{
    return delivery->parked_bytes + record_bytes <=
           delivery->options.parking_bytes_max;
}

uint32_t phos__delivery_in_flight(const struct phos__delivery *delivery)
{
    return delivery->flying_count;
}

uint32_t phos__delivery_lent(const struct phos__delivery *delivery)
{
    return delivery->lent_count;
}

static bool has_id(const struct phos__delivery *delivery, uint32_t event,
                   const uint8_t id[16])
{
    while (event != PHOS__NONE &&
           memcmp(delivery->stock.events[event].id, id, 16) != 0)
        event = delivery->stock.events[event].next;
    return event != PHOS__NONE;
}

bool phos__delivery_holds(const struct phos__delivery *delivery,
                          const uint8_t id[16])
{
    for (uint32_t batch = delivery->stock.first; batch != PHOS__NONE;
         batch = delivery->stock.batches[batch].next)
        if (has_id(delivery, delivery->stock.batches[batch].first, id))
            return true;
    return has_id(delivery, delivery->done_first, id);
}

uint64_t phos__delivery_oldest(const struct phos__delivery *delivery)
{
    uint64_t oldest = UINT64_MAX;

    for (uint32_t batch = delivery->stock.first; batch != PHOS__NONE;
         batch = delivery->stock.batches[batch].next) {
        uint64_t position = delivery->stock.batches[batch].oldest_position;

        if (oldest == UINT64_MAX || (int64_t)(position - oldest) < 0)
            oldest = position;
    }
    for (uint32_t event = delivery->done_first; event != PHOS__NONE;
         event = delivery->stock.events[event].next) {
        uint64_t position = delivery->stock.events[event].position;

        if (oldest == UINT64_MAX || (int64_t)(position - oldest) < 0)
            oldest = position;
    }
    return oldest;
}

void phos__delivery_batches(const struct phos__delivery *delivery,
                            uint64_t *ret_batches, uint64_t *ret_events)
{
    *ret_batches = delivery->batch_count;
    *ret_events = delivery->batch_events;
}

void phos__delivery_limits(const struct phos__delivery *delivery,
                           uint64_t now_ms, uint64_t *ret_per_minute,
                           uint64_t *ret_hold_ms)
{
    *ret_per_minute = delivery->pace.learned;
    *ret_hold_ms = phos__sub_sat_u64(delivery->hold_until_ms, now_ms);
}
