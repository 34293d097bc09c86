#include "client/pipeline.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/histogram.h"
#include "base/saturate.h"
#include "client/pipeline_state.h"

enum {
    TURN_BATCHES_MAX = 64, /* then the loop's other work has its turn */
    STALLED_NAP_MS = 1,    /* until a claimed record is looked at again */
    STALLED_PATIENCE = 8,  /* and an eighth of the time it has stalled */
    MEMORY_NAP_MS = 10,    /* until a failed allocation is tried again */
    NAP_MS_MAX = 1000
};

/* ---- the inbox ---- */

static void note_answer(struct phos__pipeline *pipeline,
                        const struct phos__exchange *exchange)
{
    phos_stats *stats = &pipeline->published.stats;

    stats->bytes_sent += exchange->bytes_sent;
    stats->bytes_received += exchange->bytes_received;
    if (exchange->answer.http_status)
        stats->last_http_status = exchange->answer.http_status;
    if (exchange->error.status)
        stats->last_error = exchange->error;
    if (exchange->answer.exchange == PHOS_EXCHANGE_ANSWERED)
        phos__histogram_add(&stats->round_trip_us,
                            phos__sub_sat_u64(phos__pipeline_now_us(pipeline),
                                              exchange->sent_us));
}

/* An application that cannot wait for a better key counts how often the answer
 * has stayed the same. */
static void count_config_answer(struct phos__pipeline *pipeline,
                                const struct phos__answer *answer)
{
    uint32_t *count = &pipeline->published.stats.config_answers;

    if (phos__delivery_state(pipeline->delivery) == PHOS_STATE_CONFIG)
        *count += answer->exchange != PHOS_EXCHANGE_CANCELLED;
    else
        *count = 0;
}

static bool take_answers(struct phos__pipeline *pipeline)
{
    struct phos__random_port *random = &pipeline->options.ports.random;
    struct phos__exchange *list, *oldest_first = NULL;
    struct phos__credential *credential;

    pthread_mutex_lock(&pipeline->answers.lock);
    list = pipeline->answers.first;
    pipeline->answers.first = NULL;
    credential = pipeline->new_credential;
    pipeline->new_credential = NULL;
    pthread_mutex_unlock(&pipeline->answers.lock);

    if (credential) {
        phos__credential_unref(pipeline->credential);
        pipeline->credential = credential;
        phos__delivery_reconfigured(pipeline->delivery, pipeline->now_ms);
        phos__feedback_reconfigured(pipeline->feedback, pipeline->now_ms);
    }
    while (list) {
        struct phos__exchange *next = list->next;

        list->next = oldest_first;
        oldest_first = list;
        list = next;
    }
    if (!oldest_first)
        return credential != NULL;
    for (; oldest_first; oldest_first = oldest_first->next) {
        oldest_first->is_under_way = false;
        note_answer(pipeline, oldest_first);
        if (oldest_first->answer.request_id & PHOS__FEEDBACK_REQUEST) {
            phos__pipeline_answer_feedback(pipeline, oldest_first);
            continue;
        }
        phos__pipeline_note_answer(pipeline, oldest_first);
        phos__delivery_answer(pipeline->delivery, pipeline->now_ms,
                              random->next(random->self),
                              &oldest_first->answer);
        count_config_answer(pipeline, &oldest_first->answer);
    }
    return true;
}

/* ---- the end ---- */

/* What is left gets its verdict now, whatever state it is in. */
static void give_up(struct phos__pipeline *pipeline)
{
    bool has_read;

    phos__pipeline_unstage_all(pipeline);
    do {
        /* First, or what waits for an event would be sent at its verdict. */
        phos__pipeline_give_up_feedback(pipeline);
        phos__delivery_give_up(pipeline->delivery, pipeline->now_ms);
        phos__pipeline_act(pipeline);
        has_read = false;
        while (phos__delivery_room(pipeline->delivery) > 0 &&
               (phos__pipeline_take_unsent(pipeline) ||
                phos__pipeline_take_unfinished(pipeline)))
            has_read = true;
    } while (has_read);
}

static bool everything_has_its_verdict(const struct phos__pipeline *pipeline)
{
    return !pipeline->has_waiting_item && pipeline->reader.stalled_count == 0 &&
           pipeline->reader.read == phos__ring_tail(pipeline->ring) &&
           phos__delivery_ledger(pipeline->delivery)->pending == 0 &&
           phos__pipeline_feedback_ledger(pipeline).pending == 0;
}

static void end_close(struct phos__pipeline *pipeline)
{
    phos_status status = PHOS_OK;

    give_up(pipeline); /* hands out verdicts even where nothing is left */
    if (phos__delivery_ledger(pipeline->delivery)
                ->by_reason[PHOS_REASON_CLOSED] > 0 ||
        phos__feedback_ledger(pipeline->feedback)
                ->by_reason[PHOS_REASON_CLOSED] > 0)
        status = phos__pipeline_is_refused(pipeline) ? PHOS_E_CONFIG
                                                     : PHOS_E_TIMEOUT;
    phos__pipeline_hand_out_receipts(pipeline);
    phos__ring_release(&pipeline->reader);
    phos__pipeline_watch(pipeline);
    phos__pipeline_tell_closed(pipeline, status);
}

/* ---- sleep ---- */

/* How many milliseconds until a batch is full, at the rate of late. */
static uint64_t fill_time_ms(struct phos__pipeline *pipeline)
{
    uint64_t elapsed_ms = pipeline->now_ms - pipeline->rate_since_ms;
    uint32_t batch = pipeline->options.delivery.batch_events_max;
    double missing;

    if (elapsed_ms > 0) {
        double rate = (double)pipeline->rate_events / (double)elapsed_ms;

        pipeline->events_per_ms = (pipeline->events_per_ms + rate) / 2;
        pipeline->rate_since_ms = pipeline->now_ms;
        pipeline->rate_events = 0;
    }
    if (pipeline->stage.count >= batch)
        return NAP_MS_MAX;
    missing = (double)(batch - pipeline->stage.count);
    if (pipeline->events_per_ms * NAP_MS_MAX <= missing)
        return NAP_MS_MAX;
    return (uint64_t)(missing / pipeline->events_per_ms);
}

/* A log call that has stopped may go on at once, or its thread may be dead: the
 * longer it has not moved, the more seldom it is looked at. */
static uint64_t stalled_nap_ms(const struct phos__pipeline *pipeline)
{
    if (pipeline->reader.stalled_count == 0)
        return NAP_MS_MAX;
    return phos__min_u64(
        STALLED_NAP_MS +
            phos__ring_stalled_age_ms(&pipeline->reader, pipeline->now_ms) /
                STALLED_PATIENCE,
        NAP_MS_MAX);
}

/*
 * Sleeps until `due_ms`, a nap with a timer or until an answer comes; log calls
 * wake it past `position`, or past the mark up to which nobody need be told how
 * full the ring is. Returns when the next turn is due: at once if they have
 * come that far since this one looked.
 */
static uint64_t nap(struct phos__pipeline *pipeline, uint64_t position,
                    uint64_t due_ms)
{
    uint64_t mark = phos__watch_mark(&pipeline->watch);
    uint64_t marked = pipeline->reader.head + mark;

    if (mark == UINT64_MAX) {
        phos__ring_nap(&pipeline->reader, position);
        return due_ms;
    }
    phos__ring_nap(&pipeline->reader,
                   (int64_t)(marked - position) < 0 ? marked : position);
    return (int64_t)(phos__ring_tail(pipeline->ring) - marked) > 0
               ? pipeline->now_ms
               : due_ms;
}

/* Decides how to sleep; returns when the next turn is due at the latest. */
static uint64_t lie_down(struct phos__pipeline *pipeline)
{
    uint64_t due_ms = phos__min_u64(phos__delivery_due_ms(pipeline->delivery),
                                    phos__pipeline_feedback_due_ms(pipeline));
    uint64_t now_ms = pipeline->now_ms;
    uint32_t deep_ms = pipeline->options.deep_sleep_after_ms;
    uint64_t linger_ms = pipeline->options.delivery.linger_ms;
    bool is_full = phos__delivery_room(pipeline->delivery) == 0 ||
                   phos__pipeline_stage_is_due(pipeline);
    uint64_t nap_ms;

    if (pipeline->has_waiting_item)
        return phos__min_u64(due_ms, now_ms + MEMORY_NAP_MS);
    /* While it can take nothing more, an answer or a timer wakes it. */
    if (is_full && (due_ms != UINT64_MAX ||
                    phos__delivery_in_flight(pipeline->delivery) > 0 ||
                    phos__delivery_lent(pipeline->delivery) > 0))
        return nap(pipeline, pipeline->reader.head + pipeline->ring->bytes,
                   due_ms);
    if (deep_ms != PHOS_NEVER_MS &&
        now_ms - pipeline->last_read_ms >= deep_ms) {
        if (phos__ring_sleep(&pipeline->reader))
            return due_ms;
        /* Something has come since the last look. What was there and could not
         * be read (a log call stopped before its claim) is worth a nap. */
        if (pipeline->reader.stalled_count == 0 &&
            pipeline->reader.read == pipeline->reader.tail)
            return now_ms;
        /* Only stopped log calls are left; any other one wakes. */
        if (pipeline->reader.read == phos__ring_tail(pipeline->ring)) {
            phos__ring_nap(&pipeline->reader, pipeline->reader.read);
            return phos__min_u64(due_ms, now_ms + stalled_nap_ms(pipeline));
        }
    }

    nap_ms = phos__min_u64(linger_ms, NAP_MS_MAX);
    if (phos__flag_get(&pipeline->drain))
        nap_ms = STALLED_NAP_MS;
    nap_ms = phos__min_u64(nap_ms, fill_time_ms(pipeline));
    if (pipeline->reader.read != phos__ring_tail(pipeline->ring))
        nap_ms = STALLED_NAP_MS;
    else
        nap_ms = phos__min_u64(nap_ms, stalled_nap_ms(pipeline));
    return nap(pipeline, pipeline->reader.read + pipeline->ring->bytes / 4,
               phos__min_u64(due_ms, now_ms + phos__max_u64(nap_ms, 1)));
}

/* ---- a turn ---- */

static bool must_hurry(struct phos__pipeline *pipeline, uint64_t *ret_close_us)
{
    bool hurry;

    pthread_mutex_lock(&pipeline->answers.lock);
    hurry = pipeline->is_closing || pipeline->tickets;
    *ret_close_us =
        pipeline->is_closing ? pipeline->close_deadline_us : UINT64_MAX;
    if (pipeline->is_abandoned)
        *ret_close_us = 0;
    pthread_mutex_unlock(&pipeline->answers.lock);
    return hurry || phos__flag_get(&pipeline->drain);
}

static void begin_turn(struct phos__pipeline *pipeline)
{
    phos_stats *stats = &pipeline->published.stats;
    struct phos__answers *answers = &pipeline->answers;

    if (!answers->has_home) {
        pthread_mutex_lock(&answers->lock);
        answers->home = pthread_self();
        answers->has_home = true;
        pthread_mutex_unlock(&answers->lock);
    }
    phos__timebase_refresh(&pipeline->timebase, &pipeline->options.ports.clock);
    pipeline->now_ms = phos__pipeline_now_us(pipeline) / 1000;
    stats->ring_used_bytes_max =
        phos__max_u64(stats->ring_used_bytes_max,
                      phos__ring_tail(pipeline->ring) - pipeline->reader.head);
    phos__ring_awake(&pipeline->reader);
    if (!pipeline->is_closed)
        phos__pipeline_watch_ring(pipeline);
}

/* Returns whether an answer has come since it was last looked for, in a
 * callback or from another thread. From now on each one wakes the worker. */
static bool end_turn(struct phos__pipeline *pipeline)
{
    struct phos__answers *answers = &pipeline->answers;
    bool has_answers;

    pthread_mutex_lock(&answers->lock);
    answers->has_home = pipeline->options.answers_bring_turns;
    has_answers = answers->first != NULL;
    pthread_mutex_unlock(&answers->lock);
    return has_answers;
}

static uint64_t work(struct phos__pipeline *pipeline)
{
    uint64_t close_us, due_ms, watch_due_ms;
    int batches = 0;
    bool progress, hurry;

    if (pipeline->is_closed) {
        take_answers(pipeline);
        return UINT64_MAX;
    }
    do {
        hurry = must_hurry(pipeline, &close_us);
        progress = take_answers(pipeline);
        if (close_us <=
            phos__pipeline_now_us(pipeline)) { /* nothing is sent any more */
            end_close(pipeline);
            return UINT64_MAX;
        }
        progress |= phos__pipeline_act(pipeline);
        progress |= phos__pipeline_read_batch(pipeline) > 0;
        if (hurry && !phos__pipeline_stage_is_due(pipeline))
            phos__delivery_hurry(pipeline->delivery, pipeline->now_ms);
        progress |= phos__pipeline_act(pipeline);
    } while (progress && ++batches < TURN_BATCHES_MAX);

    phos__pipeline_hand_out_receipts(pipeline);
    phos__ring_release(&pipeline->reader);
    phos__pipeline_publish(pipeline);
    watch_due_ms = phos__pipeline_watch(pipeline);
    phos__pipeline_settle(pipeline);
    if (close_us != UINT64_MAX && everything_has_its_verdict(pipeline)) {
        end_close(pipeline);
        return UINT64_MAX;
    }
    due_ms = progress ? pipeline->now_ms
                      : phos__min_u64(lie_down(pipeline), watch_due_ms);
    return close_us == UINT64_MAX ? due_ms
                                  : phos__min_u64(due_ms, close_us / 1000 + 1);
}

uint64_t phos__pipeline_turn(struct phos__pipeline *pipeline)
{
    uint64_t due_ms;

    begin_turn(pipeline);
    due_ms = work(pipeline);
    return end_turn(pipeline) ? pipeline->now_ms : due_ms;
}

bool phos__pipeline_is_busy(const struct phos__pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->options.delivery.in_flight_max; i++)
        if (pipeline->exchanges[i].is_under_way)
            return true;
    return false;
}

/* ---- life ---- */

static bool copy_texts(struct phos__pipeline *pipeline)
{
    struct phos__pipeline_options *options = &pipeline->options;
    const phos_allocator *allocator = &pipeline->allocator;

    pipeline->url = phos__strdup(allocator, options->url);
    pipeline->user_agent = phos__strdup(allocator, options->user_agent);
    pipeline->credential = phos__credential_create(
        allocator, PHOS_STR("Bearer "), options->api_key);
    pipeline->feedback_url = phos__strdup(allocator, options->feedback_url);
    options->api_key = phos_str_make(NULL, 0);
    if (!pipeline->url || !pipeline->feedback_url || !pipeline->user_agent ||
        !pipeline->credential)
        return false;
    options->url.data = pipeline->url;
    options->feedback_url.data = pipeline->feedback_url;
    options->user_agent.data = pipeline->user_agent;
    if (options->project_id.data) {
        pipeline->project_id = phos__strdup(allocator, options->project_id);
        options->project_id.data = pipeline->project_id;
        return pipeline->project_id != NULL;
    }
    return true;
}

static bool make_exchanges(struct phos__pipeline *pipeline)
{
    uint32_t count = pipeline->options.delivery.in_flight_max;

    pipeline->exchanges = phos__alloc_zeroed(&pipeline->allocator, count,
                                             sizeof(*pipeline->exchanges));
    if (!pipeline->exchanges)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!phos__exchange_init(&pipeline->exchanges[i], &pipeline->answers,
                                 pipeline->options.delivery.batch_events_max,
                                 &pipeline->allocator))
            return false;
    return true;
}

static bool make_snapshot(struct phos__pipeline *pipeline)
{
    static_assert(sizeof(struct phos__published) % 8 == 0,
                  "the snapshot copies whole words");
    size_t words = sizeof(struct phos__published) / 8;

    pipeline->snapshot_words =
        phos__alloc_zeroed(&pipeline->allocator, words, 8);
    if (!pipeline->snapshot_words)
        return false;
    phos__snapshot_init(&pipeline->snapshot, pipeline->snapshot_words, words);
    return true;
}

static void init_locks(struct phos__pipeline *pipeline)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&pipeline->answers.lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pipeline->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

phos_status phos__pipeline_create(const struct phos__pipeline_options *options,
                                  const phos_allocator *allocator,
                                  struct phos__pipeline **ret_pipeline)
{
    struct phos__pipeline *pipeline =
        phos__alloc_zeroed(allocator, 1, sizeof(*pipeline));
    uint32_t capacity;

    if (!pipeline)
        return PHOS_E_NO_MEMORY;
    pipeline->allocator = *allocator;
    pipeline->options = *options;
    pipeline->ring = options->ring;
    pipeline->answers.ring = options->ring;
    init_locks(pipeline);
    if (!phos__editor_init(&pipeline->editor, &options->editor, allocator) ||
        !copy_texts(pipeline) || !make_exchanges(pipeline) ||
        !make_snapshot(pipeline) ||
        !phos__stage_init(&pipeline->stage, allocator,
                          options->delivery.batch_events_max + 1) ||
        phos__delivery_create(&options->delivery, allocator,
                              &pipeline->delivery) ||
        !phos__pipeline_make_feedback(pipeline))
        goto fail;
    capacity = phos__delivery_capacity(pipeline->delivery);
    pipeline->events =
        phos__alloc_zeroed(allocator, capacity, sizeof(*pipeline->events));
    if (!pipeline->events)
        goto fail;

    phos__ring_reader_init(&pipeline->reader, options->ring);
    phos__timebase_start(&pipeline->timebase, &options->ports.clock);
    pipeline->now_ms = phos__pipeline_now_us(pipeline) / 1000;
    pipeline->last_read_ms = pipeline->now_ms;
    pipeline->rate_since_ms = pipeline->now_ms;
    phos__watch_init(&pipeline->watch, pipeline->now_ms, options->ring->bytes,
                     options->high_water_percent, pipeline->reader.head);
    phos__pipeline_publish(pipeline);
    *ret_pipeline = pipeline;
    return PHOS_OK;

fail:
    phos__pipeline_destroy(pipeline);
    return PHOS_E_NO_MEMORY;
}

static void free_parked(struct phos__pipeline *pipeline)
{
    uint32_t capacity;

    if (!pipeline->events)
        return;
    capacity = phos__delivery_capacity(pipeline->delivery);
    for (uint32_t i = 0; i < capacity; i++)
        if (pipeline->events[i].is_parked && pipeline->events[i].record)
            phos__free(&pipeline->allocator, pipeline->events[i].record);
}

void phos__pipeline_destroy(struct phos__pipeline *pipeline)
{
    phos_allocator allocator;

    if (!pipeline)
        return;
    allocator = pipeline->allocator;
    free_parked(pipeline);
    phos__pipeline_unmake_feedback(pipeline);
    if (pipeline->exchanges)
        for (uint32_t i = 0; i < pipeline->options.delivery.in_flight_max; i++)
            phos__exchange_deinit(&pipeline->exchanges[i], &allocator);
    phos__free(&allocator, pipeline->exchanges);
    phos__free(&allocator, pipeline->events);
    phos__stage_deinit(&pipeline->stage);
    phos__editor_deinit(&pipeline->editor, &allocator);
    if (pipeline->delivery)
        phos__delivery_destroy(pipeline->delivery);
    phos__free(&allocator, pipeline->snapshot_words);
    phos__credential_unref(pipeline->credential);
    phos__credential_unref(pipeline->new_credential);
    phos__free(&allocator, pipeline->url);
    phos__free(&allocator, pipeline->feedback_url);
    phos__free(&allocator, pipeline->user_agent);
    phos__free(&allocator, pipeline->project_id);
    pthread_cond_destroy(&pipeline->changed);
    pthread_mutex_destroy(&pipeline->answers.lock);
    phos__free(&allocator, pipeline);
}
