#include "metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 256 };

const char phosd_metrics_type[] =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

/* The last one stands for all others. */
static const unsigned statuses[PHOSD_METRIC_STATUSES] = {
    200, 201, 204, 304, 400, 401, 403, 404, 405, 408,
    411, 413, 414, 415, 429, 431, 500, 501, 503, 0
};

static const uint64_t event_bounds[PHOSD_METRIC_BUCKETS - 1] = {
    1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 4000
};

static const uint64_t us_bounds[PHOSD_METRIC_BUCKETS - 1] = {
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000
};

static void add(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* The route's place, taken at its first request; the place behind the last
 * for none. Paths are literals of the routes' table. */
static unsigned route_index(struct phosd_metrics *metrics, const char *route)
{
    for (unsigned i = 0; route && i < PHOSD_METRIC_ROUTES; i++) {
        const char *there = NULL;

        if (atomic_compare_exchange_strong(&metrics->routes[i], &there,
                                           route) ||
            strcmp(there, route) == 0)
            return i;
    }
    return PHOSD_METRIC_ROUTES;
}

static unsigned status_index(unsigned status)
{
    unsigned i = 0;

    while (i < PHOSD_METRIC_STATUSES - 1 && statuses[i] != status)
        i++;
    return i;
}

static void count_events(struct phosd_metrics *metrics,
                         const struct phosd_exchange *exchange)
{
    switch (exchange->reply.status) {
    case 200:
    case 201:
        add(&metrics->accepted, exchange->events - exchange->duplicates);
        add(&metrics->duplicates, exchange->duplicates);
        break;
    case 400:
        add(&metrics->invalid, exchange->events);
        break;
    case 429:
        add(&metrics->limited, exchange->events);
        break;
    default:
        add(&metrics->unavailable, exchange->events);
    }
}

void phosd_metrics_answered(struct phosd_metrics *metrics,
                            const struct phosd_exchange *exchange)
{
    unsigned status = exchange->reply.status;

    if (status == 0) {
        add(&metrics->unanswered, 1);
        return;
    }
    add(&metrics->requests[route_index(metrics, exchange->route)]
                          [status_index(status)],
        1);
    if (exchange->events > 0)
        count_events(metrics, exchange);
}

static void observe(struct phosd_histogram *histogram, const uint64_t *bounds,
                    uint64_t value)
{
    unsigned i = 0;

    while (i < PHOSD_METRIC_BUCKETS - 1 && value > bounds[i])
        i++;
    add(&histogram->buckets[i], 1);
    add(&histogram->sum, value);
}

void phosd_metrics_committed(struct phosd_metrics *metrics, uint64_t events,
                             uint64_t spent_us)
{
    observe(&metrics->commit_events, event_bounds, events);
    observe(&metrics->commit_us, us_bounds, spent_us);
}

void phosd_metrics_deleted(struct phosd_metrics *metrics, bool by_size,
                           uint64_t events)
{
    add(by_size ? &metrics->deleted_size : &metrics->deleted_age, events);
}

void phosd_metrics_commit_failed(struct phosd_metrics *metrics)
{
    add(&metrics->commits_failed, 1);
}

static void say(struct phos__buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct phos__buffer *buffer, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    phos__buffer_append(buffer, line, strlen(line));
}

static void say_head(struct phos__buffer *buffer, const char *name,
                     const char *type, const char *text)
{
    say(buffer, "# TYPE phosd_%s %s\n# HELP phosd_%s %s\n", name, type, name,
        text);
}

static void say_counter(struct phos__buffer *buffer, const char *name,
                        const char *text, uint64_t value)
{
    say_head(buffer, name, "counter", text);
    say(buffer, "phosd_%s_total %" PRIu64 "\n", name, value);
}

static void say_gauge(struct phos__buffer *buffer, const char *name,
                      const char *text, uint64_t value)
{
    say_head(buffer, name, "gauge", text);
    say(buffer, "phosd_%s %" PRIu64 "\n", name, value);
}

/* A path that ends in '/' takes an id, which is never told. */
static void say_requests(struct phos__buffer *buffer,
                         struct phosd_metrics *metrics)
{
    say_head(buffer, "requests", "counter", "Requests answered.");
    for (unsigned i = 0; i <= PHOSD_METRIC_ROUTES; i++) {
        const char *route =
            i < PHOSD_METRIC_ROUTES ? atomic_load(&metrics->routes[i]) : "none";

        for (unsigned j = 0; route && j < PHOSD_METRIC_STATUSES; j++) {
            uint64_t count = get(&metrics->requests[i][j]);
            char status[16] = "other";
            size_t bytes = strlen(route);
            bool id = bytes > 1 && route[bytes - 1] == '/';

            if (statuses[j] != 0)
                snprintf(status, sizeof(status), "%u", statuses[j]);
            if (count > 0)
                say(buffer,
                    "phosd_requests_total{route=\"%s%s\",status=\"%s\"} "
                    "%" PRIu64 "\n",
                    route, id ? ":id" : "", status, count);
        }
    }
}

static void say_refused(struct phos__buffer *buffer,
                        const struct phosd_metrics *metrics)
{
    static const char name[] = "phosd_events_refused_total";

    say_head(buffer, "events_refused", "counter",
             "Events in requests answered 400, 429 or 503; of a body that is "
             "not JSON none are known.");
    say(buffer, "%s{reason=\"invalid\"} %" PRIu64 "\n", name,
        get(&metrics->invalid));
    say(buffer, "%s{reason=\"limit\"} %" PRIu64 "\n", name,
        get(&metrics->limited));
    say(buffer, "%s{reason=\"unavailable\"} %" PRIu64 "\n", name,
        get(&metrics->unavailable));
}

/* `scale` of the counted units make one of the told ones. The sum is read
 * last, so that it covers what the buckets hold. */
static void say_histogram(struct phos__buffer *buffer, const char *name,
                          const struct phosd_histogram *histogram,
                          const uint64_t *bounds, double scale)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < PHOSD_METRIC_BUCKETS - 1; i++) {
        double bound = (double)bounds[i] / scale;

        count += get(&histogram->buckets[i]);
        /* A number with a point, as OpenMetrics writes them. */
        say(buffer, "phosd_%s_bucket{le=\"%.*f\"} %" PRIu64 "\n", name,
            scale > 1 ? 4 : 1, bound, count);
    }
    count += get(&histogram->buckets[PHOSD_METRIC_BUCKETS - 1]);
    say(buffer,
        "phosd_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n"
        "phosd_%s_count %" PRIu64 "\nphosd_%s_sum %.6f\n",
        name, count, name, count, name, (double)get(&histogram->sum) / scale);
}

static void say_gauges(struct phos__buffer *buffer,
                       const struct phosd_gauges *gauges)
{
    say_gauge(buffer, "writes_waiting", "Requests that wait to be stored.",
              gauges->writes_waiting);
    say_gauge(buffer, "reads_waiting", "Requests that wait to be read for.",
              gauges->reads_waiting);
    say_head(buffer, "database_bytes", "gauge", "Size of the database file.");
    say(buffer, "# UNIT phosd_database_bytes bytes\n");
    say(buffer, "phosd_database_bytes %" PRIu64 "\n", gauges->database_bytes);
    say_head(buffer, "log_bytes", "gauge", "Size of its write-ahead log.");
    say(buffer, "# UNIT phosd_log_bytes bytes\n");
    say(buffer, "phosd_log_bytes %" PRIu64 "\n", gauges->log_bytes);
}

void phosd_metrics_render(struct phosd_metrics *metrics,
                          const struct phosd_gauges *gauges,
                          struct phos__buffer *buffer)
{
    say_head(buffer, "build", "info", "What runs here.");
    say(buffer, "phosd_build_info{version=\"%s\",sqlite=\"%s\"} 1\n",
        PHOS_VERSION_TEXT, gauges->sqlite);
    say_requests(buffer, metrics);
    say_counter(buffer, "requests_unanswered",
                "Requests whose connection ended before an answer stood.",
                get(&metrics->unanswered));
    say_counter(buffer, "events_accepted", "Events stored.",
                get(&metrics->accepted));
    say_counter(buffer, "events_duplicate",
                "Events that were there already, answered like stored ones.",
                get(&metrics->duplicates));
    say_refused(buffer, metrics);
    say_head(buffer, "commit_events", "histogram",
             "Events of one transaction.");
    say_histogram(buffer, "commit_events", &metrics->commit_events,
                  event_bounds, 1);
    say_head(buffer, "commit_duration_seconds", "histogram",
             "Time of one transaction, its sync included.");
    say(buffer, "# UNIT phosd_commit_duration_seconds seconds\n");
    say_histogram(buffer, "commit_duration_seconds", &metrics->commit_us,
                  us_bounds, 1e6);
    say_counter(buffer, "commits_failed",
                "Transactions that failed; their requests were answered 503.",
                get(&metrics->commits_failed));
    say_head(buffer, "events_deleted", "counter",
             "Events that were not to be kept any longer.");
    say(buffer, "phosd_events_deleted_total{reason=\"age\"} %" PRIu64 "\n",
        get(&metrics->deleted_age));
    say(buffer, "phosd_events_deleted_total{reason=\"size\"} %" PRIu64 "\n",
        get(&metrics->deleted_size));
    say_gauges(buffer, gauges);
    say(buffer, "# EOF\n");
}
