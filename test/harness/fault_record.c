/*
 * fault_record - what the fault server remembers, for tests to ask.
 */
#define _GNU_SOURCE

#include <string.h>
#include <strings.h>

#include "harness/fault_internal.h"

static uint64_t read_counter(struct fault_server *server,
                             const uint64_t *counter)
{
    uint64_t value;

    pthread_mutex_lock(&server->lock);
    value = *counter;
    pthread_mutex_unlock(&server->lock);
    return value;
}

uint64_t fault_server_connections(struct fault_server *server)
{
    return read_counter(server, &server->connection_count);
}

uint64_t fault_server_closed(struct fault_server *server)
{
    return read_counter(server, &server->closed_count);
}

uint64_t fault_server_requests(struct fault_server *server)
{
    return read_counter(server, &server->request_count);
}

uint64_t fault_server_by_status(struct fault_server *server, int status)
{
    return read_counter(server, &server->by_status[status]);
}

uint64_t fault_server_arrivals(struct fault_server *server)
{
    return read_counter(server, &server->arrivals);
}

size_t fault_server_events(struct fault_server *server)
{
    size_t count;

    pthread_mutex_lock(&server->lock);
    count = server->event_count;
    pthread_mutex_unlock(&server->lock);
    return count;
}

struct fault_request fault_server_request(struct fault_server *server,
                                          uint64_t index)
{
    struct fault_request request = { 0 };

    pthread_mutex_lock(&server->lock);
    if (index < server->request_count)
        request = *server->requests[index];
    pthread_mutex_unlock(&server->lock);
    return request;
}

const char *fault_request_header(const struct fault_request *request,
                                 const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    return NULL;
}

static unsigned count_of(struct fault_server *server, const char *id,
                         const char *key)
{
    json_int_t count;

    pthread_mutex_lock(&server->lock);
    count = json_integer_value(
        json_object_get(json_object_get(server->events, id), key));
    pthread_mutex_unlock(&server->lock);
    return (unsigned)count;
}

unsigned fault_server_stored(struct fault_server *server, const char *id)
{
    return count_of(server, id, "stored");
}

unsigned fault_server_sent(struct fault_server *server, const char *id)
{
    return count_of(server, id, "sent");
}

unsigned fault_server_sent_most(struct fault_server *server)
{
    const char *id;
    json_t *entry;
    json_int_t most = 0;

    pthread_mutex_lock(&server->lock);
    json_object_foreach(server->events, id, entry)
    {
        json_int_t sent = json_integer_value(json_object_get(entry, "sent"));

        most = sent > most ? sent : most;
    }
    pthread_mutex_unlock(&server->lock);
    return (unsigned)most;
}

json_t *fault_server_event(struct fault_server *server, const char *id)
{
    json_t *event;

    pthread_mutex_lock(&server->lock);
    event = json_deep_copy(
        json_object_get(json_object_get(server->events, id), "event"));
    pthread_mutex_unlock(&server->lock);
    return event;
}

json_t *fault_server_all_events(struct fault_server *server)
{
    json_t *all = json_object(), *entry;
    const char *id;

    pthread_mutex_lock(&server->lock);
    json_object_foreach(server->events, id, entry)
    {
        json_t *event = json_object_get(entry, "event");

        if (event)
            json_object_set_new(all, id, json_deep_copy(event));
    }
    pthread_mutex_unlock(&server->lock);
    return all;
}

json_t *fault_server_feedback(struct fault_server *server)
{
    json_t *feedback;

    pthread_mutex_lock(&server->lock);
    feedback = json_deep_copy(server->feedback);
    pthread_mutex_unlock(&server->lock);
    return feedback;
}

uint64_t fault_server_early_feedback(struct fault_server *server)
{
    return read_counter(server, &server->early_feedback);
}

bool fault_server_saw(struct fault_server *server, const void *bytes,
                      size_t count)
{
    bool found;

    pthread_mutex_lock(&server->lock);
    found = memmem(server->raw, server->raw_bytes, bytes, count) != NULL;
    pthread_mutex_unlock(&server->lock);
    return found;
}
