#include "receipts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"

enum {
    LOST_MAX = 1 << 20, /* cookies kept: 8 MiB */
    RANGES_MAX = 20     /* told, with the rest as a count */
};

void receipts_init(struct receipts *receipts, const char *const *names)
{
    memset(receipts, 0, sizeof(*receipts));
    receipts->names = names;
    pthread_mutex_init(&receipts->lock, NULL);
}

void receipts_deinit(struct receipts *receipts)
{
    free(receipts->lost);
    receipts->lost = NULL;
    pthread_mutex_destroy(&receipts->lock);
}

static const char *name_of(const struct receipts *receipts, uint64_t cookie)
{
    const char *name = receipts->names[cookie >> RECEIPTS_LINE_BITS];

    return strcmp(name, "-") == 0 ? "stdin" : name;
}

static uint64_t line_of(uint64_t cookie)
{
    return cookie & ((UINT64_C(1) << RECEIPTS_LINE_BITS) - 1);
}

static const char *why(phos_reason reason)
{
    switch (reason) {
    case PHOS_REASON_TOO_LARGE:
        return "too large for it";
    case PHOS_REASON_POISON:
        return "it fails on this event";
    case PHOS_REASON_INVALID:
    case PHOS_REASON_NONE:
    case PHOS_REASON_AGE:
    case PHOS_REASON_CLOSED:
    case PHOS_REASON_DAMAGED:
    case PHOS_REASON_EVENT_LOST:
    case PHOS_REASON_EVENT_UNKNOWN:
    case PHOS_REASON_CROWDED:
    case PHOS_REASON_BEFORE_SEND:
        break;
    }
    return "not valid to it";
}

static void tell_refused(const struct receipts *receipts,
                         const phos_receipt *receipt)
{
    char id[PHOS_EVENT_ID_TEXT_LENGTH + 1];

    phos_event_id_to_text(&receipt->id, id);
    console_say("%s:%" PRIu64 ": refused by the service (HTTP %d, %s): "
                "event %s",
                name_of(receipts, receipt->cookie), line_of(receipt->cookie),
                receipt->http_status, why(receipt->reason), id);
}

static bool make_room(struct receipts *receipts)
{
    size_t capacity = receipts->lost_capacity * 2 + 1024;
    uint64_t *lost;

    if (receipts->lost_count < receipts->lost_capacity)
        return true;
    if (receipts->lost_count >= LOST_MAX)
        return false;
    lost = realloc(receipts->lost, capacity * sizeof(*lost));
    if (lost == NULL)
        return false;
    receipts->lost = lost;
    receipts->lost_capacity = capacity;
    return true;
}

static void keep_lost(struct receipts *receipts, uint64_t cookie)
{
    pthread_mutex_lock(&receipts->lock);
    if (make_room(receipts))
        receipts->lost[receipts->lost_count++] = cookie;
    else
        receipts->lost_untold++;
    pthread_mutex_unlock(&receipts->lock);
}

void receipts_take(const phos_receipt *receipts, size_t count, void *user_data)
{
    struct receipts *self = user_data;

    for (size_t i = 0; i < count; i++) {
        switch (receipts[i].outcome) {
        case PHOS_OUTCOME_REFUSED:
            tell_refused(self, &receipts[i]);
            break;
        case PHOS_OUTCOME_DROPPED:
        case PHOS_OUTCOME_UNKNOWN:
            keep_lost(self, receipts[i].cookie);
            break;
        case PHOS_OUTCOME_DELIVERED:
        case PHOS_OUTCOME_DUPLICATE:
            break;
        }
    }
}

void receipts_take_refused(const phos_receipt *receipt, phos_str event_json,
                           void *user_data)
{
    struct receipts *self = user_data;
    FILE *file = self->refused_file;

    (void)receipt;
    if (file == NULL)
        return;
    /* Flushed at once: it may be the only copy if this process dies. */
    if (fwrite(event_json.data, 1, event_json.length, file) !=
            event_json.length ||
        fputc('\n', file) == EOF || fflush(file) != 0) {
        pthread_mutex_lock(&self->lock);
        self->refused_failed = true;
        pthread_mutex_unlock(&self->lock);
    }
}

static int by_cookie(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

/* Lines without an event between them make two ranges: rather too many words
 * than a line too much. */
static void tell_ranges(struct receipts *receipts)
{
    const uint64_t *lost = receipts->lost;
    size_t ranges = 0;
    size_t i = 0;

    while (i < receipts->lost_count && ranges < RANGES_MAX) {
        size_t first = i;

        while (i + 1 < receipts->lost_count && lost[i + 1] == lost[i] + 1)
            i++;
        if (i == first)
            console_say("%s:%" PRIu64 ": not delivered",
                        name_of(receipts, lost[first]), line_of(lost[first]));
        else
            console_say("%s:%" PRIu64 "-%" PRIu64 ": not delivered",
                        name_of(receipts, lost[first]), line_of(lost[first]),
                        line_of(lost[i]));
        i++;
        ranges++;
    }
    receipts->lost_untold += receipts->lost_count - i;
}

void receipts_tell_lost(struct receipts *receipts)
{
    pthread_mutex_lock(&receipts->lock);
    if (receipts->lost_count > 0) {
        qsort(receipts->lost, receipts->lost_count, sizeof(uint64_t),
              by_cookie);
        tell_ranges(receipts);
    }
    if (receipts->lost_untold > 0)
        console_say("and %" PRIu64 " lines more were not delivered",
                    receipts->lost_untold);
    if (receipts->refused_failed)
        console_say("the file of refused events could not be written whole");
    pthread_mutex_unlock(&receipts->lock);
}
