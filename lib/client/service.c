/*
 * service - opens and frees services and takes calls in; what becomes of them
 * is service_act's.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/saturate.h"
#include "client/service_state.h"
#include "client/stream.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/fork.h"
#include "wire/url.h"

void phos__service_destroy(phos_service *service)
{
    phos_allocator allocator = service->allocator;

    phos__credential_unref(service->credential);
    phos__service_settings_deinit(&service->settings);
    pthread_mutex_destroy(&service->lock);
    phos__free(&allocator, service);
}

/* ---- open ---- */

static phos_status find_carrier(phos_service *service)
{
    const phos_service_options *options = &service->settings.options;
    const struct phos__http_options http = {
        .connect_timeout_ms = options->connect_timeout_ms,
        .connections_max = options->connections_max,
        .proxy = options->proxy,
        .ca_file = options->ca_file,
        .unix_socket_path = options->unix_socket_path,
        .user_agent = options->user_agent,
        .on_easy = options->on_easy,
        .user_data = options->user_data,
    };

    return phos__carrier_open(&service->carrier, options->worker,
                              options->transport, &http, &service->allocator);
}

static void lay_ground(phos_service *service)
{
    const struct phos__service_settings *settings = &service->settings;

    service->ground = (struct phos__call_ground){
        .allocator = service->allocator,
        .generation_page = service->generation_page,
        .base_url = settings->base_url,
        .origin = settings->origin,
        .auth_header = settings->auth_header,
        .headers = settings->headers,
        .header_count = settings->options.header_count,
        .timeout_ms = settings->options.timeout_ms,
        .reply_bytes_max = settings->options.reply_bytes_max,
        .retry = settings->options.retry,
    };
}

static phos_status assemble(phos_service *service, phos_str credential)
{
    phos_status status;

    service->generation_page = phos__fork_generation();
    if (!service->generation_page)
        return PHOS_E_SYSTEM;
    service->generation = *service->generation_page;
    service->member.calls = &phos__service_member_calls;
    service->clock = phos__clock_port_real(PHOS_CLOCK_COARSE);
    lay_ground(service);
    status = phos__random_port_seed(service->random_state, &service->random);
    if (!status && service->settings.auth_header) {
        service->credential = phos__credential_create(
            &service->allocator, service->settings.auth_prefix, credential);
        status = service->credential ? PHOS_OK : PHOS_E_NO_MEMORY;
    }
    return status ? status : find_carrier(service);
}

static void tell(const phos_service_options *options, const phos_error *error)
{
    phos_diagnostic diagnostic = { .struct_size = sizeof(diagnostic),
                                   .severity = PHOS_SEVERITY_ERROR,
                                   .error = *error,
                                   .code = PHOS_DIAGNOSTIC_OPEN };

    if (options->on_diagnostic)
        options->on_diagnostic(&diagnostic, options->user_data);
}

static phos_status create(const phos_service_options *options,
                          const phos_allocator *allocator,
                          phos_service **ret_service, phos_error *ret_error)
{
    phos_service *service = phos__alloc_zeroed(allocator, 1, sizeof(*service));
    phos_status status = PHOS_E_NO_MEMORY;

    if (service) {
        service->allocator = *allocator;
        pthread_mutex_init(&service->lock, NULL);
        status = phos__service_settings_init(&service->settings, options,
                                             allocator, ret_error);
        if (!status)
            status = assemble(service, options->credential);
        if (!status) {
            *ret_service = service;
            return PHOS_OK;
        }
        phos__carrier_close(&service->carrier);
        phos__service_destroy(service);
    }
    if (!ret_error->status)
        phos__error_set(ret_error, status, PHOS_ORIGIN_PHOS, status, "open: %s",
                        phos_status_text(status));
    return status;
}

static phos_allocator choose_allocator(const phos_service_options *options,
                                       bool *ret_valid)
{
    if (!options->allocator.allocate && options->worker) {
        *ret_valid = true;
        return phos__worker_allocator(options->worker);
    }
    return phos__allocator_resolve(&options->allocator, ret_valid);
}

phos_status phos_service_open(const phos_service_options *given,
                              phos_service **ret_service)
{
    phos_service_options options = phos_service_options_default();
    phos_error error = { .status = PHOS_OK };
    phos_allocator allocator;
    phos_service *service;
    phos_status status;
    bool is_valid;

    if (!given || !ret_service || given->struct_size < sizeof(size_t))
        return PHOS_E_INVALID;
    memcpy(&options, given, phos__min_u64(given->struct_size, sizeof(options)));
    options.struct_size = sizeof(options);
    allocator = choose_allocator(&options, &is_valid);
    if (!is_valid)
        return PHOS_E_INVALID;
    status = create(&options, &allocator, &service, &error);
    if (status) {
        tell(&options, &error);
        return status;
    }
    phos__worker_join(service->carrier.worker, &service->member);
    *ret_service = service;
    return PHOS_OK;
}

void phos_service_free(phos_service *service)
{
    /* What a child inherits is its parent's: abandoned, never closed. */
    if (!service || phos__service_is_foreign(service))
        return;
    pthread_mutex_lock(&service->lock);
    service->is_leaving = true;
    pthread_mutex_unlock(&service->lock);
    phos__worker_leave(service->carrier.worker, &service->member);
}

/* ---- any thread ---- */

phos_status phos_service_set_credential(phos_service *service,
                                        phos_str credential)
{
    struct phos__credential *fresh, *old;

    if (!service)
        return PHOS_E_CLOSED;
    if (phos__service_is_foreign(service))
        return PHOS_E_FORKED;
    if (!service->settings.auth_header || !credential.data ||
        !phos__header_value_is_valid(credential))
        return PHOS_E_INVALID;
    fresh = phos__credential_create(&service->allocator,
                                    service->settings.auth_prefix, credential);
    if (!fresh)
        return PHOS_E_NO_MEMORY;
    pthread_mutex_lock(&service->lock);
    old = service->credential;
    service->credential = fresh;
    pthread_mutex_unlock(&service->lock);
    phos__credential_unref(old);
    return PHOS_OK;
}

/* false: the service is being freed, and a callback asks for more. */
static bool take_in(phos_service *service, struct phos_call *call)
{
    bool is_open;

    pthread_mutex_lock(&service->lock);
    is_open = !service->is_leaving;
    if (is_open) {
        phos__call_list_add(&service->incoming, call);
        phos__worker_wake(service->carrier.worker);
    }
    pthread_mutex_unlock(&service->lock);
    return is_open;
}

/* The caller's hold stays. */
static phos_status start(phos_service *service, struct phos_call *call)
{
    call->service = service;
    call->begun_ms = phos__service_now_ms(service);
    phos__call_ref(call);
    if (take_in(service, call))
        return PHOS_OK;
    phos__call_unref(call);
    phos__call_unref(call);
    return PHOS_E_CLOSED;
}

phos_status phos_service_call(phos_service *service, phos_str method,
                              phos_str path, phos_str body,
                              const phos_call_options *given,
                              phos_call **ret_call)
{
    phos_call_options options = phos_call_options_default();
    struct phos_call *call;
    phos_status status;

    if (!service)
        return PHOS_E_CLOSED;
    if (phos__service_is_foreign(service))
        return PHOS_E_FORKED;
    if (given && given->struct_size < sizeof(size_t))
        return PHOS_E_INVALID;
    if (given)
        memcpy(&options, given,
               phos__min_u64(given->struct_size, sizeof(options)));
    status = phos__call_create(&service->ground, method, path, body, &options,
                               &call);
    if (!status)
        status = start(service, call);
    if (status)
        return status;
    if (ret_call)
        *ret_call = call;
    else
        phos__call_unref(call);
    return PHOS_OK;
}

/* Whether the transport can hold a body back. */
static bool has_streams(const phos_transport *transport)
{
    const size_t bytes = offsetof(phos_transport, resume) + sizeof(void *);

    return transport->struct_size >= bytes && transport->resume;
}

phos_status phos_service_stream(phos_service *service, phos_str method,
                                phos_str path, phos_str body,
                                const phos_stream_options *given,
                                phos_stream **ret_stream)
{
    phos_stream_options options = phos_stream_options_default();
    phos_stream *stream;
    phos_status status;

    if (!service)
        return PHOS_E_CLOSED;
    if (phos__service_is_foreign(service))
        return PHOS_E_FORKED;
    if (!ret_stream || (given && given->struct_size < sizeof(size_t)))
        return PHOS_E_INVALID;
    if (!has_streams(service->carrier.transport))
        return PHOS_E_UNSUPPORTED;
    if (given)
        memcpy(&options, given,
               phos__min_u64(given->struct_size, sizeof(options)));
    status = phos__stream_create(&service->ground, method, path, body, &options,
                                 &stream);
    if (!status)
        status = start(service, phos__stream_call(stream));
    if (!status)
        *ret_stream = stream;
    return status;
}

/* Sets one of the call's words and has the worker look at it. Under the call's
 * lock: until it is done, its service is there. */
