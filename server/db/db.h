/*
 * The database room: a small pool of connections to PostgreSQL on the event loop, and jobs that run on them.
 * The only room that knows libpq (but for the tool, which is no daemon). A job is a few statements in one
 * pipeline segment, hence one transaction; its end is told once, after the Sync was answered, and never
 * before rb_db_submit has returned.
 *
 * Files: pool (queue of jobs, choice of a connection, timeouts), conn (one connection's life on the loop),
 * param (binary parameters), result (rows).
 */
#ifndef RB_SERVER_DB_DB_H
#define RB_SERVER_DB_DB_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "server/db/param.h"

struct rb_db;     /* a pool */
struct rb_result; /* rows of a job's last statement, lent to its callback */

/* One row of a table of statements: name for PREPARE and logs, text embedded from a .sql file. */
struct rb_statement {
    const char *name;
    const char *sql;
};

struct rb_db_options {
    const char *conninfo;   /* libpq's, several hosts allowed; borrowed */
    const char *name;       /* "intake", "clock", "outbox": for logs, metrics and application_name */
    const char *role;       /* taken with SET ROLE, or NULL */
    const char *public_url; /* for acknowledge links; set on each session as ringback.public_url */
    const char *timezone;   /* of the sessions */
    bool various; /* statements whose best plan depends on what is asked: planned for it, not once for all */
    unsigned connections;
    unsigned queue; /* most jobs waiting */
};

struct rb_db *rb_db_new(struct event_base *base, const struct rb_db_options *options);
/* Ends every job with RB_ERR_AWAY or RB_ERR_UNKNOWN, then closes. */
void rb_db_free(struct rb_db *db);
/* At least one connection is up, idle or with a job; whether the server still answers only a job can tell. */
bool rb_db_is_up(const struct rb_db *db);
/* Connections that are up and without a job. */
unsigned rb_db_idle(const struct rb_db *db);
/* Called from the loop whenever a connection becomes idle or the pool goes up or down. */
void rb_db_on_change(struct rb_db *db, void (*fn)(void *ctx), void *ctx);

/*
 * err: RB_OK; RB_ERR_AWAY (nothing happened: no connection, or the job never left); RB_ERR_UNKNOWN (sent, no
 * answer to the Sync, or a synchronous standby's wait was cancelled); RB_ERR_TIMEOUT (it never left the queue
 * in its time); RB_ERR_RETRY (SQLSTATE 40, 53, 55P03, 57 and 08: rolled back, may be run again); RB_ERR_DATA
 * (22, 23, P0001: rolled back, an item is at fault); RB_ERR_INTERNAL (any other SQLSTATE). result is NULL
 * unless RB_OK; rb_db_message gives the server's words.
 */
typedef void (*rb_db_done_fn)(void *ctx, enum rb_err err, const struct rb_result *result);

struct rb_db_step {
    const struct rb_statement *statement;
    struct rb_params *params; /* taken */
};

/*
 * Queues a job of n steps (1 to 4). timeout_us: for all of it, waiting included; a job that is running then
 * ends with RB_ERR_UNKNOWN and its connection is given up. RB_ERR_FULL: the queue is at its cap, done is not
 * called.
 */
enum rb_err rb_db_submit(struct rb_db *db, const struct rb_db_step *steps, size_t n, int64_t timeout_us,
                         rb_db_done_fn done, void *ctx) RB_MUST_CHECK;

/* Within a done callback: the server's SQLSTATE ("" when none) and its primary message. */
const char *rb_db_sqlstate(const struct rb_db *db);
const char *rb_db_message(const struct rb_db *db);

/* --- rows; text form; texts are borrowed until the callback returns --- */
int rb_result_rows(const struct rb_result *result);
int rb_result_column(const struct rb_result *result,
                     const char *name); /* a missing one is a broken invariant */
bool rb_result_is_null(const struct rb_result *result, int row, int column);
const char *rb_result_text(const struct rb_result *result, int row, int column); /* NULL for null */
int64_t rb_result_int(const struct rb_result *result, int row, int column);      /* 0 for null */
double rb_result_double(const struct rb_result *result, int row, int column);
bool rb_result_bool(const struct rb_result *result, int row, int column);
/* bytea as bytes, malloc'ed, caller frees; NULL for null. */
uint8_t *rb_result_bytes(const struct rb_result *result, int row, int column, size_t *len);

#endif
