/*
 * A channel: how a notification becomes a request to somebody's address, and what the answer means. Both are
 * pure; the transfer itself is transfer.c's. One file a channel; the outbox finds them by the name that
 * targets carry.
 */
#ifndef RB_SERVER_CHANNEL_CHANNEL_H
#define RB_SERVER_CHANNEL_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "server/channel/transfer.h"

/* The mail relay; texts are borrowed. */
struct rb_relay {
    const char *url; /* "smtp://host:port", "smtps://…"; empty: there is none */
    const char *from;
    const char *user; /* empty: no log-in */
    const char *password;
    enum rb_mail_tls tls;
};

/* What is to be delivered; texts are borrowed. A digest is a list of several, of which the first has address,
 * secret and relay. */
struct rb_message {
    const char *id; /* the same on every attempt */
    const char *address;
    const char *secret; /* what was sealed; empty: nothing is */
    const char *body;   /* the same bytes on every attempt */
    size_t body_len;
    const char *due; /* the deadline by the branch's clock, "2026-11-22 20:16"; NULL: not known */
    const struct rb_relay *relay;
    const struct rb_message *next; /* NULL: the last one */
};

#define RB_DIGEST_MOST 50 /* messages in one list; schema/functions/60-outbox.sql claims no more */

/* What became of one attempt. */
enum rb_fate {
    RB_FATE_DELIVERED,
    RB_FATE_RETRY,    /* the target is not well: try again */
    RB_FATE_REFUSED,  /* the target is well but does not take this message: try again, blaming the message */
    RB_FATE_REJECTED, /* the target is well and will never take this message: give it up */
    RB_FATE_GONE,     /* never send anything there again */
    RB_FATE_CUT,      /* cut off by ourselves: try again, blaming nobody; no channel says so */
};

struct rb_verdict {
    enum rb_fate fate;
    int status;        /* HTTP status, 0 without an answer */
    const char *error; /* short, without personal details; static, or words; NULL: the status says it all */
    char words[128];
    int64_t rest_us; /* how long the target asked to be left alone, 0 if it did not */
};

struct rb_channel {
    const char *name; /* targets.channel */
    bool has_secret;  /* its targets have something sealed */
    /*
     * Fills the call (all zero before) for one attempt made now; it borrows from message, and from what
     * *made then points to: malloc'ed, the caller frees it when the call is done, whatever is returned.
     * RB_ERR_INVALID: address or secret are none, or what it needs is not configured.
     */
    enum rb_err (*compose)(const struct rb_message *message, int64_t wall_us, struct rb_call *call,
                           char **made);
    void (*judge)(const struct rb_answer *answer, struct rb_verdict *verdict);
};

extern const struct rb_channel rb_channel_webhook;
extern const struct rb_channel rb_channel_wecom;
extern const struct rb_channel rb_channel_dingtalk;
extern const struct rb_channel rb_channel_email;

/* Adds "Name: value" to a call's headers. */
void rb_call_header(struct rb_call *call, const char *name, const char *value);

/* NULL when there is none by that name. */
const struct rb_channel *rb_channel_find(const char *name);

#endif
