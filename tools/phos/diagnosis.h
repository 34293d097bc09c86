/*
 * diagnosis - what an exchange with the service tells about the way to it.
 * Pure: a reply goes in, findings come out.
 */
#ifndef PHOS_TOOL_DIAGNOSIS_H
#define PHOS_TOOL_DIAGNOSIS_H

#include "findings.h"
#include "http.h"

/* How the connection is made. */
struct route {
    bool is_https;
    const char *proxy;       /* as PHOS_PROXY says; NULL: none */
    const char *socket_path; /* as PHOS_UNIX_SOCKET_PATH says; NULL: none */
};

/* From the name to the handshake. True: the service can be reached. */
bool diagnose_way(struct findings *findings, const struct route *route,
                  const struct http_reply *reply);

/* What answers there, from the reply to GET /healthz. */
void diagnose_service(struct findings *findings,
                      const struct http_reply *reply);

/* Whether the key is taken, from the reply to a GET with it. */
void diagnose_key(struct findings *findings, const struct http_reply *reply);

/* How far our clock is from the service's. */
void diagnose_clock(struct findings *findings, const struct http_reply *reply);

/* Whether the service asks for a pause. per_minute: PHOS_EVENTS_PER_MINUTE,
 * NULL: none. */
void diagnose_pace(struct findings *findings, const struct http_reply *reply,
                   const char *per_minute);

#endif
