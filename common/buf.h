/*
 * A growing text buffer with a cap. It remembers failure: once an append did not fit, every later one does
 * nothing and rb_buf_err tells, so that a writer checks once at the end. Embed it; not opaque.
 */
#ifndef RB_COMMON_BUF_H
#define RB_COMMON_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct rb_buf {
    char *data; /* NUL-terminated when not NULL */
    size_t len;
    size_t size;
    size_t cap; /* most bytes of content, without the NUL */
    enum rb_err err;
};

void rb_buf_init(struct rb_buf *buf, size_t cap);
void rb_buf_deinit(struct rb_buf *buf);
/* Empties the content and the error, keeps the memory. */
void rb_buf_reset(struct rb_buf *buf);
void rb_buf_add(struct rb_buf *buf, const void *data, size_t len);
void rb_buf_str(struct rb_buf *buf, const char *text);
void rb_buf_char(struct rb_buf *buf, char c);
void rb_buf_int(struct rb_buf *buf, int64_t number);
void rb_buf_printf(struct rb_buf *buf, const char *fmt, ...) RB_PRINTF(2, 3);
/* Adds text as a JSON string with its quotes; text must be valid UTF-8. NULL adds null. */
void rb_buf_json(struct rb_buf *buf, const char *text);
void rb_buf_json_n(struct rb_buf *buf, const char *text, size_t len);
/* RB_OK, RB_ERR_NOMEM or RB_ERR_TOO_LARGE. */
enum rb_err rb_buf_err(const struct rb_buf *buf);
/* Gives the content away (malloc'ed, NUL-terminated, never NULL unless err); buf is then empty. */
char *rb_buf_take(struct rb_buf *buf, size_t *len);

#endif
