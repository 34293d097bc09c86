#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "queue/snapshot.h"

enum { WORDS = 40, READS = 200000 };

static _Atomic uint64_t words[WORDS];
static struct phos__snapshot snapshot;

static void what_was_written_is_read(void **state)
{
    uint64_t from[WORDS] = { 0 }, to[WORDS];

    (void)state;
    phos__snapshot_init(&snapshot, words, WORDS);
    phos__snapshot_read(&snapshot, to, sizeof(to));
    assert_memory_equal(to, from, sizeof(to));
    for (uint64_t i = 0; i < WORDS; i++)
        from[i] = i * UINT64_C(0x0123456789abcdef);
    phos__snapshot_write(&snapshot, from, sizeof(from));
    phos__snapshot_read(&snapshot, to, sizeof(to));
    assert_memory_equal(to, from, sizeof(to));
}

static void a_shorter_block_leaves_the_rest_alone(void **state)
{
    uint64_t from[WORDS], to[WORDS];

    (void)state;
    phos__snapshot_init(&snapshot, words, WORDS);
    memset(from, 0x11, sizeof(from));
    phos__snapshot_write(&snapshot, from, sizeof(from));
    memset(from, 0x22, 16);
    phos__snapshot_write(&snapshot, from, 16);
    phos__snapshot_read(&snapshot, to, sizeof(to));
    assert_memory_equal(to, from, sizeof(to));
}

static _Atomic bool stop;

static void *write_on(void *argument)
{
    uint64_t from[WORDS];

    for (uint64_t round = 1; !atomic_load(&stop); round++) {
        for (uint64_t i = 0; i < WORDS; i++)
            from[i] = round * (i + 1);
        phos__snapshot_write(&snapshot, from, sizeof(from));
    }
    return argument;
}

static void no_reader_sees_half_a_write(void **state)
{
    uint64_t torn = 0, backwards = 0, last = 0;
    pthread_t writer;

    (void)state;
    phos__snapshot_init(&snapshot, words, WORDS);
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&writer, NULL, write_on, NULL), 0);
    for (int n = 0; n < READS || last == 0; n++) {
        uint64_t to[WORDS];

        phos__snapshot_read(&snapshot, to, sizeof(to));
        for (uint64_t i = 0; i < WORDS; i++)
            torn += to[i] != to[0] * (i + 1);
        backwards += to[0] < last;
        last = to[0];
    }
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_int_equal(torn, 0);
    assert_int_equal(backwards, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(a_shorter_block_leaves_the_rest_alone),
        cmocka_unit_test(no_reader_sees_half_a_write),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
