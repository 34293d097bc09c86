/*
 * reply - reads what the service answered: its list, its object, or its words
 * when it says no. The API page leaves these shapes open, so several are
 * recognised.
 */
#ifndef PHOS_TOOL_REPLY_H
#define PHOS_TOOL_REPLY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "phos/base.h"

/* The body as JSON, big numbers as doubles, broken text repaired; NULL. */
json_t *reply_parse(const char *body, size_t length);

/* The array in a reply: the reply itself, or its member data, events,
 * sessions or items; NULL when there is none. Borrowed. */
const json_t *reply_list(const json_t *reply);

/* The text of that array in the reply's text, which must be UTF-8; { NULL, 0 }
 * when there is none. */
phos_str reply_list_text(const json_t *reply, phos_str text);

/* The object in a reply: the member `name` if it is an object, else the reply
 * itself; NULL when it is none. Borrowed. */
const json_t *reply_object(const json_t *reply, const char *name);

/* What the service says of an error: error or message as text or with a
 * message inside, detail as text or as a list of {msg}; else the text of the
 * body itself. Never NULL; valid as long as `reply` and `body`. */
const char *reply_words(const json_t *reply, const char *body);

/* The first of several members that is a string / number; names end with
 * NULL. Looks into "metadata", "metrics" and "stats" too. */
const char *reply_text(const json_t *object, const char *const *names);
bool reply_number(const json_t *object, const char *const *names,
                  double *ret_number);

#endif
