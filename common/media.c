/*
 * Media types by RFC 9110 section 8.3: type/subtype and parameters, whose values may be quoted. Called by
 * whoever takes a body.
 */
#include "common/media.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static bool is(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && !strncasecmp(text, word, len);
}

/* Walks over one "; name=value"; false when it is none. A charset other than UTF-8 clears *utf8. */
static bool parameter(const char **at, bool *utf8)
{
    const char *p = *at + strspn(*at, " \t");
    if (*p != ';')
        return false;
    p += 1 + strspn(p + 1, " \t");
    size_t name = strcspn(p, "=; \t");
    if (!name && !*p) {
        *at = p; /* a lone semicolon at the end */
        return true;
    }
    if (!name || p[name] != '=')
        return false;
    const char *value = p + name + 1;
    size_t len;
    if (*value == '"') {
        value++;
        len = strcspn(value, "\"");
        if (value[len] != '"')
            return false;
        *at = value + len + 1;
    } else {
        len = strcspn(value, "; \t");
        *at = value + len;
    }
    if (is(p, name, "charset") && !is(value, len, "utf-8"))
        *utf8 = false;
    return true;
}

bool rb_media_is(const char *content_type, const char *type)
{
    bool utf8 = true;
    if (!content_type)
        return false;
    size_t len = strcspn(content_type, "; \t");
    const char *at = content_type + len;
    while (at[strspn(at, " \t")])
        if (!parameter(&at, &utf8))
            return false;
    return utf8 && is(content_type, len, type);
}
