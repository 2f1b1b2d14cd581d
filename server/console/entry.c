/*
 * Entries of entry.h. Called by the desk when the database has said that this person may enter this; makes
 * the event of the body and of who enters it, and hands it to intake. It never looks anything up itself.
 */
#include "server/console/entry.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/json.h"
#include "server/console/answer.h"
#include "server/console/body.h"

/* As at the gateway: of the five seconds within which a 503 is promised, the rest is for the way. */
#define ANSWER_US (RB_SECOND * 9 / 2)
enum { DATA_BYTES = 131072 };

static const char source[] = "/ringback/console";

static void on_outcome(void *ctx, const struct rb_outcome *outcome)
{
    struct rb_request *req = ctx;
    static const struct rb_header replayed = {"Ringback-Replayed", "true"};
    static const struct rb_header soon = {"Retry-After", "1"};
    if (outcome->status == 200)
        rb_answer(req, 200, "application/json", &replayed, outcome->replayed ? 1 : 0, outcome->answer,
                  strlen(outcome->answer));
    else
        rb_answer_problem(req, outcome->status, outcome->code, outcome->detail, outcome->errors, &soon,
                          outcome->status == 503 ? 1 : 0);
}

/* Adds a member to data, and to the text of the same: in front, behind its opening bracket. */
static void add_member(json_t *data, struct rb_buf *text, const char *name, const json_t *value)
{
    if (!json_is_string(value))
        return;
    RB_INVARIANT(json_object_set(data, name, (json_t *)value) == 0);
    rb_buf_json(text, name);
    rb_buf_char(text, ':');
    rb_buf_json(text, json_string_value(value));
    rb_buf_char(text, ',');
}

/* Who enters it is part of what is stored: the body as it came, with two members more. */
static void write_data(json_t *data, struct rb_buf *text, const json_t *allowed, struct rb_request *req)
{
    size_t len;
    const char *body = rb_request_body(req, &len);
    const char *inside = memchr(body, '{', len);
    RB_INVARIANT(inside != NULL);
    rb_buf_char(text, '{');
    add_member(data, text, "operator", json_object_get(allowed, "operator"));
    add_member(data, text, "entered_by", json_object_get(allowed, "entered_by"));
    rb_buf_add(text, inside + 1, len - (size_t)(inside + 1 - body));
}

static enum rb_err make_event(struct rb_request *req, const json_t *allowed, json_t *data,
                              struct rb_event **event, struct rb_refusal *why)
{
    struct rb_buf text;
    const struct rb_attributes attributes = {.specversion = "1.0",
                                             .type = json_string_value(json_object_get(allowed, "type")),
                                             .source = source,
                                             .id = json_string_value(json_object_get(data, "id"))};
    rb_buf_init(&text, DATA_BYTES);
    write_data(data, &text, allowed, req);
    RB_INVARIANT(rb_buf_err(&text) == RB_OK);
    enum rb_err err = rb_event_new(&attributes, data, (struct rb_span){text.data, text.len},
                                   json_string_value(json_object_get(allowed, "area_code")), event, why);
    rb_buf_deinit(&text);
    return err;
}

static void submit(struct rb_request *req, struct rb_intake *intake, const json_t *allowed,
                   struct rb_event *event)
{
    int branch = (int)json_integer_value(json_object_get(allowed, "branch"));
    int gateway = (int)json_integer_value(json_object_get(allowed, "gateway"));
    enum rb_err err =
        rb_intake_submit(intake, branch, gateway, event, rb_clock_mono() + ANSWER_US, on_outcome, req);
    if (err != RB_OK) {
        rb_event_free(event);
        rb_intake_count("unavailable");
        rb_answer_unavailable(req, err);
    }
}

void rb_entry_post(struct rb_request *req, struct rb_intake *intake, const char *allowed)
{
    struct rb_event *event;
    struct rb_refusal why;
    json_t *data;
    if (!rb_body_read(req, &data))
        return;
    json_t *said = json_loads(allowed, 0, NULL);
    RB_INVARIANT(json_is_object(said) && json_is_object(data));
    rb_refusal_init(&why);
    if (make_event(req, said, data, &event, &why) == RB_OK) {
        submit(req, intake, said, event);
    } else {
        rb_intake_count("invalid");
        rb_answer_problem(req, why.status, why.code, why.detail, why.errors.len ? why.errors.data : NULL,
                          NULL, 0);
    }
    rb_refusal_deinit(&why);
    json_decref(said);
    json_decref(data);
}
