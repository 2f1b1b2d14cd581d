/*
 * Parameters of a statement in PostgreSQL's binary format: scalars and one-dimensional arrays, built up item
 * by item.
 */
#ifndef RB_SERVER_DB_PARAM_H
#define RB_SERVER_DB_PARAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rb_params; /* the parameters of one execution, in order */

struct rb_params *rb_params_new(void);
void rb_params_free(struct rb_params *params);

void rb_param_int(struct rb_params *params, int64_t value);                  /* bigint */
void rb_param_text(struct rb_params *params, const char *value);             /* NULL is null */
void rb_param_bytes(struct rb_params *params, const void *data, size_t len); /* bytea; data NULL is null */
void rb_param_bool(struct rb_params *params, bool value);
void rb_param_time(struct rb_params *params, int64_t wall_us); /* timestamptz */

/* An array: open it, add its items, open the next. Item functions add to the array opened last, which must be
 * of their kind. */
enum rb_array { RB_ARRAY_INT4, RB_ARRAY_INT8, RB_ARRAY_TEXT, RB_ARRAY_BYTEA, RB_ARRAY_BOOL, RB_ARRAY_TIME };
void rb_param_array(struct rb_params *params, enum rb_array kind);
void rb_item_int(struct rb_params *params, int64_t value);      /* INT4 or INT8 */
void rb_item_text(struct rb_params *params, const char *value); /* NULL is null */
void rb_item_text_n(struct rb_params *params, const char *value, size_t len);
void rb_item_bytes(struct rb_params *params, const void *data, size_t len);
void rb_item_bool(struct rb_params *params, bool value);
void rb_item_time(struct rb_params *params, int64_t wall_us);
void rb_item_null(struct rb_params *params);

#endif
