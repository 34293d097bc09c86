#include "check.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sockets.h"
#include "store.h"

static bool wrong(const char *what, const char *why)
{
    fprintf(stderr, "phosd: %s: %s\n", what, why);
    return false;
}

/* A file that is there must be a file and ours to write; one that is not
 * needs a folder that it can be made in. */
static bool check_file(const char *path)
{
    struct stat found;
    char *copy;
    bool sound;

    if (stat(path, &found) == 0) {
        if (S_ISDIR(found.st_mode))
            return wrong(path, "is a folder");
        return access(path, R_OK | W_OK) == 0 || wrong(path, strerror(errno));
    }
    if (errno != ENOENT)
        return wrong(path, strerror(errno));
    copy = strdup(path);
    if (!copy)
        return wrong(path, "out of memory");
    sound = access(dirname(copy), W_OK | X_OK) == 0;
    free(copy);
    return sound || wrong(path, strerror(errno));
}

static bool check_database(const struct phosd_config *config)
{
    int64_t keys = 0;
    phos_error error;

    if (!check_file(config->db))
        return false;
    if (access(config->db, F_OK) == 0 &&
        !phosd_store_look(config->db, &keys, &error)) {
        fprintf(stderr, "phosd: %s\n", error.text);
        return false;
    }
    return config->key_count > 0 || keys > 0 ||
           wrong("no API key", "none is given, and the database holds none");
}

bool phosd_check(const struct phosd_config *config)
{
    bool sound = check_database(config);

    if (config->access_log && strcmp(config->access_log, "-") != 0)
        sound = check_file(config->access_log) && sound;
    if (config->port_file)
        sound = check_file(config->port_file) && sound;
    return phosd_sockets_check(config) && sound;
}
