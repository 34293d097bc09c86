#include "sim/service.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { BODY_BYTES = 16384, RETRY_AFTER_MS_MAX = 3600000 };

/* ---- storing ---- */

static void commit(struct service *service, const struct slot *slot)
{
    if (slot->sent.given)
        slot->sent.given->commits++;
    for (uint32_t i = 0; i < slot->sent.count; i++) {
        struct event *event = &service->checks->events[slot->sent.events[i]];
        uint8_t result = slot->answer.results[i];

        if (result == ANSWER_NONE || result == ANSWER_DELIVERED)
            event->commits++;
    }
}

/* ---- answers ---- */

struct words {
    char *text;
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void say(struct words *words,
                                                      const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(words->text + words->length, BODY_BYTES - words->length,
                       format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= BODY_BYTES - words->length)
        abort();
    words->length += (size_t)length;
}

static void say_id(struct words *words, const uint8_t id[16])
{
    for (unsigned i = 0; i < 16; i++)
        say(words, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
            id[i]);
}

static void say_result(struct service *service, struct words *words,
                       const struct slot *slot, uint32_t i)
{
    static const char *const delivered[] = { "\"ok\"", "201", "\"Created\"" };
    static const char *const duplicate[] = { "\"duplicate\"", "409" };
    static const char *const refused[] = { "\"rejected\"", "422", "\"400\"" };
    static const char *const again[] = { "\"retry\"", "503", "429" };
    const char *status = NULL;

    switch ((enum last_answer)slot->answer.results[i]) {
    case ANSWER_DELIVERED:
        status = CHANCE_PICK(&service->chance, delivered);
        break;
    case ANSWER_DUPLICATE:
        status = CHANCE_PICK(&service->chance, duplicate);
        break;
    case ANSWER_REFUSED:
        status = CHANCE_PICK(&service->chance, refused);
        break;
    case ANSWER_AGAIN:
        status = CHANCE_PICK(&service->chance, again);
        break;
    default:
        return;
    }
    say(words, "%s{\"event_id\":\"",
        words->text[words->length - 1] == '}' ? "," : "");
    say_id(words, service->checks->events[slot->sent.events[i]].id);
    say(words, "\",\"status\":%s}", status);
}

/* Some events are left out, and the order is any. */
static void say_results(struct service *service, struct words *words,
                        const struct slot *slot)
{
    uint32_t count = slot->sent.count;
    uint32_t first = (uint32_t)chance_below(&service->chance, count);
    bool is_reversed = chance_hits(&service->chance, 300);

    say(words, "{\"results\":[");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = (first + i) % count;

        say_result(service, words, slot,
                   is_reversed ? count - 1 - place : place);
    }
    say(words, "]}");
}

static void say_body(struct service *service, struct words *words,
                     const struct slot *slot)
{
    static const char *const odd[] = {
        "",        "{",      "{\"results\":[{\"event_id\":",
        "[]",      "\"ok\"", "{\"results\":7}",
        "created", "{}\n",   "{\"a\":{\"a\":[]}}"
    };

    words->text[0] = '\0';
    if (slot->has_results)
        say_results(service, words, slot);
    else if (slot->answer.is_html)
        say(words, "<html><body>Please sign in</body></html>");
    else if (slot->has_odd_body)
        say(words, "%s", CHANCE_PICK(&service->chance, odd));
    else if (slot->answer.status >= 400)
        say(words, "{\"error\":\"as planned\"}");
    else
        say(words, "{\"ok\":true}");
}

/* An HTTP date (RFC 9110, IMF-fixdate); computed here on its own. */
static void write_date(char text[40], uint64_t unix_s)
{
    static const char days[] = "ThuFriSatSunMonTueWed";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static const unsigned lengths[] = { 31, 28, 31, 30, 31, 30,
                                        31, 31, 30, 31, 30, 31 };
    uint64_t day = unix_s / 86400, rest = day, year = 1970;
    unsigned month = 0;

    for (;;) {
        bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        unsigned length = lengths[month] + (month == 1 && is_leap);

        if (rest < length)
            break;
        rest -= length;
        year += month == 11;
        month = (month + 1) % 12;
    }
    snprintf(text, 40, "%.3s, %02u %.3s %u %02u:%02u:%02u GMT",
             days + 3 * (day % 7), (unsigned)rest + 1, months + 3 * month,
             (unsigned)year, (unsigned)(unix_s / 3600 % 24),
             (unsigned)(unix_s / 60 % 60), (unsigned)(unix_s % 60));
}

static phos_header header(const char *name, const char *value)
{
    return (phos_header){ phos_str_make(name, strlen(name)),
                          phos_str_make(value, strlen(value)) };
}

/* Free before on_reply is called: that may submit the next request. */
static void give(struct service *service, struct slot *slot)
{
    struct slot done = *slot;
    struct words words = { service->body, 0 };
    char retry_after[40], date[40];
    uint64_t wall_s = world_wall_us(service->world) / 1000000;
    phos_header headers[3];
    phos_reply reply = { .struct_size = sizeof(reply),
                         .exchange = done.answer.exchange,
                         .http_status = done.answer.status,
                         .headers = headers };

    if (done.commits)
        commit(service, &done);
    if (done.answer.exchange == PHOS_EXCHANGE_ANSWERED) {
        say_body(service, &words, &done);
        reply.body = phos_str_make(words.text, words.length);
        reply.body_cut =
            done.has_odd_body && chance_hits(&service->chance, 300);
        headers[reply.header_count++] = header(
            "content-type", done.answer.is_html ? "text/html; charset=utf-8"
                                                : "application/json");
        if (done.answer.has_retry_after) {
            snprintf(retry_after, sizeof(retry_after), "%llu",
                     (unsigned long long)done.answer.retry_after_ms / 1000);
            if (done.sends_date) {
                write_date(date, wall_s);
                write_date(retry_after,
                           wall_s + done.answer.retry_after_ms / 1000);
                headers[reply.header_count++] = header("Date", date);
            }
            headers[reply.header_count++] = header("Retry-After", retry_after);
        }
    } else {
        reply.http_status = 0;
        phos__error_set(&reply.error, PHOS_E_NETWORK, PHOS_ORIGIN_CURL, 7,
                        "as planned");
    }
    reply.bytes_sent = done.sent.body_bytes;
    reply.bytes_received = words.length;
    /* A wish beyond an hour counts as an hour. */
    if (done.answer.retry_after_ms > RETRY_AFTER_MS_MAX)
        done.answer.retry_after_ms = RETRY_AFTER_MS_MAX;

    slot->is_used = false;
    slot->generation++;
    checks_answer(service->checks, &done.sent, &done.answer);
    done.on_reply(&reply, done.reply_data);
}

static void answer_step(void *self, uint64_t argument)
{
    struct service *service = self;
    struct slot *slot = &service->slots[argument % SERVICE_SLOTS];

    if (!slot->is_used || slot->generation != argument / SERVICE_SLOTS)
        return;
    give(service, slot);
    service->on_answer(service->self);
}

/* ---- what goes wrong ---- */

static bool strikes(struct service *service, const struct fault *fault)
{
    uint64_t since_us = service->world->now_us - service->world->start_us;

    return !service->is_healed && since_us >= fault->from_us &&
           since_us < fault->until_us &&
           chance_hits(&service->chance, fault->per_mille);
}

static void choose_retry_after(struct service *service, struct answer *answer,
                               struct slot *slot)
{
    answer->has_retry_after = chance_hits(&service->chance, 800);
    if (!answer->has_retry_after)
        return;
    answer->retry_after_ms =
        chance_below(&service->chance, service->plan->retry_after_ms_max) /
        1000 * 1000;
    slot->sends_date = chance_hits(&service->chance, 300);
}

static void set_status(struct service *service, struct slot *slot, int status)
{
    struct answer *answer = &slot->answer;

    answer->status = status;
    slot->commits = status >= 200 && status < 300;
    if (status == 408 || status == 429 || status >= 500)
        choose_retry_after(service, answer, slot);
}

/* What became of each event, said in the body; some it does not mention. */
static void choose_results(struct service *service, struct slot *slot)
{
    bool refuses = chance_hits(&service->chance, 300);

    slot->has_results = true;
    for (uint32_t i = 0; i < slot->sent.count; i++) {
        const struct event *event =
            &service->checks->events[slot->sent.events[i]];
        uint64_t draw = chance_below(&service->chance, 10);
        uint8_t result = ANSWER_DELIVERED;

        if (event->is_chosen)
            /* Its twin may be beside it, and the service knows only ids. */
            result = ANSWER_DELIVERED;
        else if (event->nature != NATURE_GOOD || (refuses && draw == 0))
            result = ANSWER_REFUSED;
        else if (event->commits > 0 && draw < 5)
            result = ANSWER_DUPLICATE;
        else if (draw < 2)
            result = ANSWER_AGAIN;
        else if (draw < 4)
            result = ANSWER_NONE;
        slot->answer.results[i] = result;
    }
}

/* Carries one fault out; false: it does not concern this request. */
static bool suffer(struct service *service, const struct fault *fault,
                   struct slot *slot, uint64_t *delay_us)
{
    static const int errors[] = { 500, 502, 504 };
    struct chance *chance = &service->chance;
    struct answer *answer = &slot->answer;
    uint64_t timeout_us = (uint64_t)service->plan->request_timeout_ms * 1000;

    switch (fault->kind) {
    case FAULT_STATUS:
        set_status(service, slot, (int)fault->value);
        return true;
    case FAULT_ANY_STATUS:
        set_status(service, slot, (int)chance_between(chance, 100, 999));
        return true;
    case FAULT_EXCHANGE:
        answer->exchange = (phos_exchange)fault->value;
        slot->commits = (answer->exchange == PHOS_EXCHANGE_BROKEN ||
                         answer->exchange == PHOS_EXCHANGE_CANCELLED) &&
                        chance_hits(chance, 300);
        return true;
    case FAULT_HTML:
        answer->status = 200;
        answer->is_html = true;
        return true;
    case FAULT_THROTTLE:
        set_status(service, slot, chance_hits(chance, 500) ? 429 : 503);
        return true;
    case FAULT_TOO_LARGE:
        if (slot->sent.body_bytes <= fault->value)
            return false;
        answer->status = 413;
        return true;
    case FAULT_COMMIT_DROP:
        answer->exchange = PHOS_EXCHANGE_BROKEN;
        slot->commits = true;
        return true;
    case FAULT_COMMIT_ERROR:
        answer->status = CHANCE_PICK(chance, errors);
        slot->commits = true;
        return true;
    case FAULT_RESULTS:
        if (slot->sent.given)
            return false;
        answer->status = chance_hits(chance, 500) ? 200 : 207;
        slot->commits = true;
        choose_results(service, slot);
        return true;
    case FAULT_ODD_BODY:
        answer->status = 202;
        slot->commits = true;
        slot->has_odd_body = true;
        return true;
    case FAULT_STALL:
        answer->exchange = PHOS_EXCHANGE_BROKEN;
        slot->commits = fault->value == 1;
        *delay_us = timeout_us;
        return true;
    case FAULT_OUTAGE:
        answer->exchange = chance_hits(chance, 500) ? PHOS_EXCHANGE_NOT_SENT
                                                    : PHOS_EXCHANGE_BROKEN;
        return true;
    case FAULT_SLOW:
        *delay_us += fault->value;
        if (*delay_us < timeout_us)
            return false;
        *delay_us = timeout_us;
        answer->exchange = PHOS_EXCHANGE_BROKEN;
        slot->commits = chance_hits(chance, 500);
        return true;
    case FAULT_INSTANT:
        *delay_us = 0;
        return false;
    default:
        return false;
    }
}

/* Events a minute, with one minute of burst; only stored ones count. */
static bool is_over_quota(struct service *service, const struct slot *slot)
{
    const struct fault *fault = NULL;
    uint64_t now_us = service->world->now_us;
    uint32_t events = slot->sent.given ? 1 : slot->sent.count;
    double per_us;

    for (unsigned i = 0; i < service->plan->fault_count && !fault; i++)
        if (service->plan->faults[i].kind == FAULT_QUOTA)
            fault = &service->plan->faults[i];
    if (!fault || service->is_healed)
        return false;
    per_us = (double)fault->value / 60e6;
    service->quota_tokens += per_us * (double)(now_us - service->quota_at_us);
    if (service->quota_tokens > (double)fault->value)
        service->quota_tokens = (double)fault->value;
    service->quota_at_us = now_us;
    if (service->quota_tokens < events)
        return true;
    service->quota_tokens -= events;
    return false;
}

static enum event_nature worst_nature(const struct service *service,
                                      const struct slot *slot)
{
    enum event_nature worst = NATURE_GOOD;

    for (uint32_t i = 0; i < slot->sent.count; i++) {
        enum event_nature nature =
            service->checks->events[slot->sent.events[i]].nature;

        if (nature > worst)
            worst = nature;
    }
    return worst;
}

static bool has_key(const struct service *service, const phos_request *request)
{
    uint64_t since_us = service->world->now_us - service->world->start_us;

    if (since_us < service->plan->key_expires_us)
        return true;
    for (size_t i = 0; i < request->header_count; i++) {
        phos_str value = request->headers[i].value;
        size_t length = strlen(service->key);

        if (request->headers[i].name.length == 13 && value.length >= length)
            return memcmp(value.data + value.length - length, service->key,
                          length) == 0;
    }
    return false;
}

/* Whether the service has the event that feedback is on. */
static bool has_event(const struct service *service, const struct given *given)
{
    for (uint32_t i = 0; i < service->checks->event_count; i++)
        if (service->checks->events[i].commits > 0 &&
            memcmp(service->checks->events[i].id, given->id, 16) == 0)
            return true;
    return given->is_stored;
}

/* The service itself, when nothing was in the way. */
static void serve(struct service *service, struct slot *slot)
{
    static const int fine[] = { 200, 201, 201, 202, 204 };

    if (!has_key(service, slot->request)) {
        slot->answer.status = 401;
        return;
    }
    if (slot->sent.given && !has_event(service, slot->sent.given)) {
        slot->answer.status = 404;
        return;
    }
    switch (worst_nature(service, slot)) {
    case NATURE_POISON:
        slot->answer.status = 500;
        return;
    case NATURE_BAD:
        slot->answer.status = service->plan->bad_status;
        return;
    case NATURE_GOOD:
        break;
    }
    if (is_over_quota(service, slot)) {
        set_status(service, slot, 429);
        return;
    }
    slot->answer.status = CHANCE_PICK(&service->chance, fine);
    slot->commits = true;
}

/* Returns how long it takes. */
static uint64_t decide(struct service *service, struct slot *slot)
{
    const struct plan *plan = service->plan;
    uint64_t delay_us = 1 + chance_below(&service->chance, plan->latency_us);

    memset(&slot->answer, 0, sizeof(slot->answer));
    slot->commits = slot->has_results = slot->has_odd_body = false;
    slot->sends_date = slot->is_cancelled = false;
    for (unsigned i = 0; i < plan->fault_count; i++)
        if (strikes(service, &plan->faults[i]) &&
            suffer(service, &plan->faults[i], slot, &delay_us))
            return delay_us;
    serve(service, slot);
    return delay_us;
}

/* ---- the transport ---- */

static struct slot *free_slot(struct service *service)
{
    for (unsigned i = 0; i < SERVICE_SLOTS; i++)
        if (!service->slots[i].is_used)
            return &service->slots[i];
    return NULL;
}

static bool submit_fails(struct service *service)
{
    for (unsigned i = 0; i < service->plan->fault_count; i++)
        if (service->plan->faults[i].kind == FAULT_SUBMIT &&
            strikes(service, &service->plan->faults[i]))
            return true;
    return false;
}

static phos_status submit(void *user_data, const phos_request *request,
                          phos_reply_fn *on_reply, void *reply_data)
{
    struct service *service = user_data;
    struct slot *slot = free_slot(service);
    uint64_t delay_us;

    if (!slot) {
        world_fail(service->world, "more than %d requests under way",
                   (int)SERVICE_SLOTS);
        return PHOS_E_SYSTEM;
    }
    checks_request(service->checks, request, &slot->sent);
    if (service->world->has_failed)
        return PHOS_E_SYSTEM;
    if (submit_fails(service)) {
        checks_not_submitted(service->checks, &slot->sent);
        return PHOS_E_SYSTEM;
    }
    slot->is_used = true;
    slot->request = request;
    slot->on_reply = on_reply;
    slot->reply_data = reply_data;
    delay_us = decide(service, slot);
    world_trace(service->world, "request %llu will end as %llu after %llu us",
                request->id,
                slot->answer.exchange == PHOS_EXCHANGE_ANSWERED
                    ? (uint64_t)slot->answer.status
                    : (uint64_t)slot->answer.exchange,
                delay_us);
    if (delay_us == 0)
        give(service, slot);
    else
        world_plan(service->world, service->world->now_us + delay_us,
                   answer_step, service,
                   slot->generation * UINT64_C(16) +
                       (uint64_t)(slot - service->slots));
    return PHOS_OK;
}

/* At once, soon, or too late: then the answer that was on its way comes. */
static void cancel(void *user_data, uint64_t id, void *reply_data)
{
    struct service *service = user_data;

    world_trace(service->world, "cancel %llu", id, 0, 0);
    for (unsigned i = 0; i < SERVICE_SLOTS; i++) {
        struct slot *slot = &service->slots[i];
        uint64_t draw = chance_below(&service->chance, 3);

        if (!slot->is_used || slot->sent.id != id ||
            slot->reply_data != reply_data || slot->is_cancelled)
            continue;
        slot->is_cancelled = true;
        if (draw > 0) {
            slot->commits &= chance_hits(&service->chance, 500);
            slot->answer.exchange = PHOS_EXCHANGE_CANCELLED;
        }
        if (draw == 1) {
            give(service, slot);
            return;
        }
        world_plan(service->world,
                   service->world->now_us +
                       chance_below(&service->chance, 2000),
                   answer_step, service, slot->generation * UINT64_C(16) + i);
        return;
    }
}

/* ---- life ---- */

void service_begin(struct service *service, struct world *world,
                   const struct plan *plan, struct checks *checks)
{
    char *body = service->body;

    memset(service, 0, sizeof(*service));
    service->world = world;
    service->plan = plan;
    service->checks = checks;
    service->chance = chance_of(world->seed, 3);
    service->transport.struct_size = sizeof(service->transport);
    service->transport.user_data = service;
    service->transport.submit = submit;
    service->transport.cancel = cancel;
    service->key = "second-secret";
    service->quota_at_us = world->now_us;
    service->quota_tokens = 50;
    service->body = body ? body : malloc(BODY_BYTES);
    if (!service->body)
        abort();
}

void service_deinit(struct service *service)
{
    free(service->body);
    service->body = NULL;
}

void service_heal(struct service *service)
{
    service->is_healed = true;
}
