/*
 * The slow poll of the promise: fills the gauges that say how each branch's promises stand. It changes
 * nothing.
 */
#ifndef RB_SERVER_PROMISE_WATCH_H
#define RB_SERVER_PROMISE_WATCH_H

#include <event2/event.h>

#include "server/db/db.h"

struct rb_promise_watch;

/* db: borrowed; not the clock's, whose looks must not wait behind a count; it must be freed before the watch.
 */
struct rb_promise_watch *rb_promise_watch_new(struct event_base *base, struct rb_db *db);
void rb_promise_watch_free(struct rb_promise_watch *watch);

#endif
