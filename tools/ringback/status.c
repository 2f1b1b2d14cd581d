/*
 * ringback status: is everything well? Asks the database, the daemon's readiness, and each branch's promises
 * and outbox. Changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ringback/command.h"
#include "tools/ringback/daemon.h"
#include "tools/ringback/migrate.h"
#include "tools/ringback/output.h"
#include "tools/ringback/say.h"
#include "tools/ringback/session.h"

#define OUTPUT_CAP (16u << 20)

extern const char rb_sql_tool_status_database[], rb_sql_tool_status_branches[];

struct status {
    PGresult *database;
    PGresult *branches;
    unsigned applied, pending;
    struct daemon daemon;
    bool ready;
    char daemon_says[640];
};

static void ask_daemon(struct status *status, const struct call *call)
{
    bool refused = false;
    long code = 0;
    if (daemon_open(&status->daemon, &call->config) == RB_OK)
        code = daemon_get(&status->daemon, "/readyz", &refused);
    status->ready = code == 200;
    if (status->ready)
        snprintf(status->daemon_says, sizeof(status->daemon_says), "ready");
    else if (code != 0)
        snprintf(status->daemon_says, sizeof(status->daemon_says), "not ready (%ld)", code);
    else
        snprintf(status->daemon_says, sizeof(status->daemon_says), "does not answer: %s", status->daemon.why);
}

static enum rb_err ask_database(struct status *status, struct session *session, const struct call *call)
{
    const char *const values[] = {call->branch};
    enum rb_err err = migrate_count(session, &status->applied, &status->pending);
    if (err != RB_OK)
        return err;
    status->database = session_query(session, rb_sql_tool_status_database, 0, NULL);
    if (status->database)
        status->branches = session_query(session, rb_sql_tool_status_branches, 1, values);
    if (!status->branches)
        return RB_ERR_REFUSED;
    return call->branch && PQntuples(status->branches) == 0 ? session_choose_branch(session, call->branch)
                                                            : RB_OK;
}

/* {"open": 3, "overdue": 1} as "3 open, 1 overdue". */
static void print_counts(const char *label, const char *json)
{
    printf("  %-12s", label);
    for (const char *c = json, *comma = ""; (c = strchr(c, '"')); comma = ",") {
        const char *name = c + 1, *end = strchr(name, '"');
        const char *number = end + 1 + strspn(end + 1, " :");
        printf("%s %.*s ", comma, (int)strspn(number, "0123456789"), number);
        for (; name < end; name++)
            putchar(*name == '_' ? ' ' : *name);
        c = number;
    }
    printf("\n");
}

static void print_branch(const PGresult *rows, int row)
{
    printf("branch %s (%s)\n", PQgetvalue(rows, row, 0), PQgetvalue(rows, row, 1));
    printf("  %-12s", "has");
    for (int c = 2; c < 8; c++)
        printf("%s %s %s", c > 2 ? "," : "", PQgetvalue(rows, row, c), PQfname(rows, c));
    printf("\n");
    print_counts("follow-ups", PQgetvalue(rows, row, 8));
    print_counts("outbox", PQgetvalue(rows, row, 9));
}

static void print_text(const struct status *status, const char *url)
{
    printf("database       PostgreSQL %s, \"%s\", %.1f MiB, %s connections of daemons\n",
           PQgetvalue(status->database, 0, 0), PQgetvalue(status->database, 0, 1),
           strtod(PQgetvalue(status->database, 0, 2), NULL) / 1048576, PQgetvalue(status->database, 0, 3));
    if (status->pending > 0)
        printf("migrations     %u applied, %u scripts to run: ringback migrate\n", status->applied,
               status->pending);
    else
        printf("migrations     %u applied, up to date\n", status->applied);
    printf("daemon         %s%s%s\n", url, *url ? " " : "", status->daemon_says);
    for (int i = 0; i < PQntuples(status->branches); i++)
        print_branch(status->branches, i);
}

static void print_json(const struct status *status, const char *url)
{
    struct rb_buf out;
    rb_buf_init(&out, OUTPUT_CAP);
    rb_buf_str(&out, "{\"database\": ");
    output_json_row(status->database, 0, &out);
    rb_buf_printf(&out, ",\n \"migrations\": {\"applied\": %u, \"pending\": %u},\n \"daemon\": {\"url\": ",
                  status->applied, status->pending);
    rb_buf_json(&out, url);
    rb_buf_printf(&out, ", \"ready\": %s, \"says\": ", status->ready ? "true" : "false");
    rb_buf_json(&out, status->daemon_says);
    rb_buf_str(&out, "},\n \"branches\": [");
    for (int i = 0; i < PQntuples(status->branches); i++) {
        rb_buf_str(&out, i ? ",\n  " : "");
        output_json_row(status->branches, i, &out);
    }
    rb_buf_str(&out, "]}\n");
    fputs(out.data ? out.data : "", stdout);
    rb_buf_deinit(&out);
}

static int run_status(const struct call *call)
{
    struct session session = {0};
    struct status status = {0};
    curl_global_init(CURL_GLOBAL_DEFAULT);
    enum rb_err err = session_connect(&session, call);
    if (err == RB_OK)
        err = session_take_role(&session);
    if (err == RB_OK)
        err = ask_database(&status, &session, call);
    if (err == RB_OK) {
        ask_daemon(&status, call);
        if (call->json)
            print_json(&status, status.daemon.url);
        else
            print_text(&status, status.daemon.url);
    }
    daemon_close(&status.daemon);
    curl_global_cleanup();
    PQclear(status.database);
    PQclear(status.branches);
    session_close(&session);
    return err == RB_OK ? ENDING_DONE : ENDING_REFUSED;
}

const struct command status_commands[] = {{.words = "status",
                                           .json = true,
                                           .does = "Shows how database, daemon and branches are.",
                                           .more = "All branches, or the one that --branch names. Overdue "
                                                   "are promises whose time is over before anybody "
                                                   "reached the retailer; stranded are notifications for "
                                                   "which nobody in the line has a target. Refused (1) "
                                                   "when the database does not answer.",
                                           .example = "ringback status --json",
                                           .run = run_status},
                                          {0}};
