#include "client/memory_transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { HANG_SECONDS = 10 };

static void answer(struct memory_transport *service, int status,
                   phos_reply_fn *on_reply, void *reply_data)
{
    const phos_header headers[] = {
        { PHOS_STR("Content-Type"),
          phos_str_make(service->content_type, strlen(service->content_type)) },
        { PHOS_STR("retry-after"),
          service->retry_after ? phos_str_make(service->retry_after,
                                               strlen(service->retry_after))
                               : PHOS_STR("") },
    };
    phos_reply reply = { .struct_size = sizeof(reply) };

    if (status < 0) {
        reply.exchange = (phos_exchange)-status;
        reply.obstacle = service->obstacle;
        reply.error.status = PHOS_E_NETWORK;
        strcpy(reply.error.text, "scripted failure");
    } else {
        reply.http_status = status;
        reply.headers = headers;
        reply.header_count = service->retry_after && status >= 300 ? 2 : 1;
        reply.body =
            phos_str_make(service->reply_body, strlen(service->reply_body));
    }
    on_reply(&reply, reply_data);
}

/* Counts the events of a body, and keeps them if asked to. */
static void deliver(struct memory_transport *service,
                    const phos_request *request)
{
    json_t *body, *event;
    size_t index;

    body = json_loadb(request->body.data, request->body.length, JSON_ALLOW_NUL,
                      NULL);
    assert_non_null(body);
    json_array_foreach(json_object_get(body, "events"), index, event)
    {
        service->event_count++;
        if (service->keeps_events)
            json_array_append(service->events, event);
    }
    json_decref(body);
}

static void note_key(struct memory_transport *service,
                     const phos_request *request)
{
    for (size_t i = 0; i < request->header_count; i++) {
        const phos_header *header = &request->headers[i];

        if (header->name.length == 13 && header->value.length < 255) {
            memcpy(service->last_authorization, header->value.data,
                   header->value.length);
            service->last_authorization[header->value.length] = '\0';
        }
    }
}

static phos_status submit(void *user_data, const phos_request *request,
                          phos_reply_fn *on_reply, void *reply_data)
{
    struct memory_transport *service = user_data;
    int status = 201;
    bool is_held;

    pthread_mutex_lock(&service->lock);
    note_key(service, request);
    is_held = service->holds && service->held_count < MEMORY_HELD_MAX;
    if (service->script)
        status = service->script(service, service->request_count, request);
    service->request_count++;
    if (is_held) {
        service->held[service->held_count].id = request->id;
        service->held[service->held_count].on_reply = on_reply;
        service->held[service->held_count].reply_data = reply_data;
        service->held_count++;
    } else if (status >= 200 && status < 300) {
        deliver(service, request);
    }
    pthread_cond_broadcast(&service->changed);
    pthread_mutex_unlock(&service->lock);
    if (!is_held)
        answer(service, status, on_reply, reply_data);
    return PHOS_OK;
}

static void cancel(void *user_data, uint64_t id, void *reply_data)
{
    struct memory_transport *service = user_data;
    phos_reply_fn *on_reply = NULL;

    pthread_mutex_lock(&service->lock);
    for (unsigned i = 0; i < service->held_count && !on_reply; i++)
        if (service->held[i].id == id &&
            service->held[i].reply_data == reply_data) {
            on_reply = service->held[i].on_reply;
            service->held[i] = service->held[--service->held_count];
        }
    pthread_mutex_unlock(&service->lock);
    if (on_reply)
        answer(service, -(int)PHOS_EXCHANGE_CANCELLED, on_reply, reply_data);
}

void memory_transport_init(struct memory_transport *service)
{
    pthread_condattr_t attributes;

    memset(service, 0, sizeof(*service));
    service->transport.struct_size = sizeof(service->transport);
    service->transport.user_data = service;
    service->transport.submit = submit;
    service->transport.cancel = cancel;
    service->content_type = "application/json";
    service->reply_body = "{}";
    service->keeps_events = true;
    service->events = json_array();
    pthread_mutex_init(&service->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&service->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void memory_transport_deinit(struct memory_transport *service)
{
    json_decref(service->events);
    pthread_cond_destroy(&service->changed);
    pthread_mutex_destroy(&service->lock);
}

static void await(struct memory_transport *service, const unsigned *counter,
                  unsigned n)
{
    struct timespec deadline;
    int error = 0;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += HANG_SECONDS;
    pthread_mutex_lock(&service->lock);
    while (*counter < n && !error)
        error = pthread_cond_timedwait(&service->changed, &service->lock,
                                       &deadline);
    pthread_mutex_unlock(&service->lock);
    assert_true(*counter >= n);
}

void memory_transport_await(struct memory_transport *service, unsigned n)
{
    await(service, &service->event_count, n);
}

void memory_transport_await_requests(struct memory_transport *service,
                                     unsigned n)
{
    await(service, &service->request_count, n);
}

void memory_transport_let_go(struct memory_transport *service, int status)
{
    pthread_mutex_lock(&service->lock);
    service->holds = false;
    while (service->held_count > 0) {
        unsigned last = --service->held_count;
        phos_reply_fn *on_reply = service->held[last].on_reply;
        void *reply_data = service->held[last].reply_data;

        pthread_mutex_unlock(&service->lock);
        answer(service, status, on_reply, reply_data);
        pthread_mutex_lock(&service->lock);
    }
    pthread_mutex_unlock(&service->lock);
}
