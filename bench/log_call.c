/*
 * log_call - what phos_client_log() costs its caller, beside the floor, in the
 * same rounds, with the worker alive and delivering to the sink.
 *
 * Each thread makes one call every 5 us, spinning in between, with a nap after
 * every 1,024 calls: a server's request threads, not a flood. The contenders
 * take turns within each round, so that what the machine does meets them all.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "floor.h"
#include "measure.h"
#include "samples.h"
#include "target.h"

enum { THREADS_MAX = 2, ROUNDS_MAX = 99, PERIOD_NS = 5000, NAP_EVERY = 1024 };

enum contender { EMPTY, FLOOR, CALL, CALL_ID, CONTENDER_COUNT };

static const char *const contender_names[CONTENDER_COUNT] = { "empty", "floor",
                                                              "call",
                                                              "call+id" };

/* The whole call may cost three times the floor, net of the timer. */
static const double ratio_max = 3.0;

struct bench {
    phos_client *client;
    struct floor_ring floor;
    struct samples samples;
    pthread_barrier_t barrier;
    enum contender contender;
    size_t calls; /* of each thread, each round */
};

struct producer {
    pthread_t thread;
    struct bench *bench;
    unsigned number;
    uint32_t *ticks; /* one for each call */
    uint64_t rejected;
};

/* Two threads with one period would meet, or miss, each other at every call. */
static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *state >> 33;
}

static uint32_t one_call(struct producer *producer, const phos_event *event)
{
    struct bench *bench = producer->bench;
    phos_status status = PHOS_OK;
    phos_event_id id;
    uint64_t begin = ticks_begin(), end;

    switch (bench->contender) {
    case FLOOR:
        floor_push(&bench->floor, event);
        break;
    case CALL:
        status = phos_client_log(bench->client, event, NULL);
        break;
    case CALL_ID:
        status = phos_client_log(bench->client, event, &id);
        break;
    default:
        break;
    }
    end = ticks_end();
    if (status)
        producer->rejected++;
    return end - begin < UINT32_MAX ? (uint32_t)(end - begin) : UINT32_MAX;
}

static void *produce(void *argument)
{
    static const struct timespec nap = { .tv_nsec = 500000 };
    struct producer *producer = argument;
    struct bench *bench = producer->bench;
    uint64_t period = (uint64_t)(PERIOD_NS * ticks_per_ns());
    uint64_t random = producer->number + 1, due;

    pthread_barrier_wait(&bench->barrier);
    due = ticks_begin();
    for (size_t i = 0; i < bench->calls; i++) {
        if (i % NAP_EVERY == NAP_EVERY - 1) {
            nanosleep(&nap, NULL);
            due = ticks_begin();
        }
        while (ticks_begin() < due)
            spin_hint();
        due += period * 3 / 4 + next_random(&random) % (period / 2);
        producer->ticks[i] =
            one_call(producer, &bench->samples.events[i % SAMPLE_COUNT]);
    }
    return NULL;
}

/* Returns the rejected calls; the samples of all threads end up in `ticks`. */
static uint64_t run_round(struct bench *bench, enum contender contender,
                          unsigned threads, uint32_t *ticks)
{
    struct producer producers[THREADS_MAX];
    uint64_t rejected = 0;

    bench->contender = contender;
    pthread_barrier_init(&bench->barrier, NULL, threads);
    for (unsigned i = 0; i < threads; i++) {
        producers[i] = (struct producer){ .bench = bench,
                                          .number = i,
                                          .ticks = ticks + i * bench->calls };
        if (pthread_create(&producers[i].thread, NULL, produce, &producers[i]))
            bench_fail("cannot start a thread");
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(producers[i].thread, NULL);
        rejected += producers[i].rejected;
    }
    pthread_barrier_destroy(&bench->barrier);
    return rejected;
}

struct result {
    /* The trimmed mean is net of the empty call, but for the empty call's. */
    struct summary median[CONTENDER_COUNT];
    double ratio[CONTENDER_COUNT]; /* of the net trimmed mean to the floor's */
    uint64_t rejected;
    struct cpu_share share;
};

static void settle(struct summary (*all)[CONTENDER_COUNT], size_t rounds,
                   struct result *result)
{
    double values[ROUNDS_MAX];

    for (size_t r = 0; r < rounds; r++)
        for (int c = FLOOR; c < CONTENDER_COUNT; c++)
            all[r][c].figure[TRIMMED_MEAN] -=
                all[r][EMPTY].figure[TRIMMED_MEAN];
    for (int c = EMPTY; c < CONTENDER_COUNT; c++) {
        for (int f = TRIMMED_MEAN; f < FIGURE_COUNT; f++) {
            for (size_t r = 0; r < rounds; r++)
                values[r] = all[r][c].figure[f];
            result->median[c].figure[f] = median(values, rounds);
        }
        for (size_t r = 0; r < rounds; r++)
            values[r] = all[r][c].figure[TRIMMED_MEAN] /
                        all[r][FLOOR].figure[TRIMMED_MEAN];
        result->ratio[c] = median(values, rounds);
    }
}

static struct result measure(const struct sink *sink, size_t event_bytes,
                             unsigned threads, size_t calls, size_t rounds)
{
    static struct summary all[ROUNDS_MAX][CONTENDER_COUNT];
    struct bench bench = { .calls = calls };
    struct result result = { .rejected = 0 };
    size_t sample_count = calls * threads;
    uint32_t *ticks = calloc(sample_count, sizeof(*ticks));
    uint64_t events_before = sink->counts->events, logged = 0;
    phos_options defaults = phos_options_default();
    struct cpu_mark mark;

    if (!ticks)
        bench_fail("out of memory");
    memset(ticks, 1, sample_count * sizeof(*ticks)); /* faulted in now */
    samples_make(&bench.samples, event_bytes);
    floor_make(&bench.floor, defaults.ring_bytes);
    bench.client = target_open(sink, NULL, NULL);

    cpu_mark_take(&mark, sink->pid);
    for (size_t r = 0; r < rounds; r++) {
        for (int c = EMPTY; c < CONTENDER_COUNT; c++) {
            uint64_t rejected =
                run_round(&bench, (enum contender)c, threads, ticks);

            if (c == CALL || c == CALL_ID)
                logged += sample_count - rejected;
            result.rejected += rejected;
            all[r][c] = summarize(ticks, sample_count);
            /* The floor has no consumer beside it; it shall not have ours. */
            phos_client_flush(bench.client, PHOS_FLUSH_DELIVERED, 30000);
        }
    }
    result.share = cpu_share_since(&mark, sink->pid);
    settle(all, rounds, &result);

    target_close(bench.client, sink, events_before, logged);
    floor_free(&bench.floor);
    samples_free(&bench.samples);
    free(ticks);
    return result;
}

static const char *verdict(const struct result *result)
{
    const char *remark = load_remark(&result->share);

    if (*remark)
        return remark;
    return result->ratio[CALL] <= ratio_max ? "holds" : "DOES NOT HOLD";
}

static void print_table(const struct result *result, size_t event_bytes,
                        unsigned threads)
{
    printf("\n%zu B, %u thread%s: ns; tm is the mean of 5..95 %%, net of the"
           " empty call, the rest is raw\n",
           event_bytes, threads, threads > 1 ? "s" : "");
    printf("             tm  x floor    p50    p90    p99  p99.9 p99.99"
           "       max\n");
    for (int c = EMPTY; c < CONTENDER_COUNT; c++) {
        const double *row = result->median[c].figure;

        printf("%-8s %6.1f", contender_names[c], row[TRIMMED_MEAN]);
        if (c == EMPTY)
            printf("        -");
        else
            printf("  %7.2f", result->ratio[c]);
        for (int f = P50; f < MAXIMUM; f++)
            printf(" %6.0f", row[f]);
        printf(" %9.0f\n", row[MAXIMUM]);
    }
    printf("call <= %.1f x floor: %s   (foreign load %.1f %%, stolen %.1f %%,"
           " %" PRIu64 " calls rejected)\n",
           ratio_max, verdict(result), result->share.foreign_percent,
           result->share.steal_percent, result->rejected);
}

static void print_json(const struct result *result, size_t event_bytes,
                       unsigned threads, bool first)
{
    static const char *const names[FIGURE_COUNT] = {
        "tm_ns", "p50_ns", "p90_ns", "p99_ns", "p99_9_ns", "p99_99_ns", "max_ns"
    };

    printf("%s    {\"event_bytes\": %zu, \"threads\": %u,"
           " \"verdict\": \"%s\", \"foreign_percent\": %.2f,"
           " \"steal_percent\": %.2f, \"rejected\": %" PRIu64 ",\n"
           "     \"contenders\": {\n",
           first ? "" : ",\n", event_bytes, threads, verdict(result),
           result->share.foreign_percent, result->share.steal_percent,
           result->rejected);
    for (int c = EMPTY; c < CONTENDER_COUNT; c++) {
        printf("      \"%s\": {", contender_names[c]);
        for (int f = TRIMMED_MEAN; f < FIGURE_COUNT; f++)
            printf("\"%s\": %.1f, ", names[f], result->median[c].figure[f]);
        printf("\"x_floor\": %.3f}%s\n", result->ratio[c],
               c + 1 < CONTENDER_COUNT ? "," : "");
    }
    printf("    }}");
}

static const char usage[] =
    "Usage: log_call [--calls N] [--rounds N] [--json]\n"
    "\n"
    "Measures phos_client_log() beside the floor (the copies, one atomic\n"
    "addition, the coarse clock, one release store), 256 B and 2 KiB, one and\n"
    "two threads. Nothing else should run on the machine.\n"
    "\n"
    "  --calls N   of each thread in each round; default 50000\n"
    "  --rounds N  1 to 99; medians are taken over them; default 5\n"
    "  --json      one JSON object instead of tables\n";

int main(int argc, char **argv)
{
    static const size_t sizes[] = { 256, 2048 };
    size_t calls = option_number(argc, argv, "--calls", 50000);
    size_t rounds = option_number(argc, argv, "--rounds", 5);
    bool json = option_flag(argc, argv, "--json");
    bool first = true;
    struct sink sink;

    options_end(argc, argv, usage);
    if (calls < 100 || rounds < 1 || rounds > ROUNDS_MAX)
        bench_fail("--calls is at least 100, --rounds 1 to %d", ROUNDS_MAX);
    sink_start(&sink);
    if (json)
        printf("{\n");
    print_machine(json);
    if (json)
        printf("  \"bench\": \"log_call\", \"calls\": %zu, \"rounds\": %zu,\n"
               "  \"results\": [\n",
               calls, rounds);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        for (unsigned threads = 1; threads <= THREADS_MAX; threads++) {
            struct result result =
                measure(&sink, sizes[s], threads, calls, rounds);

            if (json)
                print_json(&result, sizes[s], threads, first);
            else
                print_table(&result, sizes[s], threads);
            fflush(stdout);
            first = false;
        }
    }
    if (json)
        printf("\n  ]\n}\n");
    sink_stop(&sink);
    return 0;
}
