/*
 * phos/client.h - fire-and-forget logging of events to the ingestion API.
 *
 *   open ─► log, log, log … (any thread) ─► flush ─► close ─► free
 */
#ifndef PHOS_CLIENT_H
#define PHOS_CLIENT_H

#include "phos/event.h"
#include "phos/transport.h"
#include "phos/worker.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A ring, the way from there to one service, and the account of both. */
typedef struct phos_client phos_client;

/* For deep_sleep_after_ms: never. */
#define PHOS_NEVER_MS UINT32_MAX

/** Where the time of a log call comes from. */
typedef enum phos_clock {
    PHOS_CLOCK_COUNTER = 0, /* processor's invariant counter, else COARSE */
    PHOS_CLOCK_COARSE = 1,  /* the kernel's tick: 1 to 10 ms */
    PHOS_CLOCK_EXACT = 2    /* microseconds; costs about 20 ns a call */
} phos_clock;

/** What becomes of an event that is larger than event_bytes_max. */
typedef enum phos_oversize {
    PHOS_OVERSIZE_REJECT = 0,  /* the log call says PHOS_E_TOO_LARGE */
    PHOS_OVERSIZE_TRUNCATE = 1 /* input and output are cut, the longer one
                                  first, between two characters. Metadata tells
                                  of it: phos_truncated is true,
                                  phos_input_bytes and phos_output_bytes are the
                                  lengths before, of what was cut */
} phos_oversize;

/** What became of an accepted event. Exactly one of these, once. */
typedef enum phos_outcome {
    PHOS_OUTCOME_DELIVERED = 0,
    PHOS_OUTCOME_DUPLICATE = 1, /* its id was logged before */
    PHOS_OUTCOME_REFUSED = 2,   /* the service said no to this event */
    PHOS_OUTCOME_DROPPED = 3,   /* given up; it did not arrive */
    PHOS_OUTCOME_UNKNOWN = 4    /* given up; it may have arrived */
} phos_outcome;

/* Known today. */
enum { PHOS_OUTCOME_COUNT = 5 };

/** Why. */
typedef enum phos_reason {
    PHOS_REASON_NONE = 0, /* delivered, duplicate */
    PHOS_REASON_INVALID =
        1, /* refused: 400, 422 and the like, standing alone */
    PHOS_REASON_TOO_LARGE = 2, /* refused: 413, standing alone */
    PHOS_REASON_POISON = 3,    /* refused: fails alone while others succeed */
    PHOS_REASON_AGE = 4,       /* dropped, unknown: older than age_max_ms */
    PHOS_REASON_CLOSED = 5,    /* dropped, unknown: close ran out of time */
    PHOS_REASON_DAMAGED = 6,   /* dropped: its record cannot be read */

    /* of feedback only */
    PHOS_REASON_EVENT_LOST = 7,    /* dropped: its event was refused, dropped */
    PHOS_REASON_EVENT_UNKNOWN = 8, /* refused: 404 until patience ended */
    PHOS_REASON_CROWDED = 9,       /* dropped: too much feedback is waiting */

    PHOS_REASON_BEFORE_SEND = 10 /* dropped: by options.before_send, or what it
                                    left breaks an event's documented shape */
} phos_reason;

/* Known today; and how many a ledger has room for, so that more can come. */
enum { PHOS_REASON_COUNT = 11, PHOS_REASON_SLOTS = 16 };

/** What feedback says of an event. 0 is neither, so that none goes by mistake.
 */
typedef enum phos_flag {
    PHOS_FLAG_SUCCESS = 1,
    PHOS_FLAG_FAILURE = 2
} phos_flag;

/* Without a terminating NUL. */
enum {
    PHOS_FEEDBACK_COMMENT_BYTES_MAX = 4096,
    PHOS_FEEDBACK_SOURCE_BYTES_MAX = 256
};

/** Receipt of one accepted event. */
typedef struct phos_receipt {
    phos_event_id id;
    uint64_t cookie; /* 0 of a log call that close cut off in its midst */
    phos_outcome outcome;
    phos_reason reason;
    uint32_t sends;  /* times it was part of a request */
    int http_status; /* of its last answer; 0: none */
    uint64_t age_ms; /* from the log call to the verdict */
} phos_receipt;

/**
 * Takes receipts, in the order of the verdicts; borrowed for the call. May call
 * phos_client_log(), phos_client_feedback() and phos_client_stats().
 * Threads: loop.
 */
typedef void phos_receipts_fn(const phos_receipt *receipts, size_t count,
                              void *user_data);

/**
 * Takes an event that the service refused, as the JSON that was sent; borrowed
 * for the call. The receipt follows. Threads: loop.
 */
typedef void phos_refused_fn(const phos_receipt *receipt, phos_str event_json,
                             void *user_data);

/**
 * Shows an event before it is first sent, to be masked or dropped. Called once
 * for each event, before any other callback hears of it and before the service
 * can; not for one that close gives up before it was read, and so never sends.
 *
 * event  as it was logged, event_id set to its id and an answer in pieces
 *        joined. Every field may be set anew, but texts, tags and pairs are not
 *        written into. What it is set to is copied when the function has
 *        returned, and stays as it is until it is called again or the client
 *        is freed; so it is not on the function's stack. Changes of event_id
 *        and cookie are ignored.
 *
 * Returns true: what is left of the event is sent instead, in every repetition
 * too. It is checked as phos_client_log() does; what breaks the documented
 * shape or exceeds event_bytes_max is dropped, and never sent as it was.
 * false: it is dropped. Both with PHOS_REASON_BEFORE_SEND.
 *
 * While it runs, nothing else is read, sent or answered by this worker. What is
 * said in feedback is not shown. May call phos_client_log(),
 * phos_client_feedback() and phos_client_stats(). Threads: loop.
 */
typedef bool phos_before_send_fn(phos_event *event, void *user_data);

/**
 * Adjusts an easy handle (CURL *) before each request, for settings that have
 * no option here: client certificates, an interface. Threads: loop.
 */
typedef void phos_easy_fn(void *curl_easy, void *user_data);

/**
 * Hears that the ring has filled past options.high_water_percent, before log
 * calls are rejected, so that a host can log less or look after the service.
 * It is called again only after the use has fallen below half of that. Threads
 * that fill the rest of the ring faster than the worker wakes up come first.
 * May call phos_client_log() and phos_client_stats(). Threads: loop.
 */
typedef void phos_high_water_fn(uint64_t used_bytes, uint64_t ring_bytes,
                                void *user_data);

/**
 * Settings of a client. Made by phos_options_default(), which writes real
 * values. Where use_environment is true, a text left empty and a number still
 * at its default are taken from the environment at open: PHOSPHO_API_KEY,
 * PHOSPHO_PROJECT_ID, and PHOS_<NAME IN CAPITALS> for those marked (env).
 * What code sets wins. A process with raised privileges (setuid) ignores the
 * environment.
 */
typedef struct phos_options {
    size_t struct_size;

    phos_str endpoint;   /* (env) absolute http or https URL, any path prefix;
                            "/api/ingest/batch" is appended; required */
    phos_str api_key;    /* secret; PHOSPHO_API_KEY; required */
    phos_str project_id; /* PHOSPHO_PROJECT_ID; left out of events if empty */

    /* what is kept */
    bool enabled;        /* (env) false: a client without thread, ring and
                            service; log calls are counted and discarded, and
                            no option but these two is looked at. In the
                            environment 0, false, no or off, and 1, true, yes or
                            on; default true */
    bool allow_disabled; /* false: phos_client_open() fails instead of opening
                            a client that is disabled, for programs that must
                            record; default true */
    double sample_rate;  /* (env) share of the sessions that is kept, 0 to 1.
                            A session is kept whole or not at all, by a hash of
                            its id that is the same in every process, see
                            docs/privacy.md; an event without session_id by its
                            event_id, else by chance; default 1 */

    /* batches */
    uint32_t linger_ms;        /* (env) longest wait of an event for company;
                                  default 500 */
    uint32_t batch_events_max; /* (env) 1 to 100; default 100 */
    uint32_t batch_bytes_max;  /* (env) of a body, 1 KiB to 8 MiB; an event
                                  larger than this travels alone;
                                  default 1 MiB */
    uint32_t in_flight_max;    /* (env) requests at a time, 1 to 16;
                                  default 4 */

    /* the ring */
    uint32_t ring_bytes;          /* (env) a power of two, 64 KiB to 1 GiB;
                                     default 4 MiB */
    uint32_t event_bytes_max;     /* (env) of a record, at most ring_bytes / 16;
                                     default 256 KiB */
    phos_oversize oversize;       /* what becomes of larger events;
                                     default PHOS_OVERSIZE_REJECT */
    uint32_t full_wait_ms;        /* (env) longest wait of a log call for room;
                                     default 0: reject at once */
    uint32_t high_water_percent;  /* (env) of the ring in use that is told,
                                     see on_high_water; 0: none, at most 95;
                                     default 75 */
    phos_clock clock;             /* default PHOS_CLOCK_COUNTER */
    uint32_t deep_sleep_after_ms; /* (env) idle time after which the worker
                                 sleeps without a timer, so that the next log
                                 call wakes it with one system call;
                                 PHOS_NEVER_MS: keep a slow tick for ever;
                                 default 2000 */

    /* delivery */
    uint32_t retry_base_ms; /* (env) first wait is up to this; default 250 */
    uint32_t retry_cap_ms;  /* (env) longest wait of our own choosing;
                               default 30,000 */
    uint64_t age_max_ms;    /* (env) older events are given up; 0: never;
                               default 3,600,000 */
    uint32_t events_per_minute;  /* (env) pace; 0: none; default 0 */
    uint32_t dedupe_window;      /* (env) ids remembered, 0 to 1,048,576;
                                    default 65,536 */
    uint32_t connect_timeout_ms; /* (env) default 10,000 */
    uint32_t request_timeout_ms; /* (env) whole exchange; default 30,000 */

    /* the connection */
    phos_str proxy;            /* (env) URL; empty: none, whatever the
                                  environment says to others */
    phos_str ca_file;          /* (env) PEM bundle; empty: the system's */
    phos_str unix_socket_path; /* (env) connect here instead of host and port;
                                  an absolute path */
    phos_str user_agent;       /* (env) default "libphos/<version>" */
    uint32_t gzip_level;       /* (env) 0 (off) to 9; needs a build with gzip;
                                  default 0 */
    bool allow_plain_http;     /* (env) let a key travel over http to a host
                                  that is not loopback; default false */
    bool use_environment;      /* default true */

    /* process exit */
    uint32_t exit_flush_ms; /* (env) close with this deadline at exit(); 0: no
                               exit handler; default 0 */

    /* what the application hears; user_data goes to all of them */
    phos_before_send_fn *before_send;
    phos_receipts_fn *on_receipts;
    phos_refused_fn *on_refused;
    phos_diagnostic_fn *on_diagnostic;
    phos_high_water_fn *on_high_water;
    phos_easy_fn *on_easy;
    void *user_data;

    /* what the client stands on */
    phos_worker *worker;             /* NULL: one of its own */
    const phos_transport *transport; /* NULL: libcurl */
    phos_allocator allocator;        /* zeroed: the worker's, else malloc */
} phos_options;

/** Each option at its default. */
static inline phos_options phos_options_default(void)
{
    phos_options options;
    const phos_str none = phos_str_make(NULL, 0);

    options.struct_size = sizeof(options);
    options.endpoint = none;
    options.api_key = none;
    options.project_id = none;
    options.enabled = true;
    options.allow_disabled = true;
    options.sample_rate = 1;
    options.linger_ms = 500;
    options.batch_events_max = 100;
    options.batch_bytes_max = 1048576;
    options.in_flight_max = 4;
    options.ring_bytes = 4194304;
    options.event_bytes_max = 262144;
    options.oversize = PHOS_OVERSIZE_REJECT;
    options.full_wait_ms = 0;
    options.high_water_percent = 75;
    options.clock = PHOS_CLOCK_COUNTER;
    options.deep_sleep_after_ms = 2000;
    options.retry_base_ms = 250;
    options.retry_cap_ms = 30000;
    options.age_max_ms = 3600000;
    options.events_per_minute = 0;
    options.dedupe_window = 65536;
    options.connect_timeout_ms = 10000;
    options.request_timeout_ms = 30000;
    options.proxy = none;
    options.ca_file = none;
    options.unix_socket_path = none;
    options.user_agent = none;
    options.gzip_level = 0;
    options.allow_plain_http = false;
    options.use_environment = true;
    options.exit_flush_ms = 0;
    options.before_send = NULL;
    options.on_receipts = NULL;
    options.on_refused = NULL;
    options.on_diagnostic = NULL;
    options.on_high_water = NULL;
    options.on_easy = NULL;
    options.user_data = NULL;
    options.worker = NULL;
    options.transport = NULL;
    options.allocator.allocate = NULL;
    options.allocator.reallocate = NULL;
    options.allocator.release = NULL;
    options.allocator.user_data = NULL;
    return options;
}

/**
 * accepted = delivered + duplicate + refused + dropped + unknown + pending.
 * Counts events that the worker has read, or, in a close report and after a
 * flush, all that were accepted before.
 */
typedef struct phos_ledger {
    uint64_t accepted;
    uint64_t delivered;
    uint64_t duplicate;
    uint64_t refused;
    uint64_t dropped;
    uint64_t unknown;
    uint64_t pending;
    uint64_t by_reason[PHOS_REASON_SLOTS]; /* of refused, dropped, unknown */
} phos_ledger;

/**
 * The same for feedback, which is never part of phos_ledger:
 * accepted = delivered + refused + dropped + unknown + pending.
 */
typedef struct phos_feedback_ledger {
    uint64_t accepted;
    uint64_t delivered;
    uint64_t refused;
    uint64_t dropped;
    uint64_t unknown;
    uint64_t pending;
    uint64_t by_reason[PHOS_REASON_SLOTS]; /* of refused, dropped, unknown */
} phos_feedback_ledger;

/* Calls that were rejected, by cause; never part of `accepted`. */
typedef struct phos_rejections {
    uint64_t full;
    uint64_t invalid;
    uint64_t too_large;
    uint64_t closed;
} phos_rejections;

/* Events that were not kept, as configured, by cause; never part of `accepted`,
 * and no receipt comes for them. */
typedef struct phos_discards {
    uint64_t disabled; /* options.enabled is false */
    uint64_t sampled;  /* not in the share of options.sample_rate */
    uint64_t feedback; /* no event: feedback, while options.enabled is false */
} phos_discards;

/* The last one takes all values from 3 * 2^30 on. */
enum { PHOS_HISTOGRAM_BUCKETS = 64 };

/**
 * Counts by magnitude. Bucket i holds values in
 * [phos_histogram_bucket_min(i), phos_histogram_bucket_min(i + 1)).
 */
typedef struct phos_histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t buckets[PHOS_HISTOGRAM_BUCKETS];
} phos_histogram;

/** The least value counted in bucket i: two buckets for each power of two. */
PHOS_EXTERN uint64_t phos_histogram_bucket_min(unsigned bucket);

/**
 * The value below which a share of the counted values lies, to the upper end
 * of its bucket. percentile 0 to 100. 0 when nothing was counted.
 */
PHOS_EXTERN uint64_t phos_histogram_percentile(const phos_histogram *histogram,
                                               double percentile);

/** Where delivery stands. */
typedef enum phos_state {
    PHOS_STATE_RUNNING = 0,
    PHOS_STATE_OUTAGE = 1, /* nothing succeeds; one probe at a time */
    PHOS_STATE_CONFIG = 2, /* refused as configured; see last_error */
    PHOS_STATE_CLOSING = 3,
    PHOS_STATE_CLOSED = 4
} phos_state;

/** Statistics of a client since open; one consistent snapshot. */
typedef struct phos_stats {
    size_t struct_size; /* set by the caller: sizeof(phos_stats) */
    phos_state state;
    phos_ledger ledger;
    phos_rejections rejected;
    phos_discards discarded;
    uint64_t truncated; /* accepted events with a text cut, see oversize */

    uint64_t unread_bytes;        /* in the ring, not yet seen by the worker */
    uint64_t ring_used_bytes;     /* in the ring, not yet released */
    uint64_t ring_used_bytes_max; /* high-water mark, as the worker saw it */
    uint64_t parked_bytes;        /* moved out of the ring, waiting */
    uint64_t stalled_record_age_ms; /* oldest claimed but unfinished log call */

    uint64_t batches;      /* answered with a verdict for all their events */
    uint64_t batch_events; /* events in them: fill = batch_events / batches */
    uint64_t requests;     /* started */
    uint64_t retries;      /* requests that repeat at least one event */
    uint64_t bytes_sent;
    uint64_t bytes_received;
    uint32_t in_flight; /* requests under way now */

    uint32_t config_answers; /* in a row, while the configuration is refused */

    int last_http_status;  /* 0: none yet */
    phos_error last_error; /* status PHOS_OK: none yet */

    phos_histogram queue_age_ms;  /* from log call to first send */
    phos_histogram round_trip_us; /* from send to answer */

    phos_feedback_ledger feedback;
    phos_rejections feedback_rejected;
} phos_stats;

/** What became of everything, at close. Its parts always add up. */
typedef struct phos_close_report {
    size_t struct_size; /* set by phos_client_close() */
    phos_ledger ledger;
    phos_rejections rejected;
    phos_discards discarded;
    phos_error last_error;
    phos_feedback_ledger feedback;
    phos_rejections feedback_rejected;
    uint64_t reserved[32]; /* 0; for what later versions report, so that they
                              do not write past a report of today */
} phos_close_report;

/**
 * Opens a client and starts its worker, or joins options->worker.
 *
 * options     everything is copied; endpoint and api_key are required, unless
 *             the client is disabled
 * ret_client  to be closed, then freed with phos_client_free()
 *
 * What was wrong, with the option's name, goes to options->on_diagnostic.
 *
 * Returns  PHOS_OK
 *          PHOS_E_INVALID    an option is missing or out of range, or the
 *                            client is disabled and must not be
 *          PHOS_E_INSECURE   plain http to a host that is not loopback
 *          PHOS_E_UNSUPPORTED  gzip_level in a build without gzip
 *          PHOS_E_FORKED     options->worker was opened by the parent
 *          PHOS_E_NO_MEMORY, PHOS_E_SYSTEM
 * Threads  any, not in a signal handler.
 */
PHOS_EXTERN phos_status phos_client_open(const phos_options *options,
                                         phos_client **ret_client);

/**
 * Queues one event. Never blocks (unless full_wait_ms says so), allocates or
 * touches the network.
 *
 * event    input and output (or its pieces) are required; all is borrowed and
 *          copied
 * ret_id   the event's id, made at the call; NULL if not wanted
 *
 * Returns  PHOS_OK           accepted; it gets exactly one receipt
 *          PHOS_DISCARDED    not kept, as configured: it is counted, has no
 *                            id and gets no receipt
 *          PHOS_E_FULL       rejected, no room; worth trying again
 *          PHOS_E_CLOSED     rejected, close came first, or client is NULL
 *          PHOS_E_INVALID    rejected, the event breaks its documented shape
 *          PHOS_E_TOO_LARGE  rejected, more than event_bytes_max, even with
 *                            input and output cut if options.oversize says so
 *          PHOS_E_FORKED     rejected, the client was opened by the parent
 * Threads  any number at once; signal handlers; callbacks.
 * Source   Ingestion API, event object.
 */
PHOS_EXTERN phos_status phos_client_log(phos_client *client,
                                        const phos_event *event,
                                        phos_event_id *ret_id);

/**
 * Queues feedback on one event. Never blocks (full_wait_ms is for events only),
 * allocates or touches the network. It is sent when its event has been
 * delivered, or at once if this client knows of no such event. Feedback on one
 * event is sent in the order of the calls.
 *
 * id       the event's, as phos_client_log() told it or the application chose
 * comment  UTF-8, at most PHOS_FEEDBACK_COMMENT_BYTES_MAX bytes; data NULL:
 *          left out. Borrowed and copied.
 * source   who says so: UTF-8, at most PHOS_FEEDBACK_SOURCE_BYTES_MAX bytes;
 *          data NULL: "user". Borrowed and copied.
 *
 * An event that was discarded never arrives, so that feedback on it would be
 * refused. There is no receipt; what became of it is counted in
 * phos_stats.feedback and in the close report. Should an answer get lost, it is
 * sent again, and the service may hear it twice.
 *
 * Returns  PHOS_OK           accepted; it is counted exactly once
 *          PHOS_DISCARDED    the client is disabled
 *          PHOS_E_FULL       rejected, no room; worth trying again
 *          PHOS_E_CLOSED     rejected, close came first, or client is NULL
 *          PHOS_E_INVALID    rejected: id is NULL, flag is no phos_flag, or a
 *                            text has a length and no data
 *          PHOS_E_TOO_LARGE  rejected: a text exceeds its limit, or all
 *                            together event_bytes_max
 *          PHOS_E_FORKED     rejected, the client was opened by the parent
 * Threads  any number at once; signal handlers; callbacks.
 * Source   Ingestion API, feedback object.
 */
PHOS_EXTERN phos_status phos_client_feedback(phos_client *client,
                                             const phos_event_id *id,
                                             phos_flag flag, phos_str comment,
                                             phos_str source);

/** What a flush waits for. */
typedef enum phos_flush_mode {
    PHOS_FLUSH_DELIVERED = 0 /* every event accepted before has its verdict,
                                and so has all feedback */
} phos_flush_mode;

/**
 * Sends what is queued without lingering and waits for the verdicts of the
 * events and the feedback accepted before the call.
 *
 * Returns  PHOS_OK           every one has its verdict (not only delivered
 *                            ones: see the ledger)
 *          PHOS_E_TIMEOUT    timeout_ms passed first
 *          PHOS_E_CONFIG     the service refuses the configuration; what is
 *                            queued stays queued. If it refuses that of
 *                            feedback alone, the events have their verdict
 *          PHOS_E_CLOSED     close came first, or client is NULL
 *          PHOS_E_WOULD_DEADLOCK  called in a callback
 *          PHOS_E_FORKED
 * Threads  any, not in a signal handler.
 */
PHOS_EXTERN phos_status phos_client_flush(phos_client *client,
                                          phos_flush_mode mode,
                                          uint32_t timeout_ms);

/**
 * Takes no more events or feedback, delivers what it can until the deadline,
 * gives up the rest and reports. A second close waits for the first and reports
 * the same.
 *
 * timeout_ms  0: give up everything that has no verdict now
 * ret_report  may be NULL; its parts add up in every case
 *
 * Returns  PHOS_OK           nothing had to be given up at the deadline
 *          PHOS_E_TIMEOUT    some were given up: dropped or unknown
 *          PHOS_E_CONFIG     the same, and the configuration is why
 *          PHOS_E_CLOSED     client is NULL
 *          PHOS_E_WOULD_DEADLOCK  called in a callback
 *          PHOS_E_FORKED
 * Threads  any, not in a signal handler.
 */
PHOS_EXTERN phos_status phos_client_close(phos_client *client,
                                          uint32_t timeout_ms,
                                          phos_close_report *ret_report);

/**
 * Frees a client; one that is not closed is closed first with deadline 0. No
 * other thread may be inside a call with it. NULL is ignored.
 *
 * Waits no longer than a fifth of a second for the worker. If a callback or a
 * transport that owes an answer holds it up, the rest happens when they have
 * ended, and until then callbacks may come.
 *
 * Threads  owner; not in a callback of this client, not in a signal handler.
 */
PHOS_EXTERN void phos_client_free(phos_client *client);

/**
 * Begins to drain: from now on nothing lingers. Events are still accepted
 * until phos_client_close(). For a SIGTERM handler.
 *
 * Threads  any; signal handlers.
 */
PHOS_EXTERN void phos_client_begin_shutdown(phos_client *client);

/**
 * Replaces the key. Delivery that was paused by 401 or 403 goes on at once, or
 * when the service's Retry-After has passed.
 *
 * Returns  PHOS_OK, PHOS_E_INVALID (empty, or bytes that no header may hold),
 *          PHOS_E_CLOSED, PHOS_E_NO_MEMORY, PHOS_E_FORKED
 * Threads  any, not in a signal handler.
 */
PHOS_EXTERN phos_status phos_client_set_api_key(phos_client *client,
                                                phos_str api_key);

/**
 * Takes a snapshot of the statistics, without a lock.
 *
 * ret_stats  struct_size set to sizeof(phos_stats) by the caller; with
 *            PHOS_E_CLOSED (client is NULL) or PHOS_E_FORKED it is left alone
 *
 * Returns  PHOS_OK, PHOS_E_INVALID, PHOS_E_CLOSED, PHOS_E_FORKED
 * Threads  any.
 */
PHOS_EXTERN phos_status phos_client_stats(phos_client *client,
                                          phos_stats *ret_stats);

#ifdef __cplusplus
}
#endif

#endif
