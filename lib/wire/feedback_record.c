#include "wire/feedback_record.h"

#include <assert.h>
#include <string.h>

#include "wire/json.h"
#include "wire/uuid.h"

#define MARK (UINT32_C(1) << 31)

enum {
    HAS_COMMENT = 1 << 0,
    HAS_SOURCE = 1 << 1,
    IS_FAILURE = 1 << 2,
    FLAGS = HAS_COMMENT | HAS_SOURCE | IS_FAILURE
};

/* `time`, `fields` and `used` stand where an event's record has them. */
struct head {
    uint64_t time;
    uint64_t link;
    uint32_t fields; /* the mark and the flags above */
    uint32_t used;   /* bytes in front of the padding */
    uint32_t comment_bytes, source_bytes;
    uint8_t event_id[16];
};

static_assert(sizeof(struct head) == 48, "the head has no padding");
static_assert(PHOS__FEEDBACK_RECORD_BYTES_MAX % 8 == 0,
              "the largest record needs no padding");

/* ---- plan and write ---- */

static bool is_lost(phos_str text)
{
    return !text.data && text.length > 0;
}

phos_status phos__feedback_record_plan(const struct phos__feedback_view *view,
                                       size_t bytes_max, uint32_t *ret_bytes)
{
    size_t bytes;

    if ((view->flag != PHOS_FLAG_SUCCESS && view->flag != PHOS_FLAG_FAILURE) ||
        is_lost(view->comment) || is_lost(view->source))
        return PHOS_E_INVALID;
    if (view->comment.length > PHOS_FEEDBACK_COMMENT_BYTES_MAX ||
        view->source.length > PHOS_FEEDBACK_SOURCE_BYTES_MAX)
        return PHOS_E_TOO_LARGE;
    bytes =
        (sizeof(struct head) + view->comment.length + view->source.length + 7) &
        ~(size_t)7;
    if (bytes > bytes_max)
        return PHOS_E_TOO_LARGE;
    *ret_bytes = (uint32_t)bytes;
    return PHOS_OK;
}

static uint8_t *put(uint8_t *at, phos_str text)
{
    if (text.length > 0)
        memcpy(at, text.data, text.length);
    return at + text.length;
}

void phos__feedback_record_write(const struct phos__feedback_view *view,
                                 uint32_t bytes, uint8_t *to)
{
    struct head *head = (struct head *)(void *)to;
    uint8_t *at = to + sizeof(*head);

    memset(to + bytes - 8, 0, 8); /* the padding; all else is written below */
    head->time = view->time;
    head->link = 0;
    head->fields = MARK | (view->comment.data ? HAS_COMMENT : 0) |
                   (view->source.data ? HAS_SOURCE : 0) |
                   (view->flag == PHOS_FLAG_FAILURE ? IS_FAILURE : 0);
    head->comment_bytes = (uint32_t)view->comment.length;
    head->source_bytes = (uint32_t)view->source.length;
    memcpy(head->event_id, view->event_id, sizeof(head->event_id));
    at = put(at, view->comment);
    at = put(at, view->source);
    head->used = (uint32_t)(at - to);
}

/* ---- read ---- */

bool phos__feedback_record_is(const uint8_t *record, size_t bytes)
{
    uint32_t fields;

    if (bytes < sizeof(struct head))
        return false;
    memcpy(&fields, record + offsetof(struct head, fields), sizeof(fields));
    return (fields & ~(uint32_t)FLAGS) == MARK;
}

bool phos__feedback_record_read(const uint8_t *record, size_t bytes,
                                struct phos__feedback_view *ret_view)
{
    const char *texts = (const char *)record + sizeof(struct head);
    struct head head;

    if (!phos__feedback_record_is(record, bytes))
        return false;
    memcpy(&head, record, sizeof(head));
    if (head.comment_bytes > PHOS_FEEDBACK_COMMENT_BYTES_MAX ||
        head.source_bytes > PHOS_FEEDBACK_SOURCE_BYTES_MAX ||
        head.used > bytes ||
        head.used != sizeof(head) + head.comment_bytes + head.source_bytes ||
        (head.comment_bytes > 0 && !(head.fields & HAS_COMMENT)) ||
        (head.source_bytes > 0 && !(head.fields & HAS_SOURCE)))
        return false;

    memset(ret_view, 0, sizeof(*ret_view));
    ret_view->time = head.time;
    memcpy(ret_view->event_id, head.event_id, sizeof(head.event_id));
    ret_view->flag =
        head.fields & IS_FAILURE ? PHOS_FLAG_FAILURE : PHOS_FLAG_SUCCESS;
    if (head.fields & HAS_COMMENT)
        ret_view->comment = phos_str_make(texts, head.comment_bytes);
    if (head.fields & HAS_SOURCE)
        ret_view->source =
            phos_str_make(texts + head.comment_bytes, head.source_bytes);
    return true;
}

uint32_t phos__feedback_record_bytes(const uint8_t *record)
{
    uint32_t used;

    memcpy(&used, record + offsetof(struct head, used), sizeof(used));
    return (used + 7) & ~UINT32_C(7);
}

uint64_t phos__feedback_record_link(const uint8_t *record)
{
    uint64_t link;

    memcpy(&link, record + offsetof(struct head, link), sizeof(link));
    return link;
}

void phos__feedback_record_set_link(uint8_t *record, uint64_t link)
{
    memcpy(record + offsetof(struct head, link), &link, sizeof(link));
}

/* ---- JSON ---- */

static void put_text(struct phos__buffer *buffer, const char *text)
{
    phos__buffer_append(buffer, text, strlen(text));
}

void phos__feedback_record_json(struct phos__buffer *buffer,
                                const struct phos__feedback_view *view)
{
    char id[PHOS_EVENT_ID_TEXT_LENGTH];

    phos__uuid_write(view->event_id, id);
    put_text(buffer, "{\"event_id\":\"");
    phos__buffer_append(buffer, id, sizeof(id));
    put_text(buffer, view->flag == PHOS_FLAG_FAILURE
                         ? "\",\"flag\":\"failure\""
                         : "\",\"flag\":\"success\"");
    if (view->comment.data) {
        put_text(buffer, ",\"comment\":");
        phos__json_text(buffer, view->comment);
    }
    put_text(buffer, ",\"source\":");
    phos__json_text(buffer,
                    view->source.data ? view->source : PHOS_STR("user"));
    put_text(buffer, "}");
}
