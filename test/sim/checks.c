#include "sim/checks.h"

#include <stdlib.h>
#include <string.h>

enum { GRAIN_US = 1000, FIRST_PROBE_US = 1000000 };

static const char *const outcome_names[PHOS_OUTCOME_COUNT] = {
    "delivered", "duplicate", "refused", "dropped", "unknown"
};

/* ---- life ---- */

void checks_begin(struct checks *checks, struct world *world,
                  const struct plan *plan, struct phos__ring *ring)
{
    char *arena = checks->arena ? checks->arena : malloc(CHECKS_ARENA_BYTES);
    uint64_t rate = plan->delivery.events_per_minute / 60;

    if (!arena)
        abort();
    memset(checks, 0, sizeof(*checks));
    checks->arena = arena;
    checks->world = world;
    checks->plan = plan;
    checks->ring = ring;
    checks->pace_at_us = world->now_us;
    feedback_begin(&checks->feedback, world, plan, checks);
    lines_begin(&checks->lines, world, plan);
    if (rate < plan->delivery.batch_events_max)
        rate = plan->delivery.batch_events_max;
    checks->pace_tokens = (int64_t)rate * 60000000;
}

void checks_deinit(struct checks *checks)
{
    free(checks->arena);
    checks->arena = NULL;
}

/* ---- what the producers did ---- */

struct event *checks_new_event(struct checks *checks)
{
    struct event *event = &checks->events[checks->event_count];

    if (checks->event_count == CHECKS_EVENTS_MAX)
        return NULL;
    memset(event, 0, sizeof(*event));
    event->number = checks->event_count;
    event->twin = CHECKS_NONE;
    event->cookie = (event->number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    event->logged_us = checks->world->now_us;
    return event;
}

void checks_reserved(struct checks *checks, struct event *event)
{
    checks->event_count = event->number + 1;
    if (!event->is_chosen)
        phos__ring_event_id(checks->ring, event->position, event->id);
    world_trace(checks->world, "event %llu at %llu, %llu bytes", event->number,
                event->position, event->end - event->position);
}

void checks_accepted(struct checks *checks, struct event *event)
{
    event->is_accepted = true;
    event->accepted_as = ++checks->accepted;
}

void checks_fill_text(char *text, uint32_t number, uint32_t bytes)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz      ";
    char digits[16];
    uint32_t count = 0, state = number * 2654435761U + 1, at = 0;

    do {
        digits[count++] = (char)('0' + number % 10);
    } while ((number /= 10) > 0);
    text[at++] = '#';
    while (count > 0)
        text[at++] = digits[--count];
    text[at++] = ';';
    for (; at < bytes; at++) {
        state = state * 1664525 + 1013904223;
        text[at] = letters[state >> 27];
    }
}

void checks_fill_event(char *text, const struct event *event)
{
    checks_fill_text(text, event->number, event->text_bytes);
    if (event->is_edited) /* which stands in no other text */
        text[event->text_bytes - 1] = '!';
}

/* ---- states ---- */

void checks_state(struct checks *checks, phos_state state)
{
    world_trace(checks->world, "state %llu", (uint64_t)state, 0, 0);
    checks->state = state;
    checks->next_probe_us = 0;
    checks->probe_gap_us = FIRST_PROBE_US;
    if (state == PHOS_STATE_CONFIG) {
        checks->next_probe_us = checks->world->now_us + FIRST_PROBE_US;
        checks->probe_gap_us = 2 * FIRST_PROBE_US;
    }
}

void checks_new_key(struct checks *checks)
{
    checks->next_probe_us = 0;
    checks->probe_gap_us = FIRST_PROBE_US;
}

/* ---- receipts ---- */

static struct event *event_of(struct checks *checks,
                              const phos_receipt *receipt)
{
    for (uint32_t i = checks->first_open; i < checks->event_count; i++) {
        struct event *event = &checks->events[i];

        if (receipt->cookie ? event->cookie == receipt->cookie
                            : (event->is_unfinished || event->is_garbage) &&
                                  memcmp(event->id, receipt->id.bytes, 16) == 0)
            return event;
    }
    for (uint32_t i = 0; i < checks->first_open; i++)
        if (checks->events[i].cookie == receipt->cookie)
            return &checks->events[i];
    return NULL;
}

/* Another event of the same id is pending, or was delivered. */
static bool has_living_twin(const struct checks *checks,
                            const struct event *event)
{
    for (uint32_t i = 0; i < checks->event_count; i++) {
        const struct event *other = &checks->events[i];

        if (other != event && other->is_chosen &&
            memcmp(other->id, event->id, 16) == 0 &&
            (other->receipts == 0 || other->outcome <= PHOS_OUTCOME_DUPLICATE))
            return true;
    }
    return false;
}

/* A quarter of what holds no poison fails: then nobody can be certain. */
static bool is_service_ill(const struct checks *checks)
{
    return __builtin_popcountll(checks->recent & UINT32_MAX) > 8 ||
           __builtin_popcountll(checks->recent) > 20;
}

static const char *why_not_refused(const struct checks *checks,
                                   const struct event *event,
                                   phos_reason reason)
{
    switch (reason) {
    case PHOS_REASON_INVALID:
        if (event->last == ANSWER_REFUSED)
            return NULL;
        if (event->last != ANSWER_SUSPECT)
            return "the service never said no";
        return event->was_alone ? NULL : "it did not stand alone";
    case PHOS_REASON_TOO_LARGE:
        if (event->last != ANSWER_SMALLER)
            return "the service never said too large";
        return event->was_alone ? NULL : "it did not stand alone";
    case PHOS_REASON_POISON:
        if (event->last != ANSWER_AGAIN)
            return "the service did not fail on it";
        if (!event->was_alone)
            return "it did not stand alone";
        return event->nature == NATURE_POISON || is_service_ill(checks)
                   ? NULL
                   : "it is no poison";
    default:
        return "for no reason of the service";
    }
}

static const char *why_not_given_up(const struct checks *checks,
                                    const struct event *event,
                                    const phos_receipt *receipt)
{
    uint64_t age_us = checks->world->now_us - event->logged_us;
    uint64_t limit_us = checks->plan->delivery.age_max_ms * 1000;

    if (receipt->reason == PHOS_REASON_BEFORE_SEND)
        return event->is_unwanted ? NULL : "it is wanted";
    if (event->is_garbage)
        return receipt->reason == PHOS_REASON_DAMAGED ||
                       receipt->reason == PHOS_REASON_CLOSED
                   ? NULL
                   : "its record cannot be read";
    if (receipt->reason == PHOS_REASON_AGE && limit_us == 0)
        return "there is no age limit";
    if (receipt->reason == PHOS_REASON_AGE && age_us + 2 * GRAIN_US < limit_us)
        return "it is not that old";
    if (receipt->reason == PHOS_REASON_CLOSED && !checks->is_closing)
        return "the client is not closed";
    if (receipt->reason != PHOS_REASON_AGE &&
        receipt->reason != PHOS_REASON_CLOSED)
        return "for no reason of time";
    if (receipt->outcome == PHOS_OUTCOME_UNKNOWN && event->sends == 0)
        return "it was never sent";
    return NULL;
}

static const char *why_wrong(const struct checks *checks,
                             const struct event *event,
                             const phos_receipt *receipt)
{
    switch (receipt->outcome) {
    case PHOS_OUTCOME_DELIVERED:
        if (event->commits == 0)
            return "it is not in the store";
        return event->last == ANSWER_DELIVERED ||
                       event->last == ANSWER_DUPLICATE
                   ? NULL
                   : "nobody said so";
    case PHOS_OUTCOME_DUPLICATE:
        if (event->last == ANSWER_DUPLICATE)
            return event->commits ? NULL : "it is not in the store";
        if (event->sends > 0)
            return "it was sent";
        return event->is_chosen && has_living_twin(checks, event)
                   ? NULL
                   : "it has no twin";
    case PHOS_OUTCOME_REFUSED:
        return why_not_refused(checks, event, receipt->reason);
    case PHOS_OUTCOME_DROPPED:
        if (event->commits)
            return "it is in the store";
        return why_not_given_up(checks, event, receipt);
    case PHOS_OUTCOME_UNKNOWN:
        return why_not_given_up(checks, event, receipt);
    }
    return "there is no such outcome";
}

/* The pipeline measures ages in whole milliseconds, from clocks that it reads
 * at each turn. */
static bool has_wrong_age(const struct checks *checks,
                          const struct event *event,
                          const phos_receipt *receipt)
{
    uint64_t age_us = checks->world->now_us - event->logged_us;
    uint64_t told_us = receipt->age_ms * 1000;

    if (event->is_unfinished || event->is_garbage)
        return false;
    return told_us > age_us + 2 * GRAIN_US || told_us + 2 * GRAIN_US < age_us;
}

static void check_receipt(struct checks *checks, struct event *event,
                          const phos_receipt *receipt)
{
    const char *why =
        event->is_unwanted && receipt->reason != PHOS_REASON_BEFORE_SEND
            ? "it is unwanted"
            : why_wrong(checks, event, receipt);

    if (event->receipts++ > 0)
        world_fail(checks->world, "event %u has two receipts", event->number);
    if (memcmp(event->id, receipt->id.bytes, 16) != 0)
        world_fail(checks->world, "event %u has a receipt with another id",
                   event->number);
    if (event->is_unfinished &&
        (!checks->is_closing || receipt->outcome != PHOS_OUTCOME_DROPPED))
        world_fail(checks->world, "event %u has a receipt, unfinished",
                   event->number);
    if (why)
        world_fail(checks->world, "event %u is told %s (reason %d), but %s",
                   event->number, outcome_names[receipt->outcome],
                   (int)receipt->reason, why);
    /* Without memory for its body a request is counted and never made. */
    if (receipt->sends != event->sends &&
        (receipt->sends < event->sends ||
         !plan_has(checks->plan, FAULT_MEMORY)))
        world_fail(checks->world, "event %u was sent %u times, not %u",
                   event->number, event->sends, receipt->sends);
    if (has_wrong_age(checks, event, receipt))
        world_fail(checks->world, "event %u is told to be %llu ms old",
                   event->number, (unsigned long long)receipt->age_ms);
    event->outcome = receipt->outcome;
}

void checks_receipts(struct checks *checks, const phos_receipt *receipts,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct event *event = event_of(checks, &receipts[i]);

        if (!event) {
            world_fail(checks->world, "a receipt for no event");
            return;
        }
        world_trace(checks->world, "receipt of %llu: %llu, reason %llu",
                    event->number, (uint64_t)receipts[i].outcome,
                    (uint64_t)receipts[i].reason);
        check_receipt(checks, event, &receipts[i]);
        checks->by_outcome[receipts[i].outcome]++;
        if (event->is_unfinished)
            checks->given_up_unfinished++;
    }
    while (checks->first_open < checks->event_count &&
           checks->events[checks->first_open].receipts)
        checks->first_open++;
}

void checks_refused(struct checks *checks, const phos_receipt *receipt,
                    phos_str json)
{
    struct event *event = event_of(checks, receipt);

    if (!event || event->receipts)
        world_fail(checks->world, "an event is told refused for nothing");
    else if (!event->json || json.length != event->json_bytes ||
             memcmp(json.data, event->json, json.length) != 0)
        world_fail(checks->world, "event %u is told refused with other bytes",
                   event->number);
}

/* ---- a turn ---- */

static void check_ledger(struct checks *checks, const phos_ledger *ledger)
{
    const uint64_t told[PHOS_OUTCOME_COUNT] = {
        ledger->delivered, ledger->duplicate, ledger->refused, ledger->dropped,
        ledger->unknown
    };
    uint64_t sum = ledger->pending, reasons = 0;

    for (unsigned i = 0; i < PHOS_OUTCOME_COUNT; i++) {
        sum += told[i];
        if (told[i] != checks->by_outcome[i])
            world_fail(checks->world,
                       "the ledger has %llu %s, the receipts "
                       "%llu",
                       (unsigned long long)told[i], outcome_names[i],
                       (unsigned long long)checks->by_outcome[i]);
    }
    for (unsigned i = 0; i < PHOS_REASON_COUNT; i++)
        reasons += ledger->by_reason[i];
    if (sum != ledger->accepted)
        world_fail(checks->world, "the ledger does not add up: %llu accepted",
                   (unsigned long long)ledger->accepted);
    if (reasons != ledger->refused + ledger->dropped + ledger->unknown)
        world_fail(checks->world, "the ledger's reasons do not add up");
    if (ledger->accepted > checks->accepted + checks->given_up_unfinished)
        world_fail(checks->world, "the ledger has %llu accepted of %llu",
                   (unsigned long long)ledger->accepted,
                   (unsigned long long)checks->accepted);
}

/* The space below head belongs to producers again, so nothing may be there
 * that is still needed, but for what was moved. */
static void check_head(struct checks *checks, uint64_t parked_bytes)
{
    uint64_t head = phos__ring_head(checks->ring);
    uint64_t tail = phos__ring_tail(checks->ring);
    uint64_t moved_bytes = 0;

    if ((int64_t)(tail - head) < 0 || tail - head > checks->ring->bytes) {
        world_fail(checks->world, "head has left the ring");
        return;
    }
    for (uint32_t i = checks->first_open; i < checks->event_count; i++) {
        const struct event *event = &checks->events[i];

        if ((int64_t)(event->position - head) >= 0)
            break;
        if (event->is_unfinished)
            world_fail(checks->world, "head is past unfinished event %u",
                       event->number);
        if (event->receipts == 0)
            moved_bytes += event->end - event->position;
    }
    if (moved_bytes > parked_bytes)
        world_fail(checks->world,
                   "head is past %llu bytes without verdict, "
                   "%llu are parked",
                   (unsigned long long)moved_bytes,
                   (unsigned long long)parked_bytes);
}

void checks_turn(struct checks *checks)
{
    phos_stats stats = { .struct_size = sizeof(stats) };

    phos__pipeline_stats(checks->pipeline, &stats);
    checks->is_closed = stats.state == PHOS_STATE_CLOSED;
    check_ledger(checks, &stats.ledger);
    check_head(checks, stats.parked_bytes);
    if (stats.parked_bytes > checks->plan->delivery.parking_bytes_max)
        world_fail(checks->world, "%llu bytes are parked",
                   (unsigned long long)stats.parked_bytes);
    if (stats.in_flight > checks->plan->delivery.in_flight_max)
        world_fail(checks->world, "%u in flight", stats.in_flight);
    feedback_turn(&checks->feedback, &stats.feedback);
    lines_turn(&checks->lines, stats.ledger.pending,
               stats.in_flight - checks->feedback.under_way,
               stats.ring_used_bytes, checks->is_closing);
    if (stats.requests != checks->requests)
        world_fail(checks->world, "%llu requests are told, %llu were made",
                   (unsigned long long)stats.requests,
                   (unsigned long long)checks->requests);
}

/* ---- flush and the end ---- */

uint64_t checks_pending(const struct checks *checks)
{
    uint64_t pending = 0;

    for (uint32_t i = checks->first_open; i < checks->event_count; i++)
        pending +=
            checks->events[i].is_accepted && checks->events[i].receipts == 0;
    return pending;
}

void checks_flushed(struct checks *checks, uint64_t accepted)
{
    for (uint32_t i = checks->first_open; i < checks->event_count; i++) {
        const struct event *event = &checks->events[i];

        if (event->is_accepted && event->accepted_as <= accepted &&
            event->receipts == 0)
            world_fail(checks->world, "flushed, but event %u is pending",
                       event->number);
    }
}

void checks_close_report(struct checks *checks, phos_status status,
                         const phos_close_report *report, bool is_whole)
{
    const phos_ledger *ledger = &report->ledger;
    uint64_t parts = ledger->delivered + ledger->duplicate + ledger->refused +
                     ledger->dropped + ledger->unknown;
    uint64_t given_up = checks->by_outcome[PHOS_OUTCOME_DROPPED] +
                        checks->by_outcome[PHOS_OUTCOME_UNKNOWN];
    uint64_t unfinished = 0;

    for (uint32_t i = 0; i < checks->event_count; i++)
        unfinished += checks->events[i].is_unfinished;
    world_trace(checks->world,
                "close: status %llu, %llu accepted, %llu given "
                "up",
                (uint64_t) - (int64_t)status, ledger->accepted, given_up);
    if (ledger->pending || parts != ledger->accepted)
        world_fail(checks->world, "the close report does not add up");
    if (ledger->accepted < checks->accepted ||
        ledger->accepted > checks->accepted + unfinished)
        world_fail(checks->world, "the close report has %llu accepted of %llu",
                   (unsigned long long)ledger->accepted,
                   (unsigned long long)checks->accepted);
    feedback_closed(&checks->feedback, status, &report->feedback, is_whole);
    if (!is_whole)
        return;
    if (checks_pending(checks))
        world_fail(checks->world, "closed, but %llu events have no receipt",
                   (unsigned long long)checks_pending(checks));
    if (status == PHOS_OK && ledger->by_reason[PHOS_REASON_CLOSED])
        world_fail(checks->world, "closed with success, and events given up");
    if (status != PHOS_OK && !ledger->by_reason[PHOS_REASON_CLOSED] &&
        !report->feedback.by_reason[PHOS_REASON_CLOSED])
        world_fail(checks->world, "closed with %s, and no event given up",
                   phos_status_name(status));
}

/* What was told dropped may arrive later only if it was told too early. */
static void check_end(struct checks *checks, const struct event *event)
{
    bool knows_all =
        !checks->may_forget_ids &&
        checks->plan->delivery.dedupe_window >= checks->event_count;

    if (event->outcome == PHOS_OUTCOME_DROPPED && event->commits)
        world_fail(checks->world, "event %u was told dropped and has arrived",
                   event->number);
    if (event->outcome != PHOS_OUTCOME_DELIVERED || !event->is_chosen ||
        !knows_all)
        return;
    for (uint32_t i = 0; i < event->number; i++) {
        const struct event *other = &checks->events[i];

        if (other->is_chosen && other->outcome == PHOS_OUTCOME_DELIVERED &&
            other->receipts && memcmp(other->id, event->id, 16) == 0)
            world_fail(checks->world,
                       "events %u and %u have one id, both were "
                       "delivered",
                       other->number, event->number);
    }
}

void checks_end(struct checks *checks)
{
    for (uint32_t i = 0; i < checks->event_count; i++)
        if (checks->events[i].receipts)
            check_end(checks, &checks->events[i]);
}

void checks_healed(struct checks *checks)
{
    uint64_t lost = checks->by_outcome[PHOS_OUTCOME_DROPPED] +
                    checks->by_outcome[PHOS_OUTCOME_UNKNOWN];

    feedback_healed(&checks->feedback);
    for (uint32_t i = 0; i < checks->event_count; i++)
        lost -=
            (checks->events[i].is_garbage || checks->events[i].is_unwanted) &&
            checks->events[i].receipts;

    if (checks->plan->delivery.age_max_ms == 0 && lost > 0)
        world_fail(checks->world, "%llu events were lost for no reason",
                   (unsigned long long)lost);
    for (uint32_t i = 0; i < checks->event_count; i++) {
        const struct event *event = &checks->events[i];

        if (event->is_accepted && event->nature != NATURE_GOOD &&
            event->outcome == PHOS_OUTCOME_DELIVERED && event->commits == 0)
            world_fail(checks->world, "bad event %u is told delivered",
                       event->number);
    }
}
