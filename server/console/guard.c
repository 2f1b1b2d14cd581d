/*
 * The checks of guard.h. Called by the desk and the log-in before anything else looks at a request.
 *
 * Over TLS, or behind a proxy that speaks TLS for us (public_url says https and the request is for its host),
 * the cookie is __Host-ringback: no other host and no plain page can set it. The other name is not even read
 * there, so that nobody slips a session of his own under somebody.
 */
#include "server/console/guard.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct rb_guard {
    char *origin;    /* "https://desk.example.org" */
    char *authority; /* "desk.example.org", within origin */
    bool secure;
};

struct rb_guard *rb_guard_new(const char *public_url)
{
    struct rb_guard *guard = calloc(1, sizeof(*guard));
    RB_INVARIANT(guard != NULL);
    const char *host = strstr(public_url, "://");
    size_t len = host ? (size_t)(host - public_url) + 3 + strcspn(host + 3, "/?#") : strlen(public_url);
    guard->origin = strndup(public_url, len);
    RB_INVARIANT(guard->origin != NULL);
    guard->authority = host ? guard->origin + (host - public_url) + 3 : guard->origin;
    guard->secure = strncasecmp(public_url, "https://", 8) == 0;
    return guard;
}

void rb_guard_free(struct rb_guard *guard)
{
    if (!guard)
        return;
    free(guard->origin);
    free(guard);
}

static bool is_secure(const struct rb_guard *guard, const struct rb_request *req)
{
    const char *host = rb_request_header(req, "host");
    return rb_request_is_tls(req) || (guard->secure && host && strcasecmp(host, guard->authority) == 0);
}

static const char *cookie_name(const struct rb_guard *guard, const struct rb_request *req)
{
    return is_secure(guard, req) ? "__Host-ringback" : "ringback";
}

bool rb_guard_token(const struct rb_guard *guard, const struct rb_request *req, char token[RB_TOKEN_SIZE])
{
    const char *at = rb_request_header(req, "cookie");
    const char *name = cookie_name(guard, req);
    size_t len = strlen(name);
    while (at && *at) {
        at += strspn(at, "; \t");
        size_t pair = strcspn(at, ";");
        if (pair > len && at[len] == '=' && memcmp(at, name, len) == 0) {
            size_t size = pair - len - 1;
            while (size && (at[len + size] == ' ' || at[len + size] == '\t'))
                size--;
            return rb_token_read(at + len + 1, size, token);
        }
        at += pair;
    }
    return false;
}

void rb_guard_cookie(const struct rb_guard *guard, const struct rb_request *req, const char *token,
                     char cookie[RB_COOKIE_SIZE])
{
    snprintf(cookie, RB_COOKIE_SIZE, "%s=%s; Path=/; HttpOnly; SameSite=Strict%s%s", cookie_name(guard, req),
             token ? token : "", is_secure(guard, req) ? "; Secure" : "", token ? "" : "; Max-Age=0");
}

static bool own_origin(const struct rb_guard *guard, const struct rb_request *req, const char *origin)
{
    const char *host = rb_request_header(req, "host");
    const char *scheme = rb_request_is_tls(req) ? "https://" : "http://";
    size_t len = strlen(scheme);
    return strcasecmp(origin, guard->origin) == 0 ||
           (host && strncasecmp(origin, scheme, len) == 0 && strcasecmp(origin + len, host) == 0);
}

bool rb_guard_same_site(const struct rb_guard *guard, const struct rb_request *req)
{
    const char *origin = rb_request_header(req, "origin");
    const char *site = rb_request_header(req, "sec-fetch-site");
    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return false;
    return !origin || own_origin(guard, req, origin);
}

bool rb_guard_csrf(const struct rb_request *req, const char token[RB_TOKEN_SIZE])
{
    const char *shown = rb_request_header(req, "x-csrf-token");
    char csrf[RB_TOKEN_SIZE];
    rb_token_csrf(token, csrf);
    return shown && strlen(shown) == RB_TOKEN_SIZE - 1 && sodium_memcmp(shown, csrf, RB_TOKEN_SIZE - 1) == 0;
}
