#include "reply.h"

#include <string.h>

#include "raw.h"
#include "repair.h"

json_t *reply_parse(const char *body, size_t length)
{
    struct repair repair = { NULL, 0 };
    const char *text;
    json_t *reply = NULL;

    if (body == NULL || !repair_text(&repair, body, length, &text, &length))
        return NULL;
    reply = json_loadb(text, length, JSON_ALLOW_NUL, NULL);
    if (reply == NULL)
        reply = json_loadb(text, length,
                           JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    repair_deinit(&repair);
    return reply;
}

/* The member that is the list; NULL: none. */
static const char *list_name(const json_t *reply)
{
    static const char *const names[] = { "data", "events", "sessions",
                                         "items" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (json_is_array(json_object_get(reply, names[i])))
            return names[i];
    return NULL;
}

const json_t *reply_list(const json_t *reply)
{
    const char *name = list_name(reply);

    if (json_is_array(reply))
        return reply;
    return name != NULL ? json_object_get(reply, name) : NULL;
}

phos_str reply_list_text(const json_t *reply, phos_str text)
{
    const char *name = list_name(reply);

    if (json_is_array(reply))
        return text;
    return name != NULL ? raw_member(text, name) : phos_str_make(NULL, 0);
}

const json_t *reply_object(const json_t *reply, const char *name)
{
    const json_t *inner = json_object_get(reply, name);

    if (json_is_object(inner))
        return inner;
    return json_is_object(reply) ? reply : NULL;
}

static const char *words_in(const json_t *value)
{
    const json_t *inner;

    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_array(value))
        return words_in(json_array_get(value, 0));
    inner = json_object_get(value, "message");
    if (inner == NULL)
        inner = json_object_get(value, "msg");
    return json_is_string(inner) ? json_string_value(inner) : NULL;
}

const char *reply_words(const json_t *reply, const char *body)
{
    static const char *const names[] = { "error", "message", "detail" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *words = words_in(json_object_get(reply, names[i]));

        if (words != NULL && words[0] != '\0')
            return words;
    }
    return body != NULL && body[0] != '\0' ? body : "(nothing more)";
}

/* Members that may be gathered one level down. */
static const char *const groups[] = { "metadata", "metrics", "stats" };

enum { GROUP_COUNT = sizeof(groups) / sizeof(groups[0]) };

static const json_t *find(const json_t *object, const char *const *names,
                          bool (*is_fit)(const json_t *))
{
    for (; *names != NULL; names++) {
        const json_t *value = json_object_get(object, *names);

        for (size_t i = 0; !is_fit(value) && i < GROUP_COUNT; i++)
            value = json_object_get(json_object_get(object, groups[i]), *names);
        if (is_fit(value))
            return value;
    }
    return NULL;
}

static bool is_text(const json_t *value)
{
    return json_is_string(value);
}

static bool is_number(const json_t *value)
{
    return json_is_number(value);
}

const char *reply_text(const json_t *object, const char *const *names)
{
    return json_string_value(find(object, names, is_text));
}

bool reply_number(const json_t *object, const char *const *names,
                  double *ret_number)
{
    const json_t *value = find(object, names, is_number);

    if (value == NULL)
        return false;
    *ret_number = json_number_value(value);
    return true;
}
