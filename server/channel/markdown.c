/*
 * Markdown for robots, see markdown.h.
 */
#include "server/channel/markdown.h"

#include <string.h>

enum { CODE_MOST = 64, NAME_MOST = 120, PHONE_MOST = 64, PIECE = 16384, TEXT_LEAST = 16 };

static void add_field(struct rb_buf *out, const struct rb_markdown *style, const char *label,
                      const char *colour, const char *value, size_t most)
{
    if (!*value)
        return;
    bool coloured = colour && style->colours;
    rb_buf_printf(out, "%s%s：", style->line, label);
    if (coloured)
        rb_buf_printf(out, "<font color=\"%s\">", colour);
    rb_words_add(out, value, most, true);
    if (coloured)
        rb_buf_str(out, "</font>");
}

/* A parenthesis or a space in a URL would end the link. */
static bool is_linkable(const char *url)
{
    return *url && strpbrk(url, " ()<>\"\n") == NULL;
}

static void add_link(struct rb_buf *out, const char *before, const char *url)
{
    if (is_linkable(url))
        rb_buf_printf(out, "%s[确认收到](%s)", before, url);
}

static void write_one(struct rb_buf *out, const struct rb_notice *notice, const struct rb_markdown *style)
{
    struct rb_buf head, tail, link;
    rb_buf_init(&head, PIECE);
    rb_buf_init(&tail, PIECE);
    rb_buf_init(&link, PIECE);
    rb_buf_str(&head, "**");
    rb_words_title(&head, notice, true);
    rb_buf_str(&head, "**");
    if (notice->test)
        rb_buf_printf(&head, "%s此渠道可以收到通知。", style->line);
    add_field(&head, style, "客户代码", NULL, notice->code, CODE_MOST);
    add_field(&head, style, "电话", "comment", notice->phone, PHONE_MOST);
    if (notice->tries > 0)
        rb_buf_printf(&tail, "%s已尝试回电：%ld 次", style->line, notice->tries);
    add_field(&tail, style, "截止", "warning", notice->due, PHONE_MOST);
    add_field(&tail, style, "负责人", NULL, notice->owner, CODE_MOST);
    if (notice->secret)
        rb_buf_printf(&tail, "%s内容请登录后查看", style->line);
    if (style->mark)
        rb_buf_printf(&tail, "%s%s", style->line, style->mark);
    if (!style->button)
        add_link(&link, "\n\n", notice->url);
    rb_buf_add(out, head.data, head.len);
    if (head.len + tail.len + link.len > style->most)
        rb_buf_reset(&link);
    size_t fixed = head.len + tail.len + link.len + strlen(style->line) + strlen("内容：");
    if (fixed + TEXT_LEAST <= style->most)
        add_field(out, style, "内容", NULL, notice->text, style->most - fixed);
    rb_buf_add(out, tail.len ? tail.data : "", tail.len);
    rb_buf_add(out, link.len ? link.data : "", link.len);
    rb_buf_deinit(&head);
    rb_buf_deinit(&tail);
    rb_buf_deinit(&link);
}

static void add_item(struct rb_buf *out, const struct rb_notice *notice, const struct rb_markdown *style)
{
    rb_buf_str(out, style->item);
    rb_words_title(out, notice, true);
    if (*notice->due) {
        rb_buf_str(out, " 截止 ");
        rb_words_add(out, notice->due, PHONE_MOST, true);
    }
    if (notice->tries > 0)
        rb_buf_printf(out, " 已试 %ld 次", notice->tries);
    add_link(out, " ", notice->url);
}

/* Those from the first-th on, by their references alone. */
static void add_rest(struct rb_buf *out, const struct rb_notice *notices, unsigned first, unsigned n)
{
    if (first == n)
        return;
    rb_buf_printf(out, "\n\n另有 %u 件：", n - first);
    for (unsigned i = first; i < n; i++) {
        if (i > first)
            rb_buf_str(out, "、");
        rb_words_add(out, notices[i].reference, 24, true);
    }
}

static void write_digest(struct rb_buf *out, const struct rb_notice *notices, unsigned n,
                         const struct rb_markdown *style)
{
    struct rb_buf head, rest;
    rb_buf_init(&head, PIECE);
    rb_buf_init(&rest, PIECE);
    rb_buf_printf(&head, "**%u 件通知**%s%s", n, style->mark ? " " : "", style->mark ? style->mark : "");
    unsigned listed = 0;
    size_t whole = head.len; /* of the head with all that is listed */
    while (listed < n) {
        struct rb_buf item;
        rb_buf_init(&item, PIECE);
        add_item(&item, &notices[listed], style);
        rb_buf_reset(&rest);
        add_rest(&rest, notices, listed + 1, n);
        bool fits = whole + item.len + rest.len <= style->most;
        if (fits) {
            rb_buf_add(&head, item.data, item.len);
            whole = head.len;
            listed++;
        }
        rb_buf_deinit(&item);
        if (!fits)
            break;
    }
    rb_buf_reset(&rest);
    add_rest(&rest, notices, listed, n);
    rb_buf_add(out, head.data, head.len);
    rb_buf_add(out, rest.len ? rest.data : "", rest.len);
    rb_buf_deinit(&head);
    rb_buf_deinit(&rest);
}

void rb_markdown_write(struct rb_buf *out, const struct rb_notice *notices, unsigned n,
                       const struct rb_markdown *style)
{
    if (n == 1)
        write_one(out, &notices[0], style);
    else
        write_digest(out, notices, n, style);
}
