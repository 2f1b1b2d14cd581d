/*
 * A real listener and real sockets in one process, for the tests of the HTTP room: the fixture with its few
 * routes, and clients that send bytes as they are and read answers one by one while the loop turns. Every
 * wait ends with what it waits for, or fails the test after PATIENCE seconds.
 */
#ifndef RB_TESTS_UNIT_HTTP_H
#define RB_TESTS_UNIT_HTTP_H

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/http/http.h"
#include "tests/unit/unit.h"

#define PATIENCE 20
#define BIG_BODY (8u << 20)
#define PENDING_MAX 16
#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

struct fixture {
    struct event_base *base;
    struct rb_http *http;
    struct rb_http_limits limits;
    struct rb_networks *proxies;
    struct sockaddr_storage address;
    socklen_t address_len;
    struct rb_request *pending[PENDING_MAX]; /* what /later waits to have answered */
    unsigned pending_count;
    unsigned handled;
    bool drained;
};

struct client {
    int fd;
    char *in;
    size_t len, size;
    bool eof;   /* the server has closed its half */
    bool reset; /* ... the hard way */
};

struct answer {
    int status;
    char head[4096];
    char *body; /* NUL-terminated */
    size_t len;
};

static inline void on_hello(struct rb_request *req, void *ctx)
{
    ((struct fixture *)ctx)->handled++;
    rb_reply(req, 200, "text/plain", NULL, 0, "hello", 5);
}

static inline void on_echo(struct rb_request *req, void *ctx)
{
    size_t len;
    const char *body = rb_request_body(req, &len);
    ((struct fixture *)ctx)->handled++;
    rb_reply(req, 200, "application/octet-stream", NULL, 0, body, len);
}

static inline void on_later(struct rb_request *req, void *ctx)
{
    struct fixture *f = ctx;
    assert_true(f->pending_count < PENDING_MAX);
    f->pending[f->pending_count++] = req;
}

static inline void on_big(struct rb_request *req, void *ctx)
{
    char *body = malloc(BIG_BODY);
    (void)ctx;
    memset(body, 'x', BIG_BODY);
    rb_reply(req, 200, "text/plain", NULL, 0, body, BIG_BODY);
    free(body);
}

static inline void on_lasting(struct rb_request *req, void *ctx)
{
    static char body[BIG_BODY];
    (void)ctx;
    memset(body, 'y', sizeof(body));
    rb_reply_lasting(req, 200, "text/plain", NULL, 0, body, sizeof(body));
}

static inline size_t batch_limit(const struct rb_request *req)
{
    const char *type = rb_request_header(req, "Content-Type");
    return type && strcmp(type, "batch") == 0 ? 1u << 20 : 65536;
}

/* Tells what the handler sees. */
static inline void on_seen(struct rb_request *req, void *ctx)
{
    char text[1024];
    char peer[RB_ADDR_SIZE];
    const char *id = rb_request_param(req, "id");
    const char *sub = rb_request_param(req, "sub");
    const char *q = rb_request_query(req, "q");
    const char *header = rb_request_header(req, "X-Test");
    (void)ctx;
    rb_addr_format(rb_request_peer(req), false, peer);
    int len = snprintf(text, sizeof(text), "%s %s id=%s sub=%s q=%s header=%s peer=%s tls=%d",
                       rb_request_method(req), rb_request_path(req), id ? id : "-", sub ? sub : "-",
                       q ? q : "-", header ? header : "-", peer, rb_request_is_tls(req));
    rb_reply(req, 200, "text/plain", NULL, 0, text, (size_t)len);
}

static const struct rb_route fixture_routes[] = {
    {"GET", "/", on_hello, NULL},
    {"GET", "/hello", on_hello, NULL},
    {"POST", "/echo", on_echo, NULL},
    {"PUT", "/echo", on_echo, NULL},
    {"POST", "/batch", on_echo, batch_limit},
    {"GET", "/later", on_later, NULL},
    {"GET", "/big", on_big, NULL},
    {"GET", "/lasting", on_lasting, NULL},
    {"GET", "/seen/{id}", on_seen, NULL},
    {"GET", "/seen/{id}/sub/{sub}", on_seen, NULL},
    {"POST", "/seen/{id}", on_seen, NULL},
};

static inline void fixture_listen(struct fixture *f, const char *certificate, const char *key)
{
    char bound[RB_ADDR_SIZE];
    char why[256] = "";
    if (rb_http_listen(f->http, "test", "127.0.0.1:0", false, certificate, key, fixture_routes,
                       COUNT(fixture_routes), f, bound, why, sizeof(why)) != RB_OK) {
        fail_msg("%s", why);
    }
    assert_ok(rb_addr_parse(bound, &f->address, &f->address_len));
}

/* The listener opens with the first connection or by fixture_listen, so that a test can set limits first. */
static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->base = event_base_new();
    rb_http_limits_default(&f->limits);
    *state = f;
    return 0;
}

static inline void fixture_start(struct fixture *f)
{
    f->http = rb_http_new(f->base, &f->limits, f->proxies);
    assert_non_null(f->http);
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    rb_http_free(f->http);
    for (unsigned i = 0; i < f->pending_count; i++) {
        rb_reply(f->pending[i], 200, NULL, NULL, 0, NULL, 0);
    }
    rb_networks_free(f->proxies);
    event_base_free(f->base);
    free(f);
    return 0;
}

static inline void turn(struct fixture *f)
{
    event_base_loop(f->base, EVLOOP_NONBLOCK);
}

/* Turns the loop until what is true. */
#define WAIT_FOR(f, what)                                                                                    \
    do {                                                                                                     \
        int64_t until_ = rb_clock_mono() + PATIENCE * RB_SECOND;                                             \
        while (!(what)) {                                                                                    \
            struct timeval tick_ = {.tv_usec = 2000};                                                        \
            if (rb_clock_mono() > until_) {                                                                  \
                fail_msg("waited in vain for %s", #what);                                                    \
            }                                                                                                \
            event_base_loopexit((f)->base, &tick_);                                                          \
            event_base_loop((f)->base, EVLOOP_ONCE);                                                         \
        }                                                                                                    \
    } while (0)

static inline struct client *client_new(struct fixture *f)
{
    struct client *c = calloc(1, sizeof(*c));
    if (!f->http) {
        fixture_start(f);
    }
    if (!f->address_len) {
        fixture_listen(f, NULL, NULL);
    }
    c->fd = socket(f->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&f->address, f->address_len), 0);
    return c;
}

static inline void client_free(struct client *c)
{
    if (c->fd >= 0) {
        close(c->fd);
    }
    free(c->in);
    free(c);
}

/* Reads what is there without waiting. */
static inline void client_read(struct client *c)
{
    for (;;) {
        if (c->size - c->len < 65536) {
            c->size = c->size * 2 + 131072;
            c->in = realloc(c->in, c->size);
        }
        ssize_t n = recv(c->fd, c->in + c->len, c->size - c->len - 1, MSG_DONTWAIT);
        if (n > 0) {
            c->len += (size_t)n;
            c->in[c->len] = '\0';
        } else {
            c->reset |= n < 0 && errno == ECONNRESET;
            c->eof |= n == 0 || c->reset;
            return;
        }
    }
}

/* Sends all of it, reading on the way. */
static inline void client_send_n(struct fixture *f, struct client *c, const char *data, size_t len)
{
    int64_t until = rb_clock_mono() + PATIENCE * RB_SECOND;
    while (len > 0 && !c->reset) {
        ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            c->reset = true;
        }
        turn(f);
        if (rb_clock_mono() > until) {
            fail_msg("the server does not read");
        }
    }
}

static inline void client_send(struct fixture *f, struct client *c, const char *text)
{
    client_send_n(f, c, text, strlen(text));
}

/* One whose socket takes little, and which reads nothing by itself. */
static inline struct client *client_deaf(struct fixture *f, const char *text)
{
    int small = 4096;
    struct client *c = client_new(f);
    close(c->fd);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    assert_int_equal(connect(c->fd, (struct sockaddr *)&f->address, f->address_len), 0);
    client_send(f, c, text);
    return c;
}

static inline bool client_has_more(struct client *c)
{
    client_read(c);
    return c->eof || c->len > 0;
}

/* Length of the first answer that is there as a whole; 0 when there is none yet. without_body: to a HEAD. */
static inline size_t answer_size(const struct client *c, bool without_body, size_t *head)
{
    char *end = c->len ? strstr(c->in, "\r\n\r\n") : NULL;
    if (!end) {
        return 0;
    }
    *head = (size_t)(end - c->in) + 4;
    char *length = strcasestr(c->in, "\r\nContent-Length: ");
    size_t body = length && length < end && !without_body ? strtoul(length + 18, NULL, 10) : 0;
    return *head + body <= c->len ? *head + body : 0;
}

static inline bool client_has_answer(struct client *c, bool without_body)
{
    size_t head;
    client_read(c);
    return c->eof || answer_size(c, without_body, &head) > 0;
}

/* Waits for the next answer; status 0 when the connection ended without one. */
static inline void client_answer_to(struct fixture *f, struct client *c, bool without_body, struct answer *a)
{
    size_t head = 0;
    free(a->body);
    *a = (struct answer){0};
    WAIT_FOR(f, client_has_answer(c, without_body));
    size_t size = answer_size(c, without_body, &head);
    if (!size) {
        return;
    }
    assert_true(head < sizeof(a->head));
    memcpy(a->head, c->in, head);
    a->len = size - head;
    a->body = malloc(a->len + 1);
    memcpy(a->body, c->in + head, a->len);
    a->body[a->len] = '\0';
    memmove(c->in, c->in + size, c->len - size);
    c->len -= size;
    c->in[c->len] = '\0';
    assert_int_equal(sscanf(a->head, "HTTP/1.1 %d ", &a->status), 1);
}

static inline void client_answer(struct fixture *f, struct client *c, struct answer *a)
{
    client_answer_to(f, c, false, a);
}

static inline bool client_is_closed(struct client *c)
{
    client_read(c);
    return c->eof;
}

static inline void client_expect_closed(struct fixture *f, struct client *c)
{
    WAIT_FOR(f, client_is_closed(c));
    assert_int_equal(c->len, 0);
}

/* One request on a connection of its own: the status and, when wanted, the answer. */
static inline int ask_n(struct fixture *f, const char *request, size_t len, struct answer *a)
{
    struct client *c = client_new(f);
    struct answer own = {0};
    client_send_n(f, c, request, len);
    client_answer(f, c, &own);
    int status = own.status;
    if (a) {
        free(a->body);
        *a = own;
    } else {
        free(own.body);
    }
    client_free(c);
    return status;
}

static inline int ask(struct fixture *f, const char *request, struct answer *a)
{
    return ask_n(f, request, strlen(request), a);
}

/* An answer's problem code is this, and it is one. */
static inline void assert_problem(const struct answer *a, int status, const char *code)
{
    char type[96];
    snprintf(type, sizeof(type), "{\"type\": \"/problems/%s\", \"title\": \"", code);
    assert_int_equal(a->status, status);
    assert_non_null(strstr(a->head, "\r\nContent-Type: application/problem+json\r\n"));
    assert_memory_equal(a->body, type, strlen(type));
}

#define http_test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif
