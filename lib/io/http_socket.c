#define _GNU_SOURCE

#include "io/http_internal.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"

static void close_on_exec(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    if (flags >= 0)
        (void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

/* ---- sockets ---- */

static struct phos__http_socket *find(struct phos__http *http, curl_socket_t fd)
{
    struct phos__http_socket *socket = http->sockets;

    while (socket && socket->fd != fd)
        socket = socket->next;
    return socket;
}

static void on_poll(uv_poll_t *handle, int status, int events);

static void arm(struct phos__http_socket *socket, int events)
{
    socket->armed = events;
    if (events)
        uv_poll_start(&socket->poll, events, on_poll);
    else
        uv_poll_stop(&socket->poll);
}

static void act(struct phos__http *http, curl_socket_t fd, int events)
{
    int running;

    phos__http_enter(http);
    curl_multi_socket_action(http->multi, fd, events, &running);
    phos__http_reap(http);
    phos__http_leave(http);
}

/*
 * An idle connection has something to say: its end, or an answer to no request.
 * libcurl 7.88 would use it again and take that for the answer to the next one.
 * It is not ours to close, but with nothing left to read it is found dead.
 */
static void retire(struct phos__http_socket *socket)
{
    char ignored[4096];

    arm(socket, 0);
    /* First: what comes in later is answered by a reset. */
    shutdown(socket->fd, SHUT_RDWR);
    while (recv(socket->fd, ignored, sizeof(ignored), MSG_DONTWAIT) > 0)
        ;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct phos__http_socket *socket = handle->data;
    int told = 0;

    if (status < 0) {
        /* libuv has stopped watching. 0 makes curl look for itself, and find
         * what is wrong. */
        socket->armed = 0;
        if (socket->wanted)
            act(socket->http, socket->fd, 0);
        return;
    }
    if (socket->wanted == 0 && (events & UV_READABLE)) {
        if (socket->exchange) /* that has paused: curl asks again later */
            arm(socket, 0);
        else
            retire(socket);
        return;
    }
    /* The lazy part: only now, when the socket speaks out of turn, is a watch
     * that curl no longer wants given up; but for what an idle one says. */
    if (events & ~socket->wanted)
        arm(socket, socket->wanted ? socket->wanted : UV_READABLE);
    if (events & socket->wanted & UV_READABLE)
        told |= CURL_CSELECT_IN;
    if (events & socket->wanted & UV_WRITABLE)
        told |= CURL_CSELECT_OUT;
    if (told)
        act(socket->http, socket->fd, told);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct phos__http_socket *socket = handle->data;
    struct phos__http *http = socket->http;

    phos__free(&http->allocator, socket);
    phos__http_handle_closed(http);
}

static struct phos__http_socket *watch(struct phos__http *http,
                                       curl_socket_t fd)
{
    struct phos__http_socket *socket =
        phos__alloc_zeroed(&http->allocator, 1, sizeof(*socket));

    if (!socket)
        return NULL;
    if (uv_poll_init_socket(phos__loop_uv(http->loop), &socket->poll, fd)) {
        phos__free(&http->allocator, socket);
        return NULL;
    }
    socket->poll.data = socket;
    socket->http = http;
    socket->fd = fd;
    socket->next = http->sockets;
    http->sockets = socket;
    http->handles++;
    return socket;
}

static void unwatch(struct phos__http_socket *socket)
{
    struct phos__http_socket **link = &socket->http->sockets;

    while (*link != socket)
        link = &(*link)->next;
    *link = socket->next;
    uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
}

curl_socket_t phos__http_open_socket(void *user_data, curlsocktype purpose,
                                     struct curl_sockaddr *address)
{
    struct phos__http *http = user_data;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
                    address->protocol);
    struct phos__http_socket *stale = find(http, fd), *fresh;
    int wanted = stale ? stale->wanted : 0;

    (void)purpose;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    /* libcurl 7.88 closes a connection that never stood without a word, and
     * its number may be the next one's at once. Then curl takes both for one
     * and does not repeat what it waits for. */
    if (stale)
        unwatch(stale);
    fresh = watch(http, fd);
    if (!fresh) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    fresh->wanted = wanted;
    if (wanted)
        arm(fresh, wanted);
    return fd;
}

/* A connection closes: what has its peer left untaken? */
static void note_end(struct phos__http_exchange *exchange, curl_socket_t fd)
{
    int unread = 0;

    exchange->is_connected = false;
    if (ioctl(fd, SIOCOUTQ, &unread) == 0 && unread > 0)
        exchange->unread = (size_t)unread;
}

int phos__http_close_socket(void *user_data, curl_socket_t fd)
{
    struct phos__http *http = user_data;
    struct phos__http_socket *socket = find(http, fd);

    if (socket) {
        if (socket->exchange)
            note_end(socket->exchange, fd);
        unwatch(socket); /* first: libuv is not to see the number again */
    }
    return close(fd);
}

bool phos__http_sockets_have_stray(struct phos__http *http, int from_port,
                                   int to_port)
{
    char ignored;

    for (struct phos__http_socket *socket = http->sockets; socket;
         socket = socket->next)
        if (socket->from_port && socket->from_port == from_port &&
            socket->to_port == to_port && socket->wanted == 0)
            return recv(socket->fd, &ignored, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
    return false;
}

void phos__http_sockets_forget(struct phos__http *http,
                               const struct phos__http_exchange *exchange)
{
    for (struct phos__http_socket *socket = http->sockets; socket;
         socket = socket->next)
        if (socket->exchange == exchange)
            socket->exchange = NULL;
}

/* ---- descriptors that curl makes for itself ---- */

static bool is_inheritable_pair_end(int fd, struct stat *ret_stat)
{
    struct sockaddr_un name;
    socklen_t length = sizeof(name);
    int flags = fcntl(fd, F_GETFD);

    if (flags < 0 || (flags & FD_CLOEXEC) || fstat(fd, ret_stat) != 0)
        return false;
    if (S_ISFIFO(ret_stat->st_mode))
        return true;
    return S_ISSOCK(ret_stat->st_mode) &&
           getsockname(fd, (struct sockaddr *)&name, &length) == 0 &&
           name.sun_family == AF_UNIX && length == sizeof(name.sun_family);
}

/*
 * Closes the other end of curl's pair on exec, too. curl does not say which it
 * is: it was made in the same system call, so it has the next free number and,
 * for sockets, the inode made next. A descriptor of the host's fits that only
 * if it is one end of this pair. Not found: it is inherited, no more.
 */
static void close_pair_on_exec(int fd)
{
    enum { REACH = 1024 }; /* numbers that may have been taken in between */
    struct stat one, other;

    if (!is_inheritable_pair_end(fd, &one))
        return;
    close_on_exec(fd);
    for (int next = fd + 1; next < fd + REACH; next++) {
        if (!is_inheritable_pair_end(next, &other) ||
            other.st_mode != one.st_mode)
            continue;
        if (other.st_ino == one.st_ino + (S_ISSOCK(one.st_mode) ? 1u : 0u)) {
            close_on_exec(next);
            return;
        }
    }
}

static bool is_readable(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLIN);
}

/* curl_multi_wakeup() makes the near end readable, curl_multi_poll() takes
 * that back: that tells curl's own pair from any other. */
static bool is_wakeup_of(CURLM *multi, int fd)
{
    struct stat ignored;
    int count;
    bool followed;

    if (!is_inheritable_pair_end(fd, &ignored) || is_readable(fd))
        return false;
    curl_multi_wakeup(multi);
    followed = is_readable(fd);
    curl_multi_poll(multi, NULL, 0, 0, &count);
    return followed && !is_readable(fd);
}

CURLM *phos__http_multi_new(void)
{
    enum { REACH = 1024 };
    /* The lowest free number now is where the pair comes to lie, or, if other
     * threads open and close meanwhile, somewhat above it. */
    int lowest = fcntl(0, F_DUPFD_CLOEXEC, 0);
    CURLM *multi;

    if (lowest < 0)
        lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (lowest >= 0)
        close(lowest);
    multi = curl_multi_init();
    if (!multi || lowest < 0)
        return multi;
    for (int fd = lowest; fd < lowest + REACH; fd++) {
        if (is_wakeup_of(multi, fd)) {
            close_pair_on_exec(fd);
            break;
        }
    }
    return multi;
}

/* ---- curl's wishes ---- */

static int events_of(int what)
{
    switch (what) {
    case CURL_POLL_IN:
        return UV_READABLE;
    case CURL_POLL_OUT:
        return UV_WRITABLE;
    case CURL_POLL_INOUT:
        return UV_READABLE | UV_WRITABLE;
    default:
        return 0;
    }
}

static struct phos__http_exchange *exchange_of(CURL *easy)
{
    char *exchange = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &exchange);
    return (struct phos__http_exchange *)(void *)exchange;
}

static int port_of(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)address)->sin_port);
    if (address->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
    return 0;
}

static void keep(struct phos__http_socket *socket)
{
    struct sockaddr_storage from, to;
    socklen_t from_bytes = sizeof(from), to_bytes = sizeof(to);

    socket->is_kept = true;
    if (getsockname(socket->fd, (struct sockaddr *)&from, &from_bytes) == 0 &&
        getpeername(socket->fd, (struct sockaddr *)&to, &to_bytes) == 0) {
        socket->from_port = port_of(&from);
        socket->to_port = port_of(&to);
    }
}

/* Nobody waits for the socket now. A connection that stood is kept watched for
 * the next request: libcurl tells when it closes that one. Others it may close
 * without a word, a lookup's pair and connections that never stood. */
static void let_go(struct phos__http_socket *socket)
{
    socket->wanted = 0;
    if (!socket->is_kept && socket->exchange && socket->exchange->is_connected)
        keep(socket);
    if (!socket->is_kept)
        unwatch(socket);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user_data,
                     void *of_socket)
{
    struct phos__http *http = user_data;
    struct phos__http_socket *socket;

    (void)of_socket;
    if (http->is_lost)
        return 0;
    socket = find(http, fd);
    if (what == CURL_POLL_REMOVE) {
        if (socket)
            let_go(socket);
        return 0;
    }
    if (!socket) {
        close_pair_on_exec(fd); /* if it is a lookup's */
        socket = watch(http, fd);
        if (!socket)
            return 0; /* a time-out ends it; -1 would end every request */
    }
    socket->exchange = exchange_of(easy);
    socket->wanted = events_of(what);
    if (socket->wanted & ~socket->armed)
        arm(socket, socket->wanted | socket->armed);
    return 0;
}

static void on_timer(uv_timer_t *handle)
{
    act(handle->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timeout(CURLM *multi, long timeout_ms, void *user_data)
{
    struct phos__http *http = user_data;

    (void)multi;
    if (http->is_lost)
        return 0;
    if (timeout_ms < 0)
        uv_timer_stop(&http->timer);
    else
        uv_timer_start(&http->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

#define SET(option, value) \
    (failed |= curl_multi_setopt(http->multi, option, value) != CURLM_OK)

phos_status phos__http_sockets_start(struct phos__http *http,
                                     uint32_t connections_max)
{
    bool failed = false;

    if (uv_timer_init(phos__loop_uv(http->loop), &http->timer) != 0)
        return PHOS_E_SYSTEM;
    http->timer.data = http;
    http->handles++;
    SET(CURLMOPT_SOCKETFUNCTION, on_socket);
    SET(CURLMOPT_SOCKETDATA, http);
    SET(CURLMOPT_TIMERFUNCTION, on_timeout);
    SET(CURLMOPT_TIMERDATA, http);
    SET(CURLMOPT_MAXCONNECTS, (long)connections_max);
    SET(CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    return failed ? PHOS_E_SYSTEM : PHOS_OK;
}
