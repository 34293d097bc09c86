/*
 * listener - HTTP in and out. Only listener*.c name libmicrohttpd.
 *
 * A few threads of the HTTP library read requests and write replies; none of
 * them waits for the disk. A request that needs the store is suspended until
 * phosd_exchange_finish(). Time-outs are ours, as absolute times for each
 * phase, because the library's own start anew with every byte:
 *
 *     open/idle --> head --> body --> (store) --> reply --> idle
 */
#ifndef PHOSD_LISTENER_H
#define PHOSD_LISTENER_H

#include "address.h"
#include "exchange.h"

struct phosd_listener;

struct phosd_listener_options {
    size_t body_bytes_max;     /* of one request as it travels */
    uint32_t head_timeout_ms;  /* from the connection, or the request line */
    uint32_t body_timeout_ms;  /* for each stretch of it, 1 KiB a second */
    uint32_t reply_timeout_ms; /* on top of one second for each 4 MiB */
    uint32_t idle_timeout_ms;  /* between two requests */
    struct phosd_handler handler;
};

/* Takes the sockets' descriptors on success. NULL: the HTTP library gives no
 * reason. */
struct phosd_listener *
phosd_listener_open(const struct phosd_listener_options *options,
                    const struct phosd_socket *sockets, size_t count);

/* Ends connections that are past their time. To be called a few times a
 * second. */
void phosd_listener_sweep(struct phosd_listener *listener, uint64_t now_ms);

/*
 * Ends the service: no new connections, each reply is its connection's last,
 * and what is under way is finished, at most for ms_max. When it returns,
 * nothing is submitted any more.
 */
void phosd_listener_drain(struct phosd_listener *listener, uint32_t ms_max);

/* After drain. Takes NULL. */
void phosd_listener_close(struct phosd_listener *listener);

#endif
