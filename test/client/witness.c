#define _GNU_SOURCE

#include "client/witness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

const char witness_key[] = "ph_canary_0123456789abcdef";

void witness_init(struct witness *witness)
{
    memset(witness, 0, sizeof(*witness));
    pthread_mutex_init(&witness->lock, NULL);
}

void witness_deinit(struct witness *witness)
{
    pthread_mutex_destroy(&witness->lock);
}

static void keep(struct witness *witness, const void *bytes, size_t count)
{
    size_t room = WITNESS_BYTES - witness->byte_count;

    if (count > room)
        count = room;
    memcpy(witness->bytes + witness->byte_count, bytes, count);
    witness->byte_count += count;
}

void witness_receipts(const phos_receipt *receipts, size_t count,
                      void *user_data)
{
    struct witness *witness = user_data;

    pthread_mutex_lock(&witness->lock);
    for (size_t i = 0; i < count; i++) {
        uint64_t cookie = receipts[i].cookie;

        witness->by_outcome[receipts[i].outcome]++;
        if (cookie < WITNESS_COOKIES) {
            witness->receipts[cookie]++;
            witness->last[cookie] = receipts[i];
        }
    }
    keep(witness, receipts, count * sizeof(*receipts));
    pthread_mutex_unlock(&witness->lock);
}

void witness_refused(const phos_receipt *receipt, phos_str event_json,
                     void *user_data)
{
    struct witness *witness = user_data;

    pthread_mutex_lock(&witness->lock);
    witness->refused_count++;
    keep(witness, receipt, sizeof(*receipt));
    keep(witness, event_json.data, event_json.length);
    pthread_mutex_unlock(&witness->lock);
}

void witness_diagnostic(const phos_diagnostic *diagnostic, void *user_data)
{
    struct witness *witness = user_data;

    pthread_mutex_lock(&witness->lock);
    keep(witness, diagnostic->error.text, strlen(diagnostic->error.text));
    pthread_mutex_unlock(&witness->lock);
}

bool witness_heard(struct witness *witness, const char *text)
{
    bool has_heard;

    pthread_mutex_lock(&witness->lock);
    has_heard =
        memmem(witness->bytes, witness->byte_count, text, strlen(text)) != NULL;
    pthread_mutex_unlock(&witness->lock);
    return has_heard;
}

phos_options witness_options(struct witness *witness, const char *url)
{
    phos_options options = phos_options_default();

    options.endpoint = phos_str_make(url, strlen(url));
    options.api_key = phos_str_make(witness_key, sizeof(witness_key) - 1);
    options.use_environment = false;
    options.ring_bytes = 65536;
    options.event_bytes_max = 4096;
    options.linger_ms = 1;
    options.retry_base_ms = 1;
    options.retry_cap_ms = 5;
    options.on_receipts = witness_receipts;
    options.on_refused = witness_refused;
    options.on_diagnostic = witness_diagnostic;
    options.user_data = witness;
    return options;
}

phos_event witness_event(uint64_t cookie)
{
    phos_event event = phos_event_default();

    event.input = PHOS_STR("How deep is Lake Baikal?");
    event.output = PHOS_STR("1,642 m.");
    event.cookie = cookie;
    return event;
}

void assert_adds_up(const phos_ledger *ledger)
{
    uint64_t reasons = 0;

    for (unsigned i = PHOS_REASON_INVALID; i < PHOS_REASON_COUNT; i++)
        reasons += ledger->by_reason[i];
    assert_int_equal(ledger->accepted, ledger->delivered + ledger->duplicate +
                                           ledger->refused + ledger->dropped +
                                           ledger->unknown + ledger->pending);
    assert_int_equal(reasons,
                     ledger->refused + ledger->dropped + ledger->unknown);
}

void assert_one_receipt_each(struct witness *witness, const bool *accepted,
                             size_t count)
{
    pthread_mutex_lock(&witness->lock);
    for (size_t i = 0; i < count; i++)
        if (witness->receipts[i] != accepted[i]) {
            unsigned receipts = witness->receipts[i];

            pthread_mutex_unlock(&witness->lock);
            fail_msg("event %zu, %s, has %u receipts", i,
                     accepted[i] ? "accepted" : "not accepted", receipts);
        }
    pthread_mutex_unlock(&witness->lock);
}
