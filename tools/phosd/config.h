/*
 * config - what phosd was told: command line first, then the environment, then
 * defaults.
 */
#ifndef PHOSD_CONFIG_H
#define PHOSD_CONFIG_H

#include "phos/base.h"

struct phosd_key_line {
    char *key;
    char *name; /* of its project; NULL: none */
};

enum { PHOSD_LISTEN_MAX = 8 };

struct phosd_config {
    const char *listen[PHOSD_LISTEN_MAX]; /* HOST:PORT or unix:PATH */
    size_t listen_count;
    bool listen_is_default;   /* nobody asked for it */
    char *listen_text;        /* of the environment; malloc */
    uint64_t socket_mode;     /* of a Unix socket's file */
    const char *socket_owner; /* NULL: ours */
    const char *socket_group; /* NULL: as the system gives it */
    const char *db;
    const char *port_file;      /* NULL: none */
    uint64_t events_per_minute; /* 0: no limit */
    uint64_t body_bytes_max;
    uint64_t keep_days, keep_bytes; /* 0: for ever, however much */
    const char *access_log;         /* NULL: none */
    bool metrics_open;              /* GET /metrics without a key */
    bool check;                     /* look whether all is well, and end */
    bool replace_corrupt; /* move a damaged database aside, begin anew */
    uint64_t head_timeout_ms, body_timeout_ms, reply_timeout_ms,
        idle_timeout_ms, read_timeout_ms;
    struct phosd_key_line *keys;
    size_t key_count;
};

enum phosd_config_result {
    PHOSD_CONFIG_RUN,
    PHOSD_CONFIG_SHOWN, /* --help or --version: done, exit 0 */
    PHOSD_CONFIG_USAGE, /* told why on standard error: exit 2 */
};

enum phosd_config_result phosd_config_read(struct phosd_config *config,
                                           int argc, char **argv);
/* Wipes the keys. */
void phosd_config_deinit(struct phosd_config *config);

#endif
