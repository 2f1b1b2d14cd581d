/*
 * What one reading of the feed brought: rows of read_feed() (schema/functions/89-feed.sql) made into events
 * of an event stream, each written once for all who may see it.
 */
#ifndef RB_SERVER_CONSOLE_NEWS_H
#define RB_SERVER_CONSOLE_NEWS_H

#include "common/buf.h"
#include "server/console/sight.h"
#include "server/db/db.h"

#define RB_PLACE_SIZE 48

/* Where in the feed a reader is: behind all that has this id of a transaction and row, or smaller ones. */
struct rb_place {
    uint64_t xid;
    uint64_t id;
};

/* False: text is no place. */
bool rb_place_parse(const char *text, struct rb_place *place);
void rb_place_format(const struct rb_place *place, char text[RB_PLACE_SIZE]);
/* Less than, equal to or greater than 0. */
int rb_place_compare(const struct rb_place *a, const struct rb_place *b);

struct rb_news;

struct rb_batch {
    struct rb_news *items; /* in the order of their places */
    size_t n;
    struct rb_place place; /* all up to here was read */
    bool lost;             /* what was behind the place that was asked for is no longer there */
    bool more;             /* there is more behind place already */
    bool sessions;         /* some were ended */
    double oldest;         /* seconds since the cause of the oldest item began; 0: none */
};

/* Takes what it needs of the rows. */
struct rb_batch *rb_batch_new(const struct rb_result *result);
void rb_batch_free(struct rb_batch *batch);

/* Appends the events of the batch behind the place that this viewer may see; says how many. */
size_t rb_batch_tell(const struct rb_batch *batch, const struct rb_sight *sight,
                     const struct rb_place *behind, struct rb_buf *out);
/* The batch says that this session was ended. */
bool rb_batch_ends(const struct rb_batch *batch, int64_t branch, int64_t session);

#endif
