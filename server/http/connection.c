/*
 * One client's bytes: read, fed to the parser one request at a time, the handler called, the answer sent. The
 * listener makes connections, replies come back through rb_http_conn_answer, the lanes' timer calls
 * rb_http_conn_expire. There is one way out, rb_http_conn_close, which only marks: memory is freed after the
 * turn of the loop, so no caller up the stack loses its object.
 *
 * While a request is handled what the client sends waits in a buffer of RB_INPUT_MAX bytes, then in the
 * kernel. An answer goes straight to the socket when nothing waits before it; only the rest is buffered.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "server/http/internal.h"

#define FEED_REQUESTS 1u         /* in one go, however many a client has piled up: others wait meanwhile */
#define LINGER_BYTES (32u << 20) /* thrown away behind an answer before the client is given up */

size_t rb_http_conn_unsent(const struct rb_http_conn *conn)
{
    return evbuffer_get_length(bufferevent_get_output(conn->bev));
}

bool rb_http_conn_has_unread(const struct rb_http_conn *conn)
{
    char byte;
    return evbuffer_get_length(bufferevent_get_input(conn->bev)) > 0 ||
           recv(bufferevent_getfd(conn->bev), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* --- the end of a connection --- */

static void release_request(struct rb_http_conn *conn)
{
    struct rb_request *req = conn->req;
    conn->req = NULL;
    if (req && conn->lane == RB_LANE_HANDLING && req->conn) {
        req->conn = NULL; /* the handler still has it and will answer to nobody */
    } else if (req) {
        rb_request_free(req);
    }
}

void rb_http_conn_close(struct rb_http_conn *conn)
{
    struct rb_http *http = conn->http;
    if (conn->lane == RB_LANE_DEAD) {
        return;
    }
    release_request(conn);
    bufferevent_setcb(conn->bev, NULL, NULL, NULL, NULL);
    bufferevent_disable(conn->bev, EV_READ | EV_WRITE);
    if (conn->address) {
        rb_addresses_give(http->addresses, conn->address);
    }
    http->connections--;
    conn->listener->connections--;
    rb_set(conn->listener->gauge, conn->listener->connections);
    rb_http_conn_enter(conn, RB_LANE_DEAD);
    rb_http_soon(http);
}

void rb_http_conn_free(struct rb_http_conn *conn)
{
    if (conn->stream) {
        rb_stream_lost(conn);
    }
    bufferevent_free(conn->bev);
    free(conn);
}

/* Half closes and listens on for a while: a reset would take the answer away from a client that still sends.
 */
static void linger(struct rb_http_conn *conn)
{
    if (conn->listener->tls) {
        rb_tls_say_goodbye(conn->bev);
    }
    if (conn->linger && !conn->eof && shutdown(bufferevent_getfd(conn->bev), SHUT_WR) == 0) {
        struct evbuffer *input = bufferevent_get_input(conn->bev);
        conn->measure = 0;
        evbuffer_drain(input, evbuffer_get_length(input));
        rb_http_conn_enter(conn, RB_LANE_LINGER);
    } else {
        rb_http_conn_close(conn);
    }
}

/* --- answers --- */

/* What the socket takes at once; -1 when the connection is beyond use. */
static ssize_t send_now(struct rb_http_conn *conn, const void *head, size_t head_len, const void *body,
                        size_t len)
{
    struct iovec iov[2] = {{.iov_base = (void *)(uintptr_t)head, .iov_len = head_len},
                           {.iov_base = (void *)(uintptr_t)body, .iov_len = len}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = len ? 2 : 1};
    int fd = bufferevent_getfd(conn->bev);
    if (conn->listener->tls || fd < 0 || rb_http_conn_unsent(conn) > 0) {
        return 0;
    }
    ssize_t sent = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
        return sent;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

static bool send_bytes(struct rb_http_conn *conn, const void *head, size_t head_len, const void *body,
                       size_t len, bool lasting)
{
    struct evbuffer *output = bufferevent_get_output(conn->bev);
    ssize_t now = send_now(conn, head, head_len, body, len);
    if (now < 0) {
        return false;
    }
    size_t sent = (size_t)now;
    size_t of_body = sent > head_len ? sent - head_len : 0;
    if (sent < head_len && evbuffer_add(output, (const char *)head + sent, head_len - sent) != 0) {
        return false;
    }
    if (of_body == len) {
        return true;
    }
    const char *rest = (const char *)body + of_body;
    return (lasting ? evbuffer_add_reference(output, rest, len - of_body, NULL, NULL)
                    : evbuffer_add(output, rest, len - of_body)) == 0;
}

/* Goes on with what is buffered, but not from here, and not before others had their turn. */
static void feed_later(struct rb_http_conn *conn)
{
    rb_http_conn_enter(conn, RB_LANE_READY);
    rb_http_soon(conn->http);
}

/* The client has the whole answer. */
static void next_request(struct rb_http_conn *conn)
{
    if (conn->stuffed) {
        conn->stuffed = false;
        bufferevent_enable(conn->bev, EV_READ);
    }
    if (conn->close) {
        linger(conn);
        return;
    }
    if (!conn->feeding && (conn->eof || evbuffer_get_length(bufferevent_get_input(conn->bev)) > 0)) {
        feed_later(conn); /* whoever answers must not find another handler under its feet */
    } else {
        rb_http_conn_enter(conn, RB_LANE_IDLE);
    }
}

/* The rest of an answer waits for its client. When too much waits in all, those go that have stood longest.
 */
static void wait_for_reader(struct rb_http_conn *conn, bool lasting)
{
    struct rb_http *http = conn->http;
    rb_http_conn_enter(conn, RB_LANE_WRITING);
    conn->measure = rb_http_conn_unsent(conn);
    conn->unsent = lasting ? 0 : conn->measure;
    http->unsent += conn->unsent;
    struct rb_http_conn *at = TAILQ_FIRST(&http->lanes[RB_LANE_WRITING].conns);
    while (http->unsent > http->limits.buffered_bytes && at) {
        struct rb_http_conn *next = TAILQ_NEXT(at, link);
        if (at->unsent > 0) {
            rb_http_conn_close(at);
        }
        at = next;
    }
}

void rb_http_conn_answer(struct rb_http_conn *conn, const void *head, size_t head_len, const void *body,
                         size_t len, bool lasting)
{
    struct rb_request *req = conn->req;
    bool good = send_bytes(conn, head, head_len, body, len, lasting);
    conn->req = NULL;
    rb_request_free(req); /* not before: the body may be the request's own */
    if (!good) {
        rb_http_conn_close(conn);
    } else {
        rb_http_conn_finish(conn, lasting);
    }
}

bool rb_http_conn_send(struct rb_http_conn *conn, const void *data, size_t len)
{
    return send_bytes(conn, data, len, NULL, 0, false);
}

void rb_http_conn_finish(struct rb_http_conn *conn, bool lasting)
{
    if (rb_http_conn_unsent(conn) > 0) {
        wait_for_reader(conn, lasting);
    } else {
        next_request(conn);
    }
}

/* --- requests --- */

static void refuse(struct rb_http_conn *conn)
{
    conn->close = conn->linger = true;
    rb_reply_refusal(conn->req);
}

/* A request behind one that was to be the last: nothing of it may be done, and the two cannot be told from
 * one that somebody on the way has split. */
static bool has_more_than_line_ends(struct evbuffer *input)
{
    char byte;
    while (evbuffer_copyout(input, &byte, 1) == 1) {
        if (byte != '\r' && byte != '\n') {
            return true;
        }
        evbuffer_drain(input, 1);
    }
    return false;
}

static void dispatch(struct rb_http_conn *conn)
{
    struct rb_request *req = conn->req;
    bool tunnel = req->llhttp.method == HTTP_CONNECT; /* refused; what follows is not ours to judge */
    if (!req->keep_alive && !tunnel && has_more_than_line_ends(bufferevent_get_input(conn->bev))) {
        rb_request_refuse(req, 400, "bad-request", "bytes behind the last request of the connection");
        refuse(conn);
        return;
    }
    conn->close = !req->keep_alive || tunnel;
    conn->linger = tunnel;
    rb_http_conn_enter(conn, RB_LANE_HANDLING);
    if (req->route) {
        req->route->handler(req, req->ctx);
    } else {
        rb_reply_unrouted(req);
    }
}

static void say_continue(struct rb_http_conn *conn)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    conn->req->expects_continue = false;
    if (!send_bytes(conn, text, sizeof(text) - 1, NULL, 0, true)) {
        rb_http_conn_close(conn);
    }
}

/* Empty lines before a request are no request. */
static bool begin(struct rb_http_conn *conn, struct evbuffer *input)
{
    if (!has_more_than_line_ends(input)) {
        return false;
    }
    conn->req = rb_request_new(conn);
    if (!conn->req) {
        rb_http_conn_close(conn);
        return false;
    }
    conn->fresh = false;
    rb_http_conn_enter(conn, RB_LANE_READING);
    return true;
}

/* One run of bytes; false when the parser wants more than there is. */
static bool feed_some(struct rb_http_conn *conn, struct evbuffer *input)
{
    struct rb_request *req = conn->req;
    struct evbuffer_iovec run;
    if (req->fed == 0) {
        evbuffer_pullup(input, evbuffer_get_length(input) < 8 ? -1 : 8);
    }
    if (evbuffer_peek(input, -1, NULL, &run, 1) < 1) {
        return false;
    }
    size_t used = rb_parser_feed(req, run.iov_base, run.iov_len);
    evbuffer_drain(input, used);
    if (req->refusal.code) {
        refuse(conn);
    } else if (req->phase == RB_PHASE_COMPLETE) {
        dispatch(conn);
    } else if (req->expects_continue && req->phase == RB_PHASE_BODY) {
        say_continue(conn);
    }
    return used > 0;
}

static void feed(struct rb_http_conn *conn)
{
    struct evbuffer *input = bufferevent_get_input(conn->bev);
    unsigned requests = 0;
    conn->feeding = true;
    while (conn->lane == RB_LANE_IDLE || conn->lane == RB_LANE_READING) {
        if (!conn->req && requests++ == FEED_REQUESTS && evbuffer_get_length(input) > 0) {
            conn->feeding = false;
            feed_later(conn);
            return;
        }
        if ((!conn->req && !begin(conn, input)) || !feed_some(conn, input)) {
            break;
        }
    }
    conn->feeding = false;
    if (conn->eof && (conn->lane == RB_LANE_IDLE || conn->lane == RB_LANE_READING)) {
        rb_http_conn_close(conn);
    }
}

void rb_http_conn_go_on(struct rb_http_conn *conn)
{
    rb_http_conn_enter(conn, RB_LANE_IDLE);
    feed(conn);
}

/* --- callbacks --- */

static bool is_answering(const struct rb_http_conn *conn)
{
    return conn->lane == RB_LANE_HANDLING || conn->lane == RB_LANE_WRITING || conn->lane == RB_LANE_READY;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct rb_http_conn *conn = arg;
    struct evbuffer *input = bufferevent_get_input(bev);
    if (conn->lane == RB_LANE_IDLE || conn->lane == RB_LANE_READING) {
        feed(conn);
    } else if (conn->lane == RB_LANE_LINGER || conn->lane == RB_LANE_STREAMING ||
               (conn->lane == RB_LANE_WRITING && conn->linger)) {
        size_t len = evbuffer_get_length(input);
        size_t most = conn->lane == RB_LANE_STREAMING ? RB_INPUT_MAX : LINGER_BYTES;
        evbuffer_drain(input, len);
        if (conn->lane != RB_LANE_WRITING && (conn->measure += len) > most) {
            rb_http_conn_close(conn);
        }
    } else if (evbuffer_get_length(input) >= RB_INPUT_MAX) {
        /* not by a watermark: above one libevent calls the callback again and again */
        conn->stuffed = true;
        bufferevent_disable(bev, EV_READ);
    }
}

static void on_write(struct bufferevent *bev, void *arg)
{
    (void)bev;
    struct rb_http_conn *conn = arg;
    if (conn->lane == RB_LANE_WRITING && rb_http_conn_unsent(conn) == 0) {
        next_request(conn);
    } else if (conn->lane == RB_LANE_STREAMING && rb_http_conn_unsent(conn) == 0) {
        rb_stream_taken(conn);
    }
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    struct rb_http_conn *conn = arg;
    if (what & BEV_EVENT_CONNECTED) {
        rb_http_conn_enter(conn, RB_LANE_IDLE);
    } else if ((what & BEV_EVENT_EOF) && is_answering(conn) && !conn->listener->tls) {
        conn->eof = true; /* it may have closed one half only, and wait for the answer; TLS has no halves */
    } else {
        rb_http_conn_close(conn);
    }
}

void rb_http_conn_expire(struct rb_http_conn *conn)
{
    if (conn->lane == RB_LANE_READING && !conn->feeding) {
        rb_request_refuse(conn->req, 408, "request-timeout", "the request took too long to arrive");
        refuse(conn);
    } else if (conn->lane == RB_LANE_STREAMING) {
        rb_stream_silent(conn);
    } else {
        rb_http_conn_close(conn);
    }
}

/* --- making one --- */

struct rb_http_conn *rb_http_conn_adopt(struct rb_listener *listener, struct bufferevent *bev,
                                        const struct sockaddr *peer, struct rb_address *address)
{
    struct rb_http *http = listener->http;
    struct rb_http_conn *conn = calloc(1, sizeof(*conn));
    if (!conn) {
        bufferevent_free(bev);
        return NULL;
    }
    conn->http = http;
    conn->listener = listener;
    conn->bev = bev;
    conn->address = address;
    conn->fresh = true;
    memcpy(&conn->peer, peer, peer->sa_family == AF_INET6 ? sizeof(conn->peer.v6) : sizeof(conn->peer.v4));
    conn->lane = listener->tls ? RB_LANE_HANDSHAKE : RB_LANE_IDLE;
    TAILQ_INSERT_TAIL(&http->lanes[conn->lane].conns, conn, link);
    rb_http_conn_enter(conn, conn->lane);
    http->connections++;
    listener->connections++;
    rb_set(listener->gauge, listener->connections);
    bufferevent_setcb(bev, on_read, on_write, on_event, conn);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    return conn;
}

struct rb_http_conn *rb_http_conn_new(struct rb_listener *listener, int fd, const struct sockaddr *peer,
                                      struct rb_address *address)
{
    struct bufferevent *bev = listener->tls
                                  ? rb_tls_accept(listener->tls, listener->http->base, fd)
                                  : bufferevent_socket_new(listener->http->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!bev) {
        close(fd);
        return NULL;
    }
    return rb_http_conn_adopt(listener, bev, peer, address);
}
