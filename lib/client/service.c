/*
 * service - the public face of calls: takes them in from any thread, and on the
 * worker's thread sends, repeats and ends them.
 *
 *   incoming ─► sending ─► answered ─► done
 *                  ▲           │
 *                  └─ waiting ◄┘
 */
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/saturate.h"
#include "client/call.h"
#include "client/carrier.h"
#include "client/service_options.h"
#include "client/stream.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/fork.h"
#include "wire/retry_after.h"
#include "wire/url.h"

struct call_list {
    struct phos_call *first, *last;
};

struct phos_service {
    const volatile uint32_t *generation_page;
    uint32_t generation;
    phos_allocator allocator;
    struct phos__service_settings settings;
    struct phos__call_ground ground;
    struct phos__member member;
    struct phos__carrier carrier;
    struct phos__clock_port clock;
    struct phos__random_port random; /* the worker's */
    uint64_t random_state[4];
    uint64_t last_id; /* the worker's */
    bool is_hung_up;  /* the worker's */

    /* A call is in one of the lists until it is done. Under the lock, as is
     * is_cancelled of each call: an answer may come on any thread. */
    pthread_mutex_t lock;
    struct call_list incoming, sending, answered, waiting;
    bool is_leaving;
    struct phos__credential *credential; /* NULL: none */
};

static bool is_foreign(const phos_service *service)
{
    return *service->generation_page != service->generation;
}

static uint64_t now_ms(const phos_service *service)
{
    return service->clock.monotonic_us(service->clock.self) / 1000;
}

/* ---- lists ---- */

static void add(struct call_list *list, struct phos_call *call)
{
    call->next = NULL;
    call->previous = list->last;
    if (list->last)
        list->last->next = call;
    else
        list->first = call;
    list->last = call;
}

static void take_out(struct call_list *list, struct phos_call *call)
{
    if (call->previous)
        call->previous->next = call->next;
    else
        list->first = call->next;
    if (call->next)
        call->next->previous = call->previous;
    else
        list->last = call->previous;
    call->previous = call->next = NULL;
}

static bool is_over(const phos_service *service, const struct phos_call *call)
{
    return service->is_leaving || call->is_cancelled;
}

/* The first of a list that is due, or that is not wanted any more. */
static struct phos_call *take_due(phos_service *service, struct call_list *list,
                                  uint64_t at_ms)
{
    struct phos_call *call;

    pthread_mutex_lock(&service->lock);
    call = list->first;
    while (call && call->due_ms > at_ms && !is_over(service, call))
        call = call->next;
    if (call)
        take_out(list, call);
    pthread_mutex_unlock(&service->lock);
    return call;
}

static struct phos_call *take_first(phos_service *service,
                                    struct call_list *list)
{
    return take_due(service, list, UINT64_MAX);
}

static void put(phos_service *service, struct call_list *list,
                struct phos_call *call)
{
    pthread_mutex_lock(&service->lock);
    add(list, call);
    pthread_mutex_unlock(&service->lock);
}

/* ---- attempts: the worker's thread ---- */

static void on_reply(const phos_reply *reply, void *reply_data)
{
    struct phos_call *call = reply_data;
    phos_service *service = call->service;

    phos__call_keep(call, reply);
    pthread_mutex_lock(&service->lock);
    take_out(&service->sending, call);
    add(&service->answered, call);
    /* libcurl's answers come on the loop, and a turn follows. Under the lock:
     * once the worker can see the last answer of a service that is being freed,
     * nothing of it is there for long. */
    if (!service->carrier.http)
        phos__worker_wake(service->carrier.worker);
    pthread_mutex_unlock(&service->lock);
}

static phos_status submit(phos_service *service, struct phos_call *call)
{
    const phos_transport *transport = service->carrier.transport;
    phos_status status;

    pthread_mutex_lock(&service->lock);
    status = phos__call_prepare(call, ++service->last_id, now_ms(service),
                                service->credential);
    if (!status)
        add(&service->sending, call);
    pthread_mutex_unlock(&service->lock);
    if (status)
        return status;
    status =
        transport->submit(transport->user_data, &call->request, on_reply, call);
    if (!status)
        return PHOS_OK;
    pthread_mutex_lock(&service->lock);
    take_out(&service->sending, call);
    pthread_mutex_unlock(&service->lock);
    return status;
}

static uint64_t wish_of(const struct phos_call *call)
{
    uint64_t wish_ms = 0;

    /* A service that throttles has a clock of its own in Date; ours would be
     * of use only against a service without one. */
    phos__retry_after_read(phos__call_reply_header(call, "Retry-After"),
                           phos__call_reply_header(call, "Date"), 0, &wish_ms);
    return wish_ms;
}

/* Whether the attempt that has ended is followed by another; then the call
 * waits for it. */
static bool is_repeated(phos_service *service, struct phos_call *call)
{
    uint64_t now = now_ms(service), wait_ms;
    const struct phos__repeat_ask ask = {
        .attempts = call->attempts,
        .elapsed_ms = phos__sub_sat_u64(now, call->begun_ms),
        .exchange = call->reply.exchange,
        .http_status = call->reply.http_status,
        .retry_after_ms = wish_of(call),
        .is_safe = call->is_safe,
        .random = service->random.next(service->random.self),
    };

    if (!phos__repeat_next(&call->retry, &ask, &wait_ms))
        return false;
    /* What could not begin in time ends with what is known now. */
    if (call->timeout_ms && ask.elapsed_ms + wait_ms >= call->timeout_ms)
        return false;
    call->due_ms = phos__add_sat_u64(now, wait_ms);
    put(service, &service->waiting, call);
    return true;
}

/* A stream whose last event is not taken yet: until it is resumed. */
static void hold(phos_service *service, struct phos_call *call)
{
    pthread_mutex_lock(&service->lock);
    call->is_held = true;
    call->due_ms = UINT64_MAX;
    add(&service->waiting, call);
    pthread_mutex_unlock(&service->lock);
}

static bool is_wanted(phos_service *service, const struct phos_call *call)
{
    bool is_wanted;

    pthread_mutex_lock(&service->lock);
    is_wanted = !is_over(service, call);
    pthread_mutex_unlock(&service->lock);
    return is_wanted;
}

static void finish(phos_service *service, struct phos_call *call)
{
    if (!is_wanted(service, call))
        phos__call_keep_failure(call, PHOS_EXCHANGE_CANCELLED, PHOS_E_CANCELLED,
                                "cancelled");
    phos__call_finish(call, now_ms(service));
}

static void attempt(phos_service *service, struct phos_call *call)
{
    phos_status status = submit(service, call);
    bool helps_later = phos_status_retryable(status);

    if (!status)
        return;
    phos__call_keep_failure(
        call, helps_later ? PHOS_EXCHANGE_NOT_SENT : PHOS_EXCHANGE_REFUSED,
        status, phos_status_text(status));
    if (!is_repeated(service, call))
        finish(service, call);
}

static void go_on(phos_service *service, struct phos_call *call)
{
    if (!is_wanted(service, call))
        finish(service, call);
    else if (!phos__call_is_taken(call))
        hold(service, call);
    else if (phos__call_follow(call))
        attempt(service, call);
    else if (!is_repeated(service, call))
        finish(service, call);
}

static void begin(phos_service *service, struct phos_call *call)
{
    if (call->is_held)
        go_on(service, call);
    else if (is_wanted(service, call))
        attempt(service, call);
    else
        finish(service, call);
}

/* A paused stream that may go on; one that was held has its turn at once. NULL:
 * none. */
static struct phos_call *find_resumed(phos_service *service,
                                      uint64_t *ret_request_id)
{
    struct phos_call *call;

    pthread_mutex_lock(&service->lock);
    for (call = service->waiting.first; call; call = call->next)
        if (call->is_held && call->wants_resume) {
            call->wants_resume = false;
            call->due_ms = 0;
        }
    call = service->sending.first;
    while (call && !call->wants_resume)
        call = call->next;
    if (call) {
        call->wants_resume = false;
        *ret_request_id = call->request.id;
    }
    pthread_mutex_unlock(&service->lock);
    return call;
}

static void resume_streams(phos_service *service)
{
    const phos_transport *transport = service->carrier.transport;
    struct phos_call *call;
    uint64_t id;

    while ((call = find_resumed(service, &id)) != NULL)
        transport->resume(transport->user_data, id, call);
}

/* One that is under way and not wanted any more; NULL: none. */
static struct phos_call *find_unwanted(phos_service *service,
                                       uint64_t *ret_request_id)
{
    struct phos_call *call;

    pthread_mutex_lock(&service->lock);
    call = service->sending.first;
    while (call && (call->is_cancel_told || !is_over(service, call)))
        call = call->next;
    if (call) {
        call->is_cancel_told = true;
        *ret_request_id = call->request.id;
    }
    pthread_mutex_unlock(&service->lock);
    return call;
}

/* A transport that was told and has not answered may answer while it is told
 * again, so each is told once. */
static void cancel_unwanted(phos_service *service)
{
    const phos_transport *transport = service->carrier.transport;
    struct phos_call *call;
    uint64_t id;

    while ((call = find_unwanted(service, &id)) != NULL)
        transport->cancel(transport->user_data, id, call);
}

/* ---- a member of the worker ---- */

static phos_service *service_of(struct phos__member *member)
{
    return (phos_service *)(void *)((char *)member -
                                    offsetof(phos_service, member));
}

/* When something that waits is due; at once if there is something to do. */
static uint64_t next_due(phos_service *service)
{
    uint64_t due_ms = UINT64_MAX;

    pthread_mutex_lock(&service->lock);
    if (service->incoming.first || service->answered.first)
        due_ms = 0;
    for (const struct phos_call *call = service->waiting.first; call;
         call = call->next)
        due_ms = phos__min_u64(due_ms, call->due_ms);
    pthread_mutex_unlock(&service->lock);
    return due_ms;
}

static uint64_t turn(struct phos__member *member)
{
    phos_service *service = service_of(member);
    struct phos_call *call;

    if (!service->is_hung_up) {
        cancel_unwanted(service);
        resume_streams(service);
    }
    while ((call = take_first(service, &service->answered)) != NULL)
        go_on(service, call);
    while ((call = take_due(service, &service->waiting, now_ms(service))) !=
           NULL)
        begin(service, call);
    while ((call = take_first(service, &service->incoming)) != NULL)
        begin(service, call);
    return next_due(service);
}

static bool wind_up(struct phos__member *member)
{
    phos_service *service = service_of(member);
    bool is_idle;

    if (service->carrier.http) {
        service->is_hung_up = true; /* its transport is gone */
        phos__carrier_hang_up(&service->carrier);
    }
    turn(member);
    pthread_mutex_lock(&service->lock);
    is_idle = !service->sending.first && !service->answered.first;
    pthread_mutex_unlock(&service->lock);
    return is_idle;
}

static void destroy(phos_service *service)
{
    phos_allocator allocator = service->allocator;

    phos__credential_unref(service->credential);
    phos__service_settings_deinit(&service->settings);
    pthread_mutex_destroy(&service->lock);
    phos__free(&allocator, service);
}

static void destroy_member(struct phos__member *member)
{
    destroy(service_of(member));
}

static const struct phos__member_calls member_calls = { turn, wind_up,
                                                        destroy_member };

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
    service->member.calls = &member_calls;
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
                                   .error = *error };

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
        destroy(service);
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
    if (!service || is_foreign(service))
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
    if (is_foreign(service))
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
        add(&service->incoming, call);
        phos__worker_wake(service->carrier.worker);
    }
    pthread_mutex_unlock(&service->lock);
    return is_open;
}

/* The caller's hold stays. */
static phos_status start(phos_service *service, struct phos_call *call)
{
    call->service = service;
    call->begun_ms = now_ms(service);
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
    if (is_foreign(service))
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
    if (is_foreign(service))
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
static void set(struct phos_call *call, bool *word)
{
    phos_service *service;

    if (phos__call_is_foreign(call))
        return;
    pthread_mutex_lock(&call->lock);
    service = call->is_done ? NULL : call->service;
    if (service) {
        pthread_mutex_lock(&service->lock);
        *word = true;
        phos__worker_wake(service->carrier.worker);
        pthread_mutex_unlock(&service->lock);
    }
    pthread_mutex_unlock(&call->lock);
}

void phos_call_cancel(phos_call *call)
{
    if (call)
        set(call, &call->is_cancelled);
}

void phos__call_resume(phos_call *call)
{
    set(call, &call->wants_resume);
}

bool phos__call_would_deadlock(const phos_call *call)
{
    return !call->is_done &&
           phos__worker_is_here(call->service->carrier.worker);
}

/* Under the lock; false: the time has passed first. */
static bool wait_for_end(struct phos_call *call, uint32_t timeout_ms)
{
    struct timespec deadline = phos__call_deadline(timeout_ms);

    while (!call->is_done)
        if (pthread_cond_timedwait(&call->changed, &call->lock, &deadline))
            break;
    return call->is_done;
}

phos_status phos_call_wait(phos_call *call, uint32_t timeout_ms,
                           const phos_result **ret_result)
{
    phos_status status = PHOS_OK;

    if (!call)
        return PHOS_E_INVALID;
    if (phos__call_is_foreign(call))
        return PHOS_E_FORKED;
    pthread_mutex_lock(&call->lock);
    if (phos__call_would_deadlock(call))
        status = PHOS_E_WOULD_DEADLOCK;
    else if (!wait_for_end(call, timeout_ms))
        status = PHOS_E_TIMEOUT;
    else if (ret_result)
        *ret_result = &call->result;
    pthread_mutex_unlock(&call->lock);
    return status;
}

void phos_call_free(phos_call *call)
{
    if (call && !phos__call_is_foreign(call))
        phos__call_unref(call);
}
