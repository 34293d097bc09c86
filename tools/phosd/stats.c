#include "stats.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/saturate.h"
#include "raw.h"
#include "render.h"
#include "wire/json.h"

static const int64_t SECOND_US = 1000000;
static const double percentiles[3] = { 0.50, 0.95, 0.99 };
static const char *const percentile_names[3] = { "p50", "p95", "p99" };

void phosd_stats_init(struct phosd_stats *stats)
{
    memset(stats, 0, sizeof(*stats));
}

void phosd_stats_deinit(struct phosd_stats *stats)
{
    free(stats->latencies);
}

static size_t buckets_of(const struct phosd_stats_range *range,
                         int64_t width_us)
{
    int64_t span_us = range->to_us - range->from_us / width_us * width_us;

    return span_us <= 0 ? 0 : (size_t)((span_us - 1) / width_us + 1);
}

void phosd_stats_begin(struct phosd_stats *stats,
                       const struct phosd_stats_range *range)
{
    static const int64_t widths_s[] = { 1,    5,    15,   60,    300,   900,
                                        1800, 3600, 7200, 10800, 21600, 43200 };
    int64_t width_us = 0;
    int64_t day_us = 86400 * SECOND_US;

    for (size_t i = 0; i < sizeof(widths_s) / sizeof(widths_s[0]); i++) {
        width_us = widths_s[i] * SECOND_US;
        if (buckets_of(range, width_us) <= PHOSD_STATS_BUCKETS_MAX)
            break;
    }
    /* From days on doubling is as good as any: no calendar fits exactly. */
    if (buckets_of(range, width_us) > PHOSD_STATS_BUCKETS_MAX)
        for (width_us = day_us;
             buckets_of(range, width_us) > PHOSD_STATS_BUCKETS_MAX;
             width_us *= 2)
            continue;
    stats->range = *range;
    stats->width_us = width_us;
    stats->first_us = range->from_us / width_us * width_us;
    stats->bucket_count = buckets_of(range, width_us);
}

/* A number of the metadata; false when it is missing or null. */
static bool number_of(phos_str metadata, phos_str name, double *ret_number)
{
    phos_str raw = phosd_raw_member(metadata, name);
    char text[64];
    double number;
    char *end;

    if (!raw.data || raw.length == 0 || raw.length >= sizeof(text))
        return false;
    memcpy(text, raw.data, raw.length);
    text[raw.length] = '\0';
    number = strtod(text, &end);
    if (end == text || !isfinite(number))
        return false;
    *ret_number = number;
    return true;
}

/* Whole and not negative; below 2^63 so that sums stay what they say. */
static uint64_t count_of(phos_str metadata, phos_str name)
{
    double number;

    if (!number_of(metadata, name, &number) || !(number > 0))
        return 0;
    return number < 9e18 ? (uint64_t)number : UINT64_C(9000000000000000000);
}

static bool is_model(const struct phosd_stats_model *model, phos_str name)
{
    if (!name.data || model->unnamed)
        return !name.data && model->unnamed;
    return model->name_bytes == name.length &&
           memcmp(model->name, name.data, name.length) == 0;
}

/* The model's place, made when new; the last one when there is no room. */
static size_t place_of(struct phosd_stats *stats, phos_str name)
{
    struct phosd_stats_model *model;

    if (name.data && name.length > PHOSD_STATS_NAME_MAX)
        return PHOSD_STATS_MODELS_MAX;
    for (size_t i = 0; i < stats->model_count; i++)
        if (is_model(&stats->models[i], name))
            return i;
    if (stats->model_count == PHOSD_STATS_MODELS_MAX)
        return PHOSD_STATS_MODELS_MAX;
    model = &stats->models[stats->model_count];
    model->unnamed = !name.data;
    if (name.data) {
        memcpy(model->name, name.data, name.length);
        model->name_bytes = name.length;
    }
    return stats->model_count++;
}

static void keep_latency(struct phosd_stats *stats,
                         struct phosd_stats_latency latency)
{
    if (stats->latency_count == stats->latency_capacity) {
        size_t capacity =
            stats->latency_capacity ? 2 * stats->latency_capacity : 1024;
        struct phosd_stats_latency *moved =
            realloc(stats->latencies, capacity * sizeof(*moved));

        if (!moved) {
            stats->failed = true;
            return;
        }
        stats->latencies = moved;
        stats->latency_capacity = capacity;
    }
    stats->latencies[stats->latency_count++] = latency;
}

static void add_group(struct phosd_stats_group *to,
                      const struct phosd_stats_group *one)
{
    to->events += one->events;
    to->success += one->success;
    to->failure += one->failure;
    to->token_count_input =
        phos__add_sat_u64(to->token_count_input, one->token_count_input);
    to->token_count_output =
        phos__add_sat_u64(to->token_count_output, one->token_count_output);
    to->cost_cents += one->cost_cents;
    to->latencies += one->latencies;
}

static bool text_is(phos_str text, const char *word)
{
    return text.data && text.length == strlen(word) &&
           memcmp(text.data, word, text.length) == 0;
}

void phosd_stats_add(struct phosd_stats *stats,
                     const struct phosd_stats_row *row)
{
    struct phosd_stats_group one = { .events = 1 };
    struct phosd_stats_latency latency;
    size_t bucket, model;
    double ms;

    if (row->time_us < stats->range.from_us ||
        row->time_us >= stats->range.to_us)
        return;
    bucket = (size_t)((row->time_us - stats->first_us) / stats->width_us);
    assert(bucket < stats->bucket_count);
    model = place_of(stats, row->model);

    one.success = text_is(row->flag, "success");
    one.failure = text_is(row->flag, "failure");
    one.token_count_input =
        count_of(row->metadata, PHOS_STR("token_count_input"));
    one.token_count_output =
        count_of(row->metadata, PHOS_STR("token_count_output"));
    if (!number_of(row->metadata, PHOS_STR("cost_cents"), &one.cost_cents))
        one.cost_cents = 0;
    if (number_of(row->metadata, PHOS_STR("latency_ms"), &ms) &&
        fabs(ms) < 9e15) {
        one.latencies = 1;
        latency.ms = (int64_t)ms;
        latency.bucket = (uint16_t)bucket;
        latency.model = (uint16_t)model;
        keep_latency(stats, latency);
    }
    add_group(&stats->total, &one);
    add_group(&stats->buckets[bucket], &one);
    add_group(&stats->models[model].group, &one);
}

static int by_latency(const void *left, const void *right)
{
    const struct phosd_stats_latency *a = left, *b = right;

    return (a->ms > b->ms) - (a->ms < b->ms);
}

/* The group's next latency in order: the nearest-rank percentiles are the
 * values at which so many of the group's have passed. */
static void pass(struct phosd_stats_group *group, int64_t ms)
{
    uint64_t before = group->passed++;

    for (size_t i = 0; i < 3; i++) {
        uint64_t rank =
            (uint64_t)ceil(percentiles[i] * (double)group->latencies);

        if (before < rank && group->passed >= rank)
            group->latency_ms[i] = ms;
    }
}

static void find_percentiles(struct phosd_stats *stats)
{
    if (stats->latency_count > 0)
        qsort(stats->latencies, stats->latency_count, sizeof(*stats->latencies),
              by_latency);
    for (size_t i = 0; i < stats->latency_count; i++) {
        const struct phosd_stats_latency *latency = &stats->latencies[i];

        pass(&stats->total, latency->ms);
        pass(&stats->buckets[latency->bucket], latency->ms);
        pass(&stats->models[latency->model].group, latency->ms);
    }
}

static int by_events(const void *left, const void *right)
{
    const struct phosd_stats_model *a = left, *b = right;

    return (a->group.events < b->group.events) -
           (a->group.events > b->group.events);
}

static void count(struct phos__buffer *body, const char *name, uint64_t value)
{
    phosd_render_literal(body, name);
    phos__json_i64(body, value < INT64_MAX ? (int64_t)value : INT64_MAX);
}

static void real(struct phos__buffer *body, const char *name, double value)
{
    phosd_render_literal(body, name);
    if (isfinite(value))
        phos__json_double(body, value);
    else
        phosd_render_literal(body, "null");
}

static void render_group(struct phos__buffer *body,
                         const struct phosd_stats_group *group)
{
    uint64_t judged = group->success + group->failure;

    count(body, "\"events\":", group->events);
    count(body, ",\"token_count_input\":", group->token_count_input);
    count(body, ",\"token_count_output\":", group->token_count_output);
    real(body, ",\"cost_cents\":", group->cost_cents);
    phosd_render_literal(body, ",\"latency_ms\":{");
    for (size_t i = 0; i < 3; i++) {
        phosd_render_literal(body, i > 0 ? ",\"" : "\"");
        phosd_render_literal(body, percentile_names[i]);
        phosd_render_literal(body, "\":");
        if (group->latencies > 0)
            phos__json_i64(body, group->latency_ms[i]);
        else
            phosd_render_literal(body, "null");
    }
    count(body, "},\"success_count\":", group->success);
    count(body, ",\"failure_count\":", group->failure);
    real(body, ",\"success_rate\":",
         judged > 0 ? (double)group->success / (double)judged : NAN);
}

static void render_buckets(const struct phosd_stats *stats,
                           struct phos__buffer *body)
{
    for (size_t i = 0; i < stats->bucket_count; i++) {
        phosd_render_literal(body, i > 0 ? ",{" : "{");
        phosd_render_time(
            body, "\"start\":", stats->first_us + (int64_t)i * stats->width_us);
        phosd_render_literal(body, ",");
        render_group(body, &stats->buckets[i]);
        phosd_render_literal(body, "}");
    }
}

static void render_models(struct phosd_stats *stats, struct phos__buffer *body)
{
    qsort(stats->models, stats->model_count, sizeof(stats->models[0]),
          by_events);
    for (size_t i = 0; i < stats->model_count; i++) {
        const struct phosd_stats_model *model = &stats->models[i];

        phosd_render_literal(body, i > 0 ? ",{\"model\":" : "{\"model\":");
        if (model->unnamed)
            phosd_render_literal(body, "null");
        else
            phos__json_text(body,
                            phos_str_make(model->name, model->name_bytes));
        phosd_render_literal(body, ",");
        render_group(body, &model->group);
        phosd_render_literal(body, "}");
    }
}

void phosd_stats_render(struct phosd_stats *stats, struct phos__buffer *body)
{
    find_percentiles(stats);
    phosd_render_time(body, "{\"from\":", stats->range.from_us);
    phosd_render_time(body, ",\"to\":", stats->range.to_us);
    phosd_render_literal(body, stats->range.complete ? ",\"complete\":true"
                                                     : ",\"complete\":false");
    count(body, ",\"bucket_ms\":", (uint64_t)(stats->width_us / 1000));
    phosd_render_literal(body, ",\"total\":{");
    render_group(body, &stats->total);
    phosd_render_literal(body, "},\"buckets\":[");
    render_buckets(stats, body);
    phosd_render_literal(body, "],\"models\":[");
    render_models(stats, body);
    phosd_render_literal(body, "],\"other_models\":{");
    render_group(body, &stats->models[PHOSD_STATS_MODELS_MAX].group);
    phosd_render_literal(body, "}}\n");
}
