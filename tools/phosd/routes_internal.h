/*
 * routes_internal - what routes.c, routes_write.c and routes_read.c share.
 */
#ifndef PHOSD_ROUTES_INTERNAL_H
#define PHOSD_ROUTES_INTERNAL_H

#include "ingest.h"
#include "page.h"
#include "routes.h"

/* What the routes keep of an exchange between its calls. */
struct work {
    struct phosd_routes *routes;
    struct phosd_exchange *exchange;
    const struct route *route;
    const struct phosd_page_file *file; /* of the page */
    struct phosd_project *project;
    char *query; /* in exchange->target; NULL: none */
    phos_str id; /* the path's last part, decoded */

    struct phosd_write write;
    struct phosd_batch batch;
    struct phosd_feedback_body feedback;
    uint32_t tokens; /* taken from the bucket */

    struct phosd_read read;
    struct phosd_filter filter;
    uint8_t event_id[16];
    bool any; /* a list has an element already */
};

struct route {
    const char *path; /* one that ends in '/' takes one more part, an id */
    const char *method;
    bool open; /* needs no key */
    void (*body)(struct work *work, phos_str body);
    void (*submit)(struct work *work);
};

void phosd_work_refuse(struct work *work, unsigned status, const char *why);

/* Results that are alike everywhere; true: the reply stands. */
bool phosd_work_failed(struct work *work, enum phosd_result result,
                       const char *unknown);

void phosd_ingest_body(struct work *work, phos_str body);
void phosd_judgement_body(struct work *work, phos_str body);
void phosd_write_submit(struct work *work);

void phosd_events_body(struct work *work, phos_str body);
void phosd_event_body(struct work *work, phos_str body);
void phosd_sessions_body(struct work *work, phos_str body);
void phosd_session_body(struct work *work, phos_str body);
void phosd_stats_body(struct work *work, phos_str body);
void phosd_read_submit(struct work *work);

#endif
