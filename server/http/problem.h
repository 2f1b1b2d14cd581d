/*
 * Problem documents (RFC 9457) as text: one for a whole answer, or one inside an item of a batch.
 */
#ifndef RB_SERVER_HTTP_PROBLEM_H
#define RB_SERVER_HTTP_PROBLEM_H

#include "common/buf.h"

/* Appends {"type": "/problems/CODE", "title": …, "status": …, "detail": …, "errors": […]}; errors: JSON array
 * text or NULL. The title comes from a table by code, else from the status. */
void rb_problem_write(struct rb_buf *out, int status, const char *code, const char *detail,
                      const char *errors);

#endif
