/*
 * rig - a machine, a clock that is turned by hand, and a service that answers
 * as a function says. It keeps what was sent and every verdict, and checks at
 * each step what must always hold.
 */
#ifndef TEST_CORE_RIG_H
#define TEST_CORE_RIG_H

#include "core/delivery.h"

enum { RIG_EVENTS_MAX = 5000 };

struct rig;

/* The answer to a request; `numbers` are those of its events, from 0. Positive:
 * an HTTP status; negative: a phos_exchange. */
typedef int rig_service_fn(struct rig *rig, const uint32_t *numbers,
                           uint32_t count, uint32_t body_bytes);

struct rig {
    struct phos__delivery *delivery;
    struct phos__delivery_options options;
    uint64_t now_ms;
    uint64_t latency_ms; /* of an answer */
    uint64_t random;
    rig_service_fn *service;
    enum phos__body_kind body; /* of answers */
    uint64_t retry_after_ms;   /* of answers that are not 2xx; 0: none */
    const uint8_t *results;    /* of 2xx answers */

    uint32_t count; /* events logged */
    uint32_t taken; /* of those, by the machine */
    struct {
        uint32_t json_bytes;
        uint64_t logged_ms;
        bool is_chosen, is_damaged;
        uint8_t id[16];
        uint32_t verdicts, sends;
        phos_receipt receipt;
        bool was_parked;
    } events[RIG_EVENTS_MAX];
    uint32_t number_of[RIG_EVENTS_MAX]; /* by the machine's index */

    struct {
        uint64_t request_id, due_ms;
        int status;
        uint32_t count;
    } flying[64];
    uint32_t flying_count, flying_max;
    uint32_t requests, cancels;
    uint64_t last_send_ms;
    uint64_t no_send_before_ms; /* a pending Retry-After */
    uint32_t state_count;
    phos_state states[64];
    bool refuses_parking;
};

struct phos__delivery_options rig_options(void);
void rig_open(struct rig *rig, const struct phos__delivery_options *options);
void rig_close(struct rig *rig);
/* Logs n events of 100 bytes now; returns the number of the first. */
uint32_t rig_log(struct rig *rig, uint32_t n);
/* Hands over what there is room for. */
void rig_take(struct rig *rig);
void rig_carry_out(struct rig *rig, const struct phos__action *action);
/* Both, until nothing is left to do now. */
void rig_act(struct rig *rig);
/* Goes on until `ms` have passed, through every answer and timer. */
void rig_run(struct rig *rig, uint64_t ms);
/* Goes on until every event has its verdict, at most `ms`; returns the time it
 * took. */
uint64_t rig_settle(struct rig *rig, uint64_t ms);
uint32_t rig_count(const struct rig *rig, phos_outcome outcome);

#endif
