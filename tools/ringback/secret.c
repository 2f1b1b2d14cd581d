/*
 * Secrets of secret.h. Keeps none: the caller prints the text once and wipes it.
 */
#include "tools/ringback/secret.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/seal.h"
#include "tools/ringback/say.h"

static char *bytea_text(const uint8_t *bytes, size_t len)
{
    char *text = malloc(2 + 2 * len + 1);
    if (text) {
        memcpy(text, "\\x", 2);
        sodium_bin2hex(text + 2, 2 * len + 1, bytes, len);
    }
    return text;
}

static enum rb_err open_key(const struct call *call, struct rb_seal **seal)
{
    const char *path = call->config.secret_key_file;
    enum rb_err err = rb_seal_open(path, seal);
    if (err == RB_ERR_INVALID)
        say("%s is no key, or others may read it (mode 0600 is wanted)", path);
    else if (err != RB_OK)
        say("cannot open the key in %s: %s; set secret_key_file or state_dir, or run this as the daemon's "
            "user",
            path, strerror(errno));
    return err;
}

enum rb_err secret_seal(const struct call *call, const char *text, char **sealed)
{
    struct rb_seal *seal = NULL;
    uint8_t *box = NULL;
    size_t len = 0;
    *sealed = NULL;
    enum rb_err err = open_key(call, &seal);
    if (err != RB_OK)
        return err;
    err = rb_seal_close(seal, text, &box, &len);
    if (err == RB_OK && !(*sealed = bytea_text(box, len)))
        err = RB_ERR_NOMEM;
    if (err != RB_OK)
        say("cannot seal the secret: %s", rb_err_name(err));
    free(box);
    rb_seal_free(seal);
    return err;
}

enum rb_err secret_make(const struct call *call, struct secret *secret)
{
    *secret = (struct secret){0};
    rb_secret_make(secret->text);
    return secret_seal(call, secret->text, &secret->sealed);
}

void secret_deinit(struct secret *secret)
{
    sodium_memzero(secret->text, sizeof(secret->text));
    free(secret->sealed);
    secret->sealed = NULL;
}
