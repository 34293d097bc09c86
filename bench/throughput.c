/*
 * throughput - how many events a second arrive at the sink, and what each
 * costs this process, when the application logs as fast as it can. A full ring
 * makes the log call wait, so that nothing is rejected and the worker sets the
 * pace. Counted on both ends.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "measure.h"
#include "samples.h"
#include "target.h"

enum { THREADS_MAX = 16, ROUNDS_MAX = 99, FULL_WAIT_MS = 10000 };

/* With the sink on the same two processors. */
static const double rate_min = 300000;

struct flood {
    phos_client *client;
    const struct samples *samples;
    uint64_t events;
};

static void *produce(void *argument)
{
    const struct flood *flood = argument;

    for (uint64_t i = 0; i < flood->events; i++) {
        phos_status status = phos_client_log(
            flood->client, &flood->samples->events[i % SAMPLE_COUNT], NULL);

        if (status)
            bench_fail("log: %s", phos_status_text(status));
    }
    return NULL;
}

struct result {
    double rate;       /* delivered events a second */
    double cpu_ns;     /* of this process, for each event */
    double batch_fill; /* events in a request */
    double body_bytes; /* of a request */
    struct cpu_share share;
};

static void adjust(phos_options *options, void *user_data)
{
    options->full_wait_ms = FULL_WAIT_MS;
    options->in_flight_max = *(const uint32_t *)user_data;
}

static struct result measure(const struct sink *sink, size_t event_bytes,
                             uint64_t events, unsigned threads,
                             uint32_t in_flight)
{
    uint64_t events_before = sink->counts->events;
    uint64_t requests_before = sink->counts->requests;
    uint64_t bytes_before = sink->counts->body_bytes;
    phos_client *client = target_open(sink, adjust, &in_flight);
    struct samples samples;
    struct flood flood = { client, &samples, events / threads };
    pthread_t ids[THREADS_MAX];
    struct result result;
    struct cpu_mark mark;
    double requests;

    samples_make(&samples, event_bytes);
    cpu_mark_take(&mark, sink->pid);
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, produce, &flood))
            bench_fail("cannot start a thread");
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    if (phos_client_flush(client, PHOS_FLUSH_DELIVERED, 60000))
        bench_fail("flush did not finish");
    result.share = cpu_share_since(&mark, sink->pid);

    events = flood.events * threads;
    target_close(client, sink, events_before, events);
    requests = (double)(sink->counts->requests - requests_before);
    result.rate = (double)events / result.share.wall_s;
    result.cpu_ns = result.share.own_cpu_s * 1e9 / (double)events;
    result.batch_fill = (double)events / requests;
    result.body_bytes =
        (double)(sink->counts->body_bytes - bytes_before) / requests;
    samples_free(&samples);
    return result;
}

static const char usage[] =
    "Usage: throughput [--events N] [--bytes N] [--threads N] [--in-flight N]\n"
    "                  [--rounds N] [--json]\n"
    "\n"
    "Logs as fast as it can towards a server on loopback that answers 201, "
    "and\n"
    "checks that all that was logged has arrived.\n"
    "\n"
    "  --events N     in each round; default 1000000\n"
    "  --bytes N      of an event's texts and integers, 128 and more;\n"
    "                 default 256\n"
    "  --threads N    that log, 1 to 16; default 1\n"
    "  --in-flight N  requests at a time; default 4\n"
    "  --rounds N     1 to 99; the median is what counts; default 5\n"
    "  --json         one JSON object instead of a table\n";

int main(int argc, char **argv)
{
    uint64_t events = option_number(argc, argv, "--events", 1000000);
    size_t bytes = option_number(argc, argv, "--bytes", 256);
    unsigned threads = (unsigned)option_number(argc, argv, "--threads", 1);
    uint32_t in_flight = (uint32_t)option_number(argc, argv, "--in-flight", 4);
    size_t rounds = option_number(argc, argv, "--rounds", 5);
    bool json = option_flag(argc, argv, "--json");
    double rates[ROUNDS_MAX], costs[ROUNDS_MAX], rate, cost;
    struct result last = { 0 };
    struct cpu_share worst = { 0 };
    struct sink sink;
    const char *verdict;

    options_end(argc, argv, usage);
    if (threads < 1 || threads > THREADS_MAX || rounds < 1 ||
        rounds > ROUNDS_MAX || bytes < 128 || events < threads)
        bench_fail("an option is out of range; see --help");
    sink_start(&sink);
    for (size_t r = 0; r < rounds; r++) {
        last = measure(&sink, bytes, events, threads, in_flight);
        rates[r] = last.rate;
        costs[r] = last.cpu_ns;
        if (last.share.foreign_percent + last.share.steal_percent >=
            worst.foreign_percent + worst.steal_percent)
            worst = last.share;
    }
    sink_stop(&sink);

    rate = median(rates, rounds);
    cost = median(costs, rounds);
    verdict = load_remark(&worst);
    if (!*verdict && bytes == 256)
        verdict = rate >= rate_min ? "holds" : "DOES NOT HOLD";
    if (json) {
        printf("{\n");
        print_machine(true);
        printf("  \"bench\": \"throughput\", \"event_bytes\": %zu,"
               " \"threads\": %u, \"in_flight\": %u, \"events\": %" PRIu64
               ", \"rounds\": %zu,\n"
               "  \"events_per_s\": %.0f, \"events_per_s_min\": %.0f,"
               " \"events_per_s_max\": %.0f, \"cpu_ns_per_event\": %.1f,\n"
               "  \"batch_fill\": %.1f, \"body_bytes\": %.0f,"
               " \"foreign_percent\": %.2f, \"steal_percent\": %.2f,"
               " \"verdict\": \"%s\"\n}\n",
               bytes, threads, in_flight, events, rounds, rate, rates[0],
               rates[rounds - 1], cost, last.batch_fill, last.body_bytes,
               worst.foreign_percent, worst.steal_percent, verdict);
        return 0;
    }
    print_machine(false);
    printf("\n%zu B, %u thread%s, %u in flight, %" PRIu64
           " events, %zu rounds: all arrived, all 201\n",
           bytes, threads, threads > 1 ? "s" : "", in_flight, events, rounds);
    printf("delivered   %.0f events/s (%.0f to %.0f)\n", rate, rates[0],
           rates[rounds - 1]);
    printf("CPU         %.0f ns an event, this process\n", cost);
    printf("requests    %.1f events, %.0f B of body each\n", last.batch_fill,
           last.body_bytes);
    if (bytes == 256)
        printf("at least %.0f events/s: %s", rate_min, verdict);
    printf("   (foreign load up to %.1f %%, stolen %.1f %%)\n",
           worst.foreign_percent, worst.steal_percent);
    return 0;
}
