/*
 * Outcomes on their way into the database: entries wait here and are committed many at a time, in the order
 * they came. While the database is away they stay; what was committed already, but without an answer, changes
 * nothing when it is sent again, since its lease is over.
 */
#ifndef RB_SERVER_OUTBOX_LEDGER_H
#define RB_SERVER_OUTBOX_LEDGER_H

#include <event2/event.h>

#include "server/db/db.h"
#include "server/outbox/lane.h"

struct rb_ledger;

/* What a commit says of targets: nothing is to be sent to this one for now. */
typedef void (*rb_ledger_pause_fn)(void *ctx, int branch, int target);

/* committed: after every commit; both are called from the loop. */
struct rb_ledger *rb_ledger_new(struct event_base *base, struct rb_db *db, rb_ledger_pause_fn paused,
                                void (*committed)(void *ctx), void *ctx);
void rb_ledger_free(struct rb_ledger *ledger);

/* Notes how the attempt at a parcel (borrowed) ended. took_us: how long it took. */
void rb_ledger_note(struct rb_ledger *ledger, const struct rb_parcel *parcel,
                    const struct rb_verdict *verdict, int64_t took_us, int64_t pause_us);
/* Notes that a parcel was not tried and may be claimed again at once. */
void rb_ledger_return(struct rb_ledger *ledger, const struct rb_parcel *parcel);

/* Entries not committed yet. */
unsigned rb_ledger_open(const struct rb_ledger *ledger);
/* The last commit did not come through and none has since: what is open may be claimed again by mistake. */
bool rb_ledger_stuck(const struct rb_ledger *ledger);

#endif
