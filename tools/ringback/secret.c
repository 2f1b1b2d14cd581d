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

enum rb_err secret_make(const struct call *call, struct secret *secret)
{
    const char *path = call->config.secret_key_file;
    struct rb_seal *seal = NULL;
    uint8_t *box = NULL;
    size_t len = 0;
    *secret = (struct secret){0};
    enum rb_err err = rb_seal_open(path, &seal);
    if (err == RB_ERR_INVALID)
        say("%s is no key, or others may read it (mode 0600 is wanted)", path);
    else if (err != RB_OK)
        say("cannot open the key in %s: %s; set secret_key_file or state_dir, or run this as the daemon's "
            "user",
            path, strerror(errno));
    if (err != RB_OK)
        return err;
    rb_secret_make(secret->text);
    err = rb_seal_close(seal, secret->text, &box, &len);
    if (err == RB_OK && !(secret->sealed = bytea_text(box, len)))
        err = RB_ERR_NOMEM;
    if (err != RB_OK)
        say("cannot seal the secret: %s", rb_err_name(err));
    free(box);
    rb_seal_free(seal);
    return err;
}

void secret_deinit(struct secret *secret)
{
    sodium_memzero(secret->text, sizeof(secret->text));
    free(secret->sealed);
    secret->sealed = NULL;
}
