/*
 * Rows of a result on stdout: in columns for people, as JSON for scripts.
 */
#ifndef RB_TOOLS_RINGBACK_OUTPUT_H
#define RB_TOOLS_RINGBACK_OUTPUT_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "common/buf.h"

/* Prints all rows: a line of names and one line a row, or a JSON array of objects. */
void output_rows(const PGresult *rows, bool json);
/* Appends one row as a JSON object: numbers, booleans and JSON as such, null for null, else strings. */
void output_json_row(const PGresult *rows, int row, struct rb_buf *out);

#endif
