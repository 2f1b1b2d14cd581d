/*
 * E-mail: one plain text to the person's address, handed to the configured relay by SMTP. Its Message-ID
 * comes from the notification's id, so that a mail sent twice can be recognised. A refusal that says "later"
 * (4xx) is tried again, one that says "never" (5xx) ends the target when there is no such mailbox, and this
 * message otherwise; what is wrong with our own log-in or address blames the relay.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/mail.h"
#include "common/utf8.h"
#include "server/channel/channel.h"
#include "server/channel/words.h"

enum { MAIL_BYTES = 1 << 20, TEXT_MOST = 16384, LINE_BYTES = 57, WORD_BYTES = 39, SUBJECT_MOST = 240 };

/* --- headers --- */

/* RFC 2047: encoded words of at most 75 characters, each of whole characters. */
static void add_subject(struct rb_buf *out, const char *text)
{
    char word[sodium_base64_ENCODED_LEN(WORD_BYTES, sodium_base64_VARIANT_ORIGINAL)];
    rb_buf_str(out, "Subject:");
    for (size_t left = strlen(text); left;) {
        size_t len = 0, next;
        uint32_t c;
        while (len < left && (next = rb_utf8_decode(text + len, left - len, &c)) && len + next <= WORD_BYTES)
            len += next;
        sodium_bin2base64(word, sizeof(word), (const uint8_t *)text, len, sodium_base64_VARIANT_ORIGINAL);
        rb_buf_printf(out, " =?UTF-8?B?%s?=\r\n", word); /* the blank continues the header on the next line */
        text += len;
        left -= len;
    }
}

static void add_date(struct rb_buf *out, int64_t wall_us)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(wall_us / RB_SECOND);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    rb_buf_printf(out, "Date: %s, %02d %s %d %02d:%02d:%02d +0000\r\n", days[tm.tm_wday], tm.tm_mday,
                  months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* Of several: the first one's id and a hash of all of theirs. */
static void add_message_id(struct rb_buf *out, const struct rb_message *message)
{
    const char *domain = strchr(message->relay->from, '@') + 1;
    uint8_t hash[16];
    char hex[2 * sizeof(hash) + 1];
    crypto_generichash_state state;
    if (!message->next) {
        rb_buf_printf(out, "Message-ID: <%s@%s>\r\n", message->id, domain);
        return;
    }
    crypto_generichash_init(&state, NULL, 0, sizeof(hash));
    for (const struct rb_message *one = message; one; one = one->next)
        crypto_generichash_update(&state, (const uint8_t *)one->id, strlen(one->id));
    crypto_generichash_final(&state, hash, sizeof(hash));
    sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
    rb_buf_printf(out, "Message-ID: <%s.%s@%s>\r\n", message->id, hex, domain);
}

/* --- the text --- */

static void add_line(struct rb_buf *out, const char *label, const char *value, size_t most)
{
    if (!*value)
        return;
    rb_buf_printf(out, "%s：", label);
    rb_words_add(out, value, most, false);
    rb_buf_str(out, "\r\n");
}

static void add_notice(struct rb_buf *out, const struct rb_notice *notice)
{
    rb_words_title(out, notice, false);
    rb_buf_str(out, "\r\n");
    if (notice->test)
        rb_buf_str(out, "此渠道可以收到通知。\r\n");
    add_line(out, "客户代码", notice->code, 200);
    add_line(out, "电话", notice->phone, 200);
    if (notice->tries > 0)
        rb_buf_printf(out, "已尝试回电：%ld 次\r\n", notice->tries);
    add_line(out, "截止", notice->due, 200);
    add_line(out, "负责人", notice->owner, 200);
    add_line(out, "内容", notice->text, TEXT_MOST);
    if (notice->secret)
        rb_buf_str(out, "内容请登录后查看\r\n");
    if (*notice->url && !strpbrk(notice->url, " \r\n"))
        rb_buf_printf(out, "确认收到：%s\r\n", notice->url);
}

static void add_text(struct rb_buf *out, const struct rb_notice *notices, unsigned n)
{
    if (n > 1)
        rb_buf_printf(out, "%u 件通知\r\n\r\n", n);
    for (unsigned i = 0; i < n; i++) {
        if (i)
            rb_buf_str(out, "\r\n");
        add_notice(out, &notices[i]);
    }
}

static void add_base64(struct rb_buf *out, const char *text, size_t len)
{
    char line[sodium_base64_ENCODED_LEN(LINE_BYTES, sodium_base64_VARIANT_ORIGINAL)];
    for (size_t at = 0; at < len; at += LINE_BYTES) {
        size_t part = len - at < LINE_BYTES ? len - at : LINE_BYTES;
        sodium_bin2base64(line, sizeof(line), (const uint8_t *)text + at, part,
                          sodium_base64_VARIANT_ORIGINAL);
        rb_buf_printf(out, "%s\r\n", line);
    }
}

static void write_mail(struct rb_buf *out, const struct rb_message *message, const struct rb_notice *notices,
                       unsigned n, int64_t wall_us)
{
    struct rb_buf text, subject;
    rb_buf_init(&text, MAIL_BYTES / 2);
    rb_buf_init(&subject, SUBJECT_MOST + 1);
    if (n == 1)
        rb_words_title(&subject, &notices[0], false);
    else
        rb_buf_printf(&subject, "%u 件通知", n);
    add_text(&text, notices, n);
    add_date(out, wall_us);
    rb_buf_printf(out, "From: Ringback <%s>\r\nTo: <%s>\r\n", message->relay->from, message->address);
    add_subject(out, subject.data);
    add_message_id(out, message);
    rb_buf_str(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
    add_base64(out, text.data, text.len);
    if (rb_buf_err(&text) != RB_OK)
        out->err = rb_buf_err(&text);
    rb_buf_deinit(&text);
    rb_buf_deinit(&subject);
}

static enum rb_err compose(const struct rb_message *message, int64_t wall_us, struct rb_call *call,
                           char **made)
{
    const struct rb_relay *relay = message->relay;
    struct rb_notice notices[RB_DIGEST_MOST];
    struct rb_buf mail;
    unsigned n;
    if (!relay || !*relay->url || !rb_mail_address_valid(relay->from) ||
        !rb_mail_address_valid(message->address))
        return RB_ERR_INVALID;
    rb_buf_init(&mail, MAIL_BYTES);
    enum rb_err err = rb_notices_read(message, notices, &n);
    if (err == RB_OK) {
        write_mail(&mail, message, notices, n, wall_us);
        err = rb_buf_err(&mail);
    }
    rb_notices_clear(notices, n);
    if (err == RB_OK)
        call->body = *made = rb_buf_take(&mail, &call->body_len);
    rb_buf_deinit(&mail);
    call->url = relay->url;
    call->mail = (struct rb_mail){.from = relay->from,
                                  .to = message->address,
                                  .user = *relay->user ? relay->user : NULL,
                                  .password = *relay->user ? relay->password : NULL,
                                  .tls = relay->tls};
    return err;
}

/* --- answers --- */

/* The subject of the enhanced code (RFC 3463) in "550 5.1.1 no such user": 1 is the address; -1: there is
 * none. */
static int subject_of(const struct rb_answer *answer)
{
    char line[32];
    int class, subject;
    snprintf(line, sizeof(line), "%.*s", (int)(answer->body_len < 31 ? answer->body_len : 31), answer->body);
    return sscanf(line, "%*3d%*1[ -]%d.%d.", &class, &subject) == 2 ? subject : -1;
}

/* Of refusals of the recipient: that the mailbox is none, and not that we may not write to it. */
static bool is_no_mailbox(const struct rb_answer *answer)
{
    int subject = subject_of(answer);
    if (subject >= 0)
        return subject == 1;
    return answer->status == 550 || answer->status == 551 || answer->status == 553;
}

static void judge_refusal(const struct rb_answer *answer, struct rb_verdict *verdict)
{
    switch (answer->phase) {
    case RB_MAIL_RECIPIENT:
        verdict->fate = is_no_mailbox(answer) ? RB_FATE_GONE : RB_FATE_REJECTED;
        verdict->error =
            is_no_mailbox(answer) ? "there is no such mailbox" : "the relay refuses the recipient";
        break;
    case RB_MAIL_CONTENT:
        verdict->fate = RB_FATE_REJECTED;
        verdict->error = "the relay refuses the mail";
        break;
    case RB_MAIL_LOGIN:
        verdict->error = "the relay refuses our log-in";
        break;
    default:
        verdict->error = "the relay refuses us";
    }
}

static void judge(const struct rb_answer *answer, struct rb_verdict *verdict)
{
    *verdict = (struct rb_verdict){.fate = RB_FATE_RETRY, .status = answer->status, .error = answer->error};
    if (answer->err != RB_OK)
        return;
    if (answer->status >= 200 && answer->status < 300)
        verdict->fate = RB_FATE_DELIVERED;
    else if (answer->status >= 500)
        judge_refusal(answer, verdict);
    else
        verdict->error = "the relay says later";
}

const struct rb_channel rb_channel_email = {.name = "email", .compose = compose, .judge = judge};
