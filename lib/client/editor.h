/*
 * editor - shows an event to the application before it is first sent, and
 * makes a record of what the application left of it.
 *
 *   record ──► phos_event ──► before_send ──► checked, as in a log call ──►
 * page
 *
 * It keeps one edited record, on its page, until that has found its place: the
 * application is asked once for each event, even where there is no memory for
 * the answer yet.
 */
#ifndef PHOS_CLIENT_EDITOR_H
#define PHOS_CLIENT_EDITOR_H

#include "phos/client.h"
#include "wire/record.h"

enum { PHOS__EDITOR_LIST_MAX = 64 };

struct phos__editor_options {
    phos_before_send_fn *before_send; /* NULL: events are not shown */
    void *user_data;
    uint32_t event_bytes_max;
    phos_oversize oversize;
};

struct phos__editor {
    struct phos__editor_options options;
    uint8_t *page; /* event_bytes_max */
    bool is_held;  /* the page belongs to the event that is read next */
    /* What became of the event of the page. */
    bool is_unwanted;   /* not to be sent */
    phos_status status; /* of the check; not PHOS_OK: unwanted for that */
    uint32_t bytes;     /* of its record */
    phos_str tags[PHOS__EDITOR_LIST_MAX];
    phos_pair pairs[PHOS__EDITOR_LIST_MAX];
};

/* false: no memory. Allocates nothing later. */
bool phos__editor_init(struct phos__editor *editor,
                       const struct phos__editor_options *options,
                       const phos_allocator *allocator);
/* Takes a zeroed one. */
void phos__editor_deinit(struct phos__editor *editor,
                         const phos_allocator *allocator);

/*
 * Shows the event and fills the page. `view` is of its record, whose time is
 * `time_us`; `id` is its id, whoever chose it.
 */
void phos__editor_run(struct phos__editor *editor,
                      const struct phos__record_view *view,
                      const uint8_t id[16], uint64_t time_us);

#endif
