/*
 * feedback - the machine that decides when feedback on events is sent and what
 * becomes of it; it stands beside delivery, which it asks and never hinders.
 * Told facts, it hands out actions, and has no clock, socket or randomness.
 *
 *   take ─► NEW ─► HELD ──────► READY ─► SEND ─► answer ─► END
 *            │      its event     ▲                │
 *            │      is pending    └── wait ────────┘
 *            └─► no such event: READY; it was refused or dropped: END
 *
 * Feedback on one event goes in the order in which it was given, one at a time:
 * the last word is to count. What is wrong with feedback alone (its route, its
 * rate) pauses feedback alone; while delivery waits, feedback waits too.
 */
#ifndef PHOS_CORE_FEEDBACK_H
#define PHOS_CORE_FEEDBACK_H

#include "core/delivery.h"

struct phos__feedback;

enum {
    /* A service may say 404 as long as it has not stored the event: so many
     * answers, over at most that time, then the feedback is refused. */
    PHOS__FEEDBACK_UNKNOWN_MAX = 8,
    PHOS__FEEDBACK_UNKNOWN_MS_MAX = 60000,
    /* Of 5xx and broken connections, each with another success since the last,
     * before the feedback itself is to blame. */
    PHOS__FEEDBACK_POISON_FAILURES = 12,
    /* Ids of events that were refused or dropped: remembered so that feedback
     * on them is not sent in vain. */
    PHOS__FEEDBACK_LOST_MAX = 1024,
    /* A pause or an outage is told no sooner after the one before. */
    PHOS__FEEDBACK_TELL_GAP_MS = 10000
};

/* In the ids of its requests, so that they differ from delivery's. */
#define PHOS__FEEDBACK_REQUEST (UINT64_C(1) << 63)

struct phos__feedback_options {
    uint32_t capacity;      /* of the table */
    uint32_t in_flight_max; /* delivery's; feedback takes up to half of it */
    uint32_t retry_base_ms, retry_cap_ms;
    uint64_t age_max_ms; /* 0: never */
    uint64_t random;     /* seeds hash tables */
};

/* One piece of feedback that was read from the ring. */
struct phos__feedback_arrival {
    uint64_t position;
    uint64_t logged_ms; /* time of the call */
    uint8_t event_id[16];
};

enum phos__feedback_action_kind {
    PHOS__FEEDBACK_SEND,
    PHOS__FEEDBACK_CANCEL,
    PHOS__FEEDBACK_END,
    PHOS__FEEDBACK_STATE
};

struct phos__feedback_action {
    enum phos__feedback_action_kind kind;
    uint32_t index;      /* SEND, END */
    uint64_t request_id; /* SEND, CANCEL */
    bool is_repeat;      /* SEND: it was sent before */
    phos_state state;    /* STATE: RUNNING, OUTAGE or CONFIG, of feedback */
};

/* Returns PHOS_OK or PHOS_E_NO_MEMORY. Delivery outlives it. */
phos_status phos__feedback_create(const struct phos__feedback_options *options,
                                  const phos_allocator *allocator,
                                  struct phos__delivery *delivery,
                                  struct phos__feedback **ret_feedback);
void phos__feedback_destroy(struct phos__feedback *feedback); /* takes NULL */
uint32_t phos__feedback_room(const struct phos__feedback *feedback);

/* ---- facts ---- */

/* room > 0. Returns its index, below the capacity. */
uint32_t phos__feedback_take(struct phos__feedback *feedback, uint64_t now_ms,
                             const struct phos__feedback_arrival *arrival);
/* One that is given up without ever having been taken. */
void phos__feedback_drop(struct phos__feedback *feedback, phos_reason reason);
/* Delivery knows every event whose log call ended before this position. */
void phos__feedback_read_to(struct phos__feedback *feedback, uint64_t position);
/* Delivery has handed out a verdict. */
void phos__feedback_event_ended(struct phos__feedback *feedback,
                                uint64_t now_ms, const uint8_t id[16],
                                phos_outcome outcome);
void phos__feedback_answer(struct phos__feedback *feedback, uint64_t now_ms,
                           uint64_t random, const struct phos__answer *answer);
/* The key was replaced: a pause ends with a probe now. */
void phos__feedback_reconfigured(struct phos__feedback *feedback,
                                 uint64_t now_ms);
/* Gives up everything, as phos__delivery_give_up() does. */
void phos__feedback_give_up(struct phos__feedback *feedback);

/* ---- actions ---- */

bool phos__feedback_next(struct phos__feedback *feedback, uint64_t now_ms,
                         struct phos__feedback_action *ret_action);
/* When it wants to be asked again after phos__feedback_next() has returned
 * false; UINT64_MAX: only after another fact, of delivery's too. */
uint64_t phos__feedback_due_ms(const struct phos__feedback *feedback);

/* ---- what it knows ---- */

const phos_feedback_ledger *
phos__feedback_ledger(const struct phos__feedback *feedback);
phos_state phos__feedback_state(const struct phos__feedback *feedback);
/* The least position among what has not ended; UINT64_MAX: none. */
uint64_t phos__feedback_oldest(const struct phos__feedback *feedback);

#endif
