#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "core/dedupe.h"

static phos_allocator libc;
static struct phos__dedupe dedupe;

static const uint8_t *id_of(uint64_t number)
{
    static uint8_t id[16];

    memset(id, 0, sizeof(id));
    memcpy(id, &number, sizeof(number));
    return id;
}

static void the_window_is_exact(void **state)
{
    (void)state;
    phos__dedupe_init(&dedupe, &libc, 5000, 1);
    for (uint64_t i = 0; i < 20000; i++) {
        assert_true(phos__dedupe_add(&dedupe, id_of(i)));
        if (i >= 4999)
            assert_false(phos__dedupe_add(&dedupe, id_of(i - 4999)));
    }
    assert_true(phos__dedupe_add(&dedupe, id_of(15000 - 1)));
    phos__dedupe_deinit(&dedupe);
}

static void an_id_taken_out_may_come_again(void **state)
{
    (void)state;
    phos__dedupe_init(&dedupe, &libc, 100, 1);
    assert_true(phos__dedupe_add(&dedupe, id_of(1)));
    assert_false(phos__dedupe_add(&dedupe, id_of(1)));
    phos__dedupe_remove(&dedupe, id_of(1));
    phos__dedupe_remove(&dedupe, id_of(2)); /* never there */
    assert_true(phos__dedupe_add(&dedupe, id_of(1)));
    assert_false(phos__dedupe_add(&dedupe, id_of(1)));
    phos__dedupe_deinit(&dedupe);
}

static void a_window_of_zero_lets_everything_through(void **state)
{
    (void)state;
    phos__dedupe_init(&dedupe, &libc, 0, 1);
    assert_true(phos__dedupe_add(&dedupe, id_of(1)));
    assert_true(phos__dedupe_add(&dedupe, id_of(1)));
    phos__dedupe_remove(&dedupe, id_of(1));
    phos__dedupe_deinit(&dedupe);
}

/* The same as a list, compared step by step. */
static void it_agrees_with_a_list(void **state)
{
    enum { WINDOW = 64 };
    uint64_t list[WINDOW];
    bool live[WINDOW];
    unsigned first = 0, count = 0;

    (void)state;
    srand(7);
    phos__dedupe_init(&dedupe, &libc, WINDOW, 99);
    for (int step = 0; step < 200000; step++) {
        uint64_t number = (uint64_t)rand() % 150;
        int place = -1;

        for (unsigned i = 0; i < count; i++)
            if (live[(first + i) % WINDOW] &&
                list[(first + i) % WINDOW] == number)
                place = (int)((first + i) % WINDOW);
        if (rand() % 4 == 0) {
            phos__dedupe_remove(&dedupe, id_of(number));
            if (place >= 0)
                live[place] = false;
            continue;
        }
        assert_int_equal(phos__dedupe_add(&dedupe, id_of(number)), place < 0);
        if (place >= 0)
            continue;
        if (count == WINDOW) {
            first = (first + 1) % WINDOW;
            count--;
        }
        list[(first + count) % WINDOW] = number;
        live[(first + count) % WINDOW] = true;
        count++;
    }
    phos__dedupe_deinit(&dedupe);
}

static void *no_memory(void *user_data, size_t bytes)
{
    (void)user_data;
    (void)bytes;
    return NULL;
}

static void without_memory_the_window_stays_as_it_is(void **state)
{
    (void)state;
    phos__dedupe_init(&dedupe, &libc, 5000, 1);
    dedupe.allocator.allocate = no_memory;
    assert_true(phos__dedupe_add(&dedupe, id_of(1)));
    assert_true(phos__dedupe_add(&dedupe, id_of(1))); /* no window at all */
    dedupe.allocator.allocate = libc.allocate;
    for (uint64_t i = 0; i < 1024; i++)
        assert_true(phos__dedupe_add(&dedupe, id_of(i)));
    dedupe.allocator.allocate = no_memory;
    assert_true(phos__dedupe_add(&dedupe, id_of(1024)));
    assert_false(phos__dedupe_add(&dedupe, id_of(1)));
    assert_true(phos__dedupe_add(&dedupe, id_of(0))); /* it made room */
    phos__dedupe_deinit(&dedupe);
}

static int find_allocator(void **state)
{
    const phos_allocator none = { NULL, NULL, NULL, NULL };
    bool is_valid;

    (void)state;
    libc = phos__allocator_resolve(&none, &is_valid);
    return is_valid ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_is_exact),
        cmocka_unit_test(an_id_taken_out_may_come_again),
        cmocka_unit_test(a_window_of_zero_lets_everything_through),
        cmocka_unit_test(it_agrees_with_a_list),
        cmocka_unit_test(without_memory_the_window_stays_as_it_is),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, find_allocator, NULL);
}
