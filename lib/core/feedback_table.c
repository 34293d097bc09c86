/*
 * The table of feedback: a list in the order of arrival, one of what has ended,
 * and buckets by event. It decides nothing.
 */
#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "core/feedback_state.h"

bool phos__opinions_init(struct phos__feedback *feedback)
{
    const struct phos__feedback_options *options = &feedback->options;

    feedback->bucket_count = 1;
    while (feedback->bucket_count < options->capacity)
        feedback->bucket_count *= 2;
    feedback->opinions = phos__alloc_zeroed(
        &feedback->allocator, options->capacity, sizeof(*feedback->opinions));
    feedback->buckets =
        phos__alloc_zeroed(&feedback->allocator, feedback->bucket_count,
                           sizeof(*feedback->buckets));
    feedback->cancels =
        phos__alloc_zeroed(&feedback->allocator, options->in_flight_max,
                           sizeof(*feedback->cancels));
    if (!feedback->opinions || !feedback->buckets || !feedback->cancels)
        return false;
    for (uint32_t i = 0; i < feedback->bucket_count; i++)
        feedback->buckets[i] = PHOS__NOBODY;
    for (uint32_t i = 0; i < options->capacity; i++)
        feedback->opinions[i].next =
            i + 1 < options->capacity ? i + 1 : PHOS__NOBODY;
    return true;
}

/* ---- by event ---- */

static uint32_t *bucket_of(struct phos__feedback *feedback,
                           const uint8_t id[16])
{
    uint64_t hash = phos__siphash64(&feedback->key, id, 16);

    return &feedback->buckets[hash & (feedback->bucket_count - 1)];
}

static void enter_bucket(struct phos__feedback *feedback, uint32_t index)
{
    uint32_t *link =
        bucket_of(feedback, phos__opinion(feedback, index)->event_id);

    while (*link != PHOS__NOBODY)
        link = &phos__opinion(feedback, *link)->next_in_bucket;
    *link = index;
    phos__opinion(feedback, index)->next_in_bucket = PHOS__NOBODY;
}

static void leave_bucket(struct phos__feedback *feedback, uint32_t index)
{
    uint32_t *link =
        bucket_of(feedback, phos__opinion(feedback, index)->event_id);

    while (*link != index)
        link = &phos__opinion(feedback, *link)->next_in_bucket;
    *link = phos__opinion(feedback, index)->next_in_bucket;
}

uint32_t phos__opinion_same(struct phos__feedback *feedback, uint32_t index,
                            const uint8_t id[16])
{
    while (index != PHOS__NOBODY &&
           memcmp(phos__opinion(feedback, index)->event_id, id, 16) != 0)
        index = phos__opinion(feedback, index)->next_in_bucket;
    return index;
}

uint32_t phos__opinion_first_of(struct phos__feedback *feedback,
                                const uint8_t id[16])
{
    return phos__opinion_same(feedback, *bucket_of(feedback, id), id);
}

bool phos__opinion_has_its_turn(struct phos__feedback *feedback, uint32_t index)
{
    const uint8_t *id = phos__opinion(feedback, index)->event_id;

    return phos__opinion_first_of(feedback, id) == index;
}

uint32_t phos__opinion_new(struct phos__feedback *feedback,
                           const struct phos__feedback_arrival *arrival)
{
    uint32_t index = feedback->free;
    struct phos__opinion *o = phos__opinion(feedback, index);

    assert(phos__feedback_room(feedback) > 0);
    feedback->free = o->next;
    feedback->count++;
    memset(o, 0, sizeof(*o));
    o->position = arrival->position;
    memcpy(o->event_id, arrival->event_id, 16);
    o->previous = feedback->last;
    o->next = PHOS__NOBODY;
    if (feedback->last == PHOS__NOBODY)
        feedback->first = index;
    else
        phos__opinion(feedback, feedback->last)->next = index;
    feedback->last = index;
    enter_bucket(feedback, index);
    feedback->new_count++;
    return index;
}

bool phos__opinion_free_ended(struct phos__feedback *feedback,
                              uint32_t *ret_index)
{
    uint32_t index = feedback->ended_first;

    if (index == PHOS__NOBODY)
        return false;
    feedback->ended_first = phos__opinion(feedback, index)->next;
    phos__opinion(feedback, index)->next = feedback->free;
    feedback->free = index;
    feedback->count--;
    *ret_index = index;
    return true;
}

/* ---- states ---- */

static uint32_t *count_in(struct phos__feedback *feedback,
                          enum phos__opinion_state state)
{
    switch (state) {
    case PHOS__OPINION_NEW:
        return &feedback->new_count;
    case PHOS__OPINION_HELD:
        return &feedback->held_count;
    case PHOS__OPINION_READY:
        return &feedback->ready_count;
    case PHOS__OPINION_FLYING:
    case PHOS__OPINION_ENDED:
        break;
    }
    return &feedback->flying_count;
}

void phos__opinion_enter(struct phos__feedback *feedback, uint32_t index,
                         enum phos__opinion_state state)
{
    struct phos__opinion *o = phos__opinion(feedback, index);

    --*count_in(feedback, o->state);
    ++*count_in(feedback, state);
    o->state = state;
}

static void take_off_list(struct phos__feedback *feedback, uint32_t index)
{
    struct phos__opinion *o = phos__opinion(feedback, index);

    if (o->previous == PHOS__NOBODY)
        feedback->first = o->next;
    else
        phos__opinion(feedback, o->previous)->next = o->next;
    if (o->next == PHOS__NOBODY)
        feedback->last = o->previous;
    else
        phos__opinion(feedback, o->next)->previous = o->previous;
}

void phos__opinion_retire(struct phos__feedback *feedback, uint32_t index)
{
    struct phos__opinion *o = phos__opinion(feedback, index);

    --*count_in(feedback, o->state);
    o->state = PHOS__OPINION_ENDED;
    take_off_list(feedback, index);
    leave_bucket(feedback, index);
    o->next = PHOS__NOBODY;
    if (feedback->ended_first == PHOS__NOBODY)
        feedback->ended_first = index;
    else
        phos__opinion(feedback, feedback->ended_last)->next = index;
    feedback->ended_last = index;
}
