/*
 * Tokens of token.h. Pure but for the random bytes.
 */
#include "server/console/token.h"

#include <sodium.h>
#include <string.h>

#include "common/err.h"

static void write_text(const uint8_t bytes[RB_TOKEN_BYTES], char text[RB_TOKEN_SIZE])
{
    RB_INVARIANT(sodium_base64_ENCODED_LEN(RB_TOKEN_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING) ==
                 RB_TOKEN_SIZE);
    sodium_bin2base64(text, RB_TOKEN_SIZE, bytes, RB_TOKEN_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

void rb_token_make(char token[RB_TOKEN_SIZE])
{
    uint8_t bytes[RB_TOKEN_BYTES];
    randombytes_buf(bytes, sizeof(bytes));
    write_text(bytes, token);
    sodium_memzero(bytes, sizeof(bytes));
}

bool rb_token_read(const char *text, size_t len, char token[RB_TOKEN_SIZE])
{
    uint8_t bytes[RB_TOKEN_BYTES];
    size_t count = 0;
    if (len != RB_TOKEN_SIZE - 1 ||
        sodium_base642bin(bytes, sizeof(bytes), text, len, NULL, &count, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        count != RB_TOKEN_BYTES)
        return false;
    memcpy(token, text, len);
    token[len] = '\0';
    return true;
}

void rb_token_hash(const char token[RB_TOKEN_SIZE], uint8_t hash[RB_TOKEN_HASH])
{
    crypto_generichash(hash, RB_TOKEN_HASH, (const unsigned char *)token, RB_TOKEN_SIZE - 1, NULL, 0);
}

void rb_token_csrf(const char token[RB_TOKEN_SIZE], char csrf[RB_TOKEN_SIZE])
{
    static const unsigned char purpose[] = "ringback csrf";
    uint8_t bytes[RB_TOKEN_BYTES];
    crypto_generichash(bytes, sizeof(bytes), purpose, sizeof(purpose) - 1, (const unsigned char *)token,
                       RB_TOKEN_SIZE - 1);
    write_text(bytes, csrf);
}
