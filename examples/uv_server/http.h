/*
 * http - HTTP/1.1 on a libuv loop: connections, requests in, answers out. The
 * parser is http_parser. It knows neither chats nor libphos.
 */
#ifndef HTTP_H
#define HTTP_H

#include <http_parser.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct http_connection;

/* A whole request. */
struct http_message {
    enum http_method method;
    const char *path;
    const char *body; /* not NUL-terminated */
    size_t body_length;
    uint64_t began_ns; /* on the clock of uv_hrtime() */
};

/* Calls http_respond() once before it returns; `message` is lent. */
typedef void http_handler_fn(struct http_connection *connection,
                             const struct http_message *message);

/* Listens on loopback; port 0: any, and *ret_port tells which. Returns 0 or an
 * error of libuv's. */
int http_start(uv_loop_t *loop, int port, http_handler_fn *handler,
               int *ret_port);

/* Takes `body`, JSON that comes from malloc(); NULL: there is no memory, and
 * the connection is closed. */
void http_respond(struct http_connection *connection, int status, char *body);

/* No new connections; requests that have begun are answered, and what is open
 * after `drain_ms` is cut off. Then nothing keeps the loop alive. */
void http_stop(unsigned drain_ms);

#endif
