/*
 * The clock of the promise: sees to it that the steps of follow-ups happen at their time. One timer sleeps
 * until the next step is due, but never longer than half a second; the database's clock decides what is due,
 * claims it, makes its notifications and marks it fired, in one transaction. Called by app.c only. Several
 * daemons may do this side by side.
 *
 * Files: clock (the timer and its looks), tidy (the hourly housekeeping of the database), watch (gauges).
 */
#ifndef RB_SERVER_PROMISE_PROMISE_H
#define RB_SERVER_PROMISE_PROMISE_H

#include <event2/event.h>

#include "server/db/db.h"

struct rb_promise;

/* db: a pool of its own, borrowed; it must be freed before the clock, since its jobs end in callbacks.
 * on_fired is called from the loop whenever steps have fired, hence notifications were made; may be NULL. */
struct rb_promise *rb_promise_new(struct event_base *base, struct rb_db *db, void (*on_fired)(void *ctx),
                                  void *ctx);

/* New follow-ups were committed, whose steps may be in the past already: looks at the whole range at once
 * (when called often, a few times a second). */
void rb_promise_wake(struct rb_promise *promise);

void rb_promise_free(struct rb_promise *promise);

#endif
