/*
 * phosd - a collector on one machine. main starts the rooms in order, waits
 * for a signal, and stops them in the opposite order:
 *
 *     config -> store -> keys -> listener ... signal ... listener -> store
 */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../standard.h"
#include "access_log.h"
#include "backup_command.h"
#include "check.h"
#include "config.h"
#include "damage.h"
#include "keys_command.h"
#include "keywatch.h"
#include "listener.h"
#include "now.h"
#include "routes.h"
#include "sockets.h"

enum {
    EXIT_USAGE = 2,
    SWEEP_MS = 100,       /* how exact the time-outs are */
    DRAIN_MS_MAX = 20000, /* for what is under way at a signal */
    DRAIN_STEP_MS = 5,
};

struct collector {
    struct phosd_config config;
    struct phosd_store *store;
    struct phosd_keys keys;
    struct phosd_keywatch keywatch;
    struct phosd_metrics metrics;
    struct phosd_routes routes;
    struct phosd_sockets sockets;
    struct phosd_listener *listener;
};

static bool failed(const phos_error *error)
{
    fprintf(stderr, "phosd: %s\n", error->text);
    return false;
}

static bool make_projects(struct collector *collector)
{
    const struct phosd_config *config = &collector->config;
    struct phosd_keys *keys = &collector->keys;
    uint8_t salt[PHOSD_KEY_SALT_BYTES];
    phos_error error;

    phosd_store_salt(collector->store, salt);
    phosd_keys_init(keys, salt, (uint32_t)config->events_per_minute);
    for (size_t i = 0; i < config->key_count; i++) {
        const struct phosd_key_line *line = &config->keys[i];
        uint8_t hash[PHOSD_KEY_HASH_BYTES];
        int64_t id;

        phosd_key_hash(salt, phos_str_make(line->key, strlen(line->key)), hash);
        if (!phosd_store_project(collector->store, hash, line->name, &id,
                                 &error))
            return failed(&error);
        if (!phosd_keys_add(keys, hash, id, 0))
            return false;
    }
    return phosd_keywatch_open(&collector->keywatch, config->db, keys,
                               collector->store, &error) ||
           failed(&error);
}

static void count_key(const struct phosd_key_row *row, void *user_data)
{
    if (row->revoked_us == 0)
        ++*(unsigned *)user_data;
}

/* Looks at what stands in the database before anything is started. Without a
 * key nobody could ask anything, so there must be one: given, or in
 * the database. A file is not made for that look. */
static int look_first(const struct phosd_config *config)
{
    struct phosd_keybook *book = NULL;
    unsigned count = 0;
    phos_error error;
    bool read = true;

    if (config->replace_corrupt &&
        !phosd_damage_set_aside(config->db, &error)) {
        failed(&error);
        return EXIT_FAILURE;
    }
    if (config->key_count > 0)
        return EXIT_SUCCESS;
    if (access(config->db, F_OK) == 0)
        read = phosd_keybook_open(config->db, false, &book, &error) &&
               phosd_keybook_list(book, count_key, &count, &error);
    phosd_keybook_close(book);
    if (!read) {
        failed(&error);
        return EXIT_FAILURE;
    }
    if (count > 0)
        return EXIT_SUCCESS;
    fprintf(stderr,
            "phosd: no API key: every client must show one.\n"
            "phosd: choose one and set it, such as\n"
            "phosd:   PHOSPHO_API_KEY=ph_local phosd\n"
            "phosd: or let phosd make one, kept in the database:\n"
            "phosd:   phosd keys create NAME --db %s\n"
            "phosd: or put keys into a file and name it: "
            "--api-key-file FILE\n",
            config->db);
    return EXIT_USAGE;
}

static bool start(struct collector *collector)
{
    const struct phosd_config *config = &collector->config;
    phos_error error;

    if (config->access_log &&
        !phosd_access_log_open(config->access_log,
                               &collector->routes.access_log, &error))
        return failed(&error);
    if (!phosd_store_open(config->db, &collector->store, &error))
        return failed(&error);
    if (!make_projects(collector))
        return false;
    phosd_store_count(collector->store, &collector->metrics);
    phosd_store_keep(collector->store, config->keep_days, config->keep_bytes);
    phosd_store_limit_reads(collector->store, config->read_timeout_ms);
    if (!phosd_store_start(collector->store, &error))
        return failed(&error);
    if (!phosd_sockets_open(config, &collector->sockets, &error))
        return failed(&error);

    collector->routes.store = collector->store;
    collector->routes.keys = &collector->keys;
    collector->routes.metrics = &collector->metrics;
    collector->routes.metrics_open = config->metrics_open;
    collector->routes.body_bytes_max = (size_t)config->body_bytes_max;
    const struct phosd_listener_options options = {
        .body_bytes_max = (size_t)config->body_bytes_max,
        .head_timeout_ms = (uint32_t)config->head_timeout_ms,
        .body_timeout_ms = (uint32_t)config->body_timeout_ms,
        .reply_timeout_ms = (uint32_t)config->reply_timeout_ms,
        .idle_timeout_ms = (uint32_t)config->idle_timeout_ms,
        .handler = phosd_routes_handler(&collector->routes),
    };

    collector->listener = phosd_listener_open(&options, collector->sockets.list,
                                              collector->sockets.count);
    if (!collector->listener) {
        fprintf(stderr, "phosd: cannot start the HTTP server\n");
        return false;
    }
    return true;
}

static bool write_port(const struct collector *collector)
{
    const char *path = collector->config.port_file;
    uint16_t port = phosd_sockets_port(&collector->sockets);
    FILE *file;
    bool written;

    if (!path)
        return true;
    if (port == 0) {
        fprintf(stderr,
                "phosd: %s: there is no port: only Unix sockets are "
                "listened on\n",
                path);
        return false;
    }
    file = fopen(path, "we");
    if (!file) {
        fprintf(stderr, "phosd: %s: %s\n", path, strerror(errno));
        return false;
    }
    written = fprintf(file, "%u\n", (unsigned)port) > 0;
    written = fclose(file) == 0 && written;
    if (!written)
        fprintf(stderr, "phosd: %s: cannot be written\n", path);
    return written;
}

static void warn_of_plain_text(const struct phosd_socket *socket)
{
    if (!socket->loopback)
        fprintf(stderr,
                "phosd: %s is not a loopback address: keys and events travel "
                "unencrypted; put a TLS proxy in front\n",
                socket->name);
}

/* Tells that we are ready; whoever waits for these lines may go on. */
static bool announce(const struct collector *collector)
{
    const struct phosd_sockets *sockets = &collector->sockets;

    for (size_t i = 0; i < sockets->count; i++)
        warn_of_plain_text(&sockets->list[i]);
    if (!write_port(collector))
        return false;
    for (size_t i = 0; i < sockets->count; i++)
        printf("phosd: listening on %s%s\n",
               sockets->list[i].port ? "http://" : "", sockets->list[i].name);
    fflush(stdout);
    return true;
}

static void wait_for_signal(struct collector *collector,
                            const sigset_t *signals)
{
    const struct timespec step = { .tv_nsec = SWEEP_MS * 1000000L };

    for (;;) {
        int number = sigtimedwait(signals, NULL, &step);
        uint64_t now_ms = phosd_now_ms();

        /* A log that is rotated: only then SIGHUP does not mean the end. */
        if (number > 0 &&
            !(number == SIGHUP &&
              phosd_access_log_reopen(collector->routes.access_log)))
            return;

        phosd_listener_sweep(collector->listener, now_ms);
        phosd_keywatch_turn(&collector->keywatch, now_ms);
        phosd_store_turn(collector->store);
    }
}

static void stop(struct collector *collector)
{
    phosd_sockets_remove(&collector->sockets);
    if (collector->listener)
        phosd_listener_drain(collector->listener, DRAIN_MS_MAX);
    phosd_listener_close(collector->listener);
    phosd_access_log_close(collector->routes.access_log);
    phosd_keywatch_close(&collector->keywatch);
    phosd_store_close(collector->store);
    phosd_keys_deinit(&collector->keys);
}

/* Unless whoever started us had it ignored: a shell does that with SIGINT for
 * its background jobs, nohup with SIGHUP. A blocked signal is waited for even
 * then. */
static void wait_also_for(int number, sigset_t *waited)
{
    struct sigaction action;

    if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN)
        sigaddset(waited, number);
}

static void set_signals(sigset_t *waited)
{
    const struct sigaction ignore = { .sa_handler = SIG_IGN };

    /* A client or a full disk must end a request, not the process. */
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
    sigemptyset(waited);
    sigaddset(waited, SIGTERM);
    wait_also_for(SIGINT, waited);
    wait_also_for(SIGHUP, waited);
    pthread_sigmask(SIG_BLOCK, waited, NULL); /* all threads take this on */
}

int main(int argc, char **argv)
{
    struct collector collector = { 0 };
    int status;
    sigset_t signals;

    standard_hold();
    if (argc > 1 && strcmp(argv[1], "keys") == 0)
        return phosd_keys_command(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "backup") == 0)
        return phosd_backup_command(argc - 1, argv + 1);
    switch (phosd_config_read(&collector.config, argc, argv)) {
    case PHOSD_CONFIG_SHOWN:
        return EXIT_SUCCESS;
    case PHOSD_CONFIG_USAGE:
        phosd_config_deinit(&collector.config);
        return EXIT_USAGE;
    case PHOSD_CONFIG_RUN:
        break;
    }
    if (collector.config.check) {
        status = phosd_check(&collector.config) ? EXIT_SUCCESS : EXIT_USAGE;
        phosd_config_deinit(&collector.config);
        if (status == EXIT_SUCCESS)
            puts("phosd: nothing is wrong");
        return status;
    }
    /* For upper and lower case beyond ASCII in searches; without it those
     * letters are told apart. */
    setlocale(LC_CTYPE, "C.UTF-8");
    set_signals(&signals);
    status = look_first(&collector.config);
    if (status != EXIT_SUCCESS) {
        phosd_config_deinit(&collector.config);
        return status;
    }
    status = EXIT_FAILURE;
    if (start(&collector) && announce(&collector)) {
        wait_for_signal(&collector, &signals);
        status = EXIT_SUCCESS;
    }
    stop(&collector);
    phosd_config_deinit(&collector.config);
    return status;
}
