#define _GNU_SOURCE

#include "io/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

const struct fault_options no_server = { .unix_path = "" };
const char rig_key[] = "ph_a_key_that_nobody_may_see";

static const phos_header headers[] = {
    { { "Authorization", 13 }, { "Bearer ph_a_key_that_nobody_may_see", 35 } },
    { { "Content-Type", 12 }, { "application/json", 16 } },
};

struct phos__http_options rig_options(void)
{
    const struct phos__http_options options = {
        .connect_timeout_ms = 5000,
        .connections_max = 8,
        .user_agent = { "rig", 3 },
    };

    return options;
}

static uint64_t on_turn(void *user_data)
{
    struct rig *rig = user_data;
    uint64_t due_ms = UINT64_MAX;

    rig->turns++;
    if (rig->on_turn)
        due_ms = rig->on_turn(rig);
    if (rig->under_way == 0)
        phos__loop_stop(rig->loop);
    return due_ms;
}

static void follow_plan(void *user_data, uint64_t number,
                        struct fault_plan *plan)
{
    struct rig *rig = user_data;

    (void)number;
    pthread_mutex_lock(&rig->lock);
    *plan = rig->published;
    pthread_mutex_unlock(&rig->lock);
}

void rig_start(struct rig *rig, const struct phos__http_options *http,
               const struct fault_options *server)
{
    const struct phos__http_options plain = rig_options();
    const struct fault_options planned = { .plan = follow_plan,
                                           .user_data = rig };

    memset(rig, 0, sizeof(*rig));
    pthread_mutex_init(&rig->lock, NULL);
    rig->allocator = failing_alloc_make(&rig->memory);
    rig->plan.status = 201;
    rig->plan.cut_request_after = rig->plan.cut_reply_after = FAULT_NEVER;
    if (server != &no_server) {
        rig->server = fault_server_start(server ? server : &planned);
        assert_non_null(rig->server);
        snprintf(rig->url, sizeof(rig->url), "%s/api/ingest/batch",
                 fault_server_url(rig->server));
    }
    assert_int_equal(
        phos__loop_create(&rig->allocator, on_turn, rig, &rig->loop), PHOS_OK);
    assert_int_equal(phos__http_create(rig->loop, &rig->allocator,
                                       http ? http : &plain, &rig->http),
                     PHOS_OK);
}

void rig_stop(struct rig *rig)
{
    if (rig->http)
        phos__http_destroy(rig->http);
    phos__loop_destroy(rig->loop);
    fault_server_free(rig->server);
    pthread_mutex_destroy(&rig->lock);
    assert_int_equal(rig->under_way, 0);
    assert_int_equal(rig->memory.blocks, 0);
}

static void on_reply(const phos_reply *reply, void *reply_data);

/* What a reply_data points to: the rig, and which request it was. */
struct ticket {
    struct rig *rig;
    uint64_t id;
};

static struct ticket tickets[RIG_REPLIES_MAX];

static void keep(const phos_reply *reply, struct rig_reply *kept)
{
    size_t fits = reply->body.length < sizeof(kept->body) - 1
                      ? reply->body.length
                      : sizeof(kept->body) - 1;

    kept->exchange = reply->exchange;
    kept->http_status = reply->http_status;
    kept->header_count = reply->header_count;
    for (size_t i = 0; i < reply->header_count; i++) {
        const phos_header *header = &reply->headers[i];

        if (header->name.length == 11 &&
            strncasecmp(header->name.data, "Retry-After", 11) == 0)
            snprintf(kept->retry_after, sizeof(kept->retry_after), "%.*s",
                     (int)header->value.length, header->value.data);
    }
    if (fits)
        memcpy(kept->body, reply->body.data, fits);
    kept->body[fits] = '\0';
    kept->body_bytes = reply->body.length;
    kept->body_cut = reply->body_cut;
    kept->bytes_sent = reply->bytes_sent;
    kept->bytes_received = reply->bytes_received;
    kept->error = reply->error;
    kept->obstacle = reply->obstacle;
}

static void on_reply(const phos_reply *reply, void *reply_data)
{
    struct ticket *ticket = reply_data;
    struct rig *rig = ticket->rig;
    struct rig_reply *kept = &rig->replies[rig->reply_count];

    assert_true(rig->reply_count < RIG_REPLIES_MAX);
    assert_int_equal(reply->struct_size, sizeof(*reply));
    memset(kept, 0, sizeof(*kept));
    kept->id = ticket->id;
    keep(reply, kept);
    /* K4: no secret in what may be shown. */
    assert_null(strstr(kept->error.text, rig_key));
    rig->reply_count++;
    rig->under_way--;
    if (rig->on_reply)
        rig->on_reply(rig, kept);
}

phos_request rig_post(struct rig *rig, const char *body)
{
    const phos_request request = {
        .struct_size = sizeof(request),
        .id = 1,
        .method = PHOS_STR("POST"),
        .url = phos_str_make(rig->url, strlen(rig->url)),
        .headers = headers,
        .header_count = sizeof(headers) / sizeof(headers[0]),
        .body = phos_str_make(body, strlen(body)),
        .timeout_ms = 5000,
        .reply_bytes_max = 65536,
    };

    return request;
}

phos_status rig_submit(struct rig *rig, const phos_request *request)
{
    const phos_transport *transport = phos__http_transport(rig->http);
    struct ticket *ticket = &tickets[request->id % RIG_REPLIES_MAX];
    phos_status status;

    pthread_mutex_lock(&rig->lock);
    rig->published = rig->plan;
    pthread_mutex_unlock(&rig->lock);
    ticket->rig = rig;
    ticket->id = request->id;
    rig->under_way++;
    status = transport->submit(transport->user_data, request, on_reply, ticket);
    if (status)
        rig->under_way--;
    return status;
}

void rig_cancel(struct rig *rig, uint64_t id)
{
    const phos_transport *transport = phos__http_transport(rig->http);

    transport->cancel(transport->user_data, id, &tickets[id % RIG_REPLIES_MAX]);
}

void rig_resume(struct rig *rig, uint64_t id)
{
    const phos_transport *transport = phos__http_transport(rig->http);

    transport->resume(transport->user_data, id, &tickets[id % RIG_REPLIES_MAX]);
}

void rig_run(struct rig *rig)
{
    phos__loop_run(rig->loop);
}

struct rig_reply rig_exchange(struct rig *rig, const phos_request *request)
{
    rig->reply_count = 0;
    assert_int_equal(rig_submit(rig, request), PHOS_OK);
    rig_run(rig);
    assert_int_equal(rig->reply_count, 1);
    return rig->replies[0];
}
