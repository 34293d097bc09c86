/*
 * checks - what must hold, told by plain lists: every event that was logged,
 * every time it was sent, every answer, every receipt. It knows the promises
 * of the library and nothing of how it keeps them.
 */
#ifndef TEST_SIM_CHECKS_H
#define TEST_SIM_CHECKS_H

#include "client/pipeline.h"
#include "sim/feedback.h"
#include "sim/lines.h"
#include "sim/plan.h"
#include "sim/world.h"

enum {
    CHECKS_EVENTS_MAX = 1024,
    CHECKS_ARENA_BYTES = 1 << 22,
    CHECKS_BATCH_MAX = 100
};

#define CHECKS_NONE UINT32_MAX

/* What the service thinks of an event. */
enum event_nature { NATURE_GOOD, NATURE_BAD, NATURE_POISON };

/* What the last answer that concerned an event said. */
enum last_answer {
    ANSWER_NONE,
    ANSWER_DELIVERED, /* a definite 2xx, or its own result */
    ANSWER_DUPLICATE, /* its own result */
    ANSWER_REFUSED,   /* its own result */
    ANSWER_SUSPECT,   /* 400, 422 … */
    ANSWER_SMALLER,   /* 413, or stalled while sending */
    ANSWER_THROTTLED, /* 429, 503 */
    ANSWER_AGAIN,
    ANSWER_CONFIG
};

struct event {
    uint32_t number; /* its place in the list; part of its input text */
    uint64_t position;
    uint64_t end; /* position behind it */
    uint8_t id[16];
    bool is_chosen;
    uint32_t twin; /* the number of an earlier event of the same id */
    enum event_nature nature;
    uint64_t cookie;
    uint32_t text_bytes;
    uint64_t logged_us;
    bool is_accepted;     /* its log call returned PHOS_OK */
    uint64_t accepted_as; /* the how-manieth to be accepted, from 1 */
    bool is_unfinished;   /* its log call is stopped half way */
    bool is_garbage;      /* its record was written over: nobody can read it */
    bool was_shown;       /* to before_send, which */
    bool is_edited;       /*   gave it another text, or */
    bool is_unwanted;     /*   dropped or broke it */

    const char *json; /* as first sent; NULL: never */
    uint32_t json_bytes;
    uint32_t sends, commits;
    uint32_t failures_beside; /* with a request that arrived in between */
    uint64_t deliveries_seen;
    uint32_t under_way; /* requests that hold it now */
    enum last_answer last;
    bool was_alone; /* in the request of that answer */
    bool may_have_arrived;
    uint64_t not_before_us; /* Retry-After of its last answer */

    uint32_t receipts;
    phos_outcome outcome;
};

/* A request as the service and the checks see it. */
struct sent {
    const phos_request *request;
    uint64_t id;
    uint32_t events[CHECKS_BATCH_MAX];
    uint32_t count;
    struct given *given; /* feedback; NULL: a batch of events */
    uint32_t body_bytes;
    uint64_t body_hash;
    bool is_probe; /* sent while the state was OUTAGE or CONFIG */
};

/* What an answer says, as the service made it. */
struct answer {
    phos_exchange exchange;
    int status;
    bool is_html;
    bool has_retry_after;
    uint64_t retry_after_ms; /* clamped */
    /* its own word about each event, of its kind or ANSWER_NONE */
    uint8_t results[CHECKS_BATCH_MAX];
};

struct checks {
    struct world *world;
    const struct plan *plan;
    struct phos__ring *ring;
    struct phos__pipeline *pipeline;

    struct event events[CHECKS_EVENTS_MAX]; /* in the order of positions */
    uint32_t event_count;
    uint32_t first_open; /* the first without a verdict */
    char *arena;
    size_t arena_used;

    uint64_t accepted;
    uint64_t by_outcome[PHOS_OUTCOME_COUNT];
    uint64_t given_up_unfinished; /* receipts of unfinished log calls */
    uint32_t under_way;
    phos_state state;
    unsigned probes_under_way;
    uint64_t next_probe_us; /* none before, while the state is CONFIG */
    uint64_t probe_gap_us;
    uint64_t quiet_until_us; /* Retry-After that holds for everything */
    int64_t pace_tokens;
    uint64_t pace_at_us;
    uint64_t requests, deliveries;
    /* The last 64 answers to requests without poison, a bit for each: 1: it
     * failed. */
    uint64_t recent;
    uint64_t retry_after_us;    /* the latest moment that one has named */
    uint64_t second_request_us; /* 0: not yet */
    bool is_closing, is_closed;
    bool must_be_silent; /* after the close */
    struct feedback feedback;
    struct lines lines;  /* what the application is told of it all */
    bool may_forget_ids; /* without memory the window cannot grow */
};

void checks_begin(struct checks *checks, struct world *world,
                  const struct plan *plan, struct phos__ring *ring);
void checks_deinit(struct checks *checks);

/* ---- what the producers did ---- */

/* The next event, to be filled in; NULL: enough. Not yet listed. */
struct event *checks_new_event(struct checks *checks);
/* It has its place in the ring. */
void checks_reserved(struct checks *checks, struct event *event);
/* Its log call has returned PHOS_OK. */
void checks_accepted(struct checks *checks, struct event *event);
/* The texts of an event: `#number;` and a pattern. */
void checks_fill_text(char *text, uint32_t number, uint32_t bytes);
/* The input text of an event, as it is to be sent. */
void checks_fill_event(char *text, const struct event *event);

/* ---- what the service saw ---- */

/* Takes a request apart and looks at all of it. */
void checks_request(struct checks *checks, const phos_request *request,
                    struct sent *ret_sent);
/* Submit failed: nothing was sent. */
void checks_not_submitted(struct checks *checks, const struct sent *sent);
void checks_answer(struct checks *checks, const struct sent *sent,
                   const struct answer *answer);

/* ---- what the application heard ---- */

void checks_receipts(struct checks *checks, const phos_receipt *receipts,
                     size_t count);
void checks_refused(struct checks *checks, const phos_receipt *receipt,
                    phos_str json);

/* Delivery has entered another state, said before anything that follows. */
void checks_state(struct checks *checks, phos_state state);
/* The key was replaced: a probe may come at once. */
void checks_new_key(struct checks *checks);

/* ---- what the worker did ---- */

void checks_turn(struct checks *checks);
void checks_close_report(struct checks *checks, phos_status status,
                         const phos_close_report *report, bool is_whole);
/* The first so many that were accepted have their receipts. */
void checks_flushed(struct checks *checks, uint64_t accepted);
/* After the heal: nothing was lost. */
void checks_healed(struct checks *checks);
/* When nothing can arrive any more. */
void checks_end(struct checks *checks);

uint64_t checks_pending(const struct checks *checks);

#endif
