/*
 * All listeners and connections of the process: the lanes with their time limits, what is put off until the
 * turn of the loop is over (freeing what was closed, going on with what has more), draining and the end.
 * Never touches a client's bytes.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "server/http/internal.h"

#define LINGER_US (2 * RB_SECOND)
#define DRAIN_FRESH_US (RB_SECOND / 2) /* for a connection just accepted whose request is on its way */
#define DRAIN_US (3 * RB_SECOND)       /* for a request or an answer that is half through */
#define SLACK_US 2000                  /* one turn of the timer serves the deadlines of so long */
#define STALL_BYTES 16384u             /* an answer of which so much is taken in write_us may go on */
#define SCRATCH_MAX (64u * 1024)

static void lane_arm(struct rb_lane *lane)
{
    struct rb_http_conn *head = TAILQ_FIRST(&lane->conns);
    if (!head || !lane->timer || evtimer_pending(lane->timer, NULL)) {
        return;
    }
    int64_t wait = head->deadline - rb_clock_mono() + SLACK_US;
    if (wait < SLACK_US) {
        wait = SLACK_US;
    }
    struct timeval tv = {.tv_sec = wait / RB_SECOND, .tv_usec = wait % RB_SECOND};
    evtimer_add(lane->timer, &tv);
}

void rb_http_conn_enter(struct rb_http_conn *conn, enum rb_lane_name name)
{
    struct rb_http *http = conn->http;
    struct rb_lane *lane = &http->lanes[name];
    RB_INVARIANT(conn->lane != RB_LANE_DEAD);
    http->unsent -= conn->unsent;
    conn->unsent = 0;
    TAILQ_REMOVE(&http->lanes[conn->lane].conns, conn, link);
    TAILQ_INSERT_TAIL(&lane->conns, conn, link);
    conn->lane = (uint8_t)name;
    if (lane->timer) {
        conn->deadline = rb_clock_mono() + lane->limit_us;
        lane_arm(lane);
    }
}

/* A client that takes its answer slowly may go on; one that has stopped may not. */
static bool has_moved(struct rb_http_conn *conn)
{
    size_t left = evbuffer_get_length(bufferevent_get_output(conn->bev));
    size_t unsent = conn->unsent ? left : 0;
    if (left + STALL_BYTES > conn->measure) {
        return false;
    }
    rb_http_conn_enter(conn, RB_LANE_WRITING);
    conn->measure = left;
    conn->unsent = unsent;
    conn->http->unsent += unsent;
    return true;
}

static void on_lane_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct rb_lane *lane = arg;
    int64_t now = rb_clock_mono();
    struct rb_http_conn *conn;
    while ((conn = TAILQ_FIRST(&lane->conns)) && conn->deadline <= now) {
        if (lane->name != RB_LANE_WRITING || !has_moved(conn)) {
            rb_http_conn_expire(conn);
        }
    }
    lane_arm(lane);
}

static void free_dead(struct rb_http *http)
{
    struct rb_lane *lane = &http->lanes[RB_LANE_DEAD];
    struct rb_http_conn *conn;
    while ((conn = TAILQ_FIRST(&lane->conns))) {
        TAILQ_REMOVE(&lane->conns, conn, link);
        rb_http_conn_free(conn);
    }
}

static void on_soon(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct rb_http *http = arg;
    struct rb_http_conn *last = TAILQ_LAST(&http->lanes[RB_LANE_READY].conns, rb_lane_conns);
    struct rb_http_conn *conn;
    while ((conn = TAILQ_FIRST(&http->lanes[RB_LANE_READY].conns))) {
        rb_http_conn_go_on(conn);
        if (conn == last) {
            break; /* those that came here meanwhile have the next turn */
        }
    }
    free_dead(http);
    if (http->draining && http->connections == 0 && http->drained) {
        void (*drained)(void *ctx) = http->drained;
        http->drained = NULL;
        drained(http->drained_ctx); /* may free http */
    }
}

void rb_http_soon(struct rb_http *http)
{
    static const struct timeval next_turn = {0}; /* an active event would come before other clients' bytes */
    if (!evtimer_pending(http->soon, NULL)) {
        evtimer_add(http->soon, &next_turn);
    }
}

void rb_http_release(struct rb_http *http)
{
    RB_INVARIANT(http->requests > 0);
    http->requests--;
    if (http->freed && http->requests == 0) {
        free(http);
    }
}

void rb_http_limits_default(struct rb_http_limits *limits)
{
    *limits = (struct rb_http_limits){
        .connections = 4096,
        .per_address = 2048,
        .header_bytes = 16384,
        .headers = 100,
        .body_bytes = 65536,
        .buffered_bytes = 24u << 20,
        .request_us = 10 * RB_SECOND,
        .idle_us = 50 * RB_SECOND,
        .write_us = 10 * RB_SECOND,
        .silence_us = 15 * RB_SECOND,
    };
}

static int64_t lane_limit(const struct rb_http_limits *limits, enum rb_lane_name name)
{
    switch (name) {
    case RB_LANE_HANDSHAKE:
    case RB_LANE_READING:
        return limits->request_us;
    case RB_LANE_IDLE:
        return limits->idle_us;
    case RB_LANE_WRITING:
        return limits->write_us;
    case RB_LANE_STREAMING:
        return limits->silence_us;
    case RB_LANE_LINGER:
        return LINGER_US;
    default:
        return 0;
    }
}

static bool lanes_init(struct rb_http *http)
{
    for (enum rb_lane_name name = 0; name < RB_LANES; name++) {
        struct rb_lane *lane = &http->lanes[name];
        lane->http = http;
        lane->name = name;
        lane->limit_us = lane_limit(&http->limits, name);
        TAILQ_INIT(&lane->conns);
        if (lane->limit_us && !(lane->timer = evtimer_new(http->base, on_lane_timer, lane))) {
            return false;
        }
    }
    return true;
}

static void deinit(struct rb_http *http)
{
    for (int i = 0; i < RB_LANES; i++) {
        if (http->lanes[i].timer) {
            event_free(http->lanes[i].timer);
        }
    }
    if (http->soon) {
        event_free(http->soon);
    }
    rb_addresses_free(http->addresses);
    rb_buf_deinit(&http->scratch);
}

struct rb_http *rb_http_new(struct event_base *base, const struct rb_http_limits *limits,
                            const struct rb_networks *proxies)
{
    struct rb_http *http = calloc(1, sizeof(*http));
    if (!http) {
        return NULL;
    }
    signal(SIGPIPE, SIG_IGN); /* libevent and OpenSSL write to sockets that clients have closed */
    http->base = base;
    http->limits = *limits;
    http->proxies = proxies;
    rb_buf_init(&http->scratch, SCRATCH_MAX);
    http->addresses = rb_addresses_new();
    http->soon = evtimer_new(base, on_soon, http);
    if (!http->addresses || !http->soon || !lanes_init(http)) {
        deinit(http);
        free(http);
        return NULL;
    }
    return http;
}

/* Nobody starts anything new here; what is half through gets a shorter limit than usual, in the same order.
 */
static void hurry(struct rb_lane *lane, int64_t limit_us)
{
    int64_t latest = rb_clock_mono() + limit_us;
    struct rb_http_conn *conn;
    if (lane->limit_us > limit_us) {
        lane->limit_us = limit_us;
    }
    TAILQ_FOREACH(conn, &lane->conns, link)
    {
        if (conn->deadline > latest) {
            conn->deadline = latest;
        }
    }
    evtimer_del(lane->timer);
    lane_arm(lane);
}

void rb_http_drain(struct rb_http *http, void (*drained)(void *ctx), void *ctx)
{
    http->draining = true;
    http->drained = drained;
    http->drained_ctx = ctx;
    for (struct rb_listener *listener = http->listeners; listener; listener = listener->next) {
        rb_listener_close(listener);
    }
    struct rb_http_conn *conn = TAILQ_FIRST(&http->lanes[RB_LANE_IDLE].conns);
    while (conn) {
        struct rb_http_conn *next = TAILQ_NEXT(conn, link);
        if (!conn->fresh && !rb_http_conn_has_unread(conn)) {
            rb_http_conn_close(conn);
        }
        conn = next;
    }
    while ((conn = TAILQ_FIRST(&http->lanes[RB_LANE_STREAMING].conns))) {
        rb_stream_leave(conn);
    }
    hurry(&http->lanes[RB_LANE_IDLE], DRAIN_FRESH_US);
    hurry(&http->lanes[RB_LANE_HANDSHAKE], DRAIN_US);
    hurry(&http->lanes[RB_LANE_READING], DRAIN_US);
    hurry(&http->lanes[RB_LANE_WRITING], DRAIN_US);
    rb_http_soon(http);
}

void rb_http_free(struct rb_http *http)
{
    if (!http) {
        return;
    }
    for (enum rb_lane_name name = 0; name < RB_LANE_DEAD; name++) {
        struct rb_http_conn *conn;
        while ((conn = TAILQ_FIRST(&http->lanes[name].conns))) {
            rb_http_conn_close(conn);
        }
    }
    free_dead(http);
    while (http->listeners) {
        struct rb_listener *next = http->listeners->next;
        rb_listener_free(http->listeners);
        http->listeners = next;
    }
    deinit(http);
    http->freed = true;
    if (http->requests == 0) {
        free(http);
    }
}

unsigned rb_http_connections(const struct rb_http *http)
{
    return http->connections;
}
