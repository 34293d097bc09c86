#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"

/* Counts what it hands out, and fills it, so that nothing is zero by luck. */
struct counted {
    int allocated;
    int reallocated;
    int released;
    bool is_empty; /* out of memory */
};

static void *counted_allocate(void *user_data, size_t bytes)
{
    struct counted *counted = user_data;
    void *memory;

    if (counted->is_empty)
        return NULL;
    counted->allocated++;
    memory = malloc(bytes);
    if (memory)
        memset(memory, 0xAA, bytes);
    return memory;
}

static void *counted_reallocate(void *user_data, void *memory, size_t bytes)
{
    struct counted *counted = user_data;

    counted->reallocated++;
    return counted->is_empty ? NULL : realloc(memory, bytes);
}

static void counted_release(void *user_data, void *memory)
{
    struct counted *counted = user_data;

    counted->released++;
    free(memory);
}

static phos_allocator counting(struct counted *counted)
{
    return (phos_allocator){ counted_allocate, counted_reallocate,
                             counted_release, counted };
}

static void without_functions_malloc_serves(void **state)
{
    const phos_allocator none = { NULL, NULL, NULL, NULL };
    bool is_valid = false;
    phos_allocator allocator = phos__allocator_resolve(&none, &is_valid);
    char *memory;

    (void)state;
    assert_true(is_valid);
    memory = phos__alloc(&allocator, 3);
    assert_non_null(memory);
    memcpy(memory, "abc", 3);
    memory = phos__realloc(&allocator, memory, 1000);
    assert_non_null(memory);
    assert_memory_equal(memory, "abc", 3);
    phos__free(&allocator, memory);
}

static void all_three_functions_are_used_as_given(void **state)
{
    struct counted counted = { 0 };
    phos_allocator given = counting(&counted);
    bool is_valid = false;
    phos_allocator allocator = phos__allocator_resolve(&given, &is_valid);
    void *memory;

    (void)state;
    assert_true(is_valid);
    memory = phos__alloc(&allocator, 3);
    memory = phos__realloc(&allocator, memory, 10);
    phos__free(&allocator, memory);
    assert_int_equal(counted.allocated, 1);
    assert_int_equal(counted.reallocated, 1);
    assert_int_equal(counted.released, 1);
}

static void some_functions_without_the_others_are_invalid(void **state)
{
    struct counted counted = { 0 };

    (void)state;
    for (unsigned given = 1; given < 7; given++) {
        phos_allocator some = counting(&counted);
        bool is_valid = true;

        if (!(given & 1))
            some.allocate = NULL;
        if (!(given & 2))
            some.reallocate = NULL;
        if (!(given & 4))
            some.release = NULL;
        phos__allocator_resolve(&some, &is_valid);
        assert_false(is_valid);
    }
}

static void zeroed_memory_is_zero_and_its_size_is_checked(void **state)
{
    struct counted counted = { 0 };
    phos_allocator allocator = counting(&counted);
    uint8_t *memory = phos__alloc_zeroed(&allocator, 10, 10);

    (void)state;
    assert_non_null(memory);
    for (int i = 0; i < 100; i++)
        assert_int_equal(memory[i], 0);
    phos__free(&allocator, memory);
    assert_null(phos__alloc_zeroed(&allocator, SIZE_MAX / 2, 3));
    assert_int_equal(counted.allocated, 1);
}

static void freeing_null_is_nothing(void **state)
{
    struct counted counted = { 0 };
    phos_allocator allocator = counting(&counted);

    (void)state;
    phos__free(&allocator, NULL);
    assert_int_equal(counted.released, 0);
}

static void a_copied_text_ends_with_nul(void **state)
{
    struct counted counted = { 0 };
    phos_allocator allocator = counting(&counted);
    char *copy = phos__strdup(&allocator, phos_str_make("abcdef", 3));

    (void)state;
    assert_string_equal(copy, "abc");
    phos__free(&allocator, copy);
    copy = phos__strdup(&allocator, phos_str_make(NULL, 0));
    assert_string_equal(copy, "");
    phos__free(&allocator, copy);
}

static void out_of_memory_is_null_everywhere(void **state)
{
    struct counted counted = { .is_empty = true };
    phos_allocator allocator = counting(&counted);

    (void)state;
    assert_null(phos__alloc(&allocator, 1));
    assert_null(phos__alloc_zeroed(&allocator, 1, 1));
    assert_null(phos__realloc(&allocator, NULL, 1));
    assert_null(phos__strdup(&allocator, PHOS_STR("a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_functions_malloc_serves),
        cmocka_unit_test(all_three_functions_are_used_as_given),
        cmocka_unit_test(some_functions_without_the_others_are_invalid),
        cmocka_unit_test(zeroed_memory_is_zero_and_its_size_is_checked),
        cmocka_unit_test(freeing_null_is_nothing),
        cmocka_unit_test(a_copied_text_ends_with_nul),
        cmocka_unit_test(out_of_memory_is_null_everywhere),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
