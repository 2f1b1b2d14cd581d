/*
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing beyond U+10FFFF. Used wherever bytes
 * from outside become text: logs, CSV, telephone numbers, problem documents.
 */
#ifndef RB_COMMON_UTF8_H
#define RB_COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A check that is fed byte by byte; all zero at the start. */
struct rb_utf8 {
    uint8_t missing;   /* bytes that the character still lacks */
    uint8_t low, high; /* what the next of them may be */
};

/* False when byte cannot follow. */
bool rb_utf8_step(struct rb_utf8 *state, unsigned char byte);

/* Reads one character: returns its bytes (1 to 4) and writes its code, or 0 when none of len bytes starts one
 * that is whole. */
size_t rb_utf8_decode(const char *text, size_t len, uint32_t *code);
bool rb_utf8_valid(const char *text, size_t len);
/* Number of characters (code points) of valid text. */
size_t rb_utf8_length(const char *text, size_t len);

#endif
