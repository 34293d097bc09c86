#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"

/* Refuses to hand out more than `bytes_max` at a time. */
static void *limited_reallocate(void *user_data, void *memory, size_t bytes)
{
    return bytes > *(size_t *)user_data ? NULL : realloc(memory, bytes);
}

static void *limited_allocate(void *user_data, size_t bytes)
{
    return limited_reallocate(user_data, NULL, bytes);
}

static void limited_release(void *user_data, void *memory)
{
    (void)user_data;
    free(memory);
}

static phos_allocator limited(size_t *bytes_max)
{
    return (phos_allocator){ limited_allocate, limited_reallocate,
                             limited_release, bytes_max };
}

static void appended_bytes_stand_one_behind_the_other(void **state)
{
    size_t bytes_max = SIZE_MAX;
    phos_allocator allocator = limited(&bytes_max);
    struct phos__buffer buffer;

    (void)state;
    phos__buffer_init(&buffer, &allocator);
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t bytes[3] = { (uint8_t)i, (uint8_t)(i >> 8),
                             (uint8_t)(i >> 16) };

        phos__buffer_append(&buffer, bytes, sizeof(bytes));
    }
    assert_false(buffer.failed);
    assert_int_equal(buffer.bytes, 300000);
    assert_true(buffer.capacity >= buffer.bytes);
    for (unsigned i = 0; i < 100000; i++) {
        assert_int_equal(buffer.data[3 * i], (uint8_t)i);
        assert_int_equal(buffer.data[3 * i + 1], (uint8_t)(i >> 8));
        assert_int_equal(buffer.data[3 * i + 2], (uint8_t)(i >> 16));
    }
    phos__buffer_deinit(&buffer);
}

static void appending_nothing_needs_no_memory(void **state)
{
    size_t bytes_max = 0;
    phos_allocator allocator = limited(&bytes_max);
    struct phos__buffer buffer;

    (void)state;
    phos__buffer_init(&buffer, &allocator);
    phos__buffer_append(&buffer, NULL, 0);
    phos__buffer_append_str(&buffer, phos_str_make(NULL, 0));
    assert_false(buffer.failed);
    assert_null(buffer.data);
    phos__buffer_deinit(&buffer);
}

static void a_failed_growth_is_remembered_and_changes_nothing(void **state)
{
    size_t bytes_max = 1000;
    phos_allocator allocator = limited(&bytes_max);
    struct phos__buffer buffer;
    static const char text[2000];

    (void)state;
    phos__buffer_init(&buffer, &allocator);
    phos__buffer_append_str(&buffer, PHOS_STR("abc"));
    phos__buffer_append(&buffer, text, sizeof(text));
    assert_true(buffer.failed);
    assert_int_equal(buffer.bytes, 3);
    assert_memory_equal(buffer.data, "abc", 3);

    phos__buffer_append_str(&buffer, PHOS_STR("d"));
    assert_true(buffer.failed); /* until it is cleared */
    phos__buffer_clear(&buffer);
    assert_false(buffer.failed);
    assert_int_equal(buffer.bytes, 0);
    phos__buffer_deinit(&buffer);
}

static void sizes_that_overflow_are_refused(void **state)
{
    size_t bytes_max = SIZE_MAX;
    phos_allocator allocator = limited(&bytes_max);
    struct phos__buffer buffer;

    (void)state;
    phos__buffer_init(&buffer, &allocator);
    phos__buffer_append_str(&buffer, PHOS_STR("abc"));
    assert_false(phos__buffer_reserve(&buffer, SIZE_MAX));
    assert_true(buffer.failed);
    phos__buffer_clear(&buffer);
    assert_false(phos__buffer_reserve(&buffer, SIZE_MAX / 2 + 1));
    assert_true(buffer.failed);
    phos__buffer_deinit(&buffer);
}

static void what_is_reserved_can_be_written_in_place(void **state)
{
    size_t bytes_max = SIZE_MAX;
    phos_allocator allocator = limited(&bytes_max);
    struct phos__buffer buffer;

    (void)state;
    phos__buffer_init(&buffer, &allocator);
    for (size_t more = 1; more < 5000; more = more * 2 + 1) {
        assert_true(phos__buffer_reserve(&buffer, more));
        assert_true(buffer.capacity - buffer.bytes >= more);
        memset(buffer.data + buffer.bytes, 'x', more);
        buffer.bytes += more;
    }
    phos__buffer_deinit(&buffer);
    assert_null(buffer.data);
    phos__buffer_deinit(&buffer); /* takes an empty one */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_bytes_stand_one_behind_the_other),
        cmocka_unit_test(appending_nothing_needs_no_memory),
        cmocka_unit_test(a_failed_growth_is_remembered_and_changes_nothing),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(what_is_reserved_can_be_written_in_place),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
