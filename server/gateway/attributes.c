/*
 * Reads attributes; what they must be is the event's to check.
 */
#include "server/gateway/attributes.h"

#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

static const char *const names[] = {"ce-specversion", "ce-type", "ce-source", "ce-id", "ce-time"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "a \"b\"" to a "b"; texts that are not quoted as a whole stay. */
static void unquote(char *text)
{
    size_t len = strlen(text);
    char *to = text;
    if (len < 2 || text[0] != '"' || text[len - 1] != '"')
        return;
    for (size_t i = 1; i < len - 1; i++) {
        if (text[i] == '\\' && i + 1 < len - 1)
            i++;
        *to++ = text[i];
    }
    *to = '\0';
}

enum rb_err rb_header_decode(const char *value, char *out)
{
    size_t n = 0;
    strcpy(out, value);
    unquote(out);
    for (const char *p = out; *p; p++) {
        int high = *p == '%' ? hex(p[1]) : 0;
        int low = *p == '%' && high >= 0 ? hex(p[2]) : 0;
        if (high < 0 || low < 0 || (*p == '%' && !(high || low)))
            return RB_ERR_INVALID;
        if (*p == '%') {
            out[n++] = (char)(high << 4 | low);
            p += 2;
        } else {
            out[n++] = *p;
        }
    }
    out[n] = '\0';
    return rb_utf8_valid(out, n) ? RB_OK : RB_ERR_INVALID;
}

enum rb_err rb_attributes_from_headers(const struct rb_request *req, struct rb_attributes *out, char **block,
                                       struct rb_refusal *why)
{
    const char *values[NAMES];
    size_t size = 1;
    for (size_t i = 0; i < NAMES; i++) {
        values[i] = rb_request_header(req, names[i]);
        size += values[i] ? strlen(values[i]) + 1 : 0;
        if (rb_request_header_count(req, names[i]) > 1) {
            rb_refuse(why, 400, "invalid-event", "the header %s is there more than once", names[i]);
            return RB_ERR_INVALID;
        }
    }
    char *next = *block = malloc(size);
    RB_INVARIANT(next != NULL);
    for (size_t i = 0; i < NAMES; i++) {
        if (!values[i])
            continue;
        if (rb_header_decode(values[i], next) != RB_OK) {
            rb_refuse(why, 400, "invalid-event", "the header %s is not percent-encoded UTF-8", names[i]);
            return RB_ERR_INVALID;
        }
        values[i] = next;
        next += strlen(next) + 1;
    }
    *out = (struct rb_attributes){values[0], values[1], values[2], values[3], values[4]};
    return RB_OK;
}

void rb_attributes_from_json(const json_t *event, struct rb_attributes *out)
{
    const json_t *time = json_object_get(event, "time");
    *out = (struct rb_attributes){.specversion = json_string_value(json_object_get(event, "specversion")),
                                  .type = json_string_value(json_object_get(event, "type")),
                                  .source = json_string_value(json_object_get(event, "source")),
                                  .id = json_string_value(json_object_get(event, "id")),
                                  .time = json_string_value(time)};
    if (time && !json_is_null(time) && !out->time)
        out->time = ""; /* is there, but no time */
}
