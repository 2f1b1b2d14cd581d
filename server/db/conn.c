/*
 * One connection to PostgreSQL on the event loop: connect, prepare the session, run one job at a time in
 * pipeline mode, and connect again when it is lost. The pool is its only caller. It never blocks but for the
 * look-up of a host's name.
 *
 * A job is acknowledged only after PGRES_PIPELINE_SYNC: a COMMAND_OK inside the segment is no commit. A
 * warning 01000 (the wait for a synchronous standby was cancelled) or a FATAL error leaves its fate unknown.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "server/db/internal.h"

enum {
    CONNECT_SECONDS = 5,
    RETRY_FIRST_MS = 100,
    RETRY_MOST_MS = 2000,
    PREPARED_MOST = 64,
    MESSAGE_SIZE = 512
};

enum state { DOWN, CONNECTING, PREPARING_SESSION, IDLE, BUSY };

struct rb_conn {
    struct event_base *base;
    const struct rb_db_options *options;
    const struct rb_conn_events *events;
    void *pool;
    PGconn *pg;
    enum state state;
    struct event *io;    /* on the socket; made anew when the descriptor or what we wait for changes */
    short waiting;       /* for what: EV_READ, EV_WRITE */
    struct event *timer; /* connect time-out, pause before the next try */
    struct event *kick;  /* breaks off what failed inside rb_conn_run, one loop turn later */
    int retry_ms;
    bool complained; /* the outage was logged */
    const struct rb_statement *prepared[PREPARED_MOST];
    size_t n_prepared;
    struct rb_job *job;
    int64_t busy_until;
    bool asked_prepare[RB_STEPS_MOST]; /* which steps send a PREPARE first */
    size_t step;                       /* whose result comes next */
    bool in_prepare;
    PGresult *last; /* of the last statement that gave one */
    bool doubt;     /* a notice says that the commit may not hold */
    char sqlstate[6];
    char message[MESSAGE_SIZE];
    bool fatal;
};

static void open_connection(struct rb_conn *conn);
static void on_io(evutil_socket_t fd, short what, void *arg);

static void watch(struct rb_conn *conn, short what)
{
    if (conn->io && conn->waiting == what && event_get_fd(conn->io) == PQsocket(conn->pg))
        return;
    if (conn->io)
        event_free(conn->io);
    conn->waiting = what;
    conn->io = event_new(conn->base, PQsocket(conn->pg), (short)(what | EV_PERSIST), on_io, conn);
    RB_INVARIANT(conn->io && event_add(conn->io, NULL) == 0);
}

/* While connecting, libpq may have closed the socket and opened another under the same number. */
static void unwatch(struct rb_conn *conn)
{
    if (conn->io)
        event_free(conn->io);
    conn->io = NULL;
}

static void set_timer(struct rb_conn *conn, int ms)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    evtimer_add(conn->timer, &tv);
}

static void keep_words(struct rb_conn *conn, const char *sqlstate, const char *message)
{
    snprintf(conn->sqlstate, sizeof(conn->sqlstate), "%s", sqlstate ? sqlstate : "");
    snprintf(conn->message, sizeof(conn->message), "%s", message ? message : "");
    conn->message[strcspn(conn->message, "\n")] = '\0';
}

/* Hands the job back. After this the connection may run another. */
static void end_job(struct rb_conn *conn, enum rb_err err)
{
    struct rb_job *job = conn->job;
    PGresult *last = conn->last;
    conn->job = NULL;
    conn->last = NULL;
    conn->events->ended(conn->pool, job, err, err == RB_OK ? last : NULL, conn->sqlstate, conn->message);
    PQclear(last);
}

/* Closes; a job that was sent has an unknown fate. */
static void shut(struct rb_conn *conn)
{
    unwatch(conn);
    PQfinish(conn->pg);
    conn->pg = NULL;
    conn->n_prepared = 0;
    conn->state = DOWN;
    event_del(conn->timer);
}

static void lose(struct rb_conn *conn, const char *message)
{
    if (!conn->complained)
        rb_warning("db", "connection lost pool=%s reason=\"%.*s\"", conn->options->name,
                   (int)strcspn(message, "\n"), message);
    conn->complained = true;
    if (!conn->sqlstate[0])
        keep_words(conn, "", message);
    shut(conn);
    set_timer(conn, conn->retry_ms + rand() % (conn->retry_ms / 2));
    conn->retry_ms = conn->retry_ms * 2 > RETRY_MOST_MS ? RETRY_MOST_MS : conn->retry_ms * 2;
    if (conn->job)
        end_job(conn, RB_ERR_UNKNOWN);
    conn->events->changed(conn->pool);
}

static enum rb_err class_of(const struct rb_conn *conn)
{
    const char *s = conn->sqlstate;
    if (conn->fatal)
        return RB_ERR_UNKNOWN;
    if (!strncmp(s, "40", 2) || !strncmp(s, "53", 2) || !strncmp(s, "57", 2) || !strncmp(s, "08", 2) ||
        !strcmp(s, "55P03"))
        return RB_ERR_RETRY;
    if (!strncmp(s, "22", 2) || !strncmp(s, "23", 2) || !strcmp(s, "P0001"))
        return RB_ERR_DATA;
    return RB_ERR_INTERNAL;
}

static void on_notice(void *arg, const PGresult *res)
{
    struct rb_conn *conn = arg;
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    if (state && (!strcmp(state, "01000") || !strcmp(state, "57P01")))
        conn->doubt = true;
}

static void start_session(struct rb_conn *conn)
{
    static const char sql[] =
        "SELECT set_config('role', $1, false), set_config('search_path', 'ringback, pg_temp', false),"
        " set_config('TimeZone', $2, false), set_config('ringback.public_url', $3, false),"
        " set_config('jit', 'off', false), set_config('plan_cache_mode', $4, false),"
        " set_config('idle_in_transaction_session_timeout', '10s', false),"
        " set_config('client_connection_check_interval', '2s', false)";
    const struct rb_db_options *o = conn->options;
    const char *values[] = {o->role ? o->role : "none", o->timezone ? o->timezone : "UTC",
                            o->public_url ? o->public_url : "", o->various ? "auto" : "force_generic_plan"};
    PQsetnonblocking(conn->pg, 1);
    PQsetNoticeReceiver(conn->pg, on_notice, conn);
    if (!PQsendQueryParams(conn->pg, sql, 4, NULL, values, NULL, NULL, 0) || PQflush(conn->pg) < 0) {
        lose(conn, PQerrorMessage(conn->pg));
        return;
    }
    conn->state = PREPARING_SESSION;
    watch(conn, EV_READ);
}

static void become_idle(struct rb_conn *conn)
{
    conn->state = IDLE;
    conn->events->changed(conn->pool);
}

static void continue_session(struct rb_conn *conn)
{
    if (!PQconsumeInput(conn->pg)) {
        lose(conn, PQerrorMessage(conn->pg));
        return;
    }
    while (!PQisBusy(conn->pg)) {
        PGresult *res = PQgetResult(conn->pg);
        if (!res) {
            RB_INVARIANT(PQenterPipelineMode(conn->pg));
            event_del(conn->timer);
            conn->retry_ms = RETRY_FIRST_MS;
            if (conn->complained)
                rb_info("db", "connected pool=%s", conn->options->name);
            conn->complained = false;
            become_idle(conn);
            return;
        }
        bool ok = PQresultStatus(res) == PGRES_TUPLES_OK;
        const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
        char text[MESSAGE_SIZE];
        snprintf(text, sizeof(text), "%s%s", PQresultErrorMessage(res),
                 state && !strcmp(state, "22023") ? " (has the database been migrated? run: ringback migrate)"
                                                  : "");
        PQclear(res);
        if (!ok) {
            lose(conn, text);
            return;
        }
    }
}

static void continue_connect(struct rb_conn *conn)
{
    switch (PQconnectPoll(conn->pg)) {
    case PGRES_POLLING_READING:
        unwatch(conn);
        watch(conn, EV_READ);
        break;
    case PGRES_POLLING_WRITING:
        unwatch(conn);
        watch(conn, EV_WRITE);
        break;
    case PGRES_POLLING_OK:
        unwatch(conn);
        start_session(conn);
        break;
    default:
        lose(conn, PQerrorMessage(conn->pg));
    }
}

/* Takes one result of the running segment; true when the Sync was answered. */
static bool take_result(struct rb_conn *conn, PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);
    if (status == PGRES_PIPELINE_SYNC) {
        PQclear(res);
        return true;
    }
    if (status == PGRES_FATAL_ERROR && !conn->sqlstate[0]) {
        const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
        const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
        const char *primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
        keep_words(conn, state ? state : "?????", primary ? primary : PQresultErrorMessage(res));
        conn->fatal = !state || (severity && strcmp(severity, "ERROR") != 0);
    } else if (conn->in_prepare && status == PGRES_COMMAND_OK && conn->n_prepared < PREPARED_MOST) {
        conn->prepared[conn->n_prepared++] = conn->job->steps[conn->step].statement;
    } else if (!conn->in_prepare && (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)) {
        PQclear(conn->last);
        conn->last = res;
        return false;
    }
    PQclear(res);
    return false;
}

/* The NULL behind a command's results: the next command's come now. */
static void next_command(struct rb_conn *conn)
{
    if (conn->in_prepare) {
        conn->in_prepare = false;
        return;
    }
    conn->step++;
    conn->in_prepare = conn->step < conn->job->n && conn->asked_prepare[conn->step];
}

static void finish_segment(struct rb_conn *conn)
{
    enum rb_err err = RB_OK;
    if (conn->sqlstate[0])
        err = class_of(conn);
    else if (conn->doubt)
        err = RB_ERR_UNKNOWN;
    conn->state = IDLE;
    end_job(conn, err);
    conn->events->changed(conn->pool);
}

static void continue_job(struct rb_conn *conn, short what)
{
    if ((what & EV_READ) && !PQconsumeInput(conn->pg)) {
        lose(conn, PQerrorMessage(conn->pg));
        return;
    }
    while (conn->state == BUSY && !PQisBusy(conn->pg)) {
        PGresult *res = PQgetResult(conn->pg);
        if (!res) {
            if (PQstatus(conn->pg) == CONNECTION_BAD) {
                lose(conn, PQerrorMessage(conn->pg));
                return;
            }
            next_command(conn);
        } else if (take_result(conn, res)) {
            watch(conn, EV_READ);
            finish_segment(conn);
            return;
        } else if (PQstatus(conn->pg) == CONNECTION_BAD) {
            lose(conn, PQerrorMessage(conn->pg));
            return;
        }
    }
    int pending = PQflush(conn->pg);
    if (pending < 0)
        lose(conn, PQerrorMessage(conn->pg));
    else if (conn->state == BUSY)
        watch(conn, pending ? EV_READ | EV_WRITE : EV_READ);
}

/* An idle connection that becomes readable has bad news, or a parameter's change. */
static void hear_idle(struct rb_conn *conn)
{
    if (!PQconsumeInput(conn->pg) || PQstatus(conn->pg) == CONNECTION_BAD)
        lose(conn, PQerrorMessage(conn->pg));
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    struct rb_conn *conn = arg;
    (void)fd;
    switch (conn->state) {
    case CONNECTING:
        continue_connect(conn);
        break;
    case PREPARING_SESSION:
        continue_session(conn);
        break;
    case BUSY:
        continue_job(conn, what);
        break;
    case IDLE:
        hear_idle(conn);
        break;
    case DOWN:
        break;
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct rb_conn *conn = arg;
    (void)fd;
    (void)what;
    if (conn->state == DOWN)
        open_connection(conn);
    else if (conn->state == CONNECTING || conn->state == PREPARING_SESSION)
        lose(conn, "no connection within 5 s");
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
    struct rb_conn *conn = arg;
    (void)fd;
    (void)what;
    if (conn->state == BUSY)
        lose(conn, PQerrorMessage(conn->pg));
}

static void open_connection(struct rb_conn *conn)
{
    char name[64];
    snprintf(name, sizeof(name), "ringbackd %s", conn->options->name);
    /* Ours come first, so that the administrator's connection string wins. */
    const char *keys[] = {"application_name",
                          "client_encoding",
                          "target_session_attrs",
                          "tcp_user_timeout",
                          "keepalives_idle",
                          "dbname",
                          NULL};
    const char *values[] = {name, "UTF8", "read-write", "5000", "10", conn->options->conninfo, NULL};
    conn->sqlstate[0] = conn->message[0] = '\0';
    conn->pg = PQconnectStartParams(keys, values, 1);
    RB_INVARIANT(conn->pg != NULL);
    if (PQstatus(conn->pg) == CONNECTION_BAD) {
        lose(conn, PQerrorMessage(conn->pg));
        return;
    }
    conn->state = CONNECTING;
    set_timer(conn, CONNECT_SECONDS * 1000);
    watch(conn, EV_WRITE);
}

struct rb_conn *rb_conn_new(struct event_base *base, const struct rb_db_options *options,
                            const struct rb_conn_events *events, void *pool)
{
    struct rb_conn *conn = calloc(1, sizeof(*conn));
    RB_INVARIANT(conn != NULL);
    *conn = (struct rb_conn){
        .base = base, .options = options, .events = events, .pool = pool, .retry_ms = RETRY_FIRST_MS};
    conn->timer = evtimer_new(base, on_timer, conn);
    conn->kick = event_new(base, -1, 0, on_kick, conn);
    RB_INVARIANT(conn->timer && conn->kick);
    set_timer(conn, 0);
    return conn;
}

void rb_conn_free(struct rb_conn *conn)
{
    if (!conn)
        return;
    shut(conn);
    if (conn->job)
        end_job(conn, RB_ERR_UNKNOWN);
    event_free(conn->timer);
    event_free(conn->kick);
    free(conn);
}

bool rb_conn_idle(const struct rb_conn *conn)
{
    return conn->state == IDLE;
}

bool rb_conn_up(const struct rb_conn *conn)
{
    return conn->state == IDLE || conn->state == BUSY;
}

static bool is_prepared(const struct rb_conn *conn, const struct rb_statement *statement)
{
    for (size_t i = 0; i < conn->n_prepared; i++)
        if (conn->prepared[i] == statement)
            return true;
    return false;
}

static bool send_step(struct rb_conn *conn, size_t i)
{
    const struct rb_db_step *step = &conn->job->steps[i];
    const char *values[RB_PARAMS_MOST];
    int lengths[RB_PARAMS_MOST];
    int formats[RB_PARAMS_MOST];
    int n = rb_params_wire(step->params, values, lengths, formats);
    conn->asked_prepare[i] = !is_prepared(conn, step->statement);
    if (conn->asked_prepare[i] &&
        !PQsendPrepare(conn->pg, step->statement->name, step->statement->sql, 0, NULL))
        return false;
    return PQsendQueryPrepared(conn->pg, step->statement->name, n, values, lengths, formats, 0);
}

void rb_conn_run(struct rb_conn *conn, struct rb_job *job)
{
    RB_INVARIANT(conn->state == IDLE && !conn->job);
    conn->state = BUSY;
    conn->job = job;
    conn->step = 0;
    conn->doubt = conn->fatal = false;
    conn->sqlstate[0] = conn->message[0] = '\0';
    bool sent = true;
    for (size_t i = 0; sent && i < job->n; i++)
        sent = send_step(conn, i);
    conn->in_prepare = conn->asked_prepare[0];
    int pending = -1;
    if (sent && PQpipelineSync(conn->pg))
        pending = PQflush(conn->pg);
    if (pending < 0)
        event_active(conn->kick, EV_TIMEOUT, 0);
    else if (pending > 0)
        watch(conn, EV_READ | EV_WRITE);
}

void rb_conn_check(struct rb_conn *conn, int64_t now)
{
    if (conn->state == BUSY && conn->job && conn->job->deadline <= now) {
        rb_warning("db", "no answer in time, connection given up pool=%s", conn->options->name);
        conn->complained = true;
        lose(conn, "no answer in time");
    }
}
