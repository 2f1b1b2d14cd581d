/*
 * The tool's connection of session.h, by synchronous libpq. Called by every command. Holds no statements of
 * its own: they are the .sql files of schema/queries.
 */
#include "tools/ringback/session.h"

#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "tools/ringback/say.h"

#define OLDEST_SERVER 150000
#define LIST_CAP 65536
#define WATCH_MS 200

extern const char rb_sql_tool_session[];
extern const char rb_sql_tool_branches[];
extern const char rb_sql_tool_public_url[];

/* The first line of a message of libpq, which ends with a line break and may have more. */
static int first_line(const char *text)
{
    return (int)strcspn(text, "\n");
}

/* What the administrator can do about an error that is not ours. */
static const char *advice(const char *state)
{
    static const struct {
        const char *state; /* or the beginning of one */
        const char *advice;
    } rows[] = {
        {"3F000", "run: ringback migrate"},
        {"42P01", "run: ringback migrate"},
        {"42883", "run: ringback migrate"},
        {"42501", "give the user in \"database\" the rights, or name one who has them"},
        {"25006", "the server takes no changes: name the primary in \"database\""},
        {"53100", "the server's disk is full"},
        {"57P0", "the server is going down: try again later"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strncmp(state, rows[i].state, strlen(rows[i].state)) == 0)
            return rows[i].advice;
    }
    return NULL;
}

/* Notices are chatter ("exists already, skipping"); warnings are worth a line. */
static void on_notice(void *ctx, const PGresult *notice)
{
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    (void)ctx;
    if (severity && strcmp(severity, "WARNING") == 0)
        say("the database warns: %s", PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY));
}

static void set_actor(struct session *session)
{
    const struct passwd *user = getpwuid(getuid());
    if (user)
        snprintf(session->actor, sizeof(session->actor), "tool:%s", user->pw_name);
    else
        snprintf(session->actor, sizeof(session->actor), "tool:%u", (unsigned)getuid());
}

void session_say_error(struct session *session, const PGresult *result)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (!state) {
        const char *text = PQerrorMessage(session->conn);
        say("the database did not answer: %.*s", first_line(text), text);
        return;
    }
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    /* P0001 is what our own functions raise, in words for whoever called the command. */
    bool ours = strcmp(state, "P0001") == 0;
    const char *hint = ours ? PQresultErrorField(result, PG_DIAG_MESSAGE_HINT) : advice(state);
    say("%s%s%s%s", ours ? "" : "the database says: ", text, hint ? "; " : "", hint ? hint : "");
}

void session_watch(struct session *session, void (*fn)(void *ctx), void *ctx)
{
    session->watch = fn;
    session->watch_ctx = ctx;
}

/* As PQexecParams, but looks up now and then. */
static PGresult *run_watched(struct session *session, const char *sql, int n, const char *const *values)
{
    if (!PQsendQueryParams(session->conn, sql, n, NULL, values, NULL, NULL, 0))
        return NULL;
    while (PQisBusy(session->conn)) {
        struct pollfd input = {.fd = PQsocket(session->conn), .events = POLLIN};
        if (poll(&input, 1, WATCH_MS) == 0)
            session->watch(session->watch_ctx);
        else if (!PQconsumeInput(session->conn))
            break;
    }
    PGresult *result = PQgetResult(session->conn);
    if (PQresultStatus(result) != PGRES_COPY_IN) {
        for (PGresult *more; (more = PQgetResult(session->conn));)
            PQclear(more);
    }
    return result;
}

PGresult *session_query(struct session *session, const char *sql, int n, const char *const *values)
{
    PGresult *result = session->watch ? run_watched(session, sql, n, values)
                                      : PQexecParams(session->conn, sql, n, NULL, values, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_COPY_IN)
        return result;
    session_say_error(session, result);
    PQclear(result);
    return NULL;
}

enum rb_err session_script(struct session *session, const char *sql)
{
    PGresult *result = PQexec(session->conn, sql);
    ExecStatusType status = PQresultStatus(result);
    bool done = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
    if (!done)
        session_say_error(session, result);
    PQclear(result);
    return done ? RB_OK : RB_ERR_REFUSED;
}

const char *session_value(const PGresult *result, int row, int column)
{
    return PQgetvalue(result, row, column);
}

enum rb_err session_connect(struct session *session, const struct call *call)
{
    /* What stands before dbname is only a default: the configured string wins. */
    const char *const keys[] = {"connect_timeout", "target_session_attrs",      "client_encoding",
                                "dbname",          "fallback_application_name", NULL};
    const char *const values[] = {"10", "read-write", "UTF8", call->config.database, "ringback", NULL};
    set_actor(session);
    session->conn = PQconnectdbParams(keys, values, 1);
    if (PQstatus(session->conn) != CONNECTION_OK) {
        const char *text = PQerrorMessage(session->conn);
        say("no connection to the database: %.*s; is it running, and is \"database\" in the configuration "
            "right?",
            first_line(text), text);
        return RB_ERR_AWAY;
    }
    PQsetNoticeReceiver(session->conn, on_notice, NULL);
    if (PQserverVersion(session->conn) < OLDEST_SERVER) {
        say("PostgreSQL 15 or newer is needed; this is %s",
            PQparameterStatus(session->conn, "server_version"));
        return RB_ERR_REFUSED;
    }
    return RB_OK;
}

enum rb_err session_take_role(struct session *session)
{
    PGresult *result = PQexec(session->conn, rb_sql_tool_session);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    enum rb_err err = RB_OK;
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        err = RB_ERR_REFUSED;
        if (state && strcmp(state, "22023") == 0)
            say("this database was never migrated; run: ringback migrate");
        else
            session_say_error(session, result);
    }
    PQclear(result);
    return err;
}

static void list_branches(const PGresult *branches, struct rb_buf *out)
{
    for (int i = 0; i < PQntuples(branches); i++)
        rb_buf_printf(out, "%s%s (%s)", i ? ", " : "", PQgetvalue(branches, i, 1),
                      PQgetvalue(branches, i, 2));
}

static void say_branches(const PGresult *branches, const char *code)
{
    struct rb_buf list;
    rb_buf_init(&list, LIST_CAP);
    list_branches(branches, &list);
    if (PQntuples(branches) == 0)
        say("there is no branch yet; run: ringback migrate");
    else if (code)
        say("there is no branch \"%s\"; there is: %s", code, list.data ? list.data : "");
    else
        say("there are several branches; name one with --branch CODE: %s", list.data ? list.data : "");
    rb_buf_deinit(&list);
}

enum rb_err session_choose_branch(struct session *session, const char *code)
{
    PGresult *branches = session_query(session, rb_sql_tool_branches, 0, NULL);
    if (!branches)
        return RB_ERR_REFUSED;
    int found = !code && PQntuples(branches) == 1 ? 0 : -1;
    for (int i = 0; code && i < PQntuples(branches); i++) {
        if (strcmp(PQgetvalue(branches, i, 1), code) == 0)
            found = i;
    }
    if (found >= 0) {
        session->branch_id = strdup(PQgetvalue(branches, found, 0));
        session->branch_code = strdup(PQgetvalue(branches, found, 1));
        if (!PQgetisnull(branches, found, 3))
            session->area_code = strdup(PQgetvalue(branches, found, 3));
    } else {
        say_branches(branches, code);
    }
    PQclear(branches);
    return found >= 0 ? RB_OK : RB_ERR_NOT_FOUND;
}

/* A new target gets what was stranded, with its links. */
static enum rb_err set_public_url(struct session *session, const struct call *call)
{
    const char *const values[] = {call->config.public_url};
    PGresult *result = session_query(session, rb_sql_tool_public_url, 1, values);
    enum rb_err err = result ? RB_OK : RB_ERR_REFUSED;
    PQclear(result);
    return err;
}

enum rb_err session_open(struct session *session, const struct call *call)
{
    enum rb_err err = session_connect(session, call);
    if (err == RB_OK)
        err = session_take_role(session);
    if (err == RB_OK)
        err = set_public_url(session, call);
    if (err == RB_OK)
        err = session_choose_branch(session, call->branch);
    return err;
}

void session_close(struct session *session)
{
    PQfinish(session->conn);
    free(session->branch_id);
    free(session->branch_code);
    free(session->area_code);
}
