#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "ring_rig.h"

static struct rig rig;

/* Whether a line of smaps is the first one of a mapping: an address. */
static bool begins_mapping(const char *line)
{
    return strspn(line, "0123456789abcdef") > 7;
}

/* How many of the rings' mappings have a flag. */
static unsigned mappings_with_flag(const char *flag)
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    bool in_ring = false;
    unsigned count = 0;
    char line[512];

    assert_non_null(smaps);
    while (fgets(line, sizeof(line), smaps)) {
        if (begins_mapping(line))
            in_ring = strstr(line, "phos-ring") != NULL;
        else if (in_ring && strncmp(line, "VmFlags:", 8) == 0)
            count += strstr(line, flag) != NULL;
    }
    fclose(smaps);
    return count;
}

static void the_mapping_is_not_inherited_and_leaves_no_descriptor(void **state)
{
    int before = dup(0), after;
    int child_status;
    pid_t child;

    (void)state;
    close(before);
    rig_open(&rig, 0);
    after = dup(0);
    close(after);
    assert_int_equal(after, before + 1);            /* the rig's eventfd only */
    assert_int_equal(mappings_with_flag(" dc"), 2); /* do not copy on fork */

    child = fork();
    if (child == 0)
        _exit(msync(rig.ring.shared, rig.ring.mapped_bytes, MS_ASYNC) == 0);
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &child_status, 0), child);
    assert_true(WIFEXITED(child_status));
    assert_int_equal(WEXITSTATUS(child_status), 0);
    rig_close(&rig);
    assert_int_equal(mappings_with_flag(" "), 0);
}

/* Kilobytes of the rings' mappings, by a line's name: "Size:", "Rss:". */
static unsigned long mapped_kb(const char *name)
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    unsigned long sum = 0;
    bool in_ring = false;
    char line[512];

    assert_non_null(smaps);
    while (fgets(line, sizeof(line), smaps)) {
        if (begins_mapping(line))
            in_ring = strstr(line, "phos-ring") != NULL;
        else if (in_ring && strncmp(line, name, strlen(name)) == 0)
            sum += strtoul(line + strlen(name), NULL, 10);
    }
    fclose(smaps);
    return sum;
}

static void a_fresh_ring_has_all_its_pages_through_both_views(void **state)
{
    (void)state;
    rig_open(&rig, 0);
    assert_int_equal(mapped_kb("Size:"), rig.ring.mapped_bytes / 1024);
    assert_int_equal(mapped_kb("Rss:"), mapped_kb("Size:"));
    rig_close(&rig);
}

static phos_status open_under_limit(__rlimit_resource_t resource, rlim_t most)
{
    const struct phos__siphash_key id_key = { 1, 2 };
    struct phos__ring ring = { .wake_fd = -7 };
    struct rlimit limit, low;
    phos_status status;

    assert_int_equal(getrlimit(resource, &limit), 0);
    low = (struct rlimit){ .rlim_cur = most, .rlim_max = limit.rlim_max };
    assert_int_equal(setrlimit(resource, &low), 0);
    status = phos__ring_open(&ring, RIG_BYTES, 1, &id_key, -1, 0);
    assert_int_equal(setrlimit(resource, &limit), 0);
    assert_int_equal(ring.wake_fd, -7); /* a failure leaves results alone */
    return status;
}

static void a_ring_that_cannot_be_made_says_so(void **state)
{
    struct phos__ring ring = { 0 };

    (void)state;
    assert_int_equal(open_under_limit(RLIMIT_NOFILE, 0), PHOS_E_SYSTEM);
    /* Here the kernel would end the process with SIGXFSZ. */
    assert_int_equal(open_under_limit(RLIMIT_FSIZE, 4096), PHOS_E_SYSTEM);
    phos__ring_deinit(&ring); /* takes a zeroed one */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mapping_is_not_inherited_and_leaves_no_descriptor),
        cmocka_unit_test(a_fresh_ring_has_all_its_pages_through_both_views),
        cmocka_unit_test(a_ring_that_cannot_be_made_says_so),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
