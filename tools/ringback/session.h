/*
 * The tool's one connection to PostgreSQL, as the owner of the schema, and the branch it works in. Statements
 * run one after the other and wait; what goes wrong is said on stderr, in one line with what to do, before a
 * function returns.
 */
#ifndef RB_TOOLS_RINGBACK_SESSION_H
#define RB_TOOLS_RINGBACK_SESSION_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "tools/ringback/command.h"

struct session {
    PGconn *conn;
    char actor[80]; /* "tool:USER", for the audit log */
    /* The branch, once session_choose_branch chose it: */
    char *branch_id; /* as text, the way statements take it */
    char *branch_code;
    char *area_code; /* NULL: none set */
    void (*watch)(void *ctx);
    void *watch_ctx;
};

/* Connects, and nothing more: for migrate, which makes the roles. */
enum rb_err session_connect(struct session *session, const struct call *call) RB_MUST_CHECK;
/* Takes the owner's role and the schema; refused with a hint when the database is not migrated. */
enum rb_err session_take_role(struct session *session) RB_MUST_CHECK;
/* The branch that --branch names, else the only one. */
enum rb_err session_choose_branch(struct session *session, const char *code) RB_MUST_CHECK;
/* All three. */
enum rb_err session_open(struct session *session, const struct call *call) RB_MUST_CHECK;
/* Takes a session that was never opened, too, if it is all zero. */
void session_close(struct session *session);

/* Runs one statement with n texts as parameters (NULL is null). NULL: it failed. The caller clears it. */
PGresult *session_query(struct session *session, const char *sql, int n,
                        const char *const *values) RB_MUST_CHECK;
/* From now on fn is called about five times a second while session_query waits; NULL: no more. */
void session_watch(struct session *session, void (*fn)(void *ctx), void *ctx);
/* Runs a script of statements without parameters. */
enum rb_err session_script(struct session *session, const char *sql) RB_MUST_CHECK;
/* Says why the last statement failed. */
void session_say_error(struct session *session, const PGresult *result);
/* A value, "" for null. */
const char *session_value(const PGresult *result, int row, int column);

#endif
