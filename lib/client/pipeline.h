/*
 * pipeline - one client's way from its ring to the service: reads records,
 * tells the delivery machine, and carries its actions out through ports. It
 * runs on the worker's thread, one turn at a time, and knows neither libuv nor
 * libcurl nor a clock, so that a simulator can drive the same object code.
 *
 *   turn:  answers, commands ─► machine ─► actions ─► transport, receipts
 *          ring ─► record ─► JSON ──┘                 ring: release
 *
 * Feedback goes the same way beside it, through a machine and a file of its
 * own.
 *
 * What other threads may call takes the pipeline's lock or is a ring's
 * business; everything else belongs to the thread that calls turn.
 */
#ifndef PHOS_CLIENT_PIPELINE_H
#define PHOS_CLIENT_PIPELINE_H

#include "client/editor.h"
#include "core/delivery.h"
#include "core/ports.h"
#include "queue/rejections.h"
#include "queue/ring.h"

struct phos__pipeline;

struct phos__pipeline_options {
    struct phos__ring *ring; /* outlives the pipeline */
    struct phos__ports ports;
    /* The transport sees to a turn after each answer that it gives on the
     * worker's thread. */
    bool answers_bring_turns;
    struct phos__delivery_options delivery;
    uint32_t deep_sleep_after_ms;
    uint32_t request_timeout_ms;
    phos_str url;          /* of the batch route */
    phos_str feedback_url; /* of the feedback route */
    phos_str api_key;
    phos_str user_agent;
    phos_str project_id;                /* data NULL: left out */
    struct phos__editor_options editor; /* its user_data is that below */
    phos_receipts_fn *on_receipts;
    phos_refused_fn *on_refused;
    phos_diagnostic_fn *on_diagnostic;
    phos_high_water_fn *on_high_water;
    void *user_data;
    uint32_t high_water_percent;         /* 0: none */
    struct phos__rejections *rejections; /* outlive the pipeline */
    /* Hears of each state that delivery enters, before what follows from it;
     * for who watches the machine. NULL: nobody. */
    void (*on_state)(phos_state state, void *user_data);
};

/* Returns PHOS_OK or PHOS_E_NO_MEMORY. */
phos_status phos__pipeline_create(const struct phos__pipeline_options *options,
                                  const phos_allocator *allocator,
                                  struct phos__pipeline **ret_pipeline);
/* While the transport owes it an answer. Worker's thread. */
bool phos__pipeline_is_busy(const struct phos__pipeline *pipeline);
/* Not while it is busy. Takes NULL and half-built ones. */
void phos__pipeline_destroy(struct phos__pipeline *pipeline);

/* ---- the worker's thread ---- */

/* One turn. Returns the monotonic millisecond of the next one at the latest;
 * a time that has passed: at once; UINT64_MAX: when the ring or an answer
 * wakes it. */
uint64_t phos__pipeline_turn(struct phos__pipeline *pipeline);

/* ---- any thread ---- */

/* Something that is waited for: a flush, or the close. */
struct phos__ticket {
    bool is_done;
    phos_status status;
    uint64_t target; /* of a flush: ring position */
    struct phos__ticket *next;
};

/* Asks for the verdicts of everything logged so far. */
void phos__pipeline_flush(struct phos__pipeline *pipeline,
                          struct phos__ticket *ticket);
/* Waits for a ticket until `timeout_ms` have passed; false: it has not been
 * done, and is taken back. */
bool phos__pipeline_wait(struct phos__pipeline *pipeline,
                         struct phos__ticket *ticket, uint64_t timeout_ms);

/* Closes the ring; what has no verdict `timeout_ms` later is given up. The
 * first call counts. */
void phos__pipeline_close(struct phos__pipeline *pipeline, uint32_t timeout_ms);
/* Waits for the close to end. false: its deadline and `grace_ms` passed
 * first. */
bool phos__pipeline_wait_closed(struct phos__pipeline *pipeline,
                                uint64_t grace_ms);
/* The close's result, and of the report the ledgers and the error. A worker
 * that does not answer is told to send nothing more, and what it has not told
 * is counted as it can be: unread events as dropped, pending ones as unknown.
 */
phos_status phos__pipeline_close_report(struct phos__pipeline *pipeline,
                                        phos_close_report *ret_report);

/* From now on nothing lingers. Signal handlers too. */
void phos__pipeline_drain(struct phos__pipeline *pipeline);

/* PHOS_OK, PHOS_E_INVALID, PHOS_E_NO_MEMORY. */
phos_status phos__pipeline_set_api_key(struct phos__pipeline *pipeline,
                                       phos_str api_key);

/* All of phos_stats but what the ring and the rejections know. */
void phos__pipeline_stats(struct phos__pipeline *pipeline,
                          phos_stats *ret_stats);

#endif
