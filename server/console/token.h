/*
 * The token of a session: 32 random bytes, in base64url in the browser's cookie. The database has only its
 * hash; what shows that a change comes from the console's own pages is derived from it and kept nowhere.
 */
#ifndef RB_SERVER_CONSOLE_TOKEN_H
#define RB_SERVER_CONSOLE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RB_TOKEN_BYTES 32
#define RB_TOKEN_SIZE 44 /* characters, NUL included */
#define RB_TOKEN_HASH 32

void rb_token_make(char token[RB_TOKEN_SIZE]);
/* Takes len characters of text as a token; false when they are none. */
bool rb_token_read(const char *text, size_t len, char token[RB_TOKEN_SIZE]);
void rb_token_hash(const char token[RB_TOKEN_SIZE], uint8_t hash[RB_TOKEN_HASH]);
/* The value that a change must show beside the cookie. */
void rb_token_csrf(const char token[RB_TOKEN_SIZE], char csrf[RB_TOKEN_SIZE]);

#endif
