#include "client/stage.h"

#include <assert.h>

#include "base/alloc.h"
#include "wire/batch.h"

bool phos__stage_init(struct phos__stage *stage,
                      const phos_allocator *allocator, uint32_t capacity)
{
    phos__buffer_init(&stage->body, allocator);
    stage->count = 0;
    stage->capacity = capacity;
    stage->events =
        phos__alloc_zeroed(allocator, capacity, sizeof(*stage->events));
    return stage->events != NULL;
}

void phos__stage_deinit(struct phos__stage *stage)
{
    if (stage->events)
        phos__free(&stage->body.allocator, stage->events);
    stage->events = NULL;
    phos__buffer_deinit(&stage->body);
}

void phos__stage_begin(struct phos__stage *stage)
{
    assert(stage->count < stage->capacity);
    stage->body.failed = false;
    if (stage->count == 0) {
        phos__buffer_clear(&stage->body);
        phos__batch_begin(&stage->body);
    }
    stage->events[stage->count].begin = stage->body.bytes;
    phos__batch_next(&stage->body, stage->count);
}

size_t phos__stage_end(struct phos__stage *stage)
{
    struct phos__staged *staged = &stage->events[stage->count];
    size_t comma = stage->count > 0 ? PHOS__BATCH_COMMA_BYTES : 0;

    if (stage->body.failed) {
        stage->body.bytes = staged->begin;
        stage->body.failed = false;
        return 0;
    }
    staged->begin += comma;
    staged->event = UINT32_MAX;
    stage->count++;
    return stage->body.bytes - staged->begin;
}

void phos__stage_name(struct phos__stage *stage, uint32_t event)
{
    assert(stage->count > 0);
    stage->events[stage->count - 1].event = event;
}

void phos__stage_pop(struct phos__stage *stage)
{
    assert(stage->count > 0);
    stage->count--;
    stage->body.bytes = stage->events[stage->count].begin -
                        (stage->count > 0 ? PHOS__BATCH_COMMA_BYTES : 0);
}

void phos__stage_clear(struct phos__stage *stage)
{
    stage->count = 0;
    phos__buffer_clear(&stage->body);
}

static bool is_prefix(const struct phos__stage *stage, const uint32_t *events,
                      uint32_t count)
{
    if (count > stage->count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (stage->events[i].event != events[i])
            return false;
    return true;
}

/* Copies the events behind the first `count` to the front of `next`. */
static bool carry_over(struct phos__stage *stage, uint32_t count,
                       struct phos__buffer *next)
{
    size_t begin = stage->events[count].begin;
    size_t old_begin = begin;

    phos__batch_begin(next);
    begin = next->bytes;
    phos__buffer_append(next, stage->body.data + old_begin,
                        stage->body.bytes - old_begin);
    if (next->failed)
        return false;
    for (uint32_t i = count; i < stage->count; i++) {
        stage->events[i - count].event = stage->events[i].event;
        stage->events[i - count].begin =
            stage->events[i].begin - old_begin + begin;
    }
    return true;
}

bool phos__stage_take(struct phos__stage *stage, const uint32_t *events,
                      uint32_t count, struct phos__buffer *body)
{
    struct phos__buffer ready;
    size_t end;

    if (!is_prefix(stage, events, count))
        return false;
    end = stage->body.bytes;
    phos__buffer_clear(body);
    if (count < stage->count) {
        end = stage->events[count].begin - PHOS__BATCH_COMMA_BYTES;
        if (!carry_over(stage, count, body)) {
            phos__stage_clear(stage);
            return false;
        }
    }
    stage->count -= count;

    ready = stage->body;
    ready.bytes = end;
    phos__batch_end(&ready);
    stage->body = *body;
    *body = ready;
    return !ready.failed;
}
