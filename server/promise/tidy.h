/*
 * Hourly housekeeping of the database (months of event bodies made ahead), also at the start. Each daemon
 * asks; the database lets one do it.
 */
#ifndef RB_SERVER_PROMISE_TIDY_H
#define RB_SERVER_PROMISE_TIDY_H

#include <event2/event.h>

#include "server/db/db.h"

struct rb_tidy;

struct rb_tidy *rb_tidy_new(struct event_base *base, struct rb_db *db);
void rb_tidy_free(struct rb_tidy *tidy);

#endif
