/*
 * Answers without an end (http.h): an owner elsewhere writes as he has something to say, until he or the
 * client has enough. One is ended by closing the connection, in HTTP/1.1 too: what is streamed says itself
 * where each of its parts ends. Never holds more than the owner's cap and the kernel's little buffer for a
 * client that does not read; one that takes nothing for half a minute is cut off whatever waits.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "server/http/internal.h"

#define KERNEL_BYTES (32 * 1024) /* the kernel doubles it; by default it would keep megabytes */

struct rb_stream {
    struct rb_http_conn *conn;
    const struct rb_stream_handler *handler;
    void *ctx;
    size_t cap;
    bool stalled; /* something waited when it was last looked at, and was not taken since */
    bool too_slow;
};

static void cut_off(struct rb_stream *stream)
{
    stream->too_slow = true;
    rb_http_conn_close(stream->conn);
}

/* What waits counts among what waits for all clients. */
static bool settle(struct rb_stream *stream)
{
    struct rb_http_conn *conn = stream->conn;
    struct rb_http *http = conn->http;
    size_t left = rb_http_conn_unsent(conn);
    if (left == 0) {
        stream->stalled = false;
        rb_http_conn_enter(conn, RB_LANE_STREAMING);
        return true;
    }
    http->unsent += left - conn->unsent;
    conn->unsent = left;
    if (left <= stream->cap && http->unsent <= http->limits.buffered_bytes) {
        return true;
    }
    cut_off(stream);
    return false;
}

/* --- what happens to the connection --- */

void rb_stream_taken(struct rb_http_conn *conn)
{
    settle(conn->stream);
}

void rb_stream_silent(struct rb_http_conn *conn)
{
    struct rb_stream *stream = conn->stream;
    size_t left = rb_http_conn_unsent(conn);
    if (left > 0 && stream->stalled) {
        cut_off(stream);
        return;
    }
    stream->stalled = left > 0;
    size_t accounted = conn->unsent;
    rb_http_conn_enter(conn, RB_LANE_STREAMING);
    conn->unsent = accounted;
    conn->http->unsent += accounted;
    if (left == 0) {
        stream->handler->idle(stream->ctx);
    }
}

void rb_stream_leave(struct rb_http_conn *conn)
{
    struct rb_stream *stream = conn->stream;
    stream->handler->leaving(stream->ctx);
    RB_INVARIANT(conn->lane != RB_LANE_STREAMING);
}

void rb_stream_lost(struct rb_http_conn *conn)
{
    struct rb_stream *stream = conn->stream;
    conn->stream = NULL;
    stream->handler->closed(stream->ctx, stream->too_slow);
    free(stream);
}

/* --- the owner's side --- */

/* Bytes that came behind the request are nobody's. */
static void stop_listening(struct rb_http_conn *conn)
{
    struct evbuffer *input = bufferevent_get_input(conn->bev);
    evbuffer_drain(input, evbuffer_get_length(input));
    conn->measure = 0;
    conn->stuffed = false;
    bufferevent_enable(conn->bev, EV_READ);
}

static struct rb_stream *attach(struct rb_http_conn *conn, size_t cap,
                                const struct rb_stream_handler *handler, void *ctx)
{
    struct rb_stream *stream = calloc(1, sizeof(*stream));
    int bytes = KERNEL_BYTES;
    RB_INVARIANT(stream != NULL);
    *stream = (struct rb_stream){.conn = conn, .handler = handler, .ctx = ctx, .cap = cap};
    conn->stream = stream;
    (void)setsockopt(bufferevent_getfd(conn->bev), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    stop_listening(conn);
    rb_http_conn_enter(conn, RB_LANE_STREAMING);
    return stream;
}

struct rb_stream *rb_stream_begin(struct rb_request *req, const char *content_type,
                                  const struct rb_header *headers, size_t n, size_t cap,
                                  const struct rb_stream_handler *handler, void *ctx)
{
    struct rb_http_conn *conn = req->conn;
    if (!conn) {
        rb_request_free(req);
        return NULL;
    }
    RB_INVARIANT(conn->req == req && conn->lane == RB_LANE_HANDLING);
    bool head_only = strcmp(req->method, "HEAD") == 0;
    conn->close |= !head_only || conn->http->draining;
    bool good = rb_reply_head(req, 200, content_type, headers, n, -1);
    conn->req = NULL;
    rb_request_free(req);
    if (!good || !rb_http_conn_send(conn, conn->http->scratch.data, conn->http->scratch.len)) {
        rb_http_conn_close(conn);
        return NULL;
    }
    if (head_only || conn->eof || conn->http->draining) {
        rb_http_conn_finish(conn, false);
        return NULL;
    }
    struct rb_stream *stream = attach(conn, cap, handler, ctx);
    settle(stream);
    return stream;
}

bool rb_stream_write(struct rb_stream *stream, const void *data, size_t len)
{
    struct rb_http_conn *conn = stream->conn;
    if (conn->lane == RB_LANE_DEAD) {
        return false;
    }
    if (!rb_http_conn_send(conn, data, len)) {
        rb_http_conn_close(conn);
        return false;
    }
    return settle(stream);
}

void rb_stream_end(struct rb_stream *stream)
{
    struct rb_http_conn *conn = stream->conn;
    conn->stream = NULL;
    free(stream);
    if (conn->lane != RB_LANE_DEAD) {
        rb_http_conn_finish(conn, false);
    }
}
