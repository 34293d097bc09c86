#include "variables.h"

#include <string.h>

#include "options.h"

const char *const variables_known[] = {
    "PHOS_ENDPOINT",
    "PHOSPHO_API_KEY",
    "PHOS_API_KEY_FILE",
    "PHOSPHO_PROJECT_ID",
    "PHOS_LINGER_MS",
    "PHOS_BATCH_EVENTS_MAX",
    "PHOS_BATCH_BYTES_MAX",
    "PHOS_IN_FLIGHT_MAX",
    "PHOS_RING_BYTES",
    "PHOS_EVENT_BYTES_MAX",
    "PHOS_FULL_WAIT_MS",
    "PHOS_DEEP_SLEEP_AFTER_MS",
    "PHOS_RETRY_BASE_MS",
    "PHOS_RETRY_CAP_MS",
    "PHOS_AGE_MAX_MS",
    "PHOS_EVENTS_PER_MINUTE",
    "PHOS_DEDUPE_WINDOW",
    "PHOS_CONNECT_TIMEOUT_MS",
    "PHOS_REQUEST_TIMEOUT_MS",
    "PHOS_PROXY",
    "PHOS_CA_FILE",
    "PHOS_UNIX_SOCKET_PATH",
    "PHOS_USER_AGENT",
    "PHOS_GZIP_LEVEL",
    "PHOS_ALLOW_PLAIN_HTTP",
    "PHOS_EXIT_FLUSH_MS",
    "PHOS_ENABLED",
    "PHOS_SAMPLE_RATE",
    "PHOS_HIGH_WATER_PERCENT",
};

const size_t variables_known_count =
    sizeof(variables_known) / sizeof(variables_known[0]);

static bool is_ours(const char *name)
{
    return strncmp(name, "PHOS_", 5) == 0 || strncmp(name, "PHOSPHO_", 8) == 0;
}

static bool is_known(const char *name, size_t length)
{
    for (size_t i = 0; i < variables_known_count; i++)
        if (strlen(variables_known[i]) == length &&
            memcmp(variables_known[i], name, length) == 0)
            return true;
    return false;
}

const char *variables_unknown(char *const *environment, size_t *at,
                              const char **ret_nearest)
{
    for (; environment[*at] != NULL; (*at)++) {
        const char *entry = environment[*at];
        size_t length = strcspn(entry, "=");
        char name[40];

        if (!is_ours(entry) || is_known(entry, length))
            continue;
        *ret_nearest = NULL;
        if (length < sizeof(name)) {
            memcpy(name, entry, length);
            name[length] = '\0';
            *ret_nearest =
                options_nearest(name, variables_known, variables_known_count);
        }
        (*at)++;
        return entry;
    }
    return NULL;
}
