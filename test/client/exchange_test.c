#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "client/exchange.h"

static struct phos__answers *watched;
static bool was_locked;

/* The linker puts it in the place of the ring's. */
void __wrap_phos__ring_wake(struct phos__ring *ring);

void __wrap_phos__ring_wake(struct phos__ring *ring)
{
    (void)ring;
    was_locked = pthread_mutex_trylock(&watched->lock) == EBUSY;
    if (!was_locked)
        pthread_mutex_unlock(&watched->lock);
}

/* As soon as the lock is free the worker may take the answer and, if it is the
 * last that a client waits for, free the client with its ring. */
static void handing_over_ends_with_the_lock(void **state)
{
    const phos_allocator none = { NULL, NULL, NULL, NULL };
    struct phos__answers answers = { .lock = PTHREAD_MUTEX_INITIALIZER };
    struct phos__exchange exchange = { 0 };
    phos_reply reply = { .exchange = PHOS_EXCHANGE_BROKEN };
    bool is_valid;
    phos_allocator libc = phos__allocator_resolve(&none, &is_valid);

    (void)state;
    watched = &answers;
    assert_true(phos__exchange_init(&exchange, &answers, 1, &libc));
    phos__exchange_reply(&reply, &exchange);
    assert_true(was_locked);
    assert_ptr_equal(answers.first, &exchange);
    phos__exchange_deinit(&exchange, &libc);
}

/* As one that was compiled against an earlier header gives it. */
static void a_shorter_reply_is_read_no_further_than_it_goes(void **state)
{
    struct phos__answers answers = { .lock = PTHREAD_MUTEX_INITIALIZER };
    struct phos__exchange exchange = { .answers = &answers };
    phos_reply reply = { .struct_size = offsetof(phos_reply, obstacle),
                         .exchange = PHOS_EXCHANGE_NOT_SENT,
                         .obstacle = PHOS_OBSTACLE_PROXY };

    (void)state;
    watched = &answers;
    phos__exchange_reply(&reply, &exchange);
    assert_int_equal(exchange.obstacle, PHOS_OBSTACLE_UNKNOWN);
    reply.struct_size = sizeof(reply);
    phos__exchange_reply(&reply, &exchange);
    assert_int_equal(exchange.obstacle, PHOS_OBSTACLE_PROXY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handing_over_ends_with_the_lock),
        cmocka_unit_test(a_shorter_reply_is_read_no_further_than_it_goes),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
