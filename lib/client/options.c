#define _GNU_SOURCE

#include "client/options.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/saturate.h"
#include "io/http.h"
#include "queue/ring.h"
#include "wire/url.h"

static const char batch_route[] = "/api/ingest/batch";
static const char feedback_route[] = "/api/feedback";
static const char default_user_agent[] = "libphos/" PHOS_VERSION_TEXT;

/* Numbers of 32 bits: where, the environment's name, the range. */
struct number_option {
    const char *name; /* as in phos_options */
    const char *variable;
    size_t offset;
    uint32_t min, max;
};

#define NUMBER(field, capitals, min, max)                                 \
    {                                                                     \
#field, "PHOS_" capitals, offsetof(phos_options, field), min, max \
    }

static const struct number_option numbers[] = {
    NUMBER(linger_ms, "LINGER_MS", 0, 3600000),
    NUMBER(batch_events_max, "BATCH_EVENTS_MAX", 1, 100),
    NUMBER(batch_bytes_max, "BATCH_BYTES_MAX", 1024, 8388608),
    NUMBER(in_flight_max, "IN_FLIGHT_MAX", 1, 16),
    NUMBER(ring_bytes, "RING_BYTES", PHOS__RING_BYTES_MIN,
           PHOS__RING_BYTES_MAX),
    NUMBER(event_bytes_max, "EVENT_BYTES_MAX", 256, PHOS__RING_BYTES_MAX / 16),
    NUMBER(full_wait_ms, "FULL_WAIT_MS", 0, 3600000),
    NUMBER(high_water_percent, "HIGH_WATER_PERCENT", 0, 95),
    NUMBER(deep_sleep_after_ms, "DEEP_SLEEP_AFTER_MS", 0, PHOS_NEVER_MS),
    NUMBER(retry_base_ms, "RETRY_BASE_MS", 1, 3600000),
    NUMBER(retry_cap_ms, "RETRY_CAP_MS", 1, 3600000),
    NUMBER(events_per_minute, "EVENTS_PER_MINUTE", 0, 1000000000),
    NUMBER(dedupe_window, "DEDUPE_WINDOW", 0, 1048576),
    NUMBER(connect_timeout_ms, "CONNECT_TIMEOUT_MS", 1, 3600000),
    NUMBER(request_timeout_ms, "REQUEST_TIMEOUT_MS", 1, 3600000),
    NUMBER(gzip_level, "GZIP_LEVEL", 0, 9),
    NUMBER(exit_flush_ms, "EXIT_FLUSH_MS", 0, 3600000),
};

enum { NUMBER_COUNT = sizeof(numbers) / sizeof(numbers[0]) };

struct text_option {
    const char *name;
    const char *variable;
    size_t option; /* offset of the phos_str */
    size_t copy;   /* offset of the copy in struct phos__texts */
};

#define TEXT(field, variable)                            \
    {                                                    \
#field, variable, offsetof(phos_options, field), \
            offsetof(struct phos__texts, field)          \
    }

static const struct text_option texts[] = {
    TEXT(endpoint, "PHOS_ENDPOINT"),
    TEXT(api_key, "PHOSPHO_API_KEY"),
    TEXT(project_id, "PHOSPHO_PROJECT_ID"),
    TEXT(proxy, "PHOS_PROXY"),
    TEXT(ca_file, "PHOS_CA_FILE"),
    TEXT(unix_socket_path, "PHOS_UNIX_SOCKET_PATH"),
    TEXT(user_agent, "PHOS_USER_AGENT"),
};

enum { TEXT_COUNT = sizeof(texts) / sizeof(texts[0]) };

static uint32_t *number_at(phos_options *options, size_t offset)
{
    return (uint32_t *)(void *)((char *)options + offset);
}

static phos_str *text_at(phos_options *options, size_t offset)
{
    return (phos_str *)(void *)((char *)options + offset);
}

static char **copy_at(struct phos__texts *copies, size_t offset)
{
    return (char **)(void *)((char *)copies + offset);
}

static phos_status invalid(phos_error *ret_error, const char *name,
                           const char *why)
{
    phos__error_set(ret_error, PHOS_E_INVALID, PHOS_ORIGIN_PHOS, PHOS_E_INVALID,
                    "option %s: %s", name, why);
    return PHOS_E_INVALID;
}

/* Decimal digits only; false: not a number of at most `max`. */
static bool parse_number(const char *text, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (*text == '\0')
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || value > max)
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
    }
    *ret_value = value;
    return value <= max;
}

/* A decimal of 0 to 1, such as 0.05, whatever the locale; false: none. */
static bool parse_share(const char *text, double *ret_value)
{
    uint64_t digits = 0, scale = 0;
    int count = 0;

    for (; *text; text++) {
        if (*text == '.' && scale == 0) {
            scale = 1;
            continue;
        }
        /* Up to 15 digits, and powers of ten as large, are exact doubles. */
        if (*text < '0' || *text > '9' || ++count > 15)
            return false;
        digits = digits * 10 + (uint64_t)(*text - '0');
        scale *= 10;
    }
    if (count == 0)
        return false;
    *ret_value = (double)digits / (double)(scale ? scale : 1);
    return *ret_value <= 1;
}

/* ---- the environment ---- */

/* NULL when it is not set; an empty one is how many tools leave one out. */
static const char *environment(const char *name)
{
    const char *value = secure_getenv(name);

    return value && *value ? value : NULL;
}

/* What people write for yes and no; false: neither. */
static bool parse_switch(const char *text, bool *ret_value)
{
    static const char *const words[][2] = {
        { "0", "1" }, { "false", "true" }, { "no", "yes" }, { "off", "on" }
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        for (int value = 0; value < 2; value++)
            if (strcasecmp(text, words[i][value]) == 0) {
                *ret_value = value == 1;
                return true;
            }
    return false;
}

/* Whoever switches recording off must find it off, whatever else is set: this
 * is asked before any other option is looked at. */
static phos_status resolve_enabled(phos_options *options, phos_error *ret_error)
{
    const char *variable = NULL;
    const char *name = "enabled";

    if (options->use_environment && options->enabled)
        variable = environment("PHOS_ENABLED");
    if (variable) {
        name = "PHOS_ENABLED";
        if (!parse_switch(variable, &options->enabled))
            return invalid(ret_error, name,
                           "the environment holds neither 0 nor 1");
    }
    if (!options->enabled && !options->allow_disabled)
        return invalid(ret_error, name,
                       "switches recording off, and option allow_disabled says "
                       "that this program must record");
    return PHOS_OK;
}

static phos_status numbers_from_environment(phos_options *options,
                                            phos_error *ret_error)
{
    phos_options defaults = phos_options_default();
    const char *variable;
    uint64_t value;

    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        const struct number_option *number = &numbers[i];
        uint32_t *at = number_at(options, number->offset);

        variable = environment(number->variable);
        if (!variable || *at != *number_at(&defaults, number->offset))
            continue;
        if (!parse_number(variable, UINT32_MAX, &value))
            return invalid(ret_error, number->variable,
                           "the environment holds no whole number that fits");
        *at = (uint32_t)value;
    }
    variable = environment("PHOS_AGE_MAX_MS");
    if (variable && options->age_max_ms == defaults.age_max_ms) {
        if (!parse_number(variable, UINT64_MAX / 16, &value))
            return invalid(ret_error, "PHOS_AGE_MAX_MS",
                           "the environment holds no whole number that fits");
        options->age_max_ms = value;
    }
    variable = environment("PHOS_SAMPLE_RATE");
    if (variable && options->sample_rate == defaults.sample_rate) {
        if (!parse_share(variable, &options->sample_rate))
            return invalid(ret_error, "PHOS_SAMPLE_RATE",
                           "the environment holds no decimal from 0 to 1");
    }
    variable = environment("PHOS_ALLOW_PLAIN_HTTP");
    if (variable && !options->allow_plain_http) {
        if (!parse_number(variable, 1, &value))
            return invalid(ret_error, "PHOS_ALLOW_PLAIN_HTTP",
                           "the environment holds neither 0 nor 1");
        options->allow_plain_http = value == 1;
    }
    return PHOS_OK;
}

static void texts_from_environment(phos_options *options)
{
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        phos_str *text = text_at(options, texts[i].option);
        const char *variable;

        if (text->length > 0)
            continue;
        variable = environment(texts[i].variable);
        if (variable)
            *text = phos_str_make(variable, strlen(variable));
    }
}

/* ---- checks ---- */

static phos_status check_numbers(phos_options *options, phos_error *ret_error)
{
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        const struct number_option *number = &numbers[i];
        uint32_t value = *number_at(options, number->offset);

        if (value < number->min || value > number->max) {
            phos__error_set(ret_error, PHOS_E_INVALID, PHOS_ORIGIN_PHOS,
                            PHOS_E_INVALID,
                            "option %s: %u is not between %u and %u",
                            number->name, value, number->min, number->max);
            return PHOS_E_INVALID;
        }
    }
    if (options->ring_bytes & (options->ring_bytes - 1))
        return invalid(ret_error, "ring_bytes", "not a power of two");
    if (options->event_bytes_max > options->ring_bytes / 16)
        return invalid(ret_error, "event_bytes_max",
                       "more than a sixteenth of ring_bytes");
    if (options->retry_cap_ms < options->retry_base_ms)
        return invalid(ret_error, "retry_cap_ms", "less than retry_base_ms");
    if (options->clock > PHOS_CLOCK_EXACT)
        return invalid(ret_error, "clock", "not a phos_clock");
    if (!(options->sample_rate >= 0 && options->sample_rate <= 1)) /* NaN */
        return invalid(ret_error, "sample_rate", "not between 0 and 1");
    if (options->oversize > PHOS_OVERSIZE_TRUNCATE)
        return invalid(ret_error, "oversize", "not a phos_oversize");
    if (options->age_max_ms > UINT64_MAX / 16)
        return invalid(ret_error, "age_max_ms", "too large");
    if (options->transport &&
        (!options->transport->submit || !options->transport->cancel))
        return invalid(ret_error, "transport", "lacks submit or cancel");
    return PHOS_OK;
}

static phos_status check_endpoint(const phos_options *options,
                                  struct phos__url *ret_url,
                                  phos_error *ret_error)
{
    const char *why;

    if (options->endpoint.length == 0)
        return invalid(ret_error, "endpoint",
                       "required; set it or PHOS_ENDPOINT to the service's "
                       "base URL");
    if (phos__url_parse(options->endpoint, ret_url, &why))
        return invalid(ret_error, "endpoint", why);
    if (options->api_key.length == 0)
        return invalid(ret_error, "api_key",
                       "required; set it or PHOSPHO_API_KEY");
    if (!ret_url->is_https && !options->allow_plain_http &&
        !phos__url_is_loopback(ret_url) &&
        options->unix_socket_path.length == 0) {
        phos__error_set(ret_error, PHOS_E_INSECURE, PHOS_ORIGIN_PHOS,
                        PHOS_E_INSECURE,
                        "option endpoint: the key would travel over plain http;"
                        " use https, or allow_plain_http");
        return PHOS_E_INSECURE;
    }
    return PHOS_OK;
}

/* Before anything else looks at them. */
static phos_status check_views(phos_options *options, phos_error *ret_error)
{
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        const phos_str *text = text_at(options, texts[i].option);

        if (text->length == 0)
            continue;
        if (!text->data)
            return invalid(ret_error, texts[i].name,
                           "has a length and no bytes");
        if (memchr(text->data, '\0', text->length))
            return invalid(ret_error, texts[i].name, "holds a NUL byte");
    }
    return PHOS_OK;
}

static phos_status check_texts(phos_options *options, phos_error *ret_error)
{
    if (!phos__header_value_is_valid(options->api_key))
        return invalid(ret_error, "api_key",
                       "holds a byte that no header may hold");
    if (options->user_agent.length &&
        !phos__header_value_is_valid(options->user_agent))
        return invalid(ret_error, "user_agent",
                       "holds a byte that no header may hold");
    if (options->unix_socket_path.length &&
        options->unix_socket_path.data[0] != '/')
        return invalid(ret_error, "unix_socket_path", "not an absolute path");
    if (options->gzip_level > 0 && !phos__http_has_gzip()) {
        phos__error_set(ret_error, PHOS_E_UNSUPPORTED, PHOS_ORIGIN_PHOS,
                        PHOS_E_UNSUPPORTED,
                        "option gzip_level: this build has no gzip");
        return PHOS_E_UNSUPPORTED;
    }
    return PHOS_OK;
}

/* ---- copies ---- */

static phos_status copy_texts(struct phos__settings *settings)
{
    phos_options *options = &settings->options;

    for (size_t i = 0; i < TEXT_COUNT; i++) {
        phos_str *text = text_at(options, texts[i].option);
        char **copy = copy_at(&settings->texts, texts[i].copy);

        if (text->length == 0) {
            *text = phos_str_make(NULL, 0);
            continue;
        }
        *copy = phos__strdup(&settings->allocator, *text);
        if (!*copy)
            return PHOS_E_NO_MEMORY;
        text->data = *copy;
    }
    if (!options->user_agent.data)
        options->user_agent =
            phos_str_make(default_user_agent, sizeof(default_user_agent) - 1);
    return PHOS_OK;
}

/* NULL: out of memory. */
static char *make_url(const struct phos__settings *settings,
                      const struct phos__url *url, const char *route)
{
    size_t length = url->prefix.length, bytes = strlen(route) + 1;
    char *whole = phos__alloc(&settings->allocator, length + bytes);

    if (!whole)
        return NULL;
    memcpy(whole, url->prefix.data, length);
    memcpy(whole + length, route, bytes);
    return whole;
}

static phos_status make_urls(struct phos__settings *settings,
                             const struct phos__url *url)
{
    settings->url = make_url(settings, url, batch_route);
    settings->feedback_url = make_url(settings, url, feedback_route);
    return settings->url && settings->feedback_url ? PHOS_OK : PHOS_E_NO_MEMORY;
}

phos_status phos__settings_init(struct phos__settings *settings,
                                const phos_options *given,
                                const phos_allocator *allocator,
                                phos_error *ret_error)
{
    phos_options *options = &settings->options;
    struct phos__url url;
    phos_status status = PHOS_OK;

    memset(settings, 0, sizeof(*settings));
    settings->allocator = *allocator;
    *options = phos_options_default();
    memcpy(options, given, phos__min_u64(given->struct_size, sizeof(*options)));
    status = resolve_enabled(options, ret_error);
    if (!options->enabled) {
        /* Nothing else is looked at, so nothing else is held. */
        *options = phos_options_default();
        options->enabled = false;
        return status;
    }
    if (!status && options->use_environment) {
        texts_from_environment(options);
        status = numbers_from_environment(options, ret_error);
    }
    if (!status)
        status = check_numbers(options, ret_error);
    if (!status)
        status = check_views(options, ret_error);
    if (!status)
        status = check_endpoint(options, &url, ret_error);
    if (!status)
        status = check_texts(options, ret_error);
    if (status)
        return status;

    status = make_urls(settings, &url);
    if (!status)
        status = copy_texts(settings);
    if (status) {
        phos__error_set(ret_error, status, PHOS_ORIGIN_PHOS, status, "%s",
                        phos_status_text(status));
        phos__settings_deinit(settings);
    }
    return status;
}

void phos__settings_deinit(struct phos__settings *settings)
{
    if (settings->texts.api_key)
        explicit_bzero(settings->texts.api_key,
                       settings->options.api_key.length);
    for (size_t i = 0; i < TEXT_COUNT; i++)
        phos__free(&settings->allocator,
                   *copy_at(&settings->texts, texts[i].copy));
    phos__free(&settings->allocator, settings->url);
    phos__free(&settings->allocator, settings->feedback_url);
    memset(settings, 0, sizeof(*settings));
}
