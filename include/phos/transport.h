/*
 * phos/transport.h - how requests reach a service. The library's own transport
 * is libcurl on the worker's loop; a host or a test may bring another.
 */
#ifndef PHOS_TRANSPORT_H
#define PHOS_TRANSPORT_H

#include "phos/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One line of an HTTP head. */
typedef struct phos_header {
    phos_str name;
    phos_str value;
} phos_header;

struct phos_reply;

/* What a taker of a body wants after a piece of it. */
typedef enum phos_flow {
    PHOS_FLOW_ON = 0,    /* the next one */
    PHOS_FLOW_PAUSE = 1, /* this one again, after resume; until then the
                            service is held back */
    PHOS_FLOW_STOP = 2   /* no more: the exchange ends, with body_cut */
} phos_flow;

/**
 * Takes a piece of a body as it arrives; borrowed for the call.
 *
 * head  of the reply: http_status and headers count
 *
 * Threads  loop; it calls neither cancel nor resume.
 */
typedef phos_flow phos_body_fn(const struct phos_reply *head, phos_str piece,
                               void *reply_data);

/**
 * One HTTP request. Everything it points to is borrowed from the library and
 * stays as it is until the reply has been given.
 */
typedef struct phos_request {
    size_t struct_size;
    uint64_t id; /* unique within the client; names it in cancel */
    phos_str method;
    phos_str url;
    const phos_header *headers; /* Authorization included: a secret */
    size_t header_count;
    phos_str body;
    uint32_t timeout_ms;      /* for the whole exchange; 0: none */
    uint32_t reply_bytes_max; /* of the body; more is cut off */
    uint32_t idle_timeout_ms; /* longest time without a byte in either
                                 direction, pauses left out, to the next full
                                 second; 0: two thirds of timeout_ms */
    phos_body_fn *on_body;    /* of a 2xx: takes the body, of any length, which
                                 reply.body then lacks; NULL: nobody does */
} phos_request;

/* How an exchange ended. */
typedef enum phos_exchange {
    PHOS_EXCHANGE_ANSWERED = 0,  /* an HTTP status arrived; see http_status */
    PHOS_EXCHANGE_NOT_SENT = 1,  /* no byte of the request left this machine */
    PHOS_EXCHANGE_BROKEN = 2,    /* it may have arrived; no whole answer did */
    PHOS_EXCHANGE_STALLED = 3,   /* timed out while the body was being sent */
    PHOS_EXCHANGE_CANCELLED = 4, /* cancel came first; it may have arrived */
    PHOS_EXCHANGE_REFUSED = 5    /* cannot work as configured: URL, TLS
                                    certificate, proxy; nothing arrived */
} phos_exchange;

/* What stood in the way of a request that was not sent, for those who have to
 * remove it. A transport that cannot tell says UNKNOWN. */
typedef enum phos_obstacle {
    PHOS_OBSTACLE_UNKNOWN = 0,
    PHOS_OBSTACLE_NAME = 1,      /* the host's or the proxy's name is not
                                    resolved */
    PHOS_OBSTACLE_CONNECT = 2,   /* refused, unreachable, or silence */
    PHOS_OBSTACLE_PROXY = 3,     /* the proxy does not let it through */
    PHOS_OBSTACLE_TLS = 4,       /* the handshake failed */
    PHOS_OBSTACLE_NO_TLS = 5,    /* on that port nobody speaks TLS */
    PHOS_OBSTACLE_UNTRUSTED = 6, /* the certificate: its signer is unknown */
    PHOS_OBSTACLE_EXPIRED = 7,   /* it is over, or not valid yet */
    PHOS_OBSTACLE_OTHER_HOST = 8 /* it belongs to another host */
} phos_obstacle;

/** What came back. All it points to is borrowed for the call. */
typedef struct phos_reply {
    size_t struct_size;
    phos_exchange exchange;
    int http_status;            /* 100 to 999; 0 when none arrived */
    const phos_header *headers; /* names in any case; of the last answer */
    size_t header_count;
    phos_str body;
    bool body_cut;       /* body ended early or exceeded reply_bytes_max */
    uint64_t bytes_sent; /* of the whole request, headers included */
    uint64_t bytes_received;
    phos_error error;       /* what broke, when exchange is not ANSWERED or
                               the body was cut on its way */
    phos_obstacle obstacle; /* when exchange is NOT_SENT or REFUSED */
} phos_reply;

/** Takes one reply. Any thread, also from inside submit. */
typedef void phos_reply_fn(const phos_reply *reply, void *reply_data);

/**
 * A transport: two functions and what they work on. It must outlive every
 * client that was opened with it, and the last answer that it owes. Redirects
 * are never followed.
 */
typedef struct phos_transport {
    size_t struct_size;
    void *user_data;

    /*
     * Starts one request. PHOS_OK: on_reply is called exactly once, later or
     * before this returns. Any other status: on_reply is never called, and the
     * request counts as not sent.
     * Threads  loop.
     */
    phos_status (*submit)(void *user_data, const phos_request *request,
                          phos_reply_fn *on_reply, void *reply_data);

    /*
     * Asks for an early end of request `id` of that reply_data. Its on_reply
     * is called soon, also from inside cancel. An id that is not under way is
     * ignored.
     * Threads  loop.
     */
    void (*cancel)(void *user_data, uint64_t id, void *reply_data);

    /*
     * Goes on with request `id` of that reply_data, whose on_body wanted a
     * pause; on_body and on_reply may be called from inside. NULL: this
     * transport cannot hand out bodies in pieces, and no request for it has an
     * on_body.
     * Threads  loop.
     */
    void (*resume)(void *user_data, uint64_t id, void *reply_data);
} phos_transport;

#ifdef __cplusplus
}
#endif

#endif
