/*
 * ngx_phos_chat - reads chat requests and answers as they pass by.
 *
 * Fed with bytes in pieces of any size, it keeps the few values that become an
 * event and skips the rest, so that what a request costs in memory depends on
 * its texts and their limit, and never on the size of its body:
 *
 *     request   model, user, text of the last message whose role is "user"
 *     answer    model, choices[0].message.content, usage
 *     chunk     model, choices[0].delta.content, usage     (streamed answers)
 *
 * It reads leniently: what is known so far counts even if the rest is broken
 * or never comes. It knows nothing of nginx; memory comes from a function.
 */
#ifndef NGX_PHOS_CHAT_H
#define NGX_PHOS_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns `bytes` of memory that begin with the `old_bytes` of `old`, which is
 * given up; NULL: there is none, and `old` stays. */
typedef void *ngx_phos_grow_fn(void *pool, void *old, size_t old_bytes,
                               size_t bytes);

struct ngx_phos_memory {
    ngx_phos_grow_fn *grow;
    void *pool;
};

/* Bytes up to a limit; what goes beyond is left out. Starts zeroed. */
struct ngx_phos_text {
    char *data;
    size_t length;
    size_t capacity;
    size_t limit;
    bool is_cut; /* something was left out */
};

enum {
    NGX_PHOS_DEPTH_MAX = 64, /* deeper than any chat; then it is broken */
    NGX_PHOS_KEY_MAX = 20,   /* the longest key of interest fits */
    NGX_PHOS_NAME_MAX = 256  /* of a model's and a user's name */
};

struct ngx_phos_chat {
    struct ngx_phos_text input;
    struct ngx_phos_text output;
    struct ngx_phos_text model;
    struct ngx_phos_text user;
    int64_t token_count_input;  /* -1: not told */
    int64_t token_count_output; /* -1: not told */
    bool has_messages;
    bool has_choices;

    struct ngx_phos_memory memory;
    struct ngx_phos_text message;  /* text of the message being read */
    struct ngx_phos_text role;     /* and its role */
    struct ngx_phos_text *content; /* where text of "content" goes */
    struct ngx_phos_text *sink;    /* of the string being read; NULL: nowhere */
    int64_t choice;                /* number of the choice being read */
    int64_t choice_count;
    int64_t integer; /* value of the scalar being read; -1: no integer */
    uint32_t unicode;
    uint32_t high_surrogate;
    uint8_t unicode_digits;
    uint8_t state;
    uint8_t place; /* of the value that comes next, or is being read */
    uint8_t depth;
    uint8_t places[NGX_PHOS_DEPTH_MAX]; /* of the containers that are open */
    bool is_array[NGX_PHOS_DEPTH_MAX];
    bool is_key; /* the string being read is one */
    uint8_t key_length;
    char key[NGX_PHOS_KEY_MAX];
};

/* `text_max`: limit of input and of output, in bytes; 0: neither is kept. */
void ngx_phos_chat_init(struct ngx_phos_chat *chat,
                        struct ngx_phos_memory memory, size_t text_max);
void ngx_phos_chat_feed(struct ngx_phos_chat *chat, const char *data,
                        size_t length);
/* The next byte begins another JSON text; what was read is kept. */
void ngx_phos_chat_next(struct ngx_phos_chat *chat);
/* A whole JSON object has been read. */
bool ngx_phos_chat_is_whole(const struct ngx_phos_chat *chat);
/* What was fed is no JSON object. */
bool ngx_phos_chat_is_broken(const struct ngx_phos_chat *chat);

/* Drops the beginning of a character that a limit has cut in two. */
void ngx_phos_text_trim(struct ngx_phos_text *text);

#endif
