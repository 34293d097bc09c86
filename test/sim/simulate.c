/*
 * simulate - drives the library through seeded schedules on a virtual clock.
 *
 *   simulate [--schedules N] [--seed S] [--bug NAME] [--verbose]
 *   simulate --hunt             each planted bug, in a process of its own
 *   PHOS_SEED=n simulate        one schedule, with its trace
 *
 * Speaks TAP. A failure prints the seed, what was violated and the end of the
 * trace.
 */
#define _GNU_SOURCE

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/seeded.h"
#include "sim/schedule.h"

enum { REPLAYS = 25, HUNT_SCHEDULES = 2000 };

/* Of a process that hunts. */
enum { EXIT_FOUND = 0, EXIT_NOT_FOUND = 1, EXIT_BROKEN = 2 };

static struct stage_set set; /* far too large for a stack */

/* ---- a crash tells its seed ---- */

static void on_crash(int number)
{
    char text[64];
    int length = snprintf(text, sizeof(text), "\n# signal %d at seed %llu\n",
                          number, (unsigned long long)set.world.seed);

    if (length > 0 && write(STDOUT_FILENO, text, (size_t)length) < 0)
        _exit(EXIT_BROKEN);
    signal(number, SIG_DFL);
    raise(number);
}

/* ---- schedules ---- */

static bool run(uint64_t seed, bool is_verbose)
{
    if (!schedule_run(&set, seed, is_verbose)) {
        printf("Bail out! no memory or descriptor for a schedule\n");
        exit(EXIT_BROKEN);
    }
    return !set.world.has_failed;
}

static void tell_failure(uint64_t seed)
{
    plan_print(&set.plan);
    world_print_trace(&set.world);
    printf("# seed %llu: %s\n", (unsigned long long)seed, set.world.failure);
    printf("# replay: PHOS_SEED=%llu simulate\n", (unsigned long long)seed);
}

/* Returns the how-manieth schedule failed first, from 1; 0: none. */
static uint64_t run_schedules(uint64_t first_seed, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (!run(first_seed + i, false))
            return i + 1;
    return 0;
}

static bool replays_alike(uint64_t first_seed)
{
    for (uint64_t i = 0; i < REPLAYS; i++) {
        uint64_t hash;

        run(first_seed + i, false);
        hash = set.world.hash;
        run(first_seed + i, false);
        if (set.world.hash != hash) {
            printf("# seed %llu has two traces\n",
                   (unsigned long long)(first_seed + i));
            return false;
        }
    }
    return true;
}

static int test_schedules(uint64_t first_seed, uint64_t count)
{
    uint64_t failed;
    bool is_alike;

    printf("1..2\n");
    failed = run_schedules(first_seed, count);
    if (failed)
        tell_failure(first_seed + failed - 1);
    printf("%sok 1 - every promise is kept in %llu schedules from seed %llu\n",
           failed ? "not " : "", (unsigned long long)count,
           (unsigned long long)first_seed);
    is_alike = replays_alike(first_seed);
    printf("%sok 2 - a seed replays to the same trace\n",
           is_alike ? "" : "not ");
    return failed || !is_alike;
}

static int replay(uint64_t seed)
{
    bool is_fine;

    printf("1..1\n");
    is_fine = run(seed, true);
    if (!is_fine)
        printf("# seed %llu: %s\n", (unsigned long long)seed,
               set.world.failure);
    printf("%sok 1 - seed %llu\n", is_fine ? "" : "not ",
           (unsigned long long)seed);
    return !is_fine;
}

/* ---- planted bugs ---- */

#ifdef PHOS_SEEDED_BUGS

static const char *const bug_names[PHOS__BUG_COUNT] = {
    [PHOS__BUG_NONE] = "NONE",
    [PHOS__BUG_LOST_WAKE_UP] = "LOST_WAKE_UP",
    [PHOS__BUG_EARLY_RELEASE] = "EARLY_RELEASE",
    [PHOS__BUG_WRONG_LAP_ACCEPTED] = "WRONG_LAP_ACCEPTED",
    [PHOS__BUG_PREFIX_RELEASED_TWICE] = "PREFIX_RELEASED_TWICE",
    [PHOS__BUG_JITTER_ZERO] = "JITTER_ZERO",
    [PHOS__BUG_RETRY_AFTER_IGNORED] = "RETRY_AFTER_IGNORED",
    [PHOS__BUG_RECEIPT_TWICE] = "RECEIPT_TWICE",
    [PHOS__BUG_WRONG_HALF_BISECTED] = "WRONG_HALF_BISECTED",
    [PHOS__BUG_FEEDBACK_OVERTAKES] = "FEEDBACK_OVERTAKES",
};

static bool plant(const char *name)
{
    for (int bug = 0; bug < PHOS__BUG_COUNT; bug++)
        if (strcmp(name, bug_names[bug]) == 0) {
            phos__seeded_bug = (enum phos__bug)bug;
            return true;
        }
    return false;
}

/* In the child. What a bug breaks may be found by an assertion first; the
 * parent sees that as a signal. */
static int hunt_one(enum phos__bug bug, uint64_t first_seed)
{
    uint64_t failed;

    phos__seeded_bug = bug;
    failed = run_schedules(first_seed, HUNT_SCHEDULES);
    if (failed)
        printf("# schedule %llu, seed %llu: %s\n", (unsigned long long)failed,
               (unsigned long long)(first_seed + failed - 1),
               set.world.failure);
    fflush(stdout);
    return failed ? EXIT_FOUND : EXIT_NOT_FOUND;
}

static bool is_found(enum phos__bug bug, uint64_t first_seed)
{
    pid_t child;
    int status;

    fflush(stdout);
    child = fork();
    if (child == 0)
        _exit(hunt_one(bug, first_seed));
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    return WIFEXITED(status)
               ? WEXITSTATUS(status) == EXIT_FOUND
               : WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static int hunt(uint64_t first_seed)
{
    int missed = 0;

    printf("1..%d\n", (int)PHOS__BUG_COUNT);
    for (int bug = PHOS__BUG_NONE + 1; bug < PHOS__BUG_COUNT; bug++) {
        bool found = is_found((enum phos__bug)bug, first_seed);

        missed += !found;
        printf("%sok %d - %s is found within %d schedules\n",
               found ? "" : "not ", bug, bug_names[bug], (int)HUNT_SCHEDULES);
    }
    if (is_found(PHOS__BUG_NONE, first_seed)) {
        missed++;
        printf("not ");
    }
    printf("ok %d - without a bug nothing is found\n", (int)PHOS__BUG_COUNT);
    return missed > 0;
}

#else

static bool plant(const char *name)
{
    (void)name;
    fprintf(stderr, "simulate: no bugs in this build; see simulate-bugs\n");
    return false;
}

static int hunt(uint64_t first_seed)
{
    (void)first_seed;
    return !plant("");
}

#endif

/* ---- arguments ---- */

static int usage(void)
{
    fprintf(stderr, "usage: simulate [--schedules N] [--seed S] [--bug NAME] "
                    "[--verbose] [--hunt]\n"
                    "       PHOS_SEED=n simulate\n");
    return EXIT_BROKEN;
}

int main(int argument_count, char **arguments)
{
    const char *seed_text = getenv("PHOS_SEED");
    uint64_t count = 1000, first_seed = 1;
    bool is_hunt = false, is_verbose = false;
    int result;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argument_count; i++) {
        const char *value = i + 1 < argument_count ? arguments[i + 1] : NULL;

        if (strcmp(arguments[i], "--verbose") == 0)
            is_verbose = true;
        else if (strcmp(arguments[i], "--hunt") == 0)
            is_hunt = true;
        else if (!value)
            return usage();
        else if (strcmp(arguments[i], "--schedules") == 0)
            count = strtoull(arguments[++i], NULL, 10);
        else if (strcmp(arguments[i], "--seed") == 0)
            first_seed = strtoull(arguments[++i], NULL, 10);
        else if (strcmp(arguments[i], "--bug") == 0 && plant(value))
            i++;
        else
            return usage();
    }
    signal(SIGABRT, on_crash);
    signal(SIGSEGV, on_crash);

    if (is_hunt)
        result = hunt(first_seed);
    else if (seed_text)
        result = replay(strtoull(seed_text, NULL, 10));
    else if (is_verbose && count == 1)
        result = replay(first_seed);
    else
        result = test_schedules(first_seed, count);
    schedule_deinit(&set);
    return result;
}
