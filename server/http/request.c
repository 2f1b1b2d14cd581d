/*
 * A request: its memory, and what a handler may ask of it. Made by the connection, filled by the parser, lent
 * to one handler, freed by the answer. All its text is in one growing arena that stands still once the head
 * is complete, so that borrowed strings stay where they are.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "server/http/internal.h"

#define BODY_FIRST 8192u /* larger bodies grow as they come: what is announced is not yet paid for */

/* Memory that counts against what all requests together may have. */
static bool lend(struct rb_request *req, size_t bytes)
{
    struct rb_http *http = req->http;
    if (http->buffered + bytes > http->limits.buffered_bytes) {
        return false;
    }
    http->buffered += bytes;
    req->lent += bytes;
    return true;
}

/* A larger copy of data, which may still be the part inside the request; NULL when there is none to have. */
static void *grown(struct rb_request *req, void *data, size_t *size, size_t wanted, size_t item,
                   const void *inlined)
{
    size_t next = *size;
    while (next < wanted) {
        next *= 2;
    }
    if (!lend(req, (data == inlined ? next : next - *size) * item)) {
        return NULL;
    }
    void *copy = data == inlined ? malloc(next * item) : realloc(data, next * item);
    if (copy && data == inlined) {
        memcpy(copy, inlined, *size * item);
    }
    *size = copy ? next : *size;
    return copy;
}

struct rb_request *rb_request_new(struct rb_http_conn *conn)
{
    struct rb_request *req = malloc(sizeof(*req));
    if (!req) {
        return NULL;
    }
    memset(req, 0, offsetof(struct rb_request, headers_inline));
    req->http = conn->http;
    req->conn = conn;
    req->listener = conn->listener;
    req->ctx = conn->listener->ctx;
    req->tls = conn->listener->tls != NULL;
    req->peer = conn->peer;
    req->started = rb_clock_mono();
    req->text = req->text_inline;
    req->text_size = RB_TEXT_INLINE;
    req->headers = req->headers_inline;
    req->header_size = RB_HEADERS_INLINE;
    req->body_limit = conn->http->limits.body_bytes;
    rb_parser_init(req);
    conn->http->requests++;
    return req;
}

void rb_request_free(struct rb_request *req)
{
    struct rb_http *http = req->http;
    http->buffered -= req->lent;
    free(req->body);
    if (req->text != req->text_inline) {
        free(req->text);
    }
    if (req->headers != req->headers_inline) {
        free(req->headers);
    }
    free(req);
    rb_http_release(http);
}

bool rb_request_reserve(struct rb_request *req, size_t n)
{
    if (req->text_len + n <= req->text_size) {
        return true;
    }
    char *text = grown(req, req->text, &req->text_size, req->text_len + n, 1, req->text_inline);
    if (text) {
        req->text = text;
    }
    return text != NULL;
}

bool rb_request_add_text(struct rb_request *req, const char *data, size_t len)
{
    if (!rb_request_reserve(req, len)) {
        return false;
    }
    memcpy(req->text + req->text_len, data, len);
    req->text_len += len;
    return true;
}

bool rb_request_add_header(struct rb_request *req)
{
    if (req->header_count == req->header_size) {
        struct rb_header_at *headers = grown(req, req->headers, &req->header_size, req->header_size + 1,
                                             sizeof(*headers), req->headers_inline);
        if (!headers) {
            return false;
        }
        req->headers = headers;
    }
    req->headers[req->header_count++] =
        (struct rb_header_at){.name = (uint32_t)req->text_len, .value = (uint32_t)req->text_len};
    return true;
}

/* The size a body buffer gets that must hold wanted bytes and a NUL. */
static size_t body_room(const struct rb_request *req, size_t wanted)
{
    size_t size = req->body_size ? req->body_size * 2 : BODY_FIRST;
    uint64_t announced = wanted + req->llhttp.content_length; /* what is still to come of body or chunk */
    if (!req->body_size && announced < BODY_FIRST) {
        size = announced + 1;
    }
    while (size < wanted + 1) {
        size *= 2;
    }
    return size > req->body_limit + 1 ? req->body_limit + 1 : size;
}

enum rb_err rb_request_add_body(struct rb_request *req, const char *data, size_t len)
{
    size_t wanted = req->body_len + len;
    if (wanted > req->body_limit) {
        return RB_ERR_TOO_LARGE;
    }
    if (wanted + 1 > req->body_size) {
        size_t size = body_room(req, wanted);
        char *body = lend(req, size - req->body_size) ? realloc(req->body, size) : NULL;
        if (!body) {
            return RB_ERR_FULL;
        }
        req->body = body;
        req->body_size = size;
    }
    memcpy(req->body + req->body_len, data, len);
    req->body_len = wanted;
    req->body[wanted] = '\0';
    return RB_OK;
}

void rb_request_refuse(struct rb_request *req, int status, const char *code, const char *detail)
{
    if (!req->refusal.code) {
        req->refusal = (struct rb_refusal){.status = status, .code = code, .detail = detail};
    }
}

const char *rb_request_method(const struct rb_request *req)
{
    return req->method;
}

const char *rb_request_path(const struct rb_request *req)
{
    return req->text + req->path;
}

/* The segments of the route's path and of the decoded path run side by side: the route has matched. */
const char *rb_request_param(const struct rb_request *req, const char *name)
{
    const char *pattern = req->route ? req->route->path : "";
    const char *segment = req->text + req->segments;
    size_t len = strlen(name);
    while (*pattern == '/') {
        const char *end = strchrnul(++pattern, '/');
        if (*pattern == '{' && (size_t)(end - pattern) == len + 2 && memcmp(pattern + 1, name, len) == 0) {
            return segment;
        }
        pattern = end;
        segment += strlen(segment) + 1;
    }
    return NULL;
}

const char *rb_request_query(const struct rb_request *req, const char *name)
{
    const char *at = req->text + req->query;
    for (uint32_t i = 0; i < req->query_count; i++) {
        const char *value = at + strlen(at) + 1;
        if (strcmp(at, name) == 0) {
            return value;
        }
        at = value + strlen(value) + 1;
    }
    return NULL;
}

void rb_request_queries(const struct rb_request *req,
                        void (*fn)(void *ctx, const char *name, const char *value), void *ctx)
{
    const char *at = req->text + req->query;
    for (uint32_t i = 0; i < req->query_count; i++) {
        const char *value = at + strlen(at) + 1;
        fn(ctx, at, value);
        at = value + strlen(value) + 1;
    }
}

const struct rb_route *rb_request_route(const struct rb_request *req)
{
    return req->route;
}

const char *rb_request_header(const struct rb_request *req, const char *name)
{
    for (size_t i = 0; i < req->header_count; i++) {
        if (strcasecmp(req->text + req->headers[i].name, name) == 0) {
            return req->text + req->headers[i].value;
        }
    }
    return NULL;
}

size_t rb_request_header_count(const struct rb_request *req, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < req->header_count; i++) {
        count += strcasecmp(req->text + req->headers[i].name, name) == 0;
    }
    return count;
}

void rb_request_headers(const struct rb_request *req,
                        void (*fn)(void *ctx, const char *name, const char *value), void *ctx)
{
    for (size_t i = 0; i < req->header_count; i++) {
        fn(ctx, req->text + req->headers[i].name, req->text + req->headers[i].value);
    }
}

const char *rb_request_body(const struct rb_request *req, size_t *len)
{
    *len = req->body_len;
    return req->body ? req->body : "";
}

const struct sockaddr *rb_request_peer(const struct rb_request *req)
{
    return &req->peer.any;
}

bool rb_request_is_tls(const struct rb_request *req)
{
    return req->tls;
}

int64_t rb_request_started(const struct rb_request *req)
{
    return req->started;
}

void *rb_request_ctx(const struct rb_request *req)
{
    return req->ctx;
}
