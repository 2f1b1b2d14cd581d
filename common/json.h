/*
 * What Ringback asks of JSON beyond Jansson: refusing texts before they cost memory, reading numbers as
 * doubles only (RFC 8785 section 3.2.2.3), and a hash of a value that does not depend on spelling.
 */
#ifndef RB_COMMON_JSON_H
#define RB_COMMON_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define RB_JSON_DEPTH 32 /* nesting of arrays and objects in one document, the outermost counted */
#define RB_JSON_VALUES                                                                                       \
    131072 /* values in one document; beyond that parsing would cost more memory than we lend */
#define RB_HASH_SIZE 16

/*
 * Parses one JSON text (any value at the top). Every number comes as a JSON real. Refuses duplicate keys, NUL
 * in strings, lone surrogates, invalid UTF-8, numbers beyond a double, trailing bytes and deeper nesting than
 * RB_JSON_DEPTH with RB_ERR_INVALID, more than RB_JSON_VALUES values with RB_ERR_TOO_LARGE. why (size bytes)
 * then says what and where in English. The caller owns *out.
 */
enum rb_err rb_json_parse(const char *text, size_t len, json_t **out, char *why, size_t size) RB_MUST_CHECK;

/*
 * Hash (BLAKE2b) of type and value: equal for equal JSON values whatever their spacing, escapes, key order
 * and spelling of numbers. value may be NULL (absent), which differs from null.
 */
enum rb_err rb_json_hash(const char *type, const json_t *value, uint8_t out[RB_HASH_SIZE]) RB_MUST_CHECK;

/* True when value is a real that is a whole number between lo and hi; writes it to *out. */
bool rb_json_whole(const json_t *value, int64_t lo, int64_t hi, int64_t *out);

#endif
