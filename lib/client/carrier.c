#include "client/carrier.h"

static phos_status find_worker(struct phos__carrier *carrier,
                               phos_worker *shared,
                               const phos_allocator *allocator)
{
    phos_worker_options options = phos_worker_options_default();

    if (shared) {
        if (phos__worker_is_foreign(shared))
            return PHOS_E_FORKED;
        carrier->worker = phos__worker_ref(shared);
        return PHOS_OK;
    }
    options.allocator = *allocator;
    return phos_worker_open(&options, &carrier->worker);
}

struct make_http {
    const struct phos__http_options *options;
    const phos_allocator *allocator;
    struct phos__http *http;
    phos_status status;
};

static void make_http(struct phos__loop *loop, void *data)
{
    struct make_http *make = data;

    make->status =
        phos__http_create(loop, make->allocator, make->options, &make->http);
}

phos_status phos__carrier_open(struct phos__carrier *carrier,
                               phos_worker *worker,
                               const phos_transport *transport,
                               const struct phos__http_options *http,
                               const phos_allocator *allocator)
{
    struct make_http make = { http, allocator, NULL, PHOS_OK };
    phos_status status = find_worker(carrier, worker, allocator);

    carrier->transport = transport;
    if (status || transport)
        return status;
    phos__worker_call(carrier->worker, make_http, &make);
    carrier->http = make.http;
    if (!make.status)
        carrier->transport = phos__http_transport(make.http);
    return make.status;
}

static void unmake_http(struct phos__loop *loop, void *data)
{
    (void)loop;
    phos__carrier_hang_up(data);
}

void phos__carrier_close(struct phos__carrier *carrier)
{
    if (carrier->http)
        phos__worker_call(carrier->worker, unmake_http, carrier);
    if (carrier->worker)
        phos__worker_unref(carrier->worker);
    carrier->worker = NULL;
}

void phos__carrier_hang_up(struct phos__carrier *carrier)
{
    if (carrier->http)
        phos__http_destroy(carrier->http);
    carrier->http = NULL;
}
