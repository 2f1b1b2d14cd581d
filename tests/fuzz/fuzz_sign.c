/* Fuzzes common/sign: input is secret, id, timestamp, signatures and body, a line each. What
 * is signed with a secret holds under it and under no other. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char known[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/* Cuts the next line off rest. */
static char *next_line(char **rest)
{
    char *line = *rest;
    size_t len = strcspn(line, "\n");
    *rest = line + len + (line[len] == '\n');
    line[len] = '\0';
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char out[RB_SIGNATURE_SIZE], stamp[24];
    char *text = malloc(size + 1);
    RB_INVARIANT(text);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    char *rest = text;
    char *secret = next_line(&rest), *id = next_line(&rest), *timestamp = next_line(&rest);
    char *signatures = next_line(&rest), *body = rest;
    size_t len = strlen(body);
    int64_t now = strtoll(timestamp, NULL, 10) & 0xffffffff;
    bool holds = rb_sign_verify(secret, id, timestamp, signatures, body, len, now);
    RB_INVARIANT(!holds || rb_secret_valid(secret));
    snprintf(stamp, sizeof(stamp), "%" PRId64, now);
    if (rb_sign(secret, id, now, body, len, out) == RB_OK) {
        RB_INVARIANT(rb_sign_verify(secret, id, stamp, out, body, len, now));
        /* HMAC fills a key with zeros: another key that only ends in more of them is the same one */
        if (strncmp(secret, known, strlen(known) - 4) != 0)
            RB_INVARIANT(!rb_sign_verify(known, id, stamp, out, body, len, now));
        if (strcmp(stamp, timestamp) == 0 && !strstr(signatures, out))
            RB_INVARIANT(!holds);
    }
    free(text);
    return 0;
}
