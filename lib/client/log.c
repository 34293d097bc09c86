#include "client/log.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "client/worker.h"
#include "io/clock.h"
#include "wire/feedback_record.h"
#include "wire/record.h"

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/*
 * Waits for room: the worker is woken once, then asked again every fifth of a
 * millisecond. No lock or queue of waiters, so it stays async-signal-safe. On
 * the worker's own thread nobody would make room, so there it is not called.
 */
static phos_status reserve_with_patience(struct phos__logger *logger,
                                         uint32_t bytes, uint64_t *ret_position,
                                         uint8_t **ret_record)
{
    const struct timespec pause = { 0, 200000 };
    uint64_t deadline_ms = now_ms() + logger->full_wait_ms;
    int saved_errno = errno;
    phos_status status;

    phos__ring_wake(&logger->ring);
    do {
        nanosleep(&pause, NULL);
        status =
            phos__ring_reserve(&logger->ring, bytes, ret_position, ret_record);
    } while (status == PHOS_E_FULL && now_ms() < deadline_ms);
    errno = saved_errno;
    return status;
}

static phos_status turn_away(struct phos__logger *logger, phos_status status)
{
    if (status < 0)
        phos__rejections_add(logger->rejections, status);
    return status;
}

static phos_status plan_event(const struct phos__logger *logger,
                              const phos_event *event, bool *ret_is_cut,
                              struct phos__record_plan *ret_plan)
{
    phos_status status =
        event ? phos__record_plan(event, logger->event_bytes_max, ret_plan)
              : PHOS_E_INVALID;

    *ret_is_cut = status == PHOS_E_TOO_LARGE &&
                  logger->oversize == PHOS_OVERSIZE_TRUNCATE;
    if (*ret_is_cut)
        status =
            phos__record_plan_cut(event, logger->event_bytes_max, ret_plan);
    return status;
}

phos_status phos__log(struct phos__logger *logger, const phos_event *event,
                      phos_event_id *ret_id)
{
    struct phos__record_plan plan;
    uint64_t position;
    uint8_t *record;
    phos_status status = PHOS_OK;
    bool is_cut;

    if (logger->sieve.is_active)
        status = phos__sieve_pass(&logger->sieve, event);
    if (status)
        return turn_away(logger, status);
    status = plan_event(logger, event, &is_cut, &plan);
    if (status)
        return turn_away(logger, status);
    status = phos__ring_reserve(&logger->ring, (uint32_t)plan.bytes, &position,
                                &record);
    if (status == PHOS_E_FULL && logger->full_wait_ms &&
        !phos__worker_is_here(logger->worker))
        status = reserve_with_patience(logger, (uint32_t)plan.bytes, &position,
                                       &record);
    if (status)
        return turn_away(logger, status);

    phos__record_write(event, &plan, phos__clock_stamp(logger->clock), record);
    phos__ring_publish(&logger->ring, position, (uint32_t)plan.bytes);
    if (is_cut)
        phos__tally_add(&logger->tally->truncated);
    if (ret_id && event->event_id)
        *ret_id = *event->event_id;
    else if (ret_id)
        phos__ring_event_id(&logger->ring, position, ret_id->bytes);
    return PHOS_OK;
}

/* As for events: a client that is disabled has no ring. */
static phos_status discard_feedback(const struct phos__logger *logger)
{
    if (phos__flag_get(logger->sieve.closed))
        return PHOS_E_CLOSED;
    phos__tally_add(&logger->sieve.tally->feedback);
    return PHOS_DISCARDED;
}

phos_status phos__log_feedback(struct phos__logger *logger,
                               const phos_event_id *id, phos_flag flag,
                               phos_str comment, phos_str source)
{
    struct phos__feedback_view view = { .flag = flag,
                                        .comment = comment,
                                        .source = source };
    uint64_t position;
    uint32_t bytes;
    uint8_t *record;
    phos_status status =
        id ? phos__feedback_record_plan(&view, logger->event_bytes_max, &bytes)
           : PHOS_E_INVALID;

    if (logger->sieve.keeps_nothing)
        status = discard_feedback(logger);
    if (status > 0)
        return status;
    if (!status)
        status = phos__ring_reserve(&logger->ring, bytes, &position, &record);
    if (status) {
        phos__rejections_add(logger->feedback_rejections, status);
        return status;
    }
    memcpy(view.event_id, id->bytes, sizeof(view.event_id));
    view.time = phos__clock_stamp(logger->clock);
    phos__feedback_record_write(&view, bytes, record);
    phos__ring_publish(&logger->ring, position, bytes);
    return PHOS_OK;
}
