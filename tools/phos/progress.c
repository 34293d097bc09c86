#include "progress.h"

#include <stdio.h>
#include <string.h>

#include "text.h"

enum { BAR_COLUMNS = 24, BAR_COLUMNS_MIN = 8 };

double progress_rate(struct progress_meter *meter, uint64_t now_ms,
                     uint64_t settled)
{
    double seconds = (double)(now_ms - meter->last_ms) / 1000.0;
    double share = seconds / (seconds + 2.0); /* a memory of about 2 s */
    double rate;

    if (now_ms <= meter->last_ms)
        return meter->rate;
    rate = (double)(settled - meter->last_settled) / seconds;
    /* The first measurement has no past to be mixed with. */
    meter->rate = meter->last_ms == 0 && meter->last_settled == 0
                      ? rate
                      : meter->rate + (rate - meter->rate) * share;
    meter->last_ms = now_ms;
    meter->last_settled = settled;
    return meter->rate;
}

/* 0 to 1: what is read counts as done when it has its verdicts. */
static double share_done(const struct progress *progress)
{
    double share;

    if (progress->bytes_total == 0 || progress->accepted == 0)
        return 0.0;
    share = (double)progress->bytes_read / (double)progress->bytes_total *
            (double)progress->settled / (double)progress->accepted;
    return share < 1.0 ? share : 1.0;
}

static const char *state_words(const struct progress *progress)
{
    switch (progress->state) {
    case PHOS_STATE_OUTAGE:
        return "service away, waiting";
    case PHOS_STATE_CONFIG:
        return "refused, trying again";
    case PHOS_STATE_RUNNING:
        if (progress->last_http_status == 429)
            return "service asks to go slower";
        break;
    case PHOS_STATE_CLOSING:
    case PHOS_STATE_CLOSED:
        break;
    }
    return NULL;
}

/* "ETA 1:05", "waiting" words, or nothing. */
static void outlook(const struct progress *progress,
                    char text[TEXT_NUMBER_BYTES])
{
    const char *words = state_words(progress);
    double done = share_done(progress);
    double left_s;

    text[0] = '\0';
    if (words != NULL) {
        snprintf(text, TEXT_NUMBER_BYTES, "%s", words);
        return;
    }
    if (done <= 0.0 || progress->rate < 0.01)
        return;
    left_s = (double)progress->settled * (1.0 - done) / done / progress->rate;
    if (left_s < 360000.0)
        snprintf(text, TEXT_NUMBER_BYTES, "ETA %u:%02u",
                 (unsigned)(left_s + 0.5) / 60, (unsigned)(left_s + 0.5) % 60);
}

static void figures(const struct progress *progress, const char *gap,
                    char *text, size_t bytes)
{
    char count[TEXT_NUMBER_BYTES], rate[TEXT_NUMBER_BYTES];
    char size[TEXT_NUMBER_BYTES], ahead[TEXT_NUMBER_BYTES];

    outlook(progress, ahead);
    snprintf(text, bytes, "%s events%s%s/s%s%s%s%s",
             text_count(progress->settled, count), gap,
             text_count((uint64_t)(progress->rate + 0.5), rate), gap,
             text_bytes(progress->bytes_read, size),
             ahead[0] != '\0' ? gap : "", ahead);
}

void progress_bar(const struct progress *progress, size_t columns,
                  char line[PROGRESS_LINE_BYTES])
{
    char text[PROGRESS_LINE_BYTES / 2];
    char bar[BAR_COLUMNS + 1];
    double done = share_done(progress);
    size_t width = BAR_COLUMNS;
    size_t room;

    figures(progress, "  ", text, sizeof(text));
    /* The last column stays free: writing it wraps on some terminals. */
    room = columns > 1 ? columns - 1 : 0;
    if (strlen(text) + 8 + width > room)
        width = BAR_COLUMNS_MIN;
    if (progress->bytes_total == 0 || strlen(text) + 8 + width > room) {
        snprintf(line, PROGRESS_LINE_BYTES, "%s", text);
    } else {
        for (size_t i = 0; i < width; i++)
            bar[i] = (double)i < done * (double)width ? '#' : '.';
        bar[width] = '\0';
        snprintf(line, PROGRESS_LINE_BYTES, "[%s] %3u%%  %s", bar,
                 (unsigned)(done * 100.0), text);
    }
    if (room < PROGRESS_LINE_BYTES)
        line[room] = '\0';
}

void progress_plain(const struct progress *progress,
                    char line[PROGRESS_LINE_BYTES])
{
    char text[PROGRESS_LINE_BYTES / 2];

    figures(progress, ", ", text, sizeof(text));
    if (progress->bytes_total > 0)
        snprintf(line, PROGRESS_LINE_BYTES, "%u%%, %s",
                 (unsigned)(share_done(progress) * 100.0), text);
    else
        snprintf(line, PROGRESS_LINE_BYTES, "%s", text);
}
