/*
 * Outgoing calls on the event loop, HTTP and mail: libcurl's multi interface behind a pool of handles that
 * are used again, over connections that are kept (but for mail). Each call has its time (connecting included)
 * and a cap on what it reads; redirects are not followed, proxies, cookies and .netrc not used. Addresses
 * inside (loopback, private, link-local and their like) are refused when the socket is opened, so whatever a
 * name resolves to, unless they were allowed by network; the mail relay may be anywhere, since the
 * configuration names it. The only file that knows libcurl; called by the outbox.
 */
#ifndef RB_SERVER_CHANNEL_TRANSFER_H
#define RB_SERVER_CHANNEL_TRANSFER_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/net.h"

#define RB_ANSWER_BYTES 65536 /* of an answer's body are read, and as many of its headers */
#define RB_CALL_HEADERS 8
#define RB_CALL_HEADER_SIZE 192

struct rb_transfers;

enum rb_mail_tls { RB_MAIL_TLS_NONE, RB_MAIL_TLS_TRY, RB_MAIL_TLS_REQUIRE };

/* The envelope of a mail and the way to the relay; texts are borrowed until the call has begun. */
struct rb_mail {
    const char *from; /* NULL: the call is a POST */
    const char *to;
    const char *user; /* NULL: no log-in */
    const char *password;
    enum rb_mail_tls tls;
};

/* A POST, or a mail. body is borrowed until the call is done, url until it has begun. */
struct rb_call {
    const char *url; /* http, https; smtp, smtps for a mail */
    const char *body;
    size_t body_len;
    struct rb_mail mail;
    unsigned n_headers;
    char headers[RB_CALL_HEADERS][RB_CALL_HEADER_SIZE]; /* "Name: value" */
};

/* How far a mail came before it was refused. */
enum rb_mail_phase { RB_MAIL_GREETING, RB_MAIL_LOGIN, RB_MAIL_SENDER, RB_MAIL_RECIPIENT, RB_MAIL_CONTENT };

/* err: RB_OK (there is a status); RB_ERR_TIMEOUT; RB_ERR_REFUSED (the address is not allowed); RB_ERR_AWAY
 * (any other failure). */
struct rb_answer {
    enum rb_err err;
    int status; /* 0 unless RB_OK; of a mail the relay's last reply */
    enum rb_mail_phase phase;
    const char *error;      /* short and static, NULL when RB_OK */
    int64_t retry_after_us; /* from the answer's Retry-After, 0 without one; at most three days */
    int64_t took_us;
    const char *body; /* the first RB_ANSWER_BYTES; of a mail the relay's last line; borrowed until the
                         callback returns */
    size_t body_len;
};

typedef void (*rb_answer_fn)(void *ctx, const struct rb_answer *answer);

/* connections: most calls at a time. allowed: borrowed, may be NULL. timeout_us: for each call. */
struct rb_transfers *rb_transfers_new(struct event_base *base, unsigned connections,
                                      const struct rb_networks *allowed, int64_t timeout_us);
/* Calls that run are cut off first, see rb_transfers_stop. */
void rb_transfers_free(struct rb_transfers *transfers);

/* Begins a call; done is called once, later, from the loop. RB_ERR_FULL: as many as allowed run already. */
enum rb_err rb_transfers_start(struct rb_transfers *transfers, const struct rb_call *call, rb_answer_fn done,
                               void *ctx) RB_MUST_CHECK;
/* Cuts off all calls that run: each is done with RB_ERR_AWAY before this returns. */
void rb_transfers_stop(struct rb_transfers *transfers);
unsigned rb_transfers_running(const struct rb_transfers *transfers);

#endif
