/* What a client does not keep, as it is configured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/memory_transport.h"
#include "client/process.h"
#include "client/witness.h"

static struct witness witness;
static struct memory_transport service;

static int open_room(void **state)
{
    (void)state;
    witness_init(&witness);
    memory_transport_init(&service);
    return 0;
}

static int close_room(void **state)
{
    (void)state;
    unsetenv("PHOS_ENABLED");
    memory_transport_deinit(&service);
    witness_deinit(&witness);
    return 0;
}

/* Nothing is set but what the application hears. */
static phos_options bare_options(void)
{
    phos_options options = phos_options_default();

    options.on_receipts = witness_receipts;
    options.on_diagnostic = witness_diagnostic;
    options.user_data = &witness;
    options.exit_flush_ms = 1000;
    return options;
}

static phos_options delivering_options(void)
{
    phos_options options = witness_options(&witness, "http://127.0.0.1:1");

    options.transport = &service.transport;
    return options;
}

/* ---- switched off ---- */

static phos_client *open_disabled(void)
{
    phos_options options = bare_options();
    phos_client *client = NULL;

    options.enabled = false;
    assert_int_equal(phos_client_open(&options, &client), PHOS_OK);
    return client;
}

static void
a_disabled_client_opens_with_nothing_and_starts_nothing(void **state)
{
    unsigned threads = threads_count();
    phos_client *client = open_disabled();

    (void)state;
    assert_int_equal(threads_count(), threads);
    assert_true(witness_heard(&witness, "switched off"));
    phos_client_free(client);
}

static void a_disabled_client_counts_and_discards(void **state)
{
    phos_client *client = open_disabled();
    phos_stats stats = { .struct_size = sizeof(stats) };
    phos_close_report report;
    phos_event_id id, untouched;

    (void)state;
    memset(&id, 0x55, sizeof(id));
    untouched = id;
    for (uint64_t i = 0; i < 7; i++) {
        phos_event event = witness_event(i);

        assert_int_equal(phos_client_log(client, &event, &id), PHOS_DISCARDED);
    }
    assert_memory_equal(&id, &untouched, sizeof(id));
    assert_int_equal(phos_client_log(client, NULL, NULL), PHOS_E_INVALID);
    assert_int_equal(phos_client_flush(client, PHOS_FLUSH_DELIVERED, 0),
                     PHOS_OK);
    assert_int_equal(phos_client_set_api_key(client, PHOS_STR("ph_other")),
                     PHOS_OK);
    phos_client_begin_shutdown(client);

    assert_int_equal(phos_client_stats(client, &stats), PHOS_OK);
    assert_int_equal(stats.state, PHOS_STATE_RUNNING);
    assert_int_equal(stats.discarded.disabled, 7);
    assert_int_equal(stats.ledger.accepted, 0);

    assert_int_equal(phos_client_close(client, 0, &report), PHOS_OK);
    assert_adds_up(&report.ledger);
    assert_int_equal(report.ledger.accepted, 0);
    assert_int_equal(report.discarded.disabled, 7);
    assert_int_equal(report.rejected.invalid, 1);
    phos_client_free(client);
    assert_one_receipt_each(&witness, (const bool[7]){ false }, 7);
}

static void a_disabled_client_can_be_closed_like_any_other(void **state)
{
    phos_client *client = open_disabled();
    phos_event event = witness_event(0);
    phos_stats stats = { .struct_size = sizeof(stats) };
    phos_close_report report;

    (void)state;
    assert_int_equal(phos_client_close(client, 0, NULL), PHOS_OK);
    assert_int_equal(phos_client_log(client, &event, NULL), PHOS_E_CLOSED);
    assert_int_equal(phos_client_flush(client, PHOS_FLUSH_DELIVERED, 0),
                     PHOS_E_CLOSED);
    assert_int_equal(phos_client_set_api_key(client, PHOS_STR("ph_other")),
                     PHOS_E_CLOSED);
    assert_int_equal(phos_client_stats(client, &stats), PHOS_OK);
    assert_int_equal(stats.state, PHOS_STATE_CLOSED);
    assert_int_equal(phos_client_close(client, 0, &report), PHOS_OK);
    assert_int_equal(report.discarded.disabled, 0);
    assert_int_equal(report.rejected.closed, 1);
    phos_client_free(client);
}

/* Each says whether a program that may be switched off opens, and how it then
 * answers. */
static void the_environment_switches_recording_off(void **state)
{
    static const struct {
        const char *value;
        phos_status open, log;
    } rows[] = {
        { "0", PHOS_OK, PHOS_DISCARDED },
        { "false", PHOS_OK, PHOS_DISCARDED },
        { "FALSE", PHOS_OK, PHOS_DISCARDED },
        { "no", PHOS_OK, PHOS_DISCARDED },
        { "off", PHOS_OK, PHOS_DISCARDED },
        { "1", PHOS_OK, PHOS_OK },
        { "true", PHOS_OK, PHOS_OK },
        { "yes", PHOS_OK, PHOS_OK },
        { "on", PHOS_OK, PHOS_OK },
        { "", PHOS_OK, PHOS_OK },
        { "nay", PHOS_E_INVALID, PHOS_OK },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        phos_options options = delivering_options();
        phos_event event = witness_event(i);
        phos_client *client = NULL;
        phos_status status;

        setenv("PHOS_ENABLED", rows[i].value, 1);
        options.use_environment = true;
        status = phos_client_open(&options, &client);
        if (status != rows[i].open)
            fail_msg("PHOS_ENABLED=%s: open is %s", rows[i].value,
                     phos_status_name(status));
        if (status)
            continue;
        status = phos_client_log(client, &event, NULL);
        if (status != rows[i].log)
            fail_msg("PHOS_ENABLED=%s: log is %s", rows[i].value,
                     phos_status_name(status));
        assert_int_equal(phos_client_close(client, 20000, NULL), PHOS_OK);
        phos_client_free(client);
    }
    assert_true(witness_heard(&witness, "PHOS_ENABLED"));
}

static void what_code_switches_off_no_environment_switches_on(void **state)
{
    phos_client *client;

    (void)state;
    setenv("PHOS_ENABLED", "1", 1);
    client = open_disabled();
    assert_int_equal(
        phos_client_log(client, &(phos_event){ .struct_size = 8 }, NULL),
        PHOS_DISCARDED);
    phos_client_free(client);
}

static void without_the_environment_its_switch_does_not_count(void **state)
{
    phos_options options = delivering_options();
    phos_event event = witness_event(0);
    phos_client *client = NULL;

    (void)state;
    setenv("PHOS_ENABLED", "0", 1);
    assert_false(options.use_environment);
    assert_int_equal(phos_client_open(&options, &client), PHOS_OK);
    assert_int_equal(phos_client_log(client, &event, NULL), PHOS_OK);
    assert_int_equal(phos_client_close(client, 20000, NULL), PHOS_OK);
    phos_client_free(client);
}

static void a_program_that_must_record_does_not_open_switched_off(void **state)
{
    phos_options options = delivering_options();
    phos_client *client = NULL;

    (void)state;
    setenv("PHOS_ENABLED", "off", 1);
    options.use_environment = true;
    options.allow_disabled = false;
    assert_int_equal(phos_client_open(&options, &client), PHOS_E_INVALID);
    assert_null(client);
    assert_true(witness_heard(&witness, "PHOS_ENABLED"));
    assert_true(witness_heard(&witness, "allow_disabled"));
    assert_false(witness_heard(&witness, witness_key));
}

/* ---- a share of the sessions ---- */

static phos_client *open_sampling(double rate)
{
    phos_options options = delivering_options();
    phos_client *client = NULL;

    options.sample_rate = rate;
    options.ring_bytes = 1 << 26; /* room for all, however slow the worker */
    assert_int_equal(phos_client_open(&options, &client), PHOS_OK);
    return client;
}

/* Whether it is kept. */
static bool log_in_session(phos_client *client, const char *session)
{
    phos_event event = witness_event(0);
    phos_status status;

    event.session_id = phos_str_make(session, strlen(session));
    status = phos_client_log(client, &event, NULL);
    if (status != PHOS_OK && status != PHOS_DISCARDED)
        fail_msg("log is %s", phos_status_name(status));
    return status == PHOS_OK;
}

static void close_sampling(phos_client *client, uint64_t kept, uint64_t sampled)
{
    phos_close_report report;

    assert_int_equal(phos_client_close(client, 30000, &report), PHOS_OK);
    assert_adds_up(&report.ledger);
    assert_int_equal(report.ledger.accepted, kept);
    assert_int_equal(report.ledger.delivered, kept);
    assert_int_equal(report.discarded.sampled, sampled);
    assert_int_equal(report.discarded.disabled, 0);
    phos_client_free(client);
}

/* Computed apart from this library: SipHash-2-4 of the id, divided by 2^64. An
 * id is kept from that rate on. */
static void the_choice_is_the_published_one(void **state)
{
    static const struct {
        const char *session;
        double place;
    } rows[] = {
        { "user-42-1a2b3c4d", 0.37716510615185006 },
        { "s", 0.04741405829728438 },
        { "Gespr\xc3\xa4"
          "ch 7",
          0.3434236415186041 },
    };
    static const phos_event_id id = { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
                                        12, 13, 14, 15 } };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        phos_client *below = open_sampling(rows[i].place - 1e-9);
        phos_client *above = open_sampling(rows[i].place + 1e-9);

        assert_false(log_in_session(below, rows[i].session));
        assert_true(log_in_session(above, rows[i].session));
        close_sampling(below, 0, 1);
        close_sampling(above, 1, 0);
    }
    for (unsigned is_above = 0; is_above < 2; is_above++) {
        phos_client *client =
            open_sampling(0.8955641647810514 + (is_above ? 1e-9 : -1e-9));
        phos_event event = witness_event(0);

        event.event_id = &id;
        assert_int_equal(phos_client_log(client, &event, NULL),
                         is_above ? PHOS_OK : PHOS_DISCARDED);
        close_sampling(client, is_above, 1 - is_above);
    }
}

static void the_share_is_the_rate(void **state)
{
    /* Four standard deviations around it; the ids are always the same. */
    static const struct {
        double rate;
        uint64_t least, most;
    } rows[] = { { 0.01, 60, 140 }, { 0.1, 880, 1120 }, { 0.5, 4800, 5200 } };
    enum { SESSIONS = 10000 };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        phos_client *client = open_sampling(rows[i].rate);
        uint64_t kept = 0;

        for (int session = 0; session < SESSIONS; session++) {
            char name[32];

            snprintf(name, sizeof(name), "session-%d", session);
            kept += log_in_session(client, name);
        }
        assert_in_range(kept, rows[i].least, rows[i].most);
        close_sampling(client, kept, SESSIONS - kept);
    }
}

static void a_session_is_kept_whole_or_not_at_all_everywhere(void **state)
{
    phos_client *one = open_sampling(0.3), *other = open_sampling(0.3);
    uint64_t kept = 0;

    (void)state;
    for (int session = 0; session < 200; session++) {
        char name[32];
        bool is_kept;

        snprintf(name, sizeof(name), "session-%d", session);
        is_kept = log_in_session(one, name);
        kept += 3 * is_kept;
        assert_int_equal(log_in_session(other, name), is_kept);
        assert_int_equal(log_in_session(one, name), is_kept);
        assert_int_equal(log_in_session(one, name), is_kept);
    }
    assert_in_range(kept, 1, 599);
    close_sampling(one, kept, 600 - kept);
    close_sampling(other, kept / 3, 200 - kept / 3);
}

static void rates_of_none_and_all_are_exact(void **state)
{
    phos_client *none = open_sampling(0), *all = open_sampling(1);

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        phos_event event = witness_event(i);

        assert_int_equal(phos_client_log(none, &event, NULL), PHOS_DISCARDED);
        assert_int_equal(phos_client_log(all, &event, NULL), PHOS_OK);
    }
    close_sampling(none, 0, 1000);
    close_sampling(all, 1000, 0);
}

/* By chance, with a key that is new in every client: six standard deviations
 * are missed once in 10^9 runs. A session id that is empty text is none. */
static void events_without_an_id_are_kept_by_chance(void **state)
{
    enum { EVENTS = 40000, MEAN = EVENTS / 4, DEVIATION = 87 };
    phos_client *client = open_sampling(0.25);
    uint64_t kept = 0;

    (void)state;
    for (unsigned i = 0; i < EVENTS; i++) {
        phos_event event = witness_event(0);

        if (i % 2)
            event.session_id = PHOS_STR("");
        kept += phos_client_log(client, &event, NULL) == PHOS_OK;
    }
    assert_in_range(kept, MEAN - 6 * DEVIATION, MEAN + 6 * DEVIATION);
    close_sampling(client, kept, EVENTS - kept);
}

static void after_close_nothing_is_sampled(void **state)
{
    phos_client *client = open_sampling(0.5);
    phos_close_report report;

    (void)state;
    assert_int_equal(phos_client_close(client, 20000, NULL), PHOS_OK);
    for (unsigned i = 0; i < 64; i++) {
        phos_event event = witness_event(i);

        assert_int_equal(phos_client_log(client, &event, NULL), PHOS_E_CLOSED);
    }
    assert_int_equal(phos_client_close(client, 0, &report), PHOS_OK);
    assert_int_equal(report.discarded.sampled, 0);
    assert_int_equal(report.rejected.closed, 64);
    phos_client_free(client);
}

#define IN_ROOM(test) \
    cmocka_unit_test_setup_teardown(test, open_room, close_room)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOM(a_disabled_client_opens_with_nothing_and_starts_nothing),
        IN_ROOM(a_disabled_client_counts_and_discards),
        IN_ROOM(a_disabled_client_can_be_closed_like_any_other),
        IN_ROOM(the_environment_switches_recording_off),
        IN_ROOM(what_code_switches_off_no_environment_switches_on),
        IN_ROOM(without_the_environment_its_switch_does_not_count),
        IN_ROOM(a_program_that_must_record_does_not_open_switched_off),
        IN_ROOM(the_choice_is_the_published_one),
        IN_ROOM(the_share_is_the_rate),
        IN_ROOM(a_session_is_kept_whole_or_not_at_all_everywhere),
        IN_ROOM(rates_of_none_and_all_are_exact),
        IN_ROOM(events_without_an_id_are_kept_by_chance),
        IN_ROOM(after_close_nothing_is_sampled),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
