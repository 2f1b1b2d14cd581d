/*
 * The splitter of event_file.h. Pure; called by send. Follows only brackets and strings: what is inside an
 * event is the daemon's to judge.
 */
#include "tools/ringback/event_file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct scan {
    const char *text;
    size_t at, len;
    size_t line;
    struct event_span *spans;
    size_t n, size;
    const char *why;
};

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->len && strchr(" \t\r\n", scan->text[scan->at]) && scan->text[scan->at]) {
        scan->line += scan->text[scan->at] == '\n';
        scan->at++;
    }
}

/* Past the string that begins here; false when it has no end. */
static bool skip_string(struct scan *scan)
{
    for (scan->at++; scan->at < scan->len; scan->at++) {
        if (scan->text[scan->at] == '\\')
            scan->at++;
        else if (scan->text[scan->at] == '"') {
            scan->at++;
            return true;
        } else if (scan->text[scan->at] == '\n')
            return false; /* no string of JSON goes on in the next line */
    }
    return false;
}

/* Past the object that begins here; false when it has no end. */
static bool skip_object(struct scan *scan)
{
    size_t depth = 0;
    while (scan->at < scan->len) {
        char c = scan->text[scan->at];
        if (c == '"') {
            if (!skip_string(scan))
                return false;
            continue;
        }
        scan->line += c == '\n';
        scan->at++;
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            return true;
    }
    return false;
}

static enum rb_err add_event(struct scan *scan)
{
    struct event_span span = {.start = scan->at, .line = scan->line};
    if (scan->at >= scan->len || scan->text[scan->at] != '{') {
        scan->why = "an event (a JSON object) should begin here";
        return RB_ERR_INVALID;
    }
    if (!skip_object(scan)) {
        scan->line = span.line;
        scan->why = "the event that begins here has no end";
        return RB_ERR_INVALID;
    }
    span.len = scan->at - span.start;
    if (scan->n == scan->size) {
        size_t size = scan->size ? 2 * scan->size : 64;
        struct event_span *more = realloc(scan->spans, size * sizeof(*more));
        if (!more)
            return RB_ERR_NOMEM;
        scan->spans = more;
        scan->size = size;
    }
    scan->spans[scan->n++] = span;
    return RB_OK;
}

/* The events of an array; an empty one has none. */
static enum rb_err add_array(struct scan *scan)
{
    scan->at++;
    skip_space(scan);
    if (scan->at < scan->len && scan->text[scan->at] == ']') {
        scan->at++;
        return RB_OK;
    }
    for (;;) {
        enum rb_err err = add_event(scan);
        if (err != RB_OK)
            return err;
        skip_space(scan);
        char c = scan->at < scan->len ? scan->text[scan->at] : 0;
        scan->at++;
        if (c == ']')
            return RB_OK;
        if (c != ',') {
            scan->why = "a comma or the end of the array should be here";
            return RB_ERR_INVALID;
        }
        skip_space(scan);
    }
}

enum rb_err event_file_split(const char *text, size_t len, struct event_span **spans, size_t *n, size_t *line,
                             const char **why)
{
    struct scan scan = {.text = text, .len = len, .line = 1};
    enum rb_err err = RB_OK;
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        scan.at = 3;
    while (err == RB_OK) {
        skip_space(&scan);
        if (scan.at >= len)
            break;
        err = text[scan.at] == '[' ? add_array(&scan) : add_event(&scan);
    }
    *line = scan.line;
    *why = scan.why ? scan.why : rb_err_name(err);
    *n = scan.n;
    *spans = scan.spans;
    if (err != RB_OK) {
        free(scan.spans);
        *spans = NULL;
        *n = 0;
    }
    return err;
}
