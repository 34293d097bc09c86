/*
 * process - what the kernel says of this process, and waiting for it to say
 * something else: the ends of threads and the freeing of memory are seen only
 * from outside.
 */
#ifndef TEST_CLIENT_PROCESS_H
#define TEST_CLIENT_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_THREAD__)
#define UNDER_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_THREAD_SANITIZER 1
#endif
#endif
#ifndef UNDER_THREAD_SANITIZER
#define UNDER_THREAD_SANITIZER 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ADDRESS_SANITIZER 1
#endif
#endif
#ifndef UNDER_ADDRESS_SANITIZER
#define UNDER_ADDRESS_SANITIZER 0
#endif

uint64_t now_ms(void); /* monotonic */

/* Threads of this process. */
unsigned threads_count(void);
/* Threads of that name. */
unsigned threads_named(const char *name);
/* Waits until no thread but the caller's runs. */
void threads_await_sleep(void);
/* Fails the test when there are still some after 10 s. Threads that curl
 * starts inherit the worker's name. */
void threads_await_none(const char *name);
/* The same for a counter that another thread takes down, or up. */
void counter_await_below(const atomic_int_fast64_t *counter, int64_t limit);
void counter_await(const atomic_int *counter, int least);

/*
 * Finds the thread of that name and copies the line of /proc/…/status that
 * begins with `field` (such as "SigBlk:"), without field and blanks. false: no
 * such thread, or no such line.
 */
bool thread_field(const char *name, const char *field, char *ret_text,
                  size_t text_bytes);

#endif
