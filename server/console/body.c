/*
 * Bodies of body.h. Called by the desk, which passes the text on as it came, and by the log-in.
 */
#include "server/console/body.h"

#include "common/json.h"
#include "common/media.h"
#include "server/console/answer.h"

bool rb_body_read(struct rb_request *req, json_t **out)
{
    char why[160];
    size_t len;
    const char *text = rb_request_body(req, &len);
    if (!rb_media_is(rb_request_header(req, "content-type"), "application/json")) {
        rb_answer_problem(req, 415, "unsupported-media-type", "send the body as application/json", NULL, NULL,
                          0);
        return false;
    }
    if (rb_json_parse(text, len, out, why, sizeof(why)) != RB_OK) {
        rb_answer_problem(req, 400, "bad-request", why, NULL, NULL, 0);
        return false;
    }
    return true;
}
