/*
 * The five files of the import as tables: which columns a file has, what a cell of each may hold, and the
 * statements that store it. import.c walks them; import_value.c reads cells by them.
 */
#ifndef RB_TOOLS_RINGBACK_IMPORT_KIND_H
#define RB_TOOLS_RINGBACK_IMPORT_KIND_H

#include <stdbool.h>
#include <stddef.h>

#define IMPORT_COLUMNS 20 /* most columns of a file */

enum import_form {
    FORM_CODE,   /* most: characters, none of them a control */
    FORM_TEXT,   /* the same, but it may have several lines */
    FORM_PHONES, /* separated by ";"; most: how many */
    FORM_CODES,  /* separated by ";"; most: how many */
    FORM_NUMBER, /* a whole one, least to most */
    FORM_FLAG,   /* true or false; empty is false */
    FORM_WORD,   /* one of words, which are separated by a space */
};

struct import_column {
    const char *name;
    enum import_form form;
    bool required;
    long least, most;
    const char *words;
};

struct import_kind {
    const char *name; /* "people" */
    struct import_column
        columns[IMPORT_COLUMNS]; /* in the order of the staging table; ends with a NULL name */
    /* Rows that refer to a faulty row by its code should not be faults as well, so its code is taken in. A
     * rule of the caps has no code, and without a condition it would be another rule. */
    bool take_faulty;
    const char *table_sql;   /* makes the staging table "incoming": line, then the columns */
    const char *faults_sql;  /* branch, columns of the file → line, column, reason, how many in all */
    const char *apply_sql;   /* branch, columns, actor, file → added, changed, removed, unchanged */
    const char *analyze_sql; /* fresh statistics, since the daemon's next plan should know of many new rows */
};

/* NULL: there is no such file. */
const struct import_kind *import_kind_find(const char *name);

/* What the header line made of a file's columns. */
struct import_header {
    size_t n;                  /* fields of the header line, and of every row */
    int place[IMPORT_COLUMNS]; /* for each column of the kind, its field in a row; -1: absent */
};

/* Called with each fault of the header: the column's name as the file has it, and the reason. */
typedef void (*import_header_fault_fn)(void *ctx, const char *column, const char *reason);

/* Matches the header's fields (trimmed by the caller) to the kind's columns; false when there was a fault. */
bool import_header_read(const struct import_kind *kind, char *const *fields, size_t n,
                        struct import_header *header, import_header_fault_fn on_fault, void *ctx);

#endif
