/*
 * A timer and a statement, see tidy.h.
 */
#include "server/promise/tidy.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"

enum { MINUTE_S = 60, SOON_S = 1 };

#define TIDY_US (10 * RB_SECOND)

extern const char rb_sql_tidy[];
static const struct rb_statement statement = {"tidy", rb_sql_tidy};

struct rb_tidy {
    struct rb_db *db;
    struct event *timer;
};

static void again_in(struct rb_tidy *tidy, int seconds)
{
    struct timeval tv = {.tv_sec = seconds};
    evtimer_add(tidy->timer, &tv);
}

static void on_done(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct rb_tidy *tidy = ctx;
    if (err == RB_OK) {
        int64_t made = rb_result_int(result, 0, rb_result_column(result, "made"));
        if (made)
            rb_info("tidy", "months of event bodies made count=%lld", (long long)made);
        again_in(tidy, MINUTE_S);
        return;
    }
    if (err != RB_ERR_AWAY)
        rb_warning("tidy", "housekeeping failed error=%s sqlstate=%s message=\"%s\"", rb_err_name(err),
                   rb_db_sqlstate(tidy->db), rb_db_message(tidy->db));
    again_in(tidy, err == RB_ERR_AWAY ? SOON_S : MINUTE_S);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct rb_tidy *tidy = arg;
    (void)fd;
    (void)what;
    struct rb_db_step step = {.statement = &statement, .params = NULL};
    if (!rb_db_is_up(tidy->db)) {
        again_in(tidy, SOON_S);
        return;
    }
    step.params = rb_params_new();
    if (rb_db_submit(tidy->db, &step, 1, TIDY_US, on_done, tidy) != RB_OK)
        again_in(tidy, SOON_S);
}

struct rb_tidy *rb_tidy_new(struct event_base *base, struct rb_db *db)
{
    struct rb_tidy *tidy = calloc(1, sizeof(*tidy));
    RB_INVARIANT(tidy != NULL);
    tidy->db = db;
    tidy->timer = evtimer_new(base, on_timer, tidy);
    RB_INVARIANT(tidy->timer != NULL);
    event_active(tidy->timer, EV_TIMEOUT, 0);
    return tidy;
}

void rb_tidy_free(struct rb_tidy *tidy)
{
    if (!tidy)
        return;
    event_free(tidy->timer);
    free(tidy);
}
