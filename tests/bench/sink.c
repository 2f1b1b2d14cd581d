/*
 * Where the benchmark's notifications go: answers every request on its keep-alive connections with an empty
 * 200, on a port of its own that it prints first. When its standard input ends it prints one JSON object: how
 * many requests there were, and the wall times in µs of the first and the last. Run by tests/bench/run.mjs.
 */
#include <err.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

enum { IN_SIZE = 16384, BACKLOG = 1024 };

struct sink {
    struct event_base *base;
    uint64_t requests;
    int64_t first, last;
};

struct connection {
    struct sink *sink;
    struct event *readable;
    int fd;
    size_t got;
    char in[IN_SIZE];
};

static void close_connection(struct connection *conn)
{
    event_free(conn->readable);
    close(conn->fd);
    free(conn);
}

/* The length of the first request in the buffer, or 0 when more is to come. */
static size_t request_length(const struct connection *conn)
{
    const char *end = memmem(conn->in, conn->got, "\r\n\r\n", 4);
    if (!end)
        return 0;
    const char *at = strcasestr(conn->in, "\r\ncontent-length:");
    size_t body = at && at < end ? strtoul(at + sizeof("\r\ncontent-length:") - 1, NULL, 10) : 0;
    size_t len = (size_t)(end + 4 - conn->in) + body;
    if (len >= IN_SIZE)
        errx(1, "a request of %zu bytes", len);
    return conn->got >= len ? len : 0;
}

static bool answer(struct connection *conn)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct sink *sink = conn->sink;
    sink->last = rb_clock_wall();
    if (!sink->requests++)
        sink->first = sink->last;
    return send(conn->fd, ok, sizeof(ok) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(ok) - 1;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct connection *conn = arg;
    ssize_t n = recv(fd, conn->in + conn->got, IN_SIZE - 1 - conn->got, 0);
    size_t len;
    (void)what;
    if (n <= 0) {
        close_connection(conn);
        return;
    }
    conn->got += (size_t)n;
    conn->in[conn->got] = '\0';
    while ((len = request_length(conn))) {
        if (!answer(conn)) {
            close_connection(conn);
            return;
        }
        conn->got -= len;
        memmove(conn->in, conn->in + len, conn->got + 1);
    }
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int len,
                      void *arg)
{
    struct sink *sink = arg;
    struct connection *conn = calloc(1, sizeof(*conn));
    int one = 1;
    (void)listener;
    (void)from;
    (void)len;
    if (!conn)
        err(1, "connection");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    conn->sink = sink;
    conn->fd = fd;
    conn->readable = event_new(sink->base, fd, EV_READ | EV_PERSIST, on_readable, conn);
    if (!conn->readable || event_add(conn->readable, NULL))
        errx(1, "no memory");
}

static void on_input(evutil_socket_t fd, short what, void *arg)
{
    char bytes[256];
    (void)what;
    if (read(fd, bytes, sizeof(bytes)) <= 0)
        event_base_loopexit(arg, NULL);
}

int main(void)
{
    struct sink sink = {.base = event_base_new()};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    struct evconnlistener *listener =
        evconnlistener_new_bind(sink.base, on_accept, &sink, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
                                BACKLOG, (struct sockaddr *)&address, sizeof(address));
    if (!listener || getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &len))
        err(1, "listen");
    struct event *input = event_new(sink.base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, sink.base);
    if (!input || event_add(input, NULL))
        errx(1, "standard input must be a pipe or a terminal");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    event_base_dispatch(sink.base);
    printf("{\"requests\":%ju,\"first_us\":%jd,\"last_us\":%jd}\n", (uintmax_t)sink.requests,
           (intmax_t)sink.first, (intmax_t)sink.last);
    return 0;
}
