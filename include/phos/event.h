/*
 * phos/event.h - one AI interaction, as the ingestion API takes it.
 */
#ifndef PHOS_EVENT_H
#define PHOS_EVENT_H

#include <math.h>

#include "phos/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An integer field that is left out. 0 is a value and is sent as 0. */
#define PHOS_UNSET INT64_MIN

/** An event's identity: a UUID in network byte order. */
typedef struct phos_event_id {
    uint8_t bytes[16];
} phos_event_id;

/* Without a terminating NUL. */
enum { PHOS_EVENT_ID_TEXT_LENGTH = 36 };

/** What a custom metadata value is. */
typedef enum phos_value_type {
    PHOS_VALUE_TEXT = 0,
    PHOS_VALUE_INTEGER = 1,
    PHOS_VALUE_NUMBER = 2, /* finite */
    PHOS_VALUE_BOOLEAN = 3,
    PHOS_VALUE_NULL = 4
} phos_value_type;

/** One metadata key of the application's own, with a typed value. */
typedef struct phos_pair {
    phos_str key; /* not empty; a typed field of the same name wins */
    phos_value_type type;
    phos_str text;   /* PHOS_VALUE_TEXT; with data, may be empty text */
    int64_t integer; /* PHOS_VALUE_INTEGER */
    double number;   /* PHOS_VALUE_NUMBER */
    bool boolean;    /* PHOS_VALUE_BOOLEAN */
} phos_pair;

/**
 * One interaction. Made by phos_event_default(), which leaves every field out;
 * then input and output are filled in and whatever else is known.
 *
 * Texts are UTF-8 by pointer and length and may hold NUL; broken UTF-8 is sent
 * as U+FFFD. A text field is left out when its data is NULL, and sent as ""
 * when it has data and length 0.
 */
typedef struct phos_event {
    size_t struct_size; /* set by phos_event_default() */

    phos_str input;  /* the user's side; required, may be empty text */
    phos_str output; /* the model's side; required, may be empty text */
    /* Instead of output: an answer that was streamed, in pieces as they came.
     * The call joins them while it copies, before anything looks at the text,
     * so a piece may end inside a character. Each has data unless it is empty;
     * with the array and no piece the answer is empty. */
    const phos_str *output_parts;
    size_t output_part_count; /* at most 1,048,576 */

    const phos_event_id *event_id; /* a UUID of any version; NULL: made here */
    phos_str session_id;
    phos_str project_id;  /* else the client's; the key decides anyway */
    int64_t timestamp_us; /* Unix time in microseconds, of the years 1970 to
                             9999; PHOS_UNSET: the time of the log call */
    phos_str model;
    phos_str provider;
    int64_t latency_ms;         /* >= 0 or PHOS_UNSET */
    int64_t token_count_input;  /* >= 0 or PHOS_UNSET */
    int64_t token_count_output; /* >= 0 or PHOS_UNSET */
    double cost_cents;          /* finite, or NaN: left out */
    phos_str user_id;
    phos_str traceparent; /* joins the event to a trace, as the header of that
                             name says: W3C Trace Context, version 00 */
    const phos_str *tags; /* each with data, may be empty text */
    size_t tag_count;     /* at most 64 */
    const phos_pair *pairs;
    size_t pair_count;      /* at most 64 */
    phos_str metadata_json; /* one JSON object, merged into metadata; depth at
                               most 64; its keys lose against the fields above
                               and against pairs; of equal keys the first is
                               sent, here and among pairs */
    uint64_t cookie;        /* comes back in the receipt; not sent */
} phos_event;

/** An event with every field left out. */
static inline phos_event phos_event_default(void)
{
    phos_event event;
    const phos_str none = phos_str_make(NULL, 0);

    event.struct_size = sizeof(event);
    event.input = none;
    event.output = none;
    event.output_parts = NULL;
    event.output_part_count = 0;
    event.event_id = NULL;
    event.session_id = none;
    event.project_id = none;
    event.timestamp_us = PHOS_UNSET;
    event.model = none;
    event.provider = none;
    event.latency_ms = PHOS_UNSET;
    event.token_count_input = PHOS_UNSET;
    event.token_count_output = PHOS_UNSET;
    event.cost_cents = (double)NAN;
    event.user_id = none;
    event.traceparent = none;
    event.tags = NULL;
    event.tag_count = 0;
    event.pairs = NULL;
    event.pair_count = 0;
    event.metadata_json = none;
    event.cookie = 0;
    return event;
}

/* A key with a text. */
static inline phos_pair phos_pair_text(phos_str key, phos_str text)
{
    phos_pair pair = { key, PHOS_VALUE_TEXT, text, 0, 0.0, false };

    return pair;
}

/* A key with a whole number. */
static inline phos_pair phos_pair_integer(phos_str key, int64_t integer)
{
    phos_pair pair = {
        key, PHOS_VALUE_INTEGER, { NULL, 0 }, integer, 0.0, false
    };

    return pair;
}

/* A key with a number, which has to be finite. */
static inline phos_pair phos_pair_number(phos_str key, double number)
{
    phos_pair pair = { key, PHOS_VALUE_NUMBER, { NULL, 0 }, 0, number, false };

    return pair;
}

/* A key with true or false. */
static inline phos_pair phos_pair_boolean(phos_str key, bool boolean)
{
    phos_pair pair = { key, PHOS_VALUE_BOOLEAN, { NULL, 0 }, 0, 0.0, boolean };

    return pair;
}

/* A key with null. */
static inline phos_pair phos_pair_null(phos_str key)
{
    phos_pair pair = { key, PHOS_VALUE_NULL, { NULL, 0 }, 0, 0.0, false };

    return pair;
}

/**
 * Writes an id as 36 characters, lower case, with dashes.
 *
 * text  PHOS_EVENT_ID_TEXT_LENGTH bytes and a terminating NUL are written.
 *
 * Threads  any; signal handlers.
 * Source   RFC 9562, section 4.
 */
PHOS_EXTERN void
phos_event_id_to_text(const phos_event_id *id,
                      char text[PHOS_EVENT_ID_TEXT_LENGTH + 1]);

/**
 * Reads an id from its 36-character text, upper or lower case.
 *
 * Returns  PHOS_OK         *ret_id is set
 *          PHOS_E_INVALID  not a UUID; *ret_id is left alone
 * Threads  any; signal handlers.
 */
PHOS_EXTERN phos_status phos_event_id_from_text(phos_str text,
                                                phos_event_id *ret_id);

/**
 * Makes an event id (UUID version 4) from the system's random source, for
 * applications that want to know the id before the event exists.
 *
 * Returns  PHOS_OK, or PHOS_E_SYSTEM when there is no randomness.
 * Threads  any.
 */
PHOS_EXTERN phos_status phos_event_id_make(phos_event_id *ret_id);

/* Room for a session id, its NUL included. */
enum { PHOS_SESSION_ID_BYTES_MAX = 256 };

/**
 * Makes a session id: the prefix, a dash, and 16 random hexadecimal digits;
 * without a prefix the digits alone. The result ends with NUL.
 *
 * prefix      at most 200 bytes of valid UTF-8; may be empty
 * ret_text    receives the text; at least PHOS_SESSION_ID_BYTES_MAX bytes
 * ret_length  bytes without the NUL; may be NULL
 *
 * Returns  PHOS_OK, PHOS_E_INVALID (prefix), PHOS_E_SYSTEM (no randomness)
 * Threads  any.
 */
PHOS_EXTERN phos_status
phos_session_id_make(phos_str prefix, char ret_text[PHOS_SESSION_ID_BYTES_MAX],
                     size_t *ret_length);

#ifdef __cplusplus
}
#endif

#endif
