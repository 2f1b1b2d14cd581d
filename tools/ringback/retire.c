/*
 * ringback person|retailer|product retire, person hand-over: who or what is no longer there. Nothing is ever
 * deleted, since what was written about it stays; an import that names it brings it back.
 */
#include <stdio.h>

#include "tools/ringback/command.h"
#include "tools/ringback/say.h"
#include "tools/ringback/session.h"

extern const char rb_sql_tool_person_retire[], rb_sql_tool_retailer_retire[], rb_sql_tool_product_retire[],
    rb_sql_tool_person_hand_over[];

static int retire(const struct call *call, const char *sql)
{
    struct session session = {0};
    PGresult *result = NULL;
    if (session_open(&session, call) == RB_OK) {
        const char *const values[] = {session.branch_id, call->args[0], session.actor};
        result = session_query(&session, sql, 3, values);
    }
    int ending = result ? ENDING_DONE : ENDING_REFUSED;
    PQclear(result);
    session_close(&session);
    return ending;
}

static int run_person(const struct call *call)
{
    return retire(call, rb_sql_tool_person_retire);
}

static int run_retailer(const struct call *call)
{
    return retire(call, rb_sql_tool_retailer_retire);
}

static int run_product(const struct call *call)
{
    return retire(call, rb_sql_tool_product_retire);
}

enum { HAND_OVER_RETIRE, HAND_OVER_REASON };

static int run_hand_over(const struct call *call)
{
    struct session session = {0};
    PGresult *result = NULL;
    if (session_open(&session, call) == RB_OK) {
        const char *const values[] = {session.branch_id,
                                      call->args[0],
                                      call->args[1],
                                      call->option[HAND_OVER_RETIRE] ? "true" : "false",
                                      call->option[HAND_OVER_REASON],
                                      session.actor};
        result = session_query(&session, rb_sql_tool_person_hand_over, 6, values);
    }
    if (result)
        printf("%s\n", session_value(result, 0, 0));
    int ending = result ? ENDING_DONE : ENDING_REFUSED;
    PQclear(result);
    session_close(&session);
    return ending;
}

#define CODE_ARGUMENT .args = "CODE", .least_args = 1, .most_args = 1

const struct command retire_commands[] = {
    {.words = "person retire",
     CODE_ARGUMENT,
     .does = "Takes somebody out who no longer works here.",
     .more = "He logs in no more, and what is meant for him goes up the line. Refused while he has "
             "retailers. An import "
             "that names him brings him back.",
     .example = "ringback person retire AM01",
     .run = run_person},
    {.words = "person hand-over",
     .args = "CODE TO",
     .least_args = 2,
     .most_args = 2,
     .options = {[HAND_OVER_RETIRE] = {.name = "retire", .help = "he works here no more"},
                 [HAND_OVER_REASON] = {.name = "reason", .value = "TEXT", .help = "for the history"}},
     .does = "Gives everything that waits for somebody to another person.",
     .more =
         "Retailers, follow-ups that are not closed, requests and tasks, and whose deputy and superior he "
         "is: all or nothing. Prints how much it was.",
     .example = "ringback person hand-over AM01 AM02 --retire",
     .run = run_hand_over},
    {.words = "retailer retire",
     CODE_ARGUMENT,
     .does = "Takes a shop out that is closed.",
     .more = "It orders no more; its history stays. An import that names it brings it back.",
     .example = "ringback retailer retire 41000001",
     .run = run_retailer},
    {.words = "product retire",
     CODE_ARGUMENT,
     .does = "Takes a product out that is sold no more.",
     .more = "Orders of it are refused; those that were taken stay. An import that names it brings it back.",
     .example = "ringback product retire 1101",
     .run = run_product},
    {0}};
