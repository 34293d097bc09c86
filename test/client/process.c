#define _GNU_SOURCE

#include "client/process.h"

#include <dirent.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { HANG_MS = 10000 };

uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool read_field(int thread, const char *field, char *ret_text,
                       size_t text_bytes)
{
    size_t length = strlen(field);
    char path[64], line[256];
    bool is_found = false;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%d/status", thread);
    file = fopen(path, "re");
    while (file && !is_found && fgets(line, sizeof(line), file)) {
        const char *value = line + length;

        if (strncmp(line, field, length) != 0)
            continue;
        is_found = true;
        value += strspn(value, " \t");
        snprintf(ret_text, text_bytes, "%.*s", (int)strcspn(value, "\n"),
                 value);
    }
    if (file)
        fclose(file);
    return is_found;
}

/* Calls fn with the number of each thread until it returns true; returns how
 * many there were up to then. */
static unsigned walk_threads(bool (*fn)(int thread, void *data), void *data)
{
    DIR *directory = opendir("/proc/self/task");
    struct dirent *entry;
    unsigned count = 0;

    assert_non_null(directory);
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        count++;
        if (fn && fn(atoi(entry->d_name), data))
            break;
    }
    closedir(directory);
    return count;
}

unsigned threads_count(void)
{
    return walk_threads(NULL, NULL);
}

void counter_await_below(const atomic_int_fast64_t *counter, int64_t limit)
{
    uint64_t give_up_ms = now_ms() + HANG_MS;

    while (atomic_load(counter) >= limit) {
        if (now_ms() > give_up_ms)
            fail_msg("still %jd", (intmax_t)atomic_load(counter));
        sched_yield();
    }
}

void counter_await(const atomic_int *counter, int least)
{
    uint64_t give_up_ms = now_ms() + HANG_MS;

    while (atomic_load(counter) < least) {
        if (now_ms() > give_up_ms)
            fail_msg("only %d, want %d", atomic_load(counter), least);
        sched_yield();
    }
}

struct wanted {
    const char *name, *field;
    char *text;
    size_t text_bytes;
    unsigned count;
    bool is_found;
};

static bool look_at(int thread, void *data)
{
    struct wanted *wanted = data;
    char name[32];

    if (!read_field(thread, "Name:", name, sizeof(name)) ||
        strcmp(name, wanted->name) != 0)
        return false;
    wanted->count++;
    if (!wanted->field)
        return false;
    wanted->is_found =
        read_field(thread, wanted->field, wanted->text, wanted->text_bytes);
    return wanted->is_found;
}

bool thread_field(const char *name, const char *field, char *ret_text,
                  size_t text_bytes)
{
    struct wanted wanted = { name, field, ret_text, text_bytes, 0, false };

    walk_threads(look_at, &wanted);
    return wanted.is_found;
}

unsigned threads_named(const char *name)
{
    struct wanted wanted = { name, NULL, NULL, 0, 0, false };

    walk_threads(look_at, &wanted);
    return wanted.count;
}

void threads_await_none(const char *name)
{
    uint64_t give_up_ms = now_ms() + HANG_MS;

    while (threads_named(name) > 0) {
        if (now_ms() > give_up_ms)
            fail_msg("%u threads \"%s\"", threads_named(name), name);
        sched_yield();
    }
}

static bool is_awake(int thread, void *data)
{
    char state[32];
    bool *found = data;

    if (thread == gettid() ||
        !read_field(thread, "State:", state, sizeof(state)) || state[0] == 'S')
        return false;
    *found = true;
    return true;
}

void threads_await_sleep(void)
{
    uint64_t give_up_ms = now_ms() + HANG_MS;
    unsigned looks = 0; /* in a row that found nobody awake */

    /* One may wake another that was looked at before. */
    while (looks < 2) {
        bool found = false;

        walk_threads(is_awake, &found);
        looks = found ? 0 : looks + 1;
        if (found && now_ms() > give_up_ms)
            fail_msg("a thread does not fall asleep");
        sched_yield();
    }
}
