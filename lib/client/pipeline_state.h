/*
 * pipeline_state - what a pipeline is made of, and what its parts do for each
 * other; for the files pipeline*.c only.
 */
#ifndef PHOS_CLIENT_PIPELINE_STATE_H
#define PHOS_CLIENT_PIPELINE_STATE_H

#include "client/exchange.h"
#include "client/pipeline.h"
#include "client/stage.h"
#include "client/timebase.h"
#include "core/feedback.h"
#include "core/watch.h"
#include "queue/flag.h"
#include "queue/snapshot.h"
#include "wire/record.h"

/* An event that the machine holds. */
struct phos__held_event {
    uint8_t *record; /* in the ring, or parked */
    uint32_t record_bytes;
    bool is_parked;
    bool is_staged;
    bool was_sent;
    uint64_t time_us;
    uint64_t logged_us; /* monotonic */
    uint8_t id[16];
};

/* Feedback that its machine holds. */
struct phos__held_feedback {
    uint8_t *record; /* a copy; NULL: none */
    uint32_t bytes;
};

/* Feedback that waits in the ring for room in the machine's table: the first
 * and the last position of a list that runs through the records. */
struct phos__feedback_queue {
    uint64_t first, last;
    uint64_t count;
};

/* What readers of the statistics get in one piece. */
struct phos__published {
    phos_stats stats;
    uint64_t read;   /* position up to which the ring was read */
    uint64_t untold; /* events below it of which the machine knows nothing */
};

enum { PHOS__RECEIPTS_MAX = 64 };

struct phos__pipeline {
    phos_allocator allocator;
    struct phos__pipeline_options options;
    struct phos__ring *ring;

    /* any thread, under answers.lock */
    struct phos__answers answers;
    pthread_cond_t changed; /* a ticket is done, or the close */
    struct phos__ticket *tickets;
    struct phos__credential *new_credential;
    bool is_closing, is_closed, is_abandoned;
    uint64_t close_deadline_us;
    phos_status close_status;
    bool has_report; /* the first one counts */
    phos_close_report report;
    /* any thread, no lock */
    struct phos__flag drain;
    struct phos__snapshot snapshot;
    _Atomic uint64_t *snapshot_words;

    /* the worker's thread */
    struct phos__ring_reader reader;
    struct phos__delivery *delivery;
    struct phos__timebase timebase;
    uint64_t now_ms;
    struct phos__stage stage;
    struct phos__held_event *events; /* by the machine's index */
    bool has_waiting_item;           /* read, but no memory to take it yet */
    struct phos__ring_item waiting_item;
    uint64_t waiting_logged_us; /* as it was first read; 0: never */
    struct phos__editor editor;
    uint64_t broken_edits; /* events dropped for what before_send left */
    struct phos__exchange *exchanges; /* in_flight_max */
    struct phos__credential *credential;
    char *url, *feedback_url, *user_agent, *project_id;
    struct phos__feedback *feedback;
    struct phos__held_feedback *held_feedback; /* by the machine's index */
    uint64_t feedback_bytes;                   /* of those, in all */
    struct phos__feedback_queue feedback_queue;
    bool feedback_lacks_memory;
    phos_error feedback_failure; /* the last */
    phos_receipt receipts[PHOS__RECEIPTS_MAX];
    uint32_t receipt_count;
    struct phos__published published;
    struct phos__watch watch;
    phos_error last_failure; /* since the last success: the watch's reason */
    int refused_status;      /* HTTP, of the event refused last; 0: none */
    uint64_t last_read_ms;   /* when something was read */
    uint64_t rate_since_ms;
    uint64_t rate_events;
    double events_per_ms;
};

/* The clock of this turn. */
static inline uint64_t
phos__pipeline_now_us(const struct phos__pipeline *pipeline)
{
    return pipeline->timebase.monotonic_us;
}

/* ---- pipeline_act.c ---- */

/* Carries out what the machines want now; false: nothing. */
bool phos__pipeline_act(struct phos__pipeline *pipeline);
void phos__pipeline_hand_out_receipts(struct phos__pipeline *pipeline);
/* Forgets the staged bytes: they are made again from the records. */
void phos__pipeline_unstage_all(struct phos__pipeline *pipeline);
void phos__pipeline_append_view(struct phos__pipeline *pipeline,
                                const struct phos__held_event *event,
                                const struct phos__record_view *view,
                                struct phos__buffer *body);

/* NULL: all are under way. */
struct phos__exchange *
phos__pipeline_idle_exchange(struct phos__pipeline *pipeline);
/* Starts the request whose body is in the exchange. */
void phos__pipeline_submit(struct phos__pipeline *pipeline,
                           struct phos__exchange *exchange, uint64_t request_id,
                           phos_str url, bool is_repeat);
void phos__pipeline_cancel(struct phos__pipeline *pipeline,
                           uint64_t request_id);

/* ---- pipeline_feedback.c ---- */

bool phos__pipeline_make_feedback(struct phos__pipeline *pipeline);
void phos__pipeline_unmake_feedback(struct phos__pipeline *pipeline);
void phos__pipeline_take_feedback(struct phos__pipeline *pipeline,
                                  const struct phos__ring_item *item);
void phos__pipeline_answer_feedback(struct phos__pipeline *pipeline,
                                    const struct phos__exchange *exchange);
/* Carries out what the machine of feedback wants now; false: nothing. */
bool phos__pipeline_act_on_feedback(struct phos__pipeline *pipeline);
void phos__pipeline_give_up_feedback(struct phos__pipeline *pipeline);
uint64_t phos__pipeline_feedback_due_ms(const struct phos__pipeline *pipeline);
/* All that was read, and what is left of it. */
phos_feedback_ledger
phos__pipeline_feedback_ledger(const struct phos__pipeline *pipeline);
uint64_t phos__pipeline_oldest_feedback(const struct phos__pipeline *pipeline);

/* ---- pipeline_watch.c ---- */

/* An answer, before the machine is told. */
void phos__pipeline_note_answer(struct phos__pipeline *pipeline,
                                const struct phos__exchange *exchange);
/* A request that could not even be made. */
void phos__pipeline_note_unsent(struct phos__pipeline *pipeline);
/* Tells when the ring has filled past the mark. */
void phos__pipeline_watch_ring(struct phos__pipeline *pipeline);
/* Tells what there is to tell. Returns when to look again at the latest. */
uint64_t phos__pipeline_watch(struct phos__pipeline *pipeline);

/* ---- pipeline_read.c ---- */

/* All that is published below this position has been told to a machine. */
uint64_t phos__pipeline_read_below(const struct phos__pipeline *pipeline);
/* Turns a record's time into Unix time, and tells when that was on the
 * monotonic clock. */
void phos__pipeline_fix_time(struct phos__pipeline *pipeline, uint8_t *record,
                             uint64_t *ret_time_us, uint64_t *ret_logged_us);

/* A batch's worth is staged: it must leave before more is read. */
bool phos__pipeline_stage_is_due(const struct phos__pipeline *pipeline);
/* Reads until a batch is staged or nothing is left. Returns how many. */
uint32_t phos__pipeline_read_batch(struct phos__pipeline *pipeline);
/* At the end: one more event that will not be sent, or whose log call has not
 * finished; false: there is none. */
bool phos__pipeline_take_unsent(struct phos__pipeline *pipeline);
bool phos__pipeline_take_unfinished(struct phos__pipeline *pipeline);

/* ---- pipeline_inbox.c ---- */

/* Delivery or feedback waits for a better configuration. */
bool phos__pipeline_is_refused(const struct phos__pipeline *pipeline);
/* Turns the pipeline's state into what readers see. Worker's thread. */
void phos__pipeline_publish(struct phos__pipeline *pipeline);
/* Settles tickets; closed is told to whoever waits. Worker's thread. */
void phos__pipeline_settle(struct phos__pipeline *pipeline);
void phos__pipeline_tell_closed(struct phos__pipeline *pipeline,
                                phos_status status);

#endif
