/*
 * The one reader of the feed in a daemon: while somebody listens it looks four times a second for what was
 * committed, by whichever daemon. It polls instead of listening: NOTIFY takes a lock at commit that all
 * databases of the server share, and an empty look costs a tenth of a millisecond, however many streams are
 * open. It also sees to it that old rows of the feed go.
 */
#ifndef RB_SERVER_CONSOLE_FEED_H
#define RB_SERVER_CONSOLE_FEED_H

#include <event2/event.h>

#include "server/console/news.h"
#include "server/db/db.h"

struct rb_feed;

/* What a reading brought, which is the callee's; NULL: the database did not answer. */
typedef void (*rb_feed_fn)(void *ctx, struct rb_batch *batch);

/* news: called with every batch that is not empty, never NULL; the next comes after rb_feed_go_on. */
struct rb_feed *rb_feed_new(struct event_base *base, struct rb_db *db, rb_feed_fn news, void *ctx);
/* After db, whose jobs end in here. */
void rb_feed_free(struct rb_feed *feed);

/* From this place on; it must not be reading. */
void rb_feed_start(struct rb_feed *feed, const struct rb_place *place);
void rb_feed_stop(struct rb_feed *feed);
bool rb_feed_is_reading(const struct rb_feed *feed);
void rb_feed_go_on(struct rb_feed *feed);
/* All up to here went to news. */
const struct rb_place *rb_feed_place(const struct rb_feed *feed);

/* Reads what a branch had behind a place, at the most so many rows, for one who comes late. RB_OK: done is
 * called. */
enum rb_err rb_feed_look_back(struct rb_feed *feed, int64_t branch, const struct rb_place *place, int most,
                              rb_feed_fn done, void *ctx) RB_MUST_CHECK;

#endif
