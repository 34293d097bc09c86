/*
 * plan - what a seed makes of a schedule: the client's options, who logs what
 * and when, which few of all faults happen, how often and for how long, and
 * how it ends.
 *
 *   |------------- chaos -------------|--------- heal --------|- idle -|
 *   logging, faults in windows, flush   the service is ideal     close
 */
#ifndef TEST_SIM_PLAN_H
#define TEST_SIM_PLAN_H

#include "core/delivery.h"
#include "sim/world.h"

enum fault_kind {
    FAULT_STATUS,       /* value: the status */
    FAULT_ANY_STATUS,   /* 100 to 999 */
    FAULT_EXCHANGE,     /* value: phos_exchange */
    FAULT_HTML,         /* 200 with a web page, nothing stored */
    FAULT_THROTTLE,     /* 429 or 503, mostly with Retry-After */
    FAULT_TOO_LARGE,    /* value: 413 above so many bytes */
    FAULT_QUOTA,        /* value: 429 above so many events a minute */
    FAULT_COMMIT_DROP,  /* stored, the answer is lost */
    FAULT_COMMIT_ERROR, /* stored, answered with 500, 502 or 504 */
    FAULT_RESULTS,      /* 2xx that says what became of single events */
    FAULT_ODD_BODY,     /* 2xx, stored, with a body that is no answer */
    FAULT_STALL,        /* no answer until the time-out; value: 1: stored */
    FAULT_SLOW,         /* value: microseconds */
    FAULT_INSTANT,      /* answered inside submit */
    FAULT_OUTAGE,       /* nothing gets through */
    FAULT_SUBMIT,       /* submit itself fails */
    FAULT_MEMORY,       /* allocations fail */
    FAULT_WORKER_LATE,  /* value: microseconds that the worker oversleeps */
    FAULT_KIND_COUNT
};

struct fault {
    enum fault_kind kind;
    uint64_t from_us, until_us; /* since the schedule's start */
    unsigned per_mille;
    uint64_t value;
};

/* One thread that logs. */
enum source_kind { SOURCE_BURSTS, SOURCE_TRICKLE, SOURCE_FLOOD };

struct source {
    enum source_kind kind;
    uint64_t from_us;
    uint64_t gap_us; /* between two steps, on average */
    uint32_t events; /* of bursts: in each */
    uint32_t steps;
};

/* A log call that is stopped half way. */
struct frozen {
    uint64_t from_us;
    uint64_t for_us;   /* UINT64_MAX: its thread is dead */
    bool is_unclaimed; /* stopped between reservation and claim */
    bool is_garbage;   /* a stray write hits the record before it is read */
    uint32_t bytes;    /* of its texts */
};

enum command_kind { COMMAND_FLUSH, COMMAND_DRAIN, COMMAND_KEY };

struct command {
    enum command_kind kind;
    uint64_t at_us;
    uint32_t timeout_ms;
};

/* How a schedule ends. */
enum ending {
    ENDING_HEALED,   /* heal, quiet, close */
    ENDING_IN_CHAOS, /* closed with a deadline while all goes wrong */
    ENDING_ABANDONED /* closed while the worker is stuck */
};

enum {
    PLAN_FAULTS_MAX = 8,
    PLAN_SOURCES_MAX = 4,
    PLAN_FROZEN_MAX = 6,
    PLAN_COMMANDS_MAX = 6,
    PLAN_RING_BYTES = 1 << 16,
    PLAN_RECORD_BYTES_MAX = PLAN_RING_BYTES / 16
};

struct plan {
    struct phos__delivery_options delivery;
    uint32_t deep_sleep_after_ms;
    uint32_t request_timeout_ms;
    bool has_project;
    bool knows_tick_rate;
    uint64_t ring_start;

    uint64_t chaos_us;
    uint64_t latency_us; /* of the service, at most */
    uint64_t worker_late_us;
    struct fault faults[PLAN_FAULTS_MAX];
    unsigned fault_count;
    uint64_t key_expires_us; /* UINT64_MAX: never; until COMMAND_KEY: 401 */
    int64_t wall_jump_us;
    uint64_t wall_jump_at_us;
    uint64_t retry_after_ms_max;

    struct source sources[PLAN_SOURCES_MAX];
    unsigned source_count;
    struct frozen frozen[PLAN_FROZEN_MAX];
    unsigned frozen_count;
    uint32_t events_max;
    uint32_t text_bytes_min, text_bytes_max; /* of an event's texts */
    bool is_even; /* every record begins where one of the lap before began */
    unsigned chosen_per_mille; /* ids chosen by the application */
    unsigned twin_per_mille;   /* of those: used before */
    unsigned bad_per_mille;    /* the service answers 4xx to any batch that */
    int bad_status;            /*   holds such an event */
    unsigned poison_count;     /* events that make the service answer 500 */
    unsigned log_in_callback_per_mille;
    bool edits;                  /* before_send is set, see edits.h */
    unsigned feedback_per_mille; /* after an event: feedback on some event */
    uint32_t comment_bytes_max;

    struct command commands[PLAN_COMMANDS_MAX];
    unsigned command_count;

    enum ending ending;
    uint32_t close_timeout_ms;
};

void plan_make(struct plan *plan, uint64_t seed);
/* Prints it as TAP comments. */
void plan_print(const struct plan *plan);

/* Whether such a fault is planned at all. */
bool plan_has(const struct plan *plan, enum fault_kind kind);

#endif
