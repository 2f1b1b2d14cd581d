/*
 * The request target: origin, absolute, authority and asterisk form; path and query percent-decoded once,
 * into text that handlers may keep until they answer. A decoded NUL, a bad encoding or bytes that are no
 * UTF-8 are refused: they would only fail later, in the database. Also what a host may look like.
 */
#include <string.h>
#include <strings.h>

#include "common/utf8.h"
#include "server/http/internal.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Appends the decoded text with its NUL. The room was reserved: decoding never makes text longer. */
static bool add_decoded(struct rb_request *req, const char *from, const char *end, bool plus_is_space)
{
    char *start = req->text + req->text_len;
    char *to = start;
    while (from < end) {
        char c = *from++;
        if (c == '%') {
            int hi = end - from >= 2 ? hex_value(from[0]) : -1;
            int lo = hi >= 0 ? hex_value(from[1]) : -1;
            if (lo < 0 || (hi | lo) == 0) {
                return false;
            }
            c = (char)(hi << 4 | lo);
            from += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        *to++ = c;
    }
    *to++ = '\0';
    req->text_len += (size_t)(to - start);
    return rb_utf8_valid(start, (size_t)(to - start) - 1);
}

/* Segments are decoded one by one, so that an encoded slash never makes two of one. */
static bool add_path(struct rb_request *req, const char *path, const char *end)
{
    req->path = (uint32_t)req->text_len;
    if (!add_decoded(req, path, end, false)) {
        return false;
    }
    req->segments = (uint32_t)req->text_len;
    while (path < end && *path == '/') {
        const char *stop = memchr(path + 1, '/', (size_t)(end - path - 1));
        stop = stop ? stop : end;
        (void)add_decoded(req, path + 1, stop, false);
        req->segment_count++;
        path = stop;
    }
    return true;
}

static bool add_query(struct rb_request *req, const char *query, const char *end)
{
    req->query = (uint32_t)req->text_len;
    while (query < end) {
        const char *stop = memchr(query, '&', (size_t)(end - query));
        stop = stop ? stop : end;
        const char *equals = memchr(query, '=', (size_t)(stop - query));
        const char *value = equals ? equals + 1 : stop;
        if (!add_decoded(req, query, equals ? equals : stop, true) || !add_decoded(req, value, stop, true)) {
            return false;
        }
        req->query_count++;
        query = stop + 1;
    }
    return true;
}

/* The part behind "http://host:port" of an absolute target; NULL when that is none. */
static const char *skip_authority(const char *target)
{
    size_t scheme = strncasecmp(target, "http://", 7) == 0    ? 7
                    : strncasecmp(target, "https://", 8) == 0 ? 8
                                                              : 0;
    const char *host = target + scheme;
    const char *stop = host + strcspn(host, "/?#");
    const char *at = memrchr(host, '@', (size_t)(stop - host));
    host = at ? at + 1 : host;
    return scheme && stop > host && rb_host_valid(host, (size_t)(stop - host)) ? stop : NULL;
}

bool rb_request_parse_target(struct rb_request *req)
{
    /* path, its segments and the query, each NUL behind them, and the pairs' two more */
    size_t len = strlen(req->text);
    if (!rb_request_reserve(req, 3 * len + 16)) {
        return false;
    }
    const char *target = req->text;
    const char *end = target + strcspn(target, "#");
    if (req->llhttp.method == HTTP_CONNECT || strcmp(target, "*") == 0) {
        target = "*";
        return add_path(req, target, target + 1);
    }
    if (*target != '/' && !(target = skip_authority(target))) {
        return false;
    }
    const char *question = memchr(target, '?', (size_t)(end - target));
    const char *path_end = question ? question : end;
    const char *path = target;
    if (path == path_end) {
        path = "/";
        path_end = path + 1;
    }
    return add_path(req, path, path_end) && (!question || add_query(req, question + 1, end));
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~!$&'()*+,;=%", c));
}

/* uri-host [ ":" port ] of RFC 9110; an empty one is allowed there. */
bool rb_host_valid(const char *host, size_t len)
{
    const char *end = host + len;
    if (host < end && *host == '[') {
        const char *close = memchr(host, ']', len);
        if (!close || strspn(host + 1, "0123456789abcdefABCDEF:.") != (size_t)(close - host) - 1) {
            return false;
        }
        host = close + 1;
    } else {
        while (host < end && is_host_char(*host)) {
            host++;
        }
    }
    if (host < end && *host++ != ':') {
        return false;
    }
    while (host < end && *host >= '0' && *host <= '9') {
        host++;
    }
    return host == end;
}
