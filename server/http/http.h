/*
 * The HTTP room: listeners, connections, parsing, routing, replies. The only room that knows llhttp,
 * bufferevents and TLS. Handlers see a request and answer it exactly once, at once or later; pipelined
 * requests of a connection are handled one after the other, so answers are in order. A client that goes away
 * leaves its request alive until it is answered.
 *
 * Files: http (lanes of connections, drain, end), listener (sockets, accept, caps), address (connections of
 * each client), connection (one client's bytes and deadlines), parser (llhttp to request), head (what a head
 * must satisfy), target (path and query), proxy (who the client is), request (what a handler sees), route
 * (path to handler), reply (answer to bytes), stream (answers without an end), problem (RFC 9457), tls
 * (contexts, reload).
 */
#ifndef RB_SERVER_HTTP_HTTP_H
#define RB_SERVER_HTTP_HTTP_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/net.h"

struct rb_http;    /* all listeners of the process with their shared limits */
struct rb_request; /* one request, owned by the room, lent to the handler until it is answered */

typedef void (*rb_handler_fn)(struct rb_request *req, void *ctx);

/*
 * path: literal segments, "{name}" for one segment that is not empty. The first row that matches wins. A GET
 * route answers HEAD too (without the body). body_limit: called once the headers are there; gives the most
 * bytes of body this request may have (NULL: no body allowed beyond 65,536 bytes).
 */
struct rb_route {
    const char *method;
    const char *path;
    rb_handler_fn handler;
    size_t (*body_limit)(const struct rb_request *req);
};

struct rb_http_limits {
    unsigned connections; /* in all listeners together */
    unsigned per_address; /* of one client address */
    size_t header_bytes;  /* request line and headers: 431 beyond, 414 when the target alone is longer */
    unsigned headers;     /* number of header lines */
    size_t body_bytes;    /* default limit for a body */
    /* Bodies and long heads of all requests together: what goes beyond gets 503. As many bytes of answers may
     * wait for their clients: beyond, those that have waited longest are closed. */
    size_t buffered_bytes;
    int64_t request_us; /* from a request's first byte until all of it is there, whatever drips: then 408 */
    int64_t idle_us;    /* a connection without a request */
    int64_t write_us;   /* in which a client must take its answer, or 16 KiB more of it */
    int64_t silence_us; /* a stream that says nothing; one whose client takes nothing is cut off after two */
};
void rb_http_limits_default(
    struct rb_http_limits *limits); /* 4096, 2048, 16384, 100, 65536, 24 MiB, 10 s, 50 s, 10 s, 15 s */

/* Ignores SIGPIPE from now on. proxies: whose X-Forwarded-For names the client (its last entry that is no
 * proxy itself); borrowed, may be NULL. */
struct rb_http *rb_http_new(struct event_base *base, const struct rb_http_limits *limits,
                            const struct rb_networks *proxies);

/*
 * Opens a listener: address as for rb_addr_parse; routes: n rows, borrowed for the listener's life; ctx goes
 * to the handlers. certificate and key: PEM files or NULL for plain HTTP. bound receives the address with the
 * real port. name: for logs and metrics ("gateway", "console"). why: English text on failure.
 */
enum rb_err rb_http_listen(struct rb_http *http, const char *name, const char *address, bool reuse_port,
                           const char *certificate, const char *key, const struct rb_route *routes, size_t n,
                           void *ctx, char bound[RB_ADDR_SIZE], char *why, size_t size) RB_MUST_CHECK;

/* Reads certificate and key again for new connections; on failure the old ones stay. */
enum rb_err rb_http_reload_tls(struct rb_http *http, char *why, size_t size) RB_MUST_CHECK;

/*
 * Stops: accepts until the backlog is empty, closes the listeners, closes idle connections, lets the requests
 * that are there be answered with "Connection: close". drained is called once, from the loop, when no
 * connection is left.
 */
void rb_http_drain(struct rb_http *http, void (*drained)(void *ctx), void *ctx);
/* Closes everything at once; requests not answered yet stay valid until they are answered. */
void rb_http_free(struct rb_http *http);
unsigned rb_http_connections(const struct rb_http *http);

/* --- a request, as a handler sees it; texts are borrowed until it is answered --- */
const char *rb_request_method(const struct rb_request *req); /* upper case */
const char *rb_request_path(const struct rb_request *req);   /* percent-decoded valid UTF-8, no query */
/* The value of {name} in the route's path, or NULL. */
const char *rb_request_param(const struct rb_request *req, const char *name);
/* The first value of a query parameter, decoded, or NULL. */
const char *rb_request_query(const struct rb_request *req, const char *name);
/* Calls fn for every query parameter in order, decoded. */
void rb_request_queries(const struct rb_request *req,
                        void (*fn)(void *ctx, const char *name, const char *value), void *ctx);
/* The row of the listener's table that matched. */
const struct rb_route *rb_request_route(const struct rb_request *req);
/* A header's value without outer white space, name in any case; NULL when absent. Several lines: the first.
 */
const char *rb_request_header(const struct rb_request *req, const char *name);
size_t rb_request_header_count(const struct rb_request *req, const char *name);
/* Calls fn for every header line in order; names are lower-cased. */
void rb_request_headers(const struct rb_request *req,
                        void (*fn)(void *ctx, const char *name, const char *value), void *ctx);
const char *rb_request_body(const struct rb_request *req, size_t *len); /* NUL-terminated behind len */
const struct sockaddr *rb_request_peer(const struct rb_request *req); /* the client, behind trusted proxies */
bool rb_request_is_tls(const struct rb_request *req);
int64_t rb_request_started(const struct rb_request *req); /* monotonic time of its first byte */
void *rb_request_ctx(const struct rb_request *req);       /* the listener's ctx */

/* --- the answer: exactly one of these per request; req is gone afterwards --- */
struct rb_header {
    const char *name;
    const char *value;
};

/* body is copied. Content-Length, Date and Connection are added; line breaks in values are a broken
 * invariant. */
void rb_reply(struct rb_request *req, int status, const char *content_type, const struct rb_header *headers,
              size_t n, const void *body, size_t len);

/* The same with a body that stays as it is until the process ends, and is not copied. */
void rb_reply_lasting(struct rb_request *req, int status, const char *content_type,
                      const struct rb_header *headers, size_t n, const void *body, size_t len);

/*
 * Answers application/problem+json (RFC 9457): type "/problems/CODE", title from the code's table, status,
 * detail, and errors (a JSON array as text, or NULL). headers may hold Retry-After, WWW-Authenticate, Allow.
 */
void rb_reply_problem(struct rb_request *req, int status, const char *code, const char *detail,
                      const char *errors, const struct rb_header *headers, size_t n);

/* --- or an answer without an end: the connection's last, for HTTP/1.0 and 1.1 ended by closing it --- */
struct rb_stream; /* the owner's until rb_stream_end or closed */

/* All are called from the loop, never from within the functions below. */
struct rb_stream_handler {
    /* Nothing was sent for silence_us: proxies forget connections that are silent. */
    void (*idle)(void *ctx);
    /* The room drains: the last words are written here, and rb_stream_end called. */
    void (*leaving)(void *ctx);
    /* The client is gone, or was cut off since it reads too slowly; the stream is gone with it. */
    void (*closed)(void *ctx, bool too_slow);
};

/*
 * Begins the answer; req is gone afterwards. cap: most bytes that may wait for the client to take them. NULL:
 * there is nobody to stream to (HEAD, a client that has gone, a room that drains); the request was answered.
 * handler is borrowed for the stream's life.
 */
struct rb_stream *rb_stream_begin(struct rb_request *req, const char *content_type,
                                  const struct rb_header *headers, size_t n, size_t cap,
                                  const struct rb_stream_handler *handler, void *ctx);
/* Sends bytes, copied. False: too many wait, or the client is gone; closed follows. */
bool rb_stream_write(struct rb_stream *stream, const void *data, size_t len);
/* Ends it behind what was written; closed is not called. */
void rb_stream_end(struct rb_stream *stream);

#endif
