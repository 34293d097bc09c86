#include "wire/problem.h"

#include <stdio.h>

#include "base/alloc.h"
#include "wire/json_load.h"
#include "wire/reply.h"

void phos__problems_init(struct phos__problems *problems,
                         const phos_allocator *allocator)
{
    memset(problems, 0, sizeof(*problems));
    problems->allocator = *allocator;
    phos__buffer_init(&problems->text, allocator);
}

void phos__problems_deinit(struct phos__problems *problems)
{
    phos__free(&problems->allocator, problems->items);
    phos__buffer_deinit(&problems->text);
}

/* ---- one entry of a list ---- */

/* Texts lie one behind the other; while they still move, a view's data is an
 * offset from NULL. */
static phos_str end_text(const struct phos__buffer *text, size_t from)
{
    return phos_str_make((const char *)(uintptr_t)from, text->bytes - from);
}

static phos_str add_text(struct phos__buffer *text, const json_t *value)
{
    size_t from = text->bytes;

    if (json_is_string(value))
        phos__buffer_append(text, json_string_value(value),
                            json_string_length(value));
    return end_text(text, from);
}

/* ["body", "messages", 0, "role"] as "body.messages.0.role" */
static phos_str add_location(struct phos__buffer *text, const json_t *places)
{
    size_t from = text->bytes, i;
    json_t *place;

    json_array_foreach(places, i, place)
    {
        char number[32];

        if (i > 0)
            phos__buffer_append(text, ".", 1);
        if (json_is_number(place))
            phos__buffer_append(text, number,
                                (size_t)snprintf(number, sizeof(number), "%.0f",
                                                 json_number_value(place)));
        else
            add_text(text, place);
    }
    return end_text(text, from);
}

static void settle(const struct phos__buffer *text, phos_str *view)
{
    static const char nothing[] = "";

    view->data =
        text->data ? (const char *)text->data + (uintptr_t)view->data : nothing;
}

static void read_list(struct phos__problems *problems, const json_t *list)
{
    struct phos__buffer *text = &problems->text;
    size_t count = json_array_size(list);

    count = count < PHOS__PROBLEMS_MAX ? count : PHOS__PROBLEMS_MAX;
    if (count == 0)
        return;
    problems->items = phos__alloc_zeroed(&problems->allocator, count,
                                         sizeof(*problems->items));
    if (!problems->items)
        return;
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(list, i);
        phos_problem *item = &problems->items[i];

        item->location = add_location(text, json_object_get(entry, "loc"));
        item->message = add_text(text, json_object_get(entry, "msg"));
        item->type = add_text(text, json_object_get(entry, "type"));
    }
    if (!text->failed)
        problems->count = count;
}

/* ---- the whole ---- */

static void add_detail(struct phos__problems *problems, phos_str body,
                       enum phos__body_kind kind)
{
    char words[PHOS__DETAIL_BYTES_MAX];
    phos_str detail;

    phos__reply_error_text(body, words, sizeof(words));
    detail = phos_str_make(words, strlen(words));
    if (detail.length == 0 && kind == PHOS__BODY_OTHER) {
        detail = body; /* a plain text is what it says */
        if (detail.length > PHOS__DETAIL_BYTES_MAX)
            detail.length = PHOS__DETAIL_BYTES_MAX;
    }
    problems->detail = end_text(&problems->text, problems->text.bytes);
    phos__buffer_append_str(&problems->text, detail);
    problems->detail.length = problems->text.failed ? 0 : detail.length;
}

void phos__problems_read(struct phos__problems *problems, phos_str content_type,
                         phos_str body)
{
    enum phos__body_kind kind = phos__reply_kind(content_type, body);
    json_t *root = NULL;

    if (kind == PHOS__BODY_JSON)
        root = phos__json_load(body);
    read_list(problems, json_object_get(root, "detail"));
    json_decref(root);
    add_detail(problems, body, kind);
    for (size_t i = 0; i < problems->count; i++) {
        settle(&problems->text, &problems->items[i].location);
        settle(&problems->text, &problems->items[i].message);
        settle(&problems->text, &problems->items[i].type);
    }
    settle(&problems->text, &problems->detail);
}
