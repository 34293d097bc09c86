#include "core/watch.h"

#include <string.h>

#include "base/saturate.h"

enum {
    SAMPLE_MS = 5000,   /* the rate of late is that of 5 to 10 s */
    RATE_MS_MIN = 1000, /* over less it is chance */
    LOW_SHARE = 2       /* the mark counts again below half of it */
};

void phos__watch_init(struct phos__watch *watch, uint64_t now_ms,
                      uint64_t ring_bytes, uint32_t high_water_percent,
                      uint64_t tail)
{
    memset(watch, 0, sizeof(*watch));
    watch->ring_bytes = ring_bytes;
    watch->mark = ring_bytes / 100 * high_water_percent;
    watch->earlier.at_ms = now_ms;
    watch->earlier.tail = tail;
    watch->later = watch->earlier;
    watch->why = PHOS_DIAGNOSTIC_WAITING;
    watch->due_ms = UINT64_MAX;
}

/* ---- why ---- */

static phos_diagnostic_code why_of_status(int status, enum phos__body_kind body)
{
    switch (status) {
    case 401:
    case 403:
        return PHOS_DIAGNOSTIC_KEY;
    case 404:
    case 405:
    case 410:
    case 501:
        return PHOS_DIAGNOSTIC_PATH;
    case 429:
        return PHOS_DIAGNOSTIC_LIMITED;
    case 408:
    case 425:
        return PHOS_DIAGNOSTIC_SERVICE;
    default:
        break;
    }
    if (status >= 200 && status < 300 && body == PHOS__BODY_HTML)
        return PHOS_DIAGNOSTIC_WEB_PAGE;
    if (status >= 300 && status < 400)
        return PHOS_DIAGNOSTIC_REDIRECT;
    if ((status >= 400 && status < 500) || status == 505)
        return PHOS_DIAGNOSTIC_REFUSED;
    return PHOS_DIAGNOSTIC_SERVICE;
}

static phos_diagnostic_code why_of_obstacle(phos_obstacle obstacle)
{
    switch (obstacle) {
    case PHOS_OBSTACLE_NAME:
        return PHOS_DIAGNOSTIC_NAME;
    case PHOS_OBSTACLE_CONNECT:
        return PHOS_DIAGNOSTIC_CONNECT;
    case PHOS_OBSTACLE_PROXY:
        return PHOS_DIAGNOSTIC_PROXY;
    case PHOS_OBSTACLE_TLS:
        return PHOS_DIAGNOSTIC_TLS;
    case PHOS_OBSTACLE_NO_TLS:
        return PHOS_DIAGNOSTIC_NO_TLS;
    case PHOS_OBSTACLE_UNTRUSTED:
        return PHOS_DIAGNOSTIC_UNTRUSTED;
    case PHOS_OBSTACLE_EXPIRED:
        return PHOS_DIAGNOSTIC_EXPIRED;
    case PHOS_OBSTACLE_OTHER_HOST:
        return PHOS_DIAGNOSTIC_OTHER_HOST;
    case PHOS_OBSTACLE_UNKNOWN:
        break;
    }
    return PHOS_DIAGNOSTIC_NOT_SENT;
}

phos_diagnostic_code phos__watch_why(const struct phos__answer *answer,
                                     phos_obstacle obstacle, phos_status status)
{
    switch (answer->exchange) {
    case PHOS_EXCHANGE_ANSWERED:
        return why_of_status(answer->http_status, answer->body);
    case PHOS_EXCHANGE_NOT_SENT:
    case PHOS_EXCHANGE_REFUSED:
        return why_of_obstacle(obstacle);
    case PHOS_EXCHANGE_STALLED:
        return PHOS_DIAGNOSTIC_NO_ANSWER;
    case PHOS_EXCHANGE_BROKEN:
    case PHOS_EXCHANGE_CANCELLED:
        break;
    }
    return status == PHOS_E_TIMEOUT ? PHOS_DIAGNOSTIC_NO_ANSWER
                                    : PHOS_DIAGNOSTIC_BROKEN;
}

/* ---- facts ---- */

void phos__watch_failed(struct phos__watch *watch, phos_diagnostic_code why)
{
    watch->why = why;
}

void phos__watch_arrived(struct phos__watch *watch, uint64_t now_ms,
                         uint64_t waiting)
{
    if (watch->is_told) {
        memset(&watch->recovery, 0, sizeof(watch->recovery));
        watch->recovery.code = PHOS_DIAGNOSTIC_DELIVERED;
        watch->recovery.stalled_ms = now_ms - watch->stalled_since_ms;
        watch->recovery.waiting = waiting;
        watch->has_recovered = true;
    }
    watch->is_told = false;
    watch->is_trying = false;
    watch->why = PHOS_DIAGNOSTIC_WAITING;
}

/* ---- the ring ---- */

static void take_sample(struct phos__watch *watch, uint64_t now_ms,
                        uint64_t tail)
{
    if (now_ms - watch->later.at_ms < SAMPLE_MS)
        return;
    watch->earlier = watch->later;
    watch->later.at_ms = now_ms;
    watch->later.tail = tail;
}

/* Until the ring is full, at the rate of late. */
static uint64_t fill_ms(const struct phos__watch *watch, uint64_t now_ms,
                        uint64_t tail)
{
    uint64_t elapsed_ms = now_ms - watch->earlier.at_ms;
    uint64_t grown = tail - watch->earlier.tail;
    uint64_t room = phos__sub_sat_u64(watch->ring_bytes, watch->ring_used);

    if (elapsed_ms < RATE_MS_MIN || grown == 0)
        return UINT64_MAX;
    /* Less than 2^30 bytes: no sum of what follows leaves 2^53. */
    return (uint64_t)((double)room * (double)elapsed_ms / (double)grown);
}

bool phos__watch_ring(struct phos__watch *watch, uint64_t now_ms, uint64_t used,
                      uint64_t tail, struct phos__watch_line *ret_line,
                      bool *ret_is_told)
{
    take_sample(watch, now_ms, tail);
    watch->ring_used = used;
    watch->fill_ms = fill_ms(watch, now_ms, tail);
    if (watch->is_high && used < watch->mark / LOW_SHARE)
        watch->is_high = false;
    if (watch->is_high || watch->mark == 0 || used <= watch->mark)
        return false;
    watch->is_high = true;
    memset(ret_line, 0, sizeof(*ret_line));
    ret_line->code = PHOS_DIAGNOSTIC_HIGH_WATER;
    ret_line->ring_used = used;
    ret_line->fill_ms = watch->fill_ms;
    *ret_is_told = !watch->has_told_high ||
                   now_ms - watch->high_told_ms >= PHOS__WATCH_GAP_MS;
    if (*ret_is_told) {
        watch->has_told_high = true;
        watch->high_told_ms = now_ms;
    }
    return true;
}

uint64_t phos__watch_mark(const struct phos__watch *watch)
{
    return watch->is_high || watch->mark == 0 ? UINT64_MAX : watch->mark;
}

/* ---- losses ---- */

static bool next_losses(struct phos__watch *watch, uint64_t now_ms,
                        const struct phos__watch_facts *facts,
                        struct phos__watch_line *line)
{
    uint64_t due_ms = watch->losses_told_ms + PHOS__WATCH_GAP_MS;
    bool is_any = false, is_first = false;

    for (unsigned i = 0; i < PHOS__LOSS_COUNT; i++) {
        line->losses[i] = facts->losses[i] - watch->losses[i];
        is_any |= line->losses[i] > 0;
        is_first |= line->losses[i] > 0 && watch->losses[i] == 0;
    }
    if (!is_any)
        return false;
    if (!is_first && now_ms < due_ms) {
        watch->due_ms = phos__min_u64(watch->due_ms, due_ms);
        return false;
    }
    line->code = PHOS_DIAGNOSTIC_LOST;
    line->http_status = facts->refused_status;
    line->is_failing = watch->why != PHOS_DIAGNOSTIC_WAITING;
    if (watch->has_told_losses)
        line->lost_over_ms = now_ms - watch->losses_told_ms;
    watch->has_told_losses = true;
    watch->losses_told_ms = now_ms;
    memcpy(watch->losses, facts->losses, sizeof(watch->losses));
    return true;
}

/* ---- nothing arrives ---- */

/* Requests have been made, and events wait for what comes of them. Events that
 * only linger, or wait for their turn at the pace, are no reason to worry. */
static void follow(struct phos__watch *watch, uint64_t now_ms,
                   const struct phos__watch_facts *facts)
{
    bool is_trying =
        facts->pending > 0 &&
        (facts->in_flight > 0 || watch->why != PHOS_DIAGNOSTIC_WAITING);

    if (is_trying && !watch->is_trying)
        watch->since_ms = now_ms;
    /* Between two requests that both say nothing yet, it goes on. */
    watch->is_trying = facts->pending > 0 && (watch->is_trying || is_trying);
}

static uint64_t stall_due_ms(const struct phos__watch *watch,
                             const struct phos__watch_facts *facts)
{
    bool must_act = facts->is_config && watch->why != PHOS_DIAGNOSTIC_WAITING;
    uint64_t due_ms =
        watch->since_ms + (must_act ? 0 : (uint64_t)PHOS__WATCH_STALL_MS);

    if (!watch->is_trying)
        return UINT64_MAX;
    if (watch->has_told)
        due_ms = phos__max_u64(due_ms, watch->told_ms + PHOS__WATCH_GAP_MS);
    if (watch->is_told && watch->why == watch->told_why)
        due_ms = phos__max_u64(due_ms, watch->told_ms + PHOS__WATCH_REPEAT_MS);
    return due_ms;
}

static bool next_stall(struct phos__watch *watch, uint64_t now_ms,
                       const struct phos__watch_facts *facts,
                       struct phos__watch_line *line)
{
    uint64_t due_ms = stall_due_ms(watch, facts);

    if (now_ms < due_ms) {
        watch->due_ms = phos__min_u64(watch->due_ms, due_ms);
        return false;
    }
    if (!watch->is_told)
        watch->stalled_since_ms = watch->since_ms;
    watch->is_told = true;
    watch->has_told = true;
    watch->told_why = watch->why;
    watch->told_ms = now_ms;
    line->code = watch->why;
    line->stalled_ms = now_ms - watch->stalled_since_ms;
    line->waiting = facts->waiting;
    line->ring_used = watch->ring_used;
    line->fill_ms = watch->fill_ms;
    line->per_minute = facts->learned_per_minute;
    line->hold_ms = facts->hold_ms;
    return true;
}

/* ---- lines ---- */

bool phos__watch_next(struct phos__watch *watch, uint64_t now_ms,
                      const struct phos__watch_facts *facts,
                      struct phos__watch_line *ret_line)
{
    watch->due_ms = UINT64_MAX;
    follow(watch, now_ms, facts);
    memset(ret_line, 0, sizeof(*ret_line));
    if (watch->has_recovered) {
        watch->has_recovered = false;
        *ret_line = watch->recovery;
        return true;
    }
    return next_losses(watch, now_ms, facts, ret_line) ||
           next_stall(watch, now_ms, facts, ret_line);
}

uint64_t phos__watch_due_ms(const struct phos__watch *watch)
{
    return watch->due_ms;
}
