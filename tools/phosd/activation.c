#include "activation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"

enum { FIRST_FD = 3, NUMBER_MAX = 1 << 30 };

/* -1: not set, or no number. */
static long number_of(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    long number;

    if (!text || *text < '0' || *text > '9')
        return -1;
    errno = 0;
    number = strtol(text, &end, 10);
    return *end || errno || number > NUMBER_MAX ? -1 : number;
}

bool phosd_activation_is_there(void)
{
    return number_of("LISTEN_PID") == (long)getpid() &&
           number_of("LISTEN_FDS") > 0;
}

static bool is_listening(int fd)
{
    int type = 0, accepts = 0;
    socklen_t bytes = sizeof(type);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes))
        return false;
    bytes = sizeof(accepts);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &bytes) == 0 &&
           type == SOCK_STREAM && accepts;
}

static bool describe(struct phosd_socket *found)
{
    struct sockaddr_un bound;
    socklen_t bytes = sizeof(bound);

    memset(&bound, 0, sizeof(bound));
    if (getsockname(found->fd, (struct sockaddr *)&bound, &bytes))
        return false;
    if (bound.sun_family != AF_UNIX)
        return (bound.sun_family == AF_INET || bound.sun_family == AF_INET6) &&
               phosd_address_describe(found);
    found->loopback = true;
    snprintf(found->name, sizeof(found->name), "unix:%.*s",
             (int)sizeof(bound.sun_path), bound.sun_path);
    return true;
}

static bool take(int fd, struct phosd_socket *ret_socket)
{
    struct phosd_socket found;
    int flags = fcntl(fd, F_GETFL);

    memset(&found, 0, sizeof(found));
    found.fd = fd;
    found.inherited = true;
    if (flags < 0 || !is_listening(fd) || !describe(&found) ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) ||
        fcntl(fd, F_SETFL, flags | O_NONBLOCK))
        return false;
    *ret_socket = found;
    return true;
}

bool phosd_activation_take(struct phosd_socket *sockets, size_t count_max,
                           size_t *ret_count, phos_error *error)
{
    long count = phosd_activation_is_there() ? number_of("LISTEN_FDS") : 0;

    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (count > (long)count_max) {
        phos__error_set(error, PHOS_E_INVALID, PHOS_ORIGIN_PHOS, PHOS_E_INVALID,
                        "LISTEN_FDS: %ld sockets are handed over, and %zu are "
                        "taken at most",
                        count, count_max);
        return false;
    }
    for (int i = 0; i < (int)count; i++) {
        if (!take(FIRST_FD + i, &sockets[i])) {
            phos__error_set(error, PHOS_E_INVALID, PHOS_ORIGIN_PHOS,
                            PHOS_E_INVALID,
                            "LISTEN_FDS: descriptor %d is not a listening "
                            "stream socket",
                            FIRST_FD + i);
            return false;
        }
    }
    *ret_count = (size_t)count;
    return true;
}
