/*
 * Words for people, see words.h. Robots have no way to escape: what would be markup is written with the
 * full-width character that looks like it.
 */
#include "server/channel/words.h"

#include <string.h>

#include "common/json.h"
#include "common/utf8.h"

#define ELLIPSIS "…"

enum { NAME_MOST = 96, REFERENCE_MOST = 24 };

struct pair {
    const char *word, *said;
};

static const struct pair types[] = {{"assigned", "已指派"}, {"reminded", "提醒"},     {"overdue", "逾期"},
                                    {"escalated", "升级"},  {"reopened", "重新打开"}, {"closed", "已关闭"}};
static const struct pair kinds[] = {{"complaint", "投诉"},  {"opinion", "意见"}, {"request", "请求"},
                                    {"suggestion", "建议"}, {"inquiry", "咨询"}, {"report", "举报"}};

static const char *say(const struct pair *pairs, size_t n, const char *word, const char *otherwise)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(pairs[i].word, word) == 0)
            return pairs[i].said;
    return otherwise;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

enum rb_err rb_notice_read(const struct rb_message *message, struct rb_notice *notice)
{
    char why[128];
    *notice = (struct rb_notice){.due = message->due ? message->due : ""};
    enum rb_err err = rb_json_parse(message->body, message->body_len, &notice->event, why, sizeof(why));
    if (err != RB_OK)
        return err;
    const json_t *data = json_object_get(notice->event, "data");
    const json_t *retailer = json_object_get(data, "retailer");
    const char *type = text_of(notice->event, "type");
    const char *kind = text_of(data, "kind");
    const char *last = strrchr(type, '.');
    const json_t *phone = json_array_get(json_object_get(retailer, "phones"), 0);
    notice->test = strcmp(type, "ringback.target.test") == 0;
    notice->secret = strcmp(kind, "report") == 0;
    notice->what = say(types, sizeof(types) / sizeof(types[0]), last ? last + 1 : "", "通知");
    notice->kind = say(kinds, sizeof(kinds) / sizeof(kinds[0]), kind, "跟进");
    notice->reference = text_of(data, "complaint");
    notice->owner = text_of(data, "owner");
    notice->url = text_of(data, "acknowledge_url");
    notice->tries = (long)json_number_value(json_object_get(notice->event, "tries"));
    notice->code = notice->name = notice->phone = notice->text = "";
    if (!notice->secret) {
        notice->code = text_of(retailer, "code");
        notice->name = text_of(retailer, "name");
        notice->phone = text_of(data, "caller");
        notice->text = text_of(data, "text");
        if (!*notice->phone && json_string_value(phone))
            notice->phone = json_string_value(phone);
    }
    return json_is_object(data) ? RB_OK : RB_ERR_INVALID;
}

void rb_notice_clear(struct rb_notice *notice)
{
    json_decref(notice->event);
    notice->event = NULL;
}

enum rb_err rb_notices_read(const struct rb_message *message, struct rb_notice notices[RB_DIGEST_MOST],
                            unsigned *n)
{
    enum rb_err err = RB_OK;
    for (*n = 0; message && err == RB_OK; message = message->next) {
        RB_INVARIANT(*n < RB_DIGEST_MOST);
        err = rb_notice_read(message, &notices[(*n)++]);
    }
    return err;
}

void rb_notices_clear(struct rb_notice *notices, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        rb_notice_clear(&notices[i]);
}

/* Directions of writing and what has no width hide what a text really says. */
static bool is_invisible(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

/* What stands for the character at text, NULL: itself. Clients make links of "://" and of what looks like the
 * name of a host. */
static const char *stand_in(const char *text, uint32_t c, bool markup)
{
    static const char from[] = "[]<>`*#_@!\\|~&";
    static const char *const to[] = {"［", "］", "＜", "＞", "｀", "＊", "＃",
                                     "＿", "＠", "！", "＼", "｜", "～", "＆"};
    if (is_invisible(c))
        return " ";
    if (c == ':' && text[1] == '/')
        return "：";
    if (c == '.' && text[1] && !strchr(" 0123456789.", text[1]))
        return "．";
    const char *at = markup && c < 0x80 ? strchr(from, (int)c) : NULL;
    return at ? to[at - from] : NULL;
}

void rb_words_add(struct rb_buf *out, const char *text, size_t most, bool markup)
{
    size_t left = strlen(text), begin = out->len, fits = begin;
    while (left) {
        uint32_t c = 0;
        size_t len = rb_utf8_decode(text, left, &c);
        const char *stands = len ? stand_in(text, c, markup) : "?";
        size_t size = stands ? strlen(stands) : len;
        if (out->len - begin + size > most) {
            if (out->err == RB_OK && out->data) {
                out->len = fits;
                out->data[fits] = '\0';
            }
            if (most >= strlen(ELLIPSIS))
                rb_buf_str(out, ELLIPSIS);
            return;
        }
        rb_buf_add(out, stands ? stands : text, size);
        if (out->len - begin + strlen(ELLIPSIS) <= most)
            fits = out->len;
        text += len ? len : 1;
        left -= len ? len : 1;
    }
}

void rb_words_title(struct rb_buf *out, const struct rb_notice *notice, bool markup)
{
    if (notice->test) {
        rb_buf_str(out, "【测试】Ringback 通知测试");
        return;
    }
    rb_buf_printf(out, "【%s】%s ", notice->what, notice->kind);
    rb_words_add(out, notice->reference, REFERENCE_MOST, markup);
    if (*notice->name) {
        rb_buf_char(out, ' ');
        rb_words_add(out, notice->name, NAME_MOST, markup);
    }
}
