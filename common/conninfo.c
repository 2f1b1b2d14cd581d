/*
 * Masks passwords in connection strings: used by --print-config and wherever a connection is named in a log.
 * Follows libpq's two grammars, but where libpq would find a fault this masks what is left.
 */
#include "common/conninfo.h"

#include <stdbool.h>
#include <string.h>

#define MASK "***"

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static const char *find_last(const char *from, const char *end, char c)
{
    return memrchr(from, c, (size_t)(end - from));
}

static bool contains(const char *from, size_t len, const char *word)
{
    return memmem(from, len, word, strlen(word)) != NULL;
}

/* Behind the "?" of a URI: a key written with percent signs may be a password in disguise. */
static void mask_parameters(struct rb_buf *out, const char *at)
{
    while (*at) {
        size_t pair = strcspn(at, "&"), key = strcspn(at, "=&");
        if (key < pair && (contains(at, key, "password") || contains(at, key, "%"))) {
            rb_buf_add(out, at, key + 1);
            rb_buf_str(out, MASK);
        } else {
            rb_buf_add(out, at, pair);
        }
        at += pair;
        if (*at)
            rb_buf_char(out, *at++);
    }
}

static void mask_uri(struct rb_buf *out, const char *uri)
{
    const char *start = strstr(uri, "://") + 3;
    const char *end = start + strcspn(start, "?");
    const char *at_sign = find_last(start, end, '@'); /* the last: an unescaped one may be in the password */
    const char *colon = at_sign ? memchr(start, ':', (size_t)(at_sign - start)) : NULL;
    if (colon) {
        rb_buf_add(out, uri, (size_t)(colon + 1 - uri));
        rb_buf_str(out, MASK);
        rb_buf_add(out, at_sign, (size_t)(end - at_sign));
    } else {
        rb_buf_add(out, uri, (size_t)(end - uri));
    }
    if (*end) {
        rb_buf_char(out, '?');
        mask_parameters(out, end + 1);
    }
}

/* Returns the end of a value: quoted, with a backslash before what is meant literally, or up to a blank. */
static const char *skip_value(const char *at)
{
    bool quoted = *at == '\'';
    if (quoted)
        at++;
    for (; *at && (quoted ? *at != '\'' : !is_blank(*at)); at++)
        if (*at == '\\' && at[1])
            at++;
    return quoted && *at ? at + 1 : at;
}

static void mask_pairs(struct rb_buf *out, const char *at)
{
    while (*at) {
        const char *start = at;
        while (is_blank(*at))
            at++;
        const char *key = at;
        while (*at && *at != '=' && !is_blank(*at))
            at++;
        size_t key_len = (size_t)(at - key);
        while (is_blank(*at))
            at++;
        if (*at != '=') { /* libpq would refuse it: who knows what stands here */
            rb_buf_add(out, start, (size_t)(key - start));
            if (key_len)
                rb_buf_str(out, MASK);
            return;
        }
        at++;
        while (is_blank(*at))
            at++;
        const char *value = at;
        at = skip_value(at);
        if (contains(key, key_len, "password")) {
            rb_buf_add(out, start, (size_t)(value - start));
            rb_buf_str(out, MASK);
        } else {
            rb_buf_add(out, start, (size_t)(at - start));
        }
    }
}

void rb_conninfo_mask(struct rb_buf *out, const char *conninfo)
{
    if (strncmp(conninfo, "postgresql://", 13) == 0 || strncmp(conninfo, "postgres://", 11) == 0)
        mask_uri(out, conninfo);
    else
        mask_pairs(out, conninfo);
}
