/*
 * The page of acknowledge.h: one request to the database, whose function acknowledge_by_link() decides, and a
 * page without scripts, in Chinese and English. It shows the reference and the deadline and no personal
 * detail, as links are forwarded. Problems are pages for browsers, and problem documents for programs.
 */
#include "server/console/acknowledge.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "server/console/answer.h"

enum { PAGE_MOST = 16384, POLICY_BYTES = 256, DIGEST_BYTES = 64 };
#define LOOK_US (5 * RB_SECOND)

extern const char rb_sql_acknowledge[];
static const struct rb_statement statement = {"acknowledge", rb_sql_acknowledge};

static const char style[] =
    ":root{color-scheme:light dark;font:17px/1.6 system-ui,\"Noto Sans CJK SC\",\"PingFang SC\",sans-serif}"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;background:Canvas;color:CanvasText}"
    "main{max-width:26rem;padding:2rem 1.25rem}"
    "h1{font-size:1.5rem;line-height:1.3;margin:0 0 .25rem}p{margin:.25rem 0}.en{opacity:.75}"
    "dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem;margin:1.5rem "
    "0}dd{margin:0;font-weight:600;"
    "font-variant-numeric:tabular-nums}"
    "button{font:inherit;font-weight:600;width:100%;padding:.85rem 1rem;border:0;border-radius:.5rem;"
    "background:#0b5cad;color:#fff;cursor:pointer}button:focus-visible{outline:3px solid "
    "#7db8f0;outline-offset:2px}";

/* What the database says, and what the page says to it. */
static const struct state {
    const char *what;
    int status;
    const char *code; /* of the problem; NULL: there is none */
    const char *zh, *en, *zh_more, *en_more;
} states[] = {
    {"open", 200, NULL, "请确认已收到", "Please acknowledge", "按下按钮，表示您已知悉并会在时限前回电。",
     "Press the button to say that you know of it and will call back in time."},
    {"acknowledged", 200, NULL, "已确认", "Acknowledged", "谢谢。请在时限前给客户回电。",
     "Thank you. The retailer is to be called back before the deadline."},
    {"contacted", 200, NULL, "客户已联系", "Called back", "客户已经接到回电，无需再确认。",
     "The retailer was called back; there is nothing left to acknowledge."},
    {"closed", 200, NULL, "已办结", "Closed", "这件事已经办结，无需再确认。",
     "This is closed; there is nothing left to acknowledge."},
    {"others", 403, "forbidden", "已由他人负责", "With somebody else", "这件事已转交他人，或者您无权查看。",
     "This has passed to somebody else, or is not for you to see."},
    {"busy", 503, "unavailable", "暂时无法确认", "Not now", "系统繁忙，请稍后再试。",
     "The system is busy: try again in a moment."},
    {"body", 400, "bad-request", "无法识别的请求", "Not understood", "请重新打开链接，然后按下按钮。",
     "Open the link again and press the button: the request takes no body."},
    {"unknown", 404, "not-found", "链接无效", "No such link", "请检查链接是否完整。",
     "Check whether the link is complete."},
};

static const struct state *state_of(const char *what)
{
    size_t i = 0;
    while (i < sizeof(states) / sizeof(states[0]) - 1 && strcmp(states[i].what, what) != 0)
        i++;
    return &states[i];
}

/* Nothing but the page's own style is loaded or run, and the form goes nowhere else. */
static const char *policy(void)
{
    static char text[POLICY_BYTES];
    unsigned char digest[crypto_hash_sha256_BYTES];
    char encoded[DIGEST_BYTES];
    if (!*text) {
        crypto_hash_sha256(digest, (const unsigned char *)style, sizeof(style) - 1);
        sodium_bin2base64(encoded, sizeof(encoded), digest, sizeof(digest), sodium_base64_VARIANT_ORIGINAL);
        snprintf(text, sizeof(text),
                 "default-src 'none'; style-src 'sha256-%s'; form-action 'self'; base-uri 'none'; "
                 "frame-ancestors 'none'",
                 encoded);
    }
    return text;
}

/* reference and due are digits and punctuation of the database's making; NULL leaves them out. */
static void write_page(struct rb_buf *page, const struct state *state, const char *reference, const char *due)
{
    rb_buf_str(page, "<!doctype html>\n<html lang=\"zh-CN\"><head><meta charset=\"utf-8\"><title>");
    rb_buf_printf(page, "%s · %s</title>", state->zh, state->en);
    rb_buf_str(page, "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                     "<meta name=\"robots\" content=\"noindex\"><style>");
    rb_buf_str(page, style);
    rb_buf_printf(page, "</style></head><body><main><h1>%s</h1><p class=\"en\" lang=\"en\">%s</p>", state->zh,
                  state->en);
    if (reference && due)
        rb_buf_printf(page,
                      "<dl><dt>编号 <span lang=\"en\">Reference</span></dt><dd>%s</dd>"
                      "<dt>回电时限 <span lang=\"en\">Due</span></dt><dd>%s</dd></dl>",
                      reference, due);
    rb_buf_printf(page, "<p>%s</p><p class=\"en\" lang=\"en\">%s</p>", state->zh_more, state->en_more);
    if (strcmp(state->what, "open") == 0)
        rb_buf_str(page, "<form method=\"post\"><p><button>知道了，我会回电 <span lang=\"en\">I know, I will "
                         "call back</span></button></p></form>");
    rb_buf_str(page, "</main></body></html>\n");
}

static void answer(struct rb_request *req, const struct state *state, const char *reference, const char *due)
{
    const struct rb_header headers[] = {{"Cache-Control", "no-store"},
                                        {"Content-Security-Policy", policy()},
                                        {"Referrer-Policy", "no-referrer"},
                                        {"X-Content-Type-Options", "nosniff"},
                                        {"X-Robots-Tag", "noindex"},
                                        {"Vary", "Accept"},
                                        {"Retry-After", "1"}};
    size_t n = sizeof(headers) / sizeof(headers[0]) - (state->status == 503 ? 0 : 1);
    const char *accept = rb_request_header(req, "accept");
    if (state->code && !(accept && strstr(accept, "text/html"))) {
        rb_reply_problem(req, state->status, state->code, state->en_more, NULL, headers, n);
        return;
    }
    struct rb_buf page;
    rb_buf_init(&page, PAGE_MOST);
    write_page(&page, state, reference, due);
    RB_INVARIANT(rb_buf_err(&page) == RB_OK);
    rb_reply(req, state->status, "text/html; charset=utf-8", headers, n, page.data, page.len);
    rb_buf_deinit(&page);
}

static void on_found(void *ctx, enum rb_err err, const struct rb_result *result)
{
    struct rb_request *req = ctx;
    if (err != RB_OK) {
        answer(req, state_of("busy"), NULL, NULL);
        return;
    }
    answer(req, state_of(rb_result_text(result, 0, rb_result_column(result, "what"))),
           rb_result_text(result, 0, rb_result_column(result, "reference")),
           rb_result_text(result, 0, rb_result_column(result, "due")));
}

static void ask(struct rb_request *req, struct rb_db *db, bool acknowledge)
{
    struct rb_db_step step = {.statement = &statement, .params = rb_params_new()};
    rb_param_text(step.params, rb_request_param(req, "token"));
    rb_param_bool(step.params, acknowledge);
    if (rb_db_submit(db, &step, 1, LOOK_US, on_found, req) != RB_OK)
        answer(req, state_of("busy"), NULL, NULL);
}

void rb_acknowledge_show(struct rb_request *req, struct rb_db *db)
{
    ask(req, db, false);
}

void rb_acknowledge_post(struct rb_request *req, struct rb_db *db)
{
    size_t len;
    rb_request_body(req, &len);
    if (len > 0)
        answer(req, state_of("body"), NULL, NULL);
    else
        ask(req, db, true);
}
