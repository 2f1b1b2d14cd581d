/*
 * The robot of a WeCom group (企业微信群机器人): Markdown of at most 4,096 bytes to the address with its key,
 * which is the secret. Delivered is HTTP 200 and errcode 0; beyond 20 messages a minute it answers 45009, of
 * which the buckets take care beforehand.
 */
#include "common/clock.h"
#include "server/channel/channel.h"
#include "server/channel/markdown.h"
#include "server/channel/robot.h"

enum { MARKDOWN_BYTES = 4096, BODY_BYTES = 32768 };

static const struct rb_markdown style = {
    .line = "\n>", .item = "\n· ", .colours = true, .most = MARKDOWN_BYTES};

static const struct rb_robot_code codes[] = {
    {45009, RB_FATE_RETRY, 60 * RB_SECOND, "too many messages a minute"},
    {93000, RB_FATE_GONE, 0, "there is no such robot"},
    {0, RB_FATE_DELIVERED, 0, NULL},
};

static enum rb_err write_body(const struct rb_notice *notices, unsigned n, struct rb_call *call, char **made)
{
    struct rb_buf text, body;
    rb_buf_init(&text, MARKDOWN_BYTES);
    rb_buf_init(&body, BODY_BYTES);
    rb_markdown_write(&text, notices, n, &style);
    rb_buf_str(&body, "{\"msgtype\":\"markdown\",\"markdown\":{\"content\":");
    rb_buf_json(&body, text.data);
    rb_buf_str(&body, "}}");
    enum rb_err err = rb_buf_err(&text) != RB_OK ? rb_buf_err(&text) : rb_buf_err(&body);
    if (err == RB_OK)
        call->body = *made = rb_buf_take(&body, &call->body_len);
    rb_buf_deinit(&text);
    rb_buf_deinit(&body);
    return err;
}

static enum rb_err compose(const struct rb_message *message, int64_t wall_us, struct rb_call *call,
                           char **made)
{
    struct rb_notice notices[RB_DIGEST_MOST];
    unsigned n;
    (void)wall_us;
    enum rb_err err = rb_notices_read(message, notices, &n);
    if (err == RB_OK)
        err = write_body(notices, n, call, made);
    rb_notices_clear(notices, n);
    call->url = message->secret;
    rb_call_header(call, "Content-Type", "application/json");
    rb_call_header(call, "User-Agent", "ringback/" RB_VERSION);
    return err;
}

static void judge(const struct rb_answer *answer, struct rb_verdict *verdict)
{
    rb_robot_judge(answer, codes, 0, verdict);
}

const struct rb_channel rb_channel_wecom = {
    .name = "wecom", .has_secret = true, .compose = compose, .judge = judge};
