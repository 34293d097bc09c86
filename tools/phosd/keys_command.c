#define _GNU_SOURCE /* explicit_bzero() */
#include "keys_command.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "keybook.h"
#include "query.h"

enum {
    EXIT_USAGE = 2,
    RANDOM_BYTES = 32,
    PREFIX_BYTES = 3,
    KEY_BYTES = PREFIX_BYTES + 2 * RANDOM_BYTES + 1,
    TIME_BYTES = 32
};

static const char help[] =
    "phosd keys - makes keys, lists them, revokes them. A phosd that runs on\n"
    "the same file follows within a second.\n"
    "\n"
    "  phosd keys create NAME [--db FILE]   prints a new key, this once\n"
    "  phosd keys list [--db FILE]          names and times, never a key\n"
    "  phosd keys revoke NAME [--db FILE]   ends a key for good\n"
    "\n"
    "Each name is a project of its own. Revoke and create again to give a\n"
    "project another key; its events stay.\n"
    "\n"
    "Options                          (and the variable that may stand in)\n"
    "  --db FILE                      the SQLite file; create makes it when\n"
    "                                 missing; default events.sqlite "
    "(PHOSD_DB)\n"
    "  --help\n"
    "\n"
    "Exit status: 0 done, 1 failure, 2 usage.\n";

static int usage(const char *what, const char *why)
{
    fprintf(stderr, "phosd keys: %s: %s\nphosd: try phosd keys --help\n", what,
            why);
    return EXIT_USAGE;
}

static int failed(const phos_error *error)
{
    fprintf(stderr, "phosd keys: %s\n", error->text);
    return EXIT_FAILURE;
}

/* Names stand in lists and in key files, where blanks divide. */
static const char *bad_name(const char *name)
{
    size_t bytes = strlen(name);

    if (bytes == 0)
        return "a name must not be empty";
    if (bytes > PHOSD_KEY_NAME_BYTES_MAX)
        return "a name has at most 200 bytes";
    if (name[0] == ' ' || name[bytes - 1] == ' ')
        return "a name must not begin or end with a blank";
    if (!phosd_is_utf8(phos_str_make(name, bytes)))
        return "a name must be UTF-8";
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 127)
            return "a name must not hold control characters";
    return NULL;
}

static bool make_key(char key[KEY_BYTES])
{
    uint8_t random[RANDOM_BYTES];

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return false;
    memcpy(key, "ph_", PREFIX_BYTES + 1);
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(key + PREFIX_BYTES + 2 * i, 3, "%02x", random[i]);
    explicit_bzero(random, sizeof(random));
    return true;
}

static int create(struct phosd_keybook *book, const char *name)
{
    uint8_t salt[PHOSD_KEY_SALT_BYTES], hash[PHOSD_KEY_HASH_BYTES];
    char key[KEY_BYTES];
    phos_error error;
    bool printed;

    if (!phosd_keybook_salt(book, salt, &error))
        return failed(&error);
    if (!make_key(key)) {
        fprintf(stderr, "phosd keys: no random bytes: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    phosd_key_hash(salt, phos_str_make(key, strlen(key)), hash);
    if (!phosd_keybook_add(book, name, hash, &error))
        return failed(&error);
    printed = puts(key) >= 0 && fflush(stdout) == 0;
    explicit_bzero(key, sizeof(key));
    if (!printed) {
        fprintf(stderr,
                "phosd keys: the key could not be written: %s; revoke %s and "
                "create it again\n",
                strerror(errno), name);
        return EXIT_FAILURE;
    }
    fprintf(stderr, "phosd keys: keep it now; it is not shown again\n");
    return EXIT_SUCCESS;
}

static const char *time_text(int64_t time_us, const char *none,
                             char text[TIME_BYTES])
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm parts;

    if (time_us == 0 || !gmtime_r(&seconds, &parts) ||
        strftime(text, TIME_BYTES, "%Y-%m-%dT%H:%MZ", &parts) == 0)
        snprintf(text, TIME_BYTES, "%s", none);
    return text;
}

static void print_row(const struct phosd_key_row *row, void *user_data)
{
    char created[TIME_BYTES], used[TIME_BYTES], revoked[TIME_BYTES];

    (void)user_data;
    printf("%-18s %-18s %-18s %.*s\n", time_text(row->created_us, "-", created),
           time_text(row->used_us, "never", used),
           time_text(row->revoked_us, "-", revoked), (int)row->name.length,
           row->name.data);
}

static int list(struct phosd_keybook *book)
{
    phos_error error;

    printf("%-18s %-18s %-18s %s\n", "CREATED", "LAST USED", "REVOKED", "NAME");
    if (!phosd_keybook_list(book, print_row, NULL, &error))
        return failed(&error);
    if (fflush(stdout) == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "phosd keys: %s\n", strerror(errno));
    return EXIT_FAILURE;
}

static int revoke(struct phosd_keybook *book, const char *name)
{
    phos_error error;

    return phosd_keybook_revoke(book, name, &error) ? EXIT_SUCCESS
                                                    : failed(&error);
}

static int run(const char *verb, const char *name, const char *db)
{
    struct phosd_keybook *book;
    phos_error error;
    int status;

    if (!phosd_keybook_open(db, strcmp(verb, "create") == 0, &book, &error))
        return failed(&error);
    if (strcmp(verb, "create") == 0)
        status = create(book, name);
    else if (strcmp(verb, "revoke") == 0)
        status = revoke(book, name);
    else
        status = list(book);
    phosd_keybook_close(book);
    return status;
}

int phosd_keys_command(int argc, char **argv)
{
    static const struct option options[] = {
        { "db", required_argument, NULL, 'd' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    const char *db = getenv("PHOSD_DB"), *verb, *why;
    int which, rest;

    if (!db || *db == '\0')
        db = "events.sqlite";
    while ((which = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (which == 'h') {
            fputs(help, stdout);
            return EXIT_SUCCESS;
        }
        if (which == '?') {
            fputs("phosd: try phosd keys --help\n", stderr);
            return EXIT_USAGE;
        }
        db = optarg;
    }
    if (*db == '\0')
        return usage("db", "must not be empty");
    rest = argc - optind;
    verb = rest > 0 ? argv[optind] : "";
    if (strcmp(verb, "list") == 0)
        return rest == 1 ? run(verb, NULL, db)
                         : usage(argv[optind + 1], "not expected");
    if (strcmp(verb, "create") != 0 && strcmp(verb, "revoke") != 0)
        return usage(*verb ? verb : "nothing to do",
                     "expected create NAME, list or revoke NAME");
    if (rest < 2)
        return usage(verb, "expected a name");
    if (rest > 2)
        return usage(argv[optind + 2],
                     "not expected; quote a name with blanks");
    why = bad_name(argv[optind + 1]);
    return why ? usage(argv[optind + 1], why) : run(verb, argv[optind + 1], db);
}
