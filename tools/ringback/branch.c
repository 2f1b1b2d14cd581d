/*
 * ringback branch add, set, list: the branches (the tenants) and their settings.
 */
#include <stdio.h>

#include "tools/ringback/command.h"
#include "tools/ringback/output.h"
#include "tools/ringback/say.h"
#include "tools/ringback/session.h"

enum { NAME, TIMEZONE, AREA_CODE, CYCLE_FIRST_DAY, DUTY_SUPERVISOR, SESSION_IDLE, SESSION_WHOLE };

extern const char rb_sql_tool_branch_add[], rb_sql_tool_branch_set[], rb_sql_tool_branch_list[];

static int run_add(const struct call *call)
{
    struct session session = {0};
    PGresult *result = NULL;
    const char *timezone = call->option[TIMEZONE] ? call->option[TIMEZONE] : call->config.timezone;
    if (call->branch)
        return usage("branch add takes the new branch's code as its argument, not --branch");
    if (session_connect(&session, call) == RB_OK && session_take_role(&session) == RB_OK) {
        const char *const values[] = {call->args[0],
                                      call->option[NAME],
                                      timezone,
                                      call->option[AREA_CODE],
                                      call->option[CYCLE_FIRST_DAY],
                                      session.actor};
        result = session_query(&session, rb_sql_tool_branch_add, 6, values);
    }
    if (result)
        printf("made branch %s\n", call->args[0]);
    int ending = result ? ENDING_DONE : ENDING_REFUSED;
    PQclear(result);
    session_close(&session);
    return ending;
}

static int run_set(const struct call *call)
{
    struct session session = {0};
    PGresult *result = NULL;
    bool any = false;
    for (int i = NAME; i <= SESSION_WHOLE; i++)
        any |= call->option[i] != NULL;
    if (!any)
        return usage("set what? see: ringback branch set --help");
    if (session_open(&session, call) == RB_OK) {
        const char *const values[] = {session.branch_id,
                                      call->option[NAME],
                                      call->option[TIMEZONE],
                                      call->option[AREA_CODE],
                                      call->option[CYCLE_FIRST_DAY],
                                      call->option[DUTY_SUPERVISOR],
                                      call->option[SESSION_IDLE],
                                      call->option[SESSION_WHOLE],
                                      session.actor};
        result = session_query(&session, rb_sql_tool_branch_set, 9, values);
    }
    int ending = result ? ENDING_DONE : ENDING_REFUSED;
    PQclear(result);
    session_close(&session);
    return ending;
}

static int run_list(const struct call *call)
{
    struct session session = {0};
    PGresult *rows = NULL;
    if (session_connect(&session, call) == RB_OK && session_take_role(&session) == RB_OK)
        rows = session_query(&session, rb_sql_tool_branch_list, 0, NULL);
    if (rows)
        output_rows(rows, call->json);
    int ending = rows ? ENDING_DONE : ENDING_REFUSED;
    PQclear(rows);
    session_close(&session);
    return ending;
}

#define SETTINGS                                                                                             \
    [TIMEZONE] = {"timezone", "ZONE", "IANA name, like Asia/Shanghai", false},                               \
    [AREA_CODE] = {"area-code", "CODE", "Completes local telephone numbers, like 0416", false},              \
    [CYCLE_FIRST_DAY] = {"cycle-first-day", "DAY",                                                           \
                         "Day on which an order cycle begins, 1 Monday to 7 Sunday", false}

const struct command branch_commands[] = {
    {.words = "branch add",
     .args = "CODE",
     .least_args = 1,
     .most_args = 1,
     .does = "Makes a branch with the default policy.",
     .example = "ringback branch add jinzhou --name 锦州 --area-code 0416",
     .options = {[NAME] = {"name", "NAME", "Its name", true}, SETTINGS},
     .run = run_add},
    {.words = "branch set",
     .does = "Changes settings of a branch.",
     .more = "An empty value clears a setting that may be empty.",
     .example = "ringback branch set --area-code 0416 --duty-supervisor S01",
     .options =
         {[NAME] = {"name", "NAME", "Its name", false},
          SETTINGS,
          [DUTY_SUPERVISOR] = {"duty-supervisor", "CODE",
                               "Who gets what has no other owner (default: the first supervisor by code)",
                               false},
          [SESSION_IDLE] = {"session-idle", "TIME",
                            "A log-in ends after so long without a request, like \"4 hours\"", false},
          [SESSION_WHOLE] = {"session-whole", "TIME", "A log-in ends after so long in any case", false}},
     .run = run_set},
    {.words = "branch list",
     .does = "Lists the branches with their settings.",
     .example = "ringback branch list",
     .json = true,
     .run = run_list},
    {0}};
