/*
 * stage - the body under construction. Each event that is read is written to
 * its end at once; when the machine then sends exactly the staged events, the
 * body is ready and only handed over. What was staged beyond them moves to the
 * front of the next body.
 *
 *   {"events":[ e0 , e1 , e2 , … e99 , e100
 *                                    └─ stays behind
 */
#ifndef PHOS_CLIENT_STAGE_H
#define PHOS_CLIENT_STAGE_H

#include "base/buffer.h"

struct phos__stage {
    struct phos__buffer body;
    uint32_t count;
    uint32_t capacity;
    struct phos__staged {
        uint32_t event; /* index within the machine */
        size_t begin;   /* of its JSON, in body */
    } * events;
};

/* false: out of memory. */
bool phos__stage_init(struct phos__stage *stage,
                      const phos_allocator *allocator, uint32_t capacity);
void phos__stage_deinit(struct phos__stage *stage);
static inline bool phos__stage_is_full(const struct phos__stage *stage)
{
    return stage->count == stage->capacity;
}

/* Between them the caller appends the event's JSON to stage->body. */
void phos__stage_begin(struct phos__stage *stage);
/* Returns the JSON's bytes; 0: it did not fit into memory, nothing staged.
 * The event is named later, when the machine has given it an index. */
size_t phos__stage_end(struct phos__stage *stage);
void phos__stage_name(struct phos__stage *stage, uint32_t event);
/* Takes the last event off again. */
void phos__stage_pop(struct phos__stage *stage);
/* Forgets everything: a staged event has had its verdict. */
void phos__stage_clear(struct phos__stage *stage);

/*
 * Whether `events` are the staged ones from the first on. If so the body, ended
 * and ready to be sent, is swapped with *body (whose memory is used next).
 * false: they are not, or out of memory; nothing changed but that the stage may
 * be empty.
 */
bool phos__stage_take(struct phos__stage *stage, const uint32_t *events,
                      uint32_t count, struct phos__buffer *body);

#endif
