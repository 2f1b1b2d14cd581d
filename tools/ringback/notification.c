/*
 * ringback notification list, resend: what did not get through, and once more by hand.
 */
#include <stdio.h>
#include <string.h>

#include "tools/ringback/command.h"
#include "tools/ringback/output.h"
#include "tools/ringback/say.h"
#include "tools/ringback/session.h"

enum { FAILED };

extern const char rb_sql_tool_notification_list[], rb_sql_tool_notification_resend[];

static int run_list(const struct call *call)
{
    struct session session = {0};
    PGresult *rows = NULL;
    if (session_open(&session, call) == RB_OK) {
        const char *const values[] = {session.branch_id};
        rows = session_query(&session, rb_sql_tool_notification_list, 1, values);
    }
    if (rows)
        output_rows(rows, call->json);
    int ending = rows ? ENDING_DONE : ENDING_REFUSED;
    PQclear(rows);
    session_close(&session);
    return ending;
}

static bool is_uuid(const char *text)
{
    return strlen(text) == 36 && strspn(text, "0123456789abcdefABCDEF-") == 36;
}

static int run_resend(const struct call *call)
{
    struct session session = {0};
    PGresult *result = NULL;
    const char *id = call->n_args ? call->args[0] : NULL;
    if ((id != NULL) == (call->option[FAILED] != NULL))
        return usage("name one notification, or all that failed with --failed");
    if (id && !is_uuid(id))
        return refuse("\"%s\" is no notification's id; ringback notification list shows them", id);
    if (session_open(&session, call) == RB_OK) {
        const char *const values[] = {session.branch_id, session.actor, id};
        result = session_query(&session, rb_sql_tool_notification_resend, 3, values);
    }
    int ending = result ? ENDING_DONE : ENDING_REFUSED;
    if (result && id && strcmp(PQgetvalue(result, 0, 0), "0") == 0)
        ending = refuse("there is no failed notification %s", id);
    else if (result)
        printf("%s to be sent again\n", PQgetvalue(result, 0, 0));
    PQclear(result);
    session_close(&session);
    return ending;
}

const struct command notification_commands[] = {
    {.words = "notification list",
     .does = "Lists notifications that failed or are stranded.",
     .more = "At most 1,000, the oldest first. Failed: tried for three days; resend tries again. Stranded: "
             "nobody in "
             "the line of command has a target; they go out by themselves once somebody has one.",
     .example = "ringback notification list",
     .json = true,
     .run = run_list},
    {.words = "notification resend",
     .args = "[ID]",
     .most_args = 1,
     .does = "Tries failed notifications for another three days.",
     .example = "ringback notification resend --failed",
     .options = {[FAILED] = {"failed", NULL, "All of the branch that failed", false}},
     .run = run_resend},
    {0}};
