#include "client/service_options.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/saturate.h"
#include "client/call.h"
#include "wire/url.h"

static const char default_user_agent[] = "libphos/" PHOS_VERSION_TEXT;

/* The texts that are copied as they are. */
static const struct {
    const char *name;
    size_t option;
} texts[] = {
#define TEXT(name)                                  \
    {                                               \
#name, offsetof(phos_service_options, name) \
    }
    TEXT(base_url), TEXT(cookie_name),      TEXT(proxy),
    TEXT(ca_file),  TEXT(unix_socket_path), TEXT(user_agent),
#undef TEXT
};

enum { TEXT_COUNT = sizeof(texts) / sizeof(texts[0]) };

static phos_str *text_at(phos_service_options *options, size_t offset)
{
    return (phos_str *)(void *)((char *)options + offset);
}

static phos_status invalid(phos_error *ret_error, const char *name,
                           const char *why)
{
    phos__error_set(ret_error, PHOS_E_INVALID, PHOS_ORIGIN_PHOS, PHOS_E_INVALID,
                    "option %s: %s", name, why);
    return PHOS_E_INVALID;
}

/* ---- checks ---- */

static phos_status check_texts(phos_service_options *options,
                               phos_error *ret_error)
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
    if (options->user_agent.length &&
        !phos__header_value_is_valid(options->user_agent))
        return invalid(ret_error, "user_agent",
                       "holds a byte that no header may hold");
    if (options->unix_socket_path.length &&
        options->unix_socket_path.data[0] != '/')
        return invalid(ret_error, "unix_socket_path", "not an absolute path");
    if (!phos__headers_are_valid(options->headers, options->header_count))
        return invalid(ret_error, "headers",
                       "more than 32, or one that HTTP does not allow");
    return PHOS_OK;
}

static phos_status check_numbers(const phos_service_options *options,
                                 phos_error *ret_error)
{
    if (options->connect_timeout_ms == 0)
        return invalid(ret_error, "connect_timeout_ms", "0");
    if (options->reply_bytes_max == 0)
        return invalid(ret_error, "reply_bytes_max", "0");
    if (options->connections_max < 1 || options->connections_max > 64)
        return invalid(ret_error, "connections_max", "not between 1 and 64");
    if (options->retry.kind > PHOS_RETRY_BACKOFF ||
        !(options->retry.exponent >= 1))
        return invalid(ret_error, "retry", "not a phos_retry");
    if (options->transport &&
        (!options->transport->submit || !options->transport->cancel))
        return invalid(ret_error, "transport", "lacks submit or cancel");
    return PHOS_OK;
}

static phos_status check_auth(struct phos__service_settings *settings,
                              phos_error *ret_error)
{
    const phos_service_options *options = &settings->options;

    switch (options->auth) {
    case PHOS_AUTH_NONE:
        return PHOS_OK;
    case PHOS_AUTH_BEARER:
        settings->auth_header = "Authorization";
        break;
    case PHOS_AUTH_COOKIE:
        settings->auth_header = "Cookie";
        if (!phos__header_value_is_valid(options->cookie_name))
            return invalid(ret_error, "cookie_name",
                           "required with PHOS_AUTH_COOKIE");
        break;
    default:
        return invalid(ret_error, "auth", "not a phos_auth");
    }
    if (!options->credential.data ||
        !phos__header_value_is_valid(options->credential))
        return invalid(ret_error, "credential",
                       "required, of bytes that a header may hold");
    return PHOS_OK;
}

static phos_status check_url(struct phos__service_settings *settings,
                             phos_error *ret_error)
{
    const phos_service_options *options = &settings->options;
    struct phos__url url;
    const char *why, *path;

    if (options->base_url.length == 0)
        return invalid(ret_error, "base_url", "required");
    if (phos__url_parse(options->base_url, &url, &why))
        return invalid(ret_error, "base_url", why);
    if (options->auth != PHOS_AUTH_NONE && !url.is_https &&
        !options->allow_plain_http && !phos__url_is_loopback(&url) &&
        options->unix_socket_path.length == 0) {
        phos__error_set(ret_error, PHOS_E_INSECURE, PHOS_ORIGIN_PHOS,
                        PHOS_E_INSECURE,
                        "option base_url: the credential would travel over "
                        "plain http; use https, or allow_plain_http");
        return PHOS_E_INSECURE;
    }
    settings->base_url = url.prefix;
    path =
        memchr(url.host.data, '/',
               (size_t)(url.prefix.data + url.prefix.length - url.host.data));
    settings->origin = url.prefix;
    if (path)
        settings->origin.length = (size_t)(path - url.prefix.data);
    return PHOS_OK;
}

/* ---- copies ---- */

static phos_str copy(struct phos__buffer *text, phos_str what)
{
    const char *at = (const char *)text->data + text->bytes;

    phos__buffer_append_str(text, what);
    return phos_str_make(at, what.length);
}

static size_t bytes_of(const struct phos__service_settings *settings)
{
    phos_service_options options = settings->options;
    size_t bytes = options.cookie_name.length + 16;

    for (size_t i = 0; i < TEXT_COUNT; i++)
        bytes += text_at(&options, texts[i].option)->length;
    for (size_t i = 0; i < options.header_count; i++)
        bytes +=
            options.headers[i].name.length + options.headers[i].value.length;
    return bytes;
}

static void copy_headers(struct phos__service_settings *settings)
{
    phos_service_options *options = &settings->options;

    for (size_t i = 0; i < options->header_count; i++) {
        settings->headers[i].name =
            copy(&settings->text, options->headers[i].name);
        settings->headers[i].value =
            copy(&settings->text, options->headers[i].value);
    }
    options->headers = settings->headers;
}

static phos_str copy_prefix(struct phos__service_settings *settings)
{
    struct phos__buffer *text = &settings->text;
    phos_str prefix;

    if (settings->options.auth != PHOS_AUTH_COOKIE)
        return copy(text, PHOS_STR("Bearer "));
    prefix = copy(text, settings->options.cookie_name);
    prefix.length += copy(text, PHOS_STR("=")).length;
    return prefix;
}

static phos_status copy_all(struct phos__service_settings *settings,
                            const phos_allocator *allocator)
{
    phos_service_options *options = &settings->options;
    size_t origin_bytes = settings->origin.length;
    size_t base_bytes = settings->base_url.length;

    settings->headers = phos__alloc_zeroed(allocator, options->header_count + 1,
                                           sizeof(*settings->headers));
    if (!settings->headers ||
        !phos__buffer_reserve(&settings->text, bytes_of(settings)))
        return PHOS_E_NO_MEMORY;
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        phos_str *text = text_at(options, texts[i].option);

        *text = text->length ? copy(&settings->text, *text)
                             : phos_str_make(NULL, 0);
    }
    copy_headers(settings);
    settings->auth_prefix = copy_prefix(settings);
    settings->base_url = phos_str_make(options->base_url.data, base_bytes);
    settings->origin = phos_str_make(options->base_url.data, origin_bytes);
    options->credential = phos_str_make(NULL, 0);
    if (!options->user_agent.data)
        options->user_agent =
            phos_str_make(default_user_agent, sizeof(default_user_agent) - 1);
    return PHOS_OK;
}

phos_status phos__service_settings_init(struct phos__service_settings *settings,
                                        const phos_service_options *given,
                                        const phos_allocator *allocator,
                                        phos_error *ret_error)
{
    phos_service_options *options = &settings->options;
    phos_status status;

    memset(settings, 0, sizeof(*settings));
    phos__buffer_init(&settings->text, allocator);
    *options = phos_service_options_default();
    memcpy(options, given, phos__min_u64(given->struct_size, sizeof(*options)));
    status = check_texts(options, ret_error);
    if (!status)
        status = check_numbers(options, ret_error);
    if (!status)
        status = check_auth(settings, ret_error);
    if (!status)
        status = check_url(settings, ret_error);
    if (status)
        return status;
    status = copy_all(settings, allocator);
    if (status)
        phos__error_set(ret_error, status, PHOS_ORIGIN_PHOS, status, "open: %s",
                        phos_status_text(status));
    return status;
}

void phos__service_settings_deinit(struct phos__service_settings *settings)
{
    if (settings->headers)
        phos__free(&settings->text.allocator, settings->headers);
    settings->headers = NULL;
    phos__buffer_deinit(&settings->text);
}
