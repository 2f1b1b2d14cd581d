/*
 * The pool: jobs wait here until a connection is idle, and each ends exactly once. The other rooms call it by
 * db.h.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/metrics.h"
#include "server/db/internal.h"

enum { CHECK_MS = 100 };

struct rb_db {
    struct rb_db_options options;
    struct rb_conn **conns;
    struct rb_jobs queue;
    unsigned queued;
    struct event *kick;  /* gives waiting jobs to idle connections, one loop turn after they were queued */
    struct event *check; /* looks for jobs whose time ran out */
    void (*on_change)(void *ctx);
    void *change_ctx;
    const char *sqlstate; /* of the job that is ending */
    const char *message;
    bool closing;
    struct rb_series *connections;
};

static void free_job(struct rb_job *job)
{
    for (size_t i = 0; i < job->n; i++)
        rb_params_free(job->steps[i].params);
    free(job);
}

static void finish(struct rb_db *db, struct rb_job *job, enum rb_err err, PGresult *last,
                   const char *sqlstate, const char *message)
{
    struct rb_result result = {.res = last};
    db->sqlstate = sqlstate;
    db->message = message;
    job->done(job->ctx, err, err == RB_OK ? &result : NULL);
    db->sqlstate = db->message = "";
    free_job(job);
}

static void on_ended(void *pool, struct rb_job *job, enum rb_err err, PGresult *last, const char *sqlstate,
                     const char *message)
{
    finish(pool, job, err, last, sqlstate, message);
}

static void dispatch(struct rb_db *db)
{
    for (unsigned i = 0; i < db->options.connections && !TAILQ_EMPTY(&db->queue); i++) {
        if (!rb_conn_idle(db->conns[i]))
            continue;
        struct rb_job *job = TAILQ_FIRST(&db->queue);
        TAILQ_REMOVE(&db->queue, job, link);
        db->queued--;
        rb_conn_run(db->conns[i], job);
    }
}

static void on_changed(void *pool)
{
    struct rb_db *db = pool;
    if (db->closing)
        return;
    unsigned up = 0;
    for (unsigned i = 0; i < db->options.connections; i++)
        up += db->conns[i] && rb_conn_up(db->conns[i]);
    rb_set(db->connections, up);
    dispatch(db);
    if (db->on_change)
        db->on_change(db->change_ctx);
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    dispatch(arg);
}

/* A job that never left ends with RB_ERR_AWAY while no connection is up, else with RB_ERR_TIMEOUT. */
static void expire_queue(struct rb_db *db, int64_t now)
{
    enum rb_err err = rb_db_is_up(db) ? RB_ERR_TIMEOUT : RB_ERR_AWAY;
    struct rb_job *next;
    for (struct rb_job *job = TAILQ_FIRST(&db->queue); job; job = next) {
        next = TAILQ_NEXT(job, link);
        if (job->deadline > now)
            continue;
        TAILQ_REMOVE(&db->queue, job, link);
        db->queued--;
        finish(db, job, err, NULL, "", "");
        next = TAILQ_FIRST(&db->queue); /* the callback may have changed the queue */
    }
}

static void on_check(evutil_socket_t fd, short what, void *arg)
{
    struct rb_db *db = arg;
    int64_t now = rb_clock_mono();
    (void)fd;
    (void)what;
    for (unsigned i = 0; i < db->options.connections; i++)
        rb_conn_check(db->conns[i], now);
    expire_queue(db, now);
}

struct rb_db *rb_db_new(struct event_base *base, const struct rb_db_options *options)
{
    static const struct rb_conn_events events = {.changed = on_changed, .ended = on_ended};
    static struct rb_metric *up;
    struct rb_db *db = calloc(1, sizeof(*db));
    RB_INVARIANT(db != NULL);
    if (!up)
        up = rb_gauge("ringback_db_connections", "Connections to PostgreSQL that are up, by pool.", "pool");
    db->options = *options;
    db->sqlstate = db->message = "";
    db->connections = rb_series(up, options->name);
    TAILQ_INIT(&db->queue);
    db->kick = event_new(base, -1, 0, on_kick, db);
    db->check = event_new(base, -1, EV_PERSIST, on_check, db);
    db->conns = calloc(options->connections, sizeof(*db->conns));
    RB_INVARIANT(db->kick && db->check && db->conns);
    struct timeval tv = {.tv_usec = CHECK_MS * 1000};
    event_add(db->check, &tv);
    for (unsigned i = 0; i < options->connections; i++)
        db->conns[i] = rb_conn_new(base, &db->options, &events, db);
    return db;
}

void rb_db_free(struct rb_db *db)
{
    if (!db)
        return;
    db->closing = true;
    while (!TAILQ_EMPTY(&db->queue)) {
        struct rb_job *job = TAILQ_FIRST(&db->queue);
        TAILQ_REMOVE(&db->queue, job, link);
        finish(db, job, RB_ERR_AWAY, NULL, "", "");
    }
    for (unsigned i = 0; i < db->options.connections; i++)
        rb_conn_free(db->conns[i]);
    event_free(db->kick);
    event_free(db->check);
    free(db->conns);
    free(db);
}

bool rb_db_is_up(const struct rb_db *db)
{
    for (unsigned i = 0; i < db->options.connections; i++)
        if (rb_conn_up(db->conns[i]))
            return true;
    return false;
}

unsigned rb_db_idle(const struct rb_db *db)
{
    unsigned idle = 0;
    for (unsigned i = 0; i < db->options.connections; i++)
        idle += rb_conn_idle(db->conns[i]);
    return idle > db->queued ? idle - db->queued : 0;
}

void rb_db_on_change(struct rb_db *db, void (*fn)(void *ctx), void *ctx)
{
    db->on_change = fn;
    db->change_ctx = ctx;
}

enum rb_err rb_db_submit(struct rb_db *db, const struct rb_db_step *steps, size_t n, int64_t timeout_us,
                         rb_db_done_fn done, void *ctx)
{
    RB_INVARIANT(n >= 1 && n <= RB_STEPS_MOST);
    if (db->closing || db->queued >= db->options.queue) {
        for (size_t i = 0; i < n; i++)
            rb_params_free(steps[i].params);
        return RB_ERR_FULL;
    }
    struct rb_job *job = calloc(1, sizeof(*job));
    RB_INVARIANT(job != NULL);
    memcpy(job->steps, steps, n * sizeof(*steps));
    job->n = n;
    job->deadline = rb_clock_mono() + timeout_us;
    job->done = done;
    job->ctx = ctx;
    TAILQ_INSERT_TAIL(&db->queue, job, link);
    db->queued++;
    event_active(db->kick, EV_TIMEOUT, 0);
    return RB_OK;
}

const char *rb_db_sqlstate(const struct rb_db *db)
{
    return db->sqlstate;
}

const char *rb_db_message(const struct rb_db *db)
{
    return db->message;
}
