/*
 * Sealing of common/seal.h. The key file is made under another name and then linked to its own, so that a
 * reader never sees half a key and of two makers one wins. Never overwrites a key file: without its key every
 * stored secret would be lost.
 */
#include "common/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_BYTES crypto_secretbox_KEYBYTES
#define KEY_TEXT ((size_t)(2 * KEY_BYTES)) /* hexadecimal */
#define EXTRA (crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES)

struct rb_seal {
    uint8_t key[KEY_BYTES];
};

/* Makes the folders above path; those that are there stay as they are. */
static enum rb_err make_folders(const char *path)
{
    char *folder = strdup(path);
    enum rb_err err = RB_OK;
    if (!folder)
        return RB_ERR_NOMEM;
    for (char *slash = strchr(folder + 1, '/'); slash && err == RB_OK; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(folder, 0700) && errno != EEXIST)
            err = RB_ERR_IO;
        *slash = '/';
    }
    int saved = errno;
    free(folder);
    errno = saved;
    return err;
}

/* A name in the folder must be on disk before a secret is sealed under its key. */
static enum rb_err sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    if (!folder)
        return RB_ERR_NOMEM;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd < 0)
        return RB_ERR_IO;
    enum rb_err err = fsync(fd) ? RB_ERR_IO : RB_OK;
    int saved = errno;
    close(fd);
    errno = saved;
    return err;
}

static enum rb_err write_key(int fd)
{
    uint8_t key[KEY_BYTES];
    char text[KEY_TEXT + 2];
    randombytes_buf(key, sizeof(key));
    sodium_bin2hex(text, sizeof(text), key, sizeof(key));
    text[KEY_TEXT] = '\n';
    ssize_t n = write(fd, text, KEY_TEXT + 1);
    enum rb_err err = RB_OK;
    if (n != (ssize_t)KEY_TEXT + 1) {
        err = RB_ERR_IO;
        if (n >= 0)
            errno = ENOSPC;
    } else if (fsync(fd)) {
        err = RB_ERR_IO;
    }
    sodium_memzero(key, sizeof(key));
    sodium_memzero(text, sizeof(text));
    return err;
}

/* RB_OK also when another process was faster. */
static enum rb_err make_key_file(const char *path)
{
    char *draft = NULL;
    enum rb_err err = make_folders(path);
    if (err != RB_OK)
        return err;
    if (asprintf(&draft, "%s.XXXXXX", path) < 0)
        return RB_ERR_NOMEM;
    int fd = mkostemp(draft, O_CLOEXEC); /* mode 0600 */
    if (fd < 0) {
        err = RB_ERR_IO;
        goto out;
    }
    err = write_key(fd);
    if (err == RB_OK && link(draft, path) && errno != EEXIST)
        err = RB_ERR_IO;
    int saved = errno;
    close(fd);
    unlink(draft);
    errno = saved;
    if (err == RB_OK)
        err = sync_folder(path);
out:
    saved = errno;
    free(draft);
    errno = saved;
    return err;
}

static enum rb_err read_key(int fd, uint8_t key[KEY_BYTES])
{
    char text[KEY_TEXT + 2]; /* with the newline, and one more to see a file that is too long */
    struct stat info;
    size_t len = 0, key_len = 0;
    if (fstat(fd, &info))
        return RB_ERR_IO;
    if (!S_ISREG(info.st_mode) || (info.st_mode & 077))
        return RB_ERR_INVALID;
    for (ssize_t n = 1; n > 0 && len < sizeof(text); len += (size_t)n) {
        n = read(fd, text + len, sizeof(text) - len);
        if (n < 0)
            return RB_ERR_IO;
    }
    bool shaped = len == KEY_TEXT + 1 && text[KEY_TEXT] == '\n' &&
                  sodium_hex2bin(key, KEY_BYTES, text, KEY_TEXT, NULL, &key_len, NULL) == 0 &&
                  key_len == KEY_BYTES;
    sodium_memzero(text, sizeof(text));
    return shaped ? RB_OK : RB_ERR_INVALID;
}

/* Opens without waiting, should the file be a pipe. */
static int open_key_file(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

enum rb_err rb_seal_open(const char *path, struct rb_seal **out)
{
    RB_INVARIANT(sodium_init() >= 0);
    enum rb_err err = RB_OK;
    int fd = open_key_file(path);
    if (fd < 0 && errno == ENOENT) {
        err = make_key_file(path);
        if (err != RB_OK)
            return err;
        fd = open_key_file(path);
    }
    if (fd < 0)
        return RB_ERR_IO;
    struct rb_seal *seal = sodium_malloc(sizeof(*seal));
    err = seal ? read_key(fd, seal->key) : RB_ERR_NOMEM;
    int saved = errno;
    close(fd);
    if (err == RB_OK) {
        sodium_mprotect_readonly(seal);
        *out = seal;
    } else {
        sodium_free(seal);
    }
    errno = saved;
    return err;
}

void rb_seal_free(struct rb_seal *seal)
{
    sodium_free(seal); /* wipes it */
}

enum rb_err rb_seal_close(const struct rb_seal *seal, const char *text, uint8_t **out, size_t *len)
{
    size_t text_len = strlen(text);
    uint8_t *box = malloc(EXTRA + text_len);
    if (!box)
        return RB_ERR_NOMEM;
    randombytes_buf(box, crypto_secretbox_NONCEBYTES);
    crypto_secretbox_easy(box + crypto_secretbox_NONCEBYTES, (const uint8_t *)text, text_len, box, seal->key);
    *out = box;
    *len = EXTRA + text_len;
    return RB_OK;
}

enum rb_err rb_seal_reveal(const struct rb_seal *seal, const uint8_t *box, size_t len, char **out)
{
    if (len < EXTRA)
        return RB_ERR_INVALID;
    size_t text_len = len - EXTRA;
    char *text = malloc(text_len + 1);
    if (!text)
        return RB_ERR_NOMEM;
    if (crypto_secretbox_open_easy((uint8_t *)text, box + crypto_secretbox_NONCEBYTES,
                                   len - crypto_secretbox_NONCEBYTES, box, seal->key)) {
        free(text);
        return RB_ERR_INVALID;
    }
    text[text_len] = '\0';
    *out = text;
    return RB_OK;
}
