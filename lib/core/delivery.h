/*
 * delivery - the machine that decides what becomes of every event. It is told
 * facts (events read, answers, time) and hands out actions as values. No
 * clock, socket, thread or randomness inside: all come in as arguments, so any
 * schedule can be replayed.
 *
 *   take ──► dedupe ──► open batch ──► ready ──► SEND ──► answer ──► VERDICT
 *                          closed by    │  ▲                │
 *                          count, bytes,│  └── wait, halve, ┘
 *                          linger, hurry│      bisect
 *                                       └── PARK when it holds back the ring
 *
 * Events are named by a small index (phos__delivery_take() returns it) until
 * their VERDICT has been handed out. Times are monotonic milliseconds.
 */
#ifndef PHOS_CORE_DELIVERY_H
#define PHOS_CORE_DELIVERY_H

#include "core/verdict.h"
#include "phos/client.h"

struct phos__delivery;

struct phos__delivery_options {
    uint32_t batch_events_max; /* 1 to 100 */
    uint32_t batch_bytes_max;  /* of a body */
    uint32_t linger_ms;
    uint32_t in_flight_max; /* 1 to 16 */
    uint32_t retry_base_ms, retry_cap_ms;
    uint64_t age_max_ms;        /* 0: never */
    uint32_t events_per_minute; /* 0: no pace */
    uint32_t dedupe_window;     /* ids */
    uint64_t ring_bytes;        /* a batch that holds back more than a quarter
                                   of it is moved */
    uint64_t parking_bytes_max; /* records moved out of the ring, in all */
    uint64_t random;            /* seeds hash tables and jitter */
};

/* One event that was read from the ring. */
struct phos__arrival {
    uint64_t position;  /* rises from one to the next, but for late ones */
    uint64_t logged_ms; /* time of the log call */
    uint64_t cookie;
    uint32_t record_bytes; /* in the ring, stamp included */
    uint32_t json_bytes;   /* of its JSON object */
    bool id_is_chosen;     /* by the application: goes through the window */
    bool is_damaged;       /* cannot be read: dropped at once */
    bool is_unwanted;      /* by the application: dropped at once */
    bool is_parked;        /* moved out of the ring already */
    uint8_t id[16];
};

/* How a request ended. */
struct phos__answer {
    uint64_t request_id;
    phos_exchange exchange;
    int http_status;
    enum phos__body_kind body;
    bool has_retry_after;
    uint64_t retry_after_ms;
    const uint8_t *results; /* enum phos__event_result for each event in the
                               order of the SEND; NULL: none */
};

enum phos__action_kind {
    PHOS__ACTION_SEND,
    PHOS__ACTION_CANCEL,
    PHOS__ACTION_PARK,
    PHOS__ACTION_VERDICT,
    PHOS__ACTION_STATE
};

struct phos__action {
    enum phos__action_kind kind;

    /* SEND, CANCEL */
    uint64_t request_id;    /* from 1, never used twice */
    const uint32_t *events; /* SEND: indices, in order; valid until the next
                               call of the machine */
    uint32_t event_count;
    bool is_repeat; /* SEND: some event was sent before */
    bool is_probe;  /* SEND: of an outage or of a configuration */

    /* PARK, VERDICT */
    uint32_t event;
    uint64_t position;    /* of its record */
    bool is_parked;       /* VERDICT: the record has been moved */
    phos_receipt receipt; /* VERDICT */

    /* STATE: delivery enters another state */
    phos_state state;
    int http_status; /* of the answer that caused it; 0: none */
};

/* Returns PHOS_OK or PHOS_E_NO_MEMORY. Allocates nothing later. */
phos_status phos__delivery_create(const struct phos__delivery_options *options,
                                  const phos_allocator *allocator,
                                  struct phos__delivery **ret_delivery);
void phos__delivery_destroy(struct phos__delivery *delivery);

/* Events it can hold at most; indices are below it. */
uint32_t phos__delivery_capacity(const struct phos__delivery *delivery);
/* Events it can take now. 0 while enough is waiting already: the rest stays
 * in the ring. */
uint32_t phos__delivery_room(const struct phos__delivery *delivery);

/* ---- facts ---- */

/* room > 0. Returns the event's index. A duplicate, damaged or unwanted event
 * gets its VERDICT among the next actions. */
uint32_t phos__delivery_take(struct phos__delivery *delivery, uint64_t now_ms,
                             const struct phos__arrival *arrival);

/* Up to where the ring has been read: what a batch holds back is measured
 * against it. */
void phos__delivery_read_to(struct phos__delivery *delivery, uint64_t position);

/* `random`: any 64 bits, fresh each time. An unknown request is ignored. */
void phos__delivery_answer(struct phos__delivery *delivery, uint64_t now_ms,
                           uint64_t random, const struct phos__answer *answer);

/* Closes the open batch now instead of lingering (flush, drain, close). */
void phos__delivery_hurry(struct phos__delivery *delivery, uint64_t now_ms);

/* An event of a PARK action was moved, or could not be. */
void phos__delivery_parked(struct phos__delivery *delivery, uint32_t event,
                           bool moved);

/* Key or endpoint was replaced: a configuration pause ends with a probe now. */
void phos__delivery_reconfigured(struct phos__delivery *delivery,
                                 uint64_t now_ms);

/* Gives up every event: VERDICT unknown for those that may have arrived,
 * dropped for the rest, reason CLOSED; CANCEL for requests under way. */
void phos__delivery_give_up(struct phos__delivery *delivery, uint64_t now_ms);

/* ---- actions ---- */

/* The next action at `now_ms`; false: none until phos__delivery_due_ms(), or
 * until another fact. The caller carries each out before asking again. */
bool phos__delivery_next(struct phos__delivery *delivery, uint64_t now_ms,
                         struct phos__action *ret_action);
/* When it wants to be asked again; UINT64_MAX: only after another fact. */
uint64_t phos__delivery_due_ms(const struct phos__delivery *delivery);

/* ---- requests of others ---- */

/*
 * Another machine with the same service wants to send one request of its own,
 * which is one event for the pace. true: it may, and owes
 * phos__delivery_repay() once it is answered. false: not before *ret_due_ms;
 * UINT64_MAX: not before another fact. Delivery and the others take turns where
 * requests or tokens are few. While delivery itself waits for the service they
 * wait too, unless it has nothing to find out with.
 */
bool phos__delivery_lend(struct phos__delivery *delivery, uint64_t now_ms,
                         uint64_t *ret_due_ms);
/* The other one wants nothing at the moment: no turn is kept for it. */
void phos__delivery_lend_nothing(struct phos__delivery *delivery);
/* `has_arrived`: with an answer that ends an outage. */
void phos__delivery_repay(struct phos__delivery *delivery, uint64_t now_ms,
                          bool has_arrived);

/* ---- what it knows ---- */

/* An event of this id has no verdict, or none that was handed out. Looks at
 * every event that it holds. */
bool phos__delivery_holds(const struct phos__delivery *delivery,
                          const uint8_t id[16]);

const phos_ledger *phos__delivery_ledger(const struct phos__delivery *delivery);
phos_state phos__delivery_state(const struct phos__delivery *delivery);
uint64_t phos__delivery_parked_bytes(const struct phos__delivery *delivery);
/* Whether a record of so many bytes may be moved out of the ring now. */
bool phos__delivery_may_park(const struct phos__delivery *delivery,
                             uint64_t record_bytes);
uint32_t phos__delivery_in_flight(const struct phos__delivery *delivery);
/* Requests of others under way. */
uint32_t phos__delivery_lent(const struct phos__delivery *delivery);
/* The least position among events without a verdict; UINT64_MAX: none. */
uint64_t phos__delivery_oldest(const struct phos__delivery *delivery);
/* What the service lets through now: events a minute as learned from 429 (0:
 * nothing learned), and how long it wants no request (0: none is held). */
void phos__delivery_limits(const struct phos__delivery *delivery,
                           uint64_t now_ms, uint64_t *ret_per_minute,
                           uint64_t *ret_hold_ms);
/* Batches of which every event has its verdict, and their events. */
void phos__delivery_batches(const struct phos__delivery *delivery,
                            uint64_t *ret_batches, uint64_t *ret_events);

#endif
