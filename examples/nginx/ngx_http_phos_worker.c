/*
 * The client of a worker process. It is opened after the fork, for a client
 * belongs to the process that opened it, and closed with a deadline before
 * the process ends.
 */
#include <pthread.h>
#include <sys/eventfd.h>

#include "ngx_http_phos.h"

#include <ngx_channel.h>

enum {
    /* On a fast stop the master kills what is left after some 1.5 s. */
    FAST_CLOSE_MS = 1000,
    MESSAGES_MAX = 16,
    /* What an event has besides its two texts. */
    EVENT_BYTES_BESIDES = 16384,
    EVENTS_IN_RING_MIN = 16
};

struct message {
    phos_severity severity;
    char text[PHOS_ERROR_TEXT_BYTES];
};

static phos_client *client;
static ngx_uint_t skipped;

/*
 * Diagnostics come in the client's own thread, and nginx's logs belong to its
 * event loop (a log may go to a syslog peer, and is replaced on reload). So
 * they are handed over, and a descriptor in the loop rings the bell.
 */
static struct {
    pthread_mutex_t lock;
    int bell; /* eventfd; -1: none */
    ngx_uint_t count;
    ngx_uint_t lost;
    struct message messages[MESSAGES_MAX];
} inbox = { .lock = PTHREAD_MUTEX_INITIALIZER, .bell = -1 };

static void take_diagnostic(const phos_diagnostic *diagnostic, void *user_data)
{
    uint64_t one = 1;
    ssize_t written = 0;

    pthread_mutex_lock(&inbox.lock);
    if (inbox.count == MESSAGES_MAX) {
        inbox.lost++;
    } else {
        struct message *message = &inbox.messages[inbox.count++];

        message->severity = diagnostic->severity;
        memcpy(message->text, diagnostic->error.text, sizeof(message->text));
    }
    if (inbox.bell >= 0)
        written = write(inbox.bell, &one, sizeof(one));
    (void)written; /* it can only fail because the bell is ringing already */
    pthread_mutex_unlock(&inbox.lock);
}

static ngx_uint_t level_of(phos_severity severity)
{
    switch (severity) {
    case PHOS_SEVERITY_ERROR:
        return NGX_LOG_ERR;
    case PHOS_SEVERITY_WARNING:
        return NGX_LOG_WARN;
    default:
        return NGX_LOG_NOTICE;
    }
}

static void write_messages(ngx_log_t *log)
{
    struct message messages[MESSAGES_MAX];
    ngx_uint_t i, count, lost;

    pthread_mutex_lock(&inbox.lock);
    count = inbox.count;
    lost = inbox.lost;
    memcpy(messages, inbox.messages, count * sizeof(*messages));
    inbox.count = 0;
    inbox.lost = 0;
    pthread_mutex_unlock(&inbox.lock);

    for (i = 0; i < count; i++)
        ngx_log_error(level_of(messages[i].severity), log, 0, "phos: %s",
                      messages[i].text);
    if (lost > 0)
        ngx_log_error(NGX_LOG_WARN, log, 0, "phos: and %ui more messages",
                      lost);
}

static void on_bell(ngx_event_t *event)
{
    ngx_connection_t *connection = event->data;
    uint64_t rings;

    if (read(connection->fd, &rings, sizeof(rings)) > 0)
        write_messages(ngx_cycle->log);
}

static void hang_bell(ngx_cycle_t *cycle)
{
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (bell >= 0 &&
        ngx_add_channel_event(cycle, bell, NGX_READ_EVENT, on_bell) != NGX_OK) {
        close(bell);
        bell = -1;
    }
    if (bell < 0)
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                      "phos: messages will be written at exit only");
    pthread_mutex_lock(&inbox.lock);
    inbox.bell = bell;
    pthread_mutex_unlock(&inbox.lock);
}

/* The descriptor itself stays open: the connection that nginx made of it is
 * in the loop until the process ends, which is soon. */
static void unhang_bell(void)
{
    pthread_mutex_lock(&inbox.lock);
    inbox.bell = -1;
    pthread_mutex_unlock(&inbox.lock);
}

static phos_str view(const ngx_str_t *text)
{
    return phos_str_make((const char *)text->data, text->len);
}

/* Room for the largest event that a location can capture. */
static void make_room(phos_options *options, size_t text_max)
{
    size_t event_bytes = 2 * text_max + EVENT_BYTES_BESIDES;

    if (event_bytes <= options->event_bytes_max)
        return;
    options->event_bytes_max = (uint32_t)event_bytes;
    while (options->ring_bytes < EVENTS_IN_RING_MIN * event_bytes)
        options->ring_bytes *= 2;
}

void ngx_http_phos_worker_open(ngx_cycle_t *cycle,
                               ngx_http_phos_main_conf_t *conf)
{
    phos_options options = phos_options_default();
    phos_status status;

    options.endpoint = view(&conf->endpoint);
    options.api_key = view(&conf->api_key);
    options.project_id = view(&conf->project_id);
    options.sample_rate = (double)conf->sample / NGX_HTTP_PHOS_SAMPLE_ALL;
    options.on_diagnostic = take_diagnostic;
    make_room(&options, conf->text_max);

    hang_bell(cycle);
    status = phos_client_open(&options, &client);
    if (status != PHOS_OK)
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "phos: nothing will be logged: %s",
                      phos_status_text(status));
    write_messages(cycle->log);
}

static void write_ledger(ngx_log_t *log, const phos_close_report *report)
{
    const phos_ledger *ledger = &report->ledger;
    const phos_rejections *rejected = &report->rejected;
    uint64_t all_rejected = rejected->full + rejected->invalid +
                            rejected->too_large + rejected->closed;
    ngx_uint_t level =
        ledger->refused + ledger->dropped + ledger->unknown + all_rejected > 0
            ? NGX_LOG_ERR
            : NGX_LOG_NOTICE;

    ngx_log_error(level, log, 0,
                  "phos: %uL accepted: %uL delivered, %uL duplicate, "
                  "%uL refused, %uL dropped, %uL unknown; "
                  "%uL rejected (%uL full, %uL invalid, %uL too large); "
                  "%uL not in the sample, %uL disabled, %ui skipped",
                  ledger->accepted, ledger->delivered, ledger->duplicate,
                  ledger->refused, ledger->dropped, ledger->unknown,
                  all_rejected, rejected->full, rejected->invalid,
                  rejected->too_large, report->discarded.sampled,
                  report->discarded.disabled, skipped);
}

void ngx_http_phos_worker_close(ngx_cycle_t *cycle,
                                ngx_http_phos_main_conf_t *conf)
{
    phos_close_report report;
    ngx_msec_t timeout = conf->close_timeout;

    if (client == NULL)
        return;
    if (ngx_terminate && timeout > FAST_CLOSE_MS)
        timeout = FAST_CLOSE_MS;
    phos_client_close(client, (uint32_t)timeout, &report);
    phos_client_free(client);
    client = NULL;
    unhang_bell();
    write_messages(cycle->log);
    write_ledger(cycle->log, &report);
}

ngx_flag_t ngx_http_phos_worker_is_open(void)
{
    return client != NULL;
}

void ngx_http_phos_worker_log(const phos_event *event)
{
    /* What it rejects, it counts; the ledger at exit tells. */
    (void)phos_client_log(client, event, NULL);
}

void ngx_http_phos_worker_skip(void)
{
    skipped++;
}
