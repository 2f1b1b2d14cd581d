/*
 * Answers of the console: never kept by a cache, never taken for another type, never framed.
 */
#ifndef RB_SERVER_CONSOLE_ANSWER_H
#define RB_SERVER_CONSOLE_ANSWER_H

#include "server/http/http.h"

enum { RB_ANSWER_HEADERS = 4 }; /* most that a caller adds */

void rb_answer(struct rb_request *req, int status, const char *media, const struct rb_header *headers,
               size_t n, const void *body, size_t len);
void rb_answer_problem(struct rb_request *req, int status, const char *code, const char *detail,
                       const char *errors, const struct rb_header *headers, size_t n);
/* Begins an answer without an end, see rb_stream_begin. */
struct rb_stream *rb_answer_stream(struct rb_request *req, const char *media, size_t cap,
                                   const struct rb_stream_handler *handler, void *ctx);
/* 503 with Retry-After: for a queue that is full or a database that did not answer (err). */
void rb_answer_unavailable(struct rb_request *req, enum rb_err err);
/* 429 with Retry-After: too many log-ins failed. */
void rb_answer_throttled(struct rb_request *req, int64_t seconds);

#endif
