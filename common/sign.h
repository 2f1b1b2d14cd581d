/*
 * Standard Webhooks signatures (https://www.standardwebhooks.com, version 1): base64 HMAC-SHA256 over
 * "id.timestamp.body" with the bytes behind "whsec_" as key. Used to check gateways and to sign
 * notifications.
 */
#ifndef RB_COMMON_SIGN_H
#define RB_COMMON_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define RB_SECRET_BYTES 32    /* random bytes in a secret that we make */
#define RB_SECRET_SIZE 96     /* most characters of a printed secret, NUL included */
#define RB_SIGNATURE_SIZE 64  /* "v1," and 44 characters, NUL included */
#define RB_SIGN_TOLERANCE 300 /* seconds that a timestamp may be off, either way */

/* Makes a new printed secret: "whsec_" and base64 of RB_SECRET_BYTES random bytes. */
void rb_secret_make(char out[RB_SECRET_SIZE]);

/* Checks that text is a printed secret ("whsec_" and base64 of 24 to 64 bytes). */
bool rb_secret_valid(const char *text);

/* Signs a body. secret: printed form. timestamp: seconds since 1970. RB_ERR_INVALID when the secret is not
 * one. */
enum rb_err rb_sign(const char *secret, const char *id, int64_t timestamp, const void *body, size_t len,
                    char out[RB_SIGNATURE_SIZE]) RB_MUST_CHECK;

/*
 * Checks a received signature in constant time. timestamp: the header's text; signatures: the header's text,
 * several separated by spaces, versions other than v1 ignored; now: seconds since 1970. True when one holds
 * and the time is within RB_SIGN_TOLERANCE.
 */
bool rb_sign_verify(const char *secret, const char *id, const char *timestamp, const char *signatures,
                    const void *body, size_t len, int64_t now);

#endif
