/*
 * stream - the events of an answer that is a stream: from pieces of a body to
 * the application, by callback or through a bounded queue. A slow application
 * holds the service back.
 *
 *   piece ─► sse ─► event ─► on_event
 *                      └───► queue ─► phos_stream_next()
 */
#ifndef PHOS_CLIENT_STREAM_H
#define PHOS_CLIENT_STREAM_H

#include "client/call.h"

/* As phos__call_create(). What is created holds its call, and goes with it. */
phos_status phos__stream_create(const struct phos__call_ground *ground,
                                phos_str method, phos_str path, phos_str body,
                                const phos_stream_options *options,
                                struct phos_stream **ret_stream);
struct phos_call *phos__stream_call(struct phos_stream *stream);

#endif
