#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

#include "ring_rig.h"

/*
 * P2, P10: log calls that are interrupted by a signal whose handler logs as
 * well, and the look of a consumer at what is half done.
 */

static struct rig rig;
static volatile sig_atomic_t handler_accepted; /* events of the handler */
static volatile uint64_t read_count, broken_count;

static void drain(void)
{
    struct phos__ring_item item;

    while (phos__ring_read(&rig.reader, 0, &item)) {
        read_count = read_count + 1;
        if (!rig_whole(&item))
            broken_count = broken_count + 1;
        phos__ring_finish(&rig.reader, item.position);
    }
    phos__ring_release(&rig.reader);
}

static void install(int signal, void (*handler)(int, siginfo_t *, void *),
                    struct sigaction *ret_old)
{
    struct sigaction action = { .sa_sigaction = handler,
                                .sa_flags = SA_SIGINFO | SA_RESTART };

    sigemptyset(&action.sa_mask);
    assert_int_equal(sigaction(signal, &action, ret_old), 0);
}

static void begin(void)
{
    rig_open(&rig, UINT64_C(0) - 64);
    handler_accepted = 0;
    read_count = 0;
    broken_count = 0;
}

/* ---- at every instruction ---- */

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif

/* The processor's trap flag; TSan's own code cannot be stepped through. */
#if defined(__x86_64__) && !defined(UNDER_TSAN)

#define TRAP_FLAG 0x100

static volatile sig_atomic_t stepping, steps, disturbed_step;

static void start_stepping(int signal, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = context;

    (void)signal;
    (void)info;
    stepping = 1;
    interrupted->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

/* Behind each instruction; at one of them, the handler logs, the consumer comes
 * by, and then wants to be woken by whatever follows. */
static void step(int signal, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = context;

    (void)signal;
    (void)info;
    if (!stepping)
        interrupted->uc_mcontext.gregs[REG_EFL] &= ~(long long)TRAP_FLAG;
    steps = steps + 1;
    if (steps != disturbed_step)
        return;
    if (rig_log(&rig.ring, 24, 54321) == PHOS_OK)
        handler_accepted = handler_accepted + 1;
    drain();
    phos__ring_nap(&rig.reader, phos__ring_tail(&rig.ring));
}

static void log_once_disturbed(void)
{
    phos_status status;
    int error;

    raise(SIGUSR1);
    errno = ENOTTY;
    status = rig_log(&rig.ring, 16, 12345);
    error = errno;
    stepping = 0;
    assert_int_equal(status, PHOS_OK);
    assert_int_equal(error, ENOTTY);
}

static void a_log_call_may_be_interrupted_at_every_instruction(void **state)
{
    struct sigaction old_trap, old_start;

    (void)state;
    begin();
    install(SIGTRAP, step, &old_trap);
    install(SIGUSR1, start_stepping, &old_start);
    disturbed_step = 0;
    do {
        steps = 0;
        read_count = 0;
        handler_accepted = 0;
        disturbed_step = disturbed_step + 1;
        log_once_disturbed();
        drain();
        assert_int_equal(broken_count, 0);
        assert_true(read_count == (uint64_t)handler_accepted + 1);
        assert_true(phos__ring_head(&rig.ring) == phos__ring_tail(&rig.ring));
        phos__ring_awake(&rig.reader);
    } while (steps >= disturbed_step);
    assert_true(steps > 50);
    assert_int_equal(sigaction(SIGTRAP, &old_trap, NULL), 0);
    assert_int_equal(sigaction(SIGUSR1, &old_start, NULL), 0);
    rig_close(&rig);
}

#else

static void a_log_call_may_be_interrupted_at_every_instruction(void **state)
{
    (void)state;
    print_message("# needs the trap flag of x86-64, without TSan\n");
}

#endif

/* ---- by another thread, wherever it hits ---- */

static _Atomic bool storm_over;

static void log_in_handler(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    (void)context;
    if (rig_log(&rig.ring, 40, 77) == PHOS_OK)
        handler_accepted = handler_accepted + 1;
}

static void *storm(void *argument)
{
    pthread_t *target = argument;

    for (int i = 0; i < 20000; i++)
        pthread_kill(*target, SIGUSR2);
    atomic_store(&storm_over, true);
    return NULL;
}

static void a_storm_of_signals_breaks_no_record(void **state)
{
    struct sigaction old_action;
    pthread_t self = pthread_self(), thread;
    uint64_t accepted = 0;

    (void)state;
    begin();
    atomic_store(&storm_over, false);
    install(SIGUSR2, log_in_handler, &old_action);
    assert_int_equal(pthread_create(&thread, NULL, storm, &self), 0);
    while (!atomic_load(&storm_over)) {
        for (int i = 0; i < 16; i++)
            accepted += rig_log(&rig.ring, 64, accepted) == PHOS_OK;
        drain();
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(sigaction(SIGUSR2, &old_action, NULL), 0);

    drain();
    assert_true(handler_accepted > 0);
    assert_int_equal(broken_count, 0);
    assert_true(read_count == accepted + (uint64_t)handler_accepted);
    assert_true(phos__ring_head(&rig.ring) == phos__ring_tail(&rig.ring));
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_call_may_be_interrupted_at_every_instruction),
        cmocka_unit_test(a_storm_of_signals_breaks_no_record),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
