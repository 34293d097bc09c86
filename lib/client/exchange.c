#define _GNU_SOURCE

#include "client/exchange.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/error.h"
#include "wire/reply.h"
#include "wire/retry_after.h"

bool phos__exchange_init(struct phos__exchange *exchange,
                         struct phos__answers *answers, uint32_t events_max,
                         const phos_allocator *allocator)
{
    exchange->answers = answers;
    phos__buffer_init(&exchange->body, allocator);
    exchange->ids =
        phos__alloc_zeroed(allocator, events_max, sizeof(*exchange->ids));
    exchange->results = phos__alloc_zeroed(allocator, events_max, 1);
    return exchange->ids && exchange->results;
}

void phos__exchange_deinit(struct phos__exchange *exchange,
                           const phos_allocator *allocator)
{
    phos__credential_unref(exchange->credential);
    phos__free(allocator, exchange->ids);
    phos__free(allocator, exchange->results);
    phos__buffer_deinit(&exchange->body);
}

static phos_str header(const phos_reply *reply, const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < reply->header_count; i++)
        if (reply->headers[i].name.length == length &&
            strncasecmp(reply->headers[i].name.data, name, length) == 0)
            return reply->headers[i].value;
    return phos_str_make(NULL, 0);
}

static void understand(struct phos__exchange *exchange, const phos_reply *reply)
{
    struct phos__answer *answer = &exchange->answer;
    int status = reply->http_status;

    answer->body = phos__reply_kind(header(reply, "content-type"), reply->body);
    answer->has_retry_after = phos__retry_after_read(
        header(reply, "retry-after"), header(reply, "date"), exchange->wall_s,
        &answer->retry_after_ms);
    if (status >= 200 && status < 300) {
        if (answer->body == PHOS__BODY_JSON && !reply->body_cut) {
            phos__reply_results(reply->body,
                                (const uint8_t(*)[16])exchange->ids,
                                exchange->event_count, exchange->results);
            answer->results = exchange->results;
        }
        if (answer->body == PHOS__BODY_HTML)
            phos__error_set(
                &exchange->error, PHOS_E_PROTOCOL, PHOS_ORIGIN_HTTP, status,
                "HTTP %d with a web page instead of an answer", status);
    } else {
        char words[1024]; /* far more than the error keeps */

        phos__reply_error_text(reply->body, words, sizeof(words));
        phos__credential_mask(exchange->credential, words);
        phos__error_set(&exchange->error, PHOS_E_HTTP, PHOS_ORIGIN_HTTP, status,
                        "HTTP %d%s%s", status, words[0] ? ": " : "", words);
    }
}

/* A transport that was built before there were obstacles tells none. */
static phos_obstacle obstacle_of(const phos_reply *reply)
{
    const size_t bytes = offsetof(phos_reply, obstacle) + sizeof(phos_obstacle);

    return reply->struct_size >= bytes ? reply->obstacle
                                       : PHOS_OBSTACLE_UNKNOWN;
}

/* Hands an exchange over to the worker's thread. */
static void hand_over(struct phos__exchange *exchange)
{
    struct phos__answers *answers = exchange->answers;
    bool is_home;

    pthread_mutex_lock(&answers->lock);
    exchange->next = answers->first;
    answers->first = exchange;
    is_home = answers->has_home && pthread_equal(answers->home, pthread_self());
    /* Under the lock: once the worker can see the answer of a client that is
     * being freed, neither the ring nor the lock is there for long. */
    if (!is_home)
        phos__ring_wake(answers->ring);
    pthread_mutex_unlock(&answers->lock);
}

void phos__exchange_reply(const phos_reply *reply, void *reply_data)
{
    struct phos__exchange *exchange = reply_data;
    struct phos__answer *answer = &exchange->answer;

    memset(answer, 0, sizeof(*answer));
    memset(&exchange->error, 0, sizeof(exchange->error));
    answer->request_id = exchange->request.id;
    answer->exchange = reply->exchange;
    answer->http_status = reply->http_status;
    answer->body = PHOS__BODY_EMPTY;
    exchange->obstacle = obstacle_of(reply);
    exchange->bytes_sent = reply->bytes_sent;
    exchange->bytes_received = reply->bytes_received;
    if (reply->exchange == PHOS_EXCHANGE_ANSWERED)
        understand(exchange, reply);
    else
        exchange->error = reply->error;
    hand_over(exchange);
}

void phos__exchange_fail(struct phos__exchange *exchange, phos_status status,
                         const char *text)
{
    phos_reply reply = { .struct_size = sizeof(reply),
                         .exchange = PHOS_EXCHANGE_NOT_SENT };

    phos__error_set(&reply.error, status, PHOS_ORIGIN_PHOS, status, "%s", text);
    phos__exchange_reply(&reply, exchange);
}
