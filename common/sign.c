/*
 * Standard Webhooks signatures of common/sign.h, by libsodium. Called for gateways' requests and for each
 * attempt of a notification. Keeps no secret: the decoded key is wiped before a function returns.
 */
#include "common/sign.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "whsec_"
#define VERSION_MARK "v1,"
#define KEY_MIN 24
#define KEY_MAX 64
#define TIMESTAMP_DIGITS 15 /* far beyond any clock, and no overflow */

/* RB_SIGNATURE_SIZE counts the mark, 44 characters of base64 and the NUL, with room to spare. */
_Static_assert(sizeof(VERSION_MARK) + sodium_base64_ENCODED_LEN(crypto_auth_hmacsha256_BYTES,
                                                                sodium_base64_VARIANT_ORIGINAL) <=
                   RB_SIGNATURE_SIZE,
               "a signature fits");
_Static_assert(sizeof(PREFIX) + sodium_base64_ENCODED_LEN(KEY_MAX, sodium_base64_VARIANT_ORIGINAL) <=
                   RB_SECRET_SIZE,
               "a secret fits");

static bool decode_secret(const char *secret, uint8_t key[KEY_MAX], size_t *len)
{
    size_t prefix = sizeof(PREFIX) - 1;
    if (strncmp(secret, PREFIX, prefix) != 0)
        return false;
    const char *text = secret + prefix;
    return sodium_base642bin(key, KEY_MAX, text, strlen(text), NULL, len, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           *len >= KEY_MIN;
}

/* timestamp is the text as it stands in the header, since that is what was signed. */
static bool sign_text(const char *secret, const char *id, const char *timestamp, const void *body, size_t len,
                      char out[RB_SIGNATURE_SIZE])
{
    uint8_t key[KEY_MAX], mac[crypto_auth_hmacsha256_BYTES];
    size_t key_len, mark = sizeof(VERSION_MARK) - 1;
    crypto_auth_hmacsha256_state state;
    if (!decode_secret(secret, key, &key_len))
        return false;
    crypto_auth_hmacsha256_init(&state, key, key_len);
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)id, strlen(id));
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)".", 1);
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)timestamp, strlen(timestamp));
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)".", 1);
    crypto_auth_hmacsha256_update(&state, body, len);
    crypto_auth_hmacsha256_final(&state, mac);
    memcpy(out, VERSION_MARK, mark);
    sodium_bin2base64(out + mark, RB_SIGNATURE_SIZE - mark, mac, sizeof(mac), sodium_base64_VARIANT_ORIGINAL);
    sodium_memzero(key, sizeof(key));
    sodium_memzero(&state, sizeof(state));
    return true;
}

static bool read_timestamp(const char *text, int64_t *seconds)
{
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > TIMESTAMP_DIGITS || text[len])
        return false;
    *seconds = strtoll(text, NULL, 10);
    return true;
}

/* True when one of the signatures, separated by spaces, is the wanted one. Looks at all of them, whichever
 * holds. */
static bool any_equals(const char *signatures, const char *want)
{
    size_t want_len = strlen(want);
    bool found = false;
    while (*signatures) {
        size_t len = strcspn(signatures, " ");
        if (len == want_len && sodium_memcmp(signatures, want, len) == 0)
            found = true;
        signatures += len;
        signatures += strspn(signatures, " ");
    }
    return found;
}

void rb_secret_make(char out[RB_SECRET_SIZE])
{
    uint8_t key[RB_SECRET_BYTES];
    size_t prefix = sizeof(PREFIX) - 1;
    RB_INVARIANT(sodium_init() >= 0);
    randombytes_buf(key, sizeof(key));
    memcpy(out, PREFIX, prefix);
    sodium_bin2base64(out + prefix, RB_SECRET_SIZE - prefix, key, sizeof(key),
                      sodium_base64_VARIANT_ORIGINAL);
    sodium_memzero(key, sizeof(key));
}

bool rb_secret_valid(const char *text)
{
    uint8_t key[KEY_MAX];
    size_t len;
    bool valid = decode_secret(text, key, &len);
    sodium_memzero(key, sizeof(key));
    return valid;
}

enum rb_err rb_sign(const char *secret, const char *id, int64_t timestamp, const void *body, size_t len,
                    char out[RB_SIGNATURE_SIZE])
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, timestamp);
    return sign_text(secret, id, text, body, len, out) ? RB_OK : RB_ERR_INVALID;
}

bool rb_sign_verify(const char *secret, const char *id, const char *timestamp, const char *signatures,
                    const void *body, size_t len, int64_t now)
{
    char want[RB_SIGNATURE_SIZE];
    int64_t sent;
    if (!read_timestamp(timestamp, &sent) || sent < now - RB_SIGN_TOLERANCE || sent > now + RB_SIGN_TOLERANCE)
        return false;
    if (!sign_text(secret, id, timestamp, body, len, want))
        return false;
    return any_equals(signatures, want);
}
