/*
 * The delivery of notifications. Rows of the outbox are claimed from PostgreSQL with a lease and a fencing
 * token, handed to their channel, and their outcomes committed in batches; any number of daemons may do so
 * side by side and any of them may die. Called by app.c only. Never decides what is said or to whom: the
 * database did, in the transaction of the cause.
 *
 * Files: dispatcher (claims, slots, drain), lane (what is held for each target, and whose turn it is),
 * ledger (outcomes on their way into the database), watch (the slow poll and the gauges), retry (when
 * again; pure), secret (unsealed signing secrets).
 */
#ifndef RB_SERVER_OUTBOX_OUTBOX_H
#define RB_SERVER_OUTBOX_OUTBOX_H

#include <event2/event.h>

#include "common/net.h"
#include "common/seal.h"
#include "server/channel/channel.h"
#include "server/db/db.h"

struct rb_outbox;

struct rb_outbox_options {
    unsigned connections;              /* outgoing, in all */
    const struct rb_networks *allowed; /* targets may lie in these although they are inside; borrowed */
    const struct rb_seal *seal;        /* opens the targets' secrets; borrowed */
    const struct rb_relay *relay;      /* for e-mail; borrowed */
    unsigned mail_rate;                /* messages a minute that the relay takes */
};

/* db: a pool of its own with two connections (one claims while the other commits), borrowed; it must be freed
 * before the outbox, since its jobs end in callbacks. */
struct rb_outbox *rb_outbox_new(struct event_base *base, struct rb_db *db,
                                const struct rb_outbox_options *options);

/* There may be something to send: call after intake has committed complaints and after steps have fired.
 * Cheap. */
void rb_outbox_wake(struct rb_outbox *outbox);

/*
 * Claims no more, hands back what was not sent yet, lets attempts that run end (those that would take too
 * long are cut off) and commits every outcome. drained is called once, from the loop, within nine seconds.
 */
void rb_outbox_drain(struct rb_outbox *outbox, void (*drained)(void *ctx), void *ctx);

/* What was not committed is sent again when its lease has run out. */
void rb_outbox_free(struct rb_outbox *outbox);

#endif
