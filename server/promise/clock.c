/*
 * The clock, see promise.h. A look claims what is due behind the cursor; since rows may be committed behind
 * it, the whole range is looked at when the clock starts, when it is woken, after trouble, and every half
 * minute. The cursor stays a little behind what was seen, for rows that another daemon held just then.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "server/promise/promise.h"
#include "server/promise/tidy.h"

enum { LOOK_MOST = 1024 }; /* steps in one transaction */

#define SLEEP_MOST (RB_SECOND / 2)
#define SLEEP_LEAST (RB_SECOND / 200) /* gathers steps that are due almost together */
#define WAKE_LEAST (RB_SECOND / 5)    /* between two looks at the whole range */
#define WHOLE_EVERY (30 * RB_SECOND)
#define CURSOR_BEHIND (2 * RB_SECOND)
#define BACK_OFF_MOST (2 * RB_SECOND)
#define LOOK_US (10 * RB_SECOND)

extern const char rb_sql_fire_due_steps[];
static const struct rb_statement fire_due_steps = {"fire_due_steps", rb_sql_fire_due_steps};

struct rb_promise {
    struct rb_db *db;
    struct event *timer;
    struct rb_tidy *tidy;
    void (*on_fired)(void *ctx);
    void *ctx;
    bool looking;
    bool whole; /* the next look is at the whole range; so is the one that runs */
    bool woken;
    int64_t whole_at; /* monotonic, of the last such look */
    int64_t look_at;  /* monotonic, of the next look */
    int64_t cursor;   /* the database's clock */
    int64_t back_off;
    int most; /* steps in the next look: halved when one of them cannot be fired, down to it alone */
    struct rb_metric *steps;
    struct rb_series *lateness;
};

static void look_in(struct rb_promise *promise, int64_t us)
{
    struct timeval tv = {.tv_sec = (time_t)(us / RB_SECOND), .tv_usec = (suseconds_t)(us % RB_SECOND)};
    promise->look_at = rb_clock_mono() + us;
    evtimer_add(promise->timer, &tv);
}

/* A wake-up that must wait since the last whole look was only just now. */
static int64_t wake_wait(const struct rb_promise *promise)
{
    int64_t wait = promise->whole_at + WAKE_LEAST - rb_clock_mono();
    return wait > 0 ? wait : 0;
}

static int64_t sleep_until(const struct rb_promise *promise, double next_in, bool none)
{
    int64_t us =
        none || next_in > (double)SLEEP_MOST / RB_SECOND ? SLEEP_MOST : (int64_t)(next_in * RB_SECOND);
    if (us < SLEEP_LEAST)
        us = SLEEP_LEAST;
    if (promise->woken && wake_wait(promise) < us)
        us = wake_wait(promise);
    return us;
}

/* Counts what was dealt with; the last row is about the next look. */
static void read_result(struct rb_promise *promise, const struct rb_result *result)
{
    int action = rb_result_column(result, "action");
    int skipped = rb_result_column(result, "skipped");
    int lateness = rb_result_column(result, "lateness");
    int until = rb_result_column(result, "looked_until_us");
    int next = rb_result_column(result, "next_in");
    int last = rb_result_rows(result) - 1;
    bool fired = false;
    RB_INVARIANT(last >= 0 && rb_result_is_null(result, last, action));
    for (int row = 0; row < last; row++) {
        const char *skip = rb_result_text(result, row, skipped);
        rb_count(rb_series(promise->steps, skip ? "skipped" : rb_result_text(result, row, action)), 1);
        rb_observe(promise->lateness, rb_result_double(result, row, lateness));
        fired |= !skip;
        if (skip && strcmp(skip, "failed") == 0)
            rb_error("promise",
                     "a step could not be fired: nobody was notified; the database's log says why");
    }
    promise->cursor = rb_result_int(result, last, until) - (last < promise->most ? CURSOR_BEHIND : 0);
    if (last == promise->most) {
        look_in(promise, 0); /* there is more, ahead of where this look stopped */
    } else {
        promise->whole = false;
        look_in(promise, sleep_until(promise, rb_result_double(result, last, next),
                                     rb_result_is_null(result, last, next)));
    }
    if (fired && promise->on_fired)
        promise->on_fired(promise->ctx);
}

/* A step that cannot be fired: fewer are asked for, until it is alone and passed over. Anything else: the
 * whole range again, a little later each time. */
static void on_trouble(struct rb_promise *promise, enum rb_err err)
{
    bool fault = err == RB_ERR_DATA || err == RB_ERR_INTERNAL;
    if (err != RB_ERR_AWAY)
        rb_warning("promise", "look failed error=%s steps=%d sqlstate=%s message=\"%s\"", rb_err_name(err),
                   promise->most, rb_db_sqlstate(promise->db), rb_db_message(promise->db));
    promise->woken = true;
    promise->whole = false;
    if (fault && promise->most > 1) {
        promise->most /= 2;
        promise->whole_at -= WAKE_LEAST;
        look_in(promise, 0);
        return;
    }
    promise->back_off = promise->back_off ? promise->back_off * 2 : RB_SECOND / 10;
    if (promise->back_off > BACK_OFF_MOST)
        promise->back_off = BACK_OFF_MOST;
    look_in(promise, promise->back_off);
}

static void on_looked(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct rb_promise *promise = ctx;
    promise->looking = false;
    if (err != RB_OK) {
        on_trouble(promise, err);
        return;
    }
    promise->back_off = 0;
    read_result(promise, result);
    promise->most = promise->most * 2 < LOOK_MOST ? promise->most * 2 : LOOK_MOST;
}

static void look(struct rb_promise *promise)
{
    struct rb_params *params = rb_params_new();
    struct rb_db_step step = {.statement = &fire_due_steps, .params = params};
    int64_t now = rb_clock_mono();
    bool from_start = !promise->whole &&
                      (now - promise->whole_at > WHOLE_EVERY || (promise->woken && wake_wait(promise) == 0));
    if (from_start) {
        promise->whole = true;
        promise->woken = false;
        promise->whole_at = now;
        rb_param_text(params, NULL);
    } else {
        rb_param_time(params, promise->cursor);
    }
    rb_param_int(params, promise->most);
    promise->looking = rb_db_submit(promise->db, &step, 1, LOOK_US, on_looked, promise) == RB_OK;
    if (!promise->looking)
        look_in(promise, SLEEP_MOST);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct rb_promise *promise = arg;
    (void)fd;
    (void)what;
    if (promise->looking)
        return;
    if (!rb_db_is_up(promise->db)) {
        promise->woken = true;
        promise->whole = false;
        look_in(promise, RB_SECOND / 10);
        return;
    }
    look(promise);
}

struct rb_promise *rb_promise_new(struct event_base *base, struct rb_db *db, void (*on_fired)(void *ctx),
                                  void *ctx)
{
    static const double bounds[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 600, 3600};
    static const char *const actions[] = {"reminded", "overdue", "escalated", "unacknowledged",
                                          "promised", "request", "skipped"};
    struct rb_promise *promise = calloc(1, sizeof(*promise));
    RB_INVARIANT(promise != NULL);
    promise->db = db;
    promise->on_fired = on_fired;
    promise->ctx = ctx;
    promise->woken = true;
    promise->most = LOOK_MOST;
    promise->whole_at = rb_clock_mono() - WHOLE_EVERY;
    promise->steps =
        rb_counter("ringback_steps_fired", "Steps of follow-ups that were dealt with, by action.", "action");
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        rb_series(promise->steps, actions[i]);
    promise->lateness = rb_series(
        rb_histogram("ringback_step_lateness_seconds",
                     "From when a step was due (or its follow-up was made, if later) to when it fired.", NULL,
                     bounds, sizeof(bounds) / sizeof(bounds[0])),
        NULL);
    promise->timer = evtimer_new(base, on_timer, promise);
    RB_INVARIANT(promise->timer != NULL);
    promise->tidy = rb_tidy_new(base, db);
    look_in(promise, 0);
    return promise;
}

void rb_promise_wake(struct rb_promise *promise)
{
    promise->woken = true;
    if (!promise->looking && rb_clock_mono() + wake_wait(promise) < promise->look_at)
        look_in(promise, wake_wait(promise));
}

void rb_promise_free(struct rb_promise *promise)
{
    if (!promise)
        return;
    rb_tidy_free(promise->tidy);
    event_free(promise->timer);
    free(promise);
}
