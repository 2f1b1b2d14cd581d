/*
 * Every few seconds one statement, see watch.h. Each daemon shows the same figures: they are the database's.
 * Counting takes time when very much waits: then it is done less often, never more than a fiftieth of the
 * time.
 */
#include "server/outbox/watch.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"

enum { EVERY_S = 5, AT_MOST_A = 50 };

#define WATCH_US (10 * RB_SECOND)

extern const char rb_sql_watch_outbox[];
static const struct rb_statement watch_outbox = {"watch_outbox", rb_sql_watch_outbox};

static const struct figure {
    const char *column;
    const char *metric;
    const char *help;
} figures[] = {
    {"waiting", "ringback_outbox_waiting", "Notifications that wait for an attempt."},
    {"oldest_seconds", "ringback_outbox_oldest_seconds", "Age of the oldest of them."},
    {"stranded", "ringback_outbox_stranded", "Notifications for which nobody in the line has a live target."},
    {"failed", "ringback_outbox_failed", "Notifications that were given up and can be sent again by hand."},
    {"breakers_open", "ringback_outbox_breakers_open",
     "Targets that failed so often that they are only probed."},
    {"without_owner", "ringback_follow_ups_without_owner", "Open follow-ups that nobody owns."},
};

enum { FIGURES = sizeof(figures) / sizeof(figures[0]) };

struct rb_watch {
    struct rb_db *db;
    struct event *timer;
    int64_t began;
    void (*adopted)(void *ctx);
    void *ctx;
    struct rb_series *gauges[FIGURES];
};

static void again_in(struct rb_watch *watch, int64_t us)
{
    struct timeval tv = {.tv_sec = (time_t)(us / RB_SECOND), .tv_usec = (suseconds_t)(us % RB_SECOND)};
    evtimer_add(watch->timer, &tv);
}

static void on_figures(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct rb_watch *watch = ctx;
    int64_t rest = (rb_clock_mono() - watch->began) * AT_MOST_A;
    again_in(watch, rest > EVERY_S * RB_SECOND ? rest : EVERY_S * RB_SECOND);
    if (err != RB_OK) {
        if (err != RB_ERR_AWAY)
            rb_warning("outbox", "no figures error=%s message=\"%s\"", rb_err_name(err),
                       rb_db_message(watch->db));
        return;
    }
    for (size_t i = 0; i < FIGURES; i++)
        rb_set(watch->gauges[i], rb_result_double(result, 0, rb_result_column(result, figures[i].column)));
    int64_t adopted = rb_result_int(result, 0, rb_result_column(result, "adopted"));
    int64_t given_up = rb_result_int(result, 0, rb_result_column(result, "given_up"));
    if (given_up)
        rb_warning("outbox", "notifications given up count=%lld", (long long)given_up);
    if (adopted) {
        rb_info("outbox", "stranded notifications adopted count=%lld", (long long)adopted);
        again_in(watch, RB_SECOND); /* a part at a time: there may be more */
        watch->adopted(watch->ctx);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct rb_watch *watch = arg;
    (void)fd;
    (void)what;
    if (!rb_db_is_up(watch->db)) {
        again_in(watch, RB_SECOND);
        return;
    }
    struct rb_db_step step = {.statement = &watch_outbox, .params = rb_params_new()};
    watch->began = rb_clock_mono();
    if (rb_db_submit(watch->db, &step, 1, WATCH_US, on_figures, watch) != RB_OK)
        again_in(watch, EVERY_S * RB_SECOND);
}

struct rb_watch *rb_watch_new(struct event_base *base, struct rb_db *db, void (*adopted)(void *ctx),
                              void *ctx)
{
    struct rb_watch *watch = calloc(1, sizeof(*watch));
    RB_INVARIANT(watch != NULL);
    watch->db = db;
    watch->adopted = adopted;
    watch->ctx = ctx;
    for (size_t i = 0; i < FIGURES; i++)
        watch->gauges[i] = rb_series(rb_gauge(figures[i].metric, figures[i].help, NULL), NULL);
    watch->timer = evtimer_new(base, on_timer, watch);
    RB_INVARIANT(watch->timer != NULL);
    again_in(watch, 0);
    return watch;
}

void rb_watch_free(struct rb_watch *watch)
{
    if (!watch)
        return;
    event_free(watch->timer);
    free(watch);
}
