/*
 * ringback import people|retailers|products|caps|calendar FILE.csv: one transaction, all of the file or
 * nothing. Rows are checked as they are read and copied into a temporary table; the functions of
 * schema/functions/5*.sql find what is wrong with them together and store them. Never changes a row that the
 * file does not change.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/ringback/command.h"
#include "tools/ringback/import_rows.h"
#include "tools/ringback/output.h"
#include "tools/ringback/progress.h"
#include "tools/ringback/say.h"
#include "tools/ringback/session.h"

#define PIECE 65536
#define MANY 1000 /* rows; from as many on the planner's statistics are renewed */

extern const char rb_sql_import_begin[], rb_sql_commit[];
extern const char rb_sql_import_lock[], rb_sql_import_copy[], rb_sql_import_analyze_incoming[];

struct import {
    const struct import_kind *kind;
    struct session session;
    const char *name; /* of the file, as it was given */
    FILE *file;
    double size; /* bytes; 0: unknown */
    struct import_faults faults;
    struct progress progress;
    const char *phase;
    char *columns; /* the file's own, as text[] */
};

static enum rb_err on_row(void *ctx, const char *data, size_t len)
{
    struct import *import = ctx;
    if (PQputCopyData(import->session.conn, data, (int)len) == 1)
        return RB_OK;
    session_say_error(&import->session, NULL);
    return RB_ERR_AWAY;
}

static void on_wait(void *ctx)
{
    struct import *import = ctx;
    progress_show(&import->progress, import->phase, -1);
}

static enum rb_err open_file(struct import *import)
{
    struct stat status;
    bool is_stdin = strcmp(import->name, "-") == 0;
    import->file = is_stdin ? stdin : fopen(import->name, "rb");
    if (!import->file) {
        say("cannot read %s: %s", import->name, strerror(errno));
        return RB_ERR_IO;
    }
    if (fstat(fileno(import->file), &status) == 0) {
        if (S_ISDIR(status.st_mode)) {
            say("cannot read %s: it is a folder", import->name);
            return RB_ERR_IO;
        }
        import->size = (double)status.st_size;
    }
    if (is_stdin)
        import->name = "stdin";
    return RB_OK;
}

static enum rb_err read_pieces(struct import *import, struct import_rows *rows)
{
    char *piece = malloc(PIECE);
    double done = 0;
    size_t len;
    enum rb_err err = piece ? RB_OK : RB_ERR_NOMEM;
    while (err == RB_OK && (len = fread(piece, 1, PIECE, import->file)) > 0) {
        err = import_rows_feed(rows, piece, len);
        done += (double)len;
        progress_show(&import->progress, "reading",
                      import->size > 0 && done <= import->size ? done / import->size : -1);
    }
    if (err == RB_OK && ferror(import->file)) {
        progress_clear(&import->progress);
        say("cannot read %s: %s", import->name, strerror(errno));
        err = RB_ERR_IO;
    }
    if (err == RB_OK)
        err = import_rows_feed(rows, NULL, 0);
    free(piece);
    return err;
}

static enum rb_err end_copy(struct import *import, enum rb_err err)
{
    PGconn *conn = import->session.conn;
    if (PQputCopyEnd(conn, err == RB_OK ? NULL : "given up") != 1) {
        session_say_error(&import->session, NULL);
        return RB_ERR_AWAY;
    }
    for (PGresult *result; (result = PQgetResult(conn)); PQclear(result)) {
        if (err == RB_OK && PQresultStatus(result) != PGRES_COMMAND_OK) {
            session_say_error(&import->session, result);
            err = RB_ERR_REFUSED;
        }
    }
    return err;
}

/* Reads the whole file into the staging table. */
static enum rb_err copy_rows(struct import *import)
{
    struct session *session = &import->session;
    struct import_rows *rows =
        import_rows_new(import->kind, session->area_code, &import->faults, on_row, import);
    if (!rows)
        return RB_ERR_NOMEM;
    PGresult *result = session_query(session, rb_sql_import_copy, 0, NULL);
    enum rb_err err = result ? RB_OK : RB_ERR_REFUSED;
    PQclear(result);
    if (err == RB_OK)
        err = end_copy(import, read_pieces(import, rows));
    if (err == RB_OK && !(import->columns = import_rows_columns(rows)))
        err = RB_ERR_NOMEM;
    import_rows_free(rows);
    return err;
}

/* What only the database or the file as a whole can tell. */
static enum rb_err ask_faults(struct import *import)
{
    char most[16];
    snprintf(most, sizeof(most), "%d", IMPORT_FAULTS_LISTED);
    const char *const values[] = {import->session.branch_id, import->columns, most};
    import->phase = "checking";
    PGresult *rows = session_query(&import->session, import->kind->faults_sql, 3, values);
    if (!rows)
        return RB_ERR_REFUSED;
    int n = PQntuples(rows);
    for (int i = 0; i < n; i++)
        import_faults_add(&import->faults, strtoul(PQgetvalue(rows, i, 0), NULL, 10), PQgetvalue(rows, i, 1),
                          PQgetvalue(rows, i, 2));
    if (n > 0)
        import_faults_count(&import->faults, strtoul(PQgetvalue(rows, 0, 3), NULL, 10) - (size_t)n);
    PQclear(rows);
    return RB_OK;
}

static enum rb_err stage(struct import *import)
{
    struct session *session = &import->session;
    const char *const values[] = {session->branch_id};
    enum rb_err err = session_script(session, rb_sql_import_begin);
    import->phase = "waiting";
    PGresult *lock = err == RB_OK ? session_query(session, rb_sql_import_lock, 1, values) : NULL;
    PQclear(lock);
    if (!lock)
        return RB_ERR_REFUSED;
    err = session_script(session, import->kind->table_sql);
    if (err == RB_OK)
        err = copy_rows(import);
    if (err == RB_OK)
        err = session_script(session, rb_sql_import_analyze_incoming);
    if (err == RB_OK)
        err = ask_faults(import);
    return err;
}

static void print_counts(const struct import *import, const PGresult *counts, bool json)
{
    static const char *const words[] = {"added", "changed", "removed", "unchanged"};
    if (json) {
        struct rb_buf out;
        rb_buf_init(&out, 4096);
        output_json_row(counts, 0, &out);
        printf("%s\n", out.data ? out.data : "");
        rb_buf_deinit(&out);
        return;
    }
    printf("%s:", import->kind->name);
    for (int i = 0; i < 4; i++) {
        if (i != 2 || strcmp(PQgetvalue(counts, 0, i), "0") != 0)
            printf("%s %s %s", i ? "," : "", PQgetvalue(counts, 0, i), words[i]);
    }
    printf("\n");
}

/* Statistics follow rows at their leisure; after a first load the daemon's next plan needs them at once. */
static enum rb_err renew_statistics(struct import *import, const PGresult *counts)
{
    long written = 0;
    for (int i = 0; i < 3; i++)
        written += strtol(PQgetvalue(counts, 0, i), NULL, 10);
    if (written < MANY)
        return RB_OK;
    import->phase = "counting";
    PGresult *result = session_query(&import->session, import->kind->analyze_sql, 0, NULL);
    PQclear(result);
    return result ? RB_OK : RB_ERR_REFUSED;
}

static enum rb_err store(struct import *import, bool json)
{
    const char *slash = strrchr(import->name, '/');
    const char *const values[] = {import->session.branch_id, import->columns, import->session.actor,
                                  slash ? slash + 1 : import->name};
    import->phase = "storing";
    PGresult *counts = session_query(&import->session, import->kind->apply_sql, 4, values);
    if (!counts)
        return RB_ERR_REFUSED;
    enum rb_err err = session_script(&import->session, rb_sql_commit);
    if (err == RB_OK)
        err = renew_statistics(import, counts);
    progress_clear(&import->progress);
    if (err == RB_OK)
        print_counts(import, counts, json);
    PQclear(counts);
    return err;
}

static int run_import(const struct call *call)
{
    struct import import = {.kind = import_kind_find(strchr(call->command->words, ' ') + 1),
                            .name = call->args[0]};
    progress_init(&import.progress);
    enum rb_err err = open_file(&import);
    if (err == RB_OK)
        err = session_open(&import.session, call);
    session_watch(&import.session, on_wait, &import);
    if (err == RB_OK)
        err = stage(&import);
    progress_clear(&import.progress);
    if (import.faults.total > 0) {
        import_faults_print(&import.faults, import.name);
        err = RB_ERR_INVALID;
    }
    if (err == RB_OK)
        err = store(&import, call->json);
    progress_clear(&import.progress);
    if (err == RB_ERR_NOMEM)
        say("there is no memory for it");
    session_close(&import.session); /* what was not committed is rolled back */
    if (import.file && import.file != stdin)
        fclose(import.file);
    import_faults_deinit(&import.faults);
    free(import.columns);
    return err == RB_OK ? ENDING_DONE : ENDING_REFUSED;
}

#define FILE_ARGUMENT .args = "FILE.csv", .least_args = 1, .most_args = 1, .json = true, .run = run_import
#define RULES                                                                                                \
    "All of the file or nothing. Rows not in the file stay; a column that the file has not stays as it is; " \
    "an "                                                                                                    \
    "empty cell clears. FILE \"-\" is standard input. Columns (the required ones first): "

const struct command import_commands[] = {
    {.words = "import people",
     FILE_ARGUMENT,
     .does = "Adds and changes people from a CSV file.",
     .more = RULES "code, name, role; phones, area, reports_to, deputy.",
     .example = "ringback import people people.csv"},
    {.words = "import retailers",
     FILE_ARGUMENT,
     .does = "Adds and changes retailers from a CSV file.",
     .more = RULES
     "code, name, phones, manager; area, route, order_day, tier, class, compliance, market_type, "
     "trade_type, business_circle, settlement, licence, legal_person, family, monthly_volume, address.",
     .example = "ringback import retailers retailers.csv"},
    {.words = "import products",
     FILE_ARGUMENT,
     .does = "Adds and changes products from a CSV file.",
     .more = RULES "code, name, price_fen; price_class, scarce, controlled, substitutes.",
     .example = "ringback import products products.csv"},
    {.words = "import caps",
     FILE_ARGUMENT,
     .does = "Replaces all caps by those of a CSV file.",
     .more = "All of the file or nothing; caps not in the file are removed. FILE \"-\" is standard input. "
             "Columns (the "
             "required ones first): product, cartons; tier, market_type, trade_type, area, class, retailer "
             "(empty: any).",
     .example = "ringback import caps caps.csv"},
    {.words = "import calendar",
     FILE_ARGUMENT,
     .does = "Replaces the working hours and holidays by those of a CSV file.",
     .more =
         "All of the file or nothing; a file without rows takes the calendar away. FILE \"-\" is standard "
         "input. Columns (the required ones first): what (weekly, holiday, workday, special), day "
         "(weekly: 1 Monday to 7 Sunday; else 2026-10-01); until (last day of a holiday), hours "
         "(08:30-11:30;13:30-17:30), follows (the weekday whose hours a make-up workday has), name, since "
         "(the day from which weekly hours hold).",
     .example = "ringback import calendar calendar.csv"},
    {0}};
