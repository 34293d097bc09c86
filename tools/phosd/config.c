#define _GNU_SOURCE /* explicit_bzero() */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unix_socket.h"

enum { KEYS_MAX = 1000, LINE_BYTES = 4096 };

static const char help[] =
    "phosd - a collector: takes AI interactions over HTTP, keeps them in an\n"
    "SQLite file, and answers questions about events and sessions.\n"
    "\n"
    "Start it for yourself, with a key of your choice:\n"
    "\n"
    "  PHOSPHO_API_KEY=ph_local phosd --db events.sqlite\n"
    "\n"
    "Send it an event, and read it back:\n"
    "\n"
    "  curl http://127.0.0.1:8787/api/ingest \\\n"
    "    -H 'Authorization: Bearer ph_local' \\\n"
    "    -H 'Content-Type: application/json' \\\n"
    "    -d '{\"input\":\"How tall is K2?\",\"output\":\"8,611 m.\"}'\n"
    "  curl 'http://127.0.0.1:8787/api/events?q=K2' \\\n"
    "    -H 'Authorization: Bearer ph_local'\n"
    "\n"
    "Several teams, each with its key and a project of its own:\n"
    "\n"
    "  printf 'ph_red red-team\\nph_blue blue-team\\n' > keys\n"
    "  phosd --api-key-file keys --events-per-minute 10000\n"
    "\n"
    "Or with keys that phosd makes, keeps and can revoke:\n"
    "\n"
    "  phosd keys create red-team --db events.sqlite\n"
    "  phosd keys --help\n"
    "\n"
    "A copy of the database, also while it is in use:\n"
    "\n"
    "  phosd backup --db events.sqlite events-copy.sqlite\n"
    "\n";

static const char options_help[] =
    "Options                          (and the variable that may stand in)\n"
    "  --listen HOST:PORT             where; port 0 takes a free one; default\n"
    "                                 127.0.0.1:8787 (PHOSD_LISTEN)\n"
    "  --listen unix:PATH             a Unix socket; --listen may be given\n"
    "                                 8 times, of both kinds (PHOSD_LISTEN:\n"
    "                                 with blanks between them)\n"
    "  --socket-mode MODE             of a Unix socket's file, octal; default\n"
    "                                 0660 (PHOSD_SOCKET_MODE)\n"
    "  --socket-owner USER            whose it is; takes root\n"
    "                                 (PHOSD_SOCKET_OWNER)\n"
    "  --socket-group GROUP           whose group may use it\n"
    "                                 (PHOSD_SOCKET_GROUP)\n"
    "  --db FILE                      the SQLite file, made when missing;\n"
    "                                 default events.sqlite (PHOSD_DB)\n"
    "  --replace-corrupt              move a damaged database aside and begin\n"
    "                                 a new one, instead of refusing to start\n"
    "                                 (PHOSD_REPLACE_CORRUPT=1)\n"
    "  --api-key-file FILE            a key on each line, a blank, a name for\n"
    "                                 its project; # comments\n"
    "                                 (PHOSD_API_KEY_FILE)\n"
    "  --api-key KEY                  one key; better PHOSPHO_API_KEY, as "
    "other\n"
    "                                 users see a command line\n"
    "  --events-per-minute N          of each key, beyond it 429; 0: no "
    "limit;\n"
    "                                 default 0 (PHOSD_EVENTS_PER_MINUTE)\n"
    "  --keep-days N                  delete events that arrived before; 0:\n"
    "                                 none; default 0 (PHOSD_KEEP_DAYS)\n"
    "  --keep-bytes N                 delete the oldest events while the\n"
    "                                 database holds more; 0: none; default 0\n"
    "                                 (PHOSD_KEEP_BYTES)\n"
    "  --access-log FILE              a JSON object a line for each request; "
    "-\n"
    "                                 is standard output; SIGHUP opens the\n"
    "                                 file anew (PHOSD_ACCESS_LOG)\n"
    "  --metrics-open                 GET /metrics without a key\n"
    "                                 (PHOSD_METRICS_OPEN=1)\n"
    "  --body-max BYTES               of a request, beyond it 413; default\n"
    "                                 8388608 (PHOSD_BODY_MAX)\n"
    "  --port-file FILE               gets the port, once it listens\n"
    "                                 (PHOSD_PORT_FILE)\n"
    "  --head-timeout-ms N            for a request's head; default 10000\n"
    "                                 (PHOSD_HEAD_TIMEOUT_MS)\n"
    "  --body-timeout-ms N            within which a body must have brought a\n"
    "                                 byte for each ms; default 5000\n"
    "                                 (PHOSD_BODY_TIMEOUT_MS)\n"
    "  --reply-timeout-ms N           for taking a reply; default 30000\n"
    "                                 (PHOSD_REPLY_TIMEOUT_MS)\n"
    "  --idle-timeout-ms N            between requests; default 75000\n"
    "                                 (PHOSD_IDLE_TIMEOUT_MS)\n"
    "  --read-timeout-ms N            for finding what is asked for, beyond "
    "it\n"
    "                                 503; default 10000\n"
    "                                 (PHOSD_READ_TIMEOUT_MS)\n"
    "  --check                        say what is wrong with all this, "
    "without\n"
    "                                 starting: exit 0 or 2 (PHOSD_CHECK=1)\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 stopped by SIGTERM, SIGINT or SIGHUP, 1 failure, 2 usage.\n"
    "\n"
    "Next: phos send --endpoint http://127.0.0.1:8787 events.ndjson\n";

enum option_kind { TEXT, NUMBER, SWITCH, OCTAL, LISTEN };

/* One row for each option; a switch takes no value on the command line, and
 * 0 or 1 from the environment. */
struct setting {
    const char *option, *variable;
    enum option_kind kind;
    size_t offset;
    uint64_t min, max;
};

#define AT(member) offsetof(struct phosd_config, member)

static const struct setting settings[] = {
    { "listen", "PHOSD_LISTEN", LISTEN, 0, 0, 0 },
    { "socket-mode", "PHOSD_SOCKET_MODE", OCTAL, AT(socket_mode), 0, 0777 },
    { "socket-owner", "PHOSD_SOCKET_OWNER", TEXT, AT(socket_owner), 0, 0 },
    { "socket-group", "PHOSD_SOCKET_GROUP", TEXT, AT(socket_group), 0, 0 },
    { "db", "PHOSD_DB", TEXT, AT(db), 0, 0 },
    { "port-file", "PHOSD_PORT_FILE", TEXT, AT(port_file), 0, 0 },
    { "events-per-minute", "PHOSD_EVENTS_PER_MINUTE", NUMBER,
      AT(events_per_minute), 0, 1000000000 },
    { "body-max", "PHOSD_BODY_MAX", NUMBER, AT(body_bytes_max), 1024,
      64 << 20 },
    { "keep-days", "PHOSD_KEEP_DAYS", NUMBER, AT(keep_days), 0, 36500 },
    { "keep-bytes", "PHOSD_KEEP_BYTES", NUMBER, AT(keep_bytes), 0,
      UINT64_C(1) << 50 },
    { "head-timeout-ms", "PHOSD_HEAD_TIMEOUT_MS", NUMBER, AT(head_timeout_ms),
      1, 3600000 },
    { "body-timeout-ms", "PHOSD_BODY_TIMEOUT_MS", NUMBER, AT(body_timeout_ms),
      1, 3600000 },
    { "reply-timeout-ms", "PHOSD_REPLY_TIMEOUT_MS", NUMBER,
      AT(reply_timeout_ms), 1, 3600000 },
    { "access-log", "PHOSD_ACCESS_LOG", TEXT, AT(access_log), 0, 0 },
    { "metrics-open", "PHOSD_METRICS_OPEN", SWITCH, AT(metrics_open), 0, 1 },
    { "check", "PHOSD_CHECK", SWITCH, AT(check), 0, 1 },
    { "replace-corrupt", "PHOSD_REPLACE_CORRUPT", SWITCH, AT(replace_corrupt),
      0, 1 },
    { "read-timeout-ms", "PHOSD_READ_TIMEOUT_MS", NUMBER, AT(read_timeout_ms),
      1, 3600000 },
    { "idle-timeout-ms", "PHOSD_IDLE_TIMEOUT_MS", NUMBER, AT(idle_timeout_ms),
      1, 3600000 },
};

enum {
    SETTINGS = sizeof(settings) / sizeof(settings[0]),
    OPTION_KEY = 1000,
    OPTION_KEY_FILE,
    OPTION_HELP,
    OPTION_VERSION,
};

static bool usage(const char *what, const char *why)
{
    fprintf(stderr, "phosd: %s: %s\nphosd: try phosd --help\n", what, why);
    return false;
}

static bool add_listen(struct phosd_config *config, const char *address)
{
    if (config->listen_count == PHOSD_LISTEN_MAX)
        return usage("--listen", "given more than 8 times");
    config->listen[config->listen_count++] = address;
    return true;
}

/* The command line's replace those of the environment. */
static bool set_listen(struct phosd_config *config, const char *value,
                       bool from_environment)
{
    char *rest, *address;

    if (config->listen_is_default || config->listen_text)
        config->listen_count = 0;
    config->listen_is_default = false;
    free(config->listen_text);
    config->listen_text = NULL;
    if (!from_environment)
        return add_listen(config, value);
    config->listen_text = strdup(value);
    if (!config->listen_text)
        return usage("PHOSD_LISTEN", "out of memory");
    for (address = strtok_r(config->listen_text, " ", &rest); address;
         address = strtok_r(NULL, " ", &rest))
        if (!add_listen(config, address))
            return false;
    return config->listen_count > 0 ||
           usage("PHOSD_LISTEN", "must not be empty");
}

static bool wrong_number(const struct setting *setting, const char *value,
                         const char *name)
{
    fprintf(stderr,
            setting->kind == OCTAL
                ? "phosd: %s: expected an octal number from %llo to %llo, got "
                  "%s\nphosd: try phosd --help\n"
                : "phosd: %s: expected a number from %llu to %llu, got %s\n"
                  "phosd: try phosd --help\n",
            name, (unsigned long long)setting->min,
            (unsigned long long)setting->max, value);
    return false;
}

static bool set(struct phosd_config *config, const struct setting *setting,
                const char *value, const char *name)
{
    char *member = (char *)config + setting->offset;
    unsigned long long number;
    char *end;

    if (setting->kind == LISTEN)
        return set_listen(config, value, name == setting->variable);
    if (setting->kind == TEXT) {
        memcpy(member, &value, sizeof(value));
        return *value != '\0' || usage(name, "must not be empty");
    }
    errno = 0;
    number = strtoull(value, &end, setting->kind == OCTAL ? 8 : 10);
    if (*value < '0' || *value > '9' || *end || errno ||
        number < setting->min || number > setting->max)
        return wrong_number(setting, value, name);
    if (setting->kind == SWITCH) {
        bool on = number == 1;

        memcpy(member, &on, sizeof(on));
        return true;
    }

    uint64_t wide = number;

    memcpy(member, &wide, sizeof(wide));
    return true;
}

static bool add_key(struct phosd_config *config, const char *key,
                    const char *name)
{
    struct phosd_key_line *keys;

    if (*key == '\0')
        return usage("the API key", "must not be empty");
    for (size_t i = 0; i < config->key_count; i++) {
        const struct phosd_key_line *other = &config->keys[i];

        if (strcmp(other->key, key) == 0)
            return usage("the API key file", "a key stands there twice");
        if (name && other->name && strcmp(other->name, name) == 0)
            return usage(name, "two keys have this project name");
    }
    if (config->key_count == KEYS_MAX)
        return usage("the API key file", "more than 1000 keys");
    keys = realloc(config->keys, (config->key_count + 1) * sizeof(*keys));
    if (!keys)
        return usage("the API key", "out of memory");
    config->keys = keys;
    keys += config->key_count++;
    keys->key = strdup(key);
    keys->name = name ? strdup(name) : NULL;
    return (keys->key && (keys->name || !name)) ||
           usage("the API key", "out of memory");
}

/* A line of the key file: key, blank, name; '#' begins a comment line. */
static bool read_key_line(struct phosd_config *config, char *line)
{
    static const char blanks[] = " \t\r\n";
    char *key = line + strspn(line, blanks);
    char *end = key + strcspn(key, blanks);
    char *name = end + strspn(end, blanks);
    size_t name_bytes;

    if (*key == '\0' || *key == '#')
        return true;
    *end = '\0';
    for (name_bytes = strlen(name);
         name_bytes > 0 && strchr(blanks, name[name_bytes - 1]);)
        name[--name_bytes] = '\0';
    return add_key(config, key, name_bytes > 0 ? name : NULL);
}

static bool read_key_file(struct phosd_config *config, const char *path)
{
    char line[LINE_BYTES];
    FILE *file = fopen(path, "re");
    bool sound = true;

    if (!file)
        return usage(path, strerror(errno));
    while (sound && fgets(line, sizeof(line), file)) {
        if (!strchr(line, '\n') && !feof(file))
            sound = usage(path, "a line is longer than 4095 bytes");
        else
            sound = read_key_line(config, line);
    }
    if (sound && ferror(file))
        sound = usage(path, "cannot be read");
    if (sound && config->key_count == 0)
        sound = usage(path, "holds no key");
    explicit_bzero(line, sizeof(line));
    fclose(file);
    return sound;
}

static bool read_environment(struct phosd_config *config)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        const char *value = getenv(settings[i].variable);

        if (value && *value &&
            !set(config, &settings[i], value, settings[i].variable))
            return false;
    }
    return true;
}

static bool find_keys(struct phosd_config *config, const char *key_file)
{
    const char *key = getenv("PHOSPHO_API_KEY");

    if (!key_file && config->key_count == 0)
        key_file = getenv("PHOSD_API_KEY_FILE");
    if (key_file && *key_file)
        return read_key_file(config, key_file);
    if (config->key_count > 0)
        return true;
    if (key && *key)
        return add_key(config, key, NULL);
    return true; /* the database may hold some */
}

static enum phosd_config_result parse(struct phosd_config *config, int argc,
                                      char **argv, const char **ret_key_file)
{
    struct option options[SETTINGS + 5];
    int which;

    memset(options, 0, sizeof(options));
    for (int i = 0; i < SETTINGS; i++)
        options[i] =
            (struct option){ settings[i].option,
                             settings[i].kind == SWITCH ? no_argument
                                                        : required_argument,
                             NULL, i };
    options[SETTINGS] =
        (struct option){ "api-key", required_argument, NULL, OPTION_KEY };
    options[SETTINGS + 1] = (struct option){ "api-key-file", required_argument,
                                             NULL, OPTION_KEY_FILE };
    options[SETTINGS + 2] =
        (struct option){ "help", no_argument, NULL, OPTION_HELP };
    options[SETTINGS + 3] =
        (struct option){ "version", no_argument, NULL, OPTION_VERSION };

    while ((which = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (which) {
        case OPTION_HELP:
        case 'h':
            fputs(help, stdout);
            fputs(options_help, stdout);
            return PHOSD_CONFIG_SHOWN;
        case OPTION_VERSION:
            puts("phosd " PHOS_VERSION_TEXT);
            return PHOSD_CONFIG_SHOWN;
        case OPTION_KEY:
            if (!add_key(config, optarg, NULL))
                return PHOSD_CONFIG_USAGE;
            explicit_bzero(optarg, strlen(optarg)); /* out of ps's sight */
            break;
        case OPTION_KEY_FILE:
            *ret_key_file = optarg;
            break;
        case '?': /* getopt_long() told why */
            fputs("phosd: try phosd --help\n", stderr);
            return PHOSD_CONFIG_USAGE;
        default:
            if (!set(config, &settings[which], optarg ? optarg : "1",
                     settings[which].option))
                return PHOSD_CONFIG_USAGE;
        }
    }
    if (optind < argc) {
        usage(argv[optind], "not expected");
        return PHOSD_CONFIG_USAGE;
    }
    return PHOSD_CONFIG_RUN;
}

static bool check_listen(const struct phosd_config *config)
{
    for (size_t i = 0; i < config->listen_count; i++)
        if (!phosd_unix_path(config->listen[i]) &&
            !phosd_address_is_whole(config->listen[i]))
            return usage(config->listen[i],
                         "expected HOST:PORT, such as 127.0.0.1:8787, or "
                         "unix:PATH");
    return true;
}

enum phosd_config_result phosd_config_read(struct phosd_config *config,
                                           int argc, char **argv)
{
    const char *key_file = NULL;
    enum phosd_config_result result;

    memset(config, 0, sizeof(*config));
    config->listen[config->listen_count++] = "127.0.0.1:8787";
    config->listen_is_default = true;
    config->socket_mode = 0660;
    config->db = "events.sqlite";
    config->body_bytes_max = 8 << 20;
    config->head_timeout_ms = 10000;
    config->body_timeout_ms = 5000;
    config->reply_timeout_ms = 30000;
    config->idle_timeout_ms = 75000;
    config->read_timeout_ms = 10000;

    if (!read_environment(config))
        return PHOSD_CONFIG_USAGE;
    result = parse(config, argc, argv, &key_file);
    if (result != PHOSD_CONFIG_RUN)
        return result;
    if (!check_listen(config) || !find_keys(config, key_file))
        return PHOSD_CONFIG_USAGE;
    return result;
}

void phosd_config_deinit(struct phosd_config *config)
{
    for (size_t i = 0; i < config->key_count; i++) {
        if (config->keys[i].key)
            explicit_bzero(config->keys[i].key, strlen(config->keys[i].key));
        free(config->keys[i].key);
        free(config->keys[i].name);
    }
    free(config->keys);
    free(config->listen_text);
    config->listen_text = NULL;
    config->keys = NULL;
    config->key_count = 0;
}
