#include "sockets.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "activation.h"
#include "base/error.h"

static struct phosd_unix_access access_of(const struct phosd_config *config)
{
    const struct phosd_unix_access access = {
        .mode = (mode_t)config->socket_mode,
        .owner = config->socket_owner,
        .group = config->socket_group,
    };

    return access;
}

bool phosd_sockets_check(const struct phosd_config *config)
{
    const struct phosd_unix_access access = access_of(config);
    bool sound = true;
    phos_error error;

    for (size_t i = 0; i < config->listen_count; i++) {
        const char *address = config->listen[i];

        if (phosd_unix_path(address) &&
            !phosd_unix_check(address, &access, &error)) {
            fprintf(stderr, "phosd: %s\n", error.text);
            sound = false;
        }
    }
    return sound;
}

static void close_all(struct phosd_sockets *sockets)
{
    phosd_sockets_remove(sockets);
    for (size_t i = 0; i < sockets->count; i++)
        close(sockets->list[i].fd);
    sockets->count = 0;
}

/* What stands for "nothing else was said" gives way to systemd's. */
static bool open_named(const struct phosd_config *config,
                       struct phosd_sockets *sockets, phos_error *error)
{
    const struct phosd_unix_access access = access_of(config);

    if (config->listen_is_default && sockets->count > 0)
        return true;
    for (size_t i = 0; i < config->listen_count; i++) {
        const char *address = config->listen[i];
        struct phosd_socket *next = &sockets->list[sockets->count];

        if (sockets->count == PHOSD_LISTEN_MAX) {
            phos__error_set(error, PHOS_E_INVALID, PHOS_ORIGIN_PHOS,
                            PHOS_E_INVALID, "more than %d addresses in all",
                            (int)PHOSD_LISTEN_MAX);
            return false;
        }
        if (phosd_unix_path(address)
                ? !phosd_unix_open(address, &access, next, error)
                : !phosd_address_open(address, next, error))
            return false;
        sockets->count++;
    }
    return true;
}

bool phosd_sockets_open(const struct phosd_config *config,
                        struct phosd_sockets *ret_sockets, phos_error *error)
{
    struct phosd_sockets sockets;

    memset(&sockets, 0, sizeof(sockets));
    if (!phosd_activation_take(sockets.list, PHOSD_LISTEN_MAX, &sockets.count,
                               error))
        return false;
    if (!open_named(config, &sockets, error)) {
        close_all(&sockets);
        return false;
    }
    *ret_sockets = sockets;
    return true;
}

uint16_t phosd_sockets_port(const struct phosd_sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++)
        if (sockets->list[i].port != 0)
            return sockets->list[i].port;
    return 0;
}

void phosd_sockets_remove(const struct phosd_sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++)
        phosd_unix_remove(&sockets->list[i]);
}
