#define _GNU_SOURCE

#include "sim/feedback.h"

#include <stdio.h>
#include <string.h>

#include "sim/checks.h"

enum {
    GRAIN_US = 1000,
    UNKNOWN_MAX = 8, /* 404s, and no further one after so long */
    UNKNOWN_US_MAX = 60000000
};

void feedback_begin(struct feedback *feedback, struct world *world,
                    const struct plan *plan, const struct checks *checks)
{
    memset(feedback, 0, sizeof(*feedback));
    feedback->world = world;
    feedback->plan = plan;
    feedback->checks = checks;
}

/* ---- what was given ---- */

struct given *feedback_new(struct feedback *feedback)
{
    struct given *given = &feedback->given[feedback->count];

    if (feedback->count == FEEDBACK_GIVEN_MAX)
        return NULL;
    memset(given, 0, sizeof(*given));
    given->number = feedback->count;
    given->given_us = feedback->world->now_us;
    return given;
}

void feedback_accepted(struct feedback *feedback, struct given *given)
{
    feedback->count++;
    world_trace(feedback->world, "feedback %llu at %llu", given->number,
                given->position, 0);
}

void feedback_fill_comment(char *text, const struct given *given)
{
    checks_fill_text(text, given->number, given->comment_bytes);
}

/* ---- its event ---- */

/* Why feedback must not have been sent by the end of this turn; NULL: it may.
 */
static const char *why_too_early(const struct feedback *feedback,
                                 const struct given *given)
{
    bool any_pending = false, any_lost = false, any_else = given->is_strange;

    for (uint32_t i = 0; i < feedback->checks->event_count; i++) {
        const struct event *event = &feedback->checks->events[i];

        bool is_lost = event->outcome == PHOS_OUTCOME_REFUSED ||
                       event->outcome == PHOS_OUTCOME_DROPPED;

        if (!event->is_accepted || memcmp(event->id, given->id, 16) != 0)
            continue;
        if (event->receipts > 0 && !is_lost)
            any_else = true; /* a later one of the same id will do */
        else if ((int64_t)(event->position - given->position) > 0)
            continue;
        else if (event->receipts > 0)
            any_lost = true;
        else
            any_pending = true;
    }
    if (any_else)
        return NULL;
    if (any_pending)
        return "before its event has a verdict";
    return any_lost && !plan_has(feedback->plan, FAULT_MEMORY)
               ? "although its event is lost"
               : NULL;
}

/* Earlier feedback on the same event has not ended. */
static bool passes_over(const struct feedback *feedback,
                        const struct given *given)
{
    for (uint32_t i = 0; i < given->number; i++)
        if (feedback->given[i].is_under_way &&
            memcmp(feedback->given[i].id, given->id, 16) == 0)
            return true;
    return false;
}

/* ---- requests ---- */

bool feedback_is(const phos_request *request)
{
    static const char route[] = "/api/feedback";
    size_t length = sizeof(route) - 1;

    return request->url.length >= length &&
           memcmp(request->url.data + request->url.length - length, route,
                  length) == 0;
}

static void write_body(const struct given *given, char *text, size_t room)
{
    char comment[PLAN_RECORD_BYTES_MAX];
    const uint8_t *b = given->id;

    feedback_fill_comment(comment, given);
    snprintf(text, room,
             "{\"event_id\":\"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
             "%02x%02x%02x%02x%02x%02x\",\"flag\":\"%s\",\"comment\":\"%.*s\","
             "\"source\":\"user\"}",
             b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
             b[11], b[12], b[13], b[14], b[15],
             given->is_failure ? "failure" : "success",
             (int)given->comment_bytes, comment);
}

static struct given *find(struct feedback *feedback, phos_str body)
{
    static const char before[] = "\"comment\":\"#";
    char want[PLAN_RECORD_BYTES_MAX + 256];
    const char *at = memmem(body.data, body.length, before, sizeof(before) - 1);
    const char *end = body.data + body.length;
    uint32_t number = 0;

    for (at = at ? at + sizeof(before) - 1 : end;
         at < end && *at >= '0' && *at <= '9' && number < FEEDBACK_GIVEN_MAX;
         at++)
        number = number * 10 + (uint32_t)(*at - '0');
    if (number >= feedback->count) {
        world_fail(feedback->world, "feedback is sent that was never given");
        return NULL;
    }
    write_body(&feedback->given[number], want, sizeof(want));
    if (strlen(want) != body.length ||
        memcmp(want, body.data, body.length) != 0) {
        world_fail(feedback->world, "feedback %u is sent with other bytes",
                   number);
        return NULL;
    }
    return &feedback->given[number];
}

struct given *feedback_request(struct feedback *feedback,
                               const phos_request *request)
{
    struct world *world = feedback->world;
    struct given *given = find(feedback, request->body);
    uint32_t half = (feedback->plan->delivery.in_flight_max + 1) / 2;

    if (!given)
        return NULL;
    world_trace(world, "request %llu: feedback %llu", request->id,
                given->number, 0);
    if (given->is_under_way)
        world_fail(world, "feedback %u is under way twice", given->number);
    if (given->has_ended)
        world_fail(world, "feedback %u is sent again", given->number);
    if (passes_over(feedback, given))
        world_fail(world, "feedback %u overtakes", given->number);
    if (world->now_us + GRAIN_US < given->not_before_us)
        world_fail(world, "feedback %u is sent before its Retry-After",
                   given->number);
    if (++feedback->under_way > half)
        world_fail(world, "%u requests with feedback", feedback->under_way);
    given->is_under_way = true;
    given->was_sent_now = true;
    given->sends++;
    return given;
}

static void land(struct feedback *feedback, struct given *given)
{
    feedback->under_way--;
    given->is_under_way = false;
}

void feedback_not_submitted(struct feedback *feedback, struct given *given)
{
    world_trace(feedback->world, "feedback %llu: submit fails", given->number,
                0, 0);
    land(feedback, given);
}

/* ---- answers ---- */

static bool ends_it(struct feedback *feedback, struct given *given, int status)
{
    uint64_t now_us = feedback->world->now_us;

    if (status == 404) {
        if (given->unknown++ == 0)
            given->unknown_since_us = now_us;
        return given->unknown >= UNKNOWN_MAX ||
               now_us >= given->unknown_since_us + UNKNOWN_US_MAX + GRAIN_US;
    }
    return (status >= 200 && status < 300) || status == 413 || status == 400 ||
           status == 422;
}

void feedback_answer(struct feedback *feedback, struct given *given,
                     phos_exchange exchange, int status, bool is_html,
                     uint64_t retry_after_ms)
{
    uint64_t now_us = feedback->world->now_us;
    bool is_2xx = status >= 200 && status < 300;

    world_trace(feedback->world, "feedback %llu ends: %llu, HTTP %llu",
                given->number, (uint64_t)exchange, (uint64_t)status);
    land(feedback, given);
    given->not_before_us = 0;
    if (exchange != PHOS_EXCHANGE_ANSWERED || (is_2xx && is_html))
        return;
    given->has_ended = ends_it(feedback, given, status);
    feedback->delivered += is_2xx;
    if (!is_2xx && retry_after_ms > 0) {
        given->not_before_us = now_us + retry_after_ms * 1000;
        if (given->not_before_us > feedback->retry_after_us)
            feedback->retry_after_us = given->not_before_us;
    }
}

/* ---- the ledger ---- */

static void check_ledger(struct feedback *feedback,
                         const phos_feedback_ledger *ledger)
{
    uint64_t ended = ledger->refused + ledger->dropped + ledger->unknown;
    uint64_t reasons = 0;

    for (unsigned i = 0; i < PHOS_REASON_SLOTS; i++)
        reasons += ledger->by_reason[i];
    if (ledger->accepted != ledger->delivered + ended + ledger->pending)
        world_fail(feedback->world, "the ledger of feedback does not add up");
    if (reasons != ended)
        world_fail(feedback->world, "the reasons of feedback do not add up");
    if (ledger->accepted > feedback->count)
        world_fail(feedback->world, "%llu pieces of feedback, %u were given",
                   (unsigned long long)ledger->accepted, feedback->count);
    if (ledger->delivered > feedback->delivered)
        world_fail(feedback->world, "%llu delivered, %llu were answered so",
                   (unsigned long long)ledger->delivered,
                   (unsigned long long)feedback->delivered);
}

void feedback_turn(struct feedback *feedback,
                   const phos_feedback_ledger *ledger)
{
    for (uint32_t i = 0; i < feedback->count; i++) {
        struct given *given = &feedback->given[i];
        const char *why =
            given->was_sent_now ? why_too_early(feedback, given) : NULL;

        given->was_sent_now = false;
        if (why)
            world_fail(feedback->world, "feedback %u is sent %s", given->number,
                       why);
    }
    check_ledger(feedback, ledger);
    feedback->ledger = *ledger;
}

uint64_t feedback_pending(const struct feedback *feedback)
{
    return feedback->count -
           (feedback->ledger.accepted - feedback->ledger.pending);
}

/* ---- the end ---- */

void feedback_flushed(struct feedback *feedback, uint32_t accepted)
{
    if (feedback->ledger.pending + accepted > feedback->count)
        world_fail(feedback->world,
                   "flushed, but %llu pieces of feedback are pending",
                   (unsigned long long)feedback->ledger.pending);
}

void feedback_closed(struct feedback *feedback, phos_status status,
                     const phos_feedback_ledger *ledger, bool is_whole)
{
    check_ledger(feedback, ledger);
    if (ledger->pending || ledger->accepted != feedback->count)
        world_fail(feedback->world,
                   "closed: %llu of %u pieces of feedback, %llu pending",
                   (unsigned long long)ledger->accepted, feedback->count,
                   (unsigned long long)ledger->pending);
    if (is_whole && status == PHOS_OK &&
        ledger->by_reason[PHOS_REASON_CLOSED] > 0)
        world_fail(feedback->world,
                   "closed with success, and feedback given up");
}

void feedback_healed(struct feedback *feedback)
{
    const phos_feedback_ledger *ledger = &feedback->ledger;

    if (ledger->delivered != feedback->delivered)
        world_fail(feedback->world, "%llu delivered, %llu are told",
                   (unsigned long long)feedback->delivered,
                   (unsigned long long)ledger->delivered);
    if (feedback->plan->delivery.age_max_ms == 0 &&
        ledger->by_reason[PHOS_REASON_AGE] +
                ledger->by_reason[PHOS_REASON_CLOSED] +
                ledger->by_reason[PHOS_REASON_DAMAGED] + ledger->unknown >
            0)
        world_fail(feedback->world, "feedback was lost for no reason");
}
