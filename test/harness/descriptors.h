/*
 * descriptors - what is open in this process, to compare before and after.
 */
#ifndef TEST_HARNESS_DESCRIPTORS_H
#define TEST_HARNESS_DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>

enum { DESCRIPTORS_MAX = 1024 };

struct descriptors {
    size_t count;
    struct descriptor {
        int fd;
        bool closes_on_exec;
        char what[64]; /* as /proc says: "socket:[4711]", a path … */
    } list[DESCRIPTORS_MAX];
};

/* Sorted by number. */
void descriptors_read(struct descriptors *descriptors);
/* Those of `after` that are not in `before`, the same number with another
 * thing behind it included. */
void descriptors_new(const struct descriptors *before,
                     const struct descriptors *after,
                     struct descriptors *ret_new);
/* The first that would survive an exec; NULL: none. */
const struct descriptor *
descriptors_inheritable(const struct descriptors *descriptors);

#endif
