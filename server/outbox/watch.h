/*
 * The slow poll of the outbox: adopts stranded notifications, gives up what is over, and fills the gauges.
 */
#ifndef RB_SERVER_OUTBOX_WATCH_H
#define RB_SERVER_OUTBOX_WATCH_H

#include <event2/event.h>

#include "server/db/db.h"

struct rb_watch;

/* adopted is called from the loop when stranded notifications have found a target. */
struct rb_watch *rb_watch_new(struct event_base *base, struct rb_db *db, void (*adopted)(void *ctx),
                              void *ctx);
void rb_watch_free(struct rb_watch *watch);

#endif
