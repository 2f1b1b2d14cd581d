/*
 * A password from whoever runs the tool, and its hash.
 */
#ifndef RB_TOOLS_RINGBACK_PASSWORD_H
#define RB_TOOLS_RINGBACK_PASSWORD_H

#include <sodium.h>
#include <stdbool.h>

#include "common/err.h"

#define PASSWORD_LEAST 8   /* characters */
#define PASSWORD_SIZE 1024 /* bytes, NUL included */

/* All of standard input, less its last line break; what says in a word what is read. What goes wrong is said.
 * The caller wipes it. */
enum rb_err secret_read(const char *what, char text[PASSWORD_SIZE]) RB_MUST_CHECK;

/* From standard input (all of it, less its last line break), or asked twice on the terminal without an echo.
 * What goes wrong is said. The caller wipes it. */
enum rb_err password_read(bool from_stdin, char password[PASSWORD_SIZE]) RB_MUST_CHECK;

/* Argon2id with 19 MiB and two passes, in libsodium's encoded form. */
enum rb_err password_hash(const char *password, char hash[crypto_pwhash_STRBYTES]) RB_MUST_CHECK;

#endif
