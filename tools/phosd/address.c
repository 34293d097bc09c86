#define _GNU_SOURCE /* SOCK_NONBLOCK */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

enum { HOST_BYTES = 256, BACKLOG = 511 };

/* getaddrinfo() would take 65536 for 0. */
static bool is_port(const char *text)
{
    long port = 0;

    if (*text == '\0')
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        port = port * 10 + (*text - '0');
        if (port > 65535)
            return false;
    }
    return true;
}

static bool split(const char *address, char host[HOST_BYTES],
                  const char **ret_port)
{
    const char *colon = strrchr(address, ':');
    const char *begin = address, *end = colon;

    if (!colon || !is_port(colon + 1))
        return false;
    if (*begin == '[') {
        begin++;
        if (end == begin || *--end != ']')
            return false;
    }
    if (end <= begin || end - begin >= HOST_BYTES)
        return false;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    *ret_port = colon + 1;
    return true;
}

bool phosd_address_is_whole(const char *address)
{
    char host[HOST_BYTES];
    const char *port;

    return split(address, host, &port);
}

bool phosd_address_describe(struct phosd_socket *found)
{
    struct sockaddr_storage bound;
    socklen_t bytes = sizeof(bound);
    char host[INET6_ADDRSTRLEN];

    if (getsockname(found->fd, (struct sockaddr *)&bound, &bytes))
        return false;
    if (bound.ss_family == AF_INET6) {
        struct sockaddr_in6 v6;

        memcpy(&v6, &bound, sizeof(v6));
        found->port = ntohs(v6.sin6_port);
        found->loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
        if (!inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof(host)))
            return false;
        snprintf(found->name, sizeof(found->name), "[%s]:%u", host,
                 (unsigned)found->port);
        return true;
    }

    struct sockaddr_in v4;

    memcpy(&v4, &bound, sizeof(v4));
    found->port = ntohs(v4.sin_port);
    found->loopback = ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    if (!inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host)))
        return false;
    snprintf(found->name, sizeof(found->name), "%s:%u", host,
             (unsigned)found->port);
    return true;
}

static bool listen_on(const struct addrinfo *at, struct phosd_socket *found)
{
    const int on = 1;

    found->fd =
        socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (found->fd < 0)
        return false;
    /* After a crash the port is free at once, whatever lingers on it. */
    setsockopt(found->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(found->fd, at->ai_addr, at->ai_addrlen) == 0 &&
        listen(found->fd, BACKLOG) == 0 && phosd_address_describe(found))
        return true;

    int reason = errno;

    close(found->fd);
    errno = reason;
    return false;
}

bool phosd_address_open(const char *address, struct phosd_socket *ret_socket,
                        phos_error *error)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct phosd_socket found;
    struct addrinfo *list;
    char host[HOST_BYTES];
    const char *port;
    int code;

    memset(&found, 0, sizeof(found));
    if (!split(address, host, &port)) {
        phos__error_set(error, PHOS_E_INVALID, PHOS_ORIGIN_PHOS, PHOS_E_INVALID,
                        "%s: expected HOST:PORT, such as 127.0.0.1:8787",
                        address);
        return false;
    }
    code = getaddrinfo(host, port, &hints, &list);
    if (code) {
        phos__error_set(error, PHOS_E_SYSTEM, PHOS_ORIGIN_SYSTEM, code,
                        "%s: %s", address, gai_strerror(code));
        return false;
    }
    for (const struct addrinfo *at = list; at; at = at->ai_next) {
        if (listen_on(at, &found)) {
            freeaddrinfo(list);
            *ret_socket = found;
            return true;
        }
    }
    code = errno;
    freeaddrinfo(list);
    phos__error_set(error, PHOS_E_SYSTEM, PHOS_ORIGIN_SYSTEM, code,
                    "cannot listen on %s: %s%s", address, strerror(code),
                    code == EADDRINUSE
                        ? "; stop what listens there, or name another port "
                          "with --listen (0: any free one)"
                        : "");
    return false;
}
