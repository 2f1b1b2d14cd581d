/*
 * A server made of nothing but the HTTP room, for load generators and conformance corpora: one trivial
 * route, an echo, an answer that comes late, a large one. Prints its address; ends on SIGTERM after draining.
 *
 *   build/release/peers/http_echo [ADDRESS [CERTIFICATE KEY]]
 */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/http/http.h"

#define BIG 262144

static struct event_base *base;

static void on_hello(struct rb_request *req, void *ctx)
{
    (void)ctx;
    rb_reply(req, 200, "text/plain", NULL, 0, "hello\n", 6);
}

static void on_echo(struct rb_request *req, void *ctx)
{
    (void)ctx;
    size_t len;
    const char *body = rb_request_body(req, &len);
    rb_reply(req, 200, "application/octet-stream", NULL, 0, body, len);
}

static void on_big(struct rb_request *req, void *ctx)
{
    static char body[BIG];
    (void)ctx;
    memset(body, 'x', sizeof(body));
    rb_reply(req, 200, "text/plain", NULL, 0, body, sizeof(body));
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    rb_reply(arg, 200, "text/plain", NULL, 0, "late\n", 5);
}

static void on_late(struct rb_request *req, void *ctx)
{
    struct timeval tv = {.tv_usec = 5000};
    (void)ctx;
    event_base_once(base, -1, EV_TIMEOUT, on_later, req, &tv);
}

static const struct rb_route routes[] = {
    {"GET", "/hello", on_hello, NULL},     {"GET", "/", on_hello, NULL},    {"POST", "/echo", on_echo, NULL},
    {"PUT", "/echo", on_echo, NULL},       {"GET", "/late", on_late, NULL}, {"GET", "/big", on_big, NULL},
    {"GET", "/item/{id}", on_hello, NULL},
};

static void on_drained(void *ctx)
{
    (void)ctx;
    event_base_loopbreak(base);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    rb_http_drain(arg, on_drained, NULL);
}

int main(int argc, char **argv)
{
    char bound[RB_ADDR_SIZE];
    char why[256];
    struct rb_http_limits limits;
    rb_http_limits_default(&limits);
    base = event_base_new();
    struct rb_http *http = rb_http_new(base, &limits, NULL);
    if (!http || rb_http_listen(http, "echo", argc > 1 ? argv[1] : "127.0.0.1:0", false,
                                argc > 3 ? argv[2] : NULL, argc > 3 ? argv[3] : NULL, routes,
                                sizeof(routes) / sizeof(routes[0]), NULL, bound, why, sizeof(why)) != RB_OK) {
        fprintf(stderr, "%s\n", http ? why : "no memory");
        return 1;
    }
    struct event *term = evsignal_new(base, SIGTERM, on_signal, http);
    evsignal_add(term, NULL);
    printf("%s\n", bound);
    fflush(stdout);
    event_base_dispatch(base);
    event_free(term);
    rb_http_free(http);
    event_base_free(base);
    return 0;
}
