/*
 * Judges a head that is complete, before any of the body: version, Host, framing, target, route, size and
 * expectation. Called by the parser; says no by rb_request_refuse, never by an answer of its own.
 */
#include <string.h>
#include <strings.h>

#include "server/http/internal.h"

static void bad(struct rb_request *req, const char *detail)
{
    rb_request_refuse(req, 400, "bad-request", detail);
}

static bool is_http_1(const llhttp_t *llhttp, unsigned minor)
{
    return llhttp->http_major == 1 && llhttp->http_minor == minor;
}

static void check_version(struct rb_request *req)
{
    if (!is_http_1(&req->llhttp, 0) && !is_http_1(&req->llhttp, 1)) {
        rb_request_refuse(req, 505, "unsupported-version", "only HTTP/1.1 and HTTP/1.0 are spoken here");
    }
}

static void check_host(struct rb_request *req)
{
    size_t count = rb_request_header_count(req, "host");
    const char *host = rb_request_header(req, "host");
    if (count > 1 || (count == 0 && is_http_1(&req->llhttp, 1))) {
        bad(req, count ? "more than one Host header" : "the Host header is missing");
    } else if (host && !rb_host_valid(host, strlen(host))) {
        bad(req, "the Host header is not a host");
    }
}

/* llhttp has refused the worst; here goes what leaves any doubt about where the body ends. */
static void check_framing(struct rb_request *req)
{
    size_t count = rb_request_header_count(req, "transfer-encoding");
    if (count == 0) {
        return;
    }
    if (is_http_1(&req->llhttp, 0) || rb_request_header(req, "content-length")) {
        bad(req, "Transfer-Encoding where it has no place");
    } else if (!(req->llhttp.flags & F_CHUNKED)) {
        bad(req, "Transfer-Encoding does not end in chunked");
    } else if (count > 1 || strcasecmp(rb_request_header(req, "transfer-encoding"), "chunked") != 0) {
        rb_request_refuse(req, 415, "unsupported-encoding", "the only transfer coding taken is chunked");
    }
}

static bool has_body(const struct rb_request *req)
{
    return (req->llhttp.flags & F_CHUNKED) || req->llhttp.content_length > 0;
}

static void check_size(struct rb_request *req)
{
    if (req->route && req->route->body_limit) {
        req->body_limit = req->route->body_limit(req);
    }
    if ((req->llhttp.flags & F_CONTENT_LENGTH) && req->llhttp.content_length > req->body_limit) {
        rb_request_refuse(req, 413, "too-large", "the body is larger than allowed");
    }
}

static void check_expectation(struct rb_request *req)
{
    const char *expect = rb_request_header(req, "expect");
    if (!expect || is_http_1(&req->llhttp, 0)) {
        return;
    }
    if (rb_request_header_count(req, "expect") > 1 || strcasecmp(expect, "100-continue") != 0) {
        rb_request_refuse(req, 417, "expectation-failed", "the only expectation met is 100-continue");
    }
    req->expects_continue = has_body(req);
    if (req->expects_continue && !req->route) {
        rb_request_refuse(req, 404, "not-found", "the body is not wanted: no such resource or method");
    }
}

void rb_head_check(struct rb_request *req)
{
    req->method = req->is_query ? "QUERY" : llhttp_method_name(req->llhttp.method);
    req->keep_alive = llhttp_should_keep_alive(&req->llhttp);
    check_version(req);
    check_host(req);
    check_framing(req);
    if (!req->refusal.code && !rb_request_parse_target(req)) {
        bad(req, "the request target cannot be read");
    }
    if (req->refusal.code) {
        return;
    }
    rb_proxy_resolve(req);
    rb_route_find(req);
    check_size(req);
    check_expectation(req);
}
