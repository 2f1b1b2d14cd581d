/*
 * A walk over the bytes of a JSON text that is known to be one: strings are skipped as a whole, brackets
 * counted.
 */
#include "common/span.h"

#include <string.h>

static size_t skip_space(struct rb_span t, size_t at)
{
    while (at < t.len &&
           (t.text[at] == ' ' || t.text[at] == '\t' || t.text[at] == '\n' || t.text[at] == '\r'))
        at++;
    return at;
}

static size_t skip_string(struct rb_span t, size_t at)
{
    for (at++; at < t.len && t.text[at] != '"'; at++)
        if (t.text[at] == '\\')
            at++;
    return at + 1;
}

/* From the first byte of a value to the first behind it. */
static size_t skip_value(struct rb_span t, size_t at)
{
    int depth = 0;
    while (at < t.len) {
        char c = t.text[at];
        if (c == '"') {
            at = skip_string(t, at);
        } else if (c == '{' || c == '[') {
            depth++;
            at++;
        } else if (depth && (c == '}' || c == ']')) {
            depth--;
            at++;
        } else if (!depth && strchr(",}] \t\r\n", c)) {
            return at;
        } else {
            at++;
            if (depth || (at < t.len && !strchr(",}] \t\r\n", t.text[at])))
                continue;
        }
        if (!depth)
            return at;
    }
    return at;
}

bool rb_span_member(struct rb_span text, const char *key, struct rb_span *value)
{
    size_t key_len = strlen(key);
    size_t at = skip_space(text, 0);
    if (at >= text.len || text.text[at] != '{')
        return false;
    at = skip_space(text, at + 1);
    while (at < text.len && text.text[at] == '"') {
        size_t name = at + 1;
        at = skip_string(text, at);
        bool found = at >= name + 1 && at - 1 - name == key_len && !memcmp(text.text + name, key, key_len);
        at = skip_space(text, skip_space(text, at) + 1);
        size_t end = skip_value(text, at);
        if (found) {
            *value = (struct rb_span){.text = text.text + at, .len = end - at};
            return true;
        }
        at = skip_space(text, end);
        if (at < text.len && text.text[at] == ',')
            at = skip_space(text, at + 1);
    }
    return false;
}

bool rb_span_next(struct rb_span text, size_t *at, struct rb_span *item)
{
    size_t pos = skip_space(text, *at);
    if (*at == 0 && pos < text.len && text.text[pos] == '[')
        pos = skip_space(text, pos + 1);
    else if (pos < text.len && text.text[pos] == ',')
        pos = skip_space(text, pos + 1);
    if (pos >= text.len || text.text[pos] == ']')
        return false;
    size_t end = skip_value(text, pos);
    *item = (struct rb_span){.text = text.text + pos, .len = end - pos};
    *at = end;
    return true;
}
