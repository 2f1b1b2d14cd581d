/*
 * Who the client is when trusted proxies stand between: the last entry of X-Forwarded-For that is no trusted
 * proxy itself. Entries further left are whatever the client liked to write, and are never looked at.
 */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "server/http/internal.h"

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80" */
static bool parse_address(const char *text, size_t len, union rb_peer *out)
{
    char copy[INET6_ADDRSTRLEN + 8];
    if (len == 0 || len >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    char *host = copy;
    char *colon = strchr(copy, ':');
    if (*copy == '[') {
        host++;
        copy[strcspn(copy, "]")] = '\0';
    } else if (colon && !strchr(colon + 1, ':')) {
        *colon = '\0';
    }
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        return true;
    }
    if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        return true;
    }
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* Walks one line's entries from the right; true to go on with the line before. */
static bool walk(struct rb_request *req, const char *value)
{
    const char *end = value + strlen(value);
    for (;;) {
        const char *start = end;
        while (start > value && start[-1] != ',') {
            start--;
        }
        const char *from = start;
        const char *to = end;
        while (from < to && is_space(*from)) {
            from++;
        }
        while (to > from && is_space(to[-1])) {
            to--;
        }
        union rb_peer peer;
        if (!parse_address(from, (size_t)(to - from), &peer)) {
            return false;
        }
        req->peer = peer;
        if (!rb_networks_contain(req->http->proxies, &peer.any)) {
            return false;
        }
        if (start == value) {
            return true;
        }
        end = start - 1;
    }
}

void rb_proxy_resolve(struct rb_request *req)
{
    if (!req->http->proxies || !rb_networks_contain(req->http->proxies, &req->peer.any)) {
        return;
    }
    for (size_t i = req->header_count; i-- > 0;) {
        if (strcmp(req->text + req->headers[i].name, "x-forwarded-for") == 0 &&
            !walk(req, req->text + req->headers[i].value)) {
            return;
        }
    }
}
