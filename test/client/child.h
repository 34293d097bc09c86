/*
 * child - what tests do with processes of their own.
 */
#ifndef TEST_CLIENT_CHILD_H
#define TEST_CLIENT_CHILD_H

#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

/* In a child: ends it, with the reason on standard error, unless it holds.
 * cmocka's own assertions would go on with the parent's tests. */
#define CHILD_CHECK(condition)                                              \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            _exit(99);                                                      \
        }                                                                   \
    } while (0)

/*
 * Forks; what a child does next may allocate. Under the address sanitizer it
 * waits until every other thread sleeps: the sanitizer's allocator has locks
 * that a child inherits as they are, and nobody would ever open them.
 */
pid_t child_fork(void);

/* In a child: it hangs no longer than the parent would wait, and leaves no
 * core behind. */
void child_begin(void);

/* A child that runs this program again with those arguments. */
pid_t child_spawn(char *const arguments[]);
/* Waits; returns its exit code, or 128 + the signal that ended it. */
int child_wait(pid_t child);

#endif
