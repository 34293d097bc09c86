/*
 * fault_mix - a script for the fault server made of shares: so many of a
 * hundred requests get this fault or that. The same seed gives request n the
 * same fate in every run.
 */
#ifndef TEST_HARNESS_FAULT_MIX_H
#define TEST_HARNESS_FAULT_MIX_H

#include "harness/fault_server.h"

struct fault_mix {
    uint64_t seed;
    /* Shares of 100 requests; together at most 100. */
    unsigned too_many;    /* 429 */
    unsigned error;       /* 500 */
    unsigned unavailable; /* 503 */
    unsigned reset;       /* RST before anything is stored */
    unsigned cut;         /* the reply ends early, nothing is stored */
    unsigned commit_drop; /* the events are stored, then RST without a reply */

    int retry_after_s;       /* with 429 and 503; < 0: none */
    uint64_t first, last;    /* only requests of these numbers; 0: no bound */
    const char *poison;      /* a body that holds this text gets … */
    int poison_status;       /* … this, and is not stored; 0: 422 */
    size_t body_bytes_max;   /* a larger body gets 413; 0: any */
    int status;              /* of all the rest; 0: 201 */
    const char *redirect_to; /* all get 302 to there */
    bool sends_page;         /* all get 200 with a web page */
    const char *key;         /* requests with another one get 401 */
    uint32_t delay_ms;       /* before each reply */

    uint64_t poison_sends; /* bodies that held the poison */
    char text[512];        /* of headers */
};

/* For struct fault_options; user_data is the mix. */
void fault_mix_answer(void *mix, const struct fault_request *request,
                      struct fault_plan *plan);

#endif
