/*
 * Listening sockets: bind, accept with the caps on connections, close. What is over a cap is told so in one
 * cheap write and closed. Without descriptors the listener rests instead of spinning.
 */
#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "server/http/internal.h"

#define BACKLOG 1024
#define ACCEPTS_PER_TURN 64
#define DRAIN_ACCEPTS 65536 /* a backlog never holds so many; only a guard against a flood while draining */

static const char BUSY[] =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
    "Content-Length: 85\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
    "{\"type\":\"/problems/busy\",\"title\":\"Busy\",\"status\":503,\"detail\":\"too many "
    "connections\"}";

static struct rb_metric *connections_metric;
static struct rb_series *refused_total, *refused_address, *refused_descriptors;

static void metrics_init(void)
{
    if (connections_metric) {
        return;
    }
    connections_metric = rb_gauge("ringback_http_connections", "Open client connections.", "listener");
    struct rb_metric *refused =
        rb_counter("ringback_http_refused_connections", "Connections refused by a cap.", "reason");
    refused_total = rb_series(refused, "all");
    refused_address = rb_series(refused, "address");
    refused_descriptors = rb_series(refused, "descriptors");
}

static void turn_away(struct rb_listener *listener, int fd, struct rb_series *reason)
{
    rb_count(reason, 1);
    if (!listener->tls && send(fd, BUSY, sizeof(BUSY) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
        shutdown(fd, SHUT_WR);
    }
    close(fd);
}

static void take(struct rb_listener *listener, int fd, const struct sockaddr *peer)
{
    struct rb_http *http = listener->http;
    struct rb_address *address = NULL;
    if (http->connections >= http->limits.connections) {
        turn_away(listener, fd, refused_total);
        return;
    }
    if (!http->proxies || !rb_networks_contain(http->proxies, peer)) {
        address = rb_addresses_take(http->addresses, peer, http->limits.per_address);
        if (!address) {
            turn_away(listener, fd, refused_address);
            return;
        }
    }
    if (!rb_http_conn_new(listener, fd, peer, address) && address) {
        rb_addresses_give(http->addresses, address);
    }
}

/* Out of descriptors or memory: the backlog stays readable, so looking again at once would only spin. */
static void rest(struct rb_listener *listener)
{
    struct timeval tv = {.tv_usec = 100000};
    if (!listener->short_of_means) {
        rb_warning("http", "accepting rests listener=%s reason=\"%s\"", listener->name, strerror(errno));
        listener->short_of_means = true;
    }
    rb_count(refused_descriptors, 1);
    event_del(listener->readable);
    evtimer_add(listener->pause, &tv);
}

static bool out_of_means(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

bool rb_listener_accept(struct rb_listener *listener, unsigned max)
{
    while (max-- > 0) {
        union rb_peer peer;
        socklen_t len = sizeof(peer);
        int fd = accept4(listener->fd, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            listener->short_of_means = false;
            take(listener, fd, &peer.any);
        } else if (out_of_means(errno)) {
            rest(listener);
            return false;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return false;
        } /* anything else concerns the one connection that went away while it waited */
    }
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)rb_listener_accept(arg, ACCEPTS_PER_TURN);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct rb_listener *listener = arg;
    event_add(listener->readable, NULL);
}

void rb_listener_close(struct rb_listener *listener)
{
    if (listener->fd < 0) {
        return;
    }
    (void)rb_listener_accept(listener, DRAIN_ACCEPTS);
    event_free(listener->readable);
    event_free(listener->pause);
    listener->readable = listener->pause = NULL;
    close(listener->fd);
    listener->fd = -1;
}

void rb_listener_free(struct rb_listener *listener)
{
    if (listener->readable) {
        event_free(listener->readable);
    }
    if (listener->pause) {
        event_free(listener->pause);
    }
    if (listener->fd >= 0) {
        close(listener->fd);
    }
    rb_tls_free(listener->tls);
    free(listener->name);
    free(listener);
}

static int open_socket(const struct sockaddr_storage *addr, socklen_t len, bool reuse_port)
{
    int on = 1;
    int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    /* Linux hands TCP_NODELAY down to what is accepted, which saves a call for each connection. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        bind(fd, (const struct sockaddr *)addr, len) != 0 || listen(fd, BACKLOG) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* Takes fd, also on failure. */
static struct rb_listener *listener_new(struct rb_http *http, const char *name, int fd)
{
    struct rb_listener *listener = calloc(1, sizeof(*listener));
    if (!listener) {
        close(fd);
        return NULL;
    }
    metrics_init();
    listener->http = http;
    listener->fd = fd;
    listener->name = strdup(name);
    listener->readable = event_new(http->base, fd, EV_READ | EV_PERSIST, on_readable, listener);
    listener->pause = evtimer_new(http->base, on_pause_over, listener);
    listener->gauge = rb_series(connections_metric, name);
    if (!listener->name || !listener->readable || !listener->pause ||
        event_add(listener->readable, NULL) != 0) {
        rb_listener_free(listener);
        return NULL;
    }
    return listener;
}

static enum rb_err open_address(const char *address, bool reuse_port, int *fd, char *why, size_t size)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    if (rb_addr_parse(address, &addr, &len) != RB_OK) {
        snprintf(why, size, "%s is no address and port", address);
        return RB_ERR_INVALID;
    }
    *fd = open_socket(&addr, len, reuse_port);
    if (*fd < 0) {
        snprintf(why, size, "cannot listen on %s: %s", address, strerror(errno));
        return RB_ERR_IO;
    }
    return RB_OK;
}

static void tell_bound(int fd, char bound[RB_ADDR_SIZE])
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    bound[0] = '\0';
    if (getsockname(fd, (struct sockaddr *)&addr, &len) == 0) {
        rb_addr_format((const struct sockaddr *)&addr, true, bound);
    }
}

enum rb_err rb_http_listen(struct rb_http *http, const char *name, const char *address, bool reuse_port,
                           const char *certificate, const char *key, const struct rb_route *routes, size_t n,
                           void *ctx, char bound[RB_ADDR_SIZE], char *why, size_t size)
{
    struct rb_tls *tls = NULL;
    int fd = -1;
    if (!certificate != !key) { /* rather none than one in plain text */
        snprintf(why, size, "certificate and key go together");
        return RB_ERR_INVALID;
    }
    if (certificate && !(tls = rb_tls_new(certificate, key, why, size))) {
        return RB_ERR_INVALID;
    }
    enum rb_err err = open_address(address, reuse_port, &fd, why, size);
    struct rb_listener *listener = err == RB_OK ? listener_new(http, name, fd) : NULL;
    if (!listener) {
        rb_tls_free(tls);
        if (err == RB_OK) {
            snprintf(why, size, "no memory");
        }
        return err == RB_OK ? RB_ERR_NOMEM : err;
    }
    listener->tls = tls;
    listener->routes = routes;
    listener->n = n;
    listener->ctx = ctx;
    listener->next = http->listeners;
    http->listeners = listener;
    tell_bound(fd, bound);
    return RB_OK;
}

enum rb_err rb_http_reload_tls(struct rb_http *http, char *why, size_t size)
{
    enum rb_err err = RB_OK;
    struct rb_listener *listener;
    for (listener = http->listeners; listener && err == RB_OK; listener = listener->next) {
        err = listener->tls ? rb_tls_prepare(listener->tls, why, size) : RB_OK;
    }
    for (listener = http->listeners; listener; listener = listener->next) {
        if (listener->tls) {
            rb_tls_decide(listener->tls, err == RB_OK);
        }
    }
    return err;
}
