/*
 * client - the public face of logging: opens a ring, a pipeline and a worker,
 * and lets them work together. Every call looks first whether the process that
 * opened the client is the one that calls.
 */
#include <errno.h>
#include <stdalign.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/saturate.h"
#include "client/carrier.h"
#include "client/exit_hook.h"
#include "client/log.h"
#include "client/options.h"
#include "client/pipeline.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/fork.h"

enum {
    CLOSE_GRACE_MS = 10, /* for a worker that gives up at the deadline */
    PARKING_SHARE = 4    /* parked records take up to ring_bytes / 4 */
};

struct phos_client {
    /* The log call reads these and writes none of them. */
    const volatile uint32_t *generation_page;
    uint32_t generation;
    struct phos__logger logger;

    alignas(128) struct phos__rejections rejections;
    struct phos__rejections feedback_rejections;
    struct phos__tally tally;
    alignas(128) struct phos__member member;
    struct phos__pipeline *pipeline;
    struct phos__carrier carrier; /* no worker: the client is disabled */
    struct phos__flag closed;
    phos_allocator allocator;
    struct phos__settings settings;
    uint64_t random_state[4];
    struct phos__ports ports;
    struct phos__exit_entry exit_entry;
};

static bool is_foreign(const phos_client *client)
{
    return *client->generation_page != client->generation;
}

/* It has no worker, no ring and no pipeline; whether it is closed tells the
 * flag alone. */
static bool is_disabled(const phos_client *client)
{
    return !client->carrier.worker;
}

/* ---- open ---- */

/* Over-aligned memory from an allocator that knows nothing of it. */
static phos_client *allocate(const phos_allocator *allocator)
{
    const size_t alignment = alignof(phos_client);
    char *memory =
        phos__alloc_zeroed(allocator, 1, sizeof(phos_client) + alignment);
    size_t shift;
    phos_client *client;

    if (!memory)
        return NULL;
    /* The byte in front of the client tells how far it was moved. */
    shift = alignment - (uintptr_t)memory % alignment;
    client = (phos_client *)(void *)(memory + shift);
    memory[shift - 1] = (char)(shift - 1);
    client->allocator = *allocator;
    return client;
}

static void release(phos_client *client)
{
    const phos_allocator allocator = client->allocator;
    char *memory = (char *)client;

    phos__free(&allocator, memory - 1 - (unsigned char)memory[-1]);
}

static void destroy(phos_client *client)
{
    phos__pipeline_destroy(client->pipeline);
    phos__ring_deinit(&client->logger.ring);
    phos__settings_deinit(&client->settings);
    release(client);
}

/* ---- a member of the worker ---- */

static phos_client *client_of(struct phos__member *member)
{
    return (phos_client *)(void *)((char *)member -
                                   offsetof(phos_client, member));
}

static uint64_t turn(struct phos__member *member)
{
    return phos__pipeline_turn(client_of(member)->pipeline);
}

static bool wind_up(struct phos__member *member)
{
    phos_client *client = client_of(member);

    phos__carrier_hang_up(&client->carrier);
    phos__pipeline_turn(client->pipeline);
    return !phos__pipeline_is_busy(client->pipeline);
}

static void destroy_member(struct phos__member *member)
{
    destroy(client_of(member));
}

static const struct phos__member_calls member_calls = { turn, wind_up,
                                                        destroy_member };

/* ---- open: its parts ---- */

static phos_status find_carrier(phos_client *client)
{
    const phos_options *options = &client->settings.options;
    const struct phos__http_options http = {
        .connect_timeout_ms = options->connect_timeout_ms,
        .connections_max = options->in_flight_max,
        .gzip_level = options->gzip_level,
        .proxy = options->proxy,
        .ca_file = options->ca_file,
        .unix_socket_path = options->unix_socket_path,
        .user_agent = options->user_agent,
        .on_easy = options->on_easy,
        .user_data = options->user_data,
    };
    phos_status status =
        phos__carrier_open(&client->carrier, options->worker,
                           options->transport, &http, &client->allocator);

    client->ports.transport = client->carrier.transport;
    return status;
}

static phos_status make_ring(phos_client *client)
{
    const phos_options *options = &client->settings.options;
    struct phos__siphash_key id_key;
    uint64_t secret;
    phos_status status = phos__entropy_fill(&secret, sizeof(secret));

    if (!status)
        status = phos__entropy_fill(&id_key, sizeof(id_key));
    if (!status)
        status = phos__ring_open(
            &client->logger.ring, options->ring_bytes, secret, &id_key,
            phos__worker_wake_fd(client->carrier.worker), 0);
    client->logger.worker = client->carrier.worker;
    client->logger.clock = phos__clock_resolve(options->clock);
    client->logger.event_bytes_max = options->event_bytes_max;
    client->logger.oversize = options->oversize;
    client->logger.full_wait_ms = options->full_wait_ms;
    return status;
}

static phos_status make_pipeline(phos_client *client)
{
    const phos_options *options = &client->settings.options;
    const struct phos__pipeline_options pipeline = {
        .ring = &client->logger.ring,
        .ports = client->ports,
        .answers_bring_turns = client->carrier.http != NULL,
        .delivery = {
            .batch_events_max = options->batch_events_max,
            .batch_bytes_max = options->batch_bytes_max,
            .linger_ms = options->linger_ms,
            .in_flight_max = options->in_flight_max,
            .retry_base_ms = options->retry_base_ms,
            .retry_cap_ms = options->retry_cap_ms,
            .age_max_ms = options->age_max_ms,
            .events_per_minute = options->events_per_minute,
            .dedupe_window = options->dedupe_window,
            .ring_bytes = options->ring_bytes,
            .parking_bytes_max = options->ring_bytes / PARKING_SHARE,
            .random = client->ports.random.next(client->ports.random.self),
        },
        .deep_sleep_after_ms = options->deep_sleep_after_ms,
        .request_timeout_ms = options->request_timeout_ms,
        .url = phos_str_make(client->settings.url,
                             strlen(client->settings.url)),
        .feedback_url = phos_str_make(client->settings.feedback_url,
                                      strlen(client->settings.feedback_url)),
        .api_key = options->api_key,
        .user_agent = options->user_agent,
        .project_id = options->project_id,
        .editor = {
            .before_send = options->before_send,
            .user_data = options->user_data,
            .event_bytes_max = options->event_bytes_max,
            .oversize = options->oversize,
        },
        .on_receipts = options->on_receipts,
        .on_refused = options->on_refused,
        .on_diagnostic = options->on_diagnostic,
        .on_high_water = options->on_high_water,
        .high_water_percent = options->high_water_percent,
        .rejections = &client->rejections,
        .user_data = options->user_data,
    };

    return phos__pipeline_create(&pipeline, &client->allocator,
                                 &client->pipeline);
}

static phos_status make_sieve(phos_client *client)
{
    const phos_options *options = &client->settings.options;
    struct phos__siphash_key key;
    phos_status status = phos__entropy_fill(&key, sizeof(key));

    if (!status)
        phos__sieve_init(&client->logger.sieve, options->enabled,
                         options->sample_rate, &key, &client->closed,
                         &client->tally);
    return status;
}

static phos_status assemble(phos_client *client)
{
    const phos_options *options = &client->settings.options;
    phos_status status;

    client->generation_page = phos__fork_generation();
    if (!client->generation_page)
        return PHOS_E_SYSTEM;
    client->generation = *client->generation_page;
    client->logger.rejections = &client->rejections;
    client->logger.feedback_rejections = &client->feedback_rejections;
    client->logger.tally = &client->tally;
    status = make_sieve(client);
    if (status || !options->enabled)
        return status;
    client->member.calls = &member_calls;
    status = find_carrier(client);
    if (!status)
        status = make_ring(client);
    client->ports.clock = phos__clock_port_real(client->logger.clock);
    if (!status)
        status =
            phos__random_port_seed(client->random_state, &client->ports.random);
    if (!status)
        status = make_pipeline(client);
    if (!status && options->exit_flush_ms) {
        client->exit_entry.client = client;
        client->exit_entry.flush_ms = options->exit_flush_ms;
        status = phos__exit_hook_add(&client->exit_entry);
    }
    return status;
}

static void take_apart(phos_client *client)
{
    phos__carrier_close(&client->carrier);
    destroy(client);
}

static void tell(const phos_options *options, phos_severity severity,
                 const phos_error *error)
{
    phos_diagnostic diagnostic = { sizeof(diagnostic), severity, *error,
                                   severity == PHOS_SEVERITY_INFO
                                       ? PHOS_DIAGNOSTIC_DISABLED
                                       : PHOS_DIAGNOSTIC_OPEN };

    if (options->on_diagnostic)
        options->on_diagnostic(&diagnostic, options->user_data);
}

static phos_status fail(const phos_options *options, phos_status status,
                        const char *what)
{
    phos_error error;

    phos__error_set(&error, status, PHOS_ORIGIN_PHOS, status, "open: %s%s%s",
                    what, *what ? ": " : "", phos_status_text(status));
    tell(options, PHOS_SEVERITY_ERROR, &error);
    return status;
}

static phos_status fail_of_system(const phos_options *options, int cause)
{
    char words[128];
    phos_error error;

    if (strerror_r(cause, words, sizeof(words)) != 0)
        words[0] = '\0';
    phos__error_set(&error, PHOS_E_SYSTEM, PHOS_ORIGIN_SYSTEM, cause,
                    "open: %s: %s (errno %d)", phos_status_text(PHOS_E_SYSTEM),
                    words, cause);
    tell(options, PHOS_SEVERITY_ERROR, &error);
    return PHOS_E_SYSTEM;
}

static void tell_disabled(const phos_options *options)
{
    phos_error error;

    phos__error_set(&error, PHOS_DISCARDED, PHOS_ORIGIN_PHOS, PHOS_DISCARDED,
                    "open: recording is switched off (option enabled, "
                    "PHOS_ENABLED); events are counted and discarded");
    tell(options, PHOS_SEVERITY_INFO, &error);
}

static phos_allocator choose_allocator(const phos_options *options,
                                       bool *ret_valid)
{
    phos_allocator given =
        phos__allocator_resolve(&options->allocator, ret_valid);

    return options->worker && !options->allocator.allocate
               ? phos__worker_allocator(options->worker)
               : given;
}

phos_status phos_client_open(const phos_options *given,
                             phos_client **ret_client)
{
    phos_options options = phos_options_default();
    phos_allocator allocator;
    phos_client *client;
    phos_error error;
    phos_status status;
    bool is_valid;

    if (!given || !ret_client || given->struct_size < sizeof(size_t))
        return PHOS_E_INVALID;
    memcpy(&options, given, phos__min_u64(given->struct_size, sizeof(options)));
    allocator = choose_allocator(&options, &is_valid);
    if (!is_valid)
        return fail(&options, PHOS_E_INVALID, "option allocator");
    client = allocate(&allocator);
    if (!client)
        return fail(&options, PHOS_E_NO_MEMORY, "");

    status =
        phos__settings_init(&client->settings, &options, &allocator, &error);
    if (status) {
        tell(&options, PHOS_SEVERITY_ERROR, &error);
        release(client);
        return status;
    }
    errno = 0;
    status = assemble(client);
    if (status) {
        int cause = errno; /* what the system said, before it is overwritten */

        take_apart(client);
        return status == PHOS_E_SYSTEM && cause
                   ? fail_of_system(&options, cause)
                   : fail(&options, status, "");
    }
    if (is_disabled(client))
        tell_disabled(&options);
    else /* others see it */
        phos__worker_join(client->carrier.worker, &client->member);
    *ret_client = client;
    return PHOS_OK;
}

/* ---- use ---- */

phos_status phos_client_log(phos_client *client, const phos_event *event,
                            phos_event_id *ret_id)
{
    if (!client)
        return PHOS_E_CLOSED;
    if (is_foreign(client))
        return PHOS_E_FORKED;
    return phos__log(&client->logger, event, ret_id);
}

phos_status phos_client_feedback(phos_client *client, const phos_event_id *id,
                                 phos_flag flag, phos_str comment,
                                 phos_str source)
{
    if (!client)
        return PHOS_E_CLOSED;
    if (is_foreign(client))
        return PHOS_E_FORKED;
    return phos__log_feedback(&client->logger, id, flag, comment, source);
}

/* What every blocking call asks first. */
static phos_status may_block(const phos_client *client)
{
    if (!client)
        return PHOS_E_CLOSED;
    if (is_foreign(client))
        return PHOS_E_FORKED;
    if (is_disabled(client))
        return PHOS_OK; /* it has nothing to wait for */
    return phos__worker_is_here(client->carrier.worker) ? PHOS_E_WOULD_DEADLOCK
                                                        : PHOS_OK;
}

phos_status phos_client_flush(phos_client *client, phos_flush_mode mode,
                              uint32_t timeout_ms)
{
    phos_status status = may_block(client);
    struct phos__ticket ticket;

    if (!status && mode != PHOS_FLUSH_DELIVERED)
        status = PHOS_E_INVALID;
    if (!status && is_disabled(client))
        return phos__flag_get(&client->closed) ? PHOS_E_CLOSED : PHOS_OK;
    if (status)
        return status;
    phos__pipeline_flush(client->pipeline, &ticket);
    if (!phos__pipeline_wait(client->pipeline, &ticket, timeout_ms))
        return PHOS_E_TIMEOUT;
    return ticket.status;
}

phos_status phos_client_close(phos_client *client, uint32_t timeout_ms,
                              phos_close_report *ret_report)
{
    phos_status status = may_block(client);
    phos_close_report report = { .struct_size = sizeof(report) };

    if (status)
        return status;
    phos__flag_set(&client->closed);
    if (!is_disabled(client)) {
        phos__pipeline_close(client->pipeline, timeout_ms);
        phos__pipeline_wait_closed(client->pipeline, CLOSE_GRACE_MS);
        status = phos__pipeline_close_report(client->pipeline, &report);
    }
    report.rejected = phos__rejections_get(&client->rejections);
    report.feedback_rejected =
        phos__rejections_get(&client->feedback_rejections);
    report.discarded = phos__tally_discards(&client->tally);
    if (ret_report)
        *ret_report = report;
    return status;
}

void phos_client_free(phos_client *client)
{
    phos_worker *worker;

    /* What a child inherits is its parent's: abandoned, never closed. */
    if (!client || is_foreign(client))
        return;
    if (is_disabled(client)) {
        destroy(client);
        return;
    }
    phos__exit_hook_remove(&client->exit_entry);
    worker = client->carrier.worker;
    phos__pipeline_close(client->pipeline, 0);
    phos__worker_leave(worker, &client->member);
}

void phos_client_begin_shutdown(phos_client *client)
{
    if (client && !is_foreign(client) && !is_disabled(client))
        phos__pipeline_drain(client->pipeline);
}

phos_status phos_client_set_api_key(phos_client *client, phos_str api_key)
{
    if (!client)
        return PHOS_E_CLOSED;
    if (is_foreign(client))
        return PHOS_E_FORKED;
    if (is_disabled(client))
        return phos__flag_get(&client->closed) ? PHOS_E_CLOSED : PHOS_OK;
    return phos__pipeline_set_api_key(client->pipeline, api_key);
}

phos_status phos_client_stats(phos_client *client, phos_stats *ret_stats)
{
    phos_stats stats;

    if (!client)
        return PHOS_E_CLOSED;
    if (is_foreign(client))
        return PHOS_E_FORKED;
    if (!ret_stats || ret_stats->struct_size < sizeof(size_t))
        return PHOS_E_INVALID;
    memset(&stats, 0, sizeof(stats));
    if (!is_disabled(client))
        phos__pipeline_stats(client->pipeline, &stats);
    else if (phos__flag_get(&client->closed))
        stats.state = PHOS_STATE_CLOSED;
    stats.rejected = phos__rejections_get(&client->rejections);
    stats.feedback_rejected =
        phos__rejections_get(&client->feedback_rejections);
    stats.discarded = phos__tally_discards(&client->tally);
    stats.truncated = phos__tally_get(&client->tally.truncated);
    stats.struct_size = phos__min_u64(ret_stats->struct_size, sizeof(stats));
    memcpy(ret_stats, &stats, stats.struct_size);
    return PHOS_OK;
}
