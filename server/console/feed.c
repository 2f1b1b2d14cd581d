/*
 * The reader of feed.h. Called by the streams. Its place moves only when a reading was answered, so that
 * while the database is away nothing is skipped: the next answer has it.
 */
#include "server/console/feed.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"

enum { READ_MOST = 500, FORGET_MOST = 10000, FORGET_EVERY_S = 60, FORGET_SOON_S = 1 };

#define LOOK_EVERY (RB_SECOND / 4)
#define AGAIN_AFTER RB_SECOND
#define READ_US (10 * RB_SECOND)

extern const char rb_sql_read_feed[], rb_sql_forget_feed[];
static const struct rb_statement read_feed = {"read_feed", rb_sql_read_feed};
static const struct rb_statement forget_feed = {"forget_feed", rb_sql_forget_feed};

struct rb_feed {
    struct rb_db *db;
    rb_feed_fn news;
    void *ctx;
    struct event *look;
    struct event *forget;
    struct rb_place place;
    bool reading;
    bool asking;
    bool stale; /* what is being asked is of a reading that was stopped */
    bool more;
    struct rb_series *lag;
};

struct look_back {
    struct rb_feed *feed;
    rb_feed_fn done;
    void *ctx;
};

static void look_in(struct rb_feed *feed, int64_t us)
{
    struct timeval tv = {.tv_sec = (time_t)(us / RB_SECOND), .tv_usec = (suseconds_t)(us % RB_SECOND)};
    evtimer_add(feed->look, &tv);
}

static enum rb_err ask(struct rb_feed *feed, int64_t branch, const struct rb_place *place, int most,
                       rb_db_done_fn done, void *ctx)
{
    char text[RB_PLACE_SIZE];
    struct rb_db_step step = {.statement = &read_feed, .params = rb_params_new()};
    rb_place_format(place, text);
    rb_param_int(step.params, branch);
    rb_param_text(step.params, text);
    rb_param_int(step.params, most);
    return rb_db_submit(feed->db, &step, 1, READ_US, done, ctx);
}

static void complain(const struct rb_feed *feed, enum rb_err err)
{
    if (err != RB_ERR_AWAY)
        rb_warning("feed", "reading failed error=%s sqlstate=%s message=\"%s\"", rb_err_name(err),
                   rb_db_sqlstate(feed->db), rb_db_message(feed->db));
}

/* --- reading --- */

static void take(struct rb_feed *feed, struct rb_batch *batch)
{
    feed->place = batch->place;
    feed->more = batch->more;
    if (batch->oldest > 0)
        rb_observe(feed->lag, batch->oldest);
    if (batch->n || batch->lost) {
        feed->news(feed->ctx, batch);
    } else {
        rb_batch_free(batch);
        rb_feed_go_on(feed);
    }
}

static void on_read(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct rb_feed *feed = ctx;
    bool stale = feed->stale;
    feed->asking = feed->stale = false;
    if (!feed->reading)
        return;
    if (stale)
        look_in(feed, 0);
    else if (err == RB_OK)
        take(feed, rb_batch_new(result));
    else {
        complain(feed, err);
        look_in(feed, AGAIN_AFTER);
    }
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
    struct rb_feed *feed = arg;
    (void)fd;
    (void)what;
    if (!feed->reading || feed->asking)
        return;
    if (rb_db_is_up(feed->db) && ask(feed, 0, &feed->place, READ_MOST, on_read, feed) == RB_OK)
        feed->asking = true;
    else
        look_in(feed, LOOK_EVERY);
}

void rb_feed_start(struct rb_feed *feed, const struct rb_place *place)
{
    RB_INVARIANT(!feed->reading);
    feed->reading = true;
    feed->place = *place;
    look_in(feed, LOOK_EVERY);
}

void rb_feed_stop(struct rb_feed *feed)
{
    feed->reading = false;
    feed->stale = feed->asking;
    evtimer_del(feed->look);
}

bool rb_feed_is_reading(const struct rb_feed *feed)
{
    return feed->reading;
}

void rb_feed_go_on(struct rb_feed *feed)
{
    if (feed->reading)
        look_in(feed, feed->more ? 0 : LOOK_EVERY);
}

const struct rb_place *rb_feed_place(const struct rb_feed *feed)
{
    return &feed->place;
}

/* --- for one who comes late --- */

static void on_looked_back(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct look_back *back = ctx;
    if (err != RB_OK)
        complain(back->feed, err);
    back->done(back->ctx, err == RB_OK ? rb_batch_new(result) : NULL);
    free(back);
}

enum rb_err rb_feed_look_back(struct rb_feed *feed, int64_t branch, const struct rb_place *place, int most,
                              rb_feed_fn done, void *ctx)
{
    struct look_back *back = calloc(1, sizeof(*back));
    RB_INVARIANT(back != NULL);
    *back = (struct look_back){.feed = feed, .done = done, .ctx = ctx};
    enum rb_err err =
        rb_db_is_up(feed->db) ? ask(feed, branch, place, most, on_looked_back, back) : RB_ERR_AWAY;
    if (err != RB_OK)
        free(back);
    return err;
}

/* --- old rows --- */

static void forget_in(struct rb_feed *feed, int seconds)
{
    struct timeval tv = {.tv_sec = seconds};
    evtimer_add(feed->forget, &tv);
}

static void on_forgotten(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct rb_feed *feed = ctx;
    bool all = err != RB_OK || rb_result_int(result, 0, rb_result_column(result, "forgotten")) < FORGET_MOST;
    if (err != RB_OK && err != RB_ERR_AWAY)
        rb_warning("feed", "old rows were not tidied away error=%s sqlstate=%s message=\"%s\"",
                   rb_err_name(err), rb_db_sqlstate(feed->db), rb_db_message(feed->db));
    forget_in(feed, all ? FORGET_EVERY_S : FORGET_SOON_S);
}

static void on_forget(evutil_socket_t fd, short what, void *arg)
{
    struct rb_feed *feed = arg;
    (void)fd;
    (void)what;
    struct rb_db_step step = {.statement = &forget_feed};
    if (!rb_db_is_up(feed->db)) {
        forget_in(feed, FORGET_EVERY_S);
        return;
    }
    step.params = rb_params_new();
    rb_param_int(step.params, FORGET_MOST);
    if (rb_db_submit(feed->db, &step, 1, READ_US, on_forgotten, feed) != RB_OK)
        forget_in(feed, FORGET_EVERY_S);
}

struct rb_feed *rb_feed_new(struct event_base *base, struct rb_db *db, rb_feed_fn news, void *ctx)
{
    static const double bounds[] = {0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 300};
    struct rb_feed *feed = calloc(1, sizeof(*feed));
    RB_INVARIANT(feed != NULL);
    feed->db = db;
    feed->news = news;
    feed->ctx = ctx;
    feed->look = evtimer_new(base, on_look, feed);
    feed->forget = evtimer_new(base, on_forget, feed);
    RB_INVARIANT(feed->look && feed->forget);
    feed->lag =
        rb_series(rb_histogram("ringback_stream_lag_seconds",
                               "From the beginning of a transaction to its being read for the streams, the "
                               "oldest of each look.",
                               NULL, bounds, sizeof(bounds) / sizeof(bounds[0])),
                  NULL);
    forget_in(feed, FORGET_EVERY_S);
    return feed;
}

void rb_feed_free(struct rb_feed *feed)
{
    if (!feed)
        return;
    event_free(feed->look);
    event_free(feed->forget);
    free(feed);
}
