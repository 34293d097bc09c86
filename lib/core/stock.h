/*
 * stock - the events and batches that the machine holds: two tables of fixed
 * size and the lists that run through them. It decides nothing.
 *
 * Batches stand in one list in the order of their events; a half that is split
 * off stands right behind the other. Events stand in a list in their batch.
 */
#ifndef PHOS_CORE_STOCK_H
#define PHOS_CORE_STOCK_H

#include "core/delivery.h"

#define PHOS__NONE UINT32_MAX

enum phos__batch_state {
    PHOS__BATCH_FREE,
    PHOS__BATCH_OPEN,    /* takes events */
    PHOS__BATCH_READY,   /* closed; may be sent */
    PHOS__BATCH_WAITING, /* failed; may be sent from due_ms on */
    PHOS__BATCH_FLYING,
    PHOS__BATCH_CONDEMNED /* one event, refused; waits until another success
                             shows that it was the event and not the service */
};

struct phos__stock_event {
    uint32_t next; /* in its batch, or in the list of the done */
    uint32_t json_bytes, record_bytes;
    uint32_t sends;
    int http_status; /* of its last answer */
    bool id_is_chosen;
    bool is_parked;
    bool may_have_arrived;
    bool was_condemned;
    uint64_t position;
    uint64_t logged_ms;
    uint64_t cookie;
    uint64_t condemned_at; /* successes by then */
    phos_outcome outcome;  /* once it is done */
    phos_reason reason;
    uint8_t id[16];
};

struct phos__stock_batch {
    enum phos__batch_state state;
    uint32_t previous, next;
    uint32_t first, last, count; /* events */
    uint32_t body_bytes;
    uint64_t record_bytes;
    uint64_t oldest_position;
    uint64_t oldest_logged_ms;

    uint64_t request_id; /* FLYING */
    uint64_t due_ms;     /* WAITING */
    uint64_t turn;       /* of its last send, or the last before it was made */
    uint32_t failures;   /* in a row, since it has this size */
    uint32_t beside;     /* of those, with successes of others in between */
    uint32_t evidence;   /* the same, with the batches it was split from */
    uint64_t successes_seen;
    bool is_half;        /* split off a batch that failed */
    bool is_suspect;     /* split off a batch that was refused */
    bool is_probe_split; /* split only to have something to probe with */
    bool is_probe;       /* FLYING: as a probe */
    bool parking_failed;
};

struct phos__stock {
    uint32_t capacity;
    struct phos__stock_event *events;
    struct phos__stock_batch *batches; /* capacity + 1: one may be open */
    uint32_t free_event, free_batch;
    uint32_t event_count;
    uint32_t first, last; /* batches in use */
};

bool phos__stock_init(struct phos__stock *stock,
                      const phos_allocator *allocator, uint32_t capacity);
void phos__stock_deinit(struct phos__stock *stock,
                        const phos_allocator *allocator);

/* There is room for one. */
uint32_t phos__stock_event_new(struct phos__stock *stock);
void phos__stock_event_free(struct phos__stock *stock, uint32_t event);

/* A batch behind `after`; PHOS__NONE: at the end. */
uint32_t phos__stock_batch_new(struct phos__stock *stock, uint32_t after);
void phos__stock_batch_free(struct phos__stock *stock, uint32_t batch);
void phos__stock_append(struct phos__stock *stock, uint32_t batch,
                        uint32_t event);
/* Counts and sums anew, after events were taken out of the list by hand. */
void phos__stock_recount(struct phos__stock *stock, uint32_t batch);
/* Splits the events behind the first `keep` off into a batch of their own,
 * which inherits everything else. Returns it. */
uint32_t phos__stock_split(struct phos__stock *stock, uint32_t batch,
                           uint32_t keep);
/* Appends the events of `from` to `to` and frees it. */
void phos__stock_merge(struct phos__stock *stock, uint32_t to, uint32_t from);

#endif
