#define _GNU_SOURCE

#include "client/child.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "client/process.h"

enum { HANG_SECONDS = 60 };

void child_begin(void)
{
    const struct rlimit none = { 0, 0 };

    setrlimit(RLIMIT_CORE, &none);
    alarm(HANG_SECONDS);
}

pid_t child_fork(void)
{
    pid_t child;

    fflush(NULL); /* else both would write the same lines */
    if (UNDER_ADDRESS_SANITIZER)
        threads_await_sleep();
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        child_begin();
    return child;
}

pid_t child_spawn(char *const arguments[])
{
    pid_t child;

    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    execv("/proc/self/exe", arguments);
    _exit(98);
}

int child_wait(pid_t child)
{
    int status = 0;

    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
