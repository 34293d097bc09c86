/*
 * watch - notices what the application should be told: that nothing arrives
 * and why, that it arrives again, what gets lost, that the ring fills. Facts
 * with times go in, lines come out as values; client/words.h puts them into
 * words. No line tells what the one before it told, and no failing service
 * brings more than one of a kind in PHOS__WATCH_GAP_MS.
 *
 *   requests fail ──5 s──► line ──60 s──► line ──60 s──► … arrived ► line
 *                          └─10 s or more─► line, when the reason changes
 */
#ifndef PHOS_CORE_WATCH_H
#define PHOS_CORE_WATCH_H

#include "core/delivery.h"
#include "phos/worker.h"

enum {
    PHOS__WATCH_STALL_MS = 5000,
    PHOS__WATCH_GAP_MS = 10000,
    PHOS__WATCH_REPEAT_MS = 60000
};

/* Ways in which events do not arrive, each told at once the first time. */
enum phos__loss {
    PHOS__LOSS_AGE,       /* given up: too old */
    PHOS__LOSS_CLOSED,    /* given up at close */
    PHOS__LOSS_DAMAGED,   /* given up: the record cannot be read */
    PHOS__LOSS_INVALID,   /* refused by the service */
    PHOS__LOSS_TOO_LARGE, /* refused: too large for the service */
    PHOS__LOSS_POISON,    /* refused: makes the service fail */
    PHOS__LOSS_FULL,      /* calls rejected: no room in the ring */
    PHOS__LOSS_BAD_CALL,  /* calls rejected: break the documented shape */
    PHOS__LOSS_BIG_CALL,  /* calls rejected: more than event_bytes_max */
    PHOS__LOSS_EDIT,      /* dropped: before_send left them broken */
    PHOS__LOSS_COUNT
};

/* How things stand in a turn. */
struct phos__watch_facts {
    uint64_t pending; /* events that the machine holds */
    uint64_t waiting; /* those, and about so many still in the ring */
    uint32_t in_flight;
    bool is_config;              /* somebody has to act */
    uint64_t learned_per_minute; /* events, from 429; 0: none */
    uint64_t hold_ms; /* the service's wish, still to wait; 0: none */
    uint64_t losses[PHOS__LOSS_COUNT]; /* since open */
    int refused_status; /* HTTP, of the event refused last; 0: none */
};

/* Something to tell. */
struct phos__watch_line {
    phos_diagnostic_code code;
    uint64_t stalled_ms;   /* nothing is, or was, delivered for so long */
    uint64_t waiting;      /* events; DELIVERED: until then */
    uint64_t ring_used;    /* bytes */
    uint64_t fill_ms;      /* until the ring is full; UINT64_MAX: it is not
                              filling */
    uint64_t per_minute;   /* LIMITED: events, as learned; 0: none */
    uint64_t hold_ms;      /* LIMITED: the service's wish; 0: none */
    uint64_t lost_over_ms; /* LOST: since the last such line; 0: the first */
    bool is_failing;       /* LOST: nothing has arrived since a failure */
    uint64_t losses[PHOS__LOSS_COUNT]; /* LOST: since then */
    int http_status;                   /* LOST: of the event refused last */
};

struct phos__watch {
    uint64_t ring_bytes;
    uint64_t mark; /* bytes in use that are worth a line; 0: none */
    bool is_high;
    bool has_told_high;
    uint64_t high_told_ms;
    uint64_t ring_used;
    struct {
        uint64_t at_ms, tail;
    } earlier, later; /* samples of the ring's tail, for its rate */
    uint64_t fill_ms; /* at that rate */

    bool is_trying;           /* events wait, and requests were made for them */
    uint64_t since_ms;        /* of that */
    phos_diagnostic_code why; /* the last failure since the last success;
                                 WAITING: none */
    bool is_told;             /* nothing has arrived since a line said so */
    phos_diagnostic_code told_why;
    bool has_told;    /* ever */
    uint64_t told_ms; /* when last */
    uint64_t stalled_since_ms;
    bool has_recovered; /* to be told */
    struct phos__watch_line recovery;

    uint64_t losses[PHOS__LOSS_COUNT]; /* told */
    bool has_told_losses;
    uint64_t losses_told_ms;
    uint64_t due_ms;
};

/* high_water_percent 0: no line about the ring. `tail`: of the ring, now. */
void phos__watch_init(struct phos__watch *watch, uint64_t now_ms,
                      uint64_t ring_bytes, uint32_t high_water_percent,
                      uint64_t tail);

/* ---- facts ---- */

/* Why an exchange did not deliver. */
phos_diagnostic_code phos__watch_why(const struct phos__answer *answer,
                                     phos_obstacle obstacle,
                                     phos_status status);
/* A request came to nothing. */
void phos__watch_failed(struct phos__watch *watch, phos_diagnostic_code why);
/* A batch was delivered, while about so many events waited. */
void phos__watch_arrived(struct phos__watch *watch, uint64_t now_ms,
                         uint64_t waiting);

/* ---- lines ---- */

/* Looks at the ring; true: it has passed the mark, upwards. *ret_is_told: and
 * that is worth a line, which it is once in PHOS__WATCH_GAP_MS. */
bool phos__watch_ring(struct phos__watch *watch, uint64_t now_ms, uint64_t used,
                      uint64_t tail, struct phos__watch_line *ret_line,
                      bool *ret_is_told);
/* Bytes in use from which on phos__watch_ring() has something to say;
 * UINT64_MAX: none. */
uint64_t phos__watch_mark(const struct phos__watch *watch);
/* The next line; false: none until phos__watch_due_ms() or other facts. */
bool phos__watch_next(struct phos__watch *watch, uint64_t now_ms,
                      const struct phos__watch_facts *facts,
                      struct phos__watch_line *ret_line);
/* When to ask again though nothing happens; UINT64_MAX: never. */
uint64_t phos__watch_due_ms(const struct phos__watch *watch);

#endif
