#include "measure.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { NAMES_MAX = 32 };

static const char *names_asked_for[NAMES_MAX];
static size_t name_count;

void bench_fail(const char *format, ...)
{
    va_list arguments;

    fputs("bench: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

uint64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

double ticks_per_ns(void)
{
    static double known;
    uint64_t begin_ns, begin_ticks, ns;

    if (known > 0)
        return known;
    begin_ns = monotonic_ns();
    begin_ticks = ticks_begin();
    do
        ns = monotonic_ns() - begin_ns;
    while (ns < 50000000);
    known = (double)(ticks_end() - begin_ticks) / (double)ns;
    return known;
}

static int compare_samples(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static int compare_values(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_values);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static double percentile_ns(const uint32_t *sorted, size_t count, double share)
{
    size_t index = (size_t)(share * (double)count);

    return sorted[index < count ? index : count - 1] / ticks_per_ns();
}

struct summary summarize(uint32_t *samples, size_t count)
{
    static const double shares[FIGURE_COUNT] = {
        [P50] = 0.5,     [P90] = 0.9,       [P99] = 0.99,
        [P99_9] = 0.999, [P99_99] = 0.9999, [MAXIMUM] = 1
    };
    struct summary summary;
    size_t from = count / 20, to = count - count / 20;
    double sum = 0;

    qsort(samples, count, sizeof(*samples), compare_samples);
    for (size_t i = from; i < to; i++)
        sum += samples[i];
    summary.figure[TRIMMED_MEAN] = sum / (double)(to - from) / ticks_per_ns();
    for (int f = P50; f < FIGURE_COUNT; f++)
        summary.figure[f] = percentile_ns(samples, count, shares[f]);
    return summary;
}

/* ---- who used the processors ---- */

static void system_ticks(struct cpu_mark *mark)
{
    uint64_t user = 0, nice = 0, system = 0, idle, iowait, irq = 0, softirq = 0;
    FILE *file = fopen("/proc/stat", "re");

    mark->steal_ticks = 0;
    if (!file || fscanf(file,
                        "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                        " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
                        &user, &nice, &system, &idle, &iowait, &irq, &softirq,
                        &mark->steal_ticks) != 8)
        bench_fail("cannot read /proc/stat");
    fclose(file);
    mark->busy_ticks = user + nice + system + irq + softirq;
}

static uint64_t process_ticks(pid_t pid)
{
    char path[64], line[1024];
    uint64_t user = 0, system = 0;
    const char *fields;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    file = fopen(path, "re");
    if (!file || !fgets(line, sizeof(line), file))
        bench_fail("cannot read %s", path);
    fclose(file);
    fields = strrchr(line, ')'); /* the name before it may hold anything */
    if (!fields || sscanf(fields + 2,
                          "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u"
                          " %" SCNu64 " %" SCNu64,
                          &user, &system) != 2)
        bench_fail("cannot read %s", path);
    return user + system;
}

static uint64_t own_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

void cpu_mark_take(struct cpu_mark *mark, pid_t helper)
{
    system_ticks(mark);
    mark->own_us = own_us();
    mark->helper_ticks = helper ? process_ticks(helper) : 0;
    mark->at_ns = monotonic_ns();
}

struct cpu_share cpu_share_since(const struct cpu_mark *before, pid_t helper)
{
    struct cpu_share share;
    struct cpu_mark now;
    double tick_s = 1.0 / (double)sysconf(_SC_CLK_TCK);
    double machine_s, busy_s, ours_s;

    cpu_mark_take(&now, helper);
    share.wall_s = (double)(now.at_ns - before->at_ns) / 1e9;
    share.own_cpu_s = (double)(now.own_us - before->own_us) / 1e6;
    machine_s = share.wall_s * (double)sysconf(_SC_NPROCESSORS_ONLN);
    busy_s = (double)(now.busy_ticks - before->busy_ticks) * tick_s;
    ours_s = share.own_cpu_s +
             (double)(now.helper_ticks - before->helper_ticks) * tick_s;
    share.foreign_percent =
        busy_s > ours_s ? 100 * (busy_s - ours_s) / machine_s : 0;
    share.steal_percent = 100 *
                          (double)(now.steal_ticks - before->steal_ticks) *
                          tick_s / machine_s;
    return share;
}

const char *load_remark(const struct cpu_share *share)
{
    static char text[160];

    text[0] = '\0';
    if (share->foreign_percent + share->steal_percent > FOREIGN_PERCENT_MAX)
        snprintf(text, sizeof(text),
                 "does not count: %.0f %% foreign load, %.0f %% stolen,"
                 " more than %.0f %% together",
                 share->foreign_percent, share->steal_percent,
                 FOREIGN_PERCENT_MAX);
    return text;
}

static void processor_name(char *text, size_t bytes)
{
    char line[512];
    const char *value;
    FILE *file = fopen("/proc/cpuinfo", "re");

    snprintf(text, bytes, "unknown processor");
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, "model name", 10) != 0)
            continue;
        value = strchr(line, ':');
        if (value)
            snprintf(text, bytes, "%.*s", (int)strcspn(value + 2, "\n"),
                     value + 2);
        break;
    }
    if (file)
        fclose(file);
}

void print_machine(bool json)
{
    struct utsname system;
    char processor[256];

    processor_name(processor, sizeof(processor));
    uname(&system);
    printf(json ? "  \"machine\": \"%ld x %s, %s %s\",\n"
                : "machine   %ld x %s, %s %s\n",
           sysconf(_SC_NPROCESSORS_ONLN), processor, system.sysname,
           system.release);
    printf(json ? "  \"compiler\": \"%s\",\n" : "compiler  %s\n",
#if defined(__clang__)
           "clang " __clang_version__
#else
           "gcc " __VERSION__
#endif
    );
}

uint64_t private_dirty_bytes(void)
{
    char line[256];
    uint64_t kib = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "re");

    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "Private_Dirty: %" SCNu64 " kB", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib * 1024;
}

/* ---- arguments ---- */

static const char *remember(const char *name)
{
    if (name_count == NAMES_MAX)
        bench_fail("too many options");
    names_asked_for[name_count++] = name;
    return name;
}

uint64_t option_number(int argc, char **argv, const char *name,
                       uint64_t otherwise)
{
    char *end;

    remember(name);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) != 0)
            continue;
        if (i + 1 == argc)
            bench_fail("%s needs a number", name);
        otherwise = strtoull(argv[i + 1], &end, 10);
        if (end == argv[i + 1] || *end)
            bench_fail("%s %s is not a number", name, argv[i + 1]);
    }
    return otherwise;
}

bool option_flag(int argc, char **argv, const char *name)
{
    remember(name);
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return false;
}

void options_end(int argc, char **argv, const char *usage)
{
    for (int i = 1; i < argc; i++) {
        bool known = strncmp(argv[i], "--", 2) != 0;

        for (size_t k = 0; k < name_count; k++)
            known = known || strcmp(argv[i], names_asked_for[k]) == 0;
        if (!known) {
            fputs(usage, strcmp(argv[i], "--help") == 0 ? stdout : stderr);
            exit(strcmp(argv[i], "--help") == 0 ? 0 : 2);
        }
    }
}
