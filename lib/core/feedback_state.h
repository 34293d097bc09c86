/*
 * feedback_state - what the machine is made of; for feedback.c (facts in,
 * actions out) and feedback_answer.c (what an answer changes) only.
 */
#ifndef PHOS_CORE_FEEDBACK_STATE_H
#define PHOS_CORE_FEEDBACK_STATE_H

#include "core/dedupe.h"
#include "core/feedback.h"
#include "core/pauses.h"
#include "core/retry.h"

#define PHOS__NOBODY UINT32_MAX

enum phos__opinion_state {
    PHOS__OPINION_NEW,   /* its event may stand unread in the ring */
    PHOS__OPINION_HELD,  /* its event has no verdict */
    PHOS__OPINION_READY, /* may be sent from due_ms on */
    PHOS__OPINION_FLYING,
    PHOS__OPINION_ENDED
};

/* One piece of feedback. */
struct phos__opinion {
    enum phos__opinion_state state;
    uint32_t previous, next; /* in the order of arrival; of the ended */
    uint32_t next_in_bucket; /* likewise */
    uint64_t position, logged_ms;
    uint64_t due_ms;     /* READY */
    uint64_t request_id; /* FLYING */
    uint64_t turn;       /* of its last send */
    uint32_t sends;
    uint32_t failures; /* in a row */
    uint32_t evidence; /* of those, with successes of others in between */
    uint64_t successes_seen;
    uint32_t unknown; /* 404s */
    uint64_t unknown_since_ms;
    bool may_have_arrived;
    bool is_probe; /* FLYING */
    uint8_t event_id[16];
};

struct phos__feedback {
    phos_allocator allocator;
    struct phos__feedback_options options;
    struct phos__delivery *delivery;
    struct phos__retry retry;
    struct phos__retry_budget budget;
    struct phos__pauses pauses; /* delivery's and its own */
    struct phos__siphash_key key;
    struct phos__dedupe lost; /* ids of events that will not arrive */
    phos_feedback_ledger ledger;

    struct phos__opinion *opinions;
    uint32_t *buckets; /* by event id, bucket_count of them */
    uint32_t bucket_count;
    uint32_t free, count;
    uint32_t first, last;             /* without verdict */
    uint32_t ended_first, ended_last; /* with, to hand out */
    uint32_t new_count, held_count, ready_count, flying_count;
    uint64_t read_to;

    phos_state state;
    phos_state told_state;
    uint64_t tell_due_ms; /* no sooner again */
    uint64_t turn;
    uint64_t last_request_id;
    uint64_t successes;
    uint32_t failures_in_row;
    uint32_t probes_failed;
    uint64_t probe_due_ms;
    uint64_t hold_until_ms; /* Retry-After */
    uint64_t send_due_ms;   /* as of the last look */
    uint64_t expiry_check_ms;
    uint64_t *cancels;
    uint32_t cancel_count;
};

static inline struct phos__opinion *
phos__opinion(struct phos__feedback *feedback, uint32_t index)
{
    return &feedback->opinions[index];
}

/* Gives it its verdict: DELIVERED, REFUSED, DROPPED or UNKNOWN. */
void phos__opinion_end(struct phos__feedback *feedback, uint32_t index,
                       phos_outcome outcome, phos_reason reason);
/* Unknown if it may have arrived, else dropped. */
void phos__opinion_give_up(struct phos__feedback *feedback, uint32_t index,
                           phos_reason reason);
void phos__opinion_note_expiry(struct phos__feedback *feedback, uint32_t index,
                               uint64_t now_ms);
/* Time that delivery or feedback is refused by the configuration is no age. */
void phos__feedback_note_pause(struct phos__feedback *feedback,
                               uint64_t now_ms);

/* ---- feedback_send.c ---- */

/* Asks delivery of the events of what has come. */
void phos__feedback_look_up(struct phos__feedback *feedback, uint64_t now_ms);
bool phos__feedback_next_send(struct phos__feedback *feedback, uint64_t now_ms,
                              struct phos__feedback_action *ret_action);

/* ---- feedback_table.c ---- */

bool phos__opinions_init(struct phos__feedback *feedback);
/* There is room for one. */
uint32_t phos__opinion_new(struct phos__feedback *feedback,
                           const struct phos__feedback_arrival *arrival);
/* Changes the state of one that has no verdict, and the counts. */
void phos__opinion_enter(struct phos__feedback *feedback, uint32_t index,
                         enum phos__opinion_state state);
/* From the list of what has no verdict to that of what has. */
void phos__opinion_retire(struct phos__feedback *feedback, uint32_t index);
/* Takes the first of the latter off and frees it; false: none. */
bool phos__opinion_free_ended(struct phos__feedback *feedback,
                              uint32_t *ret_index);
/* The next one on this event, from `index` on, in the order of arrival. */
uint32_t phos__opinion_same(struct phos__feedback *feedback, uint32_t index,
                            const uint8_t id[16]);
uint32_t phos__opinion_first_of(struct phos__feedback *feedback,
                                const uint8_t id[16]);
/* Earlier feedback on its event has its verdict. */
bool phos__opinion_has_its_turn(struct phos__feedback *feedback,
                                uint32_t index);

#endif
