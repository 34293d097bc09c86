/* R1: every allocation of ours fails in turn, alone and with all after it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/memory_transport.h"
#include "client/process.h"
#include "client/witness.h"
#include "harness/failing_alloc.h"
#include "harness/fault_server.h"

enum {
    EVENTS = 60,
    POISON = 17,    /* the service says 422 to any batch that holds it */
    SLOW = 3,       /* its batch gets 503 … */
    SLOW_UNTIL = 4, /* … until so many others got 201: it is parked then … */
    SLOW_SENDS = 8, /* … or it was sent so often */
    CHOSEN = 9,     /* its id is the application's … */
    DUPLICATE = 21, /* … as is this one's, the same */

    TEXT_BYTES = 1500 /* of an answer: all together do not fit the ring */
};

static const char poison[] = "\"cookie\":17,";
static const char slow[] = "\"cookie\":3,";

/* ---- the service, in memory or behind a socket ---- */

static atomic_uint slow_sends, successes; /* of this run */

static bool holds(const char *body, size_t bytes, const char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; i + length <= bytes; i++)
        if (memcmp(body + i, text, length) == 0)
            return true;
    return false;
}

static int treat(const char *body, size_t bytes)
{
    if (holds(body, bytes, slow)) {
        if (slow_sends++ == 0)
            successes = 0;
        if (successes < SLOW_UNTIL && slow_sends < SLOW_SENDS)
            return 503;
    }
    if (holds(body, bytes, poison))
        return 422;
    successes++;
    return 201;
}

static int treat_in_memory(struct memory_transport *service, unsigned number,
                           const phos_request *request)
{
    (void)service;
    (void)number;
    return treat(request->body.data, request->body.length);
}

static void treat_behind_socket(void *user_data,
                                const struct fault_request *request,
                                struct fault_plan *plan)
{
    (void)user_data;
    plan->status = treat(request->body, request->body_bytes);
}

/* ---- one run ---- */

struct run {
    struct failing_alloc memory;
    struct witness witness;
    struct memory_transport service;
    struct fault_server *server; /* NULL: the service in memory */
    bool shares_worker;
    phos_worker *worker;
    phos_client *client;
    bool accepted[EVENTS];
    uint64_t given_count; /* feedback that was accepted */
    uint64_t accepted_count;
    uint64_t parked_bytes; /* the most that was seen */
    bool sums_up;          /* so did every ledger on the way */
    phos_close_report report;
};

static struct run run;

/* On the worker's thread; the statistics are those of its last turn. */
static void on_receipts(const phos_receipt *receipts, size_t count,
                        void *witness)
{
    phos_stats stats = { .struct_size = sizeof(stats) };

    witness_receipts(receipts, count, witness);
    phos_client_stats(run.client, &stats);
    if (stats.parked_bytes > run.parked_bytes)
        run.parked_bytes = stats.parked_bytes;
    run.sums_up &= stats.ledger.accepted ==
                   stats.ledger.delivered + stats.ledger.duplicate +
                       stats.ledger.refused + stats.ledger.dropped +
                       stats.ledger.unknown + stats.ledger.pending;
}

static bool is_failing(void)
{
    return run.memory.fail_at != 0;
}

static void log_event(unsigned i)
{
    static const uint8_t id[16] = { 0x0f, 0x8e, 0x4c, 0x2a, 0x11, 0x22,
                                    0x43, 0x33, 0x84, 0x44, 0x55, 0x66,
                                    0x77, 0x88, 0x99, 0xaa };
    const phos_str tags[] = { PHOS_STR("a"), PHOS_STR("b") };
    const phos_pair pairs[] = {
        phos_pair_integer(PHOS_STR("cookie"), i),
        phos_pair_text(PHOS_STR("model"), PHOS_STR("loses")),
        phos_pair_boolean(PHOS_STR("ok"), true),
    };
    static char answer[TEXT_BYTES];
    phos_event event = witness_event(i);
    phos_event_id chosen, logged;
    phos_status status;

    memset(answer, 'x', sizeof(answer));
    memcpy(chosen.bytes, id, sizeof(id));
    event.output = phos_str_make(answer, i % 2 ? sizeof(answer) : i);
    event.pairs = pairs;
    event.pair_count = 3;
    if (i % 3 == 0) {
        event.model = PHOS_STR("gpt-4");
        event.tags = tags;
        event.tag_count = 2;
        event.cost_cents = 0.25;
    }
    if (i % 5 == 0)
        event.metadata_json = PHOS_STR(
            "{\"a\":1,\"b\":[true,null],\"a\":2,\"c\":\"\\u00e9\",\"ok\":0}");
    if (i == CHOSEN || i == DUPLICATE)
        event.event_id = &chosen;

    /* With memory the worker makes room; without it may have to give up. */
    status = phos_client_log(run.client, &event, &logged);
    assert_true(status == PHOS_OK || status == PHOS_E_FULL);
    run.accepted[i] = status == PHOS_OK;
    run.accepted_count += status == PHOS_OK;
    if (status == PHOS_OK && i % 4 == 1)
        run.given_count +=
            phos_client_feedback(run.client, &logged, PHOS_FLAG_SUCCESS,
                                 PHOS_STR("as asked"),
                                 phos_str_make(NULL, 0)) == PHOS_OK;
}

static phos_status open_run(void)
{
    phos_options options =
        witness_options(&run.witness, run.server ? fault_server_url(run.server)
                                                 : "http://127.0.0.1:1");
    phos_worker_options worker = phos_worker_options_default();

    options.on_receipts = on_receipts;
    options.batch_events_max = 8;
    options.full_wait_ms = run.memory.is_sticky ? 1 : 5000;
    options.dedupe_window = 64;
    options.project_id = PHOS_STR("proj");
    if (!run.server)
        options.transport = &run.service.transport;
    if (!run.shares_worker) {
        options.allocator = failing_alloc_make(&run.memory);
        return phos_client_open(&options, &run.client);
    }
    worker.allocator = failing_alloc_make(&run.memory);
    if (phos_worker_open(&worker, &run.worker))
        return PHOS_E_NO_MEMORY;
    options.worker = run.worker;
    return phos_client_open(&options, &run.client);
}

static void use(void)
{
    phos_status status;

    for (unsigned i = 0; i < EVENTS; i++)
        log_event(i);
    status = phos_client_set_api_key(run.client, PHOS_STR("ph_next"));
    assert_true(status == PHOS_OK ||
                (status == PHOS_E_NO_MEMORY && is_failing()));
    status = phos_client_flush(run.client, PHOS_FLUSH_DELIVERED,
                               run.memory.is_sticky ? 10 : 10000);
    assert_true(status == PHOS_OK ||
                (status == PHOS_E_TIMEOUT && run.memory.is_sticky));
}

static void end(void)
{
    phos_ledger *ledger = &run.report.ledger;
    phos_status status = phos_client_close(
        run.client, run.memory.is_sticky ? 10 : 10000, &run.report);

    assert_true(status == PHOS_OK ||
                (status == PHOS_E_TIMEOUT && run.memory.is_sticky));
    assert_adds_up(ledger);
    assert_int_equal(run.report.feedback.pending, 0);
    assert_int_equal(run.report.feedback.accepted, run.given_count);
    assert_int_equal(ledger->pending, 0);
    assert_int_equal(ledger->accepted, run.accepted_count);
    phos_client_free(run.client);
    run.client = NULL;
}

/* One failure costs time, and at most the memory of chosen ids: then the
 * service gets the second event of that id too. */
static void assert_all_is_well(void)
{
    const phos_ledger *ledger = &run.report.ledger;

    assert_int_equal(ledger->accepted, EVENTS);
    assert_int_equal(ledger->refused, 1);
    assert_int_equal(ledger->delivered + ledger->duplicate, EVENTS - 1);
    assert_true(ledger->duplicate == 1 ||
                (ledger->duplicate == 0 && is_failing()));
    assert_int_equal(run.witness.last[POISON].outcome, PHOS_OUTCOME_REFUSED);
    /* All but that on the event that was refused; a full ring may have turned
     * some of it away. */
    assert_int_equal(run.report.feedback.delivered +
                         run.report.feedback.by_reason[PHOS_REASON_EVENT_LOST],
                     run.given_count);
    assert_true(run.report.feedback.delivered > 0);
}

/* Returns how many allocations there were. */
static uint64_t run_once(uint64_t fail_at, bool is_sticky)
{
    phos_client *untouched = (phos_client *)(void *)&successes;
    phos_status status;

    failing_alloc_reset(&run.memory, fail_at, is_sticky);
    witness_init(&run.witness);
    memory_transport_init(&run.service);
    run.service.script = treat_in_memory;
    memset(run.accepted, 0, sizeof(run.accepted));
    run.accepted_count = run.given_count = 0;
    run.parked_bytes = 0;
    run.sums_up = true;
    run.worker = NULL;
    run.client = untouched;
    slow_sends = successes = 0;

    status = open_run();
    if (status) {
        assert_int_equal(status, PHOS_E_NO_MEMORY);
        assert_true(is_failing());
        assert_ptr_equal(run.client, untouched);
    } else {
        use();
        end();
    }
    phos_worker_free(run.worker);
    /* The worker's thread ends in its own time on a busy machine. */
    counter_await_below(&run.memory.blocks, 1);
    assert_int_equal(run.memory.bytes, 0);
    assert_true(run.sums_up); /* as the worker saw it, to its end */
    if (!status) {
        assert_one_receipt_each(&run.witness, run.accepted, EVENTS);
        if (!is_sticky)
            assert_all_is_well();
    }
    memory_transport_deinit(&run.service);
    witness_deinit(&run.witness);
    return run.memory.calls;
}

static void fail_each(void)
{
    uint64_t calls = run_once(0, false);

    assert_true(calls > 20);
    assert_true(run.parked_bytes > 0);
    assert_true(run.witness.last[SLOW].sends > 1);
    for (uint64_t fail_at = 1; fail_at <= calls; fail_at++) {
        run_once(fail_at, false);
        run_once(fail_at, true);
    }
    threads_await_none("phos");
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    memset(&run, 0, sizeof(run));
    fail_each();
}

static void every_allocation_may_fail_on_a_shared_worker(void **state)
{
    (void)state;
    memset(&run, 0, sizeof(run));
    run.shares_worker = true;
    fail_each();
}

static void every_allocation_may_fail_with_curl(void **state)
{
    const struct fault_options options = { .answer = treat_behind_socket };
    struct fault_server *server = fault_server_start(&options);

    (void)state;
    assert_non_null(server);
    memset(&run, 0, sizeof(run));
    run.server = server;
    fail_each();
    fault_server_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(every_allocation_may_fail_on_a_shared_worker),
        cmocka_unit_test(every_allocation_may_fail_with_curl),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
