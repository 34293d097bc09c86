#include "core/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "wire/batch.h"

static const uint32_t record_bytes = 128;

struct phos__delivery_options rig_options(void)
{
    return (struct phos__delivery_options){
        .batch_events_max = 100,
        .batch_bytes_max = 1048576,
        .linger_ms = 500,
        .in_flight_max = 4,
        .retry_base_ms = 250,
        .retry_cap_ms = 30000,
        .age_max_ms = 3600000,
        .dedupe_window = 65536,
        .ring_bytes = 4194304,
        .parking_bytes_max = 1048576,
        .random = 1,
    };
}

void rig_open(struct rig *rig, const struct phos__delivery_options *options)
{
    const phos_allocator none = { NULL, NULL, NULL, NULL };
    bool is_valid;
    phos_allocator libc = phos__allocator_resolve(&none, &is_valid);

    memset(rig, 0, sizeof(*rig));
    rig->options = *options;
    rig->now_ms = 1000000;
    rig->latency_ms = 10;
    rig->body = PHOS__BODY_JSON;
    assert_int_equal(phos__delivery_create(options, &libc, &rig->delivery),
                     PHOS_OK);
}

void rig_close(struct rig *rig)
{
    phos__delivery_destroy(rig->delivery);
}

uint32_t rig_log(struct rig *rig, uint32_t n)
{
    uint32_t first = rig->count;

    for (uint32_t i = 0; i < n; i++) {
        assert_true(rig->count < RIG_EVENTS_MAX);
        rig->events[rig->count].json_bytes = 100;
        rig->events[rig->count].logged_ms = rig->now_ms;
        memcpy(rig->events[rig->count].id, &rig->count, sizeof(rig->count));
        rig->count++;
    }
    return first;
}

static uint64_t next_random(struct rig *rig)
{
    rig->random = rig->random * UINT64_C(6364136223846793005) +
                  UINT64_C(1442695040888963407);
    return rig->random >> 33 | rig->random << 31;
}

static void check_ledger(struct rig *rig)
{
    const phos_ledger *ledger = phos__delivery_ledger(rig->delivery);

    assert_int_equal(ledger->accepted, rig->taken);
    assert_int_equal(ledger->accepted, ledger->delivered + ledger->duplicate +
                                           ledger->refused + ledger->dropped +
                                           ledger->unknown + ledger->pending);
}

static void on_send(struct rig *rig, const struct phos__action *action)
{
    uint32_t numbers[100];
    uint32_t bytes = PHOS__BATCH_FRAME_BYTES;

    assert_in_range(action->event_count, 1, rig->options.batch_events_max);
    assert_true(rig->now_ms >= rig->no_send_before_ms);
    for (uint32_t i = 0; i < action->event_count; i++) {
        numbers[i] = rig->number_of[action->events[i]];
        assert_int_equal(rig->events[numbers[i]].verdicts, 0);
        rig->events[numbers[i]].sends++;
        bytes += rig->events[numbers[i]].json_bytes + (i > 0);
        if (i > 0)
            assert_true(numbers[i] > numbers[i - 1]);
    }
    if (action->event_count > 1)
        assert_true(bytes <= rig->options.batch_bytes_max);
    rig->flying[rig->flying_count].request_id = action->request_id;
    rig->flying[rig->flying_count].due_ms = rig->now_ms + rig->latency_ms;
    rig->flying[rig->flying_count].count = action->event_count;
    rig->flying[rig->flying_count].status =
        rig->service ? rig->service(rig, numbers, action->event_count, bytes)
                     : 201;
    rig->flying_count++;
    assert_true(rig->flying_count <= rig->options.in_flight_max);
    if (rig->flying_count > rig->flying_max)
        rig->flying_max = rig->flying_count;
    rig->requests++;
    rig->last_send_ms = rig->now_ms;
}

static void on_verdict(struct rig *rig, const struct phos__action *action)
{
    uint32_t number = rig->number_of[action->event];

    rig->events[number].verdicts++;
    assert_int_equal(rig->events[number].verdicts, 1);
    assert_int_equal(action->position, (uint64_t)number * record_bytes);
    assert_int_equal(action->is_parked, rig->events[number].was_parked);
    rig->events[number].receipt = action->receipt;
    assert_int_equal(action->receipt.cookie, number);
    assert_int_equal(action->receipt.sends, rig->events[number].sends);
}

void rig_take(struct rig *rig)
{
    while (rig->taken < rig->count && phos__delivery_room(rig->delivery) > 0) {
        uint32_t number = rig->taken;
        struct phos__arrival arrival = {
            .position = (uint64_t)number * record_bytes,
            .logged_ms = rig->events[number].logged_ms,
            .cookie = number,
            .record_bytes = record_bytes,
            .json_bytes = rig->events[number].json_bytes,
            .id_is_chosen = rig->events[number].is_chosen,
            .is_damaged = rig->events[number].is_damaged,
        };

        memcpy(arrival.id, rig->events[number].id, 16);
        rig->taken++;
        rig->number_of[phos__delivery_take(rig->delivery, rig->now_ms,
                                           &arrival)] = number;
    }
    phos__delivery_read_to(rig->delivery, (uint64_t)rig->taken * record_bytes);
}

void rig_carry_out(struct rig *rig, const struct phos__action *action)
{
    switch (action->kind) {
    case PHOS__ACTION_SEND:
        on_send(rig, action);
        break;
    case PHOS__ACTION_CANCEL:
        rig->cancels++;
        break;
    case PHOS__ACTION_PARK:
        assert_int_equal(rig->events[rig->number_of[action->event]].verdicts,
                         0);
        rig->events[rig->number_of[action->event]].was_parked =
            !rig->refuses_parking;
        phos__delivery_parked(rig->delivery, action->event,
                              !rig->refuses_parking);
        break;
    case PHOS__ACTION_VERDICT:
        on_verdict(rig, action);
        break;
    case PHOS__ACTION_STATE:
        if (rig->state_count < 64)
            rig->states[rig->state_count++] = action->state;
        break;
    }
}

void rig_act(struct rig *rig)
{
    struct phos__action action;
    uint32_t actions;

    do {
        actions = 0;
        rig_take(rig);
        while (phos__delivery_next(rig->delivery, rig->now_ms, &action)) {
            assert_true(++actions < 100000); /* it comes to an end */
            rig_carry_out(rig, &action);
            check_ledger(rig);
        }
    } while (actions > 0);
}

static void answer(struct rig *rig, uint32_t index)
{
    int status = rig->flying[index].status;
    struct phos__answer answer = {
        .request_id = rig->flying[index].request_id,
        .exchange =
            status < 0 ? (phos_exchange)-status : PHOS_EXCHANGE_ANSWERED,
        .http_status = status < 0 ? 0 : status,
        .body = rig->body,
        .results = status >= 200 && status < 300 ? rig->results : NULL,
    };

    if (rig->retry_after_ms && !(status >= 200 && status < 300)) {
        answer.has_retry_after = true;
        answer.retry_after_ms = rig->retry_after_ms;
        rig->no_send_before_ms = rig->now_ms + rig->retry_after_ms;
    }
    rig->flying[index] = rig->flying[--rig->flying_count];
    phos__delivery_answer(rig->delivery, rig->now_ms, next_random(rig),
                          &answer);
    check_ledger(rig);
}

/* Goes to the next answer or timer, but not beyond `end_ms`. */
static void advance(struct rig *rig, uint64_t end_ms)
{
    uint64_t next_ms = phos__delivery_due_ms(rig->delivery);

    if (next_ms < end_ms)
        assert_true(next_ms > rig->now_ms); /* else it would spin */
    for (uint32_t i = 0; i < rig->flying_count; i++)
        if (rig->flying[i].due_ms < next_ms)
            next_ms = rig->flying[i].due_ms;
    rig->now_ms = next_ms < end_ms ? next_ms : end_ms;
    for (uint32_t i = rig->flying_count; i-- > 0;)
        if (rig->flying[i].due_ms <= rig->now_ms)
            answer(rig, i);
}

void rig_run(struct rig *rig, uint64_t ms)
{
    uint64_t end_ms = rig->now_ms + ms;

    rig_act(rig);
    while (rig->now_ms < end_ms) {
        advance(rig, end_ms);
        rig_act(rig);
    }
}

uint64_t rig_settle(struct rig *rig, uint64_t ms)
{
    uint64_t begin_ms = rig->now_ms;

    rig_act(rig);
    while (rig->taken < rig->count ||
           phos__delivery_ledger(rig->delivery)->pending > 0) {
        if (rig->now_ms >= begin_ms + ms)
            fail_msg("%u of %u events still pending after %u ms",
                     (unsigned)phos__delivery_ledger(rig->delivery)->pending,
                     rig->count, (unsigned)ms);
        advance(rig, begin_ms + ms);
        rig_act(rig);
    }
    return rig->now_ms - begin_ms;
}

uint32_t rig_count(const struct rig *rig, phos_outcome outcome)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < rig->count; i++)
        count += rig->events[i].verdicts == 1 &&
                 rig->events[i].receipt.outcome == outcome;
    return count;
}
