#include "sim/producers.h"

#include <string.h>

#include "io/clock.h"
#include "wire/record.h"

/* ---- events ---- */

static const phos_event_id *choose_id(struct producers *producers,
                                      struct event *event)
{
    const struct plan *plan = producers->plan;
    struct chance *chance = &producers->chance;

    if (!chance_hits(chance, plan->chosen_per_mille))
        return NULL;
    event->is_chosen = true;
    if (event->number > 0 && chance_hits(chance, plan->twin_per_mille)) {
        uint32_t other = (uint32_t)chance_below(chance, event->number);

        if (producers->checks->events[other].is_chosen)
            event->twin = other;
    }
    if (event->twin != CHECKS_NONE) {
        memcpy(event->id, producers->checks->events[event->twin].id, 16);
    } else {
        uint64_t words[2] = { chance_next(chance), chance_next(chance) };

        memcpy(event->id, words, 16);
        event->id[6] = (uint8_t)((event->id[6] & 0x0F) | 0x70);
        event->id[8] = (uint8_t)((event->id[8] & 0x3F) | 0x80);
    }
    return (const phos_event_id *)(const void *)event->id;
}

static enum event_nature choose_nature(struct producers *producers)
{
    const struct plan *plan = producers->plan;

    if (producers->poison_left > 0 && chance_hits(&producers->chance, 30)) {
        producers->poison_left--;
        return NATURE_POISON;
    }
    return chance_hits(&producers->chance, plan->bad_per_mille) ? NATURE_BAD
                                                                : NATURE_GOOD;
}

static uint32_t choose_bytes(struct producers *producers)
{
    return (uint32_t)chance_between(&producers->chance,
                                    producers->plan->text_bytes_min,
                                    producers->plan->text_bytes_max);
}

/* Fills in what is logged; `text` holds input, and a little more for output. */
static void compose(struct producers *producers, struct event *event,
                    phos_event *logged, char *text)
{
    struct chance *chance = &producers->chance;

    *logged = phos_event_default();
    checks_fill_text(text, event->number, event->text_bytes);
    logged->input = phos_str_make(text, event->text_bytes);
    logged->output = PHOS_STR("so be it");
    logged->event_id = choose_id(producers, event);
    logged->cookie = event->cookie;
    if (producers->plan->is_even)
        return;
    if (chance_hits(chance, 200))
        logged->session_id = PHOS_STR("user-42");
    if (chance_hits(chance, 200))
        logged->model = PHOS_STR("gpt-4");
    if (chance_hits(chance, 200))
        logged->latency_ms = (int64_t)chance_below(chance, 10000);
}

bool producers_log(struct producers *producers, enum event_nature nature)
{
    struct phos__ring *ring = &producers->logger->ring;
    struct event *event = checks_new_event(producers->checks);
    char text[PLAN_RECORD_BYTES_MAX];
    phos_event logged;
    phos_event_id id;
    phos_status status;

    if (!event)
        return false;
    event->nature = nature;
    event->text_bytes = choose_bytes(producers);
    event->position = phos__ring_tail(ring);
    compose(producers, event, &logged, text);
    status = phos__log(producers->logger, &logged, &id);
    if (status) {
        world_trace(producers->world, "rejected: %llu",
                    (uint64_t) - (int64_t)status, 0, 0);
        producers->expected_full += status == PHOS_E_FULL;
        producers->expected_closed += status == PHOS_E_CLOSED;
        if (status != PHOS_E_FULL && status != PHOS_E_CLOSED)
            world_fail(producers->world, "log answers %s",
                       phos_status_name(status));
        return false;
    }
    event->end = phos__ring_tail(ring);
    checks_reserved(producers->checks, event);
    checks_accepted(producers->checks, event);
    producers->logged++;
    if (memcmp(id.bytes, event->id, 16) != 0)
        world_fail(producers->world, "log tells event %u another id",
                   event->number);
    producers->on_logged(producers->self);
    return true;
}

/* ---- feedback ---- */

/* On the event logged last, on any other, or on one of somebody else. */
static void choose_event(struct producers *producers, struct given *given)
{
    struct chance *chance = &producers->feedback_chance;
    const struct checks *checks = producers->checks;
    uint64_t draw = chance_below(chance, 10), words[2];
    const struct event *event = NULL;

    if (checks->event_count > 0 && draw < 9)
        event =
            &checks
                 ->events[draw < 6 ? checks->event_count - 1
                                   : chance_below(chance, checks->event_count)];
    /* The id of a log call that has not returned is nobody's to know. */
    if (event && event->is_accepted) {
        memcpy(given->id, event->id, sizeof(given->id));
        return;
    }
    words[0] = chance_next(chance);
    words[1] = chance_next(chance);
    memcpy(given->id, words, sizeof(given->id));
    given->is_strange = true;
    given->is_stored = chance_hits(chance, 500);
}

bool producers_give(struct producers *producers)
{
    struct given *given = feedback_new(&producers->checks->feedback);
    struct chance *chance = &producers->feedback_chance;
    char comment[PLAN_RECORD_BYTES_MAX];
    phos_event_id id;
    phos_status status;

    if (!given)
        return false;
    choose_event(producers, given);
    given->is_failure = chance_hits(chance, 500);
    given->comment_bytes =
        (uint32_t)chance_between(chance, 8, producers->plan->comment_bytes_max);
    given->position = phos__ring_tail(&producers->logger->ring);
    feedback_fill_comment(comment, given);
    memcpy(id.bytes, given->id, sizeof(id.bytes));
    status = phos__log_feedback(
        producers->logger, &id,
        given->is_failure ? PHOS_FLAG_FAILURE : PHOS_FLAG_SUCCESS,
        phos_str_make(comment, given->comment_bytes), phos_str_make(NULL, 0));
    producers->expected_full_feedback += status == PHOS_E_FULL;
    producers->expected_closed_feedback += status == PHOS_E_CLOSED;
    if (status && status != PHOS_E_FULL && status != PHOS_E_CLOSED)
        world_fail(producers->world, "feedback answers %s",
                   phos_status_name(status));
    if (status)
        return false;
    feedback_accepted(&producers->checks->feedback, given);
    producers->on_logged(producers->self);
    return true;
}

/* ---- sources ---- */

static void source_step(void *self, uint64_t argument)
{
    struct producers *producers = self;
    const struct source *source =
        &producers->plan->sources[argument % PLAN_SOURCES_MAX];
    uint64_t step = argument / PLAN_SOURCES_MAX;
    uint64_t now_us = producers->world->now_us;

    if (producers->is_over)
        return;
    for (uint32_t i = 0; (i < source->events || source->kind == SOURCE_FLOOD) &&
                         producers->logged < producers->plan->events_max;
         i++)
        if (!producers_log(producers, choose_nature(producers)))
            break;
        else if (chance_hits(&producers->feedback_chance,
                             producers->plan->feedback_per_mille))
            producers_give(producers);
    if (step + 1 < source->steps)
        world_plan(producers->world,
                   now_us + 1 +
                       chance_below(&producers->chance, 2 * source->gap_us),
                   source_step, producers, argument + PLAN_SOURCES_MAX);
}

/* ---- log calls that are stopped ---- */

enum { PATTERN = 0xA5 };

static void claim(struct stopped *stopped)
{
    stopped->record = phos__ring_claim(&stopped->taken);
    stopped->is_claimed = true;
    memset(stopped->record, PATTERN, stopped->record_bytes);
}

static void end_call(struct producers *producers, struct stopped *stopped)
{
    struct event *event = stopped->event;
    char text[PLAN_RECORD_BYTES_MAX];
    struct phos__record_plan plan;
    phos_event logged = phos_event_default();
    bool was_claimed = stopped->is_claimed;

    if (!was_claimed)
        claim(stopped);
    for (uint32_t i = 0; i < stopped->record_bytes; i++)
        if (stopped->record[i] != PATTERN) {
            world_fail(producers->world,
                       "the bytes of event %u were written "
                       "over while its log call was stopped",
                       event->number);
            return;
        }
    checks_fill_text(text, event->number, event->text_bytes);
    logged.input = phos_str_make(text, event->text_bytes);
    logged.output = PHOS_STR("so be it");
    logged.cookie = event->cookie;
    phos__record_plan(&logged, PLAN_RECORD_BYTES_MAX, &plan);
    event->logged_us = producers->world->now_us;
    phos__record_write(&logged, &plan, phos__clock_stamp(PHOS_CLOCK_EXACT),
                       stopped->record);
    if (producers->plan->frozen[stopped - producers->stopped].is_garbage) {
        memset(stopped->record, PATTERN, stopped->record_bytes);
        event->is_garbage = true;
    }
    phos__ring_publish(&producers->logger->ring, event->position,
                       stopped->record_bytes);
    stopped->event = NULL;
    /* Given up at close, alone or, without a claim, as part of a gap. */
    if (event->receipts || (producers->checks->is_closed && !was_claimed))
        return;
    event->is_unfinished = false;
    checks_accepted(producers->checks, event);
    world_trace(producers->world, "event %llu is finished", event->number, 0,
                0);
    producers->on_logged(producers->self);
}

static void thaw_step(void *self, uint64_t argument)
{
    struct producers *producers = self;
    struct stopped *stopped = &producers->stopped[argument];

    if (stopped->event)
        end_call(producers, stopped);
}

void producers_stop(struct producers *producers)
{
    producers->is_over = true;
    for (unsigned i = 0; i < producers->plan->frozen_count; i++)
        if (producers->plan->frozen[i].for_us != UINT64_MAX)
            thaw_step(producers, i);
}

static void freeze_step(void *self, uint64_t argument)
{
    struct producers *producers = self;
    const struct frozen *frozen = &producers->plan->frozen[argument];
    struct stopped *stopped = &producers->stopped[argument];
    struct event *event = checks_new_event(producers->checks);
    struct phos__record_plan plan;
    phos_event logged = phos_event_default();
    char text[PLAN_RECORD_BYTES_MAX];

    if (!event || producers->is_over)
        return;
    event->text_bytes = frozen->bytes;
    checks_fill_text(text, event->number, event->text_bytes);
    logged.input = phos_str_make(text, event->text_bytes);
    logged.output = PHOS_STR("so be it");
    logged.cookie = event->cookie;
    phos__record_plan(&logged, PLAN_RECORD_BYTES_MAX, &plan);
    stopped->record_bytes = (uint32_t)plan.bytes;
    if (phos__ring_take(&producers->logger->ring, stopped->record_bytes,
                        &stopped->taken) != PHOS_OK)
        return;
    event->position = stopped->taken.position;
    stopped->event = event;
    stopped->is_claimed = false;
    event->end = phos__ring_tail(&producers->logger->ring);
    event->is_unfinished = true;
    checks_reserved(producers->checks, event);
    producers->logged++;
    if (!frozen->is_unclaimed)
        claim(stopped);
    world_trace(producers->world, "event %llu is stopped (claimed: %llu)",
                event->number, stopped->is_claimed, 0);
    if (frozen->for_us != UINT64_MAX)
        world_plan(producers->world, producers->world->now_us + frozen->for_us,
                   thaw_step, producers, argument);
}

/* ---- life ---- */

void producers_begin(struct producers *producers, struct world *world,
                     const struct plan *plan, struct checks *checks,
                     struct phos__logger *logger)
{
    memset(producers, 0, sizeof(*producers));
    producers->world = world;
    producers->plan = plan;
    producers->checks = checks;
    producers->logger = logger;
    producers->chance = chance_of(world->seed, 4);
    producers->feedback_chance = chance_of(world->seed, 6);
    producers->poison_left = plan->poison_count;
    for (unsigned i = 0; i < plan->source_count; i++)
        world_plan(world, world->start_us + plan->sources[i].from_us,
                   source_step, producers, i);
    for (unsigned i = 0; i < plan->frozen_count; i++)
        world_plan(world, world->start_us + plan->frozen[i].from_us,
                   freeze_step, producers, i);
}
