/*
 * From method and path to a row of the listener's table. The first row whose path and method match wins; a
 * GET row answers HEAD as well. Called once the head is there.
 */
#include <string.h>

#include "server/http/internal.h"

static bool is_param(const char *segment)
{
    return *segment == '{';
}

static bool path_matches(const struct rb_request *req, const char *pattern)
{
    const char *segment = req->text + req->segments;
    uint32_t count = 0;
    while (*pattern == '/') {
        const char *end = strchrnul(++pattern, '/');
        size_t size = (size_t)(end - pattern);
        size_t len;
        if (count++ == req->segment_count) {
            return false;
        }
        len = strlen(segment);
        if (is_param(pattern) ? len == 0 : len != size || memcmp(segment, pattern, len) != 0) {
            return false;
        }
        segment += len + 1;
        pattern = end;
    }
    return count == req->segment_count;
}

static bool method_matches(const char *method, const char *wanted)
{
    return strcmp(method, wanted) == 0 || (strcmp(method, "GET") == 0 && strcmp(wanted, "HEAD") == 0);
}

void rb_route_find(struct rb_request *req)
{
    const struct rb_listener *listener = req->listener;
    for (size_t i = 0; i < listener->n; i++) {
        const struct rb_route *route = &listener->routes[i];
        if (method_matches(route->method, req->method) && path_matches(req, route->path)) {
            req->route = route;
            return;
        }
    }
}

static void add_method(char *out, size_t size, const char *method)
{
    size_t len = strlen(out);
    size_t more = strlen(method);
    for (const char *at = out; (at = strstr(at, method)); at++) {
        if (at[more] == ',' || at[more] == '\0') {
            return;
        }
    }
    if (len + more + 3 <= size) {
        memcpy(out + len, ", ", 3);
        memcpy(out + (len ? len + 2 : 0), method, more + 1);
    }
}

bool rb_route_allow(const struct rb_request *req, char *out, size_t size)
{
    const struct rb_listener *listener = req->listener;
    bool any = req->segment_count == 0; /* "*": whatever the listener knows */
    bool found = any;
    out[0] = '\0';
    for (size_t i = 0; i < listener->n; i++) {
        if (any || path_matches(req, listener->routes[i].path)) {
            found = true;
            add_method(out, size, listener->routes[i].method);
            if (strcmp(listener->routes[i].method, "GET") == 0) {
                add_method(out, size, "HEAD");
            }
        }
    }
    return found;
}
