/*
 * delivery_state - what the machine is made of; for delivery.c (facts in,
 * actions out), delivery_answer.c (what an answer changes) and delivery_send.c
 * (what is sent next) only.
 */
#ifndef PHOS_CORE_DELIVERY_STATE_H
#define PHOS_CORE_DELIVERY_STATE_H

#include "core/ceiling.h"
#include "core/dedupe.h"
#include "core/pace.h"
#include "core/pauses.h"
#include "core/retry.h"
#include "core/stock.h"

enum {
    PHOS__CONDEMNED_MAX = 3, /* refused alone in a row: is it the service? */
    PHOS__WITNESSES_MAX = 4, /* other batches asked about that */
    PHOS__FLYING_MAX = 16
};

struct phos__delivery {
    phos_allocator allocator;
    struct phos__delivery_options options;
    struct phos__stock stock;
    struct phos__dedupe dedupe;
    struct phos__pace pace;
    struct phos__ceiling ceiling;
    struct phos__pauses pauses;
    struct phos__retry retry;
    struct phos__retry_budget budget;
    phos_ledger ledger;
    uint64_t batch_count, batch_events;

    phos_state state;      /* RUNNING, OUTAGE or CONFIG */
    phos_state told_state; /* as the last STATE action said */
    int state_http_status;

    uint32_t open; /* batch, or PHOS__NONE */
    uint64_t open_due_ms;
    uint32_t flying[PHOS__FLYING_MAX];
    uint32_t flying_count;
    uint32_t lent_count; /* requests of others under way */
    bool has_lent_last;  /* of all requests, the last was of others … */
    bool owes_turn;      /* … or they are to have the next place, or token */
    uint32_t window;     /* requests at a time, now */
    uint64_t turn;       /* counts sends */
    uint64_t last_request_id;

    /* what the service was like of late */
    uint64_t successes;       /* batches that arrived, ever */
    uint32_t failures_in_row; /* without a success in between */
    uint32_t limited_in_row;  /* 429s, likewise */
    uint32_t distrust;        /* share of failures, of 1024 */
    uint64_t hold_until_ms;   /* Retry-After: no request before */
    uint64_t probe_due_ms;    /* OUTAGE, CONFIG */
    uint32_t probes_failed;
    bool config_by_suspects; /* CONFIG came from refused single events */
    uint32_t condemned;
    uint32_t suspects_in_row; /* single events refused, no success since */
    uint32_t witnesses_left;

    uint64_t expiry_check_ms; /* no event is too old before */
    uint64_t pace_due_ms;     /* the pace holds something back until then */

    uint32_t done_first, done_last; /* events with a verdict to hand out */
    uint64_t cancels[PHOS__FLYING_MAX];
    uint32_t cancel_count;

    uint64_t read_to, parking_retry_at;
    uint64_t parked_bytes;
    bool must_check_parking;
    uint32_t parking_batch, parking_event; /* the one asked for */

    uint32_t sent[100]; /* indices of the last SEND */
};

static inline struct phos__stock_batch *
phos__batch(struct phos__delivery *delivery, uint32_t batch)
{
    return &delivery->stock.batches[batch];
}

static inline struct phos__stock_event *
phos__event(struct phos__delivery *delivery, uint32_t event)
{
    return &delivery->stock.events[event];
}

/* Gives an event its verdict; it is in no batch any more. */
void phos__delivery_conclude(struct phos__delivery *delivery, uint32_t event,
                             phos_outcome outcome, phos_reason reason);
/* The same for all of a batch, which is freed. */
void phos__delivery_conclude_batch(struct phos__delivery *delivery,
                                   uint32_t batch, phos_outcome outcome,
                                   phos_reason reason);
/* Closes the open batch, if there is one. */
void phos__delivery_close_open(struct phos__delivery *delivery);
/* Splits a batch in the middle; both halves are to be sent. Returns the other
 * half. */
uint32_t phos__delivery_halve(struct phos__delivery *delivery, uint32_t batch);
/* When an event logged then is too old. age_max_ms is not 0. */
uint64_t phos__delivery_expiry_ms(const struct phos__delivery *delivery,
                                  uint64_t logged_ms, uint64_t now_ms);
/* Enters a state; the action follows. */
void phos__delivery_enter(struct phos__delivery *delivery, phos_state state,
                          int http_status);
/* Refused single events were not to blame: the configuration is. */
void phos__delivery_blame_configuration(struct phos__delivery *delivery,
                                        uint64_t now_ms, int http_status);
/* Every condemned event is refused. */
void phos__delivery_refuse_condemned(struct phos__delivery *delivery);

/* ---- delivery_send.c ---- */

/* A SEND at `now_ms`; false: none. May enter a state instead. */
bool phos__delivery_next_send(struct phos__delivery *delivery, uint64_t now_ms,
                              struct phos__action *ret_action);
/* Requests get through again: slow start. */
void phos__delivery_recover(struct phos__delivery *delivery, uint64_t now_ms);

/* When a batch that may be sent comes due; UINT64_MAX: with an answer. */
uint64_t phos__delivery_send_due_ms(const struct phos__delivery *delivery);

#endif
