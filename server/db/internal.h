/*
 * What the files of the database room share: jobs, connections and the wire form of parameters.
 */
#ifndef RB_SERVER_DB_INTERNAL_H
#define RB_SERVER_DB_INTERNAL_H

#include <event2/event.h>
#include <libpq-fe.h>
#include <sys/queue.h>

#include "server/db/db.h"

enum { RB_PARAMS_MOST = 64, RB_STEPS_MOST = 4 };

/* Fills the arrays that libpq wants (RB_PARAMS_MOST each); the values are borrowed from params. Gives their
 * number. */
int rb_params_wire(struct rb_params *params, const char **values, int *lengths, int *formats);

struct rb_job {
    TAILQ_ENTRY(rb_job) link;
    struct rb_db_step steps[RB_STEPS_MOST];
    size_t n;
    int64_t deadline; /* monotonic µs */
    rb_db_done_fn done;
    void *ctx;
};
TAILQ_HEAD(rb_jobs, rb_job);

struct rb_conn; /* one connection */

/* What a connection tells its pool: it became idle or was lost (all of it changed); a job of it ended. */
struct rb_conn_events {
    void (*changed)(void *pool);
    void (*ended)(void *pool, struct rb_job *job, enum rb_err err, PGresult *last, const char *sqlstate,
                  const char *message);
};

struct rb_conn *rb_conn_new(struct event_base *base, const struct rb_db_options *options,
                            const struct rb_conn_events *events, void *pool);
/* Ends its job, if any, with RB_ERR_UNKNOWN. */
void rb_conn_free(struct rb_conn *conn);
bool rb_conn_idle(const struct rb_conn *conn);
bool rb_conn_up(const struct rb_conn *conn);
/* Sends a job; the connection must be idle. The job's end comes by the ended callback, never from within this
 * call. */
void rb_conn_run(struct rb_conn *conn, struct rb_job *job);
/* Ends a job whose time ran out, and closes and opens the connection, since what it does is not known. */
void rb_conn_check(struct rb_conn *conn, int64_t now);

struct rb_result {
    PGresult *res;
};

#endif
