/*
 * http - the library's own transport: libcurl's multi interface driven by the
 * worker's loop.
 */
#ifndef PHOS_IO_HTTP_H
#define PHOS_IO_HTTP_H

#include "io/loop.h"
#include "phos/client.h"

struct phos__http;

/* Texts are copied; data NULL: left out. */
struct phos__http_options {
    uint32_t connect_timeout_ms;
    uint32_t connections_max; /* kept open between requests */
    uint32_t gzip_level;
    phos_str proxy, ca_file, unix_socket_path, user_agent;
    phos_easy_fn *on_easy;
    void *user_data; /* of on_easy */
};

/* Whether this build can compress. */
bool phos__http_has_gzip(void);

/* On the loop's thread, or before it runs. PHOS_OK, PHOS_E_NO_MEMORY,
 * PHOS_E_SYSTEM. */
phos_status phos__http_create(struct phos__loop *loop,
                              const phos_allocator *allocator,
                              const struct phos__http_options *options,
                              struct phos__http **ret_http);
/* Valid until phos__http_destroy(). */
const phos_transport *phos__http_transport(struct phos__http *http);
/*
 * On the loop's thread. Requests under way are answered CANCELLED first; never
 * waits for the network or the resolver. Its libuv handles close during the
 * loop's next turns and the memory goes with the last of them.
 */
void phos__http_destroy(struct phos__http *http);

#endif
