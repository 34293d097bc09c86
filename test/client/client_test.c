#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "client/memory_transport.h"
#include "phos/phos.h"

/* A client on a service inside the test, and what it told. */
struct world {
    struct memory_transport service;
    phos_client *client;
    phos_receipt receipts[2048];
    size_t receipt_count;
    char last_diagnostic[PHOS_ERROR_TEXT_BYTES];
    phos_status status_in_callback;
    pthread_mutex_t lock;
    pthread_cond_t has_heard;
    unsigned high_waters;
};

static void on_receipts(const phos_receipt *receipts, size_t count,
                        void *user_data)
{
    struct world *world = user_data;

    for (size_t i = 0; i < count && world->receipt_count < 2048; i++)
        world->receipts[world->receipt_count++] = receipts[i];
    world->status_in_callback =
        phos_client_flush(world->client, PHOS_FLUSH_DELIVERED, 1000);
}

static void on_diagnostic(const phos_diagnostic *diagnostic, void *user_data)
{
    struct world *world = user_data;

    memcpy(world->last_diagnostic, diagnostic->error.text,
           sizeof(world->last_diagnostic));
}

static phos_options world_options(struct world *world)
{
    phos_options options = phos_options_default();

    memory_transport_init(&world->service);
    options.endpoint = PHOS_STR("http://127.0.0.1:1");
    options.api_key = PHOS_STR("ph_secret");
    options.use_environment = false;
    options.transport = &world->service.transport;
    options.on_receipts = on_receipts;
    options.on_diagnostic = on_diagnostic;
    options.user_data = world;
    options.retry_base_ms = 1;
    options.retry_cap_ms = 20;
    return options;
}

static void open_world(struct world *world, const phos_options *options)
{
    assert_int_equal(phos_client_open(options, &world->client), PHOS_OK);
}

static phos_event some_event(uint64_t cookie)
{
    phos_event event = phos_event_default();

    event.input = PHOS_STR("How tall is K2?");
    event.output = PHOS_STR("8,611 m.");
    event.cookie = cookie;
    return event;
}

static void log_events(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        phos_event event = some_event(i);

        assert_int_equal(phos_client_log(world->client, &event, NULL), PHOS_OK);
    }
}

static void assert_adds_up(const phos_ledger *ledger)
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

static phos_close_report close_world(struct world *world, uint32_t timeout_ms,
                                     phos_status want)
{
    phos_close_report report;

    assert_int_equal(phos_client_close(world->client, timeout_ms, &report),
                     want);
    assert_adds_up(&report.ledger);
    assert_int_equal(report.ledger.pending, 0);
    phos_client_free(world->client);
    memory_transport_deinit(&world->service);
    return report;
}

static void what_is_logged_arrives_with_its_receipt(void **state)
{
    struct world world = { 0 };
    phos_options options = world_options(&world);
    phos_event event = some_event(42);
    phos_close_report report;
    phos_event_id id;
    char text[PHOS_EVENT_ID_TEXT_LENGTH + 1];
    json_t *stored;

    (void)state;
    open_world(&world, &options);
    assert_int_equal(phos_client_log(world.client, &event, &id), PHOS_OK);
    assert_int_equal(
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, 5000), PHOS_OK);

    phos_event_id_to_text(&id, text);
    stored = json_array_get(world.service.events, 0);
    assert_string_equal(json_string_value(json_object_get(stored, "event_id")),
                        text);
    assert_string_equal(json_string_value(json_object_get(stored, "output")),
                        "8,611 m.");
    assert_string_equal(world.service.last_authorization, "Bearer ph_secret");
    assert_int_equal(world.receipt_count, 1);
    assert_memory_equal(world.receipts[0].id.bytes, id.bytes, 16);
    assert_int_equal(world.receipts[0].cookie, 42);
    assert_int_equal(world.receipts[0].outcome, PHOS_OUTCOME_DELIVERED);
    assert_int_equal(world.receipts[0].sends, 1);
    assert_int_equal(world.receipts[0].http_status, 201);
    report = close_world(&world, 1000, PHOS_OK);
    assert_int_equal(report.ledger.accepted, 1);
    assert_int_equal(report.ledger.delivered, 1);
}

static void events_travel_in_full_batches_in_their_order(void **state)
{
    struct world world = { 0 };
    phos_options options = world_options(&world);
    phos_close_report report;

    (void)state;
    options.linger_ms = 60000;
    options.in_flight_max = 1;
    open_world(&world, &options);
    log_events(&world, 1000);
    report = close_world(&world, 5000, PHOS_OK);
    assert_int_equal(report.ledger.delivered, 1000);
    assert_int_equal(world.service.request_count, 10);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(world.receipts[i].cookie, i);
}

static void close_without_time_gives_up_what_is_left_and_says_so(void **state)
{
    struct world world = { 0 };
    phos_options options = world_options(&world);
    phos_close_report report;

    (void)state;
    options.linger_ms = 0;
    options.batch_events_max = 10;
    options.in_flight_max = 2;
    world.service.holds = true;
    open_world(&world, &options);
    log_events(&world, 500);
    memory_transport_await_requests(&world.service, 2);
    report = close_world(&world, 0, PHOS_E_TIMEOUT);
    assert_int_equal(report.ledger.accepted, 500);
    assert_int_equal(report.ledger.delivered, 0);
    /* 20 were sent; a worker that cannot say so in time leaves more in doubt.
     */
    assert_true(report.ledger.unknown >= 20);
    assert_int_equal(report.ledger.by_reason[PHOS_REASON_CLOSED], 500);
    assert_int_equal(world.receipt_count, 500);
}

static void calls_after_close_are_told_so(void **state)
{
    struct world world = { 0 };
    phos_options options = world_options(&world);
    phos_close_report first, second;
    phos_event event = some_event(1);

    (void)state;
    open_world(&world, &options);
    log_events(&world, 3);
    assert_int_equal(phos_client_close(world.client, 5000, &first), PHOS_OK);
    assert_int_equal(phos_client_log(world.client, &event, NULL),
                     PHOS_E_CLOSED);
    assert_int_equal(phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, 10),
                     PHOS_E_CLOSED);
    assert_int_equal(phos_client_set_api_key(world.client, PHOS_STR("late")),
                     PHOS_E_CLOSED);
    assert_int_equal(phos_client_close(world.client, 0, &second), PHOS_OK);
    assert_int_equal(first.ledger.delivered, 3);
    assert_int_equal(second.ledger.delivered, 3);
    assert_int_equal(second.rejected.closed, 1);
    close_world(&world, 0, PHOS_OK);
}

static void a_null_client_is_a_closed_client(void **state)
{
    phos_event event = some_event(1);
    phos_stats stats = { .struct_size = sizeof(stats) };

    (void)state;
    assert_int_equal(phos_client_log(NULL, &event, NULL), PHOS_E_CLOSED);
    assert_int_equal(phos_client_flush(NULL, PHOS_FLUSH_DELIVERED, 1),
                     PHOS_E_CLOSED);
    assert_int_equal(phos_client_close(NULL, 1, NULL), PHOS_E_CLOSED);
    assert_int_equal(phos_client_stats(NULL, &stats), PHOS_E_CLOSED);
    assert_int_equal(phos_client_set_api_key(NULL, PHOS_STR("k")),
                     PHOS_E_CLOSED);
    phos_client_begin_shutdown(NULL);
    phos_client_free(NULL);
    phos_worker_free(NULL);
}

static void free_nothing(void *user_data, void *memory)
{
    (void)user_data;
    (void)memory;
}

static void a_key_without_bytes_is_no_key(void **state)
{
    struct world world = { 0 };
    phos_options options = world_options(&world);

    (void)state;
    open_world(&world, &options);
    assert_int_equal(
        phos_client_set_api_key(world.client, phos_str_make(NULL, 4)),
        PHOS_E_INVALID);
    close_world(&world, 1000, PHOS_OK);
}

static void what_a_client_cannot_stand_on_is_refused(void **state)
{
    struct world world = { 0 };
    phos_options options = world_options(&world);
    phos_worker_options worker_options = phos_worker_options_default();
    phos_worker *worker = NULL;

    (void)state;
    world.service.transport.cancel = NULL;
    assert_int_equal(phos_client_open(&options, &world.client), PHOS_E_INVALID);
    assert_non_null(strstr(world.last_diagnostic, "transport"));

    worker_options.struct_size = 0;
    assert_int_equal(phos_worker_open(&worker_options, &worker),
                     PHOS_E_INVALID);
    assert_int_equal(phos_worker_open(NULL, &worker), PHOS_OK);
    memory_transport_deinit(&world.service);
    options = world_options(&world);
    options.worker = worker;
    options.allocator.release = free_nothing;
    assert_int_equal(phos_client_open(&options, &world.client), PHOS_E_INVALID);
    assert_non_null(strstr(world.last_diagnostic, "allocator"));
    phos_worker_free(worker);
    memory_transport_deinit(&world.service);
}

static void a_blocking_call_in_a_callback_would_deadlock(void **state)
{
    struct world world = { 0 };
    phos_options options = world_options(&world);

    (void)state;
    open_world(&world, &options);
    log_events(&world, 1);
    close_world(&world, 5000, PHOS_OK);
    assert_int_equal(world.status_in_callback, PHOS_E_WOULD_DEADLOCK);
}

static int refuse_key(struct memory_transport *service, unsigned number,
                      const phos_request *request)
{
    (void)number;
    (void)request;
    return strcmp(service->last_authorization, "Bearer ph_new") ? 401 : 201;
}

static void a_new_key_lets_refused_events_through(void **state)
{
    struct world world = { 0 };
    phos_options options = world_options(&world);
    phos_close_report report;

    (void)state;
    world.service.script = refuse_key;
    options.transport = &world.service.transport;
    open_world(&world, &options);
    log_events(&world, 5);
    assert_int_equal(
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, 5000),
        PHOS_E_CONFIG);
    assert_non_null(strstr(world.last_diagnostic, "401"));
    assert_null(strstr(world.last_diagnostic, "ph_secret"));
    assert_int_equal(phos_client_set_api_key(world.client, PHOS_STR("ph_new")),
                     PHOS_OK);
    assert_int_equal(
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, 5000), PHOS_OK);
    report = close_world(&world, 1000, PHOS_OK);
    assert_int_equal(report.ledger.delivered, 5);
}

static int echo_key(struct memory_transport *service, unsigned number,
                    const phos_request *request)
{
    (void)number;
    (void)request;
    service->reply_body = "{\"error\":\"ph_secret: no such key (ph_secret)\"}";
    return 401;
}

static void a_key_that_the_service_repeats_is_masked(void **state)
{
    struct world world = { 0 };
    phos_options options = world_options(&world);
    phos_close_report report;

    (void)state;
    world.service.script = echo_key;
    open_world(&world, &options);
    log_events(&world, 1);
    phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, 5000);
    report = close_world(&world, 0, PHOS_E_CONFIG);
    assert_string_equal(report.last_error.text,
                        "HTTP 401: *********: no such key (*********)");
    assert_null(strstr(world.last_diagnostic, "ph_secret"));
}

static void a_key_that_no_header_may_hold_is_refused(void **state)
{
    const phos_str keys[] = {
        PHOS_STR(""),         phos_str_make(NULL, 3), PHOS_STR("a\r\nB: c"),
        PHOS_STR("a\0b"),     PHOS_STR(" a"),         PHOS_STR("a "),
        PHOS_STR("\xc3\xa9"),
    };
    struct world world = { 0 };
    phos_options options = world_options(&world);

    (void)state;
    open_world(&world, &options);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        assert_int_equal(phos_client_set_api_key(world.client, keys[i]),
                         PHOS_E_INVALID);
    log_events(&world, 1);
    close_world(&world, 5000, PHOS_OK);
    assert_string_equal(world.service.last_authorization, "Bearer ph_secret");
}

static int echo_stars(struct memory_transport *service, unsigned number,
                      const phos_request *request)
{
    (void)number;
    (void)request;
    service->reply_body = "{\"error\":\"no such key: ********\"}";
    return 401;
}

/* Somebody pasted it from a page that hides it. */
static void a_key_that_looks_like_its_mask_hangs_nobody(void **state)
{
    struct world world = { 0 };
    phos_options options = world_options(&world);
    phos_close_report report;

    (void)state;
    world.service.script = echo_stars;
    options.api_key = PHOS_STR("****");
    open_world(&world, &options);
    log_events(&world, 1);
    assert_int_equal(
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, 10000),
        PHOS_E_CONFIG);
    report = close_world(&world, 0, PHOS_E_CONFIG);
    assert_string_equal(report.last_error.text,
                        "HTTP 401: no such key: ********");
}

static void a_full_ring_rejects_and_counts(void **state)
{
    struct world world = { 0 };
    phos_options options = world_options(&world);
    phos_event event = some_event(0);
    phos_close_report report;
    phos_status status;
    unsigned accepted = 0;
    char text[2000];

    (void)state;
    memset(text, 'x', sizeof(text));
    event.output = phos_str_make(text, sizeof(text));
    options.ring_bytes = 65536;
    options.event_bytes_max = 4096;
    options.linger_ms = 0;
    options.batch_events_max = 1;
    options.in_flight_max = 1;
    world.service.holds = true;
    open_world(&world, &options);
    while ((status = phos_client_log(world.client, &event, NULL)) == PHOS_OK)
        accepted++;
    assert_int_equal(status, PHOS_E_FULL);
    assert_true(accepted >= 65536 / 4096);
    memory_transport_await_requests(&world.service, 1);
    memory_transport_let_go(&world.service, 201);
    report = close_world(&world, 5000, PHOS_OK);
    assert_int_equal(report.ledger.accepted, accepted);
    assert_int_equal(report.ledger.delivered, accepted);
    assert_int_equal(report.rejected.full, 1);
}

static void on_high_water(uint64_t used_bytes, uint64_t ring_bytes,
                          void *user_data)
{
    struct world *world = user_data;

    (void)used_bytes;
    (void)ring_bytes;
    pthread_mutex_lock(&world->lock);
    world->high_waters++;
    pthread_cond_broadcast(&world->has_heard);
    pthread_mutex_unlock(&world->lock);
}

static bool hears_high_water(struct world *world)
{
    struct timespec deadline;
    int error = 0;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 30;
    pthread_mutex_lock(&world->lock);
    while (world->high_waters == 0 && !error)
        error =
            pthread_cond_timedwait(&world->has_heard, &world->lock, &deadline);
    pthread_mutex_unlock(&world->lock);
    return !error;
}

/* The service answers nothing and no timer is near: it is the log call past the
 * mark that wakes the worker. */
static void the_high_water_is_told_before_a_call_is_rejected(void **state)
{
    struct world world = { .lock = PTHREAD_MUTEX_INITIALIZER,
                           .has_heard = PTHREAD_COND_INITIALIZER };
    phos_options options = world_options(&world);
    phos_stats stats = { .struct_size = sizeof(stats) };
    phos_event event = some_event(0);
    char text[2000];

    (void)state;
    memset(text, 'x', sizeof(text));
    event.output = phos_str_make(text, sizeof(text));
    options.ring_bytes = 65536;
    options.event_bytes_max = 4096;
    options.linger_ms = 0;
    options.batch_events_max = 1;
    options.in_flight_max = 1;
    options.high_water_percent = 80;
    options.on_high_water = on_high_water;
    world.service.holds = true;
    open_world(&world, &options);
    do {
        assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
        phos_client_stats(world.client, &stats);
    } while (stats.ring_used_bytes <= 65536 / 100 * 80);
    assert_true(hears_high_water(&world));
    while (phos_client_log(world.client, &event, NULL) == PHOS_OK)
        ;
    memory_transport_let_go(&world.service, 201);
    close_world(&world, 30000, PHOS_OK);
    assert_int_equal(world.high_waters, 1);
}

static void a_caller_that_may_wait_gets_room(void **state)
{
    struct world world = { 0 };
    phos_options options = world_options(&world);
    phos_event event = some_event(0);
    phos_close_report report;
    char text[2000];

    (void)state;
    memset(text, 'x', sizeof(text));
    event.output = phos_str_make(text, sizeof(text));
    options.ring_bytes = 65536;
    options.event_bytes_max = 4096;
    options.full_wait_ms = 10000;
    open_world(&world, &options);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
    report = close_world(&world, 5000, PHOS_OK);
    assert_int_equal(report.ledger.delivered, 1000);
    assert_int_equal(report.rejected.full, 0);
}

static void clients_can_share_a_worker(void **state)
{
    struct world worlds[3] = { 0 };
    phos_worker *worker;

    (void)state;
    assert_int_equal(phos_worker_open(NULL, &worker), PHOS_OK);
    for (unsigned i = 0; i < 3; i++) {
        phos_options options = world_options(&worlds[i]);

        options.worker = worker;
        open_world(&worlds[i], &options);
    }
    phos_worker_free(worker); /* the clients hold it */
    for (unsigned i = 0; i < 3; i++)
        log_events(&worlds[i], 100 * (i + 1));
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(
            close_world(&worlds[i], 5000, PHOS_OK).ledger.delivered,
            100 * (i + 1));
}

static phos_client *signalled;

static void on_signal(int number)
{
    phos_event event = some_event(7);

    (void)number;
    phos_client_log(signalled, &event, NULL);
    phos_client_begin_shutdown(signalled);
}

static void a_signal_handler_may_log_and_begin_the_shutdown(void **state)
{
    struct world world = { 0 };
    phos_options options = world_options(&world);
    struct sigaction action = { 0 }, before;

    (void)state;
    options.linger_ms = 3600000;
    open_world(&world, &options);
    signalled = world.client;
    action.sa_handler = on_signal;
    sigaction(SIGUSR1, &action, &before);
    raise(SIGUSR1);
    sigaction(SIGUSR1, &before, NULL);
    /* It would linger for an hour. */
    memory_transport_await(&world.service, 1);
    close_world(&world, 1000, PHOS_OK);
}

static void statistics_tell_where_events_are(void **state)
{
    struct world world = { 0 };
    phos_options options = world_options(&world);
    phos_stats stats = { .struct_size = sizeof(stats) };

    (void)state;
    options.linger_ms = 0;
    open_world(&world, &options);
    log_events(&world, 250);
    assert_int_equal(
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, 5000), PHOS_OK);
    assert_int_equal(phos_client_stats(world.client, &stats), PHOS_OK);
    assert_adds_up(&stats.ledger);
    assert_int_equal(stats.ledger.delivered, 250);
    assert_int_equal(stats.unread_bytes, 0);
    assert_int_equal(stats.ring_used_bytes, 0);
    assert_true(stats.ring_used_bytes_max > 0);
    assert_true(stats.requests >= 3);
    assert_int_equal(stats.retries, 0);
    assert_int_equal(stats.batch_events, 250);
    assert_int_equal(stats.last_http_status, 201);
    assert_int_equal(stats.queue_age_ms.count, 250);
    assert_int_equal(stats.round_trip_us.count, stats.requests);
    close_world(&world, 1000, PHOS_OK);
}

static void *log_until_closed(void *user_data)
{
    struct world *world = user_data;
    phos_event event = some_event(1);

    while (phos_client_log(world->client, &event, NULL) != PHOS_E_CLOSED)
        ;
    return NULL;
}

/* Read while others write: never less than nothing, or more than a ring. */
static void statistics_stay_within_the_ring(void **state)
{
    struct world world = { 0 };
    phos_options options = world_options(&world);
    phos_stats stats = { .struct_size = sizeof(stats) };
    pthread_t thread;

    (void)state;
    world.service.keeps_events = false;
    options.on_receipts = NULL;
    options.ring_bytes = 65536;
    options.event_bytes_max = 4096;
    open_world(&world, &options);
    assert_int_equal(pthread_create(&thread, NULL, log_until_closed, &world),
                     0);
    do {
        assert_int_equal(phos_client_stats(world.client, &stats), PHOS_OK);
        assert_in_range(stats.ring_used_bytes, 0, options.ring_bytes);
        assert_in_range(stats.unread_bytes, 0, options.ring_bytes);
    } while (stats.ledger.delivered < 100000);
    assert_int_equal(phos_client_close(world.client, 10000, NULL), PHOS_OK);
    pthread_join(thread, NULL);
    phos_client_free(world.client);
    memory_transport_deinit(&world.service);
}

static void one_event_at_a_time_never_waits_for_ever(void **state)
{
    struct world world = { 0 };
    phos_options options = world_options(&world);
    phos_close_report report;
    const unsigned rounds = 100000;

    (void)state;
    options.linger_ms = 0;
    options.deep_sleep_after_ms = 0;
    options.on_receipts = NULL;
    world.service.keeps_events = false;
    open_world(&world, &options);
    for (unsigned i = 1; i <= rounds; i++) {
        log_events(&world, 1);
        memory_transport_await(&world.service, i);
    }
    report = close_world(&world, 5000, PHOS_OK);
    assert_int_equal(report.ledger.delivered, rounds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_logged_arrives_with_its_receipt),
        cmocka_unit_test(events_travel_in_full_batches_in_their_order),
        cmocka_unit_test(close_without_time_gives_up_what_is_left_and_says_so),
        cmocka_unit_test(calls_after_close_are_told_so),
        cmocka_unit_test(a_null_client_is_a_closed_client),
        cmocka_unit_test(a_key_without_bytes_is_no_key),
        cmocka_unit_test(what_a_client_cannot_stand_on_is_refused),
        cmocka_unit_test(a_blocking_call_in_a_callback_would_deadlock),
        cmocka_unit_test(a_new_key_lets_refused_events_through),
        cmocka_unit_test(a_key_that_the_service_repeats_is_masked),
        cmocka_unit_test(a_key_that_no_header_may_hold_is_refused),
        cmocka_unit_test(a_key_that_looks_like_its_mask_hangs_nobody),
        cmocka_unit_test(a_full_ring_rejects_and_counts),
        cmocka_unit_test(the_high_water_is_told_before_a_call_is_rejected),
        cmocka_unit_test(a_caller_that_may_wait_gets_room),
        cmocka_unit_test(clients_can_share_a_worker),
        cmocka_unit_test(a_signal_handler_may_log_and_begin_the_shutdown),
        cmocka_unit_test(statistics_tell_where_events_are),
        cmocka_unit_test(statistics_stay_within_the_ring),
        cmocka_unit_test(one_event_at_a_time_never_waits_for_ever),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
