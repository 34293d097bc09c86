#include "support.h"

#include "wire/key_set.h"

static const uint8_t seed[16] = "0123456789abcde";

static size_t append_key(struct phos__buffer *buffer, unsigned number)
{
    char key[16];
    size_t offset = buffer->bytes;

    phos__buffer_append(buffer, key,
                        (size_t)snprintf(key, sizeof(key), "%08x", number));
    return offset;
}

/* So many keys of one length that some share the 32 bits of their hash. */
static void different_keys_are_all_new(void **state)
{
    enum { KEYS = 300000 };
    struct phos__buffer buffer;
    struct phos__key_set set;

    (void)state;
    buffer_init_libc(&buffer);
    phos__buffer_append_str(&buffer, PHOS_STR("before"));
    phos__key_set_init(&set, &buffer, seed);
    for (unsigned i = 0; i < KEYS; i++)
        assert_true(phos__key_set_add(&set, append_key(&buffer, i)));
    for (unsigned i = 0; i < KEYS; i++)
        assert_false(phos__key_set_add(&set, append_key(&buffer, i)));
    assert_false(buffer.failed);
    phos__key_set_deinit(&set);
    phos__buffer_deinit(&buffer);
}

static void a_key_is_not_taken_for_its_beginning(void **state)
{
    static const char text[] = "aaaaaaaaaa";
    struct phos__buffer buffer;
    struct phos__key_set set;

    (void)state;
    buffer_init_libc(&buffer);
    phos__key_set_init(&set, &buffer, seed);
    for (size_t length = 1; length < sizeof(text); length++) {
        size_t offset = buffer.bytes;

        phos__buffer_append(&buffer, text, length);
        assert_true(phos__key_set_add(&set, offset));
        assert_false(phos__key_set_add(&set, offset));
    }
    phos__key_set_deinit(&set);
    phos__buffer_deinit(&buffer);
}

static void without_memory_to_grow_the_buffer_is_marked_as_failed(void **state)
{
    struct budget budget = { 100 };
    phos_allocator allocator = budget_allocator(&budget);
    struct phos__buffer buffer;
    struct phos__key_set set;
    unsigned count = 0;

    (void)state;
    phos__buffer_init(&buffer, &allocator);
    assert_true(phos__buffer_reserve(&buffer, 10000));
    budget.left = 0;
    phos__key_set_init(&set, &buffer, seed);
    while (!buffer.failed && count < 1000)
        assert_true(phos__key_set_add(&set, append_key(&buffer, count++)));
    assert_int_equal(count, PHOS__KEY_SET_FIRST / 2 + 1);
    phos__key_set_deinit(&set);
    phos__buffer_deinit(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(different_keys_are_all_new),
        cmocka_unit_test(a_key_is_not_taken_for_its_beginning),
        cmocka_unit_test(without_memory_to_grow_the_buffer_is_marked_as_failed),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
