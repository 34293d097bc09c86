#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "client/memory_transport.h"
#include "client/pipeline.h"
#include "wire/record.h"

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
    struct phos__pipeline *pipeline;
    uint64_t now_us;
    uint32_t receipt_count;
    void (*on_receipt)(struct world *world);
    phos_event event;
    struct call stopped;
    struct phos__ticket ticket;
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
        .api_key = PHOS_STR("key"),
        .user_agent = PHOS_STR("test"),
        .on_receipts = on_receipts,
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flush_waits_for_an_event_that_was_passed_over),
        cmocka_unit_test(an_answer_given_in_a_callback_is_not_left_lying),
        cmocka_unit_test(an_answer_given_between_two_turns_wakes_the_worker),
        cmocka_unit_test(a_log_call_that_stays_away_is_looked_at_more_seldom),
        cmocka_unit_test(an_idle_pipeline_asks_for_no_turn),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
