#include "backup_command.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store_copy.h"

enum { EXIT_USAGE = 2, NAME_BYTES = 4096 };

static const char help[] =
    "phosd backup - copies the database as it is at one moment, also while a\n"
    "phosd runs on it, and looks through the copy before giving it its name.\n"
    "\n"
    "  phosd backup --db events.sqlite events-2025-01-31.sqlite\n"
    "\n"
    "The copy is one file that phosd --db takes as it is, keys and projects\n"
    "included. A file that is there already is never written over.\n"
    "\n"
    "Options                          (and the variable that may stand in)\n"
    "  --db FILE                      what to copy; default events.sqlite\n"
    "                                 (PHOSD_DB)\n"
    "  --help\n"
    "\n"
    "Exit status: 0 done, 1 failure, 2 usage.\n";

static int usage(const char *what, const char *why)
{
    fprintf(stderr, "phosd backup: %s: %s\nphosd: try phosd backup --help\n",
            what, why);
    return EXIT_USAGE;
}

static int failed(const char *path, const char *why)
{
    fprintf(stderr, "phosd backup: %s: %s\n", path, why);
    return EXIT_FAILURE;
}

/* The copy is made under another name, so that one that carries the name is
 * whole. */
static int backup(const char *db, const char *to)
{
    char part[NAME_BYTES];
    phos_error error;
    int fd;

    if (snprintf(part, sizeof(part), "%s.part", to) >= (int)sizeof(part))
        return failed(to, strerror(ENAMETOOLONG));
    if (access(to, F_OK) == 0)
        return failed(to, "is there already; choose another name");
    fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed(part, strerror(errno));
    close(fd);
    if (!phosd_store_copy(db, part, &error)) {
        unlink(part);
        fprintf(stderr, "phosd backup: %s\n", error.text);
        return EXIT_FAILURE;
    }
    /* Unlike rename(), this fails if the name was taken meanwhile. */
    if (link(part, to)) {
        int reason = errno;

        unlink(part);
        return failed(to, strerror(reason));
    }
    unlink(part);
    return EXIT_SUCCESS;
}

int phosd_backup_command(int argc, char **argv)
{
    static const struct option options[] = {
        { "db", required_argument, NULL, 'd' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    const char *db = getenv("PHOSD_DB");
    int which;

    if (!db || *db == '\0')
        db = "events.sqlite";
    while ((which = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (which == 'h') {
            fputs(help, stdout);
            return EXIT_SUCCESS;
        }
        if (which == '?') {
            fputs("phosd: try phosd backup --help\n", stderr);
            return EXIT_USAGE;
        }
        db = optarg;
    }
    if (*db == '\0')
        return usage("db", "must not be empty");
    if (optind == argc || *argv[optind] == '\0')
        return usage("nothing to write", "expected the name of a new file");
    if (optind + 1 < argc)
        return usage(argv[optind + 1], "not expected");
    return backup(db, argv[optind]);
}
