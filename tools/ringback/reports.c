/*
 * ringback person reports: which supervisors see reports of offences, besides inspectors.
 */
#include "tools/ringback/command.h"
#include "tools/ringback/say.h"
#include "tools/ringback/session.h"

extern const char rb_sql_tool_person_reports[];

static int run(const struct call *call)
{
    struct session session = {0};
    PGresult *result = NULL;
    if (session_open(&session, call) == RB_OK) {
        const char *const values[] = {session.branch_id, call->args[0], call->args[1], session.actor};
        result = session_query(&session, rb_sql_tool_person_reports, 4, values);
    }
    int ending = result ? ENDING_DONE : ENDING_REFUSED;
    PQclear(result);
    session_close(&session);
    return ending;
}

const struct command reports_commands[] = {
    {.words = "person reports",
     .args = "CODE on|off",
     .least_args = 2,
     .most_args = 2,
     .does = "Names a supervisor who sees reports of offences, and is told of them, or no longer.",
     .more = "Inspectors see them anyway, and nobody else does.",
     .example = "ringback person reports S01 on",
     .run = run},
    {0}};
