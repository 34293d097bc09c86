/*
 * sse - how many bytes of an event stream the parser reads in a second, beside
 * the least that must be done: look at every byte once for a line end
 * (memchr), and copy it once (memcpy). The same pieces of memory, in turns.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "measure.h"
#include "wire/sse.h"

enum {
    STREAM_BYTES = 8 << 20, /* more than a second-level cache */
    ROUNDS_MAX = 99,
    LINE_MAX = 1 << 20
};

static const char usage[] =
    "Usage: bench_sse [--rounds N] [--piece BYTES]\n"
    "\n"
    "Reads an event stream of 8 MiB as often as asked (31 times), in pieces "
    "of\n"
    "that size (16384), and compares the rate with memchr and memcpy.\n";

/* Of the parser, on one core. */
static const double rate_min = 500e6;

enum contender { MEMCHR, MEMCPY, PARSER, CONTENDER_COUNT };

static const char *const names[CONTENDER_COUNT] = { "memchr", "memcpy",
                                                    "parser" };

struct bench {
    char *stream;
    size_t bytes;
    uint64_t events; /* in the stream */
    size_t piece_bytes;
};

/* Tokens as a chat service sends them, of one to a few words. */
static void write_stream(struct bench *bench)
{
    static const char *const words[] = { "a", "token", " of the", " answer,",
                                         " and \\u00e9 more words than one" };

    bench->stream = malloc(STREAM_BYTES + 512);
    if (!bench->stream)
        bench_fail("no memory");
    while (bench->bytes < STREAM_BYTES) {
        bench->bytes += (size_t)sprintf(
            bench->stream + bench->bytes,
            "event: token\ndata: {\"type\":\"token\",\"run_id\":"
            "\"4f1c22aa90b3\",\"content\":\"%s\"}\n\n",
            words[bench->events % 5]);
        bench->events++;
    }
}

static uint64_t count_lines(const char *at, size_t bytes)
{
    const char *end = at + bytes;
    uint64_t lines = 0;

    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        lines++;
        at++;
    }
    return lines;
}

static uint64_t count_events(struct phos__sse *sse, phos_str input)
{
    struct phos__sse_event event;
    uint64_t events = 0;

    while (phos__sse_read(sse, &input, &event) == PHOS__SSE_EVENT)
        events += event.data.length > 0;
    return events;
}

/* Reads the stream once; returns bytes a second. */
static double run(const struct bench *bench, enum contender contender)
{
    static char copy[LINE_MAX];
    const phos_allocator none = { 0 };
    bool is_valid;
    phos_allocator allocator = phos__allocator_resolve(&none, &is_valid);
    uint64_t begun_ns = monotonic_ns(), found = 0;
    struct phos__sse sse;

    phos__sse_init(&sse, &allocator, LINE_MAX, LINE_MAX);
    for (size_t at = 0; at < bench->bytes; at += bench->piece_bytes) {
        size_t left = bench->bytes - at;
        size_t bytes = left < bench->piece_bytes ? left : bench->piece_bytes;
        const char *piece = bench->stream + at;

        if (contender == PARSER)
            found += count_events(&sse, phos_str_make(piece, bytes));
        else if (contender == MEMCHR)
            found += count_lines(piece, bytes);
        else
            memcpy(copy, piece, bytes);
        /* What was copied is used. */
        __asm__ volatile("" : : "r"(copy) : "memory");
    }
    phos__sse_deinit(&sse);
    if (contender == PARSER && found != bench->events)
        bench_fail("%" PRIu64 " events in, %" PRIu64 " out", bench->events,
                   found);
    return (double)bench->bytes / (double)(monotonic_ns() - begun_ns) * 1e9;
}

int main(int argc, char **argv)
{
    struct bench bench = { 0 };
    double rates[CONTENDER_COUNT][ROUNDS_MAX], middle[CONTENDER_COUNT];
    uint64_t rounds = option_number(argc, argv, "--rounds", 31);
    struct cpu_mark mark;
    struct cpu_share share;
    const char *verdict;

    bench.piece_bytes = option_number(argc, argv, "--piece", 16384);
    options_end(argc, argv, usage);
    if (rounds == 0 || rounds > ROUNDS_MAX)
        bench_fail("--rounds: 1 to %d", ROUNDS_MAX);
    if (bench.piece_bytes == 0 || bench.piece_bytes > LINE_MAX)
        bench_fail("--piece: 1 to %d", LINE_MAX);
    write_stream(&bench);
    cpu_mark_take(&mark, 0);
    for (uint64_t i = 0; i < rounds; i++)
        for (int j = 0; j < CONTENDER_COUNT; j++)
            rates[j][i] = run(&bench, (enum contender)j);
    share = cpu_share_since(&mark, 0);

    print_machine(false);
    printf("%" PRIu64 " events in %zu bytes, in pieces of %zu bytes; median "
           "of %" PRIu64 " rounds\n",
           bench.events, bench.bytes, bench.piece_bytes, rounds);
    for (int j = 0; j < CONTENDER_COUNT; j++) {
        middle[j] = median(rates[j], rounds);
        printf("%-8s %8.0f MB/s  %5.2fx\n", names[j], middle[j] / 1e6,
               middle[j] / middle[MEMCHR]);
    }
    verdict = load_remark(&share);
    if (!*verdict)
        verdict = middle[PARSER] >= rate_min ? "holds" : "DOES NOT HOLD";
    printf("at least %.0f MB/s: %s\n", rate_min / 1e6, verdict);
    free(bench.stream);
    return 0;
}
