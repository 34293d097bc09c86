/*
 * options - the settings of a client after open: defaults, environment and
 * code brought together, checked, every text copied.
 */
#ifndef PHOS_CLIENT_OPTIONS_H
#define PHOS_CLIENT_OPTIONS_H

#include "base/buffer.h"
#include "phos/client.h"

struct phos__settings {
    phos_options options; /* resolved; texts point into `texts` */
    phos_allocator allocator;
    char *url;          /* endpoint and batch route */
    char *feedback_url; /* endpoint and feedback route */
    struct phos__texts {
        char *endpoint, *api_key, *project_id, *proxy, *ca_file,
            *unix_socket_path, *user_agent;
    } texts;
};

/*
 * Resolves and checks. On failure *ret_error says what is wrong, by the
 * option's name, and nothing is held. Reads the environment, if it may.
 */
phos_status phos__settings_init(struct phos__settings *settings,
                                const phos_options *given,
                                const phos_allocator *allocator,
                                phos_error *ret_error);
/* Wipes the key. Takes a zeroed one. */
void phos__settings_deinit(struct phos__settings *settings);

#endif
