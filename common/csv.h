/*
 * CSV of RFC 4180 as it comes in: UTF-8, an optional BOM, LF or CRLF, quoted fields with doubled quotes and
 * line breaks. Fed piece by piece; calls back once a record. Knows nothing of columns.
 */
#ifndef RB_COMMON_CSV_H
#define RB_COMMON_CSV_H

#include <stddef.h>

#include "common/err.h"

#define RB_CSV_FIELDS 64          /* most fields in a record */
#define RB_CSV_RECORD_BYTES 65536 /* most bytes in a record */

struct rb_csv; /* opaque */

/* fields: n NUL-terminated texts, borrowed until the callback returns. line: where the record starts, the
 * first is 1. Returns anything but RB_OK to stop; rb_csv_feed then returns it. */
typedef enum rb_err (*rb_csv_record_fn)(void *ctx, size_t line, char **fields, size_t n);

struct rb_csv *rb_csv_new(rb_csv_record_fn on_record, void *ctx);
void rb_csv_free(struct rb_csv *csv);
/* Feeds bytes. RB_ERR_INVALID: a fault of form (stray quote, bad UTF-8, NUL, bare CR, unended quote),
 * RB_ERR_TOO_LARGE: a record over the limits; rb_csv_why says what, rb_csv_line where. Empty lines are passed
 * over. */
enum rb_err rb_csv_feed(struct rb_csv *csv, const char *data, size_t len) RB_MUST_CHECK;
/* Ends the text: the last record may lack its line break. */
enum rb_err rb_csv_end(struct rb_csv *csv) RB_MUST_CHECK;
size_t rb_csv_line(const struct rb_csv *csv);
const char *rb_csv_why(const struct rb_csv *csv);

#endif
