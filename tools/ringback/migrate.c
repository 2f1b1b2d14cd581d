/*
 * ringback migrate: brings the schema to what this program needs. Every script is embedded; a migration runs
 * once, in a transaction with its entry in the register, and never changes afterwards; the functions are
 * replaced together whenever one of them changed. An advisory lock makes two at once take turns. Never goes
 * backwards.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/schema.h"
#include "tools/ringback/command.h"
#include "tools/ringback/migrate.h"
#include "tools/ringback/say.h"
#include "tools/ringback/session.h"

#define CHECKSUM_BYTES 32
#define CHECKSUM_SIZE (2 * CHECKSUM_BYTES + 1)
#define NAME_SIZE 128
#define FIRST_BRANCH "main" /* its code and name when nobody says otherwise */

enum { OPTION_NAME };

extern const char rb_sql_begin[], rb_sql_commit[], rb_sql_rollback[];
extern const char rb_sql_bootstrap[];
extern const char rb_sql_migrate_try_lock[], rb_sql_migrate_lock[];
extern const char rb_sql_migrate_applied[], rb_sql_migrate_record[], rb_sql_migrate_branch[];

static void checksum_of(const char *sql, char out[CHECKSUM_SIZE])
{
    unsigned char hash[CHECKSUM_BYTES];
    crypto_generichash(hash, sizeof(hash), (const unsigned char *)sql, strlen(sql), NULL, 0);
    sodium_bin2hex(out, CHECKSUM_SIZE, hash, sizeof(hash));
}

/* The checksum with which a script ran here, or NULL. */
static const char *applied_checksum(const PGresult *applied, const char *name)
{
    for (int i = 0; i < PQntuples(applied); i++) {
        if (strcmp(PQgetvalue(applied, i, 0), name) == 0)
            return PQgetvalue(applied, i, 1);
    }
    return NULL;
}

/* Functions share the register with the migrations, under names of their own. */
static void function_name(const struct rb_script *script, char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, "functions/%s", script->name);
}

static bool is_function(const char *name)
{
    return strncmp(name, "functions/", 10) == 0;
}

static bool is_known(const char *name)
{
    if (is_function(name)) /* one that is gone is a migration's to drop */
        return true;
    for (const struct rb_script *script = rb_migrations; script->name; script++) {
        if (strcmp(script->name, name) == 0)
            return true;
    }
    return false;
}

/* Refuses a database that is newer than this program, and migrations that changed after they ran. */
static enum rb_err check_applied(const PGresult *applied)
{
    for (int i = 0; i < PQntuples(applied); i++) {
        if (!is_known(PQgetvalue(applied, i, 0))) {
            say("the database has migration %s, which this program (" RB_VERSION
                ") does not know: use a newer one",
                PQgetvalue(applied, i, 0));
            return RB_ERR_REFUSED;
        }
    }
    for (const struct rb_script *script = rb_migrations; script->name; script++) {
        const char *was = applied_checksum(applied, script->name);
        char is[CHECKSUM_SIZE];
        checksum_of(script->sql, is);
        if (was && strcmp(was, is) != 0) {
            say("migration %s is not what ran here (checksum %.12s, was %.12s): migrations only go forward",
                script->name, is, was);
            return RB_ERR_REFUSED;
        }
    }
    return RB_OK;
}

static enum rb_err take_lock(struct session *session)
{
    PGresult *taken = session_query(session, rb_sql_migrate_try_lock, 0, NULL);
    if (!taken)
        return RB_ERR_REFUSED;
    bool mine = strcmp(PQgetvalue(taken, 0, 0), "t") == 0;
    PQclear(taken);
    if (mine)
        return RB_OK;
    say("another \"ringback migrate\" is at work; waiting for it");
    taken = session_query(session, rb_sql_migrate_lock, 0, NULL);
    PQclear(taken);
    return taken ? RB_OK : RB_ERR_REFUSED;
}

static enum rb_err record(struct session *session, const char *name, const char *sql)
{
    char checksum[CHECKSUM_SIZE];
    checksum_of(sql, checksum);
    const char *const values[] = {name, checksum};
    PGresult *result = session_query(session, rb_sql_migrate_record, 2, values);
    PQclear(result);
    return result ? RB_OK : RB_ERR_REFUSED;
}

static enum rb_err run_script(struct session *session, const char *name, const char *sql)
{
    if (session_script(session, sql) == RB_OK && record(session, name, sql) == RB_OK)
        return RB_OK;
    say("%s failed and was rolled back", name);
    return RB_ERR_REFUSED;
}

static enum rb_err end_transaction(struct session *session, enum rb_err err)
{
    if (err == RB_OK)
        return session_script(session, rb_sql_commit);
    return session_script(session, rb_sql_rollback) == RB_OK ? err : RB_ERR_REFUSED;
}

static enum rb_err run_migrations(struct session *session, const PGresult *applied, unsigned *n)
{
    for (const struct rb_script *script = rb_migrations; script->name; script++) {
        if (applied_checksum(applied, script->name))
            continue;
        enum rb_err err = session_script(session, rb_sql_begin);
        if (err == RB_OK)
            err = end_transaction(session, run_script(session, script->name, script->sql));
        if (err != RB_OK)
            return err;
        printf("applied %s\n", script->name);
        (*n)++;
    }
    return RB_OK;
}

static unsigned functions_changed(const PGresult *applied)
{
    unsigned n = 0;
    for (const struct rb_script *script = rb_functions; script->name; script++) {
        char name[NAME_SIZE], checksum[CHECKSUM_SIZE];
        function_name(script, name);
        checksum_of(script->sql, checksum);
        const char *was = applied_checksum(applied, name);
        n += !was || strcmp(was, checksum) != 0;
    }
    return n;
}

enum rb_err migrate_count(struct session *session, unsigned *applied, unsigned *pending)
{
    PGresult *rows = session_query(session, rb_sql_migrate_applied, 0, NULL);
    if (!rows)
        return RB_ERR_REFUSED;
    *applied = 0;
    *pending = functions_changed(rows);
    for (const struct rb_script *script = rb_migrations; script->name; script++) {
        bool ran = applied_checksum(rows, script->name) != NULL;
        *applied += ran;
        *pending += !ran;
    }
    PQclear(rows);
    return RB_OK;
}

/* All of them, since they call one another: a reader sees the old set or the new one. */
static enum rb_err replace_functions(struct session *session)
{
    enum rb_err err = session_script(session, rb_sql_begin);
    if (err != RB_OK)
        return err;
    for (const struct rb_script *script = rb_functions; err == RB_OK && script->name; script++) {
        char name[NAME_SIZE];
        function_name(script, name);
        err = run_script(session, name, script->sql);
    }
    return end_transaction(session, err);
}

static enum rb_err run_scripts(struct session *session, unsigned *n)
{
    PGresult *applied = session_query(session, rb_sql_migrate_applied, 0, NULL);
    if (!applied)
        return RB_ERR_REFUSED;
    enum rb_err err = check_applied(applied);
    if (err == RB_OK)
        err = run_migrations(session, applied, n);
    if (err == RB_OK && (*n > 0 || functions_changed(applied) > 0)) {
        err = replace_functions(session);
        if (err == RB_OK) {
            printf("replaced the functions\n");
            (*n)++;
        }
    }
    PQclear(applied);
    return err;
}

static enum rb_err make_first_branch(struct session *session, const struct call *call, unsigned *n)
{
    const char *code = call->branch ? call->branch : FIRST_BRANCH;
    const char *name = call->option[OPTION_NAME] ? call->option[OPTION_NAME] : code;
    const char *const values[] = {code, name, call->config.timezone, session->actor};
    PGresult *result = session_query(session, rb_sql_migrate_branch, 4, values);
    if (!result)
        return RB_ERR_REFUSED;
    bool made = strcmp(PQgetvalue(result, 0, 0), "t") == 0,
         there = strcmp(PQgetvalue(result, 0, 1), "t") == 0;
    PQclear(result);
    if (made) {
        printf("made branch %s\n", code);
        (*n)++;
    } else if (call->branch && !there) {
        say("there are branches, but no \"%s\"; make it with: ringback branch add %s --name NAME", code,
            code);
        return RB_ERR_REFUSED;
    }
    return RB_OK;
}

static enum rb_err check_encoding(struct session *session)
{
    const char *encoding = PQparameterStatus(session->conn, "server_encoding");
    if (encoding && strcmp(encoding, "UTF8") == 0)
        return RB_OK;
    say("the database's encoding is %s; make one with: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
        encoding ? encoding : "unknown");
    return RB_ERR_REFUSED;
}

static int run_migrate(const struct call *call)
{
    struct session session = {0};
    unsigned n = 0;
    enum rb_err err = session_connect(&session, call);
    if (err == RB_OK)
        err = check_encoding(&session);
    if (err == RB_OK)
        err = take_lock(&session);
    if (err == RB_OK)
        err = session_script(&session, rb_sql_bootstrap);
    if (err == RB_OK)
        err = session_take_role(&session);
    if (err == RB_OK)
        err = run_scripts(&session, &n);
    if (err == RB_OK)
        err = make_first_branch(&session, call, &n);
    if (err == RB_OK && n == 0)
        printf("nothing to do\n");
    session_close(&session);
    return err == RB_OK ? ENDING_DONE : ENDING_REFUSED;
}

const struct command migrate_commands[] = {
    {.words = "migrate",
     .does = "Brings the schema up to date; makes the first branch.",
     .more = "May be run again, and by two at once. --branch CODE gives the first branch's code "
             "(default: " FIRST_BRANCH ").",
     .example = "ringback migrate --branch jinzhou --name 锦州",
     .options = {[OPTION_NAME] = {"name", "NAME", "The first branch's name (default: its code)", false}},
     .run = run_migrate},
    {0}};
