/*
 * What other threads ask of a pipeline, and what they are told.
 */
#include <string.h>

#include "base/saturate.h"
#include "client/pipeline_state.h"
#include "wire/feedback_record.h"
#include "wire/url.h"

static uint64_t monotonic_us(const struct phos__pipeline *pipeline)
{
    const struct phos__clock_port *clock = &pipeline->options.ports.clock;

    return clock->monotonic_us(clock->self);
}

static void lock(struct phos__pipeline *pipeline)
{
    pthread_mutex_lock(&pipeline->answers.lock);
}

static void unlock(struct phos__pipeline *pipeline)
{
    pthread_mutex_unlock(&pipeline->answers.lock);
}

static void wake(struct phos__pipeline *pipeline)
{
    phos__ring_wake(pipeline->ring);
}

/* Waits until *condition, or until the deadline; under the lock. */
static bool wait_until(struct phos__pipeline *pipeline, const bool *condition,
                       uint64_t timeout_ms)
{
    struct timespec deadline;
    uint64_t seconds = timeout_ms / 1000;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += (time_t)phos__min_u64(seconds, UINT32_MAX);
    deadline.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_nsec -= 1000000000;
        deadline.tv_sec++;
    }
    while (!*condition)
        if (pthread_cond_timedwait(&pipeline->changed, &pipeline->answers.lock,
                                   &deadline))
            break;
    return *condition;
}

/* ---- flush ---- */

void phos__pipeline_flush(struct phos__pipeline *pipeline,
                          struct phos__ticket *ticket)
{
    memset(ticket, 0, sizeof(*ticket));
    ticket->target = phos__ring_tail(pipeline->ring);
    lock(pipeline);
    if (pipeline->is_closing) {
        ticket->is_done = true;
        ticket->status = PHOS_E_CLOSED;
    } else {
        ticket->next = pipeline->tickets;
        pipeline->tickets = ticket;
    }
    unlock(pipeline);
    wake(pipeline);
}

static void take_back(struct phos__pipeline *pipeline,
                      struct phos__ticket *ticket)
{
    struct phos__ticket **link = &pipeline->tickets;

    while (*link && *link != ticket)
        link = &(*link)->next;
    if (*link)
        *link = ticket->next;
}

bool phos__pipeline_wait(struct phos__pipeline *pipeline,
                         struct phos__ticket *ticket, uint64_t timeout_ms)
{
    bool is_done;

    lock(pipeline);
    is_done = wait_until(pipeline, &ticket->is_done, timeout_ms);
    if (!is_done)
        take_back(pipeline, ticket);
    unlock(pipeline);
    return is_done;
}

static uint64_t lower(uint64_t position, uint64_t oldest)
{
    return oldest != UINT64_MAX && (int64_t)(oldest - position) < 0 ? oldest
                                                                    : position;
}

/* All events, or all events and all feedback, below this position have their
 * verdict, but for log calls that have not returned. */
struct settled {
    uint64_t events, all;
};

/* Under the lock: who has asked for a flush by now had returned from its log
 * calls before. */
static struct settled settled_below(struct phos__pipeline *pipeline)
{
    struct settled settled;

    settled.events = lower(phos__pipeline_read_below(pipeline),
                           phos__delivery_oldest(pipeline->delivery));
    settled.all =
        lower(settled.events, phos__pipeline_oldest_feedback(pipeline));
    return settled;
}

/* Under the lock: whether the ticket has its answer. Where feedback alone is
 * refused, events go on, and are waited for; so is the verdict on a key that
 * was given before the ticket and is not in use yet. */
static bool settle(const struct phos__pipeline *pipeline,
                   const struct settled *settled, struct phos__ticket *ticket)
{
    bool events_have_theirs =
        (int64_t)(settled->events - ticket->target) >= 0 ||
        phos__delivery_state(pipeline->delivery) == PHOS_STATE_CONFIG;

    ticket->is_done = (int64_t)(settled->all - ticket->target) >= 0;
    if (!ticket->is_done && events_have_theirs && !pipeline->new_credential &&
        phos__pipeline_is_refused(pipeline)) {
        ticket->is_done = true;
        ticket->status = PHOS_E_CONFIG;
    }
    return ticket->is_done;
}

void phos__pipeline_settle(struct phos__pipeline *pipeline)
{
    struct settled settled = { 0, 0 };
    struct phos__ticket **link;
    bool any_done = false;

    lock(pipeline);
    link = &pipeline->tickets;
    if (*link)
        settled = settled_below(pipeline);
    while (*link) {
        struct phos__ticket *ticket = *link;
        bool is_done = settle(pipeline, &settled, ticket);

        if (is_done)
            *link = ticket->next;
        else
            link = &ticket->next;
        any_done |= is_done;
    }
    if (any_done)
        pthread_cond_broadcast(&pipeline->changed);
    unlock(pipeline);
}

/* ---- close ---- */

void phos__pipeline_close(struct phos__pipeline *pipeline, uint32_t timeout_ms)
{
    phos__ring_close(pipeline->ring);
    lock(pipeline);
    if (!pipeline->is_closing) {
        pipeline->is_closing = true;
        pipeline->close_deadline_us = phos__add_sat_u64(
            monotonic_us(pipeline), (uint64_t)timeout_ms * 1000);
    }
    unlock(pipeline);
    wake(pipeline);
}

bool phos__pipeline_wait_closed(struct phos__pipeline *pipeline,
                                uint64_t grace_ms)
{
    uint64_t left_us;
    bool is_closed;

    lock(pipeline);
    left_us =
        phos__sub_sat_u64(pipeline->close_deadline_us, monotonic_us(pipeline));
    is_closed =
        wait_until(pipeline, &pipeline->is_closed, left_us / 1000 + grace_ms);
    unlock(pipeline);
    return is_closed;
}

bool phos__pipeline_is_refused(const struct phos__pipeline *pipeline)
{
    return phos__delivery_state(pipeline->delivery) == PHOS_STATE_CONFIG ||
           phos__feedback_state(pipeline->feedback) == PHOS_STATE_CONFIG;
}

static void publish(struct phos__pipeline *pipeline, phos_state state)
{
    struct phos__published *published = &pipeline->published;
    const struct phos__delivery *delivery = pipeline->delivery;
    phos_stats *stats = &published->stats;

    stats->state = state;
    stats->ledger = *phos__delivery_ledger(delivery);
    stats->feedback = phos__pipeline_feedback_ledger(pipeline);
    stats->parked_bytes = phos__delivery_parked_bytes(delivery);
    stats->in_flight =
        phos__delivery_in_flight(delivery) + phos__delivery_lent(delivery);
    phos__delivery_batches(delivery, &stats->batches, &stats->batch_events);
    stats->stalled_record_age_ms =
        phos__ring_stalled_age_ms(&pipeline->reader, pipeline->now_ms);
    published->read = pipeline->reader.read;
    published->untold =
        pipeline->reader.stalled_count + pipeline->has_waiting_item;
    phos__snapshot_write(&pipeline->snapshot, published, sizeof(*published));
}

void phos__pipeline_publish(struct phos__pipeline *pipeline)
{
    phos_state state = phos__pipeline_is_refused(pipeline)
                           ? PHOS_STATE_CONFIG
                           : phos__delivery_state(pipeline->delivery);

    lock(pipeline);
    if (pipeline->is_closing)
        state = PHOS_STATE_CLOSING;
    unlock(pipeline);
    publish(pipeline, state);
}

void phos__pipeline_tell_closed(struct phos__pipeline *pipeline,
                                phos_status status)
{
    publish(pipeline, PHOS_STATE_CLOSED);
    lock(pipeline);
    if (!pipeline->is_abandoned)
        pipeline->close_status = status;
    pipeline->is_closed = true;
    for (struct phos__ticket *ticket = pipeline->tickets; ticket;
         ticket = ticket->next) {
        ticket->is_done = true;
        ticket->status = status ? PHOS_E_CLOSED : PHOS_OK;
    }
    pipeline->tickets = NULL;
    pthread_cond_broadcast(&pipeline->changed);
    unlock(pipeline);
}

/* What the worker does not answer for: what is pending may have arrived, what
 * it has not read was never sent. */
static void count_events_left(phos_ledger *ledger, uint64_t unread)
{
    ledger->unknown += ledger->pending;
    ledger->by_reason[PHOS_REASON_CLOSED] += ledger->pending + unread;
    ledger->pending = 0;
    ledger->accepted += unread;
    ledger->dropped += unread;
}

static void count_feedback_left(phos_feedback_ledger *ledger, uint64_t unread)
{
    ledger->unknown += ledger->pending;
    ledger->by_reason[PHOS_REASON_CLOSED] += ledger->pending + unread;
    ledger->pending = 0;
    ledger->accepted += unread;
    ledger->dropped += unread;
}

/* What the worker has told, and, if it does not answer, what it would have to
 * tell of the rest. Under the lock. */
static void make_report(struct phos__pipeline *pipeline)
{
    struct phos__published published;
    uint64_t events, feedback;

    phos__snapshot_read(&pipeline->snapshot, &published, sizeof(published));
    if (!pipeline->is_closed) {
        events = phos__ring_count_from(pipeline->ring, published.read,
                                       phos__feedback_record_is, &feedback);
        pipeline->is_abandoned = true;
        pipeline->close_status = PHOS_E_TIMEOUT;
        count_events_left(&published.stats.ledger, events + published.untold);
        count_feedback_left(&published.stats.feedback, feedback);
    }
    pipeline->report.ledger = published.stats.ledger;
    pipeline->report.feedback = published.stats.feedback;
    pipeline->report.last_error = published.stats.last_error;
    pipeline->has_report = true;
}

phos_status phos__pipeline_close_report(struct phos__pipeline *pipeline,
                                        phos_close_report *ret_report)
{
    phos_status status;

    lock(pipeline);
    if (!pipeline->has_report)
        make_report(pipeline);
    ret_report->ledger = pipeline->report.ledger;
    ret_report->feedback = pipeline->report.feedback;
    ret_report->last_error = pipeline->report.last_error;
    status = pipeline->close_status;
    unlock(pipeline);
    return status;
}

/* ---- the rest ---- */

void phos__pipeline_drain(struct phos__pipeline *pipeline)
{
    phos__flag_set(&pipeline->drain);
    wake(pipeline);
}

phos_status phos__pipeline_set_api_key(struct phos__pipeline *pipeline,
                                       phos_str api_key)
{
    struct phos__credential *credential, *unused;
    bool is_closed;

    if (!api_key.data || !phos__header_value_is_valid(api_key))
        return PHOS_E_INVALID;
    credential = phos__credential_create(&pipeline->allocator,
                                         PHOS_STR("Bearer "), api_key);
    if (!credential)
        return PHOS_E_NO_MEMORY;
    lock(pipeline);
    is_closed = pipeline->is_closed || pipeline->is_abandoned;
    unused = is_closed ? credential : pipeline->new_credential;
    if (!is_closed)
        pipeline->new_credential = credential;
    unlock(pipeline);
    phos__credential_unref(unused);
    if (is_closed)
        return PHOS_E_CLOSED;
    wake(pipeline);
    return PHOS_OK;
}

void phos__pipeline_stats(struct phos__pipeline *pipeline,
                          phos_stats *ret_stats)
{
    struct phos__published published;
    uint64_t bytes = pipeline->ring->bytes;
    uint64_t head, tail;

    phos__snapshot_read(&pipeline->snapshot, &published, sizeof(published));
    /* The tail last: it is never behind what was read before. It may be more
     * than a ring ahead of that, if the others have gone on meanwhile. */
    head = phos__ring_head(pipeline->ring);
    tail = phos__ring_tail(pipeline->ring);
    *ret_stats = published.stats;
    ret_stats->ring_used_bytes = phos__min_u64(tail - head, bytes);
    ret_stats->unread_bytes = phos__min_u64(tail - published.read, bytes);
}
