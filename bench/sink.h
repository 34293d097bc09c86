/*
 * sink - the far end of the benchmarks: a process of its own that takes
 * ingestion batches on loopback and answers 201 as fast as one thread can. It
 * checks what it is sent as far as counting goes, so that a benchmark cannot
 * mistake failures for speed.
 */
#ifndef BENCH_SINK_H
#define BENCH_SINK_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

/* What the sink has seen; written by it, read by the benchmark. */
struct sink_counts {
    _Atomic uint64_t connections;
    _Atomic uint64_t requests;     /* answered with 201 */
    _Atomic uint64_t bad_requests; /* no POST of JSON with one length and a key,
                                      or a body that is no batch */
    _Atomic uint64_t events;
    _Atomic uint64_t body_bytes;
};

struct sink {
    pid_t pid;
    uint16_t port;
    struct sink_counts *counts; /* shared with the process */
};

/* Starts it; to be called before the program has threads. */
void sink_start(struct sink *sink);
void sink_stop(struct sink *sink);

#endif
