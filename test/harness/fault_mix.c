#define _GNU_SOURCE

#include "harness/fault_mix.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Where in 0 to 99 the die of request `number` falls. */
static unsigned roll(uint64_t seed, uint64_t number)
{
    uint64_t z = seed + number * UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (unsigned)((z ^ z >> 31) % 100);
}

/* Whether the die fell into the next `share`; takes that off it. */
static bool falls(unsigned *die, unsigned share)
{
    if (*die < share) {
        *die = 1000; /* out of reach of all later shares */
        return true;
    }
    *die -= share;
    return false;
}

/* Written once: other connections may be sending it. */
static const char *header(struct fault_mix *mix, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static const char *header(struct fault_mix *mix, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (!mix->text[0])
        vsnprintf(mix->text, sizeof(mix->text), format, arguments);
    va_end(arguments);
    return mix->text;
}

static void throttle(struct fault_mix *mix, struct fault_plan *plan, int status)
{
    plan->status = status;
    if (mix->retry_after_s >= 0)
        plan->headers = header(mix, "Retry-After: %d\r\n", mix->retry_after_s);
}

static void roll_fate(struct fault_mix *mix, uint64_t number,
                      struct fault_plan *plan)
{
    unsigned die = roll(mix->seed, number);

    if (falls(&die, mix->too_many))
        throttle(mix, plan, 429);
    if (falls(&die, mix->error))
        plan->status = 500;
    if (falls(&die, mix->unavailable))
        throttle(mix, plan, 503);
    if (falls(&die, mix->reset)) {
        plan->store = FAULT_STORE_NEVER;
        plan->cut_reply_after = 0;
        plan->resets = true;
    }
    if (falls(&die, mix->cut)) {
        plan->store = FAULT_STORE_NEVER;
        plan->cut_reply_after = 20; /* within the head */
    }
    if (falls(&die, mix->commit_drop)) {
        plan->store = FAULT_STORE_ALWAYS;
        plan->cut_reply_after = 0;
        plan->resets = true;
    }
}

static bool has_key(const struct fault_request *request, const char *key)
{
    const char *given = fault_request_header(request, "Authorization");

    return given && strncmp(given, "Bearer ", 7) == 0 &&
           strcmp(given + 7, key) == 0;
}

static bool is_within(const struct fault_mix *mix, uint64_t number)
{
    return number >= mix->first && (mix->last == 0 || number <= mix->last);
}

void fault_mix_answer(void *user_data, const struct fault_request *request,
                      struct fault_plan *plan)
{
    struct fault_mix *mix = user_data;
    bool is_poisoned = mix->poison && request->body &&
                       memmem(request->body, request->body_bytes, mix->poison,
                              strlen(mix->poison));

    if (mix->delay_ms) {
        plan->stall = FAULT_STALL_BEFORE_STATUS;
        plan->stall_ms = mix->delay_ms;
    }
    mix->poison_sends += is_poisoned;
    if (mix->status)
        plan->status = mix->status;
    if (mix->redirect_to) {
        plan->status = 302;
        plan->headers = header(mix, "Location: %s\r\n", mix->redirect_to);
    } else if (mix->key && !has_key(request, mix->key)) {
        plan->status = 401;
    } else if (mix->sends_page) {
        plan->sends_page = true;
        plan->store = FAULT_STORE_NEVER;
        plan->headers = "Content-Type: text/html; charset=utf-8\r\n";
    } else if (mix->body_bytes_max &&
               request->body_bytes_packed > mix->body_bytes_max) {
        plan->status = 413;
    } else if (is_within(mix, request->number)) {
        roll_fate(mix, request->number, plan);
    }
    /* A fate that would store the poison does not. */
    if (is_poisoned && (plan->status / 100 == 2)) {
        plan->status = mix->poison_status ? mix->poison_status : 422;
        plan->store = FAULT_STORE_NEVER;
    }
}
