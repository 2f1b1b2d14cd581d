/*
 * POST /v1/events: CloudEvents in their three modes, from a request to its events, and from their outcomes to
 * the answer.
 */
#ifndef RB_SERVER_GATEWAY_CLOUDEVENTS_H
#define RB_SERVER_GATEWAY_CLOUDEVENTS_H

#include "server/gateway/auth.h"
#include "server/http/http.h"
#include "server/intake/intake.h"

struct rb_gateway_ctx {
    struct rb_auth *auth;
    struct rb_intake *intake;
};

/* Takes over the request: it is answered once, after its events have their outcomes. */
void rb_cloudevents_post(struct rb_request *req, const struct rb_gateway_ctx *ctx);

/* The route's limit: 1,048,576 bytes for a batch, else 65,536. */
size_t rb_cloudevents_body_limit(const struct rb_request *req);

#endif
