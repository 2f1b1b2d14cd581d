/*
 * The list of import_faults.h. Keeps the first 200 of each source, so that a file that is wrong in every line
 * costs no memory; the first 200 of all are among them.
 */
#include "tools/ringback/import_faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

static char *copy(const char *text)
{
    char *made = strdup(text);
    RB_INVARIANT(made != NULL);
    for (char *c = made; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    }
    return made;
}

static int by_line(const void *a, const void *b)
{
    const struct import_fault *left = a, *right = b;
    if (left->line != right->line)
        return left->line < right->line ? -1 : 1;
    int order = strcmp(left->column, right->column);
    return order ? order : strcmp(left->reason, right->reason);
}

void import_faults_add(struct import_faults *faults, size_t line, const char *column, const char *reason)
{
    faults->total++;
    if (faults->listed == sizeof(faults->list) / sizeof(faults->list[0]))
        return;
    faults->list[faults->listed++] =
        (struct import_fault){.line = line, .column = copy(column), .reason = copy(reason)};
}

void import_faults_count(struct import_faults *faults, size_t n)
{
    faults->total += n;
}

void import_faults_print(struct import_faults *faults, const char *file)
{
    size_t n = faults->listed < IMPORT_FAULTS_LISTED ? faults->listed : IMPORT_FAULTS_LISTED;
    qsort(faults->list, faults->listed, sizeof(faults->list[0]), by_line);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "%s:%zu: %s: %s\n", file, faults->list[i].line, faults->list[i].column,
                faults->list[i].reason);
    if (faults->total > n)
        fprintf(stderr, "%s: and %zu more\n", file, faults->total - n);
    fprintf(stderr, "ringback: %s has %zu fault%s; nothing was imported\n", file, faults->total,
            faults->total == 1 ? "" : "s");
}

void import_faults_deinit(struct import_faults *faults)
{
    for (size_t i = 0; i < faults->listed; i++) {
        free(faults->list[i].column);
        free(faults->list[i].reason);
    }
    faults->listed = 0;
}
