/*
 * The sums that are kept beside the events against the events themselves: the
 * same question is answered from either, and both answers must be alike to the
 * byte, whatever came late, was judged anew or was deleted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "now.h"
#include "stats.h"
#include "store.h"

enum {
    BATCH = 100,
    EVENTS_MAX = 4000,
    HANG_S = 30,
    EXACT = 1000000, /* events that are looked at one by one */
    BY_SUMS = 0,
};

static const int64_t HOUR_US = INT64_C(3600) * 1000000;
static const int64_t DAY_US = INT64_C(86400) * 1000000;

struct world {
    char folder[64], path[96];
    struct phosd_store *store;
    int64_t project_id, now_us;
    pthread_mutex_t mutex;
    pthread_cond_t done;
    unsigned under_way;
    uint8_t ids[EVENTS_MAX][16];
    unsigned count, fresh; /* all, and those that are not too old to stay */
};

static void open_store(struct world *world, uint64_t keep_days)
{
    static const uint8_t hash[PHOSD_KEY_HASH_BYTES] = { 1 };
    phos_error error;

    if (!phosd_store_open(world->path, &world->store, &error) ||
        !phosd_store_project(world->store, hash, NULL, &world->project_id,
                             &error))
        fail_msg("%s", error.text);
    phosd_store_keep(world->store, keep_days, 0);
    if (!phosd_store_start(world->store, &error))
        fail_msg("%s", error.text);
}

static void init(struct world *world)
{
    memset(world, 0, sizeof(*world));
    strcpy(world->folder, "/tmp/phosd-sums-XXXXXX");
    if (!mkdtemp(world->folder))
        fail_msg("no folder");
    snprintf(world->path, sizeof(world->path), "%s/db", world->folder);
    pthread_mutex_init(&world->mutex, NULL);
    pthread_cond_init(&world->done, NULL);
    /* Old enough that nothing is made in the future. */
    world->now_us = phosd_wall_us() / HOUR_US * HOUR_US;
    open_store(world, 0);
}

static void deinit(struct world *world)
{
    phosd_store_close(world->store);
    unlink(world->path);
    rmdir(world->folder);
    pthread_cond_destroy(&world->done);
    pthread_mutex_destroy(&world->mutex);
}

static void end_one(struct world *world)
{
    pthread_mutex_lock(&world->mutex);
    world->under_way--;
    pthread_cond_broadcast(&world->done);
    pthread_mutex_unlock(&world->mutex);
}

static void begin_one(struct world *world)
{
    pthread_mutex_lock(&world->mutex);
    world->under_way++;
    pthread_mutex_unlock(&world->mutex);
}

static void wait_for_all(struct world *world)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += HANG_S;
    pthread_mutex_lock(&world->mutex);
    while (world->under_way > 0)
        if (pthread_cond_timedwait(&world->done, &world->mutex, &until))
            fail_msg("the store hangs");
    pthread_mutex_unlock(&world->mutex);
}

static void write_done(struct phosd_write *write)
{
    end_one(write->user_data);
}

static void submit(struct world *world, struct phosd_write *write)
{
    write->project_id = world->project_id;
    write->done = write_done;
    write->user_data = world;
    begin_one(world);
    phosd_store_write(world->store, write);
}

static enum phosd_result store(struct world *world, struct phosd_write *write)
{
    submit(world, write);
    wait_for_all(world);
    return write->result;
}

struct made {
    char metadata[160], model[240];
};

static void make_event(struct world *world, struct phosd_event *event,
                       struct made *made)
{
    static const char *const models[] = { "big", "big", "small", "",
                                          "odd one" };
    int model = rand() % 7;

    memset(event, 0, sizeof(*event));
    for (size_t i = 0; i < sizeof(event->id); i++)
        event->id[i] = (uint8_t)rand();
    event->time_us = world->now_us - rand() % 200 * HOUR_US / 4 - rand();
    event->input = event->output = PHOS_STR("some text");
    if (model < 5) {
        event->model = phos_str_make(models[model], strlen(models[model]));
    } else if (model == 5) { /* longer than any name that is shown */
        memset(made->model, 'x', 230);
        event->model = phos_str_make(made->model, 230);
    }
    /* Whole below 1024, so that percentiles are exact either way; costs that
     * are sums of powers of two in any order. */
    snprintf(made->metadata, sizeof(made->metadata),
             "{\"token_count_input\":%d,\"cost_cents\":%.6f%s",
             rand() % 100 - 3, (rand() % 256 - 20) / 64.0,
             rand() % 5 ? "" : ",\"latency_ms\":null");
    if (!strstr(made->metadata, "null"))
        sprintf(made->metadata + strlen(made->metadata), ",\"latency_ms\":%d",
                rand() % 1044 - 20);
    strcat(made->metadata, "}");
    event->metadata = phos_str_make(made->metadata, strlen(made->metadata));
}

/* Now and then one that is there already. */
static void store_batch(struct world *world, bool old)
{
    static struct phosd_event events[BATCH];
    static struct made made[BATCH];
    struct phosd_write write = { .events = events, .event_count = BATCH };

    for (unsigned i = 0; i < BATCH; i++) {
        make_event(world, &events[i], &made[i]);
        if (world->count > 0 && rand() % 10 == 0)
            memcpy(events[i].id, world->ids[(unsigned)rand() % world->count],
                   16);
        else
            memcpy(world->ids[world->count++], events[i].id, 16);
    }
    write.received_us = old ? world->now_us - 3 * DAY_US : world->now_us;
    assert_int_equal(store(world, &write), PHOSD_STORED);
    if (!old)
        world->fresh += BATCH - (unsigned)write.duplicates;
}

/* All at once, so that they share a transaction; some events more than once. */
static void judge_some(struct world *world)
{
    static const char *const flags[] = { "success", "failure", "other" };
    struct phosd_feedback feedback[60];
    struct phosd_write writes[60];

    memset(feedback, 0, sizeof(feedback));
    memset(writes, 0, sizeof(writes));
    for (size_t i = 0; i < 60; i++) {
        const char *flag = flags[rand() % 3];

        memcpy(feedback[i].event_id,
               world->ids[(unsigned)rand() % world->count], 16);
        feedback[i].flag = phos_str_make(flag, strlen(flag));
        feedback[i].source = PHOS_STR("user");
        writes[i].feedback = &feedback[i];
        writes[i].received_us = 1;
        submit(world, &writes[i]);
    }
    wait_for_all(world);
    for (size_t i = 0; i < 60; i++)
        assert_int_not_equal(writes[i].result, PHOSD_FAILED);
}

struct question {
    struct world *world;
    struct phosd_filter filter;
    unsigned events_max;
    struct phosd_stats stats;
};

static void on_begin(const struct phosd_stats_range *range, void *user_data)
{
    phosd_stats_begin(user_data, range);
}

static void on_row(const struct phosd_stats_row *row, void *user_data)
{
    phosd_stats_add(user_data, row);
}

static void on_sum(const struct phosd_stats_sum *sum, void *user_data)
{
    phosd_stats_add_sum(user_data, sum);
}

static void run_question(struct phosd_reader *reader, struct phosd_read *read)
{
    struct question *question = read->user_data;
    const struct phosd_stats_hearer hearer = { on_begin, on_row, on_sum,
                                               &question->stats };

    read->result =
        phosd_reader_stats(reader, question->world->project_id,
                           &question->filter, question->events_max, &hearer);
}

static void question_done(struct phosd_read *read)
{
    struct question *question = read->user_data;

    end_one(question->world);
}

/* The answer as text; the caller's to free. */
static char *ask(struct world *world, const struct phosd_filter *filter,
                 unsigned events_max)
{
    struct question *question = calloc(1, sizeof(*question));
    struct phosd_read read = { .run = run_question,
                               .done = question_done,
                               .user_data = question };
    struct phos__buffer body;

    assert_non_null(question);
    question->world = world;
    question->filter = *filter;
    question->events_max = events_max;
    phosd_stats_init(&question->stats);
    begin_one(world);
    phosd_store_read(world->store, &read);
    wait_for_all(world);
    assert_int_equal(read.result, PHOSD_STORED);
    assert_false(question->stats.failed);
    phosd_buffer_init(&body);
    phosd_stats_render(&question->stats, &body);
    phos__buffer_append(&body, "", 1);
    phosd_stats_deinit(&question->stats);
    free(question);
    return (char *)body.data;
}

/* Ranges that begin and end with an hour, wide enough that buckets are as wide
 * either way; events at their ends would be looked at one by one, and none may
 * be here. */
static void compare(struct world *world)
{
    struct phosd_filter filters[8];

    memset(filters, 0, sizeof(filters));
    for (size_t i = 1; i < 8; i++) {
        int hour = rand() % 20 - 30;

        filters[i].has_from = i % 3 != 0;
        filters[i].has_to = i % 2 == 0;
        filters[i].from_us = world->now_us + hour * HOUR_US;
        filters[i].to_us = filters[i].from_us + (6 + rand() % 30) * HOUR_US;
        if (i > 4) { /* within an hour, on 5 minutes */
            filters[i].from_us += rand() % 12 * HOUR_US / 12;
            filters[i].to_us += rand() % 12 * HOUR_US / 12;
        }
    }
    for (size_t i = 0; i < 8; i++) {
        char *events = ask(world, &filters[i], EXACT);
        char *sums = ask(world, &filters[i], BY_SUMS);

        assert_string_equal(sums, events);
        free(sums);
        free(events);
    }
}

static void wait_until_deleted(struct world *world)
{
    const struct timespec step = { .tv_nsec = 5 * 1000000L };
    const struct phosd_filter all = { .has_from = false };
    uint64_t end_ms = phosd_now_ms() + HANG_S * 1000;
    char wanted[64];
    bool gone = false;

    snprintf(wanted, sizeof(wanted), "\"total\":{\"events\":%u,", world->fresh);
    while (!gone) {
        char *answer;

        phosd_store_turn(world->store);
        nanosleep(&step, NULL);
        answer = ask(world, &all, EXACT);
        gone = strstr(answer, wanted) != NULL;
        free(answer);
        if (!gone && phosd_now_ms() > end_ms)
            fail_msg("not deleted: want %s", wanted);
    }
}

static void sums_are_those_of_the_events(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    (void)state;
    assert_non_null(world);
    srand(5);
    init(world);
    for (int round = 0; round < 8; round++) {
        store_batch(world, round < 4); /* the first to come, the first to go */
        judge_some(world);
        compare(world);
    }
    phosd_store_close(world->store);
    open_store(world, 1);
    wait_until_deleted(world);
    compare(world);
    for (int round = 0; round < 3; round++) {
        store_batch(world, false);
        judge_some(world);
        compare(world);
    }
    deinit(world);
    free(world);
}

static void what_is_rolled_back_is_not_counted(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct phosd_event events[2];
    struct made made[2];
    struct phosd_write write = { .events = events, .event_count = 2 };

    (void)state;
    assert_non_null(world);
    srand(6);
    init(world);
    store_batch(world, false);
    for (size_t i = 0; i < 2; i++)
        make_event(world, &events[i], &made[i]);
    events[1].input = phos_str_make(NULL, 0); /* no table takes that */
    assert_int_equal(store(world, &write), PHOSD_FAILED);
    compare(world);
    store_batch(world, false);
    compare(world);
    deinit(world);
    free(world);
}

/* More names than a stretch has rows for: none is counted twice, and what is
 * deleted leaves the row that it was counted in. */
static void many_models_are_summed_up_together(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    const struct phosd_filter all = { .has_from = false };
    char *answer;

    (void)state;
    assert_non_null(world);
    srand(7);
    init(world);
    for (unsigned batch = 0; batch < 6; batch++) {
        struct phosd_event events[BATCH];
        struct made made[BATCH];
        struct phosd_write write = { .events = events, .event_count = BATCH };

        for (unsigned i = 0; i < BATCH; i++) {
            make_event(world, &events[i], &made[i]);
            events[i].time_us = world->now_us + rand() % 1000;
            snprintf(made[i].model, sizeof(made[i].model), "model %u",
                     (batch * BATCH + i) % 300);
            events[i].model =
                phos_str_make(made[i].model, strlen(made[i].model));
        }
        write.received_us =
            batch < 3 ? world->now_us - 3 * DAY_US : world->now_us;
        assert_int_equal(store(world, &write), PHOSD_STORED);
    }
    answer = ask(world, &all, BY_SUMS);
    assert_non_null(strstr(answer, "\"total\":{\"events\":600,"));
    assert_non_null(strstr(answer, "\"other_models\":{\"events\":536,"));
    free(answer);

    phosd_store_close(world->store);
    open_store(world, 1);
    world->fresh = 300;
    wait_until_deleted(world);
    answer = ask(world, &all, BY_SUMS);
    assert_non_null(strstr(answer, "\"total\":{\"events\":300,"));
    assert_non_null(strstr(answer, "\"other_models\":{\"events\":268,"));
    free(answer);
    deinit(world);
    free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_the_events),
        cmocka_unit_test(what_is_rolled_back_is_not_counted),
        cmocka_unit_test(many_models_are_summed_up_together),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
