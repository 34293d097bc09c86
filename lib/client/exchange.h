/*
 * exchange - one request under way: its body, its headers and, once it is
 * there, its answer. The reply may come on any thread; it is understood there
 * and then handed over through the list of answered exchanges.
 */
#ifndef PHOS_CLIENT_EXCHANGE_H
#define PHOS_CLIENT_EXCHANGE_H

#include <pthread.h>

#include "base/buffer.h"
#include "client/credential.h"
#include "core/delivery.h"
#include "core/ports.h"
#include "queue/ring.h"

enum { PHOS__EXCHANGE_HEADERS = 4, PHOS__EXCHANGE_REPLY_BYTES_MAX = 262144 };

struct phos__exchange;

/* Answered exchanges on their way to the worker's thread. */
struct phos__answers {
    pthread_mutex_t lock;
    struct phos__exchange *first; /* newest first */
    struct phos__ring *ring;      /* whose consumer to wake */
    /* A turn follows an answer that is given on this thread, the worker's,
     * without a wake-up. */
    bool has_home;
    pthread_t home;
};

struct phos__exchange {
    struct phos__answers *answers;
    struct phos__exchange *next; /* in the list of answers */
    bool is_under_way;

    struct phos__buffer body;
    struct phos__credential *credential;
    phos_header headers[PHOS__EXCHANGE_HEADERS];
    phos_request request;
    uint8_t (*ids)[16]; /* of the events, in order */
    uint32_t event_count;
    uint64_t sent_us;

    /* the answer; written by on_reply, read by the worker after hand-over */
    struct phos__answer answer;
    uint8_t *results; /* room for each event */
    uint64_t bytes_sent, bytes_received;
    phos_error error;
    phos_obstacle obstacle;
    /* wall clock in seconds at the time of sending, for Retry-After dates
     * without a Date header */
    int64_t wall_s;
};

bool phos__exchange_init(struct phos__exchange *exchange,
                         struct phos__answers *answers, uint32_t events_max,
                         const phos_allocator *allocator);
void phos__exchange_deinit(struct phos__exchange *exchange,
                           const phos_allocator *allocator);

/* The phos_reply_fn; reply_data is the exchange. */
void phos__exchange_reply(const phos_reply *reply, void *reply_data);

/* Answers it as never sent. */
void phos__exchange_fail(struct phos__exchange *exchange, phos_status status,
                         const char *text);

#endif
