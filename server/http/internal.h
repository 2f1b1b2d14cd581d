/*
 * What the files of the HTTP room share among themselves; nobody outside includes it, but for the fuzzer.
 *
 * A connection is always in exactly one lane, and the lane is its state: rb_http_conn_enter is the only way
 * from one to another. All connections of a lane have the same time limit, so a lane is ordered by deadline
 * and one timer on its head serves them all. A connection owns a request only while there is one.
 */
#ifndef RB_SERVER_HTTP_INTERNAL_H
#define RB_SERVER_HTTP_INTERNAL_H

#include <llhttp.h>
#include <openssl/types.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/metrics.h"
#include "server/http/http.h"

#define RB_INPUT_MAX 4096u   /* bytes of a client that wait while its request is handled; twice at most */
#define RB_TEXT_INLINE 1024u /* request text kept without a second allocation */
#define RB_HEADERS_INLINE 24u

enum rb_lane_name {
    RB_LANE_HANDSHAKE, /* TLS only, before the first byte of HTTP */
    RB_LANE_IDLE,      /* no request */
    RB_LANE_READING,   /* a request is coming */
    RB_LANE_HANDLING,  /* a handler has the request; no limit here, the handler has its own */
    RB_LANE_WRITING,   /* an answer waits for the client to take it */
    RB_LANE_STREAMING, /* an answer without an end; its limit is how long it may be silent */
    RB_LANE_READY,     /* answered; more requests of it are here and have their turn soon */
    RB_LANE_LINGER,    /* answered and half closed; what still comes is thrown away */
    RB_LANE_DEAD,      /* closed, freed after this turn of the loop */
    RB_LANES
};

struct rb_lane {
    TAILQ_HEAD(rb_lane_conns, rb_http_conn) conns;
    struct rb_http *http;
    struct event *timer; /* NULL for lanes without a limit */
    int64_t limit_us;
    enum rb_lane_name name;
};

struct rb_address; /* how many connections one client address has */
struct rb_addresses;

struct rb_tls {
    SSL_CTX *ctx;
    SSL_CTX *next; /* read again, not yet in use */
    char *certificate;
    char *key;
};

struct rb_listener {
    struct rb_listener *next;
    struct rb_http *http;
    char *name;
    const struct rb_route *routes;
    size_t n;
    void *ctx;
    struct rb_tls *tls; /* NULL for plain HTTP */
    int fd;             /* -1 once closed */
    struct event *readable;
    struct event *pause; /* runs out when accepting may be tried again */
    bool short_of_means; /* descriptors or memory */
    unsigned connections;
    struct rb_series *gauge;
};

struct rb_http {
    struct event_base *base;
    struct rb_http_limits limits;
    const struct rb_networks *proxies;
    struct rb_listener *listeners;
    struct rb_lane lanes[RB_LANES];
    struct rb_addresses *addresses;
    struct event *soon;
    struct rb_buf scratch; /* heads of answers are written here */
    size_t buffered;       /* bytes of all bodies and long heads in memory */
    size_t unsent;         /* bytes of all answers that clients have not taken */
    unsigned connections;
    unsigned requests; /* alive, those included whose client is gone: they keep this object */
    bool draining;
    bool freed;
    void (*drained)(void *ctx);
    void *drained_ctx;
};

union rb_peer {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct rb_http_conn {
    TAILQ_ENTRY(rb_http_conn) link;
    struct rb_http *http;
    struct rb_listener *listener;
    struct bufferevent *bev;
    struct rb_request *req;
    struct rb_stream *stream;   /* STREAMING, and until it was told that the client is gone */
    struct rb_address *address; /* NULL for a trusted proxy */
    int64_t deadline;
    size_t unsent; /* WRITING and STREAMING: its part of http->unsent */
    /* WRITING: bytes not taken when the lane was entered; STREAMING and LINGER: bytes thrown away */
    size_t measure;
    union rb_peer peer;
    uint8_t lane;
    bool feeding; /* its bytes are being parsed further up the stack */
    bool fresh;   /* has not had a request yet */
    bool stuffed; /* reading rests: RB_INPUT_MAX bytes wait */
    bool eof;     /* the client has sent all it will send */
    bool close;   /* no further request after the present answer */
    bool linger;  /* ... and what the client may still be sending must not destroy that answer */
};

enum rb_phase { RB_PHASE_HEAD, RB_PHASE_BODY, RB_PHASE_COMPLETE };

struct rb_header_at {
    uint32_t name; /* offsets into text */
    uint32_t value;
};

/* Why a request is not handled; code NULL: nothing is wrong. Texts are static. */
struct rb_refusal {
    int status;
    const char *code;
    const char *detail;
};

struct rb_request {
    llhttp_t llhttp;
    struct rb_http *http;
    struct rb_http_conn *conn; /* NULL once the client is gone */
    const struct rb_listener *listener;
    const struct rb_route *route; /* NULL: unknown path or wrong method */
    void *ctx;
    int64_t started;
    struct rb_refusal refusal;
    enum rb_phase phase;
    const char *method;
    union rb_peer peer;

    char *text; /* target, headers, then the decoded path, its segments and the query, each NUL-terminated */
    size_t text_len, text_size;
    struct rb_header_at *headers;
    size_t header_count, header_size;
    uint32_t path, segments, query;
    uint32_t segment_count, query_count;

    char *body;
    size_t body_len, body_size, body_limit;
    size_t lent; /* what it has of http->buffered */

    size_t fed;        /* bytes given to llhttp so far */
    const char *chunk; /* what it is being given */
    char tail[8];      /* the last bytes before that */
    bool after_lf;     /* ... and whether they ended a line of the head */
    bool target_done;
    bool protocol_done;
    bool in_name; /* a header's name has begun */
    bool tls;
    bool is_query; /* the method QUERY, which llhttp is told as another */
    bool keep_alive;
    bool expects_continue;

    struct rb_header_at headers_inline[RB_HEADERS_INLINE];
    char text_inline[RB_TEXT_INLINE];
};

/* --- http.c: the connections of the process --- */
void rb_http_conn_enter(struct rb_http_conn *conn, enum rb_lane_name name);
void rb_http_soon(struct rb_http *http);    /* sees to READY and DEAD once this turn is over */
void rb_http_release(struct rb_http *http); /* a request is gone */

/* --- address.c --- */
struct rb_addresses *rb_addresses_new(void);
void rb_addresses_free(struct rb_addresses *addresses);
/* Counts one more connection of addr's address (of its /64 in IPv6); NULL when it has cap already or memory
 * is out. */
struct rb_address *rb_addresses_take(struct rb_addresses *addresses, const struct sockaddr *addr,
                                     unsigned cap);
void rb_addresses_give(struct rb_addresses *addresses, struct rb_address *address);

/* --- listener.c --- */
/* Accepts at most max connections; false when the backlog was found empty. */
bool rb_listener_accept(struct rb_listener *listener, unsigned max);
void rb_listener_close(struct rb_listener *listener);
void rb_listener_free(struct rb_listener *listener);

/* --- connection.c --- */
/* Takes fd, closes it on failure. */
struct rb_http_conn *rb_http_conn_new(struct rb_listener *listener, int fd, const struct sockaddr *peer,
                                      struct rb_address *address);
/* The same over any bufferevent, which it takes: the fuzzer's way in. */
struct rb_http_conn *rb_http_conn_adopt(struct rb_listener *listener, struct bufferevent *bev,
                                        const struct sockaddr *peer, struct rb_address *address);
void rb_http_conn_close(struct rb_http_conn *conn); /* at once; safe anywhere, memory goes after the turn */
void rb_http_conn_free(struct rb_http_conn *conn);
void rb_http_conn_go_on(struct rb_http_conn *conn); /* from READY */
void rb_http_conn_expire(struct rb_http_conn *conn);
bool rb_http_conn_has_unread(const struct rb_http_conn *conn);
/* Sends an answer to the present request, which is released, and goes on with the connection. lasting: body
 * stays where it is for ever. */
void rb_http_conn_answer(struct rb_http_conn *conn, const void *head, size_t head_len, const void *body,
                         size_t len, bool lasting);
/* Sends bytes, or has them wait; false when the connection is beyond use. */
bool rb_http_conn_send(struct rb_http_conn *conn, const void *data, size_t len);
size_t rb_http_conn_unsent(const struct rb_http_conn *conn);
/* No request's answer is under way any more: what waits is still sent, then the connection goes on or ends.
 */
void rb_http_conn_finish(struct rb_http_conn *conn, bool lasting);

/* --- parser.c --- */
/* Feeds bytes; returns how many were used. Stops after a complete message; req->refusal tells of errors. */
size_t rb_parser_feed(struct rb_request *req, const char *data, size_t len);
void rb_parser_init(struct rb_request *req);

/* --- head.c: judging a head that is complete --- */
void rb_head_check(struct rb_request *req);

/* --- target.c --- */
/* Fills path, segments and query from the target; false when it cannot be read. */
bool rb_request_parse_target(struct rb_request *req);
bool rb_host_valid(const char *host, size_t len);

/* --- proxy.c --- */
void rb_proxy_resolve(struct rb_request *req);

/* --- request.c --- */
struct rb_request *rb_request_new(struct rb_http_conn *conn);
void rb_request_free(struct rb_request *req);
/* Makes room for n more bytes of text; false when memory is out. */
bool rb_request_reserve(struct rb_request *req, size_t n);
bool rb_request_add_text(struct rb_request *req, const char *data, size_t len);
bool rb_request_add_header(struct rb_request *req); /* begins one at the end of the text */
/* RB_ERR_TOO_LARGE beyond the request's limit, RB_ERR_FULL beyond that of all. */
enum rb_err rb_request_add_body(struct rb_request *req, const char *data, size_t len);
/* Notes the first refusal; later ones are its consequences. */
void rb_request_refuse(struct rb_request *req, int status, const char *code, const char *detail);

/* --- route.c --- */
void rb_route_find(struct rb_request *req);
/* Writes the methods this path (or, for "*", the listener) knows, as for Allow; false when the path is
 * unknown. */
bool rb_route_allow(const struct rb_request *req, char *out, size_t size);

/* --- reply.c --- */
/* Writes an answer's head into http->scratch; len < 0: no Content-Length. False when memory is out. */
bool rb_reply_head(struct rb_request *req, int status, const char *content_type,
                   const struct rb_header *headers, size_t n, int64_t len);
void rb_reply_refusal(struct rb_request *req);
void rb_reply_unrouted(struct rb_request *req); /* 404, 405, or what OPTIONS * asks for */

/* --- stream.c: what happens to a connection in RB_LANE_STREAMING --- */
void rb_stream_taken(struct rb_http_conn *conn); /* nothing waits any more */
void rb_stream_silent(struct rb_http_conn *conn);
void rb_stream_leave(struct rb_http_conn *conn);
void rb_stream_lost(struct rb_http_conn *conn); /* it is being freed */

/* --- problem.c --- */
const char *rb_status_title(int status);

/* --- tls.c --- */
struct rb_tls *rb_tls_new(const char *certificate, const char *key, char *why, size_t size);
void rb_tls_free(struct rb_tls *tls);
/* Reads the files again; what was read is then taken into use or dropped. */
enum rb_err rb_tls_prepare(struct rb_tls *tls, char *why, size_t size) RB_MUST_CHECK;
void rb_tls_decide(struct rb_tls *tls, bool take);
struct bufferevent *rb_tls_accept(struct rb_tls *tls, struct event_base *base, int fd);
void rb_tls_say_goodbye(struct bufferevent *bev);

#endif
