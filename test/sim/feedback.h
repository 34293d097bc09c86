/*
 * feedback - what must hold of feedback, told by plain lists: every piece that
 * was given, every time it was sent, every answer. Above all: never before its
 * event's verdict, never on an event that is lost, and the ledger adds up.
 */
#ifndef TEST_SIM_FEEDBACK_H
#define TEST_SIM_FEEDBACK_H

#include "phos/client.h"
#include "phos/transport.h"
#include "sim/plan.h"
#include "sim/world.h"

enum { FEEDBACK_GIVEN_MAX = 1024 };

struct checks;

struct given {
    uint32_t number; /* part of its comment */
    uint64_t position;
    uint8_t id[16]; /* of its event */
    uint64_t given_us;
    bool is_strange; /* no event of this client has that id */
    bool is_stored;  /* the service has that strange event */
    bool is_failure; /* its flag */
    uint32_t comment_bytes;

    uint32_t sends, commits, unknown;
    uint64_t unknown_since_us;
    bool is_under_way;
    bool was_sent_now;      /* in this turn */
    bool has_ended;         /* an answer that admits no other request */
    uint64_t not_before_us; /* Retry-After of its last answer */
};

struct feedback {
    struct world *world;
    const struct plan *plan;
    const struct checks *checks;            /* of events */
    struct given given[FEEDBACK_GIVEN_MAX]; /* in the order of positions */
    uint32_t count;
    uint32_t under_way;
    uint64_t delivered;          /* 2xx, answered */
    bool has_garbage;            /* something in the ring cannot be read */
    uint64_t retry_after_us;     /* the latest moment that one has named */
    phos_feedback_ledger ledger; /* of the last turn */
};

void feedback_begin(struct feedback *feedback, struct world *world,
                    const struct plan *plan, const struct checks *checks);

/* The next one, to be filled in; NULL: enough. Not yet listed. */
struct given *feedback_new(struct feedback *feedback);
/* Its call returned PHOS_OK. */
void feedback_accepted(struct feedback *feedback, struct given *given);
/* The comment: `#number;` and a pattern. */
void feedback_fill_comment(char *text, const struct given *given);

/* Whether a request is one with feedback. */
bool feedback_is(const phos_request *request);
/* Takes it apart; NULL: it is not what was given, and that has been said. */
struct given *feedback_request(struct feedback *feedback,
                               const phos_request *request);
void feedback_not_submitted(struct feedback *feedback, struct given *given);
void feedback_answer(struct feedback *feedback, struct given *given,
                     phos_exchange exchange, int status, bool is_html,
                     uint64_t retry_after_ms);

void feedback_turn(struct feedback *feedback,
                   const phos_feedback_ledger *ledger);
/* The first so many have their verdict. */
void feedback_flushed(struct feedback *feedback, uint32_t accepted);
void feedback_closed(struct feedback *feedback, phos_status status,
                     const phos_feedback_ledger *ledger, bool is_whole);
/* After the heal: nothing was lost but for a reason. */
void feedback_healed(struct feedback *feedback);
/* As the last turn saw it, and what it has not seen. */
uint64_t feedback_pending(const struct feedback *feedback);

#endif
