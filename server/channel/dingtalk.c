/*
 * The robot of a DingTalk group (钉钉): an action card, or Markdown for several notifications, to the address
 * with its token, signed freshly at each attempt when the robot has a secret. Delivered is HTTP 200 and
 * errcode 0; beyond 20 messages a minute it blocks for ten minutes, of which the buckets take care
 * beforehand.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "server/channel/channel.h"
#include "server/channel/markdown.h"
#include "server/channel/robot.h"

enum { MARKDOWN_BYTES = 4096, BODY_BYTES = 32768, URL_BYTES = 4096 };

#define BLOCKED (600 * RB_SECOND)
#define KEYWORD "Ringback" /* a robot may want a keyword in every message: this is it */

static const struct rb_markdown button = {
    .line = "\n\n", .item = "\n- ", .button = true, .mark = KEYWORD, .most = MARKDOWN_BYTES};
static const struct rb_markdown plain = {
    .line = "\n\n", .item = "\n- ", .mark = KEYWORD, .most = MARKDOWN_BYTES};

static const struct rb_robot_code codes[] = {
    {130101, RB_FATE_RETRY, BLOCKED, "too many messages a minute"},
    {310000, RB_FATE_GONE, 0, "keyword, signature or our address do not match the robot's settings"},
    {300005, RB_FATE_GONE, 0, "there is no such robot"},
    {40035, RB_FATE_REFUSED, 0, "a parameter is missing"},
    {0, RB_FATE_DELIVERED, 0, NULL},
};

/* base64(HMAC-SHA256(secret, milliseconds "\n" secret)), percent-encoded. */
static void add_signature(struct rb_buf *url, const char *secret, int64_t wall_us)
{
    static const char digits[] = "0123456789ABCDEF";
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    char text[sodium_base64_ENCODED_LEN(sizeof(mac), sodium_base64_VARIANT_ORIGINAL)];
    crypto_auth_hmacsha256_state state;
    char ms[24];
    snprintf(ms, sizeof(ms), "%lld", (long long)(wall_us / 1000));
    crypto_auth_hmacsha256_init(&state, (const uint8_t *)secret, strlen(secret));
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)ms, strlen(ms));
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)"\n", 1);
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)secret, strlen(secret));
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_memzero(&state, sizeof(state));
    sodium_bin2base64(text, sizeof(text), mac, sizeof(mac), sodium_base64_VARIANT_ORIGINAL);
    rb_buf_printf(url, "&timestamp=%s&sign=", ms);
    for (const char *c = text; *c; c++) {
        if (strchr("+/=", *c))
            rb_buf_printf(url, "%%%c%c", digits[(unsigned char)*c >> 4], digits[(unsigned char)*c & 15]);
        else
            rb_buf_char(url, *c);
    }
}

static void add_card(struct rb_buf *body, const char *title, const char *text, const char *url)
{
    rb_buf_str(body, "{\"msgtype\":\"actionCard\",\"actionCard\":{\"title\":");
    rb_buf_json(body, title);
    rb_buf_str(body, ",\"text\":");
    rb_buf_json(body, text);
    rb_buf_str(body, ",\"singleTitle\":\"确认收到\",\"singleURL\":");
    rb_buf_json(body, url);
    rb_buf_str(body, "}}");
}

static void add_markdown(struct rb_buf *body, const char *title, const char *text)
{
    rb_buf_str(body, "{\"msgtype\":\"markdown\",\"markdown\":{\"title\":");
    rb_buf_json(body, title);
    rb_buf_str(body, ",\"text\":");
    rb_buf_json(body, text);
    rb_buf_str(body, "}}");
}

static enum rb_err write_body(struct rb_buf *out, const struct rb_notice *notices, unsigned n)
{
    struct rb_buf title, text;
    bool card = n == 1 && *notices[0].url;
    rb_buf_init(&title, MARKDOWN_BYTES);
    rb_buf_init(&text, MARKDOWN_BYTES);
    if (n == 1)
        rb_words_title(&title, &notices[0], true);
    else
        rb_buf_printf(&title, "%u 件通知", n);
    rb_markdown_write(&text, notices, n, card ? &button : &plain);
    if (card)
        add_card(out, title.data, text.data, notices[0].url);
    else
        add_markdown(out, title.data, text.data);
    enum rb_err err = rb_buf_err(&title) != RB_OK ? rb_buf_err(&title) : rb_buf_err(&text);
    rb_buf_deinit(&title);
    rb_buf_deinit(&text);
    return err != RB_OK ? err : rb_buf_err(out);
}

/* The secret's first line is the address; the second, when there is one, signs. */
static void write_url(struct rb_buf *out, const char *secret, int64_t wall_us)
{
    size_t address = strcspn(secret, "\n");
    rb_buf_add(out, secret, address);
    if (secret[address])
        add_signature(out, secret + address + 1, wall_us);
}

/* made: the address, its NUL, and the body. */
static enum rb_err compose(const struct rb_message *message, int64_t wall_us, struct rb_call *call,
                           char **made)
{
    struct rb_notice notices[RB_DIGEST_MOST];
    struct rb_buf url, body;
    unsigned n;
    rb_buf_init(&url, URL_BYTES + BODY_BYTES);
    rb_buf_init(&body, BODY_BYTES);
    enum rb_err err = rb_notices_read(message, notices, &n);
    if (err == RB_OK)
        err = write_body(&body, notices, n);
    rb_notices_clear(notices, n);
    write_url(&url, message->secret, wall_us);
    size_t url_len = url.len;
    rb_buf_char(&url, '\0');
    rb_buf_add(&url, body.len ? body.data : "", body.len);
    if (err == RB_OK)
        err = rb_buf_err(&url);
    call->body_len = body.len;
    rb_buf_deinit(&body);
    if (err == RB_OK) {
        call->url = *made = rb_buf_take(&url, NULL);
        call->body = *made + url_len + 1;
    }
    rb_buf_deinit(&url);
    rb_call_header(call, "Content-Type", "application/json; charset=utf-8");
    rb_call_header(call, "User-Agent", "ringback/" RB_VERSION);
    return err;
}

static void judge(const struct rb_answer *answer, struct rb_verdict *verdict)
{
    rb_robot_judge(answer, codes, BLOCKED, verdict);
}

const struct rb_channel rb_channel_dingtalk = {
    .name = "dingtalk", .has_secret = true, .compose = compose, .judge = judge};
