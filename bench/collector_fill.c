/*
 * Fills a collector's database by the collector's own store, in transactions
 * of thousands of events, with what a busy service would have sent it in some
 * weeks. scripts/bench-collector measures on the result.
 *
 * Events are made in blocks, each from the seed and its own number alone: a
 * fill that was interrupted begins again with the block it was in, and the
 * events that are there already change nothing.
 */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keys.h"
#include "now.h"
#include "store.h"
#include "wire/uuid.h"

enum {
    BLOCK_EVENTS = 10000,
    WRITE_EVENTS = 2000,
    USERS = 50000,
    WORDS = 20000,
    WORD_BYTES = 16,
    TEXT_BYTES = 2048,
    SESSION_EVENTS_MAX = 12,
};

static const int64_t MINUTE_US = INT64_C(60) * 1000000;
static const int64_t WEEK_US = INT64_C(7) * 86400 * 1000000;

struct made {
    struct phosd_event event;
    char session_id[40], user_id[24], input[TEXT_BYTES / 4], output[TEXT_BYTES];
    char metadata[256];
    phos_str tag;
};

struct fill {
    struct phosd_store *store;
    int64_t project_id, begin_us, block_us;
    uint64_t events, seed, random;
    char words[WORDS][WORD_BYTES];
    struct made *made; /* of one block */
    struct phosd_event *events_in_order;
    pthread_mutex_t mutex;
    pthread_cond_t calmed;
    unsigned waiting; /* writes under way */
    bool failed;
};

/* splitmix64: any state is a good one. Source: Steele, Lea and Flood, "Fast
 * splittable pseudorandom number generators", 2014. */
static uint64_t draw(struct fill *fill)
{
    uint64_t mixed = fill->random += UINT64_C(0x9E3779B97F4A7C15);

    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ mixed >> 31;
}

static uint64_t below(struct fill *fill, uint64_t bound)
{
    return draw(fill) % bound;
}

static double share(struct fill *fill)
{
    return (double)(draw(fill) >> 11) * 0x1p-53;
}

/* Few of the many come often: the rank falls off as in language. */
static unsigned often_low(struct fill *fill, unsigned bound)
{
    return (unsigned)(pow((double)bound + 1, share(fill)) - 1);
}

static void make_words(struct fill *fill)
{
    static const char *const parts[] = {
        "an", "be", "ca", "do", "er",   "fi",  "ga",  "ho",  "in",   "ju", "ke",
        "lo", "ma", "nu", "on", "pe",   "qui", "ra",  "st",  "th",   "un", "ve",
        "wo", "xe", "yo", "za", "tion", "ing", "pre", "con", "ment", "ly"
    };

    fill->random = fill->seed;
    for (size_t i = 0; i < WORDS; i++) {
        size_t syllables = 1 + below(fill, i < 200 ? 2 : 3);

        for (size_t j = 0; j < syllables; j++)
            strcat(fill->words[i],
                   parts[below(fill, sizeof(parts) / sizeof(parts[0]))]);
    }
}

static phos_str write_text(struct fill *fill, char *text, unsigned words)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < words; i++) {
        const char *word = fill->words[often_low(fill, WORDS)];
        size_t length = strlen(word);

        memcpy(text + bytes, word, length);
        text[bytes + length] = ' ';
        bytes += length + 1;
    }
    return phos_str_make(text, bytes - 1);
}

/* Three in every ten thousand name a rare model; one model was given up half
 * way, and another took its place. */
static const char *pick_model(struct fill *fill, int64_t time_us)
{
    static const char *const names[] = { "gpt-4o-mini", "claude-3-5-haiku",
                                         "mistral-small", "llama3.1:8b",
                                         "gemini-flash" };
    bool late = time_us - fill->begin_us >
                fill->block_us * (int64_t)(fill->events / BLOCK_EVENTS / 2);

    if (below(fill, 10000) < 3)
        return "experiment-7";
    if (below(fill, 10) < 2)
        return late ? "gpt-4.1" : "gpt-4";
    return names[often_low(fill, 5)];
}

static void make_metadata(struct fill *fill, struct made *made)
{
    struct phosd_event *event = &made->event;
    double latency = 300 * exp(2.2 * (share(fill) + share(fill) - 0.6));
    int bytes;

    event->token_count_input = (int64_t)(event->input.length / 4);
    event->token_count_output = (int64_t)(event->output.length / 4);
    event->cost_cents = (double)below(fill, 400) / 256;
    bytes =
        snprintf(made->metadata, sizeof(made->metadata),
                 "{\"model\":\"%s\",\"provider\":\"acme\",\"latency_ms\":"
                 "%d,\"token_count_input\":%d,\"token_count_output\":%d,"
                 "\"cost_cents\":%.9g,\"user_id\":\"%s\"%s}",
                 event->model.data, (int)latency, (int)event->token_count_input,
                 (int)event->token_count_output, event->cost_cents,
                 made->user_id, event->tag_count ? ",\"tags\":[\"prod\"]" : "");
    event->metadata = phos_str_make(made->metadata, (size_t)bytes);
}

static void make_event(struct fill *fill, struct made *made, int64_t time_us)
{
    struct phosd_event *event = &made->event;
    uint64_t id[2] = { draw(fill), draw(fill) };
    const char *model = pick_model(fill, time_us);

    memcpy(event->id, id, sizeof(id));
    phos__uuid_v4_mark(event->id);
    event->time_us = time_us;
    event->model = phos_str_make(model, strlen(model));
    event->input = write_text(fill, made->input, 4 + (unsigned)below(fill, 24));
    event->output =
        write_text(fill, made->output, 10 + (unsigned)below(fill, 70));
    made->tag = PHOS_STR("prod");
    event->tags = &made->tag;
    event->tag_count = below(fill, 5) == 0;
    event->session_id =
        phos_str_make(made->session_id, strlen(made->session_id));
    event->user_id = phos_str_make(made->user_id, strlen(made->user_id));
    make_metadata(fill, made);
}

static int by_time(const void *left, const void *right)
{
    const struct phosd_event *a = left, *b = right;

    return (a->time_us > b->time_us) - (a->time_us < b->time_us);
}

/* Sessions of some minutes, many at once, in the order of their events; one
 * event in a hundred comes a block late. */
static void make_block(struct fill *fill, uint64_t block)
{
    int64_t begin_us = fill->begin_us + fill->block_us * (int64_t)block;
    struct made *made = fill->made;
    unsigned left = 0;
    int64_t time_us = 0;

    fill->random = fill->seed ^ (block + 1) * UINT64_C(0xD1342543DE82EF95);
    for (unsigned i = 0; i < BLOCK_EVENTS; i++, made++) {
        if (left == 0) {
            left = 1 + (unsigned)below(fill, SESSION_EVENTS_MAX);
            time_us =
                begin_us + (int64_t)(share(fill) * (double)fill->block_us);
            snprintf(made->session_id, sizeof(made->session_id),
                     "s-%016" PRIx64, draw(fill));
            snprintf(made->user_id, sizeof(made->user_id), "user-%u",
                     often_low(fill, USERS));
        } else {
            memcpy(made->session_id, made[-1].session_id,
                   sizeof(made->session_id));
            memcpy(made->user_id, made[-1].user_id, sizeof(made->user_id));
        }
        make_event(fill, made, time_us);
        if (below(fill, 100) == 0)
            made->event.time_us -= fill->block_us;
        time_us += (int64_t)(share(fill) * 2 * (double)MINUTE_US);
        left--;
        fill->events_in_order[i] = made->event;
    }
    qsort(fill->events_in_order, BLOCK_EVENTS, sizeof(fill->events_in_order[0]),
          by_time);
}

static void on_done(struct phosd_write *write)
{
    struct fill *fill = write->user_data;

    pthread_mutex_lock(&fill->mutex);
    if (write->result == PHOSD_FAILED)
        fill->failed = true;
    if (--fill->waiting == 0)
        pthread_cond_signal(&fill->calmed);
    pthread_mutex_unlock(&fill->mutex);
}

static void wait_until_calm(struct fill *fill)
{
    pthread_mutex_lock(&fill->mutex);
    while (fill->waiting > 0)
        pthread_cond_wait(&fill->calmed, &fill->mutex);
    pthread_mutex_unlock(&fill->mutex);
}

static void submit(struct fill *fill, struct phosd_write *write)
{
    write->project_id = fill->project_id;
    write->done = on_done;
    write->user_data = fill;
    pthread_mutex_lock(&fill->mutex);
    fill->waiting++;
    pthread_mutex_unlock(&fill->mutex);
    phosd_store_write(fill->store, write);
}

/* One event in twenty is judged. */
static void judge_block(struct fill *fill)
{
    static struct phosd_write writes[BLOCK_EVENTS / 20];
    static struct phosd_feedback feedback[BLOCK_EVENTS / 20];

    for (size_t i = 0; i < BLOCK_EVENTS / 20; i++) {
        const struct phosd_event *event =
            &fill->events_in_order[i * 20 + below(fill, 20)];

        memset(&feedback[i], 0, sizeof(feedback[i]));
        memcpy(feedback[i].event_id, event->id, 16);
        feedback[i].flag =
            below(fill, 4) ? PHOS_STR("success") : PHOS_STR("failure");
        feedback[i].source = PHOS_STR("user");
        memset(&writes[i], 0, sizeof(writes[i]));
        writes[i].feedback = &feedback[i];
        writes[i].received_us = event->time_us + MINUTE_US;
        submit(fill, &writes[i]);
    }
    wait_until_calm(fill);
}

static void store_block(struct fill *fill)
{
    static struct phosd_write writes[BLOCK_EVENTS / WRITE_EVENTS];

    for (size_t i = 0; i < BLOCK_EVENTS / WRITE_EVENTS; i++) {
        memset(&writes[i], 0, sizeof(writes[i]));
        writes[i].events = fill->events_in_order + i * WRITE_EVENTS;
        writes[i].event_count = WRITE_EVENTS;
        writes[i].received_us =
            writes[i].events[WRITE_EVENTS - 1].time_us + MINUTE_US;
        submit(fill, &writes[i]);
    }
    wait_until_calm(fill);
    judge_block(fill);
}

static bool open_store(struct fill *fill, const char *path, const char *key)
{
    uint8_t salt[PHOSD_KEY_SALT_BYTES], hash[PHOSD_KEY_HASH_BYTES];
    phos_error error;

    if (phosd_store_open(path, &fill->store, &error)) {
        phosd_store_salt(fill->store, salt);
        phosd_key_hash(salt, phos_str_make(key, strlen(key)), hash);
        if (phosd_store_project(fill->store, hash, NULL, &fill->project_id,
                                &error) &&
            phosd_store_start(fill->store, &error))
            return true;
    }
    fprintf(stderr, "collector_fill: %s\n", error.text);
    return false;
}

static const char help[] =
    "Usage: bench_collector_fill --db FILE [--events N] [--weeks N] [--seed "
    "N]\n"
    "                            [--key KEY]\n"
    "\n"
    "Fills a collector's database up to N events, 10,000,000 by default, "
    "spread\n"
    "over so many weeks that end now; what is there already counts. Returns "
    "when\n"
    "all texts are in the search index. No phosd may use the file meanwhile.\n";

static bool read_options(struct fill *fill, int argc, char **argv,
                         const char **ret_path, const char **ret_key)
{
    static const struct option options[] = {
        { "db", required_argument, NULL, 'd' },
        { "events", required_argument, NULL, 'e' },
        { "weeks", required_argument, NULL, 'w' },
        { "seed", required_argument, NULL, 's' },
        { "key", required_argument, NULL, 'k' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    uint64_t weeks = 6;
    int which;

    while ((which = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (which == 'd')
            *ret_path = optarg;
        else if (which == 'k')
            *ret_key = optarg;
        else if (which == 'e')
            fill->events = strtoull(optarg, NULL, 10);
        else if (which == 'w')
            weeks = strtoull(optarg, NULL, 10);
        else if (which == 's')
            fill->seed = strtoull(optarg, NULL, 10);
        else
            return false;
    }
    if (!*ret_path || fill->events < BLOCK_EVENTS || weeks == 0 ||
        weeks > 520 || optind < argc)
        return false;
    fill->block_us =
        (int64_t)weeks * WEEK_US / (int64_t)(fill->events / BLOCK_EVENTS);
    return true;
}

/* A fill that goes on later must go on at the same times, so it ends at a
 * whole day. */
static void set_begin(struct fill *fill)
{
    const int64_t day_us = WEEK_US / 7;
    int64_t end_us = phosd_wall_us() / day_us * day_us;

    fill->begin_us =
        end_us - fill->block_us * (int64_t)(fill->events / BLOCK_EVENTS);
}

static void wait_for_index(struct fill *fill)
{
    const struct timespec step = { .tv_nsec = 100 * 1000000L };
    struct phosd_gauges gauges;

    for (phosd_store_gauges(fill->store, &gauges); gauges.unindexed > 0;
         phosd_store_gauges(fill->store, &gauges)) {
        fprintf(stderr, "\r%" PRIu64 " texts to index   ", gauges.unindexed);
        nanosleep(&step, NULL);
    }
    fputc('\n', stderr);
}

static void run(struct fill *fill)
{
    struct phosd_gauges gauges;
    uint64_t blocks = fill->events / BLOCK_EVENTS;
    uint64_t began_ms = phosd_now_ms();

    phosd_store_gauges(fill->store, &gauges);
    for (uint64_t block = gauges.rows / BLOCK_EVENTS;
         block < blocks && !fill->failed; block++) {
        make_block(fill, block);
        store_block(fill);
        fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " events, %" PRIu64 " s   ",
                (block + 1) * BLOCK_EVENTS, blocks * BLOCK_EVENTS,
                (phosd_now_ms() - began_ms) / 1000);
    }
    if (!fill->failed)
        wait_for_index(fill);
}

int main(int argc, char **argv)
{
    struct fill *fill = calloc(1, sizeof(*fill));
    const char *path = NULL, *key = "ph_bench";

    if (!fill)
        return EXIT_FAILURE;
    fill->events = 10000000;
    fill->seed = 1;
    fill->made = calloc(BLOCK_EVENTS, sizeof(*fill->made));
    fill->events_in_order =
        calloc(BLOCK_EVENTS, sizeof(*fill->events_in_order));
    pthread_mutex_init(&fill->mutex, NULL);
    pthread_cond_init(&fill->calmed, NULL);
    if (!read_options(fill, argc, argv, &path, &key)) {
        fputs(help, stderr);
        return 2;
    }
    set_begin(fill);
    make_words(fill);
    if (!fill->made || !fill->events_in_order || !open_store(fill, path, key))
        return EXIT_FAILURE;
    run(fill);
    phosd_store_close(fill->store);
    free(fill->made);
    free(fill->events_in_order);
    return fill->failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
