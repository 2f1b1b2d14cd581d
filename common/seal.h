/*
 * Sealing of stored secrets with libsodium's secretbox under the key in secret_key_file: gateways' keys and
 * targets' signing secrets must be read back to make or check signatures, so they are encrypted, not hashed.
 * File format: 64 hexadecimal digits and a newline, mode 0600.
 */
#ifndef RB_COMMON_SEAL_H
#define RB_COMMON_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct rb_seal; /* holds the key in guarded memory */

/*
 * Reads the key file, making it first when it is not there (exclusively, so two processes end with one key;
 * folders above it are made with mode 0700). RB_ERR_INVALID when the file is no key or others may read it,
 * RB_ERR_IO with errno else.
 */
enum rb_err rb_seal_open(const char *path, struct rb_seal **out) RB_MUST_CHECK;
void rb_seal_free(struct rb_seal *seal);

/* Seals text into nonce and box, *out malloc'ed (caller frees). */
enum rb_err rb_seal_close(const struct rb_seal *seal, const char *text, uint8_t **out,
                          size_t *len) RB_MUST_CHECK;
/* Opens what rb_seal_close made; *out malloc'ed, NUL-terminated. RB_ERR_INVALID: sealed under another key or
 * damaged. */
enum rb_err rb_seal_reveal(const struct rb_seal *seal, const uint8_t *box, size_t len,
                           char **out) RB_MUST_CHECK;

#endif
