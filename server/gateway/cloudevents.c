/*
 * One request is one post: authenticate, read, submit each event, answer when the last outcome is there.
 * Every early end goes through the same few answers below.
 */
#include "server/gateway/cloudevents.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "server/gateway/attributes.h"
#include "server/gateway/media.h"
#include "server/http/problem.h"

enum {
    BATCH_EVENTS = 256,
    BODY_BYTES = 65536,
    BATCH_BYTES = 1048576,
    ANSWER_BYTES = 65536,
    BATCH_ANSWER_BYTES = 33554432
};

/* Of the five seconds within which a 503 is promised; the rest is for the way there and back. */
#define ANSWER_US (RB_SECOND * 9 / 2)

static const char media_json[] = "application/json";

/* One event of a batch and its part of the answer. */
struct part {
    struct post *post;
    int status;
    char *text;           /* a JSON object, malloc'ed */
    char *source, *event; /* of what could be read; NULL: null */
};

/* A request under way. */
struct post {
    struct rb_request *req;
    const struct rb_gateway_ctx *ctx;
    enum rb_mode mode;
    char *area_code;
    int branch_id;
    int gateway_id;
    int64_t deadline; /* for the last outcome, monotonic */
    size_t n;         /* events of a batch */
    size_t waiting;   /* of them without an outcome, and one for the loop that submits them */
    struct part *parts;
};

static const struct rb_header retry_soon = {"Retry-After", "1"};

static void free_post(struct post *post)
{
    for (size_t i = 0; post->parts && i < post->n; i++) {
        free(post->parts[i].text);
        free(post->parts[i].source);
        free(post->parts[i].event);
    }
    free(post->parts);
    free(post->area_code);
    free(post);
}

static void answer_problem(struct post *post, int status, const char *code, const char *detail,
                           const char *errors)
{
    rb_reply_problem(post->req, status, code, detail, errors, &retry_soon, status == 503);
    free_post(post);
}

static void answer_unavailable(struct post *post, const char *detail)
{
    rb_intake_count("unavailable");
    answer_problem(post, 503, "unavailable", detail, NULL);
}

static void answer_refusal(struct post *post, const struct rb_refusal *why)
{
    rb_intake_count("invalid");
    answer_problem(post, why->status, why->code, why->detail, why->errors.len ? why->errors.data : NULL);
}

static void on_single(void *arg, const struct rb_outcome *outcome)
{
    struct post *post = arg;
    static const struct rb_header replayed = {"Ringback-Replayed", "true"};
    if (outcome->status != 200) {
        answer_problem(post, outcome->status, outcome->code, outcome->detail, outcome->errors);
        return;
    }
    rb_reply(post->req, 200, media_json, &replayed, outcome->replayed, outcome->answer,
             strlen(outcome->answer));
    free_post(post);
}

static const char *words_for(enum rb_err err)
{
    return err == RB_ERR_FULL ? "too busy: send the same again" : "the database is away: send the same again";
}

static void post_single(struct post *post, const struct rb_attributes *attributes, const json_t *data,
                        struct rb_span text)
{
    struct rb_refusal why;
    struct rb_event *event;
    rb_refusal_init(&why);
    enum rb_err err = rb_event_new(attributes, data, text, post->area_code, &event, &why);
    if (err != RB_OK) {
        answer_refusal(post, &why);
        rb_refusal_deinit(&why);
        return;
    }
    rb_refusal_deinit(&why);
    err = rb_intake_submit(post->ctx->intake, post->branch_id, post->gateway_id, event, post->deadline,
                           on_single, post);
    if (err != RB_OK) {
        rb_event_free(event);
        answer_unavailable(post, words_for(err));
    }
}

/* The data member as it came; a key spelled with escapes keeps the whole event's text. */
static struct rb_span data_of(struct rb_span event)
{
    struct rb_span data;
    return rb_span_member(event, "data", &data) ? data : event;
}

static void post_binary(struct post *post, const json_t *data, struct rb_span body)
{
    struct rb_attributes attributes;
    struct rb_refusal why;
    char *block = NULL;
    rb_refusal_init(&why);
    if (rb_attributes_from_headers(post->req, &attributes, &block, &why) == RB_OK)
        post_single(post, &attributes, data, body);
    else
        answer_refusal(post, &why);
    rb_refusal_deinit(&why);
    free(block);
}

static void post_structured(struct post *post, const json_t *event, struct rb_span body)
{
    struct rb_attributes attributes;
    if (!json_is_object(event)) {
        rb_intake_count("invalid");
        answer_problem(post, 400, "invalid-event", "a structured event is a JSON object", NULL);
        return;
    }
    rb_attributes_from_json(event, &attributes);
    post_single(post, &attributes, json_object_get(event, "data"), data_of(body));
}

/* --- batches --- */

static void finish_part(struct part *part, int status, bool replayed, struct rb_buf *rest)
{
    struct rb_buf out;
    rb_buf_init(&out, ANSWER_BYTES * 4);
    part->status = status;
    if (status == 200) {
        rb_buf_printf(&out, "{\"status\":200,\"replayed\":%s,", replayed ? "true" : "false");
    } else {
        rb_buf_str(&out, "{\"source\":");
        rb_buf_json(&out, part->source);
        rb_buf_str(&out, ",\"event\":");
        rb_buf_json(&out, part->event);
        rb_buf_printf(&out, ",\"status\":%d,\"replayed\":false,\"problem\":", status);
    }
    rb_buf_add(&out, rest->data, rest->len);
    if (status != 200)
        rb_buf_char(&out, '}');
    RB_INVARIANT(rb_buf_err(&out) == RB_OK && rb_buf_err(rest) == RB_OK);
    part->text = rb_buf_take(&out, NULL);
}

static void part_problem(struct part *part, int status, const char *code, const char *detail,
                         const char *errors)
{
    struct rb_buf problem;
    rb_buf_init(&problem, ANSWER_BYTES);
    rb_problem_write(&problem, status, code, detail, errors);
    finish_part(part, status, false, &problem);
    rb_buf_deinit(&problem);
}

static void answer_batch(struct post *post)
{
    bool acknowledged = false;
    bool unavailable = false;
    for (size_t i = 0; i < post->n; i++) {
        acknowledged |= post->parts[i].status == 200;
        unavailable |= post->parts[i].status == 503;
    }
    if (unavailable && !acknowledged) {
        answer_problem(post, 503, "unavailable", "nothing was acknowledged: send the same again", NULL);
        return;
    }
    struct rb_buf out;
    rb_buf_init(&out, BATCH_ANSWER_BYTES);
    rb_buf_char(&out, '[');
    for (size_t i = 0; i < post->n; i++) {
        if (i)
            rb_buf_char(&out, ',');
        rb_buf_str(&out, post->parts[i].text);
    }
    rb_buf_char(&out, ']');
    RB_INVARIANT(rb_buf_err(&out) == RB_OK);
    rb_reply(post->req, 200, media_json, NULL, 0, out.data, out.len);
    rb_buf_deinit(&out);
    free_post(post);
}

static void part_done(struct post *post)
{
    if (--post->waiting == 0)
        answer_batch(post);
}

static void on_part(void *arg, const struct rb_outcome *outcome)
{
    struct part *part = arg;
    if (outcome->status == 200) {
        struct rb_buf rest; /* the single event's body without its opening bracket */
        rb_buf_init(&rest, ANSWER_BYTES * 2);
        rb_buf_str(&rest, outcome->answer + 1);
        finish_part(part, 200, outcome->replayed, &rest);
        rb_buf_deinit(&rest);
    } else {
        part_problem(part, outcome->status, outcome->code, outcome->detail, outcome->errors);
    }
    part_done(part->post);
}

static char *copy(const char *text)
{
    char *result = text ? strdup(text) : NULL;
    RB_INVARIANT(!text || result);
    return result;
}

static void post_part(struct part *part, const json_t *item, struct rb_span text)
{
    struct post *post = part->post;
    struct rb_attributes attributes = {0};
    struct rb_refusal why;
    struct rb_event *event;
    rb_refusal_init(&why);
    if (json_is_object(item))
        rb_attributes_from_json(item, &attributes);
    part->source = copy(attributes.source);
    part->event = copy(attributes.id);
    enum rb_err err = RB_ERR_INVALID;
    if (json_is_object(item))
        err = rb_event_new(&attributes, json_object_get(item, "data"), data_of(text), post->area_code, &event,
                           &why);
    else
        rb_refuse(&why, 400, "invalid-event", "an event is a JSON object");
    if (err != RB_OK) {
        rb_intake_count("invalid");
        part_problem(part, why.status, why.code, why.detail, why.errors.len ? why.errors.data : NULL);
        rb_refusal_deinit(&why);
        part_done(post);
        return;
    }
    rb_refusal_deinit(&why);
    err = rb_intake_submit(post->ctx->intake, post->branch_id, post->gateway_id, event, post->deadline,
                           on_part, part);
    if (err != RB_OK) {
        rb_event_free(event);
        rb_intake_count("unavailable");
        part_problem(part, 503, "unavailable", words_for(err), NULL);
        part_done(post);
    }
}

static void post_batched(struct post *post, const json_t *items, struct rb_span body)
{
    size_t n = json_array_size(items);
    size_t at = 0;
    struct rb_span text;
    if (!json_is_array(items) || n > BATCH_EVENTS) {
        bool many = json_is_array(items);
        rb_intake_count("invalid");
        answer_problem(post, many ? 413 : 400, many ? "too-many-events" : "invalid-event",
                       many ? "a batch may have 256 events" : "a batch is a JSON array of events", NULL);
        return;
    }
    post->parts = calloc(n ? n : 1, sizeof(*post->parts));
    RB_INVARIANT(post->parts != NULL);
    post->n = n;
    post->waiting = n + 1;
    for (size_t i = 0; i < n; i++) {
        RB_INVARIANT(rb_span_next(body, &at, &text));
        post->parts[i].post = post;
        post_part(&post->parts[i], json_array_get(items, i), text);
    }
    part_done(post);
}

/* --- the request --- */

static void read_body(struct post *post)
{
    struct rb_span body;
    char why[160];
    json_t *json = NULL;
    body.text = rb_request_body(post->req, &body.len);
    enum rb_err err = rb_json_parse(body.text, body.len, &json, why, sizeof(why));
    if (err != RB_OK) {
        rb_intake_count("invalid");
        answer_problem(post, err == RB_ERR_TOO_LARGE ? 413 : 400,
                       err == RB_ERR_TOO_LARGE ? "too-complex" : "invalid-json", why, NULL);
        return;
    }
    switch (post->mode) {
    case RB_MODE_BINARY:
        post_binary(post, json, body);
        break;
    case RB_MODE_STRUCTURED:
        post_structured(post, json, body);
        break;
    default:
        post_batched(post, json, body);
    }
    json_decref(json);
}

static void on_authenticated(void *arg, enum rb_auth_verdict verdict, const struct rb_gateway *gateway)
{
    struct post *post = arg;
    static const struct rb_header challenge[] = {
        {"WWW-Authenticate", "Bearer realm=\"ringback\", Basic realm=\"ringback\", charset=\"UTF-8\""}};
    if (verdict == RB_AUTH_AWAY) {
        answer_unavailable(post, "the database is away: send the same again");
        return;
    }
    if (verdict != RB_AUTH_OK) {
        rb_intake_count("unauthorized");
        rb_reply_problem(post->req, 401, "unauthorized",
                         verdict == RB_AUTH_MISSING
                             ? "show the gateway's key: Bearer, Basic or a webhook signature"
                             : "no gateway has shown these credentials",
                         NULL, challenge, 1);
        free_post(post);
        return;
    }
    post->branch_id = gateway->branch_id;
    post->gateway_id = gateway->gateway_id;
    post->area_code = copy(gateway->area_code);
    if (post->mode == RB_MODE_NONE ||
        (post->mode == RB_MODE_BINARY && !rb_request_header(post->req, "ce-specversion"))) {
        rb_intake_count("invalid");
        answer_problem(post, 415, "unsupported-media-type",
                       post->mode == RB_MODE_NONE
                           ? "send application/json with ce- headers, application/cloudevents+json or "
                             "application/cloudevents-batch+json, in UTF-8"
                           : "application/json without the header ce-specversion is no event",
                       NULL);
        return;
    }
    read_body(post);
}

void rb_cloudevents_post(struct rb_request *req, const struct rb_gateway_ctx *ctx)
{
    struct post *post = calloc(1, sizeof(*post));
    enum rb_auth_verdict verdict;
    struct rb_gateway gateway;
    RB_INVARIANT(post != NULL);
    *post = (struct post){.req = req,
                          .ctx = ctx,
                          .deadline = rb_clock_mono() + ANSWER_US,
                          .mode = rb_media_mode(rb_request_header(req, "content-type"))};
    if (rb_auth_check(ctx->auth, req, &verdict, &gateway, on_authenticated, post) == RB_OK)
        on_authenticated(post, verdict, &gateway);
}

size_t rb_cloudevents_body_limit(const struct rb_request *req)
{
    return rb_media_mode(rb_request_header(req, "content-type")) == RB_MODE_BATCHED ? BATCH_BYTES
                                                                                    : BODY_BYTES;
}
