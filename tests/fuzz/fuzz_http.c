/*
 * Fuzzes the HTTP room from a client's bytes to its answers, over a pair of bufferevents instead of a socket.
 * The first byte says how the rest is cut. The same bytes go in twice, whole and cut: handlers must see the
 * same requests, and afterwards nothing may be left, neither a request nor a byte of a body.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "server/http/internal.h"

#define SEEN_MAX 64
#define LATER_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint64_t requests[SEEN_MAX]; /* a hash of each */
    size_t count;
};

static struct event_base *base;
static struct rb_http *http;
static struct seen *seen;
static struct rb_request *later[LATER_MAX];
static size_t later_count;

static uint64_t mix(uint64_t hash, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static void on_header(void *ctx, const char *name, const char *value)
{
    uint64_t *hash = ctx;
    *hash = mix(mix(*hash, name, strlen(name) + 1), value, strlen(value) + 1);
}

static void note(const struct rb_request *req)
{
    size_t len;
    const char *body = rb_request_body(req, &len);
    const char *path = rb_request_path(req);
    const char *id = rb_request_param(req, "id");
    const char *q = rb_request_query(req, "q");
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), path, strlen(path));
    hash = mix(hash, id ? id : "-", id ? strlen(id) : 1);
    hash = mix(hash, q ? q : "-", q ? strlen(q) : 1);
    hash = mix(hash, body, len);
    rb_request_headers(req, on_header, &hash);
    RB_INVARIANT(body[len] == '\0' && rb_request_header_count(req, "host") <= 1);
    if (seen->count < SEEN_MAX) {
        seen->requests[seen->count++] = hash;
    }
}

static void on_echo(struct rb_request *req, void *ctx)
{
    size_t len;
    (void)ctx;
    note(req);
    const char *body = rb_request_body(req, &len);
    rb_reply(req, 200, "text/plain", NULL, 0, body, len);
}

static void on_later(struct rb_request *req, void *ctx)
{
    (void)ctx;
    note(req);
    RB_INVARIANT(later_count < LATER_MAX);
    later[later_count++] = req;
}

static void answer_later(void)
{
    while (later_count > 0) {
        rb_reply_problem(later[--later_count], 422, "invalid-data", "late", "[]", NULL, 0);
    }
}

static const struct rb_route routes[] = {
    {"GET", "/", on_echo, NULL},
    {"POST", "/echo", on_echo, NULL},
    {"GET", "/later", on_later, NULL},
    {"PUT", "/{id}", on_echo, NULL},
};

static void start(void)
{
    struct rb_http_limits limits;
    const char *bad;
    struct rb_networks *proxies = NULL;
    char bound[RB_ADDR_SIZE];
    char why[128];
    rb_log_set_level(RB_LOG_ERROR);
    rb_http_limits_default(&limits);
    limits.header_bytes = 1024;
    limits.headers = 10;
    limits.body_bytes = 512;
    base = event_base_new();
    RB_INVARIANT(rb_networks_parse("127.0.0.0/8", &proxies, &bad) == RB_OK);
    http = rb_http_new(base, &limits, proxies);
    RB_INVARIANT(rb_http_listen(http, "fuzz", "127.0.0.1:0", false, NULL, NULL, routes,
                                sizeof(routes) / sizeof(routes[0]), NULL, bound, why, sizeof(why)) == RB_OK);
}

static void turn(void)
{
    for (int i = 0; i < 4; i++) {
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
}

static void run(const uint8_t *data, size_t size, size_t step, struct seen *result)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct bufferevent *pair[2];
    seen = result;
    RB_INVARIANT(bufferevent_pair_new(base, 0, pair) == 0);
    bufferevent_enable(pair[1], EV_READ | EV_WRITE);
    struct rb_http_conn *conn =
        rb_http_conn_adopt(http->listeners, pair[0], (const struct sockaddr *)&peer, NULL);
    RB_INVARIANT(conn);
    for (size_t at = 0; at < size; at += step) {
        bufferevent_write(pair[1], data + at, size - at < step ? size - at : step);
        turn();
        answer_later();
    }
    while (http->connections > 0 && result->count < SEEN_MAX) {
        size_t before = result->count;
        turn();
        answer_later();
        if (result->count == before) {
            break;
        }
    }
    for (enum rb_lane_name name = 0; name < RB_LANE_DEAD; name++) {
        while ((conn = TAILQ_FIRST(&http->lanes[name].conns))) {
            rb_http_conn_close(conn);
        }
    }
    answer_later();
    turn();
    bufferevent_free(pair[1]);
    turn();
    RB_INVARIANT(http->connections == 0 && http->requests == 0 && http->buffered == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole = {.count = 0};
    struct seen cut = {.count = 0};
    if (size < 2 || size > 8192) {
        return 0;
    }
    if (!base) {
        start();
    }
    run(data + 1, size - 1, size, &whole);
    run(data + 1, size - 1, 1 + data[0] % 64, &cut);
    /* one request more may have been answered before the bytes came that spoil it */
    RB_INVARIANT(cut.count == whole.count || cut.count == whole.count + 1);
    RB_INVARIANT(memcmp(whole.requests, cut.requests, whole.count * sizeof(whole.requests[0])) == 0);
    return 0;
}
