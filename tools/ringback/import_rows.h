/*
 * The rows of a file on their way into the staging table: CSV in, checked cells out as COPY text.
 */
#ifndef RB_TOOLS_RINGBACK_IMPORT_ROWS_H
#define RB_TOOLS_RINGBACK_IMPORT_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "tools/ringback/import_faults.h"
#include "tools/ringback/import_kind.h"

struct import_rows; /* opaque */

/* Takes one line of COPY text; anything but RB_OK ends the reading. */
typedef enum rb_err (*import_rows_sink_fn)(void *ctx, const char *data, size_t len);

/* area_code: the branch's, or NULL. Faults go to faults. All pointers are borrowed. */
struct import_rows *import_rows_new(const struct import_kind *kind, const char *area_code,
                                    struct import_faults *faults, import_rows_sink_fn sink, void *ctx);
void import_rows_free(struct import_rows *rows);

/* Feeds the file piece by piece; len 0 ends it. RB_ERR_INVALID: a fault after which nothing more can be read
 * (of the header, or of form). */
enum rb_err import_rows_feed(struct import_rows *rows, const char *data, size_t len) RB_MUST_CHECK;

/* The columns that the file has, as PostgreSQL reads text[]: "{code,name}"; the caller frees it. */
char *import_rows_columns(const struct import_rows *rows);

#endif
