/*
 * Fuzzes what robots and relays answer and what a complaint may say: nobody's body is taken for a delivery
 * that does not say so, and a message for people is UTF-8 within its limit whatever was said.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/utf8.h"
#include "server/channel/channel.h"
#include "server/channel/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const struct rb_channel *channel, const char *text, size_t size)
{
    struct rb_answer answer = {.status = 200, .body = text, .body_len = size};
    struct rb_verdict verdict;
    channel->judge(&answer, &verdict);
    RB_INVARIANT(verdict.rest_us >= 0);
    if (verdict.fate == RB_FATE_DELIVERED)
        RB_INVARIANT(memmem(text, size, "errcode", 7));
    else
        RB_INVARIANT(verdict.error && rb_utf8_valid(verdict.error, strlen(verdict.error)));
}

static void refuse(const char *text, size_t size)
{
    struct rb_answer answer = {.status = 550, .phase = RB_MAIL_RECIPIENT, .body = text, .body_len = size};
    struct rb_verdict verdict;
    rb_channel_email.judge(&answer, &verdict);
    RB_INVARIANT(verdict.fate == RB_FATE_GONE || verdict.fate == RB_FATE_REJECTED);
}

static void check_content(const struct rb_call *call)
{
    json_t *json = json_loadb(call->body, call->body_len, 0, NULL);
    const char *type = json_string_value(json_object_get(json, "msgtype"));
    json_t *inner = type ? json_object_get(json, type) : NULL;
    const char *said = json_string_value(json_object_get(inner, "content"));
    if (!said)
        said = json_string_value(json_object_get(inner, "text"));
    RB_INVARIANT(said && strlen(said) <= 4096 && rb_utf8_valid(said, strlen(said)));
    json_decref(json);
}

static void compose(const struct rb_channel *channel, const char *text, size_t size)
{
    static const struct rb_relay relay = {.url = "smtp://r", .from = "a@b.test", .user = "", .password = ""};
    struct rb_message second = {.id = "2", .body = text, .body_len = size, .due = "2026-11-22 20:16"};
    for (int n = 1; n <= 2; n++) {
        struct rb_message first = {.id = "1",
                                   .address = "c@d.test",
                                   .secret = "https://r.test/?access_token=K\nSECx",
                                   .body = text,
                                   .body_len = size,
                                   .due = second.due,
                                   .relay = &relay,
                                   .next = n == 2 ? &second : NULL};
        struct rb_call call = {0};
        char *made = NULL;
        if (channel->compose(&first, 1700000000000000, &call, &made) == RB_OK && channel != &rb_channel_email)
            check_content(&call);
        free(made);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    RB_INVARIANT(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    judge(&rb_channel_wecom, text, size);
    judge(&rb_channel_dingtalk, text, size);
    refuse(text, size);
    compose(&rb_channel_wecom, text, size);
    compose(&rb_channel_dingtalk, text, size);
    compose(&rb_channel_email, text, size);
    free(text);
    return 0;
}
