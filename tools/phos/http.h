/*
 * http - one exchange with the service, for the commands that do not send
 * events.
 */
#ifndef PHOS_TOOL_HTTP_H
#define PHOS_TOOL_HTTP_H

#include "connection.h"

enum { HTTP_PROBLEM_BYTES = 512 };

/* How far an exchange came; where it ended when there was no answer. */
enum http_stage {
    HTTP_START,   /* nothing was tried: the endpoint's form, or memory */
    HTTP_RESOLVE, /* the name of the host, or of the proxy */
    HTTP_CONNECT,
    HTTP_PROXY,  /* the proxy was reached and lets nothing through */
    HTTP_SECURE, /* the TLS handshake */
    HTTP_WAIT,   /* connected, but no whole answer came */
    HTTP_ANSWERED
};

struct http_reply {
    long status; /* 0: no answer; `problem` tells why */
    char *body;  /* ends with NUL */
    size_t length;
    bool is_misconfigured; /* nothing was asked: the endpoint is no good */
    char problem[HTTP_PROBLEM_BYTES];

    enum http_stage stage;
    char peer[64];       /* address connected to; "": none */
    uint64_t resolve_ms; /* since the start, each; 0: not come to */
    uint64_t connect_ms;
    uint64_t secure_ms;
    uint64_t total_ms;
    int64_t clock_s;             /* ours when the answer was there */
    int64_t date_s;              /* the service's; 0: it told none */
    int64_t retry_after_s;       /* 0: none */
    int64_t certificate_until_s; /* 0: none, or not known */
};

/* Checks the endpoint as the library does for sending; tells what is wrong
 * without the endpoint itself, which may hold a password. */
bool http_check_endpoint(const char *endpoint,
                         char problem[HTTP_PROBLEM_BYTES]);

/* A query string under construction. */
struct http_query {
    char *text;  /* "?a=b&c=d"; NULL: empty */
    bool failed; /* out of memory */
};

/* Adds a parameter, percent-encoded; value NULL: nothing. */
void http_query_add(struct http_query *query, const char *name,
                    const char *value);
void http_query_add_number(struct http_query *query, const char *name,
                           uint64_t value);
void http_query_deinit(struct http_query *query);

/*
 * Gets endpoint + path + "/" + segment (percent-encoded; NULL: none) + query
 * (NULL: none), with the connection's key (NULL: without). Redirects are not
 * followed, so the key goes nowhere else; over plain http it goes to this
 * machine only, unless PHOS_ALLOW_PLAIN_HTTP is 1. PHOS_PROXY, PHOS_CA_FILE
 * and PHOS_UNIX_SOCKET_PATH are obeyed. A signal that signals.h caught ends
 * it.
 */
void http_get(const struct connection *connection, const char *path,
              const char *segment, const struct http_query *query,
              struct http_reply *ret_reply);
/* Posts JSON to endpoint + path, under the same rules. */
void http_post(const struct connection *connection, const char *path,
               const char *body, struct http_reply *ret_reply);
void http_reply_deinit(struct http_reply *reply);

#endif
