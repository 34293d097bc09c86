#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/fork.h"

/* Forks `depth` times in a line; 0 when each process has seen what it should,
 * and its descendants as well. */
static int descend(uint32_t parents, int depth)
{
    const volatile uint32_t *page = phos__fork_generation();
    uint32_t own = *page;
    pid_t child;
    int status;

    if (own != parents + 1)
        return 1;
    if (depth == 0)
        return 0;
    child = fork();
    if (child == 0)
        _exit(*page != 0 ? 2 : descend(own, depth - 1));
    if (child < 0 || waitpid(child, &status, 0) != child ||
        !WIFEXITED(status) || *page != own)
        return 3;
    return WEXITSTATUS(status);
}

static void no_generation_comes_again_in_a_line_of_children(void **state)
{
    (void)state;
    assert_int_equal(descend(0, 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_generation_comes_again_in_a_line_of_children),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
