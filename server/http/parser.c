/*
 * llhttp to request. Called by the connection with bytes as they come; never sees a socket and never answers.
 * A fresh llhttp for each request, so nothing of one can colour the next.
 *
 * llhttp of Debian 12 lets through some things that RFC 9112 calls errors; the raw bytes of the head are
 * looked at here as well: folded lines, other protocols than HTTP, doubled spaces in the request line. What a
 * complete head must satisfy is in head.c.
 */
#include <string.h>

#include "server/http/internal.h"

#define QUERY_METHOD "QUERY "
#define STANDS_FOR_QUERY "PATCH " /* of the same length, and without a meaning to llhttp */
#define FRAMING_PER_BYTE 8        /* "1\r\nx\r\n" spends six bytes on one */

static int fail(struct rb_request *req, int status, const char *code, const char *detail)
{
    rb_request_refuse(req, status, code, detail);
    return HPE_USER;
}

static int no_memory(struct rb_request *req)
{
    return fail(req, 503, "busy", "too many requests in memory");
}

/* The byte n before at, which may have come with earlier bytes; 0 before the request's first. */
static char byte_before(const struct rb_request *req, const char *at, size_t n)
{
    size_t here = (size_t)(at - req->chunk);
    if (n <= here) {
        return *(at - n);
    }
    return n - here <= sizeof(req->tail) ? req->tail[sizeof(req->tail) - (n - here)] : '\0';
}

static void keep_tail(struct rb_request *req, const char *data, size_t len)
{
    size_t size = sizeof(req->tail);
    if (len >= size) {
        memcpy(req->tail, data + len - size, size);
    } else {
        memmove(req->tail, req->tail + len, size - len);
        memcpy(req->tail + size - len, data, len);
    }
}

static int on_url(llhttp_t *llhttp, const char *at, size_t len)
{
    struct rb_request *req = llhttp->data;
    if (req->text_len == 0 && byte_before(req, at, 2) == ' ') {
        return fail(req, 400, "bad-request", "two spaces in a row in the request line");
    }
    return rb_request_add_text(req, at, len) ? 0 : no_memory(req);
}

static int on_url_complete(llhttp_t *llhttp)
{
    struct rb_request *req = llhttp->data;
    req->target_done = true;
    return rb_request_add_text(req, "", 1) ? 0 : no_memory(req);
}

static int on_version(llhttp_t *llhttp, const char *at, size_t len)
{
    struct rb_request *req = llhttp->data;
    static const char protocol[] = " HTTP/";
    const size_t size = sizeof(protocol) - 1;
    (void)len;
    if (req->protocol_done) {
        return 0;
    }
    req->protocol_done = true;
    for (size_t i = 0; i < size; i++) {
        if (byte_before(req, at, size - i) != protocol[i]) {
            return fail(req, 400, "bad-request", "the protocol is not HTTP");
        }
    }
    if (byte_before(req, at, size + 1) == ' ') {
        return fail(req, 400, "bad-request", "two spaces in a row in the request line");
    }
    return 0;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t len)
{
    struct rb_request *req = llhttp->data;
    if (req->phase != RB_PHASE_HEAD) {
        return 0; /* trailers are read and forgotten */
    }
    if (!req->in_name) {
        if (req->header_count >= req->http->limits.headers) {
            return fail(req, 431, "headers-too-large", "too many header lines");
        }
        if (!rb_request_add_header(req)) {
            return no_memory(req);
        }
        req->in_name = true;
    }
    if (!rb_request_reserve(req, len)) {
        return no_memory(req);
    }
    char *to = req->text + req->text_len;
    for (size_t i = 0; i < len; i++) {
        to[i] = at[i] >= 'A' && at[i] <= 'Z' ? (char)(at[i] + 32) : at[i];
    }
    req->text_len += len;
    return 0;
}

static int on_header_field_complete(llhttp_t *llhttp)
{
    struct rb_request *req = llhttp->data;
    if (req->phase != RB_PHASE_HEAD) {
        return 0;
    }
    if (!req->in_name || req->headers[req->header_count - 1].name == req->text_len) {
        return fail(req, 400, "bad-request", "a header without a name");
    }
    req->in_name = false;
    if (!rb_request_add_text(req, "", 1)) {
        return no_memory(req);
    }
    req->headers[req->header_count - 1].value = (uint32_t)req->text_len;
    return 0;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t len)
{
    struct rb_request *req = llhttp->data;
    if (req->phase != RB_PHASE_HEAD) {
        return 0;
    }
    return rb_request_add_text(req, at, len) ? 0 : no_memory(req);
}

static int on_header_value_complete(llhttp_t *llhttp)
{
    struct rb_request *req = llhttp->data;
    if (req->phase != RB_PHASE_HEAD) {
        return 0;
    }
    size_t start = req->headers[req->header_count - 1].value;
    while (req->text_len > start &&
           (req->text[req->text_len - 1] == ' ' || req->text[req->text_len - 1] == '\t')) {
        req->text_len--;
    }
    return rb_request_add_text(req, "", 1) ? 0 : no_memory(req);
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct rb_request *req = llhttp->data;
    req->phase = RB_PHASE_BODY;
    rb_head_check(req);
    return req->refusal.code ? HPE_USER : 0;
}

static int on_chunk_header(llhttp_t *llhttp)
{
    struct rb_request *req = llhttp->data;
    if (llhttp->content_length > req->body_limit - req->body_len) {
        return fail(req, 413, "too-large", "the body is larger than allowed");
    }
    return 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t len)
{
    struct rb_request *req = llhttp->data;
    switch (rb_request_add_body(req, at, len)) {
    case RB_OK:
        return 0;
    case RB_ERR_TOO_LARGE:
        return fail(req, 413, "too-large", "the body is larger than allowed");
    default:
        return fail(req, 503, "busy", "too many requests in memory");
    }
}

static int on_message_complete(llhttp_t *llhttp)
{
    struct rb_request *req = llhttp->data;
    req->phase = RB_PHASE_COMPLETE;
    return HPE_PAUSED; /* what follows is another request */
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_url_complete = on_url_complete,
    .on_version = on_version,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* How much of data may be fed before a line that begins with white space, which llhttp would take for a
 * continuation of the line before. Behind the head's end it may stop early without harm. */
static size_t before_fold(const struct rb_request *req, const char *data, size_t len, bool *folded)
{
    const char *at = data;
    const char *end = data + len;
    bool after_lf = req->after_lf;
    while (at < end) {
        if (after_lf && (*at == ' ' || *at == '\t')) {
            *folded = true;
            return (size_t)(at - data);
        }
        if (after_lf && *at == '\r') {
            break; /* the empty line */
        }
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        if (!lf) {
            break;
        }
        after_lf = true;
        at = lf + 1;
    }
    return len;
}

static size_t execute(struct rb_request *req, const char *data, size_t len)
{
    llhttp_t *llhttp = &req->llhttp;
    req->chunk = data;
    llhttp_errno_t err = llhttp_execute(llhttp, data, len);
    if (err == HPE_OK) {
        req->fed += len;
        return len;
    }
    if (err == HPE_PAUSED) {
        size_t used = (size_t)(llhttp_get_error_pos(llhttp) - data);
        req->fed += used;
        return used;
    }
    if (err == HPE_PAUSED_H2_UPGRADE || (err == HPE_INVALID_VERSION && llhttp->http_major != 1)) {
        rb_request_refuse(req, 505, "unsupported-version", "only HTTP/1.1 and HTTP/1.0 are spoken here");
    } else {
        rb_request_refuse(req, 400, "bad-request", llhttp_get_error_reason(llhttp));
    }
    return len;
}

static size_t feed_head(struct rb_request *req, const char *data, size_t len)
{
    size_t limit = req->http->limits.header_bytes;
    size_t room = limit - req->fed;
    bool folded = false;
    size_t size = before_fold(req, data, len < room ? len : room, &folded);
    size_t used = execute(req, data, size);
    if (req->phase != RB_PHASE_HEAD || req->refusal.code) {
        return used;
    }
    keep_tail(req, data, size);
    req->after_lf = size ? data[size - 1] == '\n' : req->after_lf;
    if (folded) {
        rb_request_refuse(req, 400, "bad-request", "a header line begins with white space");
    } else if (req->fed >= limit && !req->target_done) {
        rb_request_refuse(req, 414, "uri-too-long", "the request target is longer than allowed");
    } else if (req->fed >= limit) {
        rb_request_refuse(req, 431, "headers-too-large", "the headers are larger than allowed");
    }
    return used;
}

static size_t feed_body(struct rb_request *req, const char *data, size_t len)
{
    size_t used = execute(req, data, len);
    if (req->fed - req->body_len > 2 * req->http->limits.header_bytes + FRAMING_PER_BYTE * req->body_len) {
        rb_request_refuse(req, 413, "too-large", "the body is mostly chunk headers or trailers");
    }
    return used;
}

/* QUERY is younger than Debian 12's llhttp: it is told another method of the same length. */
static size_t feed_query_method(struct rb_request *req, const char *data, size_t len)
{
    const size_t size = sizeof(QUERY_METHOD) - 1;
    if (memcmp(data, QUERY_METHOD, len < size ? len : size) != 0) {
        return feed_head(req, data, len);
    }
    if (len < size) {
        return 0; /* ask again with more */
    }
    req->is_query = true;
    (void)feed_head(req, STANDS_FOR_QUERY, size);
    return size;
}

void rb_parser_init(struct rb_request *req)
{
    llhttp_init(&req->llhttp, HTTP_REQUEST, &settings);
    req->llhttp.data = req;
}

size_t rb_parser_feed(struct rb_request *req, const char *data, size_t len)
{
    if (req->phase != RB_PHASE_HEAD) {
        return feed_body(req, data, len);
    }
    return req->fed == 0 && *data == 'Q' ? feed_query_method(req, data, len) : feed_head(req, data, len);
}
