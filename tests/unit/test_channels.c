/*
 * Robots and mail: what is said, within which limits, and what each kind of answer means.
 */
#include "tests/unit/unit.h"

#include <sodium.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/mail.h"
#include "common/utf8.h"
#include "server/channel/channel.h"
#include "server/channel/words.h"

#define URL "https://desk.example.org/a/0123456789"

struct sent {
    struct rb_call call;
    char *made;
    json_t *json;
};

/* A notification's event; text is put in as JSON. */
static char *event(const char *type, const char *kind, const char *reference, const char *name,
                   const char *text)
{
    struct rb_buf buf;
    rb_buf_init(&buf, 1 << 20);
    rb_buf_printf(&buf,
                  "{\"type\":\"ringback.%s\",\"data\":{\"complaint\":\"%s\",\"kind\":\"%s\",\"retailer\":"
                  "{\"code\":\"R1\",\"phones\":[\"+8615400138000\"],\"name\":",
                  type, reference, kind);
    rb_buf_json(&buf, name);
    rb_buf_str(&buf, "},\"caller\":null,\"owner\":\"AM1\",\"acknowledge_url\":\"" URL "\",\"text\":");
    rb_buf_json(&buf, text);
    rb_buf_str(&buf, "}}");
    return rb_buf_take(&buf, NULL);
}

static struct rb_message message_of(const char *body)
{
    return (struct rb_message){.id = "7e1f3f0a-0000-4000-8000-000000000001",
                               .address = "a@b.test",
                               .secret = "https://robot.test/send?key=K",
                               .body = body,
                               .body_len = strlen(body),
                               .due = "2026-11-22 20:16"};
}

static struct sent compose(const struct rb_channel *channel, const struct rb_message *message)
{
    struct sent sent = {0};
    assert_ok(channel->compose(message, 1700000000000000, &sent.call, &sent.made));
    assert_non_null(sent.made);
    if (channel != &rb_channel_email)
        assert_non_null(sent.json = json_loadb(sent.call.body, sent.call.body_len, 0, NULL));
    return sent;
}

static void clear(struct sent *sent)
{
    json_decref(sent->json);
    free(sent->made);
}

static const char *content(const struct sent *sent, const char *type, const char *member)
{
    assert_string_equal(json_string_value(json_object_get(sent->json, "msgtype")), type);
    return json_string_value(json_object_get(json_object_get(sent->json, type), member));
}

static void test_wecom_says_it_all(void **state)
{
    char *body = event("follow-up.overdue", "complaint", "1000000412", "福源便利店", "箱子破了");
    struct rb_message message = message_of(body);
    struct sent sent = compose(&rb_channel_wecom, &message);
    (void)state;
    assert_string_equal(sent.call.url, "https://robot.test/send?key=K");
    assert_string_equal(
        content(&sent, "markdown", "content"),
        "**【逾期】投诉 1000000412 福源便利店**\n>客户代码：R1\n>电话：<font color=\"comment\">"
        "+8615400138000</font>\n>内容：箱子破了\n>截止：<font color=\"warning\">2026-11-22 20:16"
        "</font>\n>负责人：AM1\n\n[确认收到](" URL ")");
    clear(&sent);
    free(body);
}

/* Three tries are no silence: who is told of a deadline reads of them, alone and in a digest. */
static void test_tries_are_said(void **state)
{
    const struct rb_relay relay = {.url = "smtp://r", .from = "desk@a.test", .user = "", .password = ""};
    char *plain = event("follow-up.overdue", "complaint", "1000000412", "店", "x"), tried[1024];
    (void)state;
    snprintf(tried, sizeof(tried), "%.*s,\"tries\":3}", (int)strlen(plain) - 1, plain);
    struct rb_message message = message_of(tried), other = message_of(plain);
    struct sent sent = compose(&rb_channel_wecom, &message);
    assert_non_null(strstr(content(&sent, "markdown", "content"), "\n>已尝试回电：3 次\n"));
    clear(&sent);
    message.next = &other;
    sent = compose(&rb_channel_wecom, &message);
    const char *first = strstr(content(&sent, "markdown", "content"), "已试 3 次");
    assert_non_null(first);
    assert_null(strstr(first + 1, "已试"));
    clear(&sent);
    struct rb_notice notice;
    assert_ok(rb_notice_read(&other, &notice));
    assert_int_equal(notice.tries, 0);
    rb_notice_clear(&notice);
    message.next = NULL;
    message.relay = &relay;
    sent = compose(&rb_channel_email, &message);
    char text[1024] = "";
    const char *coded = memmem(sent.call.body, sent.call.body_len, "\r\n\r\n", 4);
    assert_non_null(coded);
    assert_int_equal(sodium_base642bin((uint8_t *)text, sizeof(text) - 1, coded,
                                       (size_t)(sent.call.body + sent.call.body_len - coded), "\r\n", NULL,
                                       NULL, sodium_base64_VARIANT_ORIGINAL),
                     0);
    assert_non_null(strstr(text, "\r\n已尝试回电：3 次\r\n"));
    clear(&sent);
    free(plain);
}

static void test_dingtalk_signs_as_published(void **state)
{
    char *body = event("follow-up.assigned", "request", "1000000412", "店", "x");
    struct rb_message message = message_of(body);
    (void)state;
    message.secret = "https://robot.test/send?access_token=T\nSECtest";
    struct sent sent = compose(&rb_channel_dingtalk, &message);
    assert_string_equal(sent.call.url, "https://robot.test/send?access_token=T&timestamp=1700000000000&sign="
                                       "aZLLrriXgn05YbwaGR7knYsLeJADjr9NwLaNNKpxh4g%3D");
    assert_string_equal(content(&sent, "actionCard", "title"), "【已指派】请求 1000000412 店");
    assert_string_equal(content(&sent, "actionCard", "singleURL"), URL);
    assert_non_null(strstr(content(&sent, "actionCard", "text"), "Ringback"));
    clear(&sent);
    message.secret = "https://robot.test/send?access_token=T";
    sent = compose(&rb_channel_dingtalk, &message);
    assert_string_equal(sent.call.url, message.secret);
    clear(&sent);
    free(body);
}

/* Texts of every length and width: never a byte too many, never half a character, the link always whole. */
static void test_texts_are_cut_between_characters(void **state)
{
    static const char *const characters[] = {"a", "é", "很", "😀", "[", "\"", "\n"};
    char text[16001];
    (void)state;
    for (size_t c = 0; c < COUNT(characters); c++) {
        size_t width = strlen(characters[c]);
        for (size_t n = 3900; n <= 4000; n += c == 2 ? 1 : 7) {
            for (size_t i = 0; i < n; i++)
                memcpy(text + i * width, characters[c], width);
            text[n * width] = '\0';
            char *body = event("follow-up.assigned", "complaint", "1000000412", "福源便利店", text);
            struct rb_message message = message_of(body);
            struct sent sent = compose(&rb_channel_wecom, &message);
            const char *said = content(&sent, "markdown", "content");
            size_t len = strlen(said);
            assert_true(len <= 4096);
            assert_true(rb_utf8_valid(said, len));
            assert_string_equal(said + len - strlen("](" URL ")"), "](" URL ")");
            clear(&sent);
            free(body);
        }
    }
}

static void test_words_cannot_be_markup(void **state)
{
    struct rb_buf buf;
    (void)state;
    rb_buf_init(&buf, 4096);
    rb_words_add(&buf, "[a](http://b.c) <@all> @x **y** `z` #1 www.d.e 3.5条 \r\n> q\u202e\u200b\xc2\x85&lt;",
                 4096, true);
    assert_string_equal(
        buf.data, "［a］(http：//b．c) ＜＠all＞ ＠x ＊＊y＊＊ ｀z｀ ＃1 www．d．e 3.5条   ＞ q   ＆lt;");
    rb_buf_reset(&buf);
    rb_words_add(&buf, "很长很长", 11, false);
    assert_string_equal(buf.data, "很长…");
    rb_buf_reset(&buf);
    rb_words_add(&buf, "很长很长", 12, false);
    assert_string_equal(buf.data, "很长很长");
    rb_buf_reset(&buf);
    rb_words_add(&buf, "很", 2, false);
    assert_int_equal(buf.len, 0);
    rb_buf_deinit(&buf);
}

/* Of fifty with the longest names, each is named within the limit; as many as fit with link and deadline. */
static void test_digest_names_each(void **state)
{
    char *bodies[RB_DIGEST_MOST], name[301], reference[24];
    struct rb_message messages[RB_DIGEST_MOST];
    const struct rb_channel *const robots[] = {&rb_channel_wecom, &rb_channel_dingtalk};
    (void)state;
    for (size_t i = 0; i < 300; i += 3)
        memcpy(name + i, "店", 4);
    for (int i = 0; i < RB_DIGEST_MOST; i++) {
        snprintf(reference, sizeof(reference), "10000004%02d", i);
        bodies[i] = event("follow-up.reminded", "complaint", reference, name, "x");
        messages[i] = message_of(bodies[i]);
        messages[i].next = i + 1 < RB_DIGEST_MOST ? &messages[i + 1] : NULL;
    }
    for (size_t r = 0; r < COUNT(robots); r++) {
        struct sent sent = compose(robots[r], &messages[0]);
        const char *said = content(&sent, "markdown", r == 0 ? "content" : "text");
        assert_true(strlen(said) <= 4096 && strlen(said) > 3500);
        assert_non_null(strstr(said, "**50 件通知**"));
        assert_non_null(strstr(said, "另有 "));
        assert_int_equal(strstr(said, "Ringback") != NULL, r == 1);
        for (int i = 0; i < RB_DIGEST_MOST; i++) {
            snprintf(reference, sizeof(reference), "10000004%02d", i);
            assert_non_null(strstr(said, reference));
        }
        clear(&sent);
    }
    messages[1].next = NULL;
    struct sent sent = compose(&rb_channel_wecom, &messages[0]);
    assert_null(strstr(content(&sent, "markdown", "content"), "另有"));
    clear(&sent);
    for (int i = 0; i < RB_DIGEST_MOST; i++)
        free(bodies[i]);
}

static void test_reports_stay_secret(void **state)
{
    const struct rb_channel *const all[] = {&rb_channel_wecom, &rb_channel_dingtalk, &rb_channel_email};
    const struct rb_relay relay = {.url = "smtp://r", .from = "desk@a.test", .user = "", .password = ""};
    char *body = event("follow-up.assigned", "report", "1000000412", "SHOPNAME", "OFFENCE");
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        struct rb_message message = message_of(body);
        message.relay = &relay;
        struct sent sent = compose(all[i], &message);
        for (const char *const *bad = (const char *const[]){"SHOPNAME", "OFFENCE", "15400138000", NULL}; *bad;
             bad++)
            assert_null(memmem(sent.call.body, sent.call.body_len, *bad, strlen(*bad)));
        clear(&sent);
    }
    free(body);
}

static void test_what_is_no_notification(void **state)
{
    static const char *const bodies[] = {"", "x", "[]", "{}", "{\"data\":1}"};
    (void)state;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct rb_message message = message_of(bodies[i]);
        struct rb_call call = {0};
        char *made = NULL;
        assert_err(rb_channel_wecom.compose(&message, 0, &call, &made), RB_ERR_INVALID);
        assert_null(made);
    }
}

static struct rb_verdict judged(const struct rb_channel *channel, int status, const char *body)
{
    struct rb_answer answer = {
        .status = status, .body = body, .body_len = strlen(body), .retry_after_us = 7 * RB_SECOND};
    struct rb_verdict verdict;
    channel->judge(&answer, &verdict);
    return verdict;
}

static void test_robots_answers(void **state)
{
    static const struct {
        const struct rb_channel *channel;
        int status;
        enum rb_fate fate;
        const char *body;
        int64_t rest; /* s */
    } cases[] = {
        {&rb_channel_wecom, 200, RB_FATE_DELIVERED, "{\"errcode\":0,\"errmsg\":\"ok\"}", 0},
        {&rb_channel_wecom, 200, RB_FATE_RETRY, "{\"errcode\":45009,\"errmsg\":\"api freq out of limit\"}",
         60},
        {&rb_channel_wecom, 200, RB_FATE_GONE, "{\"errcode\":93000,\"errmsg\":\"invalid webhook url\"}", 0},
        {&rb_channel_wecom, 200, RB_FATE_RETRY, "{\"errcode\":-1}", 0},
        {&rb_channel_wecom, 200, RB_FATE_RETRY, "{\"errcode\":\"0\"}", 0},
        {&rb_channel_wecom, 200, RB_FATE_RETRY, "{\"errcode\":0.5}", 0},
        {&rb_channel_wecom, 200, RB_FATE_RETRY, "{\"errcode\":null}", 0},
        {&rb_channel_wecom, 200, RB_FATE_RETRY, "{\"errcode\":0", 0},
        {&rb_channel_wecom, 200, RB_FATE_RETRY, "", 0},
        {&rb_channel_wecom, 200, RB_FATE_RETRY, "[0]", 0},
        {&rb_channel_wecom, 200, RB_FATE_RETRY, "<html>ok</html>", 0},
        {&rb_channel_wecom, 204, RB_FATE_RETRY, "{\"errcode\":0}", 0},
        {&rb_channel_wecom, 302, RB_FATE_RETRY, "{\"errcode\":0}", 0},
        {&rb_channel_wecom, 503, RB_FATE_RETRY, "{\"errcode\":0}", 7},
        {&rb_channel_dingtalk, 200, RB_FATE_DELIVERED, "{\"errcode\":0,\"errmsg\":\"ok\"}", 0},
        {&rb_channel_dingtalk, 200, RB_FATE_RETRY, "{\"errcode\":130101,\"errmsg\":\"send too fast\"}", 600},
        {&rb_channel_dingtalk, 200, RB_FATE_GONE, "{\"errcode\":310000}", 0},
        {&rb_channel_dingtalk, 200, RB_FATE_GONE, "{\"errcode\":300005}", 0},
        {&rb_channel_dingtalk, 200, RB_FATE_REFUSED, "{\"errcode\":40035}", 0},
        {&rb_channel_dingtalk, 200, RB_FATE_RETRY, "{\"errcode\":0,\"punish\":\"deny\",\"wait\":5}", 600},
        {&rb_channel_dingtalk, 200, RB_FATE_RETRY, "{\"errcode\":88,\"punish\":\"deny\",\"wait\":900}", 900},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rb_verdict verdict = judged(cases[i].channel, cases[i].status, cases[i].body);
        assert_int_equal(verdict.fate, cases[i].fate);
        assert_int_equal(verdict.rest_us, cases[i].rest * RB_SECOND);
        if (cases[i].status == 200 && cases[i].fate != RB_FATE_DELIVERED)
            assert_non_null(verdict.error);
    }
}

static void test_relays_answers(void **state)
{
    static const struct {
        enum rb_mail_phase phase;
        enum rb_fate fate;
        const char *line;
    } cases[] = {
        {RB_MAIL_CONTENT, RB_FATE_DELIVERED, "250 2.0.0 queued\r\n"},
        {RB_MAIL_GREETING, RB_FATE_RETRY, "421 4.3.2 busy\r\n"},
        {RB_MAIL_GREETING, RB_FATE_RETRY, "554 no service\r\n"},
        {RB_MAIL_LOGIN, RB_FATE_RETRY, "535 5.7.8 no\r\n"},
        {RB_MAIL_SENDER, RB_FATE_RETRY, "550 5.7.1 who are you\r\n"},
        {RB_MAIL_RECIPIENT, RB_FATE_RETRY, "450 4.2.0 greylisted\r\n"},
        {RB_MAIL_RECIPIENT, RB_FATE_GONE, "550 5.1.1 no such user\r\n"},
        {RB_MAIL_RECIPIENT, RB_FATE_GONE, "550 no such user\r\n"},
        {RB_MAIL_RECIPIENT, RB_FATE_REJECTED, "550 5.7.1 relaying denied\r\n"},
        {RB_MAIL_RECIPIENT, RB_FATE_REJECTED, "554 relay access denied\r\n"},
        {RB_MAIL_CONTENT, RB_FATE_REJECTED, "552 5.3.4 too large\r\n"},
        {RB_MAIL_CONTENT, RB_FATE_RETRY, "451 4.3.0 later\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rb_answer answer = {.status = atoi(cases[i].line),
                                   .phase = cases[i].phase,
                                   .body = cases[i].line,
                                   .body_len = strlen(cases[i].line)};
        struct rb_verdict verdict;
        rb_channel_email.judge(&answer, &verdict);
        assert_int_equal(verdict.fate, cases[i].fate);
    }
}

static void test_mail_addresses(void **state)
{
    static const char *const good[] = {"a@b", "li.ming+desk@mail.example.cn", "x_y-z@a-b.test"};
    static const char *const bad[] = {
        "",      "a",     "@b",      "a@",          "a@b@c",       "a b@c",  "a@b,c@d",
        "<a@b>", "a\r@b", "a@b\n",   ".a@b",        "a.@b",        "a..b@c", "a@.b",
        "a@b.",  "李@b",  "\"a\"@b", "a@[1.2.3.4]", "a@b\r\nX: y", "a@b c",  "a;b@c"};
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(rb_mail_address_valid(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(rb_mail_address_valid(bad[i]));
}

/* Whatever the shop is called, the mail's head is ours: short ASCII lines, and the text after the first gap.
 */
static void test_mail_heads_hold(void **state)
{
    static const char *const names[] = {
        "a\r\nBcc: x@y.test", "很长的店名很长的店名很长的店名很长的店名很长的店名", "=?UTF-8?B?QQ==?=", ""};
    const struct rb_relay relay = {.url = "smtp://r", .from = "desk@a.test", .user = "", .password = ""};
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        char *body = event("follow-up.assigned", "complaint", "1000000412", names[i], "x");
        struct rb_message message = message_of(body);
        message.relay = &relay;
        struct sent sent = compose(&rb_channel_email, &message);
        char *mail = strndup(sent.call.body, sent.call.body_len);
        assert_null(strstr(mail, "Bcc"));
        assert_non_null(strstr(mail, "\r\nMessage-ID: <7e1f3f0a-0000-4000-8000-000000000001@a.test>\r\n"));
        assert_non_null(strstr(mail, "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"));
        for (char *line = strtok(mail, "\n"); line; line = strtok(NULL, "\n")) {
            size_t len = strlen(line);
            assert_true(len >= 1 && len <= 79 && line[len - 1] == '\r');
            for (size_t c = 0; c + 1 < len; c++)
                assert_true(line[c] >= ' ' && line[c] < 127);
        }
        free(mail);
        clear(&sent);
        free(body);
    }
}

static void test_mail_wants_a_relay(void **state)
{
    const struct rb_relay none = {.url = "", .from = "", .user = "", .password = ""};
    char *body = event("follow-up.assigned", "complaint", "1000000412", "x", "x");
    struct rb_message message = message_of(body);
    struct rb_call call = {0};
    char *made = NULL;
    (void)state;
    message.relay = &none;
    assert_err(rb_channel_email.compose(&message, 0, &call, &made), RB_ERR_INVALID);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wecom_says_it_all),
        cmocka_unit_test(test_dingtalk_signs_as_published),
        cmocka_unit_test(test_texts_are_cut_between_characters),
        cmocka_unit_test(test_words_cannot_be_markup),
        cmocka_unit_test(test_digest_names_each),
        cmocka_unit_test(test_tries_are_said),
        cmocka_unit_test(test_reports_stay_secret),
        cmocka_unit_test(test_what_is_no_notification),
        cmocka_unit_test(test_robots_answers),
        cmocka_unit_test(test_relays_answers),
        cmocka_unit_test(test_mail_addresses),
        cmocka_unit_test(test_mail_heads_hold),
        cmocka_unit_test(test_mail_wants_a_relay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
