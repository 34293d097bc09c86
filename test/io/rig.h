/*
 * rig - a loop, a transport on it and a fault server to talk to, on the test's
 * own thread.
 */
#ifndef TEST_IO_RIG_H
#define TEST_IO_RIG_H

#include <pthread.h>

#include "harness/failing_alloc.h"
#include "harness/fault_server.h"
#include "io/http.h"

enum { RIG_REPLIES_MAX = 256 };

/* A reply, copied. */
struct rig_reply {
    uint64_t id;
    phos_exchange exchange;
    int http_status;
    size_t header_count;
    char retry_after[64]; /* the header; empty: none */
    char body[4096];      /* as much as fits */
    size_t body_bytes;
    bool body_cut;
    uint64_t bytes_sent, bytes_received;
    phos_error error;
    phos_obstacle obstacle;
};

struct rig {
    struct failing_alloc memory;
    phos_allocator allocator;
    struct phos__loop *loop;
    struct phos__http *http;
    struct fault_server *server; /* NULL: none */
    struct fault_plan plan;      /* of every request, from submit on */
    struct fault_plan published; /* the same, for the server's threads */
    pthread_mutex_t lock;        /* guards it */
    char url[256];

    size_t under_way;
    struct rig_reply replies[RIG_REPLIES_MAX];
    size_t reply_count;
    unsigned turns;
    /* Called in each turn while set; returns when it wants the next one. */
    uint64_t (*on_turn)(struct rig *rig);
    void (*on_reply)(struct rig *rig, const struct rig_reply *reply);
    void *more; /* the test's */
};

/* Real values, of a client that is not patient. */
struct phos__http_options rig_options(void);
/*
 * Starts all three. http NULL: rig_options(). server NULL: one whose requests
 * all follow rig->plan, which answers 201 unless changed; give `no_server` for
 * none.
 */
extern const struct fault_options no_server;
void rig_start(struct rig *rig, const struct phos__http_options *http,
               const struct fault_options *server);
/* Ends all, and fails the test if memory is left over. */
void rig_stop(struct rig *rig);

/* A POST of `body` with an Authorization header, id 1, 5 s. */
phos_request rig_post(struct rig *rig, const char *body);
phos_status rig_submit(struct rig *rig, const phos_request *request);
void rig_cancel(struct rig *rig, uint64_t id);
void rig_resume(struct rig *rig, uint64_t id);
/* Runs the loop until nothing is under way. */
void rig_run(struct rig *rig);
/* One request, one reply. */
struct rig_reply rig_exchange(struct rig *rig, const phos_request *request);

extern const char rig_key[]; /* the secret that rig_post() sends */

#endif
