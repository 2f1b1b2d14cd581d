/*
 * One cell of an import: from the text in the file to the text that COPY takes, or the reason why not.
 */
#ifndef RB_TOOLS_RINGBACK_IMPORT_VALUE_H
#define RB_TOOLS_RINGBACK_IMPORT_VALUE_H

#include <stddef.h>

#include "common/buf.h"
#include "tools/ringback/import_kind.h"

#define IMPORT_WHY_SIZE 512

/* Cuts white space (also the ideographic and the non-breaking one) from both ends, in place. */
char *import_trim(char *text);

/*
 * Appends the cell as a field of COPY's text format, without a delimiter; nothing to say is \N. cell:
 * trimmed, valid UTF-8. area_code: completes local telephone numbers, or NULL. RB_ERR_INVALID: why tells the
 * reason, and \N was appended.
 */
enum rb_err import_value(const struct import_column *column, const char *cell, const char *area_code,
                         struct rb_buf *out, char why[IMPORT_WHY_SIZE]) RB_MUST_CHECK;

#endif
