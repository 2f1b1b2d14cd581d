/*
 * Answers of answer.h: every one of the console's goes through here. Never decides a status.
 */
#include "server/console/answer.h"

#include <stdio.h>
#include <string.h>

static const struct rb_header always[] = {
    {"Cache-Control", "no-store"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"}};
enum { ALWAYS = sizeof(always) / sizeof(always[0]) };

static size_t all_headers(struct rb_header out[ALWAYS + RB_ANSWER_HEADERS], const struct rb_header *headers,
                          size_t n)
{
    RB_INVARIANT(n <= RB_ANSWER_HEADERS);
    memcpy(out, always, sizeof(always));
    if (n)
        memcpy(out + ALWAYS, headers, n * sizeof(*headers));
    return ALWAYS + n;
}

void rb_answer(struct rb_request *req, int status, const char *media, const struct rb_header *headers,
               size_t n, const void *body, size_t len)
{
    struct rb_header all[ALWAYS + RB_ANSWER_HEADERS];
    size_t count = all_headers(all, headers, n);
    rb_reply(req, status, media, all, count, body, len);
}

void rb_answer_problem(struct rb_request *req, int status, const char *code, const char *detail,
                       const char *errors, const struct rb_header *headers, size_t n)
{
    struct rb_header all[ALWAYS + RB_ANSWER_HEADERS];
    size_t count = all_headers(all, headers, n);
    rb_reply_problem(req, status, code, detail, errors, all, count);
}

struct rb_stream *rb_answer_stream(struct rb_request *req, const char *media, size_t cap,
                                   const struct rb_stream_handler *handler, void *ctx)
{
    static const struct rb_header at_once = {"X-Accel-Buffering", "no"}; /* nginx would gather */
    struct rb_header all[ALWAYS + RB_ANSWER_HEADERS];
    size_t count = all_headers(all, &at_once, 1);
    return rb_stream_begin(req, media, all, count, cap, handler, ctx);
}

void rb_answer_unavailable(struct rb_request *req, enum rb_err err)
{
    static const struct rb_header later = {"Retry-After", "1"};
    const char *detail = err == RB_ERR_UNKNOWN
                             ? "whether it was done is not known: look before you send it again"
                         : err == RB_ERR_AWAY ? "the database is away: try again"
                                              : "too busy: try again";
    rb_answer_problem(req, 503, err == RB_ERR_FULL ? "busy" : "unavailable", detail, NULL, &later, 1);
}

void rb_answer_throttled(struct rb_request *req, int64_t seconds)
{
    char text[24];
    struct rb_header later = {"Retry-After", text};
    snprintf(text, sizeof(text), "%lld", (long long)seconds);
    rb_answer_problem(req, 429, "too-many-tries", "too many tries failed: wait, then try again", NULL, &later,
                      1);
}
