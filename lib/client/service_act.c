/*
 * service_act - the worker's part of a service: sends calls, repeats and ends
 * them.
 *
 *   incoming ─► sending ─► answered ─► done
 *                  ▲           │
 *                  └─ waiting ◄┘
 */
#include "base/saturate.h"
#include "client/service_state.h"
#include "wire/retry_after.h"

static void take_out(struct phos__call_list *list, struct phos_call *call)
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
static struct phos_call *take_due(phos_service *service,
                                  struct phos__call_list *list, uint64_t at_ms)
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
                                    struct phos__call_list *list)
{
    return take_due(service, list, UINT64_MAX);
}

static void put(phos_service *service, struct phos__call_list *list,
                struct phos_call *call)
{
    pthread_mutex_lock(&service->lock);
    phos__call_list_add(list, call);
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
    phos__call_list_add(&service->answered, call);
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
    status =
        phos__call_prepare(call, ++service->last_id,
                           phos__service_now_ms(service), service->credential);
    if (!status)
        phos__call_list_add(&service->sending, call);
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
    uint64_t now = phos__service_now_ms(service), wait_ms;
    const struct phos__repeat_ask ask = {
        .attempts = call->attempts,
        .elapsed_ms = phos__sub_sat_u64(now, call->begun_ms),
        .exchange = call->reply.exchange,
        .http_status = call->reply.http_status,
        .retry_after_ms = wish_of(call),
        .is_safe = call->is_safe,
        .random = service->random.next(service->random.self),
    };

    /* Whoever has heard the beginning of a stream would hear it twice. */
    if (call->was_shown || !phos__repeat_next(&call->retry, &ask, &wait_ms))
        return false;
    /* What could not begin in time ends with what is known now. */
    if (call->timeout_ms && ask.elapsed_ms + wait_ms >= call->timeout_ms)
        return false;
    /* At least until the next turn, or who asks for no wait and cannot send
     * would keep the worker from everybody else. */
    call->due_ms = phos__add_sat_u64(now, phos__max_u64(wait_ms, 1));
    put(service, &service->waiting, call);
    return true;
}

/* A stream whose last event is not taken yet: until it is resumed. */
static void hold(phos_service *service, struct phos_call *call)
{
    pthread_mutex_lock(&service->lock);
    call->is_held = true;
    call->due_ms = UINT64_MAX;
    phos__call_list_add(&service->waiting, call);
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
    phos__call_finish(call, phos__service_now_ms(service));
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
    uint64_t now = phos__service_now_ms(service);
    struct phos_call *call;

    if (!service->is_hung_up) {
        cancel_unwanted(service);
        resume_streams(service);
    }
    while ((call = take_first(service, &service->answered)) != NULL)
        go_on(service, call);
    while ((call = take_due(service, &service->waiting, now)) != NULL)
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

static void destroy_member(struct phos__member *member)
{
    phos__service_destroy(service_of(member));
}

const struct phos__member_calls phos__service_member_calls = { turn, wind_up,
                                                               destroy_member };
