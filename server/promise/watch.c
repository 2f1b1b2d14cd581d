/*
 * A timer and a statement, see watch.h. Each daemon shows the same figures: they are the database's, one
 * label set for each branch. Counting two million promises that wait takes some tenths of a second: then it
 * is done less often, never more than a fiftieth of the time.
 */
#include "server/promise/watch.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"

enum { EVERY_S = 5, AT_MOST_A = 50 };

#define WATCH_US (10 * RB_SECOND)

extern const char rb_sql_watch_promises[];
static const struct rb_statement statement = {"watch_promises", rb_sql_watch_promises};

static const struct figure {
    const char *column;
    const char *metric;
    const char *help;
} figures[] = {
    {"open", "ringback_promises_open", "Promises whose retailer was not called back yet."},
    {"overdue", "ringback_promises_overdue", "Those of them whose deadline has passed."},
    {"due_soon", "ringback_promises_due_soon", "Those of them whose deadline falls within an hour."},
    {"unacknowledged", "ringback_promises_unacknowledged", "Those of them that nobody has acknowledged."},
    {"worst_seconds", "ringback_promises_worst_lateness_seconds",
     "How long ago the deadline of the most overdue one passed; 0 when none is overdue."},
    {"kept", "ringback_promises_kept_24h", "Retailers called back in time, in the last 24 hours."},
    {"late", "ringback_promises_late_24h", "Retailers called back late, in the last 24 hours."},
    {"proved", "ringback_promises_proved_24h",
     "Of those called back in the last 24 hours: proved by the telephone."},
    {"recorded", "ringback_promises_recorded_24h",
     "Of those called back in the last 24 hours: recorded by hand."},
};

enum { FIGURES = sizeof(figures) / sizeof(figures[0]) };

struct rb_promise_watch {
    struct rb_db *db;
    struct event *timer;
    int64_t began;
    struct rb_metric *gauges[FIGURES];
};

static void again_in(struct rb_promise_watch *watch, int64_t us)
{
    struct timeval tv = {.tv_sec = (time_t)(us / RB_SECOND), .tv_usec = (suseconds_t)(us % RB_SECOND)};
    evtimer_add(watch->timer, &tv);
}

static void on_figures(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct rb_promise_watch *watch = ctx;
    int64_t rest = (rb_clock_mono() - watch->began) * AT_MOST_A;
    again_in(watch, rest > EVERY_S * RB_SECOND ? rest : EVERY_S * RB_SECOND);
    if (err != RB_OK) {
        if (err != RB_ERR_AWAY)
            rb_warning("promise", "no figures error=%s message=\"%s\"", rb_err_name(err),
                       rb_db_message(watch->db));
        return;
    }
    int branch = rb_result_column(result, "branch");
    for (int row = 0; row < rb_result_rows(result); row++)
        for (size_t i = 0; i < FIGURES; i++)
            rb_set(rb_series(watch->gauges[i], rb_result_text(result, row, branch)),
                   rb_result_double(result, row, rb_result_column(result, figures[i].column)));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct rb_promise_watch *watch = arg;
    struct rb_db_step step = {.statement = &statement};
    (void)fd;
    (void)what;
    if (!rb_db_is_up(watch->db)) {
        again_in(watch, RB_SECOND);
        return;
    }
    step.params = rb_params_new();
    watch->began = rb_clock_mono();
    if (rb_db_submit(watch->db, &step, 1, WATCH_US, on_figures, watch) != RB_OK)
        again_in(watch, EVERY_S * RB_SECOND);
}

struct rb_promise_watch *rb_promise_watch_new(struct event_base *base, struct rb_db *db)
{
    struct rb_promise_watch *watch = calloc(1, sizeof(*watch));
    RB_INVARIANT(watch != NULL);
    watch->db = db;
    for (size_t i = 0; i < FIGURES; i++)
        watch->gauges[i] = rb_gauge(figures[i].metric, figures[i].help, "branch");
    watch->timer = evtimer_new(base, on_timer, watch);
    RB_INVARIANT(watch->timer != NULL);
    again_in(watch, 0);
    return watch;
}

void rb_promise_watch_free(struct rb_promise_watch *watch)
{
    if (!watch)
        return;
    event_free(watch->timer);
    free(watch);
}
