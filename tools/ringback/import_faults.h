/*
 * The faults of one file: gathered while it is read and checked, then listed by line.
 */
#ifndef RB_TOOLS_RINGBACK_IMPORT_FAULTS_H
#define RB_TOOLS_RINGBACK_IMPORT_FAULTS_H

#include <stddef.h>

#define IMPORT_FAULTS_LISTED 200 /* most faults that are listed; the rest is counted */

struct import_fault {
    size_t line;
    char *column;
    char *reason;
};

struct import_faults {
    struct import_fault list[2 * IMPORT_FAULTS_LISTED]; /* of the cells, and of the database */
    size_t listed;
    size_t total;
};

/* column: "-" when it is the row as a whole. Keeps copies. Each source adds its own in order of lines, and
 * those beyond its first IMPORT_FAULTS_LISTED by import_faults_count only. */
void import_faults_add(struct import_faults *faults, size_t line, const char *column, const char *reason);
void import_faults_count(struct import_faults *faults, size_t n);
/* Writes "FILE:LINE: column: reason" lines to stderr, and how many there are. */
void import_faults_print(struct import_faults *faults, const char *file);
void import_faults_deinit(struct import_faults *faults);

#endif
