#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "client/memory_transport.h"
#include "client/pipeline.h"
#include "wire/feedback_record.h"
#include "wire/record.h"

enum { DIAGNOSTIC_CODES = PHOS_DIAGNOSTIC_CALLBACK + 1 };

/* A log call that can be stopped before its end. */
struct call {
    struct phos__record_plan plan;
    uint64_t position;
    uint8_t *record;
};

/* A pipeline whose turns and clock are the test's own. */
struct world {
    struct memory_transport service;
    struct phos__ring ring;
    struct phos__rejections rejections;
    struct phos__pipeline *pipeline;
    uint64_t now_us;
    uint32_t receipt_count;
    void (*on_receipt)(struct world *world);
    phos_event event;
    struct call stopped;
    struct phos__ticket ticket;
    void (*on_line)(struct world *world);
    unsigned told[DIAGNOSTIC_CODES];
    phos_error last_line;
    unsigned high_water_count;
    uint64_t high_water_bytes;
};

static uint64_t read_us(void *self)
{
    return ((struct world *)self)->now_us;
}

static uint64_t read_ns(void *self)
{
    return ((struct world *)self)->now_us * 1000 | PHOS__TIME_RAW;
}

static uint64_t next_random(void *self)
{
    (void)self;
    return 4;
}

static void on_receipts(const phos_receipt *receipts, size_t count,
                        void *user_data)
{
    struct world *world = user_data;

    (void)receipts;
    world->receipt_count += (uint32_t)count;
    if (world->on_receipt)
        world->on_receipt(world);
    world->on_receipt = NULL;
}

static void on_diagnostic(const phos_diagnostic *diagnostic, void *user_data)
{
    struct world *world = user_data;

    world->told[diagnostic->code]++;
    world->last_line = diagnostic->error;
    if (world->on_line)
        world->on_line(world);
    world->on_line = NULL;
}

static void on_high_water(uint64_t used_bytes, uint64_t ring_bytes,
                          void *user_data)
{
    struct world *world = user_data;

    assert_int_equal(ring_bytes, PHOS__RING_BYTES_MIN);
    world->high_water_count++;
    world->high_water_bytes = used_bytes;
}

static struct phos__pipeline_options world_options(struct world *world)
{
    return (struct phos__pipeline_options){
        .ring = &world->ring,
        .ports = { .clock = { world, read_us, read_us, read_ns, 1000 },
                   .random = { NULL, next_random },
                   .transport = &world->service.transport },
        .delivery = { .batch_events_max = 1,
                      .batch_bytes_max = 1048576,
                      .in_flight_max = 4,
                      .retry_base_ms = 250,
                      .retry_cap_ms = 30000,
                      .ring_bytes = PHOS__RING_BYTES_MIN },
        .request_timeout_ms = 30000,
        .url = PHOS_STR("http://127.0.0.1:1/api/ingest/batch"),
        .feedback_url = PHOS_STR("http://127.0.0.1:1/api/feedback"),
        .api_key = PHOS_STR("key"),
        .user_agent = PHOS_STR("test"),
        .rejections = &world->rejections,
        .high_water_percent = 75,
        .on_receipts = on_receipts,
        .on_diagnostic = on_diagnostic,
        .on_high_water = on_high_water,
        .user_data = world,
    };
}

static void open_world(struct world *world)
{
    const phos_allocator none = { NULL, NULL, NULL, NULL };
    const struct phos__siphash_key id_key = { 1, 2 };
    struct phos__pipeline_options options = world_options(world);
    bool is_valid;
    phos_allocator libc = phos__allocator_resolve(&none, &is_valid);

    memset(world, 0, sizeof(*world));
    world->now_us = 1000000000;
    world->event = phos_event_default();
    world->event.input = PHOS_STR("question");
    world->event.output = PHOS_STR("answer");
    memory_transport_init(&world->service);
    assert_int_equal(phos__ring_open(&world->ring, PHOS__RING_BYTES_MIN, 3,
                                     &id_key,
                                     eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), 0),
                     PHOS_OK);
    assert_int_equal(phos__pipeline_create(&options, &libc, &world->pipeline),
                     PHOS_OK);
}

static uint64_t turn(struct world *world)
{
    return phos__pipeline_turn(world->pipeline);
}

static void close_world(struct world *world)
{
    phos__pipeline_close(world->pipeline, 0);
    turn(world);
    turn(world); /* what was cancelled is answered */
    assert_false(phos__pipeline_is_busy(world->pipeline));
    phos__pipeline_destroy(world->pipeline);
    close(world->ring.wake_fd);
    phos__ring_deinit(&world->ring);
    memory_transport_deinit(&world->service);
}

static void begin_to_log(struct world *world, struct call *call)
{
    assert_int_equal(phos__record_plan(&world->event, 4096, &call->plan),
                     PHOS_OK);
    assert_int_equal(phos__ring_reserve(&world->ring,
                                        (uint32_t)call->plan.bytes,
                                        &call->position, &call->record),
                     PHOS_OK);
}

static void end_to_log(struct world *world, const struct call *call)
{
    phos__record_write(&world->event, &call->plan, read_ns(world),
                       call->record);
    phos__ring_publish(&world->ring, call->position,
                       (uint32_t)call->plan.bytes);
}

static void log_one(struct world *world)
{
    struct call call;

    begin_to_log(world, &call);
    end_to_log(world, &call);
}

/* ---- feedback ---- */

/* On an event of its own. */
static struct phos__feedback_view feedback_of(struct world *world,
                                              uint32_t number)
{
    struct phos__feedback_view view = { .time = read_ns(world),
                                        .flag = PHOS_FLAG_SUCCESS,
                                        .comment = PHOS_STR("as asked") };

    memcpy(view.event_id, &number, sizeof(number));
    return view;
}

static void begin_to_give(struct world *world, struct call *call,
                          uint32_t number)
{
    struct phos__feedback_view view = feedback_of(world, number);
    uint32_t bytes;

    assert_int_equal(phos__feedback_record_plan(&view, 4096, &bytes), PHOS_OK);
    call->plan.bytes = bytes;
    assert_int_equal(
        phos__ring_reserve(&world->ring, bytes, &call->position, &call->record),
        PHOS_OK);
}

static void end_to_give(struct world *world, const struct call *call,
                        uint32_t number)
{
    struct phos__feedback_view view = feedback_of(world, number);

    phos__feedback_record_write(&view, (uint32_t)call->plan.bytes,
                                call->record);
    phos__ring_publish(&world->ring, call->position,
                       (uint32_t)call->plan.bytes);
}

static void give(struct world *world, uint32_t number)
{
    struct call call;

    begin_to_give(world, &call, number);
    end_to_give(world, &call, number);
}

static phos_feedback_ledger feedback_ledger(struct world *world)
{
    phos_stats stats = { .struct_size = sizeof(stats) };

    phos__pipeline_stats(world->pipeline, &stats);
    return stats.feedback;
}

/* ---- tests ---- */

static void end_to_log_and_flush(struct world *world)
{
    end_to_log(world, &world->stopped);
    phos__pipeline_flush(world->pipeline, &world->ticket);
}

/* The worker has passed it over, and its thread goes on and flushes just after
 * the worker's last look. */
static void a_flush_waits_for_an_event_that_was_passed_over(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    begin_to_log(&world, &world.stopped);
    log_one(&world);
    world.on_receipt = end_to_log_and_flush;
    turn(&world);
    assert_int_equal(world.receipt_count, 1);
    assert_false(world.ticket.is_done);
    turn(&world);
    assert_int_equal(world.receipt_count, 2);
    assert_true(world.ticket.is_done);
    assert_int_equal(world.ticket.status, PHOS_OK);
    close_world(&world);
}

static int hold_the_second(struct memory_transport *service, unsigned number,
                           const phos_request *request)
{
    (void)request;
    service->holds = number == 0; /* from the next one on */
    return 201;
}

static void let_go(struct world *world)
{
    memory_transport_let_go(&world->service, 201);
}

/* Whether the loop would come to another turn by itself. */
static bool is_awake(struct world *world, uint64_t due_ms)
{
    struct pollfd wake = { .fd = world->ring.wake_fd, .events = POLLIN };

    return due_ms <= world->now_us / 1000 || poll(&wake, 1, 0) == 1;
}

static void an_answer_given_in_a_callback_is_not_left_lying(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    world.service.script = hold_the_second;
    log_one(&world);
    log_one(&world);
    world.on_receipt = let_go;
    assert_true(is_awake(&world, turn(&world)));
    turn(&world);
    assert_int_equal(world.receipt_count, 2);
    close_world(&world);
}

/* As in a callback of another client on the same worker. */
static void an_answer_given_between_two_turns_wakes_the_worker(void **state)
{
    struct world world;
    uint64_t due_ms;

    (void)state;
    open_world(&world);
    world.service.holds = true;
    log_one(&world);
    due_ms = turn(&world);
    assert_false(is_awake(&world, due_ms));
    let_go(&world);
    assert_true(is_awake(&world, due_ms));
    turn(&world);
    assert_int_equal(world.receipt_count, 1);
    close_world(&world);
}

/* A thread that has died inside its log call costs no turn each millisecond. */
static void a_log_call_that_stays_away_is_looked_at_more_seldom(void **state)
{
    struct world world;
    uint64_t turns = 0, late_turns;

    (void)state;
    open_world(&world);
    begin_to_log(&world, &world.stopped);
    for (uint64_t end_us = world.now_us + 8000000; world.now_us < end_us;
         turns++)
        world.now_us = turn(&world) * 1000;
    assert_true(turns < 100);
    late_turns = turns;
    end_to_log(&world, &world.stopped);
    for (; world.receipt_count == 0; turns++)
        world.now_us = turn(&world) * 1000;
    assert_true(turns - late_turns <= 2);
    close_world(&world);
}

static void an_idle_pipeline_asks_for_no_turn(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    assert_true(turn(&world) == UINT64_MAX);
    close_world(&world);
}

/* ---- what is told ---- */

/* Has the turns that the pipeline asks for, up to that many milliseconds. */
static void live(struct world *world, uint64_t ms)
{
    uint64_t end_ms = world->now_us / 1000 + ms, due_ms;

    while ((due_ms = turn(world)) <= end_ms)
        if (due_ms * 1000 > world->now_us)
            world->now_us = due_ms * 1000;
    world->now_us = end_ms * 1000;
}

static unsigned lines_told(const struct world *world)
{
    unsigned count = 0;

    for (unsigned i = 0; i < DIAGNOSTIC_CODES; i++)
        count += world->told[i];
    return count;
}

/* What the service does, until it is well again. */
static int ill_answer;

static int be_ill(struct memory_transport *service, unsigned number,
                  const phos_request *request)
{
    (void)service;
    (void)number;
    (void)request;
    return ill_answer;
}

static void each_cause_is_told_once_and_that_it_is_over(void **state)
{
    static const struct {
        int answer; /* a status, or a negative phos_exchange */
        phos_obstacle obstacle;
        const char *content_type;
        phos_diagnostic_code code;
        bool is_at_once;
    } rows[] = {
        { -PHOS_EXCHANGE_NOT_SENT, PHOS_OBSTACLE_NAME, NULL,
          PHOS_DIAGNOSTIC_NAME, false },
        { -PHOS_EXCHANGE_NOT_SENT, PHOS_OBSTACLE_CONNECT, NULL,
          PHOS_DIAGNOSTIC_CONNECT, false },
        { -PHOS_EXCHANGE_REFUSED, PHOS_OBSTACLE_PROXY, NULL,
          PHOS_DIAGNOSTIC_PROXY, true },
        { -PHOS_EXCHANGE_NOT_SENT, PHOS_OBSTACLE_TLS, NULL, PHOS_DIAGNOSTIC_TLS,
          false },
        { -PHOS_EXCHANGE_NOT_SENT, PHOS_OBSTACLE_NO_TLS, NULL,
          PHOS_DIAGNOSTIC_NO_TLS, false },
        { -PHOS_EXCHANGE_REFUSED, PHOS_OBSTACLE_UNTRUSTED, NULL,
          PHOS_DIAGNOSTIC_UNTRUSTED, true },
        { -PHOS_EXCHANGE_REFUSED, PHOS_OBSTACLE_EXPIRED, NULL,
          PHOS_DIAGNOSTIC_EXPIRED, true },
        { -PHOS_EXCHANGE_REFUSED, PHOS_OBSTACLE_OTHER_HOST, NULL,
          PHOS_DIAGNOSTIC_OTHER_HOST, true },
        { -PHOS_EXCHANGE_NOT_SENT, PHOS_OBSTACLE_UNKNOWN, NULL,
          PHOS_DIAGNOSTIC_NOT_SENT, false },
        { -PHOS_EXCHANGE_BROKEN, PHOS_OBSTACLE_UNKNOWN, NULL,
          PHOS_DIAGNOSTIC_BROKEN, false },
        { 401, PHOS_OBSTACLE_UNKNOWN, NULL, PHOS_DIAGNOSTIC_KEY, true },
        { 404, PHOS_OBSTACLE_UNKNOWN, NULL, PHOS_DIAGNOSTIC_PATH, true },
        { 302, PHOS_OBSTACLE_UNKNOWN, NULL, PHOS_DIAGNOSTIC_REDIRECT, true },
        { 200, PHOS_OBSTACLE_UNKNOWN, "text/html", PHOS_DIAGNOSTIC_WEB_PAGE,
          true },
        { 415, PHOS_OBSTACLE_UNKNOWN, NULL, PHOS_DIAGNOSTIC_REFUSED, true },
        { 429, PHOS_OBSTACLE_UNKNOWN, NULL, PHOS_DIAGNOSTIC_LIMITED, false },
        { 503, PHOS_OBSTACLE_UNKNOWN, NULL, PHOS_DIAGNOSTIC_SERVICE, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t sooner_ms = rows[i].is_at_once ? 0 : 4999;
        struct world world;

        open_world(&world);
        world.service.keeps_events = false;
        world.service.script = be_ill;
        world.service.obstacle = rows[i].obstacle;
        if (rows[i].content_type)
            world.service.content_type = rows[i].content_type;
        ill_answer = rows[i].answer;
        log_one(&world);
        live(&world, sooner_ms);
        assert_int_equal(lines_told(&world), rows[i].is_at_once);
        live(&world, 54000);
        assert_int_equal(lines_told(&world), 1);
        if (world.told[rows[i].code] != 1)
            fail_msg("row %zu: %s", i, world.last_line.text);
        live(&world, 61000);
        assert_int_equal(world.told[rows[i].code], 2);

        world.service.script = NULL;
        world.service.content_type = "application/json";
        live(&world, 61000);
        assert_int_equal(world.told[PHOS_DIAGNOSTIC_DELIVERED], 1);
        assert_non_null(strstr(world.last_line.text, "delivered again"));
        assert_true(lines_told(&world) <= 4);
        close_world(&world);
    }
}

static void a_request_that_is_never_answered_is_told(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    world.service.holds = true;
    log_one(&world);
    live(&world, 4999);
    assert_int_equal(lines_told(&world), 0);
    live(&world, 10);
    assert_int_equal(world.told[PHOS_DIAGNOSTIC_WAITING], 1);
    let_go(&world);
    turn(&world);
    assert_int_equal(world.told[PHOS_DIAGNOSTIC_DELIVERED], 1);
    assert_non_null(strstr(world.last_line.text, "1 had to wait"));
    close_world(&world);
}

static void a_client_that_is_well_is_told_nothing(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    world.service.keeps_events = false;
    for (unsigned i = 0; i < 120; i++) {
        log_one(&world);
        live(&world, 1000);
    }
    assert_int_equal(lines_told(&world), 0);
    close_world(&world);
}

static void rejected_calls_are_told_with_their_sum(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    phos__rejections_add(&world.rejections, PHOS_E_INVALID);
    turn(&world);
    assert_int_equal(world.told[PHOS_DIAGNOSTIC_LOST], 1);
    assert_string_equal(world.last_line.text,
                        "events lost: 1 rejected: invalid");
    for (unsigned i = 0; i < 50; i++)
        phos__rejections_add(&world.rejections, PHOS_E_INVALID);
    live(&world, 9999);
    assert_int_equal(world.told[PHOS_DIAGNOSTIC_LOST], 1);
    live(&world, 10);
    assert_int_equal(world.told[PHOS_DIAGNOSTIC_LOST], 2);
    assert_string_equal(world.last_line.text,
                        "events lost in 10 s: 50 rejected: invalid");
    close_world(&world);
}

static void what_close_gives_up_is_told(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    world.service.holds = true;
    log_one(&world);
    turn(&world);
    phos__pipeline_close(world.pipeline, 0);
    turn(&world);
    assert_string_equal(world.last_line.text, "events lost: 1 at close");
    close_world(&world);
}

/* ---- the ring fills ---- */

static bool is_woken(const struct world *world)
{
    struct pollfd wake = { .fd = world->ring.wake_fd, .events = POLLIN };

    return poll(&wake, 1, 0) == 1;
}

static uint64_t ring_used(const struct world *world)
{
    return phos__ring_tail(&world->ring) - phos__ring_head(&world->ring);
}

/* Logs up to where the next event would end above so many bytes in use. */
static void fill_to(struct world *world, uint64_t bytes)
{
    uint64_t before = ring_used(world), each;

    log_one(world);
    each = ring_used(world) - before;
    while (ring_used(world) + each <= bytes)
        log_one(world);
}

/* Nothing is answered, the machine holds as much as it can, and no timer is
 * near: only producers can wake the worker. */
static void the_worker_is_woken_at_the_mark_and_no_sooner(void **state)
{
    const uint64_t mark = PHOS__RING_BYTES_MIN / 100 * 75;
    struct world world;

    (void)state;
    open_world(&world);
    world.service.holds = true;
    fill_to(&world, 8192);
    assert_true(turn(&world) > world.now_us / 1000 + 4000);
    fill_to(&world, mark);
    assert_false(is_woken(&world));
    assert_int_equal(world.high_water_count, 0);

    log_one(&world); /* and 24 % of the ring are left */
    assert_true(is_woken(&world));
    turn(&world);
    assert_int_equal(world.high_water_count, 1);
    assert_true(world.high_water_bytes > mark);
    assert_true(world.high_water_bytes < mark + 1024);
    assert_int_equal(world.told[PHOS_DIAGNOSTIC_HIGH_WATER], 1);

    fill_to(&world, PHOS__RING_BYTES_MIN);
    turn(&world);
    assert_int_equal(world.high_water_count, 1);
    let_go(&world);
    world.service.keeps_events = false;
    live(&world, 10000);
    /* But for the four that were held it counts what it took. */
    assert_int_equal(world.service.event_count, world.receipt_count - 4);
    /* Empty by now: the next time counts again. */
    world.service.holds = true;
    fill_to(&world, mark + 1024);
    turn(&world);
    assert_int_equal(world.high_water_count, 2);
    close_world(&world);
}

static void fill_past_the_mark(struct world *world)
{
    fill_to(world, PHOS__RING_BYTES_MIN / 100 * 80);
}

/* Log calls that come after the worker's last look wake nobody: it is awake. */
static void the_mark_is_not_slept_over(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    world.service.holds = true;
    fill_to(&world, 8192);
    turn(&world);
    phos__rejections_add(&world.rejections, PHOS_E_INVALID);
    world.on_line = fill_past_the_mark;
    assert_true(is_awake(&world, turn(&world)));
    assert_int_equal(world.high_water_count, 0);
    turn(&world);
    assert_int_equal(world.high_water_count, 1);
    close_world(&world);
}

/* As when the machine is full, while it naps between two batches. */
static void a_nap_ends_at_the_mark_too(void **state)
{
    const uint64_t mark = PHOS__RING_BYTES_MIN / 100 * 75;
    struct world world;
    unsigned turns = 0;

    (void)state;
    open_world(&world);
    world.service.holds = true;
    log_one(&world);
    turn(&world);
    while (ring_used(&world) <= mark) {
        log_one(&world);
        if (is_woken(&world)) {
            uint64_t count;

            assert_true(read(world.ring.wake_fd, &count, sizeof(count)) > 0);
            turn(&world);
            turns++;
        }
    }
    assert_int_equal(world.high_water_count, 1);
    assert_true(turns <= 6); /* woken now and then, not by each event */
    close_world(&world);
}

/* Its kind is known, and that nothing else can be believed. */
static void feedback_that_cannot_be_read_is_dropped(void **state)
{
    struct world world;
    struct call call;

    (void)state;
    open_world(&world);
    begin_to_give(&world, &call, 1);
    end_to_give(&world, &call, 1);
    memset(call.record + 24, 0xFF, 4); /* the comment's length */
    give(&world, 2);
    turn(&world);
    turn(&world);
    assert_int_equal(feedback_ledger(&world).accepted, 2);
    assert_int_equal(feedback_ledger(&world).delivered, 1);
    assert_int_equal(feedback_ledger(&world).by_reason[PHOS_REASON_DAMAGED], 1);
    assert_true(phos__ring_head(&world.ring) == phos__ring_tail(&world.ring));
    close_world(&world);
}

enum { GIVEN = 230 }; /* less than a quarter of the ring */

static uint32_t sent_numbers[GIVEN];
static unsigned sent_count;

static int note_number(struct memory_transport *service, unsigned number,
                       const phos_request *request)
{
    unsigned bytes[4] = { 0 };

    (void)service;
    (void)number;
    assert_int_equal(sscanf(request->body.data, "{\"event_id\":\"%2x%2x%2x%2x",
                            &bytes[0], &bytes[1], &bytes[2], &bytes[3]),
                     4);
    assert_true(sent_count < GIVEN);
    sent_numbers[sent_count++] = bytes[0] | bytes[1] << 8;
    return 201;
}

/* The list through the ring is in the order of positions, wherever a call that
 * was stopped belongs: in front, in the middle, at the end. */
static void what_waits_in_the_ring_keeps_its_place(void **state)
{
    enum { TABLE = PHOS__RING_BYTES_MIN / 8 / 56 };
    static const uint32_t stopped[] = { 10, 150, 200, 210, GIVEN - 1 };
    struct world world;
    struct call calls[5];
    unsigned next = 0;

    (void)state;
    open_world(&world);
    world.service.holds = true;
    world.service.script = note_number;
    sent_count = 0;
    for (uint32_t i = 0; i < GIVEN; i++)
        if (next < 5 && stopped[next] == i)
            begin_to_give(&world, &calls[next++], i);
        else
            give(&world, i);
    turn(&world);
    assert_int_equal(feedback_ledger(&world).pending, GIVEN - 5);
    /* Latest first. */
    while (next-- > 0) {
        end_to_give(&world, &calls[next], stopped[next]);
        turn(&world);
    }
    assert_int_equal(feedback_ledger(&world).pending, GIVEN);
    memory_transport_let_go(&world.service, 201);
    for (unsigned i = 0; i < GIVEN && feedback_ledger(&world).pending > 0; i++)
        turn(&world);
    assert_int_equal(feedback_ledger(&world).delivered, GIVEN);
    turn(&world);
    assert_true(phos__ring_head(&world.ring) == phos__ring_tail(&world.ring));

    /* The table was full before the first of them had ended. */
    assert_int_equal(sent_numbers[TABLE], 10);
    for (unsigned i = 1; i < GIVEN; i++)
        if (i != TABLE && i != TABLE + 1)
            assert_true(sent_numbers[i] > sent_numbers[i - 1]);
    close_world(&world);
}

/* What the table has no memory or room for is told by kind at close too. */
static void close_counts_what_waits_in_the_ring(void **state)
{
    phos_close_report report = { 0 };
    struct world world;

    (void)state;
    open_world(&world);
    world.service.holds = true;
    for (uint32_t i = 0; i < 400; i++)
        give(&world, i);
    turn(&world);
    for (uint32_t i = 400; i < 500; i++)
        give(&world, i);
    phos__pipeline_close(world.pipeline, 0);
    turn(&world);
    phos__pipeline_close_report(world.pipeline, &report);
    assert_int_equal(report.feedback.accepted, 500);
    assert_int_equal(report.feedback.unknown, 2); /* under way */
    assert_int_equal(report.feedback.dropped, 498);
    assert_int_equal(report.feedback.by_reason[PHOS_REASON_CLOSED], 500);
    assert_int_equal(report.ledger.accepted, 0);
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flush_waits_for_an_event_that_was_passed_over),
        cmocka_unit_test(an_answer_given_in_a_callback_is_not_left_lying),
        cmocka_unit_test(an_answer_given_between_two_turns_wakes_the_worker),
        cmocka_unit_test(a_log_call_that_stays_away_is_looked_at_more_seldom),
        cmocka_unit_test(an_idle_pipeline_asks_for_no_turn),
        cmocka_unit_test(each_cause_is_told_once_and_that_it_is_over),
        cmocka_unit_test(a_request_that_is_never_answered_is_told),
        cmocka_unit_test(a_client_that_is_well_is_told_nothing),
        cmocka_unit_test(rejected_calls_are_told_with_their_sum),
        cmocka_unit_test(what_close_gives_up_is_told),
        cmocka_unit_test(the_worker_is_woken_at_the_mark_and_no_sooner),
        cmocka_unit_test(the_mark_is_not_slept_over),
        cmocka_unit_test(a_nap_ends_at_the_mark_too),
        cmocka_unit_test(feedback_that_cannot_be_read_is_dropped),
        cmocka_unit_test(what_waits_in_the_ring_keeps_its_place),
        cmocka_unit_test(close_counts_what_waits_in_the_ring),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
