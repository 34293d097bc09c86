#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/repeat.h"

enum { NEVER = -1 };

static int64_t wait_of(const phos_retry *retry, struct phos__repeat_ask ask)
{
    uint64_t wait_ms = 42;

    if (!phos__repeat_next(retry, &ask, &wait_ms)) {
        assert_int_equal(wait_ms, 42); /* a refusal leaves results alone */
        return NEVER;
    }
    return (int64_t)wait_ms;
}

static bool is_repeated(phos_retry retry, phos_exchange exchange, int status,
                        bool is_safe)
{
    return wait_of(&retry, (struct phos__repeat_ask){ .attempts = 1,
                                                      .exchange = exchange,
                                                      .http_status = status,
                                                      .is_safe = is_safe }) !=
           NEVER;
}

static bool is_one_of(int status, const int *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == status)
            return true;
    return false;
}

static void every_status_is_judged_as_documented(void **state)
{
    static const int passing[] = { 429, 500, 502, 503, 504, 408 };

    (void)state;
    for (int status = 100; status < 1000; status++) {
        assert_int_equal(is_repeated(phos_retry_default(),
                                     PHOS_EXCHANGE_ANSWERED, status, true),
                         is_one_of(status, passing, 6));
        assert_int_equal(is_repeated(phos_retry_backoff(1, 50, 1.1, 100),
                                     PHOS_EXCHANGE_ANSWERED, status, false),
                         is_one_of(status, passing, 5));
        assert_false(is_repeated(phos_retry_default(), PHOS_EXCHANGE_ANSWERED,
                                 status, false));
        assert_false(is_repeated(phos_retry_never(), PHOS_EXCHANGE_ANSWERED,
                                 status, true));
    }
}

static void connections_that_fail_are_judged_as_documented(void **state)
{
    static const struct {
        phos_exchange exchange;
        bool safe, unsafe, backoff, backoff_with_connections;
    } rows[] = {
        { PHOS_EXCHANGE_NOT_SENT, true, true, false, true },
        { PHOS_EXCHANGE_BROKEN, true, false, false, true },
        { PHOS_EXCHANGE_STALLED, true, false, false, true },
        { PHOS_EXCHANGE_CANCELLED, false, false, false, false },
        { PHOS_EXCHANGE_REFUSED, false, false, false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        phos_retry backoff = phos_retry_backoff(1, 50, 1.1, 100);
        phos_exchange how = rows[i].exchange;

        assert_int_equal(is_repeated(phos_retry_default(), how, 0, true),
                         rows[i].safe);
        assert_int_equal(is_repeated(phos_retry_default(), how, 0, false),
                         rows[i].unsafe);
        assert_int_equal(is_repeated(backoff, how, 0, true), rows[i].backoff);
        backoff.connection_errors = true;
        assert_int_equal(is_repeated(backoff, how, 0, true),
                         rows[i].backoff_with_connections);
        assert_false(is_repeated(phos_retry_never(), how, 0, true));
    }
}

static struct phos__repeat_ask unavailable(uint32_t attempts, uint64_t random)
{
    return (struct phos__repeat_ask){ .attempts = attempts,
                                      .exchange = PHOS_EXCHANGE_ANSWERED,
                                      .http_status = 503,
                                      .is_safe = true,
                                      .random = random };
}

static void waits_double_up_to_their_longest(void **state)
{
    static const int64_t longest_ms[] = { 500, 1000, 2000, 4000, 8000, 8000 };
    phos_retry retry = phos_retry_default();

    (void)state;
    retry.attempts_max = 0;
    for (uint32_t i = 0; i < 6; i++) {
        uint64_t top = (uint64_t)longest_ms[i];

        assert_int_equal(wait_of(&retry, unavailable(i + 1, top)),
                         longest_ms[i]);
        assert_int_equal(wait_of(&retry, unavailable(i + 1, top + 1)), 0);
        assert_int_equal(wait_of(&retry, unavailable(i + 1, 7)), 7);
    }
    assert_int_equal(wait_of(&retry, unavailable(UINT32_MAX, 8000)), 8000);
}

static void a_services_wish_is_a_floor(void **state)
{
    phos_retry retry = phos_retry_default();
    struct phos__repeat_ask ask = unavailable(1, 3);

    (void)state;
    ask.retry_after_ms = 120000;
    assert_int_equal(wait_of(&retry, ask), 120000);
    ask.retry_after_ms = 2;
    assert_int_equal(wait_of(&retry, ask), 3);
}

static void attempts_and_time_have_an_end(void **state)
{
    phos_retry retry = phos_retry_default();
    struct phos__repeat_ask ask = unavailable(3, 0);

    (void)state;
    assert_int_equal(wait_of(&retry, ask), 0);
    ask.attempts = 4;
    assert_int_equal(wait_of(&retry, ask), NEVER);
    retry = phos_retry_backoff(1, 50, 1.1, 100);
    ask.attempts = 1000;
    ask.elapsed_ms = 100;
    assert_int_equal(wait_of(&retry, ask), 50);
    ask.elapsed_ms = 101;
    assert_int_equal(wait_of(&retry, ask), NEVER);
}

/* initial * exponent^n + up to a second, all of it at most max. */
static void backoff_waits_by_its_formula(void **state)
{
    static const struct {
        uint32_t attempts;
        uint64_t random;
        int64_t wait_ms;
    } rows[] = { { 1, 0, 500 },      { 1, 1000, 1500 }, { 1, 1001, 500 },
                 { 2, 0, 750 },      { 3, 0, 1125 },    { 4, 250, 1687 + 250 },
                 { 100, 0, 60000 },  { 12, 0, 43248 },  { 12, 1000, 44248 },
                 { 13, 1000, 60000 } };
    phos_retry retry = phos_retry_backoff(500, 60000, 1.5, 3600000);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(
            wait_of(&retry, unavailable(rows[i].attempts, rows[i].random)),
            rows[i].wait_ms);
    /* With the values of flux0's own example it is 50 ms at every turn of the
     * dice but the lowest. */
    retry = phos_retry_backoff(1, 50, 1.1, 100);
    assert_int_equal(wait_of(&retry, unavailable(1, 49)), 50);
    assert_int_equal(wait_of(&retry, unavailable(1, 1000)), 50);
    assert_int_equal(wait_of(&retry, unavailable(1, 0)), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_is_judged_as_documented),
        cmocka_unit_test(connections_that_fail_are_judged_as_documented),
        cmocka_unit_test(waits_double_up_to_their_longest),
        cmocka_unit_test(a_services_wish_is_a_floor),
        cmocka_unit_test(attempts_and_time_have_an_end),
        cmocka_unit_test(backoff_waits_by_its_formula),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
