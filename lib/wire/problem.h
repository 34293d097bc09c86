/*
 * problem - what an answer that is an error says of it.
 *
 *   {"detail": "Agent not found"}
 *   {"detail": [{"loc": ["body", "role"], "msg": "…", "type": "missing"}, …]}
 *   {"error": {"message": "…"}}
 *   any other text
 *
 * Source: the error bodies of the four services; FastAPI's validation errors.
 */
#ifndef PHOS_WIRE_PROBLEM_H
#define PHOS_WIRE_PROBLEM_H

#include "base/buffer.h"
#include "phos/service.h"

enum { PHOS__PROBLEMS_MAX = 64, PHOS__DETAIL_BYTES_MAX = 1024 };

struct phos__problems {
    phos_allocator allocator;
    phos_str detail;     /* empty: it says nothing */
    phos_problem *items; /* point into `text` */
    size_t count;
    struct phos__buffer text;
};

/* Zero-length results until phos__problems_read(). */
void phos__problems_init(struct phos__problems *problems,
                         const phos_allocator *allocator);
void phos__problems_deinit(struct phos__problems *problems);

/* Once. A body of no known shape, and want of memory, leave results empty;
 * `content_type` tells pages from texts. */
void phos__problems_read(struct phos__problems *problems, phos_str content_type,
                         phos_str body);

#endif
