/*
 * store - events, sessions and feedback in one SQLite file. Only store*.c name
 * SQLite.
 *
 *     listener threads        one writer thread            the file
 *     submit_write ---> queue ---> BEGIN ... COMMIT ---> write-ahead log,
 * synced then done() for all submit_read  ---> queue ---> reader threads, each
 * its own connection
 *
 * Group commit: all writes that wait when the writer comes round share one
 * transaction and so one sync. done() says stored only after that sync; when
 * it fails, exactly the writes of that transaction fail.
 *
 * The text index follows behind, built when no write waits; a search looks
 * through the rows that are not indexed yet one by one, so that it always
 * sees everything.
 */
#ifndef PHOSD_STORE_H
#define PHOSD_STORE_H

#include "base/buffer.h"
#include "keys.h"
#include "measure.h"
#include "metrics.h"

enum { PHOSD_WORDS_MAX = 16 };

/* Texts that may be missing have data == NULL then. */
struct phosd_event {
    uint8_t id[16];
    phos_str input, output;
    phos_str session_id; /* as sent; may be missing */
    phos_str user_id;    /* may be missing */
    phos_str model;      /* may be missing */
    phos_str metadata;   /* JSON object */
    const phos_str *tags;
    size_t tag_count;
    int64_t time_us;
    int64_t token_count_input, token_count_output;
    double cost_cents;
};

struct phosd_feedback {
    uint8_t event_id[16];
    phos_str flag;
    phos_str comment; /* may be missing */
    phos_str source;
};

enum phosd_result {
    PHOSD_STORED,    /* or found, or nothing to find */
    PHOSD_NOT_FOUND, /* the event or session is unknown */
    PHOSD_FAILED,    /* the disk or the database; again later */
    PHOSD_TOO_SLOW,  /* a read past its time */
};

/* One write: events, all or none of them, one feedback, or that a key was
 * used. Everything is borrowed until done() is called, on the writer's thread.
 */
struct phosd_write {
    struct phosd_write *next; /* the store's */
    int64_t project_id;
    const struct phosd_event *events;
    size_t event_count;
    const struct phosd_feedback *feedback; /* NULL: events or a key */
    int64_t key;                           /* its row; 0: events */
    int64_t received_us;                   /* or used at */
    size_t bytes;                          /* about how much is written */
    size_t duplicates; /* of the events, set with the result */
    enum phosd_result result;
    void (*done)(struct phosd_write *write);
    void *user_data;
};

struct phosd_reader;

/* One read: run() uses the reader, on its thread; then done() is called. */
struct phosd_read {
    struct phosd_read *next; /* the store's */
    void (*run)(struct phosd_reader *reader, struct phosd_read *read);
    void (*done)(struct phosd_read *read);
    enum phosd_result result; /* set by run() */
    void *user_data;
};

/* Which events or sessions. Texts with data == NULL do not filter. */
struct phosd_filter {
    phos_str session_id, user_id, model, flag, tag;
    bool has_from, has_to;
    int64_t from_us, to_us; /* from <= time < to */
    phos_str words[PHOSD_WORDS_MAX];
    size_t word_count; /* 0: no text search */
    unsigned limit;
    int64_t offset;
};

struct phosd_event_found {
    struct phosd_event event; /* tags, token counts, cost are not filled in */
    int64_t received_us;
    phos_str flag, comment, source; /* missing without feedback */
};

struct phosd_session_found {
    phos_str session_id;
    phos_str user_id; /* may be missing */
    bool by_user;     /* grouped by user and time, not by session_id */
    int64_t started_us, ended_us;
    int64_t event_count;
    int64_t token_count_input, token_count_output;
    double cost_cents;
    int64_t success_count, failure_count;
    phos_str first_input; /* its first 200 characters */
};

/* How many match. */
struct phosd_total {
    int64_t count;
    bool exact; /* false: at least so many; counting all would take long */
};

/* What statistics are made of. */
struct phosd_stats_range {
    int64_t from_us, to_us; /* from <= time < to */
    bool complete;          /* false: older events were left out */
    /* 0: of single events alone; else sums come too, of stretches of which
     * each lies between two multiples of this */
    int64_t least_width_us;
};

/* What a stretch of time has of one model. */
struct phosd_stats_sum {
    int64_t time_us; /* its begin */
    bool others;     /* of models that are not told apart */
    phos_str model;  /* may be missing */
    struct phosd_sums sums;
    phos_str latencies; /* as bins.h keeps them */
};

struct phosd_stats_row {
    int64_t time_us;
    phos_str model; /* may be missing */
    phos_str metadata;
    phos_str flag; /* missing without feedback */
};

/* Texts live until the function returns; false ends the list early. */
typedef bool phosd_event_fn(const struct phosd_event_found *found,
                            void *user_data);
typedef void phosd_session_fn(const struct phosd_session_found *found,
                              void *user_data);

typedef void phosd_stats_range_fn(const struct phosd_stats_range *range,
                                  void *user_data);
typedef void phosd_stats_row_fn(const struct phosd_stats_row *row,
                                void *user_data);
typedef void phosd_stats_sum_fn(const struct phosd_stats_sum *sum,
                                void *user_data);

/* Who hears what statistics are made of. */
struct phosd_stats_hearer {
    phosd_stats_range_fn *begin; /* once, before the others */
    phosd_stats_row_fn *row;
    phosd_stats_sum_fn *sum;
    void *user_data;
};

struct phosd_store;

/* Whether this phosd can use a file that is there, and how many keys it holds;
 * changes nothing. An empty file can be used. false: *error says why not. */
bool phosd_store_look(const char *path, int64_t *ret_keys, phos_error *error);

/* Opens or creates the file. false: *error says what to do. */
bool phosd_store_open(const char *path, struct phosd_store **ret_store,
                      phos_error *error);

/* Finishes what is queued, writes the log back into the file. Takes NULL. */
void phosd_store_close(struct phosd_store *store);

/* The salt for key hashes of this file. Before the threads start. */
void phosd_store_salt(const struct phosd_store *store,
                      uint8_t ret_salt[PHOSD_KEY_SALT_BYTES]);

/*
 * The project that belongs to a key, made when new. With a name the project is
 * found by it, so that its key can be replaced; without, by the key's hash.
 * Before the threads start. false: *error says why.
 */
bool phosd_store_project(struct phosd_store *store,
                         const uint8_t key_hash[PHOSD_KEY_HASH_BYTES],
                         const char *name, int64_t *ret_id, phos_error *error);

/* Where commits are counted. Before the threads start. */
void phosd_store_count(struct phosd_store *store,
                       struct phosd_metrics *metrics);

/* What is kept at most; 0: for ever, however much. Before the threads start. */
void phosd_store_keep(struct phosd_store *store, uint64_t days, uint64_t bytes);

/* How long a read may take, 10 s if not said. Before the threads start. */
void phosd_store_limit_reads(struct phosd_store *store, uint64_t ms_max);

/* Any thread, some times a second: lets the writer look for old events. */
void phosd_store_turn(struct phosd_store *store);

/* Any thread, between start and close. */
void phosd_store_gauges(struct phosd_store *store,
                        struct phosd_gauges *ret_gauges);

bool phosd_store_start(struct phosd_store *store, phos_error *error);

/* Any thread, between start and close. */
void phosd_store_write(struct phosd_store *store, struct phosd_write *write);
void phosd_store_read(struct phosd_store *store, struct phosd_read *read);

/* For run(): each sets what it is asked for and returns the result. The lists
 * come newest first. */
enum phosd_result phosd_reader_events(struct phosd_reader *reader,
                                      int64_t project_id,
                                      const struct phosd_filter *filter,
                                      phosd_event_fn *each, void *user_data,
                                      struct phosd_total *ret_total);
enum phosd_result phosd_reader_event(struct phosd_reader *reader,
                                     int64_t project_id,
                                     const uint8_t event_id[16],
                                     phosd_event_fn *each, void *user_data);
enum phosd_result phosd_reader_sessions(struct phosd_reader *reader,
                                        int64_t project_id,
                                        const struct phosd_filter *filter,
                                        phosd_session_fn *each, void *user_data,
                                        struct phosd_total *ret_total);
/* The session, then its events, oldest first (limit and offset count). */
enum phosd_result phosd_reader_session(struct phosd_reader *reader,
                                       int64_t project_id, phos_str session_id,
                                       const struct phosd_filter *filter,
                                       phosd_session_fn *session,
                                       phosd_event_fn *each, void *user_data);
/*
 * All events of the filter's time, or of all time, which alone filters: up to
 * `events_max` one by one, more as sums and, where the time begins or ends
 * within a stretch, one by one. Where even those are too many, the newest
 * `events_max` events.
 */
enum phosd_result phosd_reader_stats(struct phosd_reader *reader,
                                     int64_t project_id,
                                     const struct phosd_filter *filter,
                                     unsigned events_max,
                                     const struct phosd_stats_hearer *hearer);

#endif
