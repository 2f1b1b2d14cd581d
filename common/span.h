/*
 * Where the parts of a JSON text lie, so that an event's data can be kept as it came. Works only on texts
 * that rb_json_parse has taken; decides nothing.
 */
#ifndef RB_COMMON_SPAN_H
#define RB_COMMON_SPAN_H

#include <stdbool.h>
#include <stddef.h>

struct rb_span {
    const char *text;
    size_t len;
};

/* The value of a member of the object in text; false when text is no object or has no such member (a key
 * spelled with escapes is not found). */
bool rb_span_member(struct rb_span text, const char *key, struct rb_span *value);

/* Goes through the items of the array in text: start with *at = 0; false behind the last one. */
bool rb_span_next(struct rb_span text, size_t *at, struct rb_span *item);

#endif
