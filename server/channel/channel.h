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

/* What is to be delivered; texts are borrowed. */
struct rb_message {
    const char *id; /* the same on every attempt */
    const char *address;
    const char *secret;
    const char *body; /* the same bytes on every attempt */
    size_t body_len;
};

/* What became of one attempt. */
enum rb_fate {
    RB_FATE_DELIVERED,
    RB_FATE_RETRY,   /* the target is not well: try again */
    RB_FATE_REFUSED, /* the target is well but does not take this message: try again, blaming the message */
    RB_FATE_GONE,    /* never send anything there again */
    RB_FATE_CUT,     /* cut off by ourselves: try again, blaming nobody; no channel says so */
};

struct rb_verdict {
    enum rb_fate fate;
    int status;        /* HTTP status, 0 without an answer */
    const char *error; /* short, static, without personal details; NULL when the status says it all */
    int64_t rest_us;   /* how long the target asked to be left alone, 0 if it did not */
};

struct rb_channel {
    const char *name; /* targets.channel */
    /* Fills the call for one attempt made now; it borrows from message. RB_ERR_INVALID: the target's secret
     * is none. */
    enum rb_err (*compose)(const struct rb_message *message, int64_t wall_us, struct rb_call *call);
    void (*judge)(const struct rb_answer *answer, struct rb_verdict *verdict);
};

extern const struct rb_channel rb_channel_webhook;

/* NULL when there is none by that name. */
const struct rb_channel *rb_channel_find(const char *name);

#endif
