/*
 * What phos_client_log() may not do, counted: allocate, or enter the kernel.
 * A million warm calls while the worker is alive and drains, so that the ring
 * wraps many times. Each run is a process of its own.
 *
 * The caller spins while a tenth of the ring is in use: past a quarter it would
 * be right to wake a napping worker, which is a system call. Deep sleep is
 * switched off for the same reason.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <phos/phos.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALL_COUNT = 1000000, WARM_COUNT = 20000 };

/* Of these events, some 400 KiB: a tenth of the ring. */
enum { UNFINISHED_MAX = 1024 };

/* ---- counted allocations ---- */

/* The C library's own functions behind the names that are replaced here. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void *memory);

static _Thread_local uint64_t allocations; /* and releases, of this thread */

void *malloc(size_t bytes)
{
    allocations++;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    allocations++;
    return __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    allocations++;
    return __libc_realloc(memory, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    allocations++;
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t bytes)
{
    allocations++;
    *ret_memory = __libc_memalign(alignment, bytes);
    return *ret_memory ? 0 : ENOMEM;
}

void free(void *memory)
{
    allocations++;
    __libc_free(memory);
}

/* ---- what parent and child share ---- */

struct shared {
    atomic_bool begun;
    atomic_bool done;
    uint64_t accepted;
    uint64_t opening_allocations;
    uint64_t allocations;
};

static struct shared *shared;

static int make_shared(void **state)
{
    (void)state;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED;
}

static int free_shared(void **state)
{
    (void)state;
    return munmap(shared, sizeof(*shared));
}

/* ---- a client whose service is a function ---- */

static phos_status answer_at_once(void *user_data, const phos_request *request,
                                  phos_reply_fn *on_reply, void *reply_data)
{
    phos_reply reply = { .struct_size = sizeof(reply),
                         .exchange = PHOS_EXCHANGE_ANSWERED,
                         .http_status = 201,
                         .bytes_sent = request->body.length };

    (void)user_data;
    on_reply(&reply, reply_data);
    return PHOS_OK;
}

static void nothing_to_cancel(void *user_data, uint64_t id, void *reply_data)
{
    (void)user_data;
    (void)id;
    (void)reply_data;
}

static const phos_transport transport = { .struct_size = sizeof(transport),
                                          .submit = answer_at_once,
                                          .cancel = nothing_to_cancel };

static _Atomic uint64_t finished; /* events with a verdict */

static void count_receipts(const phos_receipt *receipts, size_t count,
                           void *user_data)
{
    (void)receipts;
    (void)user_data;
    finished += count;
}

static phos_client *open_client(void)
{
    phos_options options = phos_options_default();
    phos_client *client;

    options.endpoint = PHOS_STR("http://127.0.0.1:9");
    options.api_key = PHOS_STR("ph_test");
    options.use_environment = false;
    options.linger_ms = 0;
    options.deep_sleep_after_ms = PHOS_NEVER_MS;
    options.transport = &transport;
    options.on_receipts = count_receipts;
    return phos_client_open(&options, &client) == PHOS_OK ? client : NULL;
}

/* Returns how many events were accepted. Kinds of events and of calls take
 * turns, feedback among them. */
static uint64_t log_many(phos_client *client, uint64_t count)
{
    static const phos_str tags[] = { { "prod", 4 }, { "eu", 2 } };
    phos_pair pairs[2] = { phos_pair_text(PHOS_STR("release"),
                                          PHOS_STR("2024.11")),
                           phos_pair_number(PHOS_STR("score"), 0.25) };
    phos_event plain = phos_event_default(), rich;
    phos_event_id id;
    uint64_t accepted = 0;
    const uint64_t before = finished; /* nothing of earlier calls is left */

    plain.input = PHOS_STR("How tall is K2, and who climbed it first?");
    plain.output = PHOS_STR("8,611 m; Compagnoni and Lacedelli, in 1954.");
    plain.session_id = PHOS_STR("user-7-9c01d2aa");
    plain.latency_ms = 412;
    rich = plain;
    rich.model = PHOS_STR("m-1");
    rich.cost_cents = 0.4;
    rich.tags = tags;
    rich.tag_count = 2;
    rich.pairs = pairs;
    rich.pair_count = 2;
    rich.metadata_json = PHOS_STR("{\"nested\":{\"deep\":[1,2,3]}}");

    for (uint64_t i = 0; i < count; i++) {
        while (accepted - (finished - before) >= UNFINISHED_MAX)
            ;
        accepted += phos_client_log(client, i % 4 ? &plain : &rich,
                                    i % 2 ? &id : NULL) == PHOS_OK;
        if (i % 64 == 1 && phos_client_feedback(client, &id, PHOS_FLAG_SUCCESS,
                                                PHOS_STR("as asked"),
                                                PHOS_STR("judge")) != PHOS_OK)
            _exit(4);
    }
    while (finished - before < accepted)
        ;
    return accepted;
}

/* What every child does; `arm` comes between the warm-up and the calls that
 * count. */
static _Noreturn void run_child(void (*arm)(void), uint64_t count)
{
    phos_client *client = open_client();

    if (!client || log_many(client, WARM_COUNT) != WARM_COUNT)
        _exit(2);
    shared->opening_allocations = allocations;
    arm();
    atomic_store(&shared->begun, true);
    allocations = 0;
    shared->accepted = log_many(client, count);
    shared->allocations = allocations;
    atomic_store(&shared->done, true);
    _exit(0);
}

static void assert_whole_run(void)
{
    assert_true(atomic_load(&shared->done));
    assert_int_equal(shared->accepted, CALL_COUNT);
}

/* ---- no allocation ---- */

static void arm_nothing(void)
{
}

static void a_million_warm_calls_allocate_nothing(void **state)
{
    pid_t child;
    int status;

    (void)state;
    memset(shared, 0, sizeof(*shared));
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_child(arm_nothing, CALL_COUNT);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_whole_run();
    assert_int_equal(shared->allocations, 0);
    /* The counter sees what libphos allocates: opening a client does. */
    assert_true(shared->opening_allocations > 0);
}

/* ---- no system call, counted ---- */

static void arm_tracing(void)
{
    /* Holds for the calling thread alone; the worker runs free. */
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
        _exit(3);
    raise(SIGSTOP);
}

static void arm_tracing_and_call(void)
{
    arm_tracing();
    atomic_store(&shared->begun, true);
    syscall(SYS_getppid);
}

/* Returns the system calls between `begun` and `done`; *ret_number is the
 * first one's. */
static uint64_t count_calls(pid_t child, int *ret_status, long *ret_number)
{
    struct __ptrace_syscall_info info;
    uint64_t calls = 0;
    int pass_on = 0;

    assert_int_equal(waitpid(child, ret_status, 0), child);
    assert_true(WIFSTOPPED(*ret_status));
    assert_int_equal(ptrace(PTRACE_SETOPTIONS, child, NULL,
                            PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL),
                     0);
    for (;;) {
        assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, pass_on), 0);
        assert_int_equal(waitpid(child, ret_status, 0), child);
        if (!WIFSTOPPED(*ret_status))
            return calls;
        pass_on = 0;
        if (WSTOPSIG(*ret_status) != (SIGTRAP | 0x80)) {
            pass_on = WSTOPSIG(*ret_status);
            continue;
        }
        if (!atomic_load(&shared->begun) || atomic_load(&shared->done))
            continue;
        assert_true(ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof(info),
                           &info) > 0);
        if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
            continue;
        if (calls++ == 0)
            *ret_number = (long)info.entry.nr;
    }
}

static void a_million_warm_calls_make_no_system_call(void **state)
{
    long number = -1;
    uint64_t calls;
    pid_t child;
    int status;

    (void)state;
    memset(shared, 0, sizeof(*shared));
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_child(arm_tracing, CALL_COUNT);
    calls = count_calls(child, &status, &number);
    assert_int_equal(status, 0);
    assert_whole_run();
    if (calls)
        print_message("# the first of %llu system calls has number %ld\n",
                      (unsigned long long)calls, number);
    assert_int_equal(calls, 0);
}

static void the_count_sees_a_system_call(void **state)
{
    long number = -1;
    pid_t child;
    int status;

    (void)state;
    memset(shared, 0, sizeof(*shared));
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_child(arm_tracing_and_call, WARM_COUNT);
    assert_int_equal(count_calls(child, &status, &number), 1);
    assert_int_equal(number, SYS_getppid);
}

/* ---- no system call, on pain of death ---- */

static void arm_filter(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
    };
    struct sock_fprog program = { sizeof(rules) / sizeof(rules[0]), rules };

    /* For the calling thread alone: the worker goes on making system calls. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
        _exit(3);
}

static void arm_filter_and_call(void)
{
    arm_filter();
    syscall(SYS_getppid);
}

static int run_filtered(void (*arm)(void))
{
    int status;
    pid_t child;

    memset(shared, 0, sizeof(*shared));
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_child(arm, CALL_COUNT);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_million_warm_calls_live_under_a_filter_that_kills(void **state)
{
    (void)state;
    assert_int_equal(run_filtered(arm_filter), 0);
    assert_whole_run();
}

static void the_filter_kills_at_a_system_call(void **state)
{
    int status = run_filtered(arm_filter_and_call);

    (void)state;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
    assert_false(atomic_load(&shared->begun));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_warm_calls_allocate_nothing),
        cmocka_unit_test(a_million_warm_calls_make_no_system_call),
        cmocka_unit_test(the_count_sees_a_system_call),
        cmocka_unit_test(a_million_warm_calls_live_under_a_filter_that_kills),
        cmocka_unit_test(the_filter_kills_at_a_system_call)
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_shared, free_shared);
}
