/*
 * ringback user add, password, disable, list: who may log in to the console.
 */
#include <stdio.h>

#include "tools/ringback/command.h"
#include "tools/ringback/output.h"
#include "tools/ringback/password.h"
#include "tools/ringback/say.h"
#include "tools/ringback/session.h"

enum { ROLE, PERSON, ADD_PASSWORD_STDIN };
enum { PASSWORD_STDIN };

extern const char rb_sql_tool_user_add[], rb_sql_tool_user_change[], rb_sql_tool_user_list[];

/* Asks only once the database answered: nobody types a password twice for nothing. */
static enum rb_err open_and_hash(struct session *session, const struct call *call, bool from_stdin,
                                 char hash[crypto_pwhash_STRBYTES])
{
    char password[PASSWORD_SIZE];
    enum rb_err err = session_open(session, call);
    if (err == RB_OK)
        err = password_read(from_stdin, password);
    if (err == RB_OK)
        err = password_hash(password, hash);
    sodium_memzero(password, sizeof(password));
    return err;
}

static int run_add(const struct call *call)
{
    struct session session = {0};
    char hash[crypto_pwhash_STRBYTES];
    PGresult *result = NULL;
    if (open_and_hash(&session, call, call->option[ADD_PASSWORD_STDIN] != NULL, hash) == RB_OK) {
        const char *const values[] = {session.branch_id,    call->args[0], call->option[ROLE],
                                      call->option[PERSON], hash,          session.actor};
        result = session_query(&session, rb_sql_tool_user_add, 6, values);
    }
    int ending = result ? ENDING_DONE : ENDING_REFUSED;
    PQclear(result);
    session_close(&session);
    return ending;
}

static int run_password(const struct call *call)
{
    struct session session = {0};
    char hash[crypto_pwhash_STRBYTES];
    PGresult *result = NULL;
    if (open_and_hash(&session, call, call->option[PASSWORD_STDIN] != NULL, hash) == RB_OK) {
        const char *const values[] = {session.branch_id, call->args[0], hash, "false", session.actor};
        result = session_query(&session, rb_sql_tool_user_change, 5, values);
    }
    int ending = result ? ENDING_DONE : ENDING_REFUSED;
    PQclear(result);
    session_close(&session);
    return ending;
}

static int run_disable(const struct call *call)
{
    struct session session = {0};
    PGresult *result = NULL;
    if (session_open(&session, call) == RB_OK) {
        const char *const values[] = {session.branch_id, call->args[0], NULL, "true", session.actor};
        result = session_query(&session, rb_sql_tool_user_change, 5, values);
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
    if (session_open(&session, call) == RB_OK) {
        const char *const values[] = {session.branch_id};
        rows = session_query(&session, rb_sql_tool_user_list, 1, values);
    }
    if (rows)
        output_rows(rows, call->json);
    int ending = rows ? ENDING_DONE : ENDING_REFUSED;
    PQclear(rows);
    session_close(&session);
    return ending;
}

#define FROM_STDIN                                                                                           \
    {                                                                                                        \
        "password-stdin", NULL, "Take the password from standard input instead of asking for it", false      \
    }

const struct command user_commands[] = {
    {.words = "user add",
     .args = "NAME",
     .least_args = 1,
     .most_args = 1,
     .does = "Lets somebody log in to the console.",
     .more = "The password is asked for on the terminal, at least 8 characters. ROLE is operator, "
             "account_manager, "
             "market_manager, supervisor, deliverer, inspector or administrator.",
     .example = "ringback user add wang --role account_manager --person AM01",
     .options = {[ROLE] = {"role", "ROLE", "What he may do", true},
                 [PERSON] = {"person", "CODE", "Who he is among the branch's people", false},
                 [ADD_PASSWORD_STDIN] = FROM_STDIN},
     .run = run_add},
    {.words = "user password",
     .args = "NAME",
     .least_args = 1,
     .most_args = 1,
     .does = "Gives a user a new password; enables him again.",
     .example = "ringback user password wang",
     .options = {[PASSWORD_STDIN] = FROM_STDIN},
     .run = run_password},
    {.words = "user disable",
     .args = "NAME",
     .least_args = 1,
     .most_args = 1,
     .does = "Lets a user log in no more.",
     .example = "ringback user disable wang",
     .run = run_disable},
    {.words = "user list",
     .does = "Lists the users of the branch.",
     .example = "ringback user list",
     .json = true,
     .run = run_list},
    {0}};
