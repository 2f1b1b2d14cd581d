/*
 * ringback gateway add, list, retire: who may send events, each with a key that is shown once. Daemons take
 * changes over at once: the functions notify them.
 */
#include <stdio.h>

#include "tools/ringback/command.h"
#include "tools/ringback/output.h"
#include "tools/ringback/say.h"
#include "tools/ringback/secret.h"
#include "tools/ringback/session.h"

extern const char rb_sql_tool_gateway_add[], rb_sql_tool_gateway_list[], rb_sql_tool_gateway_retire[];

static int run_add(const struct call *call)
{
    struct session session = {0};
    struct secret secret = {0};
    PGresult *result = NULL;
    if (session_open(&session, call) == RB_OK && secret_make(call, &secret) == RB_OK) {
        const char *const values[] = {session.branch_id, call->args[0], secret.sealed, session.actor};
        result = session_query(&session, rb_sql_tool_gateway_add, 4, values);
    }
    if (result)
        printf("%s\n", secret.text);
    int ending = result ? ENDING_DONE : ENDING_REFUSED;
    PQclear(result);
    secret_deinit(&secret);
    session_close(&session);
    return ending;
}

static int run_list(const struct call *call)
{
    struct session session = {0};
    PGresult *rows = NULL;
    if (session_open(&session, call) == RB_OK) {
        const char *const values[] = {session.branch_id};
        rows = session_query(&session, rb_sql_tool_gateway_list, 1, values);
    }
    if (rows)
        output_rows(rows, call->json);
    int ending = rows ? ENDING_DONE : ENDING_REFUSED;
    PQclear(rows);
    session_close(&session);
    return ending;
}

static int run_retire(const struct call *call)
{
    struct session session = {0};
    PGresult *result = NULL;
    if (session_open(&session, call) == RB_OK) {
        const char *const values[] = {session.branch_id, call->args[0], session.actor};
        result = session_query(&session, rb_sql_tool_gateway_retire, 3, values);
    }
    int ending = result ? ENDING_DONE : ENDING_REFUSED;
    PQclear(result);
    session_close(&session);
    return ending;
}

const struct command gateway_commands[] = {
    {.words = "gateway add",
     .args = "NAME",
     .least_args = 1,
     .most_args = 1,
     .does = "Lets a gateway send events; prints its new key.",
     .more = "The key is shown only this once. It is the Bearer token, the password for Basic with NAME as "
             "user, and the signing secret.",
     .example = "ringback gateway add kamailio",
     .run = run_add},
    {.words = "gateway list",
     .does = "Lists the branch's gateways.",
     .example = "ringback gateway list --json",
     .json = true,
     .run = run_list},
    {.words = "gateway retire",
     .args = "NAME",
     .least_args = 1,
     .most_args = 1,
     .does = "Takes a gateway's key out of use.",
     .more = "Its name stays taken: the audit log and its events know it.",
     .example = "ringback gateway retire kamailio",
     .run = run_retire},
    {0}};
