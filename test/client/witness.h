/*
 * witness - hears all that a client tells: counts the receipts of each event,
 * and keeps every word. Given to a client as its user_data.
 */
#ifndef TEST_CLIENT_WITNESS_H
#define TEST_CLIENT_WITNESS_H

#include <pthread.h>

#include "phos/phos.h"

enum { WITNESS_COOKIES = 4096, WITNESS_BYTES = 1 << 18 };

struct witness {
    pthread_mutex_t lock;
    unsigned receipts[WITNESS_COOKIES]; /* of the event with that cookie */
    phos_receipt last[WITNESS_COOKIES];
    uint64_t by_outcome[PHOS_OUTCOME_COUNT];
    unsigned refused_count;
    char bytes[WITNESS_BYTES]; /* of diagnostics, receipts, refused events */
    size_t byte_count;
};

void witness_init(struct witness *witness);
void witness_deinit(struct witness *witness);

void witness_receipts(const phos_receipt *receipts, size_t count,
                      void *witness);
void witness_refused(const phos_receipt *receipt, phos_str event_json,
                     void *witness);
void witness_diagnostic(const phos_diagnostic *diagnostic, void *witness);
bool witness_heard(struct witness *witness, const char *text);

/*
 * Options of an impatient client that tells `witness` everything. It reads no
 * environment and delivers to `url`.
 */
phos_options witness_options(struct witness *witness, const char *url);
/* The key of those options: it must be found nowhere. */
extern const char witness_key[];

/* A small event; cookie < WITNESS_COOKIES. */
phos_event witness_event(uint64_t cookie);

/* Whether the parts sum to accepted, and the reasons to what has one. */
void assert_adds_up(const phos_ledger *ledger);
/* Whether exactly the events with accepted[cookie] have had a receipt, and one
 * each. */
void assert_one_receipt_each(struct witness *witness, const bool *accepted,
                             size_t count);

#endif
