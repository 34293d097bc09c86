#include "core/stock.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "wire/batch.h"

bool phos__stock_init(struct phos__stock *stock,
                      const phos_allocator *allocator, uint32_t capacity)
{
    memset(stock, 0, sizeof(*stock));
    stock->capacity = capacity;
    stock->events =
        phos__alloc_zeroed(allocator, capacity, sizeof(*stock->events));
    stock->batches = phos__alloc_zeroed(allocator, (size_t)capacity + 1,
                                        sizeof(*stock->batches));
    if (!stock->events || !stock->batches)
        return false;
    stock->free_event = PHOS__NONE;
    for (uint32_t i = capacity; i-- > 0;) {
        stock->events[i].next = stock->free_event;
        stock->free_event = i;
    }
    stock->free_batch = PHOS__NONE;
    for (uint32_t i = capacity + 1; i-- > 0;) {
        stock->batches[i].next = stock->free_batch;
        stock->free_batch = i;
    }
    stock->first = PHOS__NONE;
    stock->last = PHOS__NONE;
    return true;
}

void phos__stock_deinit(struct phos__stock *stock,
                        const phos_allocator *allocator)
{
    phos__free(allocator, stock->events);
    phos__free(allocator, stock->batches);
}

uint32_t phos__stock_event_new(struct phos__stock *stock)
{
    uint32_t event = stock->free_event;

    assert(event != PHOS__NONE);
    stock->free_event = stock->events[event].next;
    stock->event_count++;
    memset(&stock->events[event], 0, sizeof(stock->events[event]));
    stock->events[event].next = PHOS__NONE;
    return event;
}

void phos__stock_event_free(struct phos__stock *stock, uint32_t event)
{
    stock->events[event].next = stock->free_event;
    stock->free_event = event;
    stock->event_count--;
}

uint32_t phos__stock_batch_new(struct phos__stock *stock, uint32_t after)
{
    uint32_t batch = stock->free_batch;
    struct phos__stock_batch *b;

    assert(batch != PHOS__NONE);
    b = &stock->batches[batch];
    stock->free_batch = b->next;
    memset(b, 0, sizeof(*b));
    b->first = PHOS__NONE;
    b->last = PHOS__NONE;
    b->previous = after == PHOS__NONE ? stock->last : after;
    b->next = after == PHOS__NONE ? PHOS__NONE : stock->batches[after].next;
    if (b->previous == PHOS__NONE)
        stock->first = batch;
    else
        stock->batches[b->previous].next = batch;
    if (b->next == PHOS__NONE)
        stock->last = batch;
    else
        stock->batches[b->next].previous = batch;
    return batch;
}

void phos__stock_batch_free(struct phos__stock *stock, uint32_t batch)
{
    struct phos__stock_batch *b = &stock->batches[batch];

    if (b->previous == PHOS__NONE)
        stock->first = b->next;
    else
        stock->batches[b->previous].next = b->next;
    if (b->next == PHOS__NONE)
        stock->last = b->previous;
    else
        stock->batches[b->next].previous = b->previous;
    b->state = PHOS__BATCH_FREE;
    b->next = stock->free_batch;
    stock->free_batch = batch;
}

void phos__stock_append(struct phos__stock *stock, uint32_t batch,
                        uint32_t event)
{
    struct phos__stock_batch *b = &stock->batches[batch];
    struct phos__stock_event *e = &stock->events[event];

    e->next = PHOS__NONE;
    if (b->count == 0) {
        b->first = event;
        b->body_bytes = PHOS__BATCH_FRAME_BYTES + e->json_bytes;
        b->record_bytes = e->record_bytes;
        b->oldest_position = e->position;
        b->oldest_logged_ms = e->logged_ms;
    } else {
        stock->events[b->last].next = event;
        b->body_bytes += PHOS__BATCH_COMMA_BYTES + e->json_bytes;
        b->record_bytes += e->record_bytes;
        if ((int64_t)(e->position - b->oldest_position) < 0)
            b->oldest_position = e->position;
        if (e->logged_ms < b->oldest_logged_ms)
            b->oldest_logged_ms = e->logged_ms;
    }
    b->last = event;
    b->count++;
}

void phos__stock_recount(struct phos__stock *stock, uint32_t batch)
{
    struct phos__stock_batch *b = &stock->batches[batch];
    uint32_t event = b->first;

    b->first = PHOS__NONE;
    b->last = PHOS__NONE;
    b->count = 0;
    while (event != PHOS__NONE) {
        uint32_t next = stock->events[event].next;

        phos__stock_append(stock, batch, event);
        event = next;
    }
}

uint32_t phos__stock_split(struct phos__stock *stock, uint32_t batch,
                           uint32_t keep)
{
    uint32_t other = phos__stock_batch_new(stock, batch);
    struct phos__stock_batch *b = &stock->batches[batch];
    struct phos__stock_batch *o = &stock->batches[other];
    uint32_t previous = o->previous, next = o->next;
    uint32_t last_kept = b->first;

    assert(keep > 0 && keep < b->count);
    for (uint32_t i = 1; i < keep; i++)
        last_kept = stock->events[last_kept].next;
    *o = *b;
    o->previous = previous;
    o->next = next;
    o->first = stock->events[last_kept].next;
    stock->events[last_kept].next = PHOS__NONE;
    phos__stock_recount(stock, batch);
    phos__stock_recount(stock, other);
    return other;
}

void phos__stock_merge(struct phos__stock *stock, uint32_t to, uint32_t from)
{
    stock->events[stock->batches[to].last].next = stock->batches[from].first;
    phos__stock_recount(stock, to);
    phos__stock_batch_free(stock, from);
}
