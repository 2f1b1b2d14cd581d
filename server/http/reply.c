/*
 * Answers to bytes: the head with Date, Content-Length and Connection, then the body. Called by handlers,
 * once for each request, and by the room itself for what it refuses. A request whose client is gone is only
 * freed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "server/http/internal.h"
#include "server/http/problem.h"

#define PROBLEM_MAX (1u << 20)
#define STATUS_FIRST 100
#define STATUS_LAST 599

static struct rb_series *by_status[STATUS_LAST - STATUS_FIRST + 1];

static void count(int status)
{
    static struct rb_metric *metric;
    struct rb_series **series = &by_status[status - STATUS_FIRST];
    if (!*series) {
        char label[16];
        if (!metric) {
            metric = rb_counter("ringback_http_requests", "Requests answered, by status.", "status");
        }
        snprintf(label, sizeof(label), "%d", status);
        *series = rb_series(metric, label);
    }
    rb_count(*series, 1);
}

/* The Date header's line, made anew once a second. */
static const char *date_line(void)
{
    static char line[48];
    static time_t made;
    time_t now = (time_t)(rb_clock_wall() / RB_SECOND);
    if (now != made) {
        struct tm tm;
        gmtime_r(&now, &tm);
        strftime(line, sizeof(line), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
        made = now;
    }
    return line;
}

static void add_line(struct rb_buf *head, const char *name, const char *value)
{
    RB_INVARIANT(!strpbrk(name, "\r\n:") && !strpbrk(value, "\r\n"));
    rb_buf_str(head, name);
    rb_buf_add(head, ": ", 2);
    rb_buf_str(head, value);
    rb_buf_add(head, "\r\n", 2);
}

static bool has_content(int status)
{
    return status != 204 && status != 304;
}

static void add_status_line(struct rb_buf *head, int status)
{
    rb_buf_str(head, "HTTP/1.1 ");
    rb_buf_int(head, status);
    rb_buf_char(head, ' ');
    rb_buf_str(head, rb_status_title(status));
    rb_buf_add(head, "\r\n", 2);
    rb_buf_str(head, date_line());
}

static void add_connection(struct rb_buf *head, const struct rb_request *req)
{
    if (req->conn->close) {
        rb_buf_str(head, "Connection: close\r\n");
    } else if (req->llhttp.http_minor == 0) {
        rb_buf_str(head, "Connection: keep-alive\r\n");
    }
}

bool rb_reply_head(struct rb_request *req, int status, const char *content_type,
                   const struct rb_header *headers, size_t n, int64_t len)
{
    struct rb_buf *head = &req->conn->http->scratch;
    rb_buf_reset(head);
    add_status_line(head, status);
    if (content_type) {
        add_line(head, "Content-Type", content_type);
    }
    if (has_content(status) && len >= 0) {
        rb_buf_str(head, "Content-Length: ");
        rb_buf_int(head, len);
        rb_buf_add(head, "\r\n", 2);
    }
    add_connection(head, req);
    for (size_t i = 0; i < n; i++) {
        add_line(head, headers[i].name, headers[i].value);
    }
    rb_buf_add(head, "\r\n", 2);
    count(status);
    return rb_buf_err(head) == RB_OK;
}

static void answer(struct rb_request *req, int status, const char *content_type,
                   const struct rb_header *headers, size_t n, const void *body, size_t len, bool lasting)
{
    struct rb_http_conn *conn = req->conn;
    RB_INVARIANT(status >= 200 && status <= STATUS_LAST);
    if (!conn) {
        count(status);
        rb_request_free(req);
        return;
    }
    RB_INVARIANT(conn->req == req);
    if (conn->http->draining && !conn->close) {
        conn->close = conn->linger = true;
    }
    if (!rb_reply_head(req, status, content_type, headers, n, (int64_t)len)) {
        conn->req = NULL;
        rb_request_free(req);
        rb_http_conn_close(conn);
        return;
    }
    const struct rb_buf *head = &conn->http->scratch;
    bool head_only = !has_content(status) || (req->method && strcmp(req->method, "HEAD") == 0);
    rb_http_conn_answer(conn, head->data, head->len, body, head_only ? 0 : len, lasting);
}

void rb_reply(struct rb_request *req, int status, const char *content_type, const struct rb_header *headers,
              size_t n, const void *body, size_t len)
{
    answer(req, status, content_type, headers, n, body, len, false);
}

void rb_reply_lasting(struct rb_request *req, int status, const char *content_type,
                      const struct rb_header *headers, size_t n, const void *body, size_t len)
{
    answer(req, status, content_type, headers, n, body, len, true);
}

void rb_reply_problem(struct rb_request *req, int status, const char *code, const char *detail,
                      const char *errors, const struct rb_header *headers, size_t n)
{
    struct rb_buf body;
    rb_buf_init(&body, PROBLEM_MAX);
    rb_problem_write(&body, status, code, detail, errors);
    if (rb_buf_err(&body) != RB_OK) { /* too many faults to name them all */
        rb_buf_reset(&body);
        rb_problem_write(&body, status, code, detail, NULL);
    }
    rb_reply(req, status, "application/problem+json", headers, n, body.data ? body.data : "", body.len);
    rb_buf_deinit(&body);
}

void rb_reply_refusal(struct rb_request *req)
{
    static const struct rb_header later = {"Retry-After", "1"};
    const struct rb_refusal *refusal = &req->refusal;
    rb_reply_problem(req, refusal->status, refusal->code, refusal->detail, NULL, &later,
                     refusal->status == 503 ? 1 : 0);
}

void rb_reply_unrouted(struct rb_request *req)
{
    char allow[256];
    struct rb_header header = {"Allow", allow};
    if (!rb_route_allow(req, allow, sizeof(allow))) {
        rb_reply_problem(req, 404, "not-found", "there is nothing at this path", NULL, NULL, 0);
    } else if (req->segment_count == 0 && strcmp(req->method, "OPTIONS") == 0) {
        rb_reply(req, 204, NULL, &header, 1, NULL, 0);
    } else {
        rb_reply_problem(req, 405, "method-not-allowed", "this path does not take this method", NULL, &header,
                         1);
    }
}
