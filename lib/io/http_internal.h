/*
 * http_internal - what the parts of http share.
 *
 *   http.c          the transport: submit, cancel, create, destroy
 *   http_request.c  a request's settings on an easy handle
 *   http_reply.c    headers and body as they arrive
 *   http_outcome.c  how an exchange ended
 *   http_obstacle.c what stood in its way, in words
 *   http_socket.c   curl's sockets and timer on the loop
 */
#ifndef PHOS_IO_HTTP_INTERNAL_H
#define PHOS_IO_HTTP_INTERNAL_H

#include <curl/curl.h>
#include <uv.h>

#include "base/buffer.h"
#include "io/gzip.h"
#include "io/http.h"

/* Of one reply in all, interim answers and trailers included. */
enum { PHOS__HTTP_HEAD_BYTES_MAX = 65536 };

/* One request under way, or an easy handle that waits for the next one. */
struct phos__http_exchange {
    struct phos__http *http;
    struct phos__http_exchange *previous, *next; /* of those under way; only
                                                    next: of those at rest */
    CURL *easy;
    bool is_set_up; /* the settings that stay are on the handle */

    phos_request request; /* what it points to stays until the reply */
    phos_reply_fn *on_reply;
    void *reply_data;

    struct phos__buffer url;
    struct phos__buffer header_text; /* lines, each ended with NUL */
    struct curl_slist *header_nodes;
    size_t header_capacity;
    struct phos__buffer packed; /* the body, compressed */
    phos_str body;              /* as it travels */

    bool has_begun;        /* a connection stood: bytes may have left */
    bool is_connected;     /* the connection still stands */
    const char *veto;      /* why we told curl to stop; NULL: we did not */
    uint64_t bytes_before; /* sent on connections before this one */
    size_t unread; /* of those, not taken by the peer when the connection was
                      closed, as far as the kernel knows */

    struct phos__buffer head; /* lines of the answer that arrives */
    size_t head_bytes;        /* of all answers and trailers */
    int http_status;          /* of the answer that arrives */
    bool is_answered;         /* its headers are complete, and it is final */
    bool head_is_too_large;
    bool is_out_of_memory;
    phos_header *reply_headers;
    size_t reply_header_capacity;
    phos_reply streamed_head; /* shown with each piece; zeroed: none yet */
    struct phos__buffer reply_body;
    bool body_is_cut;
    char error_text[CURL_ERROR_SIZE];
};

/* One of curl's sockets. Kept in the loop as long as it is open: taking it out
 * after each request costs more than all else around the request. */
struct phos__http_socket {
    uv_poll_t poll; /* freed in its close callback, the struct with it */
    struct phos__http *http;
    struct phos__http_socket *next;
    struct phos__http_exchange *exchange; /* that uses it, or used it last */
    curl_socket_t fd;
    int wanted;   /* events that curl waits for */
    int armed;    /* events that the loop watches: at least those */
    bool is_kept; /* a connection stands on it: watched until it closes */
    int from_port, to_port; /* of a kept one; 0: not TCP */
};

struct phos__http {
    phos_allocator allocator;
    struct phos__loop *loop;
    struct phos__loop_watch watch;
    phos_transport transport;
    CURLM *multi;
    uv_timer_t timer;
    unsigned handles; /* of libuv, not yet closed; the last frees the struct */

    struct phos__http_exchange *busy, *resting;
    struct phos__http_socket *sockets;
    struct phos__gzip *gzip; /* NULL: off */

    uint32_t connect_timeout_ms;
    char *proxy, *ca_file, *unix_socket_path, *user_agent;
    phos_easy_fn *on_easy;
    void *user_data;

    unsigned depth; /* of calls that run replies */
    bool is_doomed; /* destroy was called: nothing new begins */
    bool is_lost;   /* the loop is: curl and libuv are not to be touched */
};

/* ---- http.c ---- */

/* Bytes of the request that were handed to the kernel, on all connections. */
uint64_t phos__http_bytes_sent(const struct phos__http_exchange *exchange);
/* Hands out the answers that curl has ready. */
void phos__http_reap(struct phos__http *http);
/* Around whatever runs replies: a reply may destroy the transport, which is
 * put off until the outermost of these is left. */
void phos__http_enter(struct phos__http *http);
void phos__http_leave(struct phos__http *http);
/* Frees the struct once nothing of libuv points to it. */
void phos__http_handle_closed(struct phos__http *http);

/* ---- http_request.c ---- */

/* PHOS_OK, PHOS_E_NO_MEMORY, PHOS_E_INVALID, PHOS_E_UNSUPPORTED. */
phos_status phos__http_prepare(struct phos__http_exchange *exchange);

/* ---- http_reply.c: curl's callbacks; data is the exchange ---- */

size_t phos__http_on_head(char *data, size_t one, size_t bytes, void *exchange);
size_t phos__http_on_body(char *data, size_t one, size_t bytes, void *exchange);
/* Takes the lines of the head apart. Returns the number of headers, less those
 * for which there is no memory. */
size_t phos__http_split_head(struct phos__http_exchange *exchange);

/* ---- http_outcome.c ---- */

/* What is known about an exchange that curl has ended. */
struct phos__http_ending {
    CURLcode code;
    bool has_begun;        /* bytes may have left */
    bool is_answered;      /* a final status arrived, its headers complete */
    uint64_t body_bytes;   /* of the request */
    uint64_t body_written; /* of those, handed to the kernel */
    uint64_t unread;       /* of what was written, not taken by the peer */
    long proxy_status;     /* the proxy's answer to CONNECT; 0: none */
    const char *words;     /* curl's own; never a header's value */
    int system_error;      /* errno of a connection that failed; 0: none */
    bool is_https, is_resolved, is_connected, is_secured;
};

phos_exchange phos__http_outcome(const struct phos__http_ending *ending);
/* The status for phos_error. */
phos_status phos__http_status_of(phos_exchange exchange, CURLcode code);

/* ---- http_obstacle.c ---- */

/* Where a request goes; NULL: not that way. */
struct phos__http_way {
    phos_str url;
    const char *proxy;
    const char *unix_socket_path;
};

/* UNKNOWN once bytes may have left. */
phos_obstacle phos__http_obstacle(const struct phos__http_ending *ending,
                                  const struct phos__http_way *way);
/* Puts an ending without an answer into words, where it was included; never
 * the proxy's password. */
void phos__http_describe(const struct phos__http_ending *ending,
                         const struct phos__http_way *way, phos_status status,
                         phos_error *ret_error);

/* ---- http_socket.c ---- */

/* The timer and curl's callbacks. */
phos_status phos__http_sockets_start(struct phos__http *http,
                                     uint32_t connections_max);
/* A multi handle whose own descriptors do not outlive exec; NULL: none. */
CURLM *phos__http_multi_new(void);
/* CURLOPT_OPENSOCKETFUNCTION and CURLOPT_CLOSESOCKETFUNCTION. */
curl_socket_t phos__http_open_socket(void *http, curlsocktype purpose,
                                     struct curl_sockaddr *address);
int phos__http_close_socket(void *http, curl_socket_t fd);
/* Whether bytes that nobody asked for wait on the kept connection between
 * these ports. */
bool phos__http_sockets_have_stray(struct phos__http *http, int from_port,
                                   int to_port);
/* `exchange` ends: no socket points to it any longer. */
void phos__http_sockets_forget(struct phos__http *http,
                               const struct phos__http_exchange *exchange);

#endif
