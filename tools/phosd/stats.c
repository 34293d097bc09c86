#include "stats.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "render.h"
#include "wire/json.h"

static const int64_t SECOND_US = 1000000;
static const double percentiles[3] = { 0.50, 0.95, 0.99 };

/* All groups: the total, buckets, models; and of bins, both signs. */
enum {
    FIRST_BUCKET = 1,
    FIRST_MODEL = FIRST_BUCKET + PHOSD_STATS_BUCKETS_MAX + 1,
    GROUPS = FIRST_MODEL + PHOSD_STATS_MODELS_MAX + 1,
    BINS = 2 * PHOSD_BINS
};

static const char *const percentile_names[3] = { "p50", "p95", "p99" };

void phosd_stats_init(struct phosd_stats *stats)
{
    memset(stats, 0, sizeof(*stats));
}

void phosd_stats_deinit(struct phosd_stats *stats)
{
    free(stats->latencies);
    free(stats->bins);
}

static size_t buckets_of(const struct phosd_stats_range *range,
                         int64_t width_us)
{
    int64_t span_us = range->to_us - range->from_us / width_us * width_us;

    return span_us <= 0 ? 0 : (size_t)((span_us - 1) / width_us + 1);
}

int64_t phosd_stats_width_us(const struct phosd_stats_range *range,
                             int64_t least_us)
{
    static const int64_t widths_s[] = { 1,    5,    15,   60,    300,   900,
                                        1800, 3600, 7200, 10800, 21600, 43200 };
    int64_t width_us;

    for (size_t i = 0; i < sizeof(widths_s) / sizeof(widths_s[0]); i++) {
        width_us = widths_s[i] * SECOND_US;
        if (width_us >= least_us &&
            buckets_of(range, width_us) <= PHOSD_STATS_BUCKETS_MAX)
            return width_us;
    }
    /* From days on doubling is as good as any: no calendar fits exactly. */
    for (width_us = 86400 * SECOND_US;
         buckets_of(range, width_us) > PHOSD_STATS_BUCKETS_MAX; width_us *= 2)
        continue;
    return width_us;
}

void phosd_stats_begin(struct phosd_stats *stats,
                       const struct phosd_stats_range *range)
{
    int64_t width_us = phosd_stats_width_us(range, range->least_width_us);

    stats->range = *range;
    stats->width_us = width_us;
    stats->first_us = range->from_us / width_us * width_us;
    stats->bucket_count = buckets_of(range, width_us);
    if (range->least_width_us > 0) {
        stats->bins = calloc((size_t)GROUPS * BINS, sizeof(*stats->bins));
        stats->first_bin = BINS;
        stats->failed = !stats->bins;
    }
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

static void count_bin(struct phosd_stats *stats, size_t bucket, size_t model,
                      const struct phosd_bin *bin)
{
    size_t place = (size_t)(bin->bin + PHOSD_BINS);
    uint64_t count = (uint64_t)bin->count;

    if (!stats->bins)
        return;
    if (place < stats->first_bin)
        stats->first_bin = place;
    if (place > stats->last_bin)
        stats->last_bin = place;
    stats->bins[place] += count;
    stats->bins[(FIRST_BUCKET + bucket) * BINS + place] += count;
    stats->bins[(FIRST_MODEL + model) * BINS + place] += count;
}

static void add_to_groups(struct phosd_stats *stats, size_t bucket,
                          size_t model, const struct phosd_sums *sums,
                          uint64_t latencies)
{
    struct phosd_stats_group *const groups[] = { &stats->total,
                                                 &stats->buckets[bucket],
                                                 &stats->models[model].group };

    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        phosd_sums_add(&groups[i]->sums, sums);
        groups[i]->latencies += latencies;
    }
}

static size_t bucket_of(const struct phosd_stats *stats, int64_t time_us)
{
    size_t bucket =
        time_us < stats->first_us
            ? 0 /* a stretch that begins before the range */
            : (size_t)((time_us - stats->first_us) / stats->width_us);

    assert(bucket < stats->bucket_count);
    return bucket;
}

void phosd_stats_add(struct phosd_stats *stats,
                     const struct phosd_stats_row *row)
{
    struct phosd_measure measure;
    size_t bucket, model;

    if (row->time_us < stats->range.from_us ||
        row->time_us >= stats->range.to_us)
        return;
    bucket = bucket_of(stats, row->time_us);
    model = place_of(stats, row->model);
    phosd_measure(row->metadata, row->flag, &measure);
    add_to_groups(stats, bucket, model, &measure.sums, measure.has_latency);
    if (!measure.has_latency)
        return;
    if (stats->range.least_width_us > 0)
        count_bin(stats, bucket, model,
                  &(struct phosd_bin){ phosd_bin_of(measure.latency_ms), 1 });
    else
        keep_latency(stats, (struct phosd_stats_latency){ measure.latency_ms,
                                                          (uint16_t)bucket,
                                                          (uint16_t)model });
}

void phosd_stats_add_sum(struct phosd_stats *stats,
                         const struct phosd_stats_sum *sum)
{
    struct phosd_bins_cursor cursor = { .bytes = sum->latencies };
    size_t bucket = bucket_of(stats, sum->time_us);
    size_t model =
        sum->others ? PHOSD_STATS_MODELS_MAX : place_of(stats, sum->model);
    uint64_t latencies = 0;
    struct phosd_bin bin;

    while (phosd_bins_next(&cursor, &bin)) {
        latencies += (uint64_t)bin.count;
        count_bin(stats, bucket, model, &bin);
    }
    add_to_groups(stats, bucket, model, &sum->sums, latencies);
}

static int by_latency(const void *left, const void *right)
{
    const struct phosd_stats_latency *a = left, *b = right;

    return (a->ms > b->ms) - (a->ms < b->ms);
}

/* `count` more of the group's latencies in order: the nearest-rank percentiles
 * are the values at which so many of the group's have passed. */
static void pass(struct phosd_stats_group *group, int64_t ms, uint64_t count)
{
    uint64_t before = group->passed;

    group->passed += count;
    for (size_t i = 0; i < 3; i++) {
        uint64_t rank =
            (uint64_t)ceil(percentiles[i] * (double)group->latencies);

        if (before < rank && group->passed >= rank)
            group->latency_ms[i] = ms;
    }
}

/* Pages of bins that nothing is in are not even touched. */
static void pass_bins(const struct phosd_stats *stats, size_t place,
                      struct phosd_stats_group *group)
{
    const uint64_t *bins = stats->bins + place * BINS;

    if (group->latencies == 0)
        return;
    for (size_t i = stats->first_bin; i <= stats->last_bin; i++)
        if (bins[i] > 0)
            pass(group, phosd_bin_value((int32_t)i - PHOSD_BINS), bins[i]);
}

static void find_in_bins(struct phosd_stats *stats)
{
    pass_bins(stats, 0, &stats->total);
    for (size_t i = 0; i < stats->bucket_count; i++)
        pass_bins(stats, FIRST_BUCKET + i, &stats->buckets[i]);
    for (size_t i = 0; i <= PHOSD_STATS_MODELS_MAX; i++)
        pass_bins(stats, FIRST_MODEL + i, &stats->models[i].group);
}

static void find_percentiles(struct phosd_stats *stats)
{
    if (stats->bins)
        find_in_bins(stats);
    if (stats->latency_count > 0)
        qsort(stats->latencies, stats->latency_count, sizeof(*stats->latencies),
              by_latency);
    for (size_t i = 0; i < stats->latency_count; i++) {
        const struct phosd_stats_latency *latency = &stats->latencies[i];

        pass(&stats->total, latency->ms, 1);
        pass(&stats->buckets[latency->bucket], latency->ms, 1);
        pass(&stats->models[latency->model].group, latency->ms, 1);
    }
}

/* The one with most events first; among equals by name. */
static int by_events(const void *left, const void *right)
{
    const struct phosd_stats_model *a = left, *b = right;
    size_t shorter =
        a->name_bytes < b->name_bytes ? a->name_bytes : b->name_bytes;
    int order = (a->group.sums.events < b->group.sums.events) -
                (a->group.sums.events > b->group.sums.events);

    if (order == 0 && shorter > 0)
        order = memcmp(a->name, b->name, shorter);
    if (order == 0)
        order =
            (a->name_bytes > b->name_bytes) - (a->name_bytes < b->name_bytes);
    return order;
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
    uint64_t judged = group->sums.success + group->sums.failure;

    count(body, "\"events\":", group->sums.events);
    count(body, ",\"token_count_input\":", group->sums.token_count_input);
    count(body, ",\"token_count_output\":", group->sums.token_count_output);
    real(body, ",\"cost_cents\":", group->sums.cost_cents);
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
    count(body, "},\"success_count\":", group->sums.success);
    count(body, ",\"failure_count\":", group->sums.failure);
    real(body, ",\"success_rate\":",
         judged > 0 ? (double)group->sums.success / (double)judged : NAN);
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
