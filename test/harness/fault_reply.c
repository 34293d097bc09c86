#define _GNU_SOURCE

#include "harness/fault_internal.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char page[] = "<!DOCTYPE html><html><head><title>Log in</title>"
                           "</head><body>Please log in.</body></html>";

/* A reply on its way out. */
struct out {
    struct fault_connection *connection;
    const struct fault_plan *plan;
    size_t sent;
};

bool fault__pause(struct fault_connection *connection, uint32_t ms)
{
    struct pollfd fds[] = {
        { .fd = connection->server->stop_fd, .events = POLLIN },
        { .fd = connection->fd, .events = POLLRDHUP },
        { .fd = connection->server->release_fd, .events = POLLIN },
    };

    while (poll(fds, 3, ms ? (int)ms : -1) < 0)
        ;
    return !(fds[0].revents & POLLIN) &&
           !(fds[1].revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* A pause that no release ends: between the bytes of a slow reply. */
static bool breathe(struct fault_connection *connection, uint32_t ms)
{
    struct pollfd fds[] = {
        { .fd = connection->server->stop_fd, .events = POLLIN },
        { .fd = connection->fd, .events = POLLRDHUP },
    };

    while (poll(fds, 2, (int)ms) < 0)
        ;
    return !fds[0].revents && !fds[1].revents;
}

static bool wait_writable(struct fault_connection *connection)
{
    struct pollfd fds[] = {
        { .fd = connection->server->stop_fd, .events = POLLIN },
        { .fd = connection->fd, .events = POLLOUT },
    };

    while (poll(fds, 2, -1) < 0)
        ;
    return !(fds[0].revents & POLLIN) && !(fds[1].revents & POLLERR);
}

static bool put_now(struct fault_connection *connection, const char *bytes,
                    size_t count)
{
    while (count > 0) {
        ssize_t sent;

        if (!wait_writable(connection))
            return false;
        sent = send(connection->fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return false;
        bytes += sent;
        count -= (size_t)sent;
    }
    return true;
}

/* Sends as far as the plan allows; false: this is where it ends. */
static bool put(struct out *out, const char *bytes, size_t count)
{
    size_t room = out->plan->cut_reply_after - out->sent;
    size_t sends = count < room ? count : room;
    uint32_t byte_ms = out->plan->byte_ms;

    if (byte_ms == 0) {
        if (!put_now(out->connection, bytes, sends))
            return false;
    } else {
        for (size_t i = 0; i < sends; i++)
            if (!put_now(out->connection, bytes + i, 1) ||
                !breathe(out->connection, byte_ms))
                return false;
    }
    out->sent += sends;
    return sends == count;
}

static bool put_text(struct out *out, const char *text)
{
    return put(out, text, strlen(text));
}

static bool stall_at(struct out *out, enum fault_stall where)
{
    return out->plan->stall != where ||
           fault__pause(out->connection, out->plan->stall_ms);
}

static bool put_interim(struct out *out)
{
    int left = out->plan->interim;

    while (left != 0) {
        if (!put_text(out, "HTTP/1.1 100 Continue\r\n\r\n"))
            return false;
        if (left > 0)
            left--;
    }
    return true;
}

static bool put_head(struct out *out, const char *body)
{
    const struct fault_plan *plan = out->plan;
    char line[128];

    snprintf(line, sizeof(line), "HTTP/1.1 %03d Scripted\r\n", plan->status);
    if (!put_text(out, line) || !stall_at(out, FAULT_STALL_IN_HEAD))
        return false;
    if (plan->headers && !put_text(out, plan->headers))
        return false;
    while (plan->has_endless_head)
        if (!put_text(out, "X-Endless: abcdefghijklmnopqrstuvwxyz\r\n"))
            return false;
    if (plan->is_chunked || plan->has_endless_body)
        return put_text(out, "Transfer-Encoding: chunked\r\n\r\n");
    snprintf(line, sizeof(line), "Content-Length: %zu\r\n\r\n", strlen(body));
    return put_text(out, line);
}

static bool put_chunk(struct out *out, const char *bytes, size_t count)
{
    char line[32];

    if (count == 0)
        return true;
    snprintf(line, sizeof(line), "%zx\r\n", count);
    return put_text(out, line) && put(out, bytes, count) &&
           put_text(out, "\r\n");
}

/* So that the peer cannot read the one without the other. */
static bool put_in_one_piece(struct out *out, const char *body,
                             const char *extra)
{
    char *both = NULL;
    bool is_put =
        asprintf(&both, "%s%s", body, extra) >= 0 && put_text(out, both);

    free(both);
    return is_put;
}

static bool put_body(struct out *out, const char *body)
{
    const struct fault_plan *plan = out->plan;
    bool is_chunked = plan->is_chunked || plan->has_endless_body;
    bool (*part)(struct out *, const char *, size_t) =
        is_chunked ? put_chunk : put;
    size_t length = strlen(body), half = length / 2;

    if (!part(out, body, half) || !stall_at(out, FAULT_STALL_IN_BODY))
        return false;
    while (plan->has_endless_body) {
        static const char more[16384] = " ";

        if (!put_chunk(out, more, sizeof(more)))
            return false;
    }
    if (plan->extra && plan->stall != FAULT_STALL_BEFORE_EXTRA)
        return put_in_one_piece(out, body + half, plan->extra);
    if (!part(out, body + half, length - half))
        return false;
    if (plan->extra)
        return fault__pause(out->connection, plan->stall_ms) &&
               put_text(out, plan->extra);
    return !is_chunked || put_text(out, "0\r\nX-Trailer: last\r\n\r\n");
}

bool fault__reply(struct fault_connection *connection,
                  const struct fault_plan *plan)
{
    struct out out = { .connection = connection, .plan = plan };
    const char *body = plan->body;

    if (!stall_at(&out, FAULT_STALL_BEFORE_STATUS))
        return false;
    if (plan->is_garbage) {
        put_text(&out, "\x16\x03\x01 this is not HTTP\r\n\r\n\xff\xfe");
        return false;
    }
    if (!body && plan->sends_page)
        body = page;
    if (plan->status == 204 || plan->status == 304)
        body = ""; /* by their definition; any byte would be a stray one */
    if (!body)
        body =
            plan->status < 300 ? "{\"ok\":true}" : "{\"error\":\"scripted\"}";
    return put_interim(&out) && put_head(&out, body) && put_body(&out, body) &&
           !plan->closes;
}
