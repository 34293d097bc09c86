/*
 * service_options - the settings of a service after open: checked, every text
 * copied.
 */
#ifndef PHOS_CLIENT_SERVICE_OPTIONS_H
#define PHOS_CLIENT_SERVICE_OPTIONS_H

#include "base/buffer.h"
#include "phos/service.h"

struct phos__service_settings {
    phos_service_options options; /* texts point into `text` */
    phos_header *headers;
    struct phos__buffer text;
    phos_str base_url; /* without the slash at its end */
    phos_str origin;   /* its scheme, host and port */
    const char *auth_header;
    phos_str auth_prefix; /* in front of the credential */
};

/* PHOS_OK, PHOS_E_INVALID, PHOS_E_INSECURE, PHOS_E_NO_MEMORY; *ret_error says
 * what is wrong, by the option's name. The credential is not copied. */
phos_status phos__service_settings_init(struct phos__service_settings *settings,
                                        const phos_service_options *given,
                                        const phos_allocator *allocator,
                                        phos_error *ret_error);
/* Takes a zeroed one. */
void phos__service_settings_deinit(struct phos__service_settings *settings);

#endif
